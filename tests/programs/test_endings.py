# SPDX-License-Identifier: MIT
"""How connections ended, according to the helper, for a program that ends one in each way."""
import subprocess

import pytest
from socktuned import RULES, next_step, running
from test_metrics import scrape, value

# Prints for each way: its name, and the ports of both ends (0: there is no such end).
ENDER = """
import ctypes, select, socket, struct, sys
LINGER_0 = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
SO_ATTACH_FILTER, TCP_USER_TIMEOUT = 26, 18
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
address = listener.getsockname()

def pair():
    client = socket.create_connection(address)
    return client, listener.accept()[0]

def fall_silent(one):  # drops whatever arrives
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                   struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))

def await_error(one):
    try:
        while one.recv(100):
            pass
    except OSError:
        pass

def in_order(first, second):
    first.sendall(b"x" * 10)
    second.recv(10)
    first.close()
    second.recv(1)
    second.close()

def unread(client, server):
    client.sendall(b"x")
    server.recv(1, socket.MSG_PEEK)
    server.close()
    await_error(client)
    client.close()

def linger_0(client, server):
    client.setsockopt(*LINGER_0)
    client.close()
    await_error(server)
    server.close()

def silence(client, server):
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 500)
    fall_silent(server)
    client.sendall(b"x")
    await_error(client)
    client.close()
    server.close()

def tell(way, client, port=None):
    print(way, client.getsockname()[1], flush=True)

for way, end in (("in_order", in_order), ("unread", unread), ("linger_0", linger_0),
                 ("silence", silence)):
    client, server = pair()
    tell(way, client)
    end(client, server)
for way in "refused", "unanswered":
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    if way == "unanswered":
        other.listen()
        fall_silent(other)
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(other.getsockname())
    tell(way, client)
    if way == "refused":
        select.select([], [client], [], 20)
    client.close()
    other.close()
listener.close()
print("ended", flush=True)
sys.stdin.readline()
"""

# The close reasons of the connecting and of the accepting end, by way.
EXPECTED = {
    "in_order": ("fin", "fin"), "unread": ("reset", "reset"), "linger_0": ("aborted", "reset"),
    "silence": ("timeout", None), "refused": ("refused", None), "unanswered": ("unanswered", None),
}


@pytest.fixture
def ended(start, rule_file, free_port):
    """The helper, and the ports by way."""
    with running(free_port()) as helper:
        one = start(["/usr/bin/python3", "-c", ENDER], rule_file(RULES), stdin=subprocess.PIPE,
                    env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"})
        one.until(lambda: "ended" in one.output, "all ended")
        words = one.output.replace("ended", "").split()
        yield helper, dict(zip(words[::2], map(int, words[1::2])))
        next_step(one)


def test_reasons(ended):
    helper, ports = ended
    assert set(ports) == set(EXPECTED)

    def reasons():
        closed = helper.connections("closed=1")
        connecting = {one["local"]["port"]: one["reason"] for one in closed
                      if one["role"] == "connect"}
        accepted = {one["remote"]["port"]: one["reason"] for one in closed
                    if one["role"] == "accept"}
        return {way: (connecting.get(port), accepted.get(port) if EXPECTED[way][1] else None)
                for way, port in ports.items()}
    helper.until(lambda: reasons() == EXPECTED, f"{reasons()}")
    assert [one["role"] for one in helper.connections("closed=1&reason=listener")] \
        == ["listen", "listen"]
    assert len(helper.connections("closed=1&reason=refused")) == 1
    assert all("reason" not in one for one in helper.connections())
    text = scrape(helper)
    for reason in "fin", "reset", "timeout", "refused", "unanswered", "aborted":
        expected = sum(ways.count(reason) for ways in EXPECTED.values())
        told = value(text, "socktune_connections_closed_total", reason=reason)
        # For "silence" the accepting end also has a reason, which is not specified.
        assert told in (expected, expected + (reason in ("fin", "reset", "timeout"))), reason
    rules = helper.get("/v1/rules").json["rules"]
    assert sum(rule["ends"]["timeout"] for rule in rules) >= 1
    assert all(rule["closed"] == sum(rule["ends"].values()) for rule in rules)
