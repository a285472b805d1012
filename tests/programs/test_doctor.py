# SPDX-License-Identifier: MIT
"""socktune doctor: what it says of a program, against what becomes of the program.

The programs are built here, each with something that lets preloading reach it or not. They print
the TTL of a new socket, so the verdict is compared with the kernel's word: a program that doctor
calls reachable is tuned under `socktune run`, one that it does not is not.
"""
import errno
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess

import kernel
import pytest
from conftest import needs_root, preloaded, program
from word_size import emulator_32_bits, environment_of_run, run_32_bits

NOBODY = 65534
TTL = 77
RULES = f'rules = ({{ name = "ttl"; match = {{ }}; set = {{ IP_TTL = {TTL}; }}; }});'

C_SOURCE = """
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void)
{
    int ttl = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof ttl;
    if (getsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, &length) != 0)
        return 1;
    printf("%d\\n", ttl);
    return 0;
}
"""

GO_SOURCE = """
package main
%s
import ("fmt"; "syscall")
func main() {
    fd, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
    ttl, _ := syscall.GetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_TTL)
    fmt.Println(ttl)
}
"""

CLANG_RUNTIME = "clang's runtime directory"  # stands for -Wl,-rpath to it

# Compiler, its flags, what doctor must find. Found or not, its verdict must be true.
BUILDS = {
    "plain": ("gcc", [], set()),
    "no-pie": ("gcc", ["-no-pie"], set()),
    "stripped": ("gcc", ["-s"], set()),
    "static": ("gcc", ["-static"], {"static"}),
    "static-pie": ("gcc", ["-static-pie"], {"static"}),
    "static-stripped": ("gcc", ["-static", "-s"], {"static"}),
    "musl": ("musl-gcc", [], set()),
    "musl-static": ("musl-gcc", ["-static"], {"static"}),
    "i386": ("gcc", ["-m32", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"],
             {"architecture"}),
    "asan": ("gcc", ["-fsanitize=address"], {"asan"}),
    "asan-static": ("gcc", ["-fsanitize=address", "-static-libasan"], set()),
    "asan-clang": ("clang", ["-fsanitize=address"], set()),
    "asan-clang-shared": ("clang", ["-fsanitize=address", "-shared-libasan", CLANG_RUNTIME],
                          {"asan"}),
    "ubsan": ("gcc", ["-fsanitize=undefined"], set()),
    "jemalloc": ("gcc", ["-Wl,--no-as-needed", "-l:libjemalloc.so.2"], set()),
}
TUNABLE = {"asan"}  # what `socktune run` overcomes


def built(command, what, **keywords):
    """Run a compiler, or skip: one that is there need not have all its libraries."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            check=False, timeout=120, **keywords)
    if result.returncode != 0:
        pytest.skip(f"{what} cannot be built: {result.stderr.strip().splitlines()[-1]}")


def build_c(path, compiler="gcc", flags=()):
    source = path.with_suffix(".c")
    source.write_text(C_SOURCE, encoding="utf-8")
    if CLANG_RUNTIME in flags:
        shown = subprocess.run([program(compiler), "-print-runtime-dir"], capture_output=True,
                               text=True, check=True).stdout.strip()
        # The directory differs by distribution: DIR/linux, or one named after the machine.
        flags = [f"-Wl,-rpath,{shown}:{os.path.dirname(shown)}/linux" if one == CLANG_RUNTIME
                 else one for one in flags]
    built([program(compiler), "-o", path, source, *flags], path.name)
    return path


def build_go(path, cgo, flags=()):
    source = path.with_suffix(".go")
    source.write_text(GO_SOURCE % ('import "C"' if cgo else ""), encoding="utf-8")
    home = path.parent
    built([program("go"), "build", "-o", path, *flags, source], path.name, env={
        "PATH": os.environ["PATH"], "HOME": str(home), "GOCACHE": str(home / "cache"),
        "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOPROXY": "off", "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "1" if cgo else "0"})
    return path


def diagnosis(socktune, subject, *arguments, **keywords):
    """What --json says, with "ids" of its findings and "status"; the text must agree."""
    result = socktune("doctor", "--json", *arguments, subject, **keywords)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    report["ids"] = {one["id"] for one in report["findings"]}
    report["status"] = result.returncode
    assert report["status"] == (0 if report["reachable"] else 1)
    assert all(one["text"] for one in report["findings"])
    text = socktune("doctor", *arguments, subject, **keywords)
    assert text.returncode == result.returncode
    assert text.stdout.splitlines()[0].endswith(f": {report['verdict']}")
    assert "\x1b" not in text.stdout, "colour into a pipe"
    return report


def obstacles(report):
    return {one["id"] for one in report["findings"] if one["kind"] == "obstacle"}


def is_tuned(socktune, rules, *command, **keywords):
    """Whether the kernel's word on the program's socket under `socktune run` is the rule's."""
    result = socktune("run", "-c", rules, *command, **keywords)
    assert result.returncode == 0, result.stderr
    return has_ttl(result.stdout)


def has_ttl(output):
    """Whether a program wrote the rule's TTL, and not the one of an untuned socket."""
    ttl = int(output)
    untuned = pathlib.Path("/proc/sys/net/ipv4/ip_default_ttl").read_text(encoding="ascii")
    assert ttl in (TTL, int(untuned))
    return ttl == TTL


@pytest.fixture
def rules(rule_file):
    return rule_file(RULES)


# Programs.


@pytest.mark.parametrize("name", BUILDS)
def test_verdict_is_true_of_c_programs(name, build, directory, socktune, rules):
    compiler, flags, expected = BUILDS[name]
    path = build_c(directory / "probe", compiler, flags)
    report = diagnosis(socktune, path)
    interesting = report["ids"] - {"no-rules", "from-outside"}
    assert interesting == expected
    assert report["executable"]["file"] == str(path)
    assert report["reachable"] == (not expected - TUNABLE)
    if name == "i386" and emulator_32_bits() is not None:
        command, environment = run_32_bits(path, environment_of_run(build.socktune, rules))
        tuned = has_ttl(subprocess.run(command, env=environment, check=True, capture_output=True,
                                       text=True, timeout=30).stdout)
    else:
        tuned = is_tuned(socktune, rules, path)
    assert report["reachable"] == tuned


@pytest.mark.parametrize("name,cgo,flags", [
    ("go", False, []), ("go-cgo", True, []),
    # Makes Go's own library anew.
    pytest.param("go-pie", False, ["-buildmode=pie"], marks=pytest.mark.full),
    ("go-stripped", False, ["-ldflags=-s -w"]), ("go-no-id", False, ["-ldflags=-buildid="])])
def test_verdict_is_true_of_go_programs(name, cgo, flags, directory, socktune, rules):
    if cgo:
        program("gcc")
    path = build_go(directory / name, cgo, flags)
    report = diagnosis(socktune, path)
    assert report["executable"]["go"]
    assert "go" in obstacles(report)
    assert ("static" in report["ids"]) == (report["executable"]["libc"] == "none")
    assert ("no-libc" in report["ids"]) == (name == "go-pie")
    if cgo:
        assert report["executable"]["libc"] == "glibc", "the test is about a dynamic Go program"
    assert "from-outside" in report["ids"]
    assert not report["reachable"]
    assert not is_tuned(socktune, rules, path)


def test_a_loader_without_a_libc(directory, build, socktune, rules):
    """Such a program must also start: the library finds none of the functions it imports."""
    path = directory / "bare"
    source = directory / "bare.c"
    source.write_text("""
#include <sys/syscall.h>
static long call(long number, long argument)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(argument) : "rcx", "r11", "memory");
    return result;
}
void _start(void) { for (;;) call(SYS_exit_group, 0); }
""", encoding="utf-8")
    if os.uname().machine != "x86_64":
        pytest.skip("its system call is x86-64's")
    built([program("gcc"), "-nostdlib", "-fPIE", "-pie", "-o", path, source,
           "-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2"], "bare")
    assert obstacles(diagnosis(socktune, path)) == {"no-libc"}
    result = socktune("run", "-c", rules, path)
    assert result.returncode == 0, result.stderr
    assert "runs untuned" in result.stderr
    ours, its = socket.socketpair()
    with ours, its:  # a peer reads no warning
        subprocess.run([build.socktune, "run", "-c", rules, path], stderr=its, check=True, timeout=30)
        its.close()
        assert ours.recv(4096) == b""


def test_another_machine(directory, socktune):
    path = build_c(directory / "probe", "aarch64-linux-gnu-gcc")
    report = diagnosis(socktune, path)
    assert obstacles(report) == {"architecture"}
    assert report["executable"]["machine"] == "aarch64"


def test_liburing_is_told(directory, socktune, rules):
    """A library of that name is enough; what it does is not looked at."""
    library = directory / "liburing.so.2"
    empty = directory / "empty.c"
    empty.write_text("", encoding="utf-8")
    built([program("gcc"), "-shared", "-Wl,-soname,liburing.so.2", "-o", library, empty], "liburing")
    path = build_c(directory / "probe", "gcc",
                   ["-Wl,--no-as-needed", f"-Wl,-rpath,{directory}", library])
    report = diagnosis(socktune, path)
    assert "liburing.so.2" in report["executable"]["needed"]
    assert "io-uring" in report["ids"]
    assert report["reachable"] and is_tuned(socktune, rules, path)


@pytest.mark.parametrize("damage", ["short", "headers", "empty elf"])
def test_damaged_executables(damage, directory, socktune):
    path = directory / "damaged"
    whole = pathlib.Path("/bin/true").read_bytes()
    path.write_bytes({"short": whole[:40], "headers": whole[:64] + bytes(2000),
                      "empty elf": b"\x7fELF"}[damage])
    path.chmod(0o755)
    result = socktune("doctor", path)
    if damage == "headers":  # no segment at all: what the kernel refuses looks static
        assert result.returncode in (1, 126)
    else:
        assert result.returncode == 126
        assert f"{path}: neither a sound ELF executable nor a script" in result.stderr


# AddressSanitizer: what doctor advises must work.


@pytest.fixture
def asan_program(directory):
    return build_c(directory / "probe", "gcc", ["-fsanitize=address"])


def run_preloaded(path, build, rules, preload, **extra):
    return subprocess.run([path], env={**preloaded(build, rules), "LD_PRELOAD": preload, **extra},
                          capture_output=True, text=True, check=False, timeout=30)


def test_asan_aborts_under_a_bare_preload(asan_program, build, compiled):
    result = run_preloaded(asan_program, build, compiled(RULES), str(build.library))
    assert result.returncode != 0
    assert "ASan runtime does not come first" in result.stderr


def test_asan_by_its_option(asan_program, build, compiled, socktune):
    option = {"ASAN_OPTIONS": "verify_asan_link_order=0"}
    result = run_preloaded(asan_program, build, compiled(RULES), str(build.library), **option)
    assert (result.returncode, result.stdout) == (0, f"{TTL}\n"), result.stderr
    assert "asan" not in diagnosis(socktune, asan_program, env=option)["ids"]


def test_asan_by_its_runtime_first(asan_program, build, compiled):
    needed = subprocess.run(["ldd", asan_program], capture_output=True, text=True, check=True)
    runtime = next(line.split()[2] for line in needed.stdout.splitlines() if "libasan" in line)
    result = run_preloaded(asan_program, build, compiled(RULES), f"{runtime} {build.library}")
    assert (result.returncode, result.stdout) == (0, f"{TTL}\n"), result.stderr


def test_extensions_bound_past_the_library(directory, socktune, rule_file):
    """PHP loads its extensions with RTLD_DEEPBIND, and can be told by what it exports to them."""
    source, path = directory / "php.c", directory / "php"
    source.write_text("int zend_parse_parameters(void) { return 0; } int main(void) { return 0; }",
                      encoding="ascii")
    built([program("gcc"), "-rdynamic", "-o", path, source], "php")
    assert "deepbind" in diagnosis(socktune, path)["ids"]
    assert "--supervise" in socktune("doctor", path).stdout
    done = socktune("run", "-c", rule_file(RULES), "--", path)
    assert done.returncode == 0 and "php is tuned in part: it is PHP" in done.stderr
    built([program("gcc"), "-o", path, source], "php")  # exports nothing
    assert "deepbind" not in diagnosis(socktune, path)["ids"]
    source.write_text("int zend_parse_parameters(void) { return 0; } char zend_dl_use_deepbind;"
                      "int main(void) { return 0; }", encoding="ascii")
    built([program("gcc"), "-rdynamic", "-o", path, source], "php")  # PHP 8.5, not in Apache
    assert "deepbind" not in diagnosis(socktune, path)["ids"]


@pytest.mark.parametrize("how", ["linked", "opened"])
def test_php_as_a_module(directory, socktune, how, start, rule_file):
    """Linked to libphp, or opened by a server such as Apache, which the file does not tell of."""
    module, source, path = directory / "libphp8.so", directory / "server.c", directory / "server"
    built([program("gcc"), "-shared", "-Wl,-soname,libphp8.so", "-o", module, "-x", "c",
           "/dev/null"], "libphp")
    source.write_text("""#include <dlfcn.h>
        #include <unistd.h>
        int ap_add_loaded_module(void) { return 0; }
        int main(int c, char **v) { return !(c < 2 || dlopen(v[1], RTLD_NOW)) || pause(); }""",
                      encoding="ascii")
    linked = ["-Wl,--no-as-needed", module, f"-Wl,-rpath,{directory}"] if how == "linked" else []
    built([program("gcc"), "-rdynamic", "-o", path, source, *linked], "server")
    ids = diagnosis(socktune, path)["ids"]
    assert ("deepbind" in ids) == (how == "linked") and ("apache" in ids) == (how == "opened")
    for rules in (None, rule_file(RULES)):
        server = start([path, module], rules)
        server.until(lambda one=server: "libphp8" in open(f"/proc/{one.pid}/maps").read(), "libphp")
        ids = diagnosis(socktune, server.pid)["ids"]
        assert "deepbind" in ids and "apache" not in ids


def test_asan_says_what_to_do(asan_program, socktune):
    text = " ".join(socktune("doctor", asan_program).stdout.split())
    assert "verify_asan_link_order=0" in text and "LD_PRELOAD=\"RUNTIME LIBRARY\"" in text


def test_asan_still_finds_errors_under_run(directory, socktune, rules):
    """Switching its check of the link order off leaves the rest of ASan at work."""
    path = directory / "broken"
    source = directory / "broken.c"
    source.write_text('#include <stdlib.h>\n#include <string.h>\n'
                      'int main(int c, char **v) { char *p = malloc(4); memset(p, c, 5);'
                      ' return *p == **v; }\n', encoding="utf-8")
    built([program("gcc"), "-O0", "-fsanitize=address", "-o", path, source], "broken")
    result = socktune("run", "-c", rules, path)
    assert result.returncode != 0 and "heap-buffer-overflow" in result.stderr


# Privileges.


@pytest.fixture
def everybodys(build, directory, rule_file):
    """The command, the library and rules where any user can reach them; socktune(*arguments) as a
    user: as_user(uid, "doctor", ...)."""
    needs_root("set-user-ID files and other users")
    for made in (build.socktune, build.library):
        shutil.copy(made, directory)
    rules = rule_file(RULES)
    rules.chmod(0o644)

    def as_user(uid, *arguments, wrapper=(), **keywords):
        keywords.setdefault("timeout", 30)
        environment = {key: value for key, value in os.environ.items()
                       if key != "LD_PRELOAD" and not key.startswith("SOCKTUNE_")}
        environment.update(HOME=str(directory), **keywords.pop("env", {}))
        drop = [program("setpriv"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        return subprocess.run(
            [*(drop if uid else []), *wrapper, directory / "socktune", *map(str, arguments)],
            env=environment, capture_output=True, text=True, check=False, cwd=directory, **keywords)
    as_user.rules = rules
    return as_user


def privileged_verdict(as_user, uid, path, wrapper=()):
    """(ids of findings, whether it is reachable), which must be what really happens."""
    def command(*arguments, **keywords):
        return as_user(uid, *arguments, wrapper=wrapper, **keywords)
    report = diagnosis(command, path)
    assert report["reachable"] == is_tuned(command, as_user.rules, path)
    return report["ids"] - {"no-rules"}, report["reachable"]


def test_set_user_id(directory, everybodys):
    path = build_c(directory / "probe")
    path.chmod(0o4755)
    assert privileged_verdict(everybodys, 0, path) == ({"secure-others"}, True)
    assert privileged_verdict(everybodys, NOBODY, path) == ({"secure"}, False)
    assert privileged_verdict(everybodys, NOBODY, path,
                              wrapper=["setpriv", "--no-new-privs"]) == ({"secure-others"}, True)
    os.chown(path, NOBODY, -1)
    path.chmod(0o4755)
    assert privileged_verdict(everybodys, 0, path) == ({"secure"}, False)
    assert privileged_verdict(everybodys, NOBODY, path) == ({"secure-others"}, True)


def test_set_group_id(directory, everybodys):
    path = build_c(directory / "probe")
    path.chmod(0o2755)
    assert privileged_verdict(everybodys, 0, path) == ({"secure-others"}, True)
    assert privileged_verdict(everybodys, NOBODY, path) == ({"secure"}, False)
    path.chmod(0o2745)  # without group execution the bit is a mandatory lock's, not the kernel's
    assert privileged_verdict(everybodys, NOBODY, path) == (set(), True)


def test_file_capabilities_and_the_ambient_ones_advised(directory, everybodys):
    path = build_c(directory / "probe")
    built([program("setcap", "usr/sbin/setcap"), "cap_net_raw+ep", path], "file capabilities")
    assert privileged_verdict(everybodys, 0, path) == ({"secure-others"}, True)
    assert privileged_verdict(everybodys, NOBODY, path) == ({"secure"}, False)
    built([program("setcap", "usr/sbin/setcap"), "-r", path], "file capabilities")
    drop = [program("setpriv"), "--reuid", str(NOBODY), "--clear-groups", "--inh-caps", "+net_raw",
            "--ambient-caps", "+net_raw"]
    ids, reachable = privileged_verdict(everybodys, 0, path, wrapper=drop)
    assert (ids, reachable) == (set(), True)


def test_a_mount_that_honours_no_bits(directory, everybodys):
    path = build_c(directory / "probe")
    place = directory / "mounted"
    place.mkdir()
    there = place / "probe"
    wrapper = [program("unshare"), "--mount", "sh", "-c",
               f"mount -t tmpfs -o nosuid,mode=755 none {place} && cp {path} {there} && "
               f"chmod 4755 {there} && exec setpriv --reuid {NOBODY} --clear-groups \"$@\"", "sh"]
    if everybodys(0, "doctor", "/bin/true", wrapper=wrapper).returncode != 0:
        pytest.skip("no mount namespace can be made")
    assert privileged_verdict(everybodys, 0, there, wrapper=wrapper) == (set(), True)


def test_a_file_that_may_not_be_read(directory, everybodys):
    path = build_c(directory / "probe")
    path.chmod(0o711)
    result = everybodys(NOBODY, "doctor", path)
    assert result.returncode == 1
    assert "cannot tell" in result.stdout.splitlines()[0]


# Scripts and names.


@pytest.fixture
def script(directory):
    def write(text, name="script"):
        path = directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path
    return write


@pytest.mark.parametrize("first", ["#!{}", "#! {} -u", "#!/usr/bin/env probe",
                                   "#!/usr/bin/env -S probe -x", "#!/usr/bin/env -S -u B A=1 probe"])
def test_scripts_are_followed(first, directory, script, socktune, rules):
    """The interpreter is our probe: it tells whether the script's process is tuned."""
    probe = build_c(directory / "probe")
    path = script(first.format(probe) + "\nanything\n")
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    report = diagnosis(socktune, path, env=environment)
    assert report["executable"]["file"] == str(probe)
    assert report["executable"]["script"] and "script" in report["ids"]
    assert report["reachable"] and is_tuned(socktune, rules, path, env=environment)


def test_a_shim_is_a_script_too(directory, script, socktune):
    """A script under an interpreter's name, as pyenv makes them: doctor, explain and run agree on
    which rules are for the process that the kernel starts."""
    rules = directory / "shim.conf"
    rules.write_text("rules = (" + ", ".join(
        f'{{ name = "{name}"; match = {{ {criterion}; }}; set = {{ SO_KEEPALIVE = true; }}; }}'
        for name, criterion in (("shell", 'program = "dash"'), ("shim", 'script = "python0"'),
                                ("worker", 'script = "worker.py"'),
                                ("command", 'command = "*python0*worker.py*"'))) + ");",
                     encoding="utf-8")
    script("#!/bin/dash\n:\n", "python0")
    worker = script("#!/usr/bin/env python0\n", "worker.py")
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    asked = (worker,), ("python0", worker)
    for words in asked:
        report = json.loads(socktune("doctor", "-c", rules, "--json", *words, env=environment).stdout)
        assert [one["rule"] for one in report["rules"]["active"]] == ["shell", "shim", "command"]
        assert ("shim" in {one["id"] for one in report["findings"]}) == (words == (worker,))
    text = socktune("doctor", "-c", rules, worker, env=environment).stdout
    assert f"/dash (x86-64, glibc) runs the script {directory}/python0, which runs {worker}\n" in text
    told = socktune("explain", "-c", rules, "--program", worker, "--socket", env=environment).stdout
    assert "3 of 4 rules are for this program" in told
    trace = socktune("run", "-c", rules, "--trace", worker, env=environment).stderr
    assert "dash: 3 of 4 rules" in trace


def test_a_script_of_a_static_interpreter(directory, script, socktune, rules):
    probe = build_c(directory / "probe", "gcc", ["-static"])
    path = script(f"#!{probe}\n", "outer")
    path = script(f"#!{path}\n", "outermost")
    report = diagnosis(socktune, path)
    assert obstacles(report) == {"static"}
    assert not is_tuned(socktune, rules, path)


def test_a_script_without_a_first_line_is_the_shells(script, socktune):
    report = diagnosis(socktune, script("exit 0\n"))
    assert report["executable"]["file"] == os.path.realpath("/bin/sh")


@pytest.mark.parametrize("line", ["#!\n", "#! \t\n", "#!/" + "x" * 300, "#!{textual}\n"])
def test_a_script_that_the_kernel_does_not_know(line, script, socktune, rules):
    """execvp(3), and so run, gives it to /bin/sh."""
    textual = script("exit 7\n", "textual")
    path = script(line.format(textual=textual) + "\necho $0\n", "worker")
    report = diagnosis(socktune, path)
    assert report["executable"]["file"] == os.path.realpath("/bin/sh")
    assert report["executable"]["runs"] == str(path)
    assert socktune("run", "-c", rules, path).stdout == f"{path}\n"


def test_broken_scripts(directory, script, socktune, rules):
    looped = script(f"#!{directory}/script\n")
    assert "deeper than the kernel follows" in socktune("doctor", looped).stderr
    lost = script("#!/nonexistent/interpreter\r\n")
    for words in ("doctor", lost), ("run", "-c", rules, lost):
        result = socktune(*words)
        assert result.returncode == 127
        assert f"{lost}: runs /nonexistent/interpreter\\x0d: No such file" in result.stderr
    result = socktune("doctor", script("#!/usr/bin/env no-such-command\n"))
    assert result.returncode == 127 and "no-such-command" in result.stderr


@pytest.fixture
def altered(directory):
    """altered(change): /bin/true with its bytes changed, to be executed."""
    def write(change):
        path = directory / "altered"
        path.write_bytes(change(bytearray(pathlib.Path("/bin/true").read_bytes())))
        path.chmod(0o755)
        return path
    return write


def test_what_is_no_program_is_named_as_it_is(socktune, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    assert socktune("doctor", link).stderr == (
        f"socktune doctor: {link}: Too many levels of symbolic links\n")
    (tmp_path / "to-directory").symlink_to(tmp_path)
    assert socktune("doctor", tmp_path / "to-directory").stderr == (
        f"socktune doctor: {tmp_path}/to-directory: Is a directory\n")


def test_a_missing_elf_interpreter(altered, socktune, rules):
    def change(data):
        start = data.index(b"/lib", data.index(b"\x03\0\0\0"))
        data[start:start + 4] = b"/nil"
        return data
    path = altered(change)
    report = diagnosis(socktune, path)
    assert obstacles(report) == {"loader-missing"}
    assert "from-outside" not in report["ids"], "nothing runs it"
    for way in ([], ["--supervise"]):
        result = socktune("run", "-c", rules, *way, path)
        assert result.returncode == 127 and "ELF interpreter /nil" in result.stderr


def test_an_x32_program(altered, socktune):
    """The class of its file is that of a 32-bit program, the machine is x86-64."""
    if os.uname().machine != "x86_64":
        pytest.skip("x32 is of x86-64")
    source = altered(lambda data: data)

    def change(data):
        data = bytearray(data[:16] + bytes(36 + 32))
        data[4] = 1
        data[16:52] = struct.pack("<HHIIIIIHHHHHH", 2, 62, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        return data
    source.write_bytes(change(source.read_bytes()))
    report = diagnosis(socktune, source)
    assert report["executable"]["machine"] == "x32"
    assert obstacles(report) == {"x32"} and "from-outside" not in report["ids"]


@pytest.mark.parametrize("change", [
    lambda data: data[:10], lambda data: data[:64], lambda data: data[:100],
    lambda data: data[:4096], lambda data: data[:len(data) // 2],
    lambda data: data[:54] + bytes(2) + data[56:],  # e_phentsize
    lambda data: data[:56] + bytes(2) + data[58:],  # e_phnum
], ids=["head", "header", "segments", "page", "half", "size of headers", "no headers"])
def test_a_damaged_file(altered, socktune, rules, change):
    """What the kernel refuses to execute, or cannot execute whole. /bin/sh gets nothing of it."""
    path = altered(change)
    said = "neither a sound ELF executable nor a script"
    result = socktune("doctor", path)
    assert (result.returncode, result.stdout) == (126, "")
    assert said in result.stderr
    assert said in socktune("explain", "-c", rules, "--program", path, "--socket").stderr
    ways = [socktune("run", "-c", rules, *way, path) for way in ((), ("--supervise",))]
    try:
        ended = subprocess.run([path], check=False).returncode
        assert ended < 0, "ended by a signal"
        assert [way.returncode for way in ways] == [ended, ended]
    except OSError as error:
        assert error.errno == errno.ENOEXEC
        assert [(way.returncode, said in way.stderr) for way in ways] == [(126, True)] * 2


@pytest.mark.parametrize("by", ["itself", "a script"])
def test_run_gives_no_foreign_program_to_the_shell(altered, script, socktune, rules, by):
    """execvp(3) does so with all that the kernel does not know."""
    foreign = altered(lambda data: data[:18] + struct.pack("<H", 0x9999) + data[20:])  # e_machine
    path = foreign if by == "itself" else script(f"#!{foreign}\n")
    for way in ((), ("--supervise",)):
        result = socktune("run", "-c", rules, *way, path)
        assert (result.returncode, result.stdout) == (126, "")
        assert f"{foreign}: this kernel does not execute programs for machine 39321\n" in result.stderr


def test_a_process_whose_file_is_deleted(directory, start, socktune):
    path = directory / "program"
    shutil.copy(program("sleep"), path)
    one = start([path, "30"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe") == str(path), "execve()")
    path.unlink()
    report = json.loads(socktune("doctor", "--json", one.pid).stdout)
    assert [report["executable"][name] for name in ("path", "file")] == [str(path)] * 2


def test_programs_are_found_as_a_shell_finds_them(directory, socktune):
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (directory / name).mkdir()
        shutil.copy("/bin/true", directory / name / "command")
        (directory / name / "command").chmod(mode)
    environment = {"PATH": f"{directory}/none:{directory}/first:{directory}/second"}
    report = diagnosis(socktune, "command", env=environment)
    assert report["executable"]["path"] == f"{directory}/second/command"
    assert report["program"] == "command"
    environment["PATH"] = f"{directory}/first"
    assert socktune("doctor", "command", env=environment).returncode == 126
    result = socktune("doctor", "no-such-command")
    assert (result.returncode, result.stderr) == (
        127, "socktune doctor: no-such-command: no such program\n")
    assert socktune("doctor", directory).returncode == 126
    report = diagnosis(socktune, "./2", cwd=shutil.copy("/bin/true", directory / "2").parent)
    assert report["reachable"]


@pytest.mark.parametrize("arguments,status", [
    ([], 2), (["--nonsense", "a"], 2), (["--help"], 0), (["999999999"], 127)])
def test_usage(arguments, status, socktune):
    assert socktune("doctor", *arguments).returncode == status


# Rules.

TWO_RULES = """
rules = (
  { name = "mine";  match = { program = "true"; }; set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 60; }; },
  { name = "other"; match = { program = "false"; }; set = { TCP_NODELAY = true; }; }
);
"""


def test_the_rules_for_a_program(socktune, rule_file):
    path = rule_file(TWO_RULES)
    report = diagnosis(socktune, "true", "-c", path)
    assert report["rules"] == {"path": str(path), "total": 2, "active": [
        {"rule": "mine", "file": str(path), "line": 3, "options": ["SO_KEEPALIVE", "TCP_KEEPIDLE"],
         "missed": []}]}
    assert diagnosis(socktune, "true", env={"SOCKTUNE_RULES": str(path)})["rules"] == report["rules"]
    report = diagnosis(socktune, "cat", "-c", path)
    assert report["rules"]["active"] == [] and "no-rule-matches" in report["ids"]


def test_bad_rules_are_told_and_change_no_verdict(socktune, rule_file):
    path = rule_file("rules = ( { set = { SO_KEEPALIV = true; }; } );")
    report = diagnosis(socktune, "true", "-c", path)
    assert report["reachable"] and "bad-rules" in report["ids"]
    assert f"{path}:1: error:" in socktune("doctor", "-c", path, "true").stderr


# Processes.

PYTHON = "/usr/bin/python3"

SERVER = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
listener6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.bind(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
pair = socket.socketpair()
print("ready", *(s.getsockname()[1] for s in (listener, listener6, datagram, client)), flush=True)
time.sleep(60)
"""


def python(start, code, rules=None, **keywords):
    """Run Python code that prints "ready ..." when it is; returns (pid, the words behind)."""
    if not os.path.exists(PYTHON):
        pytest.skip(f"{PYTHON} is not there")
    one = start([PYTHON, "-c", code], rules, **keywords)
    one.until(lambda: one.output.startswith("ready") and one.output.endswith("\n")
              or one.output.startswith("skip"), "ready")
    if one.output.startswith("skip"):
        pytest.skip(one.output[5:].strip())
    return one.pid, one.output.split()[1:]


def test_a_process_with_the_library_and_its_sockets(start, socktune, compiled):
    pid, ports = python(start, SERVER, rules := compiled(RULES))
    report = diagnosis(socktune, pid)
    assert report["verdict"] == "libsocktune.so is loaded in it"
    assert report["process"]["loaded"] and report["reachable"]
    assert report["process"]["ld_preload"].endswith("libsocktune.so")
    assert report["rules"]["path"] == str(rules), "taken from the environment of the process"
    assert [rule["rule"] for rule in report["rules"]["active"]] == ["ttl"]
    listener, listener6, datagram, client = ports
    assert [(one["protocol"], one["state"], *one["local"].values(), *one["remote"].values())
            for one in report["sockets"]] == [
        ("tcp", "listen", "127.0.0.1", int(listener), "0.0.0.0", 0),
        ("tcp6", "listen", "::1", int(listener6), "::", 0),
        ("udp", "unconnected", "127.0.0.1", int(datagram), "0.0.0.0", 0),
        ("tcp", "established", "127.0.0.1", int(client), "127.0.0.1", int(listener))]
    assert report["other_sockets"] == 2
    for one in report["sockets"]:
        assert os.readlink(f"/proc/{pid}/fd/{one['fd']}").startswith("socket:")


def test_a_process_without_the_library(start, socktune):
    pid, _ = python(start, 'print("ready", flush=True); import time; time.sleep(60)')
    report = diagnosis(socktune, pid)
    assert report["verdict"] == "preloading reaches it once it is started again"
    assert "not-loaded" in report["ids"] and report["reachable"]
    assert report["executable"]["path"] == os.path.realpath(PYTHON)


def test_a_running_process_can_be_tuned_as_it_is(start, socktune, rule_file):
    """What doctor says instead of a new start is true."""
    pid, _ = python(start, "import socket, time\n"
                           "held = socket.create_server(('127.0.0.1', 0))\n"
                           "print('ready', flush=True)\ntime.sleep(60)")
    said = [one["text"] for one in diagnosis(socktune, pid)["findings"] if one["id"] == "apply"]
    assert len(said) == 1 and f"`socktune apply -c RULES {pid}`" in said[0]
    rules = rule_file("rules = ( { set = { SO_KEEPALIVE = true; }; } );")
    assert "SO_KEEPALIVE" in socktune("apply", "-c", rules, pid).stdout


def test_many_sockets(start, socktune):
    pid, _ = python(start, """
import socket, time
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(300)]
print("ready", flush=True)
time.sleep(60)""")
    assert len(diagnosis(socktune, pid)["sockets"]) == 300
    assert "and 288 more" in socktune("doctor", pid).stdout


def test_confinement_is_told(start, socktune):
    """An allow-all seccomp filter counts: what it lets pass is not looked at."""
    pid, _ = python(start, """
import ctypes, time
libc = ctypes.CDLL(None)
class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                ("k", ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]
allow = Filter(0x06, 0, 0, 0x7fff0000)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
if libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(Program(1, ctypes.pointer(allow)))) != 0:
    print("skip the kernel has no seccomp filters", flush=True)
print("ready", flush=True)
time.sleep(60)""")
    report = diagnosis(socktune, pid)
    assert report["process"]["seccomp"] == "filter" and report["process"]["no_new_privs"]
    assert {"seccomp", "no-new-privs"} <= report["ids"]
    assert report["reachable"]


def test_an_open_io_uring_is_told(start, socktune):
    pid, _ = python(start, """
import ctypes, time
parameters = ctypes.create_string_buffer(120)
if ctypes.CDLL(None).syscall(425, 1, parameters) < 0:  # io_uring_setup, on every machine
    print("skip the kernel lends no io_uring", flush=True)
print("ready", flush=True)
time.sleep(60)""")
    report = diagnosis(socktune, pid)
    assert report["process"]["io_uring"] and "io-uring-open" in report["ids"]


def test_a_preload_that_the_loader_ignored(start, socktune, directory):
    shutil.copy(PYTHON, directory / "python")
    pid, _ = python(start, 'print("ready", flush=True); import time; time.sleep(60)',
                    env={"LD_PRELOAD": f"{directory}/missing/libsocktune.so"},
                    stderr=subprocess.DEVNULL)
    assert "preload-ignored" in diagnosis(socktune, pid)["ids"]


def test_a_disabled_library(start, socktune, compiled):
    pid, _ = python(start, SERVER, compiled(RULES), env={"SOCKTUNE_DISABLE": "1"})
    assert "disabled" in diagnosis(socktune, pid)["ids"]


def test_a_file_replaced_since(start, socktune, directory):
    path = directory / "sleeper"
    shutil.copy(program("sleep"), path)
    one = start([path, "60"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe") == str(path), "executing")
    path.unlink()
    report = diagnosis(socktune, one.pid)
    assert "replaced" in report["ids"] and report["reachable"]
    assert report["executable"]["path"] == str(path)


def test_a_static_process(start, socktune, directory):
    path = build_c(directory / "probe", "gcc", ["-static", "-include", "unistd.h",
                                               "-Dreturn=return sleep(60),"])
    one = start([path])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe") == str(path), "executing")
    report = diagnosis(socktune, one.pid)
    assert obstacles(report) == {"static"}


def test_a_process_that_gained_privileges(start, socktune, directory):
    """Its auxiliary vector tells, whoever started it."""
    needs_root("a set-user-ID file")
    path = directory / "sleeper"
    shutil.copy(program("sleep"), path)
    path.chmod(0o4755)
    one = start([program("setpriv"), "--reuid", str(NOBODY), "--clear-groups", path, "60"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe") == str(path), "executing")
    assert obstacles(diagnosis(socktune, one.pid)) == {"secure"}


def jail_of(path, binary):
    """A root directory with a program and what it needs to start."""
    needed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    for file in [binary] + [word for word in needed.split() if word.startswith("/")]:
        target = path / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return path


def test_a_process_with_another_root(start, socktune, directory, build):
    needs_root("chroot")
    sleeper = program("sleep")
    jail = jail_of(directory / "jail", sleeper)
    one = start(["chroot", jail, sleeper, "60"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/root") == str(jail), "executing")
    report = diagnosis(socktune, one.pid)
    assert obstacles(report) == {"library-not-visible"} and report["process"]["other_mounts"]
    there = jail / str(build.library).lstrip("/")
    there.parent.mkdir(parents=True)
    shutil.copy(build.library, there)
    assert obstacles(diagnosis(socktune, one.pid)) == set()


def test_a_process_that_changed_its_root_itself(start, socktune, directory):
    """As haproxy and sshd do: their loader worked before that."""
    needs_root("chroot")
    pid, _ = python(start, f"""
import os, time
os.chroot({str(directory)!r})
print("ready", flush=True)
time.sleep(60)""")
    report = diagnosis(socktune, pid)
    assert report["process"]["other_mounts"] and obstacles(report) == set()


def test_other_namespaces(start, socktune):
    needs_root("namespaces")
    one = start([program("unshare"), "--mount", "--net", program("sleep"), "60"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe").endswith("sleep"), "executing")
    report = diagnosis(socktune, one.pid)
    assert report["process"]["other_network"] and report["process"]["other_mounts"]
    assert "network-namespace" in report["ids"] and report["reachable"]


def test_a_process_of_somebody_else(everybodys):
    result = everybodys(NOBODY, "doctor", "--json", os.getpid())
    report = json.loads(result.stdout)
    assert result.returncode == 1 and report["reachable"] is None
    assert "not-permitted" in {one["id"] for one in report["findings"]}


def test_a_zombie_has_no_program(socktune):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        kernel.until(lambda: " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii"),
                     "a zombie")
        assert obstacles(diagnosis(socktune, pid)) == {"no-program"}
    finally:
        os.waitpid(pid, 0)
    assert socktune("doctor", pid).returncode == 127


# What each way of applying the rules misses.

BY_RULES = """
rules = ( { match = { role = "accept"; remote = "10.0.0.0/8"; }; set = { TCP_KEEPCNT = 3; };
            force = { SO_KEEPALIVE = true; }; },
          { set = { transport = "mptcp"; SO_KEEPALIVE = true; }; } );
"""


def missed(report, way):
    return {limit["option"]: limit["certainty"] for rule in report["rules"]["active"]
            for limit in rule["missed"] if limit["by"] == way}


def test_what_each_way_misses(socktune, rule_file):
    report = diagnosis(socktune, "sh", "-c", rule_file(BY_RULES))
    assert missed(report, "supervise") == {"TCP_KEEPCNT": "depends", "SO_KEEPALIVE": "depends",
                                           "transport": "misses"}
    assert missed(report, "apply")["transport"] == "misses"
    assert missed(report, "preload") == {}


def test_check_and_explain_by(socktune, rule_file):
    rules = rule_file(BY_RULES)
    result = socktune("check", "--by", "supervise", rules)
    assert (f"{rules}:2: warning: by supervise, each of TCP_KEEPCNT and SO_KEEPALIVE is given to an "
            "accepted socket when") in result.stdout
    assert result.stdout.count("by supervise, ") == 2, result.stdout
    assert socktune("check", "--by", "nothing", rules).returncode == 2
    shown = json.loads(socktune("explain", "-c", rules, "-p", "x", "--connect", "10.0.0.1:80",
                                "--by", "supervise", "--json").stdout)
    assert [effect["option"] for effect in shown["options"]] == ["SO_KEEPALIVE"]
    assert [limit["option"] for limit in shown["missed"]] == ["transport"]


def test_arguments_decide_as_they_do_under_run(directory, socktune, rule_file):
    worker = directory / "worker.py"
    worker.write_text("#!/usr/bin/python3\nprint(1)\n", encoding="ascii")
    worker.chmod(0o755)
    rules = rule_file("""rules = ( { match = { program = "python3"; command = "*worker.py*"; };
                                    set = { TCP_KEEPCNT = 3; }; } );""")
    for command in ([worker], ["/usr/bin/python3", worker]):
        report = json.loads(socktune("doctor", "--json", "-c", rules, *command).stdout)
        assert len(report["rules"]["active"]) == 1, command
    assert not json.loads(socktune("doctor", "--json", "-c", rules, "/usr/bin/python3").stdout)[
        "rules"]["active"]


def test_a_supervised_process_is_recognised(build, start, rule_file, socktune):
    rules = rule_file('rules = ( { match = { role = "connect"; }; set = { TCP_SYNCNT = 3; }; } );')
    one = start([build.socktune, "run", "-c", rules, "--supervise", "sleep", "60"])
    one.until(lambda: os.readlink(f"/proc/{one.pid}/exe").endswith("sleep"), "the program")
    report = diagnosis(socktune, one.pid)
    assert "supervised" in [finding["id"] for finding in report["findings"]]
