# SPDX-License-Identifier: MIT
"""What a program under a rule with report = true sends to the helper, and how it finds the helper.
The helper is the tests' own (ring.py), so these tests cover only the program's side."""
import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import kernel
import pytest
from conftest import needs_root, preloaded, program
from hostile import assert_unharmed, run
from ring import BEGUN, DROPPED, REFUSED, RingReceiver

NOBODY = 65534
EVERYTHING = 'rules = ( { name = "all"; report = true; } );'
# The beginning of the programs below. cookie() returns SO_COOKIE.
PRELUDE = """
import ctypes, os, socket, struct, sys, time
def cookie(fd):
    return struct.unpack("=Q", fd.getsockopt(socket.SOL_SOCKET, 57, 8))[0]
def listener(family=socket.AF_INET, address="127.0.0.1"):
    made = socket.socket(family)
    made.bind((address, 0))
    made.listen(64)
    return made
def pair(listening, address=None):
    port = listening.getsockname()[1]
    client = socket.socket(listening.family)
    client.connect((address or listening.getsockname()[0], port))
    return client, listening.accept()[0]
def say(*words):
    print(*words, flush=True)
"""


@pytest.fixture
def helper(directory):
    made = RingReceiver(directory / "helper.sock")
    yield made
    made.close()


@pytest.fixture
def start(build, compiled, directory):
    """Start a Python program, given as text, under rules: start(code, rules, **environment)."""
    started = []

    def begin(code, rules=EVERYTHING, wrapper=(), **extra):
        environment = preloaded(build, compiled(rules), **{
            "SOCKTUNE_HELPER": str(directory / "helper.sock"), **extra})
        process = subprocess.Popen(
            [*wrapper, program("python3"), "-c", PRELUDE + textwrap.dedent(code)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process
    yield begin
    for process in started:
        kernel.kill_all([pid for pid in kernel.tree(process.pid) if kernel.alive(pid)])
        process.communicate()


def finish(process):
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return output.splitlines()


def tell(process, line=""):
    """Let it continue; returns its answer."""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().rstrip("\n")


def test_registration(helper, start):
    process = start("say('ready'); input()")
    ring = helper.take()
    assert (ring.program, ring.rules, ring.version) == ("python3", ["all"], 2)
    assert ring.pid == ring.peer_pid == process.pid
    assert ring.peer_uid == os.geteuid()
    diag = socket.socket(fileno=os.dup(ring.diag))
    with diag:
        assert diag.family == socket.AF_NETLINK
        assert diag.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == 4  # NETLINK_SOCK_DIAG
        address, groups = diag.getsockname()
        assert groups == 0b101  # the groups of destroy events
        assert address >> 31 == 1  # an address that no program would choose
    assert helper.take(timeout=0.2) is None


def test_nothing_without_such_a_rule(helper, start):
    finish(start("pair(listener())", 'rules = ( { set = { SO_KEEPALIVE = true; }; } );'))
    finish(start("pair(listener())", 'rules = ( { match = { protocol = "sctp"; }; report = true; } );'))
    finish(start("pair(listener())", 'rules = ( { match = { program = "no"; }; report = true; } );'))
    assert helper.take(timeout=0.2) is None


def test_no_descriptor_stays(build, compiled, helper):
    rules = compiled(EVERYTHING)
    plain = run([build.hosts / "plain"], preloaded(build, None))
    told = run([build.hosts / "plain"], preloaded(build, rules, SOCKTUNE_HELPER=str(helper.path)))
    assert_unharmed(plain, told)
    assert len(helper.take().read()) == 6


CASES = {
    "inet": ("socket.AF_INET", "127.0.0.1", "127.0.0.1", "127.0.0.1", socket.AF_INET),
    "inet6": ("socket.AF_INET6", "::1", "::1", "::1", socket.AF_INET6),
    "mapped": ("socket.AF_INET6", "::", "::ffff:127.0.0.1", "127.0.0.1", socket.AF_INET6),
    "any": ("socket.AF_INET", "0.0.0.0", "0.0.0.0", "127.0.0.1", socket.AF_INET),
    "any6": ("socket.AF_INET6", "::", "::", "::1", socket.AF_INET6),
}


@pytest.mark.parametrize("case", CASES)
def test_records(helper, start, case):
    family, bound, target, seen, number = CASES[case]
    process = start(f"""
        l = listener({family}, "{bound}")
        c, a = pair(l, "{target}")
        say(cookie(l), l.getsockname()[1])
        say(cookie(c), c.getsockname()[1])
        say(cookie(a), a.getsockname()[1])
        """)
    before = time.time()
    lines = [tuple(map(int, line.split())) for line in finish(process)]
    listening, connected, accepted = helper.take().read()
    assert [(one.cookie, one.local[1]) for one in (listening, connected, accepted)] == lines
    assert (listening.kind, connected.kind, accepted.kind) == ("listen", "connect", "accept")
    assert listening.remote == ("::", 0)
    assert connected.remote == (seen, lines[0][1]) and connected.local == (seen, lines[1][1])
    assert accepted.local == connected.remote and accepted.remote == connected.local
    for one in (listening, connected, accepted):
        assert (one.family, one.protocol, one.rule) == (number, socket.IPPROTO_TCP, "all")
        assert one.pid == process.pid
        assert before - 5 < one.time < time.time() + 1


def test_connections_under_way(helper, start):
    """Non-blocking, and refused: both are reported with their state."""
    finish(start("""
        l = listener()
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(l.getsockname())
        gone = listener()
        where = gone.getsockname()
        gone.close()
        refused = socket.socket()
        assert refused.connect_ex(where) == 111
        """))
    records = helper.take().read(begun=True)
    assert [(one.kind, one.flags) for one in records] == [
        ("listen", 0), ("connect", BEGUN), ("connect", 0), ("listen", 0),
        ("connect", BEGUN), ("connect", REFUSED)]
    assert [one.cookie for one in records[1::4]] == [one.cookie for one in records[2::3]]


def test_other_sockets_are_not_reported(helper, start, directory):
    finish(start(f"""
        r = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) \\
            if os.geteuid() == 0 else socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.geteuid() == 0:
            r.connect(("127.0.0.1", 9))
        d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        d.bind({str(directory / "datagrams.sock")!r})
        d.sendto(b"x", {str(directory / "datagrams.sock")!r})
        x = socket.socket(socket.AF_UNIX)
        x.bind({str(directory / "unix.sock")!r})
        x.listen()
        c = socket.socket(socket.AF_UNIX)
        c.connect({str(directory / "unix.sock")!r})
        x.accept()
        """))
    assert helper.take().read() == []


UDP = """
    def udp(family=socket.AF_INET):
        return socket.socket(family, socket.SOCK_DGRAM)
    bound, connected, sending, both, six = udp(), udp(), udp(), udp(), udp(socket.AF_INET6)
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    connected.connect(("127.0.0.1", port))
    for _ in range(3):
        sending.sendto(b"x", ("127.0.0.1", port))
    both.bind(("127.0.0.1", 0))
    both.connect(("127.0.0.1", port))
    six.sendmsg([b"x"], [], 0, ("::1", port))
    for _ in range(3):
        for one in bound, both:
            one.sendto(b"x", ("127.0.0.1", port))
    failing = udp()
    try:
        failing.connect(("255.255.255.255", 9))
    except OSError:
        pass
    for one in bound, connected, sending, both, six:
        say(cookie(one), *one.getsockname()[:2])
    """


def test_udp(helper, start):
    """A UDP socket is reported when it is bound, connected, or first sends: once, except if it is
    first bound and then connected."""
    told = [line.split() for line in finish(start(UDP))]
    records = helper.take().read()
    bound, connected, sending, both, six = range(5)
    order = [bound, connected, sending, both, both, six]
    assert [one.cookie for one in records] == [int(told[at][0]) for at in order]
    assert {(one.kind, one.protocol) for one in records} == {("datagram", socket.IPPROTO_UDP)}
    ports = [int(one[2]) for one in told]
    assert [one.local[1] for one in records] == [ports[at] for at in order]
    assert [one.remote[1] for one in records] == [0, ports[bound], 0, 0, ports[bound], 0]


def test_udp_only_where_a_rule_says_so(helper, start):
    rules = """rules = ( { name = "out"; match = { protocol = "udp"; remote_port = 9; }; report = true; },
                        { name = "all tcp"; match = { protocol = "tcp"; }; report = true; } );"""
    finish(start("""
        u, v = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        u.connect(("127.0.0.1", 9))
        v.connect(("127.0.0.1", 10))
        v.sendto(b"x", ("127.0.0.1", 9))
        pair(listener())
        """, rules))
    assert [(one.kind, one.rule) for one in helper.take().read()] == [
        ("datagram", "out"), ("listen", "all tcp"), ("connect", "all tcp"), ("accept", "all tcp")]


def test_a_helper_that_comes_late_is_told_of_udp_sockets_by_what_is_sent(directory, start):
    process = start("""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(("127.0.0.1", 0))
        say(cookie(u))
        sys.stdin.readline()
        for _ in range(40):
            u.sendto(b"x", u.getsockname())
            time.sleep(0.05)
        """)
    known = int(process.stdout.readline())
    late = RingReceiver(directory / "helper.sock")
    tell(process)
    ring = late.take(20)
    records = []
    kernel.until(lambda: records.extend(ring.read()) or records, "the record", 10)
    assert [one.cookie for one in records] == [known]
    late.close()


def test_mptcp(helper, start):
    if not os.path.exists("/proc/sys/net/mptcp"):
        pytest.skip("no MPTCP in this kernel")
    finish(start("""
        try:
            l = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        except OSError:
            sys.exit()
        l.bind(("127.0.0.1", 0)); l.listen()
        c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        c.connect(l.getsockname()); l.accept()
        """))
    records = helper.take().read()
    if not records:
        pytest.skip("MPTCP is switched off")
    assert [(one.kind, one.protocol) for one in records] == [
        ("listen", 262), ("connect", 262), ("accept", 262)]


def test_which_rule(helper, start):
    """The last rule that matches and reports; `final` ends the search; other rules only set
    options."""
    rules = """rules = (
        { name = "any"; report = true; },
        { name = "quiet"; set = { SO_KEEPALIVE = true; }; },
        { name = "in"; match = { role = "accept"; }; report = true; final = true; },
        { name = "never"; match = { role = "accept"; }; report = true; },
        { name = "out"; match = { role = "connect"; remote = "127.0.0.2"; }; report = true; }
    );"""
    finish(start("""
        l = listener(address="0.0.0.0")
        pair(l, "127.0.0.1")
        pair(l, "127.0.0.2")
        """, rules))
    ring = helper.take()
    assert ring.rules == ["any", "in", "never", "out"]
    assert [(one.kind, one.rule) for one in ring.read()] == [
        ("listen", "in"), ("connect", "any"), ("accept", "in"), ("connect", "out"),
        ("accept", "in")]


def test_only_what_a_rule_asks_for(helper, start):
    rules = 'rules = ( { match = { role = "connect"; remote = "127.0.0.2"; }; report = true; } );'
    finish(start("""
        l = listener(address="0.0.0.0")
        pair(l, "127.0.0.1")
        pair(l, "127.0.0.2")
        """, rules))
    record, = helper.take().read()
    assert record.kind == "connect" and record.remote[0] == "127.0.0.2"


def test_options_and_their_errors(helper, start):
    rules = """rules = ( { name = "r"; report = true;
        set = { SO_KEEPALIVE = true; TCP_NODELAY = true;
                raw = ( { level = 6; option = 9999; value = 1; } ); }; } );"""
    finish(start("pair(listener())", rules))
    for record in helper.take().read():
        assert (record.applied, record.failed) == (2, 1)
        assert record.failures == [(6, 9999, errno.ENOPROTOOPT)]
        assert set(record.options) == {(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                                       (socket.IPPROTO_TCP, socket.TCP_NODELAY)}


# Finding the helper.

SPEAKS_ON = """
l = listener()
for line in sys.stdin:
    pair(l)
    say("made")
"""


def until_registered(helper, process):
    """Let it make connections until it has registered; returns the ring."""
    for _ in range(100):
        assert tell(process) == "made"
        ring = helper.take(timeout=0.05)
        if ring:
            return ring
    raise AssertionError("it did not register within 5 s")


def test_a_helper_that_comes_late(directory, start):
    process = start(SPEAKS_ON)
    assert tell(process) == "made"
    late = RingReceiver(directory / "helper.sock")
    try:
        ring = until_registered(late, process)
        kinds = [one.kind for one in ring.read() if one.kind != "listen"]
        assert kinds in (["connect", "accept"], ["accept"])  # either end may have found it
        assert tell(process) == "made"
        assert len(ring.read()) == 2
    finally:
        late.close()


def test_a_helper_that_comes_late_is_told_of_what_there_is(directory, start):
    """Listeners and connections that are older than the helper are reported, a few at each call:
    each once, with its role. Other sockets are not reported."""
    process = start("""
        l = listener()
        other = listener(socket.AF_INET6, "::1")
        kept = [pair(one) for one in (l, other) * 8]
        beside = socket.socketpair(), socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        for role, one in [("listen", l), ("listen", other)] + [
                (role, end) for ends in kept for role, end in zip(("connect", "accept"), ends)]:
            say(role, cookie(one), one.getsockname()[1])
        say("that is all")
        for line in sys.stdin:
            pair(l)
            say("made")
        """)
    wanted = [line.split() for line in iter(lambda: process.stdout.readline().rstrip("\n"),
                                            "that is all")]
    assert len(wanted) == 34
    late = RingReceiver(directory / "helper.sock")
    try:
        ring = until_registered(late, process)
        calls = 2 * 10
        for _ in range(calls // 2):
            assert tell(process) == "made"
        told = [(one.kind, str(one.cookie), str(one.local[1])) for one in ring.read()]
    finally:
        late.close()
    for one in wanted:
        assert told.count(tuple(one)) == 1, one
    assert 34 + calls <= len(told) <= 34 + calls + 8  # some of the newest are reported twice


def test_a_helper_that_comes_late_costs_a_call_little(directory, start):
    """With any number of sockets, a call reports only a few, and none after the last one."""
    process = start("""
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        l = listener()
        l.listen(600)
        kept = [pair(l) for _ in range(500)]
        say("ready")
        for line in sys.stdin:
            pair(l)
            say("made")
        """)
    assert process.stdout.readline() == "ready\n"
    late = RingReceiver(directory / "helper.sock")
    try:
        ring = until_registered(late, process)
        counts = []
        for _ in range(100):
            ring.read()
            assert tell(process) == "made"
            counts.append(len(ring.read()))
    finally:
        late.close()
    assert max(counts) <= 2 + 2 * 8 and sum(counts) > 1000
    assert set(counts[-20:]) == {2}


def test_a_helper_that_lets_go(helper, start):
    """A heartbeat of 0, or one that has stopped: at the next connection the program registers
    again. Nothing of the old ring appears in the new one."""
    process = start(SPEAKS_ON)
    ring = helper.take()
    for gone in (0, time.time() - 31):
        time.sleep(1.1)  # minimum distance between attempts
        tell(process)
        assert {one.kind for one in ring.read()} >= {"connect", "accept"}
        ring.beat(gone)
        new = until_registered(helper, process)
        assert ring.read() == []
        assert new.pid == process.pid and new.tail != ring.tail
        assert tell(process) == "made"
        ring = new


def test_a_living_helper_is_not_bothered(helper, start):
    process = start(SPEAKS_ON)
    ring = helper.take()
    time.sleep(1.1)
    for _ in range(20):
        ring.beat()
        tell(process)
    assert helper.take(timeout=0.2) is None
    assert len(ring.read()) == 41


def test_a_helper_that_is_stopped(helper, start):
    """It neither accepts nor reads. The program registers again at growing intervals, and each of
    its calls is as fast as before."""
    process = start("""
        l = listener()
        worst = 0
        for _ in range(3000):
            begin = time.monotonic(); pair(l); worst = max(worst, time.monotonic() - begin)
        say(worst)
        """)
    assert float(finish(process)[0]) < 1
    ring = helper.take()
    assert len(ring.read()) == 6001 and helper.take(timeout=0.1) is None


def test_a_full_ring_counts(helper, start):
    finish(start("""
        l = listener()
        for _ in range(10000):
            l.listen(64)
        """))
    ring = helper.take()
    assert ring.get(DROPPED) == 10001 - ring.slots
    assert len(ring.read()) == ring.slots


def test_a_ring_that_is_read_stays_small(helper, start):
    """However many connections a program makes, it uses only the same 64 KiB of the ring."""
    process = start("""
        def kept():  # KiB of the ring that the program has touched
            with open("/proc/self/smaps") as smaps:
                lines = iter(smaps)
                for line in lines:
                    if "memfd:" in line:
                        return next(int(below.split()[1]) for below in lines if below[:4] == "Rss:")
        l = listener()
        while input() == "more":
            for _ in range(100):
                pair(l)
            say(kept())
        """)
    ring = helper.take()
    for round_ in range(60):
        kept = int(tell(process, "more"))
        assert len(ring.read()) == 200 + (round_ == 0)
    assert kept <= 4 + 64


@pytest.mark.parametrize("queue", ["full", "refused", "datagram", "file", "long"])
def test_no_helper_where_it_should_be(directory, start, queue):
    path, made = directory / "helper.sock", None
    extra = {}
    if queue == "file":
        path.write_text("")
    elif queue == "long":
        extra["SOCKTUNE_HELPER"] = "/" + "a" * 4000
    else:
        made = socket.socket(socket.AF_UNIX,
                             socket.SOCK_DGRAM if queue == "datagram" else socket.SOCK_SEQPACKET)
        made.bind(str(path))
    waiting = []
    if queue == "full":
        made.listen(0)
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.setblocking(False)
            client.connect_ex(str(path))
            waiting.append(client)
    assert finish(start("say(len([pair(listener()) for _ in range(3)]))", **extra)) == ["3"]
    for one in waiting + [made]:
        if one:
            one.close()


def test_the_users_own_helper(directory, start):
    if os.path.exists("/run/socktune/helper.sock"):
        pytest.skip("this machine has a helper")
    (directory / "socktune").mkdir()
    helper = RingReceiver(directory / "socktune" / "helper.sock")
    try:
        finish(start("pair(listener())", SOCKTUNE_HELPER="", XDG_RUNTIME_DIR=str(directory)))
        assert len(helper.take().read()) == 3
    finally:
        helper.close()


# Processes.

def test_forked_children_share_the_ring(helper, start):
    lines = finish(start("""
        l = listener()
        for _ in range(4):
            child = os.fork()
            if child == 0:
                pair(l)
                os._exit(0)
            say(child)
            os.waitpid(child, 0)
        pair(l)
        say(os.getpid())
        """))
    records = helper.take().read()
    assert [one.pid for one in records if one.kind == "connect"] == list(map(int, lines))
    assert helper.take(timeout=0.1) is None


def test_a_forked_child_registers_for_itself(helper, start):
    """If the ring is released after the parent has ended, as with a daemon."""
    process = start("""
        l = listener()
        if os.fork():
            os._exit(0)
        for line in sys.stdin:
            pair(l)
            say("made")
        """)
    ring = helper.take()
    process.wait(10)
    time.sleep(1.1)
    assert tell(process) == "made"
    daemon = [one.pid for one in ring.read() if one.kind == "connect"][0]
    ring.beat(0)
    new = until_registered(helper, process)
    assert new.pid == new.peer_pid == daemon != ring.pid
    os.kill(daemon, signal.SIGKILL)


def test_exec_registers_anew(helper, start):
    process = start("""
        os.execv(sys.executable, [sys.executable, "-c", "import socket; socket.socket().listen()"])
        """)
    finish(process)
    first, second = helper.take(), helper.take()
    assert first.pid == second.pid == process.pid
    assert first.read() == [] and len(second.read()) == 1


def test_children_of_vfork(build, compiled, helper):
    """They use their parent's memory, and their connections are reported."""
    told = run([build.hosts / "vforked"], preloaded(build, compiled(EVERYTHING),
                                                    SOCKTUNE_HELPER=str(helper.path)))
    plain = run([build.hosts / "vforked"], preloaded(build, None))
    assert_unharmed(plain, told)
    ring = helper.take()
    assert len([one for one in ring.read() if one.kind == "connect"]) >= 50


@pytest.fixture
def connector(build, compiled, directory):
    """The host of that name, under a rule for connect() only, without a helper at first."""
    rules = 'rules = ( { match = { role = "connect"; }; report = true; } );'
    process = subprocess.Popen(
        [build.hosts / "connector"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=preloaded(build, compiled(rules), SOCKTUNE_HELPER=str(directory / "helper.sock")))
    assert int(tell(process, "self")) == process.pid
    time.sleep(1.1)  # minimum distance between attempts
    yield process
    process.communicate(timeout=10)


def test_children_of_vfork_do_not_register(connector, directory):
    """The registration would be in their parent's memory, under a PID that soon ends."""
    late = RingReceiver(directory / "helper.sock")
    try:
        tell(connector, "vfork")
        assert late.take(timeout=0.2) is None
        time.sleep(2.1)
        tell(connector, "self")
        assert late.take().pid == connector.pid
    finally:
        late.close()


def test_a_vforked_child_confines_itself_alone(connector, directory):
    """Its no_new_privs does not apply to the parent, whose memory it uses."""
    late = RingReceiver(directory / "helper.sock")
    try:
        tell(connector, "confine")
        tell(connector, "self")
        assert late.take().pid == connector.pid
    finally:
        late.close()


def test_a_child_forked_while_a_thread_registers_keeps_nothing(directory, start):
    """strace delays registration, so that there is time to fork."""
    process = start("""
        import threading
        def family(fd):
            copy = os.dup(fd)
            try:
                return socket.socket(fileno=copy).family
            except OSError:
                os.close(copy)
        def strangers():
            count = 0
            for name in os.listdir("/proc/self/fd"):
                try:
                    count += (os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:") or
                              family(int(name)) in (socket.AF_UNIX, socket.AF_NETLINK))
                except OSError:
                    pass
            return count
        listening = listener()
        say("ready")
        input()
        thread = threading.Thread(target=pair, args=(listening,))
        seen = False
        found = 0
        thread.start()
        while thread.is_alive():
            seen = seen or strangers() > 0
            child = os.fork()
            if child == 0:
                os._exit(strangers())
            found = max(found, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        thread.join()
        say(seen, found)
        """, wrapper=(program("strace"), "-f", "-qqq", "-o", "/dev/null", "-e", "trace=sendmsg",
                      "-e", "inject=sendmsg:delay_enter=300000"))
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.1)  # minimum distance between attempts
    late = RingReceiver(directory / "helper.sock")
    try:
        assert tell(process) == "True 0"
        assert late.take() is not None
    finally:
        late.close()


def test_children_of_fork_do(connector, directory):
    late = RingReceiver(directory / "helper.sock")
    try:
        child = int(tell(connector, "fork"))
        ring = late.take()
        assert (ring.pid, [one.pid for one in ring.read()]) == (child, [child])
        parent = int(tell(connector, "self"))
        ring = late.take()
        assert (ring.pid, [one.pid for one in ring.read()]) == (parent, [parent])
    finally:
        late.close()


def calls_of_a_pair(build, rules, helper):
    """The system calls from one connect() to itself up to the next socket()."""
    words = program("strace"), "-f", "-qq", "-o", "/dev/stderr"
    environment = preloaded(build, rules, SOCKTUNE_HELPER=str(helper.path))
    settings = [word for name in ("LD_PRELOAD", "SOCKTUNE_RULES", "SOCKTUNE_HELPER")
                for word in ("-E", f"{name}={environment.pop(name)}")]
    traced = subprocess.run([*words, *settings, build.hosts / "connector"], input="self\nself\n",
                            env=environment, capture_output=True, text=True, check=True)
    names = [line.split()[1].partition("(")[0] for line in traced.stderr.splitlines()]
    first, second = [i for i, name in enumerate(names) if name == "connect"][-2:]
    own = ("read", "write", "newfstatat", "fstat", "lseek", "getpid")  # the host's
    return [name for name in names[first:second] if name not in own]


def test_system_calls_of_a_report(build, compiled, helper):
    """The calls that a confined program must allow, and that each connection costs: calls that read
    the socket's properties, and none at close(). The address for connect() is not on the stack
    here: the call that checks whether it is readable, setsockopt(), also shows that the socket is
    TCP."""
    assert calls_of_a_pair(build, compiled(EVERYTHING), helper) == [
        "connect", "getsockname", "close", "accept", "getsockname", "getsockopt", "close",
        "socket", "setsockopt", "getsockopt"]


def test_system_calls_of_options_and_a_report(build, compiled, helper):
    """Properties that the report reads are not read again for the options."""
    rules = """rules = ( { match = { role = "accept"; remote = "127.0.0.0/8"; };
                           set = { SO_PRIORITY = 3; }; report = true; } );"""
    assert calls_of_a_pair(build, compiled(rules), helper) == [
        "connect", "close", "accept", "setsockopt", "getsockname", "getsockopt", "close", "socket"]


def test_no_system_calls_where_nobody_is_told(build, compiled, directory):
    nobody = argparse.Namespace(path=directory / "nobody.sock")
    assert calls_of_a_pair(build, compiled(EVERYTHING), nobody) == [
        "connect", "close", "accept", "close", "socket"]


def test_sockets_it_was_started_with(helper, start, build, compiled, directory):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
        wanted = {(sock.getsockopt(socket.SOL_SOCKET, 57, 8), kind) for sock, kind in
                  ((listening, "listen"), (client, "connect"), (server, "accept"))}
        environment = preloaded(build, compiled(EVERYTHING),
                                SOCKTUNE_HELPER=str(directory / "helper.sock"))
        with client, server:
            subprocess.run(["/bin/true"], env=environment, check=True,
                           pass_fds=[one.fileno() for one in (listening, client, server)])
    records = helper.take().read()
    assert {(one.cookie.to_bytes(8, sys.byteorder), one.kind) for one in records} == wanted


def test_a_connection_reset_before_accept(helper, start):
    finish(start("""
        l = listener()
        c = socket.socket()
        c.connect(l.getsockname())
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
        c.close()
        say(cookie(l.accept()[0]))
        """))
    accepted = [one for one in helper.take().read() if one.kind == "accept"]
    assert len(accepted) == 1 and accepted[0].cookie != 0


def test_sockets_of_another_network_namespace(helper, start):
    """The helper looks up sockets in the namespace of the registration, which does not contain
    these."""
    needs_root("unshare")
    lines = finish(start("""
        CLONE_NEWNET = 0x40000000
        libc = ctypes.CDLL(None, use_errno=True)
        before = listener()
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        assert libc.unshare(CLONE_NEWNET) == 0
        away = socket.socket()
        away.listen(1)
        made_before = socket.socket(fileno=os.dup(before.fileno()))
        made_before.listen(2)
        assert libc.setns(home, CLONE_NEWNET) == 0
        away.listen(2)
        client, server = pair(before)
        say(*map(cookie, (before, before, client, server)))
        """))
    ring = helper.take()
    assert [one.cookie for one in ring.read()] == [int(word) for word in lines[0].split()]
    assert ring.get(DROPPED) == 2


@pytest.mark.parametrize("leave", ["libc.unshare(CLONE_NEWNET)", "libc.syscall(UNSHARE, CLONE_NEWNET)",
                                   "clone()"])
def test_a_namespace_that_was_entered_later(helper, start, leave):
    """Sockets are asked for their namespace only after the process may have entered another one."""
    needs_root("unshare")
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of system calls are those of x86-64")
    lines = finish(start(f"""
        CLONE_NEWNET, UNSHARE, CLONE, SIGCHLD = 0x40000000, 272, 56, 17
        libc = ctypes.CDLL(None, use_errno=True)
        def clone():
            child = libc.syscall(CLONE, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0)
            if child > 0:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            return child
        before = listener()
        client, server = pair(before)
        said = *map(cookie, (before, client, server)),
        assert {leave} == 0
        away = listener(address="0.0.0.0")
        say(*said)
        """))
    ring = helper.take()
    assert [one.cookie for one in ring.read()] == [int(word) for word in lines[0].split()]
    assert ring.get(DROPPED) == 1


def test_the_peer_is_the_same_however_it_is_asked_for(helper, start):
    """accept() with a buffer that is long enough, with one that is too short, with a length that is
    not on the stack, and without a buffer."""
    lines = finish(start("""
        libc = ctypes.CDLL(None, use_errno=True)
        for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
            listening = listener(family, address)
            libc.accept.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
            for room in 28, 5, None:
                client = socket.socket(family)
                client.connect(listening.getsockname())
                buffer, length = ctypes.create_string_buffer(64), ctypes.c_uint(room or 0)
                pointers = (None, None) if room is None else (buffer, ctypes.addressof(length))
                fd = libc.accept(listening.fileno(), *pointers)
                assert fd >= 0 and buffer.raw[room or 0:] == bytes(64)[room or 0:]
                assert length.value == (0 if room is None else 28 if family == socket.AF_INET6 else 16)
                say(client.getsockname()[1])
            client = socket.socket(family)
            client.connect(listening.getsockname())
            listening.accept()
            say(client.getsockname()[1])
        """))
    records = [one for one in helper.take().read() if one.kind == "accept"]
    assert [one.remote[1] for one in records] == [int(line) for line in lines]
    assert {one.remote[0] for one in records} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "ppc64le": 358, "s390x": 348}
PRCTL = {"x86_64": 157, "aarch64": 167, "riscv64": 167, "ppc64le": 171, "s390x": 172}


# PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, and the same without libc's prctl().
@pytest.mark.parametrize("call", ["prctl(22, 0, 0, 0, 0)", "prctl(38, 1, 0, 0, 0)",
                                  "syscall(SECCOMP, 1, 0, None)", "syscall(PRCTL, 38, 1, 0, 0, 0)"])
def test_not_once_the_program_confines_itself(helper, start, call):
    """From then on an unexpected system call may kill the program: it does not register again, but
    continues to use its ring."""
    machine = os.uname().machine
    process = start(f"""
        SECCOMP, PRCTL = {SECCOMP.get(machine)}, {PRCTL.get(machine)}
        l = listener()
        ctypes.CDLL(None).{call}
        for line in sys.stdin:
            pair(l)
            say("made")
        """)
    ring = helper.take()
    tell(process)
    assert len(ring.read()) == 3
    ring.beat(0)
    time.sleep(1.1)
    tell(process)
    assert helper.take(timeout=0.3) is None
    assert len(ring.read()) == 2


# Runs a command under a filter that kills at memfd_create(2) (319 on x86-64) and allows all other
# calls.
FILTERED = """
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 319), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_not_under_a_filter_that_was_there_before(helper, start):
    """For example systemd's SystemCallFilter=: it kills at calls that it does not list."""
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86-64")
    finish(start("pair(listener())", wrapper=(program("python3"), "-c", FILTERED)))
    assert helper.take() is not None, "of the wrapper, before its filter"
    assert helper.take(timeout=0.2) is None


# Less than the size of a ring; an existing file is not truncated.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))"


def test_a_limit_on_file_sizes_ends_no_program(helper, start, directory):
    """A ring is a file too: if its size is not permitted, nothing is reported."""
    limited = (program("prlimit"), "--fsize=1000:")
    finish(start("pair(listener())", wrapper=limited))
    assert helper.take().program == "prlimit"
    assert helper.take(timeout=0.2) is None


def test_a_limit_on_file_sizes_when_a_helper_comes(directory, start):
    process = start(LIMITED + SPEAKS_ON)
    assert tell(process) == "made"
    time.sleep(1.1)  # minimum distance between attempts
    late = RingReceiver(directory / "helper.sock")
    try:
        assert tell(process) == "made"
        assert late.take(timeout=0.3) is None
    finally:
        late.close()


def test_a_helper_of_another_user_is_told_nothing(directory, start):
    """Any user may listen at a path from the environment; root's connections must not be sent
    there."""
    needs_root("to be another user for a while")
    os.chown(directory, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        stranger = RingReceiver(directory / "helper.sock")
        stranger.listener.settimeout(10)
    finally:
        os.seteuid(0)
    try:
        for handoff in ("ring", "socket"):
            finish(start("pair(listener())", EVERYTHING.replace(
                "report = true;", f'report = true; handoff = "{handoff}";')))
            client, _ = stranger.listener.accept()
            with client:
                assert socket.recv_fds(client, 65536, 16)[:2] == (b"", [])
    finally:
        stranger.close()


def test_threads_lose_nothing(helper, start):
    finish(start("""
        import threading
        def work():
            l = listener()
            for _ in range(200):
                for end in pair(l):
                    end.close()
        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        """))
    records = helper.take().read()
    assert len(records) == 8 * 401
    assert len({one.cookie for one in records}) == len(records)


def test_errno_and_results_are_the_kernels(build, compiled, helper):
    environment = preloaded(build, compiled(EVERYTHING), SOCKTUNE_HELPER=str(helper.path))
    plain = run([build.hosts / "errnos"], preloaded(build, None))
    told = run([build.hosts / "errnos"], environment)
    assert_unharmed(plain, told)
