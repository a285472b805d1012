# SPDX-License-Identifier: MIT
"""Typical uses of socktune, as users would write them: `check --strict` reports nothing, and the
kernel has the result."""
import dataclasses
import json
import os
import pathlib
import shutil

import pytest
from conftest import needs_root, program
from test_criteria import cgroup  # noqa: F401, a fixture

CLIENT = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
end = socket.create_connection(listener.getsockname())
"""
LISTENER = 'import socket, sys, time\nend = socket.create_server(("127.0.0.1", 0))\n'
DATAGRAM = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.connect(("127.0.0.1", 9))
"""
PERL = ('use IO::Socket::INET; $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1"); '
        '$c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport); '
        'print fileno($c), "\\n"; $| = 1; print "\\n"; sleep 60')


@dataclasses.dataclass
class Job:
    """`name` is the name of the executable: a copy of python3, or with `args` the program
    itself."""
    rules: str
    wanted: dict
    name: str = "client"
    script: str = CLIENT
    root: bool = False
    args: tuple = ()
    file: str = ""  # the name of the script, if any


KEEPALIVE = """program = [ "psql", "java" ];
rules = ( { match = { role = "connect"; };
            force = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "4min"; TCP_KEEPINTVL = "15s"; TCP_KEEPCNT = 4; }; } );
"""
KEPT = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 240, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

JOBS = {
    "keepalive for psql behind a NAT": Job(KEEPALIVE, KEPT, "psql"),
    "keepalive for java, which sets its own": Job(
        KEEPALIVE, KEPT, "java", CLIENT + "end.setsockopt(6, socket.TCP_KEEPIDLE, 7200)\n"),
    "a user timeout for scripts by name": Job(
        'script = "worker*.py"; rules = ( { set = { TCP_USER_TIMEOUT = "30s"; }; } );',
        {"TCP_USER_TIMEOUT": 30000}, "python3", file="worker7.py"),
    "TCP_NODELAY for perl": Job(
        'program = "perl"; rules = ( { set = { TCP_NODELAY = true; }; } );', {"TCP_NODELAY": 1},
        "perl", args=("-e", PERL)),
    "EF for UDP": Job(
        'program = "phone"; rules = ( { match = { role = "datagram"; }; set = { dscp = "ef"; }; } );',
        {"IP_TOS": 46 << 2}, "phone", DATAGRAM),
    "a rate for curl": Job(
        'program = "curl"; rules = ( { set = { SO_MAX_PACING_RATE = "10Mbit"; }; } );',
        {"SO_MAX_PACING_RATE": 1250000}, "curl"),
    "bbr for a prefix": Job(
        'rules = ( { match = { role = "connect"; remote = "127.0.0.0/8"; }; set = { TCP_CONGESTION = "bbr"; }; } );',
        {"TCP_CONGESTION": "bbr"}),
    "a listener's send buffer": Job(
        'program = "server"; rules = ( { match = { role = "listen"; };'
        ' set = { SO_SNDBUF = "200K"; SO_BUF_LOCK = "none"; }; } );',
        {"SO_SNDBUF": 2 * 200 << 10}, "server", LISTENER),
    "a tunnel or not at all": Job(
        'program = "client"; rules = ( { match = { role = "connect"; };'
        ' set = { SO_BINDTODEVICE = "lo"; }; require = true;'
        ' accept_risk = "SO_BINDTODEVICE"; } );',  # "lo" replaces the tunnel
        {"SO_BINDTODEVICE": "lo"}),
    "a mark": Job('program = "client"; rules = ( { set = { SO_MARK = 0x2a; }; } );',
                  {"SO_MARK": 42}, root=True),
}


@pytest.fixture
def play(start, socktune, rule_file, directory):
    """Run a job's program under its rules, which must cause no warning; returns what `inspect`
    reports of its socket."""
    def run(job, wrapper=(), warnings=0, **keywords):
        rules = rule_file(job.rules)
        checked = json.loads(socktune("check", rules, "--json").stdout)
        assert (checked["errors"], checked["warnings"]) == (0, warnings), checked
        executable = directory / job.name
        if not executable.exists():
            shutil.copy(os.path.realpath(program("python3")), executable)
        script = job.script + "print(end.fileno(), flush=True)\ntime.sleep(60)\n"
        command = [executable, "-c", script]
        if job.file:
            (directory / job.file).write_text(script, encoding="ascii")
            command[1:] = [directory / job.file]
        if job.args:
            command = [program(job.name), *job.args]
        one = start([*wrapper, *command], rules, **keywords)
        one.until(lambda: "\n" in one.output, "its socket")
        told = json.loads(socktune("inspect", one.pid, "--json").stdout)
        fd = int(one.output.split()[0])
        return next(each for each in told["sockets"] if fd in each["fds"])
    return run


def values(shown, names):
    return {name: shown["options"][name]["value"] for name in names}


@pytest.mark.parametrize("name", JOBS)
def test_a_job(play, name):
    job = JOBS[name]
    if job.root:
        needs_root("the option takes a privilege")
    available = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    if "bbr" in job.rules and "bbr" not in available.read_text(encoding="ascii"):
        pytest.skip("this kernel has not loaded bbr")
    assert values(play(job), job.wanted) == job.wanted


def test_no_connection_past_the_tunnel(play):
    """The socket is bound to `lo`, which has no route to other hosts."""
    past = """
try:
    socket.create_connection(("192.0.2.1", 80), 0.2)
except OSError:
    pass
else:
    raise AssertionError("connected")
"""
    job = JOBS["a tunnel or not at all"]
    play(dataclasses.replace(job, script=CLIENT + past))


def test_mptcp_for_clients_only(play, directory):
    """The role of a socket is unknown when it is created; that causes the only warning."""
    job = Job('program = "client"; rules = ( { match = { role = "connect"; };'
              ' set = { transport = "mptcp"; }; } );', {})
    if not pathlib.Path("/proc/sys/net/mptcp/enabled").exists():
        pytest.skip("this kernel has no MPTCP")
    trace = directory / "trace"
    assert play(job, warnings=1, env={"SOCKTUNE_TRACE": str(trace)})["protocol"] == "mptcp"
    lines = [line for line in trace.read_text(encoding="ascii").splitlines() if "transport" in line]
    assert len(lines) == 2 and all(line.endswith(": set") for line in lines), "one for each socket"


@pytest.mark.parametrize("criterion, user, group", [
    ("user = 65534;", 65534, 65534), ('user = "nobody";', 65534, 65534), ("group = 4242;", 65534, 4242)])
def test_rules_by_user_and_by_group(play, criterion, user, group):
    needs_root("to become a user")
    job = Job(criterion + " rules = ( { set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 5; }; } );",
              {"TCP_KEEPCNT": 5})
    assert values(play(job, user=user, group=group, extra_groups=[]), job.wanted) == {"TCP_KEEPCNT": 5}
    assert values(play(job), job.wanted) != {"TCP_KEEPCNT": 5}


def test_two_instances_told_apart_by_unit(cgroup, play):  # noqa: F811
    service, place = cgroup
    other = service.replace("@a", "@b")
    rules = ('rules = ( { match = { unit = "%s"; }; set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 5; }; },'
             ' { match = { unit = "%s"; }; set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 7; }; } );')
    into = ["/bin/sh", "-c", f'echo $$ >{place}/cgroup.procs && exec "$@"', "sh"]
    for units, wanted in ((service, other), 5), ((other, service), 7):
        assert values(play(Job(rules % units, {}), into), ["TCP_KEEPCNT"]) == {"TCP_KEEPCNT": wanted}
