# SPDX-License-Identifier: MIT
"""A root directory with a minimal system: packages of this machine, copied according to dpkg's file
lists.

It has its own dpkg database, so `dpkg --root` installs into it and checks dependencies.
"""
import functools
import os
import pathlib
import re
import shutil
import subprocess

BASE = ("libc6", "dash", "coreutils", "grep", "sed")


def query(*arguments):
    return subprocess.run(["dpkg-query", *arguments], check=True, capture_output=True,
                          text=True).stdout


@functools.cache
def installed():
    """Name of each installed package -> its dependencies, as dpkg writes them."""
    rows = query("-W", "-f", "${Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\n").splitlines()
    return {name: needs for name, status, needs in (row.split("\t") for row in rows) if status == "installed"}


def depends(package):
    """The packages that a package needs; for alternatives, the installed one."""
    for group in installed()[package].split(","):
        names = [re.sub(r"[ (:].*", "", one.strip()) for one in group.split("|")]
        yield from [name for name in names if name in installed()][:1]


def closure(packages):
    found = list(packages)
    for package in found:
        found.extend(name for name in depends(package) if name not in found)
    return found


def copy_package(package, root):
    for line in query("-L", package).splitlines():
        source = pathlib.Path(line)
        target = root / line.lstrip("/")
        if "/share/" in line or not (source.is_symlink() or source.exists()):
            continue
        # /lib and /bin are symbolic links to /usr here: the target's directory decides.
        if source.is_dir() and not source.is_symlink():
            (root / source.resolve().relative_to("/")).mkdir(parents=True, exist_ok=True)
            continue
        target = root / source.parent.resolve().relative_to("/") / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.exists() or target.is_symlink()):
            shutil.copy2(source, target, follow_symlinks=False)


def make_root(root, packages):
    """Fill `root`. `packages` are those that are installed before socktune."""
    for name in ("lib", "lib32", "lib64", "bin", "sbin"):
        if pathlib.Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "proc", "dev", "etc", "var/cache", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n", encoding="ascii")
    names = closure([*BASE, *packages])
    for package in names:
        copy_package(package, root)
    (root / "var/lib/dpkg/status").write_text(query("-s", *names), encoding="utf-8")
    for row in query("-W", "-f", "${Package} ${Architecture}\n", *names).splitlines():
        package, architecture = row.split()
        for list_name in (package, f"{package}:{architecture}"):
            (root / f"var/lib/dpkg/info/{list_name}.list").write_text("/.\n", encoding="ascii")
    subprocess.run(["ldconfig", "-r", root], check=True)
    return root


def run_in(root, *command, env=None):
    """Run a command in the root directory; needs root."""
    def enter():
        os.chroot(root)
        os.chdir("/")
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, preexec_fn=enter,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})})
