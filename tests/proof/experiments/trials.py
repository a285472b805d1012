# SPDX-License-Identifier: MIT
"""Trials: do they find existing differences, and no others?"""
import json
import re
import statistics
import subprocess
import sys
import time

from experiment import Experiment, Needs, Outcome, Table
from link import Path
from linked import open_link, start
from started import BUILD

RULE = """{{ name = "{name}"; match = {{ program = "python3*"; role = "connect"; {match} }};
    trial = {{ arms = ( {{ name = "as it is"; }}, {{ name = "other"; {other} }} );
              unit = "{unit}"; metric = "{metric}"; seed = {seed}; {more} }}; }}"""

# Reads from each connection until its end.
SINK = """
import socket, sys, threading
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
def drain(peer):
    while peer.recv(1 << 16):
        pass
    peer.close()
while True:
    threading.Thread(target=drain, args=(listener.accept()[0],), daemon=True).start()
"""
# Threads that send so many bytes on one connection after the other, for so many seconds; on
# request, every second thread uses another congestion control algorithm. Prints the algorithm and
# the duration of each connection.
SOURCE = """
import json, socket, sys, threading, time
address, size, threads, seconds, mixed = json.loads(sys.argv[1])
end, told = time.monotonic() + seconds, []
def work(number):
    while time.monotonic() < end:
        with socket.socket() as one:
            if mixed:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, mixed[number % 2].encode())
            begin = time.monotonic()
            one.connect(tuple(address))
            one.sendall(b"x" * size)
            one.shutdown(socket.SHUT_WR)
            one.recv(1)
            had = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\\0")[0].decode()
            told.append((had, time.monotonic() - begin))
workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
for one in workers: one.start()
for one in workers: one.join()
print(json.dumps(told))
"""
# Answers after it has read two small writes.
SERVICE = """
import socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
def serve(peer):
    while peer.recv(20, socket.MSG_WAITALL):
        peer.sendall(b"a" * 10)
    peer.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
# COUNT connections to each of the ports in turn, with some requests of so many small writes on
# each; then waits for a line that ends it.
REQUESTS = """
import random, socket, sys, time
count, writes, pause, *ports = map(float, sys.argv[1:])
for _ in range(int(count)):
    for port in ports:
        with socket.create_connection(("127.0.0.1", int(port))) as one:
            for _ in range(2):
                for _ in range(int(writes)):
                    one.sendall(b"q" * int(20 / writes))
                one.recv(10)
            time.sleep(random.expovariate(1 / pause) if pause else 0)
print("done", flush=True)
sys.stdin.readline()
"""


def rules_of(*rules):
    return "rules = (\n" + ",\n".join(rules) + "\n);\n"


def rule(name="trial", match="", other="", unit="connection", metric="duration", seed=1, more=""):
    return RULE.format(name=name, match=match, unit=unit, metric=metric, seed=seed, more=more,
                       other=f"set = {{ {other} }};" if other else "")


class Watched:
    """A helper, and the trials that it reports."""

    def __init__(self, lab):
        self.helper = lab.helper()
        self.environment = {"SOCKTUNE_HELPER": self.helper.directory / "helper.sock"}

    def trials(self):
        return self.helper.get("/v1/trials").json["trials"]

    def look(self, seconds, done):
        """Read the first trial every second until done(trial) is true; returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            for one in self.trials():
                if done(one):
                    return one
                break
        return self.trials()[0]


def verdict_of(one):
    return one["arms"][1]["verdict"]


def told(one):
    """The comparison of a trial as a row of a table."""
    arm = one["arms"][1]
    interval = (f"{arm['low']:.3g} to {arm['high']:.3g}" if arm["high"] is not None
                else "too few pairs")
    return [str(one["connections"]), str(arm["pairs"]),
            f"{arm['ratio']:.3g}" if arm["ratio"] is not None else "none", interval, verdict_of(one)]


HEADING = ("", "connections", "pairs", "ratio", "interval", "verdict")


class Alike(Experiment):
    name = "trial-alike"
    title = "Trials of two arms that are the same"
    question = """
How often is a difference found that is not there, if one looks every second? 20 trials on loopback,
each with 100 connections, compare an arm with a copy of itself. 1,000 simulated ones, which drift, jump
and have long tails, are looked at after each pair.
"""
    needs = Needs(files=("tests/unit",))
    order = 900
    limit = 150
    TRIALS, BATCH, COUNT, PAUSE = 20, 10, 100, 0.002

    def run(self, lab):
        alarms = sum(self.alarms(lab, first) for first in range(0, self.TRIALS, self.BATCH))
        simulated = self.simulated()
        sentences = [f"Real: {alarms} of {self.TRIALS} trials found a difference.",
                     f"Simulated: {simulated} of 1,000. The nominal bound is 50."]
        if alarms > 1 + self.TRIALS * 0.05 * 2 or simulated > 50:
            raise RuntimeError(" ".join(sentences))
        return Outcome(sentences=sentences)

    def alarms(self, lab, first):
        watched = Watched(lab)
        ports = [lab.port() for _ in range(self.BATCH)]
        text = rules_of(*(rule(f"alike {first + i}", f"remote_port = {port};", seed=first + i)
                          for i, port in enumerate(ports)))
        rules = lab.rules(f"alike-{first}.conf", text, warnings=True)
        for port in ports:
            lab.start([sys.executable, "-c", SERVICE, port]).until_listening(port)
        client = lab.start(["/usr/bin/python3", "-c", REQUESTS, self.COUNT, 1, self.PAUSE, *ports],
                           rules, env=watched.environment, stdin=subprocess.PIPE)
        found = set()
        end = time.monotonic() + 60
        complete = False
        while not complete and time.monotonic() < end:
            time.sleep(1)
            trials = watched.trials()
            found |= {one["name"] for one in trials if verdict_of(one) != "undecided"}
            complete = len(trials) == self.BATCH and all(one["connections"] >= self.COUNT
                                                         for one in trials)
        client.stop()
        if not complete:
            raise RuntimeError(f"not all connections were counted: {watched.trials()}")
        return len(found)

    @staticmethod
    def simulated():
        done = subprocess.run([BUILD / "tests" / "unit", "--verbose", "--filter",
                               "trial_stats/equal_arms*"], capture_output=True, text=True,
                              timeout=60, check=False)
        found = re.search(r"differences found: (\d+) of 1000", done.stdout + done.stderr)
        if done.returncode != 0 or not found:
            raise RuntimeError(done.stdout + done.stderr)
        return int(found[1])


class OverLink:
    """A source and a sink at the ends of a link, and their results."""

    def __init__(self, lab, **path):
        self.lab, self.port = lab, lab.port()
        self.link = open_link(lab, Path("p0", **path))
        self.address = [self.link.far.address(), self.port]
        start(lab, self.link.far, [sys.executable, "-c", SINK, *self.address]).until_listening(
            self.port)

    def source(self, size, threads, seconds, mixed=None, rules=None, env=None):
        work = json.dumps([self.address, size, threads, seconds, mixed])
        return start(self.lab, self.link.near, ["/usr/bin/python3", "-c", SOURCE, work], rules,
                     env=env)

    @staticmethod
    def times(source, patience):
        """{algorithm: [seconds of each connection]}, after the source has ended."""
        source.wait(patience)
        times = {}
        for had, seconds in json.loads(source.output.splitlines()[-1]):
            times.setdefault(had, []).append(seconds)
        return times


def speeds_ratio(times):
    """How much faster bbr's connections are than reno's: the ratio of their mean rates."""
    return statistics.mean(1 / one for one in times["bbr"]) / statistics.mean(
        1 / one for one in times["reno"])


class Loss(Experiment):
    name = "trial-loss"
    title = "A trial of bbr on a link that loses packets"
    question = """
One connection after the other sends 1 MB over 100 Mbit/s with a round trip of 20 ms and a loss of
1 %. All have reno or all have bbr, by turns of 4 s. Is bbr found to be better, and by as much as the
program itself sees?
"""
    needs = Needs(link=True)
    order = 910
    limit = 150
    SECONDS = 86

    def run(self, lab):
        watched = Watched(lab)
        place = OverLink(lab, delay_us=10_000, out={"rate_bps": 100_000_000, "loss_ppm": 10_000,
                                                    "queue_bytes": 500_000})
        rules = lab.rules("loss.conf", rules_of(rule(other='TCP_CONGESTION = "bbr";', unit="4s",
                                                     metric="goodput")), warnings=True)
        source = place.source(1_000_000, 1, self.SECONDS, rules=rules, env=watched.environment)
        times = place.times(source, self.SECONDS + 30)
        one = watched.look(5, lambda trial: False)
        truth = statistics.mean(times["reno"]) / statistics.mean(times["bbr"])
        table = Table(HEADING, [["the trial", *told(one)]])
        arm = one["arms"][1]
        if verdict_of(one) != "better" or not arm["low"] * 0.8 <= truth <= arm["high"] * 1.25:
            raise RuntimeError(f"{told(one)}; the program saw {truth:.3g}")
        return Outcome(tables=[table],
                       sentences=[f"The program's own ratio of rates, over all connections, is {truth:.3g}."])


class Bottleneck(Experiment):
    name = "trial-bottleneck"
    title = "A trial of bbr where connections share a bottleneck"
    question = """
Eight connections at a time share 20 Mbit/s. Compared connection by connection, half with reno and half
with bbr, bbr takes what reno loses. (`socktune check` refuses such a trial; here the program itself sets
the option.) Compared by turns of 4 s, as a trial must, does it gain anything? (Connections are short
against the turns: 100 KB; those that compete have 300 KB.)
"""
    needs = Needs(link=True)
    order = 920
    limit = 170
    MIXED, SECONDS = 15, 74

    def run(self, lab):
        watched = Watched(lab)
        place = OverLink(lab, delay_us=10_000, out={"rate_bps": 20_000_000, "queue_bytes": 50_000})
        mixed = place.times(place.source(300_000, 8, self.MIXED, mixed=["reno", "bbr"]),
                            self.MIXED + 30)
        rules = lab.rules("bottleneck.conf",
                          rules_of(rule(other='TCP_CONGESTION = "bbr";', unit="4s", metric="goodput")),
                          warnings=True)
        source = place.source(100_000, 8, self.SECONDS, rules=rules, env=watched.environment)
        source.wait(self.SECONDS + 30)
        one = watched.look(8, lambda trial: False)
        single, arm = speeds_ratio(mixed), one["arms"][1]
        table = Table(HEADING, [["connection by connection", str(sum(map(len, mixed.values()))), "",
                                 f"{single:.3g}", "", ""], ["by turns", *told(one)]])
        if single < 1.5 or abs(arm["ratio"] - 1) > 0.15:
            raise RuntimeError(f"connection by connection {single:.3g}, by turns {told(one)}")
        return Outcome(tables=[table],
                       sentences=[f"bbr's connections are {single:.1f} times as fast as reno's beside them; "
                                  f"where all have bbr, the ratio is {arm['ratio']:.2f}."])


class NoDelayTrial(Experiment):
    name = "trial-nodelay"
    title = "A trial of TCP_NODELAY"
    question = """
A program sends requests in two small writes, on a new connection each time. By how many connections is it
decided that TCP_NODELAY shortens them?
"""
    order = 930
    limit = 60

    def run(self, lab):
        watched = Watched(lab)
        port = lab.port()
        rules = lab.rules("nodelay-trial.conf", rules_of(rule(other="TCP_NODELAY = true;")),
                          warnings=True)
        lab.start([sys.executable, "-c", SERVICE, port]).until_listening(port)
        lab.start(["/usr/bin/python3", "-c", REQUESTS, 200, 2, 0, port], rules,
                  env=watched.environment, stdin=subprocess.PIPE)
        one = watched.look(40, lambda trial: verdict_of(trial) != "undecided")
        if verdict_of(one) != "better" or one["connections"] > 200:
            raise RuntimeError(f"{told(one)}")
        return Outcome(tables=[Table(HEADING, [["when it was decided", *told(one)]])])


class Guard(Experiment):
    name = "trial-guard"
    title = "A guard ends a trial that does harm"
    question = """
Connections on loopback send 2 MB each; by turns of 1 s they are limited to 40 Mbit/s by
SO_MAX_PACING_RATE. After how many intervals does the guard end the trial?
"""
    order = 940
    limit = 60
    SECONDS = 25

    def run(self, lab):
        watched = Watched(lab)
        port = lab.port()
        rules = lab.rules("guard.conf", rules_of(rule(
            other='SO_MAX_PACING_RATE = "40Mbit";', unit="1s", metric="rtt",
            more='guard = { goodput = "-50%"; };')), warnings=True)
        lab.start([sys.executable, "-c", SINK, "127.0.0.1", port]).until_listening(port)
        work = json.dumps([["127.0.0.1", port], 2_000_000, 1, self.SECONDS, None])
        lab.start(["/usr/bin/python3", "-c", SOURCE, work], rules, env=watched.environment)
        one = watched.look(self.SECONDS, lambda trial: trial["state"] == "ended")
        intervals = (time.time() - one["began"]) / one["unit"] if one["began"] else float("inf")
        if one["state"] != "ended" or "goodput" not in one["reason"] or intervals > 10 + 2:
            raise RuntimeError(f"{intervals:.1f} intervals: {one}")
        pairs = one["arms"][1]["guards"][0]
        return Outcome(sentences=[
            f"It was seen to have ended {intervals:.0f} intervals after its first connection, "
            f"with {pairs['beyond']} of {pairs['beyond'] + pairs['within']} pairs beyond the limit: "
            f"{one['reason']}."])
