# SPDX-License-Identifier: MIT
"""strace(1) shows which system calls a program really makes."""
import dataclasses
import pathlib
import re

# The calls whose number a library might increase.
SOCKET_CALLS = ("socket", "bind", "listen", "accept", "accept4", "connect", "setsockopt",
                "getsockopt", "getsockname", "getpeername")


@dataclasses.dataclass(frozen=True)
class Call:
    """One system call as strace writes it, without the PID."""
    name: str
    text: str

    def __str__(self):
        return self.text


def command(output, environment, calls="all"):
    """The words to put before a command. `environment` is only for the program, because strace
    itself must not be preloaded."""
    words = ["strace", "-f", "-qq", "-a", "1", "-e", "signal=none", "-e", f"trace={calls}",
             "-o", str(output)]
    for name, value in environment.items():
        words += ["-E", f"{name}={value}"]
    return words


def read(path):
    """The calls in strace's output; a call that another thread's line interrupts counts once."""
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
    """The calls from the first call of `name` on."""
    for index, call in enumerate(calls):
        if call.name == name:
            return calls[index:]
    return []
