#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Requests per second of real servers: without rules, under rules, and under rules with reports.

    throughput.py BUILD

nginx under wrk, redis under redis-benchmark; with persistent connections, and with one connection
per request. A virtual machine may be a third faster in one second than in the next; so the servers
of all variants run side by side, pinned to the last processor, each has its own load, on the first
one, and the loads run in turn, for SLICE seconds, in changing order; then the answered requests are
compared. Memory layout changes the figures of a process by a percent, so each round restarts all of
them, and is short: with one connection per request the ports are soon used up, and then the load
measures the search for a free port. The result is the median of the rounds' ratios: the cost within
the program. The helper is pinned to the loads' processor, because on the servers' processor it
would take up to 3 % of a connection per request from them, which it does not on machines with more
processors; its processor time is printed separately. Exit status 1 if a bar is missed three times.
"""
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import bars

SLICE = 0.02
SECONDS = 1  # per round
ROUNDS = 16
CLIENTS = 16
WAYS = {"keep-alive": False, "a connection a request": True}
BARS = {"keep-alive": 0.99, "a connection a request": 0.97}

EIGHT = ('SO_KEEPALIVE = true; TCP_KEEPIDLE = 600; TCP_KEEPINTVL = 60; TCP_KEEPCNT = 5;\n'
         '                    TCP_NODELAY = true; SO_PRIORITY = 4; TCP_NOTSENT_LOWAT = "128K"; '
         'dscp = "AF21";')
WITHOUT, TUNED, REPORTED = "without", "8 options", "8 options, reporting"


def rules(report):
    wanted = " report = true;" if report else ""
    return (f'program = [ "nginx", "redis-server" ];\n'
            f'rules = ( {{ name = "clients"; match = {{ role = "accept"; }};\n'
            f'            set = {{ {EIGHT} }};{wanted} }} );\n')


class Nginx:
    """A web server with one worker, which answers from memory; and wrk."""
    name, program = "nginx", "nginx"
    load = "wrk"

    def __init__(self, directory, port):
        self.port = port
        prefix = directory / f"nginx-{port}"
        prefix.mkdir(exist_ok=True)
        (prefix / "nginx.conf").write_text(
            "daemon off; master_process off; worker_processes 1; error_log stderr crit;\n"
            f"pid {prefix}/pid; events {{ worker_connections 512; }}\n"
            "http { access_log off; keepalive_requests 100000000;\n"
            f"  client_body_temp_path {prefix}; proxy_temp_path {prefix}; fastcgi_temp_path {prefix};\n"
            f"  uwsgi_temp_path {prefix}; scgi_temp_path {prefix};\n"
            f"  server {{ listen 0.0.0.0:{port} backlog=1024; return 200 ok; }} }}\n", encoding="ascii")
        self.command = [shutil.which("nginx"), "-p", prefix, "-c", prefix / "nginx.conf"]

    def loader(self, address, each, seconds):
        header = ["-H", "Connection: close"] if each else []
        return ["wrk", "-t1", f"-c{CLIENTS}", f"-d{int(seconds)}", *header,
                f"http://{address}:{self.port}/"]

    def answered(self, loader, seconds):
        """The number of answered requests: wrk prints it at its end."""
        said = loader.communicate(timeout=seconds + 30)[0]
        # A stopped wrk counts the pause as timeouts: those errors do not matter.
        if re.search(r"Socket errors: (?!connect 0, read 0, write 0)|Non-2xx", said):
            raise RuntimeError(said)
        return int(re.search(r"(\d+) requests in", said).group(1))


class Redis:
    """A database with one thread, queried with PING; and redis-benchmark."""
    name, program = "redis", "redis-server"
    load = "redis-benchmark"

    def __init__(self, _directory, port):
        self.port = port
        self.command = [shutil.which("redis-server"), "--port", port, "--bind", "0.0.0.0",
                        "--protected-mode", "no", "--save", "", "--appendonly", "no"]

    def loader(self, address, each, _seconds):
        return ["redis-benchmark", "-h", address, "-p", str(self.port), "-c", str(CLIENTS),
                "-k", "0" if each else "1", "-n", "100000000", "-t", "ping_mbulk", "-q"]

    def answered(self, loader, _seconds):
        """redis-benchmark runs without end; the server's own counter is read."""
        loader.send_signal(signal.SIGCONT)
        loader.kill()
        loader.communicate()
        said = subprocess.run(["redis-cli", "-p", str(self.port), "info", "stats"], timeout=10,
                              capture_output=True, text=True, check=True).stdout
        return int(re.search(r"total_commands_processed:(\d+)", said).group(1))


SERVERS = (Nginx, Redis)


def processor_seconds(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e9


class Trial:
    """The measured variants: {variant: (policy, environment)}, and the helper that some report
    to."""

    def __init__(self, lab):
        self.lab = lab
        self.helper = lab.helper()
        self.variants = {
            WITHOUT: (None, {}),
            TUNED: (lab.rules("tuned.conf", rules(False)), {}),
            REPORTED: (lab.rules("reported.conf", rules(True)),
                       {"SOCKTUNE_HELPER": self.helper.directory / "helper.sock"})}
        self.rounds = 0
        self.first = min(os.sched_getaffinity(0))
        self.last = max(os.sched_getaffinity(0))
        os.sched_setaffinity(self.helper.process.pid, {self.first})

    def round(self, kind, each, names):
        """{variant: requests per second} of one round, and the helper's processor seconds per
        reported request."""
        servers = {name: self.start(kind, name) for name in names}
        # Each round has its own address: the ports of the previous one are in TIME_WAIT.
        self.rounds += 1
        address = f"127.1.{self.rounds // 250}.{self.rounds % 250 + 1}"
        loaders = {name: self.load(server.loader(address, each, SECONDS))
                   for name, (server, _) in servers.items()}
        spent = processor_seconds(self.helper.process.pid)
        try:
            seconds = take_turns(loaders, time.monotonic() + SECONDS)
            counts = {name: server.answered(loaders[name], SECONDS)
                      for name, (server, _) in servers.items()}
        finally:
            for loader in loaders.values():
                loader.kill()
                loader.wait()
                loader.stdout.close()
            for _, program in servers.values():
                program.stop()
        spent = processor_seconds(self.helper.process.pid) - spent
        return ({name: counts[name] / seconds[name] for name in names},
                spent / counts[REPORTED] if REPORTED in counts else 0.0)

    def start(self, kind, name):
        policy, environment = self.variants[name]
        server = kind(self.lab.directory, self.lab.port())
        program = self.lab.start(server.command, policy, env=environment, cpu=self.last,
                                 cwd=self.lab.directory)
        program.until_listening(server.port)
        return server, program

    def load(self, command):
        """A load process, stopped by SIGSTOP."""
        loader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  preexec_fn=lambda: os.sched_setaffinity(0, {self.first}))
        loader.send_signal(signal.SIGSTOP)
        return loader

    def run(self, kind, each, names, rounds):
        """{variant: [requests per second of each round]}, and the helper's seconds per request."""
        taken = [self.round(kind, each, names) for _ in range(rounds)]
        return ({name: [one[name] for one, _ in taken] for name in names},
                [spent for _, spent in taken])


def take_turns(loaders, end):
    """Run the loads in turn until `end`, then stop them; returns the seconds that each ran."""
    ran = dict.fromkeys(loaders, 0.0)
    order = random.sample(list(loaders), len(loaders))
    while time.monotonic() < end:
        for name in order:
            begin = time.monotonic()
            loaders[name].send_signal(signal.SIGCONT)
            time.sleep(SLICE)
            loaders[name].send_signal(signal.SIGSTOP)
            ran[name] += time.monotonic() - begin
        order.reverse()
    for loader in loaders.values():
        loader.send_signal(signal.SIGCONT)  # so that it can print its result; see answered()
    return ran


def ratios(measured, name):
    return [one / base for one, base in zip(measured[name], measured[WITHOUT])]


def print_line(what, measured, spent):
    values = ratios(measured, REPORTED)
    error = 2 * statistics.stdev(values) / len(values) ** 0.5
    print(f"  {what:<34}{statistics.median(measured[WITHOUT]):>10.0f}/s {statistics.median(values):>8.3f}"
          f"  +- {error:.3f}  {1e6 * statistics.median(spent):>8.2f} us", flush=True)


def keep_bar(build, trial, kind, way):
    """True if the bar is met in one of some attempts."""
    what = f"{kind.name}, {way}"
    for attempt in range(1, bars.ATTEMPTS + 1):
        measured, spent = trial.run(kind, WAYS[way], (WITHOUT, REPORTED), ROUNDS)
        print_line(what, measured, spent)
        if bars.note(build, f"requests a second of {what}: {REPORTED}",
                     statistics.median(ratios(measured, REPORTED)), BARS[way], at_least=True,
                     attempt=attempt):
            return True
    return False


def main(build):
    # pylint: disable=import-outside-toplevel  # it asks for the build directory
    from lab import Lab, come_first
    missing = [name for kind in SERVERS for name in (kind.program, kind.load)
               if not shutil.which(name)]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 2
    come_first()
    with Lab() as lab:
        trial = Trial(lab)
        print(f"\n{'requests a second: ' + REPORTED:<44}{'without':>4}    ratio           helper/request")
        kept = [keep_bar(build, trial, kind, way) for kind in SERVERS for way in WAYS]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    os.environ["SOCKTUNE_BUILD"] = os.path.abspath(sys.argv[1])
    sys.exit(main(os.environ["SOCKTUNE_BUILD"]))
