# SPDX-License-Identifier: MIT
"""The demonstration succeeds, and would fail if the rules had no effect."""
import os
import re
import subprocess

import pytest
from conftest import BUILD, ROOT, program



def demonstrate(build, **environment):
    program("curl")
    assert build.socktune.exists()
    return subprocess.run([program("python3"), ROOT / "tests" / "demo" / "demo.py"],
                          env={**os.environ, "SOCKTUNE_BUILD": str(BUILD), **environment},
                          capture_output=True, text=True, timeout=60, check=False)


def test_the_demonstration(build):
    result = demonstrate(build)
    assert result.returncode == 0, result.stderr
    assert "7200 s -> 600 s" in result.stdout
    assert re.search(r"^  curl +\d+  behind a NAT  connect ", result.stdout, re.MULTILINE)
    assert result.stderr == ""


def test_the_demonstration_is_no_show(build):
    result = demonstrate(build, SOCKTUNE_DISABLE="1")
    assert result.returncode == 1
    assert "http.server, accepted: TCP_KEEPIDLE was 7200 s, is 7200 s, should be 600 s" \
        in result.stderr
    assert "waited 5 s in vain: the report of both ends" in result.stderr
