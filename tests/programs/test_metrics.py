# SPDX-License-Identifier: MIT
"""/metrics as Prometheus reads it, and the files for Prometheus and Grafana."""
import json
import re
import subprocess
import urllib.parse

import http_client
import kernel
import pytest
from conftest import ROOT, program
from socktuned import RULES, next_step, running, talk

COUNT = 8
FILES = ROOT / "tools" / "package" / "prometheus"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def helper(free_port):
    with running(free_port()) as one:
        yield one


def value(text, name, **labels):
    """The sum of a metric's samples with these labels."""
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
        if found and all(f'{key}="{wanted}"' in (found[1] or "") for key, wanted in labels.items()):
            total += float(found[2])
    return total


def scrape(helper, **keywords):
    answer = helper.get("/metrics", tcp=True, **keywords)
    assert answer.status == 200
    return answer.text


@pytest.fixture
def closed(start, rule_file, helper):
    """A program whose connections have closed, all reported."""
    one, port = talk(start, rule_file(RULES), helper, COUNT)
    next_step(one)
    helper.until(lambda: value(scrape(helper), "socktune_connections_closed_total",
                               role="accept") == COUNT, "closed connections")
    helper.until(lambda: value(scrape(helper), "socktune_connections_closed_total",
                               role="connect") == COUNT, "closed connections")
    return port


def test_sums_are_exact(helper, closed):
    text = scrape(helper)
    assert value(text, "socktune_sent_bytes_total", role="connect") == 1000 * COUNT
    assert value(text, "socktune_sent_bytes_total", role="accept") == 500 * COUNT
    assert value(text, "socktune_connections_opened_total", role="connect") == COUNT
    assert value(text, "socktune_connections_open", role="connect") == 0
    assert value(text, "socktune_connections_closed_total", reason="fin") == 2 * COUNT
    assert value(text, "socktune_connection_duration_seconds_count", role="connect") == COUNT
    assert value(text, "socktune_min_rtt_seconds_count", role="connect") == COUNT
    assert value(text, "socktune_options_applied_total", role="connect",
                 option="SO_KEEPALIVE") == COUNT
    assert value(text, "socktune_options_applied_total", option="other") == 0
    assert value(text, "socktune_helper_dropped_total") == 0
    # Listeners are sampled a moment later, and counted from then on.
    helper.until(lambda: value(scrape(helper), "socktune_connections_open", role="listen",
                               port=closed) == 1, "the listener")
    helper.until(lambda: value(scrape(helper), "socktune_accept_queue_limit", role="listen",
                               port=closed) == 64, "the listener's queue")


def test_promtool_has_nothing_to_say(helper, closed):
    result = subprocess.run([program("promtool"), "check", "metrics"], input=scrape(helper),
                            capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_both_formats_tell_the_same(helper, closed):
    plain, rich = scrape(helper), scrape(helper, headers=OPENMETRICS)
    assert rich.endswith("\n# EOF\n")
    def samples(text):
        return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert samples(plain) == samples(rich)
    answer = helper.get("/metrics", tcp=True, headers=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert helper.get("/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_counters_never_fall(start, rule_file, helper):
    """While connections open and close, in two rounds."""
    last = {}
    rules = rule_file(RULES)
    for _ in range(2):
        one, _ = talk(start, rules, helper, COUNT)
        for step in range(2):
            text = scrape(helper)
            counters = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                        for line in text.splitlines()
                        if re.match(r"socktune_\w+_(total|count|bucket)\b", line)}
            assert all(counters[key] >= number for key, number in last.items())
            last = counters
            if step == 0:
                next_step(one)
                one.until(lambda: "closed" in one.output, "closed")
        one.stop()


def test_promtool_accepts_the_files():
    promtool = program("promtool")
    for arguments in (["check", "config", "scrape.yml"], ["check", "rules", "alerts.yml"],
                      ["test", "rules", "alerts_test.yml"]):
        result = subprocess.run([promtool, *arguments], cwd=FILES, capture_output=True, text=True,
                                timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def expressions():
    """The queries of the dashboard and the alerts, with the dashboard's variables filled in."""
    dashboard = json.loads((FILES / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            yield re.sub(r"\$(instance|program|rule)\b", ".*", text)


def test_files_name_metrics_that_exist(helper, closed):
    known = set(re.findall(r"^# TYPE (\w+)", scrape(helper), re.MULTILINE))
    text = "\n".join(expressions()) + (FILES / "alerts.yml").read_text()
    used = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bsocktune_\w+", text)}
    assert used and used <= known


def test_opentelemetry_names(helper, closed):
    """The metrics that the collector renames exist, and the manual lists the same."""
    known = set(re.findall(r"^# TYPE (\w+)", scrape(helper), re.MULTILINE))
    text = (FILES / "opentelemetry.yml").read_text()
    renamed = dict(re.findall(r"include: (\w+)\n\s+action: update\n\s+new_name: (\S+)", text))
    manual = (ROOT / "tools" / "socktuned.8").read_text()
    table = dict(re.findall(r"^\.It (socktune_\w+) Ta (\S+)$", manual, re.MULTILINE))
    assert renamed and set(renamed) <= known
    assert renamed == table
    for label in re.findall(r"\blabel: (\w+)\b(?!\.)", text):
        assert f'{label}="' in scrape(helper)


class Prometheus:
    def __init__(self, start, directory, port, targets):
        config = directory / "prometheus.yml"
        config.write_text("global: { scrape_interval: 1s }\nscrape_configs:\n"
                          f"- {{ job_name: socktune, static_configs: [ {{ targets: {targets} }} ] }}\n")
        self.port = port
        self.server = start([program("prometheus"), f"--config.file={config}",
                             f"--storage.tsdb.path={directory / 'tsdb'}",
                             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"])
        self.server.until_listening(port)
        self.server.until(self.is_ready, "Prometheus being ready")

    def request(self, what, **parameters):
        return http_client.request(
            self.port, f"/api/v1/{what}?{urllib.parse.urlencode(parameters)}")

    def is_ready(self):
        return self.request("query", query="1").status == 200

    def ask(self, what, **parameters):
        answer = self.request(what, **parameters)
        assert answer.status == 200, answer.text
        return answer.json["data"]

    def query(self, expression):
        """A scalar, or None if there is no such series."""
        result = self.ask("query", query=expression)["result"]
        return float(result[0]["value"][1]) if result else None


def test_prometheus_has_the_right_sums(start, helper, closed, directory, free_port):
    server = Prometheus(start, directory, free_port(), [f"127.0.0.1:{helper.port}"])
    expected = {
        'sum(socktune_sent_bytes_total{rule="all", role="connect"})': 1000 * COUNT,
        'sum(socktune_sent_bytes_total{rule="all"})': 1500 * COUNT,
        f'socktune_connections_open{{role="listen", port="{closed}"}}': 1,
        'sum(socktune_connections_closed_total{reason="fin"})': 2 * COUNT,
        'sum(socktune_connection_duration_seconds_bucket{le="+Inf"})': 2 * COUNT,
        "count(socktune_helper_build_info)": 1,
        'up{job="socktune"}': 1,
    }
    for expression, number in expected.items():
        kernel.until(lambda expression=expression, number=number:
                     server.query(expression) == number,
                     lambda expression=expression: f"{expression} is {server.query(expression)}")
    target, = server.ask("targets")["activeTargets"]
    assert target["health"] == "up" and target["lastError"] == ""
    for expression in expressions():
        server.ask("query", query=expression)


# Never calls accept(); for each line of input, opens more connections than the queue can hold.
DROPPER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=1)
print("open", listener.getsockname()[1], flush=True)
kept = []
for _ in sys.stdin:
    for _ in range(8):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        kept.append(one)
    print("full", flush=True)
"""


def test_connections_that_a_listener_drops_are_counted(start, rule_file, helper):
    one = start(["/usr/bin/python3", "-c", DROPPER], rule_file(RULES),
                env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"}, stdin=subprocess.PIPE)
    one.until(lambda: one.output.endswith("\n"), "listening")
    def dropped():
        return value(scrape(helper), "socktune_accept_dropped_total", role="listen")
    helper.until(lambda: value(scrape(helper), "socktune_accept_queue_limit") == 1, "the queue")
    assert dropped() == 0
    next_step(one)
    helper.until(lambda: dropped() > 0, "drops")
    rules = helper.get("/v1/rules").json["rules"]
    assert sum(rule["dropped"] for rule in rules if rule["role"] == "listen") > 0
