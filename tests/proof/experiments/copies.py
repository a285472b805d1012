# SPDX-License-Identifier: MIT
"""SO_REUSEPORT: several copies of a single-threaded server on one port."""
import os
import re

import plot
from experiment import Experiment, Figure, Needs, Outcome
from lab import in_turn
from quantities import digits, quantity, times

RULES = """program = "python3";
rules = ( { match = { role = "listen"; }; set = { SO_REUSEPORT = true; }; } );
"""
SERVER = """
import sys
from wsgiref.simple_server import WSGIServer, make_server, demo_app
class Counting(WSGIServer):
    request_queue_size = 128
    def process_request(self, *arguments):
        print("request", file=sys.stderr)
        super().process_request(*arguments)
class Quiet(__import__("wsgiref.simple_server").simple_server.WSGIRequestHandler):
    def log_message(self, *arguments):
        pass
server = make_server("127.0.0.1", int(sys.argv[1]), demo_app, Counting, Quiet)
print("listening", flush=True)
server.serve_forever()
"""
COPIES = max(2, len(os.sched_getaffinity(0)))
WITHOUT, TUNED = "without", f"SO_REUSEPORT by a rule, {COPIES} copies"
ROUNDS, SECONDS, CLIENTS = 5, 1, 8


class Copies(Experiment):
    name = "reuseport"
    title = "Several copies of a single-threaded server: SO_REUSEPORT"
    question = f"""
A server that knows one thread only (Python's wsgiref) is started {COPIES} times on the same port.
Without the rule only the first copy gets it. wrk, with {CLIENTS} clients and a connection a request,
loads what there is.
"""
    needs = Needs(programs=("python3", "wrk"))
    order = 390
    limit = 60

    def run(self, lab):
        policy = lab.rules("wsgiref.conf", RULES)
        ports = {WITHOUT: lab.port(), TUNED: lab.port()}
        copies = {name: start_copies(lab, ports[name], rules)
                  for name, rules in ((WITHOUT, None), (TUNED, policy))}
        rates = in_turn(ROUNDS, {name: lambda port=port: load(lab, port)
                                 for name, port in ports.items()})
        figure = Figure("requests a second", "/s", rates, more_is_better=True)
        shares = [one.output.count("request\n") for one in copies[TUNED]]
        alone = len(copies[WITHOUT])
        return Outcome(
            [figure],
            plots=[plot.bars(self.name, "A single-threaded server under wrk", [figure],
                             "requests a second")],
            sentences=[
                f"Without the rule {alone} of {COPIES} copies could listen; with it all {len(shares)}: "
                f"{times(figure.ratio(TUNED).median)} the requests a second, "
                f"{quantity(figure.median(TUNED), '/s')}, on a machine whose "
                f"{len(os.sched_getaffinity(0))} processors also run the load.",
                "The kernel spreads connections by a hash of their addresses: the copies had "
                + " and ".join(f"{digits(100 * share / max(1, sum(shares)))} %" for share in shares)
                + " of the requests.",
                "It does not help where a few long connections carry the load (the hash does not know "
                "who is busy), nor where the copies would have to share what they remember."],
            headline=figure)


def start_copies(lab, port, policy):
    """The copies that listen; the others must have ended because the port was in use."""
    started = [lab.start(["/usr/bin/python3", "-c", SERVER, port], policy) for _ in range(COPIES)]
    for one in started:
        one.until(lambda one=one: "listening" in one.output or one.process.poll() is not None,
                  "an end or a beginning")
    ended = [one for one in started if "listening" not in one.output]
    for one in ended:
        if "Address already in use" not in one.output:
            raise RuntimeError(one.output)
    return [one for one in started if one not in ended]


def load(lab, port):
    said = lab.run(["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}", f"http://127.0.0.1:{port}/"])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
