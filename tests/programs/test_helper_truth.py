# SPDX-License-Identifier: MIT
"""The helper's reports are true for: connect() calls that fail or wait, connections that are older
than the helper, processes that fork, and sockets that change their family."""
import errno
import os
import signal
import subprocess
import time

import pytest
import socktuned
from conftest import needs_root, program

# A listener whose queue is full drops each further SYN, like a black hole in the network.
CONNECTS = """
import os, socket, sys, threading
full = socket.create_server(("127.0.0.1", 0))
full.listen(0)
first = socket.create_connection(full.getsockname())
def connect(port, count=None):
    client = socket.socket()
    if count:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, count)
    error = client.connect_ex(("127.0.0.1", port))
    client.close()
    return error
waits = threading.Thread(target=connect, args=(full.getsockname()[1],), daemon=True)
waits.start()
print(connect(int(sys.argv[1])), connect(full.getsockname()[1], 1), full.getsockname()[1],
      flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def helper(free_port):
    with socktuned.running(free_port()) as one:
        yield one


@pytest.fixture
def begin(start, rule_file):
    """Start Python code that reports to a helper."""
    def run(code, helper, *arguments, wrapper=(), **keywords):
        return start([*wrapper, program("python3"), "-c", code, *map(str, arguments)],
                     rule_file(socktuned.RULES), env=helper.environment, stdin=subprocess.PIPE,
                     **keywords)
    return run


def closed(helper, port):
    return [one["reason"] for one in helper.connections("closed=1")
            if one.get("remote", {}).get("port") == port and one["role"] == "connect"]


def test_blocking_connect_that_fails(helper, begin, free_port):
    """Refused, given up after two SYNs, and still waiting when its program is killed."""
    nobody = free_port()
    one = begin(CONNECTS, helper, nobody)
    one.until(lambda: one.output.endswith("\n"), "the first two have failed")
    refused, timed_out, full = map(int, one.output.split())
    assert (refused, timed_out) == (errno.ECONNREFUSED, errno.ETIMEDOUT)
    helper.until(lambda: closed(helper, nobody) == ["refused"], "refused is told")
    helper.until(lambda: closed(helper, full) == ["unanswered"], "that nobody answered is told")
    waiting, = helper.until(lambda: helper.connections("state=syn-sent"), "one is under way")
    assert waiting["role"] == "connect" and waiting["local"]["port"] > 0
    assert waiting["remote"]["port"] == full
    one.process.send_signal(signal.SIGKILL)
    helper.until(lambda: closed(helper, full).count("unanswered") == 2, "it was given up")
    rules = helper.get("/v1/rules").json["rules"]
    assert sum(rule["ends"]["refused"] for rule in rules) == 1
    assert sum(rule["ends"]["unanswered"] for rule in rules) == 2


KEEPS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
pairs = []
for line in sys.stdin:
    client = socket.create_connection(listener.getsockname())
    pairs.append((client, listener.accept()[0]))
    print(*client.getsockname(), flush=True)
"""


def test_ages_survive_the_helper(directory, begin):
    """The programs know when they first reported a socket."""
    def opened(helper):
        return {(one["local"]["port"], one.get("remote", {}).get("port")): one["opened"]
                for one in helper.connections()}
    first = socktuned.Helper(directory)
    one = begin(KEEPS, first)
    socktuned.next_step(one)
    before = first.until(lambda: len(opened(first)) == 3 and opened(first), "one is open")
    first.stop()
    stopped = time.time()
    time.sleep(1)  # so that the ages differ from 0
    other = socktuned.Helper(directory)
    try:
        def known():
            socktuned.next_step(one)
            time.sleep(0.1)
            return before.keys() <= opened(other).keys() and opened(other)
        after = other.until(known, "the next connection tells the new helper of all")
        for key, when in before.items():
            assert abs(after[key] - when) < 0.2 and after[key] < stopped
    finally:
        other.stop()


DAEMON = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
if os.fork():
    os._exit(0)
os.setsid()
workers = []
for _ in range(2):
    here, there = os.pipe()
    if not os.fork():
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        os.write(there, b"x")
        sys.stdin.readline()
        os._exit(0)
    os.read(here, 1)
    workers.append(None)
print("open", os.getpid(), flush=True)
sys.stdin.readline()
"""


def test_processes_that_fork(helper, begin):
    """A daemon's first process ends at once; its children continue."""
    one = begin(DAEMON, helper)
    one.until(lambda: one.output.endswith("\n"), "connections open")

    def workers():
        found = helper.get("/v1/processes").json["processes"]
        return {at["pid"]: at for at in found if at["connections"] == 2 and not at["ended"]}
    children = helper.until(lambda: len(workers()) == 2 and workers(), "two workers are known")
    first, = (at for at in helper.get("/v1/processes").json["processes"] if "parent" not in at)
    assert first["ended"]
    for child in children.values():
        assert child["parent"] == first["pid"] and child["records"] == 2
        assert os.path.exists(f"/proc/{child['pid']}")
        os.kill(child["pid"], signal.SIGKILL)
    helper.until(lambda: not workers(), "they have ended")


BECOMES_IPV4 = """
import socket, sys
IPV6_ADDRFORM = 1
listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
client = socket.socket(socket.AF_INET6)
client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
server = listener.accept()[0]
for one in client, server:
    one.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
print("open", flush=True)
sys.stdin.readline()
"""


def test_sockets_that_become_ipv4(helper, begin):
    """IPV6_ADDRFORM: the sockets still belong to their user, while open and when they end."""
    one = begin(BECOMES_IPV4, helper)
    one.until(lambda: one.output.endswith("\n"), "connections open")
    helper.until(lambda: [at["data"] for at in helper.connections()] == ["sample"] * 3,
                 "all are looked at")
    socktuned.next_step(one)
    helper.until(lambda: len(helper.connections("closed=1")) == 3, "all have ended")
    assert {at["data"] for at in helper.connections("closed=1")} == {"final"}
    assert not any(helper.status()["dropped"].values())


def start_in(directory):
    """The output and exit status of root's helper in this directory."""
    result = subprocess.run([socktuned.BUILD / "socktuned", "-f", "-d", directory], text=True,
                            capture_output=True, check=False, timeout=20)
    return result.returncode, result.stderr


def test_directory_of_another_user(directory):
    """Root creates no sockets where another user could replace them by a symbolic link."""
    needs_root("makes directories of another user")
    os.chmod(directory, 0o755)
    theirs, shared, link = directory / "theirs", directory / "shared", directory / "link"
    for place in theirs, theirs / "inner", shared:
        place.mkdir()
    os.chown(theirs, 4242, 4242)
    os.chmod(shared, 0o777)
    link.symlink_to(theirs / "inner")
    for place in theirs, theirs / "inner", theirs / "new", shared, shared / "new", link:
        status, said = start_in(place)
        assert status == 1, said
        assert "root's sockets must lie where only root can replace them" in said
        assert not list(place.rglob("*.sock"))
