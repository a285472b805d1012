# SPDX-License-Identifier: MIT
"""The same rules, from inside (the preloaded library) and from outside (--supervise): the same sockets.

Random rules are put to the program of test_twin.py, which opens sockets of every role, and the kernel
must hold the same for both front ends: for connecting sockets, listeners and datagram sockets in every
option; for accepted sockets in what they inherit. Then the program sets options itself, and what is
swallowed of that must be the same.

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
