# SPDX-License-Identifier: MIT
"""The status page, run by headless Chromium against a helper with connections."""
import json
import re
import subprocess

import pytest
from conftest import program
from test_metrics import COUNT, closed, helper  # noqa: F401
from test_trial import ask, begin, trial, trials

# For root; without Chromium's own network requests.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-dev-shm-usage"]


GUARDED = 'unit = "connection"; guard = { duration = "+900%"; };'


def requests_of(origin, log):
    """The requests of the page of that origin, from Chromium's network log, which has one event per
    line. (The browser's own requests have no such initiator.)"""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            parameters = json.loads(line.rstrip(",")).get("params", {})
        except (ValueError, AttributeError):
            continue
        if isinstance(parameters, dict) and parameters.get("initiator") == origin:
            yield parameters["url"]


class Page:
    """The document after several updates, and the addresses that it requested."""

    def __init__(self, directory, origin):
        log = directory / "net.json"
        result = subprocess.run(
            [program("chromium"), *FLAGS, f"--user-data-dir={directory / 'profile'}",
             f"--log-net-log={log}", "--enable-logging=stderr", "--virtual-time-budget=9000",
             "--dump-dom", f"{origin}/"], capture_output=True, text=True, timeout=120, check=False)
        self.text, self.messages = result.stdout, result.stderr
        self.asked = set(requests_of(origin, log))

    def inside(self, name, identity):
        found = re.search(rf'<{name} id="{identity}"[^>]*>(.*?)</{name}>', self.text, re.DOTALL)
        assert found, self.text + self.messages[-2000:]
        return found[1]

    def rows(self, name="rows"):
        """The rows of a table as dictionaries by heading."""
        heads = re.findall(r"<button[^>]*>(.*?)</button>", self.inside("tr", "heads"))
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
                 for row in re.findall(r"<tr>(.*?)</tr>", self.inside("tbody", name))]
        assert all(len(row) == len(heads) for row in cells)
        return [dict(zip(heads, row)) for row in cells]


@pytest.fixture
def page(directory, helper, closed):  # noqa: F811
    return Page(directory, f"http://127.0.0.1:{helper.port}")


def test_the_page(page, helper, closed):  # noqa: F811
    # Rows without open connections are folded.
    assert [row["role"] for row in page.rows()] == ["listen"]
    assert "Show 2 rows without connections" in page.inside("button", "more")
    rows = {row["role"]: row for row in page.rows() + page.rows("ended")}
    assert set(rows) == {"connect", "accept", "listen"}
    for role in "connect", "accept":
        wanted = {"rule": "all", "port": str(closed), "open": "0", "opened": str(COUNT),
                  "ended badly": "0", "timeouts": "0"}
        assert rows[role].items() >= wanted.items()
    assert rows["listen"]["open"] == "1" and rows["listen"]["queue"] == "0"
    assert page.inside("span", "trouble") == ""
    assert re.search(r'<section id="trials"[^>]* hidden', page.text)
    assert json.loads(helper.get("/v1/status").text)["release"] in page.inside("span", "about")
    # Four charts, two of them with two lines; each line has a point for each answer.
    lines = re.findall(r'<polyline class="(?:one|two)" points="([-\d., ]+)"', page.text)
    assert len(lines) == 6 and all(len(line.split()) >= 2 for line in lines)
    # Only the helper was asked, and no request of the page was refused.
    assert page.asked == {
        f"http://127.0.0.1:{helper.port}/v1/{what}" for what in ("rules", "status", "trials")}
    for word in "Content Security Policy", "Uncaught":
        assert word not in page.messages


@pytest.mark.slow
def test_the_page_has_trials(directory, start, rule_file, helper):  # noqa: F811
    client = begin(start, rule_file(trial("nodelay", "TCP_NODELAY = true", GUARDED)), helper)
    ask(client, 60)
    helper.until(lambda: trials(helper)[0]["connections"] == 60, "the ends of all connections")
    text = subprocess.run([program("promtool"), "check", "metrics"], capture_output=True, text=True,
                          timeout=30, check=False, input=helper.get("/metrics", tcp=True).text)
    assert (text.returncode, text.stdout, text.stderr) == (0, "", "")
    one = json.loads(helper.get("/v1/trials", tcp=True).text)["trials"][0]
    page = Page(directory, f"http://127.0.0.1:{helper.port}")
    heads = re.findall(r"<th[^>]*>(.*?)</th>", page.inside("tr", "trial-heads"))
    control, arm = [dict(zip(heads, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)))
                    for row in re.findall(r"<tr>(.*?)</tr>", page.inside("tbody", "trial-rows"))]
    assert (control["trial"], control["arm"], control["verdict"]) == ("requests", "as it is", "control")
    assert (arm["arm"], arm["verdict"]) == ("nodelay", one["arms"][1]["verdict"])
    assert arm["n"] == str(one["arms"][1]["pairs"]) and "duration +900 %: 0 of" in arm["guards (pairs beyond)"]
    assert page.inside("span", "trouble") == ""
