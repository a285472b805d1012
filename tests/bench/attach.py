#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What rules that BPF applies cost, compared with no rules.

    attach.py BUILD

The same calls in a cgroup without rules, in one with five attached options, in one whose rules
guard an option, and under the preloaded library with the same five options, all in turn; then the
time to attach rules to a cgroup with 4,000 open sockets; then the helper's processor time for short
connections that BPF programs report. Needs root.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import bars
import bench as benches
import measure
import helper as helpers
from apply import HOLDER
from measure import Effort, Sample, Variant

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

SHORT = 20000        # connections, one after the other
# Microseconds of the helper's processor time per connection, both of whose ends BPF programs
# report, by location of the connections.
SHORT_BARS = {"in the helper's network namespace": 8.0, "in a container's": 8.0}
OPEN = 4000
OPEN_LIMIT = 100.0  # microseconds per socket, including the listing of processes, for a busy machine


def rules(directory, name, statements):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write('rules = ( { match = { role = [ "connect", "accept" ]; }; '
                   f"{statements} }} );\n")
    return path


def in_cgroup(name, cgroup):
    return Variant(name, (("BENCH_CGROUP", str(cgroup.directory)), ("LC_ALL", "C")))


def plan(nothing, preloaded, attached, guarded):
    def row(subject, phase, what, variant, bar):
        return benches.Row(what, Sample(variant, subject, phase), Sample(nothing, subject, phase),
                           bar)
    yield benches.Group("attach: connect() and accept()", "connection", Effort(150, 12), [
        row("connection", 0, "connect(): five options by BPF", attached, 1.35),
        row("connection", 0, "connect(): the same five by the library", preloaded, None),
        row("connection", 1, "accept(): five options by BPF", attached, 1.02),
        row("connection", 1, "accept(): the same five by the library", preloaded, None)])
    yield benches.Group("attach: program's own setsockopt()", "setsockopt", Effort(200, 12), [
        row("setsockopt", 0, "no rule guards", attached, 1.02),
        row("setsockopt", 0, "a rule guards another option", guarded, None)])


def seconds_to_attach(cgroup, path):
    begin = time.perf_counter()
    command = cgroup.attach(path)
    seconds = time.perf_counter() - begin
    command.kill()
    command.communicate()
    cgroup.commands.remove(command)
    return seconds


def measure_open(build, cgroup, path):
    """Microseconds for each open socket."""
    empty = min(seconds_to_attach(cgroup, path) for _ in range(3))
    holders = [subprocess.Popen(cgroup.entering(sys.executable, "-c", HOLDER, str(OPEN // 8)),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for _ in range(8)]
    count = sum(int(holder.stdout.readline()) for holder in holders)
    full = min(seconds_to_attach(cgroup, path) for _ in range(3))
    for holder in holders:
        holder.stdin.close()
        holder.wait(60)
    each = 1e6 * max(full - empty, 0) / count
    print(f"\nattach, {count} sockets open: {1e3 * full:.1f} ms; none open: {1e3 * empty:.1f} ms; "
          f"{each:.2f} us a socket")
    return bars.note(build, "attach: time an open socket", each, OPEN_LIMIT, "us", attempts=1)


def measure_reported(build, Cgroup):
    """{where: microseconds of the helper's processor for a short connection}"""
    found = {}
    for where in SHORT_BARS:
        with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory, \
                helpers.Lab(build, directory, helpers.INTERVAL) as lab, Cgroup() as cgroup:
            path = os.path.join(directory, "report.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"rules = ( {helpers.REPORT} );\n")
            cgroup.attach(path, env={"SOCKTUNE_HELPER": lab.daemon.path})
            helpers.until(lambda: lab.daemon.status()["attachments"] == 1, "the attachment")  # pylint: disable=cell-var-from-loop
            prefix = lab.namespace.prefix if "helper" in where else \
                ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
            before = lab.daemon.cpu()
            program = helpers.Program(cgroup.entering(
                *prefix, os.path.join(build, "bench", "holder"), SHORT, 100, 0), {})
            program.answer()
            helpers.until(lambda: lab.daemon.status()["history"]["kept"] and  # pylint: disable=cell-var-from-loop
                          lab.daemon.status()["connections"] <= 1, "the ends of all")  # pylint: disable=cell-var-from-loop
            found[where] = 1e6 * (lab.daemon.cpu() - before) / SHORT
            program.stop()
            if any(lab.daemon.status()["dropped"].values()):
                raise helpers.Refused(f"something was lost: {lab.daemon.status()['dropped']}")
    return found


def keep_reported(build, Cgroup):
    print("\nthe helper's processor for a short connection, both ends reported by BPF")
    kept = False
    for attempt in range(1, bars.ATTEMPTS + 1):
        found = measure_reported(build, Cgroup)
        kept = all([bars.note(build, f"a short connection, both ends reported by BPF: {where}", spent,
                              SHORT_BARS[where], "us", attempt=attempt)
                    for where, spent in found.items()])
        for where, spent in found.items():
            print(f"  {where:<44}{spent:>9.2f} us    bar {SHORT_BARS[where]:<6g}", flush=True)
        if kept:
            break
    return kept


def main(build):
    os.environ["SOCKTUNE_BUILD"] = build
    from attached import Cgroup  # pylint: disable=import-outside-toplevel
    processor = measure.last_processor()
    timed = measure.Bench(build, "/bin/true", processor)
    measure.keep_clear(processor)
    settings = benches.settings_of(timed)(5)
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory, \
            Cgroup() as plain, Cgroup() as tuned, Cgroup() as watched:
        five = rules(directory, "five.conf", f"set = {{ {settings} }};")
        guard = rules(directory, "guard.conf", "force = { SO_MARK = 0; };")
        policy = os.path.join(directory, "five.policy")
        subprocess.run([os.path.join(build, "socktune"), "compile", five, "-o", policy], check=True)
        preloaded = Variant("preload", (("BENCH_CGROUP", str(plain.directory)),
                                        ("LD_PRELOAD", os.path.join(build, "libsocktune.so")),
                                        ("SOCKTUNE_RULES", policy)))
        tuned.attach(five)
        watched.attach(guard)
        groups = plan(in_cgroup("no rules", plain), preloaded, in_cgroup("attached", tuned),
                      in_cgroup("guarded", watched))
        kept = benches.run_bars(build, timed, groups)
        kept &= measure_open(build, plain, five)
    kept &= keep_reported(build, Cgroup)
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("attach.py needs root; not measured")
        sys.exit(0)
    sys.exit(main(os.path.abspath(sys.argv[1])))
