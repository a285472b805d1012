#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What socktuned costs: processor time and memory for 100,000 open connections, compared with polling
`ss`; a query of all of them during sampling; the processor time for short connections; the start of
a program that registers; and how these grow.

    helper.py BUILD              bars; exit status 1 when one is missed three times, 2 when nothing
                                 can be measured
    helper.py BUILD --csv FILE   the curve alone: a line for each number of connections

Programs hold connections over loopback, and both ends are reported. The helper's processor time is
the kernel's count, over whole intervals, without the first ones, in which all connections are
sampled for the first time.
"""
import argparse
import csv
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

import bars
import measure
import report
from measure import Effort, Refused, Sample, Variant
from reporting import Daemon, Namespace, Program, Rules, until

TRACKED = 100000
COUNTS = (1000, 10000, 100000, 200000)
INTERVAL = 10        # seconds, for the bars; the curve uses shorter intervals to save time
CURVE_INTERVAL = 2
INTERVALS = 3        # measured intervals, after as many that are not measured
HOLDER_PAIRS = 4000  # per program; below the usual limit of descriptors

CPU_BAR = 5.0        # percent of a processor
MEMORY_BAR = 64.0    # MiB resident
SS_BAR = 1.0         # processor time divided by that of ss
GROWTH_BAR = 4.0     # MiB, during a query
# A ring has room for the records of one processor in 100 ms or more.
WAIT_BAR = 100.0     # ms that a record waits in its ring, during queries

SHORT = 20000     # connections, one after the other
# Microseconds of processor time per connection, both of whose ends are reported: {pause: bar}.
# Without pauses the helper reads thousands of records at a time; with pauses it wakes up for fewer
# of them.
SHORT_BARS = {"flat out": (0, 10.0), "some 2,000 a second": (400, 25.0)}

REPORT = '{ match = { protocol = "tcp"; }; report = true; }'
QUIET = '{ match = { protocol = "tcp"; }; set = { SO_KEEPALIVE = true; }; }'
LIMITS = "limits = { connections = 1000000; };\n"

# `cpu`: seconds per interval.
Point = namedtuple("Point", "connections cpu resident")
Slope = namedtuple("Slope", "microseconds bytes")
Measured = namedtuple("Measured", "what value unit bar")

CSV_HEADER = ("connections", "interval_seconds", "cpu_seconds_per_interval", "cpu_percent",
              "us_per_connection", "resident_bytes", "bytes_per_connection")


class Lab:
    """A helper and programs that hold connections, in their own network namespace, so that no other
    connections exist and none remain in TIME_WAIT."""

    def __init__(self, build, directory, interval):
        self.build, self.interval = build, interval
        settings = os.path.join(directory, "helper.conf")
        with open(settings, "w", encoding="ascii") as file:
            file.write(LIMITS)
        self.rules = Rules(build, directory, "report", REPORT)
        self.namespace = Namespace()
        self.daemon = Daemon(build, directory, "--config", settings, "--interval", str(interval),
                             prefix=self.namespace.prefix)
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for program in self.programs:
            program.stop()
        self.daemon.stop()
        self.namespace.stop()

    def start(self, name, *arguments):
        command = [os.path.join(self.build, "bench", name), *map(str, arguments)]
        self.programs.append(Program(command, self.rules.environment(self.daemon.path),
                                     self.namespace.prefix))
        return self.programs[-1]

    def hold(self, count):
        """Hold this many connections, including those already held."""
        held = self.daemon.status()["connections"]
        started = []
        while held < count - 1:
            pairs = min(HOLDER_PAIRS, (count - held) // 2)
            started.append(self.start("holder", pairs, 100))
            held += 2 * pairs
        for holder in started:
            holder.answer()
        until(lambda: self.daemon.status()["connections"] >= count - 1, f"{count} are tracked")

    def settle(self):
        time.sleep(INTERVALS * self.interval)

    def point(self):
        """The helper's cost over some intervals; raises if it does not do its work."""
        before, begin = self.daemon.status(), self.daemon.cpu()
        time.sleep(INTERVALS * self.interval)
        cpu = (self.daemon.cpu() - begin) / INTERVALS
        after = self.daemon.status()
        tracked = after["connections"]
        if after["samples"] - before["samples"] < 0.9 * INTERVALS * tracked:
            raise Refused(f"only {after['samples'] - before['samples']} samples of {tracked} "
                             f"connections in {INTERVALS} intervals")
        if any(after["dropped"].values()):
            raise Refused(f"something was lost: {after['dropped']}")
        return Point(tracked, cpu, self.daemon.memory())


# The curve.

def measure_curve(build, counts=COUNTS):
    """A Point for each number of connections; fewer if the machine's limits are lower."""
    points = []
    with (tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory,
          Lab(build, directory, CURVE_INTERVAL) as lab):
        for count in counts:
            try:
                lab.hold(count)
                lab.settle()
                points.append(lab.point())
            except Refused as reason:
                print(f"no more than {points[-1].connections if points else 0}: {reason}",
                      file=sys.stderr)
                break
    return points


def slope(points):
    """The cost of one more connection per interval, from the first and the last point."""
    first, last = points[0], points[-1]
    more = last.connections - first.connections
    return Slope(1e6 * (last.cpu - first.cpu) / more, (last.resident - first.resident) / more)


def curve_rows(points):
    """Rows with the columns of CSV_HEADER."""
    for point in points:
        yield (point.connections, CURVE_INTERVAL, round(point.cpu, 6),
               round(100 * point.cpu / CURVE_INTERVAL, 3),
               round(1e6 * point.cpu / point.connections, 3), point.resident,
               round(point.resident / point.connections, 1))


def write_csv(points, path):
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_HEADER)
        writer.writerows(curve_rows(points))


def print_curve(points):
    print(f"\n{'connections':>11}  {'CPU an interval':>15}  {'each':>8}  {'memory':>9}")
    for point in points:
        print(f"{point.connections:>11,}  {1e3 * point.cpu:>12.1f} ms"
              f"  {1e6 * point.cpu / point.connections:>5.2f} us  {mib(point.resident):>5.1f} MiB")
    if len(points) > 1:
        found = slope(points)
        print(f"each more: {found.microseconds:.2f} us an interval, {found.bytes:.0f} bytes")


# Bars.

def mib(size):
    return size / 2 ** 20


def time_ss(lab):
    """Processor seconds that ss needs to list all connections."""
    def children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    begin = children()
    for _ in range(INTERVALS):
        subprocess.run([*lab.namespace.prefix, "ss", "-tinHO"], stdout=subprocess.DEVNULL, check=True)
    return (children() - begin) / INTERVALS


def stream(lab):
    """One `socktune stats --json`: the number of connections and bytes received."""
    reader = subprocess.Popen(
        [os.path.join(lab.build, "socktune"), "stats", "--json"], stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "SOCKTUNE_HELPER": lab.daemon.path})
    count = size = 0
    rest = b""
    with reader.stdout:
        for part in iter(lambda: reader.stdout.read(1 << 20), b""):
            size += len(part)
            count += (rest + part).count(b'"id"')
            rest = part[-3:]
    if reader.wait() != 0:
        raise Refused("socktune stats failed")
    return count, size


def measure_queries(lab):
    """Query everything repeatedly for two intervals, while a program watches its ring."""
    watcher = lab.start("waits")
    time.sleep(1)
    alone = int(watcher.ask("?")[0]) / 1e3
    lab.daemon.forget_peak()
    before, memory = lab.daemon.status(), lab.daemon.memory()
    begin = time.monotonic()
    queries, size, seconds = 0, 0, 0.0
    while time.monotonic() - begin < 2 * lab.interval:
        started = time.monotonic()
        count, size = stream(lab)
        seconds += time.monotonic() - started
        queries += 1
        if count < TRACKED:
            raise Refused(f"only {count} connections came")
    waited, _, dropped = map(int, watcher.ask("?"))
    after = lab.daemon.status()
    samples = (after["samples"] - before["samples"]) / before["connections"]
    print(f"  {queries} queries, {seconds / queries:.1f} s and {mib(size):.0f} MiB each; a record "
          f"waited {alone:.1f} ms at most before; {dropped} found no room")
    return [Measured("a record waits in its ring, at most", waited / 1e3, "ms", WAIT_BAR),
            Measured("memory grows, at most", mib(lab.daemon.memory("VmHWM") - memory), "MiB", GROWTH_BAR),
            Measured("intervals that were missed",
                max(0.0, (time.monotonic() - begin) // lab.interval - math.floor(samples + 0.05)),
                "", 0.0)]


def measure_bars(build):
    """The bars and the measured values, with a new helper."""
    with (tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory,
          Lab(build, directory, INTERVAL) as lab):
        lab.hold(TRACKED)
        lab.settle()
        point = lab.point()
        ss = time_ss(lab)
        print(f"\n{point.connections:,} connections, both ends of {point.connections // 2:,}, every "
              f"{INTERVAL} s: {1e3 * point.cpu:.0f} ms, ss -tinHO {1e3 * ss:.0f} ms of a processor")
        return [Measured("of a processor", 100 * point.cpu / INTERVAL, "%", CPU_BAR),
                Measured("processor time against ss -tinHO", point.cpu / ss, "", SS_BAR),
                Measured("memory", mib(point.resident), "MiB", MEMORY_BAR)] + measure_queries(lab)


def measure_short(build):
    """{how: microseconds of the helper's processor time per short connection}"""
    found = {}
    for how, (pause, _) in SHORT_BARS.items():
        count = SHORT if pause == 0 else SHORT // 4
        with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory, \
                Lab(build, directory, INTERVAL) as lab:
            before = lab.daemon.cpu()
            program = Program([os.path.join(build, "bench", "holder"), str(count), "100", str(pause)],
                              lab.rules.environment(lab.daemon.path), lab.namespace.prefix)
            program.answer()
            until(lambda: lab.daemon.status()["history"]["kept"] and
                  lab.daemon.status()["connections"] <= 1, "the ends of all")
            found[how] = 1e6 * (lab.daemon.cpu() - before) / count
            program.stop()
    return found


def keep_short_bars(build):
    """True if each bar is met in one of the attempts."""
    pending = set(SHORT_BARS)
    print("\nthe helper's processor for a short connection, both ends reported")
    for attempt in range(1, bars.ATTEMPTS + 1):
        for how, spent in measure_short(build).items():
            bar = SHORT_BARS[how][1]
            if how not in pending:
                continue
            kept = bars.note(build, f"a short connection, both ends reported: {how}", spent, bar, "us",
                             attempt=attempt)
            verdict = ("pass" if kept else "SHORT") + (f" (run {attempt})" if attempt > 1 else "")
            print(f"  {how:<44}{spent:>9.2f} us    bar {bar:<6g}  {verdict}", flush=True)
            if kept:
                pending.discard(how)
        if not pending:
            break
    return not pending


def keep_bars(build):
    """True if each bar is met in one of the attempts."""
    pending = None
    for attempt in range(1, bars.ATTEMPTS + 1):
        missed = set()
        for one in measure_bars(build):
            if pending is not None and one.what not in pending:
                continue
            kept = bars.note(build, f"100,000 connections: {one.what}", one.value, one.bar, one.unit,
                             attempt=attempt)
            verdict = ("pass" if kept else "SHORT") + (f" (run {attempt})" if attempt > 1 else "")
            print(f"  {one.what:<44}{one.value:>9.2f} {one.unit:<4}  bar {one.bar:<6g}  {verdict}",
                  flush=True)
            if not kept:
                missed.add(one.what)
        pending = missed
        if not pending:
            break
    return not pending


def time_starts(build):
    """The start of a program that registers, compared with one whose rules report nothing."""
    bench = measure.Bench(build, "/bin/true", measure.last_processor())
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory:
        daemon = Daemon(build, directory)
        try:
            quiet = Rules(build, directory, "quiet", QUIET)
            told = Rules(build, directory, "report", REPORT)
            def sample(name, rules, path):
                return Sample(Variant(name, tuple(rules.environment(path).items())), "start")
            baseline = sample("quiet", quiet, daemon.path)
            rows = {"registers": sample("told", told, daemon.path),
                    "finds no helper": sample("alone", told, "/nonexistent/helper.sock")}
            results = bench.measure("start", [baseline, *rows.values()], Effort(60, 5))
        finally:
            daemon.stop()
    def nanoseconds(lines):
        return [[1000 * number for number in line] for line in lines]
    print("\nstart of /bin/true, against rules that report nothing")
    report.print_heading()
    for what, row in rows.items():
        report.print_ratio(what, report.compare(nanoseconds(results[row]),
                                                nanoseconds(results[baseline])))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--csv", metavar="FILE")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    if os.geteuid() != 0:
        print("what the helper costs: only root may measure it", file=sys.stderr)
        return 2
    if options.csv:
        points = measure_curve(build)
        write_csv(points, options.csv)
        print_curve(points)
        return 0 if points else 2
    kept = keep_bars(build)
    kept &= keep_short_bars(build)
    time_starts(build)
    print_curve(measure_curve(build))
    return 0 if kept else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as error:
        print(f"what the helper costs: {error}", file=sys.stderr)
        sys.exit(2)
