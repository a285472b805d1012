# SPDX-License-Identifier: MIT
"""HTTP to a Unix socket or to a port of this host."""
import contextlib
import http.client
import json
import socket

TIMEOUT = 20


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    """Has .status, .headers, .body, .text and .json."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def request(where, path, method="GET", headers=None):
    """Ask for `path`. `where` is the path of a Unix socket, or the number of a TCP port."""
    connection = (http.client.HTTPConnection("127.0.0.1", where, timeout=TIMEOUT)
                  if isinstance(where, int) else _UnixConnection(where))
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers or {})
        return Answer(connection.getresponse())
