# SPDX-License-Identifier: MIT
"""TCP_DEFER_ACCEPT: what a flood of silent connections costs a server."""
import os
import socket
import subprocess
import time

import kernel
import plot
from experiment import Experiment, Figure, Needs, Outcome
from lab import in_turn
from quantities import digits, quantity

RULES = """program = "redis-server";
rules = ( { match = { role = "listen"; }; set = { TCP_DEFER_ACCEPT = "30s"; }; } );
"""
# Below redis' backlog of 511, because SYN cookies would replace the deferred requests.
CONNECTIONS = 200
PAUSE = 0.002  # seconds between connections, so the server sleeps again before the next one
ROUNDS = 3


def switches(pid):
    """How often the process has slept, and so was woken."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status
                    if line.startswith("voluntary_ctxt_switches"))


def processor_seconds(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e9


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class IdleFlood(Experiment):
    name = "defer_accept"
    title = "Connections that say nothing: TCP_DEFER_ACCEPT"
    question = f"""
{CONNECTIONS} clients connect to redis-server and say nothing, as port scanners and health checks
do. How often is the server woken, and what does it hold? A client that does ask is answered either
way: each round ends with a PING.
"""
    needs = Needs(programs=("redis-server", "redis-cli"))
    order = 380
    limit = 60

    def run(self, lab):
        policy = lab.rules("redis.conf", RULES, warnings=True)
        floods = {"without": Flood(lab, None), "TCP_DEFER_ACCEPT by a rule": Flood(lab, policy)}
        measured = in_turn(ROUNDS, {name: flood.once for name, flood in floods.items()})
        figures = [Figure(what, unit, {name: [one[index] for one in measured[name]]
                                       for name in floods})
                   for index, (what, unit) in enumerate((
                       ("wake-ups of the server", ""), ("its processor time", "s"),
                       ("descriptors that it holds for them", "")))]
        woken, spent, held = figures
        before, after = (woken.median(name) for name in floods)
        return Outcome(
            figures,
            plots=[plot.bars(self.name, f"redis-server under {CONNECTIONS} connections that say nothing",
                             [woken, held], "count")],
            sentences=[
                f"{CONNECTIONS} silent connections woke the server {digits(before)} times without, "
                f"{digits(after)} times with the rule (redis' own timer among them), for "
                + " and ".join(quantity(spent.median(name), "s") for name in floods)
                + f" of processor time; it held {digits(held.median('without'))} descriptors for them, "
                  f"with the rule {digits(held.median('TCP_DEFER_ACCEPT by a rule'))}.",
                "It does not help, and harms, where the server speaks first (SMTP, SSH, MySQL): there "
                "the client waits for a greeting that the server does not know it owes."],
            headline=woken)


class Flood:
    """A redis-server, and clients that flood it."""

    def __init__(self, lab, policy):
        self.port = lab.port()
        self.lab = lab
        self.server = lab.start(["redis-server", "--port", self.port, "--bind", "127.0.0.1",
                                 "--save", "", "--appendonly", "no", "--hz", "1"], policy,
                                cwd=lab.directory)
        self.server.until_listening(self.port)

    def once(self):
        """Wake-ups, seconds of processor time, and descriptors during one flood."""
        pid = self.server.pid
        held = descriptors(pid)
        before = switches(pid), processor_seconds(pid)
        clients = []
        for _ in range(CONNECTIONS):
            clients.append(socket.create_connection(("127.0.0.1", self.port)))
            time.sleep(PAUSE)
        time.sleep(0.2)  # include late accept() calls
        after = switches(pid), processor_seconds(pid)
        holds = descriptors(pid) - held
        said = subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True,
                              text=True, check=True, timeout=10).stdout
        if said != "PONG\n":
            raise RuntimeError(f"redis-server answers {said!r}")
        for client in clients:
            client.close()
        kernel.until(lambda: descriptors(pid) <= held, "redis-server lets its clients go")
        return after[0] - before[0], after[1] - before[1], holds
