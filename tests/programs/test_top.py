# SPDX-License-Identifier: MIT
"""socktune top in a terminal of tmux, with a helper that gives the test's answers."""
import os
import pty
import re
import signal
import subprocess
import time

import conftest
import pytest
from fake_helper import FakeHelper, connection, rule



class Terminal:
    """A terminal (default 80x24) that runs one command."""

    def __init__(self, directory, command, environment, size=(80, 24)):
        self.tmux = [conftest.program("tmux"), "-u", "-f", "/dev/null", "-S",
                     str(directory / "tmux.sock")]
        self.status = directory / "status"
        words = " ".join(f"'{word}'" for word in command)
        assignments = " ".join(f"{name}='{value}'" for name, value in environment.items())
        self.run("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]),
                 f"env {assignments} {words} 2>'{directory}/errors'; "
                 f"echo $? >'{self.status}'; stty -a >'{directory}/stty'; sleep 60")

    def run(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
        return subprocess.run([*self.tmux, *arguments], check=True, capture_output=True, text=True,
                              timeout=20, env={**environment, "LC_ALL": "C.UTF-8"}).stdout

    def lines(self):
        return self.run("capture-pane", "-p").rstrip("\n").split("\n")

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def until(self, accept):
        """Wait until `accept` is true of the lines, and return them."""
        end = time.monotonic() + 15
        while not accept(lines := self.lines()):
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.05)
        return lines

    def has(self, text):
        return self.until(lambda lines: text in "\n".join(lines))

    def lacks(self, text):
        return self.until(lambda lines: text not in "\n".join(lines))

    def exit_status(self):
        end = time.monotonic() + 15
        while not (self.status.exists() and self.status.read_text(encoding="ascii")):
            assert time.monotonic() < end, "\n".join(self.lines())
            time.sleep(0.05)
        return int(self.status.read_text(encoding="ascii"))

    def end(self):
        self.run("kill-server")


@pytest.fixture
def helper(directory):
    one = FakeHelper(directory)
    one.connections = [
        connection(1, program="nginx", tcp_info={"rtt": 10_000}),
        connection(2, program="redis", tcp_info={"rtt": 30_000}),
        connection(3, program="haproxy", tcp_info={"rtt": 20_000})]
    yield one
    one.end()


@pytest.fixture
def top(build, directory, helper):
    started = []

    def start(*arguments, size=(80, 24), environment=None, begin="--connections"):
        arguments = (begin, *arguments) if begin else arguments
        started.append(Terminal(directory, [str(build.socktune), "top", *arguments],
                                {**helper.environment, "LC_ALL": "C.UTF-8", **(environment or {})},
                                size))
        return started[-1]
    yield start
    for terminal in started:
        terminal.end()


def rows(lines):
    """First words of the table's rows."""
    return [line.split()[0] for line in lines[3:-1] if line.strip()]


# Programs and rules.

def test_it_begins_with_programs_and_rules(top, helper):
    helper.rules = [rule("nginx", open=3), rule("redis", open=900, rtts=[5, 90, 5]),
                    rule("nginx", role="listen", open=1, dropped=7,
                         accept_queue={"length": 2, "limit": 128})]
    terminal = top("-i", "1", begin=None)
    lines = terminal.has("programs and rules, sorted by name")
    assert max(map(len, lines)) <= 80
    assert {"PROGRAM", "RULE", "ROLE", "OPEN", "RESENT%", "RTT50", "RTT99"} <= set(lines[2].split())
    assert rows(lines) == ["nginx", "nginx", "redis"]
    assert re.search(r"^redis +clients +accept .* 900 .* 3\.12 +50\.0ms", "\n".join(lines), re.M)
    # Counters are shown as rates.
    helper.rules[1]["opened"] += 1000
    terminal.until(lambda lines: re.search(r"^90\d open, \d\d+\.\d new/s", lines[0]))
    terminal.keys("s", "s", "s", "s", "s", "s", "s")
    terminal.has("sorted by open")
    lines = terminal.until(lambda lines: rows(lines) == ["redis", "nginx", "nginx"])
    assert "7" in lines[5].split(), "drops of the listener"


def test_enter_leads_to_the_connections_of_a_rule_and_back(top, helper):
    helper.rules = [rule("nginx"), rule("redis")]
    terminal = top(begin=None)
    terminal.has("programs and rules")
    terminal.keys("Down", "Enter")
    assert rows(terminal.has("; program redis; rule clients; role accept")) == ["redis"]
    terminal.keys("Enter")
    terminal.has("redis (1002) accept 192.0.2.1:80 -> 198.51.100.7:40002 established")
    terminal.keys("Escape")
    terminal.has("Esc rules")
    terminal.keys("Escape")
    assert rows(terminal.has("programs and rules")) == ["nginx", "redis"]
    terminal.keys("End", "Up", "Home", "NPage", "Enter")
    terminal.has("; program redis")


@pytest.mark.parametrize("arguments", [["-p", "redis"], ["--role", "accept"], ["-s", "rtt"]])
def test_filters_begin_with_connections(top, arguments):
    assert "sorted by" in top(*arguments, begin=None).has("open, 0 listening")[1]


def test_no_rule_has_reported_yet(top):
    top(begin=None).has("No connection of a rule that reports has been seen yet.")


# Connections.

def test_short_connections_have_an_age_in_milliseconds(top, helper):
    now = time.time()
    helper.connections = [connection(1, opened=now - 5, closed=now - 4.9875, reason="fin")]
    terminal = top("--closed", size=(120, 24))
    lines = terminal.has("1 closed")
    assert "12.5ms" in lines[3].split()


def test_a_screen_of_80x24(top):
    lines = top("-s", "rtt").has("q end")
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert lines[0].startswith("3 open, 0 listening; sent 4.14M, received 1.46K")
    assert lines[1].strip() == "sorted by rtt"
    assert lines[2].split()[0] == "PROGRAM"
    assert {"ROLE", "REMOTE", "RTT", "RESENT%", "SENT"} <= set(lines[2].split())
    assert rows(lines) == ["redis", "haproxy", "nginx"]


def test_sorting(top):
    terminal = top("-s", "rtt")
    terminal.has("sorted by rtt")
    terminal.keys("i")
    assert rows(terminal.has("sorted by rtt, reversed")) == ["nginx", "haproxy", "redis"]
    terminal.keys("s")
    terminal.has("sorted by rttvar, reversed")
    terminal.keys("S", "S", "i")
    terminal.until(lambda lines: lines[1].strip() == "sorted by age")


def test_all_columns_come_round(top):
    terminal = top()
    terminal.has("sorted by newest")
    terminal.keys("s")
    assert rows(terminal.has("sorted by program")) == ["haproxy", "nginx", "redis"]
    terminal.keys("S")
    terminal.has("sorted by newest")
    terminal.keys("S")
    terminal.has("sorted by data")


def test_filters(top, helper):
    terminal = top()
    terminal.keys("p")
    terminal.has("program: _")
    terminal.keys("redx", "BSpace", "*", "Enter")
    assert rows(terminal.has("; program red*")) == ["redis"]
    terminal.keys("r", "none", "Enter")
    terminal.has("0 open")
    terminal.keys("r", "x", "Escape")
    terminal.has("rule none")
    terminal.keys("o", "listen", "Enter", "t", "x", "Enter")
    terminal.has("; role listen; state x")
    assert ("program", "red*") in helper.asked[-1][1].items()
    assert ("rule", "none") in helper.asked[-1][1].items()


def test_closed_ones(top, helper):
    now = time.time()
    for number, reason in enumerate(("fin", "timeout", "fin")):
        helper.connections.append(connection(4 + number, program=f"gone{number}", closed=now - 5,
                                             data="final", state="close", reason=reason))
    terminal = top("-s", "program")
    terminal.has("3 open")
    terminal.keys("c")
    assert rows(terminal.has("3 closed: 2 fin, 1 timeout; ")) == ["gone0", "gone1", "gone2"]
    terminal.keys("e", "timeout", "Enter")
    assert rows(terminal.has("1 closed: 1 timeout; ")) == ["gone1"]
    terminal.has("; reason timeout")
    terminal.keys("Enter")
    terminal.has("198.51.100.7:40005 timeout")
    terminal.keys("Escape", "e", "C-u", "Enter", "c")
    terminal.has("3 open")


def test_help(top):
    terminal = top()
    terminal.has("3 open")
    terminal.keys("h")
    lines = terminal.has("any key: back")
    assert len(lines) == 24
    assert any(line.endswith("Home and End the first and the last") for line in lines), "no line is cut"
    terminal.keys("q")  # only goes back
    terminal.has("Enter view")
    terminal.keys("?")
    terminal.has("any key: back")


def test_filters_from_the_command_line(top, helper):
    helper.connections.append(connection(4, program="old", closed=time.time(), reason="reset"))
    terminal = top("--closed", "--reason", "reset", "--role", "accept", "--state", "established")
    assert rows(terminal.has("1 closed")) == ["old"]
    terminal.has("sorted by newest; role accept; state established; reason reset")


def test_it_follows_and_pauses(top, helper):
    terminal = top("-i", "1")
    terminal.has("3 open")
    helper.connections.append(connection(4))
    terminal.has("4 open")
    terminal.keys("Space")
    terminal.has("PAUSED")
    asked = len(helper.asked)
    helper.connections.append(connection(5))
    time.sleep(2.5)
    assert len(helper.asked) == asked
    terminal.has("4 open")
    terminal.keys("Space")
    assert "PAUSED" not in "\n".join(terminal.has("5 open"))


def test_the_pane_follows_one_connection(top, helper):
    helper.connections[1]["options"]["failed"] = {"SO_MARK": "EPERM"}
    terminal = top("-i", "1", "-s", "rtt")
    terminal.has("3 open")
    terminal.keys("Enter")
    terminal.has("redis (1002) accept 192.0.2.1:80 -> 198.51.100.7:40002 established")
    lines = terminal.has("bytes_sent")  # the terminal may have drawn only the upper part yet
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    screen = "\n".join(lines)
    assert re.search(r"^RULE clients  AGE 1m4\ds  LIMITED BY network 100%  RATE/s 1.00M  RESENT% 0  ", screen, re.M)
    assert re.search(r"SO_MARK +EPERM", screen)
    assert re.search(r"bytes_sent +1448000\b", screen)
    assert "total_retrans" not in screen, "zeroes are left out"
    # A new sample: one more point, and rates.
    info = helper.connections[1]["tcp_info"]
    before = helper.connections[1]["sampled"]
    info["rtt"], info["bytes_sent"] = 15_000, 1_448_000 + 20 * 1024
    helper.connections[1]["sampled"] = before + 10
    terminal.until(lambda lines: re.search(r"^RTT +15\.0ms █▄", "\n".join(lines), re.M) and
                   re.search(r"^SENT +2\.00K/s +█", "\n".join(lines), re.M))
    # The connection is gone, and the helper does not report how: its figures stay until another one
    # is selected.
    gone = helper.connections.pop(1)
    terminal.has("GONE: redis (1002)")
    # Now the helper reports it.
    now = time.time()
    helper.connections.append({**gone, "closed": now, "sampled": now, "state": "close",
                               "reason": "reset", "data": "final",
                               "tcp_info": {**gone["tcp_info"], "bytes_sent": 4321}})
    terminal.has("redis (1002) accept 192.0.2.1:80 -> 198.51.100.7:40002 reset")
    assert re.search(r"bytes_sent +4321\b", "\n".join(terminal.lacks("GONE")))
    terminal.keys("Down")
    assert "redis" not in "\n".join(terminal.lacks("redis"))
    terminal.keys("Escape")
    terminal.has("Enter view")


def test_figures_scroll(top, helper):
    helper.connections[0]["tcp_info"] = {f"field_{number}": number + 1 for number in range(60)}
    terminal = top("-p", "nginx")
    terminal.has("1 open")
    terminal.keys("Enter")
    assert "field_59" not in "\n".join(terminal.has("field_0"))
    terminal.keys(*["Right"] * 50)
    assert "field_0 " not in "\n".join(terminal.has("field_59"))
    terminal.keys(*["Left"] * 50)
    terminal.has("field_0 ")


def test_moving_scrolls_the_table(top, helper):
    helper.connections = [connection(number, program=f"p{number:03}") for number in range(100)]
    terminal = top("-s", "program")
    assert rows(terminal.has("100 open"))[:2] == ["p000", "p001"]
    terminal.keys("End")
    assert rows(terminal.has("p099"))[0] == "p080"
    terminal.keys("PPage", "Up")
    terminal.until(lambda lines: rows(lines)[0] == "p078")
    terminal.keys("Home")
    terminal.has("p000")
    terminal.keys("NPage", "Down")
    terminal.until(lambda lines: rows(lines)[-1] == "p021")


def test_without_utf_8_bars_are_ascii(top):
    terminal = top(environment={"LC_ALL": "C"})
    terminal.has("3 open")
    terminal.keys("Enter")
    terminal.until(lambda lines: re.search(r"^RTT +\S+ #$", "\n".join(lines), re.M))


@pytest.mark.parametrize("size", [(20, 5), (10, 2), (250, 60)])
def test_any_size(top, size):
    terminal = top(size=size)
    terminal.has("open")
    terminal.keys("Enter", "Right", "Down", "s", "Escape", "q")
    assert terminal.exit_status() == 0


def test_a_terminal_that_grows(top):
    terminal = top()
    assert "LIMITED BY" not in terminal.has("3 open")[2]
    terminal.run("resize-window", "-x", "250", "-y", "40")
    terminal.has("LIMITED BY")


def test_a_helper_that_goes_and_comes_back(top, helper, directory):
    terminal = top("-i", "1")
    terminal.has("3 open")
    os.rename(directory / "query.sock", directory / "away")
    assert len(rows(terminal.has("query.sock: No such file or directory"))) == 3, "what was known stays"
    os.rename(directory / "away", directory / "query.sock")
    terminal.has("sorted by newest")


@pytest.mark.parametrize("how", ["q", "C-c", "TERM"])
def test_it_leaves_the_terminal_as_it_was(top, directory, how):
    terminal = top()
    terminal.has("3 open")
    if how == "TERM":
        children = terminal.run("list-panes", "-F", "#{pane_pid}").split()[0]
        pid = subprocess.run(["pgrep", "-P", children], capture_output=True, text=True, check=True)
        os.kill(int(pid.stdout), signal.SIGTERM)
    else:
        terminal.keys(how)
    assert terminal.exit_status() == 0
    terminal.lacks("3 open")
    end = time.monotonic() + 10
    while not (text := (directory / "stty").read_text(encoding="ascii") if
               (directory / "stty").exists() else "") and time.monotonic() < end:
        time.sleep(0.05)
    assert " echo " in text and " icanon " in text


# Failures at the start.

def test_it_needs_a_terminal(socktune, helper):
    result = socktune("top", env=helper.environment, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (1, "")
    assert "it needs a terminal; elsewhere, use `socktune stats`" in result.stderr


@pytest.mark.parametrize("environment, complaint", [
    ({"TERM": "no-such"}, 'terminals of the type "no-such"'),
    ({"SOCKTUNE_HELPER": "/nowhere/helper.sock"}, "is socktuned running?")])
def test_what_is_missing_is_told(build, helper, environment, complaint):
    master, slave = pty.openpty()
    result = subprocess.run([build.socktune, "top"], stdin=slave, stdout=slave, text=True,
                            stderr=subprocess.PIPE, timeout=20, check=False,
                            env={**os.environ, **helper.environment, **environment})
    os.close(slave)
    os.close(master)
    assert result.returncode == 1 and complaint in result.stderr


@pytest.mark.parametrize("arguments, complaint", [
    (["x"], 'unexpected argument "x"'), (["-s", "tempo"], 'no sort key "tempo"'),
    (["-i", "0"], "--interval is 1 to 3600 seconds"), (["-i", "2s"], "--interval is"),
    (["-p", "x" * 200], "too long")])
def test_wrong_arguments(socktune, arguments, complaint):
    result = socktune("top", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
