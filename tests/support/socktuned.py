# SPDX-License-Identifier: MIT
"""A helper for a test: socktuned in its own directory, programs that report to it, HTTP."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import http_client
import kernel
from started import BUILD, preloaded

UNIX_CONNECTED = "03"  # in a row of /proc/net/unix

RULES = """program = "python3";
rules = ( { name = "all"; match = { protocol = "tcp"; }; set = { SO_KEEPALIVE = true; };
            report = true; } );
"""

# Connects to itself: COUNT connections, with a request of 1000 bytes and an answer of 500 on each.
# Prints a line when they are open, closes them at the next line of standard input, then waits for
# another.
TALKER = """
import socket, sys
count, host = int(sys.argv[1]), sys.argv[2]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
listener = socket.create_server((host, 0), family=family, backlog=64)
pairs = []
for _ in range(count):
    client = socket.create_connection(listener.getsockname()[:2])
    server = listener.accept()[0]
    client.sendall(b"q" * 1000)
    assert len(server.recv(1000, socket.MSG_WAITALL)) == 1000
    server.sendall(b"a" * 500)
    assert len(client.recv(500, socket.MSG_WAITALL)) == 500
    pairs.append((client, server))
print("open", listener.getsockname()[1], flush=True)
sys.stdin.readline()
for client, server in pairs:
    client.close()
    server.recv(1)
    server.close()
print("closed", flush=True)
sys.stdin.readline()
"""


class Helper:
    """A running socktuned, its answers and its output. Without `port` it has no --metrics."""

    def __init__(self, directory, *options, port=None, interval="1", wrapper=(), build=BUILD,
                 **keywords):
        self.directory, self.port = pathlib.Path(directory), port
        self.socket, self.log_path = self.directory / "query.sock", self.directory / "log"
        command = [*wrapper, pathlib.Path(build, "socktuned"), "--foreground", "--directory",
                   directory, *(["--interval", interval] if interval else []),
                   *(["--metrics", f"127.0.0.1:{port}"] if port else []), *options]
        with open(self.log_path, "ab") as sink:
            self.process = subprocess.Popen([str(word) for word in command], stderr=sink,
                                            stdout=sink, stdin=subprocess.DEVNULL,
                                            env=preloaded(None, None), start_new_session=True,
                                            **keywords)
        self.pid = self.process.pid
        kernel.until(self.answers, lambda: f"socktuned does not answer: {self.log()}")
        kernel.until(lambda: not self.is_connected(), "the end of that answer's connection")

    @property
    def environment(self):
        """The variables with which programs and `socktune` find it."""
        return {"SOCKTUNE_HELPER": str(self.directory / "helper.sock")}

    def answers(self):
        """Whether it answers; the socket file of a killed helper is not enough."""
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError):
            return self.get("/healthz").text == "ok\n"
        return False

    def is_connected(self):
        """Whether it has a connection on its query socket."""
        table = pathlib.Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
        rows = (line.split() for line in table.splitlines() if line.endswith(str(self.socket)))
        return any(row[5] == UNIX_CONNECTED for row in rows)

    def request(self, method, path, headers=None, tcp=False):
        return http_client.request(self.port if tcp else self.socket, path, method, headers)

    def get(self, path, **keywords):
        return self.request("GET", path, **keywords)

    def status(self):
        return self.get("/v1/status").json

    def connections(self, parameters=""):
        return self.get("/v1/connections" + (f"?{parameters}" if parameters else "")).json[
            "connections"]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self, field="RssAnon"):
        """KiB of /proc/PID/status; RssAnon is anonymous memory."""
        return kernel.memory(self.pid, field)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def until(self, condition, what):
        return kernel.until(condition,
                            lambda: f"{what}\n{self.get('/v1/status').text}\n{self.log()}")

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise


@contextlib.contextmanager
def running(port, *options, user=None, urgent=False, wrapper=()):
    """A helper whose sockets other users can reach. `user` runs it as another user; `wrapper`
    executes it. With `urgent` it has priority for the CPU, if permitted: otherwise parallel tests
    could delay it for more than a second, while rings fill up."""
    place = tempfile.mkdtemp(prefix="socktuned-")
    os.chmod(place, 0o755)
    whose = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    if user is not None:
        os.chown(place, user, user)
    try:
        helper = Helper(pathlib.Path(place), *options, port=port, wrapper=wrapper, **whose)
        if urgent:
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(helper.process.pid, os.SCHED_RR, os.sched_param(1))
        try:
            yield helper
        finally:
            # A sanitizer would exit with another status.
            assert helper.stop() in (0, -signal.SIGKILL), helper.log()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def talk(start, rules, helper, count, host="127.0.0.1", wrapper=(), **keywords):
    """A program with `count` open connections to itself; returns also the port of its listener."""
    program = start([*wrapper, "/usr/bin/python3", "-c", TALKER, str(count), host], rules,
                    env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"},
                    stdin=subprocess.PIPE, **keywords)
    program.until(lambda: program.output.endswith("\n"), "connections open")
    return program, int(program.output.split()[1])


def next_step(program):
    program.process.stdin.write(b"\n")
    program.process.stdin.flush()


def as_user(uid, groups, command):
    """The output of a command that another user runs."""
    # Imported here, because measurements use this file without pytest.
    from requirements import needs_root  # pylint: disable=import-outside-toplevel
    needs_root("runs a command as another user")
    chosen = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    result = subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(uid), *chosen,
                             *map(str, command)], capture_output=True, text=True, timeout=30,
                            check=True)
    return result.stdout
