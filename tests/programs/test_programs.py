# SPDX-License-Identifier: MIT
"""Real, unmodified programs under real rule files: each TCP socket has the values of the rules.

A table of programs, one test for servers and one for clients. While a connection is open, the
kernel is asked for each TCP socket of the program and its children: listeners, accepted ones,
connected ones. Then the conversation continues, to show that the program still works. Some programs
set an option later themselves. Such a setting wins over `set`, and the row names it (`own`); under
`force` the rule's value must stay.
"""
import dataclasses
import errno
import os
import pwd
import re
import shutil
import socket
import subprocess
import textwrap
import time
import typing

import pytest
from conftest import LOOPBACK, program

# Option: value in rules, for sockets that listen or were accepted, and for those that connect.
SETTINGS = {
    "SO_KEEPALIVE": ("true", "true"),
    "TCP_KEEPIDLE": ('"611s"', "622"),
    "TCP_KEEPINTVL": ("71", '"82s"'),
    "TCP_KEEPCNT": ("7", "8"),
    "TCP_NODELAY": ("true", "true"),
    "TCP_USER_TIMEOUT": ('"45s"', '"55s"'),
    "TCP_NOTSENT_LOWAT": ('"128K"', '"64K"'),
    "TCP_SYNCNT": ("5", "4"),
    "TCP_CONGESTION": ('"reno"', '"reno"'),
    "dscp": ('"AF21"', '"AF21"'),
    "SO_PRIORITY": ("5", "4"),
}
# Option: the kernel's value.
EXPECTED = {
    "SO_KEEPALIVE": (1, 1),
    "TCP_KEEPIDLE": (611, 622),
    "TCP_KEEPINTVL": (71, 82),
    "TCP_KEEPCNT": (7, 8),
    "TCP_NODELAY": (1, 1),
    "TCP_USER_TIMEOUT": (45000, 55000),
    "TCP_NOTSENT_LOWAT": (131072, 65536),
    "TCP_SYNCNT": (5, 4),
    "TCP_CONGESTION": ("reno", "reno"),
    "IP_TOS": (0x48, 0x48),
    "IPV6_TCLASS": (0x48, 0x48),
    "SO_PRIORITY": (5, 4),
}
PASSIVE, ACTIVE = 0, 1

FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def settings(which):
    return " ".join(f"{name} = {said[which]};" for name, said in SETTINGS.items())


# The same values reach the sockets in different ways: at socket(), or by role.
WITHOUT_ROLES = """
program = "{program}";
rules = ( {{ name = "all"; match = {{ protocol = "tcp"; }}; {mode} = {{ {passive} }}; }} );
"""
WITH_ROLES = """
program = "{program}";
rules = (
  {{ name = "served"; match = {{ protocol = "tcp"; role = [ "listen", "accept" ]; }};
     {mode} = {{ {passive} }}; }},
  {{ name = "asking"; match = {{ protocol = "tcp"; role = "connect"; }}; {mode} = {{ {active} }}; }}
);
"""


@dataclasses.dataclass
class Rules:
    """The rules of one test, and their expected values."""
    roles: bool  # do rules distinguish connecting sockets?
    force: bool

    def text(self, name):
        return (WITH_ROLES if self.roles else WITHOUT_ROLES).format(
            program=name, mode="force" if self.force else "set",
            passive=settings(PASSIVE), active=settings(ACTIVE))

    def expected(self, role):
        which = ACTIVE if self.roles and role == "connected" else PASSIVE
        return {name: values[which] for name, values in EXPECTED.items()}


RULES = {
    "set": Rules(roles=False, force=False),
    "roles": Rules(roles=True, force=False),
    "force": Rules(roles=True, force=True),
}


@dataclasses.dataclass
class Place:
    """The environment of a row."""
    family: str
    port: int            # servers: to listen on; clients: to connect to
    directory: object
    upstream: int = 0    # for servers that connect to another server: its port

    @property
    def address(self):
        return LOOPBACK[self.family]

    @property
    def bracketed(self):
        return f"[{self.address}]" if self.family == "inet6" else self.address

    @property
    def url(self):
        return f"http://{self.bracketed}:{self.port}/"

    def write(self, name, text, mode=0o644):
        path = self.directory / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        path.chmod(mode)
        return path


@dataclasses.dataclass
class Row:
    """One program in one role."""
    name: str                       # of the executable, for rules
    command: typing.Callable        # Place -> the words of the command
    talk: typing.Callable = None    # tests the program's work, given the connection
    prints: str = ""                # clients: the expected output
    # Role -> {option: value that the program sets after the library}.
    own: dict = dataclasses.field(default_factory=dict)
    # The same between socket() and listen() or connect(): it stays unless the rule is applied then.
    early: dict = dataclasses.field(default_factory=dict)
    id: str = ""
    full: bool = False              # only in the full run
    user: str = None                # must not run as root: run as this user
    prepare: typing.Callable = None  # Place -> None, called before the command
    families: tuple = ("inet", "inet6")


def rows(table):
    for row in table:
        for family in row.families:
            yield pytest.param(row, family, id=f"{row.id or row.name}-{family}",
                               marks=pytest.mark.full if row.full else ())


def role_of(one, port):
    if one.listens:
        return "listener"
    return "accepted" if one.local and one.local[1] == port else "connected"


def faults(started, row, rules, port):
    """Wrong values of the TCP sockets of a program, and the roles of its sockets."""
    wrong, roles = [], set()
    for one in started.tcp():
        role = role_of(one, port)
        expected = rules.expected(role)
        if not rules.force:
            expected.update(row.own.get(role, {}))
            expected.update({} if rules.roles else row.early.get(role, {}))
        if one.family == socket.AF_INET:
            del expected["IPV6_TCLASS"]
        try:
            has = one.options(expected)
        except OSError as error:
            if error.errno in (errno.EBADF, errno.ENOTSOCK, errno.ESRCH):
                continue  # closed since it was listed
            raise
        roles.add(role)
        wrong += [f"{one} ({role}): {name} is {has[name]}, not {expected[name]}"
                  for name in expected if has[name] != expected[name]]
    return wrong, roles


def check_every_socket(started, row, rules, port, wanted=frozenset()):
    """Each TCP socket of the program has the values of the rules. Returns the roles seen.

    A socket may be seen between accept() and the setting of its options, or while it is passed to
    another process, so only persistent errors count, and the `wanted` roles must be seen at least
    once."""
    end = time.monotonic() + 3
    while True:
        wrong, roles = faults(started, row, rules, port)
        if not wrong and wanted <= roles:
            return roles
        assert time.monotonic() < end, "\n".join(wrong) or f"only {roles} seen"
        time.sleep(0.02)


# Servers.

def http(connection):
    connection.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    answer = receive(connection)
    assert b"200" in answer.split(b"\r\n")[0] and b"hello" in answer, answer


def says(request, answer):
    """A conversation of one line each way."""
    def talk(connection):
        connection.sendall(request)
        got = receive(connection, answer)
        assert answer in got, got
    return talk


def receive(connection, until_text=None):
    """Receive to the end or to `until_text`."""
    got = b""
    while until_text is None or until_text not in got:
        more = connection.recv(65536)
        if not more:
            break
        got += more
    return got


def nginx(place):
    # As root it starts an unprivileged worker, as in production.
    configuration = place.write("nginx.conf", f"""
        daemon off; pid {place.directory}/nginx.pid; error_log stderr notice; worker_processes 2;
        events {{ worker_connections 64; }}
        http {{
          access_log off;
          client_body_temp_path {place.directory}/body; proxy_temp_path {place.directory}/proxy;
          fastcgi_temp_path {place.directory}/fastcgi; uwsgi_temp_path {place.directory}/uwsgi;
          scgi_temp_path {place.directory}/scgi;
          server {{
            listen {place.bracketed}:{place.port};
            location / {{ return 200 "hello"; }}
            location /upstream {{ proxy_pass http://{place.bracketed}:{place.upstream}/; }}
          }}
        }}""")
    return [program("nginx", "usr/sbin/nginx"), "-e", "stderr", "-p", place.directory,
            "-c", configuration]


def haproxy(place):
    configuration = place.write("haproxy.cfg", f"""
        global
          maxconn 64
        defaults
          mode http
          timeout connect 20s
          timeout client 20s
          timeout server 20s
        frontend f
          bind {place.address}:{place.port}
          http-request return status 200 content-type text/plain string hello if {{ path / }}
          default_backend b
        backend b
          server s {place.address}:{place.upstream}
        """)
    return [program("haproxy", "usr/sbin/haproxy"), "-db", "-f", configuration]


def python_server(place):
    place.write("index.html", "hello\n")
    return [program("python3"), "-m", "http.server", place.port, "--bind", place.address,
            "--directory", place.directory]


def asyncio_server(place):
    script = place.write("server.py", """
        import asyncio, sys
        async def talk(reader, writer):
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()
        async def main():
            server = await asyncio.start_server(talk, sys.argv[1], int(sys.argv[2]))
            await server.serve_forever()
        asyncio.run(main())
        """)
    return [program("python3"), script, place.address, place.port]


def node_server(place):
    script = place.write("server.js", """
        require('http').createServer((request, response) => response.end('hello'))
          .listen(Number(process.argv[3]), process.argv[2]);
        """)
    return [program("node"), script, place.address, place.port]


def perl_server(place):
    script = place.write("server.pl", """
        use IO::Socket::IP;
        my $listener = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1],
                                           Listen => 5, ReuseAddr => 1) or die "$@";
        while (my $client = $listener->accept) {
            my $line = <$client>;
            print $client uc $line;
            close $client;
        }
        """)
    return [program("perl"), script, place.address, place.port]


def java_server(place):
    script = place.write("Server.java", """
        import com.sun.net.httpserver.HttpServer;
        import java.net.*;
        public class Server {
            public static void main(String[] arguments) throws Exception {
                HttpServer server = HttpServer.create(
                    new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])), 0);
                server.createContext("/", exchange -> {
                    exchange.sendResponseHeaders(200, 5);
                    exchange.getResponseBody().write("hello".getBytes());
                    exchange.close();
                });
                server.start();
            }
        }
        """)
    return [program("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", script,
            place.address, place.port]


def sshd(place):
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd requires it; the service's unit creates it
    key = place.directory / "host_key"
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    user_key = place.directory / "user_key"
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", user_key],
                   check=True)
    shutil.copy(f"{user_key}.pub", place.directory / "authorized_keys")
    configuration = place.write("sshd_config", f"""
        ListenAddress {place.bracketed}:{place.port}
        HostKey {key}
        AuthorizedKeysFile {place.directory}/authorized_keys
        StrictModes no
        UsePAM no
        PermitRootLogin prohibit-password
        PidFile none
        IPQoS none
        """)
    # sshd executes itself for each connection and so requires its absolute path.
    return [program("sshd", "usr/sbin/sshd"), "-D", "-e", "-f", configuration]


def postgres_program(name):
    return program(name, f"usr/lib/postgresql/*/bin/{name}")


def prepare_postgres(place):
    """A database cluster in the test's directory, owned by an unprivileged user."""
    data = place.directory / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, "nobody")
    subprocess.run([postgres_program("initdb"), "--no-sync", "-A", "trust", "-U", "tester", "-D",
                    data], check=True, stdout=subprocess.DEVNULL,
                   user="nobody" if os.geteuid() == 0 else None, cwd="/")


def postgres(place):
    return [postgres_program("postgres"), "-D", place.directory / "data", "-h", place.address,
            "-p", place.port, "-c", "unix_socket_directories=", "-F"]


# A request for SSL, answered with "N" (no): enough to show that a backend works.
POSTGRES_SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])

HAPROXY_SETS = {"listener": {"TCP_USER_TIMEOUT": 0}, "accepted": {"TCP_USER_TIMEOUT": 0}}

SERVERS = [
    Row("nginx", nginx, http),
    Row("redis-server", lambda place: [
        program("redis-server"), "--bind", place.address, "--port", place.port, "--save", "",
        "--appendonly", "no", "--dir", place.directory],
        says(b"PING\r\n", b"+PONG"),
        own={"accepted": {"TCP_KEEPIDLE": 300, "TCP_KEEPINTVL": 100, "TCP_KEEPCNT": 3}}),
    Row("haproxy", haproxy, http, early=HAPROXY_SETS),
    Row("iperf3", lambda place: [
        program("iperf3"), "-s", "-B", place.address, "-p", place.port]),
    Row("python3", python_server, http, id="http.server"),
    Row("python3", asyncio_server, says(b"hello\n", b"HELLO"), id="asyncio"),
    Row("node", node_server, http),
    Row("perl", perl_server, says(b"hello\n", b"HELLO")),
    Row("java", java_server, http, full=True),
    Row("sshd", sshd, says(b"", b"SSH-2.0")),
    Row("postgres", postgres, says(POSTGRES_SSL_REQUEST, b"N"), user="nobody",
        prepare=prepare_postgres),
    Row("memcached", lambda place: [
        program("memcached"), "-l", place.bracketed, "-p", place.port, "-U", "0", "-u", "nobody"],
        says(b"version\r\n", b"VERSION")),
    Row("socat", lambda place: [
        program("socat"), f"TCP{'6' if place.family == 'inet6' else '4'}-LISTEN:{place.port},"
        f"bind={place.bracketed},fork,reuseaddr", "EXEC:tr a-z A-Z"],
        says(b"hello\n", b"")),
]


def start_server(start, row, rules, place, rule_file):
    command = row.command(place)
    if row.prepare:
        row.prepare(place)
    keywords = {"user": row.user} if row.user and os.geteuid() == 0 else {}
    started = start(command, rule_file(rules.text(row.name)), cwd=place.directory, **keywords)
    started.until_listening(place.port)
    return started


def serve(row, family, rules, start, rule_file, directory, free_port):
    place = Place(family, free_port(), directory, upstream=free_port())
    started = start_server(start, row, rules, place, rule_file)
    with socket.create_connection((place.address, place.port), 20) as connection:
        here = connection.getsockname()[:2]
        started.until(lambda: [one for one in started.tcp() if one.remote[:2] == here
                               or one.remote[:2] == (f"::ffff:{here[0]}", here[1])],
                      "the server accepting a connection")
        check_every_socket(started, row, rules, place.port, {"listener", "accepted"})
        if row.talk:
            row.talk(connection)
            check_every_socket(started, row, rules, place.port)


@pytest.mark.parametrize("row, family", rows(SERVERS))
def test_server(row, family, start, rule_file, directory, free_port):
    serve(row, family, RULES["set"], start, rule_file, directory, free_port)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["roles", "force"])
@pytest.mark.parametrize("row, family", rows(SERVERS))
def test_server_other_rules(row, family, kind, start, rule_file, directory, free_port):
    serve(row, family, RULES[kind], start, rule_file, directory, free_port)


# Clients.

HTTP_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def answers(text, after=b""):
    """The listener's side: read a request (to `after`), wait until the test has read the options,
    send an answer, close. A program that has sent its request has set all of its own options."""
    def talk(connection):
        receive(connection, after)
        yield
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
    return talk


def script_client(name, file, text, *flags):
    """A client in a script language."""
    def command(place):
        return [program(name), *flags, place.write(file, text), place.address, place.port,
                place.url]
    return command


urllib_client = script_client("python3", "client.py", """
    import sys, urllib.request
    print(urllib.request.urlopen(sys.argv[3], timeout=20).read().decode())
    """)

asyncio_client = script_client("python3", "client.py", """
    import asyncio, sys
    async def main():
        reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
        writer.write(b"hello?\\n")
        print((await reader.read()).decode())
    asyncio.run(main())
    """)

node_client = script_client("node", "client.js", """
    require('http').get(process.argv[4], answer => answer.pipe(process.stdout));
    """)

perl_client = script_client("perl", "client.pl", """
    use IO::Socket::IP;
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]) or die "$@";
    print $socket "hello?\\n";
    $socket->flush;
    print <$socket>;
    """)

java_client = script_client("java", "Client.java", """
    import java.net.*;
    public class Client {
        public static void main(String[] arguments) throws Exception {
            System.out.println(new String(new URL(arguments[2]).openStream().readAllBytes()));
        }
    }
    """, "-XX:TieredStopAtLevel=1")

CLIENTS = [
    Row("curl", lambda place: [program("curl"), "-sS", "--noproxy", "*", place.url],
        answers(HTTP_ANSWER, b"\r\n\r\n"), "hello",
        early={"connected": {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 60}}),
    Row("wget", lambda place: [program("wget"), "-q", "-O", "-", "--no-proxy", place.url],
        answers(HTTP_ANSWER, b"\r\n\r\n"), "hello"),
    Row("python3", urllib_client, answers(HTTP_ANSWER, b"\r\n\r\n"), "hello", id="urllib"),
    Row("python3", asyncio_client, answers(b"hello", b"\n"), "hello", id="asyncio"),
    Row("node", node_client, answers(HTTP_ANSWER, b"\r\n\r\n"), "hello",
        own={"connected": {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 10}}),
    Row("perl", perl_client, answers(b"hello", b"\n"), "hello"),
    Row("java", java_client, answers(HTTP_ANSWER, b"\r\n\r\n"), "hello", full=True),
    Row("socat", lambda place: [
        program("socat"), "-u", f"TCP:{place.bracketed}:{place.port}", "STDOUT"],
        answers(b"hello"), "hello"),
    Row("redis-cli", lambda place: [
        program("redis-cli"), "-h", place.address, "-p", place.port, "PING"],
        answers(b"+hello\r\n", b"PING\r\n"), "hello",
        own={"connected": {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}}),
]


def ask(row, family, rules, start, rule_file, directory, silent_listener):
    with silent_listener(family) as listener:
        place = Place(family, listener.getsockname()[1], directory)
        started = start(row.command(place), rule_file(rules.text(row.name)))
        connection = listener.accept()[0]
    with connection:
        connection.settimeout(20)
        steps = row.talk(connection)
        next(steps)
        assert check_every_socket(started, row, rules, None) == {"connected"}
        for _ in steps:
            pass
        assert started.wait() == 0, started.output
    assert row.prints in started.output


@pytest.mark.parametrize("row, family", rows(CLIENTS))
def test_client(row, family, start, rule_file, directory, silent_listener):
    ask(row, family, RULES["set"], start, rule_file, directory, silent_listener)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["roles", "force"])
@pytest.mark.parametrize("row, family", rows(CLIENTS))
def test_client_other_rules(row, family, kind, start, rule_file, directory, silent_listener):
    ask(row, family, RULES[kind], start, rule_file, directory, silent_listener)


# Servers that connect to other servers.

def relays(path):
    """Both sides of a proxy: a request at the front, an answer at the back, which arrives at the
    front."""
    def talk(front, listener):
        front.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        behind = listener.accept()[0]
        yield behind
        receive(behind, b"\r\n\r\n")
        behind.sendall(HTTP_ANSWER)
        assert receive(front).endswith(b"hello")
    return talk


def replicates(front, listener):
    """redis as a replica: it sends a greeting to the configured master."""
    behind = listener.accept()[0]
    yield behind
    assert b"PING" in receive(behind, b"PING\r\n")
    front.sendall(b"PING\r\n")
    assert receive(front, b"\n")


RELAYS = [
    Row("nginx", nginx, relays("/upstream")),
    Row("haproxy", haproxy, relays("/upstream"), early=HAPROXY_SETS),
    Row("redis-server", lambda place: [
        program("redis-server"), "--bind", place.address, "--port", place.port, "--save", "",
        "--dir", place.directory, "--tcp-keepalive", "0",
        "--replicaof", place.address, place.upstream], replicates),
]


def relay(row, family, rules, start, rule_file, directory, free_port, silent_listener):
    with silent_listener(family) as listener:
        place = Place(family, free_port(), directory, upstream=listener.getsockname()[1])
        started = start_server(start, row, rules, place, rule_file)
        with socket.create_connection((place.address, place.port), 20) as front:
            steps = row.talk(front, listener)
            with next(steps) as behind:
                behind.settimeout(20)
                roles = check_every_socket(started, row, rules, place.port)
                assert {"listener", "connected"} <= roles
                for _ in steps:
                    pass


@pytest.mark.parametrize("row, family", rows(RELAYS))
def test_relay(row, family, start, rule_file, directory, free_port, silent_listener):
    relay(row, family, RULES["roles"], start, rule_file, directory, free_port, silent_listener)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["set", "force"])
@pytest.mark.parametrize("row, family", rows(RELAYS))
def test_relay_other_rules(row, family, kind, start, rule_file, directory, free_port,
                           silent_listener):
    relay(row, family, RULES[kind], start, rule_file, directory, free_port, silent_listener)


# A real client at a real server.

@dataclasses.dataclass
class Pair:
    """Both ends are tuned and talk to each other; the client reads its standard input."""
    server: Row
    client: Row
    typed: str = ""     # to the client's standard input
    connections: int = 1


PAIRS = [
    Pair(next(row for row in SERVERS if row.name == "sshd"),
         Row("ssh", lambda place: [
             program("ssh"), "-F", "/dev/null", "-i", place.directory / "user_key", "-p",
             place.port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "IPQoS=none", place.address,
             "head -1 | tr a-z A-Z; cat"], prints="HELLO"),
         typed="hello\n"),
    Pair(next(row for row in SERVERS if row.name == "postgres"),
         Row("psql", lambda place: [
             program("psql"), "-X", "-A", "-t", "-h", place.address, "-p", place.port,
             "-U", "tester", "postgres"], prints="hello"),
         typed="select 'hel' || 'lo';\n"),
    Pair(next(row for row in SERVERS if row.name == "redis-server"),
         Row("redis-cli", lambda place: [
             program("redis-cli"), "-h", place.address, "-p", place.port], prints="hello",
             own=next(row for row in CLIENTS if row.name == "redis-cli").own),
         typed="ECHO hello\n"),
    Pair(next(row for row in SERVERS if row.name == "iperf3"),
         Row("iperf3", lambda place: [
             program("iperf3"), "-c", place.address, "-p", place.port, "-b", "1M", "-t", "1"],
             prints="iperf Done"), connections=2),
]


def converse(pair, family, rules, start, rule_file, directory, free_port):
    shell = pwd.getpwuid(os.geteuid()).pw_shell
    if pair.client.name == "ssh" and shell.endswith(("/nologin", "/false")):
        pytest.skip("this user may not log in")
    place = Place(family, free_port(), directory)
    server = start_server(start, pair.server, rules, place, rule_file)
    client = start(pair.client.command(place),
                   rule_file(rules.text(pair.client.name), "client.conf"), stdin=subprocess.PIPE)
    client.process.stdin.write(pair.typed.encode())
    client.process.stdin.flush()
    if pair.typed:
        client.until(lambda: pair.client.prints in client.output, "the server's answer")
    client.until(lambda: len([one for one in client.tcp() if one.state == "ESTABLISHED"])
                 >= pair.connections, "the connections")
    assert check_every_socket(client, pair.client, rules, None) == {"connected"}
    assert {"listener", "accepted"} <= check_every_socket(server, pair.server, rules, place.port)
    client.process.stdin.close()
    assert client.wait() == 0, client.output
    assert pair.client.prints in client.output


def pairs():
    return [pytest.param(pair, family, id=f"{pair.client.name}-{family}")
            for pair in PAIRS for family in FAMILIES]


@pytest.mark.parametrize("pair, family", pairs())
def test_pair(pair, family, start, rule_file, directory, free_port):
    converse(pair, family, RULES["roles"], start, rule_file, directory, free_port)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["set", "force"])
@pytest.mark.parametrize("pair, family", pairs())
def test_pair_other_rules(pair, family, kind, start, rule_file, directory, free_port):
    converse(pair, family, RULES[kind], start, rule_file, directory, free_port)


# Compared with ss.

def test_ss_says_the_same(start, rule_file, directory, free_port):
    """The kernel's values through sock_diag, as shown by ss(8), instead of getsockopt()."""
    place = Place("inet", free_port(), directory)
    rules = rule_file("""rules = ( { match = { role = "accept"; };
        set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "9min"; TCP_CONGESTION = "reno"; dscp = "EF"; };
        } );""")
    started = start(python_server(place), rules)
    started.until_listening(place.port)
    with socket.create_connection((place.address, place.port)):
        def seen():
            shown = subprocess.run([program("ss"), "-HtinoO", "--tos", "state", "established",
                                    "sport", "=", f":{place.port}"], capture_output=True,
                                   text=True, check=True).stdout
            return shown if "timer:(keepalive," in shown else None
        shown = started.until(seen, "ss showing the keepalive timer")
    assert " reno " in shown and "tos:0xb8" in shown
    minutes, seconds = re.search(r"keepalive,(\d+)min(?:(\d+)sec)?", shown).groups()
    assert 500 <= int(minutes) * 60 + int(seconds or 0) <= 540
