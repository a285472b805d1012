# SPDX-License-Identifier: MIT
"""Random rules, and the sockets for which test_front_ends.py compares their effect.

Environment: SOCKTUNE_SEED, the first seed (default 1); SOCKTUNE_ROUNDS, the number of rounds
(default 12).
"""
import json
import os
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).with_name("lives_program.py")
PYTHON = "/usr/bin/python3"

FIRST = int(os.environ.get("SOCKTUNE_SEED", "1"))
ROUNDS = int(os.environ.get("SOCKTUNE_ROUNDS", "12"))

# Values that every kernel and user may set, and that do not break a loopback connection.
VALUES = {
    "SO_KEEPALIVE": ["true", "false"], "SO_LINGER": ['"5s"', '"off"'], "SO_OOBINLINE": ["true"],
    "SO_PRIORITY": ["2", "6"], "SO_RCVBUF": ['"64K"', '"128K"'], "SO_SNDBUF": ['"32K"', '"96K"'],
    "SO_SNDTIMEO": ['"30s"'], "SO_INCOMING_CPU": ["0"], "SO_MAX_PACING_RATE": ['"100M"'],
    "TCP_KEEPIDLE": ['"10min"', "61"], "TCP_KEEPINTVL": ['"7s"'], "TCP_KEEPCNT": ["3", "4"],
    "TCP_NODELAY": ["true", "false"], "TCP_USER_TIMEOUT": ['"30s"', '"2500ms"'],
    "TCP_SYNCNT": ["2", "5"], "TCP_LINGER2": ['"20s"'], "TCP_NOTSENT_LOWAT": ['"16K"'],
    "TCP_CONGESTION": ['"reno"', '"cubic"'], "TCP_THIN_LINEAR_TIMEOUTS": ["true"],
    "TCP_QUICKACK": ["false"], "TCP_DEFER_ACCEPT": ['"3s"'], "TCP_SAVE_SYN": ["1"],
    "IP_TOS": ['"lowdelay"', "0x20"], "IP_TTL": ["33", "44"], "IP_MTU_DISCOVER": ['"dont"', '"do"'],
    "IPV6_TCLASS": ["0x28"], "IPV6_UNICAST_HOPS": ["55"], "IPV6_AUTOFLOWLABEL": ["false"],
    "dscp": ['"ef"', '"cs1"'],
}
ORDERED = {"TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_SYNCNT", "IP_TTL",
           "IPV6_UNICAST_HOPS", "SO_MAX_PACING_RATE"}
IGNORABLE = [name for name in VALUES if name != "dscp"]

# The kernel may change these on a connection at any time.
UNSTABLE = {"TCP_QUICKACK", "SO_INCOMING_CPU"}


def doubled(kilobytes):
    """The result of getsockopt() for a buffer, see socket(7)."""
    return (kilobytes * 2048).to_bytes(4, sys.byteorder).hex()


BUFFERS = {"SO_RCVBUF": {doubled(64), doubled(128)}, "SO_SNDBUF": {doubled(32), doubled(96)}}

# Role, family, protocol, local, remote. PORT stands for the listener's port.
LIVES = [
    ("socket", "inet", "tcp", None, None),
    ("socket", "inet6", "tcp", None, None),
    ("socket", "inet", "udp", None, None),
    ("connect", "inet", "tcp", None, "127.0.0.1:PORT"),
    ("connect", "inet6", "tcp", None, "[::1]:PORT"),
    ("connect", "inet6", "tcp", None, "127.0.0.1:PORT"),
    ("connect", "inet", "udp", None, "127.0.0.1:PORT"),
    ("listen", "inet", "tcp", "127.0.0.1:PORT", None),
    ("listen", "inet", "tcp", ":PORT", None),
    ("listen", "inet6", "tcp", ":PORT", None),
    ("listen", "inet", "udp", "127.0.0.1:PORT", None),
    ("accept", "inet", "tcp", "127.0.0.1:PORT", "127.0.0.1:40000"),
    ("accept", "inet6", "tcp", "127.0.0.1:PORT", "127.0.0.1:40000"),
    ("accept", "inet6", "tcp", "[::1]:PORT", "[::1]:40000"),
]

# The program's own settings: for these, 1 is valid and differs from the values in rules.
OWN = ("SO_KEEPALIVE", "SO_OOBINLINE", "TCP_KEEPIDLE", "TCP_KEEPCNT", "TCP_NODELAY", "IP_TTL",
       "IPV6_UNICAST_HOPS", "SO_PRIORITY", "TCP_SYNCNT")


def random_match(rng, port):
    """Criteria, and whether one of them concerns the local address."""
    criteria, local = [], False
    if rng.random() < 0.7:
        criteria.append('role = "%s";' % rng.choice(["connect", "listen", "accept", "datagram"]))
    if rng.random() < 0.2:
        criteria.append('family = "%s";' % rng.choice(["inet", "inet6", "!inet"]))
    if rng.random() < 0.2:
        criteria.append('protocol = "%s";' % rng.choice(["tcp", "udp", "!udp"]))
    if rng.random() < 0.3:
        criteria.append('remote = "%s";' % rng.choice(
            ["127.0.0.0/8", "::1", "!127.0.0.1", "10.0.0.0/8", "::/0", "0.0.0.0/0"]))
    if rng.random() < 0.1:
        criteria.append('remote_port = "%s";' % rng.choice([f"{port}", f"!{port}", "1-1023"]))
    if rng.random() < 0.25:
        local = True
        criteria.append('local = "%s";' % rng.choice(
            ["127.0.0.1", "127.0.0.0/8", "!127.0.0.1", "::/0", "0.0.0.0/0", "::1"]))
    if rng.random() < 0.2:
        local = True
        criteria.append('local_port = "%s";' % rng.choice([f"{port}", f"!{port}", "1-1023"]))
    return " ".join(criteria), local


def random_rule(rng, port, bounds):
    match, local = random_match(rng, port)
    names = rng.sample(sorted(VALUES), rng.randint(1, 6))
    # dscp sets both of these.
    if "dscp" in names:
        names = [name for name in names if name not in ("IP_TOS", "IPV6_TCLASS")]
    parts = []
    # `explain` cannot know the final local address of a connecting socket; so no rule that depends
    # on it uses a mode that restricts the program's own settings.
    modes = ["set", "default"] if local else ["set", "set", "default", "force", "ignore",
                                                           "at_least", "at_most"]
    groups = {}
    for name in names:
        mode = rng.choice(modes)
        if (mode == "ignore" and name not in IGNORABLE) or (mode.startswith("at_") and
                                                            (name not in ORDERED or not bounds)):
            mode = "set"
        # The kernel itself has changed the buffers of a connection, and a default yields to that.
        if mode == "default" and name in BUFFERS:
            mode = "set"
        groups.setdefault(mode, []).append(name)
    for mode, members in groups.items():
        if mode == "ignore":
            parts.append("ignore = [%s];" % ", ".join(f'"{name}"' for name in members))
        else:
            parts.append("%s = { %s };" % (mode, " ".join(
                f"{name} = {rng.choice(VALUES[name])};" for name in members)))
    final = "final = true;" if not local and rng.random() < 0.15 else ""
    return "  { match = { %s }; %s %s }" % (match, " ".join(parts), final)


def random_rules(rng, port, bounds=True):
    rules = [random_rule(rng, port, bounds) for _ in range(rng.randint(1, 8))]
    return "rules = (\n%s\n);\n" % ",\n".join(rules)


def lives_at(port, peer_port, but=()):
    """LIVES for the program; connecting ones connect to the peer's port."""
    for life, family, protocol, local, remote in LIVES:
        if life in but:
            continue
        own_port = str(peer_port if life == "connect" else port)
        yield {"life": life, "family": family, "protocol": protocol,
               "local": local and local.replace("PORT", own_port),
               "remote": remote and remote.replace("PORT", own_port)}


def task_for(table, lives, own=OWN, epoll=False, early=False):
    """The program's input: its sockets, the options to print, and the options that it sets itself
    at the end, with `early` after socket() too."""
    return json.dumps({
        "lives": lives, "epoll": epoll, "early": early,
        "own": [(name, table[name]["level"], table[name]["number"], "01000000") for name in own],
        "options": [(row["name"], row["level"], row["number"]) for row in table.values()]}) + "\n"


def run_program(command, task):
    """The program's output: for each of the lives, the options before and after its own
    settings."""
    result = subprocess.run([*command, PYTHON, PROGRAM], input=task, text=True,
                            capture_output=True, check=False, timeout=60)
    return json.loads(result.stdout or "null"), result.returncode, result.stderr
