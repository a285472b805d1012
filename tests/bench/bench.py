#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What socktune costs: ratios to an empty preloaded object, and the costs of alternatives.

    bench.py BUILD

BUILD is the build directory. A ratio that misses its bar is measured up to three times; exit status
1 if it missed each time, 2 if nothing could be measured.
"""
import contextlib
import glob
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple

import bars
import measure
import report
from drain import Drain
from measure import Bench, Effort, Refused, Sample, Variant
from policies import PROBE, TIMED, Policies, elsewhere, others, rule
from reporting import Daemon

PROGRAM = "/bin/true"
REPORT_NS = 2500
COUNTS = (1, 10, 100, 1000, 10000)
OTHERS = {50: 1.02, 1000: 1.04, 10000: 1.15}  # rules for other programs, and the bar for a program start

# The columns of the table of all preloads: subject, phase, effort.
COLUMNS = {"start": ("start", 0, Effort(100, 6)), "socket": ("socket", 0, Effort(100, 8)),
           "connect": ("connection", 0, Effort(80, 8)), "accept": ("connection", 1, Effort(80, 8)),
           "setsockopt": ("setsockopt", 0, Effort(100, 8)), "client": ("client", 0, Effort(100, 8))}

# One line of the table: a sample and its baseline. bar None: informational. `extra`: a bar for the
# difference, in nanoseconds.
Row = namedtuple("Row", "what sample baseline bar extra", defaults=(None, None))

# Rows whose samples are measured together, round by round.
Group = namedtuple("Group", "title subject effort rows")


def preload(name, *objects, **environment):
    pairs = [("LD_PRELOAD", ":".join(objects))] + sorted(environment.items())
    return Variant(name, tuple(pairs))


class Setup:
    """All preloads: baselines, socktune under several policies, alternatives."""

    def __init__(self, build, directory, settings, helper, handed_to=None):
        empty = os.path.join(build, "bench", "empty.so")
        again = shutil.copy(empty, os.path.join(directory, "again.so"))
        self.library = os.path.join(build, "libsocktune.so")
        self.policies = Policies(build, directory)
        self.directory = directory
        self.wrapper = os.path.join(directory, "socket-wrapper")
        self.settings = settings
        self.nothing = Variant("no preload", (("LC_ALL", "C"),))
        self.empty = preload("empty object", empty)
        self.again = preload("empty object again", again)
        self.helper, self.handed_to = helper, handed_to
        self.expected = {}
        self.policies_of = {}

    def socktune(self, name, rules, client=0, accepted=0, make=Policies.compile):
        """Socktune under these rules, which set so many options on each end of the timed program's
        connections."""
        path = make(self.policies, name.replace(" ", "-"), rules, self.settings(8))
        variant = preload("socktune: " + name, self.library, SOCKTUNE_RULES=path,
                          SOCKTUNE_HELPER=self.helper)
        self.policies_of[variant] = path
        self.expected[variant] = (client, accepted)
        return variant

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def alternatives(self):
        """The other installed preload libraries, configured to leave loopback alone."""
        torsocks = self.write("torsocks.conf", "AllowInbound 1\nAllowOutboundLocalhost 1\n")
        proxychains = self.write("proxychains.conf",
                                 "strict_chain\nquiet_mode\nlocalnet 127.0.0.0/255.0.0.0\n"
                                 "[ProxyList]\nsocks5 127.0.0.1 9\n")
        os.mkdir(self.wrapper)
        known = (
            ("libkeepalive0 (4 options)", "libkeepalive.so.0",
             {"KEEPIDLE": "600", "KEEPINTVL": "60", "KEEPCNT": "5"}),
            ("torsocks", "torsocks/libtorsocks.so",
             {"TORSOCKS_CONF_FILE": torsocks, "TORSOCKS_LOG_LEVEL": "1"}),
            ("proxychains4", "libproxychains.so.4",
             {"PROXYCHAINS_CONF_FILE": proxychains, "PROXYCHAINS_QUIET_MODE": "1"}),
            ("socket_wrapper (Unix-domain)", "libsocket_wrapper.so",
             {"SOCKET_WRAPPER_DIR": self.wrapper, "SOCKET_WRAPPER_DEFAULT_IFACE": "1"}),
            ("mptcpize (makes MPTCP sockets)", "mptcpize/libmptcpwrap.so.0", {}),
        )
        for name, path, environment in known:
            found = sorted(glob.glob("/usr/lib/" + path) + glob.glob("/usr/lib/*/" + path))
            if found:
                yield preload(name, found[0], **environment)
            else:
                print(f"not installed: {name}")


def plan_bars(setup):
    """The rows with bars, in groups."""
    four = setup.settings(4)
    empty, again = setup.empty, setup.again
    noise = "the empty object under another name (noise)"
    none_match = setup.socktune("no rule matches", others(50, four))
    foreign = {count: setup.socktune(f"{count} for others", others(count, four))
               for count in OTHERS}
    kept = setup.socktune("kept policy", others(50, four), make=Policies.keep)
    all_match = setup.socktune(
        "50 rules match", [rule(f'program = [ "true", "{TIMED}" ];', four)] * 50, 4, 4)
    matches = setup.socktune(
        "4 options, program", others(49, four) + [rule(f'program = "{TIMED}";', four)], 4, 4)
    listener = setup.socktune(
        "4 options, listener",
        others(49, four) + [rule(f'program = "{TIMED}"; role = "accept";', four)], 0, 4)

    def group(title, subject, effort, rows, phase=0):
        return Group(title, subject, effort, [
            Row(what, Sample(variant, subject, phase), Sample(empty, subject, phase), bar)
            for what, variant, bar in rows])

    yield group(f"start of {PROGRAM}", "start", Effort(300, 12), [
        (noise, again, None),
        *((f"compiled policy, {count:,} rules for other programs", foreign[count], bar)
          for count, bar in OTHERS.items()),
        ("compiled policy, 50 rules that match", all_match, None),
        ("policy beside a directory of 50 files, found fresh", kept, None)])
    yield group("socket() + close()", "socket", Effort(300, 12), [
        (noise, again, None),
        ("no rule matches", none_match, 1.02),
        ("rules on the listener", listener, None),
        ("a rule sets 4 options", matches, None)])
    yield group("program's own setsockopt()", "setsockopt", Effort(200, 12), [
        (noise, again, None),
        ("no rule matches", none_match, 1.03),
        ("a rule sets 4 other options", matches, 1.03)])
    connection = [(noise, again, None), ("no rule matches", none_match, 1.02),
                  ("rules on the listener, 4 options", listener, 1.02)]
    connect = group("connect()", "connection", Effort(150, 16), connection)
    accept = group("accept()", "connection", Effort(150, 16), connection, phase=1)
    yield connect._replace(
        title="connect() and accept()",
        rows=[row._replace(what="connect(): " + row.what) for row in connect.rows] +
             [row._replace(what="accept(): " + row.what) for row in accept.rows])
    for count in (1, 4, 8):
        yield plan_client(setup, count)
    yield plan_reports(setup)
    yield plan_trial(setup)
    yield plan_live(setup)


def plan_reports(setup):
    """What reporting costs the program, with a helper and without."""
    told = setup.socktune("reported", [f'  {{ match = {{ program = "{TIMED}"; }}; report = true; }}'])
    alone = preload("socktune: reported to nobody", setup.library,
                    SOCKTUNE_RULES=setup.policies_of[told],
                    SOCKTUNE_HELPER="/nonexistent/helper.sock")
    handed = preload("socktune: handed over", setup.library,
                     SOCKTUNE_RULES=setup.policies.compile(
                         "handed", [f'  {{ match = {{ program = "{TIMED}"; }}; report = true; '
                                    'handoff = "socket"; }'], setup.settings(8)),
                     SOCKTUNE_HELPER=setup.handed_to)
    setup.expected[alone] = setup.expected[handed] = (0, 0)
    rows = []
    for call, phase in (("connect()", 0), ("accept()", 1)):
        baseline = Sample(setup.empty, "connection", phase)
        rows += [Row(f"{call}: reported, at most {REPORT_NS} ns", Sample(told, "connection", phase),
                     baseline, extra=REPORT_NS),
                 Row(f"{call}: no helper", Sample(alone, "connection", phase), baseline),
                 Row(f'{call}: reported, handoff = "socket"',
                     Sample(handed, "connection", phase), baseline)]
    return Group("reporting a connection", "connection", Effort(150, 12), rows)


def plan_trial(setup):
    """What options set by an arm of a trial cost: all arms set the same options."""
    head = f'  {{ match = {{ program = "{TIMED}"; role = "connect"; }}; '
    given = f"set = {{ {setup.settings(4)} }};"
    arms = ", ".join(f'{{ name = "{name}"; {given} }}' for name in ("one", "other"))
    plain = setup.socktune("4 options, reported", [f"{head}{given} report = true; }}"], 4, 0)
    samples = {unit: setup.socktune(
        f"trial by {unit}", [f'{head}trial = {{ arms = ( {arms} ); unit = "{unit}"; '
                             'metric = "duration"; most = 1000000000; }; }'], 4, 0)
               for unit in ("connection", "10min")}
    baseline = Sample(plain, "connection")
    # With the unit "connection", a trial reads the cookie first: one system call more.
    bars_of = {"connection": 1.10, "10min": 1.04}
    return Group("connect() with 4 options by a trial, against the same by set, both reported",
                 "connection", Effort(150, 12),
                 [Row(f'an arm of a trial, unit = "{unit}"', Sample(variant, "connection"), baseline,
                      bars_of[unit]) for unit, variant in samples.items()])


def plan_live(setup):
    """What it costs that rules may change: the same rules with and without `live`."""
    rules = [rule(f'program = "{TIMED}";', setup.settings(4))]
    fixed = setup.socktune("4 options, fixed", rules, 4, 4)
    live = preload("socktune: 4 options, live", setup.library,
                   SOCKTUNE_RULES=setup.policies_of[fixed], SOCKTUNE_HELPER=setup.helper,
                   SOCKTUNE_LIVE="1")
    setup.expected[live] = (4, 4)
    return Group("connect() and accept() with 4 options, live against fixed", "connection",
                 Effort(150, 12),
                 [Row(f"{call}: rules that may change", Sample(live, "connection", phase),
                      Sample(fixed, "connection", phase))
                  for call, phase in (("connect()", 0), ("accept()", 1))])


def connecting(settings):
    """A rule that needs the remote address."""
    return rule(f'program = "{TIMED}"; role = "connect"; remote = "127.0.0.0/8";', settings)


def plan_client(setup, count):
    """socket() to connect(): rules compared with a program that sets the options itself."""
    settings = setup.settings(count)
    by_program = setup.socktune(f"client-{count}", [rule(f'program = "{TIMED}";', settings)],
                                count, count)
    by_remote = setup.socktune(f"remote-{count}", [connecting(settings)], count, 0)
    itself = Sample(setup.empty, "client", own=count)
    plural = "s" if count > 1 else ""
    return Group(
        f"socket() + {count} option{plural} + connect(), against a program that sets them itself",
        "client", Effort(200, 12), [
            Row("the empty object under another name (noise)",
                Sample(setup.again, "client", own=count), itself),
            Row("a rule on the program", Sample(by_program, "client"), itself, 1.03),
            # Without a bar: it must read the kind of the socket, one more getsockopt().
            Row("a rule on role and remote address", Sample(by_remote, "client"), itself)])


def plan_curves(setup):
    """How the cost grows with the number of rules, compared with one rule."""
    one = setup.settings(1)
    ours = connecting(setup.settings(4))
    foreign = {n: setup.socktune(f"others-{n}", others(n, one) + [ours], 4, 0) for n in COUNTS}
    absent = {n: setup.socktune(f"elsewhere-{n}", elsewhere(n, one) + [ours], 4, 0)
              for n in COUNTS}

    def curve(title, subject, effort, variants, bars):
        return Group(title, subject, effort, [
            Row(f"{n:,} rules", Sample(variants[n], subject), Sample(variants[COUNTS[0]], subject),
                bars.get(n)) for n in COUNTS[1:]])

    yield curve("connect() that a rule tunes, beside N rules for other programs, against 1",
                "connection", Effort(100, 12), foreign, {1000: 1.02})
    yield curve("connect() that a rule tunes, beside N rules for other remotes, against 1",
                "connection", Effort(60, 8), absent, {})
    yield curve(f"start of {PROGRAM} with N rules for other programs, against 1",
                "start", Effort(100, 4), foreign, {})


def run_bars(build, bench, groups):
    """
    Measure and print each group; repeat rows that miss their bars, up to bars.ATTEMPTS times. True
    if no row missed its bar each time.
    """
    kept = True
    for group in groups:
        print("\n" + group.title)
        pending = group.rows
        for attempt in range(1, bars.ATTEMPTS + 1):
            samples = [sample for row in pending for sample in (row.sample, row.baseline)]
            results = bench.measure(group.subject, samples, group.effort)
            pending = [row for row in pending
                       if not print_row(build, group, row, results, attempt)]
            if not pending:
                break
        kept &= not pending
    return kept


def print_row(build, group, row, results, attempt):
    """Print one result, and record it if it has a bar. False if it misses the bar."""
    scale = 1000 if group.subject == "start" else 1
    rows, baseline = ([[number * scale for number in line] for line in results[sample]]
                      for sample in (row.sample, row.baseline))
    ratio = report.compare(rows, baseline)
    name, verdict, kept = f"{group.title}: {row.what}", "", True
    if row.bar is not None:
        kept = bars.note(build, name, ratio.value, row.bar, attempt=attempt)
    elif row.extra is not None:
        kept = bars.note(build, name, ratio.extra, row.extra, "ns", attempt=attempt)
    if row.bar is not None or row.extra is not None:
        verdict = ("pass" if kept else "SHORT") + (f" (run {attempt})" if attempt > 1 else "")
    report.print_ratio(row.what, ratio, row.bar, verdict)
    return kept


def usable(bench, variants):
    """The variants under which the timed program works; the others are reported with the reason."""
    for variant in variants:
        try:
            with bench.ring([variant]) as (worker,):
                worker.ask("verify")
            yield variant
        except Refused as reason:
            print(f"cannot be timed: {reason}")


def system_calls(variant):
    """The number of system calls of a program start, or None without strace."""
    if shutil.which("strace") is None:
        return None
    words = ["strace", "-qq", "-o", "/dev/stdout", "-E", "LC_ALL=C"]
    words += [word for name, value in variant.environment for word in ("-E", f"{name}={value}")]
    trace = subprocess.run(words + [PROGRAM], env={"PATH": "/usr/bin:/bin"}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return len(trace.stdout.splitlines()) if trace.returncode == 0 else None


def plan_matrix(setup):
    """Our rows of the table of all preloads."""
    four = setup.settings(4)
    yield setup.socktune("no rule for it", others(50, four))
    for count in (1, 4, 8):
        yield setup.socktune(f"{count} options, by program".replace("1 options", "1 option"),
                             others(49, four) + [rule(f'program = "{TIMED}";', setup.settings(count))],
                             count, count)
    yield setup.socktune(
        "4 options, on the listener",
        others(49, four) + [rule(f'program = "{TIMED}"; role = "accept";', four)], 0, 4)
    yield setup.socktune(
        "8 options, reporting",
        others(49, four) + [f'  {{ match = {{ program = "{TIMED}"; }}; '
                            f'set = {{ {setup.settings(8)} }}; report = true; }}'], 8, 8)


def measure_matrix(bench, setup, own):
    """
    All preloads and all calls: {name: {column: Ratio to the empty object}}. Rows of a program that
    sets the options itself only have the column for socket() to connect().
    """
    variants = [setup.nothing, setup.again] + own + list(usable(bench, setup.alternatives()))
    cells = {variant.name: {} for variant in variants}
    for column, (subject, phase, effort) in COLUMNS.items():
        samples = {variant.name: Sample(variant, subject, phase) for variant in variants}
        if subject == "client":
            samples.update({f"the program sets {count} itself": Sample(setup.empty, subject, own=count)
                            for count in (1, 4, 8)})
        baseline = Sample(setup.empty, subject, phase)
        results = bench.measure(subject, [baseline, *samples.values()], effort)
        for name, sample in samples.items():
            cells.setdefault(name, {})[column] = report.compare(results[sample], results[baseline])
    add_counts(bench, setup, variants, cells)
    return cells


def run_matrix(bench, setup, own):
    columns = [*COLUMNS, "faults", "calls"]
    report.print_matrix("against the empty object", columns, [
        (name, [matrix_cell(row, column) for column in columns])
        for name, row in measure_matrix(bench, setup, own).items()])
    print("  client: socket(), options, connect(); faults, calls: page faults and system calls of a start, "
          "beyond the empty object's")


def matrix_cell(row, column):
    """The text of a cell: a ratio, or a difference of counts."""
    found = row.get(column)
    if found is None:
        return ""
    return f"{found:+.0f}" if column in ("faults", "calls") else f"{found.value:.3f}"


def add_counts(bench, setup, variants, cells):
    """Add the page faults and system calls of a start, beyond those with the empty object."""
    samples = [Sample(variant, "start", phase=1) for variant in [setup.empty, *variants]]
    faults = bench.measure("start", samples, Effort(20, 1))
    base_calls = system_calls(setup.empty)
    for sample in samples[1:]:
        row = cells[sample.variant.name]
        row["faults"] = report.compare(faults[sample], faults[samples[0]]).extra
        calls = system_calls(sample.variant)
        if None not in (calls, base_calls):
            row["calls"] = calls - base_calls


def settings_of(bench):
    """A function from a number of options to the settings of a rule: calls.c has the list of
    options."""
    variant = Variant("no preload", ())
    texts = {}
    with bench.ring([variant]) as (worker,):
        for count in (1, 4, 5, 8):
            texts[count] = " ".join(worker.ask(f"options {count}"))
    return texts.__getitem__


def check_rules_in_force(bench, setup):
    """Raise Refused unless each policy sets its options on the timed program's sockets, and all
    options on the probe's."""
    for variant, expected in setup.expected.items():
        for name, held in ((TIMED, expected), (PROBE, (8, 8))):
            with bench.ring([variant], name) as (worker,):
                found = tuple(int(word) for word in worker.ask("verify"))
            if found != held:
                raise Refused(f"{variant.name}: client and accepted socket of {name} have {found} "
                              f"options instead of {held}")


def print_machine(bench):
    fifo = "SCHED_FIFO" if os.geteuid() == 0 else "not SCHED_FIFO, for lack of privilege"
    print(f"Linux {platform.release()}, {' '.join(platform.libc_ver())}, {platform.machine()}, "
          f"processor {bench.processor} of {os.cpu_count()}, {fifo}")


@contextlib.contextmanager
def daemon(build):
    """A socktuned for connections that are handed over, and the value for SOCKTUNE_HELPER."""
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory:
        helper = Daemon(build, directory)
        try:
            yield helper.path
        finally:
            helper.stop()


def main(build):
    bench = Bench(build, PROGRAM, measure.last_processor())
    measure.keep_clear(bench.processor)
    print_machine(bench)
    with (tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory,
          Drain(directory) as drain, daemon(build) as handed_to):
        setup = Setup(build, directory, settings_of(bench), drain.path, handed_to)
        groups = list(plan_bars(setup)) + list(plan_curves(setup))
        own = list(plan_matrix(setup))
        check_rules_in_force(bench, setup)
        report.print_heading()
        kept = run_bars(build, bench, groups)
        run_matrix(bench, setup, own)
        if drain.records == 0:
            raise Refused("nothing was reported")
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    try:
        sys.exit(main(os.path.abspath(sys.argv[1])))
    except Refused as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
