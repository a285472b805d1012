# SPDX-License-Identifier: MIT
"""`require = true`: the program's call fails if an option of the rule cannot be set."""
import json
import socket

import pytest

PREAMBLE = """
import errno, json, socket
def tried(call, *arguments):
    try:
        call(*arguments)
        return 0
    except OSError as error:
        return errno.errorcode[error.errno]
one, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
"""

# A device that does not exist: the kernel returns ENODEV.
TUNNEL = 'SO_BINDTODEVICE = "no-such-dev";'

# The rule, the program's calls, the result of each.
CASES = {
    "connect": (f'match = {{ role = "connect"; }}; set = {{ {TUNNEL} }}; require = true;',
                "tried(one.connect, there)", ["ENODEV"]),
    "a listener, by a rule on connecting sockets": (
        f'match = {{ role = "connect"; }}; set = {{ {TUNNEL} }}; require = true;',
        'tried(one.bind, ("127.0.0.1", 0)), tried(one.listen)', [0, 0]),
    "without require": (f'match = {{ role = "connect"; }}; set = {{ {TUNNEL} }};',
                        "tried(one.connect, there)", [0]),
    "elsewhere": (f'match = {{ remote = "192.0.2.0/24"; }}; set = {{ {TUNNEL} }}; require = true;',
                  "tried(one.connect, there)", [0]),
    "by the peer": (f'match = {{ remote = "127.0.0.0/8"; }}; set = {{ {TUNNEL} }}; require = true;',
                    "tried(one.connect, there), tried(udp.connect, there)", ["ENODEV", "ENODEV"]),
    "bind, then listen": (
        f'match = {{ local = "127.0.0.0/8"; }}; set = {{ {TUNNEL} }}; require = true;',
        'tried(one.bind, ("127.0.0.1", 0))', ["ENODEV"]),
    "listen": (
        'match = { role = "listen"; local_port = "1-65535"; };'
        'set = { TCP_CONGESTION = "no-such-one"; }; require = true;',
        'tried(one.bind, ("127.0.0.1", 0)), tried(one.listen)', [0, "ENOENT"]),
    "a source that is not ours": (
        'match = { role = "connect"; }; set = { source = "192.0.2.1"; }; require = true;',
        "tried(one.connect, there)", ["EADDRNOTAVAIL"]),
    "bound elsewhere than the source": (
        'match = { role = "connect"; }; set = { source = "127.0.0.2"; }; require = true;',
        'tried(one.bind, ("127.0.0.3", 0)), tried(one.connect, there)', [0, "EADDRNOTAVAIL"]),
    "bound to the source already": (
        'match = { role = "connect"; }; set = { source = "127.0.0.3"; }; require = true;',
        'tried(one.bind, ("127.0.0.3", 0)), tried(one.connect, there)', [0, 0]),
    "not for this protocol": (
        'set = { TCP_KEEPCNT = 3; }; require = true;',
        "tried(udp.connect, there), tried(one.connect, there), one.getsockopt(6, 6)", [0, 0, 3]),
    "for TCP, on MPTCP": (
        'set = { TCP_USER_TIMEOUT = "9s"; }; require = true;',
        "tried(udp.connect, there), tried(socket.socket(proto=262).connect, there)",
        [0, "ENOPROTOOPT"]),
    "what can be given": (
        'match = { role = "connect"; }; set = { TCP_KEEPCNT = 3; }; require = true;',
        "tried(one.connect, there), one.getsockopt(6, 6)", [0, 3]),
}


@pytest.fixture
def speak(python_under):
    """Run a program under rules, by each front end; returns its output. `there` is a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = f"there = {listener.getsockname()}\n"
        yield lambda rules, script: json.loads(python_under(rules, PREAMBLE + there + script))


@pytest.mark.parametrize("name", CASES)
def test_the_call_fails_with_the_options_error(speak, name):
    statements, script, expected = CASES[name]
    assert speak(f"rules = ( {{ {statements} }} );",
                 f"print(json.dumps([{script}]))") == expected


def test_a_socket_without_a_role_is_refused_at_connect(speak):
    """Options usually set at socket() are set at a call that can fail."""
    assert speak('rules = ( { match = { protocol = "udp"; }; set = { SO_BINDTODEVICE = "no-such-dev"; };'
                 "  require = true; } );",
                 "print(json.dumps([tried(udp.connect, there)]))") == ["ENODEV"]


LISTENING = """
import ctypes, json, socket, struct
said = []
for backlog in (10, 60, -1):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert ctypes.CDLL(None).listen(one.fileno(), backlog) == 0
        said.append(struct.unpack_from("I", one.getsockopt(6, 11, 200), 28)[0])
print(json.dumps(said))
"""


@pytest.mark.parametrize("statement, expected", [
    ("set = { backlog = 77; };", [77, 77, 77]),
    ("at_least = { backlog = 50; };", [50, 60, None]),
    ("at_most = { backlog = 50; };", [10, 50, 50])])
def test_backlog(speak, statement, expected):
    """-1 is the maximum that the system allows."""
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        greatest = int(file.read())
    assert speak(f"rules = ( {{ {statement} }} );", LISTENING) == [
        greatest if value is None else value for value in expected]


def test_explain_says_what_is_required(rule_file, socktune):
    rules = rule_file(f"rules = ( {{ name = \"vpn\"; set = {{ {TUNNEL} }}; require = true; }} );")
    said = socktune("explain", "-c", rules, "-p", "x", "--connect", "192.0.2.1:1").stdout
    assert "Where an option of vpn cannot be given, the call fails: require," in said
    told = json.loads(socktune("explain", "-c", rules, "-p", "x", "--connect", "192.0.2.1:1",
                               "--json").stdout)
    assert [rule["require"] for rule in told["rules"]] == [True]
