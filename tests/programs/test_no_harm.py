# SPDX-License-Identifier: MIT
"""Whatever the helper does, programs are not affected: if it runs, does not run, is stopped
(SIGSTOP), or is killed while they work. The same programs are run without the library, and with it
in each of these states."""
import collections
import contextlib
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading

import churn
import pytest
import socktuned
from conftest import preloaded

CONNECTIONS = 10000
STATES = ["running", "absent", "stopped", "killed"]
SECONDS = 5  # no call takes that long, even on a busy machine


class Seen:
    """The results of the programs in one state of the helper."""

    def __init__(self, run):
        self.crowd = run("churn", "several", "inet", "client", 8, CONNECTIONS)
        self.closed = run("churn", "pass", "inet", "server", 2, 500)
        self.reset = [run("churn", "several", "inet", closer, 2, 500)
                      for closer in ("client-resets", "server-resets")]
        self.restart = run("restart")
        self.errnos = run("errnos")
        self.plain = run("plain")
        self.closeall = run("closeall")

    @property
    def all(self):
        return [self.crowd, self.closed, *self.reset, self.restart, self.errnos, self.plain,
                self.closeall]


def ends(result):
    """The number of ends of each role and kind, without those that end the servers."""
    return collections.Counter((one.role, one.how) for one in churn.ends(result.stdout)
                               if one.sent or one.received)


def behaviour(result):
    """Output that is equal in each run: without sockets' cookies and times."""
    return [line for line in result.stdout.splitlines()
            if not line.startswith(("end ", "slowest ", "option "))]


def slowest(result):
    return float(result.stdout.splitlines()[-1].split()[-1])


def kill_at_work(helper):
    """Kill the helper after it has read a number of records."""
    with contextlib.suppress(OSError):
        helper.until(lambda: helper.get("/v1/status").json["records"] > CONNECTIONS // 10,
                     "records")
    helper.process.kill()


@contextlib.contextmanager
def in_state(state, port, build):
    """An environment for programs under rules that report to a helper in that state."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        place = pathlib.Path(name)
        rules = place / "rules"
        (place / "rules.conf").write_text(churn.REPORT, encoding="ascii")
        subprocess.run([build.socktune, "compile", place / "rules.conf", "-o", rules], check=True)
        if state != "absent":
            helper = stack.enter_context(socktuned.running(port))
            place = helper.directory
        if state == "stopped":
            helper.process.send_signal(signal.SIGSTOP)
            stack.callback(helper.process.send_signal, signal.SIGCONT)
        if state == "killed":
            killer = threading.Thread(target=kill_at_work, args=(helper,))
            killer.start()
            stack.callback(killer.join)
        yield preloaded(build, rules, SOCKTUNE_HELPER=place / "helper.sock")


def look(build, environment):
    def run(host, *arguments):
        return subprocess.run([build.hosts / host, *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
    return Seen(run)


@pytest.fixture(scope="module")
def alone(build):
    """Without the library."""
    return look(build, preloaded(build, None))


@pytest.fixture(scope="module", params=STATES)
def reported(request, build):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with in_state(request.param, port, build) as environment:
        return look(build, environment)


def test_no_call_fails(reported):
    """The hosts check the result of each call."""
    for result in reported.all:
        assert (result.returncode, result.stderr) == (0, ""), result.args


def test_no_call_waits(reported, alone):
    for result in (reported.crowd, reported.closed, *reported.reset):
        assert slowest(result) < max(SECONDS, 2 * slowest(alone.crowd)), result.args


def test_results_and_errno_are_equal(reported, alone):
    for result, without in zip(reported.all, alone.all):
        assert without.returncode == 0, without.stderr
        assert behaviour(result) == behaviour(without), result.args


def test_each_fin_and_rst_is_seen_by_the_peer(reported):
    assert ends(reported.crowd) == {("connect", "closed"): CONNECTIONS,
                                    ("accept", "eof"): CONNECTIONS}
    assert ends(reported.closed) == {("accept", "closed"): 500, ("connect", "eof"): 500}
    by_client, by_server = reported.reset
    assert ends(by_client) == {("connect", "aborted"): 500, ("accept", "reset"): 500}
    assert ends(by_server) == {("accept", "aborted"): 500, ("connect", "reset"): 500}


def test_bytes_are_equal(reported, alone):
    """The bytes of each connection, in whichever process."""
    def carried(result):
        return collections.Counter((one.role, one.sent, one.received)
                                   for one in churn.ends(result.stdout))
    for result, without in zip(reported.all, alone.all):
        assert carried(result) == carried(without)


def test_listeners_restart_at_once(reported):
    """On the same port, after close() and after SIGKILL, while connections are open."""
    assert reported.restart.stdout == "100 listeners and 20 processes replaced\n"


def test_no_descriptor_appears(reported, alone):
    """At the beginning of main(), after ten thousand connections, and after a program has closed
    all descriptors."""
    def listed(result):
        return [line for line in behaviour(result) if "descriptors" in line]
    assert listed(reported.crowd) == listed(alone.crowd) != []
    assert behaviour(reported.closeall) == behaviour(alone.closeall)
    first, last = listed(reported.crowd)
    assert first.partition(":")[2] == last.partition(":")[2]
