# SPDX-License-Identifier: MIT
"""The recipe for a systemd unit, under a running systemd."""
import re

import pytest
from attached import mount_point
from booted import Booted
from conftest import ROOT, needs_root, program
from test_recipes import RULES, build_show

pytestmark = pytest.mark.slow

UNIT = "[Service]\nType=oneshot\nExecStart=/usr/bin/show\nStandardOutput=truncate:/run/{}.out\nStandardError=truncate:/run/{}.err\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    needs_root("makes namespaces")
    program("systemctl")
    if mount_point() is None:
        pytest.skip("no cgroup version 2 hierarchy is mounted")
    with Booted(tmp_path_factory.mktemp("systemd")) as booted:
        build_show(booted.root, "gcc")
        (booted.root / "etc/socktune.d").mkdir()
        (booted.root / "etc/socktune.d/show.conf").write_text(RULES, encoding="ascii")
        yield booted


def started(machine, unit):
    """The output of the unit's program: standard output and standard error."""
    done = machine.run("systemctl", "start", unit)
    assert done.returncode == 0, machine.run("systemctl", "cat", unit).stdout + done.stderr
    return [machine.run("cat", f"/run/{unit}.{end}").stdout for end in ("out", "err")]


@pytest.mark.parametrize("number, confinement, filtered", [
    (1, "", False), (2, "ProtectSystem=strict\nUser=daemon\nPrivateTmp=yes\nProtectHome=yes\n", False),
    (3, "DynamicUser=yes\n", True), (4, "SystemCallFilter=@system-service\nUser=nobody\n", True)])
def test_enable_and_disable(machine, number, confinement, filtered):
    unit = f"show-8.{number}"
    machine.units({f"{unit}.service": UNIT.format(unit, unit) + confinement})
    untuned = started(machine, unit)
    enabled = machine.run("socktune", "enable", unit)
    assert enabled.returncode == 0, enabled.stderr
    assert ("starts under a seccomp filter" in enabled.stderr) == filtered
    assert "warning" not in enabled.stderr or filtered
    assert machine.run("systemctl", "daemon-reload").returncode == 0
    assert started(machine, unit) == ["64 123\n", ""] != untuned
    # New rules: a program under a filter has the previous ones until they are compiled.
    rules = machine.root / "etc/socktune.d/show.conf"
    rules.write_text(RULES.replace("123", "124"), encoding="ascii")
    assert started(machine, unit) == [f"64 {123 if filtered else 124}\n", ""]
    assert machine.run("socktune", "compile", "/etc/socktune.d").returncode == 0
    assert started(machine, unit) == ["64 124\n", ""]
    rules.write_text(RULES, encoding="ascii")
    assert machine.run("socktune", "compile", "/etc/socktune.d").returncode == 0
    assert machine.run("socktune", "disable", unit).returncode == 0
    assert machine.run("systemctl", "daemon-reload").returncode == 0
    assert started(machine, unit) == untuned


def test_what_makes_a_seccomp_filter(machine):
    """Each setting that `socktune enable` lists creates a filter; those that the page excludes do not."""
    source = (ROOT / "tools/cli/unit_warnings.c").read_text(encoding="utf-8")
    known = re.findall(r'"(\w+)"', re.search(r"filters\[\] = \{(.*?)\};", source, re.DOTALL)[1])
    values = {"SystemCallFilter": "@system-service", "SystemCallArchitectures": "native", "SystemCallLog": "@clock",
              "RestrictAddressFamilies": "AF_INET", "ProtectSystem": "strict", "User": "daemon"}
    harmless = ["ProtectSystem", "NoNewPrivileges", "User", "ProtectHome", "PrivateTmp"]
    assert len(known) > 10
    settings = [*known, "DynamicUser", *harmless]
    machine.units({f"{setting}.service": "[Service]\nType=oneshot\nExecStart=/bin/grep Seccomp: /proc/self/status\n"
                   f"StandardOutput=truncate:/run/{setting}\n{setting}={values.get(setting, 'yes')}\n"
                   for setting in settings})
    done = machine.run("systemctl", "start", *settings)
    assert done.returncode == 0, done.stderr
    modes = machine.run("grep", "-H", "Seccomp:", *[f"/run/{setting}" for setting in settings]).stdout
    assert dict(re.findall(r"^/run/(\w+):Seccomp:\t(\d)$", modes, re.MULTILINE)) == \
        {**dict.fromkeys([*known, "DynamicUser"], "2"), **dict.fromkeys(harmless, "0")}
