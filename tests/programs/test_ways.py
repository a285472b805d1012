# SPDX-License-Identifier: MIT
"""One rule file, several ways to the socket: each ends in the same kernel state.

Rule files are generated from the option table. The sockets of a program that was started under the
rules are the measure; a program that was not, and whose sockets are tuned from outside, must end
with the same values, wherever it is not told that this is too late.
"""
import json
import os
import random
import socket

import pytest
from conftest import LOOPBACK
from options import DOMAINS, live, samples
from test_inheritance import table

pytestmark = pytest.mark.representative

SEEDS = range(40)
# What packets overwrite; what one end's handshake alters at the other; what follows from buffers;
# what can keep a handshake from ending.
LEFT_OUT = {"SO_INCOMING_CPU", "TCP_QUICKACK", "TCP_MAXSEG", "TCP_WINDOW_CLAMP", "SO_BUF_LOCK",
            "SO_RCVLOWAT", "TCP_DEFER_ACCEPT", "TCP_FASTOPEN_CONNECT", "IP_MINTTL", "IPV6_MINHOPCOUNT"}
ROLES = ("connect", "listen", "accept", "datagram")


def criteria(chance):
    """A match group."""
    kind = chance.randrange(6)
    if kind < 2:
        return ""
    if kind < 4:
        roles = chance.sample(ROLES, chance.randrange(1, 4))
        return "role = [ " + ", ".join(f'"{role}"' for role in roles) + " ];"
    if kind == 4:
        return f'protocol = "{chance.choice(["tcp", "udp"])}";'
    return f'family = "{chance.choice(["inet", "inet6"])}";'


def values(row):
    """Samples that any kernel takes: timers of at least a tick are longer than its longest."""
    return [sample for sample in samples(row)
            if row["unit"] != "microseconds" or row["min"] <= 1000 or int(sample.text) >= 20000]


def generate(chance, rows):
    """Text of a rule file, and the samples of the options it names."""
    named, rules = {}, []
    for _ in range(chance.randrange(1, 6)):
        settings = []
        for row in chance.sample(rows, 4):
            sample = chance.choice(values(row))
            named[sample.name] = sample
            settings.append(f"{sample.name} = {sample.text};")
        mode = chance.choice(["set", "set", "force"])
        final = " final = true;" if chance.random() < 0.15 else ""
        rules.append(f'{{ match = {{ {criteria(chance)} }}; {mode} = {{ {" ".join(settings)} }};'
                     f"{final} }}")
    return f'program = "calls"; rules = ( {", ".join(rules)} );', list(named.values())


def usable():
    return [row for row in table() if row["kernel"] and row["readable"]
            and row["name"] not in LEFT_OUT and (not row["privilege"] or os.geteuid() == 0)]


def state(one, named, life):
    return {(role, sample.name): sample.read_of(one.pid, fd)
            for role, (fd, _) in life.items() for sample in named}


def told_of(result, life):
    """(role, option) -> what apply said of it."""
    role_of = {fd: role for role, (fd, _) in life.items()}
    return {(role_of[shown["fds"][0]], option["option"]): option["result"]
            for shown in json.loads(result.stdout)["sockets"] for option in shown["options"]}


def comparable(key, sample, told):
    """Options that mean nothing to a role are inherited from the listener's past, or not; what must
    be set before bind() is, in the program, given before its role is known; buffers that nobody
    sizes change with the time at which the others are; and IP_TOS sets SO_PRIORITY besides, but what
    is accepted inherits the one without the other."""
    role, name = key
    if role not in sample.row["roles"] or sample.row["when"] == "before bind":
        return False
    return name not in ("SO_SNDBUF", "SO_RCVBUF", "SO_PRIORITY") or key in told


@pytest.mark.parametrize("seed", SEEDS)
def test_preload_and_apply_agree(seed, host, rule_file, compiled, socktune):
    chance = random.Random(seed)
    text, named = generate(chance, usable())
    by_name = {sample.name: sample for sample in named}
    family = chance.choice(sorted(DOMAINS))
    preloaded = host(compiled(text))
    measure = state(preloaded, named, live(preloaded, family, named[0]))

    outside = host()
    life = live(outside, family, named[0])
    result = socktune("apply", "--json", "-c", rule_file(text, "outside.conf"), outside.pid)
    assert result.returncode in (0, 1), result.stderr
    got, told = state(outside, named, life), told_of(result, life)
    wrong = {key: (got[key], measure[key]) for key in measure
             if got[key] != measure[key] and comparable(key, by_name[key[1]], told)}
    late = {key for key in wrong if told.get(key) == "failed"}
    assert set(wrong) == late, text
    for role, name in late:
        assert by_name[name].row["when"].startswith("before"), text
        assert role in ("connect", "accept"), text


def test_a_listener_tuned_from_outside_accepts_as_if_preloaded(host, rule_file, socktune):
    """What comes after apply needs no more."""
    rules = rule_file("""program = "calls"; rules = ( { match = { role = [ "listen", "accept" ]; };
        set = { SO_RCVBUF = "64K"; SO_SNDBUF = "96K"; TCP_KEEPIDLE = 611; TCP_MAXSEG = 1000;
                TCP_WINDOW_CLAMP = "32K"; SO_LINGER = "7s"; TCP_NODELAY = true; }; } );""")
    options = [(socket.SOL_SOCKET, 8), (socket.SOL_SOCKET, 7), (6, 4), (6, 2), (6, 10),
               (socket.SOL_SOCKET, 13), (6, 1)]

    def accepted(one, before_connecting):
        listener, port = one.listener(socket.AF_INET, LOOPBACK["inet"])
        before_connecting(one)
        client = one.socket(socket.AF_INET)
        one.connect(client, socket.AF_INET, LOOPBACK["inet"], port)
        taken = one.look(one.accept(listener))
        return [taken.raw(*option, 16) for option in options]

    def tune(one):
        assert socktune("apply", "-c", rules, one.pid).returncode == 0
    assert accepted(host(), tune) == accepted(host(rules), lambda one: None)
