# SPDX-License-Identifier: MIT
"""With the library, a program sees the same as without it, except for the options of rules.

A host program makes the same calls without the library, under rules for other programs, and under
rules that match; results, errno, flags, descriptors and signals must be equal. Then real programs
are compared: output and exit status.
"""
import contextlib
import errno
import fcntl
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys

import pytest
from conftest import LOOPBACK, preloaded, program
from host import ADDRESS_ROOM, pack_address


OTHERS = """
program = "some-other-program";
rules = ( { set = { SO_KEEPALIVE = true; }; force = { TCP_NODELAY = true; }; } );
"""
# Each of these rules is applied in other hooks. The program must not notice failures (a missing
# privilege, an option that the socket lacks) either.
MATCHING = """
rules = (
  { name = "all"; set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 611; dscp = "AF21"; SO_PRIORITY = 5;
                          TCP_USER_TIMEOUT = "45s"; }; },
  { name = "roles"; match = { role = [ "listen", "accept" ]; }; set = { TCP_KEEPCNT = 7; }; },
  { name = "remote"; match = { remote = [ "127.0.0.0/8", "::1" ]; };
    set = { TCP_KEEPINTVL = 71; TCP_QUICKACK = true; }; },
  { name = "peers"; match = { role = "accept"; remote = [ "127.0.0.0/8", "::1" ]; };
    set = { TCP_LINGER2 = 30; }; default = { TCP_NOTSENT_LOWAT = 65536; }; },
  { name = "failing"; set = { TCP_CONGESTION = "no-such"; }; },
  { name = "guard"; force = { TCP_SYNCNT = 3; }; }
);
"""

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
CLOEXEC, NONBLOCK = socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK
INET = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class Script:
    """Makes calls in a host and records what a program can observe of each."""

    def __init__(self, host):
        self.host = host
        self.seen = []

    def call(self, name, *arguments):
        answer = self.host.call(name, *arguments)
        # Ports differ between runs: only the length and family of an address are recorded.
        data = answer.data
        if name in ("getsockname", "accept", "accept4"):
            data = (len(data), data[:2])
        self.seen.append((name, answer.result, answer.error, data))
        return answer.result

    def flags(self, fd):
        for command in (fcntl.F_GETFD, fcntl.F_GETFL):
            self.call("fcntl", fd, command, 0)

    def port(self, fd):
        return self.host.name(fd)[1]


def kinds_of_sockets(script, **_):
    """socket(): all families, types and flags, including invalid ones."""
    for domain in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK,
                   socket.AF_PACKET, socket.AF_VSOCK, socket.AF_ALG, 999, -1):
        for kind in (STREAM, DATAGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, 0, 77):
            for flags in (0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK):
                for protocol in (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, 262, -5):
                    fd = script.call("socket", domain, kind | flags, protocol)
                    if fd >= 0:
                        script.flags(fd)
                        script.call("close", fd)


def errors(script, **_):
    """Calls on descriptors that are no such socket, or in the wrong state."""
    not_a_socket = 0
    tcp = script.call("socket", socket.AF_INET, STREAM, 0)
    udp = script.call("socket", socket.AF_INET, DATAGRAM, 0)
    for fd in (-1, 999, not_a_socket, tcp, udp):
        script.call("bind", fd, b"")
        script.call("bind", fd, b"\2\0\0")
        script.call("connect", fd, b"")
        script.call("connect", fd, b"\2\0\0")
        script.call("connect", fd, pack_address(socket.AF_UNIX, "/nonexistent/socket"))
        script.call("accept", fd, None)
        script.call("accept4", fd, ADDRESS_ROOM, 0x12345)
        script.call("setsockopt", fd, 999, 999, struct.pack("i", 1))
        script.call("setsockopt", fd, socket.SOL_SOCKET, socket.SO_KEEPALIVE, b"")
        script.call("setsockopt", fd, socket.IPPROTO_TCP, socket.TCP_NODELAY, None)
        script.call("listen", fd, 5 if fd != tcp else -1)
    script.flags(tcp)


def conversation(script, family, **_):
    """A server and a client, with all variants of accept()."""
    domain, loopback = INET[family], LOOPBACK[family]
    for flags in (0, CLOEXEC, NONBLOCK):
        listener = script.call("socket", domain, STREAM | flags, 0)
        script.call("bind", listener, pack_address(domain, loopback, 0))
        script.call("bind", listener, pack_address(domain, loopback, 0))
        script.call("listen", listener, 7)
        script.call("listen", listener, 7)
        script.flags(listener)
        address = pack_address(domain, loopback, script.port(listener))
        for ways in (("accept", None), ("accept", ADDRESS_ROOM), ("accept", 3),
                     ("accept4", None, 0), ("accept4", ADDRESS_ROOM, CLOEXEC),
                     ("accept4", 0, NONBLOCK), ("accept4", None, NONBLOCK | CLOEXEC)):
            client = script.call("socket", domain, STREAM, 0)
            script.call("connect", client, address)
            script.call("connect", client, address)
            accepted = script.call(ways[0], listener, *ways[1:])
            script.flags(accepted)
            script.call("send", client, b"there")
            script.call("recv", accepted, 100)
            script.call("send", accepted, b"and back")
            script.call("recv", client, 100)
            script.call("close", accepted)
            script.call("recv", client, 100)
            script.call("close", client)
        script.call("close", listener)


def refusals(script, family, free_port, **_):
    """Connections that fail, or do not succeed at once."""
    domain, loopback = INET[family], LOOPBACK[family]
    nobody = pack_address(domain, loopback, free_port())
    for flags in (0, NONBLOCK):
        client = script.call("socket", domain, STREAM | flags, 0)
        script.call("connect", client, nobody)
        script.call("getsockopt", client, socket.SOL_SOCKET, socket.SO_ERROR, 4)
        script.call("connect", client, nobody)
        script.call("close", client)
    listener = script.call("socket", domain, STREAM | NONBLOCK, 0)
    script.call("accept", listener, None)  # not listening yet
    script.call("bind", listener, pack_address(domain, loopback, 0))
    script.call("listen", listener, 1)
    script.call("accept", listener, None)  # no connection waits
    script.call("accept4", listener, None, CLOEXEC)
    again = script.call("socket", domain, STREAM, 0)
    script.call("bind", again, pack_address(domain, loopback, script.port(listener)))
    script.call("connect", listener, nobody)  # it is a listener
    client = script.call("socket", domain, STREAM | NONBLOCK, 0)
    script.call("connect", client, pack_address(domain, loopback, script.port(listener)))
    script.call("poll", client, 4, 5000)
    script.call("connect", client, pack_address(domain, loopback, script.port(listener)))
    script.call("getsockopt", client, socket.SOL_SOCKET, socket.SO_ERROR, 4)


def datagrams(script, family, **_):
    domain, loopback = INET[family], LOOPBACK[family]
    for kind in (DATAGRAM, DATAGRAM | CLOEXEC):
        receiver = script.call("socket", domain, kind, 0)
        script.call("bind", receiver, pack_address(domain, loopback, 0))
        sender = script.call("socket", domain, kind, 0)
        script.call("connect", sender, pack_address(domain, loopback, script.port(receiver)))
        script.call("connect", sender, pack_address(domain, loopback, script.port(receiver)))
        script.call("send", sender, b"a datagram")
        script.call("recv", receiver, 100)
        script.call("listen", receiver, 5)
        script.call("connect", sender, struct.pack("H", socket.AF_UNSPEC) + bytes(14))
        script.call("send", sender, b"to nobody")


def other_families(script, directory, **_):
    """Named and unnamed Unix sockets, netlink."""
    for kind in (STREAM, socket.SOCK_SEQPACKET):
        for name in (str(directory / "socket"), f"\0{directory}"):
            listener = script.call("socket", socket.AF_UNIX, kind, 0)
            script.call("bind", listener, pack_address(socket.AF_UNIX, name))
            script.call("listen", listener, 5)
            client = script.call("socket", socket.AF_UNIX, kind | CLOEXEC, 0)
            script.call("connect", client, pack_address(socket.AF_UNIX, name))
            accepted = script.call("accept4", listener, ADDRESS_ROOM, CLOEXEC)
            script.call("send", client, b"there")
            script.call("recv", accepted, 100)
            for option in (socket.SO_KEEPALIVE, socket.SO_PRIORITY, socket.SO_SNDBUF):
                for fd in (listener, client, accepted):
                    script.call("getsockopt", fd, socket.SOL_SOCKET, option, 4)
            for fd in (accepted, client, listener):
                script.call("close", fd)
        (directory / "socket").unlink()
    for domain in (socket.AF_NETLINK, socket.AF_VSOCK, socket.AF_PACKET):
        fd = script.call("socket", domain, socket.SOCK_RAW if domain != socket.AF_VSOCK else STREAM,
                         0)
        script.call("bind", fd, struct.pack("HHII", domain, 0, 0, 0))
        for option in (socket.SO_KEEPALIVE, socket.SO_PRIORITY, socket.SO_SNDBUF):
            script.call("getsockopt", fd, socket.SOL_SOCKET, option, 4)


def interruptions(script, family, **_):
    """A signal handler without SA_RESTART: EINTR from blocking calls, and a descriptor 0."""
    domain, loopback = INET[family], LOOPBACK[family]
    listener = script.call("socket", domain, STREAM, 0)
    script.call("bind", listener, pack_address(domain, loopback, 0))
    script.call("listen", listener, 0)
    for name in (("accept", None), ("accept4", None, CLOEXEC)):
        script.call("alarm", 20000)
        script.call(name[0], listener, *name[1:])
    # The queue of a listener is filled, so that the next connect() blocks.
    address = pack_address(domain, loopback, script.port(listener))
    for _ in range(4):
        filler = script.call("socket", domain, STREAM | NONBLOCK, 0)
        script.host.call("connect", filler, address)
    client = script.call("socket", domain, STREAM, 0)
    script.call("alarm", 20000)
    script.call("connect", client, address)


def descriptor_numbers(script, family, **_):
    """The lowest free descriptor is used first, and limits take effect at the same call."""
    domain = INET[family]
    made = [script.call("socket", domain, STREAM, 0) for _ in range(6)]
    for fd in (made[1], made[3]):
        script.call("close", fd)
    for _ in range(3):
        script.call("socket", domain, STREAM, 0)
    script.call("dup2", made[0], 20)
    while script.call("socket", domain, STREAM | CLOEXEC, 0) >= 0:
        pass


def own_options(script, family, **_):
    """The program's own setsockopt() and the values that it reads, for options without rules."""
    domain = INET[family]
    fd = script.call("socket", domain, STREAM, 0)
    for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR),
                          (socket.SOL_SOCKET, socket.SO_RCVBUF),
                          (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                          (socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT),
                          (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
                          (socket.IPPROTO_TCP, 9999)):
        script.call("getsockopt", fd, level, option, 4)
        script.call("setsockopt", fd, level, option, struct.pack("i", 1))
        script.call("getsockopt", fd, level, option, 4)
        script.call("setsockopt", fd, level, option, b"\1")
        script.call("getsockopt", fd, level, option, 4)


SCRIPTS = [kinds_of_sockets, errors, conversation, refusals, datagrams, other_families,
           interruptions, descriptor_numbers, own_options]
BY_FAMILY = (conversation, refusals, datagrams, interruptions, descriptor_numbers, own_options)


def limit_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


@pytest.mark.parametrize("script, family", [
    pytest.param(script, family, id=f"{script.__name__}-{family}")
    for script in SCRIPTS for family in LOOPBACK
    if family == "inet" or script in BY_FAMILY])
def test_the_same_answers(script, family, host, compiled, directory, free_port):
    keywords = {"preexec_fn": limit_descriptors} if script is descriptor_numbers else {}
    seen = {}
    for kind, rules in (("alone", None), ("others", compiled(OTHERS, "others.conf")),
                        ("matching", compiled(MATCHING, "matching.conf"))):
        run = Script(host(rules, **keywords))
        script(run, family=family, directory=directory, free_port=free_port)
        assert run.host.end() == 0
        seen[kind] = run.seen
    assert len(seen["alone"]) > 5
    for kind in ("others", "matching"):
        differences = [f"alone {one} but under rules ({kind}) {other}"
                       for one, other in zip(seen["alone"], seen[kind]) if one != other]
        assert not differences, "\n".join(differences)
        assert len(seen[kind]) == len(seen["alone"])


def test_the_script_would_notice(host, compiled, directory, free_port):
    """The comparison above is meaningful: EINTR, a refusal, and a limit did occur."""
    run = Script(host())
    interruptions(run, family="inet")
    assert [entry[2] for entry in run.seen if entry[1] == -1] == [errno.EINTR] * 3
    run = Script(host(preexec_fn=limit_descriptors))
    descriptor_numbers(run, family="inet")
    assert run.seen[-1][2] == errno.EMFILE


def test_an_option_that_fails_is_not_the_programs_failure(host, compiled):
    """MATCHING names an algorithm that does not exist; errno keeps its value from before the
    call."""
    one = host(compiled(MATCHING))
    answer = one.call("socket", socket.AF_INET, STREAM, 0)
    assert answer.result >= 0 and answer.error == 0


@pytest.mark.parametrize("kind", ["others", "matching"])
def test_sigpipe_still_kills(kind, host, compiled):
    statuses = []
    for rules in (None, compiled({"others": OTHERS, "matching": MATCHING}[kind])):
        one = host(rules)
        listener, port = one.listener(socket.AF_INET, "127.0.0.1")
        client = one.socket(socket.AF_INET)
        one.connect(client, socket.AF_INET, "127.0.0.1", port)
        one.call("setsockopt", one.accept(listener), socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack("ii", 1, 0))
        one.call("close", client + 1)
        with contextlib.suppress(BrokenPipeError):  # it is killed by the second at the latest
            for _ in range(3):
                one.request("send", client, b"to nobody")
        statuses.append(one.process.wait(20))
    assert statuses == [-signal.SIGPIPE] * 2


# Real programs.

PYTHON_REPORT = """
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
served, _ = listener.accept()
left, right = socket.socketpair()
for one in (listener, client, served, left, right):
    print(one.fileno(), one.family, one.type, one.proto, one.get_inheritable(), one.gettimeout())
print(sorted(os.listdir("/proc/self/fd")))
print(sorted(key for key in os.environ if not key.startswith(("SOCKTUNE_", "LD_PRELOAD"))))
try:
    socket.create_connection(("127.0.0.1", {port}), 5)
except OSError as error:
    print(repr(error))
os._exit(7)
"""

COMMANDS = {
    "true": ["true"],
    "false": ["false"],
    "sh": ["sh", "-c", "echo out; echo err >&2; kill -USR1 $$"],
    "curl-refused": ["curl", "-sS", "--noproxy", "*", "http://127.0.0.1:{port}/"],
    "wget-refused": ["wget", "-nv", "--no-proxy", "-t", "1", "http://127.0.0.1:{port}/"],
    "curl-v6-refused": ["curl", "-sS", "--noproxy", "*", "http://[::1]:{port}/"],
    "redis-refused": ["redis-cli", "-h", "127.0.0.1", "-p", "{port}", "PING"],
    "socat-refused": ["socat", "-u", "TCP:127.0.0.1:{port}", "STDOUT"],
    "perl": ["perl", "-MSocket", "-e",
             "socket(my $s, PF_INET, SOCK_STREAM, 0); print fileno($s), qq(\\n);"
             "connect($s, pack_sockaddr_in({port}, inet_aton('127.0.0.1'))) or die 0 + $!"],
    "python3": ["python3", "-c", PYTHON_REPORT],
    "bash": ["bash", "-c", "echo > /dev/tcp/127.0.0.1/{port}; echo $?; ls /proc/self/fd"],
    "ss": ["ss", "--version"],
}


@pytest.mark.parametrize("kind", ["others", "matching"])
@pytest.mark.parametrize("name", COMMANDS)
def test_real_programs_the_same_output_and_status(name, kind, build, compiled, free_port,
                                                  directory):
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in COMMANDS[name]]
    words[0] = program(words[0])
    rules = compiled({"others": OTHERS, "matching": MATCHING}[kind])
    results = []
    for environment in (preloaded(build, None), preloaded(build, rules)):
        result = subprocess.run(words, env=environment, capture_output=True, timeout=30,
                                check=False, cwd=directory, stdin=subprocess.DEVNULL)
        # The output of socat and bash contains a process ID, that of curl the duration.
        said = b"".join(result.stderr.split(b"] ")[-1:])
        results.append((result.returncode, result.stdout,
                        re.sub(rb"after \d+ ms", b"after N ms", said)))
    assert results[1] == results[0]


@pytest.mark.full
def test_pythons_own_socket_tests(build, compiled, start):
    """CPython's socket tests have the same results with and without rules."""
    candidates = ["/usr/bin/python3", sys.executable, program("python3")]
    candidates += [os.path.join(place, "python3") for place in os.environ["PATH"].split(":")]
    for python in candidates:
        found = os.path.exists(python) and subprocess.run(
            [python, "-c", "import sys, test.test_socket; print(sys.executable)"],
            capture_output=True, text=True, check=False)
        if found and found.returncode == 0:
            python = found.stdout.strip()
            break
    else:
        pytest.skip("no python3 here has its test suite (libpython3-testsuite)")
    summaries = []
    for rules in (None, compiled(OTHERS, "others.conf")):
        run = start([python, "-m", "unittest", "test.test_socket"], rules)
        run.wait(200)
        failed = sorted(line for line in run.output.splitlines()
                        if line.startswith(("FAIL:", "ERROR:", "Ran ")))
        summaries.append([line.split(" in ")[0] for line in failed])
    assert summaries[1] == summaries[0]
