# SPDX-License-Identifier: MIT
"""
A link for tests and benchmarks: two network namespaces, and the emulator (main.c) between them.

    with Link(build, [Path("p0", delay_us=10_000, rate_bps=100_000_000)]) as link:
        server = link.far.start(["iperf3", "-s", "-1"])
        link.near.run(["iperf3", "-c", link.far.address()])
        link.order("p0 both up=0")

Namespaces and devices have no names: only the emulator's descriptors hold them, and they vanish
with it. The emulator ends when its standard input closes, so it ends with this process, however
that ends.
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
LATEST_US = 5000  # if the link was later than this during a run, the run is discarded
PUNCTUAL_ATTEMPTS = 8
LIBC = ctypes.CDLL(None, use_errno=True)

# Settings that affect the link's figures and may differ on a host: set in both namespaces. Every
# kernel has Reno, and any namespace may choose it as its default (tcp_cong.c: NON_RESTRICTED).
SYSCTLS = {
    "net/ipv4/tcp_congestion_control": "reno",
    "net/ipv4/tcp_no_metrics_save": 1,
}


class Unavailable(Exception):
    """No link can be created here; the message says why."""


class Late(Exception):
    """The link was late in every attempt: the machine is too busy for valid figures."""


def set_namespace(fd):
    """Move the calling thread into a network namespace (setns(2); os has it since Python 3.12)."""
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@functools.cache
def why_unavailable():
    """The reason why this machine cannot create a link, or None."""
    if os.geteuid() != 0:
        return "a link needs root: it makes network namespaces"
    if not shutil.which("ip"):
        return "a link needs ip(8) of iproute2"
    if not os.path.exists("/proc/net/if_inet6"):
        return "a link has IPv6 addresses too: this kernel has none"
    # Root of a container may lack permission for either.
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        return "a link needs network namespaces: unshare(CLONE_NEWNET) is denied"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"a link needs /dev/net/tun: {error.strerror}"
    return None


def link_processor():
    """The processor reserved for the emulator, or None if there is only one."""
    processors = os.sched_getaffinity(0)
    return max(processors) if len(processors) > 1 else None


class Path:
    """A path and its settings (settings.h), of both directions or of one."""

    def __init__(self, name, out=None, back=None, **both):
        self.name = name
        self.settings = {"both": both, "out": out or {}, "back": back or {}}

    def orders(self):
        return [f"{self.name} {bound} " + ",".join(f"{key}={value}" for key, value in one.items())
                for bound, one in self.settings.items() if one or bound == "both"]


class Side:
    """One of the two namespaces, with its addresses and processes."""

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
        """Move the calling process into the namespace, and off the emulator's processor, where it
        would have to wait for SCHED_FIFO."""
        set_namespace(self.namespace)
        others = os.sched_getaffinity(0) - {self.processor}
        os.sched_setaffinity(0, others or os.sched_getaffinity(0))

    def start(self, command, **keywords):
        """A subprocess.Popen in the namespace; the caller ends it."""
        return subprocess.Popen([str(word) for word in command], preexec_fn=self.enter, **keywords)

    def run(self, command, **keywords):
        """subprocess.run in the namespace, with text output; raises on failure."""
        keywords = {"check": True, "capture_output": True, "text": True, "timeout": 60, **keywords}
        return subprocess.run([str(word) for word in command], preexec_fn=self.enter, **keywords)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket in the namespace, for the calling process: a socket stays in the namespace that
        created it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            set_namespace(self.namespace)
            return socket.socket(family, kind)
        finally:
            set_namespace(home)
            os.close(home)

    def sysctl(self, **values):
        """Set /proc/sys/NAME in the namespace; pass names with slashes as keywords with **."""
        script = "".join(f"echo '{value}' >/proc/sys/{name};" for name, value in values.items())
        self.run(["sh", "-e", "-c", script])

    def _configure(self):
        lines = ["link set lo up"]
        for index, name in enumerate(self.paths):
            other = 3 - self.number
            lines += [
                # With a link-local address the kernel would send packets by itself.
                f"link set {name} mtu {MTU} txqueuelen 2000 addrgenmode none up",
                f"addr add 10.77.{index}.{self.number} peer 10.77.{index}.{other} dev {name}",
                f"addr add fd77:0:0:{index}::{self.number}/64 dev {name} nodad",
            ]
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")
        self.sysctl(**SYSCTLS)


class Link:
    """The emulator and its two sides, .near and .far; use it in a `with`.

    `build` is the build directory. The same seed loses, delays and reorders the same packets, by
    number. `capture` names a file for all packets that enter the link (tcpdump -r)."""

    def __init__(self, build, paths, seed=1, capture=None):
        reason = why_unavailable()
        if reason:
            raise Unavailable(reason)
        self.paths = list(paths)
        self.repeated = 0  # runs of punctually() that were discarded
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
        """End the emulator; .last_report is its last report, or None if there was none."""
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
        """Restart the random numbers: from now on packets are numbered, lost and delayed as on a
        new link with that seed."""
        self._ask(f"restart {seed}")

    def report(self):
        """The fate of all packets so far, and .late_us since the last report."""
        return json.loads(self._ask("report"))

    def way(self, bound, path=None):
        """From a report, the counts of a path (default: the first) in one direction."""
        name = path or self.paths[0].name
        return next(way for way in self.report()["ways"]
                    if (way["path"], way["bound"]) == (name, bound))

    def punctually(self, measure, attempts=PUNCTUAL_ATTEMPTS):
        """The result of measure() from the first run in which the link was never late. Raises Late
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
