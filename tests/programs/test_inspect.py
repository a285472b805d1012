# SPDX-License-Identifier: MIT
"""socktune inspect: its output about another process's sockets, compared with the kernel."""
import json
import os
import select
import socket
import struct
import subprocess
import threading
import time

import kernel
import pytest
from conftest import LOOPBACK, needs_root, program


NOBODY = 65534
DOMAINS = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# Fields of struct tcp_info: offsets from linux/tcp.h. Only fields that do not change while nothing
# is sent.
TCP_INFO_FIELDS = {"state": ("B", 0), "snd_mss": ("I", 16), "pmtu": ("I", 60), "rtt": ("I", 68),
                   "snd_cwnd": ("I", 80), "bytes_acked": ("Q", 120), "bytes_received": ("Q", 128),
                   "segs_out": ("I", 136), "data_segs_out": ("I", 156), "bytes_sent": ("Q", 200),
                   "rcv_ooopack": ("I", 224)}


@pytest.fixture
def inspect(socktune):
    """inspect(pid, ...) as JSON."""
    def run(*arguments):
        result = socktune("inspect", "--json", *arguments)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
        return json.loads(result.stdout)
    return run


def as_nobody():
    """Keywords of subprocess that make a child unprivileged, if we are privileged."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def by_fd(inspected):
    return {one["fds"][0]: one for one in inspected["sockets"]}


def small_life(host, family):
    """role -> descriptor: a listener, both ends of a connection with data sent, a datagram
    socket."""
    domain = DOMAINS[family]
    listener, port = host.listener(domain, LOOPBACK[family])
    client = host.socket(domain)
    host.connect(client, domain, LOOPBACK[family], port)
    accepted = host.accept(listener)
    host.call("send", client, b"hello")
    host.call("recv", accepted, 64)
    datagram = host.socket(domain, socket.SOCK_DGRAM)
    host.bind(datagram, domain, LOOPBACK[family])
    return {"listen": listener, "connect": client, "accept": accepted, "datagram": datagram}


def written(address):
    return {"address": address[0], "port": address[1]}


@pytest.mark.parametrize("family", DOMAINS)
def test_every_socket_is_shown(host, inspect, family):
    one = host()
    life = small_life(one, family)
    shown = by_fd(inspect(one.pid))
    assert set(shown) == set(life.values())
    for role, fd in life.items():
        truth = one.look(fd)
        told = shown[fd]
        assert (told["role"], told["family"]) == (role, family)
        assert told["protocol"] == ("udp" if role == "datagram" else "tcp")
        assert told["local"] == written(truth.local)
        assert told["remote"] == (written(truth.remote) if truth.remote else None)
        expected = {"LISTEN": "listen", "ESTABLISHED": "established"}.get(truth.state, "unconnected")
        assert told["state"] == expected
        with kernel.borrowed(one.pid, fd) as borrowed:
            assert told["inode"] == os.fstat(borrowed.fileno()).st_ino
            assert told["cookie"] == struct.unpack("Q", borrowed.getsockopt(socket.SOL_SOCKET, 57,
                                                                            8))[0]


@pytest.mark.parametrize("family", DOMAINS)
def test_values_are_the_kernels(host, inspect, socktune, family):
    """Each readable option of the table with a numeric value, for each role."""
    table = json.loads(socktune("options", "--json").stdout)["options"]
    one = host()
    life = small_life(one, family)
    one.setsockopt(life["connect"], socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 611)
    one.setsockopt(life["listen"], socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    shown, compared = by_fd(inspect(one.pid)), 0
    for role, fd in life.items():
        protocol = "udp" if role == "datagram" else "tcp"
        expected = {row["name"] for row in table
                    if row["readable"] and row["kernel"] and family in row["families"]
                    and protocol in row["protocols"] and role in row["roles"]}
        if role == "listen":
            expected |= {row["name"] for row in table
                         if row["readable"] and row["kernel"] and family in row["families"]
                         and protocol in row["protocols"] and "accept" in row["roles"]}
        assert set(shown[fd]["options"]) == expected
        for name, told in shown[fd]["options"].items():
            row, = (row for row in table if row["name"] == name)
            value = one.look(fd).raw(row["level"], row["number"], 64)
            if isinstance(told["value"], int) and len(value) == 4:
                assert told["value"] in (struct.unpack("i", value)[0], struct.unpack("I", value)[0])
                compared += 1
    assert compared > 60


def test_marks_tell_who_set_it(host, inspect, socktune):
    one = host()
    life = small_life(one, "inet")
    one.setsockopt(life["accept"], socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.setsockopt(life["accept"], socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    shown = by_fd(inspect(one.pid))

    def marked(fd, automatic):
        return {name for name, told in shown[fd]["options"].items()
                if told["differs"] and told["automatic"] is automatic}
    assert marked(life["accept"], False) == {"TCP_NODELAY", "SO_SNDBUF", "SO_BUF_LOCK"}
    assert marked(life["connect"], False) == set()
    assert "SO_SNDBUF" in marked(life["connect"], True)  # autotuned
    assert shown[life["accept"]]["options"]["TCP_NODELAY"] == {
        "value": 1, "text": "on", "unit": None, "fresh": 0, "differs": True, "automatic": False}
    lines = socktune("inspect", one.pid).stdout.splitlines()
    assert any(line.split()[:3] == ["*", "TCP_NODELAY", "on"] for line in lines)
    assert any(line.split()[:2] == ["~", "SO_SNDBUF"] for line in lines)
    assert any(line.split() == ["TCP_KEEPIDLE", "7200s"] for line in lines)


def test_tcp_info_is_the_kernels(host, inspect):
    one = host()
    life = small_life(one, "inet")
    told = by_fd(inspect(one.pid))
    for role in ("connect", "accept"):
        raw = one.look(life[role]).raw(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
        info = told[life[role]]["tcp_info"]
        for name, (kind, offset) in TCP_INFO_FIELDS.items():
            if offset + struct.calcsize(kind) <= len(raw):
                assert info[name] == struct.unpack_from(kind, raw, offset)[0], name
            else:
                assert name not in info
        assert info["snd_ssthresh"] is None  # no loss yet
    assert told[life["connect"]]["tcp_info"]["bytes_sent"] == 5
    assert "tcp_info" not in told[life["datagram"]]


def test_one_descriptor(host, socktune, inspect):
    one = host()
    life = small_life(one, "inet")
    told = inspect(one.pid, "--fd", life["accept"])
    assert [shown["role"] for shown in told["sockets"]] == ["accept"]
    missing = socktune("inspect", one.pid, "--fd", 1)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "descriptor 1 is no socket" in missing.stderr


def test_descriptors_of_one_socket_are_one(host, inspect):
    one = host()
    listener, _ = one.listener(socket.AF_INET, "127.0.0.1")
    one.call("dup2", listener, 77)
    assert [shown["fds"] for shown in inspect(one.pid)["sockets"]] == [[listener, 77]]


def test_unix_sockets(start, inspect, directory):
    script = ("import socket, time\n"
              "listener = socket.socket(socket.AF_UNIX); listener.bind('path'); listener.listen()\n"
              "a = socket.socket(socket.AF_UNIX); a.connect('path'); b, _ = listener.accept()\n"
              "abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
              f"abstract.bind('\\0socktune-{os.getpid()}\\n')\n"
              "a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)\n"
              "print('ready', flush=True); time.sleep(60)")
    one = start([program("python3"), "-c", script], cwd=directory)
    one.until(lambda: "ready" in one.output, "its sockets")
    listener, client, _, datagram = inspect(one.pid)["sockets"]
    assert (listener["protocol"], listener["state"], listener["role"], listener["local"]) == (
        "unix-stream", "listen", "listen", {"path": "path"})
    assert (client["state"], client["remote"]) == ("connected", {"path": "path"})
    assert client["options"]["SO_SNDBUF"]["value"] == 65536
    assert client["options"]["SO_SNDBUF"]["differs"]
    assert not client["options"]["SO_RCVBUF"]["differs"]
    assert (datagram["protocol"], datagram["local"]) == (
        "unix-dgram", {"path": f"@socktune-{os.getpid()}?"})


def test_a_process_without_sockets(start, inspect, socktune):
    one = start(["sleep", "60"])
    one.until(lambda: os.path.basename(os.readlink(f"/proc/{one.pid}/exe")) != "python3", "exec")
    assert inspect(one.pid)["sockets"] == []
    assert "has no sockets" in socktune("inspect", one.pid).stdout


@pytest.mark.parametrize("arguments, status, complaint", [
    ([], 2, "expected one process"), (["1", "2"], 2, "expected one process"),
    (["nginx"], 2, '"nginx" is no process ID'), (["--all", "1"], 2, "--all takes no process"),
    (["--all", "--fd", "3"], 2, "--fd is for one process"), (["1", "--fd", "x"], 2, '"x" is no des'),
    (["4194305"], 1, "no such process")])
def test_misuse(socktune, arguments, status, complaint):
    result = socktune("inspect", *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert complaint in result.stderr


def test_all_processes(host, socktune, inspect):
    one = host()
    life = small_life(one, "inet")
    result = socktune("inspect", "--all", "--json")
    assert result.returncode == 0
    mine, = (told for told in json.loads(result.stdout)["processes"]
             if told["pid"] == one.pid)
    assert set(by_fd(mine)) == set(life.values())
    text = socktune("inspect", "--all").stdout
    assert f"calls[{one.pid}]\n" in text


# Permission.

def test_an_unprivileged_user_sees_own_processes(host, socktune):
    keywords = as_nobody()
    one = host(**keywords)
    life = small_life(one, "inet")
    result = socktune("inspect", "--json", one.pid, **keywords)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert set(by_fd(told)) == set(life.values())
    assert not any(shown["fresh_elsewhere"] for shown in told["sockets"])


def test_another_users_process_is_told(host, socktune):
    needs_root("to have a process that is not the asker's")
    one = host()
    result = socktune("inspect", one.pid, **as_nobody())
    assert (result.returncode, result.stdout) == (1, "")
    assert f"calls[{one.pid}]: it is run by root: be that user, or root (CAP_SYS_PTRACE)" \
        in result.stderr


def test_a_process_that_is_not_dumpable_is_told(start, socktune, directory):
    keywords = as_nobody()
    directory.chmod(0o777)
    script = ("import ctypes, socket, time\n"
              "listener = socket.create_server(('127.0.0.1', 0))\n"
              "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE\n"
              "print('ready', flush=True); time.sleep(60)")
    one = start(["/usr/bin/python3", "-c", script], **keywords)
    one.until(lambda: "ready" in one.output, "prctl")
    result = socktune("inspect", one.pid, **keywords)
    assert (result.returncode, result.stdout) == (1, "")
    assert "it is not dumpable" in result.stderr and "CAP_SYS_PTRACE" in result.stderr
    if os.geteuid() == 0:
        assert socktune("inspect", one.pid).returncode == 0


# Network namespaces.

SERVER = ("import socket, time; listener = socket.create_server(('127.0.0.1', 0));"
          "print('ready', flush=True); time.sleep(60)")


def test_another_network_namespace(start, inspect, directory):
    """The fresh socket is created in that namespace: its sysctls are not marked as differences,
    settings are."""
    needs_root("network namespaces")
    script = directory / "server.sh"
    script.write_text("sysctl -q -w net.ipv4.tcp_keepalive_time=1234 &&"
                      f" exec /usr/bin/python3 -c \"{SERVER}\"")
    one = start(["unshare", "-n", "sh", "-c", f"ip link set lo up && . {script}"])
    one.until(lambda: "ready" in one.output, "the server")
    told, = inspect(one.pid)["sockets"]
    assert told["options"]["TCP_KEEPIDLE"]["value"] == 1234
    assert told["options"]["TCP_KEEPIDLE"]["fresh"] == 1234
    assert not told["fresh_elsewhere"]


def test_a_namespace_that_one_may_not_enter(start, socktune):
    """The same user, but another user created the namespace: the fresh socket is in our
    namespace."""
    needs_root("network namespaces")
    one = start(["unshare", "-n", "setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY),
                 "--clear-groups", "/usr/bin/python3", "-c",
                 "import socket, time; s = socket.socket(); s.listen();"
                 "print('ready', flush=True); time.sleep(60)"])
    one.until(lambda: "ready" in one.output, "the server")
    result = socktune("inspect", "--json", one.pid, **as_nobody())
    assert result.returncode == 0, result.stderr
    told, = json.loads(result.stdout)["sockets"]
    assert told["fresh_elsewhere"]
    text = socktune("inspect", one.pid, **as_nobody()).stdout
    assert "entering this one takes CAP_SYS_ADMIN" in text


def test_a_rootless_container(start, socktune):
    """A network namespace in the user's own user namespace can be entered without privileges."""
    keywords = as_nobody()
    probe = subprocess.run(["unshare", "-Urn", "true"], check=False, capture_output=True, **keywords)
    if probe.returncode != 0:
        pytest.skip("no unprivileged user namespaces")
    one = start(["unshare", "-Urn", "/usr/bin/python3", "-c",
                 "import pathlib, socket, time\n"
                 "pathlib.Path('/proc/sys/net/ipv4/tcp_keepalive_time').write_text('1234')\n"
                 "s = socket.socket(); s.listen(); print('ready', flush=True); time.sleep(60)"],
                **keywords)
    one.until(lambda: "ready" in one.output, "the server")
    result = socktune("inspect", "--json", one.pid, **keywords)
    assert result.returncode == 0, result.stderr
    told, = json.loads(result.stdout)["sockets"]
    assert not told["fresh_elsewhere"]
    assert told["options"]["TCP_KEEPIDLE"]["fresh"] == 1234


# Short-lived sockets.

def test_sockets_that_are_closed_meanwhile_are_no_error(start, socktune):
    """A program that only opens and closes sockets; some of them have the same number."""
    script = ("import socket\n"
              "listener = socket.create_server(('127.0.0.1', 0))\n"
              "print('ready', flush=True)\n"
              "while True:\n"
              "    some = [socket.create_connection(listener.getsockname()) for _ in range(20)]\n"
              "    others = [listener.accept()[0] for _ in some]\n"
              "    for one in some + others: one.close()\n")
    one = start(["/usr/bin/python3", "-c", script])
    one.until(lambda: "ready" in one.output, "the server")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        result = socktune("inspect", "--json", one.pid)
        assert (result.returncode, result.stderr) == (0, "")
        json.loads(result.stdout)
    assert one.process.poll() is None, one.output


def test_a_fin_is_not_held_back(start, socktune):
    """While the program is inspected continuously, the peer of a connection that it closes sees
    that at once."""
    script = ("import socket\n"
              "listener = socket.create_server(('127.0.0.1', 0))\n"
              "print(listener.getsockname()[1], flush=True)\n"
              "while True:\n"
              "    one = listener.accept()[0]\n"
              "    one.recv(1); one.close()\n")
    one = start(["/usr/bin/python3", "-c", script])
    port = int(one.until(lambda: one.output.strip(), "its port"))
    done = threading.Event()

    def keep_inspecting():
        while not done.is_set():
            socktune("inspect", "--json", one.pid)
    inspector = threading.Thread(target=keep_inspecting)
    inspector.start()
    try:
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(b"x")
                readable, _, _ = select.select([connection], [], [], 2)
                assert readable and connection.recv(1) == b""
    finally:
        done.set()
        inspector.join()


def test_a_program_chooses_its_name(directory, start, socktune, rule_file):
    """What it chooses must not reach the terminal of whoever looks at it."""
    name = "a\033[31mb"
    path = directory / name
    path.symlink_to(program("python3"))
    one = start([path, "-c", "import socket; socket.create_server(('127.0.0.1', 0)).accept()"])
    one.until_listening()
    rules = rule_file('rules = ( { match = { role = "listen"; }; set = { TCP_KEEPCNT = 3; }; } );')
    for words in (["inspect", one.pid], ["inspect", "--fd", "999", one.pid],
                  ["apply", "-c", rules, one.pid], ["apply", "-c", rules, "-p", "nosuch\033", one.pid]):
        result = socktune(*words)
        assert "\033" not in result.stdout + result.stderr, words
    assert "a\\x1b[31mb" in socktune("inspect", one.pid).stdout
