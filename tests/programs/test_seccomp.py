# SPDX-License-Identifier: MIT
"""Programs under a filter that kills: they created what they need before the filter, and the
library makes no call that they may not expect."""
import os
import subprocess

import pytest
from conftest import preloaded, program

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")

# confine() kills at socket(2) (41), ioctl(2) (16) and listing descriptors (217), or only at
# socket(2) with AF_INET6.
CONFINE = """
import ctypes, os, socket, struct, sys

EVERY = [(0x20, 0, 0, 0), (0x15, 2, 0, 41), (0x15, 1, 0, 16), (0x15, 0, 1, 217),
         (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]
INET6 = [(0x20, 0, 0, 0), (0x15, 0, 3, 41), (0x20, 0, 0, 16), (0x15, 0, 1, socket.AF_INET6),
         (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]

def confine(code):
    filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    filter = struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0
"""

HELD = """
confine(EVERY)
datagrams.connect(("127.0.0.1", 7))
datagrams.connect(("127.0.0.2", 7))
client.connect(listener.getsockname())
client.send(b"x")
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
os.write(1, b"%d %d" % (client.getsockopt(6, socket.TCP_KEEPIDLE),
                        client.getsockopt(6, socket.TCP_KEEPCNT)))
"""
MADE = """
listener = socket.create_server(("127.0.0.1", 0))
datagrams = socket.socket(type=socket.SOCK_DGRAM)
client = socket.socket()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
"""
RULES = """
rules = (
  { match = { remote = "127.0.0.1"; role = "datagram"; }; set = { SO_PRIORITY = 5; }; },
  { match = { remote = "127.0.0.1"; role = "connect"; };
    default = { TCP_KEEPIDLE = 611; }; force = { TCP_KEEPCNT = 9; }; }
);
"""


def run(build, rules, *command):
    return subprocess.run(command, env=preloaded(build, rules), capture_output=True, text=True,
                          timeout=30, check=False)


def test_a_filter_of_the_programs_own(build, compiled):
    """No fresh socket is created for comparison or undo, and the send queue is not read."""
    done = run(build, compiled(RULES), program("python3"), "-c", CONFINE + MADE + HELD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "77 3"  # the role is unknown: the program's own call is made


def test_without_a_filter_the_same_rules_do_more(build, compiled):
    """The control: there the library makes the calls at which the filter kills."""
    done = run(build, compiled(RULES), program("python3"), "-c",
               CONFINE + MADE + HELD.replace("confine(EVERY)", ""))
    assert (done.returncode, done.stdout) == (0, "77 9")


def test_a_filter_that_was_there_before(build, compiled):
    """Then the defaults of other families are not read."""
    rules = 'rules = ( { match = { role = "connect"; }; default = { TCP_KEEPIDLE = 611; }; } );'
    done = run(build, compiled(rules), program("python3"), "-c", CONFINE + """
confine(INET6)
client = "import socket; c = socket.socket(); c.connect(('127.0.0.1', %d))"
listener = socket.create_server(("127.0.0.1", 0))
listener.set_inheritable(True)
os.execv(sys.executable, [sys.executable, "-c", client % listener.getsockname()[1]])
""")
    assert (done.returncode, done.stderr) == (0, "")
