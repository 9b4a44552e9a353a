# SPDX-License-Identifier: Apache-2.0
"""What probes add to the CPU time of a server under load, and what the agent estimates that they add.

    .venv/bin/python -m benchmarks.added_cpu PID [--detail default all] [--rounds N] [--seconds N] [--empty]

Root, Linux 6.6. The server and its traffic are yours: start both before, the traffic as steady as it can be. In each round the process runs once
without probes and once with those of each detail, in an order that chance decides, and its own CPU clock is read. The probes are the agent's, attached by its
own modules within this process; there is no governor. Before the rounds the agent samples the process as it does where it has just begun to
measure it; in the rounds, which are to show what probes cost and nothing else, it does not. Between turns only the links go and come: a machine's own speed
changes by more within seconds than probes take, so many short turns tell what few long ones do not. `--empty` has further turns with programs that do nothing at the same instructions: what these add
is the kernel's part, which no tool with these probes can avoid.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from math import isnan, nan, sqrt
from os import getloadavg
from statistics import mean, median, stdev
from typing import NamedTuple

from benchmarks.agent_cpu import cpu_ns
from benchmarks.floor import Floor
from benchmarks.switched import Links
from otel_jb.agent.governor import Governor
from otel_jb.agent.measuring import Measuring
from otel_jb.config.model import Config, Detail, Overhead, Slow, TargetSelector
from otel_jb.model.plan import EndStrategy
from otel_jb.planner.changes import Found
from otel_jb.planner.targets import Discovery
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector

SETTLE_S = 0.25  #: after probes came or went
LEARN_S = 20  #: for which the process is measured, and sampled, before the first round
LONGEST_LEARN_S = 120  #: the same where the agent goes on sampling it, as few samples are in hits
TARGET = 1
ALONE = ""  #: what a turn without probes is called


class Turn(NamedTuple):
    """Shares of one CPU, the process's and the estimate's, and calls a second."""

    probed: float
    estimate: float = nan
    calls: float = nan


class Round(NamedTuple):
    """A turn, and the process's share of a CPU without probes in the same round."""

    alone: float
    probed: float
    estimate: float
    calls: float


class _Backend(BpfBackend):
    """One that samples only as long as it is let."""

    samples = True
    asked = False  #: to sample, since somebody set this to False

    def sample_hits(self, target_id: int) -> bool:
        self.asked = True
        return self.samples and super().sample_hits(target_id)


class Probes:
    """The agent's probes for one process: attached once, and taken away until they are wanted."""

    def __init__(self, pid: int, detail: str) -> None:
        config = Config(targets=(TargetSelector(pid=pid),), detail=Detail(detail), overhead=Overhead(budget=None))
        self._stack = ExitStack()
        inspector = self._stack.enter_context(closing(Inspector()))
        self._backend = self._stack.enter_context(
            closing(
                _Backend(
                    KernelOptions(
                        [int(bound) for bound in config.histogram.boundaries],
                        threshold_ns=lambda probe: _threshold(config.slow, probe.function, probe.role),
                    )
                )
            )
        )
        # Without pauses, as there is no time for them: the same samples come within a minute that the agent takes some minutes for.
        self._measuring = Measuring(config, self._backend, [], Governor(None, samples=True, pauses=False))
        self._links, self._empty = (self._stack.enter_context(closing(Links())) for _ in range(2))
        discovery = Discovery(config, inspector)
        (self.found,) = discovery.first()
        cost = self._backend.measure_cost()
        print({kind: f"{each * 1e9:.0f} ns" for kind, each in cost.seconds_by_kind}, file=sys.stderr)
        discovery.planner.use_costs(cost)
        self._measuring.use_costs(cost, [])
        planner, process = discovery.planner, self.found.process
        # As the agent does: what was planned before the costs were known is priced again.
        self._plan = planner.priced_again(process, planner.plan_process(process, named=True), named=True)
        target = replace(self.found.target, id=TARGET)
        with self._links.recorded():
            self._measuring.attach(Found(self.found.process, target, self._plan, alone=True))

    def learn(self) -> None:
        """Have the agent sample the process, and take the probes away."""
        for second in range(LONGEST_LEARN_S):
            self._backend.asked = False
            self._measuring.govern()
            if second >= LEARN_S and not self._backend.asked:
                break
            time.sleep(1)
        self._backend.samples = False
        self._links.take_away()

    @contextmanager
    def attached(self) -> Iterator[Measuring]:
        """With the probes."""
        self._links.put_back()
        try:
            yield self._measuring
        finally:
            self._links.take_away()

    @property
    def attaches(self) -> str:
        """How many functions, at how many instructions."""
        sites = sum(len(probe.sites) for probe in self._plan.probes)
        return f"{len(self._plan.probes)} functions, {sites} sites"

    def calls(self) -> int:
        """Entries so far."""
        return sum(self._backend.entries().values())

    def place_empty(self, floor: Floor) -> None:
        """Have programs that do nothing ready for the places of the agent's."""
        points = {
            (probe.file, probe.strategy is EndStrategy.URETPROBE and at > 0, site.offset)
            for probe in self._plan.probes
            for at, site in enumerate(probe.sites)
        }
        with self._empty.recorded():
            self._stack.enter_context(floor.points(sorted(points), self.found.process.pid))
        self._empty.take_away()

    @contextmanager
    def empty(self) -> Iterator[None]:
        """With programs that do nothing, where the agent's would be."""
        self._empty.put_back()
        try:
            yield
        finally:
            self._empty.take_away()

    def close(self) -> None:
        """End everything."""
        self._stack.close()


def _threshold(slow: Slow, function: str, role: str) -> int | None:
    threshold = slow.of(function, role)
    return threshold.ns if threshold is not None else None


def share(pid: int, seconds: float) -> float:
    """The share of a CPU that a process uses for so long."""
    time.sleep(SETTLE_S)
    began, before = time.monotonic(), cpu_ns(pid)
    time.sleep(seconds)
    return (cpu_ns(pid) - before) / 1e9 / (time.monotonic() - began)


def probed(pid: int, probes: Probes, seconds: float) -> Turn:
    """With the agent's probes."""
    with probes.attached() as measuring:
        time.sleep(SETTLE_S)
        measuring.govern()
        began, calls, before, estimated = time.monotonic(), probes.calls(), cpu_ns(pid), measuring.spent_s(TARGET)
        until = began + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1))
            measuring.govern()
        spent, elapsed = cpu_ns(pid) - before, time.monotonic() - began
        return Turn(
            spent / 1e9 / elapsed,
            (measuring.spent_s(TARGET) - estimated) / elapsed,
            (probes.calls() - calls) / elapsed,
        )


def with_empty(pid: int, probes: Probes, seconds: float) -> Turn:
    """With empty programs in the places of the agent's: there is no estimate, and nobody counts."""
    with probes.empty():
        return Turn(share(pid, seconds))


def measure(pid: int, details: Sequence[str], rounds: int, seconds: float, *, empty: bool) -> dict[str, list[Round]]:
    """All ways in turn, by what they are called."""
    with ExitStack() as stack:
        floor = stack.enter_context(closing(Floor()))
        ways: dict[str, Callable[[], Turn]] = {ALONE: lambda: Turn(share(pid, seconds))}
        for detail in details:
            probes = stack.enter_context(closing(Probes(pid, detail)))
            probes.learn()
            ways[f"{detail}: {probes.attaches}"] = partial(probed, pid, probes, seconds)
            if empty:
                probes.place_empty(floor)
                ways[f"{detail}, empty programs"] = partial(with_empty, pid, probes, seconds)
        found: dict[str, list[Round]] = {name: [] for name in ways if name != ALONE}
        for _ in range(rounds):
            turns = {name: ways[name]() for name in random.sample([*ways], len(ways))}
            alone = turns.pop(ALONE).probed
            for name, turn in turns.items():
                found[name].append(Round(alone, *turn))
    return found


def table(found: Mapping[str, Sequence[Round]]) -> str:
    """Markdown: a row for each way. What was added is the mean of the differences within a round, with its standard error."""
    lines = [
        "| attached | calls/s | server alone, % of a CPU | added, % of a CPU | added, % of its own | by medians | estimate, % of a CPU | estimate / added |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rounds in found.items():
        alone = mean(r.alone for r in rounds)
        differences = [r.probed - r.alone for r in rounds]
        added, error = mean(differences), stdev(differences) / sqrt(len(differences))
        middle = median(differences) / median(r.alone for r in rounds)
        calls, estimate = mean(r.calls for r in rounds), mean(r.estimate for r in rounds)
        told = "– | " if isnan(calls) else f"{calls:,.0f} | "
        right = "– | –" if isnan(estimate) else f"{estimate * 100:.2f} | {estimate / added:.2f}"
        lines.append(
            f"| {name} | {told}{alone * 100:.2f} | {added * 100:.2f} ± {error * 100:.2f} | {added / alone:.1%} ± {error / alone:.1%} | {middle:.1%} | {right} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pid", type=int)
    parser.add_argument("--detail", choices=("default", "all"), nargs="+", default=["default"])
    parser.add_argument("--rounds", type=int, default=60, help="at least 2")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--empty", action="store_true")
    args = parser.parse_args()
    print(f"{args.rounds} rounds, load at the start {' '.join(f'{each:.1f}' for each in getloadavg())}\n")
    print(table(measure(args.pid, args.detail, args.rounds, args.seconds, empty=args.empty)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
