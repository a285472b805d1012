# SPDX-License-Identifier: MIT
"""socktune run --supervise: programs that no preloaded library reaches, tuned from outside.

Each program tells which sockets it has, or is looked into; what they are given is what the kernel
says. As root and, where the test runs as root, as a user without privileges.
"""
import contextlib
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import kernel
import pytest
from conftest import BUILD, program
from word_size import needs_32_bits

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
            libraries = [flag for flag in flags if flag.startswith("-l")]
            command = [program(compiler), *(["-static"] if not libraries else []), "-O1",
                       "-D_GNU_SOURCE", *(flag for flag in flags if flag not in libraries), "-o",
                       path, SOURCES / source, "-pthread", *libraries]
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


def test_plain_tcp_from_a_go_listener_of_mptcp(build, built, compiled):
    """The listener refuses the option, and what it accepts has it all the same."""
    rules = compiled('rules = ( { match = { role = "accept"; };'
                     '            set = { TCP_USER_TIMEOUT = "9s"; SO_KEEPALIVE = true; }; } );')
    done = subprocess.run([build.socktune, "run", "-c", rules, "--supervise", "--",
                           built("multipath.go")], capture_output=True, text=True, check=False,
                          timeout=30)
    assert (done.returncode, done.stdout) == (0, "9000\n"), done


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


@pytest.mark.parametrize("way", ["direct", "socketcall"])
def test_32_bits(way, supervised, built):
    """By the calls of today, and by socketcall(2) as older libraries do."""
    needs_32_bits()
    library = subprocess.run([program("gcc"), "-m32", "-print-file-name=libc.a"], timeout=30,
                             check=True, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip("gcc makes no 32-bit programs here")
    check_talk(supervised([built("raw_talk.c", "gcc", "-m32", f"-DBY_{way.upper()}",
                                 "-idirafter/usr/include/x86_64-linux-gnu")]))


def test_dynamic_program(supervised):
    check_talk(supervised([program("python3"), SOURCES.parent / "support" / "talk.py"]))


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


def test_all_of_the_commands_name_killed(supervised, built):
    """As by pkill(1) or killall(1): the standby has another name, and takes over."""
    def named(pid):
        names = [pathlib.Path(f"/proc/{pid}/{file}").read_bytes() for file in ("comm", "cmdline")]
        return any(b"socktune" in name for name in names)

    def hit():
        """The one of two that bears the name; while they change roles both may, or neither."""
        found = supervisors(one.pid)
        bearing = [pid for pid in found if named(pid)]
        return bearing if len(found) == 2 and len(bearing) == 1 else None

    one = supervised([built("reconnect.go")])
    one.until(lambda: "ready" in one.output, "ready")
    for _ in range(2):
        (server,) = one.until(hit, "two supervisors, one of the command's name")
        os.kill(server, signal.SIGKILL)
        kernel.until(lambda: not kernel.alive(server), "its end")  # pylint: disable=cell-var-from-loop
        seen = one.output.count("tuned")
        one.until(lambda: one.output.count("tuned") > seen + 3, "more connections")  # pylint: disable=cell-var-from-loop
    assert "error" not in one.output


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
        one = supervised([program("python3"), "-c", """
import socket
listener = socket.socket(fileno=0)
accepted, _ = listener.accept()
accepted.recv(1)
"""], stdin=listener.fileno())
        one.until(lambda: supervisors(one.pid), "a supervisor")
        with socket.create_connection(listener.getsockname()) as client:
            accepted = one.until(lambda: [each for each in one.tcp() if each.remote], "a connection")
            has(accepted[0], ACCEPTED)
            client.send(b"x")
            assert one.wait() == 0


def test_the_rules_of_a_script_are_for_what_it_is_started_with(supervised, directory):
    """Before execve() the program is known by its path alone, which the kernel will follow."""
    script = directory / "worker"
    script.write_text(f"#!{program('python3')}\n", encoding="ascii")
    script.chmod(0o755)
    directory.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = supervised([script], 'rules = ( { match = { script = "worker"; program = "python3*"; };'
                         ' set = { TCP_KEEPCNT = 7; }; } );', stdin=listener.fileno())
        assert one.wait() == 0
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 7


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


def waiting_calls(pid):
    """How many threads of a process wait for the answer of a supervisor."""
    count = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            count += "seccomp" in (task / "wchan").read_text(encoding="ascii")
    return count


def test_more_calls_than_workers(supervised, silent_listener):
    """100 calls wait at a time, for at most 64 workers that have too few descriptors for them."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import socket, sys, threading
def connect(client):
    client.connect(("127.0.0.1", {listener.getsockname()[1]}))
clients = [socket.socket() for _ in range(100)]
threads = [threading.Thread(target=connect, args=[client]) for client in clients]
print("ready", flush=True)
sys.stdin.readline()
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("connected", flush=True)
sys.stdin.readline()
"""], wrapper=["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"], stdin=subprocess.PIPE)
    one.until(lambda: "ready" in one.output, "ready")
    found = supervisors(one.pid)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    one.process.stdin.write(b"\n")
    one.process.stdin.flush()
    one.until(lambda: waiting_calls(one.pid) == 100, "100 calls that wait")
    for pid in found:
        os.kill(pid, signal.SIGCONT)
    one.until(lambda: "connected" in one.output, "connected")
    clients = [each for each in one.tcp() if each.remote]
    assert len(clients) == 100
    for each in clients:
        has(each, CLIENT)


@pytest.fixture
def userfaults():
    """The descriptor of the device by which whoever has it may make memory that nobody provides, in
    a list; none where there is no such device (before Linux 6.1), or it is for root."""
    try:
        device = os.open("/dev/userfaultfd", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield []
        return
    yield [device]
    os.close(device)


def test_a_slow_step_delays_nobody_else(supervised, silent_listener, userfaults):
    """Reading the address of one thread never ends: the page is somebody's who does not answer
    (userfaultfd). The others go on."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), SOURCES.parent / "support" / "stuck.py",
                      listener.getsockname()[1], *userfaults], pass_fds=userfaults)
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


def test_io_uring_passes_by_but_is_told(supervised, built):
    """What it connects is missed, and a line says so; what it accepts inherits."""
    if not os.path.exists("/usr/include/liburing.h"):
        pytest.skip("liburing-dev is not installed")
    one = supervised([built("shared/uring.c", "gcc", "-luring")])
    one.until(lambda: "ready" in one.output or "error" in one.output, "ready")
    if "io_uring_queue_init" in one.output:
        pytest.skip(f"io_uring is not allowed here: {one.output}")
    assert "ready, by io_uring" in one.output
    port = one.until_listening()
    listeners, clients, accepted = ends(one, port)
    has(listeners[0], LISTENER)
    has(accepted[0], ACCEPTED)
    assert clients[0].option("TCP_USER_TIMEOUT") == 0
    assert "uses io_uring" in one.output and "--no-io-uring" in one.output


def test_no_io_uring(supervised, built):
    """The program does without, and all is tuned."""
    if not os.path.exists("/usr/include/liburing.h"):
        pytest.skip("liburing-dev is not installed")
    one = supervised([built("shared/uring.c", "gcc", "-luring")], options=["--no-io-uring"])
    one.until(lambda: "ready" in one.output or "error" in one.output, "ready")
    assert one.output == "ready, without io_uring\n"
    port = one.until_listening()
    listeners, clients, accepted = ends(one, port)
    has(listeners[0], LISTENER)
    has(clients[0], CLIENT)
    has(accepted[0], ACCEPTED)


def test_no_io_uring_needs_supervision(socktune, rule_file):
    result = socktune("run", "-c", rule_file(RULES), "--no-io-uring", "/bin/true")
    assert result.returncode == 2 and "--no-io-uring needs --supervise" in result.stderr


@pytest.mark.parametrize("restart", [True, False])
def test_signals_in_calls(restart, supervised, silent_listener):
    """A timer fires all the time. Behind SA_RESTART no call ends early. Without it, a call may end
    with EINTR before the supervisor has received it (see socktune(1)), and then works when it is
    repeated."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import ctypes, errno, os, signal, socket
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, {not restart})
libc = ctypes.CDLL(None, use_errno=True)
def address(port):
    return (2).to_bytes(2, "little") + port.to_bytes(2, "big") + socket.inet_aton("127.0.0.1") + bytes(8)
interrupted = 0
def call(function, *arguments):
    global interrupted
    while function(*arguments) != 0:
        error = ctypes.get_errno()
        if error == errno.EINPROGRESS:
            return
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))
        interrupted += 1
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for number in range(400):
    client, server = socket.socket(), socket.socket()
    client.setblocking(False)
    call(libc.bind, server.fileno(), address(0), 16)
    call(libc.listen, server.fileno(), 1)
    call(libc.connect, client.fileno(), address({listener.getsockname()[1]}), 16)
    assert client.getsockopt(6, socket.TCP_USER_TIMEOUT) == 33000
    assert server.getsockopt(6, socket.TCP_USER_TIMEOUT) == 44000
    client.close()
    server.close()
print("interrupted", interrupted, flush=True)
os._exit(0)
"""])
    assert one.wait(40) == 0, one.output
    if restart:
        assert one.output == "interrupted 0\n"


def test_stopped_and_continued(supervised, built):
    """SIGSTOP and SIGCONT reach the program, whose parent sees it stop."""
    one = supervised([built("reconnect.go")])
    one.until(lambda: one.output.count("tuned") > 3, "connections")
    os.kill(one.pid, signal.SIGSTOP)
    _, status = os.waitpid(one.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    seen = one.output.count("tuned")
    os.kill(one.pid, signal.SIGCONT)
    one.until(lambda: one.output.count("tuned") > seen + 5, "more connections")
    assert "error" not in one.output


def test_datagrams(supervised, silent_listener):
    """A datagram socket is tuned when it is bound or connected."""
    one = supervised([program("python3"), "-c", """
import socket, time
bound, connected, neither = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
bound.bind(("127.0.0.1", 0))
connected.connect(bound.getsockname())
neither.sendto(b"x", bound.getsockname())
print(*(each.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) for each in (bound, connected, neither)))
"""], 'rules = ( { match = { role = "datagram"; }; set = { SO_PRIORITY = 4; }; } );')
    assert one.wait() == 0
    assert one.output == "4 4 0\n"


def test_fast_open(supervised, silent_listener):
    """With MSG_FASTOPEN, sendto(), sendmsg() and the first message of sendmmsg() connect."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import ctypes, socket, struct
to = ("127.0.0.1", {listener.getsockname()[1]})
one = socket.socket()
one.sendto(b"x", socket.MSG_FASTOPEN, to)
other = socket.socket()
other.sendmsg([b"x"], [], socket.MSG_FASTOPEN, to)
third = socket.socket()
name = struct.pack("=H2s4s8x", 2, to[1].to_bytes(2, "big"), socket.inet_aton(to[0]))
where = ctypes.create_string_buffer(name, 16)
part = (ctypes.c_void_p * 2)(ctypes.addressof(where), 1)
messages = (ctypes.c_void_p * 8)(ctypes.addressof(where), 16, ctypes.addressof(part), 1)
libc = ctypes.CDLL(None)
assert libc.sendmmsg(third.fileno(), messages, 1, socket.MSG_FASTOPEN) == 1
print(*(each.getsockopt(6, socket.TCP_USER_TIMEOUT) for each in (one, other, third)))
"""])
    assert one.wait() == 0, one.output
    assert one.output == "33000 33000 33000\n"


def test_unix_sockets(supervised):
    """They are tuned where a rule says so, and let alone otherwise."""
    code = """
import os, socket
one = socket.socket(socket.AF_UNIX)
before = one.getsockopt(1, 7)
one.bind(b"\\0socktune-test-%d" % os.getpid())
one.listen(1)
print(one.getsockopt(1, 7) - before)
"""
    one = supervised([program("python3"), "-c", code])
    assert one.wait() == 0 and one.output == "0\n"
    one = supervised([program("python3"), "-c", code], """
rules = ( { match = { family = "unix"; role = "listen"; }; set = { SO_SNDBUF = "32K"; }; } );
""")
    assert one.wait() == 0 and int(one.output) != 0


def test_source(supervised, silent_listener):
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import socket
client = socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}))
print(client.getsockname()[0])
"""], 'rules = ( { match = { role = "connect"; }; set = { source = "127.0.0.9"; }; } );')
    assert one.wait() == 0
    assert one.output == "127.0.0.9\n"


def test_out_of_reach(supervised, silent_listener, request):
    """A process that made itself undumpable is for root alone, and the message says so."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import ctypes, signal, socket
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
held = socket.create_connection({listener.getsockname()})
print(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
"""])
    assert one.wait() == 0
    if "root" in request.node.callspec.params.values():
        assert one.output.split() == ["33000"]
    else:
        assert one.output.splitlines()[-1] == "0"
        assert "may not be looked into" in one.output
        assert "it is not dumpable" in one.output and "that takes root" in one.output


def test_what_cannot_be_given_is_warned_of(supervised):
    one = supervised(["/bin/true"], """
rules = ( { match = { protocol = [ "tcp", "mptcp" ]; };
            set = { SO_PRIORITY = 3; transport = "mptcp"; TCP_NODELAY = true; }; },
          { match = { program = "other"; }; set = { SO_INCOMING_CPU = 1; }; } );
""")
    assert one.wait() == 0
    assert sorted(line.split(": ", 2)[1:] for line in one.output.splitlines()) == [
        ["warning", "under --supervise, SO_PRIORITY is given to an accepted socket when the program "
                    "first calls epoll_ctl(), setsockopt(TCP_NODELAY) or the setsockopt() of this "
                    "option on it; a program that makes none of these calls does not get it"],
        ["warning", "under --supervise, transport is chosen at socket(), which is not supervised; only a "
                    "Go program that is started directly gets it, by GODEBUG"]]


def test_one_warning_for_each_reason(supervised):
    """It names all options of the rule, as check, explain and doctor do."""
    one = supervised(["/bin/true"], """
rules = ( { match = { role = "accept"; remote = "127.0.0.1"; };
            set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 3;
                    TCP_NODELAY = true; }; },
          { match = { role = "accept"; };
            set = { SO_PRIORITY = 5; }; } );
""")
    assert one.wait() == 0
    assert [line.split(": ", 1)[0].rsplit(":", 1)[1] + ": " +
            re.search(r"under --supervise, (.*) is given to an", line).group(1)
            for line in one.output.splitlines()] == [
        "3: each of SO_KEEPALIVE, TCP_KEEPCNT and TCP_NODELAY", "6: SO_PRIORITY"]


def test_the_peer_of_a_socket_reads_no_warning(supervised):
    ours, its = socket.socketpair()
    with ours, its:
        one = supervised(["/bin/true"], 'rules = ( { set = { transport = "mptcp"; }; } );',
                         stdout=subprocess.DEVNULL, stderr=its)
        its.close()
        assert one.wait() == 0
        assert ours.recv(4096) == b""


def test_no_rules_need_no_supervisor(supervised):
    one = supervised([program("python3"), "-c", """
print(open("/proc/self/status").read().split("Seccomp:")[1].split()[0])
"""], "rules = ();")
    assert one.wait() == 0 and one.output == "0\n"


def test_both_killed(supervised, built):
    """Nothing can serve then: calls fail, and at once; they do not hang."""
    one = supervised([built("reconnect.go")])
    one.until(lambda: len(supervisors(one.pid)) == 2, "two supervisors")
    found = supervisors(one.pid)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    one.until(lambda: "function not implemented" in one.output, "ENOSYS")
    assert one.wait() == 0


def test_trace(supervised, directory):
    directory.chmod(0o777)
    log = directory / "trace"
    one = supervised([program("python3"), "-c", "import socket; s = socket.create_server(('', 0))"],
                     options=[f"--trace={log}"])
    assert one.wait() == 0
    text = log.read_text()
    assert f"socktune[{one.pid}] python3: listen fd 3: TCP_KEEPCNT = 7 (rule servers, " in text


def test_disabled(supervised):
    one = supervised(["/bin/true"], env={"SOCKTUNE_DISABLE": "1"})
    assert one.wait() == 0 and one.output == ""


def test_privileges_are_not_gained_and_that_is_told(build, compiled, start, directory):
    """By a user without privileges; root's programs may still start others that gain some."""
    if os.geteuid() != 0:
        pytest.skip("needs root: to make a set-user-ID program")
    path = directory / "id"
    shutil.copy(program("id"), path)
    path.chmod(0o4755)
    nobody = pwd.getpwnam("nobody")
    command = [build.socktune, "run", "-c", compiled(RULES), "--supervise", path, "-u"]
    one = start(command, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    assert one.wait() == 0
    warning, told = one.output.splitlines()
    assert "will not gain the privileges" in warning and told == str(nobody.pw_uid)
    rooted = [*command[:-2], program("setpriv"), f"--reuid={nobody.pw_uid}", "--clear-groups", path,
              "-u"]
    one = start(rooted)
    assert one.wait() == 0 and one.output == "0\n"


def test_a_daemon(supervised, directory):
    """The caller has the end of file when the first process ends; the daemon is still tuned."""
    directory.chmod(0o777)
    report = directory / "report"
    one = supervised([program("python3"), "-c", f"""
import os, socket, time
if os.fork():
    os._exit(3)
os.setsid()
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
time.sleep(0.5)
listener = socket.create_server(("127.0.0.1", 0))
with open("{report}", "w") as file:
    file.write(str(listener.getsockopt(6, socket.TCP_KEEPCNT)))
"""], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = one.process.communicate(timeout=10)
    assert (out, one.process.returncode) == (b"", 3)
    assert not report.exists()
    kernel.until(lambda: report.exists() and report.read_text() == "7", "the daemon's report")


def test_job_control(build, compiled):
    """In a terminal: ^C and ^Z reach the program, which is in the foreground; the shell's `fg` works."""
    pid, terminal = os.forkpty()
    if pid == 0:
        os.environ["PS1"] = "$ "
        # Ignored where the tests run in the background; then ^C would end nothing.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv("/bin/bash", ["bash", "--norc", "-i"])
    def read_until(word, seen=b""):
        while word not in seen:
            ready, _, _ = select.select([terminal], [], [], 10)
            assert ready, seen
            seen += os.read(terminal, 4096)
        return seen
    try:
        command = f"{build.socktune} run -c {compiled(RULES)} --supervise /bin/cat\n"
        os.write(terminal, command.encode())
        time.sleep(0.5)
        os.write(terminal, b"hello\n")
        read_until(b"hello\r\nhello")
        os.write(terminal, b"\x1a")
        read_until(b"Stopped")
        os.write(terminal, b"fg\n")
        time.sleep(0.3)
        os.write(terminal, b"again\n")
        read_until(b"again\r\nagain")
        os.write(terminal, b"\x03")  # whatever has been typed already is lost by it
        read_until(b"$ ")
        os.write(terminal, b"echo last=$?\n")
        read_until(b"last=130")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


# Accepted sockets.

# Rules on the peer: no listener can pass these on.
ACCEPT_RULES = """
rules = ( { name = "peers"; match = { role = "accept"; remote = "127.0.0.0/8"; };
            set = { SO_PRIORITY = 5; TCP_KEEPCNT = 3; };
            force = { SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "9s"; }; } );
"""


def test_go_accepts_with_what_depends_on_the_peer(supervised, built):
    """Go sets its own keepalive on each accepted socket. It is swallowed, and the forced one given."""
    one = supervised([built("talk.go")], ACCEPT_RULES)
    port = one.until_listening()
    one.until(lambda: "ready" in one.output, "ready")
    _, clients, accepted = ends(one, port)
    assert accepted
    for each in accepted:
        has(each, {"SO_PRIORITY": 5, "TCP_KEEPCNT": 3, "SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 9000})
    for each in clients:
        assert each.option("SO_PRIORITY") == 0 and each.option("TCP_USER_TIMEOUT") == 0


ACCEPTOR = """
import select, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
accepted, _ = listener.accept()
{calls}
print("ready", flush=True)
accepted.recv(1)
"""


@pytest.mark.parametrize("calls, wanted", [
    # What the program sets later stands, and is not overwritten at the next call.
    ("select.epoll().register(accepted); accepted.setsockopt(6, 6, 8);"
     "select.epoll().register(accepted)", {"TCP_KEEPCNT": 8, "SO_PRIORITY": 5}),
    ("accepted.setsockopt(6, 6, 8); accepted.setsockopt(6, 1, 1)",
     {"TCP_KEEPCNT": 8, "SO_PRIORITY": 5}),
    ("accepted.setsockopt(6, 1, 1)", {"TCP_KEEPCNT": 3, "SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 9000}),
    # A forced option at the program's own setting of it.
    ("accepted.setsockopt(1, 9, 0)", {"SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 9000}),
    # Out of reach, as the warning says: no call names the socket.
    ("pass", {"TCP_KEEPCNT": 9, "SO_KEEPALIVE": 0, "TCP_USER_TIMEOUT": 0}),
])
def test_first_call_on_an_accepted_socket(supervised, calls, wanted):
    one = supervised([program("python3"), "-c", ACCEPTOR.format(calls=calls)], ACCEPT_RULES)
    port = one.until_listening()
    with socket.create_connection(("127.0.0.1", port)) as client:
        one.until(lambda: "ready" in one.output, "ready")
        for each in ends(one, port)[2]:
            has(each, wanted)
        client.send(b"x")
        assert one.wait() == 0
    assert "a program that makes none of these calls does not get it" in one.output


@pytest.mark.parametrize("call, error", [
    ("accepted.setsockopt(1, 9, b'')", "EINVAL"),
    ("accepted.setsockopt(1, 9, b'x')", "EINVAL"),
    ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).setsockopt(6, 18, 5)", "ENOPROTOOPT"),
])
def test_the_kernel_judges_wrong_calls(supervised, call, error):
    one = supervised([program("python3"), "-c", ACCEPTOR.format(calls=f"""
import errno
try:
    {call}
    print("no error")
except OSError as problem:
    print(errno.errorcode[problem.errno])
""")], 'rules = ( { force = { SO_KEEPALIVE = true; TCP_USER_TIMEOUT = "9s"; }; } );')
    port = one.until_listening()
    with socket.create_connection(("127.0.0.1", port)) as client:
        one.until(lambda: "ready" in one.output, "ready")
        client.send(b"x")
    assert error in one.output


FALLS_BACK = """
rules = ( { match = { role = "accept"; }; set = { TCP_USER_TIMEOUT = "9s"; SO_PRIORITY = 5; }; } );
"""
MULTIPATH = """
import os, select, socket
IPPROTO_MPTCP = 262
def accept(listener, *calls):
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    for call in calls:
        accepted.setsockopt(*call)
    select.epoll().register(accepted)
    print(accepted.getsockopt(6, 18), accepted.getsockopt(1, 12), flush=True)
"""


def test_what_a_program_sets_of_plain_tcp_stays(supervised):
    """A listener of MPTCP refuses the option, so its setsockopt() on accepted sockets is not asked
    about: the value of the socket tells what the program has set before the first call that is."""
    one = supervised([program("python3"), "-c", MULTIPATH + """
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
listener.bind(("127.0.0.1", 0))
listener.listen()
accept(listener)
accept(listener, (6, 18, 1234), (1, 12, 3))
"""], FALLS_BACK)
    assert one.wait() == 0
    assert one.output.splitlines()[-2:] == ["9000 5", "1234 3"]


@pytest.mark.parametrize("way", ["handed over", "leaked"])
def test_an_inherited_listener_of_mptcp(supervised, way):
    """No call of listen() tells that there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        fd = 0 if way == "handed over" else listener.fileno()
        one = supervised([program("python3"), "-c", MULTIPATH + f"accept(socket.socket(fileno={fd}))"],
                         FALLS_BACK, stdin=listener.fileno(), pass_fds=[fd] if fd != 0 else [])
        assert one.wait() == 0
    assert one.output.splitlines()[-1] == "9000 5"


def test_which_addresses_are_asked_about(supervised):
    """Of three of four AF_UNIX addresses, the length tells that they are none of IP. Without a
    supervisor, calls that are asked about fail."""
    one = supervised([program("python3"), "-c", """
import errno, os, socket, sys
def attempt(kind, address):
    try:
        socket.socket(kind).connect(address)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
own = os.urandom(7).hex()[:13]
names = {length: b"\\0" + own.encode().ljust(length - 3, b"x") for length in (17, 18, 19, 20, 107, 110)}
listeners = [socket.socket(socket.AF_UNIX) for _ in names]
for listener, name in zip(listeners, names.values()):
    listener.bind(name)
    listener.listen()
ip = socket.create_server(("127.0.0.1", 0)).getsockname()
print("ready", flush=True)
sys.stdin.readline()
print({length: attempt(socket.AF_UNIX, name) for length, name in names.items()},
      attempt(socket.AF_INET, ip), flush=True)
"""], 'rules = ( { match = { role = "connect"; protocol = "tcp"; }; set = { TCP_KEEPCNT = 7; }; } );',
                     stdin=subprocess.PIPE)
    one.until(lambda: "ready" in one.output, "ready")
    found = one.until(lambda: len(supervisors(one.pid)) == 2 and supervisors(one.pid), "two supervisors")
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in found:
            os.kill(pid, number)
    one.until(lambda: not supervisors(one.pid), "their end")
    one.process.stdin.write(b"go\n")
    one.process.stdin.close()
    assert one.wait() == 0
    assert one.output.splitlines()[-1] == str({17: "done", 18: "done", 19: "done", 20: "ENOSYS",
                                               107: "done", 110: "done"}) + " ENOSYS"


# Programs and descriptors.

def test_a_new_title_changes_no_rule(supervised, silent_listener):
    """A program is what execve() started, for all its threads and children."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import ctypes, os, socket, threading, time
address = ("127.0.0.1", {listener.getsockname()[1]})
def connect():
    kept.append(socket.create_connection(address))
kept = []
connect()
start = int(open("/proc/self/stat").read().rsplit(") ", 1)[1].split()[45])
end = int(open("/proc/self/stat").read().rsplit(") ", 1)[1].split()[46])
ctypes.memset(start, 0, end - start)
ctypes.memmove(start, b"renamed", 7)
for _ in range(40):
    threads = [threading.Thread(target=connect) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
if os.fork() == 0:
    for socket_of_parent in kept:
        socket_of_parent.close()
    connect()
    print("ready", flush=True)
time.sleep(60)
"""], """rules = ( { match = { role = "connect"; command = "*import ctypes*"; };
                     set = { TCP_SYNCNT = 3; }; } );""")
    one.until(lambda: "ready" in one.output, "ready")
    clients = [each for each in one.tcp() if each.remote]
    assert len(clients) == 82
    for each in clients:
        has(each, {"TCP_SYNCNT": 3})


def test_few_descriptors(supervised, silent_listener):
    """All programs are tuned, although the supervisor may have only 40 descriptors."""
    listener = silent_listener("inet")
    one = supervised([program("python3"), "-c", f"""
import os, socket
for _ in range(90):
    if os.fork() == 0:
        client = socket.socket()  # create_connection() would import a module in each of them
        client.connect(("127.0.0.1", {listener.getsockname()[1]}))
        os.write(1, b"tuned\\n" if client.getsockopt(6, 7) == 3 else b"untuned\\n")
        client.recv(1)
os.write(1, b"ready\\n")
os.wait()
"""], 'rules = ( { match = { role = "connect"; }; set = { TCP_SYNCNT = 3; }; } );',
                     wrapper=["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"])
    one.until(lambda: "ready" in one.output and one.output.count("tuned") >= 90, "90 connections")
    assert "untuned" not in one.output and "looked into" not in one.output


@pytest.mark.parametrize("way", ["subreaper", "init"])
def test_no_stranger_among_the_children(way, supervised):
    """A subreaper, or PID 1 of a container, can wait until it has no children."""
    wait = """
import os, sys
if os.fork() == 0:
    os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
print("no children", flush=True)
os.kill(os.getpid(), 0)
sys.exit(7)
"""
    rules = 'rules = ( { match = { role = "connect"; }; set = { TCP_SYNCNT = 3; }; } );'
    if way == "init":
        wrapper = ["unshare", "--user", "--map-root-user", "--fork", "--pid", "--mount-proc"]
        if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
            pytest.skip("not permitted to this user")
    else:
        wrapper = [program("python3"), "-c", """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])"""]
    one = supervised([program("python3"), "-c", wait], rules, wrapper=wrapper)
    assert one.wait(20) == 7
    assert "no children" in one.output


# What is printed.

def test_warnings_of_every_program(supervised):
    """A shell that starts the program hides nothing."""
    one = supervised(["sh", "-c", f"{program('python3')} -c 'import socket; "
                      "socket.socket().setsockopt(6, 1, 1)'; true"],
                     """program = "python3";
                        rules = ( { match = { role = "accept"; }; set = { SO_PRIORITY = 5; }; } );""")
    assert one.wait() == 0
    assert one.output.count("under --supervise, SO_PRIORITY") == 1


def test_go_gets_mptcp(built, supervised):
    """A transport is chosen at socket(), which is not supervised: Go is asked for it by GODEBUG."""
    one = supervised([built("talk.go")], """rules = (
        { set = { transport = "mptcp"; SO_KEEPALIVE = true; }; } );""")
    one.until(lambda: "ready" in one.output, "ready")
    environment = pathlib.Path(f"/proc/{one.pid}/environ").read_bytes()
    assert b"GODEBUG=multipathtcp=1\0" in environment
