# SPDX-License-Identifier: MIT
"""The Makefile: when warnings are errors, whose flags are used, and the properties of the
results."""
import hashlib
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, program

BINARIES = ("libsocktune.so", "socktune", "socktuned", "socktune-compile")
REPEATED = ("libsocktune.so", "socktune-compile")
# Each flag leaves a mark in the object or program built with it. The paths are relative, so that
# the flags are equal in each directory. No optimisation, to save time.
MARKS = {"CPPFLAGS": "-include tests/fixtures/mark.h", "CFLAGS": "-O0 -g -DMARK_CFLAGS",
         "LDFLAGS": "-Wl,--defsym,mark_of_ldflags=1"}
MARK_H = """
__asm__(".pushsection .mark_of_cppflags; .byte 1; .popsection");
#ifdef MARK_CFLAGS
__asm__(".pushsection .mark_of_cflags; .byte 1; .popsection");
#endif
"""
COMPAT_H = ROOT / "preload" / "engine" / "compat.h"
# Headers that may define the names of compat.h and can be included before all others.
HEADERS = ("fcntl.h", "netinet/in.h", "sys/socket.h", "sys/syscall.h", "linux/memfd.h",
           "linux/seccomp.h", "linux/socket.h")
# Flags of distributions and of developers.
FLAGS = {
    "debian": {"CPPFLAGS": "-Wdate-time -D_FORTIFY_SOURCE=2",
               "CFLAGS": "-g -O2 -fstack-protector-strong -Wformat -Werror=format-security",
               "LDFLAGS": "-Wl,-z,relro -Wl,-z,now"},
    "fedora": {"CFLAGS": "-O2 -flto=auto -ffat-lto-objects -fexceptions -g -pipe -Wall "
                         "-Wp,-U_FORTIFY_SOURCE -Wp,-D_FORTIFY_SOURCE=3 -Wp,-D_GLIBCXX_ASSERTIONS "
                         "-fstack-protector-strong -fasynchronous-unwind-tables "
                         "-fstack-clash-protection -fcf-protection",
               "LDFLAGS": "-Wl,-z,relro -Wl,--as-needed -Wl,-z,now -Wl,-z,defs"},
    "sanitized": {"CFLAGS": "-O1 -g -fsanitize=address,undefined",
                  "LDFLAGS": "-fsanitize=address,undefined"},
    "coverage": {"CFLAGS": "-O0 -g --coverage", "LDFLAGS": "--coverage"},
}


def make(build, *goals, cwd=ROOT, **variables):
    words = [f"{name}={value}" for name, value in variables.items()]
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "WERROR", "CPPFLAGS", "CFLAGS", "LDFLAGS")}
    made = subprocess.run([program("make"), "-j2", f"B={build}", *words, *goals], cwd=cwd,
                          capture_output=True, text=True, check=False, timeout=600,
                          env=environment)
    assert made.returncode == 0, made.stderr
    return made


def output_of(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=True).stdout


def imports_of(path):
    return {line.split()[-1] for line in
            output_of("nm", "-D", "--undefined-only", path).splitlines()}


def compat_names():
    return re.findall(r"^#define (?!SOCKTUNE_)(\w+) ", COMPAT_H.read_text(encoding="utf-8"), re.M)


def old_headers():
    """Text of a header that makes the system's headers as old as compat.h permits."""
    return "".join([*(f"#include <{name}>\n" for name in HEADERS),
                    *(f"#undef {name}\n" for name in compat_names())])


def build_elsewhere(directory, names):
    """Build the source in another directory, with old headers; returns the hashes of the
    results."""
    shutil.copytree(ROOT, directory, symlinks=True, ignore=shutil.ignore_patterns(
        "build", ".git", "__pycache__", "fixtures"))
    (directory / "tests" / "fixtures").mkdir()
    (directory / MARKS["CPPFLAGS"].split()[1]).write_text(old_headers() + MARK_H, encoding="utf-8")
    make("build", *(f"build/{name}" for name in names), cwd=directory, **MARKS)
    return {name: hashlib.sha256((directory / "build" / name).read_bytes()).hexdigest()
            for name in names}


@pytest.mark.slow
def test_same_bytes_and_everybodys_flags(directory):
    """Packages are reproducible: the results do not depend on place and time of the build. Each
    binary is built with the user's flags. Headers may be older than the kernel."""
    first = build_elsewhere(directory / "first", BINARIES)
    # One file for each compile rule: of the library, and of the programs, which share one rule.
    again = build_elsewhere(directory / "a" / "much longer" / "path", REPEATED)
    assert again.items() <= first.items()
    for name in BINARIES:
        path = directory / "first" / "build" / name
        contents = output_of("readelf", "-SsW", path)
        for mark in ("mark_of_cppflags", "mark_of_cflags", "mark_of_ldflags"):
            assert mark in contents, (name, mark)


def test_numbers_for_old_headers_are_the_kernels(directory):
    """Each number of compat.h equals that of the system's headers, if they have it."""
    names = compat_names()
    source = directory / "names.c"
    values = []
    for first in ("", f'#include "{COMPAT_H}"\n'):
        source.write_text("".join(
            [old_headers() if first else "", first,
             *(f"#include <{name}>\n" for name in (*HEADERS, "linux/tcp.h", "linux/in6.h")),
             "#include <stdio.h>\nint main(void) {\n",
             *(f'#ifdef {name}\nprintf("{name} %ld\\n", (long){name});\n#endif\n' for name in names),
             "}\n"]), encoding="utf-8")
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", directory / "names", source], check=True)
        values.append(dict(line.split() for line in output_of(directory / "names").splitlines()))
    system, compat = values
    assert len(names) > 20 and sorted(compat) == sorted(names)
    assert system.items() <= compat.items()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [
    pytest.param(name, marks=() if name == "debian" else pytest.mark.full) for name in FLAGS])
def test_library_stays_lean(build, directory, flags):
    """With any flags, the library imports nothing more, and works."""
    make(directory / "build", f"{directory}/build/libsocktune.so", **FLAGS[flags])
    library = directory / "build" / "libsocktune.so"
    assert imports_of(library) == imports_of(build.library)
    dynamic = output_of("readelf", "-dW", library)
    assert "NEEDED" not in dynamic and "INITFIRST" in dynamic
    subprocess.run(["/bin/true"], check=True, env={"LD_PRELOAD": str(library)})


def test_commands_are_hardened(build):
    """Position-independent, and relocations are read-only after the start (RELRO)."""
    for path in (build.socktune, build.socktune.with_name("socktuned")):
        assert "Type:                              DYN" in output_of("readelf", "-hW", path), path
        assert "GNU_RELRO" in output_of("readelf", "-lW", path), path
        assert re.search(r"FLAGS.*(BIND_NOW|NOW)", output_of("readelf", "-dW", path)), path


def test_library_is_read_only_once_it_has_started(build, compiled):
    """Neither the pointers to the real functions nor the rules can be overwritten."""
    rules = compiled('rules = ( { set = { SO_KEEPALIVE = true; }; } );\n')
    maps = subprocess.run(["/bin/cat", "/proc/self/maps"], check=True, capture_output=True, text=True,
                          env={"LD_PRELOAD": str(build.library), "SOCKTUNE_RULES": str(rules)}).stdout
    rights = {line.split()[1] for line in maps.splitlines() if line.endswith("/libsocktune.so")}
    assert rights == {"r-xp", "r--p"}, maps


def test_library_does_not_disable_control_flow_protection(build):
    """One object without these marks disables the protection for the whole program."""
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64's marks")
    assert re.search(r"x86 feature:.*IBT, SHSTK", output_of("readelf", "-nW", build.library))


def test_warnings_are_errors_for_us_alone(directory):
    """Unknown compilers may have more warnings, which must not prevent a user from building."""
    commands = make(directory / "build", "-n", "V=1", "all", "hosts").stdout
    assert "-Wextra" in commands and "-Werror" not in commands
    commands = make(directory / "build", "-n", "V=1", "all", WERROR="-Werror").stdout
    assert "-Werror" in commands
    assert "WERROR=-Werror" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.full
def test_clang_builds_the_same_library(build, directory):
    """`make lint` builds everything with clang. The library itself provides the functions that
    clang calls and gcc does not (memcpy)."""
    library = directory / "build" / "libsocktune.so"
    make(directory / "build", library, CC=program("clang"), WERROR="-Werror")
    assert imports_of(library) == imports_of(build.library)
    subprocess.run(["/bin/true"], check=True, env={"LD_PRELOAD": str(library)})


LEFT_OUT = "socktune attach is left out: clang or libbpf (libbpf-dev) is missing"


@pytest.fixture(params=["clang", "libbpf"])
def without(request, tmp_path):
    """Variables for make if one of the two is missing."""
    if request.param == "clang":
        return {"CLANG": tmp_path / "no-clang"}
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\ncase " $* " in *" bpf/libbpf.h "*) exit 1 ;; esac\nexec cc "$@"\n',
                        encoding="ascii")
    compiler.chmod(0o755)
    return {"CC": compiler}


def test_make_without_clang_or_libbpf_leaves_out_attach(tmp_path, without):
    planned = make(tmp_path, "--dry-run", "all", **without).stdout
    assert planned.count(LEFT_OUT) == 1
    assert "tools/cli/cmd_attach.o" in planned and "tools/helper/clients/report_sources.o" in planned
    for missing in ("attach.bpf", "attachment.o", "-lbpf", "-DATTACH_BY_BPF"):
        assert missing not in planned
    assert LEFT_OUT not in make(tmp_path, "--dry-run", "all", ATTACH="yes").stdout


@pytest.mark.full
def test_what_is_built_without_clang(tmp_path):
    made = make(tmp_path, CFLAGS="-O0", CLANG=tmp_path / "no-clang")
    assert LEFT_OUT in made.stdout
    command = tmp_path / "socktune"
    assert "libbpf" not in output_of("ldd", command)
    for words in (["attach", "--status"], ["attach", "--report"], ["attach", "--probe"]):
        refused = subprocess.run([command, *words], capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and "built without clang or libbpf" in refused.stderr
    assert "TCP_KEEPIDLE" in output_of(command, "options")
