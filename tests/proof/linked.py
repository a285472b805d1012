# SPDX-License-Identifier: MIT
"""Experiments over an emulated link: programs on its two sides (tests/link/link.py)."""
import json

from link import Link
from started import BUILD


def open_link(lab, *paths, **keywords):
    """A Link that the lab closes."""
    return lab.enter_context(Link(BUILD, paths, **keywords))


def start(lab, side, command, rules=None, **keywords):
    """lab.start() on a side of a link."""
    return lab.start(command, rules, preexec_fn=side.enter, **keywords)


def run(lab, side, command, rules=None, **keywords):
    """lab.run() on a side of a link."""
    return lab.run(command, rules, preexec_fn=side.enter, **keywords)


def serve_iperf(lab, link, rules=None):
    """An iperf3 server on the far side; returns its port."""
    port = lab.port()
    start(lab, link.far, ["iperf3", "-s", "-p", port], rules).until_listening(port)
    return port


def iperf(lab, link, port, rules=None, seconds=1, omit=1, options=(), seed=1):
    """Bits per second that an iperf3 server receives during `seconds`, after `omit` seconds of slow
    start. The link's random numbers restart from `seed`. If the link was late, the run is
    repeated."""
    def measure():
        link.restart(seed)
        text = run(lab, link.near, ["iperf3", "-c", link.far.address(), "-p", port, "-J", "-t",
                                    seconds, "-O", omit, *options], rules)
        return json.loads(text)["end"]["sum_received"]["bits_per_second"]
    return link.punctually(measure)


def told_repeated(links):
    """A sentence about runs that were discarded; an empty list if there were none."""
    count = sum(link.repeated for link in links)
    return [f"{count} runs were thrown away and repeated, for the link was later than 5 ms in "
            "them."] if count else []
