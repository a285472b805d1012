# SPDX-License-Identifier: MIT
"""socktune enable, disable and library: units of systemd under rules."""
import os
import shlex
import shutil
import subprocess

import pytest
from conftest import BUILD, program

RULES = 'rules = ( { set = { SO_KEEPALIVE = true; TCP_KEEPIDLE = 123; }; } );\n'
DROP_IN = "etc/systemd/system/{}.d/socktune.conf"


@pytest.fixture
def rules(rule_file):
    return rule_file(RULES)


@pytest.fixture
def enable(socktune, rules, directory):
    """enable(unit, ...) -> (result, text of the drop-in)."""
    def run(unit, *arguments, **keywords):
        result = socktune("enable", unit, "-c", rules, "--root", directory, *arguments, **keywords)
        found = list(directory.glob("etc/systemd/system/*/socktune.conf"))
        return result, found[0].read_text(encoding="utf-8") if found else None
    return run


def environment_of(text):
    """As systemd reads the assignments of a drop-in."""
    lines = [line for line in text.splitlines() if line.startswith('Environment="')]
    return dict(line.removeprefix('Environment="').removesuffix('"').replace('\\\\"', '"')
                .replace("%%", "%").split("=", 1) for line in lines)


def test_a_unit_is_enabled_and_disabled(enable, socktune, directory, rules):
    result, text = enable("nginx")
    assert result.returncode == 0, result.stderr
    place = directory / DROP_IN.format("nginx.service")
    assert f"Wrote {place}." in result.stdout
    assert "    systemctl daemon-reload\n    systemctl restart nginx.service\n" in result.stdout
    assert "[Service]\n" in text
    assert environment_of(text) == {"LD_PRELOAD": str(BUILD / "libsocktune.so"),
                                    "SOCKTUNE_RULES": str(rules)}
    again, _ = enable("nginx.service")
    assert again.returncode == 0, "it may be enabled again"
    gone = socktune("disable", "nginx", "--root", directory)
    assert (gone.returncode, gone.stderr) == (0, "")
    assert f"Removed {place}." in gone.stdout and not place.parent.exists()
    missing = socktune("disable", "nginx", "--root", directory)
    assert missing.returncode == 1 and "nginx.service is not enabled" in missing.stderr


def test_other_drop_ins_stay(enable, socktune, directory):
    enable("nginx")
    other = directory / "etc/systemd/system/nginx.service.d/other.conf"
    other.write_text("[Service]\n", encoding="ascii")
    assert socktune("disable", "nginx", "--root", directory).returncode == 0
    assert other.exists() and not other.with_name("socktune.conf").exists()


def test_the_environment_works(enable, directory):
    """A program that gets the drop-in's environment is tuned."""
    _, text = enable("show")
    show = ("import socket; s = socket.socket(); "
            "print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))")
    done = subprocess.run([program("python3"), "-c", show], env=environment_of(text), check=True,
                          capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("123\n", "")


def test_systemd_accepts_it(enable, directory):
    analyze = program("systemd-analyze")
    unit = directory / "etc/systemd/system/show.service"
    enable("show")
    unit.write_text("[Service]\nExecStart=/bin/true\n", encoding="ascii")
    done = subprocess.run([analyze, "verify", f"--root={directory}", "--recursive-errors=no",
                           "show.service"], check=False, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert "socktune.conf" not in done.stderr, done.stderr


def test_paths_with_what_systemd_would_replace(socktune, directory):
    folder = directory / 'a %n "b'
    folder.mkdir()
    (folder / "rules.conf").write_text(RULES, encoding="ascii")
    result = socktune("enable", "x", "-c", folder / "rules.conf", "--dry-run")
    assert f"SOCKTUNE_RULES={directory}/a %%n \\\"b/rules.conf\"\n" in result.stdout


def test_nothing_is_written_under_wrong_rules(socktune, rule_file, directory):
    wrong = rule_file("rules = ( { set = { TCP_FROB = 1; }; } );")
    result = socktune("enable", "nginx", "-c", wrong, "--root", directory)
    assert result.returncode == 78 and "TCP_FROB" in result.stderr
    assert not (directory / "etc").exists()


@pytest.fixture
def systemd(directory, socktune, rules):
    """systemd(properties) -> enable(unit, ...): a stand-in for systemctl says what a unit has."""
    def know(*properties):
        stand_in = directory / "systemctl"
        lines = "\n".join(properties) or "LoadState=loaded"
        stand_in.write_text(f"#!/bin/sh\ncat <<'EOF'\n{lines}\nEOF\n", encoding="ascii")
        stand_in.chmod(0o755)

        def enable(unit="redis", *arguments):
            return socktune("enable", unit, "-c", rules, "-n", *arguments,
                            env={"PATH": f"{directory}:{os.environ['PATH']}"})
        return enable
    return know


def test_a_preload_of_the_unit_stays(systemd):
    """And of our own libraries only this one: the other may be an older one that is gone."""
    for before, preload in (("A=1 LD_PRELOAD=/usr/lib/libjemalloc.so \"B=c d\"", "/usr/lib/libjemalloc.so:"),
                            ("LD_PRELOAD=/old/libsocktune.so", ""),
                            ("LD_PRELOAD=/usr/$LIB/socktune/libsocktune.so:/a.so:/old/libsocktune.so", "/a.so:"),
                            ("OLD_PRELOAD=/x.so", "")):
        result = systemd("LoadState=loaded", f"Environment={before}")()
        assert f'"LD_PRELOAD={preload}{BUILD}/libsocktune.so"\n' in result.stdout, result


@pytest.mark.parametrize("properties, warning", [
    (["LoadState=not-found"], "systemd does not know a unit redis.service"),
    (["ProtectSystem=strict", "RestrictNamespaces=no", "LockPersonality=yes"],
     "redis.service starts under a seccomp filter (LockPersonality=): run `socktune compile {rules}` after"),
    (["SystemCallFilter=accept accept4"], "a seccomp filter (SystemCallFilter=)"),
    (["RootDirectory=/srv/root"], "redis.service runs in /srv/root (RootDirectory=)"),
    (["ExecStart={ path=/bin/sh ; argv[]=/bin/sh -c true ; ignore_errors=no }", "Environment="],
     "no rule is for /bin/sh, which redis.service starts"),
    (["ExecStart={ path=/bin/su ; argv[]=/bin/su - ; }", "User=nobody"], "/bin/su runs untuned: "),
])
def test_what_keeps_rules_from_a_unit(systemd, rule_file, properties, warning):
    rules = rule_file(RULES.replace("set =", 'match = { program = "redis-server"; }; set ='))
    result = systemd(*properties)()
    assert warning.format(rules=rules) in result.stderr and result.returncode == 0


def test_nothing_keeps_rules_from_a_unit(systemd, rule_file, directory):
    """Criteria on user and unit are compared with the unit's own."""
    os.rename(rule_file(RULES.replace("set =", 'match = { user = "daemon"; unit = "redis.service"; program = "sh"; };'
                                               ' set =')), directory / "rules.conf")
    (directory / "environment").write_text("# LD_PRELOAD=x\nA=LD_PRELOAD=y\n", encoding="ascii")
    properties = ["LoadState=loaded", "ExecStart={ path=/bin/sh ; argv[]=/bin/sh -c true ; }", "User=daemon",
                  "RootDirectory=", "PrivateDevices=no", f"EnvironmentFiles={directory}/environment (ignore_errors=no)"]
    enable = systemd(*properties)
    hidden = "a unit with ProtectHome= or PrivateTmp= does not see"
    assert [line for line in enable().stderr.splitlines() if hidden not in line] == []
    with open(directory / "environment", "a", encoding="ascii") as file:
        file.write(" LD_PRELOAD=/usr/lib/libjemalloc.so\n")
    assert f"{directory}/environment sets LD_PRELOAD, which overrides the drop-in" in enable().stderr


def test_a_unit_that_is_attached(enable, socktune, directory, rules):
    """systemd takes the line as it is meant, and a failure of it does not keep the unit from starting."""
    odd = directory / 'a %n $HOME "b'
    odd.mkdir()
    shutil.copy(rules, odd)
    result = socktune("enable", "show", "--by", "attach", "-c", odd / "rules.conf", "--root", directory)
    assert result.returncode == 0, result.stderr
    text = (directory / DROP_IN.format("show.service")).read_text(encoding="utf-8")
    words = shlex.split(text.split("ExecStartPost=")[1].replace("%%", "%").replace("$$", "$"))
    assert words == [f"-+{BUILD}/socktune", "attach", "-c", f"{odd}/rules.conf", "--unit", "%n", "--pin"]
    (directory / "etc/systemd/system/show.service").write_text("[Service]\nExecStart=/bin/true\n", encoding="ascii")
    analyze = program("systemd-analyze")
    for path in ("/bin/true", BUILD / "socktune"):
        (directory / str(path).lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", directory / str(path).lstrip("/"))
    done = subprocess.run([analyze, "verify", f"--root={directory}", "--recursive-errors=no",
                           "show.service"], check=False, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert "socktune" not in done.stderr, done.stderr
    for arguments in (["--by", "supervise"], ["--by", "attach", "--user"]):
        assert enable("x", *arguments)[0].returncode == 2


@pytest.mark.parametrize("name, unit, restart", [
    ("php8.2-fpm", "php8.2-fpm.service", "php8.2-fpm.service"), ("a.service", "a.service", "a.service"),
    ("getty@tty1", "getty@tty1.service", "getty@tty1.service"), ("a@", "a@.service", "'a@*.service'"),
    ("a@.service", "a@.service", "'a@*.service'")])
def test_names_of_units(enable, socktune, directory, name, unit, restart):
    result, _ = enable(name)
    assert (directory / DROP_IN.format(unit)).exists(), result
    assert f"systemctl restart {restart}\n" in result.stdout
    assert f"systemd does not know a unit {unit}\n" in result.stderr
    assert socktune("disable", name, "--root", directory).returncode == 0
    (directory / "lib/systemd/system").mkdir(parents=True)
    (directory / "lib/systemd/system" / unit.replace("tty1", "")).write_text("", encoding="ascii")
    assert "does not know" not in enable(name)[0].stderr


@pytest.mark.parametrize("kind", ["socket", "timer", "target", "slice", "mount"])
def test_a_unit_that_is_no_service(enable, directory, kind):
    """systemd ignores [Service] there, and nothing would be tuned."""
    result, text = enable(f"nginx.{kind}")
    assert result.returncode == 2 and f"nginx.{kind} is not a service" in result.stderr and text is None


def test_a_drop_in_of_somebody_else_stays(enable, socktune, directory):
    place = directory / DROP_IN.format("nginx.service")
    place.parent.mkdir(parents=True)
    place.write_text("[Service]\nEnvironment=A=1\n", encoding="ascii")
    refused, text = enable("nginx")
    assert refused.returncode == 1 and "not by `socktune enable`" in refused.stderr
    assert socktune("disable", "nginx", "--root", directory).returncode == 1
    assert text == place.read_text(encoding="ascii") == "[Service]\nEnvironment=A=1\n"


def test_rules_of_the_environment(socktune, rules, directory):
    """Those that are checked are those that the unit gets."""
    result = socktune("enable", "x", "-n", "--root", directory, env={"SOCKTUNE_RULES": str(rules)})
    assert f'"SOCKTUNE_RULES={rules}"\n' in result.stdout
    result = socktune("enable", "x", "-c", "-", "--root", directory, input="")
    assert result.returncode == 2 and "standard input" in result.stderr


@pytest.mark.parametrize("name", ["a/b", "../x", "-x", "", "a b", ".hidden"])
def test_what_is_no_unit(socktune, name, directory):
    for command in ("enable", "disable"):
        result = socktune(command, "--root", directory, "--", name)
        assert result.returncode == 2 and "is not a unit's name" in result.stderr


def test_units_of_a_user(socktune, rules, directory):
    home = {"HOME": str(directory), "XDG_CONFIG_HOME": ""}
    result = socktune("enable", "x", "--user", "-c", rules, env=home)
    assert result.returncode == 0, result.stderr
    assert (directory / ".config/systemd/user/x.service.d/socktune.conf").exists()
    assert "systemctl --user restart x.service" in result.stdout
    assert socktune("disable", "x", "--user", env=home).returncode == 0


# Library.

def test_library_is_what_ld_preload_needs(socktune, rules):
    for arguments in ([], ["--musl"], ["--arch", os.uname().machine]):
        result = socktune("library", *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        done = subprocess.run(
            [program("python3"), "-c", "import socket; print(socket.socket().getsockopt(6, 4))"],
            env={"LD_PRELOAD": result.stdout.strip(), "SOCKTUNE_RULES": str(rules)}, check=True,
            capture_output=True, text=True, timeout=30)
        assert (done.stdout, done.stderr) == ("123\n", "")


def test_library_of_another_architecture(build, socktune, directory):
    lonely = directory / "socktune"
    shutil.copy(build.socktune, lonely)
    shutil.copy(build.library, directory)
    command = [lonely, "library", "--arch", "i386"]
    missing = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert missing.returncode == 1 and "make i386" in missing.stderr
    (directory / "i386").mkdir()
    shutil.copy(build.library, directory / "i386")
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    assert found.stdout == f"{directory}/i386/libsocktune.so\n"
