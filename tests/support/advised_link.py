# SPDX-License-Identifier: MIT
"""Programs over a link for `socktune advise`: advised_link.py server|client MODE ADDRESS PORT.

Conversations (the client asks, the server answers; the client prints the seconds of each request):
  wwr       two small writes, then a read: Nagle's algorithm meets delayed acknowledgements
  one       one write            nodelay   two writes with TCP_NODELAY
  cork      two writes in TCP_CORK         more      two writes, the first with MSG_MORE
  writev    both parts in one sendmsg()    pipeline  16 requests at once, TCP_NODELAY at both ends
Transfers (the client sends without end; the server prints the bytes of each second):
  bulk      nothing but the path           paced     32 KiB each 20 ms
  rcvbuf    SO_RCVBUF 64 KiB on the listener
  restart   a new connection every 4 MiB
  slow      the server reads slowly        sndbuf    SO_SNDBUF 32 KiB on the client
Others (the client prints the seconds until its connection ends):
  idle      sends nothing                  kept      the same with SO_KEEPALIVE at both ends
  stuck     sends a byte when it reads a line from standard input; the server has SO_KEEPALIVE
"""
import contextlib
import socket
import sys
import threading
import time

TCP = socket.IPPROTO_TCP
PART = b"x" * 100
TRANSFERS = ("bulk", "paced", "rcvbuf", "slow", "sndbuf")


def read(connection, length):
    while length:
        part = connection.recv(length)
        if not part:
            sys.exit()
        length -= len(part)


def converse(client, mode):
    if mode in ("nodelay", "pipeline"):
        client.setsockopt(TCP, socket.TCP_NODELAY, 1)
    while True:
        begin = time.monotonic()
        if mode == "cork":
            client.setsockopt(TCP, socket.TCP_CORK, 1)
        if mode == "writev":
            client.sendmsg([PART, PART])
        elif mode == "one":
            client.sendall(PART + PART)
        elif mode == "pipeline":
            for _ in range(16):
                client.sendall(PART + PART)
        else:
            client.send(PART, socket.MSG_MORE if mode == "more" else 0)
            client.sendall(PART)
        if mode == "cork":
            client.setsockopt(TCP, socket.TCP_CORK, 0)
        read(client, 32 if mode == "pipeline" else 2)
        print(f"{time.monotonic() - begin:.6f}", flush=True)
        time.sleep(0.005)


def answer(server):
    while True:
        read(server, 200)
        server.sendall(b"ok")


def receive(server, mode):
    total, since = 0, time.monotonic()
    while True:
        part = server.recv(8192 if mode == "slow" else 1 << 18)
        if not part:
            sys.exit()
        total += len(part)
        if mode == "slow":
            time.sleep(0.05)
        if time.monotonic() - since >= 1:
            print(total / (time.monotonic() - since), flush=True)
            total, since = 0, time.monotonic()


def drain(server):
    while server.recv(1 << 18):
        pass


def restart(address, port):
    while True:
        with socket.create_connection((address, port)) as client:
            client.sendall(b"x" * (4 << 20))


def send(client, mode):
    while True:
        client.sendall(b"x" * (32768 if mode == "paced" else 65536))
        if mode == "paced":
            time.sleep(0.02)


def await_end(client):
    begin = time.monotonic()
    with contextlib.suppress(OSError):
        client.recv(1)
    print(f"{time.monotonic() - begin:.3f}", flush=True)


def serve(mode, address, port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if mode == "rcvbuf":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    listener.bind((address, port))
    listener.listen(16)
    print("listening", flush=True)
    while mode == "restart":
        drain(listener.accept()[0])
    server, _ = listener.accept()
    server.setsockopt(TCP, socket.TCP_NODELAY, mode == "pipeline")
    if mode in ("idle", "kept", "stuck"):
        if mode != "idle":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        threading.Event().wait()
    if mode in TRANSFERS:
        receive(server, mode)
    answer(server)


def connect(mode, address, port):
    if mode == "restart":
        restart(address, port)
    client = socket.socket()
    if mode == "sndbuf":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    client.connect((address, port))
    if mode in ("idle", "kept"):
        if mode == "kept":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await_end(client)
    if mode == "stuck":
        sys.stdin.readline()
        client.sendall(b"x")
        await_end(client)
    if mode in TRANSFERS:
        send(client, mode)
    converse(client, mode)


if __name__ == "__main__":
    (serve if sys.argv[1] == "server" else connect)(sys.argv[2], sys.argv[3], int(sys.argv[4]))
