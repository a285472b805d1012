# SPDX-License-Identifier: MIT
"""Supervised programs are reported to socktuned: every connection, with its last figures.

The programs are static ones that load no library. The two ends of a connection are reported by the
same program, so each is the other's witness.
"""
import collections
import json
import os
import pwd
import signal
import socket

import pytest
import socktuned
from conftest import program
from test_supervise import SOURCES, built, supervised  # pylint: disable=unused-import

RULES = """
rules = (
  { name = "clients"; match = { role = "connect"; protocol = "tcp"; };
    set = { SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "33s"; }; report = true; },
  { name = "servers"; match = { role = [ "listen", "accept" ]; protocol = "tcp"; };
    set = { TCP_KEEPCNT = 7; }; report = true; },
  { name = "far"; match = { role = "accept"; remote = "!127.0.0.0/8"; }; report = true; }
);
"""


@pytest.fixture
def helper(free_port):
    with socktuned.running(free_port()) as one:
        yield one


@pytest.fixture
def reported(supervised, helper):  # pylint: disable=redefined-outer-name
    def run(command, rules=RULES, **keywords):
        return supervised(command, rules, env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"},
                          **keywords)
    return run


def by_role(connections):
    roles = collections.defaultdict(list)
    for one in connections:
        roles[one["role"]].append(one)
    return roles


def check_both_ends(roles, port):
    accepted = {one["remote"]["port"]: one for one in roles["accept"]}
    for client in roles["connect"]:
        server = accepted.pop(client["local"]["port"])
        assert (client["remote"]["port"], server["local"]["port"]) == (port, port)
        assert {client["data"], server["data"]} == {"final"}
        assert (client["rule"], server["rule"]) == ("clients", "servers")
        assert (client["options"]["applied"], server["options"]["applied"]) == (2, 1)
        # The SYN of the connecting end is acknowledged like a byte, and so is each FIN.
        assert client["tcp_info"]["bytes_sent"] in (server["tcp_info"]["bytes_received"],
                                                    server["tcp_info"]["bytes_received"] - 1)
        assert server["tcp_info"]["bytes_sent"] in (client["tcp_info"]["bytes_received"],
                                                    client["tcp_info"]["bytes_received"] - 1)
    assert accepted == {}


@pytest.mark.usefixtures("built", "supervised")
def test_every_connection_of_a_static_go_program(reported, helper, built):  # noqa: F811
    """Each lasts some milliseconds; no call tells of those accepted. The one refused is none."""
    one = reported([built("requests.go"), "40"])
    assert one.wait() == 0, one.output
    port = int(one.output)
    helper.until(lambda: len(helper.connections("closed=1")) >= 81 and not helper.connections(),
                 "all connections to be told")
    roles = by_role(helper.connections("closed=1"))
    assert {role: len(all_of) for role, all_of in roles.items()} == {
        "listen": 1, "connect": 40, "accept": 40}
    check_both_ends(roles, port)
    assert all(client["tcp_info"]["bytes_sent"] > 50 for client in roles["connect"])
    assert all(server["tcp_info"]["bytes_sent"] > 500 for server in roles["accept"])
    assert {one["program"] for all_of in roles.values() for one in all_of} == {
        built("requests.go").name}
    assert roles["listen"][0]["local"] == {"address": "127.0.0.1", "port": port}
    status = helper.get("/v1/status").json
    # A connect() that takes long has one record more, at its beginning.
    assert sum(status["dropped"].values()) == 0 and 81 <= status["records"] <= 121


@pytest.mark.parametrize("source, compiler", [("raw_talk.c", "musl-gcc"), ("talk.go", "go")])
def test_open_connections_and_their_end(source, compiler, reported, helper, built, socktune):  # noqa: F811
    one = reported([built(source, compiler)])
    port = one.until_listening()
    one.until(lambda: "ready" in one.output, "ready")
    helper.until(lambda: len(helper.connections()) == 3, "a listener and both ends")
    roles = by_role(helper.connections())
    assert sorted(roles) == ["accept", "connect", "listen"]
    assert {each["pid"] for all_of in roles.values() for each in all_of} == {one.pid}
    one.process.send_signal(signal.SIGKILL)
    helper.until(lambda: len(helper.connections("closed=1")) == 3, "their ends")
    check_both_ends(by_role(helper.connections("closed=1")), port)
    told = socktune("stats", "--json", "--closed",
                    env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"})
    assert len(json.loads(told.stdout)["connections"]) == 3


def test_rules_by_the_peer_decide(reported, helper, built):  # noqa: F811
    rules = """rules = (
      { name = "near"; match = { role = "accept"; remote = "127.0.0.0/8"; }; report = true; },
      { name = "far"; match = { role = "connect"; remote = "10.0.0.0/8"; }; report = true; } );"""
    one = reported([built("raw_talk.c")], rules)
    helper.until(lambda: len(helper.connections()) == 1, "the accepted end")
    assert [(each["role"], each["rule"]) for each in helper.connections()] == [("accept", "near")]
    one.process.kill()


WILDCARD = """
import signal, socket
listener = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
port = listener.getsockname()[1]
kept = []
for address in "127.0.0.1", "::1":
    kept += [socket.create_connection((address, port)), listener.accept()[0]]
queued = socket.create_connection(("127.0.0.1", port))
signal.pause()
"""


def test_a_listener_on_all_addresses(reported, helper):
    """It accepts by both versions of IP. What waits for accept() is not accepted."""
    one = reported([program("python3"), "-c", WILDCARD])
    helper.until(lambda: len(helper.connections()) == 6, "listener, clients, accepted ones")
    accepted = by_role(helper.connections())["accept"]
    assert sorted(each["local"]["address"] for each in accepted) == ["::1", "::ffff:127.0.0.1"]
    assert {each["family"] for each in accepted} == {"inet6"}
    one.process.kill()


ACTIVATED = """
import signal, socket
listener = socket.socket(fileno=0)
kept = [socket.create_connection(listener.getsockname()), listener.accept()[0]]
signal.pause()
"""


def test_a_listener_that_the_program_was_started_with(reported, helper, request):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if request.node.callspec.params["supervised"] == "user" and os.geteuid() == 0:
            # The helper takes nobody's word for a socket of another user.
            os.fchown(listener.fileno(), pwd.getpwnam("nobody").pw_uid, -1)
        one = reported([program("python3"), "-c", ACTIVATED], stdin=listener)
    helper.until(lambda: len(helper.connections()) == 3, "listener and both ends")
    assert {each["role"] for each in helper.connections()} == {"listen", "connect", "accept"}
    one.process.kill()


# Connects to itself at each line, and says so; keeps all open.
STEPS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
kept = []
for _ in sys.stdin:
    kept += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
    print("one more", flush=True)
"""


def test_a_helper_that_comes_and_goes(reported, helper, free_port):
    """Without a helper nothing is different; one that comes later is told what opens from then on."""
    one = reported([program("python3"), "-c", STEPS], stdin=-1)

    def step(count):
        socktuned.next_step(one)
        one.until(lambda: one.output.count("one more") == count, "a connection")

    step(1)
    helper.until(lambda: len(helper.connections()) == 3, "the first connection")
    helper.process.kill()
    helper.process.wait(20)
    step(2)
    again = socktuned.Helper(helper.directory, port=free_port())
    try:
        # A killed helper leaves its last heartbeat, which is believed for a while.
        assert again.get("/v1/status").json["clients"] == 0
        step(3)
    finally:
        again.stop()
    one.process.stdin.close()
    assert one.wait() == 0


def test_no_helper_at_all(supervised, directory):  # noqa: F811
    one = supervised([program("python3"), "-c", STEPS], RULES, stdin=-1,
                     env={"SOCKTUNE_HELPER": directory / "nobody.sock"})
    socktuned.next_step(one)
    one.until(lambda: "one more" in one.output, "a connection")
    one.process.stdin.close()
    assert one.wait() == 0
    assert one.output.strip() == "one more"
