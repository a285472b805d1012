# SPDX-License-Identifier: MIT
"""
For the benchmarks: a running socktuned, programs that report to it, and network namespaces in which
they live.
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

from measure import Refused

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from socktuned import UnixConnection  # noqa: E402  pylint: disable=wrong-import-position

PATIENCE = 10  # seconds that starting may take


def until(condition, what):
    """Wait for a condition; its value. Raises Refused if it does not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise Refused(f"still not after {PATIENCE} s: {what}")


class Daemon:
    """A socktuned with a directory of its own; `prefix` are words before its command."""

    def __init__(self, build, directory, *options, prefix=()):
        self.directory = tempfile.mkdtemp(prefix="helper-", dir=directory)
        self.path = os.path.join(self.directory, "helper.sock")
        self.query = os.path.join(self.directory, "query.sock")
        self.process = subprocess.Popen(
            [*prefix, os.path.join(build, "socktuned"), "--foreground", "--directory",
             self.directory, *options], stderr=subprocess.DEVNULL)
        until(self.answers, "socktuned answers")

    def get(self, path):
        with contextlib.closing(UnixConnection(self.query)) as connection:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def answers(self):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return self.status()
        return None

    def status(self):
        return self.get("/v1/status")

    def cpu(self):
        """Seconds of a processor that it has had, to the nanosecond; it has one thread."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def memory(self, field="VmRSS"):
        """Bytes of /proc/PID/status."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))

    def forget_peak(self):
        """Let VmHWM begin anew, at VmRSS (proc(5), clear_refs)."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Rules:
    """A compiled policy, and the environment that brings a program under it."""

    def __init__(self, build, directory, name, text):
        source, self.policy = (os.path.join(directory, f"{name}.{end}") for end in ("conf", "policy"))
        self.library = os.path.join(build, "libsocktune.so")
        with open(source, "w", encoding="ascii") as file:
            file.write(f"rules = ( {text} );\n")
        subprocess.run([os.path.join(build, "socktune"), "compile", source, "-o", self.policy],
                       check=True, stdout=subprocess.DEVNULL)

    def environment(self, helper):
        return {"PATH": "/usr/bin:/bin", "LD_PRELOAD": self.library, "SOCKTUNE_RULES": self.policy,
                "SOCKTUNE_HELPER": helper}


class Program:
    """A program that takes orders line by line and answers each with a line."""

    def __init__(self, command, environment, prefix=()):
        # env(1), so that the prefix is not under the rules as well.
        words = [f"{name}={value}" for name, value in environment.items()]
        self.process = subprocess.Popen([*prefix, "env", "-i", *words, *command],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"{self.process.args[-2:]}: ended without an answer")
        return line.split()

    def ask(self, line):
        self.order(line)
        return self.answer()

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


class Namespace:
    """A network namespace with its loopback up; `prefix` starts a command in it. Needs root."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep inf"],
            stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "up\n":
            raise Refused("a network namespace cannot be had")
        self.prefix = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]

    def stop(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()
