# SPDX-License-Identifier: MIT
"""A program under rules, and its twin that sets by itself what `explain` says, are alike.

test_explain.py compares what `explain` says with what the kernel answers, for options whose answer is
what was set. Here is compared what is alike in any case, so that every option can take part: buffers,
structures, names, dscp, and what one option does to another.

Each set of rules is put to a program that opens sockets of every role. The program runs twice: under
the rules; and without them, as a twin that sets by itself just what `explain` said, at the calls that
it named. The kernel must hold the same for both, in every option that a rule could touch. Then both
set every option themselves, but the twin leaves out what `explain` said that the program cannot set,
and again the kernel must hold the same.

Environment: SOCKTUNE_SEED, the first seed (default 1); SOCKTUNE_ROUNDS, how many (default 12).
"""
import json
import os
import random
import subprocess
import sys

import pytest
from conftest import program

FIRST = int(os.environ.get("SOCKTUNE_SEED", "1"))
ROUNDS = int(os.environ.get("SOCKTUNE_ROUNDS", "12"))

# Values that any kernel and user may set, that a loopback connection survives.
VALUES = {
    "SO_KEEPALIVE": ["true", "false"], "SO_LINGER": ['"5s"', '"off"'], "SO_OOBINLINE": ["true"],
    "SO_PRIORITY": ["2", "6"], "SO_RCVBUF": ['"64K"', '"128K"'], "SO_SNDBUF": ['"32K"', '"96K"'],
    "SO_SNDTIMEO": ['"30s"'], "SO_INCOMING_CPU": ["0"], "SO_MAX_PACING_RATE": ['"100M"'],
    "TCP_KEEPIDLE": ['"10min"', "61"], "TCP_KEEPINTVL": ['"7s"'], "TCP_KEEPCNT": ["3", "4"],
    "TCP_NODELAY": ["true", "false"], "TCP_USER_TIMEOUT": ['"30s"', '"2500ms"'],
    "TCP_SYNCNT": ["2", "5"], "TCP_LINGER2": ['"20s"'], "TCP_NOTSENT_LOWAT": ['"16K"'],
    "TCP_CONGESTION": ['"reno"', '"cubic"'], "TCP_THIN_LINEAR_TIMEOUTS": ["true"],
    "TCP_QUICKACK": ["false"], "TCP_DEFER_ACCEPT": ['"3s"'], "TCP_SAVE_SYN": ["1"],
    "IP_TOS": ['"lowdelay"', "0x20"], "IP_TTL": ["33", "44"], "IP_MTU_DISCOVER": ['"dont"', '"do"'],
    "IPV6_TCLASS": ["0x28"], "IPV6_UNICAST_HOPS": ["55"], "IPV6_AUTOFLOWLABEL": ["false"],
    "dscp": ['"ef"', '"cs1"'],
}
IGNORABLE = [name for name in VALUES if name != "dscp"]

# The kernel changes these on a connection whenever it likes.
UNSTABLE = {"TCP_QUICKACK", "SO_INCOMING_CPU"}


def doubled(kilobytes):
    """What getsockopt() gives for a buffer, see socket(7)."""
    return (kilobytes * 2048).to_bytes(4, sys.byteorder).hex()


BUFFERS = {"SO_RCVBUF": {doubled(64), doubled(128)}, "SO_SNDBUF": {doubled(32), doubled(96)}}

LIVES = [
    # life, family, protocol, local, remote; PORT stands for the listener's.
    ("socket", "inet", "tcp", None, None),
    ("socket", "inet6", "tcp", None, None),
    ("socket", "inet", "udp", None, None),
    ("connect", "inet", "tcp", None, "127.0.0.1:PORT"),
    ("connect", "inet6", "tcp", None, "[::1]:PORT"),
    ("connect", "inet6", "tcp", None, "127.0.0.1:PORT"),
    ("connect", "inet", "udp", None, "127.0.0.1:PORT"),
    ("listen", "inet", "tcp", "127.0.0.1:PORT", None),
    ("listen", "inet", "tcp", ":PORT", None),
    ("listen", "inet6", "tcp", ":PORT", None),
    ("listen", "inet", "udp", "127.0.0.1:PORT", None),
    ("accept", "inet", "tcp", "127.0.0.1:PORT", "127.0.0.1:40000"),
    ("accept", "inet6", "tcp", "127.0.0.1:PORT", "127.0.0.1:40000"),
    ("accept", "inet6", "tcp", "[::1]:PORT", "[::1]:40000"),
]

# The program: lives through LIVES; standard input says what to set when, standard output what is.
HOST = r"""
import json, os, socket, subprocess, sys

task = json.load(sys.stdin)
FAMILY = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
TYPE = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def read(address, family):
    host, port = address.rsplit(":", 1)
    host = host.strip("[]") or {"inet": "0.0.0.0", "inet6": "::"}[family]
    if family == "inet6" and ":" not in host:
        host = "::ffff:" + host
    return host, int(port)


def give(sock, effects, at):
    for effect in effects:
        if effect["at"] != at:
            continue
        value = bytes.fromhex(effect["bytes"])
        if "mask" in effect:
            now = sock.getsockopt(effect["level"], effect["number"]) & ~effect["mask"]
            value = (now | int.from_bytes(value, sys.byteorder)).to_bytes(4, sys.byteorder)
        try:
            sock.setsockopt(effect["level"], effect["number"], value)
        except OSError:
            pass  # as the library: what the kernel refuses stays as it is


def values(sock):
    result = {}
    for name, level, number in task["options"]:
        try:
            result[name] = sock.getsockopt(level, number, 64).hex()
        except OSError as error:
            result[name] = error.errno
    return result


def set_own(sock, guarded):
    for name, level, number, value in task["own"]:
        if name not in guarded:
            try:
                sock.setsockopt(level, number, bytes.fromhex(value))
            except OSError:
                pass


def opened(life, effects):
    sock = socket.socket(FAMILY[life["family"]], TYPE[life["protocol"]])
    give(sock, effects, "socket")
    return sock


def bound(life, effects, local):
    sock = opened(life, effects)
    give(sock, effects, "before bind")
    # Ports linger after an accepted connection; the rules here leave this option alone.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(read(local, life["family"]))
    return sock


def listening(life, effects, local):
    sock = bound(life, effects, local)
    if life["protocol"] == "tcp":
        give(sock, effects, "before listen")
        sock.listen()
        give(sock, effects, "after listen")
    return sock


# Another process, without rules: some options of its socket show in the accepted one.
def connector(address):
    host, port = address.rsplit(":", 1)
    return subprocess.Popen(
        [sys.executable, "-c", task["connector"], host.strip("[]"), port], stdin=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"})


def live(life, effects):
    other = None
    if life["life"] == "socket":
        sock = opened(life, effects)
    elif life["life"] == "listen":
        sock = listening(life, effects, life["local"])
    elif life["life"] == "connect":
        sock = opened(life, effects)
        give(sock, effects, "before connect")
        sock.connect(read(life["remote"], life["family"]))
        give(sock, effects, "after connect")
    else:
        inherited = [effect for effect in effects if effect["inherited"]]
        port = life["local"].rsplit(":", 1)[1]
        listener = listening(life, inherited, ":" + port)
        other = connector(life["local"])
        sock = listener.accept()[0]
        listener.close()
        give(sock, [effect for effect in effects if not effect["inherited"]], "accept")
    tuned = values(sock)
    set_own(sock, life.get("guarded", ()))
    own = values(sock)
    sock.close()
    if other:
        other.stdin.close()
        other.wait()
    return {"tuned": tuned, "own": own}


print(json.dumps([live(life, life.get("effects", ())) for life in task["lives"]]))
"""

# Connects to the program's listener; what it sends wakes accept() under TCP_DEFER_ACCEPT.
CONNECTOR = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as client:
    client.send(b"x")
    sys.stdin.read()
"""

# What connecting sockets of the program connect to: a listener of another process, without rules.
PEER = """
import socket, sys
v4 = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
v6 = socket.create_server(("::1", int(sys.argv[1])), family=socket.AF_INET6, backlog=64)
print("ready", flush=True)
sys.stdin.read()
"""


def random_match(rng, port):
    """Criteria, and whether one of them is on the local end."""
    criteria, local = [], False
    if rng.random() < 0.7:
        criteria.append('role = "%s";' % rng.choice(["connect", "listen", "accept", "datagram"]))
    if rng.random() < 0.2:
        criteria.append('family = "%s";' % rng.choice(["inet", "inet6", "!inet"]))
    if rng.random() < 0.2:
        criteria.append('protocol = "%s";' % rng.choice(["tcp", "udp", "!udp"]))
    if rng.random() < 0.3:
        criteria.append('remote = "%s";' % rng.choice(
            ["127.0.0.0/8", "::1", "!127.0.0.1", "10.0.0.0/8", "::/0", "0.0.0.0/0"]))
    if rng.random() < 0.1:
        criteria.append('remote_port = "%s";' % rng.choice([f"{port}", f"!{port}", "1-1023"]))
    if rng.random() < 0.25:
        local = True
        criteria.append('local = "%s";' % rng.choice(
            ["127.0.0.1", "127.0.0.0/8", "!127.0.0.1", "::/0", "0.0.0.0/0", "::1"]))
    if rng.random() < 0.2:
        local = True
        criteria.append('local_port = "%s";' % rng.choice([f"{port}", f"!{port}", "1-1023"]))
    return " ".join(criteria), local


def random_rule(rng, port):
    match, local = random_match(rng, port)
    names = rng.sample(sorted(VALUES), rng.randint(1, 6))
    # dscp is both of these.
    if "dscp" in names:
        names = [name for name in names if name not in ("IP_TOS", "IPV6_TCLASS")]
    parts = []
    # Which address a connecting socket has in the end, `explain` cannot know; so no rule that asks
    # for it says what the program may set later.
    modes = ["set", "default"] if local else ["set", "set", "default", "force", "ignore"]
    groups = {}
    for name in names:
        mode = rng.choice(modes)
        if mode == "ignore" and name not in IGNORABLE:
            mode = "set"
        # On a connection the kernel has changed the buffers itself, and a default gives way to it.
        if mode == "default" and name in BUFFERS:
            mode = "set"
        groups.setdefault(mode, []).append(name)
    for mode, members in groups.items():
        if mode == "ignore":
            parts.append("ignore = [%s];" % ", ".join(f'"{name}"' for name in members))
        else:
            parts.append("%s = { %s };" % (mode, " ".join(
                f"{name} = {rng.choice(VALUES[name])};" for name in members)))
    final = "final = true;" if not local and rng.random() < 0.15 else ""
    return "  { match = { %s }; %s %s }" % (match, " ".join(parts), final)


def random_rules(rng, port):
    rules = [random_rule(rng, port) for _ in range(rng.randint(1, 8))]
    return "rules = (\n%s\n);\n" % ",\n".join(rules)


def run_host(command, task):
    result = subprocess.run(command, input=json.dumps(task), text=True, capture_output=True,
                            check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def table(build):
    """Rows of the option table whose values can be compared."""
    rows = json.loads(subprocess.run([build.socktune, "options", "--json"], check=True,
                                     capture_output=True, timeout=30).stdout)
    return {row["name"]: row for row in rows
            if row["readable"] and row["kernel"] and row["name"] not in UNSTABLE}


@pytest.fixture
def peer(free_port):
    """The port at which somebody listens, on both families."""
    port = free_port()
    with subprocess.Popen([program("python3"), "-c", PEER, str(port)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield port
        process.stdin.close()
        process.wait(timeout=30)


def explain(socktune, rules, life):
    ends = {"socket": [], "connect": [life["remote"]], "listen": [life["local"]],
            "accept": [f"{life['local']},{life['remote']}"]}[life["life"]]
    result = socktune("explain", "-c", rules, "-p", "python3", f"--{life['life']}", *ends,
                      "--family", life["family"], "--protocol", life["protocol"], "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def compared(table, life, *values):
    """The options that tell something about this socket."""
    for name, row in table.items():
        # What means nothing on an accepted socket may come from its listener; `explain` is silent.
        if life["life"] == "accept" and row["inherited"] is None:
            continue
        # IP_TOS sets SO_PRIORITY, but only if it changes; an inherited one may be given once more.
        if name == "SO_PRIORITY" and life["life"] == "accept" and not any(
                effect["option"] == name for effect in life["effects"]):
            continue
        # The kernel tunes buffers by itself; it never comes to what a rule here gives, twice that.
        if name in BUFFERS and not any(each[name] in BUFFERS[name] for each in values):
            continue
        yield name


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_twins_are_alike(build, socktune, rule_file, free_port, peer, table, seed):
    rng = random.Random(seed)
    port = free_port()
    rules = rule_file(random_rules(rng, port))
    lives = []
    for life, family, protocol, local, remote in LIVES:
        own_port = str(peer if life == "connect" else port)
        lives.append({"life": life, "family": family, "protocol": protocol,
                      "local": local and local.replace("PORT", own_port),
                      "remote": remote and remote.replace("PORT", own_port)})
    # The program's own settings: on and 1 are valid for these, and differ from what rules give.
    own = [(name, table[name]["level"], table[name]["number"], "01000000")
           for name in ("SO_KEEPALIVE", "SO_OOBINLINE", "TCP_KEEPIDLE", "TCP_KEEPCNT", "TCP_NODELAY",
                        "IP_TTL", "IPV6_UNICAST_HOPS", "SO_PRIORITY", "TCP_SYNCNT")]
    task = {"lives": lives, "own": own, "connector": CONNECTOR,
            "options": [(row["name"], row["level"], row["number"]) for row in table.values()]}
    python = [program("python3"), "-c", HOST]
    tuned = run_host([build.socktune, "run", "-c", rules, "--", *python], task)
    for life in lives:
        answer = explain(socktune, rules, life)
        life["effects"] = answer["options"]
        life["guarded"] = [row["option"] for row in answer["guarded"]]
    twin = run_host(python, task)
    for life, real, said in zip(lives, tuned, twin):
        different = {(when, name): (real[when][name], said[when][name])
                     for when in real for name in compared(table, life, real[when], said[when])
                     if real[when][name] != said[when][name]}
        assert not different, (f"is, but was said to be: {different}\n{life}\n"
                               f"{rules.read_text(encoding='utf-8')}\n"
                               f"SOCKTUNE_SEED={seed} SOCKTUNE_ROUNDS=1")
