# SPDX-License-Identifier: MIT
"""A helper for tests: takes registrations and reads rings, strictly according to
preload/wire/ring.h and preload/wire/registration.h."""
import contextlib
import fcntl
import ipaddress
import mmap
import os
import socket
import struct
import time
import types

HEADER = struct.Struct("=8sIIIIII")       # struct registration
RING = struct.Struct("=8sIIII")           # the head of struct ring_header
HEAD, DROPPED, TAIL, HEARTBEAT = 64, 72, 128, 136
FRONT = 256                               # front slots; the backlog's slots follow
RECORD = struct.Struct("=QQ16s16sIIHHHHHHBBBB")
FAILURE = struct.Struct("=iii")
OPTION = struct.Struct("=HH")
LIVE_HEADER = struct.Struct("=QQQII")     # struct registration_live
WITH_TRIALS, LIVE = 3, 4                  # versions of a registration
PUBLISHED_ROOM = 65536
# Offsets in struct published.
GENERATION, SIZE, ADOPTED, REFUSED_GENERATION, REASON, POLICY = 64, 72, 128, 136, 144, 192
TOO_LARGE, MALFORMED, NO_SLOT, CONFINED = 2, 3, 4, 5  # of reason
BEGUN, REFUSED, UNANSWERED = 2, 4, 8  # of flags
KINDS = {1: "connect", 2: "accept", 3: "listen", 4: "datagram"}
SEALS = 0x2 | 0x4 | 0x1  # F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL


def address(packed):
    found = ipaddress.IPv6Address(packed)
    return str(found.ipv4_mapped or found)


class Ring:
    """One registration and the ring that came with it."""

    def __init__(self, message, descriptors, credentials):
        magic, self.version, size, self.pid, self.ring_size, rules, _ = HEADER.unpack_from(message)
        assert (magic, size) == (b"STREGIST", len(message))
        names = message[HEADER.size:]
        self.published, memory_size = None, self.ring_size
        if self.version == LIVE:
            self.device, self.inode, self.policy, self.published, room = \
                LIVE_HEADER.unpack_from(names)
            names = names[LIVE_HEADER.size:]
            assert room == PUBLISHED_ROOM and self.published % 65536 == 0
            memory_size = self.published + POLICY + room
        names = names.split(b"\0")
        assert names.pop() == b""
        self.program = names.pop(0).decode()
        if self.version == LIVE:
            self.executable, self.path = names.pop(0).decode(), names.pop(0).decode()
        each = 2 if self.version >= WITH_TRIALS else 1  # a rule's name, and its trial
        assert len(names) == each * rules
        self.rules = [name.decode() for name in names[::each]]
        self.peer_pid, self.peer_uid, _ = credentials
        memory, *diag = descriptors
        self.diag = diag[0] if diag else None
        with contextlib.closing(os.fdopen(memory, "r+b", buffering=0)):
            assert os.fstat(memory).st_size == memory_size
            assert fcntl.fcntl(memory, fcntl.F_GET_SEALS) & SEALS == SEALS
            self.memory = mmap.mmap(memory, memory_size)
        magic, _, self.slot_size, self.slots, self.slots_at = RING.unpack_from(self.memory)
        assert magic == b"STRING01"
        self.tail = self.get(TAIL)

    def close(self):
        if self.diag is not None:
            os.close(self.diag)
        self.memory.close()

    def get(self, offset):
        return struct.unpack_from("=Q", self.memory, offset)[0]

    def put(self, offset, value):
        struct.pack_into("=Q", self.memory, offset, value)

    def beat(self, when=None):
        self.put(HEARTBEAT, int((time.time() if when is None else when) * 1e9))

    def shared(self, offset):
        """A number of struct published."""
        return self.get(self.published + offset)

    def publish(self, policy):
        """Publish new rules to the program, like published_put(). Returns their generation."""
        generation = self.shared(GENERATION) | 1
        self.put(self.published + GENERATION, generation)
        self.put(self.published + SIZE, len(policy))
        begin = self.published + POLICY
        self.memory[begin:begin + len(policy)] = policy
        self.put(self.published + GENERATION, generation + 1)
        return generation + 1

    def adopted(self):
        return self.shared(ADOPTED)

    def refusal(self):
        """The generation that was last refused, and why."""
        return self.shared(REFUSED_GENERATION), self.shared(REASON) & 0xffffffff

    def read(self, begun=False):
        """The records since the last call; with `begun`, including those written before
        connect()."""
        records = []
        while self.tail != self.get(HEAD):
            places = self.tail % FRONT, FRONT + self.tail % self.slots
            committed = [at for at in (self.slots_at + place * self.slot_size for place in places)
                         if self.get(at) == self.tail + 1]
            if not committed:
                break
            one = self.record(committed[0] + 16)
            if begun or not one.flags & BEGUN:
                records.append(one)
            self.tail += 1
            self.put(TAIL, self.tail)
        return records

    def record(self, at):
        (cookie, when, local, remote, pid, interface, local_port, remote_port, family, protocol,
         rule, applied, kind, failed, named, flags) = RECORD.unpack_from(self.memory, at)
        failures = [FAILURE.unpack_from(self.memory, at + RECORD.size + i * FAILURE.size)
                    for i in range(min(failed, 8))]
        behind = at + RECORD.size + 8 * FAILURE.size
        options = [OPTION.unpack_from(self.memory, behind + i * OPTION.size) for i in range(named)]
        return types.SimpleNamespace(
            cookie=cookie, time=when / 1e9, pid=pid, interface=interface,
            local=(address(local), local_port), remote=(address(remote), remote_port),
            family=family, protocol=protocol, rule=self.rules[rule] if rule < len(self.rules) else None, applied=applied,
            kind=KINDS[kind], failed=failed, failures=failures,
            options=options, flags=flags)


class RingReceiver:
    """Listens at `path`; registrations wait there until take()."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(128)
        self.rings = []

    def close(self):
        self.listener.close()
        self.path.unlink(missing_ok=True)
        for ring in self.rings:
            ring.close()

    def take(self, timeout=5):
        """The next registration; None if none arrives in time."""
        self.listener.settimeout(timeout)
        try:
            client, _ = self.listener.accept()
        except TimeoutError:
            return None
        with client:
            credentials = struct.unpack("=iII", client.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            message, descriptors, flags, _ = socket.recv_fds(client, 65536, 16)
            assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            assert client.recv(1) == b""  # it closed the connection
        ring = Ring(message, descriptors, credentials)
        ring.beat()
        self.rings.append(ring)
        return ring
