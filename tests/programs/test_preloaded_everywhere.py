# SPDX-License-Identifier: MIT
"""The library in /etc/ld.so.preload, which loads it into every program of a machine: the rule
compiler itself, set-user-ID programs, programs under a limit or a seccomp filter.

Each test runs in its own mount and PID namespace, with its own ld.so.preload and /etc/socktune.d.
All of its processes end with the namespace, after a minute at most. The machine's own files are
never changed."""
import os
import subprocess
import textwrap

import pytest
from conftest import BUILD, needs_root

RULES = """
rules = ( { name = "all"; match = { program = "%s"; }; set = { SO_KEEPALIVE = true; }; } );
"""

# In the namespace: bind-mount files over those of /etc, then run the script.
ENTER = r"""
set -e
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p "$HERE/cache" "$HERE/tmp" "$HERE/rules"
mount --bind "$HERE/cache" /var/cache
mkdir -p "$HERE/upper" "$HERE/work"
mount -t tmpfs none "$HERE/upper"
mkdir "$HERE/upper/up" "$HERE/upper/work"
mount -t overlay overlay -o lowerdir=/etc,upperdir="$HERE/upper/up",workdir="$HERE/upper/work" /etc
mkdir -p /etc/socktune.d
cp "$HERE"/rules/* /etc/socktune.d/ 2>/dev/null || true
mkdir -p /etc/made /etc/count
chmod 1777 /etc/count
cp "$HERE"/made/* /etc/made/
mount --bind "$HERE/tmp" /tmp
chmod 1777 /tmp
"""


@pytest.fixture
def machine(directory):
    """machine(script, rules=TEXT): runs a shell script in such a namespace; returns the result. The
    script switches the library on with `preload`, and counts compilers with `compilers`."""
    needs_root("to have an /etc/ld.so.preload of its own")
    # The private /tmp hides a build below it, so the needed files are copied to /etc.
    def run(script, rules=RULES % "perl"):
        (directory / "rules").mkdir(exist_ok=True)
        if rules is not None:
            (directory / "rules" / "a.conf").write_text(rules, encoding="utf-8")
        made = directory / "made"
        made.mkdir(exist_ok=True)
        for name in ("libsocktune.so", "socktune", "socktune-compile"):
            subprocess.run(["cp", BUILD / name, made], check=True)
        helpers = textwrap.dedent(r"""
            # A compiler that leaves a file for each run, and the most that ran at a time.
            mv /etc/made/socktune-compile /etc/made/real-compile
            cat >/etc/made/socktune-compile <<'END'
            #!/bin/bash
            : >"/etc/count/run.$$"
            : >"/etc/count/now.$$"
            set -- "$@" ; ls /etc/count | grep -c '^now' >"/etc/count/most.$$"
            /etc/made/real-compile "$@"
            status=$?
            rm -f "/etc/count/now.$$"
            exit $status
            END
            chmod 755 /etc/made/socktune-compile
            preload() { echo /etc/made/libsocktune.so >/etc/ld.so.preload; }
            off() { : >/etc/ld.so.preload; }
            compilers() { ls /etc/count | grep -c '^run' || true; }
            most() { cat /etc/count/most.* 2>/dev/null | sort -n | tail -n 1; }
            """)
        text = ENTER + helpers + textwrap.dedent(script)
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/bash", "-c", text],
            env={"HERE": str(directory), "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False)
    return run


STARTS = "for i in $(seq 20); do %s /bin/true; done\n"
AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups --"


@pytest.mark.parametrize("state", ["missing", "stale", "broken", "other version", "bad rules",
                                   "no compiler"])
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_a_policy_out_of_date_starts_few_compilers(machine, state, user):
    """Not one compiler per start, and no compiler that starts another one. One per user is
    expected; a second one for children of the shell that started before the first had finished."""
    change = {
        "missing": "rm -rf /var/cache/socktune",
        "stale": "/bin/true; touch /etc/socktune.d/b.conf; sleep 0.05; echo '' >>/etc/socktune.d/a.conf",
        "broken": "/bin/true; for f in /var/cache/socktune/*; do echo junk >$f; done",
        "other version": "/bin/true; for f in /var/cache/socktune/*; do printf '\\377' | "
                         "dd of=$f bs=1 seek=8 conv=notrunc status=none; done",
        "bad rules": "echo 'rules = = ;' >/etc/socktune.d/z.conf",
        "no compiler": "rm /etc/made/socktune-compile",
    }[state]
    starter = "" if user == "root" else AS_NOBODY
    result = machine("preload\n" + change + "\nrm -f /etc/count/*\n" + STARTS % starter
                     + 'off\necho "compilers=$(compilers) most=$(most)"\n')
    assert result.returncode == 0, result.stderr
    values = dict(word.split("=") for word in result.stdout.split())
    expected = 0 if state == "no compiler" else 2
    assert int(values["compilers"]) <= expected, result.stdout
    assert values["most"] in ("", "1"), result.stdout


def test_compilers_come_one_at_a_time(machine):
    """Thirty programs start at the same time after a change."""
    result = machine("""
        preload
        /bin/true
        echo '' >>/etc/socktune.d/a.conf
        rm -f /etc/count/*
        for i in $(seq 30); do /bin/true & done
        wait
        off
        echo "compilers=$(compilers) most=$(most)"
        """)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "compilers=1 most=1\n"


def test_the_command_works_whatever_the_policy(machine):
    """`socktune compile` repairs a machine whose policy is damaged, and is never tuned itself."""
    result = machine("""
        preload
        mkdir -p /var/cache/socktune
        echo 'rules = ( { name = "all"; set = { SO_KEEPALIVE = true; }; } );' >/etc/socktune.d/a.conf
        SOCKTUNE_TRACE=stderr SOCKTUNE_DISABLE=0 /etc/made/socktune compile /etc/socktune.d
        ls /etc/socktune.d.policy
        """)
    assert (result.returncode, result.stdout) == (0, "/etc/socktune.d.policy\n"), result.stderr
    assert "socktune[" not in result.stderr.replace(" bash:", "").replace(" ls:", "") or \
        "socktune: " not in result.stderr


def test_the_error_of_one_file_is_told_once(machine):
    """One wrong file: the machine's programs keep the last good rules, and their standard error
    stays empty."""
    result = machine("""
        preload
        /bin/true
        echo 'rules = ( { set = { TCP_FROB = 1; }; } );' >/etc/socktune.d/z.conf
        for i in $(seq 10); do /bin/true; done
        SOCKTUNE_TRACE=stderr perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0)'
        """)
    lines = result.stderr.splitlines()
    assert len([line for line in lines if "TCP_FROB" in line]) == 1, lines
    assert any("SO_KEEPALIVE" in line and line.endswith(": set") for line in lines), lines


SET_USER_ID = r"""
    cat >/etc/made/show.c <<'END'
    #include <stdlib.h>
    #include <unistd.h>
    int main(void) {
        if (setuid(0) != 0) return 9;
        execl("/usr/bin/env", "env", (char *)0);
        return 8;
    }
    END
    gcc -o /etc/made/show /etc/made/show.c
    chmod 4755 /etc/made/show
    echo '* * * * * root true' >/dev/null
    preload
"""


def test_a_set_user_id_program_passes_nothing_on(machine):
    """A program that it executes as real root has no AT_SECURE any more: SOCKTUNE_* must have been
    removed."""
    result = machine(SET_USER_ID + r"""
    rules=$(printf '/etc/socktune.d/\n* * * * * root id >/evil\n')
    """ + AS_NOBODY + r""" env SOCKTUNE_TRACE=/etc/count/evil SOCKTUNE_RULES="$rules" \
        SOCKTUNE_STRICT=1 SOCKTUNE_HELPER=/tmp/h OTHER=kept /etc/made/show
    ls -ln /etc/count | grep evil || true
    """)
    assert result.returncode == 0, result.stderr
    assert "OTHER=kept" in result.stdout
    assert "SOCKTUNE_" not in result.stdout, result.stdout


def test_a_set_user_id_program_leaves_its_callers_sockets_alone(machine):
    """Neither passed sockets are tuned, nor those of rules with `inherited`. The same program
    without the bit is the control."""
    result = machine(r"""
    mkdir /etc/made/plain
    echo 'int main(void) { return 0; }' | gcc -x c -o /etc/made/show -
    cp /etc/made/show /etc/made/plain/show
    chmod 4755 /etc/made/show
    preload
    /bin/true
    """ + AS_NOBODY + r""" /usr/bin/python3 -c '
import socket, subprocess
with socket.create_server(("127.0.0.1", 0)) as sock:
    for path in ("/etc/made/show", "/etc/made/plain/show"):
        subprocess.run([path], stdin=sock, pass_fds=[sock.fileno()], check=True)
        print(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))'
    """, rules="""rules = ( { inherited = true; match = { program = "show"; };
                              set = { SO_KEEPALIVE = true; }; } );""")
    assert (result.returncode, result.stdout.split()) == (0, ["0", "1"]), result.stderr


def test_what_is_traced_cannot_break_a_line(machine):
    result = machine(r"""
    preload
    dir=$(printf '/tmp/x\n* * * * * root id\n\033[2J\342\200\256')
    mkdir "$dir"
    echo 'rules = ( { name = "n\nm"; set = { SO_KEEPALIVE = true; }; } );' >"$dir/r.conf"
    SOCKTUNE_RULES="$dir/r.conf" SOCKTUNE_TRACE=/tmp/trace perl -e 'use Socket;
        socket(S, PF_INET, SOCK_STREAM, 0)'
    (exec -a "$(printf 'p\nq\033')" env SOCKTUNE_RULES=/none SOCKTUNE_TRACE=/tmp/trace \
        /bin/true)
    cat /tmp/trace
    """)
    lines = result.stdout.splitlines()
    assert lines and all(line.startswith("socktune[") for line in lines), lines
    assert r"\x0a* * * * * root id\x0a\x1b[2J\xe2\x80\xae" in result.stdout
    for text in (result.stdout, result.stderr):
        assert "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize("what", ["fifo", "link", "directory", "other's"])
def test_a_trace_file_that_is_no_file_of_ours(machine, what):
    """It is neither waited for, nor followed, nor written to."""
    make = {"fifo": "mkfifo /tmp/t", "link": "echo -n precious >/etc/count/v; ln -s /etc/count/v /tmp/t",
            "directory": "mkdir /tmp/t", "other's": "touch /tmp/t; chown 65534 /tmp/t"}[what]
    result = machine(f"""
    preload
    {make}
    SOCKTUNE_TRACE=/tmp/t timeout 10 perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); print 1'
    echo " $?"
    [ ! -e /etc/count/v ] || cat /etc/count/v
    [ -p /tmp/t ] || [ -d /tmp/t ] || wc -c </tmp/t
    """)
    assert result.stdout.startswith("1 0\n"), (result.stdout, result.stderr)
    if what == "link":
        assert "precious" in result.stdout
    if what == "other's":
        assert result.stdout.endswith("0\n")


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_limit_on_the_size_of_files(machine, blocks):
    """No SIGXFSZ because of the trace, the compiler's output, or the cache."""
    result = machine(f"""
    preload
    echo x >/tmp/t
    echo '' >>/etc/socktune.d/a.conf
    (ulimit -f {blocks}; SOCKTUNE_TRACE=/tmp/t perl -e 'use Socket;
        socket(S, PF_INET, SOCK_STREAM, 0); print "alive\\n"')
    echo $?
    """)
    assert result.stdout == "alive\n0\n", (result.stdout, result.stderr)


def test_standard_error_that_is_a_socket(machine):
    """inetd: descriptor 2 is the peer's connection, which must get no message; the journal may get
    one."""
    result = machine(r"""
    preload
    echo 'rules = = ;' >/tmp/bad.conf
    cat >/tmp/peer.py <<'END'
    import os, socket, subprocess, sys
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    for journal in ("", f"{status.st_dev}:{status.st_ino}"):
        subprocess.run(["/bin/true"], stderr=theirs, env={"SOCKTUNE_RULES": "/tmp/bad.conf",
            "SOCKTUNE_TRACE": "stderr", "JOURNAL_STREAM": journal})
        ours.setblocking(False)
        try:
            print("read", len(ours.recv(9999)) > 0)
        except BlockingIOError:
            print("nothing")
    END
    off; preload
    /usr/bin/python3 /tmp/peer.py
    """)
    assert result.stdout == "nothing\nread True\n", (result.stdout, result.stderr)


def test_a_private_rule_directory(machine):
    """Rules that only root can read apply to all users, through the policy that root's programs
    cached."""
    result = machine("""
    chmod 700 /etc/socktune.d
    preload
    /bin/true
    """ + AS_NOBODY + """ env SOCKTUNE_TRACE=stderr perl -e 'use Socket;
        socket(S, PF_INET, SOCK_STREAM, 0)'
    """)
    assert "SO_KEEPALIVE" in result.stderr and ": set" in result.stderr, result.stderr


def test_a_cache_that_somebody_else_made_first(machine):
    """A cache directory of another user is not used; the program is tuned."""
    result = machine("""
    mkdir -m 777 /tmp/.socktune-65534
    chown 1000 /tmp/.socktune-65534
    rm -rf /var/cache/socktune
    echo /etc/made/libsocktune.so >/etc/made/list
    for i in 1 2; do
    """ + AS_NOBODY + """ env LD_PRELOAD=/etc/made/libsocktune.so SOCKTUNE_TRACE=stderr perl -e 'use Socket;
        socket(S, PF_INET, SOCK_STREAM, 0)'
    done
    ls /tmp/.socktune-65534
    """)
    assert result.stderr.count("SO_KEEPALIVE") == 2, result.stderr
    assert result.stdout == ""
