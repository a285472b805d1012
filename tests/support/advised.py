# SPDX-License-Identifier: MIT
"""Programs for `socktune advise`: advised.py MODE PORT. Each plays both ends over loopback until it
is killed, with one problem or, as a control, without it.

nagle     writes a request in two pieces and reads the answer; prints the seconds of each request
polite    the same in one piece
idle      keeps a connection open and says nothing
kept      the same with keepalive
overflow  makes 8 connections at once, more than its backlog of 1 holds; prints how many it accepts
udp       sends 400 datagrams at once, more than its receive buffer holds; prints how many it receives
slow      sends without end to a slow reader
"""
import contextlib
import socket
import sys
import threading
import time

HOST = "127.0.0.1"
REQUEST = b"x" * 200


def read(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            sys.exit()
        data += part


def pair(port):
    """Both ends of a connection, after an exchange of data."""
    with socket.create_server((HOST, port)) as listener:
        client = socket.create_connection((HOST, port))
        server, _ = listener.accept()
    client.sendall(b"?")
    read(server, 1)
    server.sendall(b"!")
    read(client, 1)
    return client, server


def answer(server):
    while True:
        read(server, len(REQUEST))
        server.sendall(b"ok")


def talk(port, pieces):
    client, server = pair(port)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    size = len(REQUEST) // pieces
    while True:
        begin = time.monotonic()
        for _ in range(pieces):
            client.sendall(REQUEST[:size])
        read(client, 2)
        print(f"{time.monotonic() - begin:.6f}", flush=True)
        time.sleep(0.002)


def keep(port, alive):
    ends = pair(port)
    for one in ends:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, alive)
    print("ready", flush=True)
    threading.Event().wait()


def overflow(port):
    listener = socket.create_server((HOST, port), backlog=1)
    listener.setblocking(False)
    while True:
        clients = [socket.socket() for _ in range(8)]
        for one in clients:
            one.setblocking(False)
            one.connect_ex((HOST, port))
        time.sleep(0.15)
        accepted = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                accepted += 1
        print(accepted, flush=True)
        for one in clients:
            one.close()


def udp(port):
    receiver = socket.socket(type=socket.SOCK_DGRAM)
    receiver.bind((HOST, port))
    receiver.setblocking(False)
    sender = socket.socket(type=socket.SOCK_DGRAM)
    while True:
        for _ in range(400):
            sender.sendto(b"x" * 1000, (HOST, port))
        time.sleep(0.15)
        received = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                receiver.recv(2000)
                received += 1
        print(received, flush=True)


def slow(port):
    client, server = pair(port)

    def send():
        while True:
            client.sendall(b"x" * 65536)
    threading.Thread(target=send, daemon=True).start()
    while True:
        server.recv(4096)
        time.sleep(0.05)


MODES = {"nagle": lambda port: talk(port, 2), "polite": lambda port: talk(port, 1),
         "idle": lambda port: keep(port, 0), "kept": lambda port: keep(port, 1),
         "overflow": overflow, "udp": udp, "slow": slow}

if __name__ == "__main__":
    MODES[sys.argv[1]](int(sys.argv[2]))
