#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demonstration: two unmodified programs, once as they are and once under rules.

python3's http.server serves a file, curl fetches it slowly enough to be looked at. Meanwhile the
kernel is asked, past the library and its bookkeeping, what each socket has (pidfd_getfd and
getsockopt). At the end the helper reports what TCP did on those connections. Exit status 0 means
that without rules no socket had the rules' values, that under rules each has all of them, and that
both ends of the connection were reported.
"""
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import kernel  # noqa: E402  (found by the path above)

BUILD = pathlib.Path(os.environ.get("SOCKTUNE_BUILD", ROOT / "build")).resolve()
RULES = HERE / "rules"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

SOCKETS = ("http.server, listening", "http.server, accepted", "curl, connected")
# The options that rules/ must set, in the kernel's units, for each of SOCKETS; None: not set by the
# rules.
EXPECTED = {
    "SO_KEEPALIVE": (1, 1, None),
    "TCP_KEEPIDLE": (600, 600, 120),
    "TCP_KEEPINTVL": (60, 60, 15),
    "TCP_KEEPCNT": (6, 6, 4),
    "TCP_USER_TIMEOUT": (30000, 30000, 90000),
    "TCP_NODELAY": (1, 1, None),
    "TCP_NOTSENT_LOWAT": (131072, 131072, None),
    "IP_TOS": (0x48, 0x48, 0x28),
    "SO_PRIORITY": (5, 5, 2),
}
TCP_INFO, RECEIVED = 11, slice(128, 136)  # tcpi_bytes_received, linux/tcp.h
UNITS = {"TCP_KEEPIDLE": " s", "TCP_KEEPINTVL": " s", "TCP_USER_TIMEOUT": " ms",
         "TCP_NOTSENT_LOWAT": " bytes"}


def readable(option, value):
    if option in ("SO_KEEPALIVE", "TCP_NODELAY"):
        return "on" if value else "off"
    if option == "IP_TOS":
        return f"{value:#04x}"
    return f"{value}{UNITS.get(option, '')}"


def shown(command):
    return shlex.join(os.path.relpath(word, ROOT) if str(word).startswith(str(ROOT)) else str(word)
                      for word in command)


@contextlib.contextmanager
def running(command, directory, **environment):
    print(f"  $ {shown(command)}", flush=True)
    process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **environment})
    try:
        yield process
    finally:
        kernel.kill_all([process.pid])
        process.wait()


def found(process, wanted):
    """Wait until the process has a TCP socket of which `wanted` is true, and return it."""
    return kernel.until(lambda: next((one for one in kernel.tcp_sockets(process.pid)
                                      if wanted(one)), None),
                        f"the socket of process {process.pid}", timeout=5)


def look(prefix, directory, **environment):
    """Run both programs behind `prefix`; the options of each of SOCKETS."""
    with running([*prefix, PYTHON, "-m", "http.server", "0", "--bind", "127.0.0.1"],
                 directory, **environment) as server:
        listener = found(server, lambda one: one.listens)
        url = f"http://127.0.0.1:{listener.local[1]}/file"
        with running([*prefix, "curl", "-s", "--noproxy", "*", "--limit-rate", "64K", "-o",
                      "/dev/null", url], directory, **environment) as client:
            accepted = found(server, lambda one: one.state == "ESTABLISHED")
            connected = found(client, lambda one: one.remote == listener.local)
            # curl sets options itself when it connects; after an answer it has set them all.
            kernel.until(lambda: any(connected.raw(kernel.IPPROTO_TCP, TCP_INFO, 136)[RECEIVED]),
                         "the server's answer", timeout=5)
            return [one.options(EXPECTED) for one in (listener, accepted, connected)]


@contextlib.contextmanager
def helper(directory):
    """A helper of the demo's own; the environment by which programs and `socktune` find it."""
    socket = pathlib.Path(directory, "helper.sock")
    with running([BUILD / "socktuned", "--foreground", "--directory", directory, "--interval", "1"],
                 directory):
        kernel.until(socket.exists, "the helper's socket", timeout=5)
        yield {"SOCKTUNE_HELPER": str(socket)}


def stats(environment, *options):
    return subprocess.run([BUILD / "socktune", "stats", "--closed", *options], check=True,
                          text=True, stdout=subprocess.PIPE,
                          env={**os.environ, **environment}).stdout


def reported(environment):
    """Wait for the report of both ends of the connection; print it. Returns what is wrong."""
    def ends():
        connections = json.loads(stats(environment, "--json"))["connections"]
        return {one["role"] for one in connections} >= {"accept", "connect"}
    command = ["socktune", "stats", "--closed"]
    print("\nWhat TCP did on that connection, as the kernel counted it at either end:\n")
    print(f"  $ {shown(command)}")
    try:
        kernel.until(ends, "the report of both ends", timeout=5)
    except AssertionError as error:
        return [str(error)]
    print("".join(f"  {line}".rstrip() + "\n" for line in stats(environment).splitlines()), end="")
    return []


def table(before, after):
    """The rows of the table, and what is wrong with the values."""
    rows, wrong = [("OPTION", *SOCKETS)], []
    for option, expected in EXPECTED.items():
        cells = [option]
        for place, want, old, new in zip(SOCKETS, expected, before, after):
            was, now = readable(option, old[option]), readable(option, new[option])
            cells.append(was if want is None and was == now else f"{was} -> {now}")
            if want is not None and (new[option] != want or old[option] == want):
                wrong.append(f"{place}: {option} was {was}, is {now}, "
                             f"should be {readable(option, want)}")
        rows.append(tuple(cells))
    return rows, wrong


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        bold = number == 0 and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(f"  \033[1m{line}\033[0m" if bold else f"  {line}")


def print_rules():
    for path in sorted(RULES.glob("*.conf")):
        print(f"\n{os.path.relpath(path, ROOT)}:")
        print("".join(f"  {line}".rstrip() + "\n" for line in path.read_text().splitlines()
                      if not line.startswith("#")), end="")


def main():
    if not (BUILD / "socktune").exists() or not shutil.which("curl"):
        print("demo: needs build/socktune (make) and curl", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="socktune-demo-") as directory:
        with open(pathlib.Path(directory, "file"), "wb") as file:
            file.truncate(64 << 20)  # more than the sockets' buffers hold
        print("Two programs as they are:")
        before = look([], directory)
        print_rules()
        print("\nThe same programs under these rules, and the helper to which they report:")
        with helper(directory) as environment:
            after = look([BUILD / "socktune", "run", "-c", RULES, "--"], directory, **environment)
            print("\nWhat the kernel says of each socket, without rules -> under rules:\n")
            rows, wrong = table(before, after)
            print_table(rows)
            wrong += reported(environment)
    print()
    for line in wrong:
        print(f"demo: {line}", file=sys.stderr)
    if not wrong:
        print("Every socket has what the rules say, and both ends were reported.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
