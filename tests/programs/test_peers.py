# SPDX-License-Identifier: MIT
"""Classes of peers: from the configuration of socktuned to the labels."""
import os
import signal
import subprocess

import pytest
from conftest import BUILD
from socktuned import RULES, running, talk
from test_metrics import scrape, value


def opened(helper, **labels):
    return value(scrape(helper), "socktune_connections_opened_total", **labels)


def test_sums_by_class(start, rule_file, free_port, tmp_path):
    config = tmp_path / "socktuned.conf"
    config.write_text('peers = { far = [ "198.51.100.0/24", "fd00::/8" ]; here = "127.0.0.0/8"; };\n')
    with running(free_port(), "--config", config) as helper:
        talk(start, rule_file(RULES), helper, 3)
        helper.until(lambda: opened(helper, role="connect", peer="here") == 3, "3 in the class")
        assert opened(helper, role="accept", peer="here") == 3
        assert opened(helper, peer="far") == opened(helper, peer="other") == 0
        helper.until(lambda: 'role="listen"' in scrape(helper), "the listener is confirmed")
        assert opened(helper, role="listen", peer="here") == 0
        assert {one["peer"] for one in helper.connections("role=connect")} == {"here"}
        assert "peer" not in helper.connections("role=listen")[0]
        assert {rule.get("peer") for rule in helper.get("/v1/rules").json["rules"]} == {"here", None}

        # New classes apply to new connections.
        config.write_text('peers = { far = "198.51.100.0/24"; };\n')
        os.kill(helper.process.pid, signal.SIGHUP)
        helper.until(lambda: "read again" in helper.log(), "settings read again")
        talk(start, rule_file(RULES), helper, 2)
        helper.until(lambda: opened(helper, role="connect", peer="other") == 2, "2 in no class")
        assert opened(helper, role="connect", peer="here") == 3

        # An invalid file changes nothing.
        config.write_text('\npeers = { far = "198.51.100.0/33"; };\n')
        os.kill(helper.process.pid, signal.SIGHUP)
        helper.until(lambda: "stay as they were" in helper.log(), "a complaint")
        assert f"{config}:2: error: far: the prefix length" in helper.log()
        assert opened(helper, role="connect", peer="other") == 2


@pytest.mark.parametrize("text, complaint", [
    ("peers = 3;", "peers: must be a group of classes"),
    ('peers = {\n a = "nowhere"; };', '2: error: a: "nowhere" is not an address or prefix'),
    ('peers = { a = [ "10.0.0.1/8" ]; };', 'write "10.0.0.0/8"'),
    ("peers = { a = 10; };", "a: prefixes are strings"),
    ('peers = { other = "10.0.0.0/8"; };', '"other" is the class of all peers'),
    ("peers = {" + "".join(f" c{i} = [];" for i in range(17)) + " };", "16 classes at most"),
])
def test_what_is_no_class(tmp_path, text, complaint):
    config = tmp_path / "socktuned.conf"
    config.write_text(text + "\n")
    result = subprocess.run([BUILD / "socktuned", "--foreground", "--directory", tmp_path,
                             "--config", config], check=False, capture_output=True, text=True,
                            timeout=20)
    assert result.returncode == 78
    assert result.stderr.startswith(f"{config}:") and complaint in result.stderr
