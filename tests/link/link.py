# SPDX-License-Identifier: MIT
"""
A link for tests and benchmarks: two network namespaces, and the emulator (main.c) between them.

    with Link(build, [Path("p0", delay_us=10_000, rate_bps=100_000_000)]) as link:
        server = link.far.start(["iperf3", "-s", "-1"])
        link.near.run(["iperf3", "-c", link.far.address()])
        link.order("p0 both up=0")

Namespaces and devices are held by the emulator's descriptors: they have no names, and are gone with
it. It ends when its standard input does, thus with this process too, however that ends.
"""
import ctypes
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess

CLONE_NEWNET = 0x40000000
MTU = 1500
LATEST_US = 5000  # a run during which the link was later than this is worth nothing
PUNCTUAL_ATTEMPTS = 8
LIBC = ctypes.CDLL(None, use_errno=True)

# What the link's figures depend on, and a host may have otherwise: set in both namespaces. Reno is
# what every kernel has, and lets a namespace have for its default (tcp_cong.c: NON_RESTRICTED).
SYSCTLS = {
    "net/ipv4/tcp_congestion_control": "reno",
    "net/ipv4/tcp_no_metrics_save": 1,
}


class Unavailable(Exception):
    """No link can be had here: the message says why."""


class Late(Exception):
    """The link was late in every attempt: the machine is too busy for its figures."""


def set_namespace(fd):
    """Move the calling thread into a network namespace (setns(2); os has it from Python 3.12 on)."""
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@functools.cache
def why_unavailable():
    """The reason why there can be no link on this machine, or None."""
    if os.geteuid() != 0:
        return "a link needs root: it makes network namespaces"
    if not shutil.which("ip"):
        return "a link needs ip(8) of iproute2"
    if not os.path.exists("/proc/net/if_inet6"):
        return "a link has IPv6 addresses too: this kernel has none"
    # Root of a container may be denied either.
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        return "a link needs network namespaces: unshare(CLONE_NEWNET) is denied"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"a link needs /dev/net/tun: {error.strerror}"
    return None


def link_processor():
    """The processor of the emulator's own, or None: there is but one."""
    processors = os.sched_getaffinity(0)
    return max(processors) if len(processors) > 1 else None


class Path:
    """A path, and what it does to packets: settings (settings.h) of both directions, and of one."""

    def __init__(self, name, out=None, back=None, **both):
        self.name = name
        self.settings = {"both": both, "out": out or {}, "back": back or {}}

    def orders(self):
        return [f"{self.name} {bound} " + ",".join(f"{key}={value}" for key, value in one.items())
                for bound, one in self.settings.items() if one or bound == "both"]


class Side:
    """One of the two namespaces: addresses on it, and processes in it."""

    def __init__(self, number, namespace, paths, processor):
        self.number = number  # 1: near, 2: far; the last part of its addresses
        self.namespace = namespace
        self.paths = [path.name for path in paths]
        self.processor = processor

    def address(self, family="inet", path=None):
        index = self.paths.index(path) if path else 0
        return (f"10.77.{index}.{self.number}" if family == "inet"
                else f"fd77:0:0:{index}::{self.number}")

    def enter(self):
        """Move the calling process into the namespace, and off the emulator's processor: what runs
        beside SCHED_FIFO would wait for it."""
        set_namespace(self.namespace)
        others = os.sched_getaffinity(0) - {self.processor}
        os.sched_setaffinity(0, others or os.sched_getaffinity(0))

    def start(self, command, **keywords):
        """A subprocess.Popen in the namespace; the caller's to end."""
        return subprocess.Popen([str(word) for word in command], preexec_fn=self.enter, **keywords)

    def run(self, command, **keywords):
        """subprocess.run in the namespace; output is text, a failure raises."""
        keywords = {"check": True, "capture_output": True, "text": True, "timeout": 60, **keywords}
        return subprocess.run([str(word) for word in command], preexec_fn=self.enter, **keywords)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket of the namespace, for the calling process: it stays where it was made."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            set_namespace(self.namespace)
            return socket.socket(family, kind)
        finally:
            set_namespace(home)
            os.close(home)

    def sysctl(self, **values):
        """Set what /proc/sys/NAME holds in the namespace; names with slashes, as keywords by **."""
        script = "".join(f"echo '{value}' >/proc/sys/{name};" for name, value in values.items())
        self.run(["sh", "-e", "-c", script])

    def _configure(self):
        lines = ["link set lo up"]
        for index, name in enumerate(self.paths):
            other = 3 - self.number
            lines += [
                # A link-local address would have the kernel talk on its own.
                f"link set {name} mtu {MTU} txqueuelen 2000 addrgenmode none up",
                f"addr add 10.77.{index}.{self.number} peer 10.77.{index}.{other} dev {name}",
                f"addr add fd77:0:0:{index}::{self.number}/64 dev {name} nodad",
            ]
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")
        self.sysctl(**SYSCTLS)


class Link:
    """The emulator and its two sides, .near and .far; to be used in a `with`.

    `build` is the build directory; a given seed loses, delays and reorders the same packets, by
    their number. `capture` names a file for everything that enters the link (tcpdump -r)."""

    def __init__(self, build, paths, seed=1, capture=None):
        reason = why_unavailable()
        if reason:
            raise Unavailable(reason)
        self.paths = list(paths)
        self.repeated = 0  # runs of punctually() that were thrown away
        self.processor = link_processor()
        self.command = [str(build / "tests" / "link"), f"--seed={seed}"]
        if capture:
            self.command.append(f"--capture={capture}")
        if self.processor is not None:
            self.command.append(f"--processor={self.processor}")
        self.command += itertools.chain.from_iterable(path.orders() for path in self.paths)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.namespaces = []
        try:
            self._open_sides()
        except BaseException:
            self.close()
            raise
        return self

    def _open_sides(self):
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(self.process.stderr.read().strip())
        answer = json.loads(line)
        self.fifo = answer["fifo"]
        for number in (answer["near"], answer["far"]):
            self.namespaces.append(os.open(f"/proc/{self.process.pid}/fd/{number}", os.O_RDONLY))
        self.near, self.far = (Side(i + 1, namespace, self.paths, self.processor)
                               for i, namespace in enumerate(self.namespaces))
        for side in (self.near, self.far):
            side._configure()

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """End the emulator; .last_report is its last word, or None if it had none."""
        output, _ = self.process.communicate()
        self.last_report = json.loads(output) if output.strip() else None
        for namespace in self.namespaces:
            os.close(namespace)

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error: "):
            raise ValueError(f"link: {line}: {answer or 'the emulator ended'}")
        return answer

    def order(self, line):
        """Change settings: "PATH out|back|both NAME=NUMBER,..."; settings.h."""
        self._ask(line)

    def restart(self, seed):
        """Begin chance anew: from now on packets are numbered, lost and delayed as by a new link of
        that seed."""
        self._ask(f"restart {seed}")

    def report(self):
        """What became of packets so far, and .late_us since the last report."""
        return json.loads(self._ask("report"))

    def way(self, bound, path=None):
        """Of a report, what became of packets of a path (the first) in one direction."""
        name = path or self.paths[0].name
        return next(way for way in self.report()["ways"]
                    if (way["path"], way["bound"]) == (name, bound))

    def punctually(self, measure, attempts=PUNCTUAL_ATTEMPTS):
        """measure()'s result, of the first run during which the link was never late. Raises Late
        if there is none."""
        worst = []
        for _ in range(attempts):
            self.report()
            result = measure()
            worst.append(self.report()["late_us"])
            if worst[-1] <= LATEST_US:
                return result
            self.repeated += 1
        raise Late(f"the link was late by {worst} us; more than {LATEST_US} is too much")
