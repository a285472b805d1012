# SPDX-License-Identifier: MIT
"""transport = "mptcp": a download that survives the loss of one of two paths."""
import math
import subprocess
import time

from experiment import Experiment, Figure, Needs, Outcome
from link import Path
from linked import open_link, run, start
from quantities import quantity

RULES = """rules = ( { match = { program = [ "curl", "python3" ]; }; set = { transport = "mptcp"; }; } );
"""
RATE = 20_000_000
SIZE = 5_000_000  # bytes: 2 s at that rate
DROPPED = 0.8     # seconds after the start
WATCHED = 8       # seconds
ROUNDS = 3
VARIANTS = ("without", "transport = mptcp")


class Multipath(Experiment):
    name = "mptcp"
    title = "The loss of a path: transport = mptcp"
    question = f"""
Two paths of {quantity(RATE, 'bit/s')} and 20 ms round trip join curl and python3 -m http.server, as WLAN
and a mobile network do. The kernel knows of both (ip mptcp endpoint), the programs of none.
{quantity(DROPPED, 's')} after a download of {SIZE / 1e6:g} MB has begun, the path that it began on is
dropped. How long does the download take? "never" means: not within {WATCHED} s.
"""
    needs = Needs(link=True, programs=("curl", "ip"), files=("/proc/sys/net/mptcp/enabled",))
    order = 170
    limit = 120

    def run(self, lab):
        policy = lab.rules("mptcp.conf", RULES)
        (lab.directory / "file").write_bytes(bytes(SIZE))
        link = open_link(lab, *(Path(name, delay_us=10_000, rate_bps=RATE, queue_bytes=100_000)
                                for name in ("wifi", "mobile")))
        self.announce(lab, link)
        ports = {}
        for name, rules in zip(VARIANTS, (None, policy)):
            ports[name] = lab.port()
            start(lab, link.far, ["/usr/bin/python3", "-m", "http.server", ports[name], "--bind",
                                  "0.0.0.0"], rules, cwd=lab.directory).until_listening(ports[name])
        runs = {(name, dropped): [] for dropped in (False, True) for name in VARIANTS}
        for _ in range(ROUNDS):
            for name, rules in zip(VARIANTS, (None, policy)):
                for dropped in (False, True):
                    runs[name, dropped].append(self.download(lab, link, ports[name], rules, dropped))
        figures = [Figure(what, "s", {name: runs[name, dropped] for name in VARIANTS})
                   for dropped, what in ((False, "download, both paths stay"),
                                         (True, f"download, its first path is dropped (watched for {WATCHED} s)"))]
        return Outcome(figures, sentences=self.sentences(*figures),
                       headline=figures[1])

    @staticmethod
    def announce(lab, link):
        """Announce the second path to both sides: the near one uses it, the far one offers it."""
        for side, flag in ((link.near, "subflow"), (link.far, "signal")):
            run(lab, side, ["ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2"])
            run(lab, side, ["ip", "mptcp", "endpoint", "add", side.address(path="mobile"), "dev",
                            "mobile", flag])

    @staticmethod
    def download(lab, link, port, rules, dropped):
        """Duration in seconds, or infinite."""
        link.order("wifi both up=1")
        begin = time.monotonic()
        curl = start(lab, link.near, ["curl", "-s", "-S", "-f", "-o", "/dev/null",
                                      f"http://{link.far.address(path='wifi')}:{port}/file"], rules)
        try:
            if dropped:
                time.sleep(DROPPED)
                link.order("wifi both up=0")
            status = curl.process.wait(WATCHED)
        except subprocess.TimeoutExpired:
            return math.inf
        finally:
            curl.stop()
        if status != 0:
            raise RuntimeError(f"curl: exit status {status}: {curl.output}")
        return time.monotonic() - begin

    @staticmethod
    def sentences(stays, dropped):
        (one, both), (lost, survived) = ([figure.median(name) for name in VARIANTS]
                                         for figure in (stays, dropped))
        end = {True: f"had not ended after {WATCHED} s", False: "ended after {}"}
        return [
            f"With its path dropped, the download over TCP "
            f"{end[lost == math.inf].format(quantity(lost, 's'))}; over MPTCP it "
            f"{end[survived == math.inf].format(quantity(survived, 's'))}.",
            f"While both paths stay it takes {quantity(one, 's')} over TCP and {quantity(both, 's')} "
            "over MPTCP.",
            "Both sides must speak MPTCP: with a peer that does not, the connection falls back to TCP, "
            "and nothing is gained."]
