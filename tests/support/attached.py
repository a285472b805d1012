# SPDX-License-Identifier: MIT
"""Rules attached to a cgroup of the test: with Cgroup() as cgroup: cgroup.attach(...)."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

from kernel import until
from started import BUILD

SOCKTUNE = BUILD / "socktune"


def mount_point():
    for line in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


def needs_attach():
    """Skip the test if rules cannot be attached, with the command's own reason; else return the
    output of --probe."""
    import pytest  # pylint: disable=import-outside-toplevel  (benchmarks do without)
    if mount_point() is None or not os.access(mount_point(), os.W_OK):
        pytest.skip("needs a cgroup version 2 hierarchy that can be written")
    result = subprocess.run([SOCKTUNE, "attach", "--probe", "--json"], capture_output=True,
                            text=True, timeout=60, check=False)
    if result.returncode != 0:
        pytest.skip(result.stderr.strip())
    return json.loads(result.stdout)["options"]


def status():
    """The attachments, by path of the cgroup."""
    result = subprocess.run([SOCKTUNE, "attach", "--status", "--json"], capture_output=True,
                            text=True, timeout=60, check=True)
    return {row["cgroup"]: row for row in json.loads(result.stdout)["attached"]}


class Cgroup:
    """A new cgroup; it is removed with all its processes, and so is a cgroup created below it."""

    def __init__(self, above=None, suffix=""):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="socktune-test-", suffix=suffix,
                                                       dir=above or mount_point()))
        self.path = "/" + str(self.directory.relative_to(mount_point()))
        self.below, self.commands = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for command in self.commands:
            command.kill()
            command.communicate()
        for cgroup in self.below:
            cgroup.__exit__()
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "cgroup.kill").write_text("1", encoding="ascii")
        until(self.is_empty, "the cgroup to be empty")
        self.directory.rmdir()

    def is_empty(self):
        return not (self.directory / "cgroup.procs").read_text(encoding="ascii").split()

    def nested(self, suffix=""):
        self.below.append(Cgroup(self.directory, suffix))
        return self.below[-1]

    def attach(self, rules, *where, wrapper=(), env=None):
        """Attach rules until the command is killed; returns the command."""
        command = subprocess.Popen([*wrapper, SOCKTUNE, "attach", "-c", rules,
                                    *(where or ("--cgroup", self.path))],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **(env or {})})
        self.commands.append(command)
        line = command.stdout.readline()
        assert line.startswith("attached"), command.stderr.read()
        return command

    def entering(self, *command):
        """The command line that runs a command in the cgroup."""
        return ["/bin/sh", "-c", f'echo $$ >{self.directory}/cgroup.procs && exec "$@"', "sh",
                *map(str, command)]
