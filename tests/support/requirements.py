# SPDX-License-Identifier: MIT
"""Requirements of tests: each function skips the test, with the reason, if the requirement is
missing."""
import os
import pathlib
import shutil

import pytest


def program(name, *places):
    """The path of a program; skips the test if there is none. `places` are further paths to try
    (globs)."""
    found = shutil.which(name)
    # Not a script that wraps the program: another program would run under the preload.
    if name == "python3":
        found = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else found
    for place in places:
        found = found or next((str(path) for path in sorted(pathlib.Path("/").glob(place))), None)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def needs_root(why):
    if os.geteuid() != 0:
        pytest.skip(f"needs root: {why}")
