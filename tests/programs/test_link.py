# SPDX-License-Identifier: MIT
"""The link emulator (tests/link/): packets are treated as ordered.

Times come from the kernel, so a busy machine delays only the test, not the measured times; a run in
which the emulator was late is repeated (Link.punctually). Random numbers depend on the seed: each
run loses the same packets."""
import contextlib
import itertools
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

import kernel
import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests" / "link"))
# pylint: disable=wrong-import-position
import link as emulator  # noqa: E402
import pcap  # noqa: E402
from link import Link, Path  # noqa: E402

pytestmark = pytest.mark.skipif(emulator.why_unavailable() is not None,
                                reason=str(emulator.why_unavailable()))

PORT = 7000
SIZE = 1400
HEADERS = 28  # IPv4 and UDP
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
TCPI_MIN_RTT = 148  # its offset in struct tcp_info, in us
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class Lane:
    """UDP from near to far, with numbered packets and the kernel's timestamps."""

    def __init__(self, link, path=None, family="inet", size=SIZE):
        self.link, self.path, self.size, self.sent = link, path, size, 0
        self.far = link.far.socket(FAMILIES[family], socket.SOCK_DGRAM)
        self.far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.far.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.far.settimeout(10)
        self.far.bind((link.far.address(family, path), PORT))
        self.near = link.near.socket(FAMILIES[family], socket.SOCK_DGRAM)
        self.near.connect(self.far.getsockname()[:2])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.near.close()
        self.far.close()

    def taken(self):
        return self.link.way("out", self.path)["packets"]

    def send(self, count):
        """Send packets, not faster than the emulator reads them: none is lost before the link."""
        before = self.taken()
        for i in range(count):
            self.near.send(struct.pack("!I", self.sent).ljust(self.size, b"."))
            self.sent += 1
            if i % 200 == 199 or i == count - 1:
                kernel.until(lambda due=before + i + 1: self.taken() >= due,
                             "the emulator takes the packets")

    def receive(self, count):
        """Receive packets: a list of (number, time in seconds)."""
        got = []
        for _ in range(count):
            data, extra, _, _ = self.far.recvmsg(2048, 256)
            seconds, nanoseconds = struct.unpack("=qq", extra[0][2][:16])
            got.append((struct.unpack_from("!I", data)[0], seconds + nanoseconds / 1e9))
        return got

    def passed(self):
        return self.link.way("out", self.path)["passed"]

    def pass_all(self, count):
        """Send packets and receive those that are not lost."""
        before = self.passed()
        self.send(count)
        return self.receive(self.passed() - before)


def round_trip(link, family):
    """The shortest round-trip time that TCP measured, from SYN to the answer to data, in ms."""
    address = link.far.address(family), PORT
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(link.far.socket(FAMILIES[family]))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        near = opened.enter_context(link.near.socket(FAMILIES[family]))
        near.connect(address)
        far = opened.enter_context(listener.accept()[0])
        far.sendall(b".")
        near.recv(1)
        near.sendall(b".")
        far.recv(1)
        info = near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=I", info, TCPI_MIN_RTT)[0] / 1000


@pytest.mark.parametrize("family", FAMILIES)
def test_the_round_trip_is_as_long_as_asked(family):
    with Link(BUILD, [Path("p0", delay_us=10_000)]) as link:
        trip = link.punctually(lambda: statistics.median(round_trip(link, family)
                                                         for _ in range(3)))
    assert trip == pytest.approx(20, rel=0.05)


def test_directions_are_set_apart():
    with Link(BUILD, [Path("p0", out={"delay_us": 30_000}, back={"delay_us": 10_000})]) as link:
        assert link.punctually(lambda: round_trip(link, "inet")) == pytest.approx(40, rel=0.05)


def test_the_rate_is_as_asked():
    count, rate = 300, 20_000_000

    def measure():
        times = [when for _, when in lane.pass_all(count)]
        return (count - 1) * (SIZE + HEADERS) * 8 / (times[-1] - times[0])

    with Link(BUILD, [Path("p0", rate_bps=rate, queue_bytes=1_000_000)]) as link, Lane(link) as lane:
        assert link.punctually(measure) == pytest.approx(rate, rel=0.05)


def test_a_full_queue_drops():
    with Link(BUILD, [Path("p0", rate_bps=1_000_000, queue_bytes=10 * (SIZE + HEADERS))]) as link, \
            Lane(link) as lane:
        lane.send(50)
        way = link.way("out")
        assert way["overflowed"] + way["passed"] == 50
        # Those in the queue, the one being sent, and those for which room was made meanwhile.
        assert 10 <= way["passed"] < 50
        assert [number for number, _ in lane.receive(10)] == list(range(10))


def lost(seed, count=3000):
    with Link(BUILD, [Path("p0", loss_ppm=100_000)], seed=seed) as link, \
            Lane(link, size=100) as lane:
        return set(range(count)) - {number for number, _ in lane.pass_all(count)}


@pytest.mark.slow
def test_loss_is_as_asked_and_by_the_seed():
    one = lost(4)
    assert len(one) == pytest.approx(300, rel=0.05)
    assert lost(4) == one
    assert lost(5) != one


def test_a_seed_begins_anew_on_a_link_in_use():
    with Link(BUILD, [Path("p0", loss_ppm=100_000)], seed=4) as link, Lane(link, size=100) as lane:
        seen = []
        for seed in (4, 5, 4):
            link.restart(seed)
            first = lane.sent
            seen.append([number - first for number, _ in lane.pass_all(200)])
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]


def test_jitter_spreads_the_delay():
    def measure():
        times = []
        for _ in range(30):
            before = lane.passed()
            # One after the other, so keeping the order does not reduce the jitter.
            lane.send(1)
            assert lane.passed() == before + 1
            times += lane.receive(1)
        return [when for _, when in times]

    with Link(BUILD, [Path("p0", delay_us=12_000, jitter_us=10_000)]) as link, \
            Lane(link) as lane:
        times = link.punctually(measure)
    gaps = [late - early for early, late in zip(times, times[1:])]
    # Each packet is sent after the previous one has arrived: a gap is the delay plus the test's own
    # time.
    assert min(gaps) < 0.008
    assert max(gaps) - min(gaps) > 0.010


def test_those_held_back_are_overtaken_the_same_by_the_seed():
    settings = {"reorder_ppm": 200_000, "reorder_us": 500_000}
    orders = []
    for _ in range(2):
        with Link(BUILD, [Path("p0", **settings)], seed=3) as link, Lane(link) as lane:
            orders.append([number for number, _ in lane.pass_all(100)])
    assert sorted(orders[0]) == list(range(100))
    kept = next(i for i in range(99) if orders[0][i] > orders[0][i + 1]) + 1
    assert 10 <= 100 - kept <= 35
    assert orders[0][kept:] == sorted(orders[0][kept:])
    assert orders[1] == orders[0]


def test_a_dropped_link_comes_back():
    with Link(BUILD, [Path("p0")]) as link, Lane(link) as lane:
        link.order("p0 both up=0")
        lane.send(3)
        assert link.way("out")["down"] == 3
        link.order("p0 both up=1")
        assert [number for number, _ in lane.pass_all(2)] == [3, 4]


def test_paths_are_apart():
    paths = [Path("wifi", delay_us=1000), Path("mobile", loss_ppm=1_000_000)]
    with Link(BUILD, paths) as link, Lane(link, "wifi") as one, Lane(link, "mobile") as other:
        assert len(one.pass_all(5)) == 5
        assert other.pass_all(5) == []
        assert link.way("out", "mobile")["lost"] == 5


def test_a_wrong_order_is_refused():
    with Link(BUILD, [Path("p0")]) as link:
        for order in ("p0 both delay=1", "p0 upwards delay_us=1", "p1 both delay_us=1"):
            with pytest.raises(ValueError, match=order):
                link.order(order)
    with pytest.raises(emulator.Unavailable, match="no setting"), \
            Link(BUILD, [Path("p0", delay_s=1)]):
        pass


@pytest.mark.parametrize("family", FAMILIES)
def test_a_capture_has_every_packet(family, directory):
    capture = directory / "link.pcap"
    with Link(BUILD, [Path("p0", loss_ppm=1_000_000)], capture=capture) as link, \
            Lane(link, family=family) as lane:
        lane.send(3)
    packets = list(pcap.packets(capture))
    assert [packet[-SIZE:] for packet in packets] == [
        struct.pack("!I", number).ljust(SIZE, b".") for number in range(3)]
    assert {packet[0] >> 4 for packet in packets} == {4 if family == "inet" else 6}


def stand_still(link, seconds):
    """Stop the emulator for a while."""
    os.kill(link.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, link.process.pid, os.WSTOPPED)
    time.sleep(seconds)
    os.kill(link.process.pid, signal.SIGCONT)


def test_it_tells_how_late_it_was():
    with Link(BUILD, [Path("p0", delay_us=1000)]) as link:
        with pytest.raises(emulator.Late):
            link.punctually(lambda: stand_still(link, 0.05), attempts=2)
        # The result of a late run is discarded.
        runs = itertools.count(1)

        def measure():
            number = next(runs)
            if number == 1:
                stand_still(link, 0.05)
            return number
        assert link.punctually(measure, attempts=8) > 1
    assert link.last_report["worst_late_us"] >= 49_000


def test_it_ends_with_who_started_it(directory):
    script = (f"import sys, pathlib, time; sys.path.insert(0, {str(ROOT / 'tests/link')!r})\n"
              "from link import Link, Path\n"
              f"with Link(pathlib.Path({str(BUILD)!r}), [Path('p0')]) as link:\n"
              "    print(link.process.pid, flush=True); time.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                          text=True) as parent:
        emulator_pid = int(parent.stdout.readline())
        parent.kill()
    kernel.until(lambda: not kernel.alive(emulator_pid), "the emulator is gone")
