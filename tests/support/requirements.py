# SPDX-License-Identifier: MIT
"""What a test needs of the machine: each function skips the test, with the reason, where it is
missing."""
import os
import pathlib
import shutil

import pytest


def program(name, *places):
    """The path of a program, or skip the test. `places` are further paths to look at (globs)."""
    found = shutil.which(name)
    # A shim that is a script would be a different program under the preload.
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
