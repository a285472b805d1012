# SPDX-License-Identifier: MIT
"""The manual pages are correct: their examples work, and all features are documented."""
import json
import pathlib
import re
import shlex
import subprocess

import pytest
from conftest import BUILD, ROOT, program
from test_cli import COMMANDS


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


def check_is_content(socktune, rules):
    """No error and no warning, except for congestion control modules that are not loaded."""
    findings = json.loads(socktune("check", rules, "--json").stdout)["findings"]
    assert [one for one in findings if "has not loaded" not in one["message"]] == [], \
        rules.read_text(encoding="utf-8")


def test_examples_of_the_readme(socktune, rule_file):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
              if "rules = (" in block]
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        rules = re.search(r"^program.*?^\);\n", block, re.MULTILINE | re.DOTALL)[0]
        check_is_content(socktune, rule_file(rules, f"{number}.conf"))


# Command lines.

PAGES = ["README.md", "tools/socktune.1", "tools/socktune.7", "config/socktune.conf.5.in",
         "preload/libsocktune.so.8", "tools/socktuned.8"]
END = re.compile(r"[|&;<>#]|\$\(.*?\)")


def command_lines():
    """Each line of README and of the manuals that runs socktune, as the words after the program's
    name."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\&", "").replace("\\-", "-")
        for line in text.splitlines():
            found = re.match(r"(?:\.Dl )?([$#] )?(?:sudo )?socktune (?!:)(.+)", line)
            if found and (found[1] or page != "README.md"):
                words = shlex.split(END.sub(lambda m: " 1 " if m[0][0] == "$" else " \n", found[2])
                                    .partition("\n")[0])
                yield page, found[2], words


def test_every_command_line_is_accepted(socktune):
    """Each command and flag exists, and each flag that needs a value has one."""
    lines = list(command_lines())
    assert len(lines) >= 30 and {page for page, _, _ in lines} >= {"README.md", "tools/socktune.1"}
    known = {}
    for page, line, words in lines:
        command, *words = words
        assert command in COMMANDS, f"{page}: {line}"
        if command not in known:
            rows = [row.split("|") for row in socktune("--complete", command).stdout.splitlines()]
            known[command] = ({name: row[3] for row in rows if row[0] == "flag" for name in row[1:3]},
                              any(row[0] == "operand" and row[2] == "last" for row in rows))
        flags, operands_last = known[command]
        while words:
            word, *words = words
            name, equals, _ = word.partition("=")
            if word == "--" or (operands_last and not word.startswith("-")):
                break
            if not word.startswith("-") or word == "-":
                continue
            assert name in flags, f"{page}: {line}: {name}"
            if flags[name] == "value" and not equals:
                assert words, f"{page}: {line}: {name} needs a value"
                del words[0]


# Values.

def test_every_value_of_the_list_of_options(socktune, rule_file):
    """The limits of each range and each word that the page shows for an option, one rule each."""
    options = json.loads(socktune("options", "--json").stdout)["options"]
    page, rules = rendered(RULES_PAGE), []
    for option in options:
        shown = re.sub(r"a (code point's )?name such as ", "", option["range"])
        assert " ".join(option["range"].split()) in " ".join(page.split()), option["name"]
        for word in re.findall(r"-?[a-z0-9]+", shown.partition(" bytes")[0]):
            if word in ("or", "to", "ports", "the", "lower", "first", "characters", "an", "address",
                        "without", "a", "port", "byte", "per", "second", "more"):
                continue
            value = {"SO_BINDTODEVICE": "lo", "TCP_CONGESTION": "reno", "source": "127.0.0.1",
                     "IP_LOCAL_PORT_RANGE": "1-65535"}.get(option["name"], word)
            rules.append(f'{{ set = {{ {option["name"]} = "{value}"; }}; }}')
    assert len(rules) > 2 * len(options) - 10
    result = socktune("check", rule_file(f"rules = (\n{(','+chr(10)).join(rules)}\n);\n"))
    assert result.returncode == 0, [line for line in result.stdout.splitlines() if "error" in line]


def test_every_value_in_quotes(socktune, rule_file):
    """`NAME = VALUE` wherever the page shows it."""
    page = rendered(RULES_PAGE)
    names = {option["name"] for option in json.loads(socktune("options", "--json").stdout)["options"]}
    shown = {(name, value) for name, value in re.findall(r"\b(\w+) = (\"[^\"]+\"|[\w.]+)", page)
             if name in names}
    refused = {("TCP_USER_TIMEOUT", "30")}
    assert len(shown) >= 6
    for name, value in shown:
        done = socktune("check", rule_file(f"rules = ( {{ set = {{ {name} = {value}; }}; }} );"))
        assert (done.returncode != 0) == ((name, value) in refused), f"{name} = {value}: {done.stdout}"


# Other parts of the pages.

def test_examples_of_rules(socktune, rule_file):
    examples = [text for text in displays(RULES_PAGE) if "rules" in text]
    assert examples
    for number, text in enumerate(examples):
        check_is_content(socktune, rule_file(text, f"{number}.conf"))


def test_every_way_to_write_a_value(socktune, rule_file):
    """The notations under "Values" in the page, and their meaning."""
    rules = rule_file("""rules = ( { set = {
        SO_KEEPALIVE = true; TCP_NODELAY = "on"; SO_OOBINLINE = "off"; SO_SNDBUF = "256K";
        TCP_NOTSENT_LOWAT = "1M"; SO_SNDTIMEO = "250ms"; TCP_KEEPIDLE = "10s";
        TCP_KEEPINTVL = "5min"; TCP_LINGER2 = 40; IP_TOS = "lowdelay"; TCP_USER_TIMEOUT = "2h";
        raw = ( { level = 6; option = 47; value = 1000; } ); }; } );""")
    result = socktune("explain", "-c", rules, "--program", "x", "--connect", "192.0.2.1:80",
                      "--json")
    assert result.returncode == 0, result.stderr
    given = {one["option"]: one["value"] for one in json.loads(result.stdout)["options"]}
    wanted = {"SO_KEEPALIVE": 1, "TCP_NODELAY": 1, "SO_OOBINLINE": 0, "SO_SNDBUF": 256 << 10,
              "TCP_NOTSENT_LOWAT": 1 << 20, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 300,
              "TCP_LINGER2": 40, "IP_TOS": 0x10, "TCP_USER_TIMEOUT": 7200000}
    assert {name: given.get(name) for name in wanted} == wanted


# An option for each kind of value that has its own section in the page.
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
    """The page explains all names that the parser suggests for an unknown name."""
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
    """The flags of the command are in its section."""
    page = rendered(COMMAND_PAGE)
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", socktune(command, "--help").stdout))
    assert {flag for flag in flags if flag not in page} == set()
    assert f"\n.Ss {command}\n" in COMMAND_PAGE.read_text(encoding="utf-8")


def test_files_named_in_readmes():
    """Each file and folder that a README.md names exists, relative to its folder, its part or the
    top."""
    listed = subprocess.run([program("git"), "-C", ROOT, "ls-files"], check=False, capture_output=True,
                            text=True).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    known = {*listed, *(str(above) for name in listed for above in pathlib.PurePath(name).parents)}
    gone = []
    for page in [name for name in listed if name.endswith("README.md") or name.startswith(".github/")]:
        folders = [pathlib.PurePath(page).parent, *pathlib.PurePath(page).parent.parents]
        text = (ROOT / page).read_text(encoding="utf-8")
        for word in re.findall(r"`([\w.-]+(?:/[\w.-]*)*)`", text):
            is_path = re.search(r"/|\.(c|h|def|py|mk|in|md|conf|yml|html|[1578])$", word)
            if is_path and not re.search(r"NAME|NNN|^build/", word) and \
                    not any(str(folder / word) in known for folder in folders):
                gone.append((page, word))
        gone += [(page, link) for link in re.findall(r"\]\(([^)#:]+)\)", text)
                 if not (ROOT / page).parent.joinpath(link).exists()]
    assert not gone
