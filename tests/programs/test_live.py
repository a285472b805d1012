# SPDX-License-Identifier: MIT
"""New rules in running programs, from the program's side: the publisher is part of the tests
(ring.py). Other tests cover the helper that publishes."""
import contextlib
import os
import random
import socket
import struct
import subprocess
import time

import pytest
from conftest import preloaded, program
from hostile import build_library
from ring import CONFINED, GENERATION, LIVE, MALFORMED, NO_SLOT, POLICY, SIZE, TOO_LARGE, \
    RingReceiver

NONE = 'live = true; rules = ( );'


def give(**options):
    """Rules that set these options on each TCP socket."""
    inner = "".join(f"{name} = {value}; " for name, value in options.items())
    return f'live = true; rules = ( {{ name = "all"; set = {{ {inner}}}; }} );'


@pytest.fixture
def helper(directory):
    made = RingReceiver(directory / "helper.sock")
    yield made
    made.close()


@pytest.fixture
def policy_of(compiled):
    """The compiled policy as bytes."""
    def make(text, name="new.conf"):
        return compiled(text, name).read_bytes()
    return make


@pytest.fixture
def live_host(host, compiled, helper):
    """A host under rules, and its registration: live_host(rules)."""
    def begin(rules=NONE, wrapper=(), **environment):
        environment.setdefault("SOCKTUNE_HELPER", str(helper.path))
        one = host(compiled(rules), wrapper, env=environment)
        return one, helper.take()
    return begin


def ttl(one, fd):
    return struct.unpack("i", one.call("getsockopt", fd, socket.IPPROTO_IP, socket.IP_TTL, 4).data[:4])[0]


def new_ttl(one):
    fd = one.socket(socket.AF_INET)
    value = ttl(one, fd)
    one.close(fd)
    return value


def await_adoption(ring, generation):
    deadline = time.monotonic() + 20
    while ring.adopted() != generation:
        assert time.monotonic() < deadline, ring.refusal()
        time.sleep(0.001)


# Registration.

def test_a_live_program_tells_where_its_rules_are(live_host, build):
    one, ring = live_host(give(IP_TTL=7))
    assert ring.version == LIVE
    rules = one.process.args[0]
    assert ring.executable == os.path.basename(rules) and ring.program == ring.executable
    status = os.stat(ring.path)
    assert (ring.device, ring.inode) == (status.st_dev, status.st_ino)
    with open(ring.path, "rb") as policy:
        assert struct.unpack_from("Q", policy.read(), 16)[0] == ring.policy
    assert os.listdir(f"/proc/{one.pid}/fd") == ["0", "1", "2"]


def test_new_rules_hold_from_the_next_call_on(live_host, policy_of):
    one, ring = live_host(give(IP_TTL=7))
    old = one.socket(socket.AF_INET)
    assert ttl(one, old) == 7
    generation = ring.publish(policy_of(give(IP_TTL=9)))
    assert new_ttl(one) == 9
    assert ring.adopted() == generation
    assert ttl(one, old) == 7
    ring.publish(policy_of(NONE))
    assert new_ttl(one) == 64
    ring.publish(policy_of(give(IP_TTL=11)))
    assert new_ttl(one) == 11


@pytest.mark.parametrize("rules, environment, live", [
    ("rules = ( );", {"SOCKTUNE_LIVE": "1"}, True),
    ("live = false; rules = ( { report = true; } );", {}, False),
    ("rules = ( { report = true; } );", {"SOCKTUNE_LIVE": "0"}, False)])
def test_who_is_live(live_host, rules, environment, live):
    _, ring = live_host(rules, **environment)
    assert (ring.version == LIVE) == live and (ring.published is not None) == live


def test_rules_that_guard(live_host, policy_of):
    """Once such rules are in force, the program's own settings are forced, and no longer after they
    are replaced."""
    one, ring = live_host()
    fd = one.socket(socket.AF_INET)
    for rules, kept in ((NONE, 5), ('rules = ( { force = { IP_TTL = 9; }; } );', 9),
                        ('rules = ( { set = { IP_TTL = 9; }; } );', 6)):
        ring.publish(policy_of(rules))
        one.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TTL, 5 if kept == 5 else 6)
        assert ttl(one, fd) == kept


def test_a_listener_from_before(live_host, policy_of):
    """Connections in its queue, and later ones, get the options of the new rules."""
    one, ring = live_host()
    listener, port = one.listener(socket.AF_INET, "127.0.0.1")
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    ring.publish(policy_of('rules = ( { match = { role = "accept"; }; set = { TCP_KEEPCNT = 7; }; '
                           '} );'))
    clients += [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    for number in range(7):
        if number == 5:
            clients += [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        fd = one.accept(listener)
        answer = one.call("getsockopt", fd, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        assert struct.unpack("i", answer.data[:4])[0] == 7, number
    for client in clients:
        client.close()


def test_reports_change_with_the_rules(live_host, policy_of, helper):
    """The program registers again with the names of the new rules, only if they differ."""
    one, ring = live_host()
    listening = policy_of('rules = ( { name = "other"; set = { IP_TTL = 3; }; },'
                          ' { name = "told"; report = true; } );')
    generation = ring.publish(listening)
    one.listener(socket.AF_INET, "127.0.0.1")
    again = helper.take()
    assert again.rules == ["told"] and again.version == LIVE
    assert again.adopted() == again.shared(GENERATION) == generation
    assert again.policy == struct.unpack_from("Q", listening, 16)[0]
    assert [record.kind for record in again.read()] == ["listen"]
    assert again.publish(policy_of('rules = ( { name = "told"; report = true; } );')) > generation
    one.listener(socket.AF_INET, "127.0.0.1")
    assert [record.rule for record in again.read()] == ["told"]
    assert helper.take(0.1) is None
    again.publish(policy_of(NONE))
    one.listener(socket.AF_INET, "127.0.0.1")
    assert again.read() == []


def test_another_helper(live_host, policy_of, helper):
    """A live program without reports registers with the new helper, and takes its rules."""
    one, ring = live_host(give(IP_TTL=7))
    generation = ring.publish(policy_of(give(IP_TTL=9)))
    assert new_ttl(one) == 9
    ring.beat(0)
    again, deadline = None, time.monotonic() + 20
    while again is None and time.monotonic() < deadline:
        assert new_ttl(one) == 9
        again = helper.take(0.05)
    assert again.adopted() == again.shared(GENERATION) == generation
    again.publish(policy_of(give(IP_TTL=11)))
    assert new_ttl(one) == 11
    ring.publish(policy_of(give(IP_TTL=13)))
    assert new_ttl(one) == 11, "the former helper has nothing to say any more"


# Invalid publications, and programs that cannot take new rules.

def put_raw(ring, size, policy, generation):
    ring.put(ring.published + SIZE, size)
    begin = ring.published + POLICY
    ring.memory[begin:begin + len(policy)] = policy
    ring.put(ring.published + GENERATION, generation)


def test_a_hostile_publisher(live_host, policy_of):
    """Whatever it writes, the current rules stay, and the program survives and takes the next
    ones."""
    one, ring = live_host(give(IP_TTL=7))
    good = policy_of(give(IP_TTL=9))
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 1
    cases = [(len(good), bytes(damaged), MALFORMED), (len(good) - 8, good, MALFORMED),
             (0, b"", MALFORMED), (8, bytes(8), MALFORMED), (1 << 31, good, TOO_LARGE),
             (65544, good, TOO_LARGE), (len(good) - 1, good, TOO_LARGE),
             (65536, random.randbytes(65536), MALFORMED)]
    for i, (size, policy, reason) in enumerate(cases):
        generation = 2 * (i + 1) << (40 if i % 2 else 0)
        put_raw(ring, size, policy, generation)
        assert new_ttl(one) == 7
        assert ring.refusal() == (generation, reason), i
    put_raw(ring, len(good), good, 0xffffffffffffffff)
    assert new_ttl(one) == 7, "the publisher is at work for ever"
    ring.put(ring.published + GENERATION, 40)
    ring.publish(good)
    assert new_ttl(one) == 9


def test_a_policy_that_is_refused_is_not_tried_again(live_host, policy_of):
    one, ring = live_host(give(IP_TTL=7))
    put_raw(ring, 64, bytes(64), 2)
    assert new_ttl(one) == 7
    put_raw(ring, len(policy_of(give(IP_TTL=9))), policy_of(give(IP_TTL=9)), 2)
    assert new_ttl(one) == 7
    ring.put(ring.published + GENERATION, 4)
    assert new_ttl(one) == 9


VANISHING = """
import os, socket, sys, threading, time
print(flush=True)
for line in sys.stdin:
    if line == "vanish\\n":
        threading.Thread(target=socket.socket, daemon=True).start()
        while len(os.listdir("/proc/self/task")) > 1:
            time.sleep(0.001)
    made = socket.socket()
    print(made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL), flush=True)
    made.close()
os._exit(0)
"""


@pytest.fixture
def python(build, compiled, helper):
    """A live Python program, its answer to a line, and its registration."""
    with contextlib.ExitStack() as started:
        def begin(code, rules=NONE, **environment):
            process = started.enter_context(subprocess.Popen(
                [program("python3"), "-S", "-c", code], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, env=preloaded(
                    build, compiled(rules), SOCKTUNE_HELPER=str(helper.path), **environment)))
            started.callback(process.stdin.close)
            process.stdout.readline()

            def ask(line):
                process.stdin.write(line + "\n")
                process.stdin.flush()
                return int(process.stdout.readline())
            return ask, helper.take()
        yield begin


def test_threads_that_vanish_in_hooks_use_the_memory_up(build, python, policy_of, directory):
    vanish = build_library(directory, "vanish")
    ask, ring = python(VANISHING, LD_PRELOAD=f"{build.library} {vanish}")
    for number in range(1, 5):
        ring.publish(policy_of(give(IP_TTL=number)))
        assert ask("make") == number
        assert ask("vanish") == number
    generation = ring.publish(policy_of(give(IP_TTL=5)))
    assert ask("make") == 4
    assert ring.refusal() == (generation, NO_SLOT)
    assert ask("make") == 4 and ring.adopted() == generation - 2


def test_a_program_that_confines_itself_keeps_its_rules(python, policy_of):
    code = """
import ctypes, socket, sys
print(flush=True)
for line in sys.stdin:
    if line == "confine\\n":
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    made = socket.socket()
    print(made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL), flush=True)
    made.close()
"""
    ask, ring = python(code)
    ring.publish(policy_of(give(IP_TTL=9)))
    assert ask("make") == 9
    generation = ring.publish(policy_of(give(IP_TTL=11)))
    assert ask("confine") == 9
    assert ring.refusal() == (generation, CONFINED)
    assert ask("make") == 9


# One set of rules at a time.

def numbered(number):
    """The rules for this number in tests/hosts/reloaded.c."""
    return f"""live = true; rules = (
      {{ set = {{ TCP_USER_TIMEOUT = "{number + 1}ms"; TCP_KEEPINTVL = "{number + 1}s"; }}; }},
      {{ match = {{ role = "connect"; remote = "127.0.0.0/8"; }};
         set = {{ TCP_KEEPIDLE = "{number + 1}s"; }}; }},
      {{ match = {{ role = "accept"; }}; set = {{ TCP_KEEPCNT = {number % 100 + 1}; }}; }} );"""


class Reloaded:
    """The host and its answers."""

    def __init__(self, build, rules, helper):
        self.process = subprocess.Popen(
            [build.hosts / "reloaded"], env=preloaded(build, rules, SOCKTUNE_HELPER=str(helper.path)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def check(self, number):
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", f"rules {number}"

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)


@pytest.fixture
def reloaded(build, compiled, helper):
    made = []

    def begin():
        made.append(Reloaded(build, compiled(numbered(0)), helper))
        return made[-1], helper.take()
    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)


def test_threads_handlers_and_children_have_the_new_rules(reloaded, policy_of):
    one, ring = reloaded()
    one.check(0)
    numbers = [0, *random.sample(range(1, 1000), 3)]
    policies = {number: policy_of(numbered(number), f"{number}.conf") for number in numbers}
    for number in [*numbers, numbers[1], 0]:
        await_adoption(ring, ring.publish(policies[number]))
        one.check(number)
    assert one.end() == 0


def test_the_last_of_a_storm_holds(reloaded, policy_of):
    one, ring = reloaded()
    policies = {number: policy_of(numbered(number), f"{number}.conf") for number in range(1, 6)}
    for i in range(100):
        ring.publish(policies[i % 5 + 1])
        time.sleep(0.005)
    await_adoption(ring, ring.publish(policies[3]))
    one.check(3)
    assert one.end() == 0
