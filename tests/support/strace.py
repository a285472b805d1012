# SPDX-License-Identifier: MIT
"""strace(1) as the witness of what a program really asks the kernel for."""
import dataclasses
import pathlib
import re

# What a socket library could make more of.
SOCKET_CALLS = ("socket", "bind", "listen", "accept", "accept4", "connect", "setsockopt",
                "getsockopt", "getsockname", "getpeername")


@dataclasses.dataclass(frozen=True)
class Call:
    """One system call as strace writes it, without the process' id."""
    name: str
    text: str

    def __str__(self):
        return self.text


def command(output, environment, calls="all"):
    """The words to put before a command. `environment` is for the program and not for strace,
    which would otherwise be preloaded too."""
    words = ["strace", "-f", "-qq", "-a", "1", "-e", "signal=none", "-e", f"trace={calls}",
             "-o", str(output)]
    for name, value in environment.items():
        words += ["-E", f"{name}={value}"]
    return words


def read(path):
    """The calls in a strace's output; one that was interrupted by another thread's counts once."""
    calls = []
    for line in pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"(?:\d+\s+)?(\w+)\(", line)
        if match:
            calls.append(Call(match.group(1), line[match.start(1):]))
    return calls


def count(calls, names=SOCKET_CALLS):
    """How often each of `names` occurs."""
    return {name: sum(call.name == name for call in calls) for name in names}


def since(calls, name):
    """The calls from the first `name` on."""
    for index, call in enumerate(calls):
        if call.name == name:
            return calls[index:]
    return []
