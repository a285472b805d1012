# SPDX-License-Identifier: MIT
"""TCP_NOTSENT_LOWAT: an urgent message behind bulk, on the same connection."""
import os
import shutil
import subprocess
import time

import kernel
import plot
from experiment import Experiment, Figure, Needs, Outcome
from link import Path
from linked import open_link, start, told_repeated
from quantities import median, quantity

RULES = """program = "sshd";
rules = ( { match = { role = "accept"; }; set = { TCP_NOTSENT_LOWAT = "16K"; }; } );
"""
RATE = 10_000_000
RTT = 0.040
QUEUE = 64 * 1024  # bytes of the bottleneck: 52 ms
ROUNDS = 3
KEYS = 8
VARIANTS = ("without", "TCP_NOTSENT_LOWAT by a rule")


class Ssh:
    """An sshd on the far side, and one connection to it that several sessions share."""

    def __init__(self, lab, link, name, rules):
        self.lab, self.link = lab, link
        self.directory = lab.directory / name.replace(" ", "-")
        self.directory.mkdir(mode=0o700)
        for key in ("host_key", "user_key"):
            lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / key])
        shutil.copy(self.directory / "user_key.pub", self.directory / "authorized_keys")
        port = lab.port()
        (self.directory / "sshd_config").write_text(f"""
            ListenAddress {link.far.address()}:{port}
            HostKey {self.directory}/host_key
            AuthorizedKeysFile {self.directory}/authorized_keys
            StrictModes no
            UsePAM no
            PermitRootLogin prohibit-password
            PidFile none
            IPQoS none
            """, encoding="utf-8")
        os.makedirs("/run/sshd", exist_ok=True)  # sshd requires it; the service's unit creates it
        server = start(lab, link.far, [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"), "-D",
                                       "-e", "-f", self.directory / "sshd_config"], rules)
        server.until_listening(port)
        self.command = ["ssh", "-F", "/dev/null", "-S", self.directory / "shared", "-i",
                        self.directory / "user_key", "-p", port, "-o", "BatchMode=yes", "-o",
                        "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
                        "IPQoS=none", f"root@{link.far.address()}"]
        start(lab, link.near, [*self.command[:1], "-M", "-N", *self.command[1:]])
        kernel.until((self.directory / "shared").exists, "the shared connection")
        self.typing = start(lab, link.near, [*self.command, "cat"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).process
        self.echo()

    def echo(self):
        """Seconds from a key to its echo."""
        begin = time.monotonic()
        self.typing.stdin.write(b"x\n")
        self.typing.stdin.flush()
        if self.typing.stdout.readline() != b"x\n":
            raise RuntimeError("the session has ended")
        return time.monotonic() - begin

    def keys(self):
        """The median of several echoes, at different points of any periodic behaviour."""
        times = []
        for number in range(KEYS):
            times.append(self.echo())
            time.sleep(0.02 + 0.003 * number)
        return median(times)

    def keys_behind_bulk(self):
        """Time of an echo, and bits per second of a simultaneous download."""
        bulk = start(self.lab, self.link.near, [*self.command, "cat /dev/zero"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        before, begin = self.link.way("back")["bytes_passed"], time.monotonic()
        answer = self.keys()
        passed = self.link.way("back")["bytes_passed"] - before
        rate = passed * 8 / (time.monotonic() - begin)
        bulk.stop()
        time.sleep(0.5)  # data in flight still arrives
        return answer, rate


class NotsentLowat(Experiment):
    name = "notsent_lowat"
    title = "A key behind a download: TCP_NOTSENT_LOWAT"
    question = f"""
Two sessions share one ssh connection (ControlMaster) over {quantity(RATE, 'bit/s')} with a round trip
of {quantity(RTT, 's')}: one downloads without end, in the other somebody types. sshd sends what is
urgent first, but what it has given to the kernel goes ahead of all; the rule has the kernel take no more
than 16 KiB beyond what is under way. How long from a key to its echo?
"""
    needs = Needs(link=True, programs=("ssh", "ssh-keygen"), files=("/usr/sbin/sshd",))
    order = 150
    limit = 120

    def run(self, lab):
        policy = lab.rules("sshd.conf", RULES)
        link = open_link(lab, Path("p0", delay_us=int(RTT / 2 * 1e6), rate_bps=RATE,
                                   queue_bytes=QUEUE))
        connections = {name: Ssh(lab, link, name, rules)
                       for name, rules in zip(VARIANTS, (None, policy))}
        idle, behind = ({name: [] for name in VARIANTS} for _ in range(2))
        rates = {name: [] for name in VARIANTS}
        for _ in range(ROUNDS):
            for name, ssh in connections.items():
                idle[name].append(link.punctually(ssh.keys))
                answer, rate = link.punctually(ssh.keys_behind_bulk)
                behind[name].append(answer)
                rates[name].append(rate)
        figures = [Figure("a key and its echo, nothing else", "s", idle),
                   Figure("a key and its echo, behind a download", "s", behind),
                   Figure("the download", "bit/s", rates, more_is_better=True)]
        return Outcome(figures, headline=figures[1],
                       plots=[plot.bars(self.name, "A key and its echo in an ssh session", figures[:2],
                                        "ms", scale=1e3)],
                       sentences=self.sentences(*figures) + told_repeated([link]))

    @staticmethod
    def sentences(idle, behind, rate):
        (alone, _), (slow, fast), (much, little) = ([figure.median(name) for name in VARIANTS]
                                                    for figure in (idle, behind, rate))
        told = [f"Behind the download a key takes {quantity(slow, 's')} without and "
                f"{quantity(fast, 's')} with the rule, {quantity(alone, 's')} when nothing else is "
                f"sent. The download runs at {quantity(much, 'bit/s')} and {quantity(little, 'bit/s')}."]
        if fast > 0.9 * slow:
            told.append("That is no gain to speak of.")
        return told + [f"It does not shorten the queue of the link ({quantity(QUEUE, 'B')} here, "
                       f"{quantity(QUEUE * 8 / RATE, 's')}), nor help programs that do not wait until "
                       "the socket is writable."]
