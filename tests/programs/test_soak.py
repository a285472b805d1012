# SPDX-License-Identifier: MIT
"""The short version of `make soak`."""
import pytest
import soak


@pytest.mark.slow
def test_soak(free_port):
    lines = []
    assert soak.soak(16, [free_port(), free_port()], lines.append) == [], "\n".join(lines)
