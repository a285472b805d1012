# SPDX-License-Identifier: MIT
"""What the library leaves in a program after its start: memory, and what it has read."""
import subprocess

import pytest
from conftest import preloaded


FOR_OTHERS = 5000


def rule(program, index):
    return (f'{{ match = {{ program = "{program}"; }};'
            f'   set = {{ SO_SNDBUF = {100000 + index}; TCP_USER_TIMEOUT = "{index + 1}s"; }}; }}')


def rules(*own):
    everything = [rule(f"program-{i}", i) for i in range(FOR_OTHERS)]
    return f"rules = ( {', '.join(everything + list(own))} );"


def unnamed_memory(environment, access="r"):
    """Bytes of memory that belong to no file and have this access, in a program that prints its own
    mappings."""
    shown = subprocess.run(["/bin/cat", "/proc/self/maps"], env=environment, check=True, text=True,
                           capture_output=True, timeout=30)
    assert shown.stderr == ""
    total = 0
    for line in shown.stdout.splitlines():
        addresses, permissions, *_, last = line.split()
        if last == "0" and access in permissions:  # the inode: no name follows
            begin, end = addresses.split("-")
            total += int(end, 16) - int(begin, 16)
    return total


@pytest.fixture
def memory_under(build, compiled):
    """The memory that a program keeps because of these rules, in bytes."""
    def measure(text, access="r"):
        environment = preloaded(build, compiled(text))
        untuned = {**environment, "SOCKTUNE_DISABLE": "1"}
        return unnamed_memory(environment, access) - unnamed_memory(untuned, access)
    return measure


@pytest.mark.parametrize("own", [
    (),
    (rule("!cat", 1),),                  # read by each program, does not match this one
    (rule("/no/such/cat", 1),),          # has its name, does not match
], ids=["named others", "any but this", "another file of this name"])
def test_without_a_rule_no_memory_stays_in_use(own, memory_under):
    assert memory_under(rules(*own)) == 0


def test_with_a_rule_it_alone_stays_in_use(memory_under):
    assert 0 < memory_under(rules(rule("cat", 1))) <= 4 * 4096


def test_rules_cannot_be_changed_any_more(memory_under):
    """Only a few words stay writable, in separate pages (confined.c, own_pid.c)."""
    text = rules(*(rule("cat", i) for i in range(200)))
    assert memory_under(text) > 8 * 4096
    assert memory_under(text, "w") <= 2 * 4096
