# SPDX-License-Identifier: MIT
"""Listens, connects to itself, sets options as programs do, and keeps the sockets open."""
import signal
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
accepted, _ = listener.accept()
for one in client, accepted:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
print("ready", flush=True)
signal.pause()
