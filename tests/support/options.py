# SPDX-License-Identifier: MIT
"""For each row of the option table, values to try: as written in a rule, and as the kernel's bytes.

The rows come from `socktune options --json`; the bytes are made here, not by the code under test.
Values that are a number, a word or on/off need no entry; others are listed by name.
"""
import dataclasses
import json
import socket
import struct
import subprocess

from kernel import borrowed
from started import BUILD, LOOPBACK

DOMAINS = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}

# Text in a rule -> bytes. Several, so that one differs from the socket's value.
SPECIAL = {
    "SO_LINGER": [('"7s"', struct.pack("ii", 1, 7))],
    "SO_RCVTIMEO": [('"2500ms"', struct.pack("qq", 2, 500000))],
    "SO_SNDTIMEO": [('"2500ms"', struct.pack("qq", 2, 500000))],
    "TCP_CONGESTION": [('"reno"', b"reno"), ('"cubic"', b"cubic")],
    "SO_BINDTODEVICE": [('"lo"', b"lo")],
    "IP_LOCAL_PORT_RANGE": [('"40000-50000"', struct.pack("I", 40000 | 50000 << 16))],
    "SO_INCOMING_CPU": [("1000", struct.pack("i", 1000))],  # none that could come by chance
    "SO_MAX_PACING_RATE": [('"1M"', struct.pack("Q", 1 << 20))],
}
# Set under one name, read under another.
READ_AS = {"SO_RCVBUFFORCE": socket.SO_RCVBUF, "SO_SNDBUFFORCE": socket.SO_SNDBUF}

NUMBERS = {"bytes": (65536, 32768, 1500, 500), None: (1, 2, 3, 5)}
OTHER_NUMBERS = (3, 5, 20, 2000, 20000)


def table_rows():
    """The rows, at collection time; empty without a build."""
    if not (BUILD / "socktune").exists():
        return []
    listed = subprocess.run([BUILD / "socktune", "options", "--json"], check=True,
                            capture_output=True)
    return [row for row in json.loads(listed.stdout)["options"]
            if row["level"] != -1 and set(row["families"]) & set(DOMAINS)]


@dataclasses.dataclass(frozen=True)
class Sample:
    """An option and a value for it."""
    row: dict
    text: str
    data: bytes

    @property
    def name(self):
        return self.row["name"]

    @property
    def after(self):
        """Must it be set after connect() or listen()?"""
        return self.row["when"].startswith("after")

    @property
    def inherited(self):
        return self.row["inherited"] == "yes"

    def read_of(self, pid, fd):
        """The kernel's value for a socket of another process; None if the kernel does not report
        it."""
        number = READ_AS.get(self.name, self.row["number"])
        with borrowed(pid, fd) as one:
            try:
                return one.getsockopt(self.row["level"], number, 64)
            except OSError:
                return None


def samples(row):
    """Values to try, best first."""
    if row["name"] in SPECIAL:
        return [Sample(row, text, data) for text, data in SPECIAL[row["name"]]]
    if row["range"] == "on or off":
        return [Sample(row, text, struct.pack("i", number))
                for text, number in (("true", 1), ("false", 0))]
    if row["values"]:
        return [Sample(row, f'"{name}"', struct.pack("i", number))
                for name, number in list(row["values"].items())[:4]]
    unit = {"milliseconds": "ms", "microseconds": "us"}.get(row["unit"])
    return [Sample(row, f'"{number}{unit}"' if unit else str(number), struct.pack("I", number))
            for number in NUMBERS.get(row["unit"], OTHER_NUMBERS)
            if row["min"] <= number <= row["max"]]


def family_of_client(family):
    """The family of a client of a listener of `family`; "dual" is an IPv6 socket for both."""
    return "inet" if family == "dual" else family


def live(host, family, sample, by_hand=False):
    """The sockets of a host: a listener, a connection to it, a datagram socket.

    With `by_hand` the host itself sets the option at the time that its row requires, and also on
    the accepted socket, if the kernel permits that. Returns role -> (descriptor, value)."""
    domain = DOMAINS["inet6" if family == "dual" else family]
    client_domain = DOMAINS[family_of_client(family)]

    def give(fd, role, now=True):
        if by_hand and now and role in sample.row["roles"]:
            host.call("setsockopt", fd, sample.row["level"], sample.row["number"], sample.data)

    listener = host.socket(domain)
    for role in ("listen", "accept"):
        give(listener, role, not sample.after and (role == "listen" or sample.inherited))
    host.bind(listener, domain, LOOPBACK["inet"] if family == "inet" else "::")
    host.listen(listener)
    give(listener, "listen", sample.after)
    client = host.socket(client_domain)
    give(client, "connect", not sample.after)
    host.connect(client, client_domain, LOOPBACK[family_of_client(family)], host.name(listener)[1])
    give(client, "connect", sample.after)
    if sample.name == "TCP_DEFER_ACCEPT":
        host.call("send", client, b"x")  # the peer waits for this; data affects some other options
    accepted = host.accept(listener)
    give(accepted, "accept")
    datagram = host.socket(domain, socket.SOCK_DGRAM)
    give(datagram, "datagram")
    host.bind(datagram, domain, LOOPBACK["inet"] if family == "inet" else "::")
    made = {"listen": listener, "accept": accepted, "connect": client, "datagram": datagram}
    return {role: (fd, sample.read_of(host.pid, fd)) for role, fd in made.items()}
