# SPDX-License-Identifier: MIT
"""What `make demo`, `make check` and similar targets do about missing packages. apt and dpkg are
replaced by scripts: nothing is installed."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, needs_root, program

INSTALLER = ROOT / ".ci" / "install-packages"
# Programs that the script also uses.
TOOLS = ("sh", "dirname", "id", "grep", "cat", "rm", "chmod", "env", "python3", "gcc", "as", "ldconfig")


@pytest.fixture
def machine(directory):
    """machine(installed=..., apt=True) -> run(*packages, INSTALL=...), in a PATH of its own."""
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    for name in TOOLS:
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if found:
            (bin_directory / name).symlink_to(found)

    def make(installed=(), apt=True):
        def stand_in(name, text):
            path = bin_directory / name
            path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
            path.chmod(0o755)
        if apt:
            cases = "".join(f"{name}) echo installed ;; " for name in installed)
            stand_in("dpkg-query", f'for name; do :; done; case $name in {cases}*) exit 1 ;; esac')
            stand_in("apt-get", f'echo "$@" >>{directory}/apt')
            stand_in("apt-cache", '[ "$2" != unknown ]')

        def run(*packages, **variables):
            return subprocess.run(
                [INSTALLER, *packages], env={"PATH": str(bin_directory), "CC": "/usr/bin/gcc", **variables},
                text=True, capture_output=True, check=False, timeout=60)
        return run
    return make


def test_nothing_is_missing(machine, directory):
    done = machine(["one", "two"])("one", "?two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (directory / "apt").exists()


def test_it_announces_what_it_installs(machine, directory):
    needs_root("installs as root")
    done = machine(["one"])("one", "two", "?unknown", "?three")
    assert done.returncode == 0, done.stderr
    assert "apt-get install --no-install-recommends two unknown three\n" in done.stderr
    assert "INSTALL=no" in done.stderr
    update, install = (directory / "apt").read_text(encoding="ascii").splitlines()
    assert update == "update -q"
    assert install == "install -q -y --no-install-recommends two three"


def test_install_no_leaves_it(machine, directory):
    done = machine(["one"])("one", "two", "?three", INSTALL="no")
    assert done.returncode == 0
    assert "without these Debian packages: two\n" in done.stderr
    assert not (directory / "apt").exists()


def test_without_apt_it_names_programs(machine):
    run = machine(apt=False)
    missing = run("gcc", "no-such-thing", "golang-go", "?qemu-user", "libconfig-dev")
    assert missing.returncode == 1
    assert "missing: command no-such-thing (Debian package no-such-thing)\n" in missing.stderr
    assert "missing: command go (Debian package golang-go)\n" in missing.stderr
    assert "can be done without: command qemu-i386" in missing.stderr
    assert "gcc" not in missing.stderr and "libconfig" not in missing.stderr
    assert "There is no apt here." in missing.stderr and "INSTALL=no" in missing.stderr
    assert run("golang-go", INSTALL="no").returncode == 0
    present = run("gcc", "libconfig-dev")
    assert (present.returncode, present.stderr) == (0, "")


@pytest.mark.slow
def test_the_makefile_passes_it_on():
    """INSTALL=no is for packages; any other INSTALL is the program that `make install` uses."""
    def plan(*words):
        return subprocess.run([program("make"), "-C", ROOT, "-n", *words], text=True, check=False,
                              env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60).stdout
    assert re.search(r"INSTALL=no .*install-packages gcc ", plan("deps", "INSTALL=no"))
    assert re.search(r"INSTALL=yes .*install-packages gcc ", plan("deps"))
    assert re.search(r"INSTALL=yes .*\?libbpf-dev$", plan("build-deps"), re.MULTILINE), "and no more"
    assert "\ninstall -d " in plan("install", "INSTALL=no", "DESTDIR=/nowhere")
    assert "\nginstall -d " in plan("install", "INSTALL=ginstall", "DESTDIR=/nowhere")


def test_without_apt_nothing_is_missing_that_is_here(directory):
    """Each package of the Makefile's lists that this machine has is found without dpkg."""
    for folder in ("/usr/sbin", "/usr/bin"):
        for path in pathlib.Path(folder).iterdir():
            if path.name not in ("apt-get", "dpkg-query") and not (directory / path.name).is_symlink():
                (directory / path.name).symlink_to(path)
    text = re.sub(r"#.*|\$\([^)]*\)", "", (ROOT / ".ci" / "packages.mk").read_text(encoding="utf-8"))
    listed = set(re.findall(r"(?<=\s)\??([a-z][a-z0-9+.-]+)(?=\s)", " ".join(
        re.findall(r"^PACKAGES_\w+ *[:?]?= *((?:.*\\\n)*.*)", text, re.MULTILINE))))
    known = subprocess.run([program("dpkg-query"), "-W", "-f", "${Package} ${db:Status-Status}\n"],
                           text=True, check=True, capture_output=True, timeout=60).stdout
    # Only the linker can find out whether the last one is installed.
    here = {name for name in listed if f"\n{name} installed\n" in known} - {"libclang-rt-14-dev"}
    assert len(here) > 20 and "libconfig-dev" in here
    done = subprocess.run([INSTALLER, *sorted(here)], text=True, check=False, capture_output=True,
                          timeout=60, env={"PATH": str(directory), "PYTHON": "/usr/bin/python3"})
    assert (done.returncode, done.stderr) == (0, "")
