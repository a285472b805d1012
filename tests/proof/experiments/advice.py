# SPDX-License-Identifier: MIT
"""socktune advise: is its advice right, what does it miss, and does the advice help?"""
import json
import math
import os
import pathlib
import subprocess
import sys
import time

from experiment import Experiment, Figure, Needs, Outcome, Table
from link import Path
from linked import open_link, start
from quantities import median

SUPPORT = pathlib.Path(__file__).resolve().parents[2] / "support"
OVER_LINK, OVER_LOOPBACK = SUPPORT / "advised_link.py", SUPPORT / "advised.py"
ROUNDS = int(os.environ.get("ADVICE_ROUNDS", "25"))
WATCH = 4  # seconds
IDLE = 3
RTT = 0.050
DROPPED = 15  # seconds before the first watch

# the conditions: (path, mode, expected verdicts)
CONDITIONS = {
    "write-write-read": ("plain", "wwr", {"nagle"}),
    "small SO_RCVBUF": ("plain", "rcvbuf", {"receive-window"}),
    "slow reader": ("plain", "slow", {"slow-reader"}),
    "small SO_SNDBUF": ("plain", "sndbuf", {"send-buffer"}),
    "loss of 1 %": ("lossy", "bulk", {"loss-without-queue"}),
    "a deep queue that overflows": ("deep", "restart", {"loss-with-queue"}),
    "idle without keepalive": ("hole", "idle", {"dead-man"}),
    "a peer that has vanished": ("hole", "stuck", {"stuck"}),
    "one write a request": ("plain", "one", set()),
    "two writes with TCP_NODELAY": ("plain", "nodelay", set()),
    "TCP_CORK": ("plain", "cork", set()),
    "MSG_MORE": ("plain", "more", set()),
    "both parts in one sendmsg()": ("plain", "writev", set()),
    "pipelined requests": ("plain", "pipeline", set()),
    "a transfer that its program limits": ("plain", "paced", set()),
    "idle with keepalive": ("plain", "kept", set()),
}
LOOPBACK = {
    "write-write-read, loopback": ("nagle", {"nagle"}),
    "a full accept queue": ("overflow", {"accept-overflow"}),
    "datagrams in bursts": ("udp", {"udp-drops"}),
    "one write a request, loopback": ("polite", set()),
    "idle with keepalive, loopback": ("kept", set()),
}
PATHS = {
    "plain": {"rate_bps": 100_000_000, "queue_bytes": 4_000_000},
    "lossy": {"rate_bps": 100_000_000, "queue_bytes": 4_000_000, "loss_ppm": 10_000},
    "deep": {"rate_bps": 20_000_000, "queue_bytes": 1_000_000},
    "hole": {"rate_bps": 20_000_000},
}
# Conditions whose effect the program prints: which program, unit, figure, is more better?
EFFECTS = {
    "write-write-read": ("client", "s", "time of a request", False),
    "small SO_RCVBUF": ("server", "B/s", "bytes a second", True),
    "small SO_SNDBUF": ("server", "B/s", "bytes a second", True),
    "write-write-read, loopback": ("both", "s", "time of a request", False),
    "a full accept queue": ("both", "", "connections accepted of 8", True),
    "datagrams in bursts": ("both", "", "datagrams received of 400", True),
}
# ... and how long the program takes to notice that its peer has vanished.
VANISHED = ("idle without keepalive", "a peer that has vanished")
NOTICED = 260  # seconds: keepalive as proposed takes 240


class Case:
    """Two programs at the ends of a path, or one over loopback."""

    def __init__(self, lab, link, what):
        self.lab, self.link, self.what, self.port = lab, link, what, lab.port()
        self.programs = {}

    def start(self, rules=None):
        if self.what in LOOPBACK:
            mode, self.expected = LOOPBACK[self.what]
            self.programs = {"both": self.lab.start([sys.executable, OVER_LOOPBACK, mode, self.port],
                                                    rules)}
            return
        path, mode, self.expected = CONDITIONS[self.what]
        address = self.link.far.address(path=path)
        arguments = [mode, address, self.port]
        server = start(self.lab, self.link.far, [sys.executable, OVER_LINK, "server", *arguments],
                       rules)
        server.until(lambda: "listening" in server.output, "listening")
        client = start(self.lab, self.link.near, [sys.executable, OVER_LINK, "client", *arguments],
                       rules, stdin=subprocess.PIPE)
        self.programs = {"server": server, "client": client}

    def numbers(self, side):
        return [float(line) for line in self.programs[side].output.split("\n")[:-1]
                if line[:1].isdigit()]

    def stop(self):
        for one in self.programs.values():
            one.stop()


class Tally:
    """How many verdicts were right, missed or wrong."""

    def __init__(self):
        self.runs, self.right, self.missed, self.false = 0, 0, 0, 0
        self.wrong = set()

    def count(self, expected, told):
        self.runs += 1
        false = told - expected
        self.right += told == expected
        self.missed += not expected <= told
        self.false += bool(false)
        self.wrong |= false


class Advice(Experiment):
    name = "advice"
    title = "socktune advise: right, missed, false"
    question = f"""
Programs with one problem each, and controls without it, run over a link of {RTT * 1e3:.0f} ms round trip
or over loopback, all at the same time. `socktune advise` watches all of them, {WATCH} s a time. What does
it say of each? A watch is right if exactly the expected verdict is given, missed if that is lacking, and
false if another one is given. Then the programs for which it proposed a rule run again under its file.
"""
    needs = Needs(link=True)
    order = 150
    limit = 900

    def run(self, lab):
        link = open_link(lab, *(Path(name, delay_us=int(RTT / 2 * 1e6), **settings)
                                for name, settings in PATHS.items()))
        cases = [Case(lab, link, what) for what in [*CONDITIONS, *LOOPBACK]]
        for case in cases:
            case.start()
        time.sleep(2)
        link.order("hole both up=0")
        stuck, = (case for case in cases if case.what == "a peer that has vanished")
        stuck.programs["client"].process.stdin.write(b"\n")
        stuck.programs["client"].process.stdin.flush()
        time.sleep(DROPPED)
        tallies = {case.what: Tally() for case in cases}
        file = lab.directory / "advice.conf"
        for _ in range(ROUNDS):
            self.watch(lab, cases, tallies, file)
        figures = [self.effect(lab, case, file) for case in cases if case.what in EFFECTS]
        figures += self.vanish(lab, link, cases, file)
        return Outcome(figures, tables=[self.table(tallies)], sentences=self.sentences(tallies))

    @staticmethod
    def watch(lab, cases, tallies, file):
        pids = [one.pid for case in cases for one in case.programs.values()]
        text = lab.run([lab.build.socktune, "advise", *pids, "-t", WATCH, "--idle", IDLE, "--json",
                        "-o", file])
        advice = json.loads(text)["advice"]
        for case in cases:
            tallies[case.what].count(case.expected, {one["verdict"] for one in advice
                                                     if one["port"] == case.port})

    @staticmethod
    def effect(lab, case, file):
        """The program's own figure, without and under the rule file."""
        side, unit, figure, more = EFFECTS[case.what]
        before = case.numbers(side)[-20:]
        case.stop()
        time.sleep(0.5)
        case.start(lab.rules(f"{case.port}.conf", file.read_text(encoding="utf-8")))
        time.sleep(8)
        after = case.numbers(side)[-4:]
        case.stop()
        return Figure(f"{case.what}: {figure}", unit,
                      {"without": [median(before)], "under the proposed rules": [median(after)]},
                      more_is_better=more)

    @staticmethod
    def vanish(lab, link, cases, file):
        """How long programs take to notice that their peer has vanished, without and under the rule
        file."""
        tuned = [case for case in cases if case.what in VANISHED]
        for case in tuned:
            case.stop()
        link.order("hole both up=1")
        plain = [Case(lab, link, case.what) for case in tuned]
        for case in plain:
            case.start()
        for case in tuned:
            case.start(lab.rules(f"{case.port}.conf", file.read_text(encoding="utf-8")))
        time.sleep(1)
        link.order("hole both up=0")
        for case in [*plain, *tuned]:
            case.programs["client"].process.stdin.write(b"\n")
            case.programs["client"].process.stdin.flush()
        end = time.monotonic() + NOTICED
        while time.monotonic() < end and not all(case.numbers("client") for case in tuned):
            time.sleep(1)
        seconds = [(case.numbers("client") or [math.inf])[0] for case in [*plain, *tuned]]
        for case in [*plain, *tuned]:
            case.stop()
        return [Figure(f"{case.what}: time until it notices (watched for {NOTICED} s)", "s",
                       {"without": [seconds[i]], "under the proposed rules": [seconds[i + len(tuned)]]})
                for i, case in enumerate(tuned)]

    @staticmethod
    def table(tallies):
        return Table(("condition", "expected", "watches", "right", "missed", "false", "false verdicts"),
                     [(what, ", ".join(sorted({**LOOPBACK, **CONDITIONS}[what][-1])) or "nothing",
                       str(one.runs), str(one.right), str(one.missed), str(one.false),
                       ", ".join(sorted(one.wrong)) or "none") for what, one in tallies.items()])

    @staticmethod
    def sentences(tallies):
        expected = {what: row[-1] for what, row in {**LOOPBACK, **CONDITIONS}.items()}
        controls = [one for what, one in tallies.items() if not expected[what]]
        others = [one for what, one in tallies.items() if expected[what]]
        watched, false = sum(one.runs for one in controls), sum(one.false for one in controls)
        problems, missed = sum(one.runs for one in others), sum(one.missed for one in others)
        return [f"False advice in {false} of {watched} watches of controls "
                f"({false / watched * 100:.1f} %).",
                f"Missed in {missed} of {problems} watches of programs with a problem "
                f"({missed / problems * 100:.1f} %)."]
