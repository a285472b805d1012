# SPDX-License-Identifier: MIT
"""Trials: each connection gets an arm, the helper compares the arms, a trial ends and stays ended."""
import json
import re
import subprocess

import pytest
from socktuned import running

ARMS = """arms = ( {{ name = "as it is"; }}, {{ name = "{arm}"; set = {{ {option}; }}; }} );"""

# Connects to itself: COUNT connections, on each a request of two small writes, twice.
REQUESTS = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        peer, _ = listener.accept()
        while peer.recv(20, socket.MSG_WAITALL):
            peer.sendall(b"a" * 10)
        peer.close()
threading.Thread(target=serve, daemon=True).start()
for line in sys.stdin:
    given = []
    for _ in range(int(line)):
        one = socket.create_connection(listener.getsockname())
        given.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        for _ in range(2):
            one.sendall(b"q" * 10)
            one.sendall(b"q" * 10)
            one.recv(10)
        one.close()
    print(*map(int, map(bool, given)), flush=True)
"""


# Accepts COUNT connections of its own, each shown to epoll, and tells what each has.
ACCEPTED = """
import select, socket, sys
listener, poll = socket.create_server(("127.0.0.1", 0)), select.epoll()
for line in sys.stdin:
    given = []
    for _ in range(int(line)):
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        poll.register(server, select.EPOLLIN)
        given.append(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        client.close()
        server.recv(1)
        server.close()
    print(*map(int, map(bool, given)), flush=True)
"""


def trial(arm, option, settings):
    return f"""program = "python3*";
rules = ( {{ name = "requests"; match = {{ role = "connect"; }};
             trial = {{ {ARMS.format(arm=arm, option=option)} metric = "duration"; seed = 3;
                        {settings} }}; }} );
"""


@pytest.fixture
def helper():
    with running(None) as one:
        yield one


def trials(helper):
    return helper.get("/v1/trials").json["trials"]


def metrics(text):
    """The samples of trials by name and arm."""
    found = {}
    for name, arm, number in re.findall(r'^socktune_trial_(\w+)\{.*arm="([^"]*)".*\} (\S+)$', text,
                                        re.MULTILINE):
        found.setdefault(name, {})[arm] = float(number)
    return found


def ask(client, count):
    """Whether each of so many connections had TCP_NODELAY."""
    def answers():  # without messages
        return [line for line in client.output.splitlines() if set(line) <= set("01 ")]
    before = len(answers())
    client.process.stdin.write(f"{count}\n".encode())
    client.process.stdin.flush()
    client.until(lambda: len(answers()) > before and client.output.endswith("\n"),
                 f"{count} connections")
    return [int(word) for word in answers()[-1].split()]


def begin(start, rules, helper):
    return start(["/usr/bin/python3", "-c", REQUESTS], rules, env=helper.environment,
                 stdin=subprocess.PIPE)


def test_a_trial_goes_on_over_a_reload(start, rule_file, helper):
    """Rules that change around a trial leave its arms and counts; rules without it end its arms."""
    text = "live = true;\n" + trial("nodelay", "TCP_NODELAY = true", 'unit = "connection";')
    rules = rule_file(text)
    client = begin(start, rules, helper)
    given = ask(client, 40)
    helper.until(lambda: trials(helper)[0]["connections"] == 40, "the first connections")
    count = 40
    rules.write_text(text.replace("rules = ( ", 'rules = ( { name = "more"; set = { SO_KEEPALIVE = true; }; '
                                  "report = true; }, "), encoding="ascii")

    def is_taken():
        nonlocal count
        given.extend(ask(client, 5))
        count += 5
        return any(one["rule"] == "more" for one in helper.connections("closed=1"))
    helper.until(is_taken, "a connection under the new rules")
    helper.until(lambda: [one["connections"] for one in trials(helper)] == [count],
                 lambda: f"{count} connections in one trial: {trials(helper)}")
    assert [arm["connections"] for arm in trials(helper)[0]["arms"]] == [count - sum(given), sum(given)]
    rules.write_text('live = true;\nprogram = "python3*";\nrules = ( );', encoding="ascii")
    helper.until(lambda: not any(ask(client, 20)), "connections without an arm")


def test_nodelay_is_found_and_the_trial_stopped(start, socktune, rule_file, helper, tmp_path):
    rules = rule_file(trial("nodelay", "TCP_NODELAY = true", 'unit = "connection";'))
    client = begin(start, rules, helper)
    given = ask(client, 150)
    assert 40 < sum(given) < 110
    helper.until(lambda: trials(helper)[0]["connections"] == 150, "the ends of all connections")
    one, = trials(helper)
    assert [arm["connections"] for arm in one["arms"]] == [150 - sum(given), sum(given)]
    arm = one["arms"][1]
    assert arm["verdict"] == "better" and 0 < arm["low"] <= arm["high"] < 0.7
    # The interval is of pairs from nearly the same moment, the ratio of all: they may differ a little.
    assert arm["low"] / 1.1 <= arm["ratio"] <= arm["high"] * 1.1
    figures = {key: arm[key] for key in ("ratio", "low", "high")}
    found = metrics(helper.get("/metrics").text)
    assert {key: found[name]["nodelay"] for key, name in (
        ("ratio", "ratio"), ("low", "ratio_low"), ("high", "ratio_high"))} == pytest.approx(
            figures, rel=1e-5)
    assert found["connections_total"] == {"as it is": 150 - sum(given), "nodelay": sum(given)}
    assert found["verdict"] == {"nodelay": 1} and found["pairs_total"]["nodelay"] == arm["pairs"]
    assert set(found["running"].values()) == {1}
    shown = socktune("trial", env=helper.environment)
    assert "better" in shown.stdout and "nodelay" in shown.stdout
    stopped = socktune("trial", "stop", "requests", env=helper.environment)
    assert stopped.returncode == 0, stopped.stderr
    assert trials(helper)[0]["state"] == "ended"
    helper.until(lambda: not any(ask(client, 20)), "connections without an arm")
    adopted = tmp_path / "new.conf"
    told = socktune("trial", "adopt", "nodelay", "-c", rules, "-o", adopted)
    assert told.returncode == 0 and "+    set = { TCP_NODELAY = true; };" in told.stdout
    assert socktune("check", adopted).returncode == 0
    assert socktune("trial", "adopt", "nodelay", "-c", rules, "-o", adopted).returncode == 1


def test_an_ended_trial_stays_ended(start, rule_file, helper):
    rules = rule_file(trial("nodelay", "TCP_NODELAY = true", 'unit = "connection"; most = 20;'))
    client = begin(start, rules, helper)
    ask(client, 30)
    helper.until(lambda: trials(helper)[0]["state"] == "ended", "the end after 20 connections")
    helper.until(lambda: not any(ask(client, 20)), "connections without an arm")
    assert set(metrics(helper.get("/metrics").text)["running"].values()) == {0}
    assert (helper.directory / "ended-trials").read_text(encoding="utf-8").endswith(
        "it has had its 20 connections\n")


@pytest.mark.parametrize("role, program, unit", [
    ("connect", REQUESTS, "connection"), ("connect", REQUESTS, "1s"), ("accept", ACCEPTED, "1s")],
    ids=["connection", "interval", "accept"])
def test_a_supervised_program_takes_part(build, start, rule_file, helper, role, program, unit):
    rules = rule_file(trial("nodelay", "TCP_NODELAY = true", f'unit = "{unit}";')
                      .replace('"connect"', f'"{role}"'))
    client = start([build.socktune, "run", "-c", rules, "--supervise", "--", "/usr/bin/python3",
                    "-c", program], env=helper.environment, stdin=subprocess.PIPE)
    given = []
    client.until(lambda: given.extend(ask(client, 5)) or 0 < sum(given) < len(given), "both arms")
    def counted():
        return [sum(arm[name] for name in ("connections", "warming", "late"))
                for arm in trials(helper)[0]["arms"]]
    # An accepted socket that was reported before epoll named it takes no part, and has no arm.
    helper.until(lambda: counted()[1] == sum(given), "the ends of all connections in the arm")
    assert counted()[0] <= len(given) - sum(given)


@pytest.mark.parametrize("option, role, unit, says", [
    ('TCP_CONGESTION = "reno"', "connect", "connection", "bottleneck"),
    ('SO_RCVBUF = "1M"', "accept", "10min", "from their listener"),
    ('transport = "mptcp"', "connect", "10min", "before the arm is known")])
def test_what_a_trial_cannot_compare(socktune, rule_file, option, role, unit, says):
    rules = trial("other", option, f'unit = "{unit}";').replace('"connect"', f'"{role}"')
    checked = socktune("check", rule_file(rules))
    assert checked.returncode == 1 and says in checked.stdout


def test_explain_shows_the_arms(socktune, rule_file):
    rules = rule_file(trial("nodelay", "TCP_NODELAY = true", 'unit = "10min";'))
    question = ["explain", "-c", rules, "--program", "python3"]
    connect = [*question, "--connect", "10.0.0.1:80"]
    first, second = socktune(*connect).stdout.split("In the arm ")[1:]
    assert first.startswith("requests/as it is of a trial") and "Nothing." in first
    assert second.startswith("requests/nodelay of a trial") and "TCP_NODELAY" in second
    control, arm = json.loads(socktune(*connect, "--json").stdout)["arms"]
    assert control["options"] == [] and control["control"] and not arm["control"]
    assert (arm["trial"], arm["arm"], arm["share"], arm["unit"]) == ("requests", "nodelay", .5, 600)
    assert [option["option"] for option in arm["options"]] == ["TCP_NODELAY"]
    # A listener is in no arm, and nor is a connection that the rule does not match.
    for other in ["--listen", ":80"], ["--accept", "10.0.0.1:80,10.0.0.2:9"]:
        assert json.loads(socktune(*question, *other, "--json").stdout)["arms"] == []
    missed, = json.loads(socktune(*connect, "--json", "--by", "apply").stdout)["arms"][1]["missed"]
    assert (missed["option"], missed["certainty"]) == ("TCP_NODELAY", "misses")
