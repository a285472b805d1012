# SPDX-License-Identifier: MIT
"""The program of test_front_ends.py. It reads a task (see lives.py) from standard input, opens
sockets of each role, and prints their options.

lives_program.py              one socket after the other, with the options that the task sets
lives_program.py hold         all at once, held open until a second line arrives
lives_program.py connect HOST PORT, listen PORT    the other end of its connections
"""
import json
import os
import select
import socket
import subprocess
import sys

FAMILY = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
TYPE = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def read(address, family):
    host, port = address.rsplit(":", 1)
    host = host.strip("[]") or {"inet": "0.0.0.0", "inet6": "::"}[family]
    if family == "inet6" and ":" not in host:
        host = "::ffff:" + host
    return host, int(port)


def give(sock, effects, at):
    for effect in effects:
        if effect["at"] != at:
            continue
        value = bytes.fromhex(effect["bytes"])
        if "mask" in effect:
            now = sock.getsockopt(effect["level"], effect["number"]) & ~effect["mask"]
            value = (now | int.from_bytes(value, sys.byteorder)).to_bytes(4, sys.byteorder)
        try:
            sock.setsockopt(effect["level"], effect["number"], value)
        except OSError:
            pass  # like the library: values that the kernel refuses are skipped


def values(task, sock):
    result = {}
    for name, level, number in task["options"]:
        try:
            result[name] = sock.getsockopt(level, number, 64).hex()
        except OSError as error:
            result[name] = error.errno
    return result


def set_own(task, sock, guarded):
    for name, level, number, value in task["own"]:
        if name in guarded:  # under a rule with at_least, the rule's value replaces 1
            value = guarded[name]
        if value:
            try:
                sock.setsockopt(level, number, bytes.fromhex(value))
            except OSError:
                pass


def opened(task, life, effects):
    sock = socket.socket(FAMILY[life["family"]], TYPE[life["protocol"]])
    give(sock, effects, "socket")
    if task.get("early"):
        set_own(task, sock, {})
    return sock


def bound(task, life, effects, local):
    sock = opened(task, life, effects)
    give(sock, effects, "before bind")
    # Ports of accepted connections are in TIME_WAIT; the rules here do not set this option.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(read(local, life["family"]))
    return sock


def listening(task, life, effects, local):
    sock = bound(task, life, effects, local)
    if life["protocol"] == "tcp":
        give(sock, effects, "before listen")
        sock.listen()
        give(sock, effects, "after listen")
    return sock


def connector(address):
    """Another process, without rules: the accepted socket shows some options of its socket."""
    host, port = address.rsplit(":", 1)
    return subprocess.Popen(
        [sys.executable, __file__, "connect", host.strip("[]"), port], stdin=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"})


def live(task, life):
    effects, other = life.get("effects", ()), None
    if life["life"] == "socket":
        sock = opened(task, life, effects)
    elif life["life"] == "listen":
        sock = listening(task, life, effects, life["local"])
    elif life["life"] == "connect":
        sock = opened(task, life, effects)
        give(sock, effects, "before connect")
        sock.connect(read(life["remote"], life["family"]))
        give(sock, effects, "after connect")
    else:
        inherited = [effect for effect in effects if effect["inherited"]]
        port = life["local"].rsplit(":", 1)[1]
        listener = listening(task, life, inherited, ":" + port)
        other = connector(life["local"])
        sock = listener.accept()[0]
        if task.get("epoll"):  # as servers do; the first notified call under supervision
            with select.epoll() as poller:
                poller.register(sock)
        listener.close()
        give(sock, [effect for effect in effects if not effect["inherited"]], "accept")
    tuned = values(task, sock)
    set_own(task, sock, life.get("guarded", {}))
    own = values(task, sock)
    sock.close()
    if other:
        other.stdin.close()
        other.wait()
    return {"tuned": tuned, "own": own}


def open_and_hold(task, life):
    sock = opened(task, life, ())
    if life["life"] == "connect":
        sock.connect(read(life["remote"], life["family"]))
        return sock
    sock.bind(read(life["local"], life["family"]))
    if life["protocol"] == "tcp":
        sock.listen()
    return sock


def hold(task):
    held = [open_and_hold(task, life) for life in task["lives"]]
    print("ready", flush=True)
    sys.stdin.readline()
    return [values(task, sock) for sock in held]


def connect(host, port):
    """Connect to the program's listener. The data wakes accept() under TCP_DEFER_ACCEPT."""
    with socket.create_connection((host, int(port))) as client:
        client.send(b"x")
        sys.stdin.read()


def listen(port):
    """A listener without rules, to which the program's connecting sockets connect."""
    with socket.create_server(("127.0.0.1", int(port)), backlog=64), \
            socket.create_server(("::1", int(port)), family=socket.AF_INET6, backlog=64):
        print("ready", flush=True)
        sys.stdin.read()


def main(how="live", *arguments):
    if how in ("connect", "listen"):
        {"connect": connect, "listen": listen}[how](*arguments)
        return
    task = json.loads(sys.stdin.readline())
    print(json.dumps(hold(task) if how == "hold" else
                     [live(task, life) for life in task["lives"]]))


main(*sys.argv[1:])
