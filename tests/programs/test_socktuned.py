# SPDX-License-Identifier: MIT
"""socktuned: registration, rings, limits, signals, and hostile clients.

The hostile clients write registrations and rings byte by byte, with the layout of
preload/wire/registration.h and preload/wire/ring.h."""
import array
import contextlib
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import time

import http_client
import kernel
import pytest
from conftest import BUILD, enter_network_namespace, needs_root
from ring import FRONT, HEAD, HEARTBEAT, TAIL
from socktuned import Helper

SEALS = 0x0001 | 0x0002 | 0x0004  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW
HEADER = 4096
SLOTS = 64
RING_SIZE = HEADER + (FRONT + SLOTS) * 256
ID, HANDED, WITHHELD, TAKEN = 24, 80, 88, 144
SO_COOKIE = 57
CONNECT, ACCEPT, LISTEN = 1, 2, 3
MASK = (1 << 64) - 1


@pytest.fixture
def helper(directory):
    started = []

    def start(*options, **keywords):
        started.append(Helper(directory, *options, interval=None, **keywords))
        return started[-1]
    start.directory = directory
    yield start
    for one in started:
        if one.process.poll() is None:
            assert one.stop() == 0, one.log()  # a sanitizer would exit with another status


# Messages of clients.

def checksum(record, ticket):
    total = ticket ^ 0x9e3779b97f4a7c15
    for (word,) in struct.iter_unpack("<Q", record):
        total = ((total ^ word) * 0xff51afd7ed558ccd) & MASK
        total ^= total >> 32
    return total


def make_record(*, cookie, kind=CONNECT, local=("127.0.0.1", 1), remote=("127.0.0.1", 2),
                time_ns=None, rule=0, protocol=6):
    def mapped(address):
        return b"\0" * 10 + b"\xff\xff" + socket.inet_aton(address)
    record = struct.pack("<QQ16s16sIIHHHHHHBB2x160x", cookie, time_ns or time.time_ns(),
                         mapped(local[0]), mapped(remote[0]), os.getpid(), 0, local[1],
                         remote[1], socket.AF_INET, protocol, rule, 0, kind, 0)
    assert len(record) == 232
    return record


class Ring:
    def __init__(self, size=RING_SIZE, seals=SEALS):
        self.fd = os.memfd_create("ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size)
        self.memory[:24] = struct.pack("<8sIIII", b"STRING01", 3, 256, SLOTS, HEADER)
        self.id = int.from_bytes(os.urandom(8), "little")
        self.set(ID, self.id)
        if seals:
            fcntl.fcntl(self.fd, 1033, seals)
        self.head = 0

    def put(self, *, sum_up=checksum, **members):
        record = make_record(**members)
        at = HEADER + self.head % FRONT * 256
        self.memory[at:at + 248] = struct.pack("<QQ", self.head + 1,
                                               sum_up(record, self.head)) + record
        self.head += 1
        self.memory[HEAD:HEAD + 8] = struct.pack("<Q", self.head)

    def set(self, at, value):
        self.memory[at:at + 8] = struct.pack("<Q", value)

    def get(self, at):
        return struct.unpack("<Q", self.memory[at:at + 8])[0]

    def close(self):
        self.memory.close()
        os.close(self.fd)


def diag_socket():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 4)


def message(program=b"victim", rules=(b"all",), ring_size=RING_SIZE, magic=b"STREGIST", version=1,
            size=None, count=None, tail=b""):
    names = b"".join(name + b"\0" for name in (program, *rules)) + tail
    return struct.pack("<8sIIIIII", magic, version, size if size is not None else 32 + len(names),
                       os.getpid(), ring_size, len(rules) if count is None else count, 0) + names


def send(helper, data, descriptors):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.closing(client):
        client.connect(str(helper.directory / "helper.sock"))  # blocks while the queue is full
        client.settimeout(5)
        rights = array.array("i", descriptors)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                           if descriptors else [])


def register(helper, ring, **keywords):
    with contextlib.closing(diag_socket()) as diag:
        send(helper, message(**keywords), [ring.fd, diag.fileno()])


@contextlib.contextmanager
def pair():
    """Both ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        yield client, server


def cookie_of(end):
    return struct.unpack("<Q", end.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def ends_of(end, kind=CONNECT):
    return {"cookie": cookie_of(end), "kind": kind, "local": end.getsockname(),
            "remote": end.getpeername()}


def put_end(ring, end, kind=CONNECT):
    ring.put(**ends_of(end, kind))


def handoff(ring, record, magic=b"STHANDOF", version=1, size=256):
    return struct.pack("<8sIIQ", magic, version, size, ring) + record


def hand_over(helper, ring, end, **members):
    """Hand over like a program; `members` replace correct ones."""
    send(helper, handoff(ring.id, make_record(**{**ends_of(end), **members})), [end.fileno()])


def refused_handoffs(helper):
    return helper.status()["dropped"]["handoff"]


def refused(helper):
    dropped = helper.status()["dropped"]
    return dropped["registration"] + dropped["message"] + dropped["unfinished"]


def test_programs_killed_while_they_register_are_not_refused(helper):
    """They are counted separately, and not logged one by one."""
    daemon = helper()
    before = daemon.log()
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.connect(str(daemon.directory / "helper.sock"))
    daemon.until(lambda: daemon.status()["dropped"]["unfinished"] == 20, "all are counted")
    assert refused(daemon) == 20 and daemon.log() == before


# Valid clients.

def test_connection_from_record_to_final(helper):
    """A record becomes a connection with figures, and its end has the kernel's last figures."""
    daemon = helper("--interval", "1")
    ring = Ring()
    register(daemon, ring)
    with pair() as (client, server):
        put_end(ring, client)
        client.sendall(b"x" * 5000)
        server.recv(5000, socket.MSG_WAITALL)
        (seen,) = kernel.until(lambda: [one for one in daemon.connections()
                                    if one.get("tcp_info", {}).get("bytes_sent") == 5000])
        assert seen["data"] == "sample" and seen["state"] == "established"
        assert seen["program"] == "victim" and seen["rule"] == "all" and seen["uid"] == os.geteuid()
        assert seen["remote"]["port"] == client.getpeername()[1]
        client.sendall(b"y" * 7)
        server.recv(7, socket.MSG_WAITALL)
    (closed,) = kernel.until(lambda: daemon.connections("closed=1"))
    assert closed["data"] == "final" and closed["tcp_info"]["bytes_sent"] == 5007
    assert daemon.connections() == []


def test_end_before_the_record_is_read(helper):
    """A connection that ended before its record was written is complete too."""
    daemon = helper()
    ring = Ring()
    register(daemon, ring)
    with pair() as (client, server):
        known = cookie_of(client), client.getsockname(), client.getpeername()
        client.sendall(b"x" * 321)
        server.recv(321, socket.MSG_WAITALL)
    time.sleep(0.2)
    ring.put(cookie=known[0], local=known[1], remote=known[2])
    (closed,) = kernel.until(lambda: daemon.connections("closed=1"))
    assert closed["data"] == "final" and closed["tcp_info"]["bytes_sent"] == 321


def test_many_short_connections(helper):
    """Each of 1,000 short connections is reported with its bytes."""
    daemon = helper("--history", "2000")
    ring = Ring()
    register(daemon, ring)
    sent = {}
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        for i in range(1000):
            kernel.until(lambda: ring.head - ring.get(TAIL) < SLOTS)
            with socket.create_connection(listener.getsockname()) as client:
                server, _ = listener.accept()
                with server:
                    put_end(ring, client)
                    client.sendall(b"z" * (i + 1))
                    server.recv(i + 1, socket.MSG_WAITALL)
                    sent[client.getsockname()[1], cookie_of(client)] = i + 1
    kernel.until(lambda: len(daemon.connections("closed=1&limit=5000")) == 1000)
    for one in daemon.connections("closed=1&limit=5000"):
        key = one["local"]["port"], int(one["id"].split("-")[1])
        assert one["data"] == "final" and one["tcp_info"]["bytes_sent"] == sent.pop(key)
    assert not sent
    assert not any(daemon.status()["dropped"].values())


def test_listener_and_its_queue(helper):
    daemon = helper("--interval", "1")
    ring = Ring()
    register(daemon, ring)
    with socket.create_server(("127.0.0.1", 0), backlog=9) as listener:
        ring.put(cookie=cookie_of(listener), kind=LISTEN, local=listener.getsockname(),
                 remote=("0.0.0.0", 0))
        with socket.create_connection(listener.getsockname()):
            (seen,) = kernel.until(lambda: [one for one in daemon.connections("role=listen")
                                        if one.get("accept_queue", {}).get("length") == 1])
            assert seen["state"] == "listen" and seen["accept_queue"]["limit"] == 9
    kernel.until(lambda: daemon.connections("role=listen") == [])


def test_bound_to_an_interface(helper):
    """A lookup finds a socket bound to an interface only if it names the interface, which the
    record does not: a dump is made, which returns the interface; from then on lookups name it."""
    needs_root("binds a connection to an interface")
    daemon = helper("--interval", "1")
    ring = Ring()
    register(daemon, ring)
    with pair() as (client, server):
        client.setsockopt(socket.SOL_SOCKET, 62, 1)  # SO_BINDTOIFINDEX, lo
        put_end(ring, client)
        put_end(ring, server, ACCEPT)

        def sampled(role):
            return [one for one in daemon.connections("role=" + role) if one["data"] == "sample"]
        (bound,) = kernel.until(lambda: sampled("connect"))
        (free,) = kernel.until(lambda: sampled("accept"))
        assert bound["ifindex"] == 1 and "ifindex" not in free
        kernel.until(lambda: sampled("connect")[0]["sampled"] > bound["sampled"] + 2)
        # The interface of a connection may change.
        client.setsockopt(socket.SOL_SOCKET, 62, 0)
        kernel.until(lambda: "ifindex" not in sampled("connect")[0])
        before = sampled("connect")[0]["sampled"]
        client.setsockopt(socket.SOL_SOCKET, 62, 1)
        kernel.until(lambda: "ifindex" in sampled("connect")[0])
        assert sampled("connect")[0]["sampled"] > before


def test_sampling_goes_on_where_nothing_happens(helper):
    """In a namespace where no socket is created or closed, each interval brings a sample: the end
    of a dump of the listeners, received among lookups, is not waited for."""
    needs_root("makes a network namespace")
    daemon = helper("--interval", "1")
    ring = Ring()
    until, done = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done)
        enter_network_namespace()
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                socket.create_connection(listener.getsockname()) as client:
            ring.put(cookie=cookie_of(listener), kind=LISTEN, local=listener.getsockname(),
                     remote=("0.0.0.0", 0))
            put_end(ring, client)
            register(daemon, ring)
            os.read(until, 1)
        os._exit(0)
    os.close(until)
    (first,) = kernel.until(lambda: [one for one in daemon.connections("role=connect")
                                 if one["data"] == "sample"])
    kernel.until(lambda: daemon.connections("role=connect")[0]["sampled"] > first["sampled"] + 2)
    os.close(done)
    assert os.waitpid(child, 0)[1] == 0


def test_namespace_and_ring_are_let_go(helper):
    """After a program has ended and all its connections are closed, nothing of it remains; its ring
    is marked."""
    daemon = helper()
    before = daemon.descriptors()
    ring = Ring()
    child = os.fork()
    if child == 0:
        register(daemon, ring)
        os._exit(0)
    os.waitpid(child, 0)
    kernel.until(lambda: ring.get(HEARTBEAT) != 0)
    kernel.until(lambda: ring.get(HEARTBEAT) == 0)
    kernel.until(lambda: daemon.status()["namespaces"] == 1 and daemon.status()["clients"] == 0)
    kernel.until(lambda: daemon.descriptors() == before)


def test_ring_of_a_program_that_ended_is_read_on(helper):
    """Children share the ring: it is read as long as a holder exists."""
    daemon = helper()
    ring = Ring()
    with pair() as (client, server):
        child = os.fork()
        if child == 0:
            put_end(ring, client)
            register(daemon, ring)
            os._exit(0)
        os.waitpid(child, 0)
        ring.head = 1
        time.sleep(4)
        assert ring.get(HEARTBEAT) != 0
        put_end(ring, server, ACCEPT)
        kernel.until(lambda: len(daemon.connections()) == 2)


def test_dead_holder_is_lost_not_final(helper):
    """A record whose socket does not exist only ever becomes "lost", and is removed."""
    daemon = helper()
    ring = Ring()
    register(daemon, ring)
    ring.put(cookie=0x7fffffff12345)
    kernel.until(lambda: daemon.status()["records"] == 1)
    assert all("tcp_info" not in one for one in daemon.connections())


# Hostile clients.

@pytest.mark.parametrize("data", [
    b"x", b"\0" * 32, b"\xa5\0\xff\n" * 1000, message(magic=b"STREGISX"), message(version=9),
    message(size=31), message(size=4096), message(count=200), message(count=0xffffffff),
    message(program=b""), message(tail=b"more"), message()[:-1], message()[:20],
    message(ring_size=0), message(ring_size=RING_SIZE + 4096), message(ring_size=0xfffff000),
], ids=lambda data: f"{len(data)}-{data[:12]!r}")
def test_malformed_messages(helper, data):
    daemon = helper()
    before = daemon.descriptors()
    ring = Ring()
    with contextlib.closing(diag_socket()) as diag:
        send(daemon, data, [ring.fd, diag.fileno()])
    kernel.until(lambda: refused(daemon) == 1)
    assert daemon.log().count("is refused") == 1
    assert daemon.status()["clients"] == 0
    kernel.until(lambda: daemon.descriptors() == before)


def test_wrong_descriptors(helper):
    """None, one, three, two hundred, in the wrong order, of the wrong kind: none stays open."""
    daemon = helper()
    before = daemon.descriptors()
    ring, ends = Ring(), socket.socketpair()
    inet = socket.socket()
    other = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
    with contextlib.closing(diag_socket()) as diag, open("/dev/zero", "rb") as zero:
        fd = diag.fileno()
        wrong = [[], [ring.fd], [fd], [ring.fd, fd, fd], [ring.fd] * 200, [fd, ring.fd],
                 [zero.fileno(), fd], [ring.fd, zero.fileno()], [ring.fd, inet.fileno()],
                 [ring.fd, ends[0].fileno()], [ring.fd, other.fileno()]]
        for number, descriptors in enumerate(wrong, 1):
            send(daemon, message(), descriptors)
            kernel.until(lambda: refused(daemon) == number)
    assert daemon.status()["clients"] == 0
    kernel.until(lambda: daemon.descriptors() == before)
    register(daemon, ring)
    kernel.until(lambda: daemon.status()["clients"] == 1)


@pytest.mark.parametrize("seals", [0, 0x2, 0x4, 0x2 | 0x4], ids=hex)
def test_unsealed_ring_is_refused(helper, seals):
    """A ring that can shrink would kill the helper with SIGBUS."""
    daemon = helper()
    ring = Ring(seals=seals)
    register(daemon, ring)
    if seals & 0x2 and seals & 0x4:  # its size cannot change, which is what matters
        kernel.until(lambda: refused(daemon) + daemon.status()["clients"] == 1)
    else:
        kernel.until(lambda: refused(daemon) == 1)
    with contextlib.suppress(OSError):
        os.ftruncate(ring.fd, 0)
    time.sleep(0.3)
    daemon.status()


def test_lying_ring(helper):
    """If the head jumps ahead or back, the client loses its ring; the helper and others
    continue."""
    daemon = helper()
    good = Ring()
    register(daemon, good)
    for head in (SLOTS + 1, 1 << 63, MASK):
        ring = Ring()
        register(daemon, ring)
        kernel.until(lambda: ring.get(HEARTBEAT) != 0)
        ring.set(HEAD, head)
        kernel.until(lambda: ring.get(HEARTBEAT) == 0)
    assert daemon.log().count("its ring lies") == 3
    with pair() as (client, _server):
        put_end(good, client)
        kernel.until(lambda: len(daemon.connections()) == 1)


def test_rubbish_in_the_ring(helper):
    """Records with a wrong checksum, and slots never filled, are counted and skipped."""
    daemon = helper()
    ring = Ring()
    register(daemon, ring)
    for _ in range(20):
        ring.put(cookie=99, sum_up=lambda record, ticket: 1)
    ring.put(cookie=99, kind=77)
    ring.put(cookie=99, protocol=17)
    ring.head += 3
    ring.set(HEAD, ring.head)
    with pair() as (client, _server):
        put_end(ring, client)
        kernel.until(lambda: len(daemon.connections()) == 1)
        kernel.until(lambda: daemon.status()["dropped"]["abandoned"] == 3)
        assert daemon.status()["dropped"]["malformed"] == 22


def test_forged_cookie(helper):
    """A record with a right cookie and wrong addresses gets no figures of that socket."""
    daemon = helper("--interval", "1")
    ring = Ring()
    register(daemon, ring)
    with pair() as (client, server):
        ring.put(cookie=cookie_of(client), local=("127.0.0.1", 9), remote=("127.0.0.1", 9))
        client.sendall(b"secret")
        kernel.until(lambda: daemon.status()["records"] == 1)
        time.sleep(1.5)
        assert all("tcp_info" not in one for one in daemon.connections())
        server.recv(6)
    kernel.until(lambda: daemon.status()["dropped"]["foreign"] == 1)
    assert daemon.connections("closed=1") == []


# Handed-over connections.

@pytest.fixture
def registered(helper):
    """A helper, and a ring that it reads."""
    daemon = helper()
    ring = Ring()
    register(daemon, ring, version=2)
    kernel.until(lambda: daemon.status()["clients"] == 1)
    return daemon, ring


def test_handed_over(registered):
    """With the record in the ring and, if the ring was full, with only the record of the
    message."""
    daemon, ring = registered
    before = daemon.descriptors()
    ring.set(HANDED, 2)
    with pair() as (client, server):
        put_end(ring, client)
        hand_over(daemon, ring, client)
        hand_over(daemon, ring, server, kind=ACCEPT)
        kernel.until(lambda: ring.get(TAKEN) == 2)
        kernel.until(lambda: daemon.descriptors() <= before)
        found = daemon.connections()
        assert [one["role"] for one in found] == ["connect", "accept"]
        assert all(one["data"] == "sample" and one["options"]["values"]["SO_KEEPALIVE"] == 0
                   for one in found)
        client.close()
        assert server.recv(1) == b""
    assert daemon.status()["handoffs"] == {"taken": 2, "withheld": 0}


def test_one_that_was_killed_on_the_way(registered):
    """A writer that was counted but never sent does not block others for ever."""
    _, ring = registered
    ring.set(HANDED, 8)
    kernel.until(lambda: ring.get(TAKEN) == 8)


def test_registration_without_sock_diag(helper):
    """The helper's own sock_diag is used; version 1 required one from the program."""
    daemon = helper()
    ring = Ring()
    send(daemon, message(version=1), [ring.fd])
    kernel.until(lambda: refused(daemon) == 1)
    send(daemon, message(version=2), [ring.fd])
    kernel.until(lambda: daemon.status()["clients"] == 1)
    with pair() as (client, _server):
        put_end(ring, client)
        kernel.until(lambda: [one["data"] for one in daemon.connections()] == ["sample"])
    kernel.until(lambda: [one["data"] for one in daemon.connections("closed=1")] == ["final"])


def test_what_is_no_connection(registered):
    """A listener, UDP, a pipe, a Unix socket, another socket than the record describes, another
    ring."""
    daemon, ring = registered
    before = daemon.descriptors()
    reading, writing = os.pipe()
    udp, unix = socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
    listener = socket.create_server(("127.0.0.1", 0))
    with pair() as (client, server), udp, unix, listener:
        right = make_record(**ends_of(client))
        wrong = [
            (handoff(ring.id, make_record(cookie=cookie_of(listener))), [listener.fileno()]),
            (handoff(ring.id, make_record(cookie=cookie_of(udp))), [udp.fileno()]),
            (handoff(ring.id, make_record(cookie=cookie_of(udp), protocol=17)), [udp.fileno()]),
            (handoff(ring.id, right), [unix.fileno()]), (handoff(ring.id, right), [reading]),
            (handoff(ring.id, right), [server.fileno()]), (handoff(ring.id, right), []),
            (handoff(ring.id, right), [client.fileno()] * 2),
            (handoff(ring.id, right), [client.fileno()] * 9),
            (handoff(ring.id, make_record(**ends_of(client, LISTEN))), [client.fileno()]),
            (handoff(ring.id ^ 1, right), [client.fileno()]),
            (handoff(ring.id, right, version=9), [client.fileno()]),
            (handoff(ring.id, right, size=255), [client.fileno()]),
            (handoff(ring.id, right)[:-1], [client.fileno()]),
            (handoff(ring.id, right) + b"x", [client.fileno()]), (b"STHANDOF", [client.fileno()]),
            (handoff(ring.id, b"\xff" * 232), [client.fileno()])]
        for number, (data, descriptors) in enumerate(wrong, 1):
            send(daemon, data, descriptors)
            kernel.until(lambda: refused_handoffs(daemon) == number)
        assert daemon.connections() == [] and refused(daemon) == 0
        assert daemon.log().count("handoff of process") == len(wrong)
        kernel.until(lambda: daemon.descriptors() <= before)
        hand_over(daemon, ring, client)
        kernel.until(lambda: len(daemon.connections()) == 1)
    os.close(reading)
    os.close(writing)


def test_flood_of_handoffs(registered):
    """2000 wrong and right ones alternately: queries are answered, the log is bounded, nothing
    stays open."""
    daemon, ring = registered
    before = daemon.descriptors()
    with pair() as (client, server):
        for _ in range(1000):
            hand_over(daemon, ring, client)
            hand_over(daemon, ring, server, cookie=7)
        # They are not always read in the order of sending.
        kernel.until(lambda: (refused_handoffs(daemon), daemon.status()["handoffs"]["taken"]) == (1000, 1000),
                     lambda: daemon.status())
        assert len(daemon.connections()) == 1
    assert daemon.log().count("handoff of process") <= 25
    kernel.until(lambda: daemon.descriptors() <= before)


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
def test_socket_that_lingers_does_not_stop_the_helper(registered, read):
    """The last close() of such a socket waits until its data is sent: here, for ever."""
    daemon, ring = registered
    with pair() as (client, server):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(b"x" * 65536)
        data = handoff(ring.id, make_record(**ends_of(client)))
        os.killpg(daemon.pid, signal.SIGSTOP)  # including its receiver process
        send(daemon, data, [client.fileno()] * (1 if read else 9))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
        client.close()
        os.killpg(daemon.pid, signal.SIGCONT)
        kernel.until(lambda: daemon.status()["handoffs"]["taken"] == read)
        assert refused_handoffs(daemon) == (not read)


def test_handed_over_by_another_user(registered):
    """Another user's ring cannot be used, even with its name."""
    needs_root("becomes another user")
    daemon, ring = registered
    child_ring = ring.id
    nobodys = Ring()
    os.chmod(daemon.directory / "helper.sock", 0o666)
    with pair() as (client, _server):
        send_as = handoff(child_ring, make_record(**ends_of(client)))
        # users to which root's programs changed may use root's ring, but not with root's socket
        assert as_nobody(lambda: send(daemon, send_as, [client.fileno()])) == 0
        kernel.until(lambda: daemon.status()["handoffs"]["taken"] == 1)
        assert as_nobody(lambda: register(daemon, nobodys, version=2)) == 0
        kernel.until(lambda: daemon.status()["clients"] == 2)
        theirs = handoff(nobodys.id, make_record(**ends_of(client)))
        assert as_nobody(lambda: send(daemon, theirs, [client.fileno()])) == 0
        kernel.until(lambda: refused_handoffs(daemon) == 1)
        send(daemon, theirs, [client.fileno()])
        kernel.until(lambda: refused_handoffs(daemon) == 2)
    with pair() as (client, _server):
        theirs = handoff(nobodys.id, make_record(**ends_of(client)))
        assert as_nobody(lambda: send(daemon, theirs, [client.fileno()])) == 0
        kernel.until(lambda: daemon.status()["dropped"]["foreign"] >= 1)
        assert len(daemon.connections()) <= 1


def as_nobody(call):
    """Run in a child as user 65534; returns its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            status = call() or 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")
def test_sockets_of_other_users(helper):
    """A user who names another user's socket gets none of its figures; users see only their own."""
    daemon = helper("--interval", "1")
    with pair() as (client, _server):
        own = Ring()
        register(daemon, own, program=b"mine")
        put_end(own, client)
        kernel.until(lambda: len(daemon.connections()) == 1)

        def steal():
            ring = Ring()
            register(daemon, ring, program=b"thief")
            with pair() as (theirs, _):
                put_end(ring, theirs)
                put_end(ring, client)
                kernel.until(lambda: len(daemon.connections()) == 1)
                kernel.until(lambda: "tcp_info" in daemon.connections()[0])
                seen = daemon.connections()
                assert [one["program"] for one in seen] == ["thief"]
                assert seen[0]["local"]["port"] == theirs.getsockname()[1]
                time.sleep(0.5)
        assert as_nobody(steal) == 0
        assert "mine" in [one["program"] for one in daemon.connections()]
        assert daemon.status()["dropped"]["foreign"] >= 1


@pytest.mark.slow
def test_ten_thousand_registrations(helper):
    """If a process registers again and again, the newest registrations stay; memory, descriptors
    and the log are bounded."""
    daemon = helper("--config", config_file(helper, daemon_limit=200))
    ring = Ring()
    register(daemon, ring)
    kernel.until(lambda: daemon.status()["clients"] == 1)
    before = daemon.memory()
    with contextlib.closing(diag_socket()) as diag:
        for number in range(10001):
            send(daemon, message(program=b"last" if number == 10000 else b"many"),
                 [ring.fd, diag.fileno()])
    kernel.until(lambda: "last" in [one["program"] for one in
                                    daemon.get("/v1/processes").json["processes"]], timeout=60)
    assert daemon.status()["clients"] <= 200
    assert daemon.descriptors() < 250
    assert daemon.memory() - before < 8 * 1024
    assert len(daemon.log().splitlines()) < 200
    kernel.until(lambda: daemon.status()["clients"] == 1)


def test_limit_of_processes(helper):
    """Processes beyond a user's limit are refused, with a line in the log."""
    daemon = helper("--config", config_file(helper, daemon_limit=5))
    children = []
    try:
        for _ in range(8):
            children.append(os.fork())
            if children[-1] == 0:
                register(daemon, Ring())
                signal.pause()
        kernel.until(lambda: refused(daemon) == 3)
        assert daemon.status()["clients"] == 5
        assert daemon.log().count("as many processes as one may") == 3
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    kernel.until(lambda: all(one["ended"] for one in daemon.get("/v1/processes").json["processes"]))
    ring = Ring()
    register(daemon, ring)  # a client that has ended makes room
    kernel.until(lambda: ring.get(HEARTBEAT) != 0)


def config_file(helper, daemon_limit):
    path = helper.directory / "socktuned.conf"
    path.write_text(f"limits = {{ processes = {daemon_limit}; connections = 50; }};\n")
    return path


def test_limit_of_connections(helper):
    """Records beyond a user's limit are counted, not tracked."""
    daemon = helper("--config", config_file(helper, 10))
    ring = Ring()
    register(daemon, ring)
    for cookie in range(1, 61):
        ring.put(cookie=cookie << 40)
        time.sleep(0.002)
    kernel.until(lambda: daemon.status()["records"] == 60)
    status = daemon.status()
    assert status["connections"] == 50 and status["dropped"]["limit"] == 10


def test_clients_that_say_nothing(helper):
    """They have separate places, lose them soon, and do not keep others out for long."""
    daemon = helper()
    before = daemon.descriptors()
    silent = []
    for _ in range(300):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(5)
        with contextlib.suppress(OSError):
            client.connect(str(daemon.directory / "helper.sock"))
        silent.append(client)
    assert daemon.descriptors() - before < 80
    kernel.until(lambda: daemon.descriptors() == before)
    ring = Ring()
    register(daemon, ring)
    kernel.until(lambda: daemon.status()["clients"] == 1)
    for client in silent:
        client.close()


# The daemon's process.

def test_sigterm_is_a_clean_end(helper):
    daemon = helper()
    ring = Ring()
    register(daemon, ring)
    kernel.until(lambda: ring.get(HEARTBEAT) != 0)
    assert daemon.stop() == 0
    assert ring.get(HEARTBEAT) == 0
    assert not list(daemon.directory.glob("*.sock"))


def test_second_helper_and_stale_socket(helper):
    daemon = helper()
    second = subprocess.run([BUILD / "socktuned", "--foreground", "--directory", daemon.directory],
                            capture_output=True, text=True, timeout=10, check=False)
    assert second.returncode == 1 and "another socktuned" in second.stderr
    daemon.status()
    daemon.process.kill()
    daemon.process.wait()
    helper().status()


def test_sighup_reads_the_file_again(helper):
    path = helper.directory / "socktuned.conf"
    path.write_text("history = 5;\n")
    daemon = helper("--config", path)
    assert daemon.status()["history"]["limit"] == 5
    path.write_text("history = 7;\n")
    os.kill(daemon.pid, signal.SIGHUP)
    kernel.until(lambda: daemon.status()["history"]["limit"] == 7)
    path.write_text("history = -1;\n")
    os.kill(daemon.pid, signal.SIGHUP)
    kernel.until(lambda: "stay as they were" in daemon.log())
    assert f"{path}:1: error: history" in daemon.log()
    assert daemon.status()["history"]["limit"] == 7


def test_background(directory):
    """Without --foreground it returns when the sockets exist."""
    subprocess.run([BUILD / "socktuned", "--directory", directory], check=True, timeout=10,
                   stderr=subprocess.DEVNULL)
    assert (directory / "helper.sock").exists()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "query.sock"))
        pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, 17, 12))[0]
    os.kill(pid, signal.SIGTERM)
    kernel.until(lambda: not (directory / "helper.sock").exists())


def test_systemd_passes_sockets_and_is_told(helper):
    directory = helper.directory
    sockets = [socket.socket(socket.AF_UNIX, kind)
               for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM)]
    for one, name in zip(sockets, ("helper.sock", "query.sock")):
        one.bind(str(directory / name))
        one.listen(10)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(5)
    notify.bind(str(directory / "notify"))
    child = os.fork()
    if child == 0:
        os.dup2(sockets[0].detach(), 100)
        os.dup2(sockets[1].detach(), 101)
        os.dup2(100, 3)
        os.dup2(101, 4)
        environment = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2",
                       "LISTEN_FDNAMES": "helper:query", "NOTIFY_SOCKET": str(directory / "notify")}
        os.execve(BUILD / "socktuned", ["socktuned", "--foreground", "--directory", "/nowhere"],
                  environment)
    try:
        assert notify.recv(100) == b"READY=1"
        assert http_client.request(directory / "query.sock", "/healthz").text == "ok\n"
    finally:
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert notify.recv(100) == b"STOPPING=1"
    assert (directory / "helper.sock").exists()  # systemd's socket, not ours


@pytest.mark.parametrize("arguments, status, text", [
    (["--help"], 0, ""), (["--version"], 0, ""), (["--nonsense"], 2, "nonsense"),
    (["--interval", "0"], 2, "from 1 to"), (["--history", "x"], 2, "from 0 to"),
    (["extra"], 2, "extra"), (["--config", "/nonexistent"], 78, "/nonexistent"),
    (["--metrics", "nowhere", "--foreground"], 1, "ADDR:PORT"),
])
def test_command_line(directory, arguments, status, text):
    run = subprocess.run([BUILD / "socktuned", "--directory", directory, *arguments], check=False,
                         capture_output=True, text=True, timeout=10)
    assert run.returncode == status and text in run.stderr


@pytest.mark.parametrize("text, error", [
    ("histry = 5;", "1: error: histry: no such setting"),
    ("interval = \"soon\";", "1: error: interval: must be a whole number"),
    ("\nlimits = 5;", "2: error: limits: must be a group"),
    ("limits = { processes = 0; };", "1: error: processes"),
    ("peer_classes = ();", "1: error: peer_classes: no such setting"),
    ("history = ;", "1: error: syntax error"),
])
def test_bad_configuration(directory, text, error):
    path = directory / "bad.conf"
    path.write_text(text)
    run = subprocess.run([BUILD / "socktuned", "--directory", directory, "--config", path],
                         check=False, capture_output=True, text=True, timeout=10)
    assert run.returncode == 78 and error in run.stderr, run.stderr
