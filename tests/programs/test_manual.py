# SPDX-License-Identifier: MIT
"""The manual pages say what is so: their examples pass, and nothing that may be used is missing."""
import json
import re
import subprocess

import pytest
from conftest import BUILD, ROOT, program
from test_cli import COMMANDS

pytestmark = pytest.mark.representative

RULES_PAGE = BUILD / "socktune.conf.5"
COMMAND_PAGE = ROOT / "tools" / "socktune.1"


def rendered(page):
    text = subprocess.run([program("mandoc"), "-T", "ascii", page], check=True,
                          capture_output=True, text=True).stdout
    return re.sub(".\b", "", text)


def displays(page):
    """The examples of a page."""
    text = page.read_text(encoding="utf-8")
    return [example.replace("\\e", "\\") for example in
            re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.MULTILINE | re.DOTALL)]


def test_examples_of_rules(socktune, rule_file):
    examples = [text for text in displays(RULES_PAGE) if "rules" in text]
    assert examples
    for number, text in enumerate(examples):
        result = socktune("check", rule_file(text, f"{number}.conf"))
        assert result.returncode == 0, f"{text}\n{result.stdout}"


def test_every_way_to_write_a_value(socktune, rule_file):
    """What the page says under "Values", and what each means."""
    rules = rule_file("""rules = ( { set = {
        SO_KEEPALIVE = true; TCP_NODELAY = "on"; SO_OOBINLINE = "off"; SO_SNDBUF = "256K";
        TCP_NOTSENT_LOWAT = "1M"; SO_SNDTIMEO = "250ms"; TCP_KEEPIDLE = "10s";
        TCP_KEEPINTVL = "5min"; TCP_LINGER2 = 40; IP_TOS = "lowdelay"; TCP_USER_TIMEOUT = "2h";
        raw = ( { level = 6; option = 44; value = 1000; } ); }; } );""")
    result = socktune("explain", "-c", rules, "--program", "x", "--connect", "192.0.2.1:80",
                      "--json")
    assert result.returncode == 0, result.stderr
    given = {one["option"]: one["value"] for one in json.loads(result.stdout)["options"]}
    wanted = {"SO_KEEPALIVE": 1, "TCP_NODELAY": 1, "SO_OOBINLINE": 0, "SO_SNDBUF": 256 << 10,
              "TCP_NOTSENT_LOWAT": 1 << 20, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 300,
              "TCP_LINGER2": 40, "IP_TOS": 0x10, "TCP_USER_TIMEOUT": 7200000}
    assert {name: given.get(name) for name in wanted} == wanted


# An option for each kind of value that has a section of its own in the page.
KINDS = {"Sizes": "SO_SNDBUF", "Durations": "TCP_USER_TIMEOUT", "Rates": "SO_MAX_PACING_RATE"}
REFUSED = {"100Mbps"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_that_the_page_shows(socktune, rule_file, kind):
    page = RULES_PAGE.read_text(encoding="utf-8")
    section = re.search(rf"^\.It {kind}\n(.*?)^\.It ", page, re.MULTILINE | re.DOTALL)[1]
    values = re.findall(r"\\\(dq(.*?)\\\(dq", section)
    assert len(values) >= 3
    for value in values:
        rules = rule_file(f'rules = ( {{ set = {{ {KINDS[kind]} = "{value}"; }}; }} );')
        result = socktune("check", rules)
        assert (result.returncode == 1) == (value in REFUSED), f"{value}: {result.stdout}"


def test_every_criterion_and_keyword(socktune, rule_file):
    """What the parser offers in place of an unknown name is what the page explains."""
    page = rendered(RULES_PAGE)
    for place in ("rules = ( { xyzzy = 1; } );", "rules = ( { match = { xyzzy = 1; }; } );",
                  "xyzzy = 1; rules = ( );"):
        said = socktune("check", rule_file(place)).stdout
        offered = re.search(r"expected (.*)", said)
        assert offered, said
        for name in re.findall(r"[a-z_]+", offered[1].replace(" or ", " ")):
            assert re.search(rf"\b{name}\b", page), name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command(command, socktune):
    page = rendered(COMMAND_PAGE)
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", socktune(command, "--help").stdout))
    assert {flag for flag in flags if flag not in page} == set()
