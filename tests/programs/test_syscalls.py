# SPDX-License-Identifier: MIT
"""The cost of the library in system calls, as shown by strace."""
import contextlib
import socket
import subprocess

import pytest
import strace
from conftest import LOOPBACK, preloaded, program


OTHERS = """
program = "some-other-program";
rules = ( { name = "for others"; set = { SO_KEEPALIVE = true; TCP_NODELAY = true; };
            force = { TCP_KEEPIDLE = 99; }; ignore = [ "TCP_KEEPCNT" ]; } );
"""

# The first k of these are a rule's options. Accepted sockets inherit all of them.
OPTIONS = [
    "SO_KEEPALIVE = true;", "TCP_NODELAY = true;", "TCP_KEEPIDLE = 611;", "TCP_KEEPINTVL = 71;",
    "TCP_KEEPCNT = 7;", 'TCP_USER_TIMEOUT = "45s";', "TCP_NOTSENT_LOWAT = 131072;",
    "TCP_SYNCNT = 5;",
]


@pytest.fixture
def traced(build, directory, host):
    """A host under strace; traced(rules).calls(from_call) ends it and reads its system calls."""
    program("strace")

    class Traced:
        """A host and its trace."""

        def __init__(self, rules, output):
            environment = preloaded(build, rules)
            preload = {name: environment[name] for name in ("LD_PRELOAD", "SOCKTUNE_RULES")
                       if name in environment}
            self.output = output
            self.host = host(None, strace.command(output, preload))

        def calls(self):
            """The system calls from the first socket() on, by the program or the library."""
            assert self.host.end() == 0
            return strace.since(strace.read(self.output), "socket")

    counter = iter(range(1000))
    return lambda rules: Traced(rules, directory / f"trace-{next(counter)}")


def rule(criteria, options):
    return f'rules = ( {{ match = {{ {criteria} }}; set = {{ {" ".join(options)} }}; }} );'


def converse(host, family, peer):
    """A server and a client in one program; each call is made once or twice."""
    domain = socket.AF_INET if family == "inet" else socket.AF_INET6
    listener, _ = host.listener(domain, LOOPBACK[family])
    port = host.name(listener)[1]
    for accept in (host.accept, lambda fd: host.accept4(fd, socket.SOCK_CLOEXEC)):
        client = host.socket(domain)
        host.setsockopt(client, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host.connect(client, domain, LOOPBACK[family], port)
        host.close(accept(listener))
        host.close(client)
    datagram = host.socket(domain, socket.SOCK_DGRAM)
    host.connect(datagram, domain, LOOPBACK[family], peer)
    host.close(datagram)


def shape(calls):
    """Calls without data that differs between runs: ports and pointers."""
    return [call.name for call in calls if call.name not in ("brk", "mmap", "munmap")]


@pytest.mark.parametrize("family", LOOPBACK)
def test_without_a_matching_rule_not_one_call_more(family, compiled, traced, free_port):
    runs = []
    for rules in (None, compiled(OTHERS)):
        one = traced(rules)
        converse(one.host, family, free_port())
        runs.append(shape(one.calls()))
    alone, preloaded_run = runs
    assert "connect" in alone and "accept4" in alone
    assert preloaded_run == alone


CLIENTS = {
    "curl": ["-sS", "--noproxy", "*", "{url}"],
    "wget": ["-q", "-O", "-", "--no-proxy", "--tries=1", "{url}"],
    "socat": ["-u", "TCP:{address}:{port}", "STDOUT"],
    "perl": ["-MIO::Socket::INET", "-e",
             "IO::Socket::INET->new(PeerAddr => '{address}', PeerPort => {port}) or die"],
    "python3": ["-S", "-c", "import socket; socket.create_connection(('{address}', {port}))"],
    "redis-cli": ["-h", "{address}", "-p", "{port}", "PING"],
}


@pytest.mark.parametrize("name", CLIENTS)
def test_real_programs_make_the_same_calls(name, build, directory, compiled, start,
                                           silent_listener):
    """A whole run from the program's start to its last socket call."""
    program("strace")
    counts = []
    with silent_listener("inet") as listener:
        address, port = listener.getsockname()
        words = [word.format(address=address, port=port, url=f"http://{address}:{port}/")
                 for word in CLIENTS[name]]
        for index, rules in enumerate((None, compiled(OTHERS))):
            output = directory / f"trace-{index}"
            environment = preloaded(build, rules)
            preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")
                       if key in environment}
            started = start([*strace.command(output, preload, "%network"), program(name), *words])
            with listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
                                   if name in ("curl", "wget") else b"+PONG\r\n")
                with contextlib.suppress(OSError):  # perl and python3 have ended already
                    connection.shutdown(socket.SHUT_WR)
                started.wait()
            counts.append(strace.count(strace.read(output)))
    assert counts[0]["connect"] >= 1
    assert counts[1] == counts[0]


@pytest.mark.parametrize("family", LOOPBACK)
@pytest.mark.parametrize("count", [1, 4, 8])
@pytest.mark.parametrize("criteria", ["", 'protocol = "tcp";', 'role = [ "listen", "accept" ];'])
def test_options_on_a_listener_cost_accept_nothing(criteria, count, family, compiled, traced):
    one = traced(compiled(rule(criteria, OPTIONS[:count])))
    domain = socket.AF_INET if family == "inet" else socket.AF_INET6
    listener, port = one.host.listener(domain, LOOPBACK[family])
    with socket.create_connection((LOOPBACK[family], port)), \
            socket.create_connection((LOOPBACK[family], port)):
        accepted = [one.host.accept(listener), one.host.accept4(listener, 0)]
        values = [one.host.look(fd).option("SO_KEEPALIVE") for fd in accepted]
    calls = [call for call in one.calls() if call.name in strace.SOCKET_CALLS]
    assert values == [1, 1]
    made = strace.count(calls)
    assert made["setsockopt"] == count, calls
    assert made["getsockname"] == 1, calls  # the program's own
    # To decide by role, the library must read the kind of socket at listen(), and whether it is
    # MPTCP if that makes a difference for accepted sockets.
    assert made["getsockopt"] <= (2 if "role" in criteria else 1), calls
    accepts = strace.since(calls, "accept")
    assert [call.name for call in accepts] == ["accept", "accept4"], calls


@pytest.mark.parametrize("family", LOOPBACK)
@pytest.mark.parametrize("count", [1, 4, 8])
@pytest.mark.parametrize("criteria, asks", [
    ("", 0),                       # decided at socket(), whose arguments are enough
    ('protocol = "tcp";', 0),
    ('role = "connect"; protocol = "tcp";', 2),   # connect() does not have the type
    ('remote = [ "127.0.0.0/8", "::1" ];', 0),    # the address is connect()'s argument
    ('remote = [ "127.0.0.0/8", "::1" ]; remote_port = "1-65535";', 0),
    ('remote = [ "127.0.0.0/8", "::1" ]; protocol = "tcp";', 2),
])
def test_a_client_pays_for_its_options_alone(criteria, asks, count, family, compiled, traced,
                                             silent_listener):
    one = traced(compiled(rule(criteria, OPTIONS[:count])))
    domain = socket.AF_INET if family == "inet" else socket.AF_INET6
    with silent_listener(family) as listener:
        client = one.host.socket(domain)
        one.host.connect(client, domain, LOOPBACK[family], listener.getsockname()[1])
        assert one.host.look(client).option("SO_KEEPALIVE") == 1
    calls = [call for call in one.calls() if call.name in strace.SOCKET_CALLS]
    made = strace.count(calls)
    assert made["setsockopt"] == count, calls
    assert made["getsockopt"] <= asks, calls
    assert made["socket"] == made["connect"] == 1, calls
    assert made["getsockname"] == made["getpeername"] == 0, calls


def test_a_remote_that_does_not_match_costs_no_call(compiled, traced, silent_listener):
    one = traced(compiled(rule('remote = "192.0.2.0/24";', OPTIONS)))
    with silent_listener("inet") as listener:
        client = one.host.socket(socket.AF_INET)
        one.host.connect(client, socket.AF_INET, *listener.getsockname())
    calls = [call for call in one.calls() if call.name in strace.SOCKET_CALLS]
    assert [call.name for call in calls] == ["socket", "connect"], calls


def test_sockets_of_other_families_cost_no_call(compiled, traced):
    """Except for a call at listen() that checks for MPTCP."""
    one = traced(compiled(rule("", OPTIONS)))
    for domain, kind in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM),
                         (socket.AF_NETLINK, socket.SOCK_RAW)):
        one.host.close(one.host.socket(domain, kind))
    listener = one.host.socket(socket.AF_UNIX)
    one.host.bind(listener, socket.AF_UNIX, f"\0socktune-{one.host.pid}")
    one.host.listen(listener)
    client = one.host.socket(socket.AF_UNIX)
    one.host.connect(client, socket.AF_UNIX, f"\0socktune-{one.host.pid}", 0)
    one.host.accept(listener)
    calls = [call for call in one.calls() if call.name in strace.SOCKET_CALLS]
    assert [call.name for call in calls] == ["socket"] * 4 + [
        "bind", "getsockopt", "listen", "socket", "connect", "accept"], calls


@pytest.mark.parametrize("where, looks", [("stack", 0), ("heap", 1)])
def test_a_look_at_an_address_is_one_call_and_tells_the_type(build, compiled, directory, silent_listener, where, looks):
    """Before the library reads an address that is not on the stack, it checks whether the memory is
    readable. Python's address is on its stack. The rule depends on the role, and the same call
    shows the type."""
    script = """
import ctypes, socket, struct, sys
one, port = socket.socket(), int(sys.argv[1])
if sys.argv[2] == "heap":
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, b"\\x7f\\0\\0\\1")
    assert ctypes.CDLL(None).connect(one.fileno(), address, len(address)) == 0
else:
    one.connect(("127.0.0.1", port))
"""
    output = directory / "trace"
    environment = preloaded(build, compiled(rule('role = "connect"; remote = "127.0.0.0/8";',
                                                         OPTIONS[:1])))
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    with silent_listener("inet") as listener:
        subprocess.run([*strace.command(output, preload), program("python3"), "-c", script,
                        str(listener.getsockname()[1]), where], check=True, timeout=30)
    names = [call.name for call in strace.read(output) if call.name in strace.SOCKET_CALLS]
    assert names[names.index("connect") - 2:][:3] == ["setsockopt" if looks else "getsockopt",
                                                  "setsockopt", "connect"]


def test_the_programs_own_setsockopt_is_one_call(compiled, traced):
    """Also for an option that a rule sets without forcing it."""
    one = traced(compiled(rule('role = "connect";', OPTIONS)))
    client = one.host.socket(socket.AF_INET)
    one.host.setsockopt(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    one.host.setsockopt(client, socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    calls = [call for call in one.calls() if call.name in strace.SOCKET_CALLS]
    assert [call.name for call in calls] == ["socket", "setsockopt", "setsockopt"], calls


def test_after_those_that_waited_accept_makes_no_call_more(compiled, build, directory, host):
    """The program inherited a listener with a connection in its queue."""
    options = [option for option in OPTIONS if "SYNCNT" not in option]  # only for listeners
    rules = rule('role = [ "listen", "accept" ];', options).replace("set =", "inherited = true; set =")
    environment = preloaded(build, compiled(rules))
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    output = directory / "trace"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address, fd = listener.getsockname(), listener.fileno()
        with socket.create_connection(address):
            one = host(None, strace.command(output, preload), pass_fds=[fd])
            one.accept(fd)
            with socket.create_connection(address), socket.create_connection(address):
                one.accept(fd)
                one.accept(fd)
    assert one.end() == 0
    calls = [call.name for call in strace.since(strace.read(output), "accept")
             if call.name in strace.SOCKET_CALLS]
    assert calls[-2:] == ["accept", "accept"]
    assert calls.count("setsockopt") == len(options)
