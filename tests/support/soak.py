# SPDX-License-Identifier: MIT
"""A helper under churn: programs that start, connect, execute others, and are killed, also in their
own namespaces; queries whose answers are read or not; invalid messages; SIGHUP. Meanwhile another
user attacks the helper (attacker.py), and a long-lived program's helper is replaced again and
again. At the end, memory and descriptors are as before, the figures of an idle program are
unchanged, root's sums contain nothing that the attacker claimed, the log is short, and no answer
was late.

A leak grows in every round. A buffer that must be larger on a busy machine grows once. So if memory
has grown, the round is repeated, up to ROUNDS times, and it is a leak only if it grew each time.

soak.py SECONDS: a line at each interval; exit status 1 if something has grown.
"""
import collections
import contextlib
import itertools
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import churn
import kernel
import socktuned
from started import BUILD, enter_network_namespace, preloaded

GROWTH_MAX_KIB = 1024  # of memory: differences between allocators
MALLORY = (4242, 4243)  # users that do not exist here
LOG_LINES_MAX = 22     # about one user, in ten seconds
LATE = 5               # seconds
HELD = 10              # connections of the idle program
INTERVALS = 10
ROUNDS = 3

# Connects to itself for each line of input.
CONNECTS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
for line in sys.stdin:
    with socket.create_connection(listener.getsockname()), listener.accept()[0]:
        print("connected", flush=True)
"""
EXECUTES = """
import os, socket, sys
socket.create_server(("127.0.0.1", 0))
left = int(sys.argv[1])
if left:
    os.execv(sys.executable, sys.orig_argv[:-1] + [str(left - 1)])
"""


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors_at_rest(pid):
    """The minimum of several counts: a connection may be about to close."""
    counts = []
    for _ in range(10):
        counts.append(descriptors(pid))
        time.sleep(0.05)
    return min(counts)


class Soak:
    """A helper, and its attackers, each a thread that repeats its actions."""

    def __init__(self, helper, directory):
        self.helper, self.directory = helper, directory
        self.over, self.failed = threading.Event(), []
        self.done = collections.Counter()  # how often each action was done
        self.slowest, self.begun = 0.0, time.monotonic()
        (directory / "rules.conf").write_text(churn.REPORT, encoding="ascii")
        subprocess.run([BUILD / "socktune", "compile", directory / "rules.conf", "-o",
                        directory / "rules"], check=True)

    def environment(self, helper=None):
        place = helper.directory if helper else self.helper.directory
        return {**preloaded(None, None), "LD_PRELOAD": str(BUILD / "libsocktune.so"),
                "SOCKTUNE_RULES": str(self.directory / "rules"),
                "SOCKTUNE_HELPER": str(place / "helper.sock")}

    def start(self, command, **keywords):
        return subprocess.Popen([str(word) for word in command], env=self.environment(),
                                stdout=subprocess.DEVNULL, start_new_session=True, **keywords)

    # Repeated actions.

    def connect(self, count=300, how=None):
        how = how or (random.choice(["several", "fork", "pass"]),
                      random.choice(["inet", "inet6", "mapped", "mptcp"]),
                      random.choice(["client", "server", "client-resets", "server-resets"]))
        assert self.start([BUILD / "tests/hosts/churn", *how, 2, count]).wait(60) == 0, how

    def be_killed(self):
        program = self.start([BUILD / "tests/hosts/churn", "several", "inet", "client", 2, 100000])
        time.sleep(random.uniform(0.05, 0.5))
        os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def execute(self):
        assert self.start(["/usr/bin/python3", "-c", EXECUTES, "3"]).wait(60) == 0

    def move(self):
        """In its own network namespace."""
        apart = enter_network_namespace if os.geteuid() == 0 else None
        assert self.start([BUILD / "tests/hosts/churn", "several", "inet", "client", 1, 50],
                          preexec_fn=apart).wait(60) == 0
        time.sleep(0.5)

    def ask(self):
        for path in ("/v1/connections", "/v1/connections?closed=1", "/v1/processes", "/v1/rules",
                     "/v1/status", "/metrics", "/nowhere"):
            self.helper.get(path)
        with socket.socket(socket.AF_UNIX) as client:  # never reads the answer
            client.connect(str(self.helper.socket))
            client.sendall(b"GET /v1/connections?closed=1 HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.helper.socket))
            client.sendall(random.choice([b"", b"GET /me", b"\0\xff\r\n\r\n"]))
        time.sleep(0.05)

    def talk_nonsense(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(str(self.helper.directory / "helper.sock"))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(random.randbytes(random.randint(1, 100)))
        time.sleep(0.1)

    def reload(self):
        self.helper.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)

    def attack(self):
        """As another user, if permitted: root's attacks could belong to any user."""
        if os.geteuid() != 0:
            return time.sleep(1)
        user = str(random.choice(MALLORY))
        program = subprocess.Popen(
            ["setpriv", "--reuid", user, "--regid", user, "--clear-groups",
             "/usr/bin/python3", str(pathlib.Path(__file__).parent / "attacker.py"),
             str(self.helper.directory), str(self.helper.port)], start_new_session=True)
        time.sleep(random.uniform(1, 3))
        assert program.poll() is None, "the attacker gave up"
        os.killpg(program.pid, signal.SIGKILL)
        return program.wait(10)

    def be_served(self):
        begin = time.monotonic()
        assert self.helper.get("/healthz").text == "ok\n"
        self.slowest = max(self.slowest, time.monotonic() - begin)
        time.sleep(0.1)

    # Running them all.

    def again_and_again(self, what):
        try:
            while not self.over.is_set():
                what()
                self.done[what.__name__] += 1
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failed.append(f"{what.__name__}: {error!r}")

    def trouble(self, seconds, also=(), tell=lambda: None):
        """Run all actions, and those of `also`, for at least `seconds`, and until each was done
        twice, however busy the machine is. `tell` is called at each interval."""
        self.over.clear()
        things = [self.connect, self.be_killed, self.execute, self.move, self.ask,
                  self.talk_nonsense, self.reload, self.attack, self.be_served, *also]
        threads = [threading.Thread(target=self.again_and_again, args=(what,)) for what in things]
        before = self.done.copy()
        for thread in threads:
            thread.start()
        for _ in range(INTERVALS):
            time.sleep(seconds / INTERVALS)
            tell()

        def missing():
            return [what.__name__ for what in things
                    if self.done[what.__name__] - before[what.__name__] < 2]
        kernel.until(lambda: self.failed or not missing(),
                     lambda: f"not done twice: {missing()}", 240, 0.1)
        self.over.set()
        for thread in threads:
            thread.join(100)
        assert not self.failed, self.failed

    def rest(self):
        """Memory and descriptors of the helper when all programs except the bystander have
        ended."""
        kernel.until(lambda: self.helper.status()["clients"] == 1,
                     lambda: f"clients left: {self.helper.get('/v1/processes').text}", 60)
        least = [10 ** 6]

        def settled():
            least.append(self.helper.descriptors())
            return min(least[-20:]) == max(least[-20:])
        kernel.until(settled, "descriptors come and go", 60, 0.05)
        return self.helper.memory(), least[-1]


class Bystander:
    """An idle program that holds connections during the attacks."""

    def __init__(self, soak):
        self.soak = soak
        self.program = subprocess.Popen(
            ["/usr/bin/python3", "-c", socktuned.TALKER, str(HELD), "127.0.0.1"], text=True,
            env=soak.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.program.stdout.readline().split()[1])
        self.figures = kernel.until(lambda: len(self.now()) == 2 * HELD + 1 and self.now(),
                                    "the bystander is known", 20)

    def now(self):
        shown = self.soak.helper.connections()
        return sorted((one["role"], one["uid"], one["program"],
                       one.get("tcp_info", {}).get("bytes_acked", 0) // 500)
                      for one in shown if one["data"] == "sample" and self.port in
                      (one["local"]["port"], one.get("remote", {}).get("port")))

    def wrongs(self):
        """What the attacks have changed, as lines."""
        soak = self.soak
        sums = soak.helper.get("/v1/rules").json["rules"]
        lines = sum("of user 424" in line for line in soak.helper.log().splitlines())
        most = LOG_LINES_MAX * len(MALLORY) * (1 + (time.monotonic() - soak.begun) / 10)
        return [text for wrong, text in (
            (self.now() != self.figures, f"the bystander's figures were {self.figures}, are {self.now()}"),
            (any(one["program"] == "victim" and one["uid"] not in MALLORY for one in sums),
             "what the attacker claimed counts for another user"),
            (lines > most, f"{lines} lines of the log are about the attackers"),
            (soak.slowest > LATE, f"an answer took {soak.slowest:.1f} s")) if wrong]

    def end(self):
        self.program.communicate("\n\n", timeout=10)


class Survivor:
    """A program that continues while its helper exits and is started again."""

    def __init__(self, soak, port):
        self.port, self.place, self.over = port, soak.directory / "other", soak.over
        self.place.mkdir()
        self.helper = socktuned.Helper(self.place, port=port)
        self.program = subprocess.Popen(["/usr/bin/python3", "-c", CONNECTS], text=True,
                                        env=soak.environment(self.helper),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.until_reported()
        self.descriptors = descriptors_at_rest(self.program.pid)
        self.memory = kernel.memory(self.program.pid)

    def reported(self):
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        assert self.program.stdout.readline() == "connected\n"
        return self.helper.status()["records"] > 0

    def until_reported(self):
        """A program whose helper is restarted retries up to a minute apart."""
        kernel.until(lambda: self.reported() or self.over.is_set(),
                     "a program that finds its helper again", 90, 0.1)

    def restart(self):
        assert self.helper.stop() == 0
        self.helper = socktuned.Helper(self.place, port=self.port)
        self.until_reported()

    def end(self):
        """What has grown in the program, as text; "" if nothing has."""
        grown = (kernel.memory(self.program.pid) - self.memory,
                 descriptors_at_rest(self.program.pid) - self.descriptors)
        self.program.communicate(timeout=10)
        self.helper.stop()
        return "" if grown[0] <= GROWTH_MAX_KIB and grown[1] == 0 else \
            f"the program that survived has grown by {grown[0]} KiB, {grown[1]} descriptors"


def rounds(one, seconds, line, survivor):
    """Yield memory and descriptors at rest: after a warm-up, then after each round."""
    warm_up = min(seconds / 4, 30)
    one.trouble(warm_up)
    yield one.rest()
    while True:
        one.trouble(seconds - warm_up, [survivor.restart], line)
        yield one.rest()


def soak(seconds, ports, tell=print):
    """What has grown, as lines; an empty list is success. `ports`: two for --metrics."""
    wrong = []
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        helper = stack.enter_context(socktuned.running(ports[0], "--history", "100"))
        one = Soak(helper, directory)
        survivor = Survivor(one, ports[1])
        bystander = Bystander(one)
        stack.callback(bystander.program.kill)
        stack.callback(survivor.program.kill)
        for count in itertools.repeat(3000, 4):  # until every table has its final size
            one.connect(count)
        # More at a time than later: the helper learns of the ends of MPTCP connections seconds
        # later.
        one.connect(8000, ("several", "mptcp", "client"))
        started = time.monotonic()

        def line():
            status = helper.status()
            tell(f"{time.monotonic() - started:4.0f} s: {status['records']} records, "
                 f"{status['connections']} connections, {status['clients']} processes, "
                 f"{status['namespaces']} namespaces; {helper.memory()} KiB, {helper.descriptors()} "
                 f"descriptors; {sum(one.done.values())} things done, "
                 f"{one.done['restart']} restarts")
        rests = []
        for rest in rounds(one, seconds, line, survivor):
            tell(f"at rest: {rest[0]} KiB, {rest[1]} descriptors")
            rests.append(rest)
            growth = [after[0] - before[0] for before, after in itertools.pairwise(rests)]
            if growth and growth[-1] <= GROWTH_MAX_KIB:
                break
            if len(growth) == ROUNDS:
                wrong.append(f"memory has grown by {growth} KiB")
                break
        if rests[-1][1] > rests[0][1]:
            wrong.append(f"descriptors were {rests[0][1]} and are {rests[-1][1]}")
        wrong += [text for text in [*bystander.wrongs(), survivor.end(), *one.failed] if text]
        bystander.end()
    return wrong


def main():
    with socket.create_server(("127.0.0.1", 0)) as one, \
            socket.create_server(("127.0.0.1", 0)) as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
    wrong = soak(float(sys.argv[1]), ports, lambda line: print(line, flush=True))
    for line in wrong:
        print(f"soak: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
