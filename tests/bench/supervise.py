#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
What `run --supervise` costs: the time added to an intercepted call, and the requests per second of
a Go HTTP server under load.

    supervise.py BUILD

Programs with and without supervision run side by side and are measured in turn, for a second or
less, so that disturbances affect both. Only numbers of one round are compared. The servers have one
processor and their load another, so that the server is the bottleneck and neither migrates. Exit
status 1 if a bar is missed three times, 2 if nothing could be measured.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import bars

BAR = 0.95
ROUNDS = 12

FOUR = "SO_KEEPALIVE = true; TCP_KEEPIDLE = 600; TCP_KEEPINTVL = 60; TCP_KEEPCNT = 5;"
RULES = {
    "connect and listen, no rule matches":
        f'rules = ({{ match = {{ program = "other"; role = "connect"; }}; set = {{ {FOUR} }}; }},'
        f' {{ match = {{ program = "other"; role = "listen"; }}; set = {{ {FOUR} }}; }});',
    "connect and listen, 4 options":
        f'rules = ({{ match = {{ role = "connect"; }}; set = {{ {FOUR} }}; }},'
        f' {{ match = {{ role = "listen"; }}; set = {{ {FOUR} }}; }});',
    "bind, connect and listen, 4 options":
        f'rules = ({{ match = {{ role = [ "connect", "listen" ]; }};'
        f' set = {{ {FOUR} IP_FREEBIND = false; }}; }});',
    "connect, and setsockopt of a forced option":
        'rules = ({ match = { role = "connect"; family = [ "inet", "inet6" ]; };'
        ' force = { SO_KEEPALIVE = true; }; });',
}
SERVER_RULES = (f'rules = ({{ match = {{ role = "accept"; }}; set = {{ {FOUR} }}; }});')
PHASES = ("connect", "unix (23)", "unix (24)", "bind", "listen", "setsockopt", "getppid")


def keep_to(processor):
    """For preexec_fn: pin to the first or the last permitted processor; None: any."""
    if processor is None:
        return None
    chosen = {sorted(os.sched_getaffinity(0))[processor]}
    return lambda: os.sched_setaffinity(0, chosen)


class Lab:
    """The directory of rules and programs, and how programs are started."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.started = []

    def rules(self, name, text):
        path = os.path.join(self.directory, re.sub(r"\W+", "-", name) + ".conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(text + "\n")
        return path

    def start(self, command, rules, processor=None):
        if rules:
            command = [os.path.join(self.build, "socktune"), "run", "-c", rules, "--supervise",
                       *command]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, bufsize=1,
                                   preexec_fn=keep_to(processor))
        self.started.append(process)
        return process

    def stop(self):
        for process in self.started:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.started.clear()


def time_calls(process, count=200):
    process.stdin.write(f"{count}\n")
    return [int(word) for word in process.stdout.readline().split()]


def bench_calls(lab):
    """Nanoseconds added to each call, by intercepted calls."""
    program = [os.path.join(lab.build, "bench", "notified")]
    plain = lab.start(program, None)
    supervised = {name: lab.start(program, lab.rules(name, text)) for name, text in RULES.items()}
    added = {name: [[] for _ in PHASES] for name in RULES}
    for number in range(ROUNDS):
        base = time_calls(plain)
        for name, process in supervised.items():
            taken = time_calls(process)
            for phase, _ in enumerate(PHASES):
                if number:  # the first round is a warm-up
                    added[name][phase].append(taken[phase] - base[phase])
    lab.stop()
    print(f"{'added by --supervise to one call':<44}" + "".join(f"{name:>12}" for name in PHASES))
    for name, phases in added.items():
        print(f"  {name:<42}" + "".join(
            f"{statistics.median(one) / 1000:>9.2f} us" for one in phases), flush=True)


def load(port, header):
    """Requests per second, by wrk for one second."""
    command = ["wrk", "-t1", "-c16", "-d1", *(["-H", header] if header else []),
               f"http://127.0.0.1:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30,
                          preexec_fn=keep_to(-1))
    if re.search(r"Socket errors|Non-2xx", done.stdout):
        raise RuntimeError(done.stdout)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))


def bench_server(lab, header, rounds):
    """Requests per second without supervision, and the ratios with it, for each round."""
    program = [os.path.join(lab.build, "bench", "server")]
    ports = [int(lab.start(program, rules, 0).stdout.readline())
             for rules in (None, lab.rules("server", SERVER_RULES))]
    plain, ratios = [], []
    for port in ports:
        load(port, header)
    for number in range(rounds):
        # The first one is affected by the remains of the other one's run.
        order = ports if number % 2 == 0 else ports[::-1]
        result = {port: load(port, header) for port in order}
        plain.append(result[ports[0]])
        ratios.append(result[ports[1]] / result[ports[0]])
    lab.stop()
    return statistics.median(plain), ratios


def keep_bar(lab, what, header):
    """True if the ratio meets the bar in one of some attempts, each longer than the previous
    one."""
    for attempt in range(1, bars.ATTEMPTS + 1):
        plain, ratios = bench_server(lab, header, ROUNDS * attempt)
        ratio, spread = statistics.median(ratios), statistics.pstdev(ratios)
        kept = bars.note(lab.build, f"requests a second of a Go server, {what}: --supervise, 4 options",
                         ratio, BAR, at_least=True, attempt=attempt)
        print(f"  {what:<42}{plain:>10.0f}/s{ratio:>8.3f}  +- {spread / len(ratios) ** 0.5 * 2:.3f}"
              f"   bar {BAR}  {'pass' if kept else 'SHORT'}", flush=True)
        if kept:
            return True
    return False


def main():
    build = os.path.abspath(sys.argv[1])
    kept = True
    with tempfile.TemporaryDirectory(prefix="socktune-bench-") as directory:
        lab = Lab(build, directory)
        try:
            bench_calls(lab)
            if not shutil.which("wrk") or not os.path.exists(os.path.join(build, "bench", "server")):
                print("no Go server under load: golang-go and wrk are needed")
                return 2
            print(f"\n{'Go HTTP server, 4 options on the listener':<44}{'without':>12}{'ratio':>8}")
            kept &= keep_bar(lab, "keep-alive", None)
            kept &= keep_bar(lab, "a connection a request", "Connection: close")
        finally:
            lab.stop()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
