# SPDX-License-Identifier: MIT
"""SO_REUSEADDR: how long a server cannot restart because its port is in TIME_WAIT."""
import socket
import threading
import time

import plot
from experiment import Experiment, Figure, Needs, Outcome
from quantities import quantity

RULES = """program = "python3";
rules = ( { match = { role = "listen"; }; set = { SO_REUSEADDR = true; }; } );
"""
WITHOUT, TUNED = "without", "SO_REUSEADDR by a rule"
ROUNDS = 3
PAUSE = 0.5     # seconds between attempts
PATIENCE = 80   # seconds; TIME_WAIT is 60 (TCP_TIMEWAIT_LEN, net/tcp.h)

# socketserver sets SO_REUSEADDR only if allow_reuse_address is set. Serves one client and closes.
SERVER = """
import socketserver, sys
class Hello(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello")
with socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Hello) as server:
    print("listening", flush=True)
    server.handle_request()
"""


class Restart(Experiment):
    name = "reuseaddr"
    title = "A server is restarted: SO_REUSEADDR"
    question = f"""
For how long can a server not be started again after it closed a connection itself, so that its port
is in TIME_WAIT? The server is Python's socketserver, which by default sets no SO_REUSEADDR. It
serves one client and ends; then it is started again, every {PAUSE:g} s, until it listens.
{ROUNDS} servers of each kind wait side by side.
"""
    needs = Needs(programs=("python3",))
    order = 300
    limit = PATIENCE + 60

    def run(self, lab):
        policy = lab.rules("socketserver.conf", RULES)
        times = {WITHOUT: [], TUNED: []}
        threads = [threading.Thread(target=lambda rules=rules, found=times[name]:
                                    found.append(restart_time(lab, rules)))
                   for name, rules in ((WITHOUT, None), (TUNED, policy)) for _ in range(ROUNDS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if len(times[WITHOUT] + times[TUNED]) != len(threads):
            raise RuntimeError("a server did not come back at all")
        figure = Figure("until it listens again", "s", times)
        return Outcome(
            [figure],
            plots=[plot.bars(self.name, "Restart of a server whose port is in TIME_WAIT", [figure],
                             "seconds until it listens again", logy=True, yrange="[0.01:200]")],
            sentences=[
                f"Without, the port was lost for {quantity(figure.median(WITHOUT), 's')}; under the "
                f"rule the server was back after {quantity(figure.median(TUNED), 's')}, which is the "
                "start of Python.",
                "It does not help where another process still listens on the port, nor where only the "
                "clients close first: then no port of the server's is in TIME_WAIT."],
            headline=figure)


def serve_once(lab, port, policy):
    """The server closes first, so its port is in TIME_WAIT afterwards."""
    server = lab.start(["/usr/bin/python3", "-c", SERVER, port], policy)
    server.until(lambda: "listening" in server.output, "listening")
    with socket.create_connection(("127.0.0.1", port)) as client:
        while client.recv(100):
            pass
    server.wait()


def restart_time(lab, policy):
    """Seconds until a server that has closed a connection listens again."""
    port = lab.port()
    serve_once(lab, port, policy)
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE:
        server = lab.start(["/usr/bin/python3", "-c", SERVER, port], policy)
        server.until(lambda one=server: one.process.poll() is not None or "listening" in one.output,
                     "an end or a beginning")
        if server.process.poll() is None:
            seconds = time.monotonic() - begin
            server.stop()
            return seconds
        if "Address already in use" not in server.output:
            raise RuntimeError(server.output)
        time.sleep(PAUSE)
    raise RuntimeError(f"the port was not free after {PATIENCE} s")
