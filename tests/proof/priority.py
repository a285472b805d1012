# SPDX-License-Identifier: MIT
"""
The priority of packets that leave a device, as its queueing discipline sees it.

Packet sockets do not report it, but a socket filter can read it (struct __sk_buff, linux/bpf.h). A
filter's result is the number of bytes of the packet to keep: this one keeps priority + 1 bytes.
"""
import collections
import ctypes
import os
import platform
import socket
import struct

SO_ATTACH_BPF = 50
ETH_P_ALL = 3
PACKET_OUTGOING = 4
MSG_TRUNC = 0x20
BPF_PROG_LOAD = 5
BPF_PROG_TYPE_SOCKET_FILTER = 1
PRIORITY_OFFSET = 32  # of __sk_buff.priority
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}


def instruction(code, registers=0, offset=0, immediate=0):
    return struct.pack("=BBhi", code, registers, offset, immediate)


# r0 = *(u32 *)(r1 + PRIORITY_OFFSET); r0 += 1; exit
PROGRAM = (instruction(0x61, 0x10, PRIORITY_OFFSET) + instruction(0x07, 0x00, 0, 1)
           + instruction(0x95))


def load():
    """Returns a descriptor of the filter. Raises OSError: bpf(2) needs kernel support and root."""
    program = ctypes.create_string_buffer(PROGRAM, len(PROGRAM))
    licence = ctypes.create_string_buffer(b"MIT")
    attributes = struct.pack("=IIQQIIQII", BPF_PROG_TYPE_SOCKET_FILTER, len(PROGRAM) // 8,
                             ctypes.addressof(program), ctypes.addressof(licence), 0, 0, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = SYS_BPF.get(platform.machine())
    if number is None:
        raise OSError(f"the number of bpf(2) on {platform.machine()} is not known here")
    fd = LIBC.syscall(number, BPF_PROG_LOAD, ctypes.byref(buffer), len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf: {os.strerror(ctypes.get_errno())}")
    return fd


class PriorityTap:
    """Counts packets that leave a device of a link's side while it is open; the device carries only
    IP."""

    def __init__(self, side, device):
        program = load()
        self.socket = side.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program)
        os.close(program)
        self.socket.setblocking(False)
        self.socket.bind((device, ETH_P_ALL))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def counted(self):
        """{priority: packets} sent so far."""
        found = collections.Counter()
        while True:
            try:
                kept, address = self.socket.recvfrom(256)
            except BlockingIOError:
                return found
            if address[2] == PACKET_OUTGOING:
                found[len(kept) - 1] += 1
