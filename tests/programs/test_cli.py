# SPDX-License-Identifier: MIT
"""The socktune command: its subcommands, their output and exit statuses."""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import stat
import struct
import subprocess
import termios

import kernel
import pytest
from conftest import BUILD, ROOT, needs_root, program
from policy_cache import kept_policy

COMMANDS = re.findall(r"^COMMAND\((\w+)\)",
                      (ROOT / "tools/cli/commands.def").read_text(encoding="utf-8"), re.MULTILINE)

RULES = """\
program = "python3*";
rules = (
  { name = "clients"; match = { role = "accept"; local_port = 8080; };
    set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "10min"; SO_PRIORITY = 6; };
  },
  { name = "upstreams"; match = { role = "connect"; remote = "127.0.0.0/8"; };
    set = { TCP_KEEPIDLE = "2min"; };
    force = { TCP_NODELAY = true; };
    ignore = ["SO_SNDBUF"];
  }
);
"""
BAD_RULES = 'rules = (\n  { set = { TCP_KEEPIDEL = "1min"; }; }\n);\n'

# Prints the options of a connecting socket.
CLIENT = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        print(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
              client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
"""


@pytest.fixture
def rules(rule_file):
    return rule_file(RULES)


@pytest.fixture
def python():
    return program("python3")


def options_of(result):
    assert result.returncode == 0, result.stderr
    return {row["option"]: row for row in json.loads(result.stdout)["options"]}


# Common to all commands.

def test_version(socktune):
    result = socktune("--version")
    assert re.fullmatch(r"socktune \d+\.\d+\S*\n", result.stdout)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_lists_every_command(socktune):
    result = socktune("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(socktune, command):
    result = socktune(command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"Usage: socktune {command} " in result.stdout
    assert all(len(line) < 80 for line in result.stdout.splitlines()), "wider than a terminal"
    assert socktune("help", command).stdout == result.stdout


def test_help_of_help(socktune):
    assert socktune("help").stdout == socktune("--help").stdout
    for word in ("help", "--help", "-h"):
        assert socktune("help", word).stdout == socktune("--help").stdout
    unknown = socktune("help", "chek")
    assert unknown.returncode == 2 and 'did you mean "check"?' in unknown.stderr


def test_help_shows_what_other_tables_know(socktune):
    """The possible words of a flag's value come from the table that defines them."""
    told = " ".join(socktune("stats", "--help").stdout.split())
    assert "in that role: connect, listen, accept, datagram " in told
    assert "close-wait, last-ack, listen, closing " in told
    assert "closed for that reason: fin, reset," in told


@pytest.mark.parametrize("arguments, complaint", [
    ([], "Usage: socktune COMMAND"),
    (["--frobnicate"], 'unknown option "--frobnicate"'),
    (["chek"], 'unknown command "chek"; did you mean "check"?'),
    (["xyzzy"], 'unknown command "xyzzy"'),
    (["help", "check", "extra"], 'unexpected argument "extra"'),
    (["help", "help", "extra"], 'unexpected argument "extra"'),
    (["run"], "expected the program to run"),
    (["compile"], "expected one rule file"),
    (["compile", "a", "b"], "expected one rule file"),
    (["options", "SO_MARK", "--names"], "exclude one another"),
    (["options", "SO_MARK", "SO_LINGER"], "one option at most"),
    (["validate", "x.conf"], 'did you mean "check"?'),
    (["version"], 'did you mean "--version"?'),
    (["explain", "-c", "x", "--socket"], "which program?"),
    (["explain", "-c", "x", "-p", "p"], "expected one of --socket, --listen"),
    (["explain", "-c", "x", "-p", "p", "--socket", "--listen", ":1"], "expected one of --socket"),
    (["explain", "-c", "x", "-p", "p", "--listen", "80"], "expected ADDRESS:PORT"),
    (["explain", "-c", "x", "-p", "p", "--listen", "1.2.3:80"], "not an IPv4 address"),
    (["explain", "-c", "x", "-p", "p", "--listen", "::1:80"], "in brackets"),
    (["explain", "-c", "x", "-p", "p", "--listen", "[::1"], "expected [ADDRESS]:PORT"),
    (["explain", "-c", "x", "-p", "p", "--listen", "]:1"], "not an IPv4 address"),
    (["explain", "-c", "x", "-p", "p", "--listen", ":65536"], "up to 65535"),
    (["explain", "-c", "x", "-p", "p", "--accept", ":80"], "expected --accept LOCAL,REMOTE"),
    (["explain", "-c", "x", "-p", "p", "--accept", ":1,:2", "--protocol", "udp"],
     "udp sockets are not accepted"),
    (["explain", "-c", "x", "-p", "p", "--socket", "--protocol", "tpc"], 'no protocol "tpc"'),
    (["explain", "-c", "x", "-p", "p", "--socket", "--family", "ipx"], 'no family "ipx"'),
])
def test_wrong_arguments(socktune, arguments, complaint):
    result = socktune(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    command = f" {arguments[0]}" if arguments and arguments[0] in COMMANDS else ""
    lines = result.stderr.splitlines()
    if arguments:
        assert len(lines) == 2 and lines[1] == f"Try `socktune{command} --help`."


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_option_of_a_command(socktune, command):
    result = socktune(command, "--frobnicate")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"socktune {command}: ")
    assert "--frobnicate" in result.stderr
    assert result.stderr.splitlines()[1:] == [f"Try `socktune {command} --help`."]


@pytest.mark.parametrize("arguments, complaint", [
    (["--jsn"], "unrecognized option '--jsn'"),
    (["-x"], "invalid option -- 'x'"),
    (["-c"], "option requires an argument -- 'c'"),
    (["--config"], "option '--config' requires an argument"),
    (["--socket=1"], "option '--socket' doesn't allow an argument"),
])
def test_a_misused_flag_is_named_also_in_json(socktune, arguments, complaint):
    result = socktune("explain", "--json", *arguments)
    assert result.returncode == 2
    assert json.loads(result.stdout)["error"] == complaint
    assert result.stderr.splitlines()[0] == f"socktune explain: {complaint}"


def test_full_disk_is_told(build):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([build.socktune, "options"], stdout=full, stderr=subprocess.PIPE,
                                text=True, check=False, timeout=30)
    assert result.returncode != 0
    assert "No space left" in result.stderr


def at_terminal(arguments, columns=0, **variables):
    """The command's output on a terminal with so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", **variables}
    environment.pop("NO_COLOR", None)
    environment.update(variables)
    with subprocess.Popen([str(part) for part in arguments], stdout=slave, stderr=slave,
                          env=environment) as process:
        os.close(slave)
        output = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not part:
                break
            output += part
        process.wait(timeout=30)
    os.close(master)
    return output.decode()


def test_colours_only_at_a_terminal(build, socktune, rule_file):
    bad = rule_file(BAD_RULES)
    command = [build.socktune, "check", bad]
    assert "\033[31m" in at_terminal(command)
    assert "\033" not in at_terminal(command, NO_COLOR="1")
    assert "\033" not in at_terminal(command, TERM="dumb")
    assert "\033" not in socktune("check", bad).stdout


HIDDEN = "\033[31m\u009b31m\u202e"


@pytest.mark.parametrize("rule", [
    'name = "{}"; match = {{ program = "a"; }}; set = {{ IP_TTL = 1; }};',
    'name = "a"; match = {{ program = "a"; "{}" }};', 'name = "a"; {}'])
def test_rules_cannot_write_to_the_terminal(rule, directory, socktune):
    """The rules, and the path of their file, may be another user's."""
    path = directory / f"x{HIDDEN}.conf"
    path.write_text(f"rules = ( {{ {rule.format(HIDDEN)} }} );", encoding="utf-8")
    for words in (["check", path], ["explain", "-c", path, "--program", "a", "--socket"],
                  ["doctor", "-c", path, "/bin/sh"], ["apply", "-c", path, os.getpid()]):
        result = socktune(*words)
        shown = result.stdout + result.stderr
        assert shown and not set(shown) & set(HIDDEN[0] + HIDDEN[5] + HIDDEN[-1]), words


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 400])
def test_tables_fit_the_terminal(build, socktune, rule_file, columns):
    """The same words as in a pipe, in lines that fit."""
    rules = rule_file('''rules = ( { name = "connections to the database"; match = { program = "php"; };
        set = { SO_KEEPALIVE = true; dscp = "af41"; TCP_CONGESTION = "reno"; source = "127.0.0.1"; };
        force = { TCP_USER_TIMEOUT = "30s"; }; report = true; inherited = true; } );''')
    for words in (["options"], ["options", "IP_TOS"], ["options", "TCP_NODELAY"],
                  ["explain", "-c", rules.name, "-p", "php", "--connect", "127.0.0.1:5432"]):
        shown = at_terminal(["env", "-C", rules.parent, build.socktune, *words], columns,
                            NO_COLOR="1")
        too_long = [line for line in shown.splitlines() if len(line) > columns]
        assert all(len(line.split()) == 1 for line in too_long), "but a word that is too long itself"
        plain = socktune(*words, cwd=rules.parent).stdout
        heads = "OPTION SET AT INHERITED NEEDS KERNEL ATTACH WHAT IT DOES VALUES".split()
        missing = set(re.findall(r"\w+", plain)) - set(re.findall(r"\w+", shown)) - set(heads)
        assert missing == set()
        if columns == 400:
            assert len(shown.splitlines()) == len(plain.splitlines()), "room for each row in one line"


# Check.

@pytest.mark.parametrize("flags, status", [([], 0), (["--strict"], 1)])
def test_check_of_standard_input(socktune, flags, status):
    done = socktune("check", "-", *flags, input='rules = ( { set = { IP_TTL = 1; }; } );\n')
    assert done.returncode == status
    assert done.stdout.startswith("<stdin>:1: warning: ") and "IP_TTL = 1: packets" in done.stdout


def test_a_danger_that_is_meant(socktune):
    """With accept_risk, --strict accepts the rule, and the option is set as before."""
    rules = ('rules = ( { match = { program = "x"; }; set = { %s; }; '
             'accept_risk = [ "IP_TTL" ]; } );')
    meant, with_another = rules % "IP_TTL = 1", rules % "IP_TTL = 1; SO_RCVLOWAT = 9000"
    done = socktune("check", "--strict", "-", input=meant)
    assert (done.returncode, done.stdout) == (0, "0 errors, 0 warnings in 1 rule\n")
    done = socktune("check", "--strict", "-", input=with_another)
    assert done.returncode == 1 and done.stdout.count("warning: ") == 1
    given = socktune("explain", "-c", "-", "-p", "x", "--connect", "192.0.2.1:80", input=meant)
    assert "IP_TTL" in given.stdout and "warning" not in given.stdout + given.stderr


@pytest.mark.parametrize("text, complaint", [
    ("rules = ( { set = { TCP_NODELYA = 1; }; } );", "<stdin>:1: error: "),
    ("# \0\n", "NUL byte"), ("#" * (1 << 20) + "\n", "File too large")],
                         ids=["misspelt", "nul", "large"])
def test_bad_standard_input(socktune, text, complaint):
    done = socktune("check", "-", input=text)
    assert done.returncode == 1 and complaint in done.stdout


def test_rules_from_standard_input(socktune, directory):
    rules = 'rules = ( { match = { program = "x"; }; set = { SO_KEEPALIVE = true; }; } );'
    explained = socktune("explain", "-c", "-", "-p", "x", "--socket", input=rules)
    assert explained.returncode == 0 and "#1, <stdin>:1" in explained.stdout
    assert socktune("compile", "-", "-o", directory / "x.policy", input=rules).returncode == 0
    assert "-o" in socktune("compile", "-", input=rules).stderr
    done = socktune("run", "-c", "-", "true", input=rules)
    assert done.returncode == 78 and "standard input is the program's" in done.stderr

def test_check_good_rules(socktune, rules):
    result = socktune("check", rules)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"0 errors, \d+ warnings? in 2 rules", result.stdout.splitlines()[-1])


def test_check_bad_rules(socktune, rule_file):
    bad = rule_file(BAD_RULES)
    result = socktune("check", bad)
    lines = result.stdout.splitlines()
    assert result.returncode == 1
    assert lines[0].startswith(f"{bad}:2: error: ")
    assert "TCP_KEEPIDLE" in lines[0], "the nearest right name"
    assert lines[-1].startswith("1 error, ")


def test_check_as_json(socktune, rule_file):
    bad = rule_file(BAD_RULES)
    result = socktune("check", "--json", bad)
    report = json.loads(result.stdout)
    assert (result.returncode, report["errors"]) == (1, 1)
    (finding,) = report["findings"]
    assert (finding["file"], finding["line"], finding["severity"]) == (str(bad), 2, "error")
    assert "TCP_KEEPIDEL" in finding["message"]


def test_check_goes_through_all_files(socktune, rule_file, rules):
    bad, worse = rule_file(BAD_RULES, "bad.conf"), rule_file(BAD_RULES, "worse.conf")
    result = socktune("check", bad, rules, worse)
    assert f"{bad}:2:" in result.stdout and f"{worse}:2:" in result.stdout
    assert result.returncode == 1


def test_check_takes_the_rules_of_the_environment(socktune, rule_file):
    bad = rule_file(BAD_RULES)
    result = socktune("check", env={"SOCKTUNE_RULES": str(bad)})
    assert result.returncode == 1 and f"{bad}:2:" in result.stdout


def test_check_of_a_name_that_is_no_text(socktune, directory):
    bad = directory / os.fsdecode(b"r\xff.conf")
    bad.write_text(BAD_RULES, encoding="ascii")
    report = json.loads(socktune("check", "--json", bad).stdout)
    assert report["findings"][0]["file"] == f"{directory}/r\\xff.conf"


def test_check_of_nothing(socktune, directory):
    result = socktune("check", directory / "absent.conf")
    assert result.returncode == 1 and "No such file" in result.stdout


def test_check_of_a_damaged_policy(socktune, compiled):
    policy = compiled(RULES)
    assert socktune("check", policy).returncode == 0
    blob = bytearray(policy.read_bytes())
    blob[-1] ^= 1
    policy.write_bytes(blob)
    result = socktune("check", policy)
    assert result.returncode == 1 and f"{policy}: error: " in result.stdout


# Compile.

def preload_compile(build, rules):
    """Call the compiler as the library does."""
    return subprocess.run([BUILD / "socktune-compile", rules], env={}, timeout=30,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)


def test_compile_beside_the_rules(socktune, rules):
    assert socktune("compile", rules).returncode == 0
    policy = pathlib.Path(f"{rules}.policy")
    assert policy.read_bytes().startswith(b"SOCKTUNE")
    assert stat.S_IMODE(policy.stat().st_mode) == 0o644


def test_compile_a_directory(socktune, rule_file, directory):
    (directory / "rules.d").mkdir()
    shutil.copy(rule_file(RULES), directory / "rules.d" / "a.conf")
    assert socktune("compile", f"{directory}/rules.d/").returncode == 0
    assert (directory / "rules.d.policy").exists()


def test_compile_to_standard_output(build, rules):
    result = subprocess.run([build.socktune, "compile", rules, "-o", "-"], capture_output=True,
                            check=False, timeout=30)
    assert result.returncode == 0 and result.stdout.startswith(b"SOCKTUNE")
    assert not pathlib.Path(f"{rules}.policy").exists()


@pytest.mark.parametrize("kind", ["device", "fifo", "link", "dangling link", "standard output"])
def test_compile_to_what_is_no_regular_file(build, rules, directory, kind):
    """A device or FIFO is written to and a symbolic link is followed; none of them is replaced."""
    output, target = directory / "output", directory / "target"
    reader = None
    if kind == "device":
        needs_root("to make a device")
        os.mknod(output, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null
    elif kind == "fifo":
        os.mkfifo(output)
        reader = os.open(output, os.O_RDONLY | os.O_NONBLOCK)
    elif kind in ("link", "dangling link"):
        output.symlink_to(target)
        if kind == "link":
            target.write_bytes(b"old")
    else:
        output = pathlib.Path("/dev/stdout")
    before = os.lstat(output)
    result = subprocess.run([build.socktune, "compile", rules, "-o", output], capture_output=True,
                            check=False, timeout=30)
    after = os.lstat(output)
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)
    if kind == "dangling link":
        assert result.returncode == 1 and not target.exists()
        return
    assert result.returncode == 0, result.stderr
    if kind == "fifo":
        assert os.read(reader, 8) == b"SOCKTUNE"
        os.close(reader)
    elif kind == "link":
        assert target.read_bytes().startswith(b"SOCKTUNE")
    elif kind == "standard output":
        assert result.stdout.startswith(b"SOCKTUNE")


def test_compile_errors(socktune, rule_file, directory):
    bad = rule_file(BAD_RULES)
    result = socktune("compile", bad)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{bad}:2: error: ")
    assert not pathlib.Path(f"{bad}.policy").exists()
    result = socktune("compile", rule_file(RULES), "-o", directory / "absent" / "x")
    assert result.returncode == 1 and "cannot write" in result.stderr


def test_compile_for_the_library(build, rules):
    result = preload_compile(build, rules)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"SOCKTUNE")
    assert kept_policy(rules).read_bytes() == result.stdout
    assert not pathlib.Path(f"{rules}.policy").exists()


def test_compile_for_the_library_brings_a_policy_beside_the_rules_up_to_date(build, socktune,
                                                                             rules):
    assert socktune("compile", rules).returncode == 0
    rules.write_text(RULES.replace("120", "130"), encoding="utf-8")
    result = preload_compile(build, rules)
    assert pathlib.Path(f"{rules}.policy").read_bytes() == result.stdout


def test_compile_for_the_library_tells_one_error(build, rule_file):
    bad = rule_file("rules = (\n  { set = { TCP_FROB = 1; }; },\n  { set = { TCP_FROB = 2; }; } );\n")
    result = preload_compile(build, bad)
    assert result.returncode == 0 and result.stdout.startswith(b"SOCKTUNE")
    assert b"TCP_FROB" in result.stdout  # the policy contains the error
    assert re.fullmatch(rf"socktune: {re.escape(str(bad))}:2: error: .+\n", result.stderr.decode())


def test_compile_for_the_library_where_nothing_may_be_written(build, directory, rules):
    needs_root("to be another user")
    result = subprocess.run([BUILD / "socktune-compile", rules], env={}, timeout=30,
                            user=65534, group=65534, extra_groups=[], capture_output=True,
                            check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"SOCKTUNE")
    assert sorted(os.listdir(directory)) == ["rules.conf"]


def test_a_policy_is_not_written_anew(socktune, rules):
    policy = pathlib.Path(f"{rules}.policy")
    socktune("compile", rules)
    before = policy.stat()
    socktune("compile", rules)
    assert (policy.stat().st_ino, policy.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# Options.

def test_options_agree_with_each_other(socktune):
    names = socktune("options", "--names").stdout.split()
    rows = json.loads(socktune("options", "--json").stdout)["options"]
    lines = socktune("options").stdout.splitlines()
    manual = re.findall(r"^\.It Cm (\S+)$", socktune("options", "--man").stdout, re.MULTILINE)
    assert names == [row["name"] for row in rows] == [line.split()[0] for line in lines[1:]]
    assert manual == names
    assert len(set(names)) == len(names) > 60


def test_options_knows_this_kernel(socktune):
    rows = {row["name"]: row for row in json.loads(socktune("options", "--json").stdout)["options"]}
    for name in ("SO_KEEPALIVE", "TCP_NODELAY", "IP_TOS", "SO_SNDBUFFORCE", "dscp", "source"):
        assert rows[name]["kernel"] is True, name
    assert (rows["TCP_KEEPIDLE"]["level"], rows["TCP_KEEPIDLE"]["number"]) == (
        socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    assert rows["TCP_KEEPIDLE"]["unit"] == "seconds"


def test_one_option(socktune):
    result = socktune("options", "tcp_keepidle")
    assert result.returncode == 0 and result.stdout.startswith("TCP_KEEPIDLE: ")
    assert json.loads(socktune("options", "TCP_KEEPIDLE", "--json").stdout)["max"] == 32767
    result = socktune("options", "TCP_KEEPIDEL")
    assert (result.returncode, result.stdout) == (1, "")
    assert 'did you mean "TCP_KEEPIDLE"?' in result.stderr


@pytest.mark.parametrize("name, told", [
    ("UDP_CORK", "UDP_CORK is left to the program: nothing is sent"),
    ("SO_NOSIGPIPE", "Linux has no such option"),
    ("tcp_keepalive_time", "that is TCP_KEEPIDLE here")])
def test_an_option_from_elsewhere(socktune, name, told):
    result = socktune("options", name)
    assert result.returncode == 1 and told in result.stderr


# Explain.

def test_explain_an_accepted_socket(socktune, rules):
    result = socktune("explain", "-c", rules, "-p", "python3", "--accept",
                      "10.0.0.1:8080,10.0.0.2:5000", "--json")
    options = options_of(result)
    assert list(options) == ["SO_KEEPALIVE", "TCP_KEEPIDLE", "SO_PRIORITY"]
    idle = options["TCP_KEEPIDLE"]
    assert (idle["value"], idle["written"], idle["bytes"]) == (600, "10min", "58020000")
    assert (idle["at"], idle["inherited"], idle["rule"]) == ("before listen", True, "clients")
    assert (idle["file"], idle["line"], idle["mode"]) == (str(rules), 4, "set")
    assert (options["SO_PRIORITY"]["at"], options["SO_PRIORITY"]["inherited"]) == ("accept", False)


def test_explain_says_what_the_program_cannot_set(socktune, rules):
    arguments = ("explain", "-c", rules, "-p", "/usr/bin/python3.11", "--connect", "127.0.0.1:1")
    report = json.loads(socktune(*arguments, "--json").stdout)
    assert {(row["option"], row["mode"]) for row in report["guarded"]} == {
        ("TCP_NODELAY", "force"), ("SO_SNDBUF", "ignore")}
    text = socktune(*arguments).stdout
    assert f"upstreams, {rules}:7" in text
    assert f"SO_SNDBUF has no effect: ignore by upstreams, {rules}:9" in text


@pytest.mark.parametrize("way, tail", [
    ("ring", "."), ("socket", ", and passed to the helper."),
    ("auto", ", and passed to the helper where sock_diag cannot be had.")])
def test_explain_tells_who_reports_and_how(socktune, rule_file, way, tail):
    path = rule_file('rules = ( { name = "first"; report = true; },\n'
                     f'  {{ name = "told"; report = true; handoff = "{way}"; }} );\n')

    def explain(*arguments):
        return socktune("explain", "-c", path, "-p", "nginx", *arguments).stdout
    assert f"It is reported by told, {path}:2{tail}\n" in explain("--connect", "127.0.0.1:1")
    assert f"It is reported by told, {path}:2.\n" in explain("--listen", "127.0.0.1:1")
    assert "reported" not in explain("--socket")
    udp = explain("--connect", "127.0.0.1:1", "--protocol", "udp")
    assert f"It is reported by told, {path}:2.\n" in udp  # UDP sockets are never passed
    report = json.loads(explain("--accept", "10.0.0.1:80,10.0.0.2:5", "--json"))["report"]
    assert report == {"rule": "told", "file": str(path), "line": 2, "handoff": way}


@pytest.mark.parametrize("arguments, names", [
    (["-p", "nginx", "--connect", "127.0.0.1:1"], []),
    (["-p", "python3", "--connect", "192.0.2.1:1"], []),
    (["-p", "python3", "--connect", "127.0.0.1:1", "--protocol", "udp"], []),
    (["-p", "python3", "--connect", "127.0.0.1:1", "--family", "inet6"],
     ["TCP_KEEPIDLE", "TCP_NODELAY"]),
    (["-p", "python3", "--connect", "[::1]:1"], []),
    (["-p", "python3", "--socket"], []),
    (["-p", "python3", "--listen", ":8080"], ["SO_KEEPALIVE", "TCP_KEEPIDLE"]),
    (["-p", "python3", "--listen", "/run/x.sock"], []),
])
def test_explain_tells_sockets_apart(socktune, rules, arguments, names):
    assert list(options_of(socktune("explain", "-c", rules, *arguments, "--json"))) == names


def test_explain_by_user_and_command_line(socktune, rule_file):
    rules = rule_file('rules = ( { match = { user = "root"; command = "* serve *"; };\n'
                      "  set = { SO_KEEPALIVE = true; }; } );\n")
    arguments = ("explain", "-c", rules, "-p", "manage.py", "--socket", "--json")
    assert options_of(socktune(*arguments, "-u", "root", "--", "serve", "--port=1"))
    assert options_of(socktune(*arguments, "-u", "0", "--", "serve", "--port=1"))
    assert not options_of(socktune(*arguments, "-u", "65534", "--", "serve", "--port=1"))
    assert not options_of(socktune(*arguments, "-u", "root", "--", "migrate", "now"))
    result = socktune(*arguments, "-u", "no-such-user")
    assert result.returncode == 1 and 'no user "no-such-user"' in result.stderr


def test_explain_takes_a_compiled_policy(socktune, compiled):
    arguments = ("-p", "python3", "--connect", "127.0.0.1:1", "--json")
    assert list(options_of(socktune("explain", "-c", compiled(RULES), *arguments))) == [
        "TCP_KEEPIDLE", "TCP_NODELAY"]


def test_explain_bad_rules(socktune, rule_file):
    bad = rule_file(BAD_RULES)
    result = socktune("explain", "-c", bad, "-p", "x", "--socket")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{bad}:2: error: ")


# Run.

def test_run_tunes(socktune, rules, python):
    result = socktune("run", "-c", rules, "--", python, "-c", CLIENT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "120 1\n", "")
    assert kept_policy(rules).exists()
    assert not pathlib.Path(f"{rules}.policy").exists()


def test_run_takes_relative_rules_into_another_directory(socktune, rules, python):
    result = socktune("run", "-c", rules.name, "--", "/bin/sh", "-c",
                      'cd / && exec "$0" -c "$1"', python, CLIENT, cwd=rules.parent)
    assert result.stdout == "120 1\n"


def test_run_traces(socktune, rules, python, directory):
    result = socktune("run", "-c", rules, "--trace", python, "-c", CLIENT)
    assert result.stdout == "120 1\n" and "TCP_KEEPIDLE" in result.stderr
    result = socktune("run", "-c", rules, "--trace=log", python, "-c",
                      f"import os; os.chdir('/')\n{CLIENT}", cwd=directory)
    assert (result.stdout, result.stderr) == ("120 1\n", "")
    assert "TCP_KEEPIDLE" in (directory / "log").read_text(encoding="utf-8")


def test_run_says_that_it_cannot_trace(socktune, rules, directory):
    """The library prints nothing: standard error belongs to the program."""
    (directory / "link").symlink_to("log")
    for file, why in (("none/log", "No such file or directory"), ("link", "a symbolic link"),
                      (".", "Is a directory"), ("/dev/null", "not a regular file")):
        result = socktune("run", "-c", rules, f"--trace={file}", "/bin/echo", cwd=directory)
        assert result.returncode == 125 and result.stdout == ""
        assert f"cannot write a trace to {file}: " in result.stderr and why in result.stderr


def test_run_leaves_the_programs_options_alone(socktune, rules):
    result = socktune("run", "-c", rules, "/bin/echo", "--trace", "-c", "--help")
    assert (result.returncode, result.stdout) == (0, "--trace -c --help\n")


@pytest.mark.parametrize("script, status", [("exit 5", 5), ("kill -9 $$", -9)])
def test_run_ends_as_the_program(socktune, rules, script, status):
    assert socktune("run", "-c", rules, "/bin/sh", "-c", script).returncode == status


def test_run_what_cannot_be_run(socktune, rules, directory):
    result = socktune("run", "-c", rules, "no-such-program")
    assert (result.returncode, result.stdout) == (127, "")
    assert result.stderr == "socktune run: no-such-program: No such file or directory\n"
    result = socktune("run", "-c", rules, directory)
    assert result.returncode == 126 and "Permission denied" in result.stderr


def test_run_refuses_bad_rules(socktune, rule_file, directory):
    bad = rule_file(BAD_RULES)
    result = socktune("run", "-c", bad, "/bin/touch", directory / "ran")
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr.startswith(f"{bad}:2: error: ")
    assert not (directory / "ran").exists()


def test_run_prints_warnings_if_asked(socktune, rule_file):
    rules = rule_file('rules = ( { name = "idle"; match = { program = "x"; }; } );\n')
    assert socktune("run", "-c", rules, "/bin/true").stderr == ""
    result = socktune("run", "-c", rules, "-v", "/bin/true")
    assert result.returncode == 0 and f"{rules}:1: warning: " in result.stderr


def test_run_adds_to_the_preload(build, rules):
    def preload_of(before):
        environment = {**os.environ, "LD_PRELOAD": before}
        result = subprocess.run([build.socktune, "run", "-c", rules, "/bin/sh", "-c",
                                 'printf %s "$LD_PRELOAD"'], env=environment, text=True,
                                capture_output=True, check=True, timeout=30)
        return result.stdout
    own = str(build.library)
    assert preload_of("") == own
    assert preload_of("libSegFault.so") == f"libSegFault.so:{own}"
    assert preload_of("a.so b.so:") == f"a.so b.so::{own}"
    assert preload_of(own) == own
    assert preload_of(f"a.so {own}") == f"a.so {own}"
    assert preload_of("/x/notlibsocktune.so") == f"/x/notlibsocktune.so:{own}"


def test_run_from_a_place_that_cannot_be_preloaded(build, rules, directory):
    (directory / "a b").mkdir()
    for made in (build.socktune, build.library):
        shutil.copy(made, directory / "a b")
    result = subprocess.run([directory / "a b" / "socktune", "run", "-c", rules, "/bin/true"],
                            text=True, capture_output=True, check=False, timeout=30)
    assert result.returncode == 125 and "space" in result.stderr


def test_run_keeps_the_policy_in_the_cache(build, rules, directory):
    """A user who cannot write beside the rules has the policy in a private cache."""
    needs_root("to be another user")
    home = directory / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    result = subprocess.run(
        [build.socktune, "run", "-c", rules, "/bin/sh", "-c", 'echo "$SOCKTUNE_RULES"'],
        env={"HOME": str(home), "PATH": os.environ["PATH"]}, user=65534, group=65534,
        extra_groups=[], text=True, capture_output=True, check=False, timeout=30)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == str(rules)
    policy = kept_policy(rules, 65534, home)
    assert policy.read_bytes().startswith(b"SOCKTUNE")
    assert stat.S_IMODE(policy.parent.stat().st_mode) == 0o700
    assert sorted(os.listdir(directory)) == ["home", "rules.conf"]


def test_run_does_not_trust_a_cache_of_others(build, rules, directory):
    needs_root("to be another user")
    cache = directory / "cache"
    (cache / "socktune").mkdir(parents=True)
    (cache / "socktune").chmod(0o777)
    result = subprocess.run(
        [build.socktune, "run", "-c", rules, "/bin/sh", "-c", 'echo "$SOCKTUNE_RULES"'],
        env={"XDG_CACHE_HOME": str(cache), "PATH": os.environ["PATH"]}, user=65534, group=65534,
        extra_groups=[], text=True, capture_output=True, check=False, timeout=30)
    assert (result.returncode, result.stdout) == (0, f"{rules}\n")
    assert not os.listdir(cache / "socktune")


def test_run_warns_of_static_programs(socktune, rules, directory):
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    source = directory / "static.c"
    source.write_text("int main(void) { return 3; }\n", encoding="ascii")
    subprocess.run(["gcc", "-static", "-o", directory / "static", source], check=True, timeout=60)
    result = socktune("run", "-c", rules, directory / "static")
    assert result.returncode == 3
    assert "warning: " in result.stderr and "statically linked" in result.stderr


# Completion.

COMPLETION = pathlib.Path(__file__).resolve().parents[2] / "tools" / "package" / "completion"


def complete_in_bash(build, line, cwd=None):
    words = line.split(" ")
    function = f"_{words[0]}"
    words[0] = str(build.socktune.parent / words[0])
    script = (f'source "{COMPLETION}/socktune.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"')
    result = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], text=True, cwd=cwd,
                            capture_output=True, check=True, timeout=30)
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize("line, expected", [
    ("socktune ch", ["check"]),
    ("socktune --v", ["--version"]),
    ("socktune options TCP_KEEP", ["TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL"]),
    ("socktune explain --lis", ["--listen"]),
    ("socktune explain --family inet", ["inet", "inet6"]),
    ("socktune stats --sort re", ["reason", "received", "refused", "remote", "retransmits"]),
    ("socktune stats --cl", ["--closed"]),
    ("socktune top -s rt", ["rtt", "rttvar"]),
    ("socktune top --state es", ["established"]),
    ("socktune help ex", ["explain"]),
    ("socktune run -v", [""]),
    ("socktuned --foreg", ["--foreground"]),
])
def test_completion_in_bash(build, line, expected):
    assert complete_in_bash(build, line) == expected


def test_completion_of_rule_files_and_processes(build, directory, start):
    for name in ("one.conf", "one.policy", "one.txt"):
        (directory / name).write_text("", encoding="ascii")
    assert complete_in_bash(build, "socktune check one", directory) == ["one.conf", "one.policy"]
    assert complete_in_bash(build, "socktune run -c one", directory) == ["one.conf", "one.policy"]
    sleeper = start(["/bin/sleep", "60"])
    sleeper.until(lambda: kernel.program_of(sleeper.pid) == "sleep", "the program")
    assert str(sleeper.pid) in complete_in_bash(build, f"socktune inspect {sleeper.pid}")[0].split()
    many = complete_in_bash(build, f"socktune apply {str(sleeper.pid)[:1]}")
    assert len(many) == 1 or f"{sleeper.pid} (sleep)" in many


def test_completion_in_zsh(build):
    """Completes the subcommands, and the flags of each with their possible values."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    script = (f"socktune={build.socktune}; service=socktune; "
              "_describe() { print -l ${(P)@[-1]} }; "
              f'eval "$(sed \'$d\' "{COMPLETION}/_socktune")"; '
              "_socktune_commands; _socktune_options")
    lines = run_zsh(script)
    assert [line.split(":")[0] for line in lines[:len(COMMANDS)]] == COMMANDS
    assert "TCP_KEEPIDLE" in lines


@pytest.mark.parametrize("command, spec", [
    ("stats", "(-s --sort)--sort[sort by a column"),
    ("stats", "--role[in that role]:value:(connect listen accept datagram)"),
    ("run", "(-c --config)-c[rule file"),
    ("run", "--trace=-[write each decision to FILE or to standard error]::value:_files"),
    ("run", "(-)1:program:_command_names -e"),
    ("inspect", "*:operand:_pids"),
    ("check", "*:operand:_files -g '*.(conf|policy)'"),
])
def test_flags_in_zsh(build, command, spec):
    """The subcommand on the line decides; _arguments gets its flags."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    source = (COMPLETION / "_socktune").read_text(encoding="utf-8").rsplit("\n", 2)[0]
    script = (f"{source}\nservice=socktune\n"
              "_arguments() { if [[ $1 == -C ]]; then state=arguments; words=($words[2,-1]); "
              "return 1; fi; print -rl -- $@ }\n"
              f"words=({build.socktune} {command})\n_socktune\n")
    assert any(line.startswith(spec) for line in run_zsh(script))


def run_zsh(script):
    result = subprocess.run(["zsh", "-f", "-c", script], text=True, capture_output=True, check=True,
                            timeout=30)
    assert result.stderr == ""
    return result.stdout.splitlines()
