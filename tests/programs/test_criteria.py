# SPDX-License-Identifier: MIT
"""Criteria on the program and on addresses; the kernel shows whether the rule matched."""
import os
import pathlib
import subprocess

import pytest
from conftest import needs_root, preloaded, program

IDLE = """
import socket, sys
end = socket.socket()
if len(sys.argv) > 1:
    end.setblocking(False)
    end.connect_ex((sys.argv[1], int(sys.argv[2])))
print(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
"""
DEFAULT, GIVEN = 7200, 77
RULE = "rules = ( {{ name = \"r\"; match = {{ {0} }}; set = {{ TCP_KEEPIDLE = {1}; }}; }} );\n"


@pytest.fixture
def idle(build, rule_file, directory):
    """idle(criterion, *arguments): TCP_KEEPIDLE of a script's socket under a rule with that
    criterion."""
    script = directory / "worker7.py"
    script.write_text(IDLE, encoding="utf-8")

    def run(criterion, *arguments, before=(), words=(), environment=None, **keywords):
        rules = rule_file(RULE.format(criterion, GIVEN))
        if environment is None:
            environment = preloaded(build, rules)
        result = subprocess.run([*before, program("python3"), *words, script, *arguments],
                                env=environment, capture_output=True, text=True, timeout=60,
                                check=False, **keywords)
        assert (result.returncode, result.stderr) == (0, ""), result
        return int(result.stdout)
    return run


@pytest.mark.parametrize("pattern, expected", [
    ("worker7.py", GIVEN), ("worker*.py", GIVEN), ("worker8.py", DEFAULT), ("!worker7.py", DEFAULT),
    ("python3", DEFAULT)])
def test_script(idle, pattern, expected):
    assert idle(f'script = "{pattern}";') == expected
    assert idle(f'script = "{pattern}";', words=["-u", "-B"]) == expected


def test_group(idle):
    needs_root("to become a group")
    assert idle(f"group = {os.getegid()};") == GIVEN
    assert idle('group = "!root";') == DEFAULT
    assert idle('group = 4242;') == DEFAULT
    assert idle('group = 4242;', group=4242) == GIVEN
    assert idle('group = 4242; user = 65534;', group=4242) == DEFAULT


@pytest.fixture
def cgroup():
    """A cgroup of the version 2 hierarchy: its path in it, and its directory."""
    needs_root("to make a cgroup")
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ")
        if right.startswith("cgroup2 "):
            root = pathlib.Path(left.split()[4])
            break
    else:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    service = f"socktune-test-8.2-{os.getpid()}@a.service"
    place = root / "workload.slice" / service
    try:
        place.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"cannot make a cgroup: {error}")
    yield service, place
    place.rmdir()
    try:
        place.parent.rmdir()
    except OSError:
        pass  # another test's processes are in it


def test_cgroup_and_unit(idle, cgroup):
    service, place = cgroup
    into = ["/bin/sh", "-c", f'echo $$ >{place}/cgroup.procs && exec "$@"', "sh"]
    name = service.removesuffix(".service")
    for criterion, inside in ((f'unit = "{service}";', GIVEN), (f'unit = "{name}";', GIVEN),
                              ('unit = "socktune-test-*@a";', GIVEN),
                              ('unit = "workload.slice";', GIVEN), ('unit = "workload";', DEFAULT),
                              ('unit = "other.service";', DEFAULT),
                              (f'cgroup = "/workload.slice/{service}";', GIVEN),
                              ('cgroup = "/workload.slice*";', GIVEN),
                              ('cgroup = "/workload.slice";', DEFAULT)):
        assert idle(criterion, before=into) == inside, criterion
        assert idle(criterion) == DEFAULT, criterion


def test_explain_knows_group_and_cgroup(socktune, rule_file):
    rules = rule_file(RULE.format('unit = "nginx"; group = 4242;', GIVEN))

    def given(*arguments):
        result = socktune("explain", "-c", rules, "-p", "nginx", "--socket", *arguments)
        assert result.returncode == 0, result.stderr
        return "TCP_KEEPIDLE" in result.stdout
    assert given("--group", "4242", "--cgroup", "/system.slice/nginx.service")
    assert not given("--group", "4242", "--cgroup", "/system.slice/other.service")
    assert not given("--cgroup", "/system.slice/nginx.service")
    assert socktune("explain", "-c", rules, "-p", "x", "--socket", "-g", "nosuch").returncode == 1


@pytest.mark.parametrize("criterion, address, expected", [
    ('remote = "127.0.0.5-127.0.0.20";', "127.0.0.5", GIVEN),
    ('remote = "127.0.0.5-127.0.0.20";', "127.0.0.20", GIVEN),
    ('remote = "127.0.0.5-127.0.0.20";', "127.0.0.4", DEFAULT),
    ('remote = "127.0.0.5-127.0.0.20";', "127.0.0.21", DEFAULT),
    ('remote = "!127.0.0.5-127.0.0.20";', "127.0.0.7", DEFAULT),
    ('remote_port = "https";', "127.0.0.1", GIVEN),
    ('remote_port = "http";', "127.0.0.1", DEFAULT)])
def test_ranges_and_services(idle, criterion, address, expected):
    assert idle(criterion, address, "443") == expected
