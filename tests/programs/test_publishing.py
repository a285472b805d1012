# SPDX-License-Identifier: MIT
"""The helper publishes new rules to running programs: which, when and to whom. The programs are
forged, so that the tests can read what is published, and let programs lie."""
import os
import pathlib
import subprocess
import time

import kernel
import pytest
import socktuned
from conftest import needs_root
from forger import LiveProgram, ROOM

RULES = 'live = true;\nrules = ( {{ name = "{}"; set = {{ TCP_NODELAY = true; }}; report = true; }} );\n'


@pytest.fixture
def helper():
    with socktuned.running(None) as one:
        yield one


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.conf"
    path.write_text(RULES.format("first"), encoding="ascii")
    return path


def register(helper, rules, **keywords):
    return LiveProgram(str(helper.directory / "helper.sock"), rules, **keywords)


def state(helper, program="forged"):
    found = [one["live"] for one in helper.get("/v1/processes").json["processes"]
             if one["program"] == program]
    return found[-1] if found else None


def until_state(helper, wanted, program="forged"):
    kernel.until(lambda: (state(helper, program) or {}).get("state") == wanted,
                 lambda: f"state {wanted}: {state(helper, program)}\n{helper.log()}")


def until_named(program, name):
    kernel.until(lambda: name.encode() in program.policy,
                 lambda: f"a policy with {name}: {program.policy}")


@pytest.fixture
def reload(socktune):
    """Run socktune reload: reload(helper, flag...)."""
    return lambda helper, *flags: socktune("reload", *flags, env=helper.environment)


def test_changed_rules_are_published(helper, rules):
    program = register(helper, rules)
    until_named(program, "first")
    until_state(helper, "waiting")
    program.answer(adopted=program.generation)
    until_state(helper, "current")
    first = program.generation
    rules.write_text(RULES.format("second"), encoding="ascii")
    until_named(program, "second")
    assert program.generation > first and program.generation % 2 == 0
    until_state(helper, "waiting")


def test_a_program_that_has_the_rules_is_given_none(helper, rules):
    program = register(helper, rules)
    until_named(program, "first")
    checksum = int.from_bytes(program.policy[16:24], "little")
    other = register(helper, rules, checksum=checksum, name="other")
    until_state(helper, "current", "other")
    assert other.generation == 0


def test_a_replaced_file_counts_as_changed(helper, rules):
    program = register(helper, rules)
    until_named(program, "first")
    new = rules.with_suffix(".new")
    new.write_text(RULES.format("second"), encoding="ascii")
    new.rename(rules)
    until_named(program, "second")


def test_files_of_a_directory_and_links_to_one(helper, tmp_path):
    releases = [tmp_path / name for name in ("one", "two")]
    for release in releases:
        release.mkdir()
        (release / "a.conf").write_text(RULES.format(release.name), encoding="ascii")
    link = tmp_path / "current"
    link.symlink_to(releases[0])
    program = register(helper, link)
    until_named(program, "one")
    (releases[0] / "b.conf").write_text(RULES.format("added"), encoding="ascii")
    until_named(program, "added")
    other = tmp_path / "other"
    other.symlink_to(releases[1])
    other.rename(link)
    until_named(program, "two")


def test_broken_rules_are_not_published(helper, reload, rules):
    program = register(helper, rules)
    until_named(program, "first")
    before = program.generation
    rules.write_text("rules = ( { set = { TCP_NODELAY = maybe; }; } );", encoding="ascii")
    until_state(helper, "broken")
    assert f"{rules}:1: " in state(helper)["error"]
    result = reload(helper)
    assert result.returncode == 1 and f"keeps its rules: {rules}:1: " in result.stdout
    assert helper.log().count("running programs keep their rules") == 1
    assert helper.status()["new_rules"] == {"published": 1, "broken": 1}
    assert program.generation == before
    rules.write_text(RULES.format("mended"), encoding="ascii")
    until_named(program, "mended")


def test_a_reload_tells_what_came_of_it(helper, reload, rules):
    nobody = reload(helper)
    assert nobody.returncode == 1 and "live = true" in nobody.stderr
    program = register(helper, rules)
    until_named(program, "first")
    waits = reload(helper)
    assert waits.returncode == 0
    assert waits.stdout == ("1 program takes new rules: 0 have the rules as they are, 1 takes them "
                            "with the next socket call.\n")
    program.answer(adopted=program.generation)
    assert reload(helper).stdout == "1 program takes new rules: 1 has the rules as they are.\n"
    rules.write_text(RULES.format("second"), encoding="ascii")
    assert reload(helper).returncode == 0  # without waiting for the helper's next check
    until_named(program, "second")
    program.answer(refused=program.generation, reason=2)
    refused = reload(helper)
    assert refused.returncode == 1 and "forged keeps its rules: the rules are too large" in refused.stdout


def test_a_storm_leaves_the_last_rules(helper, reload, rules):
    program = register(helper, rules)
    for i in range(100):
        rules.write_text(RULES.format(f"storm{i:03}"), encoding="ascii")
        if i % 10 == 0:
            reload(helper, "--json")
        time.sleep(0.002)
    until_named(program, "storm099")


def test_rules_that_do_not_fit_are_cut_to_the_program(helper, tmp_path):
    rules = tmp_path / "rules.conf"
    many = ", ".join(f'{{ name = "rule{i:04}"; match = {{ program = "{who}"; }}; set = {{ TCP_NODELAY = '
                     'true; }; }' for who in ("one", "two") for i in range(600 if who == "one" else 2))
    rules.write_text(f"live = true;\nrules = ( {many} );\n", encoding="ascii")
    one = register(helper, rules, name="one")
    two = register(helper, rules, name="two")
    until_named(two, "rule0001")
    assert len(two.policy) < ROOM / 8
    until_state(helper, "too_large", "one")
    assert one.generation == 0


def test_a_program_that_sees_other_files_gets_none(helper, rules):
    program = register(helper, rules, place=(1, 2), name="elsewhere")
    # In the helper's mount namespace the file was replaced after the start.
    until_named(program, "first")
    if os.geteuid() != 0:
        pytest.skip("needs root for a mount namespace")
    script = (f"import sys; sys.path[:0] = {[str(pathlib.Path(__file__).parents[1] / 'support')]!r}\n"
              "import forger, time\n"
              f"p = forger.LiveProgram({str(helper.directory / 'helper.sock')!r}, {str(rules)!r}, "
              "name='inside', place=(1, 2))\nprint('ready', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(["unshare", "-m", "/usr/bin/python3", "-c", script],
                          stdout=subprocess.PIPE) as inside:
        try:
            assert inside.stdout.readline() == b"ready\n"
            until_state(helper, "elsewhere", "inside")
        finally:
            inside.kill()


def test_rules_that_the_user_may_not_read(helper, tmp_path):
    needs_root("is another user")
    secret = tmp_path / "secret.conf"
    secret.write_text(RULES.format("secret"), encoding="ascii")
    secret.chmod(0o600)
    script = (f"import sys; sys.path[:0] = {[str(pathlib.Path(__file__).parents[1] / 'support')]!r}\n"
              "import forger, os, time\n"
              f"place = {(secret.stat().st_dev, secret.stat().st_ino)!r}\n"
              f"p = forger.LiveProgram({str(helper.directory / 'helper.sock')!r}, {str(secret)!r}, "
              "name='thief', place=place)\n"
              "time.sleep(1)\nprint(p.generation, flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(["/usr/bin/python3", "-c", script], stdout=subprocess.PIPE, user=4242,
                          group=4242, extra_groups=[]) as thief:
        try:
            assert thief.stdout.readline() == b"0\n"
            assert state(helper, "thief")["state"] in ("broken", "elsewhere")
        finally:
            thief.kill()


def test_a_program_that_scribbles_over_its_memory(helper, reload, rules):
    liar, honest = register(helper, rules, name="liar"), register(helper, rules, name="honest")
    until_named(liar, "first")
    for i in range(20):
        liar.memory[-ROOM - 192:] = os.urandom(ROOM + 192)
        rules.write_text(RULES.format(f"name{i:02}"), encoding="ascii")
        assert reload(helper, "--json").returncode in (0, 1)
    until_named(honest, "name19")
    assert helper.get("/healthz").text == "ok\n"


def test_no_watcher_is_left(helper, rules):
    program = register(helper, rules)
    until_named(program, "first")
    watchers = kernel.tree(helper.pid)
    helper.process.terminate()
    helper.process.wait(10)
    kernel.until(lambda: not any(kernel.alive(pid) for pid in watchers), "the end of the watcher")


def watcher_of(helper):
    watcher, = (pid for pid in kernel.tree(helper.pid)
                if "--watch" in pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="ascii"))
    return watcher


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_large_rules_that_change_all_the_time_cost_a_share_of_a_processor(helper, rules, reload):
    """The watcher runs in the helper's service, without the limits of its user."""
    rule = '{{ name = "{0}"; match = {{ program = "{0}"; }}; set = {{ TCP_NODELAY = true; }}; }}'
    large = "".join(f", {rule.format(i)}" for i in range(5000))
    program = register(helper, rules)
    until_named(program, "first")
    watcher = watcher_of(helper)
    spent, begin = processor_seconds(watcher), time.monotonic()
    for i in range(5):
        rules.write_text(RULES.format(f"name{i:02}").replace(" );", large + " );"), encoding="ascii")
        reload(helper, "--json")
    share = (processor_seconds(watcher) - spent) / (time.monotonic() - begin)
    assert share < 0.25
    rules.write_text(RULES.format("last"), encoding="ascii")
    until_named(program, "last")


def test_a_watcher_that_was_killed_is_started_again(helper, rules):
    program = register(helper, rules)
    until_named(program, "first")
    os.kill(watcher_of(helper), 9)
    rules.write_text(RULES.format("second"), encoding="ascii")
    until_named(program, "second")
