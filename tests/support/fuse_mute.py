# SPDX-License-Identifier: MIT
"""A FUSE file whose server never answers FLUSH, so close() on it never returns, not even after
SIGKILL. Passes a descriptor of it to the helper, COUNT times: fuse_mute.py HELPER.SOCK DEVICE
COUNT.

Runs without privileges: it creates namespaces, in which the file system is mounted. Prints
"mounted", then "sent", and continues until it is killed."""
import array
import contextlib
import ctypes
import os
import socket
import struct
import sys
import tempfile
import threading
import time

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
LOOKUP, FORGET, GETATTR, OPEN, FLUSH, INIT, OPENDIR, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 25, 26, 27, 36, 42
REQUEST = struct.Struct("<IIQQIIII")  # length, operation, unique, node, uid, gid, pid, padding
DIRECTORY, REGULAR = 0o40777, 0o100666
ENOSYS = 38

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        print("skip:", os.strerror(ctypes.get_errno()), flush=True)
        os._exit(0)


def enter_namespaces():
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def attributes(node):
    mode = DIRECTORY if node == 1 else REGULAR
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer_to(operation, node):
    """The body of an answer; None: no answer; a number: an error."""
    if operation == INIT:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, 0)
    if operation == LOOKUP:
        return struct.pack("<QQQQII", 2, 0, 1, 1, 0, 0) + attributes(2)
    if operation == GETATTR:
        return struct.pack("<QII", 1, 0, 0) + attributes(node)
    if operation in (OPEN, OPENDIR):
        return struct.pack("<QII", 1, 0, 0)
    if operation in (FLUSH, INTERRUPT, FORGET, BATCH_FORGET):
        return None
    return ENOSYS


def serve(device):
    while True:
        request = os.read(device, 1 << 20)
        _, operation, unique, node, _, _, pid, _ = REQUEST.unpack_from(request)
        answer = answer_to(operation, node)
        if operation == FLUSH and pid == os.getpid():
            answer = ENOSYS  # otherwise this program itself could not exit
        elif operation == FLUSH:
            print("flush", flush=True)
        if isinstance(answer, bytes):
            os.write(device, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)
        elif answer is not None:
            os.write(device, struct.pack("<IiQ", 16, -answer, unique))


def send(helper, fd):
    with contextlib.suppress(OSError), \
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:  # may be refused unread
        to.connect(helper)
        to.sendmsg([b"hello"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def main(helper, path, count):
    enter_namespaces()
    place = tempfile.mkdtemp()
    device = os.open(path, os.O_RDWR)
    check(libc.mount(b"mute", place.encode(), b"fuse", 0,
                     b"fd=%d,rootmode=40000,user_id=0,group_id=0" % device))
    print("mounted", flush=True)
    threading.Thread(target=serve, args=(device,), daemon=True).start()
    fd = os.open(place + "/file", os.O_RDWR)
    for _ in range(count):
        send(helper, fd)
        time.sleep(0.02)
    os.close(fd)
    print("sent", flush=True)
    time.sleep(300)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
