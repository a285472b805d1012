# SPDX-License-Identifier: MIT
"""SO_RCVBUF and SO_SNDBUF: throughput of long links by buffer size, and when not to set one."""
import plot
from experiment import Experiment, Figure, Needs, Outcome
from lab import in_turn
from link import Path
from linked import iperf, open_link, serve_iperf, told_repeated
from quantities import quantity

KIB = 1024
SIZES = (64 * KIB, 256 * KIB, 1024 * KIB)
RTTS = (0.050, 0.100)
RATE = 200_000_000
ROUNDS = 3
AUTOTUNED = "without (autotuned)"

RULES = """program = "iperf3";
rules = (
  {{ match = {{ role = "listen"; }};  set = {{ SO_RCVBUF = "{size}K"; }}; }},
  {{ match = {{ role = "connect"; }}; set = {{ SO_SNDBUF = "{size}K"; }}; }}
);
"""
IGNORE = """program = "iperf3";
rules = ( { ignore = [ "SO_RCVBUF", "SO_SNDBUF" ]; } );
"""


def long_link(lab, rtt):
    """A link whose queue has room for the bandwidth-delay product, so that TCP can fill the
    link."""
    return open_link(lab, Path("p0", delay_us=int(rtt / 2 * 1e6),
                               out={"rate_bps": RATE, "queue_bytes": int(RATE / 8 * rtt)}))


def name_of(size):
    return quantity(size, "B")


def theory(size, rtt):
    """Bits per second: one buffer per round trip, at most the link's rate."""
    return min(RATE, size * 8 / rtt)


class Buffers(Experiment):
    name = "buffers"
    title = "Long links: SO_RCVBUF and SO_SNDBUF against autotuning"
    question = f"""
iperf3 sends over a link of {quantity(RATE, 'bit/s')}, with round trips of 50 and 100 ms. A rule gives
the receiving side SO_RCVBUF before it listens and the sending side SO_SNDBUF before it connects;
without, the kernel tunes both. No more than a buffer can be on its way in a round trip: the theory
is buffer / RTT.
"""
    needs = Needs(link=True, programs=("iperf3",))
    order = 110
    limit = 200

    def run(self, lab):
        # The warning that a fixed size ends autotuning is expected: that is measured.
        policies = {name_of(size): lab.rules(f"{size // KIB}K.conf", RULES.format(size=size // KIB),
                                             warnings=True) for size in SIZES}
        policies = {AUTOTUNED: None, **policies}
        figures, links = [], []
        for rtt in RTTS:
            link = long_link(lab, rtt)
            links.append(link)
            runs = in_turn(ROUNDS, {
                name: lambda link=link, rules=rules, port=serve_iperf(lab, link, rules):
                iperf(lab, link, port, rules) for name, rules in policies.items()})
            figures.append(Figure(f"throughput at RTT {quantity(rtt, 's')}", "bit/s", runs,
                                  more_is_better=True))
        return Outcome(figures, plots=[self.plot(figures)],
                       sentences=self.sentences(figures) + told_repeated(links))

    def plot(self, figures):
        series = {}
        for rtt, figure in zip(RTTS, figures):
            told = quantity(rtt, "s")
            series[f"measured, {told}"] = [(size, figure.runs[name_of(size)]) for size in SIZES]
            series[f"autotuned, {told}"] = [(size, [figure.median(AUTOTUNED)]) for size in SIZES]
            series[f"buffer / RTT, {told}"] = [(size, [theory(size, rtt)]) for size in SIZES]
        return plot.Plot(self.name, "iperf3 over a long link, by the buffer that a rule sets",
                         "SO_RCVBUF and SO_SNDBUF, KiB", "Mbit/s", "lines", series, scale=1e-6,
                         xscale=1 / KIB, logx=True, logy=True,
                         dashed=tuple(name for name in series if not name.startswith("measured")))

    @staticmethod
    def sentences(figures):
        told = []
        for rtt, figure in zip(RTTS, figures):
            auto = figure.median(AUTOTUNED)
            shares = ", ".join(f"{name_of(size)} x{figure.median(name_of(size)) / theory(size, rtt):.2f}"
                               for size in SIZES)
            best = max((name_of(size) for size in SIZES), key=figure.median)
            told.append(f"RTT {quantity(rtt, 's')}: measured against buffer / RTT or the link's rate: "
                        f"{shares}.")
            if auto >= figure.median(best):
                told.append(f"RTT {quantity(rtt, 's')}: autotuning, {quantity(auto, 'bit/s')}, is "
                            "better than every size that was set. Set none.")
            else:
                gain = figure.median(best) / auto
                told.append(
                    f"RTT {quantity(rtt, 's')}: {best} brings "
                    f"{quantity(figure.median(best), 'bit/s')}, autotuning {quantity(auto, 'bit/s')}"
                    f" (x{gain:.2f})" + (": nothing is gained by setting one." if gain < 1.1 else
                                         " in the first seconds of a connection."))
        return told


class SmallBuffer(Experiment):
    name = "ignore"
    title = "A program that sets itself a small buffer: ignore"
    question = """
iperf3 -w 16K sets SO_SNDBUF and SO_RCVBUF of 16 KiB on both sides, as programs do whose authors had a
local network in mind. The rule says that its setsockopt is to succeed without effect, so that the
kernel tunes the buffers. The link has a round trip of 50 ms.
"""
    needs = Needs(link=True, programs=("iperf3",))
    order = 120
    limit = 90

    def run(self, lab):
        link = long_link(lab, RTTS[0])
        policies = {"iperf3 -w 16K": None, "with ignore": lab.rules("ignore.conf", IGNORE)}
        runs = in_turn(ROUNDS, {
            name: lambda rules=rules, port=serve_iperf(lab, link, rules):
            iperf(lab, link, port, rules, options=("-w", "16K")) for name, rules in policies.items()})
        figure = Figure("throughput of a program that sets 16 KiB", "bit/s", runs,
                        more_is_better=True)
        without, tuned = (figure.median(name) for name in policies)
        return Outcome(
            [figure], headline=figure,
            sentences=[f"{quantity(without, 'bit/s')} as the program wants it, "
                       f"{quantity(tuned, 'bit/s')} when it is not listened to: "
                       f"x{tuned / without:.0f}.", *told_repeated([link])])
