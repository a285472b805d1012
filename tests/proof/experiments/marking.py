# SPDX-License-Identifier: MIT
"""dscp and SO_PRIORITY: what a capture of the packets shows."""
import collections
import contextlib

import pcap
from experiment import Experiment, Needs, Outcome, Table
from link import Link, Path
from linked import run, start
from priority import PriorityTap
from started import BUILD

CURL = """program = "curl";
rules = ( { match = { role = "connect"; }; set = { dscp = "AF21"; SO_PRIORITY = 5; }; } );
"""
PYTHON = """program = "python3";
rules = ( { match = { role = "accept"; }; set = { dscp = "EF"; SO_PRIORITY = 6; }; } );
"""
NAMES = {0: "CS0 (0)", 18: "AF21 (18)", 46: "EF (46)"}
FAMILIES = {"inet": "IPv4", "inet6": "IPv6"}
VARIANTS = ("without", "by a rule")
SIDES = ("curl", "python3 -m http.server")
TCP = 6


def fields(packet):
    """(version, DSCP, sender by address) of a TCP packet, or None. RFC 791, RFC 8200, RFC 2474: the
    DSCP is the upper six bits of the type of service or traffic class."""
    if packet[0] >> 4 == 4:
        return ("inet", packet[1] >> 2, packet[12:16]) if packet[9] == TCP else None
    traffic_class = (packet[0] & 0xF) << 4 | packet[1] >> 4
    return ("inet6", traffic_class >> 2, packet[8:24]) if packet[6] == TCP else None


def told(counted, names=None):
    """Counted values as text: "46 (9 packets)"."""
    return ", ".join(f"{(names or {}).get(value, value)}: {count} packets"
                     for value, count in sorted(counted.items())) or "no packets"


class Marking(Experiment):
    name = "marking"
    title = "Marks on packets: dscp and SO_PRIORITY"
    question = """
curl asks python3 -m http.server for a file, over IPv4 and over IPv6; neither can set a DSCP. The link
captures every packet of both directions, from the SYN on. SO_PRIORITY is no field of an IP packet: it
is told by a socket filter on each side's device, which sees what the queueing discipline sees.
"""
    needs = Needs(link=True, programs=("curl",))
    order = 160
    limit = 60
    blind = ""  # why SO_PRIORITY could not be observed

    def run(self, lab):
        policies = {"curl": lab.rules("curl.conf", CURL), "python": lab.rules("python3.conf", PYTHON)}
        (lab.directory / "file").write_bytes(bytes(20_000))
        counts, priorities = {}, {}
        for family in FAMILIES:
            for variant, tuned in zip(VARIANTS, (False, True)):
                counts[family, variant], priorities[family, variant] = self.transfer(
                    lab, family, policies if tuned else {})
        rows, wrong = [], [f"SO_PRIORITY was not looked at: {self.blind}."] if self.blind else []
        for family, version in FAMILIES.items():
            for side, (who, dscp, priority) in enumerate(zip(SIDES, (18, 46), (5, 6))):
                without, tuned = (counts[family, one][side] for one in VARIANTS)
                before, after = (priorities[family, one][side] for one in VARIANTS)
                rows.append((f"{version}, {who} sends, DSCP", told(without, NAMES), told(tuned, NAMES)))
                if not self.blind:
                    rows.append((f"{version}, {who} sends, priority", told(before), told(after)))
                if set(tuned) != {dscp}:
                    wrong.append(f"{version}: not every packet of {who} has the DSCP that was set: "
                                 f"{told(tuned, NAMES)}")
                if not self.blind and set(after) != {priority}:
                    wrong.append(self.told_priority(version, who, priority, after))
        return Outcome(tables=[Table(("what", *VARIANTS), rows)], sentences=wrong or [
            "Every packet has the marks that were set, the first one included."])

    @staticmethod
    def told_priority(version, who, priority, counted):
        return (f"{version}: {counted.get(priority, 0)} of {sum(counted.values())} packets of {who} "
                f"have priority {priority}. An accepted socket does not inherit SO_PRIORITY, and what "
                "the kernel sends before accept() returns (SYN-ACK, ACKs of the handshake) is not the "
                "socket's yet.")

    def tap(self, opened, side):
        """A PriorityTap; None if the kernel does not permit its filter; .blind has the reason."""
        try:
            return opened.enter_context(PriorityTap(side, "p0"))
        except OSError as error:
            self.blind = str(error)
            return None

    def transfer(self, lab, family, policies):
        """For one download, the number of packets by DSCP and by priority, for each of SIDES."""
        capture = lab.directory / "link.pcap"
        with contextlib.ExitStack() as opened:
            link = opened.enter_context(Link(BUILD, [Path("p0", delay_us=1000)], capture=capture))
            address, port = link.far.address(family), lab.port()
            server = start(lab, link.far, ["/usr/bin/python3", "-m", "http.server", port, "--bind",
                                           address], policies.get("python"), cwd=lab.directory)
            server.until_listening(port)
            taps = [self.tap(opened, side) for side in (link.near, link.far)]
            bracketed = f"[{address}]" if family == "inet6" else address
            run(lab, link.near, ["curl", "-s", "-S", "-o", "/dev/null",
                                 f"http://{bracketed}:{port}/file"], policies.get("curl"))
            server.stop()
            priorities = [tap.counted() if tap else {} for tap in taps]
        counted = [collections.Counter(), collections.Counter()]
        senders = {}
        for packet in pcap.packets(capture):
            found = fields(packet)
            if found and found[0] == family:
                # The first packet is curl's SYN.
                side = senders.setdefault(found[2], len(senders))
                counted[side][found[1]] += 1
        return counted, priorities
