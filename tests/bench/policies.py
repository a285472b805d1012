# SPDX-License-Identifier: MIT
"""
Generates rule files for the benchmarks, and compiles them to policies.

Besides its rules, each file has a rule for a program called "probe" that sets all options. The
timed program is run once under that name, and its sockets show whether the policy is in force.
Otherwise a library that finds no rules would look like one that correctly does nothing.
"""
import os
import subprocess

TIMED = "calls"
PROBE = "probe"
FILE_RULES = 1000  # rules per file, to stay below the size limit of rule files


def rule(match, settings, kind="set"):
    return f"  {{ match = {{ {match} }}; {kind} = {{ {settings} }}; }}"


def others(count, settings):
    """Rules for other programs."""
    return [rule(f'program = "program-{i}";', settings) for i in range(count)]


def elsewhere(count, settings):
    """Rules for the timed program, but for connections that it never makes."""
    return [rule(f'program = "{TIMED}"; role = "connect"; '
                 f'remote = "10.{i >> 8}.{i & 255}.0/24";', settings)
            for i in range(count)]


class Policies:
    """Compiles rules through files in a directory; returns paths."""

    def __init__(self, build, directory):
        self.socktune = os.path.join(build, "socktune")
        self.directory = directory

    def compile(self, name, rules, probe_settings):
        """A policy."""
        source = self._write(name, rules, probe_settings, FILE_RULES)
        # Another name, so that it is not mistaken for the policy cached beside the rules.
        return self._compile(source, os.path.join(self.directory, "compiled-" + name + ".policy"))

    def keep(self, name, rules, probe_settings):
        """A directory with a file for each rule, and the policy beside it."""
        source = self._write(name, rules, probe_settings, 1)
        self._compile(source, source + ".policy")
        return source

    def _write(self, name, rules, probe_settings, file_rules):
        source = os.path.join(self.directory, name)
        everything = rules + [rule(f'program = "{PROBE}";', probe_settings)]
        os.mkdir(source)
        for first in range(0, len(everything), file_rules):
            part = everything[first:first + file_rules]
            path = os.path.join(source, f"{first:06}.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write("rules = (\n" + ",\n".join(part) + "\n);\n")
        return source

    def _compile(self, source, target):
        done = subprocess.run([self.socktune, "compile", source, "-o", target], text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:  # warnings are expected: the values are deliberately unusual
            raise RuntimeError(done.stderr)
        return target
