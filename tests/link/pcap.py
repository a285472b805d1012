# SPDX-License-Identifier: MIT
"""Reads the captures that the link emulator writes (capture.c)."""
import struct

MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_RAW = 101


def packets(path):
    """The IP packets of a capture, as bytes, in the order in which they entered the link."""
    with open(path, "rb") as file:
        header = struct.unpack("=IHHIIII", file.read(24))
        if (header[0], header[6]) != (MAGIC_NANOSECONDS, LINKTYPE_RAW):
            raise ValueError(f"{path} is no capture of the link emulator")
        while True:
            header = file.read(16)
            if not header:
                return
            yield file.read(struct.unpack("=IIII", header)[2])
