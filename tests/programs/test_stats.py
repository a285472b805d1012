# SPDX-License-Identifier: MIT
"""socktune stats: its output for the helper's answers, and for broken helpers."""
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import threading
import time

import pytest
from fake_helper import FakeHelper, connection



@pytest.fixture
def helper(directory):
    one = FakeHelper(directory)
    yield one
    one.end()


@pytest.fixture
def stats(socktune, helper):
    def run(*arguments, **keywords):
        return socktune("stats", *arguments, env=helper.environment, **keywords)
    return run


def table(result):
    """The rows as dictionaries by heading; two spaces separate cells."""
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.split("\n\n")[0].splitlines()
    headings = [heading.strip() for heading in lines[0].split("  ") if heading.strip()]
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[1:]]
    assert all(len(row) == len(headings) for row in rows), result.stdout
    return [dict(zip(headings, row)) for row in rows]


def column(result, heading):
    return [row[heading] for row in table(result)]


# Cells.

def test_a_connection(stats, helper):
    helper.connections = [connection(7, tcp_info={
        "bytes_sent": 3 << 20, "bytes_retrans": 3 << 15, "total_retrans": 69})]
    row, = table(stats())
    age = row.pop("AGE")
    assert age in ("1m40s", "1m41s", "1m42s")
    assert row == {
        "PROGRAM": "nginx", "PID": "1007", "RULE": "clients", "ROLE": "accept",
        "LOCAL": "192.0.2.1:80", "REMOTE": "198.51.100.7:40007", "STATE": "established",
        "RTT": "25.0ms", "VAR": "1.50ms", "MIN": "20.0ms", "RETR": "69", "RESENT%": "3.12",
        "CC": "cubic", "CWND": "10", "RATE/s": "1.00M", "SENT": "3.00M", "RECEIVED": "500",
        "LIMITED BY": "network 100%", "DATA": "sample"}


@pytest.mark.parametrize("figures, limit", [
    ({}, "network 100%"),
    ({"rwnd_limited": 60_000_000}, "receiver 67%"),
    ({"rwnd_limited": 9_000_000}, "network 90%"),
    ({"app_limited": 1}, "application"),
    ({"app_limited": 1, "rwnd_limited": 60_000_000}, "receiver 67%"),
])
def test_what_limits_it(stats, helper, figures, limit):
    helper.connections = [connection(1, tcp_info=figures)]
    assert column(stats(), "LIMITED BY") == [limit]


@pytest.mark.parametrize("figures", [
    {"bytes_sent": 4880, "data_segs_out": 40, "delivery_rate": 3_390_000_000},  # small requests
    {"bytes_sent": 14480, "data_segs_out": 10, "busy_time": 4000},              # idle since
    {"rtt": None, "rttvar": None, "bytes_sent": 0, "data_segs_out": 0},         # refused
])
def test_figures_that_say_nothing_are_absent(stats, helper, figures):
    helper.connections = [connection(1, tcp_info=figures), connection(2)]
    row, = [row for row in table(stats()) if row["PID"] == "1001"]
    assert row["LIMITED BY"] == "-"
    assert row["RATE/s"] == ("1.00M" if figures["bytes_sent"] == 14480 else "-")
    assert row["RTT"] == ("-" if "rtt" in figures else "25.0ms")


def test_what_the_kernel_does_not_tell_is_no_zero(stats, helper):
    old = connection(1)
    for name in ("bytes_sent", "bytes_retrans", "busy_time", "rwnd_limited", "delivery_rate"):
        del old["tcp_info"][name]
    old["tcp_info"]["min_rtt"] = None
    helper.connections = [old, connection(2)]
    first, = [row for row in table(stats()) if row["PID"] == "1001"]
    assert [first[key] for key in ("SENT", "RESENT%", "LIMITED BY", "RATE/s", "MIN")] == ["-"] * 5


def test_a_rate_that_the_program_set_is_a_lower_bound(stats, helper):
    helper.connections = [connection(1, tcp_info={"app_limited": 1})]
    assert column(stats(), "RATE/s") == [">1.00M"]


def test_a_listener(stats, helper):
    helper.connections = [connection(1), connection(
        2, role="listen", state="listen", remote=None,
        accept_queue={"length": 3, "limit": 128})]
    row, = [row for row in table(stats()) if row["ROLE"] == "listen"]
    assert [row[key] for key in ("QUEUE", "REMOTE", "RTT", "LIMITED BY")] == \
        ["3/128", "-", "-", "-"]
    assert "1 open, 1 listening" in stats().stdout


def test_ipv6_is_in_brackets(stats, helper):
    helper.connections = [connection(1, local={"address": "2001:db8::1", "port": 443})]
    assert column(stats(), "LOCAL") == ["[2001:db8::1]:443"]


def test_refused_options_are_counted(stats, helper):
    helper.connections = [connection(1, options={"applied": 1, "failed": {"SO_MARK": "EPERM"}})]
    assert column(stats(), "REFUSED") == ["1"]


def test_no_control_character_reaches_the_terminal(stats, helper):
    helper.connections = [connection(1, program="\x1b[2Jx\n\x9by", rule="\x07")]
    row, = table(stats())
    assert (row["PROGRAM"], row["RULE"]) == ("?[2Jx???y", "?")


def test_totals(stats, helper):
    helper.connections = [
        connection(1, tcp_info={"bytes_sent": 1 << 20, "bytes_retrans": 1 << 19}),
        connection(2, tcp_info={"bytes_sent": 1 << 20, "bytes_received": 1 << 30})]
    last = stats().stdout.splitlines()[-1]
    assert last == "2 open, 0 listening; sent 2.00M, received 1.00G, retransmitted 25.0%"


def test_losses_are_told(stats, helper):
    helper.connections = [connection(1)]
    helper.dropped = {"ring": 3, "netlink": 0, "forged": 1}
    assert stats().stdout.splitlines()[-1] == \
        "Not reported since the helper started: ring 3, forged 1"


# Selection and order.

def test_closed_ones(stats, helper):
    now = time.time()
    helper.connections = [
        connection(1), connection(2, opened=now - 300, closed=now - 60, data="final", state="close",
                                  reason="fin"),
        connection(3, opened=now - 30, closed=now - 29, data="lost", state="close", reason="lost")]
    assert column(stats(), "PID") == ["1001"]
    result = stats("--closed", "--sort", "age")
    assert [(row["PID"], row["REASON"], row["DATA"], row["AGE"]) for row in table(result)] == \
        [("1002", "fin", "final", "4m00s"), ("1003", "lost", "lost", "1.00s")]
    assert "STATE" not in result.stdout, "they are all closed"
    assert "2 closed: 1 fin, 1 lost; " in result.stdout
    assert "1 of them without final figures" in result.stdout


def test_filters_are_the_helpers(stats, helper):
    helper.connections = [connection(1, program="redis-server", rule="a b&c=d%"), connection(2)]
    assert column(stats("--program", "redis*", "--rule", "a b&c=d%"), "PID") == ["1001"]
    parameters = helper.asked[0][1]
    assert (parameters["program"], parameters["rule"]) == ("redis*", "a b&c=d%")
    assert stats("--role", "listen", "--state", "x").stdout.startswith("0 open")
    asked = [parameters for path, parameters in helper.asked if path == "/v1/connections"][-1]
    assert asked.items() >= {"role": "listen", "state": "x"}.items()


@pytest.mark.parametrize("key, expected", [
    ("rtt", ["1003", "1002", "1001"]), ("-rtt", ["1002", "1003", "1001"]),
    ("program", ["1002", "1001", "1003"]), ("-program", ["1003", "1001", "1002"]),
    ("pid", ["1003", "1002", "1001"]), (None, ["1003", "1002", "1001"]),
])
def test_sorting(stats, helper, key, expected):
    """By default the newest is first; rows without a figure are last in both directions."""
    now = time.time()
    helper.connections = [
        connection(1, program="b", opened=now - 9, tcp_info={"rtt": None}),
        connection(2, program="a", opened=now - 5, tcp_info={"rtt": 10}),
        connection(3, program="c", opened=now - 2, tcp_info={"rtt": 20})]
    assert column(stats(*(["--sort", key] if key else [])), "PID") == expected


def test_every_key_sorts(stats, helper):
    helper.connections = [connection(number) for number in range(3)]
    refusal = stats("--sort", "bogus")
    assert refusal.returncode == 2
    keys = refusal.stderr.split("expected one of ")[1].split(", or ")[0].split(", ")
    assert len(keys) > 15
    for key in keys:
        assert len(table(stats("-s", key))) == 3
    told = stats("--help").stdout.split("Keys:")[1].split("-w,")[0]
    assert [word.strip() for word in told.split(",")] == keys, "the help lists them"


def test_pages(stats, helper):
    helper.connections = [connection(number) for number in range(2500)]
    assert len(table(stats())) == 2500
    assert [parameters.get("after") for path, parameters in helper.asked
            if path == "/v1/connections"] == [None, "1000", "2000"]


# Output.

@pytest.mark.parametrize("chunk", [0, 1, 1000])
def test_json_is_the_helpers(stats, helper, chunk):
    helper.chunk = chunk
    helper.connections = [connection(number) for number in range(20)]
    result = stats("--json", "--program", "nginx")
    assert json.loads(result.stdout) == {"connections": helper.connections}
    assert helper.asked == [("/v1/connections", {"program": "nginx"})]


@pytest.mark.parametrize("width", [80, 120, 400])
def test_a_terminal_gets_what_fits(build, helper, width):
    helper.connections = [connection(number) for number in range(3)]
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(width)], stdin=slave, check=True)
    with subprocess.Popen([build.socktune, "stats"], stdout=slave, stderr=slave,
                          env={**os.environ, **helper.environment, "NO_COLOR": "1"}) as process:
        assert process.wait(20) == 0
    os.close(slave)
    output = os.read(master, 65536).decode()
    os.close(master)
    lines = output.replace("\r", "").split("\n\n")[0].splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= width
    for heading in ("PROGRAM", "REMOTE", "RTT", "SENT", "RECEIVED"):
        assert heading in lines[0]
    assert ("LIMITED BY" in lines[0]) == (width == 400)


def test_no_connections(stats):
    result = stats()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "0 open, 0 listening; sent 0, received 0, retransmitted 0%\n"


# Broken helpers.

@pytest.mark.parametrize("arguments, complaint", [
    (["x"], 'unexpected argument "x"'),
    (["--json", "--sort", "rtt"], "leave out --sort"),
    (["--json", "--wide"], "leave out --wide"),
    (["--reason", "fin"], "--reason goes with --closed"),
    (["--sort", "tempo"], 'no sort key "tempo"'),
])
def test_wrong_arguments(stats, arguments, complaint):
    result = stats(*arguments)
    assert result.returncode == 2 and complaint in result.stderr
    assert complaint in result.stdout if "--json" in arguments else result.stdout == ""


def test_no_helper(socktune, directory):
    result = socktune("stats", env={"SOCKTUNE_HELPER": str(directory / "helper.sock")})
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"socktune stats: {directory}/query.sock: No such file or directory; " \
                            "is socktuned running?\n"


def test_a_path_that_no_socket_can_have(socktune):
    result = socktune("stats", env={"SOCKTUNE_HELPER": f"/{'x' * 120}/helper.sock"})
    assert result.returncode == 1 and "too long" in result.stderr


def test_where_it_looks(socktune, directory):
    """Without SOCKTUNE_HELPER, root looks in /run, and other users too if the system has a
    helper."""
    place = "/run/socktune" if os.geteuid() == 0 or os.path.exists("/run/socktune") \
        else f"{directory}/socktune"
    if os.path.exists(f"{place}/query.sock"):
        pytest.skip("a helper of the system runs here")
    result = socktune("stats", env={"SOCKTUNE_HELPER": "", "XDG_RUNTIME_DIR": str(directory)})
    assert result.returncode == 1 and f"{place}/query.sock: " in result.stderr


@pytest.mark.parametrize("json_wanted", [[], ["--json"]])
@pytest.mark.parametrize("chunk", [0, 500])
def test_an_answer_that_breaks_off(stats, helper, json_wanted, chunk):
    helper.connections = [connection(1)]
    helper.chunk, helper.missing = chunk, 40
    result = stats(*json_wanted)
    assert result.returncode == 1 and "breaks off" in result.stderr


def test_a_refusal_is_told(stats, helper):
    helper.refusal = 400, {"error": "no state \"x\""}
    result = stats()
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == 'socktune stats: the helper refuses (400): no state "x"\n'


@pytest.mark.parametrize("body", [b"<html>", b"{", b"[]", b'{"connections": 1}'])
def test_an_answer_that_is_no_such_json(stats, helper, body):
    helper.refusal = 200, body
    result = stats()
    assert (result.returncode, result.stdout) == (1, "")
    assert "the helper's answer" in result.stderr


def test_members_of_other_types(stats, helper):
    helper.connections = [{"program": "x"}, {"id": 1, "program": "y", "pid": "z", "local": 5,
                          "remote": {"port": []}, "opened": {}, "options": 3, "tcp_info": [1]}]
    assert len(column(stats(), "PROGRAM")) == 2


@pytest.mark.parametrize("greeting", [
    b"SSH-2.0-x\r\n", b"\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"x" * 5000])
def test_what_does_not_speak_http(socktune, directory, greeting):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "query.sock"))
        listener.listen()

        def serve():
            one, _ = listener.accept()
            with one:
                one.recv(4096)
                one.sendall(greeting)
        threading.Thread(target=serve, daemon=True).start()
        result = socktune("stats", env={"SOCKTUNE_HELPER": str(directory / "helper.sock")})
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("socktune stats: ") and result.stderr.count("\n") == 1


def test_the_manual_lists_the_keys(stats):
    manual = pathlib.Path(__file__).resolve().parents[2] / "tools" / "socktune.1"
    text = manual.read_text(encoding="utf-8").split(".Ss stats\n")[1].split(".Ss ")[0]
    keys = stats("-s", "bogus").stderr.split("expected one of ")[1].split(", or ")[0].split(", ")
    assert re.findall(r"^\.It Cm (\S+)", text, re.M) == keys
