# SPDX-License-Identifier: MIT
"""TCP_CONGESTION: algorithms under loss."""
import plot
from experiment import Experiment, Figure, Needs, Outcome
from link import Path
from linked import iperf, open_link, serve_iperf, told_repeated
from quantities import quantity

RULES = """program = "iperf3";
rules = ( {{ match = {{ role = "connect"; }}; set = {{ TCP_CONGESTION = "{name}"; }}; }} );
"""
WITHOUT = "without (reno)"
ALGORITHMS = ("cubic", "bbr")
LOSSES = (0, 1000, 10_000)  # per million
RATE = 100_000_000
RTT = 0.020
ROUNDS = 3


def available():
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as names:
        return names.read().split()


def told_loss(loss):
    return f"throughput at {loss / 1e4:g} % loss"


class Congestion(Experiment):
    name = "congestion"
    title = "Lossy links: TCP_CONGESTION"
    question = f"""
iperf3 sends for a second, from its first packet on, over a link of {quantity(RATE, 'bit/s')} with a round trip of {quantity(RTT, 's')} that
loses packets at random, as a radio does. What arrives under each algorithm? Without a rule it is the
default, here reno on purpose. In a round, all meet the same losses by packet number; each round has
others.
"""
    needs = Needs(link=True, programs=("iperf3",))
    order = 130
    limit = 200

    def run(self, lab):
        present = [name for name in ALGORITHMS if name in available()]
        policies = {WITHOUT: None, **{name: lab.rules(f"{name}.conf", RULES.format(name=name))
                                      for name in present}}
        figures = []
        link = open_link(lab, Path("p0", delay_us=int(RTT / 2 * 1e6),
                                   out={"rate_bps": RATE, "queue_bytes": int(RATE / 8 * RTT)}))
        port = serve_iperf(lab, link)
        for loss in LOSSES:
            runs = {name: [] for name in policies}
            link.order(f"p0 out loss_ppm={loss}")
            for seed in range(1, ROUNDS + 1):
                for name, rules in policies.items():
                    runs[name].append(iperf(lab, link, port, rules, omit=0, seed=seed))
            figures.append(Figure(told_loss(loss), "bit/s", runs,
                                  more_is_better=True))
        missing = [name for name in ALGORITHMS if name not in present]
        return Outcome(
            figures, plots=[plot.bars(self.name, "Throughput of iperf3 by congestion control",
                                      figures, "Mbit/s", scale=1e-6)],
            sentences=[*map(self.sentence, figures), *told_repeated([link]),
                       *(f"Skipped: this kernel has no {name}." for name in missing)],
            headline=figures[-1] if "bbr" in present else None)

    @staticmethod
    def sentence(figure):
        medians = {name: figure.median(name) for name in figure.runs}
        best = max(medians, key=medians.get)
        gain = medians[best] / medians[WITHOUT]
        verdict = (f"{best} carries x{gain:.1f} of what the default does" if gain > 1.05
                   else "no algorithm is better than the default by more than 5 %")
        return (f"{figure.what}: " + ", ".join(f"{name} {quantity(rate, 'bit/s')}"
                                               for name, rate in medians.items()) + f": {verdict}.")
