# SPDX-License-Identifier: MIT
"""What `make install` installs where, and that the results work there."""
import os
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, ROOT, program
from policy_cache import kept_policy
from word_size import emulator_32_bits, environment_of_run, run_32_bits


RULES = 'rules = ( { set = { TCP_KEEPIDLE = 123; }; } );\n'
# Prints the word size and the options of a new socket.
SHOW = """
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void)
{
    int value = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof value;
    getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length);
    printf("%zu %d\\n", 8 * sizeof(long), value);
}
"""


@pytest.fixture(scope="module")
def multiarch():
    return subprocess.run(["gcc", "-print-multiarch"], check=True, capture_output=True,
                          text=True).stdout.strip()


@pytest.fixture
def install(directory):
    """install(PREFIX=..., ...): copies the existing build, and rebuilds only what is needed."""
    def run(*goals, **variables):
        made = directory / "build"
        if not made.exists():
            shutil.copytree(BUILD, made, symlinks=True, ignore=shutil.ignore_patterns(
                "san", "tests", "bench", "fuzz"))
        words = [f"{name}={value}" for name, value in variables.items()]
        subprocess.run([program("make"), "-C", ROOT, f"B={made}", *goals, "install", *words],
                       check=True, capture_output=True, timeout=120)
    return run


@pytest.fixture
def show(directory, multiarch):
    """Build a program for this machine, or for its 32-bit mode: show("-m32")."""
    def build(*flags):
        source = directory / "show.c"
        source.write_text(SHOW, encoding="ascii")
        result = directory / f"show{''.join(flags)}"
        made = subprocess.run([program("gcc"), *flags, "-idirafter", f"/usr/include/{multiarch}",
                               "-o", result, source], check=False, capture_output=True, text=True)
        if flags and made.returncode != 0:
            pytest.skip(f"gcc cannot build with {flags}: {made.stderr.splitlines()[-1]}")
        assert made.returncode == 0, made.stderr
        return result
    return build


def clean(**more):
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere", **more}


def told(command, **environment):
    return output(command, clean(**environment))


def output(command, environment):
    result = subprocess.run(list(map(str, command)), env=environment, check=False,
                            capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


@pytest.mark.slow
def test_another_prefix_than_it_was_built_for(install, directory, rule_file, show, multiarch):
    """`make`, and only then `make install PREFIX=...`."""
    prefix = directory / "prefix"
    install(PREFIX=prefix)
    rules = rule_file(RULES)
    assert told([prefix / "bin" / "socktune", "run", "-c", rules, show()]) == "64 123\n"
    library = prefix / "lib" / multiarch / "socktune" / "libsocktune.so"
    compiled = kept_policy(rules)
    compiled.unlink(missing_ok=True)
    # The library by itself finds the compiler beside it.
    assert told([show()], LD_PRELOAD=str(library), SOCKTUNE_RULES=str(rules)) == "64 123\n"
    assert compiled.exists()
    page = (prefix / "share" / "man" / "man5" / "socktune.conf.5").read_text(encoding="utf-8")
    assert f"{prefix}/share/socktune/examples" in page
    examples = sorted((prefix / "share" / "socktune" / "examples").glob("*.conf"))
    assert len(examples) >= 6
    told([prefix / "bin" / "socktune", "check", *examples])


def test_staged(install, directory, multiarch, rule_file, show):
    """With DESTDIR, no file contains the path of the stage, and symbolic links work inside it."""
    stage = directory / "stage"
    install(DESTDIR=stage, PREFIX="/usr")
    where = stage / "usr" / "lib" / multiarch / "socktune"
    compiler = where / "socktune-compile"
    assert not compiler.is_symlink() and os.access(compiler, os.X_OK)
    assert str(stage).encode() not in compiler.read_bytes()
    assert told([show()], LD_PRELOAD=str(where / "libsocktune.so"),
                SOCKTUNE_RULES=str(rule_file(RULES))) == "64 123\n"


def plan_of_install(*words):
    return subprocess.run([program("make"), "-C", ROOT, "-n", "install", *words], check=True,
                          capture_output=True, text=True, timeout=60).stdout


def test_what_programs_may_start_with_meanwhile_is_replaced_in_one_step(directory):
    """/etc/ld.so.preload may name the library: a program must find either the old or the new file,
    complete."""
    plan = plan_of_install("DESTDIR=/nowhere", f"B={directory}", "LIBDIR=/usr/lib")
    for name in ("libsocktune.so", "socktune-compile"):
        target = f"/nowhere/usr/lib/socktune/{name}"
        assert f"'{target}.new' && mv -f '{target}.new' '{target}'\n" in plan
        assert not re.search(rf"install -m[^&]* '{target}'$", plan, re.MULTILINE)


def test_systems_without_multiarch(directory):
    """In lib64, if the system has that, as $LIB of its ld.so."""
    compiler = directory / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = -print-multiarch ] || exec gcc "$@"\n', encoding="ascii")
    compiler.chmod(0o755)
    real = os.path.realpath("/usr/lib64") == "/usr/lib64"
    assert f"'/usr/local/{'lib64' if real else 'lib'}/socktune/libsocktune.so'" in \
        plan_of_install(f"CC={compiler}", f"B={directory}")


@pytest.mark.slow
def test_both_word_sizes(install, directory, rule_file, show):
    """Each program's ld.so replaces `$LIB` in LD_PRELOAD by the right directory; `run` sets it."""
    small = show("-m32")
    prefix = directory / "prefix"
    install("i386", PREFIX=prefix)
    rules = rule_file(RULES)
    large = show()
    socktune = prefix / "bin" / "socktune"
    tuned = clean(LD_PRELOAD=f"{prefix}/$LIB/socktune/libsocktune.so", SOCKTUNE_RULES=str(rules))
    assert output([large], tuned) == "64 123\n"
    assert output(*run_32_bits(small, tuned)) == "32 123\n"
    assert told([socktune, "run", "-c", rules, large]) == "64 123\n"
    if emulator_32_bits() is None:
        assert told([socktune, "run", "-c", rules, small]) == "32 123\n"
    else:
        assert output(*run_32_bits(small, environment_of_run(socktune, rules, clean()))) \
            == "32 123\n"


def test_a_command_without_its_library(build, directory, rule_file):
    """A command that was copied without the library says what is missing."""
    lonely = directory / "socktune"
    shutil.copy(build.socktune, lonely)
    for command, status in ((["run", "-c", rule_file(RULES), "/bin/true"], 125),
                            (["doctor", "/bin/true"], 1)):
        result = subprocess.run([lonely, *command], env=clean(), check=False, capture_output=True,
                                text=True, timeout=30)
        assert result.returncode == status, result
        assert "libsocktune.so" in result.stdout + result.stderr
