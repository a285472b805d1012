# SPDX-License-Identifier: MIT
"""Threads that call connect() with an address in memory that userfaultfd never provides, so reading
it never ends; then 100 ordinary connections. stuck.py PORT [DESCRIPTOR of /dev/userfaultfd]"""
import ctypes
import fcntl
import mmap
import os
import platform
import socket
import struct
import sys
import threading

SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}[platform.machine()]
UFFDIO_API, UFFDIO_REGISTER = 0xC018AA3F, 0xC020AA00
USERFAULTFD_IOC_NEW = 0xAA00
STUCK = 12

libc = ctypes.CDLL(None, use_errno=True)
if len(sys.argv) > 2:
    faults = fcntl.ioctl(int(sys.argv[2]), USERFAULTFD_IOC_NEW, os.O_CLOEXEC)
else:
    faults = libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
if faults < 0:
    print("skip: no userfaultfd", flush=True)
    sys.exit()


def ioctl(number, layout, *values):
    argument = ctypes.create_string_buffer(struct.pack(layout, *values))
    if libc.ioctl(faults, ctypes.c_ulong(number), argument) != 0:
        raise OSError(ctypes.get_errno(), "ioctl")


memory = mmap.mmap(-1, STUCK * mmap.PAGESIZE)
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
ioctl(UFFDIO_API, "QQQ", 0xAA, 0, 0)
ioctl(UFFDIO_REGISTER, "QQQQ", at, STUCK * mmap.PAGESIZE, 1, 0)


def connect_from(page):
    with socket.socket() as stuck:
        libc.connect(stuck.fileno(), ctypes.c_void_p(at + page * mmap.PAGESIZE), 16)


for number in range(STUCK):
    threading.Thread(target=connect_from, args=[number], daemon=True).start()
done = 0
for _ in range(100):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5):
        done += 1
print("ready", done, flush=True)
os._exit(0)
