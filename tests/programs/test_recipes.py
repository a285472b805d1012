# SPDX-License-Identifier: MIT
"""The recipes of socktune(7), as far as they can run here: in root directories with glibc and with
musl, and with systemd's own checker."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from attached import Cgroup, mount_point, needs_attach
from clean_root import make_root, run_in
from conftest import BUILD, ROOT, needs_root, program
from test_install import SHOW

PAGE = (ROOT / "tools" / "socktune.7").read_text(encoding="utf-8")
RULES = 'program = "show"; rules = ( { set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 123; }; } );\n'


@pytest.fixture
def policy(compiled):
    return compiled(RULES)


@pytest.fixture(scope="module")
def minimal_system(tmp_path_factory):
    needs_root("runs in a chroot")
    root = make_root(tmp_path_factory.mktemp("system"), ["libconfig9"])
    build_show(root, "gcc")
    return root


@pytest.fixture
def glibc_root(directory, minimal_system):
    """A root directory with sh, coreutils and a program."""
    return shutil.copytree(minimal_system, directory / "root", symlinks=True)


def build_show(root, compiler):
    source = root / "tmp" / "show.c"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(SHOW, encoding="ascii")
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    subprocess.run([program(compiler), "-o", root / "usr/bin/show", source], check=True, timeout=60)


def dockerfile():
    """The lines of the page's Dockerfile: [(source, target)], {variable: value}."""
    copies = re.findall(r"^COPY (\S+) (\S+)$", PAGE, re.MULTILINE)
    variables = dict(re.findall(r"^ENV (\w+)=(\S+)$", PAGE, re.MULTILINE))
    assert len(copies) == 2 and set(variables) == {"LD_PRELOAD", "SOCKTUNE_RULES"}
    return copies, variables


def copy_into(root, policy):
    """Execute the COPY lines."""
    sources = {"libsocktune.so": BUILD / "libsocktune.so", "rules.policy": policy}
    for source, target in dockerfile()[0]:
        path = root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sources[source], path)


def read_only(root):
    """Only root may change the files below: the program runs as nobody."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def test_an_image_with_glibc(glibc_root, policy):
    copy_into(glibc_root, policy)
    read_only(glibc_root)
    assert run_in(glibc_root, "show").stdout != "64 123\n"
    done = run_in(glibc_root, "show", env=dockerfile()[1])
    assert (done.stdout, done.stderr) == ("64 123\n", "")
    rolled_back = run_in(glibc_root, "show", env={**dockerfile()[1], "SOCKTUNE_DISABLE": "1"})
    assert rolled_back.stdout != "64 123\n" and rolled_back.stderr == ""


@pytest.mark.slow
def test_a_pod_with_a_volume(glibc_root, policy):
    """The variables and the mount of the pod's specification."""
    variables = dict(re.findall(r"^  - { name: (\w+), value: (\S+) }$", PAGE, re.MULTILINE))
    mount, = re.findall(r"mountPath: (\S+), readOnly: true }$", PAGE, re.MULTILINE)
    assert set(variables) == {"LD_PRELOAD", "SOCKTUNE_RULES"}
    volume = glibc_root / mount.lstrip("/")
    volume.mkdir()
    shutil.copy(BUILD / "libsocktune.so", volume)
    shutil.copy(policy, volume / "rules.policy")
    read_only(glibc_root)
    done = run_in(glibc_root, "show", env=variables)
    assert (done.stdout, done.stderr) == ("64 123\n", "")


def test_an_image_with_musl(directory, policy):
    needs_root("runs in a chroot")
    root = directory / "root"
    build_show(root, "musl-gcc")
    interpreter = re.search(rb"/lib/ld-musl-\w+\.so\.1", (root / "usr/bin/show").read_bytes())
    if not interpreter:
        pytest.skip("musl-gcc makes no dynamic programs here")
    loader = pathlib.Path(interpreter[0].decode())
    (root / "lib").mkdir()
    shutil.copy(loader.resolve(), root / loader.relative_to("/"))
    copy_into(root, policy)
    done = run_in(root, "show", env=dockerfile()[1])
    assert (done.stdout, done.stderr) == ("64 123\n", "")


def test_every_program_of_a_machine(glibc_root):
    """Through /etc/ld.so.preload in the root directory only; removing the line undoes it."""
    (glibc_root / "usr/lib/socktune").mkdir(parents=True)
    shutil.copy(BUILD / "libsocktune.so", glibc_root / "usr/lib/socktune")
    shutil.copy(BUILD / "socktune-compile", glibc_root / "usr/lib/socktune")
    (glibc_root / "etc/socktune.d").mkdir()
    (glibc_root / "etc/socktune.d/show.conf").write_text(RULES, encoding="ascii")
    preload = glibc_root / "etc/ld.so.preload"
    preload.write_text("/usr/lib/socktune/libsocktune.so\n", encoding="ascii")
    done = run_in(glibc_root, "show")
    assert (done.stdout, done.stderr) == ("64 123\n", "")
    other = run_in(glibc_root, "sh", "-c", "echo $((1 + 1)); ls /etc/socktune.d")
    assert (other.stdout, other.stderr) == ("2\nshow.conf\n", "")
    preload.unlink()
    assert run_in(glibc_root, "show").stdout != "64 123\n"


@pytest.mark.parametrize("confinement", [
    "ProtectSystem=strict\nDynamicUser=yes", "SystemCallFilter=@system-service", "PrivateTmp=yes"])
def test_a_unit(socktune, rule_file, directory, confinement):
    """systemd accepts the drop-in together with options that confine the unit."""
    analyze = program("systemd-analyze")
    socktune("enable", "show", "-c", rule_file(RULES), "--root", directory)
    unit = directory / "etc/systemd/system/show.service"
    unit.write_text(f"[Service]\nExecStart=/bin/true\n{confinement}\n", encoding="ascii")
    done = subprocess.run([analyze, "verify", f"--root={directory}", "--recursive-errors=no",
                           "show.service"], check=False, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert "socktune.conf" not in done.stderr, done.stderr


def test_a_unit_that_is_attached(directory):
    """systemd accepts the line that attaches the rules at each start."""
    analyze = program("systemd-analyze")
    line, = re.findall(r"^ExecStartPost=.*$", PAGE, re.MULTILINE)
    units = directory / "etc/systemd/system"
    (units / "show.service.d").mkdir(parents=True)
    (units / "show.service").write_text("[Service]\nExecStart=/bin/true\n", encoding="ascii")
    (units / "show.service.d/socktune.conf").write_text(f"[Service]\n{line}\n", encoding="ascii")
    for path in ("bin/true", "usr/local/bin/socktune"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", directory / path)
    done = subprocess.run([analyze, "verify", f"--root={directory}", "--recursive-errors=no",
                           "show.service"], check=False, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert "socktune" not in done.stderr, done.stderr


def test_the_cgroup_of_a_container():
    """The command that finds the cgroup, with this process instead of the container's."""
    line, = re.findall(r"^cgroup=\$\((.*)\)$", PAGE, re.MULTILINE)
    command = re.sub(r"\$\(docker .*?\)", str(os.getpid()), line)
    assert command != line
    found = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True,
                           timeout=30).stdout
    lines = pathlib.Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    assert found.splitlines() == [one[3:] for one in lines if one.startswith("0::")]


def test_the_lines_for_apparmor(directory):
    """They are valid in a profile."""
    parser = program("apparmor_parser")
    rules, = re.findall(r"^(/usr/\S+/libsocktune\.so mr,\n(?:/.*\n)+)", PAGE, re.MULTILINE)
    profile = directory / "profile"
    profile.write_text(f"profile show /usr/bin/show {{\n{rules}}}\n", encoding="ascii")
    subprocess.run([parser, "--skip-kernel-load", "--skip-cache", profile], check=True, timeout=60)


def test_a_daemon_set():
    """Its container has its own cgroup namespace, and the node's hierarchy mounted over its view:
    the rules apply to a program in another container."""
    needs_root("makes namespaces")
    needs_attach()
    command, = re.findall(r"^    command: \[(.*)\]$", PAGE, re.MULTILINE)
    mount, = re.findall(r"name: cgroup, mountPath: (\S+) }", PAGE, re.MULTILINE)
    socktune, *words, pods = command.split(", ")
    assert (socktune, words) == ("socktune", ["attach", "-c", "/etc/socktune.d", "--cgroup"])
    with Cgroup() as container, Cgroup(suffix=pods.lstrip("/")) as pod, \
            tempfile.NamedTemporaryFile("w", suffix=".conf") as rules:
        rules.write('program = "python3"; ' + RULES[RULES.index("rules"):].replace("{ set", '{ match = { role = "connect"; }; set'))
        rules.flush()
        inside = (f'mount --bind {mount_point()} /mnt && umount -R {mount} && mount -t cgroup2 none {mount} && '
                  f'[ ! -e {mount}{pod.path} ] && mount --bind /mnt {mount} && umount /mnt && exec "$@"')
        container.attach(rules.name, "--cgroup", pod.path,
                         wrapper=container.entering("unshare", "-C", "-m", "sh", "-c", inside, "sh"))
        code = ("import socket; l = socket.create_server(('127.0.0.1', 0)); "
                "print(socket.create_connection(l.getsockname()).getsockopt(6, 4))")
        done = subprocess.run(pod.entering("/usr/bin/python3", "-c", code), check=False, capture_output=True,
                              text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("123\n", "")


def test_what_makes_a_seccomp_filter():
    """The page lists the unit settings by which `socktune enable` detects a filter; DynamicUser=
    implies one of them."""
    source = (ROOT / "tools/cli/unit_warnings.c").read_text(encoding="utf-8")
    known = set(re.findall(r'"(\w+)"', re.search(r"filters\[\] = \{(.*?)\};", source, re.DOTALL)[1]))
    text = PAGE.partition("makes such a filter:")[2].partition(".Pp")[0]
    assert set(re.findall(r"^\.Li (\w+)=", text, re.MULTILINE)) == known | {"DynamicUser"}
