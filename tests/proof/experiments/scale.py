# SPDX-License-Identifier: MIT
"""How costs grow with the number of rules, of registered processes, of tracked connections."""
import csv
import statistics
import subprocess
import tempfile
import time

import bench
import kernel
import measure
import plot
from drain import Drain
from experiment import Experiment, Figure, Needs, Outcome
from measure import Effort, Sample
from policies import elsewhere, others
from quantities import digits, median, quantity, slope
from started import ROOT, enter_network_namespace

RULE_COUNTS = (1, 10, 100, 1000, 10000)
PROCESS_COUNTS = (1, 10, 100, 300, 1000)
PROCESS_RULES = """program = "sleep";
rules = ( { name = "all"; match = { protocol = "tcp"; }; report = true; } );
"""
LAST = PROCESS_COUNTS[-1]
HELPER_BENCH = str(ROOT / "tests" / "bench" / "helper.py")
WINDOW = 2  # seconds over which the helper's processor time is measured


class Rules(Experiment):
    name = "scale-rules"
    title = "What grows with the number of rules"
    question = f"""
{RULE_COUNTS[0]} to {RULE_COUNTS[-1]:,} rules: for other programs, or for the timed program but for
other remote addresses, beside the one that tunes it. What does a connect() take then, and a start of
/bin/true?
"""
    needs = Needs(files=("bench/calls", "bench/start", "bench/empty.so"))
    order = 810
    limit = 180

    def run(self, lab):
        timer = measure.Bench(str(lab.build.path), bench.PROGRAM, measure.last_processor())
        measure.keep_clear(timer.processor)
        with (tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory,
              Drain(directory) as drain):
            setup = bench.Setup(str(lab.build.path), directory, bench.settings_of(timer), drain.path)
            foreign, absent = rule_variants(setup)
            bench.check_rules_in_force(timer, setup)
            curves = {
                "start, rules for other programs": per_process(timer, foreign, "start", 1e-6),
                "connect(), rules for other programs": per_process(timer, foreign, "connection", 1e-9),
                "connect(), rules for other remotes": per_process(timer, absent, "connection", 1e-9)}
        figures = [Figure(what, "s", {f"{count:,} rule" + "s" * (count > 1): points[count] for count in RULE_COUNTS})
                   for what, points in curves.items()]
        slopes = {what: slope([(count, median(points[count])) for count in RULE_COUNTS])
                  for what, points in curves.items()}
        return Outcome(
            figures,
            plots=[plot.Plot(self.name, "Cost against the number of rules", "rules", "microseconds",
                             series={what: list(points.items()) for what, points in curves.items()},
                             scale=1e6, logx=True, logy=True)],
            sentences=[f"{what}: {growth(slope_of)}." for what, slope_of in slopes.items()] + [
                "A policy drops the rules for other programs when it is loaded, so a call does not meet "
                "them. Rules for other remotes of the same program are tried one by one at connect()."])


def growth(seconds):
    """A slope in words; a slope that a thousand rules do not show counts as none."""
    return f"{quantity(seconds, 's')} more for each rule" if seconds > 1e-10 else "nothing measurable"


def rule_variants(setup):
    """{count: variant}, with rules for other programs, and with rules for other remote
    addresses."""
    one, ours = setup.settings(1), bench.connecting(setup.settings(4))
    return ({count: setup.socktune(f"others-{count}", others(count, one) + [ours], 4, 0)
             for count in RULE_COUNTS},
            {count: setup.socktune(f"elsewhere-{count}", elsewhere(count, one) + [ours], 4, 0)
             for count in RULE_COUNTS})


def per_process(timer, variants, subject, unit):
    """{count: [median seconds of each process]}."""
    samples = {count: Sample(variant, subject) for count, variant in variants.items()}
    results = timer.measure(subject, list(samples.values()),
                            Effort(60, 5) if subject == "start" else Effort(60, 6))
    return {count: [unit * statistics.median(row) for row in results[sample]]
            for count, sample in samples.items()}


class Processes(Experiment):
    name = "scale-processes"
    title = "What grows with the number of processes"
    question = f"""
1 to {LAST:,} tuned processes (sleep) register with one socktuned. What memory does each take in the
helper, and more than an untuned one in itself; what does the helper take of a processor; and how
long does the start of one more take?
"""
    needs = Needs(programs=("sleep",), netns=True)
    order = 820
    limit = 150

    def run(self, lab):
        enter_network_namespace()  # else the helper would see other ends too
        helper = lab.helper()
        policy = lab.rules("sleep.conf", PROCESS_RULES)
        environment = lab.environment(policy, SOCKTUNE_HELPER=helper.directory / "helper.sock")
        untuned = memory_of_untuned(lab)
        points = {}
        started = []
        try:
            for count in PROCESS_COUNTS:
                start_times = start_until(started, count, environment)
                # A process that was delayed by the machine stops registering, and is not reported.
                helper.until(lambda count=count: len(registered(helper)) >= int(0.99 * count),
                             f"{count} processes are registered")
                points[count] = point_of(helper, started, untuned, start_times)
            told = len(registered(helper)), len(started)
        finally:
            for one in started:
                one.kill()
            for one in started:
                one.wait()
        return processes_outcome(self.name, points, told)


def registered(helper):
    return helper.get("/v1/processes").json["processes"]


def start_until(started, count, environment):
    """Start sleep until so many run; returns the seconds that each needed until it slept."""
    times = []
    while len(started) < count or len(times) < 5 <= count:
        begin = time.monotonic()
        one = subprocess.Popen(["sleep", "600"], env=environment)
        started.append(one)
        kernel.until(lambda pid=one.pid: asleep(pid), "sleep sleeps", pause=0.0002)
        times.append(time.monotonic() - begin)
    return times[-50:]


def asleep(pid):
    """Past its constructor, in nanosleep()."""
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            return "nanosleep" in file.read()
    except OSError:
        return False


def own_memory(pid):
    """Bytes that only this process uses (Private_*), or None if the kernel does not report them."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return 1024 * sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def memory_of_untuned(lab):
    held = [subprocess.Popen(["sleep", "600"], env=lab.environment()) for _ in range(5)]
    try:
        for one in held:
            kernel.until(lambda pid=one.pid: asleep(pid), "sleep sleeps")
        return [own_memory(one.pid) for one in held]
    finally:
        for one in held:
            one.kill()
            one.wait()


def processor_seconds(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e9


def point_of(helper, started, untuned, start_times):
    """The figures with so many processes."""
    pid = helper.process.pid
    time.sleep(1)  # excludes the cost of registering
    before = processor_seconds(pid)
    time.sleep(WINDOW)
    spent = (processor_seconds(pid) - before) / WINDOW
    base = median(untuned)
    scrapes = [scrape(helper) for _ in range(5)]
    return {"scrape": [seconds for seconds, _ in scrapes], "size": [size for _, size in scrapes],
            "memory": [resident(pid)], "processor": [spent], "start": start_times,
            "own": [own_memory(one.pid) - base for one in started[-20:]]}


def scrape(helper):
    """Seconds and bytes of a scrape by Prometheus."""
    begin = time.monotonic()
    answer = helper.get("/metrics", tcp=True)
    return time.monotonic() - begin, len(answer.body)


def processes_outcome(name, points, told):
    """`told`: the number of registered processes at the end, and of started ones."""
    def figure(what, unit, key):
        return Figure(what, unit, {f"{count:,} process" + "es" * (count > 1): one[key] for count, one in points.items()})

    def grows(key):
        return slope([(count, median(one[key])) for count, one in points.items()])

    figures = [figure("memory of the helper", "B", "memory"),
               figure("the helper's processor time a second", "s", "processor"),
               figure("a scrape of /metrics", "s", "scrape"),
               figure("its size", "B", "size"),
               figure("start of one more, from fork to running", "s", "start"),
               figure("memory of its own that a process has more than untuned", "B", "own")]
    return Outcome(
        figures,
        plots=[plot.Plot(name, "The helper against the number of registered processes", "processes",
                         "MiB resident in the helper", scale=2 ** -20, logx=True,
                         series={"memory": [(count, one["memory"]) for count, one in points.items()]})],
        sentences=[
            f"A registered process takes {quantity(grows('memory'), 'B')} of the helper's memory and "
            f"{quantity(grows('processor'), 's')} of its processor time a second (idle processes), and "
            f"{quantity(median(points[max(points)]['own']), 'B')} of its own.",
            f"A scrape with {digits(max(points))} took {quantity(median(points[max(points)]['scrape']), 's')} "
            f"and {quantity(median(points[max(points)]['size']), 'B')}: series are by program, rule and "
            "role, not by process.",
            f"Starting one more took {quantity(median(points[min(points)]['start']), 's')} beside "
            f"{digits(min(points))} and {quantity(median(points[max(points)]['start']), 's')} beside "
            f"{digits(max(points))}. {digits(told[0])} of {digits(told[1])} processes were registered in "
            "the end; one that does not get a hearing in time goes on unreported."])


class Connections(Experiment):
    name = "scale-connections"
    title = "What grows with the number of tracked connections"
    question = """
Programs hold connections over loopback, both ends reported, as many as the machine allows. What does
the helper take of a processor to look at all of them once an interval, and what memory?
"""
    needs = Needs(files=(HELPER_BENCH, "bench/holder"), netns=True)
    order = 830
    limit = 180

    def run(self, lab):
        path = lab.directory / "curve.csv"
        lab.run(["/usr/bin/python3", "-B", HELPER_BENCH, lab.build.path, "--csv", path],
                timeout=self.limit - 10)
        with open(path, encoding="ascii") as file:
            points = list(csv.DictReader(file))
        return connections_outcome(self.name, points)


def connections_outcome(name, points):
    """From the rows of the helper's benchmark."""
    def curve(column):
        return [(int(point["connections"]), float(point[column])) for point in points]

    def figure(what, unit, column):
        return Figure(what, unit, {f"{count:,}": [value] for count, value in curve(column)})

    interval = points[0]["interval_seconds"]
    each, memory = slope(curve("cpu_seconds_per_interval")), slope(curve("resident_bytes"))
    most = points[-1]
    return Outcome(
        [figure(f"processor time an interval of {interval} s", "s", "cpu_seconds_per_interval"),
         figure("memory of the helper", "B", "resident_bytes")],
        plots=[plot.Plot(name, "The helper against the number of tracked connections",
                         "tracked connections, in thousands",
                         "milliseconds of a processor an interval", xscale=1e-3, scale=1e3,
                         series={"processor time": [(count, [value]) for count, value
                                                    in curve("cpu_seconds_per_interval")]})],
        sentences=[
            f"One connection more takes {quantity(each, 's')} of a processor an interval and "
            f"{quantity(memory, 'B')} of the helper's memory.",
            f"With {int(most['connections']):,} connections and an interval of {interval} s the helper "
            f"took {float(most['cpu_percent']):.2g} % of a processor and "
            f"{quantity(float(most['resident_bytes']), 'B')}. A longer interval takes less in proportion."])
