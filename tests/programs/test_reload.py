# SPDX-License-Identifier: MIT
"""Running programs take new rules: the library, the helper and the commands together."""
import json
import subprocess
import time

import kernel
import pytest
import socktuned
from requirements import needs_root
from started import BUILD

RULES = """live = true;
program = "python3*";
rules = ( { name = "keep"; match = { protocol = "tcp"; }; set = { TCP_KEEPCNT = %d; }; report = true; } );
"""
# Answers each line with TCP_KEEPCNT of a new connection; "fork": from a child of its own.
ASKED = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
def ask():
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        server.close()
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
for line in sys.stdin:
    if line == "fork\\n":
        child = os.fork()
        if child == 0:
            print(ask(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    else:
        print(ask(), flush=True)
"""


class Asked:
    def __init__(self, start, rules, helper, **user):
        self.program = start(["/usr/bin/python3", "-c", ASKED], rules, env=helper.environment,
                             stdin=subprocess.PIPE, **user)
        self.answers = 0

    def ask(self, how=""):
        self.program.process.stdin.write(f"{how}\n".encode())
        self.program.process.stdin.flush()
        self.answers += 1
        self.program.until(lambda: self.program.output.count("\n") == self.answers, "an answer")
        return int(self.program.output.split()[-1])

    def until(self, value, how=""):
        kernel.until(lambda: self.ask(how) == value, lambda: f"{value}: {self.program.output}",
                     pause=0.05)


@pytest.fixture
def helper():
    with socktuned.running(None) as one:
        yield one


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.conf"
    path.write_text(RULES % 3, encoding="ascii")
    return path


@pytest.fixture
def command(socktune, helper):
    """Run the socktune command with this helper: command("reload")."""
    return lambda *arguments: socktune(*arguments, env=helper.environment)


def ps(command, pid):
    found, = (one for one in json.loads(command("ps", "--json").stdout)["processes"]
              if one["pid"] == pid)
    return found


def test_a_changed_file_reaches_a_running_program(start, helper, rules, command):
    asked = Asked(start, rules, helper)
    assert asked.ask() == 3
    kernel.until(lambda: (ps(command, asked.program.pid)["live"] or {}).get("state") == "current")
    rules.write_text(RULES % 5, encoding="ascii")
    asked.until(5)
    assert asked.ask("fork") == 5
    row = ps(command, asked.program.pid)
    assert (row["live"]["state"], row["stale"]) == ("current", False)


def test_reload_tells_and_open_sockets_follow(start, helper, rules, command):
    asked = Asked(start, rules, helper)
    assert asked.ask() == 3
    kernel.until(lambda: "1 program takes" in command("reload").stdout)
    rules.write_text(RULES % 6, encoding="ascii")
    result = command("reload", "--open")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 takes them with the next socket call" in result.stdout
    listener, = (one for one in asked.program.tcp() if one.listens)
    assert f"127.0.0.1:{listener.local[1]}" in result.stdout, result.stdout
    assert asked.ask() == 6  # at its very next call
    assert command("reload").stdout == (
        "1 program takes new rules: 1 has the rules as they are.\n")


def test_a_helper_that_is_restarted_goes_on(start, free_port, rules, tmp_path):
    directory = tmp_path / "helper"
    directory.mkdir()
    first = socktuned.Helper(directory)
    asked = Asked(start, rules, first)
    assert asked.ask() == 3
    first.stop()  # of one that is killed, programs notice the end after 30 s
    rules.write_text(RULES % 7, encoding="ascii")
    assert asked.ask() == 3
    second = socktuned.Helper(directory)
    try:
        asked.until(7)
    finally:
        second.stop()


def test_rules_come_from_the_own_helper_or_roots_alone(start, directory):
    needs_root("starts programs and helpers as other users")
    rules = directory / "rules.conf"
    user = {"user": 4242, "group": 4242, "extra_groups": []}
    rules.write_text(RULES % 3, encoding="ascii")
    with socktuned.running(None, user=65534) as foreign, socktuned.running(None) as roots:
        shy, sure = (Asked(start, rules, helper, **user) for helper in (foreign, roots))
        assert (shy.ask(), sure.ask()) == (3, 3)
        rules.write_text(RULES % 5, encoding="ascii")
        sure.until(5)
        assert foreign.get("/v1/processes").json["processes"] == [] and shy.ask() == 3


def test_a_program_that_is_not_live_keeps_its_rules(start, helper, rules, command):
    rules.write_text((RULES % 3).replace("live = true;\n", ""), encoding="ascii")
    asked = Asked(start, rules, helper)
    assert asked.ask() == 3
    rules.write_text(RULES % 5, encoding="ascii")
    assert "no running program" in command("reload").stderr
    assert asked.ask() == 3
    row = ps(command, asked.program.pid)
    assert (row["live"], row["stale"]) == (None, True)


@pytest.mark.full
def test_a_thousand_processes_have_new_rules_within_a_second(start, helper, rules):
    def current():
        lives = [one["live"] for one in helper.get("/v1/processes").json["processes"]]
        return [one["policy"] for one in lives if one and one["state"] == "current"]
    text = (RULES % 3).replace("python3*", "beats").replace(
        'protocol = "tcp"; }; set = { TCP_KEEPCNT', 'protocol = "udp"; }; set = { SO_PRIORITY')
    rules.write_text(text, encoding="ascii")
    start([BUILD / "tests/hosts/beats", 1000], rules, env=helper.environment, stdin=subprocess.PIPE)
    kernel.until(lambda: len(current()) >= 1000, lambda: f"{len(current())} processes", timeout=60)
    before = set(current())
    rules.write_text(text.replace("= 3;", "= 4;"), encoding="ascii")
    begin = time.monotonic()
    kernel.until(lambda: len(now := current()) >= 1000 and not before & set(now),
                 lambda: f"{len(current())} processes", pause=0.02)
    assert time.monotonic() - begin < 1.5  # the files are looked at 4 times a second
