# SPDX-License-Identifier: MIT
"""socktune enable, disable and library: units of systemd under rules."""
import os
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


def test_a_preload_of_the_unit_stays(socktune, rules, directory):
    """systemctl says what the unit has already; a stand-in here."""
    (directory / "systemctl").write_text(
        "#!/bin/sh\necho LoadState=loaded\n"
        'echo \'Environment=A=1 LD_PRELOAD=/usr/lib/libjemalloc.so "B=c d"\'\n', encoding="ascii")
    (directory / "systemctl").chmod(0o755)
    path = {"PATH": f"{directory}:{os.environ['PATH']}"}
    result = socktune("enable", "redis", "-c", rules, "-n", env=path)
    assert f'LD_PRELOAD=/usr/lib/libjemalloc.so:{BUILD}/libsocktune.so"' in result.stdout
    (directory / "systemctl").write_text("#!/bin/sh\necho LoadState=not-found\n", encoding="ascii")
    result = socktune("enable", "redis", "-c", rules, "-n", env=path)
    assert result.returncode == 0 and "systemd does not know a unit redis.service" in result.stderr


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


# --- library --------------------------------------------------------------------------------------

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
