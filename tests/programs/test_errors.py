# SPDX-License-Identifier: MIT
"""The preloaded object with rules that are broken, missing, stale, forged or not trusted; its
environment variables; its exports and imports, and what it leaves behind.

The requirement for each failure is the same: one line on standard error that says what is wrong and
where, and a program that runs as without the library.
"""
import ctypes
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import BUILD, ROOT, needs_root, preloaded
from hostile import (CLIENT, RULES, SOURCES, assert_tuned, assert_unharmed, build_host, compiler,
                     run)
from policy_cache import kept_policy

NOBODY = 65534
EX_CONFIG = 78

# Rules, the line of the error, and a word of the message.
BROKEN = {
    "syntax": ("rules = (\n  { name = \"a\"; set = = { SO_KEEPALIVE = true; }; }\n);\n", 2, ""),
    "unclosed": ("rules = (\n  { name = \"a\";\n", None, ""),
    "unknown option": ("rules = (\n  { set = {\n    TCP_KEEPIDEL = 5; }; }\n);\n", 3,
                       "TCP_KEEPIDLE"),
    "bad value": ("rules = (\n  { set = { TCP_KEEPIDLE = \"5 parsecs\"; }; }\n);\n", 2,
                  "parsecs"),
    "bad match": ("rules = (\n  { match = { roll = \"connect\"; };\n"
                  "    set = { SO_KEEPALIVE = true; }; }\n);\n", 2, "role"),
    "several": ("rules = (\n  { set = { NO_SUCH = 1; }; },\n  { set = { NOR_THIS = 2; }; }\n);\n",
                2, "NO_SUCH"),
}


@pytest.fixture
def plain(build):
    """The result of the host without the library."""
    return run([build.hosts / "plain"], preloaded(build, None))


def tuned_by(build, rules, host="plain", **extra):
    return run([build.hosts / host], preloaded(build, rules, **extra))


def one_line(seen):
    """The only line on standard error; removes it."""
    lines = seen.errors.splitlines()
    assert len(lines) == 1, f"one line expected: {seen.errors!r}"
    assert lines[0].startswith("socktune: ")
    seen.errors = ""
    return lines[0]


def assert_untuned(plain, seen):
    """As without the library, including the options."""
    assert_unharmed(plain, seen)
    assert seen.options == plain.options


# Broken rule files.

@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules(build, plain, rule_file, name):
    text, line, word = BROKEN[name]
    rules = rule_file(text)
    seen = tuned_by(build, rules)
    message = one_line(seen)
    assert re.search(rf"{re.escape(str(rules))}:{line or '[0-9]+'}\b", message), message
    assert word in message
    assert_untuned(plain, seen)
    assert not pathlib.Path(f"{rules}.policy").exists()


def test_broken_rules_in_a_directory(build, plain, rule_file, directory):
    """The message names the wrong file, not the directory; the valid files are not used either."""
    rule_file(RULES, "10-good.conf")
    bad = rule_file(BROKEN["unknown option"][0], "20-bad.conf")
    seen = tuned_by(build, directory)
    assert f"{bad}:3" in one_line(seen)
    assert_untuned(plain, seen)


@pytest.mark.parametrize("name", BROKEN)
def test_strict_refuses_broken_rules(build, rule_file, name):
    seen = tuned_by(build, rule_file(BROKEN[name][0]), SOCKTUNE_STRICT="1")
    one_line(seen)
    assert (seen.status, seen.behaviour, seen.options) == (EX_CONFIG, [], {})


def test_strict_and_good_rules(build, plain, rule_file):
    seen = tuned_by(build, rule_file(RULES), SOCKTUNE_STRICT="1")
    assert_unharmed(plain, seen)
    assert_tuned(seen)


def test_disabled(build, plain, rule_file):
    """Everything is off, including messages."""
    for name, text in (("good.conf", RULES), ("bad.conf", BROKEN["syntax"][0])):
        seen = tuned_by(build, rule_file(text, name), SOCKTUNE_DISABLE="1", SOCKTUNE_STRICT="1",
                        SOCKTUNE_TRACE="stderr")
        assert_untuned(plain, seen)


def test_broken_rules_and_no_standard_error(build, rule_file, directory):
    """The message is not written anywhere, in particular not to a file that gets descriptor 2
    later."""
    report = directory / "report"
    command = [build.hosts / "plain", report]

    def close():
        os.close(2)
    plain = run(command, preloaded(build, None), report=report, preexec_fn=close)
    seen = run(command, preloaded(build, rule_file(BROKEN["syntax"][0])), report=report,
               preexec_fn=close)
    assert_untuned(plain, seen)


@pytest.mark.parametrize("how", ["broken", "missing", "traced"])
def test_closed_pipe_for_standard_error(build, plain, rule_file, compiled, directory, how):
    """Writing a message or the trace raises no SIGPIPE in the program."""
    environment = preloaded(build, {"broken": rule_file(BROKEN["syntax"][0], "broken.conf"),
                                    "missing": directory / "none.conf",
                                    "traced": compiled(RULES)}[how], SOCKTUNE_TRACE="stderr")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run([build.hosts / "plain"], check=False, stderr=writing,
                                env=environment, stdout=subprocess.PIPE, text=True, timeout=60,
                                preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    finally:
        os.close(writing)
    assert result.returncode == plain.status
    assert result.stdout.splitlines()[0] == plain.behaviour[0]


# Rules that are missing or not a file.

def test_missing_rules(build, plain, directory):
    rules = directory / "none.conf"
    seen = tuned_by(build, rules)
    assert str(rules) in one_line(seen)
    assert_untuned(plain, seen)
    assert tuned_by(build, rules, SOCKTUNE_STRICT="1").status == EX_CONFIG


def test_missing_rules_beside_a_policy(build, plain, rule_file, socktune):
    """A rule file that was removed no longer has any effect."""
    rules = rule_file(RULES)
    assert socktune("compile", rules, "-o", f"{rules}.policy").returncode == 0
    rules.unlink()
    seen = tuned_by(build, rules)
    assert str(rules) in one_line(seen)
    assert_untuned(plain, seen)


def test_unreadable_rules(build, rule_file, directory):
    needs_root("to become a user who may not read the rules")
    for path in (build.library, BUILD / "socktune-compile", build.hosts / "plain"):
        shutil.copy(path, directory)
    rules = rule_file(RULES)
    rules.chmod(0o600)
    environment = {**preloaded(build, rules), "LD_PRELOAD": str(directory / "libsocktune.so")}
    plain = run([directory / "plain"], preloaded(build, None), user=NOBODY, cwd="/")
    seen = run([directory / "plain"], environment, user=NOBODY, cwd="/")
    assert str(rules) in one_line(seen)
    assert_untuned(plain, seen)


def test_rules_on_a_fifo(build, plain, directory):
    """No process writes to it: opening it must not block the program's start."""
    rules = directory / "fifo.conf"
    os.mkfifo(rules)
    seen = tuned_by(build, rules)
    assert str(rules) in one_line(seen)
    assert_untuned(plain, seen)


def test_rules_on_a_device(build, plain):
    seen = tuned_by(build, "/dev/zero")
    assert "/dev/zero" in one_line(seen)
    assert_untuned(plain, seen)


def test_directory_without_rule_files(build, plain, directory):
    """A directory without rules is no error: the package installs it empty."""
    (directory / "README").write_text("not a rule file\n", encoding="utf-8")
    assert_untuned(plain, tuned_by(build, directory))


def test_fifo_among_the_rule_files(build, plain, rule_file, directory):
    """The message names it, and the start does not wait for a writer."""
    rule_file(RULES)
    os.mkfifo(directory / "20.conf")
    began = time.monotonic()
    seen = tuned_by(build, directory)
    assert time.monotonic() - began < 10
    assert str(directory / "20.conf") in one_line(seen)
    assert_untuned(plain, seen)


def test_empty_rule_file(build, plain, rule_file):
    assert_untuned(plain, tuned_by(build, rule_file("")))


def test_rules_of_an_empty_name(build, plain):
    """An empty SOCKTUNE_RULES= is the same as none: the paths in /etc are used."""
    if any(pathlib.Path(path).exists() for path in ("/etc/socktune.d", "/etc/socktune.conf")):
        pytest.skip("this machine has rules of its own in /etc")
    assert_untuned(plain, tuned_by(build, ""))


def test_no_compiler_beside_the_library(build, plain, rule_file, directory):
    """Text rules without a compiler: one line that says so."""
    library = directory / "alone" / "libsocktune.so"
    library.parent.mkdir()
    shutil.copy(build.library, library)
    seen = tuned_by(build, rule_file(RULES), LD_PRELOAD=library, PATH=directory)
    assert "socktune" in one_line(seen)
    assert_untuned(plain, seen)
    seen = tuned_by(build, rule_file(RULES), LD_PRELOAD=library, PATH=directory,
                    SOCKTUNE_STRICT="1")
    one_line(seen)
    assert (seen.status, seen.behaviour) == (EX_CONFIG, [])


def test_rules_by_a_relative_path(build, rule_file, directory):
    """Relative to the directory in which the program is started."""
    rule_file(RULES)
    for _ in range(2):  # compiled, then from the cache
        seen = run([build.hosts / "plain"], preloaded(build, "rules.conf"), cwd=directory)
        assert (seen.status, seen.errors) == (0, "")
        assert_tuned(seen)


LIMITS = {"stack": (resource.RLIMIT_STACK, 128 << 10), "file size": (resource.RLIMIT_FSIZE, 0),
          "memory": (resource.RLIMIT_AS, 24 << 20), "locked": (resource.RLIMIT_MEMLOCK, 0)}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("text", [False, True], ids=["compiled", "text"])
def test_started_under_limits(build, compiled, rule_file, name, text):
    """Under limits with which the program works, it still works with the library. The compiler
    inherits the limits and may fail although the program does not; then one line is printed."""
    which, value = LIMITS[name]
    command = [build.hosts / "plain"]

    def limit():
        resource.setrlimit(which, (value, value))
    plain = run(command, preloaded(build, None), preexec_fn=limit)
    seen = run(command, preloaded(build, rule_file(RULES) if text else compiled(RULES)),
               preexec_fn=limit)
    if text and seen.errors:
        one_line(seen)
        assert_untuned(plain, seen)
    else:
        assert_unharmed(plain, seen)
        assert_tuned(seen)


def test_started_without_a_process_to_spare(build, rule_file, directory):
    """RLIMIT_NPROC reached: the compiler cannot be started."""
    needs_root("to become a user of whom nothing else runs")
    for path in (build.library, BUILD / "socktune-compile", build.hosts / "plain"):
        shutil.copy(path, directory)
    user = 61000 + random.randrange(4000)

    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    environment = {**preloaded(build, rule_file(RULES)),
                   "LD_PRELOAD": str(directory / "libsocktune.so")}
    keywords = {"user": user, "cwd": "/", "preexec_fn": limit}
    plain = run([directory / "plain"], preloaded(build, None), **keywords)
    seen = run([directory / "plain"], environment, **keywords)
    assert "cannot be" in one_line(seen)
    assert_untuned(plain, seen)


# Policies: damaged, foreign, forged, stale.

SMALL = 'rules = ( { set = { TCP_KEEPIDLE = 111; }; match = { remote = "127.0.0.1"; }; } );\n'
HEADER = struct.Struct("=8sIIQ")  # magic, version, size, checksum; then sections of {offset, count}


@pytest.fixture(scope="session")
def checksum(tmp_path_factory):
    """policy_checksum() of preload/policy.c, as checksum(bytes)."""
    library = tmp_path_factory.mktemp("checksum") / "policy.so"
    subprocess.run([compiler("gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o",
                    library, ROOT / "preload" / "engine" / "policy.c"], check=True)
    function = ctypes.CDLL(str(library)).policy_checksum
    function.restype, function.argtypes = ctypes.c_uint64, (ctypes.c_void_p, ctypes.c_size_t)

    def of(blob):
        words = (ctypes.c_uint64 * (len(blob) // 8)).from_buffer_copy(blob)
        return function(words, len(blob))
    return of


@pytest.fixture
def sealed(checksum):
    """sealed(bytes): the same policy with a correct checksum."""
    def seal(blob):
        magic, version, size, _ = HEADER.unpack_from(blob)
        return HEADER.pack(magic, version, size, checksum(blob)) + blob[HEADER.size:]
    return seal


@pytest.fixture
def policy(compiled):
    """A small policy as bytes."""
    return compiled(SMALL, "small.conf").read_bytes()


@pytest.fixture
def run_policy(build, directory):
    """Run the host under a policy given as bytes."""
    path = directory / "given.policy"

    def once(blob):
        path.unlink(missing_ok=True)
        path.write_bytes(blob)
        return tuned_by(build, path)
    return once


def test_the_checksum_is_where_we_think(policy, sealed):
    assert sealed(policy) == policy


@pytest.mark.slow
def test_every_byte_damaged(plain, policy, run_policy):
    for at in range(len(policy)):
        seen = run_policy(policy[:at] + bytes([policy[at] ^ 0xff]) + policy[at + 1:])
        assert "given.policy" in one_line(seen), f"byte {at}"
        assert_untuned(plain, seen)


@pytest.mark.slow
def test_every_byte_forged(plain, policy, run_policy, sealed):
    """With a correct checksum the policy may be accepted or refused. In any case the program runs
    and behaves the same."""
    random_bytes = random.Random(1)
    for at in range(HEADER.size, len(policy)):
        value = (policy[at] + random_bytes.randrange(1, 256)) % 256
        seen = run_policy(sealed(policy[:at] + bytes([value]) + policy[at + 1:]))
        if seen.errors:
            one_line(seen)
            assert_untuned(plain, seen)
        assert_unharmed(plain, seen)


# A policy with all kinds of contents.
RICH = """
rules = (
  { set = { SO_PRIORITY = 3; SO_LINGER = "5s"; dscp = "AF41"; transport = "mptcp"; };
    default = { TCP_NODELAY = true; };
    match = { program = [ "*", "!x" ]; command = "*"; }; },
  { match = { role = "connect"; remote = [ "127.0.0.0/8", "::1" ]; remote_port = "1-65535"; };
    force = { TCP_KEEPIDLE = 111; }; ignore = [ "SO_KEEPALIVE" ];
    set = { source = "127.0.0.1"; TCP_CONGESTION = "reno"; }; },
  { match = { role = [ "listen", "accept" ]; local = "!10.0.0.0/8"; local_port = [ "!80" ]; };
    set = { TCP_QUICKACK = true; SO_INCOMING_CPU = 0;
            raw = ( { level = 6; option = 5; value = 77; } ); }; final = true; }
);
"""


@pytest.mark.parametrize("host", ["plain", "early", "errnos"])
def test_forged_at_random(build, compiled, directory, host, sealed):
    """Several bytes at a time, in a policy with each kind of rule. It may set any option, so the
    host's options may differ; but nothing crashes or hangs."""
    blob = compiled(RICH, "rich.conf").read_bytes()
    path = directory / "given.policy"
    source = random.Random(host)
    for _ in range(150):
        forged = bytearray(blob)
        for _ in range(source.randrange(1, 6)):
            forged[source.randrange(HEADER.size, len(blob))] = source.choice(
                [0, 1, 2, 0x7f, 0x80, 0xff, source.randrange(256)])
        path.write_bytes(sealed(bytes(forged)))
        seen = run([build.hosts / host], preloaded(build, path), timeout=30)
        assert seen.status in (0, 1), f"ended by signal {-seen.status}; policy: {forged.hex()}"


def test_truncated_policy(plain, policy, run_policy):
    for size in {0, 1, 7, 8, 23, 24, HEADER.size, len(policy) - 1, len(policy) // 2,
                 *range(0, len(policy), 56)}:
        seen = run_policy(policy[:size])
        if size == 0 and not seen.errors:
            continue  # an empty file is also a valid rule file without rules
        one_line(seen)
        assert_untuned(plain, seen)


def test_policy_with_more_behind_it(plain, policy, run_policy):
    seen = run_policy(policy + bytes(64))
    one_line(seen)
    assert_untuned(plain, seen)


def test_foreign_policies(plain, policy, run_policy, sealed):
    magic, version, size, total = HEADER.unpack_from(policy)
    rest = policy[HEADER.size:]
    swapped = struct.Struct(">8sIIQ").pack(magic, version, size, total) + rest
    newer = sealed(HEADER.pack(magic, version + 1, size, 0) + rest)
    huge = HEADER.pack(magic, version, 0xfffffff8, total) + rest
    for blob in (swapped, newer, huge, pathlib.Path("/bin/true").read_bytes(),
                 random.Random(2).randbytes(4096)):
        seen = run_policy(blob)
        assert "given.policy" in one_line(seen)
        assert_untuned(plain, seen)


def test_damaged_policy_beside_the_rules(build, plain, rule_file, socktune):
    """It is compiled again."""
    rules = rule_file(RULES)
    kept = pathlib.Path(f"{rules}.policy")
    assert socktune("compile", rules, "-o", kept).returncode == 0
    good = kept.read_bytes()
    for bad in (good[:-8], b"", bytes(len(good)), good[:200] + b"\xff" + good[201:]):
        kept.write_bytes(bad)
        seen = tuned_by(build, rules)
        assert_unharmed(plain, seen)
        assert_tuned(seen)


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "directory"])
def test_something_else_in_the_place_of_the_policy(build, plain, rule_file, directory, kind):
    """It is neither followed nor waited for; the target of a link does not change."""
    rules = rule_file(RULES)
    kept = pathlib.Path(f"{rules}.policy")
    victim = directory / "victim"
    if kind == "link":
        victim.write_bytes(b"precious")
    if kind in ("link", "dangling"):
        kept.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(kept)
    else:
        kept.mkdir()
    for _ in range(2):
        seen = tuned_by(build, rules)
        assert_unharmed(plain, seen)
        assert_tuned(seen)
    assert victim.read_bytes() == b"precious" if kind == "link" else not victim.exists()
    left = {path.name for path in directory.iterdir()} - {"victim"}
    assert left == {rules.name, kept.name}
    assert kept_policy(rules).exists()


def test_policy_is_kept_and_used(build, plain, rule_file):
    """The first start compiles and keeps the policy; the second one uses it."""
    rules = rule_file(RULES)
    kept = kept_policy(rules)
    assert_tuned(tuned_by(build, rules))
    assert kept.exists()
    before = kept.stat()
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert_tuned(seen)
    after = kept.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def change(path, text):
    """Another text of the same length, written in place as an editor may do."""
    assert path.stat().st_size == len(text)
    path.write_text(text, encoding="utf-8")


def test_stale_policy(build, plain, rule_file):
    """Changed rules take effect at the next start, even with the same length and time stamp."""
    rules = rule_file(RULES)
    assert_tuned(tuned_by(build, rules))
    stamp = rules.stat()
    change(rules, RULES.replace("111s", "112s"))
    os.utime(rules, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert seen.options["plain.connect"] == {**CLIENT, "idle": 112}


def test_stale_policy_of_a_directory(build, plain, rule_file, directory):
    """A file added, changed, removed."""
    place = directory / "rules.d"
    place.mkdir()

    def idle():
        seen = tuned_by(build, place)
        assert_unharmed(plain, seen)
        return seen.options["plain.connect"]["idle"]
    (place / "10.conf").write_text("rules = ( { set = { TCP_KEEPIDLE = 1111; }; } );\n")
    assert idle() == 1111
    (place / "20.conf").write_text("rules = ( { set = { TCP_KEEPIDLE = 2222; }; } );\n")
    assert idle() == 2222
    change(place / "20.conf", "rules = ( { set = { TCP_KEEPIDLE = 3333; }; } );\n")
    assert idle() == 3333
    (place / "20.conf").unlink()
    assert idle() == 1111


def test_rules_that_break_later(build, plain, rule_file):
    """The last good rules stay in force, and the error is reported once. Corrected rules take
    effect at once."""
    rules = rule_file(RULES)
    assert_tuned(tuned_by(build, rules))
    rules.write_text(BROKEN["unknown option"][0], encoding="utf-8")
    seen = tuned_by(build, rules)
    message = one_line(seen)
    assert f"{rules}:3" in message and message.endswith("; the last good rules stay in force")
    for again in range(2):
        if again:
            seen = tuned_by(build, rules)
        assert_unharmed(plain, seen)
        assert_tuned(seen)
    rules.write_text(BROKEN["bad value"][0], encoding="utf-8")  # another error
    assert f"{rules}:2" in one_line(tuned_by(build, rules))
    assert_tuned(tuned_by(build, rules))
    change_to = RULES.replace("111s", "113s")
    rules.write_text(change_to, encoding="utf-8")
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert seen.options["plain.connect"]["idle"] == 113


def test_rules_that_break_later_and_strict(build, rule_file):
    rules = rule_file(RULES)
    assert_tuned(tuned_by(build, rules))
    rules.write_text(BROKEN["unknown option"][0], encoding="utf-8")
    for _ in range(2):  # the start that finds the error, and one that reads it from the policy
        seen = tuned_by(build, rules, SOCKTUNE_STRICT="1")
        assert f"{rules}:3" in one_line(seen)
        assert seen.status == EX_CONFIG


def test_broken_rules_are_compiled_once(build, plain, rule_file):
    """If the program's environment names the rules, each start reports the error, but nothing is
    compiled again."""
    rules = rule_file(BROKEN["unknown option"][0])
    first = one_line(tuned_by(build, rules))
    kept = kept_policy(rules)
    stamp = kept.stat().st_mtime_ns
    seen = tuned_by(build, rules)
    second = one_line(seen)
    assert f"{rules}:3" in first and f"{rules}:3" in second
    assert_untuned(plain, seen)
    assert kept.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("how", ["copied", "directory copied"])
def test_a_policy_survives_a_copy(build, plain, rule_file, directory, socktune, how):
    """cp -a, rsync and the layers of an image change inodes and ctimes, not the content."""
    place = directory / "rules.d"
    place.mkdir()
    (place / "a.conf").write_text(RULES, encoding="utf-8")
    rules = place if how == "directory copied" else place / "a.conf"
    assert socktune("compile", rules).returncode == 0
    for name in (place, pathlib.Path(f"{place}.policy")):
        if name.exists():
            subprocess.run(["cp", "-a", name, f"{name}.copy"], check=True)
            subprocess.run(["rm", "-r", name], check=True)
            os.rename(f"{name}.copy", name)
    (build_copy := directory / "alone").mkdir()
    shutil.copy(build.library, build_copy)  # in a directory without a compiler
    environment = {**preloaded(build, rules), "LD_PRELOAD": str(build_copy / "libsocktune.so")}
    seen = run([build.hosts / "plain"], environment)
    assert_unharmed(plain, seen)
    assert_tuned(seen)


def test_strict_and_no_rules(build, plain):
    """Neither SOCKTUNE_RULES nor files in /etc: an image whose rules were forgotten."""
    if os.path.exists("/etc/socktune.d") or os.path.exists("/etc/socktune.conf"):
        pytest.skip("this machine has rules")
    environment = preloaded(build, None)
    environment["LD_PRELOAD"] = str(build.library)
    assert_untuned(plain, run([build.hosts / "plain"], environment))
    seen = run([build.hosts / "plain"], {**environment, "SOCKTUNE_STRICT": "1"})
    assert "no rules" in one_line(seen)
    assert seen.status == EX_CONFIG


def test_policy_of_another_user(build, plain, rule_file, socktune, sealed):
    """A policy that another user may have written beside the rules is not used."""
    needs_root("to give a file away")
    rules = rule_file(RULES.replace("111s", "999s"))
    kept = pathlib.Path(f"{rules}.policy")
    stamp = rules.stat()
    assert socktune("compile", rules, "-o", kept).returncode == 0
    os.chown(kept, NOBODY, NOBODY)
    blob = kept.read_bytes()
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert seen.options["plain.connect"]["idle"] == 999
    # Forged: with current stamps, but another value, and not owned by the rules' owner.
    kept.unlink()
    kept.write_bytes(sealed(blob.replace(struct.pack("i", 999), struct.pack("i", 666))))
    os.chown(kept, NOBODY, NOBODY)
    assert rules.stat().st_mtime_ns == stamp.st_mtime_ns
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert seen.options["plain.connect"]["idle"] == 999


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_policy_that_others_may_write(mode, build, plain, rule_file, socktune, sealed):
    rules = rule_file(RULES)
    kept = pathlib.Path(f"{rules}.policy")
    assert socktune("compile", rules, "-o", kept).returncode == 0
    kept.write_bytes(sealed(kept.read_bytes().replace(struct.pack("i", 111),
                                                      struct.pack("i", 666))))
    kept.chmod(mode)
    seen = tuned_by(build, rules)
    assert_unharmed(plain, seen)
    assert_tuned(seen)


def test_rules_where_nothing_may_be_written(build, rule_file, directory):
    """A user who cannot store the policy is tuned too, and no files remain."""
    needs_root("to become a user who may not write there")
    for path in (build.library, BUILD / "socktune-compile", build.hosts / "plain"):
        shutil.copy(path, directory)
    rules = rule_file(RULES)
    environment = {**preloaded(build, rules), "LD_PRELOAD": str(directory / "libsocktune.so"),
                   "HOME": "/nonexistent"}
    before = sorted(os.listdir(directory))
    plain = run([directory / "plain"], preloaded(build, None), user=NOBODY, cwd="/")
    seen = run([directory / "plain"], environment, user=NOBODY, cwd="/")
    assert_unharmed(plain, seen)
    assert_tuned(seen)
    assert sorted(os.listdir(directory)) == before
    kept = kept_policy(rules, NOBODY)
    stamp = kept.stat().st_mtime_ns  # so that the next start compiles nothing
    assert_tuned(run([directory / "plain"], environment, user=NOBODY, cwd="/"))
    assert kept.stat().st_mtime_ns == stamp


# The trace.

def test_trace_to_standard_error(build, plain, compiled):
    seen = tuned_by(build, compiled(RULES), SOCKTUNE_TRACE="stderr")
    lines = seen.errors.splitlines()
    assert all(re.match(r"socktune\[\d+\] plain: ", line) for line in lines), seen.errors
    # The decision for each socket: the option, its value as written, the rule and its place.
    for option, value, rule in (("SO_PRIORITY", "3", "everything"),
                                ("TCP_KEEPIDLE", "111s", "clients"),
                                ("TCP_KEEPIDLE", "222s", "servers"),
                                ("TCP_KEEPCNT", "5", "near clients"),
                                ("TCP_KEEPCNT", "6", "near servers")):
        assert any(f"{option} = " in line and value in line and f"rule {rule}," in line
                   and re.search(r"rules\.conf:\d+\)", line) for line in lines), (option, rule)
    seen.errors = ""
    assert_unharmed(plain, seen)
    assert_tuned(seen)


def test_trace_to_a_file(build, plain, compiled, directory):
    """Lines of successive processes are appended; standard error stays empty."""
    trace = directory / "trace"
    rules = compiled(RULES)
    for _ in range(2):
        seen = tuned_by(build, rules, SOCKTUNE_TRACE=trace)
        assert_unharmed(plain, seen)
        assert_tuned(seen)
    lines = trace.read_text(encoding="utf-8").splitlines()
    processes = {re.match(r"socktune\[(\d+)\] plain: ", line).group(1) for line in lines}
    assert len(processes) == 2
    assert len(lines) > 20


def test_trace_tells_of_refused_options(build, plain, compiled):
    """An option that the kernel refuses makes no call fail; the trace contains its errno."""
    rules = compiled('rules = ( { set = { TCP_CONGESTION = "none_such"; }; } );\n')
    assert_untuned(plain, tuned_by(build, rules))
    seen = tuned_by(build, rules, SOCKTUNE_TRACE="stderr")
    assert re.search(r"TCP_CONGESTION = .*ENOENT", seen.errors), seen.errors
    seen.errors = ""
    assert_untuned(plain, seen)


def test_trace_to_nowhere(build, plain, compiled, directory):
    """A trace that cannot be written changes nothing."""
    seen = tuned_by(build, compiled(RULES), SOCKTUNE_TRACE=directory / "no" / "such" / "place")
    assert len(seen.errors.splitlines()) <= 1
    seen.errors = ""
    assert_unharmed(plain, seen)
    assert_tuned(seen)


# Traces in the process.

@pytest.mark.parametrize("ignored", [False, True], ids=["handled", "ignored"])
@pytest.mark.parametrize("blocked", [False, True], ids=["", "blocked"])
def test_no_child_is_seen(build, rule_file, ignored, blocked):
    """The compiler runs as a child of the program, which never notices it."""
    def prepare():
        if ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    command = [build.hosts / "children"]
    plain = run(command, preloaded(build, None), preexec_fn=prepare)
    seen = run(command, preloaded(build, rule_file(RULES)), preexec_fn=prepare)
    assert_unharmed(plain, seen)
    assert_tuned(seen)


def test_children_of_before_are_not_reaped(build, rule_file):
    """A program may have children from before exec(); they stay its own."""
    def leave_child():
        if os.fork() == 0:
            os._exit(5)
    script = "import os; print(os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]))"
    result = subprocess.run(["/usr/bin/python3", "-c", script], check=False, capture_output=True,
                            env=preloaded(build, rule_file(RULES)), text=True, timeout=60,
                            preexec_fn=leave_child)
    assert (result.returncode, result.stdout, result.stderr) == (0, "5\n", "")


def test_nothing_stays_open_or_mapped(build, rule_file, start):
    """An idle program has no descriptor of ours, and no memory that is writable and executable."""
    program = start(["/bin/cat"], rule_file(RULES), stdin=subprocess.PIPE)
    program.process.stdin.write(b"up\n")
    program.process.stdin.flush()
    program.until(lambda: program.output == "up\n", "its answer")
    assert sorted(os.listdir(f"/proc/{program.pid}/fd")) == ["0", "1", "2"]
    maps = pathlib.Path(f"/proc/{program.pid}/maps").read_text(encoding="utf-8").splitlines()
    assert any("libsocktune.so" in line for line in maps)
    assert not [line for line in maps if "rwx" in line.split()[1]]


# The object itself.

def hooks(machine):
    """The names in hooks.def; those that begin with an underscore are only for i386."""
    text = (ROOT / "preload" / "hooks.def").read_text(encoding="utf-8")
    found = re.findall(r"^HOOK\(\w+, (\w+),", text, re.MULTILINE)
    assert len(found) >= 7
    return sorted(name for name in found if machine == "i386" or not name.startswith("_"))


def objects(build):
    return [path for path in (build.library, *build.library.parent.glob("*/libsocktune.so"))]


def output_of(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=True).stdout


def test_exported_symbols(build):
    """Exactly the hooks."""
    for path in objects(build):
        symbols = [line.split()[-1].split("@")[0]
                   for line in output_of(compiler("nm"), "-D", "--defined-only", path).splitlines()]
        assert sorted(symbols) == hooks(path.parent.name), path


def test_needed_libraries_and_imports(build):
    """Only libc; nothing that another C library lacks; no locks, no allocation, no stdio."""
    for path in objects(build):
        dynamic = output_of(compiler("readelf"), "-d", path)
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
        assert all(re.match(r"libc\.|ld-linux", name) for name in needed), needed
        assert not re.search(r"TEXTREL|RPATH|RUNPATH", dynamic)
        imports = {line.split()[-1].split("@")[0] for line in
                   output_of(compiler("nm"), "-D", "--undefined-only", path).splitlines()}
        assert not [name for name in imports if re.match(r"__\w+_chk$", name)], imports
        assert not imports & {"malloc", "calloc", "realloc", "free", "printf", "fprintf",
                              "snprintf", "pthread_mutex_lock", "pthread_once", "getenv",
                              "syscall"}, imports
        # Functions of the compiler's own library, which is not linked.
        assert not [name for name in imports if re.match(r"__aarch64_|__\w+[dt]i\d$", name)], imports


def test_no_executable_stack(build):
    for path in objects(build):
        headers = output_of(compiler("readelf"), "-lW", path)
        stack = re.search(r"GNU_STACK.*", headers)
        assert stack and "RWE" not in stack.group(0)


# More privileges than the caller.

def test_environment_is_ignored_by_privileged_programs(build, compiled, directory):
    """A program with more privileges than its caller (AT_SECURE) uses neither the caller's rules
    nor the caller's trace file. The loader ignores LD_PRELOAD for it, so the host is linked to the
    library, as if it were in /etc/ld.so.preload."""
    needs_root("to make a set-user-ID file of another user")
    shutil.copy(build.library, directory)
    host = build_host(directory, SOURCES / "secure.c", "-Wl,--no-as-needed",
                      directory / "libsocktune.so", f"-Wl,-rpath,{directory}")
    trace = directory / "trace"
    rules = compiled(RULES)
    environment = {**preloaded(build, None), "SOCKTUNE_RULES": str(rules),
                   "SOCKTUNE_TRACE": str(trace)}
    ordinary = run([host], environment)
    assert ordinary.behaviour == ["secure 0"]
    assert_tuned(ordinary)
    assert trace.exists()
    trace.unlink()
    directory.chmod(0o777)
    os.chown(host, NOBODY, NOBODY)
    host.chmod(0o4755)
    seen = run([host], environment)
    if seen.behaviour == ["secure 0"]:
        pytest.skip("set-user-ID files have no effect in the temporary directory")
    assert (seen.status, seen.behaviour) == (0, ["secure 1"])
    if not any(pathlib.Path(path).exists() for path in ("/etc/socktune.d", "/etc/socktune.conf")):
        untuned = run([host], {**environment, "SOCKTUNE_DISABLE": "1"})
        assert seen.options == untuned.options
        assert seen.options["secure.connect"]["idle"] != CLIENT["idle"]
        assert seen.errors == ""
    assert not trace.exists()
