# SPDX-License-Identifier: MIT
"""socktune run --supervise: programs that no preloaded library reaches, tuned from outside.

Each program tells which sockets it has, or is looked into; what they are given is what the kernel
says. As root and, where the test runs as root, as a user without privileges.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import kernel
import pytest
from conftest import BUILD, program

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "hosts"

RULES = """
rules = (
  { name = "clients"; match = { role = "connect"; protocol = "tcp"; };
    set = { SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "33s"; };
    force = { TCP_KEEPIDLE = "77s"; }; },
  { name = "servers"; match = { role = [ "listen", "accept" ]; protocol = "tcp"; };
    set = { TCP_KEEPCNT = 7; TCP_USER_TIMEOUT = "44s"; }; },
  { name = "all"; match = { protocol = "tcp"; }; set = { TCP_SYNCNT = 3; };
    force = { TCP_KEEPINTVL = "9s"; TCP_NODELAY = false; }; }
);
"""
CLIENT = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 77, "TCP_USER_TIMEOUT": 33000, "TCP_SYNCNT": 3,
          "TCP_KEEPINTVL": 9, "TCP_NODELAY": 0}
LISTENER = {"TCP_KEEPCNT": 7, "TCP_USER_TIMEOUT": 44000, "TCP_SYNCNT": 3, "TCP_KEEPINTVL": 9,
            "TCP_NODELAY": 0}
ACCEPTED = LISTENER

USERS = ["root", "user"] if os.geteuid() == 0 else ["user"]


def supervisors(pid):
    """The processes that supervise `pid`: run by the socktune command, in sessions of their own.

    They are known by their descriptor of seccomp notifications and by what they were started
    with, which the program's first process had before it became the program."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            links = {os.readlink(f"/proc/{name}/fd/{fd}") for fd in os.listdir(f"/proc/{name}/fd")}
            watched = pathlib.Path(f"/proc/{name}/fdinfo/4").read_text(encoding="ascii")
            if "anon_inode:seccomp notify" in links and f"\nPid:\t{pid}\n" in watched:
                found.append(int(name))
    return sorted(found)


@pytest.fixture(scope="session")
def built():
    """Build a program of tests/hosts once: built("talk.go"), built("raw_talk.c", "musl-gcc").

    Every user may run it. Go's compiled packages are kept in the build directory."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="socktune-built-"))
    directory.chmod(0o755)

    def build(source, compiler="gcc", *flags):
        path = directory / f"{source}-{compiler}{'-'.join(flags)}".replace("/", "_")
        if path.exists():
            return path
        environment = dict(os.environ)
        if source.endswith(".go"):
            environment.update(CGO_ENABLED="0", GOCACHE=str(BUILD / "tests" / "go-cache"),
                               GO111MODULE="off", GOFLAGS="", GOPROXY="off", GOTOOLCHAIN="local", HOME=str(directory))
            command = [program("go"), "build", "-o", path, SOURCES / source]
        else:
            command = [program(compiler), "-static", "-O1", "-D_GNU_SOURCE", *flags, "-o", path,
                       SOURCES / source, "-pthread"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              check=False, timeout=180)
        assert done.returncode == 0, done.stderr
        return path
    yield build
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=USERS)
def supervised(request, build, start, compiled):
    """Start a program under supervision: supervised(command, rules=RULES, options=[...])."""
    def run(command, rules=RULES, options=(), wrapper=(), **keywords):
        policy = compiled(rules)
        if request.param == "user" and os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            keywords.update(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
        return start([*wrapper, build.socktune, "run", "-c", policy, "--supervise", *options, "--",
                      *command], **keywords)
    return run


def has(one, wanted):
    """Check options of a socket of kernel.py."""
    assert one.options(wanted) == wanted, one


def ends(one, listener_port):
    """Sort a program's connections with itself: (listener, connecting ones, accepted ones)."""
    sockets = one.tcp()
    listener = [each for each in sockets if each.listens]
    clients = [each for each in sockets if each.remote and each.remote[1] == listener_port]
    accepted = [each for each in sockets if each.local[1] == listener_port and not each.listens]
    return listener, clients, accepted


def check_talk(one):
    """A program that listens, connects to itself, and keeps it all open."""
    port = one.until_listening()
    one.until(lambda: ends(one, port)[1] and ends(one, port)[2], "a connection with itself")
    one.until(lambda: "ready" in one.output, "the word that all options are set")
    listeners, clients, accepted = ends(one, port)
    for each in listeners:
        has(each, LISTENER)
    for each in clients:
        has(each, CLIENT)
    for each in accepted:
        has(each, ACCEPTED)


def test_go_server_and_client(supervised, built):
    """Go sets NODELAY and keepalive after connect and accept: `force` holds against it."""
    check_talk(supervised([built("talk.go")]))


def test_go_unsupervised_is_otherwise(start, built):
    """The test above could not fail if Go's sockets were so by themselves."""
    one = start([built("talk.go")])
    port = one.until_listening()
    one.until(lambda: "ready" in one.output, "ready")
    for each in ends(one, port)[1] + ends(one, port)[2]:
        assert each.option("TCP_NODELAY") == 1 and each.option("TCP_KEEPINTVL") != 9


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_static_and_raw(compiler, supervised, built):
    check_talk(supervised([built("raw_talk.c", compiler)]))


def test_dynamic_program(supervised):
    check_talk(supervised([program("python3"), SOURCES.parent / "programs" / "talk.py"]))


def test_the_process_is_the_program(supervised):
    """Its number, parent, group, session, descriptors and signals are those it would have."""
    one = supervised([program("python3"), "-c", """
import os, signal
print(os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0))
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no children")
"""])
    assert one.wait() == 0
    assert one.output.splitlines() == [f"{one.pid} {os.getpid()} {one.pid} {one.pid}", "[0, 1, 2]",
                                       "set() True", "no children"]


@pytest.mark.parametrize("script,status", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
def test_exit_status(script, status, supervised):
    assert supervised(["/bin/sh", "-c", script]).wait() == status


def test_what_cannot_be_run(supervised):
    assert supervised(["/no/such/program"]).wait() == 127
    assert supervised(["/"]).wait() == 126


def test_the_supervisor_ends_with_the_last_process(supervised):
    one = supervised(["/bin/sh", "-c", "sleep 1 & exec sleep 0.3"])
    found = one.until(lambda: supervisors(one.pid), "a supervisor")
    assert one.wait() == 0
    kernel.until(lambda: not any(map(kernel.alive, found)), "the end of the supervisor", 5)


@pytest.mark.parametrize("which", [0, 1])
def test_one_supervisor_killed(which, supervised, built):
    """The other one takes over, whichever it is, and as often as it happens."""
    one = supervised([built("reconnect.go")])
    one.until(lambda: "ready" in one.output, "ready")
    for _ in range(3):
        found = one.until(lambda: len(supervisors(one.pid)) == 2 and supervisors(one.pid),
                          "two supervisors")
        os.kill(found[which], signal.SIGKILL)
        kernel.until(lambda: not kernel.alive(found[which]), "its end")
        one.until(lambda: len(supervisors(one.pid)) == 2, "a successor")
        seen = one.output.count("tuned")
        one.until(lambda: one.output.count("tuned") > seen + 3, "more connections")
    assert "error" not in one.output
    one.process.send_signal(signal.SIGTERM)
    assert one.wait() == -signal.SIGTERM


def test_interrupt_to_the_group(supervised):
    """SIGINT of a terminal goes to the whole group: the program has it once, and decides."""
    one = supervised([program("python3"), "-c", """
import signal, time
count = 0
def handle(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, handle)
print("ready", flush=True)
end = time.monotonic() + 1
while time.monotonic() < end:
    time.sleep(0.05)
raise SystemExit(40 + count)
"""])
    one.until(lambda: "ready" in one.output, "ready")
    os.killpg(one.pid, signal.SIGINT)
    assert one.wait() == 41


def test_second_listener(supervised, build, compiled):
    one = supervised([build.socktune, "run", "-c", compiled(RULES, "inner.conf"), "--supervise",
                      "/bin/true"])
    assert one.wait() == 125
    assert "supervised already" in one.output


def test_inherited_listener(supervised):
    """A listener that the program is started with is tuned before: no call about it will follow."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = supervised([program("python3"), "-c", f"""
import socket
listener = socket.socket(fileno={listener.fileno()})
accepted, _ = listener.accept()
accepted.recv(1)
"""], pass_fds=[listener.fileno()])
        one.until(lambda: supervisors(one.pid), "a supervisor")
        with socket.create_connection(listener.getsockname()) as client:
            accepted = one.until(lambda: [each for each in one.tcp() if each.remote], "a connection")
            has(accepted[0], ACCEPTED)
            client.send(b"x")
            assert one.wait() == 0


def test_no_descriptor_is_held(supervised, silent_listener):
    """The program's close() is the last: the peer has the end of file at once."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import socket, time
for _ in range(20):
    client = socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}))
    client.close()
time.sleep(30)
"""])
    for _ in range(20):
        accepted, _ = listener.accept()
        accepted.settimeout(5)
        assert accepted.recv(1) == b""
        accepted.close()
    for pid in supervisors(one.pid):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [link for link in links if link.startswith(("socket:", "pipe:"))]


def test_threads_connecting_at_once(supervised, silent_listener):
    """Each of 32 threads has its own connection tuned, blocking or not."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import errno, select, socket, threading, time
start = threading.Barrier(32)
def work(number):
    client = socket.socket()
    client.setblocking(number % 2 == 0)
    start.wait()
    error = client.connect_ex(("127.0.0.1", {listener.getsockname()[1]}))
    assert error in (0, errno.EINPROGRESS), error
    kept.append(client)
kept = []
threads = [threading.Thread(target=work, args=[number]) for number in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("ready", len(kept), flush=True)
time.sleep(60)
"""])
    one.until(lambda: "ready" in one.output, "ready")
    assert "ready 32" in one.output
    clients = [each for each in one.tcp() if each.remote]
    assert len(clients) == 32
    for each in clients:
        has(each, CLIENT)


def test_a_slow_step_delays_nobody_else(supervised, silent_listener):
    """Reading the address of one thread never ends: the page is somebody's who does not answer
    (userfaultfd). The others go on."""
    if os.geteuid() != 0 and pathlib.Path("/proc/sys/vm/unprivileged_userfaultfd").read_text() != "1\n":
        pytest.skip("userfaultfd is for root here")
    listener = silent_listener("inet")
    one = supervised([program("python3"), SOURCES.parent / "programs" / "stuck.py",
                      str(listener.getsockname()[1])])
    one.until(lambda: "ready" in one.output or "skip" in one.output, "ready")
    if "skip" in one.output:
        pytest.skip(one.output)
    assert "ready 100" in one.output


def test_fork_and_exec(supervised, silent_listener):
    """Rules go by the program that makes the call, also after fork and exec, also in the same
    process."""
    listener = silent_listener("inet")
    code = ("import socket, sys; c = socket.create_connection(('127.0.0.1', "
            f"{listener.getsockname()[1]})); "
            "print(sys.argv[1], c.getsockopt(6, socket.TCP_USER_TIMEOUT), flush=True)")
    rules = """
rules = ( { match = { command = "* one"; }; set = { TCP_USER_TIMEOUT = "1s"; }; },
          { match = { command = "* two"; }; set = { TCP_USER_TIMEOUT = "2s"; }; } );
"""
    one = supervised([program("python3"), "-c", f"""
import os, sys
code = {code!r}
def run(name):
    os.execv(sys.executable, [sys.executable, "-c", code, name])
if os.fork() == 0:
    run("one")
os.wait()
sys.argv = ["-c", "none"]
exec(code)
run("two")
"""], rules)
    assert one.wait() == 0
    assert one.output.splitlines() == ["one 1000", "none 0", "two 2000"]
