# SPDX-License-Identifier: MIT
"""Runs the hosts of tests/hosts once without the library and once with it, and compares them.

A host prints its observations on standard output, one per line. Lines that begin with "option "
contain socket options; all others must be equal in both runs.
"""
import dataclasses
import shutil
import subprocess

import pytest
from started import ROOT

SOURCES = ROOT / "tests" / "hosts"

# One option is set at socket() (and again at accept(), because it is not inherited), two are set
# before connect() and listen(), one depends on the peer's address.
RULES = """
rules = (
  { name = "everything";   set = { SO_PRIORITY = 3; }; },
  { name = "clients";      match = { role = "connect"; };
    set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "111s"; }; },
  { name = "servers";      match = { role = [ "listen", "accept" ]; };
    set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "222s"; }; },
  { name = "near clients"; match = { role = "connect"; remote = "127.0.0.0/8"; };
    set = { TCP_KEEPCNT = 5; }; },
  { name = "near servers"; match = { role = "accept"; remote = "127.0.0.0/8"; };
    set = { TCP_KEEPCNT = 6; }; }
);
"""
CLIENT = {"priority": 3, "keepalive": 1, "idle": 111, "count": 5}
SERVER = {"priority": 3, "keepalive": 1, "idle": 222, "count": 6}


@dataclasses.dataclass
class Seen:
    """The result of one run of a host."""
    status: int
    behaviour: list  # its lines, except those about options
    options: dict    # label -> {option: value}
    errors: str      # its standard error

    def ends(self, kind):
        """The options of all sockets whose label ends with `kind`, "connect" or "accept"."""
        return {label: values for label, values in self.options.items() if label.endswith(kind)}


def parse(status, output, errors):
    behaviour, options = [], {}
    for line in output.splitlines():
        if line.startswith("option "):
            words = line.split()[1:]
            label = [word for word in words if "=" not in word]
            options[" ".join(label)] = {name: int(value) for name, _, value in
                                        (word.partition("=") for word in words if "=" in word)}
        else:
            behaviour.append(line)
    return Seen(status, behaviour, options, errors)


def run(command, environment, report=None, timeout=90, **keywords):
    """Run a host to its end. `report`: the file that it writes to instead of standard output."""
    keywords.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run([str(word) for word in command], env=environment, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            timeout=timeout, **keywords)
    output = report.read_text(encoding="utf-8") if report else result.stdout
    return parse(result.returncode, output, result.stderr)


def assert_unharmed(plain, tuned):
    """The host behaved the same in both runs, and wrote nothing to standard error."""
    assert (plain.status, plain.errors) == (0, ""), f"fails without the library: {plain}"
    assert tuned.errors == ""
    assert tuned.status == 0
    assert tuned.behaviour == plain.behaviour
    assert tuned.options.keys() == plain.options.keys()


def assert_tuned(seen):
    """Each connected and each accepted socket has the options of RULES, and there is at least
    one."""
    clients, servers = seen.ends("connect"), seen.ends("accept")
    assert clients or servers
    assert clients == dict.fromkeys(clients, CLIENT)
    assert servers == dict.fromkeys(servers, SERVER)


def compiler(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def build_host(directory, source, *flags, cc="gcc", output=None, needs=()):
    """Build a source file of tests/hosts with other flags or another compiler; returns the path.

    Skips the test if the compiler, or anything of `needs` that its error message names, is
    missing."""
    source = SOURCES / source
    result = directory / (output or source.stem)
    language = [] if source.suffix == ".cc" else ["-std=gnu11"]
    made = subprocess.run([compiler(cc), *language, "-O1", "-g", "-o", result, source, *flags],
                          capture_output=True, text=True, check=False)
    if made.returncode != 0:
        for need in needs:
            if need in made.stderr:
                pytest.skip(f"{cc} cannot build this here: no {need}")
    assert made.returncode == 0, made.stderr
    return result


def build_library(directory, source, *flags):
    return build_host(directory, f"shared/{source}.c", "-shared", "-fPIC", *flags,
                      output=f"{source}.so")
