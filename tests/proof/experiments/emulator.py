# SPDX-License-Identifier: MIT
"""The link emulator itself: the requested values, and those that TCP and iperf3 measured."""
import contextlib
import socket
import struct
import time

from experiment import Experiment, Needs, Outcome, Table
from link import LATEST_US, Link, Path
from linked import iperf, serve_iperf, told_repeated
from quantities import digits, quantity
from started import BUILD

DELAYS = (0.010, 0.050, 0.100)  # round trips
RATES = (10_000_000, 100_000_000, 500_000_000)
LOSSES = (10_000, 100_000)  # per million
HEADERS = 52 / 1500  # IPv4 and TCP with timestamps, as a share of a full packet
TOLERANCE = 0.05
TCPI_MIN_RTT = 148  # its offset in struct tcp_info (linux/tcp.h), in us
PACKETS = 100_000
BURST = 500
SO_RCVBUFFORCE = 33


def round_trip(link):
    """The shortest round-trip time that TCP measured, in seconds."""
    with link.far.socket() as listener, link.near.socket() as near:
        listener.bind((link.far.address(), 0))
        listener.listen()
        near.connect(listener.getsockname())
        with listener.accept()[0] as far:
            for _ in range(5):
                near.sendall(b".")
                far.recv(1)
                far.sendall(b".")
                near.recv(1)
            info = near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=I", info, TCPI_MIN_RTT)[0] / 1e6


def lost_share(link):
    """The share of lost datagrams."""
    arrived = 0
    with link.far.socket(kind=socket.SOCK_DGRAM) as far, \
            link.near.socket(kind=socket.SOCK_DGRAM) as near:
        far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        far.bind((link.far.address(), 0))
        far.setblocking(False)
        near.connect(far.getsockname())
        for sent in range(BURST, PACKETS + 1, BURST):
            for _ in range(BURST):
                near.send(b".")
            # Not faster than the link accepts them, or they would be lost before it. It has no
            # delay, so all accepted packets have arrived when the count is read.
            while link.way("out")["packets"] < sent:
                time.sleep(0.001)
            with contextlib.suppress(BlockingIOError):
                while far.recv(16):
                    arrived += 1
    return 1 - arrived / PACKETS


def chance(loss):
    """The relative standard deviation of the number of losses, which are independent."""
    share = loss / 1e6
    return ((1 - share) / (share * PACKETS)) ** 0.5


class Emulator(Experiment):
    name = "emulator"
    title = "The measure: what the emulated link does"
    question = f"""
Experiments with a link run over an emulator in user space (tests/link/). Does it do what it is asked
for? Round trips are TCP's own, rates are iperf3's, losses are counted. A run during which a packet was more than
{LATEST_US / 1000:g} ms late is thrown away.
"""
    needs = Needs(link=True, programs=("iperf3",))
    order = 90
    limit = 90

    def run(self, lab):
        rows, links, off = [], [], []

        def row(what, asked, found, unit, tolerance=TOLERANCE):
            error = found / asked - 1
            rows.append((what, quantity(asked, unit), quantity(found, unit), f"{error * 100:+.1f} %"))
            if abs(error) > tolerance:
                off.append(f"{what}: {error * 100:+.1f} % off.")

        def over(path, measure):
            with Link(BUILD, [path]) as link:
                links.append(link)
                return measure(link)

        for delay in DELAYS:
            row("round trip", delay, over(Path("p0", delay_us=int(delay / 2 * 1e6)),
                                          lambda link: link.punctually(lambda: round_trip(link))), "s")
        for rate in RATES:
            row("rate (of TCP's load)", rate * (1 - HEADERS), over(
                Path("p0", delay_us=1000, out={"rate_bps": rate, "queue_bytes": max(30_000, rate // 200)}),
                lambda link: iperf(lab, link, serve_iperf(lab, link))), "bit/s")
        for loss in LOSSES:
            row(f"loss of {PACKETS} packets, %", loss / 1e4, 100 * over(
                Path("p0", out={"loss_ppm": loss}), lost_share), "",
                max(TOLERANCE, 3 * chance(loss)))
        worst = max(link.last_report["worst_late_us"] for link in links)
        return Outcome(tables=[Table(("what", "asked", "found", "off by"), rows)], sentences=[
            *(off or [f"All within {TOLERANCE:.0%} of what was asked, or within what chance makes of it."]),
            "Losses are drawn for each packet: of so many, chance alone moves the count by "
            + " and ".join(f"{chance(loss):.1%} at {loss / 1e4:g} %" for loss in LOSSES)
            + " (standard deviation).",
            f"The worst lateness of all, thrown away runs included, was {digits(worst)} us"
            + ("." if all(link.fifo for link in links) else
               "; the emulator did not run under SCHED_FIFO, for it may not."),
            *told_repeated(links)])
