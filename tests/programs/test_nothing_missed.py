# SPDX-License-Identifier: MIT
"""The helper knows each connection to its last byte: however short it was, however it ended, and
whichever process had it. Unavoidable losses are counted."""
import collections
import os
import signal
import time

import churn
import kernel
import pytest
import socktuned
from conftest import enter_network_namespace, needs_root

HISTORY = "50000"


@pytest.fixture
def helper(free_port):
    with socktuned.running(free_port(), "--history", HISTORY, urgent=True) as one:
        yield one


@pytest.fixture
def crowd(start, build, compiled):
    """crowd(helper, rules=..., preexec_fn=..., **arguments of churn.command()) -> the program."""
    def begin(helper, rules=churn.REPORT, preexec_fn=None, user=None, **what):
        return start(churn.command(build, **what), compiled(rules), preexec_fn=preexec_fn, user=user,
                     env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"})
    return begin


def finish(program):
    """The ends that it printed, after it has finished."""
    assert program.wait(60) == 0, program.output[-2000:]
    return churn.ends(program.output)


def assert_nothing_missed(helper, told):
    """Returns the number of connections by close reason."""
    churn.all_closed(helper, len(told) + 1)  # one more: the listener
    assert churn.lost(helper) == {}
    churn.assert_complete(helper, told)
    ends = churn.sums(helper)
    assert (ends["listener"], ends["lost"], ends["rejected"]) == (1, 0, 0)
    return ends


@pytest.mark.slow
def test_twenty_thousand_at_full_speed(helper, crowd):
    told = finish(crowd(helper, clients=8, count=20000))
    assert len(told) == 40000 + 8  # and four that end the servers
    assert_nothing_missed(helper, told)


@pytest.mark.parametrize("closer", ["server", "client-resets", "server-resets"])
def test_whoever_ends_it(helper, crowd, closer):
    told = finish(crowd(helper, closer=closer))
    resets = 1000 if closer.endswith("resets") else 0
    ends = assert_nothing_missed(helper, told)
    assert ends["aborted"] == resets
    assert resets <= ends["reset"] <= resets + 8  # those that end the servers send no data


@pytest.mark.parametrize("server, count", [("fork", 500), ("exec", 150), ("pass", 2000)])
def test_through_other_processes(helper, crowd, server, count):
    """Through fork, exec, and SCM_RIGHTS from a master to one of four workers."""
    told = finish(crowd(helper, server=server, count=count))
    assert len(told) == 2 * count + 2
    assert_nothing_missed(helper, told)


@pytest.mark.parametrize("family", ["inet6", "mapped"])
def test_families(helper, crowd, family):
    assert_nothing_missed(helper, finish(crowd(helper, family=family)))


def bag(connections):
    return collections.Counter(connections)


@pytest.mark.parametrize("rules, family", [
    (churn.REPORT, "mptcp"),
    ('rules = ( { name = "all"; set = { transport = "mptcp"; }; report = true; } );', "inet"),
], ids=["asked for", "by rule"])
@pytest.mark.parametrize("closer", ["client", "server"])
def test_multipath_tcp(helper, crowd, rules, family, closer):
    """Both ends of each connection are known. The end that closes first usually has exact figures;
    for the other one the kernel clears them before it reports the end. (Accepted sockets may share
    a cookie, so they are distinguished by their figures here.)"""
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        pytest.skip("no MPTCP in this kernel")
    told = finish(crowd(helper, rules=rules, family=family, closer=closer))
    churn.all_closed(helper, len(told) + 1)
    assert churn.lost(helper) == {}
    known = list(churn.closed(helper).values())
    assert {one["protocol"] for one in known} == {"mptcp"}
    first = "connect" if closer == "client" else "accept"
    final = bag(churn.figures(one)[0] for one in known
                if one["role"] == first and one["data"] == "final")
    assert final.total() > 500
    assert final <= bag(one.sent for one in told if one.role == first)
    assert {one["data"] for one in known} <= {"final", "lost", "sample"}


def test_multipath_tcp_while_it_lives(start, build, compiled, helper):
    """The figures are those of its first path."""
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        pytest.skip("no MPTCP in this kernel")
    rules = 'rules = ( { name = "all"; set = { transport = "mptcp"; }; report = true; } );'
    program, _ = socktuned.talk(start, compiled(rules), helper, 5)

    def figures():
        return bag((one["role"], *churn.figures(one)) for one in helper.connections()
                   if one["protocol"] == "mptcp" and "tcp_info" in one)
    helper.until(lambda: figures() == {("connect", 1000, 500): 5, ("accept", 500, 1000): 5},
                 "figures of each end")
    socktuned.next_step(program)
    helper.until(lambda: [one["role"] for one in helper.connections()] == ["listen"],
                 "all closed but the listener")


def test_another_network_namespace(helper, crowd):
    """Starting with the first connection of the first program there, which ends before the helper
    has taken its registration."""
    needs_root("makes network namespaces")
    told = []
    for _ in range(3):
        told += finish(crowd(helper, count=100, clients=1, preexec_fn=enter_network_namespace))
    churn.all_closed(helper, len(told) + 3)
    assert churn.lost(helper) == {}
    churn.assert_complete(helper, told)
    helper.until(lambda: helper.get("/v1/status").json["namespaces"] == 1,
                 "the namespaces of the programs that ended are let go")


# Programs that are killed.

def test_killed_with_open_connections(start, compiled, helper):
    program, _ = socktuned.talk(start, compiled(churn.REPORT), helper, 100)
    os.kill(program.pid, signal.SIGKILL)
    churn.all_closed(helper, 201)
    ends = bag((one["role"], churn.figures(one)[0], one["data"])
               for one in churn.closed(helper).values() if one["role"] != "listen")
    assert ends == {("connect", 1000, "final"): 100, ("accept", 500, "final"): 100}


def test_killed_in_full_career(helper, crowd):
    program = crowd(helper, count=1000000, clients=8)
    program.until(lambda: program.output.count("\n") > 2000, "connections")
    os.killpg(program.pid, signal.SIGKILL)
    helper.until(lambda: churn.sums(helper)["opened"] >= 2000 and not churn.sums(helper)["open"],
                 "all closed")
    told = [one for one in churn.ends(program.output) if one.how != "closed"]
    assert len(told) > 900
    churn.assert_complete(helper, told[:-20])  # the last ones may have been killed early
    total = churn.sums(helper)
    assert total["opened"] == total["closed"] and not total["lost"]
    assert set(churn.lost(helper)) <= {"abandoned"}  # killed while it wrote its record


# Unavoidable losses.

def test_losses_are_counted(free_port, crowd):
    """A helper that does not run while more happens than the kernel and the ring can hold. It runs
    without privileges, and so with a smaller receive buffer. The program has the same user: it
    trusts only the helper of its own user or of root."""
    needs_root("starts the helper as another user")
    with socktuned.running(free_port(), "--history", HISTORY, user=65534, urgent=True) as helper:
        program = crowd(helper, count=4600, clients=2, user=65534)
        program.until(lambda: "end" in program.output, "its first connection")
        helper.process.send_signal(signal.SIGSTOP)
        try:
            told = finish(program)
        finally:
            helper.process.send_signal(signal.SIGCONT)
        helper.until(lambda: churn.lost(helper).get("ring_full"), "records that found no room")
        tracked = len(told) + 1 - churn.lost(helper)["ring_full"]
        helper.until(lambda: helper.status()["history"]["kept"] == tracked, "all are over")
        # Connections that the kernel never confirmed are not in the sums.
        counted = churn.sums(helper)["opened"]
        churn.all_closed(helper, counted)
        time.sleep(1.1)  # the kernel's losses are counted once per second
        known, losses = churn.closed(helper), churn.lost(helper)
        assert len(known) == tracked
        kinds = bag(one["data"] for one in known.values())
        assert set(kinds) <= {"final", "lost", "sample"} and kinds["final"] > 0
        assert set(losses) <= {"ring_full", "overrun"}
        assert losses.get("overrun", 0) >= tracked - kinds["final"]
        assert counted == kinds["final"] + kinds["sample"]
        # Final figures are correct.
        by_cookie = {one.cookie: one for one in told}
        assert all(by_cookie[cookie].agrees(one) for cookie, one in known.items()
                   if one["role"] != "listen" and one["data"] == "final")
        # From then on, nothing is missed again.
        again = finish(crowd(helper, count=200, user=65534))
        churn.all_closed(helper, counted + len(again) + 1)
        churn.assert_complete(helper, again)
        assert churn.lost(helper) == losses


@pytest.mark.slow
def test_executing_again_and_again(start, compiled, helper):
    """Each program that a process executes registers; the rings of previous ones are released."""
    again = ("import os, socket, sys, time; n = int(sys.argv[1]); "
             "socket.create_server(('127.0.0.1', 0)); n or time.sleep(60); "
             "os.execv(sys.executable, sys.orig_argv[:-1] + [str(n - 1)])")
    start(["/usr/bin/python3", "-c", again, "20"], compiled(churn.REPORT),
          env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"})
    helper.until(lambda: helper.get("/v1/status").json["records"] == 21, "a listener of each")
    helper.until(lambda: helper.get("/v1/status").json["clients"] == 1, "one ring")
    assert kernel.until(lambda: len(os.listdir(f"/proc/{helper.process.pid}/fd")) < 30,
                        lambda: "its descriptors are closed")
