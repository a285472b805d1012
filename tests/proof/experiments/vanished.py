# SPDX-License-Identifier: MIT
"""SO_KEEPALIVE and TCP_USER_TIMEOUT: how soon a program notices that its peer has vanished."""
import contextlib
import math
import time

from experiment import Experiment, Figure, Needs, Outcome
from link import Path
from linked import open_link, start
from quantities import digits, quantity

KEEPALIVE = """program = "wget";
rules = ( { match = { role = "connect"; };
            set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "2s"; TCP_KEEPINTVL = "1s"; TCP_KEEPCNT = 3; }; } );
"""
USER_TIMEOUT = """program = "curl";
rules = ( { match = { role = "connect"; }; set = { TCP_USER_TIMEOUT = "3s"; }; } );
"""
RUNS = 3
WATCHED = 20  # seconds
VARIANTS = ("without", "by a rule")


def sysctl(name):
    with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as value:
        return int(value.read())


def give_up_time(retries, rto=0.2, most=120.0):
    """When TCP gives up on unacknowledged data: the timeout doubles up to 120 s (tcp_timer.c,
    tcp_model_timeout); the minimum that ip-sysctl.rst gives for tcp_retries2."""
    return sum(min(rto * 2 ** number, most) for number in range(retries + 1))


class Server:
    """Listens on the far side: accepts connections, reads `amount` bytes of each, sends nothing."""

    def __init__(self, lab, link):
        self.listener = lab.enter_context(link.far.socket())
        self.listener.bind((link.far.address(), 0))
        self.listener.listen(16)
        self.listener.settimeout(10)
        self.port = self.listener.getsockname()[1]
        self.accepted = lab.enter_context(contextlib.ExitStack())

    def take(self, count):
        for _ in range(count):
            connection = self.accepted.enter_context(self.listener.accept()[0])
            connection.settimeout(10)
            if not connection.recv(1):
                raise RuntimeError("a client ended before the link was dropped")


def watch(programs, seconds):
    """For each program, the seconds until it ended; infinite if it had not ended after
    `seconds`."""
    begin = time.monotonic()
    ended = [math.inf] * len(programs)
    while time.monotonic() - begin < seconds and math.inf in ended:
        for index, one in enumerate(programs):
            if ended[index] == math.inf and one.process.poll() is not None:
                ended[index] = time.monotonic() - begin
        time.sleep(0.01)
    return ended


class Vanished(Experiment):
    name = "vanished"
    title = "A peer that vanishes: SO_KEEPALIVE and TCP_USER_TIMEOUT"
    question = f"""
A link of 20 ms round trip is dropped: no packet passes any more, nobody is told. wget waits for the
answer to a request; curl uploads without end. How long until they notice, and end with an error? "never"
means: not within {WATCHED} s.
"""
    needs = Needs(link=True, programs=("wget", "curl"))
    order = 140
    limit = 60

    def run(self, lab):
        link = open_link(lab, Path("p0", delay_us=10_000, rate_bps=20_000_000))
        server = Server(lab, link)
        url = f"http://{link.far.address()}:{server.port}/"
        wget = ["wget", "-q", "-t", "1", "-O", "/dev/null", url]
        curl = ["curl", "-s", "-T", "/dev/zero", "-H", "Expect:", url]
        kinds = {"wget, that waits": (wget, lab.rules("wget.conf", KEEPALIVE)),
                 "curl, that sends": (curl, lab.rules("curl.conf", USER_TIMEOUT))}
        programs, seats = [], []
        for what, (command, policy) in kinds.items():
            for variant, rules in zip(VARIANTS, (None, policy)):
                for _ in range(RUNS):
                    programs.append(start(lab, link.near, command, rules))
                    seats.append((what, variant))
        server.take(len(programs))
        time.sleep(1)  # the uploads have begun
        early = [one.command[0] for one in programs if one.process.poll() is not None]
        if early:
            raise RuntimeError(f"ended before the link was dropped: {early}")
        link.order("p0 both up=0")
        ended = watch(programs, WATCHED)
        figures = [Figure(f"{what}: time until it notices (watched for {WATCHED} s)", "s", {
            variant: [seconds for seconds, seat in zip(ended, seats) if seat == (what, variant)]
            for variant in VARIANTS}) for what in kinds]
        return Outcome(figures, sentences=self.sentences(figures), headline=figures[0])

    @staticmethod
    def sentences(figures):
        told = []
        for figure in figures:
            without, tuned = (figure.median(name) for name in VARIANTS)
            before = (f"not within {WATCHED} s" if without == math.inf
                      else f"{quantity(without, 's')}")
            after = (f"not within {WATCHED} s either" if tuned == math.inf
                     else f"{quantity(tuned, 's')}")
            told.append(f"{figure.what}: {before} without, {after} by a rule.")
        retries = sysctl("tcp_retries2")
        return told + [
            "Without keepalive, who only waits is never told: no packet is sent that could fail. (The "
            f"kernel's own first probe would come after {sysctl('tcp_keepalive_time')} s, "
            "net.ipv4.tcp_keepalive_time, and only where a program asks for it.)",
            f"Without TCP_USER_TIMEOUT, who sends gives up after net.ipv4.tcp_retries2 = {retries} "
            f"repetitions: by the kernel's formula {digits(give_up_time(retries))} s or more.",
            "Keepalive does not help who has unanswered data on the way: the kernel sends no probe "
            "then. It takes both."]
