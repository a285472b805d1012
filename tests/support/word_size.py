# SPDX-License-Identifier: MIT
"""How 32-bit x86 programs run on this machine."""
import errno
import functools
import os
import platform
import shutil
import struct
import subprocess
import tempfile

import pytest

# An ELF file with one segment; its code: mov eax, 1 (exit); xor ebx, ebx; int 0x80.
CODE = bytes.fromhex("b80100000031dbcd80")
BASE, HEADERS = 0x08048000, 52 + 32
SMALLEST = struct.pack("<16s2H5I6H", b"\x7fELF\1\1\1", 2, 3, 1, BASE + HEADERS, 52, 0, 0, 52, 32, 1,
                       0, 0, 0) \
    + struct.pack("<8I", 1, 0, BASE, BASE, HEADERS + len(CODE), HEADERS + len(CODE), 5, 4096) + CODE


@functools.lru_cache
def kernel_runs_32_bits():
    """Whether this kernel executes 32-bit x86 programs (it may be built without IA32_EMULATION)."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "exit")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o700), "wb") as file:
            file.write(SMALLEST)
        try:
            return subprocess.run([path], check=False, timeout=20).returncode == 0
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            return False


def needs_32_bits():
    """Skip the test if the kernel does not execute 32-bit x86 programs."""
    if not kernel_runs_32_bits():
        pytest.skip(f"this kernel ({platform.machine()}) does not execute 32-bit x86 programs "
                    "(Exec format error)")


def emulator_32_bits():
    """The path of an emulator for 32-bit x86 programs, or None if the kernel executes them. Skips
    the test if neither is possible."""
    if kernel_runs_32_bits():
        return None
    emulator = shutil.which("qemu-i386")
    if emulator is None:
        needs_32_bits()
    return emulator


def run_32_bits(program, environment):
    """(command, environment) that runs a 32-bit program under `environment`.

    Under the emulator, only the program gets LD_PRELOAD and socktune's variables: if the emulator
    itself loaded the library, the library would tune the emulator's sockets, which the program
    uses."""
    emulator = emulator_32_bits()
    if emulator is None:
        return [program], environment
    ours = {name: value for name, value in environment.items()
            if name == "LD_PRELOAD" or name.startswith("SOCKTUNE_")}
    words = [word for name, value in ours.items() for word in ("-E", f"{name}={value}")]
    return [emulator, *words, program], {name: value for name, value in environment.items()
                                         if name not in ours}


def environment_of_run(socktune, rules, environment=None):
    """The environment that `socktune run -c rules` makes of `environment`."""
    done = subprocess.run([socktune, "run", "-c", rules, "env", "-0"], env=environment, check=True,
                          capture_output=True, text=True, timeout=30)
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
