# SPDX-License-Identifier: MIT
"""
Computes ratios from measured numbers, and prints the table.

A ratio is the median, over all rounds, of the sample's time divided by the baseline's time in the
same round. "+-" is twice its standard error, from the differences between the medians of single
processes: rounds of one process are too similar to count separately. The spread is the median
absolute deviation of the rounds' ratios, and shows how noisy the machine was.
"""
import math
import statistics
from collections import namedtuple

Ratio = namedtuple("Ratio", "baseline value error spread rounds extra")


def flatten(rows):
    return [number for row in rows for number in row]


def compare(rows, baseline_rows):
    """The Ratio of two results of Bench.measure(); `extra` is the median difference."""
    pairs = [list(zip(row, base)) for row, base in zip(rows, baseline_rows)]
    ratios = [[number / base for number, base in row] for row in pairs]
    every = flatten(ratios)
    value = statistics.median(every)
    error = math.nan
    if len(ratios) > 1:
        medians = [statistics.median(row) for row in ratios]
        error = 2 * statistics.stdev(medians) / math.sqrt(len(medians))
    return Ratio(baseline=statistics.median(flatten(baseline_rows)), value=value, error=error,
                 spread=statistics.median(abs(ratio - value) for ratio in every),
                 rounds=len(every),
                 extra=statistics.median(number - base for number, base in flatten(pairs)))


def _duration(nanoseconds):
    if nanoseconds >= 1e5:
        return f"{nanoseconds / 1e3:.0f} us"
    if nanoseconds >= 1e4:
        return f"{nanoseconds / 1e3:.1f} us"
    return f"{nanoseconds:.0f} ns"


HEADING = ("what", "baseline", "extra", "ratio", "+-", "spread", "n", "bar", "")
FORMAT = "{:<58} {:>9} {:>9} {:>7} {:>6} {:>7} {:>6} {:>5}  {}"


def print_heading():
    print(FORMAT.format(*HEADING).rstrip())


def print_ratio(what, ratio, bar=None, verdict=""):
    sign = "-" if ratio.extra < 0 else "+"
    print(FORMAT.format(
        "  " + what, _duration(ratio.baseline), sign + _duration(abs(ratio.extra)),
        f"{ratio.value:.3f}", f"{ratio.error:.3f}", f"{100 * ratio.spread:.1f}%", ratio.rounds,
        "" if bar is None else f"{bar:.2f}", verdict).rstrip(), flush=True)


def print_matrix(title, columns, rows):
    """`rows`: (name, [text]) with one text for each column."""
    widths = [max(len(column), 7) for column in columns]
    print(f"\n{title:<40}" + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths)))
    for name, cells in rows:
        print(f"  {name:<38}" + "".join(f"  {c:>{w}}" for c, w in zip(cells, widths)))
