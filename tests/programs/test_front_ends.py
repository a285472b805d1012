# SPDX-License-Identifier: MIT
"""The same rules, from inside (the preloaded library) and from outside (--supervise, apply): the same
sockets.

Random rules are put to the program of test_twin.py, which opens sockets of every role, and the kernel
must hold the same for both front ends: for connecting sockets, listeners and datagram sockets in every
option; for accepted sockets in what they inherit. Then the program sets options itself, and what is
swallowed of that must be the same. `apply` comes when all is open: what is not too late then must be
the same.

Environment: SOCKTUNE_SEED, the first seed (default 1); SOCKTUNE_ROUNDS, how many (default 12).
"""
import json
import random
import subprocess

import pytest
from conftest import program
from test_twin import (CONNECTOR, FIRST, HOST, LIVES, ROUNDS, BUFFERS,  # pylint: disable=unused-import
                       peer, random_rules, table)

# What --supervise says it cannot give; see socktune(1).
BEYOND = "under --supervise"

# Tells which buffers have been set, for which it may be too late.
FOLLOWS = {"SO_BUF_LOCK"}

# Of an accepted socket, these depend on how the handshake went as well.
NEGOTIATED = {*BUFFERS, "TCP_MAXSEG"}


def live(command, task):
    result = subprocess.run(command, input=json.dumps(task), text=True, capture_output=True,
                            check=False, timeout=60)
    strange = [line for line in result.stderr.splitlines() if BEYOND not in line]
    assert (result.returncode, strange) == (0, [])
    return json.loads(result.stdout)


def lives_at(port, peer_port):
    for life, family, protocol, local, remote in LIVES:
        if life == "socket":
            continue  # one that does nothing is not seen from outside
        own_port = str(peer_port if life == "connect" else port)
        yield {"life": life, "family": family, "protocol": protocol,
               "local": local and local.replace("PORT", own_port),
               "remote": remote and remote.replace("PORT", own_port)}


def comparable(table, life, inside, outside):  # pylint: disable=redefined-outer-name
    for name, row in table.items():
        if life["life"] == "accept" and (row["inherited"] != "yes" or name in NEGOTIATED):
            continue
        # The kernel tunes buffers by itself; it never comes to what a rule here gives, twice that.
        if name in BUFFERS and inside[name] not in BUFFERS[name] and \
                outside[name] not in BUFFERS[name]:
            continue
        yield name


def asks_for_peers(rules):
    """Do rules give accepted sockets something by their addresses, which only accept() knows?"""
    return "remote = " in rules or "local = " in rules or "remote_port" in rules


# Opens the sockets of the tasks and holds them open until a line comes; then tells what they have.
HOLDER = HOST[:HOST.index("print(json.dumps(")].replace("json.load(sys.stdin)",
                                                       "json.loads(sys.stdin.readline())") + """
held = []
for life in task["lives"]:
    if life["life"] == "connect":
        sock = opened(life, ())
        sock.connect(read(life["remote"], life["family"]))
    else:
        # Each has a port of its own: they are open at the same time.
        sock = opened(life, ())
        sock.bind(read(life["local"], life["family"]))
        if life["protocol"] == "tcp":
            sock.listen()
    held.append(sock)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([values(sock) for sock in held]))
"""


def apply_to_held(socktune, rules, task):
    """What the sockets have once `apply` has been there."""
    with subprocess.Popen([program("python3"), "-c", HOLDER], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:
        holder.stdin.write(json.dumps(task) + "\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "ready\n"
        result = socktune("apply", "-c", rules, holder.pid)
        assert "error" not in result.stderr, result.stderr
        out, _ = holder.communicate("go\n", timeout=30)
    return json.loads(out)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_inside_and_afterwards_agree(build, socktune, rule_file, free_port, peer, table,
                                     seed):  # noqa: F811
    rng = random.Random(seed)
    ports = {}
    text = random_rules(rng, free_port())
    rules = rule_file(text)
    lives = []
    for life in lives_at(0, peer):
        if life["life"] == "accept":
            continue
        if life["life"] == "listen":
            ports[len(lives)] = free_port()
            life["local"] = life["local"].replace(":0", f":{ports[len(lives)]}")
        lives.append(life)
    task = {"lives": lives, "own": [], "connector": CONNECTOR,
            "options": [(row["name"], row["level"], row["number"]) for row in table.values()]}
    inside = live([build.socktune, "run", "-c", rules, "--", program("python3"), "-c", HOST], task)
    afterwards = apply_to_held(socktune, rules, task)
    for life, one, other in zip(lives, inside, afterwards):
        # Which address a socket connects from is not known before it does.
        if life["life"] == "connect" and "local" in text:
            continue
        different = {name: (one["tuned"][name], other[name])
                     for name in comparable(table, life, one["tuned"], other)
                     if table[name]["when"] == "any time" and name not in FOLLOWS and
                     one["tuned"][name] != other[name]}
        assert not different, (f"inside, but afterwards: {different}\n{life}\n{text}\n"
                               f"SOCKTUNE_SEED={seed} SOCKTUNE_ROUNDS=1")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_inside_and_outside_agree(build, rule_file, free_port, peer, table, seed):  # noqa: F811
    rng = random.Random(seed)
    port = free_port()
    text = random_rules(rng, port)
    rules = rule_file(text)
    lives = list(lives_at(port, peer))
    own = [(name, table[name]["level"], table[name]["number"], "01000000")
           for name in ("SO_KEEPALIVE", "SO_OOBINLINE", "TCP_KEEPIDLE", "TCP_KEEPCNT", "TCP_NODELAY",
                        "IP_TTL", "IPV6_UNICAST_HOPS", "SO_PRIORITY", "TCP_SYNCNT")]
    task = {"lives": lives, "own": own, "connector": CONNECTOR,
            "options": [(row["name"], row["level"], row["number"]) for row in table.values()]}
    python = [program("python3"), "-c", HOST]
    inside = live([build.socktune, "run", "-c", rules, "--", *python], task)
    outside = live([build.socktune, "run", "-c", rules, "--supervise", "--", *python], task)
    for life, one, other in zip(lives, inside, outside):
        if life["life"] == "accept" and asks_for_peers(text):
            continue
        different = {(when, name): (one[when][name], other[when][name])
                     for when in one for name in comparable(table, life, one[when], other[when])
                     if one[when][name] != other[when][name]}
        assert not different, (f"inside, but outside: {different}\n{life}\n{text}\n"
                               f"SOCKTUNE_SEED={seed} SOCKTUNE_ROUNDS=1")
