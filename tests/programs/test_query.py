# SPDX-License-Identifier: MIT
"""The answers of socktuned over HTTP, who may read them, and how it handles clients that
misbehave."""
import contextlib
import grp
import json
import os
import re
import socket
import subprocess
import time

import pytest
from conftest import ROOT, needs_root, program
from test_manual import displays, rendered
from socktuned import RULES, as_user, next_step, running, talk

COUNT = 12


@pytest.fixture
def helper(free_port):
    with running(free_port()) as one:
        yield one


@pytest.fixture
def talker(start, rule_file, helper):
    return talk(start, rule_file(RULES), helper, COUNT)


def sampled(helper, parameters, count):
    """The connections, after there are so many of them, all with figures."""
    def ready():
        found = helper.connections(parameters)
        return len(found) == count and all("tcp_info" in one for one in found) and found
    return helper.until(ready, f"{count} connections with figures ({parameters})")


def test_open_connections(helper, talker):
    client, port = talker
    helper.until(lambda: all(one["tcp_info"]["bytes_sent"] == 1000
                             for one in sampled(helper, "role=connect", COUNT)), "bytes sent")
    for one in helper.connections("role=connect"):
        assert one["program"].startswith("python3") and one["rule"] == "all"
        assert (one["pid"], one["uid"]) == (client.pid, os.geteuid())
        assert (one["family"], one["protocol"], one["state"]) == ("inet", "tcp", "established")
        assert one["remote"] == {"address": "127.0.0.1", "port": port}
        assert one["data"] == "sample" and "closed" not in one
        assert abs(one["opened"] - time.time()) < 120
        assert one["options"]["failed"] == {}
        assert one["tcp_info"]["rtt"] > 0 and one["congestion"]
    assert {one["local"]["port"] for one in sampled(helper, "role=accept", COUNT)} == {port}
    listener, = helper.connections("role=listen")
    assert listener["local"]["port"] == port and "remote" not in listener
    helper.until(lambda: [one["accept_queue"] for one in helper.connections("state=listen")]
                 == [{"length": 0, "limit": 64, "dropped": 0}], "the listener's queue")


def test_closed_connections_have_their_last_figures(helper, talker):
    client, _ = talker
    next_step(client)
    client.until(lambda: "closed" in client.output, "closed")
    def ended():
        found = helper.connections("closed=1&role=accept")
        return len(found) == COUNT and found
    for one in helper.until(ended, "all closed"):
        assert one["state"] == "close" and one["data"] == "final"
        assert one["closed"] >= one["opened"]
        assert one["tcp_info"]["bytes_sent"] == 500
    helper.until(lambda: not helper.connections("role=accept"), "none open")


def test_paging_meets_each_once(helper, talker):
    sampled(helper, "role=connect", COUNT)
    seen, after = [], "0"
    while after is not None:
        answer = helper.get(f"/v1/connections?limit=5&after={after}").json
        assert len(answer["connections"]) <= 5
        seen += [one["id"] for one in answer["connections"]]
        after = answer["next"]
    assert len(seen) == len(set(seen)) == 2 * COUNT + 1
    assert set(seen) == {one["id"] for one in helper.connections()}


@pytest.mark.parametrize("parameters, count", [
    ("program=python*", 2 * COUNT + 1), ("program=nginx", 0), ("rule=all", 2 * COUNT + 1),
    ("rule=al", 0), ("role=accept&state=established", COUNT), ("state=syn-sent", 0),
    (f"uid={os.geteuid()}", 2 * COUNT + 1), ("uid=4242", 0), ("closed=0&role=listen", 1),
    ("program=pyth%6fn*&role=listen", 1)])
def test_filters(helper, talker, parameters, count):
    sampled(helper, "role=connect", COUNT)
    assert len(helper.until(lambda: helper.connections(parameters) or not count and [None],
                            parameters)) == max(count, 1)
    assert len(helper.connections(parameters)) == count


def test_processes_rules_and_status(helper, talker):
    client, port = talker
    sampled(helper, "role=connect", COUNT)
    process, = helper.get("/v1/processes").json["processes"]
    assert (process["pid"], process["rules"]) == (client.pid, ["all"])
    assert process["connections"] == 2 * COUNT + 1
    assert process["records"] >= process["connections"] and process["dropped"] == 0
    rules = {rule["role"]: rule for rule in helper.get("/v1/rules").json["rules"]}
    assert rules["connect"]["port"] == port
    assert rules["connect"]["open"] == rules["connect"]["opened"] == COUNT
    assert rules["connect"]["tcp_info"]["bytes_sent"] == 1000 * COUNT
    assert rules["connect"]["options"] == {"applied": COUNT, "set": {"SO_KEEPALIVE": COUNT},
                                           "failed": {}}
    status = helper.get("/v1/status").json
    assert (status["clients"], status["connections"]) == (1, 2 * COUNT + 1)
    assert status["records"] >= 2 * COUNT + 1 and not any(status["dropped"].values())


def test_curl_gives_what_stats_prints(helper, talker, socktune):
    """Byte for byte, for connections that no longer change."""
    client, _ = talker
    next_step(client)
    helper.until(lambda: len(helper.connections("closed=1")) == 2 * COUNT, "all closed")
    for flags, parameters in ([], ""), (["--role", "accept"], "&role=accept"), (
            ["--program", "python*", "--rule", "all", "--reason", "fin"],
            "&program=python*&rule=all&reason=fin"):
        text = subprocess.run(
            [program("curl"), "--silent", "--fail", "--unix-socket", helper.socket,
             "http://localhost/v1/connections?closed=1" + parameters],
            capture_output=True, text=True, timeout=30, check=True).stdout
        assert json.loads(text)["connections"]
        result = socktune("stats", "--closed", "--json", *flags,
                          env={"SOCKTUNE_HELPER": str(helper.directory / "helper.sock")})
        assert (result.returncode, result.stdout) == (0, text)


# The manual.

def names_of(answer):
    """The names of all members, except those that are data."""
    if isinstance(answer, list):
        return {name for one in answer for name in names_of(one)}
    if not isinstance(answer, dict):
        return set()
    return set(answer) | {name for key, one in answer.items()
                          if key not in ("tcp_info", "failed", "set") for name in names_of(one)}


def test_the_manual_tells_of_every_member(helper, talker):
    client, _ = talker
    sampled(helper, "role=connect", COUNT)
    answers = [helper.get(path).json for path in
               ("/v1/connections", "/v1/processes", "/v1/rules", "/v1/status")]
    next_step(client)
    helper.until(lambda: helper.connections("closed=1"), "closed connections")
    answers.append(helper.get("/v1/connections?closed=1").json)
    page = rendered(ROOT / "tools" / "socktuned.8")
    assert {name for name in names_of(answers) if not re.search(rf"\b{name}\b", page)} == set()
    for path in ("/v1/connections", "/v1/processes", "/v1/rules", "/v1/status", "/metrics",
                 "/healthz", "closed", "limit", "after"):
        assert path in page


def test_the_examples_of_the_manual(helper, talker):
    client, _ = talker
    program("jq")
    next_step(client)
    helper.until(lambda: len(helper.connections("closed=1")) == 2 * COUNT, "all closed")
    examples = [text for text in displays(ROOT / "tools" / "socktuned.8") if "curl" in text]
    assert len(examples) >= 5
    for text in examples:
        # The examples' directory and program are replaced by those of this test.
        script = "set -eo pipefail\n" + text.replace("/run/socktune", str(helper.directory)) \
            .replace("program=nginx", "program=python*")
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30,
                                check=False)
        assert (result.returncode, result.stderr) == (0, ""), script
        assert result.stdout or "total_retrans > 0" in text, script


def test_the_configuration_of_the_manual(free_port, tmp_path):
    text, = [text for text in displays(ROOT / "tools" / "socktuned.8") if "interval" in text]
    port, config = free_port(), tmp_path / "socktuned.conf"
    config.write_text(text.replace("9117", str(port)))
    with running(port, "--config", config) as helper:
        assert helper.get("/v1/status").json["history"]["limit"] == 5000


def test_users_see_their_own_alone(helper, talker):
    needs_root("asks as another user")
    sampled(helper, "role=connect", COUNT)
    curl = [program("curl"), "--silent", "--unix-socket", helper.socket]
    assert json.loads(as_user(65534, [], [*curl, "http://localhost/v1/connections"])) == {
        "version": 1, "connections": [], "next": None}
    assert json.loads(as_user(65534, [], [*curl, "http://localhost/v1/rules"])) == {
        "version": 1, "rules": []}
    assert json.loads(as_user(65534, [], [*curl, "http://localhost/v1/processes"])) == {
        "version": 1, "reloading": False, "processes": []}
    assert "python3" not in as_user(65534, [], [*curl, "http://localhost/metrics"])
    assert "only root" in as_user(65534, [], [*curl, "http://localhost/v1/connections?uid=0"])


def test_own_connections_of_a_user(start, rule_file, helper):
    needs_root("runs a program as another user")
    # Python's -c needs no file, which the user might not be able to read.
    talk(start, rule_file(RULES), helper, 2, user=65534)
    curl = [program("curl"), "--silent", "--unix-socket", helper.socket]
    def seen():
        text = as_user(65534, [], [*curl, "http://localhost/v1/connections"])
        return [one["uid"] for one in json.loads(text)["connections"]]
    helper.until(lambda: seen() == [65534] * 5, "the user's connections")


def test_members_of_the_group_see_all(start, rule_file, free_port, tmp_path):
    needs_root("asks as another user")
    group = grp.getgrgid(12)
    config = tmp_path / "socktuned.conf"
    config.write_text(f'group = "{group.gr_name}";\n')
    with running(free_port(), "--config", config) as helper:
        talk(start, rule_file(RULES), helper, 1)
        sampled(helper, "role=connect", 1)
        curl = [program("curl"), "--silent", "--unix-socket", helper.socket,
                "http://localhost/v1/connections"]
        assert len(json.loads(as_user(65534, [group.gr_gid], curl))["connections"]) == 3
        assert not json.loads(as_user(65534, [], curl))["connections"]


@pytest.mark.parametrize("path, status, says", [
    ("/nothing", 404, "/v1/connections"), ("/v1/connections?colour=red", 400, "parameters are"),
    ("/v1/connections?state=up", 400, "established"), ("/v1/connections?role", 400, "listen"),
    ("/v1/connections?limit=-1", 400, "limit"), ("/v1/connections?after=x", 400, "next"),
    ("/v1/connections?reason=fin", 400, "closed=1"), ("/v1/rules?program=x", 400, "parameters"),
    ("/v1/status?a", 400, "parameters"), ("/metrics?name=x", 400, "parameters"),
    ("/healthz?x=1", 400, "parameters"), ("/v1/processes?uid=0", 400, "parameters"),
    ("/?x", 400, "parameters")])
def test_errors_say_what_would_be_right(helper, path, status, says):
    answer = helper.get(path)
    assert answer.status == status and says in answer.json["error"]


@pytest.mark.parametrize("request_, status", [
    (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505),
    (b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    (b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40000 + b"\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400)])
def test_errors_of_the_library_are_json(helper, request_, status):
    def ask():
        """The whole answer; the helper may break it off, if it stops reading."""
        answer = b""
        with socket.socket(socket.AF_UNIX) as client, \
                contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.connect(str(helper.socket))
            client.sendall(request_)
            while part := client.recv(65536):
                answer += part
        return answer.endswith(b"}\n") and answer.partition(b"\r\n\r\n")
    head, _, body = helper.until(ask, "an answer")
    assert head.split()[1] == str(status).encode(), head
    assert b"Content-Type: application/json" in head
    assert json.loads(body)["error"].startswith("not a proper HTTP request: ")


def test_only_get_and_head(helper):
    for method in ("POST", "DELETE", "PUT"):
        answer = helper.request(method, "/v1/status")
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    head = helper.request("HEAD", "/v1/status")
    assert head.status == 200 and head.body == b""


def test_tcp_gives_sums_alone(helper, talker):
    sampled(helper, "role=connect", COUNT)
    for path in ("/", "/metrics", "/healthz", "/v1/status", "/v1/rules"):
        answer = helper.get(path, tcp=True)
        assert answer.status == 200 and "127.0.0.1" not in answer.text
    for path in ("/v1/connections", "/v1/processes"):
        assert helper.get(path, tcp=True).status == 403


def test_page_asks_nobody_else(helper):
    answer = helper.get("/", tcp=True)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    for word in ("src=", "@import", "url("):
        assert word not in answer.text


def test_sleeping_and_greedy_clients_do_not_hold_up_others(helper, talker):
    """Incomplete requests, answers that are never read, and more clients than a user may have."""
    clients = []
    for text in [b"GET /metrics HTTP/1.1\r\nHo", b"GET /v1/rules HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
                 b"\0\xff garbage\r\n\r\n"] + [b""] * 20:
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(str(helper.socket))
        one.sendall(text)
        clients.append(one)
    started = time.monotonic()
    sampled(helper, "role=connect", COUNT)
    assert helper.get("/healthz").text == "ok\n" and time.monotonic() - started < 10
    for _ in range(40):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(str(helper.socket))
        clients.append(one)
    # Beyond its limit, a user's oldest clients without a complete request are disconnected. This
    # affects neither the newest clients of that user nor TCP.
    clients[0].settimeout(10)
    assert clients[0].recv(1) == b""
    clients[-1].settimeout(10)
    clients[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert clients[-1].recv(12) == b"HTTP/1.1 200"
    assert helper.get("/healthz", tcp=True).text == "ok\n"
    for one in clients:
        one.close()
    helper.until(helper.answers, "an answer after they left")


def test_slow_requests_do_not_shut_prometheus_out(helper):
    """Incomplete requests from many loopback addresses, each sending slowly."""
    clients = []
    for number in range(600):
        one = socket.socket()
        one.bind((f"127.0.{number // 200}.{number % 200 + 1}", 0))
        one.connect(("127.0.0.1", helper.port))
        one.sendall(b"GET /metrics HTTP/1.1\r\nHo")
        clients.append(one)
    started = time.monotonic()
    for _ in range(5):
        assert helper.get("/metrics", tcp=True).status == 200
        for one in clients:
            with contextlib.suppress(OSError):
                one.send(b"s")
    assert time.monotonic() - started < 10
    for one in clients:
        one.close()


@pytest.mark.slow
def test_a_request_has_a_time_limit(helper):
    """A request that continues byte by byte is ended after 20 seconds, plus one to notice."""
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(helper.socket))
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        one.settimeout(1)
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 60:
                one.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if one.recv(1) == b"":
                        break
        assert 15 < time.monotonic() - started < 50
    assert helper.answers()


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("localhost:9117", 200), ("[::1]:9117", 200), (socket.gethostname(), 200),
    ("web1.example.org:9117", 200), ("WEB1.example.org", 200), ("attacker.example", 421),
    ("web2.example.com", 421), ("127.0.0.1.attacker.example:9117", 421)])
def test_over_tcp_the_host_must_be_ours(free_port, tmp_path, host, status):
    """A foreign page whose name is changed to our address (DNS rebinding) gets no data."""
    config = tmp_path / "socktuned.conf"
    config.write_text('hosts = "*.example.org other";\n')
    with running(free_port(), "--config", config) as helper:
        answer = helper.get("/v1/rules", tcp=True, headers={"Host": host})
        assert answer.status == status
        assert status == 200 or "hosts" in answer.json["error"]
        assert helper.get("/v1/rules", headers={"Host": host}).status == 200


def test_libcurl_is_opened_by_those_alone_that_ask(helper, socktune, build, tmp_path):
    """Loading it takes long, which must not delay `socktune run`."""
    needed = subprocess.run(["ldd", build.socktune], check=True, capture_output=True, text=True)
    assert "libjansson" in needed.stdout and "libcurl" not in needed.stdout
    assert socktune("stats", env=helper.environment).returncode == 0
    (tmp_path / "libcurl.so.4").write_text("no library")
    broken = {**helper.environment, "LD_LIBRARY_PATH": str(tmp_path)}
    assert socktune("--version", env=broken).returncode == 0
    done = socktune("stats", env=broken)
    assert done.returncode == 1
    assert "libcurl, which asks the helper, cannot be opened: " in done.stderr
    assert "libcurl.so.4" in done.stderr
