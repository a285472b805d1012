#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
When a peer sees the end of a reported connection, compared with one that is not reported.

    ends.py BUILD

The time is from before close() to the return of poll() in the peer, another process on another
processor: for a FIN, and for the RST of SO_LINGER with 0. Each variant has its own network
namespace, so that no helper monitors the other variants' sockets. Each round runs all variants one
after the other, in new processes; p50 and p99 of a round are compared with those of the variant
without reporting in the same round. That variant is run a second time under another name; its
difference from itself is the noise. A bar is the noise plus twice its standard error, but at least
1.10. Exit status 1 if a bar is missed three times, 2 if nothing could be measured.
"""
import math
import os
import sys
import tempfile
import time

import bars
import report
from measure import Refused
from reporting import Daemon, Namespace, Program, Rules

ROUNDS = 15
ENDS = 500        # of each kind per round
WARM = 100        # warm-up, not counted
KINDS = ("fin", "rst")
FIGURES = {"p50": 0.50, "p99": 0.99}

PLAIN, AGAIN = "not reported", "not reported, again (noise)"
RUNNING, ABSENT = "reported", "reported, no helper"
STOPPED, KILLED = "reported, helper stopped", "reported, helper killed meanwhile"
VARIANTS = (PLAIN, AGAIN, RUNNING, ABSENT, STOPPED, KILLED)
RULE = '{ match = { program = "ends"; role = "connect"; }; report = true; }'


class Lab:
    """One namespace for each variant, and the processes in them."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.rules = Rules(build, directory, "report", RULE)
        self.namespaces = {variant: Namespace() for variant in VARIANTS}
        processors = sorted(os.sched_getaffinity(0))
        self.command = [os.path.join(build, "bench", "ends"), str(processors[0]),
                        str(processors[-1])]

    def stop(self):
        for namespace in self.namespaces.values():
            namespace.stop()

    def run(self, variant):
        """{kind: nanoseconds of each end}, with a new helper and a new program."""
        prefix = self.namespaces[variant].prefix
        daemon = None
        if variant in (RUNNING, STOPPED, KILLED):
            daemon = Daemon(self.build, self.directory, prefix=prefix)
        path = daemon.path if daemon else "/nonexistent/helper.sock"
        program = Program(self.command, {} if variant in (PLAIN, AGAIN)
                          else self.rules.environment(path), prefix)
        try:
            return self.time(program, variant, daemon)
        finally:
            program.stop()
            if daemon:
                daemon.stop()

    def time(self, program, variant, daemon):
        taken = {}
        for kind in KINDS:
            program.ask(f"{kind} {WARM}")
        if daemon and daemon.status()["records"] == 0:
            raise Refused(f"{variant}: nothing was reported")
        if variant == STOPPED:
            daemon.process.send_signal(19)
        for kind in KINDS:
            program.order(f"{kind} {ENDS}")
            if variant == KILLED and kind == KINDS[0]:
                time.sleep(0.01)
                daemon.process.kill()
            taken[kind] = [int(word) for word in program.answer()]
        return taken


def quantile(numbers, share):
    return sorted(numbers)[int(share * len(numbers))]


def measure(lab):
    """{(kind, figure): {variant: [number of each round]}}"""
    table = {(kind, figure): {variant: [] for variant in VARIANTS}
             for kind in KINDS for figure in FIGURES}
    for number in range(ROUNDS):
        for variant in VARIANTS if number % 2 == 0 else VARIANTS[::-1]:
            taken = lab.run(variant)
            for kind, figure in table:
                table[kind, figure][variant].append(quantile(taken[kind], FIGURES[figure]))
    return table


def compare(numbers, baseline):
    return report.compare([[one] for one in numbers], [[one] for one in baseline])


def bar_of(noise):
    """
    The noise between two runs of the same configuration, plus the error of its measurement. The
    standard error of the median is derived from the median absolute deviation (assuming a normal
    distribution), which a single bad round does not change.
    """
    error = 1.2533 * 1.4826 * noise.spread / math.sqrt(noise.rounds)
    return max(1.10, 1 + abs(noise.value - 1) + 2 * error)


def print_figures(build, table, attempt, pending):
    """Print and record the pending figures; return those that missed their bars."""
    short = []
    for kind, figure in table:
        rows = table[kind, figure]
        noise = compare(rows[AGAIN], rows[PLAIN])
        for variant in VARIANTS[1:]:
            if (kind, figure, variant) not in pending:
                continue
            ratio = compare(rows[variant], rows[PLAIN])
            what = f"{kind.upper()} {figure}: {variant}"
            if variant == AGAIN:
                report.print_ratio(what, ratio)
                continue
            bar = bar_of(noise)
            kept = bars.note(build, f"when a peer sees the end: {what}", ratio.value, bar,
                             attempt=attempt)
            verdict = ("pass" if kept else "SHORT") + (f" (run {attempt})" if attempt > 1 else "")
            report.print_ratio(what, ratio, bar, verdict)
            if not kept:
                short.append((kind, figure, variant))
    return short


def main(build):
    if os.geteuid() != 0 or len(os.sched_getaffinity(0)) < 2:
        print("ends of connections: root and two processors are needed", file=sys.stderr)
        return 2
    print(f"\ntime from close() to the peer's poll(), {ROUNDS} rounds of {ENDS} each; "
          f"p50 and p99 of a round")
    report.print_heading()
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory:
        lab = Lab(build, directory)
        pending = [(kind, figure, variant) for kind in KINDS for figure in FIGURES
                   for variant in VARIANTS]
        try:
            for attempt in range(1, bars.ATTEMPTS + 1):
                pending = print_figures(build, measure(lab), attempt, pending)
                if not pending:
                    break
        finally:
            lab.stop()
    return 1 if pending else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    try:
        sys.exit(main(os.path.abspath(sys.argv[1])))
    except Refused as error:
        print(f"ends of connections: {error}", file=sys.stderr)
        sys.exit(2)
