#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs the experiments and writes the report.

    proof.py BUILD [NAME...]

Runs all experiments, or those that are named ("scale": all whose names begin with "scale-"), and
writes into BUILD/proof: report.md, NAME.csv, and the plots as SVG and PNG. Each experiment runs in
its own process, so failures and hangs do not affect the others. PROOF_UNDER is a prefix for their
commands, such as "chrt -f 10".
Exit status 1 if one failed, 2 if a name is unknown.
"""
import datetime
import importlib
import os
import pathlib
import pickle
import pkgutil
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
for place in ("", "../support", "../bench", "../link"):
    sys.path.insert(0, str((HERE / place).resolve()))

# pylint: disable=wrong-import-position
import document  # noqa: E402
import experiments  # noqa: E402
import machine  # noqa: E402
import plot  # noqa: E402
from document import Result  # noqa: E402
from experiment import Experiment  # noqa: E402


def subclasses(cls):
    for one in cls.__subclasses__():
        yield one
        yield from subclasses(one)


def all_experiments():
    """All experiments that have a name, in the order of the report."""
    for module in pkgutil.iter_modules(experiments.__path__):
        importlib.import_module(f"experiments.{module.name}")
    found = [one() for one in subclasses(Experiment) if one.name]
    names = [one.name for one in found]
    assert len(set(names)) == len(names), f"two experiments have the same name: {sorted(names)}"
    return sorted(found, key=lambda one: (one.order, one.name))


def run_here(experiment):
    """Run an experiment in this process; returns the Outcome."""
    # pylint: disable=import-outside-toplevel  # it asks for the build directory
    from lab import Lab, come_first
    come_first()
    with Lab() as lab:
        outcome = experiment.run(lab)
        outcome.rules = lab.rule_texts
        return outcome


def child(build, name, path):
    """The process of one experiment: writes the Outcome, or the reason for its failure, to
    `path`."""
    experiment, = (one for one in all_experiments() if one.name == name)
    try:
        answer = run_here(experiment)
    except Exception as error:  # pylint: disable=broad-exception-caught  # any exception is reported
        traceback.print_exc()
        answer = f"{type(error).__name__}: {str(error).strip()}"
    with open(path, "wb") as file:
        pickle.dump(answer, file)


def end(process):
    """End a child and all processes that it started."""
    for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def run_apart(build, experiment):
    """Run an experiment in a new process; returns the Result."""
    reasons = experiment.needs.missing(build)
    if reasons:
        return Result(experiment, "skipped", "; ".join(reasons))
    with tempfile.TemporaryDirectory(prefix="socktune-proof-") as directory:
        path = pathlib.Path(directory, "outcome")
        command = [*shlex.split(os.environ.get("PROOF_UNDER", "")), sys.executable, "-B", __file__,
                   str(build), "--into", str(path), experiment.name]
        begin = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True)
        try:
            process.wait(experiment.limit)
        except subprocess.TimeoutExpired:
            return Result(experiment, "failed", f"it was not done after {experiment.limit} s")
        finally:
            if process.poll() is None:
                end(process)
        seconds = time.monotonic() - begin
        if not path.exists():
            return Result(experiment, "failed", f"exit status {process.returncode}")
        answer = pickle.loads(path.read_bytes())
    if isinstance(answer, str):
        return Result(experiment, "failed", answer)
    return Result(experiment, "ran", outcome=answer, seconds=seconds)


def write(result, directory):
    """Write the files of one result; if a plot cannot be drawn, the result has failed."""
    if result.status != "ran":
        return
    path = directory / f"{result.experiment.name}.csv"
    path.write_text(document.csv_text(result.outcome), encoding="utf-8")
    try:
        for one in result.outcome.plots:
            plot.draw(one, directory)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        result.status, result.reason = "failed", str(error)


def summary_plot(results, directory):
    found = document.gains(results)
    if len(found) < 2:
        return None
    found.sort(key=lambda one: -one[1])
    summary = plot.Plot("summary", "Unmodified programs under a rule file",
                        xlabel="times better (log scale)", kind="ranking",
                        categories=tuple(what for what, _ in found),
                        series={"times better": [factor for _, factor in found]})
    plot.draw(summary, directory)
    return summary


def names_of(experiment):
    """The names that select it: its own, and its family's, the part before the "-"."""
    return {experiment.name, experiment.name.partition("-")[0]}


def main(build, names):
    known = all_experiments()
    unknown = set(names).difference(*map(names_of, known))
    if unknown:
        print(f"proof: no such experiment: {', '.join(sorted(unknown))}; there are: "
              f"{', '.join(one.name for one in known)}", file=sys.stderr)
        return 2
    chosen = [one for one in known if names_of(one) & set(names)] if names else known
    directory = build / "proof"
    directory.mkdir(exist_ok=True)
    begin, began = time.monotonic(), datetime.datetime.now(datetime.timezone.utc)
    results = []
    for one in chosen:
        print(f"{one.name}: {one.title}", flush=True)
        results.append(run_apart(build, one))
        write(results[-1], directory)
        last = results[-1]
        print(f"  {last.status} {last.reason or f'in {last.seconds:.0f} s'}", flush=True)
    programs = sorted({program for one in chosen for program in one.needs.programs} | {"gnuplot"})
    facts = [("date", f"{began:%Y-%m-%d %H:%M} UTC"),
             *machine.facts(build / "socktune", programs)]
    text = document.report(results, facts, time.monotonic() - begin,
                           summary_plot(results, directory))
    (directory / "report.md").write_text(text, encoding="utf-8")
    print(f"{directory / 'report.md'}")
    return 1 if any(one.status == "failed" for one in results) else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    # End all that was started, in any case.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    build_directory = pathlib.Path(sys.argv[1]).resolve()
    os.environ["SOCKTUNE_BUILD"] = str(build_directory)
    if sys.argv[2:3] == ["--into"]:
        child(build_directory, sys.argv[4], sys.argv[3])
    else:
        sys.exit(main(build_directory, sys.argv[2:]))
