# SPDX-License-Identifier: Apache-2.0
"""How near `otel_jb.overhead` comes to what probes add to the work of a server, with the error of either.

    .venv/bin/python -m benchmarks.estimate [--rounds N] [--seconds N] [--beside N ...] [--only N ...]

Root; g++. The SRS-like server runs with different work of its own and different calls, alone and beside processes that never sleep. In each turn it serves
with or without probes, as chance decides, and reads its CPU clock around its own work and around the probed calls. What it uses between rounds
is left out: a server that works longer sleeps less often, and on a busy machine what a sleep costs varies by more than probes cost. Before the turns the agent samples the server as it does where it has just begun to measure it; with probes, it samples no more.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from benchmarks.added_cpu import TARGET, Probes
from benchmarks.budgets import Serving, spinning
from tests.e2e.agent_process import TARGETS, Conversation


class Load(NamedTuple):
    """What the server does."""

    rounds: int  #: a second
    words: int  #: of its own memory that a round changes
    kilobytes: int  #: of such memory
    spare: int  #: calls of a round besides the three of a packet


LOADS = (
    Load(2_000, 2_000, 1_024, 30),
    Load(2_000, 2_000, 1_024, 0),
    Load(5_000, 4_000, 1_024, 0),
    Load(5_000, 200, 64, 0),
    Load(1_000, 2_000, 8_192, 0),
    Load(500, 500, 64, 0),
)
BESIDE = (0, 4, 10, 20)


class Turn(NamedTuple):
    """Microseconds of a round."""

    work: float  #: the server's own
    calls: float
    estimate: float = 0.0  #: of what probes cost

    @property
    def whole(self) -> float:
        return self.work + self.calls


class Compared(NamedTuple):
    """Microseconds of a round, each with its standard error."""

    added: tuple[float, float]
    to_work: tuple[float, float]  #: what of that the server's own work takes longer
    estimate: tuple[float, float]

    @property
    def ratio(self) -> tuple[float, float]:
        """Of the estimate to what was added."""
        ratio = self.estimate[0] / self.added[0]
        return ratio, abs(ratio) * (
            (self.added[1] / self.added[0]) ** 2 + (self.estimate[1] / self.estimate[0]) ** 2
        ) ** 0.5


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """With its standard error; without the fifth that is lowest and the one that is highest, in which others disturbed the machine most."""
    kept = sorted(values)[len(values) // 5 : len(values) - len(values) // 5]
    return fmean(kept), stdev(kept) / len(kept) ** 0.5


def _less(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return first[0] - second[0], (first[1] ** 2 + second[1] ** 2) ** 0.5


def compared(alone: Sequence[Turn], probed: Sequence[Turn]) -> Compared:
    """What the turns show."""
    return Compared(
        _less(_mean([t.whole for t in probed]), _mean([t.whole for t in alone])),
        _less(_mean([t.work for t in probed]), _mean([t.work for t in alone])),
        _mean([t.estimate for t in probed]),
    )


def _turn(said: Mapping[str, Any], spent_s: float = 0.0) -> Turn:
    rounds = said["rounds"]
    return Turn(said["work_ns"] / 1e3 / rounds, said["calls_ns"] / 1e3 / rounds, spent_s * 1e6 / rounds)


def measure(program: Path, load: Load, rounds: int, seconds: int) -> Compared:
    """One load, in turn."""
    serve = f"serve {load.rounds} {{}} {load.words} {load.spare} {load.kilobytes}"
    with Conversation(program) as server, closing(Probes(server.pid, "all")) as probes:
        serving = Serving(server, serve.format(1))
        probes.learn()
        serving.stop()
        found: tuple[list[Turn], list[Turn]] = [], []
        for _ in range(rounds):
            for with_probes in random.sample((False, True), 2):
                if not with_probes:
                    found[0].append(_turn(server.ask(serve.format(seconds))))
                    continue
                with probes.attached() as measuring:
                    measuring.govern()
                    before = measuring.spent_s(TARGET)
                    said = server.ask(serve.format(seconds))
                    measuring.govern()
                    found[1].append(_turn(said, measuring.spent_s(TARGET) - before))
        return compared(*found)


def _with_error(value: tuple[float, float], digits: int = 2) -> str:
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--beside", type=int, nargs="+", default=list(BESIDE), help="processes that never sleep")
    parser.add_argument("--only", type=int, nargs="+", default=list(range(len(LOADS))), help="numbers of loads, from 0")
    args = parser.parse_args()
    print(
        "| rounds/s | own work of a round | calls | beside | load | added, µs a round | of that to its own work | estimate | estimate / added |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "srs_like")
        subprocess.run(["g++", "-O2", "-pthread", "-o", program, TARGETS / "srs_like.cc"], check=True)
        for beside in args.beside:
            with spinning(beside):
                for load in (LOADS[each] for each in args.only):
                    found = measure(program, load, args.rounds, args.seconds)
                    print(
                        f"| {load.rounds:,} | {load.words:,} words of {load.kilobytes:,} KiB | {load.spare + 3} | {beside} | {os.getloadavg()[0]:.0f} "
                        f"| {_with_error(found.added)} | {_with_error(found.to_work)} | {_with_error(found.estimate)} | {_with_error(found.ratio)} |",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
