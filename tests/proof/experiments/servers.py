# SPDX-License-Identifier: MIT
"""nginx under wrk and redis under redis-benchmark: without, with rules, with rules and reports."""
import plot
import throughput
from experiment import Experiment, Figure, Needs, Outcome
from quantities import median, quantity, times
from throughput import REPORTED, SERVERS, TUNED, WAYS, WITHOUT

ROUNDS = 5


class Servers(Experiment):
    name = "servers"
    title = "What busy servers lose"
    question = f"""
nginx under wrk and redis under redis-benchmark: as they are, with 8 options on what they accept, and
with every connection reported to socktuned besides. The loads run in turns of
{1000 * throughput.SLICE:.0f} ms, {throughput.SECONDS} s a round, and each round starts all servers
afresh. The helper does its part on another processor and later: what it takes is told by itself.
"""
    needs = Needs(programs=("nginx", "redis-server", "redis-cli", "wrk", "redis-benchmark"))
    order = 800
    limit = 180

    def run(self, lab):
        trial = throughput.Trial(lab)
        figures, sentences = [], []
        for kind in SERVERS:
            for way, each in WAYS.items():
                measured, spent = trial.run(kind, each, (WITHOUT, TUNED, REPORTED), ROUNDS)
                figure = Figure(f"{kind.name}, {way}", "/s", measured, more_is_better=True)
                figures.append(figure)
                one, other = (figure.ratio(name) for name in (TUNED, REPORTED))
                sentences.append(
                    f"{figure.what}: {times(one.median)} with 8 options ({times(one.low)} to "
                    f"{times(one.high)}), {times(other.median)} with reports ({times(other.low)} to "
                    f"{times(other.high)}); the helper took {quantity(median(spent), 's')} of a processor "
                    "a request.")
        return Outcome(figures, sentences=sentences,
                       plots=[plot.bars(self.name, "Busy servers, without rules, tuned, and reported",
                                        figures, "requests a second, in thousands", scale=1e-3)])
