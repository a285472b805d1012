# SPDX-License-Identifier: MIT
"""
For the benchmarks: a running socktuned, programs that report to it, and their network namespaces.
"""
import os
import subprocess
import sys
import tempfile

from measure import Refused

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import kernel  # noqa: E402  pylint: disable=wrong-import-position
import socktuned  # noqa: E402  pylint: disable=wrong-import-position

PATIENCE = 10  # seconds allowed for the start


def until(condition, what):
    """Wait for a condition; returns its value. Raises Refused after a timeout."""
    try:
        return kernel.until(condition, what, PATIENCE, 0.02)
    except AssertionError as error:
        raise Refused(str(error)) from None


class Daemon(socktuned.Helper):
    """A socktuned with its own directory; `prefix` are words before its command."""

    def __init__(self, build, directory, *options, prefix=()):
        super().__init__(tempfile.mkdtemp(prefix="helper-", dir=directory), *options,
                         interval=None, wrapper=prefix, build=build)
        self.path = str(self.directory / "helper.sock")

    def cpu(self):
        """Its processor time in seconds, to the nanosecond; it has one thread."""
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def memory(self, field="VmRSS"):
        """Bytes."""
        return super().memory(field) * 1024

    def forget_peak(self):
        """Reset VmHWM to VmRSS (proc(5), clear_refs)."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Rules:
    """A compiled policy, and the environment that applies it to a program."""

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
    """A program that answers each line of input with a line."""

    def __init__(self, command, environment, prefix=()):
        # env(1), so that the rules do not apply to the prefix too.
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
