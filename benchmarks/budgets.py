# SPDX-License-Identifier: Apache-2.0
"""Overhead budgets on the SRS-like server: what the governor sheds under load, how soon, and when it comes back.

    .venv/bin/python -m benchmarks.budgets [--budget PERCENT ...] [--busy | --idle]

Root; g++. Three minutes for each kind of machine, with a server and an agent for each budget, started one after the other. A server runs under full load,
first without the agent, then with it; then its load falls to a twentieth. What the probes really cost is the difference of the CPU time of the server's probed calls.
A busy machine has twice as many processes that never sleep as processors.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent

BUDGETS = (1, 3, 5, 10)  #: percent of a CPU
ROUNDS, COMMAND = 2_000, "serve {} 1 2000 30 1024"  #: see tests/targets/srs_like.cc
FULL_S, LOW_S, WINDOW_S = 72, 45, 8
READY_S = 120.0  #: an agent that starts beside processes that never sleep needs longer than usual
WITHIN_S = 60.0
LEAST = 0.1  #: percent of a CPU: what costs less is not worth shedding
_STARTING = threading.Lock()  #: four agents that read files at once exceed the sandbox's limits on a busy machine
_FUNCTION = re.compile(r"([\w:~]+) \((\d+\.\d)%\)")


@dataclass(frozen=True)
class Shown:
    """What one budget led to. Shares are percent of a CPU."""

    budget: int
    busy: bool
    shed: tuple[tuple[str, float], ...]
    times: int  #: decisions to shed
    seconds: float | None  #: from the first probe on
    before: float  #: what the probes really cost until then
    after: float
    back_seconds: float | None  #: after the load has fallen; 0: tried again under full load
    back_times: int

    def failed(self) -> list[str]:
        """What of the goals is missed."""
        if not self.times and self.after <= self.budget:
            return []  # nothing had to be shed, nor to come back
        goals = {
            "not within a minute": self.seconds is not None and self.seconds <= WITHIN_S,
            "over the budget": self.after <= self.budget,
            "sheds what costs nothing": all(share >= LEAST for _, share in self.shed),
            "more than one step": self.times == 1 and self.back_times == 1,
            "not restored": self.back_seconds is not None,
        }
        return [what for what, met in goals.items() if not met]


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many processes that want a processor all the time."""
    every = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in every:
            each.kill()
            each.wait()


class Used(NamedTuple):
    """CPU time of the probed calls in a server's rounds.

    Its own work between them takes hardly longer with probes (at most 2 % of what they add, `benchmarks.estimate`), but its time follows the
    machine's speed, and that alone changes it by more than what stays costs with a small budget.
    """

    round_s: float  #: of one
    rate: float  #: rounds a second

    def more_than(self, alone: Used) -> float:
        """Percent of a CPU: what the calls of its rounds take more than they took then."""
        return 100 * (self.round_s - alone.round_s) * self.rate


class Serving:
    """A server under load until `stop`: one command of a second after the other."""

    def __init__(self, server: Conversation, command: str) -> None:
        self._server, self._command, self._ended = server, command, threading.Event()
        self._said: list[dict[str, float]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._said.append(self._server.ask(self._command))

    @property
    def seconds(self) -> int:
        """Those that are over."""
        return len(self._said)

    def used(self, begin: int, end: int | None = None) -> Used:
        """In these seconds; at least one of them."""
        said = self._said[begin : max(begin + 1, len(self._said) if end is None else end)]
        rounds = sum(each["rounds"] for each in said)
        used_ns = sum(each["calls_ns"] for each in said)
        return Used(used_ns / 1e9 / rounds, rounds / sum(each["seconds"] for each in said))

    def next(self, seconds: int) -> Used:
        """In so many whole seconds from now on."""
        begin = self.seconds + 1  # the one that has begun does not count
        while self.seconds < begin + seconds:
            time.sleep(0.1)
        return self.used(begin, begin + seconds)

    def stop(self) -> None:
        """After the second that has begun."""
        self._ended.set()
        self._thread.join()


def lines(measuring: AgentProcess, what: str) -> list[str]:
    """What the agent has decided."""
    return [line for line in measuring.log().splitlines() if f"{what} of srs_like" in line]


def named(measuring: AgentProcess, what: str) -> dict[str, float]:
    """The functions that such lines name, with the governor's estimates in percent of a CPU."""
    return {
        name: float(part) for line in lines(measuring, what) for name, part in _FUNCTION.findall(line.split(";")[0])
    }


def wait_for(measuring: AgentProcess, what: str, seconds: float, functions: Collection[str] = ()) -> float | None:
    """Seconds until the agent has decided so of these functions, by default of any; None where it does not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        found = named(measuring, what)
        if found and set(functions) <= found.keys():
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def measure(program: Path, budget: int, *, busy: bool) -> Shown:
    """One budget."""

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Conversation(program))
        options = ("--pid", str(server.pid), "--overhead-budget", f"{budget}%", "--interval", "1s")
        with _STARTING:
            full = Serving(server, COMMAND.format(ROUNDS))
            alone = full.next(WINDOW_S)
            measuring = stack.enter_context(agent(directory, *options, ready_within=READY_S))
        began = full.seconds + 1
        seconds = wait_for(measuring, "detached", WITHIN_S - 10)
        before = full.used(began, full.seconds).more_than(alone)
        after = full.next(WINDOW_S).more_than(alone)
        while full.seconds < FULL_S:
            time.sleep(0.1)
        full.stop()
        low = Serving(server, COMMAND.format(ROUNDS // 20))
        tried = bool(lines(measuring, "attached again"))
        back_s = 0.0 if tried else wait_for(measuring, "attached again", LOW_S - 2, named(measuring, "detached"))
        while low.seconds < LOW_S:
            time.sleep(0.1)
        low.stop()
        shed, back = lines(measuring, "detached"), lines(measuring, "attached again")
        found = named(measuring, "detached")
        return Shown(budget, busy, tuple(found.items()), len(shed), seconds, before, after, back_s, len(back))


def table(every: list[Shown]) -> str:
    """Markdown."""
    rows = [
        "| budget | machine | probes cost | shed, in percent of a CPU | after s | the rest costs | back after s | goals |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted(every, key=lambda one: (one.busy, one.budget)):
        shed = ", ".join(f"`{name.rsplit('::')[-1]}` {part:.1f}" for name, part in each.shed) or "nothing"
        seconds, back = ("–" if s is None else f"{s:.0f}" for s in (each.seconds, each.back_seconds))
        back = "before" if each.back_seconds == 0.0 else back
        rows.append(
            f"| {each.budget} % | {'busy' if each.busy else 'idle'} | {each.before:.1f} % | {shed} | {seconds} | {each.after:.1f} % "
            f"| {back} | {'; '.join(each.failed()) or 'met'} |"
        )
    return "\n".join(rows) + "\n"


def matrix(budgets: tuple[int, ...] = BUDGETS, kinds: tuple[bool, ...] = (False, True)) -> list[Shown]:
    """All of them; all budgets of a kind of machine at once."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        programs = []
        for budget in budgets:  # of a file each: probes of one are no matter to the others
            (directory := Path(name, str(budget))).mkdir()
            programs.append(directory / "srs_like")
            source = TARGETS / "srs_like.cc"
            subprocess.run(["g++", "-O2", "-pthread", "-o", programs[-1], source], check=True)
        for busy in kinds:
            with spinning(2 * (os.cpu_count() or 1) if busy else 0), ThreadPoolExecutor(len(budgets)) as pool:
                jobs = [
                    pool.submit(measure, program, budget, busy=busy)
                    for program, budget in zip(programs, budgets, strict=True)
                ]
                for job in jobs:
                    found.append(job.result())
                    print(found[-1], file=sys.stderr, flush=True)
    return found


def run(_rounds: int) -> str:
    """Measure, and the table of it."""
    return table(matrix())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, nargs="+", default=list(BUDGETS))
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--busy", dest="kinds", action="store_const", const=(True,), default=(False, True))
    kinds.add_argument("--idle", dest="kinds", action="store_const", const=(False,))
    args = parser.parse_args()
    print(table(matrix(tuple(args.budget), args.kinds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
