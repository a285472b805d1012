# SPDX-License-Identifier: MIT
"""What preloading costs per call, compared with all installed alternatives."""
import tempfile

import bench
import measure
import plot
from drain import Drain
from experiment import Experiment, Figure, Needs, Outcome, Table
from quantities import quantity, times

COLUMNS = ("start", "socket", "connect", "accept", "setsockopt", "client")


class Cost(Experiment):
    name = "cost"
    title = "What it costs a call, and what the alternatives cost"
    question = """
Time of a call (of a start of /bin/true) under each preload, against the same under an empty shared
object: medians of interleaved pairs, in processes that hand the turn on to each other every fraction
of a millisecond. "client" is socket() to connect() with the options between, so that a program that
sets them itself can be compared. Faults and calls: page faults and system calls of a start beyond those
under the empty object. Beside each rule there are 49 for other programs.
"""
    needs = Needs(files=("bench/calls", "bench/start", "bench/empty.so"))
    order = 750
    limit = 240

    def run(self, lab):
        timer = measure.Bench(str(lab.build.path), bench.PROGRAM, measure.last_processor())
        measure.keep_clear(timer.processor)
        with (tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory,
              Drain(directory) as drain):
            setup = bench.Setup(str(lab.build.path), directory, bench.settings_of(timer), drain.path)
            own = list(bench.plan_matrix(setup))
            bench.check_rules_in_force(timer, setup)
            cells = bench.measure_matrix(timer, setup, own)
            if drain.records == 0:
                raise RuntimeError("nothing was reported")
        return outcome_of(cells)


def outcome_of(cells):
    """Of {name: {column: Ratio}}."""
    columns = [*COLUMNS, "faults", "calls"]
    base = ["empty object, absolute"] + [in_words(cells, column) for column in COLUMNS] + ["", ""]
    table = Table(("against the empty object", *columns),
                  [base] + [[name] + [bench.matrix_cell(row, column) for column in columns]
                            for name, row in cells.items()])
    unshown = [Figure(f"{column} against the empty object", "",
                      {name: [row[column].value] for name, row in cells.items() if column in row})
               for column in COLUMNS]
    clients = {name: row["client"].value for name, row in cells.items()}
    drawn = plot.Plot("cost", "socket() to connect() against an empty object",
                      xlabel="times (log scale)", kind="ranking", categories=tuple(clients),
                      series={"client": list(clients.values())})
    return Outcome(tables=[table], unshown=unshown, plots=[drawn], sentences=sentences(cells, clients))


def in_words(cells, column):
    """The time under the empty object, the baseline of all rows, in words."""
    row = next(row for row in cells.values() if column in row)
    nanoseconds = row[column].baseline * (1000 if column == "start" else 1)
    return quantity(nanoseconds / 1e9, "s")


def sentences(cells, clients):
    told = []
    for count in (1, 4, 8):
        plural = "s" if count > 1 else ""
        by_rule = clients[f"socktune: {count} option{plural}, by program"]
        itself = clients[f"the program sets {count} itself"]
        told.append(f"{count} option{plural} by a rule: {times(by_rule / itself)} of what a program "
                    f"pays that sets {'them' if count > 1 else 'it'} itself.")
    idle = cells["socktune: no rule for it"]
    told.append("A program that no rule is for pays " +
                ", ".join(f"{times(idle[column].value)} for {column}" for column in COLUMNS[:-1]) +
                "; the empty object under another name, which is the noise, measures " +
                ", ".join(times(cells["empty object again"][column].value) for column in COLUMNS[:-1]) +
                ".")
    return told
