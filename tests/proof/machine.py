# SPDX-License-Identifier: MIT
"""Facts about the machine for the report: processor, memory, kernel, versions of programs."""
import os
import platform
import re
import shutil
import subprocess

# How a program prints its version; all others have --version.
ASK = {"nginx": ["-v"], "wrk": ["-v"], "ip": ["-V"], "socat": ["-V"], "go": ["version"],
       "ss": ["-V"], "ssh": ["-V"], "memcached": ["-h"], "haproxy": ["-v"]}


def first_match(path, pattern, otherwise="unknown"):
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else otherwise


def version(program):
    """The first line with a digit in the program's answer."""
    path = shutil.which(program)
    if path is None:
        return "not installed"
    try:
        done = subprocess.run([path, *ASK.get(program, ["--version"])], capture_output=True,
                              text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d", line)), "unknown")[:100]


def facts(socktune, programs):
    """Pairs (name, text): the machine, and the versions of socktune and of the programs."""
    memory = int(first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)", "0")) * 1024
    model = first_match("/proc/cpuinfo", r"^model name\s*: (.*)$", platform.machine())
    found = [
        ("processor", f"{model}, {len(os.sched_getaffinity(0))} cores"),
        ("memory", f"{memory / 2 ** 30:.1f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("libc", " ".join(platform.libc_ver())),
        ("congestion control", first_match("/proc/sys/net/ipv4/tcp_congestion_control", r"(\S+)")),
        ("user", "root" if os.geteuid() == 0 else "not root"),
        ("socktune", version(str(socktune))),
    ]
    # Experiments run Debian's python3, not another one that is first in PATH; ssh-keygen belongs to
    # ssh.
    return found + [(name, version("/usr/bin/python3" if name == "python3" else name))
                    for name in programs if name != "ssh-keygen"]
