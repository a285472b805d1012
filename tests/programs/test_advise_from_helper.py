# SPDX-License-Identifier: MIT
"""socktune advise --from-helper: advice from the helper's figures."""
import json
import os
import re
import time

import fake_helper
import pytest

UNTOLD = ["nagle", "receive-window", "slow-reader", "send-buffer", "dead-man", "stuck"]


def long_open(number, program, **members):
    return fake_helper.connection(number, program=program, opened=time.time() - 300, **members)


def lossy(rtt):
    return {"bytes_sent": 10_000_000, "bytes_retrans": 200_000, "data_segs_out": 7000, "rtt": rtt}


@pytest.fixture
def helper(directory):
    one = fake_helper.FakeHelper(directory)
    queue = {"length": 100_000, "limit": 212_992, "dropped": 500}
    one.connections = [
        long_open(1, "lossy", tcp_info=lossy(21000)),
        long_open(2, "queued", tcp_info=lossy(60000)),
        long_open(3, "limited", tcp_info={"rwnd_limited": 85_000_000}),
        long_open(4, "polite"),
        long_open(5, "dns", role="datagram", protocol="udp", state="close", tcp_info={},
                  local={"address": "0.0.0.0", "port": 53}, receive_queue=queue),
        long_open(6, "web", role="listen", state="listen", tcp_info={},
                  accept_queue={"length": 128, "limit": 128, "dropped": 40}),
        fake_helper.connection(7, program="new", tcp_info=lossy(21000)),
    ]
    # Each connection alone is too little evidence; together they suffice.
    one.connections += [
        fake_helper.connection(100 + i, program="short", role="connect", state="close",
                               closed=time.time(), reason="fin", data="final",
                               remote={"address": "198.51.100.7", "port": 443},
                               tcp_info={**lossy(21000), "bytes_sent": 500_000,
                                         "bytes_retrans": 5_000}) for i in range(20)]
    yield one
    one.end()


def test_verdicts_that_figures_tell(helper, socktune, directory):
    path = directory / "advice.conf"
    result = socktune("advise", "--from-helper", "--all", "--json", "-o", path,
                      env=helper.environment)
    assert (result.returncode, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert {(one["program"], one["verdict"]) for one in document["advice"]} == {
        ("lossy", "loss-without-queue"), ("queued", "loss-with-queue"), ("limited", "peer-window"),
        ("dns", "udp-drops"), ("web", "accept-overflow"), ("short", "loss-without-queue")}
    assert document["untold"] == UNTOLD
    drops = [one for one in document["advice"] if one["program"] == "dns"][0]
    assert "SO_RCVBUF" in drops["rule"] and drops["figure"]["value"] == 500
    checked = socktune("check", path)
    assert (checked.returncode, checked.stdout) == (0, "0 errors, 0 warnings in 2 rules\n")
    assert re.search(r"from what socktuned saw in 30\d s", path.read_text())


def test_some_programs_alone(helper, socktune):
    result = socktune("advise", "--from-helper", "-p", "dn*", "--json", env=helper.environment)
    assert {one["program"] for one in json.loads(result.stdout)["advice"]} == {"dns"}
    result = socktune("advise", "--from-helper", "1003", "--json", env=helper.environment)
    assert {one["program"] for one in json.loads(result.stdout)["advice"]} == {"limited"}


def test_what_it_cannot_tell_is_said(helper, socktune):
    helper.connections = helper.connections[3:4]
    result = socktune("advise", "--from-helper", "-a", "-o", os.devnull, env=helper.environment)
    assert result.stdout.startswith("nothing to advise\n")
    assert "do not tell: " + ", ".join(UNTOLD) in result.stdout


def test_scripts_that_have_ended_get_no_rule(helper, socktune):
    """A rule for all python3 programs would be too wide."""
    helper.connections = [{**one, "program": "python3"} for one in helper.connections[:2]]
    result = socktune("advise", "--from-helper", "-a", "-o", os.devnull, env=helper.environment)
    assert result.stdout.startswith("nothing to advise\n")
    assert "2 connections of scripts that have ended" in result.stdout


@pytest.mark.parametrize("arguments, status, says", [
    (["-t", "5", "-a"], 2, "leave it out with --from-helper"),
    (["-p", "nothing"], 1, "the helper knows no such program"),
    ([], 2, "expected either processes")])
def test_misuse(helper, socktune, arguments, status, says):
    result = socktune("advise", "--from-helper", *arguments, env=helper.environment)
    assert result.returncode == status and says in result.stderr


def test_no_helper(socktune, directory):
    result = socktune("advise", "--from-helper", "-a",
                      env={"SOCKTUNE_HELPER": str(directory / "helper.sock")})
    assert result.returncode == 1 and "is socktuned running?" in result.stderr
