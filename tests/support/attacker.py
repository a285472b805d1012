# SPDX-License-Identifier: MIT
"""A hostile client of the helper, without privileges: attacker.py DIRECTORY PORT. It runs its
attacks one after the other, in random order, until it is killed. Needs only Python."""
import contextlib
import os
import random
import resource
import socket
import subprocess
import sys
import time

import forger

DIRECTORY, PORT = sys.argv[1], int(sys.argv[2])
HELPER, QUERY = f"{DIRECTORY}/helper.sock", f"{DIRECTORY}/query.sock"
GARBAGE = (b"STREGIST", b"STHANDOF", b"STRING01", b"GET / HTTP/1.1\r\n\r\n", b"")
REFUSALS = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError, BlockingIOError)


def send_garbage():
    """Messages that are no registration, with descriptors of all kinds. The helper soon ignores a
    user who passes a descriptor whose close() may never return: only users with odd numbers do
    that."""
    kinds = [lambda: os.memfd_create("x"), lambda: os.pipe()[0],
             lambda: forger.diag_socket().detach(), lambda: socket.socket(socket.AF_INET).detach()]
    if os.getuid() % 2:
        kinds += [lambda: os.open("/dev/null", os.O_RDWR), lambda: os.open("/", os.O_PATH)]
    for _ in range(20):
        fds = [random.choice(kinds)() for _ in range(random.randrange(4))]
        with contextlib.suppress(*REFUSALS):
            forger.send(HELPER, random.choice(GARBAGE) + random.randbytes(random.randrange(300)),
                        *fds)
        os.closerange(3, 64)


def forge_rings():
    """Rings under another program's name: holes, heads that jump, counts that decrease, others'
    sockets."""
    for _ in range(5):
        with contextlib.suppress(*REFUSALS):
            ring = forger.ForgedRing(HELPER, "victim")
            for cookie in range(1, 200):
                ring.tell(forger.record(random.choice((cookie, random.getrandbits(20))),
                                        random.randrange(1, 5), applied=random.getrandbits(16)))
            time.sleep(0.1)
            ring.put(forger.DROPPED, random.choice((2 ** 64 - 256, 2 ** 63, 7)))
            ring.skip(random.choice((3, forger.SLOTS, forger.SLOTS + 1, 2 ** 63)))
            time.sleep(0.1)


def ask_by_halves():
    """Requests that never become complete, and answers that are never read."""
    clients = []
    for _ in range(40):
        with contextlib.suppress(*REFUSALS):
            client = socket.socket(socket.AF_UNIX)
            client.connect(QUERY)
            clients.append(client)
            clients.append(socket.create_connection(("127.0.0.1", PORT), 5))
    for _ in range(5):
        for client in clients:
            with contextlib.suppress(*REFUSALS):
                client.send(random.choice((b"GET /v1/connections HTTP/1.1\r\n", b"X: y", b"\r\n\r\n",
                                           b"Host: evil.example\r\n", random.randbytes(50))))
        time.sleep(0.05)
    for client in clients:
        client.close()


def change_namespace():
    """If permitted, register from a new network namespace."""
    code = f"import sys; sys.path.insert(0, {os.path.dirname(forger.__file__)!r}); import forger, time;" \
           f" forger.ForgedRing({HELPER!r}, 'apart'); time.sleep(0.2)"
    subprocess.run(["unshare", "--user", "--net", sys.executable, "-c", code], check=False,
                   stderr=subprocess.DEVNULL, timeout=20)


def main():
    resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
    random.seed(os.getpid())
    while True:
        random.choice((send_garbage, forge_rings, ask_by_halves, change_namespace))()


if __name__ == "__main__":
    main()
