# SPDX-License-Identifier: MIT
"""
Where real programs are measured: a directory, rule files, ports, programs without rules and with,
the helper, and runs taken in turn. All that it started has ended when the lab closes.
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
    """Runs in a `with`. `build`: .library and .socktune; `rule_texts`: what rules() was given."""

    def __init__(self):
        super().__init__()
        self.build = types.SimpleNamespace(path=BUILD, library=BUILD / "libsocktune.so",
                                           socktune=BUILD / "socktune")
        # Servers give up their privileges: every user may enter it.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="socktune-lab-"))
        self.directory.chmod(0o755)
        self.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.rule_texts = {}
        self.programs = 0

    def rules(self, name, text, warnings=False):
        """Write and compile a rule file, to be shown in the report; returns what a program is
        started under. What `socktune check` warns of does not do what was meant, so that is an
        error too, unless `warnings` says that it is known."""
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
        """A TCP port that nobody uses, for the life of the lab."""
        return pick_port(self)

    def environment(self, rules=None, **extra):
        """What a program is started with: tuned by `rules`, or with None left alone."""
        return preloaded(self.build, rules, **extra)

    def start(self, command, rules=None, cpu=None, env=None, **keywords):
        """A started.Program; `cpu`: the processor it is held to."""
        self.programs += 1
        if cpu is not None:
            keywords["preexec_fn"] = lambda: os.sched_setaffinity(0, {cpu})
        one = Program(command, self.environment(rules, **(env or {})),
                      self.directory / f"output-{self.programs}", **keywords)
        self.callback(one.stop)
        return one

    def run(self, command, rules=None, cpu=None, env=None, timeout=60, **keywords):
        """Run a program to its end; its output. Raises where it fails."""
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
        """A running socktuned (see programs/socktuned.py); programs that are to report to it are
        started with env={"SOCKTUNE_HELPER": helper.directory / "helper.sock"}."""
        return self.enter_context(socktuned.running(self.port(), *options))


def come_first():
    """Have this process, and all that it starts from now on, go before whatever else the machine
    does, as far as we may."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def in_turn(rounds, variants):
    """
    {variant: [number of each round]} of {variant: function}. Each round runs all of them, every
    other one in reverse, so that nobody always has the left-overs of the same other one to bear.
    """
    numbers = {name: [] for name in variants}
    for number in range(rounds):
        order = list(variants) if number % 2 == 0 else list(variants)[::-1]
        for name in order:
            numbers[name].append(variants[name]())
    return numbers
