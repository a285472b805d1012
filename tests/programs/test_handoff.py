# SPDX-License-Identifier: MIT
"""handoff = "socket" and "auto": the connection itself is passed to the helper until it has been
read. The helper's values must equal the kernel's. Whatever the helper does, the program never waits
and loses nothing, and its connections end when it closes them."""
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import time

import kernel
import pytest
import socktuned
import strace
from conftest import enter_network_namespace, needs_root, preloaded, program
from hostile import assert_unharmed, run

IN_FLIGHT = 8
SOCKET, AUTO = (f"""program = "python3";
rules = ( {{ name = "all"; match = {{ protocol = ["tcp", "mptcp"]; }};
             set = {{ SO_KEEPALIVE = true; TCP_KEEPIDLE = "111s"; }};
             report = true; handoff = "{way}"; }} );
""" for way in ("socket", "auto"))
ANY = SOCKET.replace('program = "python3";', "")

# Connects to PORT once for each line of input, and prints the duration.
CONNECTOR = """
import socket, sys, time
for line in sys.stdin:
    begin = time.monotonic()
    for _ in range(int(line)):
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
            client.sendall(b"x")
    print("made", time.monotonic() - begin, flush=True)
"""


@pytest.fixture
def helper(free_port):
    with socktuned.running(free_port()) as one:
        yield one
        with contextlib.suppress(ProcessLookupError):
            one.process.send_signal(signal.SIGCONT)


@pytest.fixture
def begin(start, helper):
    """Start Python code under rules, with pipes: begin(code, arguments, rules, wrapper=...)."""
    def start_python(code, *arguments, rules=SOCKET, wrapper=(), **keywords):
        return start([*wrapper, program("python3"), "-c", code, *arguments], rules,
                     env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"},
                     stdin=subprocess.PIPE, **keywords)
    return start_python


@pytest.fixture
def rules(rule_file):
    return {"socket": rule_file(SOCKET, "socket.conf"), "auto": rule_file(AUTO, "auto.conf"),
            "any": rule_file(ANY, "any.conf")}


def tell(one, line=""):
    one.process.stdin.write(f"{line}\n".encode())
    one.process.stdin.flush()


def handed(helper, count):
    """The connections, after so many were handed over."""
    def there():
        found = [one for one in helper.connections() if "values" in one["options"]]
        return found if len(found) >= count else None
    return helper.until(there, f"{count} handed over")


def handoffs(helper):
    return helper.get("/v1/status").json["handoffs"]


@contextlib.contextmanager
def peer():
    """A listener of the test, and its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(10)
        yield listener, listener.getsockname()[1]


def ended(accepted, timeout=0.0):
    """Has the other side ended the connection?"""
    accepted.settimeout(timeout)
    try:
        while accepted.recv(100):
            continue
        return True
    except (BlockingIOError, TimeoutError):
        return False


@pytest.mark.slow
def test_programs_that_start_while_the_helper_is_stopped(helper, start, rules):
    """Their connections end with them: nothing is passed to a helper that has not answered yet,
    although its socket would accept it."""
    with peer() as (listener, port):
        listener.listen(400)
        os.killpg(helper.pid, signal.SIGSTOP)
        try:
            code = f"for i in $(seq 300); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'; done"
            one = start([program("bash"), "-c", code], rules["any"], env=helper.environment)
            one.process.wait(120)
            for _ in range(300):
                accepted, _ = listener.accept()
                with accepted:
                    assert ended(accepted, 5)
        finally:
            os.killpg(helper.pid, signal.SIGCONT)


# Values that the helper reads.

def held(helper, start, rules):
    """A program with two connections to itself: its sockets by address, and the helper's
    connections."""
    one, _ = socktuned.talk(start, rules, helper, 2)
    sockets = {(at.local[1], at.remote[1]): at for at in kernel.tcp_sockets(one.pid)
               if not at.listens}
    return sockets, handed(helper, 4)


def test_values_are_what_the_kernel_holds(helper, start, rules, socktune):
    sockets, connections = held(helper, start, rules["socket"])
    assert len(connections) == 4
    for one in connections:
        values = one["options"]["values"]
        at = sockets[one["local"]["port"], one["remote"]["port"]]
        asked = set(kernel.OPTIONS) & set(values) - {
            "SO_SNDBUF", "SO_RCVBUF", "SO_INCOMING_CPU", "TCP_MAXSEG"}  # the kernel changes them
        assert len(asked) >= 10 and len(values) > 40
        assert {name: values[name] for name in asked} == {name: at.option(name) for name in asked}
        assert (values["SO_KEEPALIVE"], values["TCP_KEEPIDLE"]) == (1, 111)
        assert one["data"] == "sample" and one["tcp_info"]["rtt"] > 0
    listening, = [one for one in helper.connections() if one["role"] == "listen"]
    assert "values" not in listening["options"]
    told = json.loads(socktune("stats", "--json", env={
        "SOCKTUNE_HELPER": str(helper.directory / "helper.sock")}).stdout)["connections"]
    assert {one["id"]: one["options"] for one in told} == {
        one["id"]: one["options"] for one in helper.connections()}
    assert handoffs(helper) == {"taken": 4, "withheld": 0}


def test_ring_and_auto_hand_nothing_over(helper, start, rules):
    socktuned.talk(start, rules["auto"], helper, 2)
    helper.until(lambda: len(helper.connections()) == 5, "reported")
    assert all("values" not in one["options"] for one in helper.connections())
    assert handoffs(helper) == {"taken": 0, "withheld": 0}


def test_mptcp(helper, begin, rules):
    one = begin("""
import socket, sys
try:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
except OSError:
    print("none", flush=True); sys.exit()
listener.bind(("127.0.0.1", 0)); listener.listen()
pairs = []
for _ in range(2):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    client.connect(listener.getsockname())
    pairs.append((client, listener.accept()[0]))
print("open", flush=True)
sys.stdin.readline()
""", rules=rules["socket"])
    one.until(lambda: one.output.endswith("\n"), "started")
    if "none" in one.output:
        pytest.skip("no MPTCP")
    for connection in handed(helper, 4):
        assert connection["protocol"] == "mptcp" and connection["tcp_info"]["snd_mss"] > 0
        assert connection["options"]["values"]["TCP_KEEPIDLE"] == 111


def test_not_dumpable(helper, begin, rules):
    with peer() as (listener, port):
        one = begin("import ctypes; ctypes.CDLL(None).prctl(4, 0)\n" + CONNECTOR, str(port),
                    rules=rules["socket"])
        tell(one, 3)
        for _ in range(3):
            assert ended(listener.accept()[0], 10)
        helper.until(lambda: handoffs(helper)["taken"] == 3, "taken")


# Environments without sock_diag.

@pytest.mark.parametrize("error", ["EPROTONOSUPPORT", "EACCES"])
def test_auto_without_sock_diag(helper, start, build, rules, error):
    one, _ = socktuned.talk(start, rules["auto"], helper, 1, wrapper=[
        build.hosts / "blind", str(getattr(errno, error))])
    for connection in handed(helper, 2):
        assert connection["tcp_info"]["bytes_sent"] >= 0
        assert connection["options"]["values"]["TCP_KEEPIDLE"] == 111
    socktuned.next_step(one)  # the helper's own sock_diag is used
    one.until(lambda: "closed" in one.output, "closed")
    helper.until(lambda: {end["data"] for end in helper.connections("closed=1")} == {"final"},
                 "finals")


def test_nobody_has_sock_diag(helper, start, build, rules):
    """In a separate namespace: the handed-over values stay, and the program reports the end."""
    needs_root("makes a network namespace")
    one, _ = socktuned.talk(start, rules["auto"], helper, 1, preexec_fn=enter_network_namespace,
                            wrapper=[build.hosts / "blind", str(errno.EACCES)])
    assert len(handed(helper, 2)) == 2
    listening, = [at for at in helper.connections() if at["role"] == "listen"]
    assert listening["data"] == "none"
    socktuned.next_step(one)
    one.until(lambda: "closed" in one.output, "closed")
    time.sleep(1.5)
    assert len(helper.connections()) == 3, "nothing tells of an end"
    one.process.kill()
    helper.until(lambda: not helper.connections(), "lost")
    lost = helper.connections("closed=1")
    assert [at["data"] for at in lost] == ["lost"] * 3
    assert sum("tcp_info" in at for at in lost) == 2
    helper.until(lambda: not helper.get("/v1/processes").json["processes"], "let go")


# No harm.

def test_ends_are_not_withheld(helper, begin, rules):
    with peer() as (listener, port):
        one = begin(CONNECTOR, str(port), rules=rules["socket"])
        tell(one, 100)
        for _ in range(100):
            with listener.accept()[0] as accepted:
                assert ended(accepted, 10)
        one.until(lambda: "made" in one.output, "made")
    helper.until(lambda: sum(handoffs(helper).values()) == 100, "all told")
    assert handoffs(helper)["taken"] >= IN_FLIGHT
    assert handoffs(helper) != {"taken": 0, "withheld": 100}


def test_stopped_helper(helper, begin, rules):
    """All processes of the helper stop. Only a few connections are in flight, and the program does
    not wait; they end with the helper."""
    with peer() as (listener, port), contextlib.ExitStack() as opened:
        one = begin(CONNECTOR, str(port), rules=rules["socket"])
        tell(one, 1)
        opened.enter_context(listener.accept()[0])
        helper.until(lambda: handoffs(helper)["taken"] == 1, "taken")
        os.killpg(helper.process.pid, signal.SIGSTOP)
        tell(one, 60)
        accepted = [opened.enter_context(listener.accept()[0]) for _ in range(60)]
        one.until(lambda: one.output.count("made") == 2, "it waits")
        kernel.until(lambda: sum(map(ended, accepted)) >= 60 - IN_FLIGHT, lambda: "withheld")
        assert sum(map(ended, accepted)) == 60 - IN_FLIGHT
        helper.process.kill()
        helper.process.wait()
        kernel.until(lambda: all(map(ended, accepted)), lambda: "not ended with the helper")
        tell(one, 5)
        assert all(ended(opened.enter_context(listener.accept()[0]), 10) for _ in range(5))


def test_stopped_main_process(helper, begin, rules):
    """The receiver process closes handed-over connections, whatever the rest of the helper does."""
    with peer() as (listener, port), contextlib.ExitStack() as opened:
        one = begin(CONNECTOR, str(port), rules=rules["socket"])
        tell(one, 1)
        opened.enter_context(listener.accept()[0])
        helper.until(lambda: handoffs(helper)["taken"] == 1, "taken")
        helper.process.send_signal(signal.SIGSTOP)
        tell(one, 60)
        accepted = [opened.enter_context(listener.accept()[0]) for _ in range(60)]
        kernel.until(lambda: all(map(ended, accepted)), lambda: "not ended")
        helper.process.send_signal(signal.SIGCONT)
        helper.until(lambda: sum(handoffs(helper).values()) == 61, "all told")


def test_goes_on_after_a_stop(helper, begin, rules):
    with peer() as (listener, port):
        one = begin(CONNECTOR, str(port), rules=rules["socket"])
        helper.until(lambda: helper.status()["clients"] == 1, "it has been answered")
        os.killpg(helper.process.pid, signal.SIGSTOP)
        tell(one, 20)
        accepted = [listener.accept()[0] for _ in range(20)]
        one.until(lambda: "made" in one.output, "made")
        os.killpg(helper.process.pid, signal.SIGCONT)
        kernel.until(lambda: all(map(ended, accepted)), lambda: "not ended")
        helper.until(lambda: handoffs(helper) == {"taken": IN_FLIGHT, "withheld": 20 - IN_FLIGHT},
                     "counted")
        tell(one, 1)
        assert ended(listener.accept()[0], 10)
        helper.until(lambda: handoffs(helper)["taken"] == IN_FLIGHT + 1, "taken again")


def test_listener_restarts_at_once(helper, begin, rules):
    os.killpg(helper.process.pid, signal.SIGSTOP)
    one = begin("""
import socket
port = 0
for _ in range(5):
    listener = socket.create_server(("127.0.0.1", port))
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    listener.accept()[0].close()
    client.close()
    listener.close()
print("done", flush=True)
""", rules=rules["socket"])
    assert one.wait() == 0 and "done" in one.output


@pytest.mark.slow
def test_nothing_changes(build, compiled, helper):
    """Descriptors, results and errno, also if few descriptors are left."""
    policy = compiled(ANY)
    told = preloaded(build, policy, SOCKTUNE_HELPER=str(helper.directory / "helper.sock"))
    for name in ("plain", "nofile", "vforked", "signals", "closeall"):
        assert_unharmed(run([build.hosts / name], preloaded(build, None)),
                        run([build.hosts / name], told))
    assert handoffs(helper)["taken"] > 0


def test_confined_program_hands_nothing_over(helper, begin, rules):
    """A filter may kill the program for a call that it never makes itself."""
    with peer() as (_, port):
        one = begin("import ctypes; ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n" + CONNECTOR,
                    str(port), rules=rules["socket"])
        tell(one, 3)
        helper.until(lambda: handoffs(helper) == {"taken": 0, "withheld": 3}, "withheld")


def test_lingering_sockets_are_withheld(helper, begin, rules):
    """close() on such a socket waits for its data, or resets: it must not be held by another
    process."""
    with peer() as (listener, port):
        one = begin("""
import socket, struct, sys
for seconds in (0, 5):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    client.connect(("127.0.0.1", int(sys.argv[1])))
    client.close()
print("done", flush=True)
""", str(port), rules=rules["socket"])
        assert one.wait() == 0
        listener.accept()
    helper.until(lambda: handoffs(helper) == {"taken": 0, "withheld": 2}, "withheld")
    process, = helper.get("/v1/processes").json["processes"]
    assert process["handoffs"] == {"taken": 0, "withheld": 2}


def test_system_calls(build, compiled, helper, directory):
    """Each handoff is a socket, a connect, a sendmsg and a close, and no call that may wait."""
    counts = {}
    for way in ("ring", "socket"):
        environment = preloaded(build, compiled(SOCKET.replace('"socket"', f'"{way}"'), f"{way}.conf"),
                                SOCKTUNE_HELPER=str(helper.directory / "helper.sock"))
        output = directory / f"{way}.strace"
        with peer() as (_, port):
            subprocess.run([*strace.command(output, environment), program("python3"), "-S", "-E",
                            "-c", CONNECTOR, str(port)], input=b"10\n", check=True, timeout=60,
                           stdout=subprocess.DEVNULL)
        calls = strace.read(output)
        counts[way] = strace.count(calls, ("socket", "connect", "sendmsg", "close", "getsockopt",
                                           "recvmsg", "poll"))
        assert all("MSG_DONTWAIT|MSG_NOSIGNAL" in str(call) for call in calls
                   if call.name == "sendmsg")
    withheld = handoffs(helper)["withheld"]
    more = {name: counts["socket"][name] - counts["ring"][name] for name in counts["ring"]}
    passed = 10 - withheld
    # Two getsockopt: the connection's cookie, and SO_PEERCRED of the helper.
    assert more == {"socket": passed, "connect": passed, "sendmsg": passed, "close": passed,
                    "getsockopt": 2 * passed, "recvmsg": 0, "poll": 0}
