# SPDX-License-Identifier: MIT
"""
The report: Markdown and CSV from outcomes. Pure.

A result is an experiment's Outcome, or the reason why there is none.
"""
import csv
import io
import itertools
from dataclasses import dataclass

import quantities

CSV_HEADING = ("figure", "unit", "variant", "run", "value")


@dataclass
class Result:
    """`status`: "ran", "skipped" or "failed"; `reason` if it did not run."""
    experiment: object
    status: str
    reason: str = ""
    outcome: object = None
    seconds: float = 0.0


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def markdown_table(heading, rows):
    """Lines of a Markdown table; all columns except the first are right-aligned."""
    lines = [heading, ["---"] + ["---:"] * (len(heading) - 1), *rows]
    return ["| " + " | ".join(cell(text) for text in line) + " |" for line in lines]


def figure_row(figure):
    """A row of the table of figures: the figure, each variant, and the ratio if there are two."""
    row = [figure.what] + [quantities.quantity_with_spread(figure.spread(variant), figure.unit)
                           for variant in figure.runs]
    if len(figure.runs) == 2:
        row.append(quantities.times(figure.ratio(list(figure.runs)[1]).median))
    return row


def figure_tables(figures):
    """Lines: consecutive figures with the same variants share a table."""
    lines = []
    for variants, group in itertools.groupby(figures, key=lambda one: tuple(one.runs)):
        group = list(group)
        runs = sorted({len(one.runs[variant]) for one in group for variant in variants})
        heading = ["", *variants] + (["ratio"] if len(variants) == 2 else [])
        told = " to ".join(str(number) for number in (runs[0], runs[-1])[:len(runs)])
        lines += [*markdown_table(heading, [figure_row(one) for one in group]), "",
                  f"Medians of {told} runs (middle half in brackets), taken in turn." if runs[-1] > 1
                  else "One run.", ""]
    return lines


def csv_text(outcome):
    """All numbers, one per line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADING)
    for figure in outcome.figures + outcome.unshown:
        for variant, numbers in figure.runs.items():
            for run, number in enumerate(numbers, 1):
                writer.writerow((figure.what, figure.unit, variant, run, f"{number:.9g}"))
    return text.getvalue()


def section(result):
    """Lines of the section of one experiment."""
    experiment, outcome = result.experiment, result.outcome
    lines = [f"## {experiment.title}", "", experiment.question.strip(), ""]
    if result.status != "ran":
        return lines + [f"**{result.status.capitalize()}**: {result.reason}", ""]
    for name, text in outcome.rules.items():
        lines += [f"`{name}`:", "```", text.strip(), "```", ""]
    lines += figure_tables(outcome.figures)
    for table in outcome.tables:
        lines += [*markdown_table(table.heading, table.rows), ""]
    for plot in outcome.plots:
        lines += [f"![{plot.title}]({plot.name}.svg)", ""]
    if outcome.sentences:
        lines += [*(f"- {sentence}" for sentence in outcome.sentences), ""]
    return lines + [f"Numbers: [{experiment.name}.csv]({experiment.name}.csv). "
                    f"Alone: `make proof PROOF={experiment.name}`. "
                    f"Took {result.seconds:.0f} s.", ""]


def headline_row(result):
    figure = result.outcome.headline
    first, last = list(figure.runs)[0], list(figure.runs)[-1]
    return [f"[{result.experiment.title}](#{anchor(result.experiment.title)}): {figure.what}",
            quantities.quantity(figure.median(first), figure.unit),
            quantities.quantity(figure.median(last), figure.unit)]


def anchor(title):
    """The anchor that Markdown viewers give a heading."""
    kept = "".join(one for one in title.lower() if one.isalnum() or one in " -_")
    return kept.replace(" ", "-")


def gains(results):
    """(title, factor) for each finite headline: above 1 is better, below 1 is worse."""
    found = []
    for result in results:
        if result.status != "ran" or result.outcome.headline is None:
            continue
        figure = result.outcome.headline
        first, last = figure.median(list(figure.runs)[0]), figure.median(list(figure.runs)[-1])
        better, worse = (last, first) if figure.more_is_better else (first, last)
        if worse > 0 and better > 0 and better != float("inf"):
            found.append((result.experiment.title, better / worse))
    return found


def report(results, facts, seconds, summary_plot=None):
    """The whole report. `facts`: pairs (name, text) about the machine and the run."""
    counts = {status: [one for one in results if one.status == status]
              for status in ("ran", "skipped", "failed")}
    lines = ["# What socktune brings, and what it costs", "",
             "Made by `make proof`: unmodified programs, without rules and under a rule file, taken in "
             "turn on this machine. Each figure is of this run.", ""]
    rows = [headline_row(one) for one in counts["ran"] if one.outcome.headline]
    if rows:
        lines += [*markdown_table(("", "without", "with socktune"), rows), ""]
    if summary_plot:
        lines += [f"![{summary_plot.title}]({summary_plot.name}.svg)", ""]
    lines += [f"Of {len(results)} experiments {len(counts['ran'])} ran, {len(counts['failed'])} failed "
              f"and {len(counts['skipped'])} were skipped; that took {seconds:.0f} s.", ""]
    lines += [f"- {status}: {one.experiment.name}: {cell(one.reason)}"
              for status in ("failed", "skipped") for one in counts[status]]
    lines += [*([""] if lines[-1] else []), *markdown_table(("this run", ""), facts), ""]
    for result in results:
        lines += section(result)
    return "\n".join(lines)
