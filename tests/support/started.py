# SPDX-License-Identifier: MIT
"""Programs that a test or a measurement starts: the build directory, tuned or not, ports, their
output, and their end.

Environment: SOCKTUNE_BUILD, the build directory (default: build/ of this source tree).
"""
import contextlib
import ctypes
import os
import pathlib
import random
import socket
import subprocess

import kernel

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SOCKTUNE_BUILD", ROOT / "build")).resolve()
CLONE_NEWNET = 0x40000000
LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}


def enter_network_namespace():
    """Enter a new network namespace with its loopback up (use as preexec_fn for a child)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pick_port(reserved):
    """A TCP port that no process uses.

    It is below the kernel's range of ephemeral ports and was free for both families. It is reserved
    against other callers of this function by an abstract Unix socket, until `reserved`, an
    ExitStack, ends."""
    for _ in range(1000):
        port = random.randint(20000, 32000)
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0socktune-test-port-{port}")
            for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind((any_address, port))
        except OSError:
            holder.close()
            continue
        reserved.enter_context(holder)
        return port
    raise AssertionError("no free port found")


class Program:
    """A program that the test started, and its output."""

    def __init__(self, command, environment, output, **keywords):
        self.command = [str(word) for word in command]
        self.output_path = output
        with open(output, "wb") as sink:
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=keywords.pop("stdout", sink),
                stderr=keywords.pop("stderr", subprocess.STDOUT),
                stdin=keywords.pop("stdin", subprocess.DEVNULL), start_new_session=True,
                **keywords)
        self.pid = self.process.pid

    @property
    def output(self):
        return self.output_path.read_text(encoding="utf-8", errors="replace")

    def _story(self, what):
        def tell():
            held = "\n".join(f"  {one}" for one in self.tcp())
            return (f"{what}\n$ {' '.join(self.command)}\nexit status: {self.process.poll()}\n"
                    f"its TCP sockets:\n{held}\nits output:\n{self.output[-4000:]}")
        return tell

    def until(self, condition, what, timeout=20.0):
        """Wait for `condition`; a failure shows the program's output and sockets."""
        return kernel.until(condition, self._story(what), timeout)

    def tcp(self):
        """Every TCP socket of the program and its children, from the kernel."""
        return kernel.tcp_sockets(self.pid)

    def until_listening(self, port=None):
        """Wait until the program listens (on `port`, if given); returns the port."""
        def listening():
            if self.process.poll() is not None and not kernel.tree(self.pid)[1:]:
                raise AssertionError(self._story("it ended before it listened")())
            return [one for one in self.tcp() if one.listens and port in (None, one.local[1])]
        return self.until(listening, f"listening on port {port or 'any'}")[0].local[1]

    def wait(self, timeout=20.0):
        """Wait for its end; returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._story("it did not end")()) from None

    def stop(self):
        pids = [pid for pid in kernel.tree(self.pid) if kernel.alive(pid)]
        kernel.kill_all(pids)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait(10)


def preloaded(build, rules, **extra):
    """An environment in which `rules` tune a program; with None no library is preloaded."""
    environment = {key: value for key, value in os.environ.items()
                   if key != "LD_PRELOAD" and not key.startswith("SOCKTUNE_")}
    if rules is not None:
        environment["LD_PRELOAD"] = str(build.library)
        environment["SOCKTUNE_RULES"] = str(rules)
    environment.update({key: str(value) for key, value in extra.items()})
    return environment
