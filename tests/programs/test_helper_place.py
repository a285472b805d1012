# SPDX-License-Identifier: MIT
"""Programs that register, commands that query, and socktuned agree on the paths of the helper's
sockets."""
import json
import os
import subprocess

import kernel
import pytest
import socktuned
from started import BUILD, preloaded

NOBODY = 65534
MACHINE = "/run/socktune"


def as_user(uid):
    """Keywords for Popen to start a program as another user; only root can."""
    return {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.mark.parametrize("environment, query", [
    ({"SOCKTUNE_HELPER": "h.sock"}, "query.sock"),
    ({"SOCKTUNE_HELPER": "./below/h.sock"}, "below/query.sock"),
    ({"SOCKTUNE_HELPER": "{directory}/below/h.sock", "XDG_RUNTIME_DIR": "{directory}"},
     "below/query.sock"),
    ({"XDG_RUNTIME_DIR": "{directory}"}, "socktune/query.sock"),
])
def test_all_look_in_the_same_place(start, socktune, compiled, directory, environment, query):
    if os.access(MACHINE, os.F_OK) and "SOCKTUNE_HELPER" not in environment:
        pytest.skip("a helper of the system runs here")
    environment = {name: text.format(directory=directory) for name, text in environment.items()}
    (directory / "below").mkdir(mode=0o777)
    for place in (directory, directory / "below"):
        place.chmod(0o777)
    where = {"cwd": directory, **as_user(NOBODY)}
    with subprocess.Popen([BUILD / "socktuned", "--foreground", "--interval", "1"],
                          env={**preloaded(None, None), **environment}, **where) as daemon:
        try:
            kernel.until((directory / query).exists, "socktuned listens")
            program = start(["/usr/bin/python3", "-c", socktuned.TALKER, "1", "127.0.0.1"],
                            compiled(socktuned.RULES), env=environment, stdin=subprocess.PIPE,
                            **where)
            program.until(lambda: program.output.endswith("\n"), "connections open")

            def seen():
                result = socktune("stats", "--json", env=environment, **where)
                return result.returncode == 0 and json.loads(result.stdout)["connections"]
            assert {one["program"] for one in kernel.until(seen, "a report")} == {"python3"}
        finally:
            daemon.terminate()
    assert daemon.returncode == 0 and not (directory / query).exists()


def test_a_path_that_no_socket_can_have():
    result = subprocess.run([BUILD / "socktuned", "--foreground"], capture_output=True, text=True,
                            env={**os.environ, "SOCKTUNE_HELPER": "/" + "x" * 200}, check=False,
                            timeout=30)
    assert result.returncode == 78 and "SOCKTUNE_HELPER" in result.stderr
