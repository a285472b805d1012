# SPDX-License-Identifier: MIT
"""The source tarball, `make uninstall`, and packages: each is installed in a clean root directory,
where the README's quick start is run."""
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest
from clean_root import make_root, run_in
from conftest import BUILD, ROOT, needs_root, program
from test_install import SHOW

VERSION = (ROOT / "tools" / "VERSION").read_text(encoding="ascii").strip()
LIBRARIES = ["libconfig9", "libjansson4", "libelf1", "libseccomp2", "libmnl0", "libncursesw6",
             "libmicrohttpd12", "libcurl4", "libbpf1"]
QUICK_START = 'program = "show"; rules = ( { set = { TCP_KEEPIDLE = 123; }; } );\n'


def make(directory, *words, timeout=900):
    """Run make with a build directory of the test."""
    done = subprocess.run([program("make"), "-C", ROOT, f"B={directory}", "INSTALL=no",
                           f"PREFIX={directory}/nowhere", *words], check=False, capture_output=True,
                          text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def needs_checkout():
    if not (ROOT / ".git").exists():
        pytest.skip("the tarball is made from a git checkout")


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    needs_checkout()
    directory = tmp_path_factory.mktemp("dist")
    make(directory, "dist")
    return directory / f"socktune-{VERSION}.tar.gz"


@pytest.mark.slow
def test_the_tarball_is_the_same_each_time(tarball, directory):
    make(directory, "dist")
    assert (directory / tarball.name).read_bytes() == tarball.read_bytes()
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    names = {member.name.split("/")[1] for member in members if "/" in member.name}
    assert {"Makefile", "COPYING", "LICENSES", "preload", "tests"} <= names
    assert not names & {".git", "build"}
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert len({member.mtime for member in members}) == 1


@pytest.mark.slow
def test_the_tarball_is_reuse_compliant(tarball, directory):
    reuse = program("reuse")
    shutil.unpack_archive(tarball, directory)
    done = subprocess.run([reuse, "--root", directory / f"socktune-{VERSION}", "lint"], check=False,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
def test_uninstall_leaves_nothing(directory):
    """It removes all that `make install` installed, and nothing else."""
    made = directory / "build"
    shutil.copytree(BUILD, made, symlinks=True, ignore=shutil.ignore_patterns(
        "san", "tests", "bench", "fuzz", "deb", "rpm", "dist"))
    stage = directory / "stage"
    words = [f"B={made}", f"DESTDIR={stage}", "PREFIX=/usr"]
    for goal in ("install", "uninstall"):
        subprocess.run([program("make"), "-C", ROOT, *words, goal], check=True,
                       capture_output=True, timeout=300)
        files = [path for path in stage.rglob("*") if path.is_symlink() or not path.is_dir()]
        if goal == "install":
            assert len(files) > 15
            foreign = stage / "usr" / "bin" / "other"
            foreign.write_text("", encoding="ascii")
    assert files == [foreign]


def test_uninstall_refuses_to_leave_a_line_in_ld_so_preload(directory):
    """Without the library, each program would print an error at its start."""
    (directory / "etc/sysusers.d").mkdir(parents=True)  # not a list of dependencies
    (directory / "etc/ld.so.preload").write_text("/usr/$LIB/socktune/libsocktune.so\n", encoding="ascii")
    done = subprocess.run([program("make"), "-C", ROOT, f"B={directory}", f"DESTDIR={directory}", "uninstall"],
                          check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "etc/ld.so.preload first" in done.stderr


# Packages.

def build_show(root):
    source = root / "tmp" / "show.c"
    source.write_text(SHOW, encoding="ascii")
    subprocess.run([program("gcc"), "-o", root / "usr/bin/show", source], check=True, timeout=60)


def quick_start(root):
    """check, explain, run; and for a service: the environment and /etc/socktune.d."""
    build_show(root)
    (root / "etc/socktune.d").mkdir()
    (root / "etc/socktune.d/show.conf").write_text(QUICK_START, encoding="ascii")
    assert run_in(root, "show").stdout != "64 123\n"
    examples = sorted((root / "usr/share/socktune/examples").glob("*.conf"))
    assert len(examples) >= 6
    for example in examples:
        done = run_in(root, "socktune", "check", "/" + str(example.relative_to(root)))
        assert done.returncode == 0, done
    done = run_in(root, "socktune", "run", "show")
    assert (done.returncode, done.stdout, done.stderr) == (0, "64 123\n", "")
    library = next(path for path in root.rglob("libsocktune.so"))
    preload = {"LD_PRELOAD": "/" + str(library.relative_to(root))}
    done = run_in(root, "show", env=preload)
    assert (done.stdout, done.stderr) == ("64 123\n", "")
    # The library by itself finds the rule compiler too.
    for policy in root.rglob("*.policy"):
        policy.unlink()
    done = run_in(root, "show", env=preload)
    assert (done.stdout, done.stderr) == ("64 123\n", "")
    done = run_in(root, "socktuned", "--version")
    assert done.stdout == f"socktuned {VERSION}\n"


def remove_packages(root):
    """Removal is refused while /etc/ld.so.preload names the library; a purge keeps the rules."""
    def dpkg(*words):
        return subprocess.run(["dpkg", f"--root={root}", *words], check=False, capture_output=True,
                              text=True, timeout=120)
    preload = root / "etc/ld.so.preload"
    library = next(path for path in root.rglob("libsocktune.so"))
    preload.write_text("/" + str(library.relative_to(root)) + "\n", encoding="ascii")
    refused = dpkg("--force-depends", "--remove", "libsocktune")
    assert refused.returncode == 1 and "/etc/ld.so.preload names libsocktune.so" in refused.stderr
    assert library.exists()
    preload.unlink()
    assert list(root.glob("var/cache/socktune/*"))
    (root / "var/lib/private/socktune").mkdir(parents=True)
    gone = dpkg("--purge", "socktune", "socktuned", "libsocktune")
    assert gone.returncode == 0, gone.stderr
    assert "show.service.d/socktune.conf preloads the library" in gone.stderr
    left = [path for path in root.rglob("*socktune*") if "private" not in path.parts]
    assert {str(path.relative_to(root)) for path in left} == {
        "etc/socktune.d", "etc/systemd/system/show.service.d/socktune.conf"}


@pytest.mark.full
def test_debian_packages(directory):
    """dpkg accepts their dependencies in a root directory that has exactly these."""
    needs_root("installs in a chroot")
    program("dh")
    needs_checkout()
    make(directory / "build", "deb")
    packages = sorted((directory / "build" / "deb").glob("*.deb"))
    names = {path.name.split("_")[0] for path in packages}
    assert names == {f"{name}{end}" for name in ("libsocktune", "socktune", "socktuned")
                     for end in ("", "-dbgsym")}
    root = make_root(directory / "root", LIBRARIES)
    (root / "etc/systemd/system/show.service.d").mkdir(parents=True)
    (root / "etc/systemd/system/show.service.d/socktune.conf").write_text(
        "Environment=LD_PRELOAD=/usr/lib/libsocktune.so\n", encoding="ascii")
    installed = subprocess.run(
        ["dpkg", f"--root={root}", "-i", *[path for path in packages if "dbgsym" not in path.name]],
        check=False, capture_output=True, text=True, timeout=120)
    assert installed.returncode == 0, installed.stderr
    quick_start(root)
    remove_packages(root)
    lintian = shutil.which("lintian")
    if lintian:
        changes, = (directory / "build" / "deb").glob("*.changes")
        done = subprocess.run([lintian, "--allow-root", changes], check=False, capture_output=True,
                              text=True, timeout=300)
        assert not re.search("^[EW]: ", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.full
def test_rpm_packages(directory):
    """With lib64, and no directory named after the machine."""
    needs_root("runs in a chroot")
    program("rpmbuild")
    needs_checkout()
    make(directory / "build", "rpm", "RPM_DEFINES=--define '_libdir /usr/lib64'")
    root = make_root(directory / "root", LIBRARIES)
    packages = [path for path in (directory / "build" / "rpm").rglob("*.rpm")
                if "debug" not in path.name]
    assert len(packages) == 3
    for package in packages:
        archive = subprocess.run(["rpm2archive", "-"], input=package.read_bytes(), check=True,
                                 capture_output=True, timeout=60).stdout
        subprocess.run(["tar", "-xz", "-C", root, "--keep-directory-symlink"], input=archive,
                       check=True, timeout=60)
    assert (root / "usr/lib64/socktune/libsocktune.so").exists()
    quick_start(root)


def test_versions_agree():
    """tools/VERSION, the changelogs and the packages name the same release."""
    package = ROOT / "tools" / "package"
    assert (package / "debian/changelog").read_text(encoding="utf-8").startswith(
        f"socktune ({VERSION}-")
    assert f"\n## {VERSION}\n" in (package / "CHANGES.md").read_text(encoding="utf-8")
    assert f" - {VERSION}-1\n" in (package / "socktune.spec.in").read_text(encoding="utf-8")


def test_what_is_installed_is_packaged(directory):
    """Each file that `make install` installs is in a package."""
    stage = directory / "stage"
    made = directory / "build"
    shutil.copytree(BUILD, made, symlinks=True, ignore=shutil.ignore_patterns(
        "san", "tests", "bench", "fuzz", "deb", "rpm", "dist", "i386"))
    subprocess.run([program("make"), "-C", ROOT, f"B={made}", f"DESTDIR={stage}", "PREFIX=/usr",
                    "UNITDIR=/lib/systemd/system", "install"], check=True, capture_output=True,
                   timeout=300)
    listed = []
    for path in (ROOT / "tools/package/debian").glob("*"):
        if path.suffix in (".install", ".manpages"):
            listed += [line.split()[0].removeprefix("debian/tmp/").replace("${env:UNITDIR}", "lib/systemd/system")
                       for line in path.read_text(encoding="ascii").splitlines()]
    packaged = {found for pattern in listed for one in stage.glob(pattern)
                for found in [one, *(one.rglob("*") if one.is_dir() else [])]}
    installed = {pathlib.Path(folder, name) for folder, _, names in os.walk(stage)
                 for name in names}
    assert installed - packaged == set()
