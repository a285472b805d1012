# SPDX-License-Identifier: MIT
"""Unix-domain sockets against TCP over loopback."""
import csv

import plot
from experiment import Experiment, Figure, Needs, Outcome
from lab import in_turn
from quantities import quantity, times

TCP, UNIX = "TCP over loopback", "Unix-domain"
ROUNDS = 7
LARGE = 65536  # bytes


class UnixDomain(Experiment):
    name = "unix"
    title = "Beside the others: Unix-domain sockets against TCP over loopback"
    question = f"""
What would be won if client and server on one machine spoke over a Unix-domain socket? One
redis-server listens on both, redis-benchmark asks: PING by 16 clients, PING by one client (the
latency), GET of {LARGE // 1024} KiB by four. No rule is involved: this is the yardstick for what rules
can win on loopback.
"""
    needs = Needs(programs=("redis-server", "redis-benchmark", "redis-cli"))
    order = 700
    limit = 120

    def run(self, lab):
        port, path = lab.port(), lab.directory / "redis.sock"
        server = lab.start(["redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", path,
                            "--save", "", "--appendonly", "no"], cwd=lab.directory)
        server.until_listening(port)
        server.until(path.exists, "the Unix-domain socket")
        lab.run(["redis-cli", "-p", port, "set", "key:__rand_int__", "x" * LARGE])
        places = {TCP: ["-h", "127.0.0.1", "-p", port], UNIX: ["-s", path]}
        rates = self.ask(lab, places, 20000, ["-c", 16, "-t", "ping_mbulk"], "rps")
        waits = self.ask(lab, places, 5000, ["-c", 1, "-t", "ping_mbulk"], "avg_latency_ms")
        large = self.ask(lab, places, 4000, ["-c", 4, "get", "key:__rand_int__"], "rps")
        figures = [
            Figure("requests a second, 16 clients", "/s", rates, more_is_better=True),
            Figure("latency of a request, one client", "s",
                   {name: [one / 1000 for one in runs] for name, runs in waits.items()}),
            Figure(f"bytes a second, answers of {LARGE // 1024} KiB", "B/s",
                   {name: [one * LARGE for one in runs] for name, runs in large.items()},
                   more_is_better=True)]
        ratios = [figure.ratio(UNIX).median for figure in figures]
        return Outcome(
            figures,
            plots=[plot.bars(self.name, "redis over TCP and over a Unix-domain socket, PING by 16 clients",
                             figures[:1], "requests a second")],
            sentences=[
                f"The Unix-domain socket carried {times(ratios[0])} the requests a second; one client "
                f"waited {quantity(figures[1].median(UNIX), 's')} for an answer instead of "
                f"{quantity(figures[1].median(TCP), 's')}; large answers came at {times(ratios[2])} the "
                "rate.",
                "socktune does not turn one into the other: where both ends offer a Unix-domain socket, "
                "that is for their configuration to choose."])

    @staticmethod
    def ask(lab, places, count, words, column):
        """{place: [a column of redis-benchmark's CSV, of each round]}."""
        def once(place):
            said = lab.run(["redis-benchmark", *place, "-n", count, "--csv", *words])
            row, = csv.DictReader(said.splitlines())
            return float(row[column])
        return in_turn(ROUNDS, {name: lambda place=place: once(place)
                                for name, place in places.items()})
