# SPDX-License-Identifier: MIT
"""
An experiment: a question, its requirements, how it is run, and its outcome.

An experiment is a subclass of Experiment in a module of experiments/; proof.py finds it there. All
numbers are in base units (seconds, bytes, bits per second); quantity() makes them readable.
"""
import os
import shutil
from dataclasses import dataclass, field

import link
import quantities


@dataclass(frozen=True)
class Needs:
    """The requirements of an experiment."""
    root: bool = False
    programs: tuple = ()  # names in PATH
    files: tuple = ()     # paths; relative ones are below the build directory
    netns: bool = False   # network namespaces
    link: bool = False    # the link emulator: network namespaces and TUN

    def missing(self, build):
        """The missing requirements in words; an empty list if none is missing."""
        lacking = [f"{name} is not installed" for name in self.programs if not shutil.which(name)]
        lacking += [f"{path} is missing" for path in self.files
                    if not os.path.exists(os.path.join(build, path))]
        if (self.root or self.netns) and os.geteuid() != 0:
            lacking.append("it needs root")
        if self.netns and not shutil.which("ip"):
            lacking.append("ip (iproute2) is not installed")
        if self.link and link.why_unavailable():
            lacking.append(link.why_unavailable())
        return lacking


@dataclass(frozen=True)
class Figure:
    """
    One quantity under each variant: {variant: [a number for each run]}. The first variant is the
    baseline; runs with the same index were made side by side.
    """
    what: str
    unit: str  # "s", "B", "bit/s", "/s", "" ...: quantity() can shorten some of them
    runs: dict
    more_is_better: bool = False

    def median(self, variant):
        return quantities.median(self.runs[variant])

    def spread(self, variant):
        return quantities.spread(self.runs[variant])

    def ratio(self, variant, base=None):
        """The Spread of the ratio of `variant` to `base` (default: the first variant), run by
        run."""
        base = base or next(iter(self.runs))
        return quantities.spread(quantities.ratios(self.runs[variant], self.runs[base]))


@dataclass(frozen=True)
class Table:
    """Results that are not figures: texts under a heading."""
    heading: tuple
    rows: list


@dataclass
class Outcome:
    """The results of a run."""
    figures: list = field(default_factory=list)
    unshown: list = field(default_factory=list)     # figures only for the CSV file
    tables: list = field(default_factory=list)
    plots: list = field(default_factory=list)       # of class plot.Plot
    sentences: list = field(default_factory=list)   # computed from the figures
    # The figure for the first table of the report, which shows the first and the last variant.
    headline: Figure = None
    rules: dict = field(default_factory=dict)       # name: text; set by the lab


class Experiment:
    """Base class; these attributes are shown, not the subclass's docstring."""
    name = ""       # name in `make proof PROOF=...` and of the files
    title = ""
    question = ""   # Markdown: the question, about which unmodified program
    needs = Needs()
    order = 500     # place in the report
    limit = 120     # seconds; after that it is stopped and has failed

    def run(self, lab):
        """Returns an Outcome. Any exception is reported, and the other experiments run."""
        raise NotImplementedError
