# SPDX-License-Identifier: MIT
"""The cache of compiled policies (preload/engine/policy_place.h), and removing the test's
entries."""
import os
import pathlib

SYSTEM = pathlib.Path("/var/cache/socktune")


def _name(rules):
    """The file's name: FNV-1a of the absolute path of the rules."""
    value = 0xcbf29ce484222325
    for byte in os.fsencode(rules):
        value = (value ^ byte) * 0x100000001b3 % 2 ** 64
    return f"{value:016x}.policy"


def temporary(uid):
    return pathlib.Path(f"/tmp/.socktune-{uid}")


def kept_policy(rules, uid=None, home=None):
    """The cached policy of `rules` for that user (default: the current one)."""
    uid = os.geteuid() if uid is None else uid
    if home is not None and uid != 0:
        return home / ".cache" / "socktune" / _name(rules)
    return (SYSTEM if uid == 0 else temporary(uid)) / _name(rules)


def forget(directory):
    """Remove the policies of rules below `directory` from the machine's caches."""
    for cache in (SYSTEM, *pathlib.Path("/tmp").glob(".socktune-*")):
        try:
            policies = list(cache.glob("*.policy"))
        except OSError:
            continue
        for policy in policies:
            try:
                if os.fsencode(directory) in policy.read_bytes():
                    policy.unlink()
            except OSError:
                pass  # a file of another test, removed meanwhile
