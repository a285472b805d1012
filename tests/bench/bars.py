#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
The bars that the benchmarks hold us to, in one table.

    bars.py BUILD BENCHMARK...

Runs the benchmarks, one after the other (BENCHMARK BUILD), each of which notes its results here by
note(). What falls short is measured again by the benchmark itself, ATTEMPTS times in all; only the
last attempt is noted. Exit status 1 when a bar is not kept, 2 when something could not be measured.
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
    Note a value that must be at most `bar`, or at least, and whether it is so, as a line of JSON;
    but one that falls short only in the last attempt. Returns whether it is so. `unit`: "" for a
    ratio.
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
    """The table of results, a line of text for each."""
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
