# SPDX-License-Identifier: MIT
"""Valgrind, because sanitizers do not work in a preloaded object inside unmodified programs.

Only findings with our object on the stack count: hosts and programs have their own (for example
because of hand-made stacks). The installed command is run too, and must have no findings.
"""
import http.server
import signal
import subprocess
import threading
import xml.etree.ElementTree as xml

import churn
import pytest
import socktuned
from conftest import ROOT, preloaded, program
from hostile import RULES, assert_tuned, parse


HOSTS = ["children", "interrupt", "cancel", "signals", "threads 25"]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.conf"))
EVERYTHING = ROOT / "tests" / "fixtures" / "good" / "everything.conf"
# Rules of each mode, so that setsockopt() and the other calls use all code.
ALL_MODES = """
rules = (
  { set = { SO_KEEPALIVE = true; SO_PRIORITY = 3; dscp = "EF"; }; },
  { match = { role = "connect"; remote = "127.0.0.0/8"; }; force = { TCP_NODELAY = false; }; },
  { match = { role = "accept"; remote = "127.0.0.0/8"; }; default = { TCP_KEEPIDLE = 77; }; },
  { match = { program = "curl"; remote_port = "1024-65535"; }; ignore = [ "TCP_KEEPINTVL" ]; }
);
"""


@pytest.fixture
def memcheck(directory):
    """memcheck(command, environment) -> (the finished process, errors as lists of frames)."""
    valgrind = program("valgrind")

    def run(command, environment, **keywords):
        report = directory / "valgrind-%p.xml"
        result = subprocess.run(
            [valgrind, "-q", "--xml=yes", f"--xml-file={report}", "--track-fds=no",
             *map(str, command)], env=environment, capture_output=True, text=True, check=False,
            timeout=120, stdin=subprocess.DEVNULL, **keywords)
        reports = sorted(directory.glob("valgrind-*.xml"))
        assert reports, f"valgrind did not run: {result.stderr}"
        return result, errors_in(reports)
    return run


def errors_in(reports):
    """Lists of frames."""
    found = []
    for path in reports:
        # A process that ends by exec(), or by _exit() in vfork(), leaves its report incomplete.
        text = path.read_text(encoding="utf-8")
        text += "" if "</valgrindoutput>" in text else "</valgrindoutput>"
        for error in xml.fromstring(text).iter("error"):
            found.append([f"{frame.findtext('obj')}: {frame.findtext('fn')}"
                          for frame in error.iter("frame")])
    return found


def ours(errors):
    return [frames for frames in errors if any("libsocktune" in frame for frame in frames)]


@pytest.fixture(params=["compiled", "kept", "to be compiled"])
def policy(request, rule_file, compiled, socktune):
    """A function that makes a file for SOCKTUNE_RULES: a policy; rules with a policy beside them;
    only rules, for which the object calls the compiler."""
    def make(text):
        if request.param == "compiled":
            return compiled(text)
        rules = rule_file(text)
        if request.param == "kept":
            assert socktune("compile", rules, "-o", f"{rules}.policy").returncode == 0
        return rules
    return make


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
def test_hosts(host, build, compiled, memcheck):
    name, *arguments = host.split()
    result, errors = memcheck([build.hosts / name, *arguments], preloaded(build, compiled(RULES)))
    assert result.returncode == 0, result.stderr
    assert ours(errors) == []


def test_a_plain_host(build, policy, memcheck):
    result, errors = memcheck([build.hosts / "plain"], preloaded(build, policy(RULES)))
    assert ours(errors) == []
    assert_tuned(parse(result.returncode, result.stdout, result.stderr))


class Page(http.server.BaseHTTPRequestHandler):
    """Answers each request with one line."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"under valgrind\n")

    def log_message(self, *_):
        """Print nothing into the test's output."""


@pytest.mark.slow
def test_a_real_program(build, policy, memcheck):
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result, errors = memcheck(
            [program("curl"), "--silent", f"http://127.0.0.1:{server.server_port}/"],
            preloaded(build, policy(ALL_MODES)))
        server.shutdown()
    assert (result.returncode, result.stdout) == (0, "under valgrind\n"), result.stderr
    assert ours(errors) == []


@pytest.mark.parametrize("command", [
    ["check", *EXAMPLES],
    ["compile", EVERYTHING, "-o", "policy"],
    ["explain", "-c", EVERYTHING, "--program", "nginx", "--connect", "192.0.2.1:5432", "--json"],
    ["options", "--json"],
], ids=lambda words: words[0])
def test_the_command(command, build, directory, memcheck):
    result, errors = memcheck([build.socktune, *command], preloaded(build, None), cwd=directory)
    assert result.returncode == 0, result.stderr
    # memcheck does not know which bytes bpf(2) reads and writes.
    assert [stack for stack in errors if not any("/libbpf" in frame for frame in stack)] == []


@pytest.mark.slow
def test_the_command_on_bad_rules(build, directory, memcheck):
    """All fixtures at once: they use the parser's error paths."""
    bad = sorted((ROOT / "tests" / "fixtures" / "bad").glob("*.conf"))
    result, errors = memcheck([build.socktune, "check", *bad], preloaded(build, None))
    assert result.returncode == 1, result.stderr
    # libconfig 1.5 leaks the string in which the text ends.
    assert [stack for stack in errors if not stack[1].endswith(": strbuf_append")] == []


def test_the_helper(build, compiled, directory, free_port):
    """A session of the helper, to its clean end: it leaks no memory."""
    report = directory / "helper.xml"
    wrapper = [program("valgrind"), "-q", "--leak-check=full", "--errors-for-leak-kinds=definite",
               "--xml=yes", f"--xml-file={report}"]
    with socktuned.running(free_port(), "--history", "20", wrapper=wrapper) as helper:
        for how in (["several", "inet"], ["exec", "inet6"], ["pass", "mptcp"]):
            told = subprocess.run(
                [build.hosts / "churn", *how, "client", "1", "20"], capture_output=True, text=True,
                timeout=60, check=True, env=preloaded(
                    build, compiled(churn.REPORT), SOCKTUNE_HELPER=helper.directory / "helper.sock"))
            assert told.stderr == ""
        for path in ("/v1/connections", "/v1/connections?closed=1&limit=7", "/v1/processes",
                     "/v1/rules", "/v1/status", "/metrics", "/", "/nowhere"):
            helper.get(path)
        helper.process.send_signal(signal.SIGHUP)
        helper.until(lambda: not churn.sums(helper)["open"], "all closed")
        assert helper.stop() == 0
    assert errors_in([report]) == []
