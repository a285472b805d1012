# SPDX-License-Identifier: MIT
"""
Measures the same calls under several preloads, in turn.

A sample is a preload and the timed calls. Each round measures all samples of a subject once, in
processes that exist side by side on one processor and take turns every fraction of a millisecond,
so disturbances affect all of them equally. Only numbers of the same round are compared.

Memory layout and the order of the processes change the figures by about a percent as long as a
process lives; so the processes are restarted several times, in random order.
"""
import os
import random
import subprocess
from collections import namedtuple

# A named preload, with its environment: pairs of (variable, value).
Variant = namedtuple("Variant", "name environment")

# What is timed: a variant, a subject of calls.c (or "start"), the index of the subject's number
# (for a start, 0 is time, 1 page faults), and how many options the program sets itself.
Sample = namedtuple("Sample", "variant subject phase own", defaults=(0, 0))

# How much a subject is sampled: rounds per process, and how often processes are started.
Effort = namedtuple("Effort", "rounds processes")


class Refused(Exception):
    """A variant under which the calls fail; the message says which and why."""


def last_processor():
    """The processor that probably serves the fewest interrupts."""
    return max(os.sched_getaffinity(0))


def keep_clear(processor):
    """Move this process off the measured processor, if there is another."""
    others = os.sched_getaffinity(0) - {processor}
    if others:
        os.sched_setaffinity(0, others)


def settle(pid, processor):
    """Pin a process, and protect it from preemption if permitted. Returns True if it was."""
    os.sched_setaffinity(pid, {processor})
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True


def enter_cgroup(variant):
    """In a new process: enter the cgroup that the variant names, before any socket is created."""
    cgroup = dict(variant.environment).get("BENCH_CGROUP")
    if cgroup:
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")


class Worker:
    """A process of calls.c under one variant, with the pipes for the baton."""

    def __init__(self, program, name, variant, processor, baton):
        self.variant = variant
        self.process = subprocess.Popen(
            [name, *map(str, baton)], executable=program, env=dict(variant.environment),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            bufsize=1, pass_fds=baton, preexec_fn=lambda: enter_cgroup(variant))
        settle(self.process.pid, processor)

    def order(self, words):
        try:
            self.process.stdin.write(words + "\n")
        except BrokenPipeError:
            pass  # the answer contains the error

    def answer(self):
        """The words of the answer; raises Refused."""
        answer = self.process.stdout.readline()
        if answer.startswith("error: ") or not answer:
            raise Refused(f"{self.variant.name}: {answer[7:].strip() or 'the program ended'}")
        return answer.split()

    def ask(self, words):
        self.order(words)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Ring:
    """
    Workers, one for each variant, that pass the baton in a circle; use it in a `with`. `name` is
    the program's argv[0].
    """

    def __init__(self, program, variants, processor, name):
        pipes = [os.pipe() for _ in variants]
        self.workers = [
            Worker(program, name, variant, processor, (pipes[i][0], pipes[(i + 1) % len(pipes)][1]))
            for i, variant in enumerate(variants)]
        os.write(pipes[0][1], b"\0")
        for end in sum(pipes, ()):
            os.close(end)

    def __enter__(self):
        return self.workers

    def __exit__(self, *exception):
        for worker in self.workers:
            worker.close()


class Bench:
    """The environment of measurements: calls.c for calls, and a program to start."""

    def __init__(self, build, program, processor):
        self.calls = os.path.join(build, "bench", "calls")
        self.starter = os.path.join(build, "bench", "start")
        self.program = program
        self.processor = processor

    def ring(self, variants, name="calls"):
        return Ring(self.calls, variants, self.processor, name)

    def measure(self, subject, samples, effort):
        """
        {sample: rows}, one row per process, with a number for each round: nanoseconds per call, or
        microseconds per start. Raises Refused.
        """
        samples = list(dict.fromkeys(samples))
        if subject == "start":
            return self._measure_starts(samples, effort)
        return self._measure_calls(samples, effort)

    def _measure_calls(self, samples, effort):
        orders = without_phases(samples)
        rows = {sample: [] for sample in samples}
        for _ in range(effort.processes):
            shuffled = random.sample(orders, len(orders))
            with self.ring([order.variant for order in shuffled]) as ring:
                for worker, order in zip(ring, shuffled):
                    worker.order(f"{order.subject} {effort.rounds} {order.own}")
                answers = {order: worker.answer() for worker, order in zip(ring, shuffled)}
            for sample in samples:
                numbers = answers[sample._replace(phase=0)]
                phases = len(numbers) // effort.rounds
                rows[sample].append([float(word) for word in numbers[sample.phase::phases]])
        return rows

    def _measure_starts(self, samples, effort):
        # Each number is from a new process: a row is one run of the starter.
        starts = without_phases(samples)
        environments = "".join(
            "\t".join(f"{name}={value}" for name, value in start.variant.environment) + "\n"
            for start in starts)
        rows = {sample: [] for sample in samples}
        for _ in range(effort.processes):
            table = self._run_starter(environments, effort.rounds)
            for sample in samples:
                column = 2 * starts.index(sample._replace(phase=0)) + sample.phase
                rows[sample].append([float(line[column]) for line in table])
        return rows

    def _run_starter(self, environments, rounds):
        starter = subprocess.Popen(
            [self.starter, str(rounds), self.program], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        settle(starter.pid, self.processor)
        output, errors = starter.communicate(environments)
        if starter.returncode != 0:
            raise Refused(errors.strip().splitlines()[-1])
        return [line.split() for line in output.splitlines()]


def without_phases(samples):
    """The samples to run: those that differ only in the phase come from one run."""
    return list(dict.fromkeys(sample._replace(phase=0) for sample in samples))
