# SPDX-License-Identifier: MIT
"""The bars of the benchmarks: recorded lines, the table, and the exit status."""
import subprocess

import pytest
from conftest import ROOT

BARS = ROOT / "tests" / "bench" / "bars.py"

# A benchmark: the words are value, bar, at_least; it exits with STATUS.
BENCHMARK = """
import sys
sys.path.insert(0, {bench!r})
import bars
for attempt in range(1, bars.ATTEMPTS + 1):
    if bars.note(sys.argv[1], {name!r}, {value}, {bar}, at_least={at_least}, attempt=attempt):
        break
sys.exit({status})
"""


@pytest.fixture
def run(directory):
    """Run bars.py over benchmarks: (value, bar, at_least, status)."""
    def bars(*benchmarks):
        (directory / "bench").mkdir()
        paths = []
        for number, (value, bar, at_least, status) in enumerate(benchmarks):
            paths.append(directory / f"b{number}.py")
            paths[-1].write_text(BENCHMARK.format(bench=str(BARS.parent), name=f"name {number}",
                                                  value=value, bar=bar, at_least=at_least,
                                                  status=status), encoding="utf-8")
        return subprocess.run(["/usr/bin/python3", "-B", BARS, directory, *paths], timeout=30,
                              capture_output=True, text=True, check=False)
    return bars


def test_all_that_is_kept_passes(run):
    done = run((1.0204, 1.02, False, 0), (0.99, 0.99, True, 0))
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert lines == [["name", "0", "1.020", "<=", "1.020", "pass"],
                     ["name", "1", "0.990", ">=", "0.990", "pass"]]
    assert done.stdout.endswith("2 bars, 0 fell short, each time that they were measured\n")


def test_what_falls_short_each_time_is_told_once(run):
    done = run((1.03, 1.02, False, 1), (1.0, 1.02, False, 0))
    assert done.returncode == 1
    assert done.stdout.count("name 0") == 1
    assert "SHORT (run 3)" in done.stdout
    assert "2 bars, 1 fell short" in done.stdout


def test_what_could_not_be_measured_is_no_success(run):
    done = run((1.0, 1.02, False, 2))
    assert done.returncode == 2
    assert "b0.py ended with status 2" in done.stdout
