# SPDX-License-Identifier: MIT
"""What BPF programs report to socktuned. The two ends of a connection are each other's witness, and
so is sock_diag, which socktuned asks while a connection is open."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile

import pytest
import socktuned
from attached import SOCKTUNE
from kernel import until

pytestmark = pytest.mark.usefixtures("attachable")

PYTHON = "/usr/bin/python3"

RULES = """program = "python3*"; rules = (
  { name = "clients"; match = { role = "connect"; protocol = "tcp"; };
    set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 5; }; report = true; },
  { name = "servers"; match = { role = [ "listen", "accept" ]; protocol = "tcp"; };
    set = { TCP_KEEPIDLE = 61; }; report = true; },
  { name = "quiet"; match = { role = "connect"; remote_port = 9; }; } );"""

# Each line on standard input names what is done to a new connection, or to the one that is open.
PROGRAM = r"""
import socket, struct, sys
def ended(how):
    if how == "abort":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how != "unread":
        server.recv(5000)
    (server if how == "unread" else client).close()
    (client if how == "unread" else server).close()
for line in sys.stdin:
    what, family, *count = line.split()
    if what == "listen":
        address = "127.0.0.1" if family == "inet" else "::1"
        listener = socket.create_server((address, 0),
            family=socket.AF_INET if family == "inet" else socket.AF_INET6)
    elif what == "open":
        client = socket.create_connection(listener.getsockname()[:2])
        server = listener.accept()[0]
        client.sendall(b"q" * 3000)
    elif what == "close":
        ended(family)
    elif what == "refused":
        listener.close()
        try:
            socket.create_connection(listener_name[:2])
        except OSError:
            pass
    elif what == "many":
        for _ in range(int(count[0])):
            client = socket.create_connection(listener.getsockname()[:2])
            listener.accept()[0].close()
            client.close()
    listener_name = listener.getsockname() if what != "refused" else None
    print("done", flush=True)
"""


@pytest.fixture
def helper():
    with socktuned.running(None) as one:
        yield one


@pytest.fixture
def told():
    """Start the program in a cgroup: told(cgroup); a function that has it do something."""
    started = []

    def start(cgroup, *wrapper):
        process = subprocess.Popen(cgroup.entering(*wrapper, PYTHON, "-c", PROGRAM),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)

        def tell(*lines):
            for line in lines:
                process.stdin.write(line + "\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"
        tell.pid = process.pid
        return tell
    yield start
    for process in started:
        process.kill()
        process.communicate()


def attach(cgroup, rule_file, helper, rules=RULES, wrapper=()):
    command = cgroup.attach(rule_file(rules), env=helper.environment, wrapper=wrapper)
    helper.until(lambda: helper.status()["attachments"] == 1, "the attachment to be read")
    return command


def closed(helper, count):
    helper.until(lambda: len(helper.connections("closed=1")) >= count and not
                 [one for one in helper.connections() if one["role"] != "listen"], "the ends")
    return helper.connections("closed=1")


def by_role(connections, role):
    return [one for one in connections if one["role"] == role]


@pytest.mark.parametrize("family", [pytest.param("inet", marks=pytest.mark.slow), "inet6"])
def test_both_ends_with_rule_options_and_figures(cgroup, rule_file, helper, told, family):
    attach(cgroup, rule_file, helper)
    tell = told(cgroup)
    tell(f"listen {family}", *["open -", "close fin"] * 5, "refused -")
    connections = closed(helper, 12)
    clients, servers = by_role(connections, "connect"), by_role(connections, "accept")
    assert (len(clients), len(servers), len(connections)) == (6, 5, 12)
    refused = clients.pop()
    assert refused["reason"] == "refused" and refused["data"] == "final"
    accepted = {one["remote"]["port"]: one for one in servers}
    for client in clients:
        server = accepted.pop(client["local"]["port"])
        assert client["remote"] == server["local"]
        assert (client["rule"], server["rule"]) == ("clients", "servers")
        assert client["options"]["applied"] == 2 and server["options"]["applied"] == 1
        assert client["data"] == server["data"] == "final"
        assert client["reason"] == "fin"
        assert client["tcp_info"]["bytes_sent"] == 3000
        assert server["tcp_info"]["bytes_received"] == 3001  # and the FIN
        assert {one["pid"] for one in (client, server)} == {tell.pid}
    assert accepted == {}
    listener = by_role(connections, "listen")[0]
    assert listener["reason"] == "listener" and listener["rule"] == "servers"
    status = helper.status()
    assert status["records"] == 12 and sum(status["dropped"].values()) == 0
    assert {one["program"] for one in connections} == {os.path.basename(os.path.realpath(PYTHON))}


def test_refused_options_are_named(cgroup, rule_file, helper, told):
    """An interface that there is where the rules are tried, but not in the program's namespace."""
    attach(cgroup, rule_file, helper, """rules = ( { name = "out"; match = { role = "connect"; };
        set = { SO_BINDTODEVICE = "lo"; TCP_KEEPCNT = 5; }; report = true; } );""")
    tell = told(cgroup, "unshare", "--net", "sh", "-c",
                'ip link set lo up && ip link set lo name other && exec "$@"', "sh")
    tell("listen inet", "open -", "close fin")
    [client] = closed(helper, 1)
    assert client["options"] == {"applied": 1, "failed": {"SO_BINDTODEVICE": "ENODEV"}}


@pytest.mark.slow
def test_figures_are_those_of_sock_diag(cgroup, rule_file, helper, told):
    """The connection rests after its sample, and is then broken off without another segment."""
    attach(cgroup, rule_file, helper)
    tell = told(cgroup)
    tell("listen inet", "open -")

    def sampled():
        return [one for one in by_role(helper.connections(), "accept")
                if one["data"] == "sample" and one["tcp_info"]["bytes_received"] == 3000]
    helper.until(sampled, "a sample")
    sample = sampled()[0]["tcp_info"]
    tell("close unread")
    final = by_role(closed(helper, 2), "accept")[0]
    changing = {"state", "last_data_sent", "last_data_recv", "last_ack_recv"}
    names = set(final["tcp_info"]) - changing
    assert len(names) > 45
    assert {name: final["tcp_info"][name] for name in names} == \
        {name: sample[name] for name in names}
    assert final["reason"] == "reset"


@pytest.mark.slow
def test_an_aborted_connection_keeps_its_figures(cgroup, rule_file, helper, told):
    attach(cgroup, rule_file, helper)
    tell = told(cgroup)
    tell("listen inet", "open -", "close abort")
    client = by_role(closed(helper, 2), "connect")[0]
    assert client["reason"] == "aborted" and client["data"] == "final"
    assert client["tcp_info"]["bytes_sent"] == 3000


@pytest.mark.slow
def test_a_namespace_without_sock_diag(cgroup, rule_file, helper, told):
    """As of a container: the helper has no socket there."""
    command = attach(cgroup, rule_file, helper)
    tell = told(cgroup, "unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    tell("listen inet", "open -", "close fin", "open -")
    helper.until(lambda: len(helper.connections()) == 3, "those that are open")
    first = helper.connections("closed=1")
    assert {one["data"] for one in first} == {"final"} and len(first) == 2
    # When the rules are gone, nothing tells of the others' ends.
    command.terminate()
    helper.until(lambda: not helper.connections(), "the open ones to be given up")
    assert sorted(one["data"] for one in helper.connections("closed=1"))[-3:] == ["lost"] * 3
    assert helper.status()["attachments"] == 0


def test_what_no_rule_reports_and_what_no_helper_reads(cgroup, rule_file, helper, told):
    attach(cgroup, rule_file, helper, """rules = (
        { name = "all"; match = { role = "connect"; }; report = true; },
        { name = "last"; match = { role = "connect"; local = "127.0.0.0/8"; }; report = true;
          final = true; },
        { name = "never"; match = { role = [ "connect", "accept" ]; }; report = true; } );""")
    tell = told(cgroup)
    tell("listen inet", "open -", "close fin")
    connections = closed(helper, 2)
    assert [(one["role"], one["rule"]) for one in connections] == [
        ("connect", "last"), ("accept", "never")]


def test_a_helper_that_starts_later_and_again(cgroup, rule_file, told):
    with tempfile.TemporaryDirectory(prefix="socktuned-") as directory:
        environment = {"SOCKTUNE_HELPER": directory + "/helper.sock"}
        cgroup.attach(rule_file(RULES), env=environment)
        tell = told(cgroup)
        tell("listen inet", "open -", "close fin")
        first = socktuned.Helper(directory)
        first.until(lambda: first.status()["attachments"] == 1, "the attachment")
        tell("open -")
        first.until(lambda: len(first.connections()) == 2, "the open ones")
        first.process.kill()
        first.process.wait()
        tell("close fin")
        # The end comes with everything that the next helper has to know.
        second = socktuned.Helper(directory)
        connections = closed(second, 2)
        assert {one["data"] for one in connections} == {"final"}
        assert by_role(connections, "connect")[0]["options"]["applied"] == 2
        second.stop()


def maps_of(kind):
    """How many BPF maps of that type there are."""
    libc, count = ctypes.CDLL(None, use_errno=True), 0
    identity = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("III", identity, 0, 0), 128)
        if libc.syscall(321, 12, attributes, 128) != 0:  # BPF_MAP_GET_NEXT_ID
            return count
        identity = struct.unpack_from("III", attributes.raw)[1]
        attributes = ctypes.create_string_buffer(struct.pack("III", identity, 0, 0), 128)
        fd = libc.syscall(321, 14, attributes, 128)      # BPF_MAP_GET_FD_BY_ID
        if fd >= 0:
            described = pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii")
            os.close(fd)
            count += f"map_type:\t{kind}\n" in described


RINGBUF = 27

PINNED = r"""
set -e
mount -t bpf none /sys/fs/bpf
exec "$@"
"""


def test_pinned(cgroup, rule_file, told):
    """A helper finds it when it starts, or is told by --report; after detach nothing is left."""
    before = maps_of(RINGBUF)
    with tempfile.TemporaryDirectory(prefix="socktuned-") as directory, contextlib.ExitStack() as end:
        environment = {**os.environ, "SOCKTUNE_HELPER": directory + "/helper.sock"}
        # A process that holds a mount namespace with a BPF file system of its own.
        place = end.enter_context(subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", PINNED, "sh", "sleep", "60"]))
        end.callback(place.kill)
        inside = ["nsenter", "--mount", "--target", str(place.pid)]
        until(lambda: "/sys/fs/bpf bpf" in pathlib.Path(f"/proc/{place.pid}/mounts").read_text(
            encoding="utf-8") and pathlib.Path(f"/proc/{place.pid}/comm").read_text(
                encoding="utf-8") == "sleep\n", "the BPF file system")

        def run(*words, status=0):
            result = subprocess.run([*inside, SOCKTUNE, *map(str, words)], env=environment, timeout=30,
                                    capture_output=True, text=True, check=False)
            assert result.returncode == status, result.stderr
            return result
        where = ("--cgroup", cgroup.path)
        run("attach", "--pin", *where, "-c", rule_file(RULES))
        assert "no helper" in run("attach", "--report", status=1).stderr
        one = socktuned.Helper(directory, wrapper=inside)
        assert one.status()["attachments"] == 1
        tell = told(cgroup)
        tell("listen inet", "open -", "close fin")
        assert len(closed(one, 2)) == 2
        assert "of 1 attachment" in run("attach", "--report").stdout
        assert one.status()["attachments"] == 1
        one.stop()
        # One that cannot see the pins, as the service.
        one = socktuned.Helper(directory)
        assert one.status()["attachments"] == 0
        run("attach", "--report")
        one.until(lambda: one.status()["attachments"] == 1, "the attachment")
        tell("open -", "close fin")
        assert len(closed(one, 2)) == 2
        # Replaced, and removed. A connection keeps the name of the rule under which it began.
        tell("open -")
        one.until(lambda: len(one.connections()) >= 2, "the connection")
        run("attach", "--pin", *where, "-c", rule_file(RULES.replace("servers", "others")))
        one.until(lambda: one.status()["attachments"] == 1, "the new one alone")
        tell("close fin")
        assert {row["rule"] for row in by_role(closed(one, 4), "accept")} == {"servers"}
        tell("open -", "close fin")
        assert "others" in {row["rule"] for row in by_role(closed(one, 6), "accept")}
        run("detach", *where)
        one.until(lambda: one.status()["attachments"] == 0, "the helper to let go")
        until(lambda: maps_of(RINGBUF) <= before, "the maps to be gone")
        one.stop()


def test_losses_are_counted(cgroup, rule_file, helper, told):
    attach(cgroup, rule_file, helper)
    tell = told(cgroup)
    helper.process.send_signal(signal.SIGSTOP)
    tell("listen inet", "many - 3500")
    helper.process.send_signal(signal.SIGCONT)
    helper.until(lambda: helper.status()["dropped"]["ring_full"] > 0, "losses")
    helper.until(lambda: not [one for one in helper.connections() if one["role"] != "listen"],
                 "the ends that were lost, from sock_diag")
    status = helper.status()
    assert 0 < status["records"] <= 7001
    assert f'reason="ring_full"}} {status["dropped"]["ring_full"]}' in helper.get("/metrics").text


def test_nobody_else_passes_maps(helper):
    """Nor anything else in their place."""
    def send(fds):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:
            to.connect(str(helper.directory / "helper.sock"))
            message = b"STATTACH" + (1).to_bytes(4, "little") + (24).to_bytes(4, "little") + bytes(8)
            socket.send_fds(to, [message], fds)
    with open("/dev/null", "rb") as null, socket.socket() as other:
        for count, fds in enumerate(([], [other.fileno()], [other.fileno()] * 2, [null.fileno()] * 2)):
            send(fds)
            helper.until(lambda: helper.status()["dropped"]["message"] == count + 1, "a refusal")  # pylint: disable=cell-var-from-loop
    assert helper.status()["attachments"] == 0


def test_check_and_explain_say_what_is_reported(rule_file, socktune):
    rules = rule_file("""rules = (
        { name = "udp"; match = { protocol = "udp"; }; report = true; },
        { name = "tcp"; match = { role = "connect"; }; set = { SO_KEEPALIVE = true; };
          report = true; handoff = "socket"; } );""")
    checked = json.loads(socktune("check", "--by", "attach", "--json", rules).stdout)["findings"]
    assert {one["line"] for one in checked if "attach reports" in one["message"]} == {2, 3}

    def reporter(way, *protocol):
        said = socktune("explain", "--by", way, "-c", rules, "-p", "x", "--connect", "127.0.0.1:1",
                        *protocol, "--json")
        report = json.loads(said.stdout)["report"]
        return report and report["rule"]
    assert (reporter("preload"), reporter("preload", "--protocol", "udp")) == ("tcp", "udp")
    assert (reporter("attach"), reporter("attach", "--protocol", "udp")) == ("tcp", None)
    assert (reporter("supervise"), reporter("supervise", "--protocol", "udp")) == ("tcp", None)
    text = socktune("explain", "--by", "attach", "-c", rules, "-p", "x", "--connect", "127.0.0.1:1",
                    "--protocol", "udp").stdout
    assert "By attach, it is not reported." in text
