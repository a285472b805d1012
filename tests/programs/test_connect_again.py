# SPDX-License-Identifier: MIT
"""connect() of a socket that was connected before, and the other calls that connect.

A program calls connect() again to get the result of the first call, to try another address after a
failure, or to change the peer of a datagram socket.
"""
import contextlib
import errno
import fcntl
import os
import socket
import struct
import subprocess

import pytest
import strace
from conftest import needs_root, preloaded, program
from host import pack_address

MSG_FASTOPEN = 0x20000000

NEAR = """
rules = ( { name = "near"; match = { remote = "127.0.0.1"; };
            set = { SO_KEEPALIVE = true; IP_TTL = 33; SO_PRIORITY = 3; SO_SNDBUF = "128K"; }; },
          { name = "tcp"; match = { role = "connect"; remote = "127.0.0.1"; };
            set = { TCP_KEEPCNT = 7; TCP_CONGESTION = "reno"; }; } );
"""
SOURCE = """
rules = ( { name = "near"; match = { remote = "127.0.0.1"; }; set = { source = "127.0.0.9"; }; } );
"""
NAMES = ["SO_KEEPALIVE", "IP_TTL", "SO_PRIORITY", "SO_SNDBUF", "TCP_KEEPCNT", "TCP_CONGESTION"]


def seen(host, fd, names=tuple(NAMES)):
    return host.look(fd).options(names)


def nonblocking(host, fd):
    host.call("fcntl", fd, fcntl.F_SETFL, os.O_NONBLOCK)


@pytest.mark.parametrize("waits", [False, True])
def test_asking_for_the_result_gives_nothing_again(host, compiled, silent_listener, waits):
    """The options that the program sets between both calls stay."""
    one = host(compiled(NEAR))
    with silent_listener("inet") as listener:
        port = listener.getsockname()[1]
        fd = one.socket(socket.AF_INET)
        if waits:
            nonblocking(one, fd)
        one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", port))
        one.call("poll", fd, 4, 5000)
        own = {"SO_KEEPALIVE": 0, "TCP_KEEPCNT": 3, "IP_TTL": 60}
        one.setsockopt(fd, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        one.setsockopt(fd, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        one.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TTL, 60)
        answer = one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", port))
        assert (answer.result, answer.error) in ((0, 0), (-1, errno.EISCONN))
        assert seen(one, fd, own) == own


def test_while_a_connection_is_under_way_nothing_is_given_again(host, compiled):
    """A listener whose queue is full does not answer SYNs."""
    one = host(compiled(NEAR))
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        address = pack_address(socket.AF_INET, *full.getsockname())
        fd = one.socket(socket.AF_INET)
        nonblocking(one, fd)
        assert one.call("connect", fd, address).error == errno.EINPROGRESS
        assert one.look(fd).state == "SYN_SENT"
        one.setsockopt(fd, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        assert one.call("connect", fd, address).error == errno.EALREADY
        assert one.look(fd).option("TCP_KEEPCNT") == 3


def test_a_new_attempt_after_a_failure_is_given_all(host, compiled, silent_listener, free_port):
    one = host(compiled(NEAR))
    fd = one.socket(socket.AF_INET)
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.2", free_port())).error
    with silent_listener("inet") as listener:
        one.connect(fd, socket.AF_INET, *listener.getsockname())
        values = seen(one, fd)
    assert values["TCP_KEEPCNT"] == 7 and values["IP_TTL"] == 33 and values["SO_KEEPALIVE"] == 1


def test_another_peer_after_a_failure_keeps_nothing_of_the_former(host, compiled, free_port):
    """The values are those of a socket without rules."""
    one = host(compiled(NEAR))
    untouched = seen(one, one.socket(socket.AF_INET))
    fd = one.socket(socket.AF_INET)
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port())).error
    assert seen(one, fd) != untouched
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.2", free_port())).error
    assert seen(one, fd) == untouched


@pytest.mark.parametrize("name, text, kind", [
    ("SO_SNDBUF", '"512M"', socket.SOCK_STREAM),  # capped
    ("SO_SNDBUFFORCE", '"2M"', socket.SOCK_STREAM),
    ("SO_RCVTIMEO", '"9.003s"', socket.SOCK_DGRAM),  # rounded to the kernel's clock
    ("TCP_LINGER2", '"default"', socket.SOCK_STREAM),
    ("IP_TOS", "0xb9", socket.SOCK_STREAM),  # without the bits of ECN
    ("dscp", '"EF"', socket.SOCK_DGRAM)])
def test_what_the_kernel_alters_is_undone_too(  # pylint: disable=too-many-arguments
        host, compiled, free_port, name, text, kind):
    if name == "SO_SNDBUFFORCE":
        needs_root("CAP_NET_ADMIN")
    read = {"SO_SNDBUFFORCE": "SO_SNDBUF", "dscp": "IP_TOS"}.get(name, name)
    one = host(compiled(f"""rules = ( {{ match = {{ remote = "127.0.0.1"; }};
        set = {{ {name} = {text}; }}; }} );"""))
    fd = one.socket(socket.AF_INET, kind)
    names = [read, "SO_PRIORITY", "SO_BUF_LOCK"]
    untouched = seen(one, fd, names)
    one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port()))
    if name != "TCP_LINGER2":
        assert seen(one, fd, names) != untouched
    one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.2", free_port()))
    assert seen(one, fd, names) == untouched


def test_what_cannot_be_told_is_left_alone(host, compiled, free_port):
    """A fresh socket returns 536 as its segment size, which must not be set. The kernel itself
    resets the option with the connection."""
    one = host(compiled("""rules = ( { match = { remote = "127.0.0.1"; };
        set = { TCP_MAXSEG = 1000; }; } );"""))
    fd = one.socket(socket.AF_INET)
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port())).error
    with socket.create_server(("127.0.0.2", 0)) as listener:
        one.connect(fd, socket.AF_INET, *listener.getsockname())
        assert one.look(fd).option("TCP_MAXSEG") > 1000


def test_a_priority_of_the_programs_own_outlives_a_tos(host, compiled, free_port):
    one = host(compiled("""rules = ( { match = { remote = "127.0.0.1"; };
        set = { IP_TOS = "lowdelay"; }; } );"""))
    for own, last in ((4, 4), (None, 0)):
        fd = one.socket(socket.AF_INET)
        for address in ("127.0.0.1", "127.0.0.2"):
            assert one.call("connect", fd,
                            pack_address(socket.AF_INET, address, free_port())).error
            if own and address == "127.0.0.1":
                one.setsockopt(fd, socket.SOL_SOCKET, socket.SO_PRIORITY, own)
        assert seen(one, fd, ["IP_TOS", "SO_PRIORITY"]) == {"IP_TOS": 0, "SO_PRIORITY": last}
        one.close(fd)


def test_what_the_program_set_itself_is_not_undone(host, compiled, free_port):
    one = host(compiled(NEAR))
    fd = one.socket(socket.AF_INET)
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port())).error
    one.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TTL, 44)
    assert one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.2", free_port())).error
    values = seen(one, fd)
    assert values["IP_TTL"] == 44 and values["TCP_KEEPCNT"] != 7


def test_what_the_program_set_as_the_rule_would_stays_too(host, compiled, free_port):
    """Both before it connects to the rule's peer and before it connects to others."""
    one = host(compiled(NEAR))
    for first in ("127.0.0.1", "127.0.0.3"):
        fd = one.socket(socket.AF_INET)
        one.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TTL, 33)
        for address in (first, "127.0.0.2"):
            assert one.call("connect", fd,
                            pack_address(socket.AF_INET, address, free_port())).error
        assert one.look(fd).option("IP_TTL") == 33
        one.close(fd)


def test_what_socket_gave_comes_back(host, compiled, free_port):
    """A rule on the program and one on the peer set different values."""
    one = host(compiled("""rules = ( { set = { TCP_KEEPCNT = 4; }; },
        { match = { remote = "127.0.0.1"; }; set = { TCP_KEEPCNT = 8; }; } );"""))
    fd = one.socket(socket.AF_INET)
    values = [one.look(fd).option("TCP_KEEPCNT")]
    for address in ("127.0.0.1", "127.0.0.2"):
        assert one.call("connect", fd, pack_address(socket.AF_INET, address, free_port())).error
        values.append(one.look(fd).option("TCP_KEEPCNT"))
    assert values == [4, 8, 4]


def test_a_datagram_socket_of_another_peer(host, compiled, free_port):
    one = host(compiled(NEAR))
    names = ["SO_KEEPALIVE", "IP_TTL", "SO_PRIORITY", "SO_SNDBUF"]
    fd = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
    untouched = seen(one, fd, names)
    for address, changed in (("127.0.0.1", True), ("127.0.0.2", False), ("127.0.0.1", True)):
        one.connect(fd, socket.AF_INET, address, free_port())
        assert (seen(one, fd, names) != untouched) is changed, address
    one.call("connect", fd, struct.pack("=H14x", socket.AF_UNSPEC))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_source_does_not_stay_for_another_peer(host, compiled, free_port, kind):
    """The kernel refuses (EINVAL) a loopback source address for a route to other hosts."""
    one = host(compiled(SOURCE))
    fd = one.socket(socket.AF_INET, kind)
    one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port()))
    assert one.name(fd)[0] == "127.0.0.9"
    answer = one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.2", free_port()))
    assert answer.error in (0, errno.ECONNREFUSED)
    assert one.name(fd)[0] != "127.0.0.9"


def test_only_the_second_connect_asks_the_socket(build, compiled, host, directory, free_port):
    program("strace")
    environment = preloaded(build, compiled("""rules = ( { match = { remote = "127.0.0.0/8"; };
        set = { SO_KEEPALIVE = true; }; } );"""))
    preload = {key: environment[key] for key in ("LD_PRELOAD", "SOCKTUNE_RULES")}
    output = directory / "trace"
    one = host(None, strace.command(output, preload))
    for _ in range(2):
        fd = one.socket(socket.AF_INET)  # the same number again
        one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port()))
        one.close(fd)
    fd = one.socket(socket.AF_INET)
    for _ in range(2):
        one.call("connect", fd, pack_address(socket.AF_INET, "127.0.0.1", free_port()))
    assert one.end() == 0
    calls = [call.name for call in strace.since(strace.read(output), "socket")
             if call.name in strace.SOCKET_CALLS]
    first = ["socket", "setsockopt", "connect"]
    assert calls[:9] == 3 * first
    assert calls[9:10] == ["getsockopt"] and calls[-2:] == ["setsockopt", "connect"]


@pytest.mark.parametrize("call", ["sendto", "sendmsg", "sendmmsg"])
@pytest.mark.parametrize("waits", [False, True])
def test_fast_open_connects_tuned(host, compiled, silent_listener, call, waits):
    one = host(compiled(NEAR))
    with silent_listener("inet") as listener:
        fd = one.socket(socket.AF_INET)
        if waits:
            nonblocking(one, fd)
        answer = one.call(call, fd, b"hello", MSG_FASTOPEN,
                          pack_address(socket.AF_INET, *listener.getsockname()))
        assert answer.result > 0 or answer.error == errno.EINPROGRESS
        values = seen(one, fd)
    assert values["TCP_KEEPCNT"] == 7 and values["IP_TTL"] == 33 and values["SO_KEEPALIVE"] == 1


def test_fast_open_without_an_address_is_the_kernels_to_judge(host, compiled):
    one = host(compiled(NEAR))
    alone = host()
    for call in ("sendto", "sendmsg", "sendmmsg"):
        answers = []
        for each in (one, alone):
            fd = each.socket(socket.AF_INET)
            answers.append(str(each.call(call, fd, b"x", MSG_FASTOPEN, None)))
        assert answers[0] == answers[1]


@pytest.mark.parametrize("family, anywhere, here", [
    (socket.AF_INET, "0.0.0.0", "127.0.0.1"), (socket.AF_INET6, "::", "::1")])
def test_connecting_to_any_is_connecting_to_this_machine(  # pylint: disable=too-many-arguments
        host, compiled, rule_file, socktune, silent_listener, family, anywhere, here):
    rules = f"""rules = ( {{ match = {{ remote = "{here}"; }};
        set = {{ SO_KEEPALIVE = true; }}; }} );"""
    one = host(compiled(rules))
    with silent_listener("inet" if family == socket.AF_INET else "inet6") as listener:
        fd = one.socket(family)
        one.connect(fd, family, anywhere, listener.getsockname()[1])
        assert one.look(fd).option("SO_KEEPALIVE") == 1
    where = f"[{anywhere}]:80" if ":" in anywhere else f"{anywhere}:80"
    shown = socktune("explain", "-c", rule_file(rules), "--program", "x", "--connect", where)
    assert "SO_KEEPALIVE" in shown.stdout, shown.stderr


def test_the_default_is_the_systems_own_of_now(compiled, build):
    """A sysctl that changed while the program ran is not mistaken for a value set by the
    program."""
    if os.geteuid() != 0:
        pytest.skip("needs root: to change a sysctl in a network namespace of its own")
    script = """
import socket
def cnt(path, value=None):
    with open(path, "r+") as file:
        return file.write(str(value)) if value else file.read()
path = "/proc/sys/net/ipv4/tcp_keepalive_probes"
listener = socket.create_server(("127.0.0.1", 0))
cnt(path, 5)
left, own = socket.socket(), socket.socket()
own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6)
for one in (left, own):
    one.connect(listener.getsockname())
    print(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT))
"""
    rules = compiled("""rules = ( { match = { role = "connect"; remote = "127.0.0.1"; };
        default = { TCP_KEEPCNT = 9; }; } );""")
    run = subprocess.run(
        ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" -c "$1"',
         program("python3"), script], env=preloaded(build, rules), capture_output=True, text=True,
        timeout=30, check=False)
    assert run.stdout.split() == ["9", "6"], run.stderr
