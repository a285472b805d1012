# SPDX-License-Identifier: MIT
"""A client that registers with forged data, for attacks on the helper. Needs only Python, so that
an attacker without privileges can import it."""
import array
import contextlib
import fcntl
import mmap
import os
import socket
import struct
import time

F_ADD_SEALS, SEALS = 1033, 0x2 | 0x4 | 0x1
SLOTS, FRONT, SLOT, PAGE = 8192, 256, 256, 4096
SIZE = PAGE + (SLOTS + FRONT) * SLOT
HEAD, DROPPED = 64, 72
GENERATION = 1 << 32
RECORD = struct.Struct("<QQ16s16sIIHHHHHHBBBB")
CONNECT, ACCEPT, LISTEN = 1, 2, 3
MASK = (1 << 64) - 1


def mapped(address):
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def record(cookie, kind=CONNECT, local=("127.0.0.1", 40000), remote=("127.0.0.1", 80), applied=0,
           named=0, failed=0, failures=(), options=()):
    """The 232 bytes of a record."""
    data = RECORD.pack(cookie, time.time_ns(), mapped(local[0]), mapped(remote[0]), os.getpid(), 0,
                       local[1], remote[1], socket.AF_INET, socket.IPPROTO_TCP, 0, applied, kind,
                       failed, named, 0)
    data += b"".join(struct.pack("<iii", *one) for one in failures).ljust(96, b"\0")
    return data + b"".join(struct.pack("<HH", *one) for one in options).ljust(64, b"\0")


def checksum(data, ticket):
    total = ticket ^ 0x9e3779b97f4a7c15
    for word in struct.unpack("<29Q", data):
        total = (total ^ word) * 0xff51afd7ed558ccd & MASK
        total ^= total >> 32
    return total


def send(path, data, *descriptors):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:
        to.connect(path)
        to.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


def diag_socket():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)


class ForgedRing:
    """Registers a program under any name; afterwards the test writes anything into its memory."""

    version, size = 2, SIZE

    def __init__(self, path, name="forged", rule="all", diag=None):
        self.fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size)
        fcntl.fcntl(self.fd, F_ADD_SEALS, SEALS)
        self.memory = mmap.mmap(self.fd, self.size)
        self.memory[:32] = struct.pack("<8sIIIIQ", b"STRING01", 3, SLOT, SLOTS, PAGE,
                                       struct.unpack("<Q", os.urandom(8))[0])
        self.head = GENERATION * 7
        self.put(HEAD, self.head)
        self.put(128, self.head)
        self.put(136, time.time_ns())
        body = self.body(name, rule)
        head = struct.pack("<8sIIIIII", b"STREGIST", self.version, 32 + len(body), os.getpid(), SIZE, 1,
                           0)
        with contextlib.closing(diag or diag_socket()) as passed:
            send(path, head + body, self.fd, passed.fileno())

    def body(self, name, rule):
        return f"{name}\0{rule}\0".encode()

    def put(self, offset, value):
        struct.pack_into("<Q", self.memory, offset, value)

    def get(self, offset):
        return struct.unpack_from("<Q", self.memory, offset)[0]

    def skip(self, count):
        """Move the head over `count` empty slots."""
        self.head += count
        self.put(HEAD, self.head)

    def tell(self, data):
        at = PAGE + self.head % FRONT * SLOT
        self.memory[at + 8:at + 16 + len(data)] = struct.pack("<Q", checksum(data, self.head)) + data
        self.put(at, self.head + 1)
        self.skip(1)


PUBLISHED_AT = (SIZE + 65535) // 65536 * 65536
ROOM = 65536
PUBLISHED = struct.Struct("<8sII48xQI52xQQI44x")  # struct published


class LiveProgram(ForgedRing):
    """A program that takes new rules, by preload/wire/published.h: the test controls what it
    does."""
    version, size = 4, PUBLISHED_AT + PUBLISHED.size + ROOM

    def __init__(self, path, rules, checksum=0, name="forged", executable=None, place=None):
        status = os.stat(rules) if place is None else None
        self.place = place or (status.st_dev, status.st_ino)
        self.rules, self.checksum, self.executable = str(rules), checksum, executable or name
        super().__init__(path, name)

    def body(self, name, rule):
        return struct.pack("<QQQII", *self.place, self.checksum, PUBLISHED_AT, ROOM) + \
            f"{name}\0{self.executable}\0{self.rules}\0{rule}\0-\0".encode()

    @property
    def generation(self):
        return PUBLISHED.unpack_from(self.memory, PUBLISHED_AT)[3]

    @property
    def policy(self):
        """The bytes of the policy that was last published."""
        size = PUBLISHED.unpack_from(self.memory, PUBLISHED_AT)[4]
        at = PUBLISHED_AT + PUBLISHED.size
        return bytes(self.memory[at:at + size])

    def answer(self, adopted=0, refused=0, reason=0):
        struct.pack_into("<QQI", self.memory, PUBLISHED_AT + 128, adopted, refused, reason)
