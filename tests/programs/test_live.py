# SPDX-License-Identifier: MIT
"""New rules in running programs, from the program's side: the publisher here is the tests' own
(ring.py). The helper that publishes is another test's subject."""
import os
import random
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from conftest import preloaded, program
from hostile import assert_unharmed, run
from ring import CONFINED, LIVE, MALFORMED, NO_SLOT, RingReceiver

MARK = 36  # SO_MARK needs rights; SO_PRIORITY does not
SO_PRIORITY = 12
TTL = socket.IP_TTL
NONE = 'live = true; rules = ( );'


def give(**options):
    """Rules that give every TCP socket these options."""
    inner = "".join(f"{name} = {value}; " for name, value in options.items())
    return f'live = true; rules = ( {{ name = "all"; set = {{ {inner}}}; }} );'


@pytest.fixture
def helper(directory):
    made = RingReceiver(directory / "helper.sock")
    yield made
    made.close()


@pytest.fixture
def policy_of(compiled):
    """The compiled policy of rules, as bytes."""
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
    return struct.unpack("i", one.call("getsockopt", fd, socket.IPPROTO_IP, TTL, 4).data[:4])[0]


def new_ttl(one):
    fd = one.socket(socket.AF_INET)
    value = ttl(one, fd)
    one.close(fd)
    return value


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


# --- one set of rules at a time -------------------------------------------------------------------

def numbered(number):
    """The rules that tests/hosts/reloaded.c knows by this number."""
    return f"""live = true; rules = (
      {{ set = {{ TCP_USER_TIMEOUT = "{number + 1}ms"; TCP_KEEPINTVL = "{number + 1}s"; }}; }},
      {{ match = {{ role = "connect"; remote = "127.0.0.0/8"; }};
         set = {{ TCP_KEEPIDLE = "{number + 1}s"; }}; }},
      {{ match = {{ role = "accept"; }}; set = {{ TCP_KEEPCNT = {number % 100 + 1}; }}; }} );"""


def publish(ring, policy):
    """Publish, and wait until the program says that the rules are in force."""
    generation = ring.publish(policy)
    deadline = time.monotonic() + 20
    while ring.adopted() != generation:
        assert time.monotonic() < deadline, ring.refusal()
        time.sleep(0.001)
    return generation


class Reloaded:
    """The host, and what it answers."""

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
    numbers = [0, *random.sample(range(1, 1000), 5)]
    policies = {number: policy_of(numbered(number), f"{number}.conf") for number in numbers}
    for number in [*numbers, numbers[2], 0, numbers[1]]:
        publish(ring, policies[number])
        one.check(number)
    assert one.end() == 0


def test_the_last_of_a_storm_holds(reloaded, policy_of):
    one, ring = reloaded()
    policies = {number: policy_of(numbered(number), f"{number}.conf") for number in range(1, 6)}
    for i in range(100):
        ring.publish(policies[i % 5 + 1])
        time.sleep(0.005)
    publish(ring, policies[3])
    one.check(3)
    assert one.end() == 0
