# SPDX-License-Identifier: MIT
"""Properties of all JSON documents: the version, one form of addresses and rules, errors; the
manual names each member."""
import json
import os
import re
import subprocess

import pytest
from conftest import ROOT, program
from socktuned import RULES as REPORTED, TALKER, running, talk
from test_cli import COMMANDS
from test_manual import COMMAND_PAGE, rendered

RULES = """rules = (
  { name = "all"; match = { program = "*"; }; report = true;
    set = { SO_KEEPALIVE = true; }; force = { TCP_KEEPIDLE = "2min"; }; at_least = { TCP_KEEPCNT = 3; }; }
);
"""
# Members whose names are data: options, fields of tcp_info, words of a value, errors.
NAMED_BY_DATA = {"options", "tcp_info", "values", "failed", "set", "ends", "dropped"}


def members(value, inside=None):
    """The names of all members, except those that are data."""
    if isinstance(value, list):
        return set().union(*(members(one, inside) for one in value))
    if not isinstance(value, dict):
        return set()
    names = set() if inside in NAMED_BY_DATA else set(value)
    return names.union(*(members(one, name) for name, one in value.items()))


def addresses(value):
    if isinstance(value, list):
        return [one for each in value for one in addresses(each)]
    if not isinstance(value, dict):
        return []
    found = [one for name, one in value.items() if name in ("local", "remote") and one is not None]
    return found + [one for each in value.values() for one in addresses(each)]


@pytest.fixture
def listening(start):
    """A program with a listener, and connections to it."""
    one = start([program("python3"), "-c", TALKER, "2", "127.0.0.1"], stdin=subprocess.PIPE)
    one.until(lambda: "open" in one.output, "its sockets")
    return one


def documents(socktune, rules, pid, env):
    """The output of each command: [(command line, document)]."""
    lines = [
        ["check", rules], ["options"], ["options", "TCP_KEEPIDLE"],
        ["explain", "-c", rules, "-p", "python3", "--accept", "127.0.0.1:80,127.0.0.1:9", "--by", "apply"],
        ["inspect", pid], ["inspect", "--all"], ["ps"],
        ["doctor", "-c", rules, "--by", "apply", pid], ["doctor", "-c", rules, "ls"],
        ["apply", "-c", rules, pid, "--dry-run"], ["advise", pid, "-t", "0.5"],
    ]
    if os.geteuid() == 0:
        lines.append(["attach", "--status"])
    for line in lines:
        done = socktune(line[0], "--json", *line[1:], env=env)
        yield " ".join(map(str, line)), json.loads(done.stdout)


def rules_in(value):
    if isinstance(value, list):
        return [one for each in value for one in rules_in(each)]
    if not isinstance(value, dict):
        return []
    return ([value] if {"rule", "line"} & set(value) else []) + rules_in(list(value.values()))


def test_every_document_of_the_command(socktune, rule_file, listening, directory):
    page, rules = rendered(COMMAND_PAGE), rule_file(RULES)
    env = {"SOCKTUNE_HELPER": str(directory / "none.sock"), "SOCKTUNE_RULES": str(rules)}
    with_rules = set()
    for line, document in documents(socktune, rules, listening.pid, env):
        assert list(document)[0] == "version" and document["version"] == 1, line
        assert "error" not in document, f"{line}: {document}"
        unnamed = {name for name in members(document) if not re.search(rf"\b{name}\b", page)}
        assert unnamed == set(), line
        for one in addresses(document):
            assert set(one) in ({"address", "port"}, {"path"}), line
        for one in rules_in(document) if not line.startswith(("check", "advise")) else ():
            assert {"rule", "file", "line"} <= set(one), line
            with_rules.add(line.split()[0])
    assert with_rules >= {"explain", "doctor", "apply"}


# Wrong arguments, with which each command fails before it prints anything.
WRONG = {
    "check": ["--xyz"], "explain": ["-c", "/nonexistent", "-p", "x", "--socket"],
    "doctor": ["/nonexistent/program"], "inspect": ["4194305"], "apply": ["-c", "/nonexistent", "1"],
    "advise": ["--xyz"], "options": ["NOT_AN_OPTION"], "stats": [], "ps": ["--xyz"],
    "trial": ["status"], "reload": [], "attach": ["--xyz"],
}


def with_json(socktune):
    return {name for name in COMMANDS if "--json" in socktune(name, "--help").stdout}


def test_every_error_is_a_document_too(socktune, directory):
    env = {"SOCKTUNE_HELPER": str(directory / "none.sock")}
    assert with_json(socktune) - {"top"} <= set(WRONG), "a command without a row here"
    for name, arguments in WRONG.items():
        done = socktune(name, "--json", *arguments, env=env)
        assert done.returncode != 0, name
        document = json.loads(done.stdout)
        assert list(document) == ["version", "error"] and document["version"] == 1, name
        assert done.stderr != "" and document["error"], name
        assert socktune(name, *arguments, env=env).stdout == "", f"{name}: without --json, no document"


def test_a_broken_rule_is_told_with_its_place(socktune, rule_file):
    rules = rule_file("rules = ( { set = { TCP_NODELYA = true; }; } );\n")
    done = socktune("explain", "-c", rules, "-p", "x", "--socket", "--json")
    assert re.match(r".*\.conf:1: .*TCP_NODELYA", json.loads(done.stdout)["error"])


def test_every_document_of_the_helper(start, rule_file, free_port):
    page = rendered(ROOT / "tools" / "socktuned.8")
    with running(free_port()) as daemon:
        talk(start, rule_file(REPORTED), daemon, 2)
        daemon.until(lambda: len(daemon.connections("")) == 5, "four ends and a listener")
        for path in ("/v1/connections", "/v1/connections?closed=1", "/v1/processes", "/v1/rules",
                     "/v1/trials", "/v1/status", "/nothing", "/v1/connections?x=1"):
            text = daemon.get(path).text
            assert text.startswith('{"version":1,'), path
            unnamed = {name for name in members(json.loads(text))
                       if not re.search(rf"\b{name}\b", page)}
            assert unnamed == set(), path
