# SPDX-License-Identifier: MIT
"""The output of `socktune explain` agrees with the kernel.

Rule files and sockets are random, from a seed that is part of the test's name. A host program under
the library creates each socket; then each option must have the value that explain predicted, or the
value without the library if explain predicts none; and the program's own setting must have no
effect exactly if explain says so.
"""
import contextlib
import json
import random
import shutil
import socket
import struct
import subprocess

import pytest
from conftest import LOOPBACK, preloaded

SEEDS = [pytest.param(seed, marks=() if seed < 20 else pytest.mark.full)
         for seed in range(240)]

INT = struct.Struct("i")

# Options that read back as they were set: name -> (level, number, values). No value is 0, the
# default of many options, so that a set option differs from an unset one.
OPTIONS = {
    "SO_KEEPALIVE": (1, 9, [1]),
    "SO_PRIORITY": (1, 12, [1, 2, 3, 4, 5, 6]),
    "SO_OOBINLINE": (1, 10, [1]),
    "TCP_NODELAY": (6, 1, [1]),
    "TCP_KEEPIDLE": (6, 4, [60, 600, 1200]),
    "TCP_KEEPINTVL": (6, 5, [5, 10, 15]),
    "TCP_KEEPCNT": (6, 6, [2, 3, 4]),
    "TCP_LINGER2": (6, 8, [7, 8]),
    "TCP_USER_TIMEOUT": (6, 18, [15000, 30000]),
    "TCP_NOTSENT_LOWAT": (6, 25, [16384, 65536]),
    "IP_TOS": (0, 1, [0x10, 0x48, 0xb8]),
    "IP_TTL": (0, 2, [30, 40, 50]),
    "IPV6_TCLASS": (41, 67, [0x20, 0x48, 0xb8]),
    "IPV6_UNICAST_HOPS": (41, 16, [30, 40, 50]),
}
UNITS = {"TCP_USER_TIMEOUT": "ms"}  # of numbers that need a unit in rules
OWN = {"SO_KEEPALIVE": 0, "SO_OOBINLINE": 0, "TCP_NODELAY": 0, "SO_PRIORITY": 0, "IP_TOS": 0x28,
       "IPV6_TCLASS": 0x28}  # what the program itself sets; else OWN_NUMBER
OWN_NUMBER = 99

# Options for at_least and at_most. The program's own numbers are above some of the values and below
# others.
ORDERED = {"TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "IP_TTL", "IPV6_UNICAST_HOPS"}

# Flags that the kernel stores for any socket but uses only for streams: the library sets them
# without checking the socket's type, and explain omits options that have no effect.
STREAM_ONLY = {"SO_KEEPALIVE", "SO_OOBINLINE"}

FOUR = ["127.0.0.1", "127.0.0.2", "127.1.2.3"]


class Maker:
    """Generates rules and sockets; `ports` are the ports of the sockets."""

    def __init__(self, seed, ports):
        self.random = random.Random(seed)
        self.ports = ports

    def maybe(self, chance=0.5):
        return self.random.random() < chance

    def some(self, items, most=3):
        return self.random.sample(items, self.random.randint(1, min(most, len(items))))

    def listed(self, words):
        """One value or an array, sometimes with an exclusion."""
        words = [f'"{"!" if self.maybe(0.15) else ""}{word}"' for word in words]
        return words[0] if len(words) == 1 else f"[ {', '.join(words)} ]"

    def prefixes(self):
        return self.listed(self.some([*FOUR, "127.0.0.0/8", "127.0.0.0/30", "127.1.0.0/16", "::1",
                                      "::1/128", "::/0", "0.0.0.0/0", "10.0.0.0/8"]))

    def port_list(self):
        port = self.random.choice(self.ports)
        return self.listed(self.some([str(port), f"{port - 5}-{port + 5}", f"1-{port}",
                                      f"{port + 1}-65535", "443"], 2))

    def match(self):
        makers = {
            "program": lambda: self.listed(self.some(["calls", "c*", "other", "*/hosts/calls"], 2)),
            "command": lambda: self.listed(self.some(["*calls*", "* --daemon"], 1)),
            "user": lambda: self.listed(self.some(["0", "nobody"], 1)),
            "role": lambda: self.listed(self.some(["connect", "listen", "accept", "datagram"])),
            "protocol": lambda: self.listed(self.some(["tcp", "udp", "mptcp"], 2)),
            "family": lambda: self.listed(self.some(["inet", "inet6"], 1)),
            "local": self.prefixes,
            "remote": self.prefixes,
            "local_port": self.port_list,
            "remote_port": self.port_list,
        }
        chosen = [key for key in makers if self.maybe(0.2)]
        return " ".join(f"{key} = {makers[key]()};" for key in chosen)

    def value(self, name):
        number = self.random.choice(OPTIONS[name][2])
        return f'"{number}{UNITS[name]}"' if name in UNITS else str(number)

    def rule(self, number):
        statements = [f'name = "r{number}";', f"match = {{ {self.match()} }};"]
        names = self.some(list(OPTIONS), 14)
        for mode in ("set", "default", "force", "at_least", "at_most"):
            mine, names = names[:3], names[3:]
            if mode.startswith("at_"):
                names = [name for name in mine if name not in ORDERED] + names
                mine = [name for name in mine if name in ORDERED]
            if mine and self.maybe(0.8 if mode == "set" else 0.4):
                said = " ".join(f"{name} = {self.value(name)};" for name in mine)
                statements.append(f"{mode} = {{ {said} }};")
        if names and self.maybe(0.3):
            statements.append(f'ignore = [ "{names[0]}" ];')
        if self.maybe(0.1):
            statements.append("final = true;")
        return f"  {{ {' '.join(statements)} }}"

    def rules(self):
        rules = ",\n".join(self.rule(number) for number in range(self.random.randint(1, 7)))
        return f"rules = (\n{rules}\n);\n"

    def address(self, family):
        return "::1" if family == "inet6" else self.random.choice(FOUR)


class Scene:
    """Creates the sockets of one scene in a host, and the arguments of explain for them."""

    def __init__(self, host, ports, peers):
        self.host, self.ports = host, ports
        self.peers = peers  # an ExitStack: keeps the other ends open

    @staticmethod
    def endpoint(address, port):
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    @staticmethod
    def domain(family):
        return socket.AF_INET if family == "inet" else socket.AF_INET6

    def made(self, family, kind, role, addresses):
        """(descriptor, explain's arguments). `addresses`: (local, remote)."""
        local, remote = addresses
        return getattr(self, role)(family, kind, local, remote)

    def listen(self, family, kind, local, _):
        fd = self.host.socket(self.domain(family), kind)
        self.host.bind(fd, self.domain(family), local, self.ports[0])
        if kind == socket.SOCK_STREAM:
            self.host.listen(fd)
        return fd, ["--listen", self.endpoint(local, self.ports[0])]

    def connect(self, family, kind, _, remote):
        fd = self.host.socket(self.domain(family), kind)
        server = self.peers.enter_context(socket.socket(self.domain(family), kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((remote, self.ports[1]))
        if kind == socket.SOCK_STREAM:
            server.listen()
        self.host.connect(fd, self.domain(family), remote, self.ports[1])
        return fd, ["--connect", self.endpoint(remote, self.ports[1])]

    def accept(self, family, _, local, remote):
        listener = self.host.socket(self.domain(family))
        self.host.bind(listener, self.domain(family), "::" if family == "inet6" else "0.0.0.0",
                       self.ports[2])
        self.host.listen(listener)
        client = self.peers.enter_context(
            socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind((remote, self.ports[3]))
        client.connect((local, self.ports[2]))
        fd = self.host.accept(listener)
        return fd, ["--family", family, "--accept", f"{self.endpoint(local, self.ports[2])},"
                    f"{self.endpoint(remote, self.ports[3])}"]


def scenes(maker):
    """Family, kind, role and addresses of the sockets of a test: each role once per family."""
    for family in LOOPBACK:
        for kind, role in ((socket.SOCK_STREAM, "listen"), (socket.SOCK_STREAM, "connect"),
                           (socket.SOCK_STREAM, "accept"), (socket.SOCK_DGRAM, "listen"),
                           (socket.SOCK_DGRAM, "connect")):
            yield family, kind, role, (maker.address(family), maker.address(family))
    # An IPv4 client of an IPv6 listener.
    yield "inet6", socket.SOCK_STREAM, "accept", (maker.address("inet"), maker.address("inet"))


def read(host, fd):
    """Option -> value, for the options that this socket has."""
    one, values = host.look(fd), {}
    for name, (level, number, _) in OPTIONS.items():
        if one.type == socket.SOCK_DGRAM and name in STREAM_ONLY:
            continue
        try:
            values[name] = INT.unpack(one.raw(level, number, 4))[0]
        except OSError:
            continue
    return values


def foretold(explained, default):
    """The values that explain predicts, for the options that the socket has."""
    wanted = dict(default)
    for entry in explained["options"]:
        if entry["option"] in wanted:
            wanted[entry["option"]] = INT.unpack(bytes.fromhex(entry["bytes"]))[0]
    told = {entry["option"] for entry in explained["options"]}
    if "IP_TOS" in told and "SO_PRIORITY" not in told:
        wanted.pop("SO_PRIORITY")  # the kernel derives it from the type of service
    return wanted


def held(guard, value, own):
    """The result of the program's own setting of an option that has `value`."""
    if guard is None:
        return own
    if not guard["mode"].startswith("at_"):
        return value
    bound = INT.unpack(bytes.fromhex(guard["bytes"]))[0]
    return max(own, bound) if guard["mode"] == "at_least" else min(own, bound)


def own_settings(host, fd, explained, before):
    """The program sets each option itself: the setting has no effect, or is raised or lowered,
    exactly if explain says so."""
    guarded = {entry["option"]: entry for entry in explained["guarded"]}
    for name, value in before.items():
        level, number, _ = OPTIONS[name]
        own = OWN.get(name, OWN_NUMBER)
        assert host.call("setsockopt", fd, level, number, INT.pack(own)).result == 0, name
        now = INT.unpack(host.look(fd).raw(level, number, 4))[0]
        assert now == held(guarded.get(name), value, own), f"{name}, set by the program itself"
        if name == "IP_TOS":
            host.setsockopt(fd, *OPTIONS["SO_PRIORITY"][:2], 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_explain_and_reality_agree(seed, build, host, rule_file, socktune, free_port):
    ports = [free_port() for _ in range(4)]
    maker = Maker(seed, ports)
    text = maker.rules()
    path = rule_file(text)
    policy = path.with_suffix(".compiled")
    compiled = socktune("compile", path, "-o", policy)
    assert compiled.returncode == 0, f"{compiled.stderr}\n{text}"
    for scene in scenes(maker):
        default = look(host(), scene, ports, lambda one, fd, _: read(one, fd))

        def check(one, fd, question, scene=scene, default=default):
            answer = socktune("explain", "-c", path, "--program", build.hosts / "calls", *question,
                              "--protocol", "udp" if scene[1] == socket.SOCK_DGRAM else "tcp",
                              "--json", "--", build.hosts / "calls")
            assert answer.returncode == 0, answer.stderr
            explained = json.loads(answer.stdout)
            wanted, has = foretold(explained, default), read(one, fd)
            wrong = {name: f"explain says {wanted[name]}, the kernel {has[name]}"
                     for name in wanted if has[name] != wanted[name]}
            assert not wrong
            # explain --connect does not know the local address that the kernel will choose.
            if scene[2] != "connect" or "local" not in text:
                own_settings(one, fd, explained, has)

        try:
            look(host(policy), scene, ports, check)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{scene} at ports {ports}\n{text}") from None


def look(one, scene, ports, check):
    """Create the socket of a scene in this host, and check it while it exists."""
    with contextlib.ExitStack() as peers:
        fd, question = Scene(one, ports, peers).made(*scene)
        result = check(one, fd, question)
    one.end()  # the next one has the same addresses
    return result


PRIORITY_AND_TOS = {
    "later": """
rules = (
  { name = "all"; set = { SO_PRIORITY = 3; }; },
  { name = "there"; match = { remote = "127.0.0.0/8"; }; set = { IP_TOS = "lowdelay"; }; }
);""",
    "default": """
rules = ( { match = { remote = "127.0.0.0/8"; };
            set = { IP_TOS = "lowdelay"; }; default = { SO_PRIORITY = 3; }; } );""",
}


@pytest.mark.parametrize("rules", PRIORITY_AND_TOS)
def test_the_rules_priority_outlives_the_type_of_service(rules, host, compiled, silent_listener):
    one = host(compiled(PRIORITY_AND_TOS[rules]))
    with silent_listener("inet") as listener:
        fd = one.socket(socket.AF_INET)
        one.connect(fd, socket.AF_INET, *listener.getsockname())
        assert one.look(fd).options(["IP_TOS", "SO_PRIORITY"]) == {"IP_TOS": 0x10,
                                                                   "SO_PRIORITY": 3}


FORCED_BY_LOCAL_PORT = """
rules = ( { match = { role = "connect"; local_port = "1-65535"; };
            force = { TCP_KEEPIDLE = 600; }; } );
"""


def test_what_is_swallowed_was_given(host, compiled, silent_listener):
    """A client's local port is known only after connect(), too late for the rule to be applied."""
    one = host(compiled(FORCED_BY_LOCAL_PORT))
    with silent_listener("inet") as listener:
        fd = one.socket(socket.AF_INET)
        one.connect(fd, socket.AF_INET, *listener.getsockname())
        one.setsockopt(fd, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 99)
        assert one.look(fd).option("TCP_KEEPIDLE") != 7200


def test_a_rule_for_inherited_sockets_is_named(socktune, rule_file):
    path = rule_file("""rules = ( { name = "mine"; set = { IP_TTL = 9; }; },
                                  { name = "theirs"; inherited = true; set = { IP_TTL = 8; }; } );""")
    question = ("explain", "-c", path, "--program", "p", "--socket")
    lines = socktune(*question).stdout.splitlines()
    assert [line for line in lines if "from its parent" in line] == [
        f"theirs, {path}:2, is also for sockets that the program has from its parent."]
    rules = json.loads(socktune(*question, "--json").stdout)["rules"]
    assert [(rule["rule"], rule["inherited"]) for rule in rules] == [("mine", False), ("theirs", True)]


def test_a_program_called_by_a_link(build, compiled, socktune, rule_file, directory):
    """As for a running program, its name is that of its file or that of the link."""
    link = directory / "link"
    link.symlink_to("/bin/true")
    names = (str(link), str(link.resolve()), link.resolve().name, "link", "/no/such/link")
    text = "rules = ( %s );" % ", ".join(
        f'{{ name = "{name}"; match = {{ program = "{name}"; }}; set = {{ IP_TTL = 9; }}; }}'
        for name in names)
    explained = json.loads(socktune("explain", "-c", rule_file(text), "--program", link, "--socket",
                                    "--json").stdout)
    assert [rule["rule"] for rule in explained["rules"]] == list(names[:4])
    done = subprocess.run([link], env=preloaded(build, compiled(text), SOCKTUNE_TRACE="stderr"),
                          capture_output=True, text=True, check=True)
    assert "4 of 5 rules" in done.stderr


def test_a_path_that_is_a_link_stands_for_its_file(build, socktune, rule_file, directory):
    """With any name of the program; also if the link is created later, or points to another
    file."""
    files, link = [directory / "one", directory / "two"], directory / "link"
    for file in files:
        shutil.copy("/bin/true", file)
    rules = rule_file(f'rules = ( {{ match = {{ program = "{link}"; }}; set = {{ IP_TTL = 9; }}; }} );')

    def tuned(program):
        environment = preloaded(build, rules, SOCKTUNE_TRACE="stderr")
        done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
        shown = socktune("explain", "-c", rules, "--program", program, "--socket", "--json")
        seen = json.loads(socktune("doctor", "-c", rules, "--json", program).stdout)
        answers = {"1 of 1 rules" in done.stderr, bool(json.loads(shown.stdout)["rules"]),
                   bool(seen["rules"]["active"])}
        assert len(answers) == 1, (program, done.stderr, shown.stdout, seen)
        return answers.pop()

    assert [tuned(file) for file in files] == [False, False]
    between = directory / "between"  # like /etc/alternatives
    link.symlink_to("between")
    assert [tuned(file) for file in files] == [False, False]
    for file in files:
        between.unlink(missing_ok=True)
        between.symlink_to(file)
        assert [tuned(link), tuned(files[0]), tuned(files[1])] == [True, file == files[0],
                                                                   file == files[1]]


def test_a_program_in_path_is_the_one_that_runs(socktune, rule_file, directory):
    (directory / "called").symlink_to("/bin/true")
    rules = rule_file("""rules = ( { match = { program = "true"; }; set = { IP_TTL = 9; }; } );""")
    for name, count in (("called", 1), ("absent", 0)):
        shown = socktune("explain", "-c", rules, "--program", name, "--socket", "--json",
                         env={"PATH": f"{directory}:/bin"})
        assert len(json.loads(shown.stdout)["rules"]) == count


def test_explain_tells_what_stays_for_another_peer(socktune, rule_file):
    rules = rule_file("""rules = ( { match = { remote = "127.0.0.1"; };
        set = { TCP_MAXSEG = 1000; SO_INCOMING_CPU = 0; SO_MARK = 3; IP_TTL = 9; }; } );""")
    question = ("explain", "-c", rules, "--program", "x", "--connect", "127.0.0.1:80")
    told = [line for line in socktune(*question).stdout.splitlines() if " stays " in line]
    assert told == [
        "SO_MARK stays when the socket is connected again, to another peer, unless the program may "
        "still set it.",
        "SO_INCOMING_CPU stays when the socket is connected again, to another peer."]
    options = json.loads(socktune(*question, "--json").stdout)["options"]
    assert {option["option"]: option["stays"] for option in options} == {
        "SO_INCOMING_CPU": "always", "TCP_MAXSEG": "no", "SO_MARK": "without privilege", "IP_TTL": "no"}


def test_explain_tells_what_a_peer_without_mptcp_gets(socktune, rule_file):
    rules = rule_file("""rules = ( { match = { role = "accept"; protocol = "tcp"; };
        set = { TCP_USER_TIMEOUT = "9s"; TCP_KEEPIDLE = 77; }; } );""")
    question = ("explain", "-c", rules, "--program", "x", "--accept", "127.0.0.1:80,127.0.0.1:99")
    text = socktune(*question, "--protocol", "mptcp").stdout
    assert "From a peer without MPTCP, accept() returns a TCP socket. It gets:" in text
    answer = json.loads(socktune(*question, "--protocol", "mptcp", "--json").stdout)
    assert not answer["options"]
    assert {(one["option"], one["at"]) for one in answer["without_mptcp"]} == {
        ("TCP_USER_TIMEOUT", "accept"), ("TCP_KEEPIDLE", "accept")}
    assert json.loads(socktune(*question, "--json").stdout)["without_mptcp"] is None
