# SPDX-License-Identifier: MIT
"""
What an experiment is: a question, what it needs, and how it is run; and what comes of it.

An experiment is a subclass of Experiment in a module below experiments/; proof.py finds it there.
All numbers are in base units (seconds, bytes, bits a second); quantity() makes them readable.
"""
import os
import shutil
from dataclasses import dataclass, field

import link
import quantities


@dataclass(frozen=True)
class Needs:
    """What an experiment cannot do without."""
    root: bool = False
    programs: tuple = ()  # names in PATH
    files: tuple = ()     # paths, relative ones below the build directory
    netns: bool = False   # network namespaces
    link: bool = False    # the link emulator: network namespaces and TUN

    def missing(self, build):
        """What is not there, in words; an empty list if all is."""
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
    One quantity under each variant: {variant: [a number for each run]}. The first variant is what
    the others are compared with; runs of the same index were made side by side.
    """
    what: str
    unit: str  # "s", "B", "bit/s", "/s", "" ...: of which quantity() knows how to shorten some
    runs: dict
    more_is_better: bool = False

    def median(self, variant):
        return quantities.median(self.runs[variant])

    def spread(self, variant):
        return quantities.spread(self.runs[variant])

    def ratio(self, variant, base=None):
        """The Spread of what `variant` is to `base` (the first one), run by run."""
        base = base or next(iter(self.runs))
        return quantities.spread(quantities.ratios(self.runs[variant], self.runs[base]))


@dataclass(frozen=True)
class Table:
    """For what is not figures: texts under a heading."""
    heading: tuple
    rows: list


@dataclass
class Outcome:
    """What a run brought."""
    figures: list = field(default_factory=list)
    unshown: list = field(default_factory=list)     # figures for the CSV file alone
    tables: list = field(default_factory=list)
    plots: list = field(default_factory=list)       # of plot.Plot
    sentences: list = field(default_factory=list)   # computed from the figures
    # The one figure for the table that the report begins with; first and last variant are shown.
    headline: Figure = None
    rules: dict = field(default_factory=dict)       # name: text; filled in by the lab


class Experiment:
    """To be subclassed; a docstring of the subclass's own is not shown, these are."""
    name = ""       # what `make proof PROOF=...` and the files call it
    title = ""
    question = ""   # Markdown: what is asked, of which unmodified program
    needs = Needs()
    order = 500     # place in the report
    limit = 120     # seconds after which it is stopped and has failed

    def run(self, lab):
        """An Outcome. Raises what it likes: the report tells, and the others are run."""
        raise NotImplementedError
