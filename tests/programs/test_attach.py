# SPDX-License-Identifier: MIT
"""socktune attach: rules by BPF on a cgroup. The witness is what the programs' sockets have."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import pytest
from attached import SOCKTUNE, Cgroup, mount_point, status
from conftest import ROOT, kernel, program

pytestmark = pytest.mark.usefixtures("attachable")

PYTHON = "/usr/bin/python3"

# Both ends of connections of each family; each line on standard input is answered by the options of
# all sockets. "set" sets keepalive's idle time and count on all of them before.
ENDS = r"""
import json, socket, sys
KEEPALIVE, IDLE, COUNT, PRIORITY, SNDBUF = (1, 9), (6, 4), (6, 6), (1, 12), (1, 7)
ends = {}
def open_ends(name, family, listen, connect, only):
    listener = socket.socket(family)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    listener.bind((listen, 0))
    listener.listen()
    client = socket.socket(socket.AF_INET if ":" not in connect else family)
    client.setsockopt(*COUNT, 2)
    client.connect((connect, listener.getsockname()[1]))
    ends[name] = {"listen": listener, "connect": client, "accept": listener.accept()[0]}
def open_all():
    open_ends("inet", socket.AF_INET, "127.0.0.1", "127.0.0.1", 0)
    open_ends("v4-mapped", socket.AF_INET6, "::", "127.0.0.1", 0)
    open_ends("dual", socket.AF_INET6, "::", "::1", 0)
    open_ends("v6-only", socket.AF_INET6, "::", "::1", 1)
if "early" in sys.argv:
    open_all()
for line in sys.stdin:
    if line == "open\n":
        open_all()
    if line == "set\n":
        for roles in ends.values():
            for one in roles.values():
                one.setsockopt(*IDLE, 77)
                one.setsockopt(*COUNT, 3)
                one.setsockopt(*SNDBUF, 9216)
    print(json.dumps({name: {role: {"keepalive": one.getsockopt(*KEEPALIVE),
        "idle": one.getsockopt(*IDLE), "count": one.getsockopt(*COUNT),
        "priority": one.getsockopt(*PRIORITY), "sndbuf": one.getsockopt(*SNDBUF),
        "address": one.getsockname()[0]}
        for role, one in roles.items()} for name, roles in ends.items()}), flush=True)
"""


@pytest.fixture
def ends():
    """Start the program above: ends(cgroup, "early"); a function that asks it."""
    started = []

    def start(cgroup, *arguments):
        command = [PYTHON, "-c", ENDS, *arguments]
        process = subprocess.Popen(cgroup.entering(*command) if cgroup else command,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)

        def ask(what):
            process.stdin.write(what + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        ask.pid = process.pid
        return ask
    yield start
    for process in started:
        process.kill()
        process.communicate()


def values(found, role, name):
    return {family: roles[role][name] for family, roles in found.items()}


def of_all(value):
    return dict.fromkeys(("inet", "v4-mapped", "dual", "v6-only"), value)


RULES = """program = "python3"; rules = (
    { match = { role = [ "connect", "accept" ]; };
      set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "11min"; SO_PRIORITY = 5; };
      force = { TCP_KEEPCNT = 7; }; ignore = [ "SO_SNDBUF" ]; } );"""


def test_every_family_and_role(cgroup, rule_file, ends):
    cgroup.attach(rule_file(RULES))
    ask = ends(cgroup)
    found = ask("open")
    for role in ("connect", "accept"):
        assert values(found, role, "keepalive") == of_all(1)
        assert values(found, role, "idle") == of_all(660)
        assert values(found, role, "count") == of_all(7)     # the client set 2 before
        assert values(found, role, "priority") == of_all(5)  # which is not inherited
    later = ask("set")
    for role in ("connect", "accept"):
        assert values(later, role, "idle") == of_all(77)     # the program's own wins
        assert values(later, role, "count") == of_all(7)     # not over a force
        assert values(later, role, "sndbuf") == values(found, role, "sndbuf")
    assert status()[cgroup.path]["given"] > 0


def test_default_gives_way_to_the_program_alone(cgroup, rule_file, ends):
    cgroup.attach(rule_file("""rules = ( { match = { role = "connect"; };
        default = { TCP_KEEPCNT = 7; TCP_KEEPIDLE = "11min"; }; } );"""))
    found = ends(cgroup)("open")
    assert values(found, "connect", "count") == of_all(2)
    assert values(found, "connect", "idle") == of_all(660)


def test_matching(cgroup, rule_file, ends):
    """The later rule wins, a final one ends it; prefixes, ports and names of programs."""
    cgroup.attach(rule_file("""rules = (
        { match = { role = "connect"; }; set = { TCP_KEEPIDLE = 61; SO_PRIORITY = 1; }; },
        { match = { role = "connect"; program = "[a-o]*"; }; set = { TCP_KEEPIDLE = 62; }; },
        { match = { role = "connect"; program = "p?th*[!x]"; remote = "127.0.0.0/8"; };
          set = { TCP_KEEPIDLE = 63; source = "127.0.0.77"; }; },
        { match = { role = "connect"; remote = [ "::/0", "!::1" ]; };
          set = { TCP_KEEPIDLE = 64; }; },
        { match = { role = "connect"; remote_port = "1-65535"; user = "root"; };
          set = { SO_PRIORITY = 3; }; final = true; },
        { match = { role = "connect"; }; set = { SO_PRIORITY = 4; }; } );"""))
    found = ends(cgroup)("open")
    assert values(found, "connect", "idle") == {"inet": 63, "v4-mapped": 63, "dual": 61,
                                                "v6-only": 61}
    assert values(found, "connect", "priority") == of_all(3)
    assert found["inet"]["connect"]["address"] == "127.0.0.77"


def test_other_programs_and_cgroups_are_left_alone(cgroup, rule_file, ends):
    cgroup.attach(rule_file(RULES))
    assert values(ends(None)("open"), "connect", "keepalive") == of_all(0)
    cgroup.commands.pop().kill()
    kernel.until(lambda: cgroup.path not in status(), "the kernel to drop the programs")
    cgroup.attach(rule_file(RULES.replace('"python3"', '"pyth"'), "other.conf"))
    assert values(ends(cgroup)("open"), "connect", "keepalive") == of_all(0)


def test_joining_later_and_nested(cgroup, rule_file, ends):
    cgroup.attach(rule_file(RULES))
    late = ends(None)
    (cgroup.directory / "cgroup.procs").write_text(str(late.pid), encoding="ascii")
    assert values(late("open"), "accept", "idle") == of_all(660)
    assert values(ends(cgroup.nested())("open"), "connect", "idle") == of_all(660)


def test_open_sockets(cgroup, rule_file, ends):
    ask = ends(cgroup, "early")
    before = ask("look")
    assert values(before, "connect", "keepalive") == of_all(0)
    cgroup.attach(rule_file(RULES))
    found = ask("look")
    for role in ("connect", "accept"):
        assert values(found, role, "idle") == of_all(660)
        assert values(found, role, "count") == of_all(7)
    assert values(ask("set"), "accept", "count") == of_all(7)


def test_ends_with_the_command(cgroup, rule_file, ends):
    """Even when it is killed while it attaches."""
    rules = rule_file(RULES)
    for pause in (0, 0.05, 0.2, 0.4):
        with subprocess.Popen([SOCKTUNE, "attach", "-c", rules, "--cgroup", cgroup.path],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
            time.sleep(pause)  # any moment will do
            command.kill()
    command = cgroup.attach(rules)
    command.send_signal(signal.SIGKILL)
    command.wait(timeout=20)
    kernel.until(lambda: cgroup.path not in status(), "the kernel to drop the programs")
    assert values(ends(cgroup)("open"), "connect", "keepalive") == of_all(0)


PINNED = """set -e
mount -t bpf bpf /sys/fs/bpf
attach="$1 attach --cgroup $2 --pin -c"
$attach $3
$1 attach --status --json
$attach $4
$1 attach --status --json
! $1 attach --cgroup $2 -c $3 2>&1
$1 detach --cgroup $2
ls -A /sys/fs/bpf
$1 attach --status --json
"""


def test_pinned(cgroup, rule_file):
    other = rule_file("rules = ( { set = { SO_KEEPALIVE = true; }; } );", "other.conf")
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", PINNED, "sh", SOCKTUNE, cgroup.path, rule_file(RULES),
         other], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    decoder, text, shown = json.JSONDecoder(), result.stdout, []
    while "{" in text:
        text = text[text.index("{"):]
        one, end = decoder.raw_decode(text)
        shown.append([row for row in one["attached"] if row["cgroup"] == cgroup.path])
        text = text[end:]
    first, second, last = shown
    assert first[0]["pinned"] and "setsockopt" in first[0]["programs"]
    assert len(second) == 1 and second[0]["rules"].endswith("other.conf")
    assert "setsockopt" not in second[0]["programs"]  # nothing is guarded any more
    assert last == []
    assert "has rules already" in result.stdout


def build_host(directory, source, *compiler):
    path = directory / pathlib.Path(source).stem
    subprocess.run([*compiler, "-o", path, ROOT / "tests" / "hosts" / source], check=True,
                   capture_output=True, timeout=300,
                   env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"})
    return path


@pytest.mark.parametrize("source, compiler", [
    ("talk.go", ("go", "build")),
    ("raw_talk.c", ("musl-gcc", "-static", "-D_GNU_SOURCE", "-iquote",
                    ROOT / "preload" / "engine"))])
def test_programs_that_preloading_does_not_reach(cgroup, rule_file, directory, source, compiler):
    program(compiler[0])
    path = build_host(directory, source, *compiler)
    cgroup.attach(rule_file(f"""program = "{path.name}";
        rules = ( {{ match = {{ role = [ "connect", "accept" ]; }};
                    force = {{ TCP_KEEPIDLE = 611; SO_PRIORITY = 5; }}; }} );"""))
    with subprocess.Popen(cgroup.entering(path), stdout=subprocess.PIPE, text=True) as talker:
        try:
            assert talker.stdout.readline() == "ready\n"
            found = [(one.option("TCP_KEEPIDLE"), one.option("SO_PRIORITY"))
                     for one in kernel.tcp_sockets(talker.pid) if not one.listens]
        finally:
            talker.kill()
    assert found and set(found) == {(611, 5)}


URING = r"""
#include <arpa/inet.h>
#include <liburing.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct io_uring ring;
    struct io_uring_cqe *done;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    if (io_uring_queue_init(2, &ring, 0) != 0)
        return 77;
    io_uring_prep_connect(io_uring_get_sqe(&ring), client, (struct sockaddr *)&address, length);
    io_uring_submit(&ring);
    if (io_uring_wait_cqe(&ring, &done) != 0 || done->res != 0)
        return 1;
    io_uring_cqe_seen(&ring, done);
    io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
    io_uring_submit(&ring);
    if (io_uring_wait_cqe(&ring, &done) != 0 || done->res < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    sleep(60);
}
"""


def test_io_uring(cgroup, rule_file, directory):
    source, path = directory / "uring.c", directory / "uring"
    source.write_text(URING, encoding="ascii")
    built = subprocess.run([program("gcc"), "-o", path, source, "-luring"], capture_output=True,
                           timeout=60, check=False)
    if built.returncode != 0:
        pytest.skip("liburing-dev is not installed")
    cgroup.attach(rule_file("""program = "uring";
        rules = ( { match = { role = [ "connect", "accept" ]; };
                    set = { TCP_KEEPIDLE = 611; SO_PRIORITY = 5; }; } );"""))
    with subprocess.Popen(cgroup.entering(path), stdout=subprocess.PIPE, text=True) as talker:
        try:
            if talker.stdout.readline() != "ready\n" and talker.wait(20) == 77:
                pytest.skip("the kernel lends no io_uring")
            found = [(one.option("TCP_KEEPIDLE"), one.option("SO_PRIORITY"))
                     for one in kernel.tcp_sockets(talker.pid) if not one.listens]
        finally:
            talker.kill()
    assert found == [(611, 5)] * 2


# Refusals.

def refused(socktune, *arguments, **keywords):
    result = socktune("attach", *arguments, timeout=120, **keywords)
    assert result.returncode != 0
    return result.returncode, result.stderr


def test_what_bpf_cannot_see_is_refused_with_its_line(cgroup, rule_file, socktune):
    rules = rule_file('rules = (\n{ match = { command = "* --fast"; };\n  set = { SO_MARK = 1; }; } );')
    code, message = refused(socktune, "-c", rules, "--cgroup", cgroup.path)
    assert code == 78 and f"{rules}:2: error:" in message and "command line" in message
    assert cgroup.path not in status()


def test_what_this_kernel_does_not_take_is_named(cgroup, rule_file, socktune, attachable):
    refuses = [row["option"] for row in attachable if not row["inet"] and not row["inet6"]]
    assert "IP_TTL" in refuses
    rules = rule_file("rules = ( {\n  set = { IP_TTL = 33; }; } );")
    code, message = refused(socktune, "-c", rules, "--cgroup", cgroup.path)
    assert code == 1 and f"{rules}:2: warning: by attach, IP_TTL " in message


def test_check_explain_and_options_say_the_same(rule_file, cgroup, socktune, attachable):
    """What `attach` leaves out, they name; nobody shows as given what would not be."""
    taken = {row["option"]: {"inet": row["inet"], "inet6": row["inet6"]} for row in attachable}
    options = json.loads(socktune("options", "--json").stdout)["options"]
    assert {row["name"]: row["attach"] for row in options if row["attach"]} == taken
    assert "by attach    no" in socktune("options", "IP_TTL").stdout
    rules = rule_file("""program = "python3"; rules = (
        { match = { role = "connect"; };
          set = { TCP_KEEPIDLE = "11min"; IP_TTL = 33; };
          force = { TCP_KEEPCNT = 7; IP_MTU_DISCOVER = "do"; };
          at_least = { TCP_SYNCNT = 3; }; ignore = [ "SO_SNDBUF" ]; } );""")
    checked = json.loads(socktune("check", "--by", "attach", "--json", rules).stdout)
    said = [one["message"] for one in checked["findings"] if one["message"].startswith("by attach")]
    assert set(re.findall(r"[A-Z]+_[A-Z_]+", "".join(said))) == {"IP_TTL", "IP_MTU_DISCOVER", "TCP_SYNCNT"}
    assert len(said) == 2  # one for each reason
    command = cgroup.attach(rules)
    command.kill()
    assert {line.split(": warning: ")[1] for line in command.stderr.read().splitlines()} == set(said)
    explained = json.loads(socktune("explain", "--by", "attach", "-c", rules, "-p", "python3",
                                    "--connect", "127.0.0.1:1", "--json").stdout)
    assert {one["option"] for one in explained["options"]} == {"TCP_KEEPIDLE", "TCP_KEEPCNT"}
    assert {one["option"] for one in explained["guarded"]} == {"TCP_KEEPCNT", "SO_SNDBUF"}
    assert {one["option"] for one in explained["missed"]} == {"IP_TTL", "IP_MTU_DISCOVER",
                                                              "TCP_SYNCNT"}


def test_udp_takes_what_the_probe_has_found(cgroup, rule_file, attachable):
    """On TCP sockets: no trial is made on UDP ones."""
    values = {"SO_MARK": 7, "SO_PRIORITY": 3, "IP_TOS": 32, "SO_RCVBUF": '"64K"', "SO_SNDBUF": '"64K"',
              "SO_RCVLOWAT": 2, "SO_REUSEPORT": "true", "SO_BINDTODEVICE": '"lo"',
              "SO_MAX_PACING_RATE": '"1M"', "SO_REUSEADDR": "true"}
    taken = {row["option"] for row in attachable if row["inet"]}
    settings = "".join(f"{name} = {value}; " for name, value in values.items() if name in taken)
    assert "SO_MARK" in settings
    cgroup.attach(rule_file(f'rules = ( {{ match = {{ protocol = "udp"; }}; set = {{ {settings} }}; }} );'))
    subprocess.run(cgroup.entering(PYTHON, "-c", "import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
                                   's.bind(("127.0.0.1", 0)); s.connect(("127.0.0.1", 9))'), check=True)
    assert status()[cgroup.path]["given"] >= settings.count("=")
    assert status()[cgroup.path]["failed"] == 0


def test_what_listeners_and_connections_take(attachable, socktune):
    """A listener at an IPv6 address takes no IP_TOS, but sockets that may speak IPv4 do."""
    taken = {row["option"]: (row["inet"], row["inet6"]) for row in attachable}
    assert taken["IP_TOS"] == (True, True)
    assert taken["source"] == (True, True) and taken["dscp"] == (True, True)
    shown = {line.split()[0]: line for line in socktune("options").stdout.splitlines() if line}
    column = next(line for line in shown.values() if "ATTACH" in line).index("ATTACH")
    assert {shown[name][column:].split()[0] for name in ("transport", "backlog")} == {"no"}


def test_rules_that_are_refused_give_nothing(rule_file, socktune):
    rules = rule_file('rules = (\n{ match = { command = "*"; }; set = { SO_MARK = 1; }; } );')
    result = socktune("check", "--by", "attach", rules)
    assert result.returncode == 1 and f"{rules}:2: error:" in result.stdout
    explained = socktune("explain", "--by", "attach", "-c", rules, "-p", "x", "--socket").stdout
    assert "By attach, SO_MARK is not given, since attach refuses these rules" in explained


def test_check_without_privilege(rule_file, socktune):
    """What depends on the kernel is unknown then, and that is said."""
    rules = rule_file("rules = ( { set = { IP_TTL = 33; }; } );")
    result = socktune("check", "--by", "attach", rules, user=65534, group=65534, extra_groups=[])
    assert result.returncode == 0 and "is unknown: " in result.stderr
    assert "needs root" in socktune("options", "IP_TTL", user=65534, group=65534).stdout


def test_ps_and_doctor_know(cgroup, rule_file, ends, socktune):
    rules = rule_file(RULES)
    below = cgroup.nested()
    cgroup.attach(rules)
    pid = ends(below).pid
    shown, = [one for one in json.loads(socktune("ps", "--json").stdout)["processes"]
              if one["pid"] == pid]
    assert (shown["by"], shown["rules"], shown["stale"]) == ("attach", str(rules), False)
    assert [one["file"] for one in shown["active"]] == [str(rules)]
    os.utime(rules, (time.time() + 9, time.time() + 9))
    assert f"{pid}  python3          attach " in socktune("ps").stdout
    assert " stale " in next(line for line in socktune("ps").stdout.splitlines()
                             if line.split()[0] == str(pid))
    doctor = json.loads(socktune("doctor", "--json", pid).stdout)
    assert "attached" in {one["id"] for one in doctor["findings"]}


def test_a_unit(cgroup, rule_file, ends):
    unit = cgroup.nested("8.2.service")
    unit.attach(rule_file(RULES), "--unit", unit.directory.stem)
    assert values(ends(unit)("open"), "accept", "priority") == of_all(5)
    assert values(ends(cgroup)("open"), "accept", "priority") == of_all(0)


def test_all_programs(cgroup, rule_file, ends):
    """All of the hierarchy: here that of a cgroup namespace, which begins at the test's cgroup."""
    below = cgroup.nested()
    cgroup.attach(rule_file(RULES), "--all", wrapper=cgroup.entering(
        "unshare", "--cgroup", "--mount", "sh", "-c",
        f'umount -l {mount_point()} && mount -t cgroup2 none {mount_point()} && exec "$@"', "sh"))
    assert values(ends(below)("open"), "accept", "priority") == of_all(5)


def test_nginx(cgroup, rule_file, directory, free_port):
    """A server that accepts in its workers, and sets TCP_NODELAY itself."""
    port = free_port()
    (directory / "nginx.conf").write_text(
        f"user root; daemon off; pid {directory}/pid; error_log stderr; worker_processes 2;"
        f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}",
        encoding="ascii")
    cgroup.attach(rule_file("""program = "nginx"; rules = ( { match = { role = "accept"; };
        set = { SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "9s"; SO_PRIORITY = 5; };
        force = { TCP_NODELAY = false; }; } );"""))
    command = cgroup.entering(program("nginx", "usr/sbin/nginx"), "-e", "stderr", "-p", directory,
                              "-c", directory / "nginx.conf")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            def connected():
                with contextlib.suppress(ConnectionRefusedError):
                    return socket.create_connection(("127.0.0.1", port))
                return None
            with kernel.until(connected, "nginx listens") as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 ")
                accepted = [one for one in kernel.tcp_sockets(server.pid) if one.remote]
                wanted = {"SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 9000, "SO_PRIORITY": 5,
                          "TCP_NODELAY": 0}
                assert [one.options(wanted) for one in accepted] == [wanted]
        finally:
            server.terminate()


@pytest.mark.slow
def test_a_thousand_rules_with_64_prefixes_each(cgroup, rule_file, ends):
    prefixes = ",".join(f'"{i:x}::/16"' for i in range(1, 64)) + ',"127.0.0.0/8"'
    cgroup.attach(rule_file("rules = (" + ",".join(
        f'{{match = {{role = "connect"; remote = [{prefixes}];}};'
        f"set = {{TCP_KEEPIDLE = {60 + i};}};}}" for i in range(1000)) + ");"))
    assert ends(cgroup)("open")["inet"]["connect"]["idle"] == 1059


def test_too_many_rules_are_refused(cgroup, rule_file, socktune):
    rules = rule_file("rules = (" + ",".join(["{set = {SO_PRIORITY = 1;};}"] * 10000) + ");")
    code, message = refused(socktune, "-c", rules, "--cgroup", cgroup.path)
    assert code == 78 and "at most 1024" in message


def test_what_is_missing_is_named(rule_file, socktune, cgroup):
    rules = rule_file(RULES)
    for arguments, text in [(["--cgroup", "/no/such/cgroup"], "no cgroup /no/such/cgroup"),
                            (["--unit", "no-such-unit"], "no-such-unit.service has no cgroup"),
                            ([], "expected one of --cgroup, --unit and --all")]:
        assert text in refused(socktune, "-c", rules, *arguments)[1]
    result = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all",
                             SOCKTUNE, "attach", "-c", rules, "--cgroup", cgroup.path],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1 and "BPF is not permitted" in result.stderr
    assert subprocess.run([SOCKTUNE, "detach", "--cgroup", cgroup.path], capture_output=True,
                          timeout=60, check=False).returncode == 1


def attach_alone(cgroup):
    """A program on connect() that lets no other be attached beside it: no BPF_F_ALLOW_MULTI."""
    libc = ctypes.CDLL(None, use_errno=True)
    sock_addr, inet4_connect, load, attach, bpf = 18, 10, 5, 8, 321
    instructions = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xb7, 0, 0, 1, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQIIQII16sII", sock_addr, 2, ctypes.addressof(instructions),
                             ctypes.addressof(licence), 0, 0, 0, 0, 0, b"alone", 0, inet4_connect)
    fd = libc.syscall(bpf, load, attributes, len(attributes))
    directory = os.open(cgroup.directory, os.O_RDONLY)
    attributes = struct.pack("<IIII", directory, fd, inet4_connect, 0)
    assert fd >= 0 and libc.syscall(bpf, attach, attributes, len(attributes)) == 0
    os.close(directory)
    os.close(fd)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of bpf(2) is x86-64's")
def test_another_program_in_the_way(cgroup, rule_file, socktune):
    attach_alone(cgroup)
    _, message = refused(socktune, "-c", rule_file(RULES), "--cgroup", cgroup.path)
    assert "another BPF program" in message
    assert cgroup.path not in status()


# Prints idle time and count of a new connection of the program that is given as name, user and
# group, before and after a line on standard input.
ONE_CONNECTION = r"""
import os, socket, sys
os.setresgid(-1, int(sys.argv[2]), -1)
os.setresuid(-1, int(sys.argv[1]), -1)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
client = socket.socket()
client.connect(listener.getsockname())
while True:
    print(client.getsockopt(6, 4), client.getsockopt(6, 6), flush=True)
    if not sys.stdin.readline():
        break
"""


def one_connection(cgroup, name="one", user=0, group=0):
    code = f"import os, sys; os.execv({PYTHON!r}, sys.argv[1:])"
    return subprocess.Popen(
        cgroup.entering(PYTHON, "-c", code, name, "-c", ONE_CONNECTION, str(user), str(group)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_effective_user_and_group_count(cgroup, rule_file):
    rules = rule_file("""rules = ( { match = { user = 65534; }; set = { TCP_KEEPIDLE = "11min"; }; },
        { match = { group = 65534; }; set = { TCP_KEEPCNT = 7; }; } );""")
    with one_connection(cgroup, user=65534, group=65534) as early:
        assert early.stdout.readline() == "7200 9\n"
        command = cgroup.attach(rules)
        assert early.communicate("\n")[0] == "660 7\n"
    with one_connection(cgroup, user=65534, group=65534) as late:
        assert late.communicate("")[0] == "660 7\n"
    command.terminate()
    assert command.wait() == 0


@pytest.mark.parametrize("length", [126, 127, 128, 1000])
def test_a_long_path_as_the_first_argument(cgroup, rule_file, length):
    cgroup.attach(rule_file('rules = ( { match = { program = "one"; }; '
                            'set = { TCP_KEEPIDLE = "11min"; }; } );'))
    directory = (("d" * 99 + "/") * 10 + "d" * 99)[-length:]
    with one_connection(cgroup, "/" + directory + "/one") as process:
        assert process.communicate("")[0] == "660 9\n"


REPLACED = r"""
mount -t bpf none /sys/fs/bpf
$1 attach --pin --cgroup $2 -c $3 >&2
exec sleep 60
"""


@contextlib.contextmanager
def pinning(cgroup, rules):
    """Rules that are pinned in a mount namespace of their own; run(word...) in it."""
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", REPLACED, "sh", SOCKTUNE, cgroup.path,
                           rules], stderr=subprocess.PIPE, text=True) as place:
        assert place.stderr.readline().startswith("attached")

        def run(*words, where=cgroup.path):
            return subprocess.run(["nsenter", "--mount", "--target", str(place.pid), SOCKTUNE, *words,
                                   "--cgroup", where], capture_output=True, text=True, timeout=60,
                                  check=False)
        run.pid = place.pid
        run.pins = pathlib.Path(f"/proc/{place.pid}/root/sys/fs/bpf/socktune")
        yield run
        place.kill()


def test_new_rules_know_nothing_of_what_programs_have_set(cgroup, rule_file):
    """The former rules did not watch this option, so its value has to be looked at."""
    first = rule_file('rules = ( { set = { TCP_KEEPIDLE = "11min"; }; } );')
    second = rule_file('rules = ( { default = { TCP_KEEPIDLE = "22min"; TCP_KEEPCNT = 3; }; } );',
                       "second.conf")
    own = ("import socket, sys; one = socket.socket(); one.bind(('127.0.0.1', 0)); one.listen(); "
           "one.setsockopt(6, 4, 77); print(flush=True); sys.stdin.readline(); "
           "print(one.getsockopt(6, 4), one.getsockopt(6, 6))")
    with pinning(cgroup, first) as run:
        with subprocess.Popen(cgroup.entering(PYTHON, "-c", own), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            assert run("attach", "--pin", "-c", second).returncode == 0
            assert process.communicate("\n")[0] == "77 3\n"


@pytest.mark.slow
def test_a_cgroup_has_one_path(cgroup, rule_file):
    rules = rule_file(RULES)
    with pinning(cgroup, rules) as run:
        for path, text in ((cgroup.path + "/.", "may not contain"), ("../x", "may not contain"),
                           ("", "is empty")):
            result = run("attach", "--pin", "-c", rules, where=path)
            assert result.returncode == 1 and text in result.stderr
        assert run("attach", "--pin", "-c", rules, where=f"{cgroup.directory}//").returncode == 0
        assert len([row for row in status().values()
                    if row["cgroup_id"] == cgroup.directory.stat().st_ino]) == 1
        assert run("detach").returncode == 0
        assert cgroup.path not in status()


def test_a_cgroup_that_is_removed(cgroup, rule_file):
    rules = rule_file(RULES)
    with Cgroup() as pinned, pinning(pinned, rules) as run:
        pinned.directory.rmdir()
        result = run("detach")
        assert "1 cgroup that no longer exists" in result.stdout and not run.pins.exists()
        assert result.returncode == 1 and "no cgroup" in result.stderr
        pinned.directory.mkdir()
    with Cgroup() as held:
        command = held.attach(rules)
        held.directory.rmdir()
        assert command.wait(timeout=30) == 1 and "was removed" in command.stderr.read()
        held.directory.mkdir()


def test_a_killed_command_leaves_no_pinned_rules(cgroup, rule_file):
    """A directory without pins is what it leaves: rules that come later are not pinned by it."""
    rules = rule_file(RULES)
    with pinning(cgroup, rules) as run:
        directory, = run.pins.iterdir()
        assert run("detach").returncode == 0
        directory.mkdir(parents=True)
        command = cgroup.attach(rules, wrapper=["nsenter", "--mount", "--target", str(run.pid)])
        result = run("attach", "--pin", "-c", rules)
        assert result.returncode == 1 and "still runs" in result.stderr
        command.terminate()
        command.wait()


def test_a_neighbour_cannot_hold_the_lock(cgroup, rule_file):
    cgroup.directory.chmod(0o755)
    holder = ["setpriv", "--reuid", "65534", "--clear-groups", "flock", "-F", cgroup.directory,
              "sh", "-c", "echo held; exec sleep 60"]
    with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        cgroup.attach(rule_file(RULES))
        assert process.poll() is None
        process.kill()


def test_questions_take_no_cgroup(socktune):
    for question in ("--status", "--probe", "--report"):
        result = socktune("attach", question, "--cgroup", "/no/such")
        assert result.returncode == 2 and "whole machine" in result.stderr


def test_the_tcp_connection_below_an_mptcp_client_is_left_alone(cgroup, rule_file):
    """The server takes no MPTCP, so the client shows the options of its TCP connection."""
    client = ("import socket; l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(); "
              "c = socket.socket(2, 1, 262); c.connect(l.getsockname()); "
              "print(c.getsockopt(6, 4), l.accept()[0].getsockopt(6, 4))")
    cgroup.attach(rule_file('rules = ( { set = { TCP_KEEPIDLE = "11min"; }; } );'))
    result = subprocess.run(cgroup.entering(PYTHON, "-c", client), capture_output=True, text=True,
                            timeout=30, check=False)
    if "Protocol not" in result.stderr:
        pytest.skip("needs MPTCP")
    assert result.stdout == "7200 660\n"


def test_tcp_connections_that_an_mptcp_listener_accepts(cgroup, rule_file):
    """Listeners of Go 1.24 and later are such listeners; most clients use plain TCP."""
    server = ("import socket; l = socket.socket(2, 1, 262); l.setsockopt(6, 6, 3); "
              "l.bind(('127.0.0.1', 0)); l.listen(); "
              "c = socket.create_connection(l.getsockname()); a = l.accept()[0]; "
              "print(a.getsockopt(1, 38), a.getsockopt(6, 4), a.getsockopt(6, 6), "
              "a.getsockopt(1, 12))")
    cgroup.attach(rule_file("""rules = ( { match = { role = "accept"; };
        set = { TCP_KEEPIDLE = "11min"; SO_PRIORITY = 5; }; default = { TCP_KEEPCNT = 7; }; } );"""))
    result = subprocess.run(cgroup.entering(PYTHON, "-c", server), capture_output=True, text=True,
                            timeout=30, check=False)
    if "Protocol not" in result.stderr:
        pytest.skip("needs MPTCP")
    assert result.stdout == "6 660 3 5\n"
