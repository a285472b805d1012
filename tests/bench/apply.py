#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What `socktune apply` and `inspect` cost per socket, with 10,000 sockets.

    apply.py BUILD

A few programs hold connections to themselves. apply gives each socket four options; then it finds
that all have them. The baseline is a `socktune apply` whose rules match no program: the cost of
starting and reading the rules. The minimum of a few runs counts, since other load can only add
time. A duplicate exists for less than the time per socket, which includes listing, matching and
printing.
"""
import os
import resource
import subprocess
import sys
import tempfile
import time

import bars

SOCKETS = 10000
PROGRAMS = 8  # each below the usual limit of descriptors that an unprivileged user may set
ROUNDS = 3
LIMIT = 100.0  # microseconds per socket: ten times the usual time, for a busy machine

HOLDER = """
import resource, socket, sys
count = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
held = []
while len(held) < count:
    held.append(socket.create_connection(listener.getsockname()))
    held.append(listener.accept()[0])
listener.close()
print(len(held), flush=True)
sys.stdin.read()
"""

# Four options, each with another value.
ONE = 'SO_KEEPALIVE = true; TCP_KEEPIDLE = 600; TCP_KEEPINTVL = 60; TCP_USER_TIMEOUT = "90s";'
OTHER = 'SO_KEEPALIVE = false; TCP_KEEPIDLE = 700; TCP_KEEPINTVL = 70; TCP_USER_TIMEOUT = "80s";'


class Bench:
    """The programs, and rule files."""

    def __init__(self, build, directory):
        self.socktune = os.path.join(build, "socktune")
        self.directory = directory
        self.holders = []

    def start(self):
        each = SOCKETS // PROGRAMS
        for _ in range(PROGRAMS):
            self.holders.append(subprocess.Popen(
                [sys.executable, "-c", HOLDER, str(each)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True))
        return sum(int(holder.stdout.readline()) for holder in self.holders)

    def stop(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.stdout.close()
            holder.wait(30)

    def rules(self, name, settings, program="*"):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f'program = "{program}";\nrules = ( {{ name = "bench"; match = {{ }}; '
                       f'set = {{ {settings} }}; }} );\n')
        return path

    def pids(self):
        return [str(holder.pid) for holder in self.holders]

    def run(self, *arguments):
        """Seconds, and the last line of output."""
        with open(os.path.join(self.directory, "output"), "w+", encoding="utf-8") as output:
            begin = time.perf_counter()
            subprocess.run([self.socktune, *arguments], stdout=output, stderr=subprocess.DEVNULL,
                           check=True)
            seconds = time.perf_counter() - begin
            output.seek(max(0, output.tell() - 200))
            return seconds, output.read().splitlines()[-1]

    def apply(self, rules, expected):
        seconds, said = self.run("apply", "-c", rules, *self.pids())
        if expected not in said:
            sys.exit(f"apply said \"{said}\", not \"{expected}\"")
        return seconds


def measure(bench, count):
    """Print the lines of the table."""
    nobody = bench.rules("nobody.conf", ONE, program="no-such-program")
    either = [bench.rules("one.conf", ONE), bench.rules("other.conf", OTHER)]
    nothing, change, same, inspect = [], [], [], []
    for number in range(ROUNDS):
        rules = either[number % 2]
        nothing.append(bench.apply(nobody, "0 sockets of 0 processes"))
        change.append(bench.apply(rules, f"{4 * count} options changed"))
        same.append(bench.apply(rules, f" 0 options changed, {4 * count} were so"))
        inspect.append(sum(bench.run("inspect", "--json", pid)[0] for pid in bench.pids()))
    return [("apply, no rule is for them", min(nothing)),
            ("apply, four options change", min(change)),
            ("apply, all four were so", min(same)), ("inspect --json", min(inspect))]


def main(build):
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory:
        bench = Bench(build, directory)
        try:
            count = bench.start()
            print(f"\n{count} sockets of {PROGRAMS} running programs")
            table = measure(bench, count)
        finally:
            bench.stop()
    kept = True
    for what, seconds in table:
        each = 1e6 * seconds / count
        print(f"  {what:<28} {1e3 * seconds:9.1f} ms {each:8.2f} us a socket")
        if what.startswith("apply"):
            # The result is the minimum of ROUNDS; another attempt would not help.
            kept &= bars.note(build, f"time a socket: {what}", each, LIMIT, "us", attempts=1)
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < SOCKETS // PROGRAMS + 64:
        sys.exit("the limit of descriptors is too low")
    sys.exit(main(os.path.abspath(sys.argv[1])))
