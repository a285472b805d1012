# SPDX-License-Identifier: MIT
"""Fixtures of the whole-program tests: the build, rule files, ports, started programs.

Tests run in parallel with each other and with other load, so each has its own directory and
reserved ports, and ends every process that it started.

Environment: SOCKTUNE_BUILD, the build directory (see started.py).
"""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

# pylint: disable=wrong-import-position
import kernel  # noqa: E402
import policy_cache  # noqa: E402
from attached import Cgroup, needs_attach  # noqa: E402
from host import Host  # noqa: E402
from requirements import needs_root, program  # noqa: E402,F401  pylint: disable=unused-import
from started import (  # noqa: E402,F401  pylint: disable=unused-import
    BUILD, LOOPBACK, ROOT, Program, enter_network_namespace, pick_port, preloaded)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, and has faster siblings (make check-slow)")
    config.addinivalue_line("markers", "full: needs more programs (make check-programs)")


@pytest.fixture(scope="session")
def build():
    """The results of `make`: .library, .socktune, .hosts (a directory)."""
    made = types.SimpleNamespace(library=BUILD / "libsocktune.so", socktune=BUILD / "socktune",
                                 hosts=BUILD / "tests" / "hosts")
    for path in (made.library, made.socktune):
        assert path.exists(), f"{path} is missing: run make first"
    return made


@pytest.fixture
def directory():
    """A directory of the test that every user may enter, because servers drop their privileges. The
    directory above it is accessible too: it keeps the policy of a directory of rules."""
    above = pathlib.Path(tempfile.mkdtemp(prefix="socktune-test-"))
    above.chmod(0o755)
    path = above / "here"
    path.mkdir(mode=0o755)
    yield path
    policy_cache.forget(above)
    shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def rule_file(directory):
    """Write a rule file and return its path: rule_file(text, name)."""
    def write(text, name="rules.conf"):
        path = directory / name
        path.write_text(text, encoding="utf-8")
        return path
    return write


@pytest.fixture
def socktune(build):
    """Run the socktune command: socktune("check", path). Text output; the exit status is not
    checked."""
    def run(*arguments, **keywords):
        keywords.setdefault("timeout", 30)
        environment = {**os.environ, **keywords.pop("env", {})}
        environment.pop("LD_PRELOAD", None)
        return subprocess.run([build.socktune, *map(str, arguments)], capture_output=True,
                              text=True, check=False, env=environment, **keywords)
    return run


@pytest.fixture
def compiled(rule_file, socktune):
    """Write and compile rules; returns the path of the policy, which a program opens directly."""
    def write(text, name="rules.conf"):
        source = rule_file(text, name)
        policy = source.with_suffix(".compiled")
        result = socktune("compile", source, "-o", policy)
        assert result.returncode == 0, f"{result.stderr}\nin:\n{text}"
        return policy
    return write


@pytest.fixture
def free_port():
    """A function that returns unused TCP ports, reserved for the test."""
    with contextlib.ExitStack() as reserved:
        yield lambda: pick_port(reserved)


@pytest.fixture
def start(build, directory):
    """Start a program: start(command, rules, env={...}, user=..., cwd=...). Rules None: untuned.

    At the end of the test it is killed with its children."""
    programs = []

    def run(command, rules=None, env=None, **keywords):
        output = directory / f"output-{len(programs)}"
        one = Program(command, preloaded(build, rules, **(env or {})), output, **keywords)
        programs.append(one)
        return one
    yield run
    for one in reversed(programs):
        one.stop()


@pytest.fixture(scope="module")
def attachable():
    """Skips tests if rules cannot be attached."""
    return needs_attach()


@pytest.fixture
def cgroup():
    """A cgroup of the test's own."""
    with Cgroup() as one:
        yield one


@pytest.fixture(params=["preload", "supervise"])
def python_under(request, build, compiled, rule_file):
    """Run Python code under rules to its end, by each front end: python_under(rules, code) returns
    its output; .way is the front end."""
    def run(rules, code, **keywords):
        command = [program("python3"), "-S", "-c", code]
        environment = dict(os.environ)
        if request.param == "preload":
            environment = preloaded(build, compiled(rules))
        else:
            command = [build.socktune, "run", "--supervise", "-c", rule_file(rules), "--", *command]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30,
                              check=False, **keywords)
        assert done.returncode == 0, done.stderr
        return done.stdout
    run.way = request.param
    return run


@pytest.fixture
def silent_listener():
    """A listener that never sends, so that clients wait: silent_listener(family).

    It is in the test process, untuned; the test may answer accepted connections, which are closed
    at the end."""
    with contextlib.ExitStack() as opened:
        def listen(family):
            listener = socket.create_server(
                (LOOPBACK[family], 0),
                family=socket.AF_INET if family == "inet" else socket.AF_INET6)
            listener.settimeout(20)
            return opened.enter_context(listener)
        yield listen


@pytest.fixture
def host(build):
    """Start a host: host(rules, wrapper=[...], env={...}). See host.py."""
    hosts = []

    def run(rules=None, wrapper=(), env=None, **keywords):
        one = Host(build.hosts / "calls", preloaded(build, rules, **(env or {})), wrapper,
                   **keywords)
        hosts.append(one)
        return one
    yield run
    for one in hosts:
        if one.process.poll() is None:
            if one.wrapped:
                kernel.kill_all(kernel.tree(one.process.pid))
            else:
                one.process.kill()  # it has no children
            one.process.wait(10)
