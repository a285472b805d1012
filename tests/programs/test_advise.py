# SPDX-License-Identifier: MIT
"""socktune advise: programs with one problem each are watched together with controls that have
none. Checks the advice for each, and that the rule file has no warnings and helps."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import kernel
import pytest
from conftest import BUILD, ROOT, Program, needs_root, pick_port, preloaded


PROGRAM = ROOT / "tests" / "support" / "advised.py"
# The expected advice for each mode, by role.
EXPECTED = {"nagle": {("nagle", "connect")},
            "polite": set(),
            "idle": {("dead-man", "connect"), ("dead-man", "accept")},
            "kept": set(),
            "overflow": {("accept-overflow", "listen")},
            "udp": {("udp-drops", "datagram")},
            "slow": {("slow-reader", "accept")}}
WITH_RULE = {"nagle", "dead-man", "udp-drops"}
MAY_HAVE_RULE = {"accept-overflow"}  # rules can set the backlog


class Watched:
    """All modes running, each on its own port, and the result of one watch."""

    def __init__(self, stack):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="socktune-advise-"))
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.ports = {mode: pick_port(stack) for mode in EXPECTED}
        self.programs = {}
        for mode, port in self.ports.items():
            self.programs[mode] = self.start(stack, mode, port)
        self.file = self.directory / "advice.conf"
        pids = [str(one.pid) for one in self.programs.values()]
        self.programs["nagle"].until(lambda: len(self.times("nagle")) > 10, "requests")
        done = subprocess.run([BUILD / "socktune", "advise", *pids, "-t", "4", "--idle", "2",
                               "--json", "-o", self.file], capture_output=True, text=True,
                              timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        self.document = json.loads(done.stdout)

    def start(self, stack, mode, port, rules=None):
        build = type("build", (), {"library": BUILD / "libsocktune.so"})
        one = Program([sys.executable, PROGRAM, mode, port], preloaded(build, rules),
                      self.directory / f"output-{mode}-{bool(rules)}")
        stack.callback(one.stop)
        return one

    def times(self, mode, tuned=False):
        """The seconds of all requests so far."""
        path = self.directory / f"output-{mode}-{tuned}"
        return [float(line) for line in path.read_text(encoding="ascii").split("\n")[:-1]]

    def told(self, mode):
        return [one for one in self.document["advice"] if one["port"] == self.ports[mode]]


@pytest.fixture(scope="module")
def watched():
    with contextlib.ExitStack() as stack:
        yield Watched(stack)


@pytest.mark.parametrize("mode", EXPECTED)
def test_each_problem_is_told_and_no_other(watched, mode):
    told = watched.told(mode)
    assert {(one["verdict"], one["role"]) for one in told} == EXPECTED[mode], told
    for one in told:
        if one["verdict"] not in MAY_HAVE_RULE:
            assert (one["rule"] is not None) == (one["verdict"] in WITH_RULE), one
        assert (one["no_rule"] is None) == (one["rule"] is not None)
        assert one["id"].startswith(one["verdict"] + "-")
        assert one["script"] == PROGRAM.name
        assert one["samples"] > 0 and one["sockets"] >= 1


def test_nothing_else_is_told(watched):
    assert watched.document["version"] == 1
    ports = set(watched.ports.values())
    assert [one for one in watched.document["advice"] if one["port"] not in ports] == []


def test_the_rule_file_has_no_warnings(watched, socktune):
    done = socktune("check", "--json", watched.file)
    told = json.loads(done.stdout)
    assert (told["errors"], told["warnings"]) == (0, 0), told
    text = watched.file.read_text(encoding="utf-8")
    rules = [one for one in watched.document["advice"] if one["rule"]]
    assert told["rules"] == len(rules) > 0
    for one in watched.document["advice"]:
        assert f"# {one['id']}\n" in text
        assert one["figure"]["text"] in text


def test_the_advice_works(watched):
    """A request that waited for an acknowledgement is at least ten times faster."""
    with contextlib.ExitStack() as stack:
        one = watched.start(stack, "nagle", watched.ports["nagle"], watched.file)
        watched.programs["nagle"].stop()
        one.until(lambda: len(watched.times("nagle", True)) > 30 or one.process.poll() is not None,
                  "requests under the rules")
        if one.process.poll() is not None:  # the port was still in use
            one = watched.start(stack, "nagle", watched.ports["nagle"], watched.file)
            one.until(lambda: len(watched.times("nagle", True)) > 30, "requests under the rules")
        before = statistics.median(watched.times("nagle")[10:])
        after = statistics.median(watched.times("nagle", True)[10:])
    assert before > 10 * after, (before, after)


# Usage and failures.

@pytest.mark.parametrize("arguments", [["-t", "0", "1"], ["-t", "x", "1"], ["0"], ["-5"], ["abc"],
                                       ["99999999999999"], [], ["-a", "1"], ["--idle", "0", "1"]])
def test_misuse(socktune, arguments):
    done = socktune("advise", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Try `socktune advise --help`" in done.stderr


def test_no_such_process(socktune):
    done = socktune("advise", "4194303", "-t", "0.5")
    assert done.returncode == 1
    assert "no such process" in done.stderr


def test_nothing_to_advise_is_an_answer(socktune, start):
    one = start(["sleep", "60"])
    done = socktune("advise", one.pid, "-t", "0.5")
    assert done.returncode == 0
    assert "nothing to advise" in done.stderr
    assert "# Nothing to advise." in done.stdout


def test_a_process_that_ends_meanwhile(socktune, start, free_port):
    one = start(["sh", "-c", "sleep 0.7"])
    done = socktune("advise", one.pid, "-t", "2")
    assert done.returncode == 0, done.stderr
    one.wait()


def test_too_short_a_watch_says_how_long(socktune, start, free_port):
    one = start([sys.executable, PROGRAM, "idle", free_port()])
    one.until(lambda: "ready" in one.output, "ready")
    done = socktune("advise", one.pid, "-t", "1", "--idle", "30")
    assert done.returncode == 0
    assert "watch longer: " in done.stderr


def test_hostile_names_stay_in_their_place(socktune, start, directory, free_port):
    """A program's name can contain anything; the rule file stays valid."""
    port = free_port()
    path = directory / "in\"it; };\n@include \"x\""
    shutil.copy(os.path.realpath(sys.executable), path)
    one = start([path, PROGRAM, "idle", port], env={"PYTHONHOME": sys.prefix})
    one.until(lambda: "ready" in one.output, "ready")
    kernel.until(lambda: not time.sleep(1.1), "a second without traffic")
    done = socktune("advise", one.pid, "-t", "1", "--idle", "1")
    assert done.returncode == 0, done.stderr
    file = directory / "advice.conf"
    file.write_text(done.stdout, encoding="utf-8")
    assert "dead-man" in done.stdout
    checked = socktune("check", file)
    assert checked.stdout.startswith("0 errors, 0 warnings"), checked.stdout


@needs_root
def test_without_permission_the_reason_is_told(build, start):
    one = start(["sleep", "60"])
    done = subprocess.run([build.socktune, "advise", str(one.pid), "-t", "0.5"],
                          capture_output=True, text=True, check=False, user=65534, group=65534,
                          extra_groups=[])
    assert done.returncode == 1
    assert "may not be looked into" in done.stderr


def test_sockets_of_others_are_left_alone(socktune, start):
    """Sockets of programs that are not watched get no advice."""
    one = start(["sleep", "60"])
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()):
        done = socktune("advise", one.pid, "-t", "1", "--idle", "1", "--json")
    assert json.loads(done.stdout)["advice"] == []
