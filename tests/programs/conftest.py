# SPDX-License-Identifier: MIT
"""Fixtures of the whole-program tests: where the build is, rule files, ports, started programs.

Tests run in parallel with each other and with whatever else the machine does, so each has its own
directory, its ports are reserved, and it ends every process that it started.

Environment: SOCKTUNE_BUILD, the build directory (default: build/ of this source tree).
"""
import contextlib
import ctypes
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import types

import kernel
import pytest
from host import Host

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SOCKTUNE_BUILD", ROOT / "build")).resolve()
LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}


def pytest_configure(config):
    config.addinivalue_line("markers", "representative: a program of the short set (make check)")
    config.addinivalue_line("markers", "full: only in the long run (make check-programs)")


def program(name, *places):
    """The path of a program, or skip the test. `places` are further paths to look at (globs)."""
    found = shutil.which(name)
    # A shim that is a script would be a different program under the preload.
    if name == "python3":
        found = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else found
    for place in places:
        found = found or next((str(path) for path in sorted(pathlib.Path("/").glob(place))), None)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def needs_root(why):
    if os.geteuid() != 0:
        pytest.skip(f"needs root: {why}")


@pytest.fixture(scope="session")
def build():
    """What `make` made: .library, .socktune, .hosts (a directory)."""
    made = types.SimpleNamespace(library=BUILD / "libsocktune.so", socktune=BUILD / "socktune",
                                 hosts=BUILD / "tests" / "hosts")
    for path in (made.library, made.socktune):
        assert path.exists(), f"{path} is missing: run make first"
    return made


@pytest.fixture
def directory():
    """A directory of the test's own that every user may enter: servers drop their privileges. So
    is the one above it, where the policy of a directory of rules is kept."""
    above = pathlib.Path(tempfile.mkdtemp(prefix="socktune-test-"))
    above.chmod(0o755)
    path = above / "here"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def rule_file(directory):
    """Write a rule file, return its path: rule_file(text, name)."""
    def write(text, name="rules.conf"):
        path = directory / name
        path.write_text(text, encoding="utf-8")
        return path
    return write


@pytest.fixture
def socktune(build):
    """Run the socktune command: socktune("check", path). Output as text; nothing is checked."""
    def run(*arguments, **keywords):
        keywords.setdefault("timeout", 30)
        environment = {**os.environ, **keywords.pop("env", {})}
        environment.pop("LD_PRELOAD", None)
        return subprocess.run([build.socktune, *map(str, arguments)], capture_output=True,
                              text=True, check=False, env=environment, **keywords)
    return run


@pytest.fixture
def compiled(rule_file, socktune):
    """Write rules and compile them: the path of the policy, which a program opens as it is."""
    def write(text, name="rules.conf"):
        source = rule_file(text, name)
        policy = source.with_suffix(".compiled")
        result = socktune("compile", source, "-o", policy)
        assert result.returncode == 0, f"{result.stderr}\nin:\n{text}"
        return policy
    return write


@pytest.fixture
def free_port():
    """A function that gives TCP ports nobody uses.

    They lie below the range from which the kernel takes ports of its own, are free for both
    families when asked for, and are reserved for the test against all others by a name in the
    abstract namespace of Unix sockets."""
    with contextlib.ExitStack() as reserved:
        def pick():
            for _ in range(1000):
                port = random.randint(20000, 32000)
                holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                try:
                    holder.bind(f"\0socktune-test-port-{port}")
                    for family, any_address in ((socket.AF_INET, "0.0.0.0"),
                                                (socket.AF_INET6, "::")):
                        with socket.socket(family, socket.SOCK_STREAM) as probe:
                            if family == socket.AF_INET6:
                                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                            probe.bind((any_address, port))
                except OSError:
                    holder.close()
                    continue
                reserved.enter_context(holder)
                return port
            raise AssertionError("no free port found")
        yield pick


class Program:
    """A program that the test started, and what it writes."""

    def __init__(self, command, environment, output, **keywords):
        self.command = [str(word) for word in command]
        self.output_path = output
        with open(output, "wb") as sink:
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=keywords.pop("stdout", sink),
                stderr=keywords.pop("stderr", subprocess.STDOUT),
                stdin=keywords.pop("stdin", subprocess.DEVNULL), start_new_session=True,
                **keywords)
        self.pid = self.process.pid

    @property
    def output(self):
        return self.output_path.read_text(encoding="utf-8", errors="replace")

    def _story(self, what):
        def tell():
            held = "\n".join(f"  {one}" for one in self.tcp())
            return (f"{what}\n$ {' '.join(self.command)}\nexit status: {self.process.poll()}\n"
                    f"its TCP sockets:\n{held}\nits output:\n{self.output[-4000:]}")
        return tell

    def until(self, condition, what, timeout=20.0):
        """Wait for `condition`; a failure shows the program's output and sockets."""
        return kernel.until(condition, self._story(what), timeout)

    def tcp(self):
        """Every TCP socket of the program and its children, from the kernel."""
        return kernel.tcp_sockets(self.pid)

    def until_listening(self, port=None):
        """Wait until the program listens (on this port); returns the port."""
        def listening():
            if self.process.poll() is not None and not kernel.tree(self.pid)[1:]:
                raise AssertionError(self._story("it ended before it listened")())
            return [one for one in self.tcp() if one.listens and port in (None, one.local[1])]
        return self.until(listening, f"listening on port {port or 'any'}")[0].local[1]

    def wait(self, timeout=20.0):
        """Wait for the end; returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._story("it did not end")()) from None

    def stop(self):
        pids = [pid for pid in kernel.tree(self.pid) if kernel.alive(pid)]
        kernel.kill_all(pids)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait(10)


def preloaded(build, rules, **extra):
    """An environment under which a program is tuned by `rules`; with None it is left alone."""
    environment = {key: value for key, value in os.environ.items()
                   if key != "LD_PRELOAD" and not key.startswith("SOCKTUNE_")}
    if rules is not None:
        environment["LD_PRELOAD"] = str(build.library)
        environment["SOCKTUNE_RULES"] = str(rules)
    environment.update({key: str(value) for key, value in extra.items()})
    return environment


@pytest.fixture
def start(build, directory):
    """Start a program: start(command, rules, env={...}, user=..., cwd=...). Rules None: untuned.

    It is killed, with its children, when the test ends."""
    programs = []

    def run(command, rules=None, env=None, **keywords):
        output = directory / f"output-{len(programs)}"
        one = Program(command, preloaded(build, rules, **(env or {})), output, **keywords)
        programs.append(one)
        return one
    yield run
    for one in reversed(programs):
        one.stop()


@pytest.fixture
def silent_listener():
    """A listener that says nothing, so that whoever connects waits: silent_listener(family).

    Runs in the test, untuned; what it accepts is the test's to answer and is closed at the end."""
    with contextlib.ExitStack() as opened:
        def listen(family):
            listener = socket.create_server(
                (LOOPBACK[family], 0),
                family=socket.AF_INET if family == "inet" else socket.AF_INET6)
            listener.settimeout(20)
            return opened.enter_context(listener)
        yield listen


CLONE_NEWNET = 0x40000000


def enter_network_namespace():
    """A preexec_fn: gives the child a network namespace of its own, with its loopback up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


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
            kernel.kill_all(kernel.tree(one.process.pid))
            one.process.wait(10)
