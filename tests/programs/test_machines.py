# SPDX-License-Identifier: MIT
"""The library on other machines, emulated by qemu-user: it loads, tunes and does no harm. One of
them is big-endian, so rules compiled there have the other byte order.

Run by `make check-machines`; the library is built for each machine for which there is a
compiler."""
import os
import subprocess
import sys
import types

import pytest
from conftest import BUILD, ROOT, program
from hostile import RULES, SOURCES, assert_tuned, assert_unharmed, run

pytestmark = pytest.mark.full

# Machine -> qemu's name, Debian's name.
MACHINES = {"aarch64": ("aarch64", "arm64"), "riscv64": ("riscv64", "riscv64"),
            "powerpc64le": ("ppc64le", "ppc64el"), "s390x": ("s390x", "s390x")}
ROOMS = ("preload/engine", "preload/wire", "config", "config/compiler")


@pytest.fixture(params=sorted(MACHINES))
def machine(request, directory):
    """.run(command, environment), .compile(output, sources...), .library, .other_order"""
    name = request.param
    qemu, debian = MACHINES[name]
    emulator, compiler = program(f"qemu-{qemu}"), program(f"{name}-linux-gnu-gcc")
    library = BUILD / name / "libsocktune.so"
    if not library.exists():
        pytest.skip(f"not built: make {name}")
    base = [emulator, "-L", f"/usr/{name}-linux-gnu"]

    def under(command, **environment):
        words = [word for pair in environment.items() for word in ("-E", "=".join(pair))]
        return [*base, *words, *command]

    def build(output, *words):
        subprocess.run([compiler, "-std=gnu11", "-O1", "-D_GNU_SOURCE", "-pthread", "-o",
                        directory / output, *words], check=True)
        return directory / output
    order = "big" if name == "s390x" else "little"
    return types.SimpleNamespace(under=under, build=build, library=str(library), debian=debian,
                                 other_order=order != sys.byteorder)


@pytest.fixture
def policy(machine, compiled, rule_file, directory):
    """The compiled rules: compiled here, or by the machine's own compiler in its byte order."""
    if not machine.other_order:
        return compiled(RULES)
    fetched = subprocess.run([ROOT / ".ci" / "fetch-library", machine.debian, directory / "fetched",
                              "libconfig9", "libconfig-dev"], capture_output=True, text=True,
                             check=False)
    libraries = sorted((directory / "fetched" / "root").glob("usr/lib/*/libconfig.so.9"))
    if not libraries:
        pytest.skip(f"no libconfig of {machine.debian}: {fetched.stderr[-200:]}")
    compiler = machine.build(
        "socktune-compile", *(word for room in ROOMS for word in ("-iquote", ROOT / room)),
        *(source for room in ROOMS for source in sorted((ROOT / room).glob("*.c"))),
        libraries[0], "-idirafter", directory / "fetched" / "root" / "usr" / "include")
    made = subprocess.run(
        machine.under([compiler, rule_file(RULES)], LD_LIBRARY_PATH=str(libraries[0].parent),
                      HOME=str(directory), XDG_CACHE_HOME=str(directory / "cache")),
        capture_output=True, check=True)
    path = directory / "rules.foreign"
    path.write_bytes(made.stdout)
    return path


@pytest.mark.parametrize("host", ["plain", "errnos", "threads", "signals", "vforked"])
def test_a_program_of_another_machine(machine, policy, host):
    made = machine.build(host, "-iquote", ROOT / "preload" / "engine", SOURCES / f"{host}.c", "-ldl")
    plain = run(machine.under([made]), os.environ)
    if (plain.status, plain.errors) != (0, ""):
        pytest.skip(f"qemu does not run it without the library, either: {plain.errors}")
    tuned = run(machine.under([made], LD_PRELOAD=machine.library, SOCKTUNE_RULES=str(policy)),
                os.environ)
    assert_unharmed(plain, tuned)
    if host == "plain":
        assert_tuned(tuned)
    assert tuned.options != plain.options or not plain.options


def test_rules_of_the_other_byte_order_are_refused(machine, compiled):
    """The message distinguishes a policy copied from another machine from a damaged one."""
    if not machine.other_order:
        pytest.skip("has this machine's byte order")
    host = machine.build("plain", SOURCES / "plain.c")
    seen = run(machine.under([host], LD_PRELOAD=machine.library,
                             SOCKTUNE_RULES=str(compiled(RULES))), os.environ)
    assert seen.status == 0
    assert "byte order" in seen.errors


def test_an_unknown_machine_is_told(directory):
    """Not by an error of the assembler."""
    result = subprocess.run(["gcc", "-x", "c", "-", "-E", "-U__x86_64__", "-U__i386__",
                             "-U__aarch64__", "-iquote", ROOT / "preload" / "engine", "-o",
                             directory / "out"], input='#include "call.h"\n', text=True,
                            capture_output=True, check=False)
    assert result.returncode != 0 and "socktune supports x86-64" in result.stderr
