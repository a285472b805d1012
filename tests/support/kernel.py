# SPDX-License-Identifier: MIT
"""What the kernel reports about the sockets of another process.

Independent of the library under test. A descriptor of the other process is duplicated with
pidfd_getfd(2), read with getsockopt(2), and closed at once, because the duplicate keeps the
connection open. Needs the same user or CAP_SYS_PTRACE, as ptrace(2) does.
"""
import contextlib
import ctypes
import dataclasses
import os
import re
import signal
import socket
import struct
import time

SYS_PIDFD_GETFD = 438  # the same number on every architecture; not in Python's os module

_libc = ctypes.CDLL(None, use_errno=True)

# The kernel's enum tcp_state, the first byte of TCP_INFO.
TCP_STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2",
    6: "TIME_WAIT", 7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}

SOL_SOCKET = socket.SOL_SOCKET
IPPROTO_IP = socket.IPPROTO_IP
IPPROTO_IPV6 = socket.IPPROTO_IPV6
IPPROTO_TCP = socket.IPPROTO_TCP
IPPROTO_MPTCP = 262

# Name -> level and number, from the kernel's headers, not from the table under test.
OPTIONS = {
    "SO_KEEPALIVE": (SOL_SOCKET, 9),
    "SO_PRIORITY": (SOL_SOCKET, 12),
    "SO_SNDBUF": (SOL_SOCKET, 7),
    "SO_RCVBUF": (SOL_SOCKET, 8),
    "SO_MARK": (SOL_SOCKET, 36),
    "SO_INCOMING_CPU": (SOL_SOCKET, 49),
    "SO_REUSEPORT": (SOL_SOCKET, 15),
    "SO_RCVTIMEO": (SOL_SOCKET, 20),
    "SO_BUF_LOCK": (SOL_SOCKET, 72),
    "TCP_NODELAY": (IPPROTO_TCP, 1),
    "TCP_MAXSEG": (IPPROTO_TCP, 2),
    "TCP_LINGER2": (IPPROTO_TCP, 8),
    "TCP_KEEPIDLE": (IPPROTO_TCP, 4),
    "TCP_KEEPINTVL": (IPPROTO_TCP, 5),
    "TCP_KEEPCNT": (IPPROTO_TCP, 6),
    "TCP_SYNCNT": (IPPROTO_TCP, 7),
    "TCP_DEFER_ACCEPT": (IPPROTO_TCP, 9),
    "TCP_CONGESTION": (IPPROTO_TCP, 13),
    "TCP_USER_TIMEOUT": (IPPROTO_TCP, 18),
    "TCP_NOTSENT_LOWAT": (IPPROTO_TCP, 25),
    "IP_TOS": (IPPROTO_IP, 1),
    "IP_TTL": (IPPROTO_IP, 2),
    "IPV6_UNICAST_HOPS": (IPPROTO_IPV6, 16),
    "IPV6_TCLASS": (IPPROTO_IPV6, 67),
}
STRINGS = {"TCP_CONGESTION"}


def duplicate(pid, fd):
    """A new descriptor for descriptor `fd` of process `pid`. The caller must close it soon."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(ctypes.c_long(SYS_PIDFD_GETFD), pidfd, fd, 0)
        if copy < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), f"descriptor {fd} of process {pid}")
        return copy
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def borrowed(pid, fd):
    """Descriptor `fd` of process `pid` as a socket object, closed at the end of the block."""
    copy = duplicate(pid, fd)
    try:
        handle = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with handle:
        yield handle


@dataclasses.dataclass(frozen=True)
class Socket:
    """A socket as it was when listed; option() reads the current value."""
    pid: int
    fd: int
    inode: int
    family: int
    type: int
    protocol: int
    state: str
    local: tuple
    remote: tuple

    @property
    def is_tcp(self):
        """True for TCP and MPTCP."""
        return (self.family in (socket.AF_INET, socket.AF_INET6)
                and self.type == socket.SOCK_STREAM
                and self.protocol in (IPPROTO_TCP, IPPROTO_MPTCP))

    @property
    def listens(self):
        return self.state == "LISTEN"

    def raw(self, level, optname, size=4):
        """The bytes of an option."""
        with borrowed(self.pid, self.fd) as handle:
            return handle.getsockopt(level, optname, size)

    def option(self, name):
        """The value of an option of OPTIONS: a number, or text if the option has text."""
        level, optname = OPTIONS[name]
        if name in STRINGS:
            return self.raw(level, optname, 64).split(b"\0", 1)[0].decode()
        return struct.unpack("i", self.raw(level, optname, 4))[0]

    def options(self, names):
        return {name: self.option(name) for name in names}

    def __str__(self):
        return (f"{program_of(self.pid)}[{self.pid}] fd {self.fd} {self.state} "
                f"{self.local} -> {self.remote}")


def program_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            return comm.read().strip()
    except OSError:
        return "?"


def _state(handle):
    try:
        info = handle.getsockopt(IPPROTO_TCP, socket.TCP_INFO, 8)
    except OSError:
        return ""
    return TCP_STATES.get(info[0], "?") if info else ""


def _name(ask):
    try:
        name = ask()
    except OSError:
        return ()
    return name if isinstance(name, tuple) else (name,)


def describe(pid, fd, inode=0):
    """The socket at descriptor `fd`; None if there is none, or no longer."""
    try:
        with borrowed(pid, fd) as handle:
            return Socket(pid, fd, inode, int(handle.family), int(handle.type), handle.proto,
                          _state(handle), _name(handle.getsockname), _name(handle.getpeername))
    except OSError:
        return None


def sockets(pid):
    """The sockets of one process, by descriptor."""
    found = []
    try:
        numbers = sorted(map(int, os.listdir(f"/proc/{pid}/fd")))
    except OSError:
        return found
    for fd in numbers:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        match = re.fullmatch(r"socket:\[(\d+)\]", link)
        described = match and describe(pid, fd, int(match.group(1)))
        if described:
            found.append(described)
    return found


def _parents():
    """Process -> its parent, for all processes."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return parents


def tree(pid):
    """The process and all its descendants."""
    found, parents = [pid], _parents()
    for parent in found:
        found.extend(child for child, its in parents.items() if its == parent)
    return found


def _tree_now(pid):
    """The process and its descendants, without scanning all other processes. Incomplete while some
    of them exit, so callers must repeat it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as children:
                    found.extend(map(int, children.read().split()))
    return found


_CAN_LIST_CHILDREN = os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def tcp_sockets(pid):
    """All TCP sockets of the process and its descendants; shared ones only once."""
    found = {}
    for process in _tree_now(pid) if _CAN_LIST_CHILDREN else tree(pid):
        for one in sockets(process):
            if one.is_tcp:
                found.setdefault(one.inode, one)
    return list(found.values())


def alive(pid):
    """True unless the process has ended or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill_all(pids, first=signal.SIGTERM, patience=3.0):
    """End these processes with `first`, then with SIGKILL."""
    for sign in (first, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not any(alive(pid) for pid in pids):
                return
            time.sleep(0.01)


def memory(pid, field="RssAnon"):
    """KiB of /proc/PID/status; RssAnon is anonymous memory."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


def until(condition, what="a condition of the test", timeout=20.0, pause=0.01):
    """Call `condition` until it returns a true value, and return that.

    `what` describes the condition in the failure message; it may be a function."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s in vain: "
                                 f"{what() if callable(what) else what}")
        time.sleep(pause)
