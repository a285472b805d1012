# SPDX-License-Identifier: MIT
"""A local user without privileges attacks the helper while it monitors another user's program. One
user's actions must affect only that user: the helper answers, others' figures stay right, and
memory, descriptors and log are bounded."""
import contextlib
import os
import pathlib
import stat
import subprocess
import time

import kernel
import pytest
import socktuned
from conftest import needs_root

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
MALLORY = 4242  # no such user exists here, which does not matter
PYTHON = "/usr/bin/python3"


class Watch:
    """What must not change during an attack: the helper, and the figures of a bystander."""

    def __init__(self, helper, bystander, port):
        self.helper, self.bystander, self.port = helper, bystander, port
        self.memory, self.descriptors = self.measure()
        self.slowest = 0.0
        self.figures = self.own_figures()

    def measure(self):
        pid = self.helper.process.pid
        return kernel.memory(pid, "VmRSS"), len(os.listdir(f"/proc/{pid}/fd"))

    def own_figures(self):
        def ports(at):
            return at["local"]["port"], at.get("remote", {}).get("port")
        return sorted((at["role"], *map(str, ports(at)), at["uid"])
                      for at in self.helper.connections() if self.port in ports(at))

    def ask(self):
        begin = time.monotonic()
        assert self.helper.get("/healthz").text == "ok\n"
        self.slowest = max(self.slowest, time.monotonic() - begin)

    def during(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ask()
            time.sleep(0.02)

    def check(self, memory_kib=16384, descriptors=64, lines=150, slowest=5.0):
        now_memory, now_descriptors = self.measure()
        assert now_memory - self.memory < memory_kib
        assert now_descriptors - self.descriptors < descriptors
        assert len(self.helper.log().splitlines()) < lines
        assert self.slowest < slowest
        assert self.own_figures() == self.figures


@pytest.fixture
def helper(free_port):
    needs_root("attacks as another user")
    with socktuned.running(free_port()) as one:
        yield one


@pytest.fixture
def watch(helper, start, rule_file):
    bystander, port = socktuned.talk(start, rule_file(socktuned.RULES), helper, 10)
    helper.until(lambda: len(helper.connections()) == 21, "the bystander is known")
    one = Watch(helper, bystander, port)
    yield one
    bystander.stop()


@contextlib.contextmanager
def mallory(*command, **keywords):
    """Run a program of the attacker."""
    process = subprocess.Popen(["setpriv", "--reuid", str(MALLORY), "--regid", str(MALLORY),
                                "--clear-groups", *map(str, command)], stdout=subprocess.PIPE,
                               text=True, start_new_session=True, **keywords)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def line_of(process):
    line = process.stdout.readline().strip()
    if line.startswith("skip"):
        pytest.skip(line)
    return line


@pytest.fixture
def fuse_device(directory):
    """/dev/fuse, which every user can open on most machines."""
    path = directory / "fuse"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(10, 229))
        os.chmod(path, 0o666)
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    os.chmod(directory, 0o755)
    return path


def registers(helper, start, rule_file):
    """A program that starts now is registered at once."""
    before = helper.get("/v1/status").json["clients"]
    one, _ = socktuned.talk(start, rule_file(socktuned.RULES), helper, 1)
    helper.until(lambda: helper.get("/v1/status").json["clients"] == before + 1, "registers")
    return one


def test_file_that_never_closes(helper, watch, start, rule_file, fuse_device, free_port):
    """close() on such a file never returns, and the process that called it cannot be killed."""
    with mallory(PYTHON, SUPPORT / "fuse_mute.py", helper.directory / "helper.sock",
                 fuse_device, 50) as attacker:
        assert line_of(attacker) == "mounted"
        assert line_of(attacker) == "flush", "the receiver's end asks the server"
        watch.during(2)
        hung = [line for line in iter_lines(attacker) if line == "flush"]
        assert len(hung) < 10, "a user has so many receivers that hang"
        registers(helper, start, rule_file)
        watch.check()
        # The helper ends as usual, and another one can take its place.
        assert helper.stop() == 0
        with socktuned.running(free_port()) as other:
            registers(other, start, rule_file)


def iter_lines(process):
    while True:
        line = process.stdout.readline().strip()
        if line in ("sent", ""):
            return
        yield line


BIG_MEMORY = """
import array, os, socket, sys
def send(data, *fds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:
        to.connect(sys.argv[1])
        to.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
for _ in range(4):
    fd = os.memfd_create("big")
    os.posix_fallocate(fd, 0, 700 << 20)
    send(b"hello", fd)
    os.close(fd)
print("sent", flush=True)
sys.stdin.readline()
"""


def test_large_memory_to_be_freed(helper, watch, start, rule_file):
    """The helper has its last descriptor: freeing the memory takes long."""
    with mallory(PYTHON, "-c", BIG_MEMORY, helper.directory / "helper.sock",
                 stdin=subprocess.PIPE) as attacker:
        while attacker.poll() is None:
            watch.during(0.2)
            if watch.helper.get("/v1/status").json["dropped"]["message"] >= 4:
                break
        assert line_of(attacker) == "sent"
        registers(helper, start, rule_file)
        watch.check(slowest=0.35)


# The beginning of the attacker's code: sys.argv is the helper's socket.
FORGER = f"""
import sys, time
sys.path.insert(0, {str(SUPPORT)!r})
import forger
path = sys.argv[1]
"""

MANY_NAMESPACES = FORGER + """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
diags = []
for _ in range(40):
    if libc.unshare(0x40000000) != 0:
        print("skip: no network namespaces here", flush=True)
        sys.exit(0)
    diags.append(forger.diag_socket())
os.setgroups([])
os.setresgid(4242, 4242, 4242)
os.setresuid(4242, 4242, 4242)
rings = [forger.ForgedRing(path, "many", diag=diag) for diag in diags]
print("registered", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def limited(directory, free_port):
    """A helper with these settings: with limited(text) as helper."""
    def run(settings):
        needs_root("attacks as another user")
        path = directory / "socktuned.conf"
        path.write_text(settings, encoding="utf-8")
        return socktuned.running(free_port(), "-c", path)
    return run


def test_one_users_namespaces_do_not_blind_others(limited, start, rule_file):
    with limited("limits = { namespaces = 21; };\n") as helper:
        with subprocess.Popen([PYTHON, "-c", MANY_NAMESPACES, helper.directory / "helper.sock"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attacker:
            assert line_of(attacker) == "registered"
            helper.until(lambda: helper.status()["dropped"]["registration"] == 30, "30 are refused")
            assert helper.status()["namespaces"] == 11, "half of 20, beside the helper's own"
            namespace = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
            program, _ = socktuned.talk(start, rule_file(socktuned.RULES), helper, 2,
                                        wrapper=namespace)
            helper.until(lambda: len(helper.connections()) == 5, "root's namespace is watched")
            assert helper.status()["namespaces"] == 12
            program.stop()
            attacker.communicate("\n", timeout=20)
        helper.until(lambda: helper.status()["namespaces"] == 1, "all are let go")


MANY_RECORDS = FORGER + """
ring = forger.ForgedRing(path, "many")
print("registered", flush=True)
for cookie in range(1, 20001):
    while ring.head - ring.get(128) > 200:
        time.sleep(0.005)
    ring.tell(forger.record(1000000000 + cookie, local=("127.0.0.1", cookie)))
print("told", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_memory_of_one_user_is_bounded(limited, start, rule_file):
    """20,000 connections would take 13 MB. Only later it becomes known whether such sockets
    exist."""
    with limited("limits = { memory_mib = 4; };\n") as helper:
        bystander, port = socktuned.talk(start, rule_file(socktuned.RULES), helper, 10)
        helper.until(lambda: len(helper.connections()) == 21, "the bystander is known")
        watch = Watch(helper, bystander, port)
        with mallory(PYTHON, "-c", MANY_RECORDS, helper.directory / "helper.sock",
                     stdin=subprocess.PIPE) as attacker:
            assert line_of(attacker) == "registered"
            assert line_of(attacker) == "told"
            memory = helper.status()["memory"]
            assert memory["users"] < memory["limit"] == 4 << 20
            assert helper.status()["dropped"]["memory"] > 5000
            assert "socktune_helper_user_memory_limit_bytes 4194304" in helper.get("/metrics").text
            registers(helper, start, rule_file)
            watch.check()


HOLES = FORGER + """
rings = [forger.ForgedRing(path, f"holes{number}") for number in range(100)]
print("registered", flush=True)
end = time.monotonic() + 4
while time.monotonic() < end:
    for ring in rings:
        if ring.get(128) == ring.head:
            ring.skip(forger.SLOTS)
    time.sleep(0.02)
print("done", flush=True)
sys.stdin.readline()
"""


def test_rings_of_holes(helper, watch):
    """The head advances over empty slots: reading must not allocate their memory."""
    with mallory(PYTHON, "-c", HOLES, helper.directory / "helper.sock",
                 stdin=subprocess.PIPE) as attacker:
        assert line_of(attacker) == "registered"
        watch.during(3)
        assert line_of(attacker) == "done"
        watch.check(descriptors=300, memory_kib=20000)
