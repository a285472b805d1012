# SPDX-License-Identifier: MIT
"""socktune apply: open sockets of running, unmodified programs bear what the rules say.

The kernel is the witness, as everywhere: what apply prints is compared with it.
"""
import array
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import kernel
import pytest
import socktuned
from conftest import LOOPBACK, needs_root, program
from options import live, samples, table_rows
from test_programs import SERVERS, Place


NOBODY = 65534
DOMAINS = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
RULES = """
program = "{program}";
rules = ( {{ name = "all"; match = {{ {match} }}; {mode} = {{ {settings} }}; }} );
"""
# What the programs under load do not set themselves after accept or connect.
LOAD_SETTINGS = ('SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "45s"; TCP_NOTSENT_LOWAT = "128K";'
                 ' TCP_CONGESTION = "reno"; dscp = "AF21"; SO_PRIORITY = 5;')
LOAD_EXPECTED = {"SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 45000, "TCP_NOTSENT_LOWAT": 131072,
                 "TCP_CONGESTION": "reno", "IP_TOS": 0x48}


def as_nobody():
    """Keywords of subprocess that make a child unprivileged, when we are not."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture
def rules_for(rule_file):
    """rules_for("calls", "TCP_NODELAY = true;", match="", mode="set"): a rule file."""
    def write(name, settings, match="", mode="set"):
        return rule_file(RULES.format(program=name, match=match, mode=mode, settings=settings))
    return write


@pytest.fixture
def apply(socktune):
    """apply(rules, arguments...) as JSON, with .status; the options by (descriptor, name)."""
    class Result:
        def __init__(self, status, told):
            self.status = status
            self.told = told
            self.refused = told["refused"]
            self.options = {(one["fds"][0], option["option"]): option
                            for one in told["sockets"] for option in one["options"]}

        def results(self):
            return {key: option["result"] for key, option in self.options.items()}

    def run(rules, *arguments, **keywords):
        result = socktune("apply", "--json", "-c", rules, *arguments, **keywords)
        assert result.returncode in (0, 1), result.stderr
        return Result(result.returncode, json.loads(result.stdout))
    return run


@pytest.fixture
def connected(host):
    """A host with a listener and both ends of a connection: (host, role -> descriptor)."""
    def make(family="inet", **keywords):
        one = host(**keywords)
        domain = DOMAINS[family]
        listener, port = one.listener(domain, LOOPBACK[family])
        client = one.socket(domain)
        one.connect(client, domain, LOOPBACK[family], port)
        return one, {"listen": listener, "connect": client, "accept": one.accept(listener)}
    return make


# Reporting.

@pytest.fixture
def helper():
    with socktuned.running(None) as one:
        yield one


def test_treated_sockets_are_reported(connected, rule_file, apply, helper):
    """`report = true` reaches the helper: open connections and listeners, with what was set."""
    one, fds = connected()
    fds["datagram"] = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(fds["datagram"], socket.AF_INET, "127.0.0.1")
    rules = rule_file("""program = "calls";
        rules = ( { name = "all"; match = { }; report = true;
                    set = { TCP_KEEPCNT = 4; SO_RCVBUF = "64K"; }; } );""")
    apply(rules, "--dry-run", one.pid, env=helper.environment)
    for _ in range(2):  # a second time changes nothing, and counts nothing twice
        assert apply(rules, one.pid, env=helper.environment).results()[fds["accept"],
                                                                       "SO_RCVBUF"] == "failed"
        seen = helper.until(lambda: len(helper.connections()) == 4 and helper.connections(),
                            "four reports")
    assert {shown["role"] for shown in seen} == fds.keys()
    for shown in seen:
        assert (shown["program"], shown["rule"], shown["pid"]) == ("calls", "all", one.pid)
        late = shown["role"] in ("connect", "accept")
        assert shown["options"]["applied"] == (2 if shown["role"] == "listen" else 1)
        assert shown["options"]["failed"] == ({"SO_RCVBUF": "EISCONN"} if late else {})


# What is set, and what is told.

@pytest.mark.parametrize("family", DOMAINS)
def test_open_sockets_are_tuned(connected, rules_for, socktune, apply, family):
    one, fds = connected(family)
    datagram = one.socket(DOMAINS[family], socket.SOCK_DGRAM)
    rules = rules_for("calls", 'SO_KEEPALIVE = true; TCP_KEEPIDLE = "10min"; SO_SNDBUF = "64K";')
    result = socktune("apply", "-c", rules, one.pid)
    assert (result.returncode, result.stderr) == (0, "")
    for fd in fds.values():
        assert one.look(fd).options(["SO_KEEPALIVE", "TCP_KEEPIDLE", "SO_SNDBUF"]) == {
            "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 600, "SO_SNDBUF": 131072}
    assert one.look(datagram).option("SO_SNDBUF") == 131072
    assert one.look(datagram).option("SO_KEEPALIVE") == 0
    told = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert told.count(f"TCP_KEEPIDLE 7200s -> 600s (all, {rules}:3)") == 3
    assert told[-1] == ("4 sockets of 1 process: 10 options changed, 0 were so, 0 could not be"
                        " set")
    assert f"calls[{one.pid}] fd {fds['listen']} tcp listen" in " ".join(told)

    again = socktune("apply", "-c", rules, one.pid)
    assert (again.returncode, again.stdout) == (
        0, "4 sockets of 1 process: 0 options changed, 10 were so, 0 could not be set\n")
    assert set(apply(rules, one.pid).results().values()) == {"same"}


def test_json(connected, rules_for, apply):
    one, fds = connected()
    rules = rules_for("calls", 'TCP_KEEPIDLE = "10min";', match='role = "connect";')
    result = apply(rules, one.pid)
    told, = result.told["sockets"]
    assert (told["pid"], told["program"], told["role"]) == (one.pid, "calls", "connect")
    assert result.options[fds["connect"], "TCP_KEEPIDLE"] == {
        "option": "TCP_KEEPIDLE", "level": 6, "number": 4, "mode": "set", "rule": "all",
        "file": str(rules), "line": 3, "result": "changed", "wanted": 600, "before": 7200,
        "autotuned": False, "after": 600}


def test_dry_run_changes_nothing(connected, rules_for, socktune, apply):
    one, fds = connected()
    rules = rules_for("calls", 'TCP_KEEPIDLE = "10min"; SO_SNDBUF = "64K"; dscp = "EF";')
    dry = apply(rules, "--dry-run", one.pid)
    assert dry.told["dry_run"] and set(dry.results().values()) == {"changed"}
    assert "options would change" in socktune("apply", "-n", "-c", rules, one.pid).stdout
    assert one.look(fds["accept"]).options(["TCP_KEEPIDLE", "IP_TOS"]) == {"TCP_KEEPIDLE": 7200,
                                                                          "IP_TOS": 0}
    real = apply(rules, one.pid)

    def outcome(result):
        return {key: (option["before"], option["after"]) for key, option in result.options.items()
                if option["option"] != "SO_SNDBUF"}  # it is tuned between the two
    assert outcome(real) == outcome(dry)


def test_each_socket_by_its_own_rule(connected, rule_file, apply):
    one, fds = connected()
    port = one.look(fds["listen"]).local[1]
    rules = rule_file(f"""
        program = "calls";
        rules = (
          {{ match = {{ role = "connect"; remote_port = {port}; }}; set = {{ TCP_KEEPIDLE = 11; }}; }},
          {{ match = {{ role = "accept"; local_port = {port}; }}; set = {{ TCP_KEEPIDLE = 12; }}; }},
          {{ match = {{ role = "accept"; remote = "192.0.2.0/24"; }};
             set = {{ TCP_KEEPINTVL = 13; }}; }},
          {{ match = {{ role = "listen"; }}; set = {{ TCP_DEFER_ACCEPT = "3s"; }}; }},
          {{ match = {{ protocol = "udp"; }}; set = {{ IP_TTL = 14; }}; }}
        );""")
    result = apply(rules, one.pid)
    assert result.status == 0
    assert result.results() == {(fds["connect"], "TCP_KEEPIDLE"): "changed",
                                (fds["accept"], "TCP_KEEPIDLE"): "changed",
                                (fds["listen"], "TCP_KEEPIDLE"): "changed",
                                (fds["listen"], "TCP_DEFER_ACCEPT"): "changed"}
    assert one.look(fds["connect"]).option("TCP_KEEPIDLE") == 11
    assert one.look(fds["accept"]).option("TCP_KEEPIDLE") == 12


def test_later_rules_stand_in_the_order_of_a_life(connected, rule_file, apply):
    """As in a program that was started under them: what a listener got at socket() stays where the
    rule that wins is one for accepted sockets, and they are spared what a listener alone is
    given."""
    one, fds = connected()
    rules = rule_file("""program = "calls"; rules = (
        { match = { }; set = { SO_PRIORITY = 3; TCP_KEEPIDLE = 11; }; },
        { match = { role = "accept"; }; set = { SO_PRIORITY = 5; }; },
        { match = { role = "listen"; }; set = { TCP_KEEPIDLE = 12; }; } );""")
    assert apply(rules, one.pid).status == 0
    got = {role: tuple(one.look(fd).options(["SO_PRIORITY", "TCP_KEEPIDLE"]).values())
           for role, fd in fds.items()}
    assert got == {"listen": (3, 12), "accept": (5, 11), "connect": (3, 11)}


def test_a_listener_passes_it_on(connected, rules_for, apply):
    one, fds = connected()
    rules = rules_for("calls", 'SO_RCVBUF = "64K"; TCP_KEEPIDLE = "10min"; SO_LINGER = "7s";',
                      match='role = [ "listen", "accept" ];')
    assert apply(rules, one.pid).results()[fds["listen"], "SO_RCVBUF"] == "changed"
    client = one.socket(socket.AF_INET)
    one.connect(client, socket.AF_INET, "127.0.0.1", one.look(fds["listen"]).local[1])
    accepted = one.look(one.accept(fds["listen"]))
    assert accepted.options(["SO_RCVBUF", "TCP_KEEPIDLE"]) == {"SO_RCVBUF": 131072,
                                                              "TCP_KEEPIDLE": 600}
    again = apply(rules, one.pid)
    assert again.results()[accepted.fd, "SO_RCVBUF"] == "same"
    assert again.results()[fds["accept"], "SO_RCVBUF"] == "failed"  # this one was there before


@pytest.mark.parametrize("settings, complaint", [
    ('SO_RCVBUF = "64K";', "too late: the connection has begun its handshake"),
    ("SO_REUSEADDR = true;", "too late: the connection is bound to its address"),
    ('source = "127.0.0.9";', "too late: the source address is chosen when a socket connects")])
def test_too_late(connected, rules_for, socktune, settings, complaint):
    one, fds = connected()
    before = one.look(fds["connect"]).options(["SO_RCVBUF"])
    rules = rules_for("calls", settings, match='role = "connect";')
    result = socktune("apply", "-c", rules, one.pid)
    assert result.returncode == 1
    assert complaint in result.stdout and "-/->" in result.stdout
    assert "0 options changed, 0 were so, 1 could not be set" in result.stdout
    assert one.look(fds["connect"]).options(["SO_RCVBUF"]) == before


def test_too_late_for_another_protocol(connected, rules_for, apply):
    one, fds = connected()
    result = apply(rules_for("calls", 'transport = "mptcp";'), one.pid)
    assert result.status == 1
    assert {(fd, option["result"], option["reason"]) for (fd, _), option in
            result.options.items()} == {
                (fds[role], "failed", "too late: the protocol is chosen when a socket is made")
                for role in ("connect", "listen")}


def test_what_it_has_already_is_not_too_late(connected, rules_for, apply):
    one, fds = connected()
    rules = rules_for("calls", 'source = "127.0.0.1"; SO_REUSEADDR = false;',
                      match='role = "connect";')
    result = apply(rules, one.pid)
    assert result.status == 0 and set(result.results().values()) == {"same"}


def test_not_supported(connected, rules_for, socktune):
    one, _ = connected()
    rules = rules_for("calls", "raw = ( { level = 6; option = 9999; value = 1; } );")
    result = socktune("apply", "-c", rules, one.pid)
    assert result.returncode == 1
    assert "not supported by this kernel, or not on such a socket" in result.stdout
    rules = rules_for("calls", 'TCP_CONGESTION = "nonesuch";')
    result = socktune("apply", "-c", rules, one.pid)
    assert result.returncode == 1 and "this kernel does not have that one" in result.stdout


def test_privilege(connected, rules_for, socktune):
    one, _ = connected(**as_nobody())
    rules = rules_for("calls", "SO_MARK = 7;", match='role = "listen";')
    result = socktune("apply", "-c", rules, one.pid, **as_nobody())
    assert result.returncode == 1
    assert "not permitted: it takes CAP_NET_RAW in the socket's network namespace" in result.stdout
    if os.geteuid() == 0:
        assert socktune("apply", "-c", rules, one.pid).returncode == 0


def test_default_leaves_alone_what_the_program_set(connected, rules_for, apply):
    one, fds = connected()
    one.setsockopt(fds["accept"], socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
    one.setsockopt(fds["accept"], socket.SOL_SOCKET, socket.SO_SNDBUF, 30000)
    rules = rules_for("calls", 'TCP_KEEPIDLE = "10min"; SO_SNDBUF = "64K"; dscp = "AF11";',
                      mode="default")
    result = apply(rules, one.pid)
    assert result.status == 0
    kept = {key for key, what in result.results().items() if what == "kept"}
    assert kept == {(fds["accept"], "TCP_KEEPIDLE"), (fds["accept"], "SO_SNDBUF")}
    assert one.look(fds["accept"]).options(["TCP_KEEPIDLE", "SO_SNDBUF", "IP_TOS"]) == {
        "TCP_KEEPIDLE": 77, "SO_SNDBUF": 60000, "IP_TOS": 0x28}
    # Autotuning is not the program.
    assert one.look(fds["connect"]).options(["TCP_KEEPIDLE", "SO_SNDBUF"]) == {
        "TCP_KEEPIDLE": 600, "SO_SNDBUF": 131072}
    again = apply(rules, one.pid)
    assert set(again.results().values()) == {"same", "kept"}


def test_priority_survives_the_type_of_service(connected, rules_for, apply):
    """IP_TOS has the kernel alter SO_PRIORITY, which the program, or a rule, may have set."""
    one, fds = connected()
    one.setsockopt(fds["connect"], socket.SOL_SOCKET, socket.SO_PRIORITY, 3)
    one.setsockopt(fds["accept"], socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
    rules = rules_for("calls", "IP_TOS = 0x48;")
    assert set(apply(rules, one.pid).results().values()) == {"changed"}
    assert [one.look(fds[end]).option("SO_PRIORITY") for end in ("connect", "accept")] == [3, 5]
    rules = rules_for("calls", "IP_TOS = 0x10; SO_PRIORITY = 5;", mode="default")
    one.setsockopt(fds["accept"], socket.IPPROTO_IP, socket.IP_TOS, 0)
    one.setsockopt(fds["accept"], socket.SOL_SOCKET, socket.SO_PRIORITY, 2)
    again = apply(rules, one.pid)
    assert again.options[fds["accept"], "SO_PRIORITY"]["result"] == "kept"
    assert again.options[fds["accept"], "SO_PRIORITY"]["before"] == 2
    assert one.look(fds["accept"]).options(["IP_TOS", "SO_PRIORITY"]) == {"IP_TOS": 0x10,
                                                                          "SO_PRIORITY": 2}


def test_force_gives_and_ignore_does_nothing(connected, rule_file, apply):
    one, fds = connected()
    rules = rule_file("""program = "calls"; rules = ( { match = { role = "accept"; };
        force = { TCP_NODELAY = true; }; ignore = [ "TCP_KEEPIDLE" ]; } );""")
    result = apply(rules, one.pid)
    assert result.results() == {(fds["accept"], "TCP_NODELAY"): "changed",
                                (fds["listen"], "TCP_NODELAY"): "changed"}


def test_dscp_leaves_the_ecn_bits_alone(host, rules_for, apply):
    one = host()
    fd = one.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TOS, 0x01)
    rules = rules_for("calls", 'dscp = "EF";')
    assert apply(rules, one.pid).options[fd, "IP_TOS"]["after"] == 0xb9
    assert apply(rules, one.pid).results() == {(fd, "IP_TOS"): "same"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: CAP_NET_ADMIN")
def test_forced_buffers_are_read_back(host, rules_for, apply):
    one = host()
    fd, _ = one.listener(socket.AF_INET, "127.0.0.1")
    rules = rules_for("calls", 'SO_SNDBUFFORCE = "20M"; SO_RCVBUFFORCE = "16M";')
    first = apply(rules, one.pid)
    assert set(first.results().values()) == {"changed"} and len(first.options) == 2
    assert one.look(fd).option("SO_RCVBUF") == 32 << 20
    assert set(apply(rules, one.pid).results().values()) == {"same"}


def test_unix_sockets_where_a_rule_names_them(start, rules_for, apply, directory):
    script = ("import socket, time\n"
              "listener = socket.socket(socket.AF_UNIX); listener.bind('path'); listener.listen()\n"
              "print('ready', flush=True); time.sleep(60)")
    one = start([program("python3"), "-c", script], cwd=directory)
    one.until(lambda: "ready" in one.output, "its socket")
    assert apply(rules_for("python3", 'SO_SNDBUF = "16K";'), one.pid).options == {}
    result = apply(rules_for("python3", 'SO_SNDBUF = "16K";', match='family = "unix";'), one.pid)
    assert [option["after"] for option in result.options.values()] == [32768]


# Which processes.

def test_processes_by_name(connected, rules_for, socktune, build):
    one, fds = connected()
    other, _ = connected()
    rules = rules_for("calls", "TCP_KEEPIDLE = 611;")
    for glob in ("nonesuch", "/calls", "call"):
        result = socktune("apply", "-c", rules, "--program", glob)
        assert result.stdout.startswith("0 sockets of 0 processes"), glob
    for glob in ("cal?s", str(build.hosts / "calls")):
        result = socktune("apply", "-c", rules, "--program", glob, "--json")
        pids = {told["pid"] for told in json.loads(result.stdout)["sockets"]}
        assert {one.pid, other.pid} <= pids
    assert one.look(fds["listen"]).option("TCP_KEEPIDLE") == 611


def test_all_processes(connected, rule_file, socktune, build):
    one, fds = connected()
    # Others run tests at the same time: the rule is for this process's descriptor alone.
    port = one.look(fds["listen"]).local[1]
    rules = rule_file(f"""program = "{build.hosts}/calls"; rules = (
        {{ match = {{ local_port = {port}; }}; set = {{ TCP_KEEPIDLE = 611; }}; }} );""")
    result = socktune("apply", "-c", rules, "--all", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)["sockets"]
    assert {(shown["pid"], shown["fds"][0]) for shown in told} == {(one.pid, fds["listen"]),
                                                                  (one.pid, fds["accept"])}


def test_identity_is_executable_arguments_and_user(start, rule_file, socktune, directory):
    script = directory / "worker.py"
    script.write_text("import socket, time; s = socket.create_server(('127.0.0.1', 0));"
                      "print('ready', flush=True); time.sleep(60)")
    one = start(["/usr/bin/python3", script, "--shard=7"], **as_nobody())
    one.until(lambda: "ready" in one.output, "its socket")
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    for match, right in (('command = "*worker.py --shard=7";', True),
                         ('command = "*worker.py --shard=8";', False),
                         (f'user = {uid};', True), (f'user = "!{uid}";', False),
                         (f'program = "{os.path.realpath("/usr/bin/python3")}";', True)):
        rules = rule_file(f"rules = ( {{ match = {{ {match} }}; set = {{ IP_TTL = 65; }}; }} );")
        result = socktune("apply", "-n", "-c", rules, one.pid)
        assert ("1 option would change" in result.stdout) is right, match
        assert ("no rule is for it" in result.stderr) is not right, match
        assert result.returncode == 0


def test_a_socket_that_processes_share_is_one(start, rules_for, apply):
    """Forked workers, and a descriptor passed over a Unix socket."""
    script = ("import array, os, socket, time\n"
              "listener = socket.create_server(('127.0.0.1', 0))\n"
              "a, b = socket.socketpair()\n"
              "socket.send_fds(a, [b'x'], [listener.fileno()])\n"
              "passed = socket.recv_fds(b, 1, 1)[1]\n"
              "for _ in range(3):\n"
              "    if os.fork() == 0: time.sleep(60)\n"
              "print('ready', flush=True); time.sleep(60)\n")
    one = start(["/usr/bin/python3", "-c", script])
    one.until(lambda: "ready" in one.output, "its workers")
    pids = kernel.tree(one.pid)
    assert len(pids) == 4
    result = apply(rules_for("python3*", "TCP_KEEPIDLE = 611;"), *pids)
    told, = result.told["sockets"]
    assert told["pid"] == one.pid and len(told["fds"]) == 2
    assert [option["result"] for option in told["options"]] == ["changed"]


def test_passed_sockets(start, rules_for, apply):
    """A socket that another program made and passed on; and one that is passed and unread, which no
    descriptor leads to, is no error."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_server(("127.0.0.1", 0)) as unread:
        script = ("import socket, sys, time\n"
                  "channel = socket.socket(fileno=int(sys.argv[1]))\n"
                  "got = socket.recv_fds(channel, 1, 1)[1]\n"
                  "print('ready', flush=True); time.sleep(60)\n")
        one = start(["/usr/bin/python3", "-c", script, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()])
        rights = array.array("i", [listener.fileno()])
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        one.until(lambda: "ready" in one.output, "the socket to arrive")
        socket.send_fds(ours, [b"y"], [unread.fileno()])
        result = apply(rules_for("python3*", "TCP_KEEPIDLE = 611;"), one.pid)
        assert result.status == 0 and set(result.results().values()) == {"changed"}
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 611
        assert unread.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7200


@pytest.mark.parametrize("arguments, status, complaint", [
    ([], 2, "expected processes, or --program, or --all"),
    (["--all", "1"], 2, "expected processes, or --program, or --all"),
    (["nginx"], 2, '"nginx" is no process ID'),
    (["--watch", "0", "1"], 2, "--watch takes seconds"),
    (["4194305"], 1, "no such process")])
def test_misuse(socktune, rules_for, arguments, status, complaint):
    rules = rules_for("calls", "TCP_NODELAY = true;")
    result = socktune("apply", "-c", rules, *arguments)
    assert result.returncode == status
    assert complaint in result.stderr


def test_bad_rules(socktune, rule_file, connected):
    one, _ = connected()
    rules = rule_file("rules = ( { match = { }; set = { TCP_NODELAI = true; }; } );")
    result = socktune("apply", "-c", rules, one.pid)
    assert (result.returncode, result.stdout) == (78, "")
    assert f"{rules}:1: error:" in result.stderr and "TCP_NODELAY" in result.stderr


# Permission.

def test_an_unprivileged_user_tunes_own_processes(connected, rules_for, apply):
    one, fds = connected(**as_nobody())
    result = apply(rules_for("calls", "TCP_KEEPIDLE = 611;"), one.pid, **as_nobody())
    assert result.status == 0
    assert one.look(fds["accept"]).option("TCP_KEEPIDLE") == 611


@pytest.mark.parametrize("which", ["pid", "--program", "--all"])
def test_another_users_process_is_told(connected, rules_for, socktune, which):
    needs_root("to have a process that is not the asker's")
    one, fds = connected()
    rules = rules_for("calls", "TCP_KEEPIDLE = 611;")
    words = {"pid": [one.pid], "--program": ["--program", "calls"], "--all": ["--all"]}[which]
    result = socktune("apply", "-c", rules, *words, **as_nobody())
    assert result.returncode == 1
    assert f"[{one.pid}]: it is run by root: be that user, or root (CAP_SYS_PTRACE)" \
        in result.stderr
    assert one.look(fds["accept"]).option("TCP_KEEPIDLE") == 7200


def test_a_process_that_is_not_dumpable(start, rules_for, socktune):
    script = ("import ctypes, socket, time\n"
              "listener = socket.create_server(('127.0.0.1', 0))\n"
              "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE\n"
              "print('ready', flush=True); time.sleep(60)")
    one = start(["/usr/bin/python3", "-c", script], **as_nobody())
    one.until(lambda: "ready" in one.output, "prctl")
    rules = rules_for("python3", "TCP_KEEPIDLE = 611;")
    result = socktune("apply", "-c", rules, one.pid, **as_nobody())
    assert result.returncode == 1 and "it is not dumpable" in result.stderr
    if os.geteuid() == 0:
        assert "1 option changed" in socktune("apply", "-c", rules, one.pid).stdout


# Network namespaces.

def test_another_network_namespace(start, rules_for, apply, directory):
    """`default` compares with what is pristine there, and the options are set there."""
    needs_root("network namespaces")
    script = directory / "server.sh"
    script.write_text(
        "ip link set lo up; sysctl -q -w net.ipv4.tcp_keepalive_time=1234; exec /usr/bin/python3 -c"
        " \"import socket, time; s = socket.create_server(('127.0.0.1', 0));"
        "print('ready', flush=True); time.sleep(60)\"")
    one = start(["unshare", "-n", "sh", script])
    one.until(lambda: "ready" in one.output, "the server")
    result = apply(rules_for("python3", "TCP_KEEPIDLE = 611;", mode="default"), one.pid)
    assert [(option["result"], option["before"], option["after"])
            for option in result.options.values()] == [("changed", 1234, 611)]
    told, = kernel.tcp_sockets(one.pid)
    assert told.option("TCP_KEEPIDLE") == 611


# Sockets that come and go.

CHURN = """
import socket
listener = socket.create_server(('127.0.0.1', 0))
print('ready', flush=True)
while True:
    some = [socket.create_connection(listener.getsockname()) for _ in range(20)]
    others = [listener.accept()[0] for _ in some]
    for one in some + others:
        one.close()
"""


def test_sockets_that_are_closed_meanwhile_are_no_error(start, rules_for, socktune):
    one = start(["/usr/bin/python3", "-c", CHURN])
    one.until(lambda: "ready" in one.output, "the server")
    rules = rules_for("python3", 'TCP_KEEPIDLE = 611; TCP_USER_TIMEOUT = "9s";')
    end = time.monotonic() + 3
    while time.monotonic() < end:
        result = socktune("apply", "-c", rules, one.pid)
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert one.process.poll() is None, one.output


def test_watch_tunes_what_comes_later(connected, rules_for, build):
    one, fds = connected()
    port = one.look(fds["listen"]).local[1]
    rules = rules_for("calls", "SO_PRIORITY = 5;", match='role = "accept";')
    with subprocess.Popen([build.socktune, "apply", "-c", rules, "--watch", "0.1", str(one.pid)],
                          stdout=subprocess.PIPE, text=True) as watcher:
        try:
            kernel.until(lambda: one.look(fds["accept"]).option("SO_PRIORITY") == 5, "round one")
            # Later changes of the program stand.
            one.setsockopt(fds["accept"], socket.SOL_SOCKET, socket.SO_PRIORITY, 3)
            client = one.socket(socket.AF_INET)
            one.connect(client, socket.AF_INET, "127.0.0.1", port)
            later = one.accept(fds["listen"])
            kernel.until(lambda: one.look(later).option("SO_PRIORITY") == 5, "a later round")
            assert one.look(fds["accept"]).option("SO_PRIORITY") == 3
            watcher.send_signal(signal.SIGTERM)
            output, _ = watcher.communicate(timeout=10)
        finally:
            watcher.kill()
    assert watcher.returncode == 0
    assert output.count("0 -> 5") == 2 and output.count("could not be set") == 2


def test_watch_waits_for_the_role(host, rules_for, build):
    """A socket that is neither connected nor listening when it is first seen."""
    one = host()
    target, port = one.listener(socket.AF_INET, "127.0.0.1")
    fd = one.socket(socket.AF_INET)
    rules = rules_for("calls", "TCP_KEEPIDLE = 611;", match='role = "connect";')
    with subprocess.Popen([build.socktune, "apply", "-c", rules, "-w", "0.1", str(one.pid)],
                          stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert "1 process" in watcher.stdout.readline()
            one.connect(fd, socket.AF_INET, "127.0.0.1", port)
            kernel.until(lambda: one.look(fd).option("TCP_KEEPIDLE") == 611, "a later round")
            assert one.look(target).option("TCP_KEEPIDLE") == 7200
            one.end()
            assert watcher.wait(10) == 0  # the last of the processes has ended
        finally:
            watcher.kill()


# Real programs under load.

def http_keepalive(place, connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    while not got.endswith(b"hello"):
        more = connection.recv(65536)
        assert more, got
        got += more


def redis_ping(place, connection):
    connection.sendall(b"PING\r\n")
    assert connection.recv(64) == b"+PONG\r\n"


def postgres_query(place, connection):
    connection.sendall(struct.pack("!cI", b"Q", 4 + 9) + b"SELECT 1\0")
    got = b""
    while not got.endswith(b"Z\0\0\0\5I"):
        more = connection.recv(65536)
        assert more, got
        got += more
    assert b"SELECT 1" in got


def postgres_begin(place, connection):
    body = struct.pack("!I", 196608) + b"user\0tester\0database\0postgres\0\0"
    connection.sendall(struct.pack("!I", len(body) + 4) + body)
    got = b""
    while not got.endswith(b"Z\0\0\0\5I"):
        more = connection.recv(65536)
        assert more, got
        got += more


def nothing(place, connection):
    pass


# Program: how a connection begins, one request on it.
LOADS = {"nginx": (nothing, http_keepalive), "redis-server": (nothing, redis_ping),
         "postgres": (postgres_begin, postgres_query), "node": (nothing, http_keepalive)}


class Load:
    """Clients that ask without a pause: one on a lasting connection, one on a new one each time."""

    def __init__(self, place, begin, request):
        self.place, self.begin, self.request = place, begin, request
        self.done = threading.Event()
        self.requests, self.failures = [0, 0], []
        self.threads = [threading.Thread(target=self.work, args=(which,)) for which in (0, 1)]

    def converse(self, which):
        with socket.create_connection((self.place.address, self.place.port), 20) as connection:
            self.begin(self.place, connection)
            while True:
                self.request(self.place, connection)
                self.requests[which] += 1
                time.sleep(0.002)  # a light load
                if which == 1 or self.done.is_set():
                    return

    def work(self, which):
        try:
            while not self.done.is_set():
                self.converse(which)
        except Exception as error:  # whatever it is, the request failed
            self.failures.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        kernel.until(lambda: self.failures or min(self.requests) > 5, "the load to begin")
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def serves(place, begin, request):
    """A listening postgres may still be starting up."""
    try:
        with socket.create_connection((place.address, place.port), 20) as connection:
            begin(place, connection)
            request(place, connection)
        return True
    except (OSError, AssertionError):
        return False


@pytest.mark.parametrize("family", DOMAINS)
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow if name == "postgres" else ()) for name in LOADS])
def test_a_program_under_load(name, family, start, directory, free_port, rules_for, socktune):
    row, = (row for row in SERVERS if row.name == name)
    place = Place(family, free_port(), directory, upstream=free_port())
    command = row.command(place)
    if row.prepare:
        row.prepare(place)
    user = {"user": row.user} if row.user and os.geteuid() == 0 else {}
    one = start(command, cwd=directory, **user)
    one.until_listening(place.port)
    one.until(lambda: serves(place, *LOADS[name]), "an answer")
    rules = rules_for(name, LOAD_SETTINGS)
    with Load(place, *LOADS[name]) as load:
        for _ in range(5):
            before = list(load.requests)
            pids = kernel.tree(one.pid)
            assert socktune("inspect", "--json", pids[0]).returncode == 0
            result = socktune("apply", "-c", rules, *pids)
            assert set(result.stderr.splitlines()) <= {
                f"socktune apply: {pid}: no such process, or it runs no program" for pid in pids}
            assert " 0 could not be set" in result.stdout, result.stdout
            kernel.until(lambda before=before: load.failures or all(
                now > then for now, then in zip(load.requests, before)), "the load to go on")
        assert not load.failures, load.failures
        expected = dict(LOAD_EXPECTED)
        if family == "inet6":
            expected["IPV6_TCLASS"] = 0x48
        lasting = [told for told in one.tcp() if told.state in ("LISTEN", "ESTABLISHED")]
        assert any(told.listens for told in lasting) and len(lasting) >= 2
        for told in lasting:
            try:
                assert told.options(expected) == expected, str(told)
            except OSError:
                continue  # one of the short connections: closed since
        listener = next(told for told in lasting if told.listens)
        assert listener.option("SO_PRIORITY") == 5
    assert not load.failures, load.failures
    assert min(load.requests) > 10
    assert one.process.poll() is None, one.output


def test_an_unprivileged_users_server_under_load(start, directory, free_port, rules_for, socktune):
    """redis as a user without privileges, tuned by that user."""
    row, = (row for row in SERVERS if row.name == "redis-server")
    directory.chmod(0o777)
    place = Place("inet", free_port(), directory)
    one = start(row.command(place), cwd=directory, **as_nobody())
    one.until_listening(place.port)
    rules = rules_for("redis-server", LOAD_SETTINGS)
    with Load(place, nothing, redis_ping) as load:
        result = socktune("apply", "-c", rules, one.pid, **as_nobody())
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
        listener = next(told for told in one.tcp() if told.listens)
        assert listener.options(LOAD_EXPECTED) == LOAD_EXPECTED
    assert not load.failures, load.failures


# The whole table.

# Where reading back does not show what was set: the packets that come overwrite it.
MOVES = {"SO_INCOMING_CPU", "TCP_QUICKACK"}
# Would alter the listener's own calls: given to what it accepts.
NOT_FOR_LISTENERS = {"SO_RCVTIMEO"}


def table_cases():
    """Rows of the option table, with the families to try them on."""
    for row in table_rows():
        for family in sorted(set(row["families"]) & set(DOMAINS)):
            yield pytest.param(row, family, id=f"{row['name']}-{family}")


def asked_for(row, role):
    """Does the option mean something to a socket that plays `role` in live()?"""
    if row["name"] in NOT_FOR_LISTENERS and role == "listen":
        return False
    roles = {"listen", "accept"} if role == "listen" else {role}
    return bool(roles & set(row["roles"]))


def read_all(one, sample, life):
    return {role: sample.read_of(one.pid, fd) for role, (fd, _) in life.items()}


@pytest.mark.parametrize("row, family", table_cases())
def test_every_option_of_the_table(row, family, host, rules_for, apply):
    """Each is given to open sockets of every role, and what apply tells is what the kernel says: what
    it calls changed is as a program that had set it itself would have it, what it calls failed is
    untouched, and to apply it again changes nothing."""
    if row["kernel"] is False:
        pytest.skip("this kernel lacks it")
    if row["privilege"] and os.geteuid() != 0:
        pytest.skip(f"needs {row['privilege']}")
    sample = samples(row)[0]
    one = host()
    life = live(one, family, sample)
    by_hand = {role: value for role, (_, value) in live(host(), family, sample, True).items()}
    before = read_all(one, sample, life)
    rules = rules_for("calls", f"{sample.name} = {sample.text};")
    first = apply(rules, one.pid)
    after = read_all(one, sample, life)
    for role, (fd, _) in life.items():
        told = first.options.get((fd, sample.name))
        protocol = "udp" if role == "datagram" else "tcp"
        if not asked_for(row, role) or protocol not in row["protocols"]:
            assert told is None and (after[role] == before[role] or sample.name in MOVES), role
            continue
        assert told, role
        if told["result"] == "failed":
            assert told["reason"] and first.status == 1
            assert after[role] == before[role] or sample.name in MOVES, (role, told)
        elif told["result"] in ("changed", "same") and sample.name not in MOVES:
            assert (after[role] != before[role]) is (told["result"] == "changed") or (
                told["autotuned"]), (role, told)
            if not row["when"].startswith("before"):
                assert after[role] == by_hand[role], (role, told)
    if sample.name in MOVES:
        return
    again = apply(rules, one.pid).results()
    assert "changed" not in again.values(), again
    assert set(again) == set(first.results())


# Which sockets.

def test_a_connection_that_is_not_established_yet(start, rules_for, apply, socktune):
    """Where connect() is stuck, TCP_SYNCNT and TCP_USER_TIMEOUT are wanted."""
    one = start([program("python3"), "-c", """
import socket, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
kept = []
for _ in range(8):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    kept.append(client)
print("ready", flush=True)
time.sleep(60)
"""])
    one.until(lambda: "ready" in one.output, "ready")
    rules = rules_for("python3", 'TCP_SYNCNT = 2; TCP_USER_TIMEOUT = "9s";',
                      match='role = "connect"; remote = "127.0.0.0/8";')
    result = apply(rules, one.pid)
    waiting = [shown for shown in result.told["sockets"] if shown["state"] == "syn-sent"]
    assert waiting
    for shown in waiting:
        assert {option["option"]: option["result"] for option in shown["options"]} == {
            "TCP_SYNCNT": "changed", "TCP_USER_TIMEOUT": "changed"}
        assert shown["remote"]
    inspected = json.loads(socktune("inspect", "--json", one.pid).stdout)["sockets"]
    peers = [shown["remote"] for shown in inspected if shown["state"] == "syn-sent"]
    assert peers == [shown["remote"] for shown in waiting], "inspect names the peer, too"


def test_a_process_whose_main_thread_has_ended(start, rules_for, apply):
    one = start([program("python3"), "-c", """
import ctypes, socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))
def stay():
    time.sleep(0.2)
    print("ready", flush=True)
    time.sleep(60)
threading.Thread(target=stay).start()
ctypes.CDLL(None).syscall(60, 0)
"""])
    one.until(lambda: "ready" in one.output, "ready")
    result = apply(rules_for("python3", "TCP_KEEPCNT = 3;"), one.pid)
    os.kill(one.pid, signal.SIGKILL)  # SIGTERM would wait for the main thread
    assert [shown["role"] for shown in result.told["sockets"]] == ["listen"]


def test_no_such_program_is_an_error(socktune, rules_for):
    result = socktune("apply", "-c", rules_for("nosuch", "TCP_KEEPCNT = 3;"), "-p", "nosuch")
    assert result.returncode == 1
    assert 'no running process is called "nosuch"' in result.stderr


def test_narrowed(connected, rules_for, apply):
    one, fds = connected()
    rules = rules_for("calls", "TCP_KEEPCNT = 3;")
    other = 0 if os.geteuid() else 4711
    nobody = apply(rules, "--user", other, one.pid)
    assert (nobody.status, nobody.told["sockets"]) == (1, [])
    assert apply(rules, "--netns", os.getpid(), "--fd", fds["connect"], one.pid).results() == {
        (fds["connect"], "TCP_KEEPCNT"): "changed"}


def test_a_descriptor_that_is_no_socket_is_an_error(connected, rules_for, socktune):
    one, _ = connected()
    result = socktune("apply", "-c", rules_for("calls", "TCP_KEEPCNT = 3;"), "--fd", 999, one.pid)
    assert result.returncode == 1
    assert "descriptor 999 is no socket" in result.stderr


def test_kept_tells_what_the_program_set(start, rules_for, apply):
    one = start([program("python3"), "-c", """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(6, 6, 4)
print("ready", flush=True)
time.sleep(60)
"""])
    one.until(lambda: "ready" in one.output, "ready")
    option, = apply(rules_for("python3", "TCP_KEEPCNT = 3;", mode="default"), one.pid).options.values()
    assert (option["result"], option["wanted"], option["before"], option["after"]) == ("kept", 3, 4, 4)


def test_what_later_connections_will_not_have(connected, rules_for, apply, socktune):
    one, _ = connected()
    rules = rules_for("calls", "SO_PRIORITY = 5; TCP_KEEPCNT = 3;")
    text = socktune("apply", "-n", "-c", rules, one.pid).stdout
    assert "SO_PRIORITY" in [line.split()[0] for line in text.splitlines() if "not inherited" in line]
    told = {shown["role"]: [each["option"] for each in shown["not_inherited"]]
            for shown in apply(rules, one.pid).told["sockets"]}
    assert told == {"listen": ["SO_PRIORITY"], "connect": [], "accept": []}


# Undo.

def test_undo(start, rules_for, apply, socktune, directory):
    one = start([program("python3"), "-c", """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(6, 4, 77)
print("ready", flush=True)
sys.stdin.readline()
listener.setsockopt(6, 6, 5)
print("changed", flush=True)
sys.stdin.readline()
"""], stdin=subprocess.PIPE)
    one.until(lambda: "ready" in one.output, "ready")
    names = ("TCP_KEEPIDLE", "TCP_KEEPCNT", "SO_PRIORITY", "IP_TOS", "SO_SNDBUF", "TCP_CONGESTION")
    rules = rules_for("python3", 'TCP_KEEPIDLE = 60; TCP_KEEPCNT = 3; SO_PRIORITY = 2; '
                      'IP_TOS = "lowdelay"; SO_SNDBUF = "64K"; TCP_CONGESTION = "reno";')
    listener = next(each for each in one.tcp() if each.listens)
    before = listener.options(names)
    notes = directory / "undo.json"
    changed = apply(rules, "--save", notes, one.pid).results()
    assert {name for (_, name), result in changed.items() if result == "changed"} >= {
        "TCP_KEEPIDLE", "TCP_KEEPCNT", "SO_SNDBUF"}
    one.process.stdin.write(b"x\n")
    one.process.stdin.flush()
    one.until(lambda: "changed" in one.output, "changed")
    result = socktune("apply", "--undo", notes)
    assert result.returncode == 0, result.stdout + result.stderr
    listener = next(each for each in one.tcp() if each.listens)
    assert listener.options(names) == {**before, "TCP_KEEPCNT": 5}
    assert re.search(r"TCP_KEEPCNT +left: it has been changed since", result.stdout)
    again = socktune("apply", "--undo", notes)
    assert again.returncode == 0 and re.search(r"TCP_KEEPIDLE +as it was before", again.stdout), again
    assert listener.options(names) == {**before, "TCP_KEEPCNT": 5}
    os.kill(one.pid, signal.SIGKILL)
    one.wait()
    gone = socktune("apply", "--undo", notes)
    assert "the socket is gone" in gone.stdout
    assert (gone.returncode, "no option could be set back" in gone.stderr) == (1, True)


def test_undo_where_all_has_been_changed_since(connected, rules_for, apply, socktune, directory):
    one, fds = connected()
    notes = directory / "undo.json"
    apply(rules_for("calls", "TCP_KEEPCNT = 4;"), "--save", notes, one.pid)
    apply(rules_for("calls", "TCP_KEEPCNT = 5;"), one.pid)
    result = socktune("apply", "--undo", notes)
    assert (result.returncode, "no option could be set back" in result.stderr) == (1, True), result
    assert one.look(fds["accept"]).option("TCP_KEEPCNT") == 5


def test_undo_of_nothing(directory, socktune):
    path = directory / "undo.json"
    path.write_text('{"version": 1, "sockets": []}', encoding="ascii")
    assert socktune("apply", "--undo", path).returncode == 0


def test_nothing_is_set_that_could_not_be_undone(connected, rules_for, socktune, directory):
    """The file cannot be written, or holds what an earlier run has saved."""
    one, fds = connected()
    rules = rules_for("calls", "TCP_KEEPCNT = 4;")
    earlier = directory / "earlier.json"
    earlier.write_text("{}", encoding="ascii")
    for path in (directory / "nowhere" / "undo.json", directory, earlier):
        result = socktune("apply", "-c", rules, "--save", path, one.pid)
        assert (result.returncode, result.stdout) == (1, "")
        assert str(path) in result.stderr
    assert one.look(fds["accept"]).option("TCP_KEEPCNT") == 9
    assert earlier.read_text(encoding="ascii") == "{}"


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2, "sockets": []}',
                                  '{"version": 1, "sockets": {}}',
                                  '{"version": 1, "sockets": [{}]}'])
def test_undo_of_a_wrong_file(text, directory, socktune):
    path = directory / "undo.json"
    path.write_text(text, encoding="ascii")
    result = socktune("apply", "--undo", path)
    assert result.returncode == 1 and str(path) in result.stderr


def test_watch_follows_forks(start, rules_for, build):
    one = start([program("python3"), "-c", """
import os, socket, sys
sys.stdin.readline()
if os.fork() == 0 and os.fork() == 0:
    listener = socket.create_server(("127.0.0.1", 0))
    print("ready", flush=True)
    sys.stdin.readline()
os.wait()
"""], stdin=subprocess.PIPE)
    with subprocess.Popen([build.socktune, "apply", "-c", rules_for("python3", "TCP_KEEPCNT = 3;"),
                           "--watch", "0.1", str(one.pid)],
                          stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert "0 sockets" in watcher.stdout.readline()
            one.process.stdin.write(b"x\n")
            one.process.stdin.flush()
            assert "listen" in watcher.stdout.readline()
            assert "TCP_KEEPCNT" in watcher.stdout.readline()
        finally:
            watcher.kill()
