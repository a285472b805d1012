# SPDX-License-Identifier: MIT
"""systemd as process 1 of private namespaces, in a root directory made of packages: Booted(directory)."""
import pathlib
import shutil
import subprocess

from attached import Cgroup
from clean_root import make_root
from kernel import until
from started import BUILD

PACKAGES = ("systemd", "util-linux", "mount", "libconfig9", "libjansson4", "libelf1", "libseccomp2", "libmnl0",
            "libncursesw6", "libcurl4", "libbpf1")
# What a container manager does before it starts process 1.
BOOT = r"""
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=null \
    --show-status=0 </dev/null
"""


def remove(directory):
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


class Booted:
    """with Booted(directory) as machine: machine.run(...), machine.root. Needs root and cgroup version 2."""

    def __init__(self, directory):
        self.root = make_root(pathlib.Path(directory), PACKAGES)
        for name in ("run", "sys", "dev", "var/tmp", "var/lib", "var/log", "root", "etc/systemd/system"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)
        (self.root / "tmp").chmod(0o1777)
        (self.root / "var/tmp").chmod(0o1777)
        (self.root / "etc/machine-id").write_text("", encoding="ascii")
        (self.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\n"
                                              "nobody:x:65534:65534::/:/bin/sh\n", encoding="ascii")
        (self.root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n", encoding="ascii")
        (self.root / "usr/lib/socktune").mkdir()
        for name in ("socktune", "socktune-compile", "libsocktune.so"):
            shutil.copy(BUILD / name, self.root / "usr/lib/socktune")
        (self.root / "usr/bin/socktune").symlink_to("../lib/socktune/socktune")
        self.cgroup = Cgroup()
        self.unshare = subprocess.Popen(
            self.cgroup.entering("unshare", "-C", "-p", "-f", "-m", "-i", "-u", "-n", "sh", "-c", BOOT, "sh", self.root),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        until(lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
              "systemd to have started", 60)
        return self

    def __exit__(self, *_):
        (self.cgroup.directory / "cgroup.kill").write_text("1", encoding="ascii")
        self.unshare.communicate()
        for below in sorted((path for path in self.cgroup.directory.rglob("*") if path.is_dir()), reverse=True):
            until(lambda below=below: remove(below), "systemd's cgroups to be empty")
        self.cgroup.__exit__()

    def first_process(self):
        children = pathlib.Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        return children.read_text(encoding="ascii").split()[0]

    def run(self, *command):
        """Run a command inside, as root."""
        try:
            enter = ["nsenter", "-t", self.first_process(), "-a", "--root", "--wd"]
        except (OSError, IndexError):
            return subprocess.CompletedProcess(command, 1, "", "not started")
        return subprocess.run([*enter, *map(str, command)], check=False, capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})

    def units(self, texts):
        """Write unit files, by their names, and make them known."""
        for name, text in texts.items():
            (self.root / "etc/systemd/system" / name).write_text(text, encoding="ascii")
        assert self.run("systemctl", "daemon-reload").returncode == 0
