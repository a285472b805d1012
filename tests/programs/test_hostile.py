# SPDX-License-Identifier: MIT
"""Hosts that do what a preloaded library may not expect. Each runs without and with the library: it
behaves the same, and its sockets have the options of the rules if that is possible."""
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import sys

import pytest
from conftest import BUILD, needs_root, preloaded, program
from hostile import (CLIENT, RULES, SERVER, assert_tuned, assert_unharmed, build_host,
                     build_library, compiler, run)
from word_size import run_32_bits

# Only options inherited from the listener: nothing is left to do at accept().
LISTENER_RULES = """
rules = ( { match = { role = [ "listen", "accept" ]; };
            set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = "222s"; }; } );
"""


@pytest.fixture
def compare(build, compiled):
    """compare(command...) -> (run without the library, run with it); they may only differ in
    options."""
    def both(*command, rules=RULES, env=None, **keywords):
        command = [build.hosts / command[0], *command[1:]]
        plain = run(command, preloaded(build, None, **(env or {})), **keywords)
        tuned = run(command, preloaded(build, compiled(rules), **(env or {})), **keywords)
        assert_unharmed(plain, tuned)
        return plain, tuned
    return both


@pytest.fixture
def chain(directory):
    """The other library to preload."""
    return build_library(directory, "chain", "-ldl")


def preload_with(build, rules, *libraries):
    """An environment that preloads these libraries in this order."""
    return preloaded(build, rules, LD_PRELOAD=" ".join(map(str, libraries)))


# Time and place of calls.

def test_calls_before_other_constructors(compare):
    """In .preinit_array no other library is initialized yet; ours is (-z initfirst)."""
    _, tuned = compare("early")
    assert tuned.options["at preinit"] == tuned.options["later"] == CLIENT
    assert_tuned(tuned)


def test_calls_before_our_constructor(build, compiled, directory):
    """Only one library can be initialized first: here it is another one. It and the program's
    .preinit_array call our functions before our constructor has run."""
    chain = build_library(directory, "chain", "-ldl", "-Wl,-z,initfirst")
    plain = run([build.hosts / "early"], preload_with(build, None, chain))
    tuned = run([build.hosts / "early"], preload_with(build, compiled(RULES), build.library, chain))
    for seen in (plain, tuned):  # its own early calls reach ours directly
        assert seen.behaviour.pop().startswith("chain: ")
    assert_unharmed(plain, tuned)
    assert tuned.options["at preinit"] == plain.options["at preinit"]
    # Such a socket looks like a leaked one of the parent, which is not tuned: only its later calls
    # tune it.
    assert tuned.options["later"] != CLIENT
    assert_tuned(tuned)


def test_cplusplus_statics_exceptions_and_unwinding(build, compiled, directory):
    """A static object connects before main(); cancellation unwinds C++ frames through accept()."""
    host = build_host(directory, "shared/statics.cc", "-pthread", cc="g++")
    plain = run([host], preloaded(build, None))
    tuned = run([host], preloaded(build, compiled(RULES)))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


def test_vfork_fork_and_spawn(compare):
    _, tuned = compare("vforked")
    assert tuned.options["vfork"] == {"keepalive": 1}
    assert_tuned(tuned)


def test_signal_handlers_that_interrupt_malloc(compare):
    _, tuned = compare("signals")
    assert tuned.options["handler"] == {"keepalives": 2}
    assert_tuned(tuned)


def test_threads_at_first_use_and_small_stacks(compare):
    """Two hundred at once; two hundred on 16 KB each; one on 8 KB."""
    plain, tuned = compare("threads")
    assert plain.options == {"first": {"tuned": 0}, "16k": {"tuned": 0}, "8k": {"tuned": 0}}
    assert tuned.options == {"first": {"tuned": 200}, "16k": {"tuned": 200}, "8k": {"tuned": 1}}


def test_cancellation_in_accept_and_connect(compare):
    _, tuned = compare("cancel")
    assert_tuned(tuned)


def test_eintr_restart_timeout_and_sigpipe(compare):
    _, tuned = compare("interrupt")
    assert_tuned(tuned)


# Descriptors.

def test_every_descriptor_closed_or_replaced(compare):
    """closefrom(), close_range(), dup2() over every number: none is ours."""
    _, tuned = compare("closeall")
    assert_tuned(tuned)


def test_no_descriptor_left(compare):
    _, tuned = compare("nofile")
    assert_tuned(tuned)


@pytest.mark.parametrize("text", [False, True], ids=["compiled", "text"])
def test_started_with_room_for_one_descriptor(build, compiled, rule_file, silent_listener, text):
    """The loader needs one descriptor to open the libraries. With a compiled policy one is enough
    for our library too. With a text rule file the program runs, tuned or not."""
    listener = silent_listener("inet")
    command = [build.hosts / "onefd", listener.getsockname()[1]]

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
    plain = run(command, preloaded(build, None), preexec_fn=limit)
    rules = rule_file(RULES) if text else compiled(RULES)
    tuned = run(command, preloaded(build, rules), preexec_fn=limit)
    if text and tuned.options == plain.options:
        assert len(tuned.errors.splitlines()) == 1, tuned.errors
        tuned.errors = ""
        assert_unharmed(plain, tuned)
    else:
        assert_unharmed(plain, tuned)
        assert_tuned(tuned)


@pytest.mark.parametrize("text", [False, True], ids=["compiled", "text"])
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)],
                         ids=lambda closed: "-".join(map(str, closed)))
def test_standard_descriptors_closed_at_start(build, compiled, rule_file, directory, closed, text):
    """The program's sockets get the same numbers as without the library, including 0, 1 and 2."""
    def close():
        for fd in closed:
            os.close(fd)
    report = directory / "report"
    command = [build.hosts / "plain", report]
    plain = run(command, preloaded(build, None), report=report, preexec_fn=close)
    rules = rule_file(RULES) if text else compiled(RULES)
    tuned = run(command, preloaded(build, rules), report=report, preexec_fn=close)
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)
    assert f"listener {closed[0]} " in "\n".join(tuned.behaviour)


def test_results_errno_and_descriptor_zero(compare):
    """errno after calls that succeed and that fail, on sockets of all kinds; accept() without an
    address; SOCK_RAW; connect(AF_UNSPEC); accept() on AF_UNIX; a socket that is descriptor 0."""
    plain, tuned = compare("errnos")
    untuned = plain.options["zero.listen"]
    assert tuned.options.pop("zero.listen") == {**SERVER, "count": untuned["count"]}
    assert_tuned(tuned)
    assert "unix priority 0" in tuned.behaviour


def test_addresses_and_values_in_memory_that_is_not_there(build, compiled):
    """The kernel returns EFAULT, also if a rule depends on the address or the value."""
    rules = """rules = (
        { match = { remote = "127.0.0.0/8"; }; set = { IP_TTL = 33; }; },
        { match = { local = "127.0.0.0/8"; role = "connect"; }; set = { SO_REUSEADDR = true; }; },
        { force = { TCP_KEEPIDLE = 77; SO_KEEPALIVE = true; }; at_least = { SO_SNDBUF = "64K"; };
          report = true; } );"""
    plain = run([build.hosts / "errnos"], preloaded(build, None))
    tuned = run([build.hosts / "errnos"], preloaded(build, compiled(rules)))
    assert_unharmed(plain, tuned)
    assert "connect: failed errno 14" in plain.behaviour


@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, 262, socket.IPPROTO_UDP],
                         ids=["tcp", "mptcp", "udp"])
def test_addresses_that_are_not_there_in_a_confined_program(build, compiled, protocol):
    """There the library may only use getsockopt() and setsockopt() to check memory."""
    rules = """rules = ( { match = { remote = "127.0.0.0/8"; }; set = { SO_PRIORITY = 3; }; },
                         { match = { role = "listen"; }; force = { SO_MARK = 0; }; } );"""
    script = """if True:
        import ctypes, mmap, os, socket, struct, sys
        libc, protocol = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        listener = socket.create_server(("127.0.0.1", 0))
        kind = socket.SOCK_DGRAM if protocol == socket.IPPROTO_UDP else socket.SOCK_STREAM
        address = struct.pack("=H", socket.AF_INET) + struct.pack(
            "!H4s8x", listener.getsockname()[1], bytes((127, 0, 0, 1)))
        at = libc.mmap
        at.restype = ctypes.c_void_p
        pages = at(None, 8192, 3, 0x22, -1, 0)
        assert libc.mprotect(ctypes.c_void_p(pages + 4096), 4096, 0) == 0
        for place in 8, 1 << 46, pages + 4096, pages + 4090, pages + 100:
            one = socket.socket(socket.AF_INET, kind, protocol)
            if place == pages + 100:
                ctypes.memmove(place, address, 16)
            result = libc.connect(one.fileno(), ctypes.c_void_p(place), 16)
            print(result, 0 if result == 0 else ctypes.get_errno(),
                  one.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY))
        """
    made = subprocess.run([sys.executable, "-c", script, str(protocol)],
                          env=preloaded(build, compiled(rules)), text=True, timeout=30,
                          stdout=subprocess.PIPE, check=True)
    assert made.stdout.splitlines() == ["-1 14 0"] * 4 + ["0 0 3"]


def test_exec_chain_and_listener_passed_on(build, compiled):
    """An inherited listener is descriptor 3; the program accepts on it and executes itself."""
    def once(environment):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return run(["/bin/sh", "-c", 'exec 3<&0 0</dev/null; exec "$@"', "sh",
                        build.hosts / "inherited", "3"], environment, stdin=listener.fileno())
    plain = once(preloaded(build, None))
    tuned = once(preloaded(build, compiled(RULES)))
    assert_unharmed(plain, tuned)
    assert len(tuned.ends("passed.accept")) == 4
    assert_tuned(tuned)


# Programs that drop privileges.

def test_chroot_and_setuid_after_start(compare, directory):
    needs_root("chroot and setuid")
    (directory / "empty").mkdir()
    _, tuned = compare("confine", directory / "empty")
    assert_tuned(tuned)


def test_seccomp_that_answers_errno(compare):
    """Options inherited from the listener are set; later setsockopt() calls fail, and nothing
    else."""
    plain, tuned = compare("sandbox", "errno")
    untuned = plain.options["confined.connect"]
    assert tuned.options["before.connect"] == CLIENT
    assert tuned.options["before.accept"] == SERVER
    assert tuned.options["confined.connect"] == untuned
    assert tuned.options["confined.accept"] == {**untuned, "keepalive": 1, "idle": 222}


def test_seccomp_that_kills(compare):
    """If all rules are applied by listen(), no system call is added later: the program is not
    killed."""
    plain, tuned = compare("sandbox", "kill", rules=LISTENER_RULES)
    untuned = plain.options["confined.accept"]
    assert tuned.options["before.accept"] == {**untuned, "keepalive": 1, "idle": 222}
    assert tuned.options["confined.accept"] == {**untuned, "keepalive": 1, "idle": 222}
    assert tuned.options["confined.connect"] == untuned


# Foreign code in the process.

def test_program_that_exports_our_names(build, compiled, rule_file, directory):
    host = build_host(directory, "ownnames.c", "-rdynamic")
    plain = run([host], preloaded(build, None))
    for rules in (compiled(RULES), rule_file(RULES, "text.conf")):
        tuned = run([host], preloaded(build, rules))
        assert_unharmed(plain, tuned)
        assert_tuned(tuned)


@pytest.mark.parametrize("text", [False, True], ids=["compiled", "text"])
def test_program_with_its_own_malloc(build, compiled, rule_file, text):
    """No additional allocation, neither in the constructor nor in a hook."""
    command = [build.hosts / "ownmalloc"]
    plain = run(command, preloaded(build, None))
    tuned = run(command, preloaded(build, rule_file(RULES) if text else compiled(RULES)))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


@pytest.mark.parametrize("first", [pytest.param(True, marks=pytest.mark.slow), False],
                         ids=["jemalloc-first", "jemalloc-last"])
def test_jemalloc(build, compiled, first):
    found = sorted(pathlib.Path("/usr/lib").glob("**/libjemalloc.so.2"))
    if not found:
        pytest.skip("libjemalloc.so.2 is not installed")
    libraries = [found[0], build.library] if first else [build.library, found[0]]
    for name in ("signals", "threads"):
        command = [build.hosts / name]
        plain = run(command, preload_with(build, None, found[0]))
        tuned = run(command, preload_with(build, compiled(RULES), *libraries))
        assert_unharmed(plain, tuned)
    assert tuned.options["first"] == {"tuned": 200}


def test_redis_which_is_linked_to_jemalloc(start, compiled, free_port, directory):
    port = free_port()
    server = start([program("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "",
                    "--tcp-keepalive", "0", "--dir", directory], compiled(RULES))
    server.until_listening(port)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(16) == b"+PONG\r\n"
        accepted = [one for one in server.tcp() if one.state == "ESTABLISHED"]
        assert [one.options(["SO_PRIORITY", "TCP_KEEPIDLE", "TCP_KEEPCNT"]) for one in accepted] \
            == [{"SO_PRIORITY": 3, "TCP_KEEPIDLE": 222, "TCP_KEEPCNT": 6}]


@pytest.mark.parametrize("first", [True, False], ids=["before-ours", "after-ours"])
def test_another_preloaded_library(build, compiled, chain, first):
    """The other library's functions see each call of the program, and none of ours; its constructor
    creates sockets before or after ours has run."""
    libraries = [chain, build.library] if first else [build.library, chain]
    plain = run([build.hosts / "plain"], preload_with(build, None, chain))
    tuned = run([build.hosts / "plain"], preload_with(build, compiled(RULES), *libraries))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)
    assert any(line.startswith("chain: 6 sockets") for line in tuned.behaviour)


# C libraries of before glibc 2.34.

@pytest.fixture
def old_libc(directory):
    """A directory with this machine's libc, but without the functions that older versions have in
    libdl."""
    names = subprocess.run(["ldd", "/bin/true"], check=True, capture_output=True, text=True).stdout
    path = next((word for word in names.split() if word.endswith("/libc.so.6")), None)
    if path is None:
        pytest.skip("needs glibc")
    contents = pathlib.Path(path).read_bytes()
    old = directory / "old" / "libc.so.6"
    old.parent.mkdir()
    for name in (b"dlsym", b"dladdr", b"dlvsym", b"dlopen"):
        contents = contents.replace(b"\0" + name + b"\0", b"\0" + name[:-1] + b"_\0")
    old.write_bytes(contents)
    defined = subprocess.run([compiler("nm"), "-D", "--defined-only", old], check=True,
                             capture_output=True, text=True).stdout
    assert " dlsym@" not in defined and " accept@" in defined
    return old.parent


@pytest.mark.parametrize("host", ["plain", "cancel", "threads", "vforked"])
def test_libc_without_dlsym(build, compiled, old_libc, host):
    """The hooks find the real functions, so accept() is still a cancellation point."""
    places = {"LD_LIBRARY_PATH": str(old_libc)}
    plain = run([build.hosts / host], preloaded(build, None, **places))
    tuned = run([build.hosts / host], preloaded(build, compiled(RULES), **places))
    assert_unharmed(plain, tuned)
    assert tuned.options != plain.options
    if host in ("plain", "cancel"):
        assert_tuned(tuned)


def test_uncompiled_rules_without_dladdr(build, rule_file, old_libc):
    """The compiler is found beside the library."""
    tuned = run([build.hosts / "plain"], preloaded(build, rule_file(RULES),
                                                   LD_LIBRARY_PATH=str(old_libc)))
    assert_tuned(tuned)


def test_socket_calls_of_a_library_before_libc(build, compiled, directory, chain):
    """libpthread had its own socket calls, which programs with threads used instead of libc's: the
    hooks too call the library that the program is linked to before libc."""
    host = build_host(directory, "plain.c", "-Wl,--no-as-needed", chain, "-D_GNU_SOURCE",
                      f"-Wl,-rpath,{directory}")
    plain = run([host], preloaded(build, None))
    tuned = run([host], preloaded(build, compiled(RULES)))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)
    assert any(line.startswith("chain: 6 sockets") for line in tuned.behaviour)


# Other libraries.

@pytest.mark.parametrize("first", [True, False], ids=["before-ours", "after-ours"])
def test_libkeepalive_beside_us(build, compiled, first):
    """It sets options at socket(). Ours are set later, at connect() and listen()."""
    found = sorted(pathlib.Path("/usr/lib").glob("**/libkeepalive.so*"))
    if not found:
        pytest.skip("libkeepalive is not installed")
    libraries = [found[0], build.library] if first else [build.library, found[0]]
    plain = run([build.hosts / "plain"], preload_with(build, None, found[0]))
    tuned = run([build.hosts / "plain"], preload_with(build, compiled(RULES), *libraries))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


@pytest.mark.parametrize("first", [True, False], ids=["before-ours", "after-ours"])
def test_torsocks_beside_us(build, compiled, directory, first):
    """It denies connections to this machine, unless configured otherwise: neither case changes."""
    found = sorted(pathlib.Path("/usr/lib").glob("**/libtorsocks.so"))
    if not found:
        pytest.skip("torsocks is not installed")
    libraries = [found[0], build.library] if first else [build.library, found[0]]
    settings = directory / "torsocks.conf"
    rules = compiled(RULES)

    def pair(allow):
        settings.write_text(f"AllowOutboundLocalhost {allow}\nAllowInbound 1\n", encoding="utf-8")
        for libraries_of_run, rules_of_run in ((found, None), (libraries, rules)):
            yield run([build.hosts / "plain"],
                      {**preload_with(build, rules_of_run, *libraries_of_run),
                       "TORSOCKS_CONF_FILE": str(settings)})
    plain, tuned = pair(0)
    assert plain.status == tuned.status == 1
    assert "are denied" in plain.errors and "are denied" in tuned.errors
    plain, tuned = pair(1)
    assert_unharmed(plain, tuned)
    if not first:  # it takes connect() from libc directly, so it must come after our library
        assert_tuned(tuned)


@pytest.mark.parametrize("first", [True, False], ids=["before-ours", "after-ours"])
def test_proxychains_beside_us(build, compiled, directory, first):
    """It keeps descriptors open in the program and hooks close()."""
    found = sorted(pathlib.Path("/usr/lib").glob("**/libproxychains.so.4"))
    if not found:
        pytest.skip("proxychains is not installed")
    libraries = [found[0], build.library] if first else [build.library, found[0]]
    settings = directory / "proxychains.conf"
    settings.write_text("strict_chain\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\n"
                        "socks4 127.0.0.1 9\n", encoding="utf-8")
    more = {"PROXYCHAINS_CONF_FILE": str(settings), "PROXYCHAINS_QUIET_MODE": "1"}
    plain = run([build.hosts / "plain"], {**preload_with(build, None, found[0]), **more})
    tuned = run([build.hosts / "plain"], {**preload_with(build, compiled(RULES), *libraries),
                                          **more})
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


def test_preloaded_twice(build, compiled, directory):
    """Under the same name, which the loader notices, and as a copy, so that two copies are
    chained."""
    copy = directory / "again" / "libsocktune.so"
    copy.parent.mkdir()
    shutil.copy(build.library, copy)
    rules = compiled(RULES)
    for name in ("plain", "errnos"):
        plain = run([build.hosts / name], preloaded(build, None))
        for second in (build.library, copy):
            tuned = run([build.hosts / name], preload_with(build, rules, build.library, second))
            assert_unharmed(plain, tuned)
            tuned.options.pop("zero.listen", None)
            assert_tuned(tuned)


def test_libraries_opened_late(compare, directory):
    """dlopen() uses our hooks; RTLD_DEEPBIND and dlmopen() do not, and nothing breaks."""
    plain, tuned = compare("dlopened", build_library(directory, "connector"))
    assert tuned.options.pop("dlopen") == CLIENT
    assert tuned.options.pop("deepbind") == plain.options["deepbind"]
    assert tuned.options.pop("dlmopen") == plain.options["dlmopen"]
    assert_tuned(tuned)


@pytest.mark.slow
def test_address_sanitizer_linked_statically(build, compiled, directory):
    """With ASan's malloc and interceptors; a finding would end the host."""
    for name in ("plain", "errnos", "cancel"):
        host = build_host(directory, f"{name}.c", "-fsanitize=address", "-static-libasan",
                          "-pthread", needs=("asan",))
        plain = run([host], preloaded(build, None))
        tuned = run([host], preloaded(build, compiled(RULES)))
        assert_unharmed(plain, tuned)
        tuned.options.pop("zero.listen", None)
        assert_tuned(tuned)


def test_address_sanitizer_linked_dynamically(build, compiled, socktune, directory):
    """Such a program ends at once under any preload; `run` prints the remedy, or applies it."""
    host = build_host(directory, "plain.c", "-fsanitize=address", needs=("asan",))
    rules = compiled(RULES)
    bare = run([host], preloaded(build, rules))
    assert bare.status != 0 and "runtime does not come first" in bare.errors
    result = socktune("run", "-c", rules, "--", host)
    if result.returncode == 0:
        assert f"idle={CLIENT['idle']}" in result.stdout
    else:
        assert "ASan" in result.stderr or "libasan" in result.stderr, result.stderr
        assert "runtime does not come first" not in result.stderr


# Many processes, other machines.

@pytest.mark.slow
def test_hundreds_of_short_processes(compare):
    _, tuned = compare("swarm", "300", "20")
    assert tuned.options == {"children": {"tuned": 300}}


def test_short_processes_that_all_compile(build, rule_file, directory):
    """Started together with a rule file without a policy: each is tuned."""
    rules = rule_file(RULES)
    seen = run([build.hosts / "swarm", "60", "10"], preloaded(build, rules))
    assert (seen.status, seen.errors) == (0, "")
    assert seen.options == {"children": {"tuned": 60}}
    left = [path.name for path in directory.iterdir() if path.name.startswith(rules.name)]
    assert set(left) <= {rules.name, f"{rules.name}.policy"}, "temporary files were left behind"


def test_musl(build, compiled, directory):
    """The same object, in a program with another C library."""
    host = build_host(directory, "plain.c", cc="musl-gcc")
    loader = subprocess.run([compiler("readelf"), "-l", host], capture_output=True, text=True,
                            check=True).stdout
    if "ld-musl" not in loader:
        pytest.skip("musl-gcc makes no dynamic programs here")
    plain = run([host], preloaded(build, None))
    tuned = run([host], preloaded(build, compiled(RULES)))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


def test_32_bits(build, compiled, directory):
    library = BUILD / "i386" / "libsocktune.so"
    if not library.exists():
        pytest.skip(f"{library} was not built")
    # Debian has the kernel's headers of the other word size under this one's name.
    kernel_headers = "/usr/include/" + subprocess.run(
        [compiler("gcc"), "-print-multiarch"], capture_output=True, text=True,
        check=True).stdout.strip()
    host = build_host(directory, "plain.c", "-m32", "-idirafter", kernel_headers,
                      needs=("gnu/stubs-32.h", "sys/cdefs.h", "libgcc"))
    plain = run(*run_32_bits(host, preloaded(build, None)))
    tuned = run(*run_32_bits(host, preload_with(build, compiled(RULES), library)))
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)


def test_aarch64_under_qemu(build, compiled, directory):
    library = BUILD / "aarch64" / "libsocktune.so"
    if not library.exists():
        pytest.skip(f"{library} was not built")
    emulator = program("qemu-aarch64")
    host = build_host(directory, "plain.c", cc="aarch64-linux-gnu-gcc")
    rules = compiled(RULES)

    def once(*variables):
        words = [word for variable in variables for word in ("-E", variable)]
        return run([emulator, "-L", "/usr/aarch64-linux-gnu", *words, host],
                   preloaded(build, None))
    plain = once()
    tuned = once(f"LD_PRELOAD={library}", f"SOCKTUNE_RULES={rules}")
    assert_unharmed(plain, tuned)
    assert_tuned(tuned)
