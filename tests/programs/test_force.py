# SPDX-License-Identifier: MIT
"""`force`, `ignore`, `at_least` and `at_most` with programs that set the option in every possible
way.

A forced option is never worse than the program's own setting: either the rule's value is set at
once, or the program's call is let through. What the kernel would refuse is still refused.
"""
import json
import os
import socket

import pytest

# The beginning of the tested programs: values as lists of bytes or numbers, errors by name.
PREAMBLE = """
import ctypes, errno, json, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def put(one, level, number, value, length=None):
    if isinstance(value, int):
        value = struct.pack("i", value)
    ctypes.set_errno(0)
    where = ctypes.c_void_p(value[0]) if isinstance(value, tuple) else value
    size = length if length is not None else len(value)
    if libc.setsockopt(one.fileno(), level, number, where, size) != 0:
        return errno.errorcode[ctypes.get_errno()]
    return 0
def get(one, level, number, size=4):
    value = one.getsockopt(level, number, size)
    return struct.unpack("i", value)[0] if size == 4 else list(value)
def say(*values):
    print(json.dumps(values), flush=True)
TCP, IP, SOL = socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.SOL_SOCKET
one, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
"""

# The rules of the group, the program, its output.
CASES = {
    "held": ("force = { TCP_KEEPCNT = 9; };",
             "say(put(one, TCP, 6, 3), get(one, TCP, 6))", [0, 9]),
    "refused by the kernel": (
        'force = { TCP_CONGESTION = "no-such-one"; };',
        'say(put(one, TCP, 13, b"reno"), bytes(get(one, TCP, 13, 4 + 1))[:4].decode())',
        [0, "reno"]),
    "of another protocol": (
        "force = { TCP_KEEPCNT = 9; };",
        "say(put(udp, TCP, 6, 3))", ["EOPNOTSUPP", "ENOPROTOOPT"]),
    "too short": ("force = { TCP_KEEPCNT = 9; };",
                  'say(put(one, TCP, 6, b"x"), get(one, TCP, 6))', ["EINVAL", 9]),
    "no length at all": ("ignore = [ \"TCP_KEEPCNT\" ];",
                         'say(put(one, TCP, 6, b""))', ["EINVAL"]),
    "a negative length": ("force = { TCP_KEEPCNT = 9; };",
                          "say(put(one, TCP, 6, 3, -1))", ["EINVAL"]),
    "NULL": ("force = { TCP_KEEPCNT = 9; };",
             "say(put(one, TCP, 6, (0,), 4))", ["EFAULT"]),
    "a wild pointer": ("ignore = [ \"SO_KEEPALIVE\" ];",
                       "say(put(one, SOL, 9, (1 << 46, ), 4))", ["EFAULT"]),
    "no socket": ("force = { TCP_KEEPCNT = 9; };",
                  "say(put(sys.stdin, TCP, 6, 3))", ["ENOTSOCK"]),
    "the privileged name": (
        'force = { SO_RCVBUF = "16K"; };',
        "say(put(one, SOL, 33, 1 << 20), get(one, SOL, 8))", [0, 32768]),
    "the unprivileged name": (
        'force = { SO_SNDBUFFORCE = "16K"; };',
        "say(put(one, SOL, 7, 1 << 20), get(one, SOL, 7))", [0, 32768]),
    "the privileged name of an ignored one": (
        'ignore = [ "SO_RCVBUF" ];',
        "before = get(one, SOL, 8)\nsay(put(one, SOL, 33, 1 << 20), get(one, SOL, 8) == before)",
        [0, True]),
    "the device by its index": (
        'force = { SO_BINDTODEVICE = "lo"; };',
        "say(put(one, SOL, 62, 0), get(one, SOL, 62))", [0, 1]),
    "the device by nothing": (
        'force = { SO_BINDTODEVICE = "lo"; };',
        'say(put(one, SOL, 25, b""), get(one, SOL, 62))', [0, 1]),
    "the other family's name": (
        "force = { IP_FREEBIND = true; };",
        "six = socket.socket(socket.AF_INET6)\n"
        "say(put(six, 41, 78, 0), get(six, IP, 15))", [0, 1]),
    "a timeout by its old number": (
        'force = { SO_SNDTIMEO = "7s"; };',
        'say(put(one, SOL, 21, struct.pack("ll", 1, 0)), get(one, SOL, 21, 16)[0])', [0, 7]),
    "a timeout by its new number": (
        'force = { raw = ( { level = 1; option = 21; value = [ 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 ]; }'
        " ); };",
        'say(put(one, SOL, 67, struct.pack("qq", 1, 0)), get(one, SOL, 21, 16)[0])', [0, 7]),
    "raw by the number of a named one": (
        "force = { raw = ( { level = 6; option = 6; value = 9; } ); };",
        "say(put(one, TCP, 6, 3), get(one, TCP, 6))", [0, 9]),
    "a side effect on the priority": (
        "force = { SO_PRIORITY = 5; };",
        "say(put(one, IP, 1, 0x10), get(one, SOL, 12), get(one, IP, 1))", [0, 5, 16]),
    "a side effect on an ignored priority": (
        'ignore = [ "SO_PRIORITY" ];',
        "say(put(one, IP, 1, 0x10), get(one, SOL, 12), get(one, IP, 1))", [0, 0, 16]),
    "the bits of congestion notification": (
        'force = { dscp = "EF"; };',
        "say(put(udp, IP, 1, 0x11), get(udp, IP, 1), put(udp, IP, 1, bytes([2])), "
        "get(udp, IP, 1))", [0, 46 << 2 | 1, 0, 46 << 2 | 2]),
    "both bytes of TOS at once": (
        'force = { dscp = "EF"; SO_PRIORITY = 2; };',
        "say(put(udp, IP, 1, 0x12), get(udp, IP, 1), get(udp, SOL, 12))", [0, 46 << 2 | 2, 2]),
    "at least, the system's default": (
        "at_least = { TCP_KEEPCNT = 9; TCP_SYNCNT = 3; };",
        "say(get(one, TCP, 6), get(one, TCP, 7))", [9, 6]),
    "at least, below and above": (
        "at_least = { TCP_KEEPCNT = 9; };",
        "say(put(one, TCP, 6, 3), get(one, TCP, 6), put(one, TCP, 6, 12), get(one, TCP, 6), "
        "put(one, TCP, 6, 9), get(one, TCP, 6))", [0, 9, 0, 12, 0, 9]),
    "at most, below and above": (
        "at_most = { TCP_KEEPCNT = 9; };",
        "say(put(one, TCP, 6, 12), get(one, TCP, 6), put(one, TCP, 6, 3), get(one, TCP, 6))",
        [0, 9, 0, 3]),
    "at least, a buffer, which is told doubled": (
        'at_least = { SO_RCVBUF = "32K"; };',
        "say(put(one, SOL, 8, 20000), get(one, SOL, 8), put(one, SOL, 8, 40000), get(one, SOL, 8))",
        [0, 65536, 0, 80000]),
    "at most, a buffer": (
        'at_most = { SO_SNDBUF = "32K"; };',
        "say(put(one, SOL, 7, 60000), get(one, SOL, 7), put(one, SOL, 7, 20000), get(one, SOL, 7))",
        [0, 65536, 0, 40000]),
    "at most, by the privileged name": (
        'at_most = { SO_RCVBUF = "16K"; };',
        "say(put(one, SOL, 33, 1 << 20), get(one, SOL, 8))", [0, 32768]),
    "at most, a rate of 64 bits, of 32, and none at all": (
        'at_most = { SO_MAX_PACING_RATE = "1M"; };',
        "say(put(one, SOL, 47, struct.pack('Q', 1 << 40)), *struct.unpack('Q', one.getsockopt(SOL, 47, 8)),"
        " put(one, SOL, 47, 5000), *struct.unpack('Q', one.getsockopt(SOL, 47, 8)),"
        " put(one, SOL, 47, -1), *struct.unpack('Q', one.getsockopt(SOL, 47, 8)))",
        [0, 1 << 20, 0, 5000, 0, 1 << 20]),
    "at least, a rate without a limit": (
        'at_least = { SO_MAX_PACING_RATE = "1M"; };',
        "say(put(one, SOL, 47, 5000), *struct.unpack('Q', one.getsockopt(SOL, 47, 8)),"
        " put(one, SOL, 47, -1), one.getsockopt(SOL, 47, 8) == bytes([255] * 8))",
        [0, 1 << 20, 0, True]),
    "at most, a byte": (
        "at_most = { IP_TTL = 30; };",
        "say(put(one, IP, 2, bytes([90])), get(one, IP, 2), put(one, IP, 2, bytes([9])), get(one, IP, 2))",
        [0, 30, 0, 9]),
    "at most, the default by its number": (
        "at_most = { IP_TTL = 30; };", "say(put(one, IP, 2, -1), get(one, IP, 2))", [0, 30]),
    "at least, too short": ("at_least = { TCP_KEEPCNT = 9; };",
                            'say(put(one, TCP, 6, b"x"), get(one, TCP, 6))', ["EINVAL", 9]),
    "at least, a wild pointer": ("at_least = { TCP_KEEPCNT = 9; };",
                                 "say(put(one, TCP, 6, (1 << 46, ), 4))", ["EFAULT"]),
    "at most, half a rate at the end of memory": (
        'at_most = { SO_MAX_PACING_RATE = "1M"; };',
        "import mmap\n"
        "pages = mmap.mmap(-1, 8192)\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(pages))\n"
        "libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\n"
        "libc.mprotect(at + 4096, 4096, 0)\n"
        "say(put(one, SOL, 47, (at + 4092,), 8))", ["EFAULT"]),
    "at least, another protocol": (
        "at_least = { TCP_KEEPCNT = 9; };",
        "say(put(udp, TCP, 6, 3))", ["EOPNOTSUPP", "ENOPROTOOPT"]),
    "at least, of the role that the socket takes later": (
        'match = { role = "connect"; }; at_least = { TCP_KEEPCNT = 9; };',
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "said = [put(one, TCP, 6, 3), get(one, TCP, 6)]\n"
        "one.connect(listener.getsockname())\n"
        "say(*said, get(one, TCP, 6), put(one, TCP, 6, 4), get(one, TCP, 6))", [0, 3, 9, 0, 9]),
}


@pytest.fixture
def speak(python_under):
    """Run a program under rules, by each front end; returns its output."""
    def run(rules, script, **keywords):
        written = python_under(rules, PREAMBLE + script, **keywords)
        return [json.loads(line) for line in written.splitlines()]
    run.way = python_under.way
    return run


@pytest.mark.parametrize("name", CASES)
def test_against_every_way_to_set_it(speak, name):
    statements, script, expected = CASES[name]
    if "privileged name" in name and os.geteuid() != 0:
        pytest.skip("needs root: to set a buffer by force")
    # The supervisor sets the options of socket() at the next call that it is notified of.
    before = "" if speak.way == "preload" else 'one.bind(("127.0.0.1", 0)); udp.bind(("", 0))\n'
    if speak.way == "supervise" and "device" in name:
        pytest.skip("bind() and the option are in each other's way")
    said, = speak(f"rules = ( {{ {statements} }} );", before + script)
    assert said == expected or (len(said) == 1 and said[0] in expected)


def test_a_socket_that_was_received(speak):
    """The forced value was not set when it was created."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket() as sent:
        socket.send_fds(ours, [b"x"], [sent.fileno()])
        said, = speak("rules = ( { force = { TCP_KEEPCNT = 9; }; } );", f"""
data, fds, *_ = socket.recv_fds(socket.socket(fileno={theirs.fileno()}), 1, 1)
one = socket.socket(fileno=fds[0])
say(put(one, TCP, 6, 3), get(one, TCP, 6))""", pass_fds=[theirs.fileno()])
    assert said == [0, 9]


def test_a_timeout_that_a_listener_is_not_given(speak):
    """The rule has no role: its timeout is for connections, and accept() keeps the program's
    timeout."""
    said, = speak('rules = ( { force = { SO_RCVTIMEO = "9s"; }; } );', """
one.bind(("127.0.0.1", 0))
one.listen()
result = put(one, SOL, 20, struct.pack("ll", 0, 100000))
begin = time.monotonic()
try:
    one.accept()
except OSError as error:
    say(result, errno.errorcode[error.errno], time.monotonic() - begin < 5)
""")
    assert said == [0, "EAGAIN", True]


def test_what_is_forced_later_is_not_taken_away_before(speak):
    said, = speak("""rules = ( { match = { role = "connect"; };
        force = { TCP_KEEPCNT = 9; }; } );""", """
listener = socket.create_server(("127.0.0.1", 0))
said = [put(one, TCP, 6, 3), get(one, TCP, 6)]
one.connect(listener.getsockname())
say(*said, get(one, TCP, 6), put(one, TCP, 6, 4), get(one, TCP, 6))""")
    assert said == [0, 3, 9, 0, 9]
