# SPDX-License-Identifier: MIT
"""UDP sockets of programs whose rules report them: queues and drops, from bind() to close()."""
import re
import subprocess

import pytest
import socktuned

RULES = """program = "python3";
rules = ( { name = "in"; match = { role = "datagram"; }; set = { SO_RCVBUF = "16K"; };
            report = true; } );
"""

# A receiver that does not read, and a sender without bind() or connect(). Prints both ports.
RECEIVER = """
import socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(300):
    sender.sendto(b"x" * 500, receiver.getsockname())
print(receiver.getsockname()[1], sender.getsockname()[1], flush=True)
sys.stdin.readline()
receiver.close()
print("closed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def helper(free_port):
    with socktuned.running(free_port()) as one:
        yield one


def begin(start, rule_file, helper, code=RECEIVER):
    one = start(["/usr/bin/python3", "-c", code], rule_file(RULES), env=helper.environment,
                stdin=subprocess.PIPE)
    one.until(lambda: one.output.endswith("\n"), "ports")
    return one, [int(port) for port in one.output.split()]


def kernels_drops(port):
    """The last column of /proc/net/udp."""
    with open("/proc/net/udp", encoding="ascii") as table:
        return [int(line.split()[-1]) for line in table
                if line.split()[1].endswith(f":{port:04X}")][0]


def metric(helper, name, port):
    found = re.search(rf'^{name}{{[^}}]*role="datagram"[^}}]*port="{port}"[^}}]*}} (\d+)$',
                      helper.get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else None


def test_receiver_that_does_not_read(start, rule_file, helper, socktune):
    one, (port, sending) = begin(start, rule_file, helper)
    dropped = kernels_drops(port)
    assert 0 < dropped < 300
    helper.until(lambda: metric(helper, "socktune_udp_dropped_total", port) == dropped, "drops")
    shown = {at["local"]["port"]: at for at in helper.connections("role=datagram")}
    queue = shown[port]["receive_queue"]
    assert queue["dropped"] == dropped and 0 < queue["length"] <= queue["limit"] + 4096
    assert queue["limit"] == 2 * 16384
    assert shown[port]["protocol"] == "udp" and "remote" not in shown[port]
    assert shown[sending]["receive_queue"]["dropped"] == 0
    assert metric(helper, "socktune_udp_receive_queue_bytes", port) == queue["length"]
    assert metric(helper, "socktune_udp_receive_buffer_bytes", port) == 2 * 16384
    (rule,) = [at for at in helper.get("/v1/rules").json["rules"] if at["port"] == port]
    assert rule["dropped"] == dropped and rule["receive_queue"]["length"] == queue["length"]
    lines = socktune("stats", "--role", "datagram", "--wide", env=helper.environment).stdout
    assert re.search(rf"datagram .*:{port} .* {dropped} ", lines) and "2 of UDP" in lines

    socktuned.next_step(one)
    helper.until(lambda: helper.connections("closed=1"), "the end")
    (closed,) = helper.connections("closed=1")
    assert (closed["reason"], closed["data"], closed["local"]["port"]) == ("datagram", "final", port)
    assert metric(helper, "socktune_udp_dropped_total", port) == dropped
    assert metric(helper, "socktune_udp_receive_buffer_bytes", port) == 0
    assert not any(helper.status()["dropped"].values())


def test_drops_from_before_a_restart_are_not_counted(start, rule_file, free_port, directory):
    """The program reports its sockets to a new helper when it sends."""
    helper = socktuned.Helper(directory, port=free_port())
    code = RECEIVER.replace("receiver.close()\n", """
for _ in range(50):
    sender.sendto(b"y", ("127.0.0.1", 9))
    import time
    time.sleep(0.1)
""")
    one, (port, _) = begin(start, rule_file, helper, code)
    assert helper.stop() == 0
    helper = socktuned.Helper(directory, port=helper.port)
    socktuned.next_step(one)
    helper.until(lambda: [at for at in helper.connections("role=datagram")
                          if at["local"]["port"] == port and at["data"] == "sample"], "the receiver")
    assert metric(helper, "socktune_udp_dropped_total", port) == 0
    assert helper.stop() == 0
