# SPDX-License-Identifier: MIT
"""`make proof`: the arithmetic, the report, the plots, and a fast experiment from end to end."""
import csv
import io
import math
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT, program

sys.path[:0] = [str(ROOT / "tests" / part) for part in ("proof", "link")]
# pylint: disable=wrong-import-position
import document  # noqa: E402
import link as emulator  # noqa: E402
import plot  # noqa: E402
import quantities  # noqa: E402
from document import Result  # noqa: E402
from experiments import marking, vanished  # noqa: E402
from experiment import Experiment, Figure, Needs, Outcome, Table  # noqa: E402

PROOF = ROOT / "tests" / "proof" / "proof.py"


def sample():
    """A figure of two variants, as a run would create it."""
    return Figure("time of a request", "s", {"without": [0.04, 0.042, 0.041],
                                             "TCP_NODELAY": [0.0002, 0.0001, 0.0003]})


class Sample(Experiment):
    name = "sample"
    title = "A sample"
    question = "Is it so?"


def outcome(**keywords):
    return Outcome([sample()], sentences=["It is so."], headline=sample(),
                   rules={"a.conf": "rules = ();"}, **keywords)


def test_the_spread_is_that_of_the_middle_half():
    assert quantities.spread([5.0]) == (5.0, 5.0, 5.0, 1)
    assert quantities.spread([1, 2, 3, 4, 100]) == (3, 2, 4, 5)
    assert quantities.spread([4, 1, 3, 2]) == (2.5, 1.75, 3.25, 4)
    assert quantities.spread([math.inf] * 3) == (math.inf, math.inf, math.inf, 3)
    assert quantities.spread([1, 2, math.inf]) == (2, 1.5, math.inf, 3)


def test_ratios_are_taken_run_by_run():
    assert quantities.ratios([2, 9], [1, 3]) == [2, 3]
    assert quantities.ratios([1, 0], [0, 0]) == [math.inf, 1]
    assert sample().ratio("TCP_NODELAY").median == pytest.approx(0.005)


def test_a_slope_is_that_of_the_closest_line():
    assert quantities.slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)


@pytest.mark.parametrize("number, unit, text", [
    (0.0412, "s", "41.2 ms"), (2.5e-6, "s", "2.50 us"), (60, "s", "60 s"), (0, "s", "0 s"),
    (math.inf, "s", "never"), (98.3e6, "bit/s", "98.3 Mbit/s"), (12345, "/s", "12.3 k/s"),
    (400, "/s", "400/s"), (5120, "B", "5 KiB"), (400, "", "400"), (1.5, "%", "1.50 %")])
def test_quantities_are_readable(number, unit, text):
    assert quantities.quantity(number, unit) == text


def test_the_report_has_figures_rules_sentences_and_what_did_not_run():
    results = [Result(Sample(), "ran", outcome=outcome(tables=[Table(("a", "b"), [("x|y", 1)])])),
               Result(Sample(), "skipped", "it needs root"), Result(Sample(), "failed", "no reply")]
    text = document.report(results, [("kernel", "Linux 6.18")], 3.2)
    assert "| [A sample](#a-sample): time of a request | 41 ms | 200 us |" in text
    assert ("| time of a request | 41 ms (40.5 ms to 41.5 ms) | 200 us (150 us to 250 us) | x0.00500 |"
            in text)
    assert "Of 3 experiments 1 ran, 1 failed and 1 were skipped; that took 3 s." in text
    assert "- skipped: sample: it needs root" in text
    assert "**Failed**: no reply" in text
    assert "`a.conf`:\n```\nrules = ();\n```" in text
    assert "- It is so." in text
    assert "| x\\|y | 1 |" in text
    assert "| kernel | Linux 6.18 |" in text


def test_the_csv_file_has_every_run():
    rows = list(csv.reader(io.StringIO(document.csv_text(outcome()))))
    assert rows[0] == ["figure", "unit", "variant", "run", "value"]
    assert rows[1] == ["time of a request", "s", "without", "1", "0.04"]
    assert len(rows) == 1 + 6


def test_the_first_figures_say_how_many_times_better():
    slower = Figure("requests", "/s", {"without": [100], "with": [50]}, more_is_better=True)
    never = Figure("noticed", "s", {"without": [math.inf], "with": [5]})
    results = [Result(Sample(), "ran", outcome=Outcome(headline=one))
               for one in (sample(), slower, never)] + [Result(Sample(), "failed", "no")]
    assert [factor for _, factor in document.gains(results)] == pytest.approx([205, 0.5])


def test_a_plot_of_lines_has_the_medians_and_quotes_texts():
    drawn = plot.script(plot.Plot("p", 'the "title"', xlabel="KiB", ylabel="ms", scale=1000,
                                  series={"a": [(1, [0.001, 0.002, 0.003]), (2, [math.inf])],
                                          "theory": [(1, [0.001])]},
                                  dashed=("theory",), logx=True))
    assert 'set title "the \\"title\\""' in drawn
    assert "$d0 << EOD\n1 2 1.5 2.5\n2 NaN NaN NaN\nEOD" in drawn
    assert "$d0 using 1:2:3:4 with yerrorlines" in drawn
    assert "$d1 using 1:2 with lines" in drawn
    assert "set logscale x" in drawn


def test_bars_stand_side_by_side():
    drawn = plot.script(plot.bars("p", "t", [sample()], "s"))
    assert "-0.2000 0.041 0.0405 0.0415" in drawn
    assert "0.2000 0.0002 0.00015 0.00025" in drawn
    assert 'set xtics ("time of a request" 0)' in drawn


@pytest.mark.parametrize("kind", ["bars", "ranking"])
def test_a_percent_sign_stays_one(kind):
    series = {"bars": {"a": [[1]]}, "ranking": {"a": [1]}}[kind]
    drawn = plot.script(plot.Plot("p", "t", kind=kind, series=series, categories=("1 % loss",)))
    assert '("1 %% loss" 0)' in drawn  # gnuplot uses a tick's text as a format


@pytest.mark.parametrize("kind", ["lines", "bars", "ranking"])
def test_gnuplot_draws_every_kind(directory, kind):
    program("gnuplot")
    series = {"lines": {"a b": [(1, [1, 2, 3]), (10, [4, 5, 6])]}, "bars": {"a_b": [[1, 2], [3]]},
              "ranking": {"x": [205, 0.5]}}[kind]
    plot.draw(plot.Plot("drawn", "50 % of {it}", "x", "y", kind, series, categories=("c_1", "d")),
              directory)
    assert (directory / "drawn.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert (directory / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_needs_tell_what_is_missing():
    assert Needs(programs=("sh",)).missing("/") == []
    assert Needs(programs=("no-such-program",), files=("no/such/file",)).missing("/") == [
        "no-such-program is not installed", "no/such/file is missing"]


def run_proof(directory, *names, timeout=100):
    """Run proof.py on a build directory of the test, which gets its own report."""
    here = directory / "build"
    here.mkdir()
    for one in ("libsocktune.so", "socktune", "socktuned", "tests"):
        (here / one).symlink_to(BUILD / one)
    done = subprocess.run(["/usr/bin/python3", "-B", PROOF, here, *names], capture_output=True,
                          text=True, timeout=timeout, check=False)
    return done, here / "proof"


@pytest.mark.slow
def test_an_experiment_from_end_to_end(directory):
    for one in ("redis-server", "redis-cli", "gnuplot"):
        program(one)
    done, proof = run_proof(directory, "defer_accept")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (proof / "report.md").read_text(encoding="utf-8")
    assert "Of 1 experiments 1 ran" in text
    assert "| descriptors that it holds for them | 200 | 0 | x0 |" in text
    assert "redis-server" in text and "processor" in text
    with open(proof / "defer_accept.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["variant"] for row in rows} == {"without", "TCP_DEFER_ACCEPT by a rule"}
    for kind in ("svg", "png"):
        assert (proof / f"defer_accept.{kind}").stat().st_size > 1000


def test_marks_are_seen_on_a_link(directory):
    if emulator.why_unavailable():
        pytest.skip(emulator.why_unavailable())
    program("curl")
    done, proof = run_proof(directory, "marking")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (proof / "report.md").read_text(encoding="utf-8")
    for family in ("IPv4", "IPv6"):
        for who, mark in (("curl", "AF21"), ("python3 -m http.server", "EF")):
            row, = (line for line in text.splitlines() if line.startswith(f"| {family}, {who} sends, DSCP"))
            without, tuned = row.split("|")[2:4]
            assert without.split()[0] == "CS0" and tuned.split()[0] == mark, row
            assert "," not in without + tuned, row


def test_the_dscp_of_a_packet():
    ipv4 = bytes([0x45, 0xB8]) + bytes(7) + bytes([6, 0, 0, 10, 0, 0, 1]) + bytes(24)
    ipv6 = bytes([0x64, 0x8F]) + bytes(4) + bytes([6, 64]) + bytes(15) + b"\1" + bytes(36)
    assert marking.fields(ipv4) == ("inet", 46, bytes([10, 0, 0, 1]))
    assert marking.fields(ipv6) == ("inet6", 18, bytes(15) + b"\1")
    assert marking.fields(ipv4[:9] + b"\x11" + ipv4[10:]) is None


def test_when_tcp_gives_up():
    # The value of ip-sysctl.rst for tcp_retries2 = 15.
    assert vanished.give_up_time(15) == pytest.approx(924.6)


def test_an_unknown_experiment_is_refused(directory):
    done, _ = run_proof(directory, "no-such")
    assert done.returncode == 2
    assert "no such experiment: no-such; there are: " in done.stderr
