# SPDX-License-Identifier: MIT
"""
Numbers of repeated runs: medians, spread, ratios, and their text. Pure.

The spread is that of the middle half of the runs (quartiles), so that a single disturbed run does
not affect it.
"""
import math
import statistics
from collections import namedtuple

Spread = namedtuple("Spread", "median low high runs")

median = statistics.median


def spread(numbers):
    """The Spread of numbers, some of which may be infinite: median and quartiles."""
    ordered = sorted(numbers)
    quartiles = []
    for quarter in (1, 2, 3):
        place, rest = divmod((len(ordered) - 1) * quarter, 4)
        low, high = ordered[place], ordered[place + (rest > 0)]
        # The difference of two infinite values is 0.
        quartiles.append(low if low == high else low + (high - low) * rest / 4)
    low, middle, high = quartiles
    return Spread(middle, low, high, len(numbers))


def ratios(numbers, base):
    """number / base, run by run; if the base is 0, the ratio is infinite (1 if both are 0)."""
    return [number / other if other else (math.inf if number else 1.0)
            for number, other in zip(numbers, base)]


def slope(points):
    """The slope of the line with the least squares through points (x, y)."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return statistics.linear_regression(xs, ys).slope


BINARY = {"B": ("B", "KiB", "MiB", "GiB", "TiB")}
DECIMAL = {"s", "bit/s", "B/s", "/s"}
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def digits(number):
    """A number with three significant digits, without exponent; an integer from 100 on."""
    if not math.isfinite(number):
        return "never" if number > 0 else str(number)
    size = abs(number)
    if size >= 100 or number == int(number):
        return f"{number:,.0f}"
    places = 2 - math.floor(math.log10(size)) if size else 0
    return f"{number:.{min(places, 6)}f}"


def quantity(number, unit):
    """A number of base units as text: 0.0412, "s" is "41.2 ms"; infinite time is "never"."""
    if not math.isfinite(number):
        return digits(number)
    if unit in BINARY:
        names, step = BINARY[unit], 0
        while abs(number) >= 1024 and step + 1 < len(names):
            number, step = number / 1024, step + 1
        return f"{digits(number)} {names[step]}"
    if unit in DECIMAL and number:
        low = 1e-9 if unit == "s" else 1
        high = 1 if unit == "s" else 1e9
        for factor, prefix in PREFIXES:
            if low <= factor <= high and (abs(number) >= factor or factor == low):
                space = "" if unit == "/s" and not prefix else " "
                return f"{digits(number / factor)}{space}{prefix}{unit}"
    return f"{digits(number)} {unit}".rstrip()


def quantity_with_spread(one, unit):
    """A Spread as text: median, and the quartiles if they differ from it."""
    text = quantity(one.median, unit)
    low, high = quantity(one.low, unit), quantity(one.high, unit)
    return text if low == text == high else f"{text} ({low} to {high})"


def times(ratio):
    """A ratio as text."""
    if not math.isfinite(ratio):
        return "x inf"
    return f"x{ratio:.3f}" if 0.9 <= ratio <= 1.1 else f"x{digits(ratio)}"
