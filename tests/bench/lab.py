# SPDX-License-Identifier: MIT
"""
The environment of measurements with real programs: a directory, rule files, ports, programs with
and without rules, the helper, and runs in turn. When the lab closes, all its processes have ended.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

# pylint: disable=wrong-import-position
import socktuned  # noqa: E402
from started import BUILD, Program, pick_port, preloaded  # noqa: E402


class Lab(contextlib.ExitStack):
    """Use it in a `with`. `build`: .library and .socktune; `rule_texts`: the texts passed to
    rules()."""

    def __init__(self):
        super().__init__()
        self.build = types.SimpleNamespace(path=BUILD, library=BUILD / "libsocktune.so",
                                           socktune=BUILD / "socktune")
        # Servers drop their privileges: every user may enter the directory.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="socktune-lab-"))
        self.directory.chmod(0o755)
        self.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.rule_texts = {}
        self.programs = 0

    def rules(self, name, text, warnings=False):
        """Write and compile a rule file, which the report shows; returns the `rules` argument for
        start(). A warning of `socktune check` is an error too, unless `warnings` says that it is
        expected."""
        self.rule_texts[name] = text
        source = self.directory / name
        source.write_text(text, encoding="utf-8")
        policy = source.with_suffix(".compiled")
        for command in (["check", source], ["compile", source, "-o", policy]):
            done = subprocess.run([self.build.socktune, *command], capture_output=True, text=True,
                                  check=False)
            said = done.stdout + done.stderr
            if done.returncode != 0 or (": warning: " in said and not warnings):
                raise RuntimeError(f"{name}: {said}")
        return policy

    def port(self):
        """A TCP port that no process uses, reserved as long as the lab is open."""
        return pick_port(self)

    def environment(self, rules=None, **extra):
        """The environment of a program: tuned by `rules`, or not tuned if None."""
        return preloaded(self.build, rules, **extra)

    def start(self, command, rules=None, cpu=None, env=None, **keywords):
        """A started.Program; `cpu`: the processor that it is pinned to."""
        self.programs += 1
        if cpu is not None:
            keywords["preexec_fn"] = lambda: os.sched_setaffinity(0, {cpu})
        one = Program(command, self.environment(rules, **(env or {})),
                      self.directory / f"output-{self.programs}", **keywords)
        self.callback(one.stop)
        return one

    def run(self, command, rules=None, cpu=None, env=None, timeout=60, **keywords):
        """Run a program to its end; returns its output. Raises if it fails."""
        if cpu is not None:
            keywords["preexec_fn"] = lambda: os.sched_setaffinity(0, {cpu})
        done = subprocess.run([str(word) for word in command],
                              env=self.environment(rules, **(env or {})), capture_output=True,
                              text=True, timeout=timeout, check=False, **keywords)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                               f"{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def helper(self, *options):
        """A running socktuned (see support/socktuned.py). Start programs that report to it with
        env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"}."""
        return self.enter_context(socktuned.running(self.port(), *options))


def come_first():
    """Give this process, and all that it starts from now on, priority over others, as far as
    permitted."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def in_turn(rounds, variants):
    """
    {variant: [number of each round]} from {variant: function}. Each round runs all variants, every
    second round in reverse order, so that no variant always follows the same one.
    """
    numbers = {name: [] for name in variants}
    for number in range(rounds):
        order = list(variants) if number % 2 == 0 else list(variants)[::-1]
        for name in order:
            numbers[name].append(variants[name]())
    return numbers
