#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The bars of all benchmarks, in one table.

    bars.py BUILD BENCHMARK...

Runs the benchmarks (BENCHMARK BUILD) one after the other; each records its results with note(). A
benchmark repeats a measurement that misses its bar, ATTEMPTS times in all; only the last attempt is
recorded. Exit status 1 if a bar is missed, 2 if something could not be measured.
"""
import json
import os
import subprocess
import sys

ATTEMPTS = 3


def results(build):
    return os.path.join(build, "bench", "results.jsonl")


def note(build, name, value, bar, unit="", at_least=False, attempt=1, attempts=ATTEMPTS):
    """
    Record a value and its bar (a maximum, or a minimum with `at_least`), as a line of JSON. A
    missed bar is recorded only in the last attempt. Returns whether the bar is met. `unit`: "" for
    a ratio.
    """
    rounded = round(value, 3)
    kept = rounded >= bar if at_least else rounded <= bar
    if kept or attempt == attempts:
        line = {"name": name, "value": value, "bar": bar, "unit": unit, "at_least": at_least,
                "attempt": attempt, "kept": kept}
        with open(results(build), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return kept


def number(value, unit):
    if not unit:
        return f"{value:.3f}"
    return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:.0f} {unit}"


def table(lines):
    """The table of results, one line of text each."""
    texts = [f"{'bar':<88} {'measured':>12} {'bar':>12}"]
    for line in lines:
        limit = (">= " if line["at_least"] else "<= ") + number(line["bar"], line["unit"])
        verdict = "pass" if line["kept"] else "SHORT"
        if line["attempt"] > 1:
            verdict += f" (run {line['attempt']})"
        texts.append(f"  {line['name'][:86]:<86} {number(line['value'], line['unit']):>12} "
                     f"{limit:>12}  {verdict}")
    return texts


def read(build):
    with open(results(build), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main(build, benchmarks):
    with open(results(build), "w", encoding="utf-8"):
        pass
    unmeasured = []
    for benchmark in benchmarks:
        status = subprocess.run([sys.executable, "-B", benchmark, build], check=False).returncode
        if status not in (0, 1):
            unmeasured.append(f"{os.path.basename(benchmark)} ended with status {status}")
    lines = read(build)
    print("", *table(lines), sep="\n")
    short = [line for line in lines if not line["kept"]]
    print(f"{len(lines)} bars, {len(short)} fell short, each time that they were measured"
          + "".join(f"; {text}" for text in unmeasured))
    return 1 if short else 2 if unmeasured else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2:]))
