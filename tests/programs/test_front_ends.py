# SPDX-License-Identifier: MIT
"""The same rules lead to the same kernel state through each front end, and `explain` predicts it.

- `explain`: a twin of the program, without rules, sets the options that `explain` printed, at the
  calls that it named. Then both programs set options themselves, the twin only those that `explain`
  did not call guarded. The kernel's values must be equal each time.
- `run --supervise`: all sockets have the same options as with the preloaded library; accepted ones
  after the program has called epoll_ctl() on them.
- `apply`: the sockets are open before; all options that are not reported as too late must agree.
- `attach`: all sockets agree with the library in each option that this kernel lets BPF set.

The first tests use random rules with options that do not break a loopback connection (lives.py),
the last ones random values of each option of the table (options.py).
"""
import json
import os
import random
import socket
import subprocess
import sys

import pytest
from attached import Cgroup, needs_attach
from conftest import LOOPBACK
from lives import (BUFFERS, FIRST, PROGRAM, PYTHON, ROUNDS, UNSTABLE, lives_at, random_rules,
                   run_program, task_for)
from options import DOMAINS, live, samples, table_rows

# What --supervise cannot apply, according to socktune(1).
BEYOND = "under --supervise"

# Shows which buffers were set; for others it may be too late.
FOLLOWS = {"SO_BUF_LOCK"}

SEEDS = [pytest.param(seed, marks=pytest.mark.slow if seed >= FIRST + 6 else ())
         for seed in range(FIRST, FIRST + ROUNDS)]

# On an accepted socket, these also depend on the handshake.
NEGOTIATED = {*BUFFERS, "TCP_MAXSEG"}


@pytest.fixture(scope="module")
def table(build):
    """Rows of the option table whose values can be compared."""
    rows = json.loads(subprocess.run([build.socktune, "options", "--json"], check=True,
                                     capture_output=True, timeout=30).stdout)["options"]
    return {row["name"]: row for row in rows
            if row["readable"] and row["kernel"] and row["name"] not in UNSTABLE}


@pytest.fixture
def peer(free_port):
    """The port at which another process listens, for both families."""
    port = free_port()
    with subprocess.Popen([PYTHON, PROGRAM, "listen", str(port)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield port
        process.stdin.close()
        process.wait(timeout=30)


def run_to_end(command, task):
    found, status, errors = run_program(command, task)
    strange = [line for line in errors.splitlines() if BEYOND not in line]
    assert (status, strange) == (0, [])
    return found


def assert_same(different, life, text, seed):
    assert not different, (f"differ: {different}\n{life}\n{text}\n"
                           f"SOCKTUNE_SEED={seed} SOCKTUNE_ROUNDS=1")


def sized_by_rule(name, *values):
    """Sizes that the kernel's autotuning never chooses: twice the values of the rules."""
    return name not in BUFFERS or any(value in BUFFERS[name] for value in values)


# Explain.

def explain(socktune, rules, life):
    ends = {"socket": [], "connect": [life["remote"]], "listen": [life["local"]],
            "accept": [f"{life['local']},{life['remote']}"]}[life["life"]]
    result = socktune("explain", "-c", rules, "-p", "python3", f"--{life['life']}", *ends,
                      "--family", life["family"], "--protocol", life["protocol"], "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def explained(table, life, *values):
    """The options that are meaningful for this socket."""
    for name, row in table.items():
        # Options without a meaning for an accepted socket may come from its listener; `explain`
        # omits them.
        if life["life"] == "accept" and row["inherited"] is None:
            continue
        # IP_TOS sets SO_PRIORITY only if it changes; an inherited IP_TOS may be set again.
        if name == "SO_PRIORITY" and life["life"] == "accept" and not any(
                effect["option"] == name for effect in life["effects"]):
            continue
        if sized_by_rule(name, *(each[name] for each in values)):
            yield name


@pytest.mark.parametrize("seed", SEEDS)
def test_explain_says_what_the_library_sets(build, socktune, rule_file, free_port, peer, table,
                                            seed):
    rng, port = random.Random(seed), free_port()
    text = random_rules(rng, port)
    rules = rule_file(text)
    lives = list(lives_at(port, peer))
    tuned = run_to_end([build.socktune, "run", "-c", rules, "--"], task_for(table, lives))
    for life in lives:
        answer = explain(socktune, rules, life)
        life["effects"] = answer["options"]
        # The program's own value, 1, is within each at_most here, and below each at_least.
        life["guarded"] = {row["option"]: row.get("bytes") for row in answer["guarded"]
                           if row["mode"] != "at_most"}
    twin = run_to_end([], task_for(table, lives))
    for life, real, said in zip(lives, tuned, twin):
        different = {(when, name): (real[when][name], said[when][name])
                     for when in real for name in explained(table, life, real[when], said[when])
                     if real[when][name] != said[when][name]}
        assert_same(different, life, text, seed)


# Supervise.

def comparable(table, life, inside, outside):
    for name, row in table.items():
        if life["life"] == "accept" and (row["inherited"] is None or name in NEGOTIATED):
            continue
        if sized_by_rule(name, inside[name], outside[name]):
            yield name


@pytest.mark.parametrize("seed", SEEDS)
def test_supervisor_agrees_with_the_library(build, rule_file, free_port, peer, table, seed):
    """Also accepted sockets, after the program has called epoll_ctl(). The program sets options at
    the end, and every second time before bind(), connect() and listen() too."""
    rng, port = random.Random(seed), free_port()
    text = random_rules(rng, port)
    run = [build.socktune, "run", "-c", rule_file(text)]
    lives = list(lives_at(port, peer, but=["socket"]))  # never notified, so not seen
    task = task_for(table, lives, epoll=True, early=seed % 2 == 0)
    inside = run_to_end([*run, "--"], task)
    outside = run_to_end([*run, "--supervise", "--"], task)
    for life, one, other in zip(lives, inside, outside):
        different = {(when, name): (one[when][name], other[when][name])
                     for when in one for name in comparable(table, life, one[when], other[when])
                     if one[when][name] != other[when][name]}
        assert_same(different, life, text, seed)


# Apply.

def apply_to_held(socktune, rules, task):
    """The options of the sockets after `apply`."""
    with subprocess.Popen([PYTHON, PROGRAM, "hold"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:
        holder.stdin.write(task)
        holder.stdin.flush()
        assert holder.stdout.readline() == "ready\n"
        result = socktune("apply", "-c", rules, holder.pid)
        assert "error" not in result.stderr, result.stderr
        out, _ = holder.communicate("go\n", timeout=30)
    return json.loads(out)


@pytest.mark.parametrize("seed", SEEDS)
def test_apply_agrees_with_the_library(build, socktune, rule_file, free_port, peer, table, seed):
    rng = random.Random(seed)
    text = random_rules(rng, free_port())
    rules = rule_file(text)
    lives = list(lives_at(0, peer, but=["socket", "accept"]))
    for life in lives:
        if life["life"] == "listen":  # all are open at the same time, so each needs its own port
            life["local"] = life["local"].replace(":0", f":{free_port()}")
    task = task_for(table, lives, own=())
    inside = run_to_end([build.socktune, "run", "-c", rules, "--"], task)
    afterwards = apply_to_held(socktune, rules, task)
    for life, one, other in zip(lives, inside, afterwards):
        # Before connect(), the local address of a socket is unknown.
        if life["life"] == "connect" and "local" in text:
            continue
        different = {name: (one["tuned"][name], other[name])
                     for name in comparable(table, life, one["tuned"], other)
                     if table[name]["when"] == "any time" and name not in FOLLOWS and
                     one["tuned"][name] != other[name]}
        assert_same(different, life, text, seed)


# Attach.

@pytest.fixture(scope="module")
def taken():
    """The options that the kernel lets BPF set on sockets of a family."""
    rows = needs_attach()
    return {family: {row["option"] for row in rows if row[family]} for family in ("inet", "inet6")}


def attachable(text, life, names, taken):
    for name in names:
        # IP_TOS, which also sets SO_PRIORITY, is not available there for IPv6 sockets.
        if name == "SO_PRIORITY" and life["family"] == "inet6" and (
                "IP_TOS" in text or "dscp" in text):
            continue
        if name in taken[life["family"]]:
            yield name


@pytest.mark.parametrize("seed", SEEDS)
def test_attach_agrees_with_the_library(build, rule_file, free_port, peer, table, taken, seed):
    """In each option that this kernel lets BPF set."""
    rng, port = random.Random(seed), free_port()
    text = random_rules(rng, port, bounds=False)  # attach does not support bounds, and says so
    sure = '{ match = { program = "nobody"; }; set = { SO_KEEPALIVE = true; }; },'
    text = text.replace("rules = (", "rules = (" + sure)
    lives = list(lives_at(port, peer, but=["socket"]))
    task = task_for(table, lives)
    rules = rule_file(text)
    inside = run_to_end([build.socktune, "run", "-c", rules, "--"], task)
    with Cgroup() as cgroup:
        cgroup.attach(rules)
        outside = run_to_end(cgroup.entering(), task)
    for life, one, other in zip(lives, inside, outside):
        # connect() chooses the address after the library has acted, and before or after BPF has.
        if life["life"] == "connect" and "local" in text:
            continue
        different = {(when, name): (one[when][name], other[when][name]) for when in one
                     for name in attachable(text, life,
                                            comparable(table, life, one[when], other[when]), taken)
                     if one[when][name] != other[when][name]}
        assert_same(different, life, text, seed)


# Apply, with any option.

SEEDS = range(40)
# Options that packets change, that depend on the other end's handshake, that follow from buffers,
# or that can prevent the end of a handshake.
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


def safe_samples(row):
    """Samples that each kernel accepts: timers of at least one tick of its slowest clock."""
    return [sample for sample in samples(row)
            if row["unit"] != "microseconds" or row["min"] <= 1000 or int.from_bytes(sample.data, sys.byteorder) >= 20000]


def generate(chance, rows):
    """Text of a rule file, and the samples of its options."""
    named, rules = {}, []
    for _ in range(chance.randrange(1, 6)):
        settings = []
        for row in chance.sample(rows, 4):
            sample = chance.choice(safe_samples(row))
            named[sample.name] = sample
            settings.append(f"{sample.name} = {sample.text};")
        mode = chance.choice(["set", "set", "force"])
        final = " final = true;" if chance.random() < 0.15 else ""
        rules.append(f'{{ match = {{ {criteria(chance)} }}; {mode} = {{ {" ".join(settings)} }};'
                     f"{final} }}")
    return f'program = "calls"; rules = ( {", ".join(rules)} );', list(named.values())


def usable():
    return [row for row in table_rows() if row["kernel"] and row["readable"]
            and row["name"] not in LEFT_OUT and (not row["privilege"] or os.geteuid() == 0)]


def state(one, named, life):
    return {(role, sample.name): sample.read_of(one.pid, fd)
            for role, (fd, _) in life.items() for sample in named}


def told_of(result, life):
    """(role, option) -> the result that apply reported."""
    role_of = {fd: role for role, (fd, _) in life.items()}
    return {(role_of[shown["fds"][0]], option["option"]): option["result"]
            for shown in json.loads(result.stdout)["sockets"] for option in shown["options"]}


def comparable_at(key, sample, told):
    """Not comparable: options without a meaning for a role may or may not be inherited from the
    listener; options for bind() are set by the library before the role is known; autotuned buffers
    depend on the time at which other options are set; and IP_TOS also sets SO_PRIORITY, but
    accepted sockets inherit only IP_TOS."""
    role, name = key
    if role not in sample.row["roles"] or sample.row["when"] == "before bind":
        return False
    return name not in ("SO_SNDBUF", "SO_RCVBUF", "SO_PRIORITY") or key in told


@pytest.mark.parametrize("seed", SEEDS)
def test_apply_agrees_in_every_option(seed, host, rule_file, compiled, socktune):
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
             if got[key] != measure[key] and comparable_at(key, by_name[key[1]], told)}
    late = {key for key in wrong if told.get(key) == "failed"}
    assert set(wrong) == late, text
    for role, name in late:
        assert by_name[name].row["when"].startswith("before"), text
        assert role in ("connect", "accept"), text


def test_a_listener_tuned_from_outside_accepts_as_if_preloaded(host, rule_file, socktune):
    """Connections that arrive after apply need nothing more."""
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
