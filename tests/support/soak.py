# SPDX-License-Identifier: MIT
"""A helper under churn: programs that come, connect, execute others, are killed; in namespaces of
their own; queries that are read and that are not; nonsense; SIGHUP. And a program that lives on
while its helper is replaced again and again. At the end, memory and descriptors are what they were.

soak.py SECONDS: a line at each interval; status 1 where something has grown.
"""
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

GROWTH_MAX_KIB = 1024  # of memory: what allocators differ by
INTERVALS = 10

# Connects to itself for each line that it is told.
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


def memory(pid):
    """Anonymous memory in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("RssAnon"))


class Soak:
    """A helper, and those who trouble it, each a thread that does one thing after the other."""

    def __init__(self, helper, directory):
        self.helper, self.directory = helper, directory
        self.over, self.failed, self.done = threading.Event(), [], 0
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

    # --- what is done again and again ---------------------------------------------------------

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
        """In a network namespace of its own."""
        apart = enter_network_namespace if os.geteuid() == 0 else None
        assert self.start([BUILD / "tests/hosts/churn", "several", "inet", "client", 1, 50],
                          preexec_fn=apart).wait(60) == 0
        time.sleep(0.5)

    def ask(self):
        for path in ("/v1/connections", "/v1/connections?closed=1", "/v1/processes", "/v1/rules",
                     "/v1/status", "/metrics", "/nowhere"):
            self.helper.get(path)
        with socket.socket(socket.AF_UNIX) as client:  # who does not read the answer
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

    # --- all of it ------------------------------------------------------------------------------

    def again_and_again(self, what):
        try:
            while not self.over.is_set():
                what()
                self.done += 1
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failed.append(f"{what.__name__}: {error!r}")

    def trouble(self, seconds, tell=lambda: None):
        """So long; `tell` is called at each interval."""
        self.over.clear()
        threads = [threading.Thread(target=self.again_and_again, args=(what,)) for what in
                   (self.connect, self.be_killed, self.execute, self.move, self.ask,
                    self.talk_nonsense, self.reload)]
        for thread in threads:
            thread.start()
        for _ in range(INTERVALS):
            time.sleep(seconds / INTERVALS)
            tell()
        self.over.set()
        for thread in threads:
            thread.join(60)
        assert not self.failed, self.failed

    def rest(self):
        """Memory and descriptors of the helper when all programs are gone."""
        kernel.until(lambda: self.helper.get("/v1/status").json["clients"] == 0,
                     lambda: f"clients left: {self.helper.get('/v1/processes').text}", 60)
        least = [10 ** 6]

        def settled():
            least.append(descriptors(self.helper.process.pid))
            return min(least[-20:]) == max(least[-20:])
        kernel.until(settled, "descriptors come and go", 60, 0.05)
        return memory(self.helper.process.pid), least[-1]


class Survivor:
    """A program that lives on, while the helper that it reports to ends and starts anew."""

    def __init__(self, soak, port):
        self.port, self.place, self.over = port, soak.directory / "other", soak.over
        self.place.mkdir()
        self.helper = socktuned.Helper(self.place, port)
        self.program = subprocess.Popen(["/usr/bin/python3", "-c", CONNECTS], text=True,
                                        env=soak.environment(self.helper),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.restarts = 0
        self.until_reported()
        self.descriptors = descriptors(self.program.pid)
        self.memory = memory(self.program.pid)

    def reported(self):
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        assert self.program.stdout.readline() == "connected\n"
        return self.helper.get("/v1/status").json["records"] > 0

    def until_reported(self):
        """The tries of a program whose helper comes and goes are up to a minute apart."""
        kernel.until(lambda: self.reported() or self.over.is_set(),
                     "a program that finds its helper again", 90, 0.1)

    def restart(self):
        assert self.helper.stop() == 0
        self.helper = socktuned.Helper(self.place, self.port)
        self.until_reported()
        self.restarts += not self.over.is_set()

    def end(self):
        """What has grown in the program, as text; "" for nothing."""
        grown = (memory(self.program.pid) - self.memory,
                 descriptors(self.program.pid) - self.descriptors)
        self.program.communicate(timeout=10)
        self.helper.stop()
        return "" if grown[0] <= GROWTH_MAX_KIB and grown[1] == 0 else \
            f"the program that survived has grown by {grown[0]} KiB, {grown[1]} descriptors"


def soak(seconds, ports, tell=print):
    """What has grown, as lines; none is good. `ports`: two for --metrics."""
    wrong = []
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        helper = stack.enter_context(socktuned.running(ports[0], "--history", "100"))
        one = Soak(helper, directory)
        survivor = Survivor(one, ports[1])
        stack.callback(survivor.program.kill)
        restarter = threading.Thread(target=one.again_and_again, args=(survivor.restart,))
        for count in itertools.repeat(3000, 4):  # every table has its size
            one.connect(count)
        # More at a time than later: of MPTCP, the helper learns of an end seconds afterwards.
        one.connect(8000, ("several", "mptcp", "client"))
        warm_up = min(seconds / 4, 30)
        one.trouble(warm_up)
        begin = one.rest()
        tell(f"at rest: {begin[0]} KiB, {begin[1]} descriptors")
        started = time.monotonic()

        def line():
            status = helper.get("/v1/status").json
            pid = helper.process.pid
            tell(f"{time.monotonic() - started:4.0f} s: {status['records']} records, "
                 f"{status['connections']} connections, {status['clients']} processes, "
                 f"{status['namespaces']} namespaces; {memory(pid)} KiB, {descriptors(pid)} "
                 f"descriptors; {one.done} things done, {survivor.restarts} restarts")
        one.over.clear()
        restarter.start()
        one.trouble(seconds - warm_up, line)
        restarter.join(100)
        end = one.rest()
        tell(f"at rest: {end[0]} KiB, {end[1]} descriptors")
        if end[0] - begin[0] > GROWTH_MAX_KIB:
            wrong.append(f"memory has grown by {end[0] - begin[0]} KiB")
        if end[1] != begin[1]:
            wrong.append(f"descriptors were {begin[1]} and are {end[1]}")
        if not survivor.restarts:
            wrong.append("the other helper was never replaced")
        wrong += [text for text in [survivor.end(), *one.failed] if text]
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
