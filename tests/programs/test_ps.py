# SPDX-License-Identifier: MIT
"""socktune ps: which processes are tuned, by which front end, under which rules."""
import json
import os

import pytest
from conftest import preloaded, program

RULES = 'rules = ( { name = "clients"; match = { program = "sleep"; }; set = { TCP_SYNCNT = 3; }; } );'


@pytest.fixture
def listed(socktune):
    def find(pid):
        told = json.loads(socktune("ps", "--json").stdout)
        assert told["version"] == 1
        return next((one for one in told["processes"] if one["pid"] == pid), None)
    return find


def sleep_under(start, build, rules, **variables):
    one = start([program("sleep"), "60"], env={**preloaded(build, rules), **variables})
    one.until(lambda: b"sleep" in open(f"/proc/{one.pid}/cmdline", "rb").read(), "the program")
    return one


def test_a_preloaded_process_until_its_rules_change(build, start, rule_file, listed, socktune):
    rules = rule_file(RULES)
    one = sleep_under(start, build, rules)
    one.until(lambda: listed(one.pid), "the library")
    shown = listed(one.pid)
    assert (shown["program"], shown["by"], shown["rules"]) == ("sleep", "preload", str(rules))
    assert shown["active"] == [{"rule": "clients", "file": str(rules), "line": 1}]
    assert (shown["stale"], shown["untuned"]) == (False, None)
    line, = [text for text in socktune("ps").stdout.splitlines() if text.split()[0] == str(one.pid)]
    assert " tuned " in line and line.endswith(f"{rules}: clients")
    os.utime(rules)
    assert listed(one.pid)["stale"] is True


@pytest.mark.parametrize("text, variables, reason", [
    (RULES, {"SOCKTUNE_DISABLE": "1"}, "SOCKTUNE_DISABLE is in its environment"),
    (RULES.replace('"sleep"', '"other"'), {}, "no rule is for it"),
])
def test_untuned_and_why(text, variables, reason, build, start, rule_file, listed):
    one = sleep_under(start, build, rule_file(text), **variables)
    one.until(lambda: listed(one.pid), "the library")
    assert listed(one.pid)["untuned"] == reason


def test_a_supervised_process(build, start, rule_file, listed):
    rules = rule_file(RULES.replace("match = { ", 'match = { role = "connect"; '))
    one = start([build.socktune, "run", "-c", rules, "--supervise", "sleep", "60"])
    one.until(lambda: listed(one.pid), "the supervisor")
    shown = listed(one.pid)
    assert (shown["by"], shown["rules"], shown["untuned"]) == ("supervise", str(rules), None)


def test_others_are_not_listed(start, listed):
    one = start([program("sleep"), "60"])
    assert listed(one.pid) is None
