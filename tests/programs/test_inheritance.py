# SPDX-License-Identifier: MIT
"""Each option of the table, for each role, for IPv4, IPv6 and both: set by a rule, read back.

Expected values are not computed: a program without the library sets the option itself at the
required time, and shows the values that the kernel returns (it doubles, rounds, clamps). The same
sockets under a rule must end with the same values. Then come sockets whose creation the library did
not see.
"""
import fcntl
import os
import re
import socket
import subprocess
import sys

import kernel
import pytest
import strace
from conftest import LOOPBACK, needs_root, preloaded, program
from options import DOMAINS, live, samples, table_rows


# Roles in which the set value cannot be read back: getsockopt() returns another value, or received
# packets change it. strace shows the calls instead.
UNREADABLE = {
    "IPV6_MTU": {"datagram"},
    "SO_BUSY_POLL_BUDGET": {"connect", "listen", "accept", "datagram"},
    "SO_INCOMING_CPU": {"connect"},
}
PEERS = 'match = { role = "accept"; remote = [ "127.0.0.0/8", "::1" ]; };'


def families_of(row):
    return [family for family in ("inet", "inet6", "dual")
            if ("inet6" if family == "dual" else family) in row["families"]
            and (row["name"], family) != ("IPV6_V6ONLY", "dual")]


def reference(row, family, untuned):
    """A value that makes a difference: (sample, role -> value, role -> value without rules)."""
    best, difference, default = None, {}, {}
    for sample in samples(row):
        alone = values(live(untuned, family, sample))
        by_hand = values(live(untuned, family, sample, by_hand=True))
        seen = {role: value for role, value in by_hand.items()
                if role in row["roles"] and value is not None and value != alone[role]}
        if best is None or len(seen) > len(difference):
            best, difference, default = sample, seen, alone
        if len(difference) == len(row["roles"]):
            break
    return best, difference, default


def values(life):
    return {role: value for role, (_, value) in life.items()}


def roles_to_see(row, family):
    """The roles for which the option must differ."""
    roles = set(row["roles"]) - UNREADABLE.get(row["name"], set())
    if family == "dual" and row["families"] == ["inet6"]:
        roles.discard("connect")  # the client is an IPv4 socket
    return roles


def try_option(row, untuned):
    """Family -> reference(); skips the test for a reason that the row gives."""
    if row["kernel"] is False:
        pytest.skip("this kernel lacks it")
    if row["privilege"] and os.geteuid() != 0:
        pytest.skip(f"needs {row['privilege']}")
    found = {}
    for family in families_of(row):
        sample, expected, default = reference(row, family, untuned)
        if row["name"] == "SO_RESERVE_MEM" and not expected:
            pytest.skip("needs a memory control group")
        seen = roles_to_see(row, family)
        assert seen <= set(expected), \
            f"{sample.text} makes no difference to {seen - set(expected)}, {family}"
        found[family] = sample, {role: expected[role] for role in seen}, default
    return found


def others(row, role):
    """The roles that a rule for `role` must not change. Options for bind() are set before it is
    known whether the socket will listen or connect; TCP_MAXSEG affects both ends."""
    if role is None or row["name"] == "TCP_MAXSEG":
        return set()
    ends = ({"connect"}, {"listen", "accept"}, {"datagram"})
    if row["when"] == "before bind":
        ends = ({"connect", "listen", "accept"}, {"datagram"})
    left_alone = set().union(*(end for end in ends if role not in end))
    # SO_INCOMING_CPU of a connection, if not set, shows where packets arrived.
    return left_alone - ({"connect", "accept"} if row["name"] == "SO_INCOMING_CPU"
                         else UNREADABLE.get(row["name"], set()))


class Tuned:
    """Hosts, each with its own rules, kept for all families."""

    def __init__(self, host, compiled):
        self.host, self.compiled, self.hosts = host, compiled, {}

    def live(self, match, family, sample):
        """(rules, values of the sockets under them)"""
        rules = f"rules = ( {{ {match} set = {{ {sample.name} = {sample.text}; }}; }} );"
        if rules not in self.hosts:
            self.hosts[rules] = self.host(self.compiled(rules, f"{len(self.hosts)}.conf"))
        return rules, values(live(self.hosts[rules], family, sample))


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in table_rows()])
def test_every_option_at_every_role(row, host, compiled):
    tuned = Tuned(host, compiled)
    for family, (sample, expected, default) in try_option(row, host()).items():
        for role in (None, *row["roles"]):
            match = f'match = {{ role = "{role}"; }};' if role else ""
            rules, got = tuned.live(match, family, sample)
            wanted = dict(expected) if role is None else {role: expected.get(role, got[role])}
            if role is None and row["name"] == "SO_RCVTIMEO":
                wanted["listen"] = default["listen"]  # it would make accept() fail
            wanted |= {other: default[other] for other in others(row, role)}
            assert {of: got[of] for of in wanted} == wanted, (family, rules)
        if "accept" not in roles_to_see(row, family):
            continue
        # The rule depends on the peer: options are set at accept(), except those that are too late
        # then, such as a buffer size, which could clamp the window.
        rules, got = tuned.live(PEERS, family, sample)
        late = row["when"] not in ("any time", "after connect, listen")
        assert got["accept"] == (default if late else expected)["accept"], (family, rules)
        assert got["listen"] == default["listen"], (family, rules)


def test_a_buffer_by_local_address_of_any_socket(host, compiled):
    """bind() does not show whether the socket is a datagram socket, to be set now, or a stream
    socket, to be set at connect() or listen()."""
    one = host(compiled('rules = ( { match = { local = "127.0.0.1"; };'
                        ' set = { SO_RCVBUF = "128K"; }; } );'))
    datagram = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(datagram, socket.AF_INET, "127.0.0.1")
    assert one.look(datagram).option("SO_RCVBUF") == 2 * 131072
    listener, _ = one.listener(socket.AF_INET, "127.0.0.1")
    assert one.look(listener).option("SO_RCVBUF") == 2 * 131072


@pytest.mark.parametrize("name", ["SO_SNDBUF", "SO_SNDBUFFORCE"])
@pytest.mark.parametrize("own, wanted", [(None, 2 * 98304), (65536, 2 * 65536)])
def test_a_default_of_a_buffer_that_the_kernel_sizes(own, wanted, name, host, compiled):
    """The kernel enlarges the send buffer of a connection; only a size that the program has set
    counts as the program's."""
    if name == "SO_SNDBUFFORCE":
        needs_root("CAP_NET_ADMIN")
    rules = f'rules = ( {{ {PEERS} default = {{ {name} = "96K"; }}; }} );'
    one = host(compiled(rules))
    listener, port = one.listener(socket.AF_INET, "127.0.0.1")
    if own:
        one.setsockopt(listener, socket.SOL_SOCKET, socket.SO_SNDBUF, own)
    with socket.create_connection(("127.0.0.1", port)):
        accepted = one.accept(listener)
        assert one.look(accepted).option("SO_SNDBUF") == wanted


@pytest.mark.parametrize("name, family", [
    (name, family) for name in UNREADABLE for family in DOMAINS
    if (name, family) != ("IPV6_MTU", "inet")])
def test_what_cannot_be_read_back_is_set(name, family, build, directory, host, compiled):
    program("strace")
    row = next((row for row in table_rows() if row["name"] == name), None)
    if not row or row["kernel"] is False:
        pytest.skip("this kernel lacks it")
    sample = samples(row)[0]
    number = int.from_bytes(sample.data, sys.byteorder)
    rules = compiled(f"rules = ( {{ set = {{ {name} = {sample.text}; }}; }} );")
    environment = preloaded(build, rules)
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    output = directory / "trace"
    one = host(None, strace.command(output, preload))
    made = live(one, family, sample)
    assert one.end() == 0
    calls = [call.text for call in strace.read(output) if call.name == "setsockopt"]
    for role in UNREADABLE[name]:
        if role == "accept":
            continue  # inherited
        fd = made[role][0]
        wanted = rf"setsockopt\({fd}, .*(\b{name}|{row['number']:#x}).*, \[{number}\]"
        assert any(re.match(wanted, text) for text in calls), (role, calls)


# Options that affect each other.

PRIORITY_AND_TOS = """
rules = ( { set = { SO_PRIORITY = 5; IP_TOS = "lowdelay"; }; } );
"""
PRIORITY_AND_DSCP = """
rules = ( { match = { role = "%s"; }; set = { SO_PRIORITY = 3; dscp = "EF"; }; } );
"""


@pytest.mark.parametrize("family", DOMAINS)
def test_priority_after_tos(family, host, compiled):
    """IP_TOS changes SO_PRIORITY, and an accepted socket inherits only IP_TOS."""
    one = host(compiled(PRIORITY_AND_TOS))
    for _, (fd, _) in connect_within(one, family).items():
        seen = one.look(fd).options(["SO_PRIORITY", "IP_TOS"])
        assert seen == {"SO_PRIORITY": 5, "IP_TOS": 0x10}


@pytest.mark.parametrize("family", ["inet", "inet6", "dual"])
@pytest.mark.parametrize("role", ["accept", "connect"])
def test_priority_and_dscp_by_role(role, family, host, compiled):
    one = host(compiled(PRIORITY_AND_DSCP % role))
    made = connect_within(one, family)
    seen = one.look(made[role][0])
    assert seen.option("SO_PRIORITY") == 3
    # The traffic class of IPv4 and of IPv6 packets, also for an IPv4 peer of an IPv6 socket.
    assert seen.option("IP_TOS") == 46 << 2
    if seen.family == socket.AF_INET6:
        assert seen.option("IPV6_TCLASS") == 46 << 2


def connect_within(one, family):
    row = {"name": "SO_KEEPALIVE", "level": socket.SOL_SOCKET, "number": socket.SO_KEEPALIVE,
           "range": "on or off", "when": "any time", "roles": [], "inherited": "yes"}
    made = live(one, family, samples(row)[0])
    del made["datagram"]
    return made


OWN_OPTION = """
import fcntl, os, select, socket, sys
TIMEOUT = socket.IPPROTO_TCP, 18
def make(*options):
    made = socket.socket()
    for level, name, value in options:
        made.setsockopt(level, name, value)
    return made
def end(made):
    try:
        made.setsockopt(*TIMEOUT, 9000)
        error = 0
    except OSError as failure:
        error = failure.errno
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL), error
sol, tcp = socket.SOL_SOCKET, socket.IPPROTO_TCP
one = make((tcp, 1, 1), (sol, 9, 1), (sol, 7, 50000), (sol, 13, b"\\1\\0\\0\\0\\5\\0\\0\\0"))
one.setblocking(False)
print(*end(one), one.getsockopt(*TIMEOUT), [one.getsockopt(*name) for name in
      ((tcp, 1), (sol, 9), (sol, 7), (tcp, 5), (tcp, 8))], one.getsockopt(sol, 13, 8)[4],
      fcntl.fcntl(one, fcntl.F_GETFL) & os.O_NONBLOCK != 0, os.get_inheritable(one.fileno()))
watched, epoll = make(), select.epoll()
epoll.register(watched, select.EPOLLOUT)
held = make()
other = os.dup(held.fileno())
bound = make()
bound.bind(("127.0.0.1", 0))
listener = socket.create_server(("127.0.0.1", 0))
connected = make()
connected.connect(listener.getsockname())
unheld = make()
print(end(watched), end(held), end(bound), end(connected), end(unheld))
"""


@pytest.mark.parametrize("more, timeout", [("", 9000), ("force = { TCP_USER_TIMEOUT = 5000ms; };", 5000)],
                         ids=["", "force"])
def test_transport_mptcp_and_an_option_that_mptcp_lacks(build, compiled, more, timeout):
    """The program's own call succeeds: the socket becomes a TCP socket with all its options. If
    the socket has another descriptor, is in an epoll set or is bound, the kernel's error stays."""
    rules = compiled('rules = ( { set = { transport = "mptcp"; TCP_KEEPINTVL = 71; TCP_LINGER2 = "3s"; };'
                     f' {more.replace("5000ms", chr(34) + "5s" + chr(34))} }} );')
    done = subprocess.run([sys.executable, "-c", OWN_OPTION], env=preloaded(build, rules),
                          capture_output=True, text=True, check=True, timeout=30)
    first, second = done.stdout.splitlines()
    assert first == f"6 0 {timeout} [1, 1, 100000, 71, 3] 5 True False"
    assert second == "(262, 92) (262, 92) (262, 92) (262, 92) (6, 0)"


def test_transport_mptcp_and_back(host, compiled):
    """socket() creates an MPTCP socket; TCP options are inherited through it. A server that accepts
    plain TCP gets plain TCP."""
    one = host(compiled('rules = ( { set = { transport = "mptcp"; TCP_NODELAY = true; }; } );'))
    listener, port = one.listener(socket.AF_INET, "127.0.0.1")
    client = one.socket(socket.AF_INET)
    if one.look(client).protocol != kernel.IPPROTO_MPTCP:
        pytest.skip("this kernel has no MPTCP")
    one.connect(client, socket.AF_INET, "127.0.0.1", port)
    accepted = one.accept(listener)
    for fd in (listener, client, accepted):
        assert one.look(fd).protocol == kernel.IPPROTO_MPTCP
        assert one.look(fd).option("TCP_NODELAY") == 1
    with socket.create_connection(("127.0.0.1", port)):
        assert one.look(one.accept(listener)).option("TCP_NODELAY") == 1


PLAIN_TCP = """
rules = ( { name = "keepalive"; match = { role = "accept"; protocol = "tcp"; };
            set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 77; }; },
          { name = "timeout"; set = { TCP_USER_TIMEOUT = "45s"; TCP_KEEPCNT = 5;
                                      SO_PRIORITY = 5; }; }%s );
"""
PLAIN_VALUES = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 77, "TCP_USER_TIMEOUT": 45000, "SO_PRIORITY": 5}


def multipath_listener(one, protocol=kernel.IPPROTO_MPTCP):
    """An MPTCP listener; returns (descriptor, port)."""
    fd = one.socket(socket.AF_INET, protocol=protocol)
    if one.look(fd).protocol != kernel.IPPROTO_MPTCP:
        pytest.skip("this kernel has no MPTCP")
    one.bind(fd, socket.AF_INET, "127.0.0.1", 0)
    one.listen(fd)
    return fd, one.name(fd)[1]


@pytest.mark.parametrize("who", ["program", "rule"])
def test_plain_tcp_accepted_by_a_listener_of_mptcp(host, compiled, who):
    """The type of the accepted socket decides, not that of its listener."""
    transport = ', { set = { transport = "mptcp"; }; }'
    one = host(compiled(PLAIN_TCP % (transport if who == "rule" else "")))
    listener, port = multipath_listener(one, 0 if who == "rule" else kernel.IPPROTO_MPTCP)
    for accept in (one.accept, lambda fd: one.accept4(fd, 0)):
        with socket.create_connection(("127.0.0.1", port)):
            accepted = one.look(accept(listener))
            assert accepted.protocol == socket.IPPROTO_TCP
            assert accepted.options(PLAIN_VALUES) == PLAIN_VALUES
    # To a rule on accepted sockets, an MPTCP socket is not TCP.
    client = one.socket(socket.AF_INET, protocol=kernel.IPPROTO_MPTCP)
    one.connect(client, socket.AF_INET, "127.0.0.1", port)
    accepted = one.look(one.accept(listener))
    assert accepted.protocol == kernel.IPPROTO_MPTCP
    assert accepted.option("SO_KEEPALIVE") == 0


def test_what_a_program_set_on_its_listener_of_mptcp_stands_against_default(host, compiled):
    rules = PLAIN_TCP.replace("set =", "default =") % ""
    one = host(compiled(rules))
    listener, port = multipath_listener(one)
    one.setsockopt(listener, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 99)
    with socket.create_connection(("127.0.0.1", port)):
        accepted = one.look(one.accept(listener))
    values = {**PLAIN_VALUES, "TCP_KEEPIDLE": 99}
    assert accepted.options(values) == values


def test_an_mptcp_listener_of_another_process(host, compiled):
    """The library sees the listener for the first time at accept()."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, kernel.IPPROTO_MPTCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        fd = listener.fileno()
        one = host(compiled(PLAIN_TCP % ""), pass_fds=[fd])
        for accept in (one.accept, lambda fd: one.accept4(fd, 0)):
            with socket.create_connection(listener.getsockname()):
                accepted = one.look(accept(fd))
                assert accepted.protocol == socket.IPPROTO_TCP
                assert accepted.options(PLAIN_VALUES) == PLAIN_VALUES


def test_a_listener_of_another_process_is_asked_once(build, host, compiled, directory):
    program("strace")
    environment = preloaded(build, compiled('rules = ( { set = { TCP_USER_TIMEOUT = "9s"; }; } );'))
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    output = directory / "trace"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = host(None, strace.command(output, preload), pass_fds=[listener.fileno()])
        for _ in range(2):
            with socket.create_connection(listener.getsockname()):
                one.accept(listener.fileno())
        assert one.end() == 0
    calls = [call.name for call in strace.read(output) if call.name in strace.SOCKET_CALLS]
    assert calls[calls.index("accept"):] == ["accept", "getsockopt", "accept"], calls


def test_accept_asks_only_where_a_listener_of_mptcp_is(build, host, compiled, directory):
    """If a rule depends on the type, listen() makes an additional call; accept() makes none."""
    program("strace")
    environment = preloaded(build, compiled("rules = ( { set = { TCP_USER_TIMEOUT = 9s; }; } );"
                                            .replace("9s", '"9s"')))
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    output = directory / "trace"
    one = host(None, strace.command(output, preload))
    listener, port = one.listener(socket.AF_INET, "127.0.0.1")
    with socket.create_connection(("127.0.0.1", port)):
        one.accept(listener)
    assert one.end() == 0
    calls = [call.name for call in strace.read(output) if call.name in strace.SOCKET_CALLS]
    at = calls.index("listen")
    assert calls[at - 1] == "getsockopt" and calls[at - 2] != "getsockopt", calls
    assert calls[at:] == ["listen", "getsockname", "accept"], calls


def test_source_address(host, compiled, silent_listener):
    rules = compiled("""rules = ( { match = { role = "connect"; remote = "127.0.0.0/8"; };
                                    set = { source = "127.0.0.9"; }; } );""")
    one = host(rules)
    with silent_listener("inet") as listener:
        client = one.socket(socket.AF_INET)
        one.connect(client, socket.AF_INET, *listener.getsockname())
        assert one.look(client).local[0] == "127.0.0.9"
        bound = one.socket(socket.AF_INET)  # an address that the program itself has bound stays
        one.bind(bound, socket.AF_INET, "127.0.0.5", 0)
        one.connect(bound, socket.AF_INET, *listener.getsockname())
        assert one.look(bound).local[0] == "127.0.0.5"


# Sockets whose creation the library did not see.

HANDED_ON = """
rules = (
  { match = { role = [ "listen", "accept" ]; };
    set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 611; TCP_USER_TIMEOUT = "45s"; dscp = "AF21";
            SO_PRIORITY = 5; TCP_NOTSENT_LOWAT = 131072; }; }
);
"""
HANDED_ON_VALUES = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 611, "TCP_USER_TIMEOUT": 45000,
                    "IP_TOS": 0x48, "SO_PRIORITY": 5, "TCP_NOTSENT_LOWAT": 131072}


# A listener of the parent that is not passed by LISTEN_FDS.
LEAKED = HANDED_ON.replace("set =", "inherited = true; set =")
assert LEAKED != HANDED_ON


def listener_of_parent(family):
    return socket.create_server((LOOPBACK[family], 0), family=DOMAINS[family])


@pytest.mark.parametrize("family", DOMAINS)
def test_listener_of_a_parent(family, host, compiled):
    """It is inherited open; the library never sees its listen()."""
    with listener_of_parent(family) as listener:
        fd = listener.fileno()
        one = host(compiled(LEAKED), pass_fds=[fd])
        one.call("fcntl", fd, fcntl.F_GETFD, 0)  # the answer shows that the program has started
        assert one.look(fd).options(HANDED_ON_VALUES) == HANDED_ON_VALUES
        for accept in (one.accept, lambda fd: one.accept4(fd, 0)):
            with socket.create_connection(listener.getsockname()[:2]):
                assert one.look(accept(fd)).options(HANDED_ON_VALUES) == HANDED_ON_VALUES


@pytest.mark.parametrize("family", DOMAINS)
def test_connections_that_waited_for_the_program(family, host, compiled):
    """Their handshake was complete before any option could be set on the listener."""
    with listener_of_parent(family) as listener, \
            socket.create_connection(listener.getsockname()[:2]), \
            socket.create_connection(listener.getsockname()[:2]):
        one = host(compiled(LEAKED), pass_fds=[listener.fileno()])
        accepted = [one.accept(listener.fileno()), one.accept4(listener.fileno(), 0)]
        for fd in accepted:
            assert one.look(fd).options(HANDED_ON_VALUES) == HANDED_ON_VALUES


ACTIVATED = """
import os, socket, time
assert os.environ["LISTEN_FDS"] == "1" and int(os.environ["LISTEN_PID"]) == os.getpid()
listener = socket.socket(fileno=3)
kept = [listener.accept() for _ in range(2)]
time.sleep(60)
"""


def until_accepted(started, port, count=1, wanted=None):
    """Wait until the program has so many connections at its port, all with these options; the test
    may see a connection between accept() and the setting of its options."""
    wanted = wanted or HANDED_ON_VALUES

    def accepted():
        found = [one for one in started.tcp() if one.state == "ESTABLISHED"
                 and one.local[1] == port]
        return len(found) == count and all(one.options(wanted) == wanted for one in found)
    started.until(accepted, f"{count} accepted sockets with {wanted}", timeout=10)


@pytest.mark.parametrize("family", DOMAINS)
def test_systemd_socket_activation(family, start, compiled, free_port, build):
    """The connection that triggers the start of the service exists before the service."""
    port = free_port()
    address = f"[::1]:{port}" if family == "inet6" else f"127.0.0.1:{port}"
    started = start([program("systemd-socket-activate"), "-l", address,
                     "-E", f"LD_PRELOAD={build.library}",
                     "-E", f"SOCKTUNE_RULES={compiled(HANDED_ON)}",
                     program("python3"), "-c", ACTIVATED])
    started.until_listening(port)
    with socket.create_connection((LOOPBACK[family], port)):
        until_accepted(started, port)
        with socket.create_connection((LOOPBACK[family], port)):
            until_accepted(started, port, 2)


@pytest.mark.parametrize("family", DOMAINS)
def test_haproxy_on_a_listener_of_its_parent(family, start, compiled, directory):
    configuration = directory / "haproxy.cfg"
    with listener_of_parent(family) as listener:
        configuration.write_text(
            "defaults\n mode http\n timeout client 20s\n timeout connect 9s\n timeout server 9s\n"
            f"frontend f\n bind fd@{listener.fileno()}\n"
            " http-request return status 200 content-type text/plain string hello\n")
        rules = LEAKED.replace('TCP_USER_TIMEOUT = "45s";', "")  # haproxy sets it to 0
        started = start([program("haproxy", "usr/sbin/haproxy"), "-db", "-f", configuration],
                        compiled(rules), pass_fds=[listener.fileno()])
        started.until(lambda: [one for one in started.tcp()
                               if one.listens and one.option("SO_KEEPALIVE")], "its start")
        with socket.create_connection(listener.getsockname()[:2]) as connection:
            wanted = {**HANDED_ON_VALUES}
            del wanted["TCP_USER_TIMEOUT"]
            until_accepted(started, listener.getsockname()[1], wanted=wanted)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 200 " in connection.recv(4096)


@pytest.mark.parametrize("family", DOMAINS)
def test_inetd_connection_on_descriptor_0(family, start, compiled):
    """inetd's `nowait`: the connection is the program's standard input and output."""
    with listener_of_parent(family) as listener, \
            socket.create_connection(listener.getsockname()[:2]) as client:
        with listener.accept()[0] as accepted:
            started = start([program("cat")], compiled(HANDED_ON), stdin=accepted.fileno(),
                            stdout=accepted.fileno())
        client.sendall(b"hello")
        client.settimeout(20)
        assert client.recv(100) == b"hello"
        for fd in (0, 1):
            seen = kernel.describe(started.pid, fd).options(HANDED_ON_VALUES)
            assert seen == HANDED_ON_VALUES


def test_inetd_listener_on_descriptor_0(start, compiled):
    """inetd's `wait`: the listener itself is descriptor 0."""
    with listener_of_parent("inet") as listener:
        port = listener.getsockname()[1]
        started = start([program("python3"), "-c",
                         "import socket, time\n"
                         "kept = socket.socket(fileno=0).accept()\n"
                         "time.sleep(60)"], compiled(HANDED_ON), stdin=listener.fileno())
    with socket.create_connection(("127.0.0.1", port)):
        until_accepted(started, port)


# Sockets that leaked.

KEEPALIVE = """rules = ( { set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 7; }; %s } );"""
UNTOUCHED = {"SO_KEEPALIVE": 0, "TCP_KEEPCNT": 9}
GIVEN = {"SO_KEEPALIVE": 1, "TCP_KEEPCNT": 7}

@pytest.fixture(params=["preload", "supervise"])
def child_of(request, build, compiled, rule_file):
    """Start a program that inherits descriptors, by each front end, and wait for its end."""
    def run(rules, *fds, **variables):
        command = [program("sh"), "-c", 'export LISTEN_PID=$$; exec "$0"', program("true")]
        environment = {**os.environ, **variables}
        if request.param == "preload":
            environment |= preloaded(build, compiled(rules)) | variables
        else:
            command = [program("sh"), "-c", 'export LISTEN_PID=$$; exec "$@"', "sh",
                       build.socktune, "run", "--supervise", "-c", rule_file(rules), "--",
                       program("true")]
        subprocess.run(command, env=environment, pass_fds=fds, check=True, timeout=30)
    return run


def values_of(listener):
    return kernel.describe(os.getpid(), listener.fileno()).options(UNTOUCHED)


def test_what_leaked_is_the_parents(child_of):
    """A rule for a program that a server starts does not apply to the server's sockets."""
    with listener_of_parent("inet") as listener:
        child_of(KEEPALIVE % "", listener.fileno())
        assert values_of(listener) == UNTOUCHED


def test_what_leaked_is_tuned_by_a_rule_that_says_so(child_of):
    with listener_of_parent("inet") as listener:
        child_of(KEEPALIVE % "inherited = true;", listener.fileno())
        assert values_of(listener) == GIVEN


def test_only_the_rules_that_say_so_are_for_what_leaked(child_of):
    with listener_of_parent("inet") as listener:
        child_of("""rules = ( { inherited = true; set = { SO_KEEPALIVE = true; }; },
                              { set = { SO_KEEPALIVE = false; TCP_KEEPCNT = 7; }; } );""",
                 listener.fileno())
        assert values_of(listener) == {"SO_KEEPALIVE": 1, "TCP_KEEPCNT": 9}


def test_a_default_leaves_what_the_maker_of_the_socket_has_set(child_of):
    rules = """rules = ( { inherited = true;
                           default = { SO_KEEPALIVE = true; TCP_KEEPCNT = 7; }; } );"""
    with listener_of_parent("inet") as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        child_of(rules, listener.fileno())
        assert values_of(listener) == {"SO_KEEPALIVE": 1, "TCP_KEEPCNT": 3}


@pytest.mark.parametrize("count, expected", [("1", GIVEN), ("0", UNTOUCHED), ("x", UNTOUCHED)])
def test_listen_fds_says_how_many_are_handed_over(child_of, count, expected):
    with listener_of_parent("inet") as listener:
        kept = os.dup(3)
        try:
            os.dup2(listener.fileno(), 3)
            child_of(KEEPALIVE % "", 3, LISTEN_FDS=count)
        finally:
            os.dup2(kept, 3)
            os.close(kept)
        assert values_of(listener) == expected
