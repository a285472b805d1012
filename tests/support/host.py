# SPDX-License-Identifier: MIT
"""A process that makes exactly the socket calls that a test requests; drives
tests/hosts/calls.c."""
import dataclasses
import os
import socket
import struct
import subprocess

import kernel

ADDRESS_ROOM = 128  # sizeof(struct sockaddr_storage)


@dataclasses.dataclass(frozen=True)
class Answer:
    """The result of a call. `error` is errno after the call, 0 if the call did not change it."""
    result: int
    error: int
    data: bytes

    def __str__(self):
        return f"{self.result} errno {self.error} {self.data.hex()}"


def pack_address(family, address, port=0):
    """A struct sockaddr as bytes. For AF_UNIX the address is a path, or a NUL and an abstract
    name."""
    if family == socket.AF_UNIX:
        return struct.pack("=H", family) + address.encode() + b"\0"
    packed = socket.inet_pton(family, address)
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H", port) + packed + bytes(8)
    return struct.pack("=H", family) + struct.pack("!HI", port, 0) + packed + bytes(4)


def unpack_address(data):
    """(address, port) of a struct sockaddr."""
    family, = struct.unpack_from("=H", data)
    port, = struct.unpack_from("!H", data, 2)
    where = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
    return socket.inet_ntop(family, data[where]), port


class Host:
    """Calls are methods: host.call("listen", fd, 5) returns an Answer, host.listen(fd, 5) must
    succeed."""

    def __init__(self, program, environment, wrapper=(), **keywords):
        self.wrapped = bool(wrapper)
        self.process = subprocess.Popen(
            [*map(str, wrapper), str(program)], env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, **keywords)

    @property
    def pid(self):
        """The process that makes the calls, even if it runs under a wrapper such as strace."""
        return kernel.tree(self.process.pid)[-1] if self.wrapped else self.process.pid

    def request(self, name, *arguments):
        """Begin a call that may block; answer() returns its result."""
        words = [name]
        for argument in arguments:
            if argument is None:
                words.append("-")
            elif isinstance(argument, (bytes, bytearray)):
                words.append("x" + argument.hex())
            else:
                words.append(str(int(argument)))
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the host ended: {self.process.wait(10)}")
        words = line.split()
        data = bytes.fromhex(words[2][1:]) if len(words) > 2 else b""
        return Answer(int(words[0]), int(words[1]), data)

    def call(self, name, *arguments):
        self.request(name, *arguments)
        return self.answer()

    def _must(self, name, *arguments):
        answer = self.call(name, *arguments)
        if answer.result < 0:
            raise OSError(answer.error, f"{name}{arguments}: {os.strerror(answer.error)}")
        return answer

    def socket(self, family, kind=socket.SOCK_STREAM, protocol=0):
        return self._must("socket", family, kind, protocol).result

    def bind(self, fd, family, address, port=0):
        self._must("bind", fd, pack_address(family, address, port))

    def listen(self, fd, backlog=16):
        self._must("listen", fd, backlog)

    def connect(self, fd, family, address, port):
        self._must("connect", fd, pack_address(family, address, port))

    def accept(self, fd):
        return self._must("accept", fd, ADDRESS_ROOM).result

    def accept4(self, fd, flags):
        return self._must("accept4", fd, None, flags).result

    def setsockopt(self, fd, level, optname, value):
        value = value if isinstance(value, bytes) else struct.pack("i", value)
        self._must("setsockopt", fd, level, optname, value)

    def name(self, fd):
        """(address, port) that the socket is bound to."""
        return unpack_address(self._must("getsockname", fd, ADDRESS_ROOM).data)

    def close(self, fd):
        self._must("close", fd)

    def listener(self, family, address, port=0):
        """Create a listening socket; returns (descriptor, port)."""
        fd = self.socket(family)
        self.bind(fd, family, address, port)
        self.listen(fd)
        return fd, self.name(fd)[1]

    def look(self, fd):
        """The socket at `fd`, as the kernel reports it."""
        return kernel.describe(self.pid, fd)

    def end(self, timeout=20):
        """Close its input, so that it exits; returns the exit status."""
        self.process.stdin.close()
        status = self.process.wait(timeout)
        self.process.stdout.close()
        return status
