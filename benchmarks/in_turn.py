# SPDX-License-Identifier: Apache-2.0
"""What one probed call costs, each tool on a copy of the function in one process, and the copies called in short turns.

    .venv/bin/python -m benchmarks.in_turn [--rounds N]

Root; gcc, bpftrace and bpfcc-tools. `benchmarks.probe_cost` measures one tool after another and takes the best times: a machine whose speed moves by a tenth
meanwhile decides what their ratio is. Here every turn calls each copy once, in batches of a fifth of a millisecond and in another order each time, so a turn's
ratios are of one moment. In each round each tool has another copy: where its code, tables and stack happen to lie makes some nanoseconds of a call, too.

A tool's ratio to the floor is the mean of its ratios in the rounds, with the standard error of that mean; a round's ratio is the median of those of its turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.peers import bpftrace_histogram, funclatency
from benchmarks.probed import (
    BPFTRACE,
    BUILDS,
    EDGES,
    EMPTY_EDGES,
    FLOOR,
    FUNCLATENCY,
    MULTI,
    RETURN,
    Meaning,
    Pinned,
    attached,
    backend_of,
    build,
    plan_of,
    starts_with,
)
from otel_jb.model.plan import EndStrategy
from otel_jb.probes.live import BpfBackend

MEASURE_MS = 2000  #: of one kind of function, in each round
#: By kind of function, the tools that have a copy each. As many rounds as there are tools give each of them each copy once.
TOOLS = {
    "push": (FLOOR, MULTI, RETURN, BPFTRACE, FUNCLATENCY),
    "push_edge": (FLOOR, EMPTY_EDGES, EDGES, BPFTRACE, FUNCLATENCY),
}

#: By tool: of each round, what a call took in each turn, nanoseconds. The turns of a round are those of all tools.
Times = Mapping[str, Sequence[Sequence[float]]]
#: By build and kind of function.
Measured = dict[tuple[str, str], dict[str, list[list[float]]]]


@dataclass(frozen=True)
class Ratio:
    """How often one tool's time contains another's."""

    mean: float
    error: float  #: the standard error of the mean; NaN of one round

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


def ratio(times: Times, name: str, base: str) -> Ratio:
    """Of what these tools took in the same turns."""
    rounds = [
        statistics.median(ours / theirs for ours, theirs in zip(mine, others, strict=True))
        for mine, others in zip(times[name], times[base], strict=True)
    ]
    error = statistics.stdev(rounds) / math.sqrt(len(rounds)) if len(rounds) > 1 else math.nan
    return Ratio(statistics.mean(rounds), error)


class Program(Pinned):
    """A running copy of `programs/in_turn.c`."""

    def turns(self, kind: str, copies: int, ms: int) -> list[list[float]]:
        """What a call took: a list of turns for each copy."""
        self._in.write(f"{kind} {copies} {ms}\n")
        turns = [[float(word) for word in line.split()] for line in iter(self._out.readline, "\n")]
        return [list(copy) for copy in zip(*turns, strict=True)]


@contextmanager
def _everything(
    program: Program, places: Mapping[str, Mapping[str, str]], floor: Floor, back: BpfBackend, edge: BpfBackend
) -> Iterator[None]:
    """All tools at once, each on its copy: `places` are the names of the copies, by kind and tool."""
    path, pid, meaning = program.path, program.pid, Meaning()
    straight, edged = places["push"], places["push_edge"]
    edges = plan_of(path, (edged[EMPTY_EDGES],), EndStrategy.EDGE_SITES, meaning)
    sites = sorted((str(path), False, site.offset) for probe in edges.probes for site in probe.sites)
    with (
        floor.attach(path, straight[FLOOR], pid, "perf"),
        floor.attach(path, edged[FLOOR], pid, "perf"),
        floor.attach(path, straight[MULTI], pid, "multi"),
        floor.points(sites, pid),
        attached(back, plan_of(path, (straight[RETURN],), EndStrategy.URETPROBE, meaning), pid),
        attached(edge, plan_of(path, (edged[EDGES],), EndStrategy.EDGE_SITES, meaning), pid),
        bpftrace_histogram(path, (straight[BPFTRACE], edged[BPFTRACE])),
        funclatency(path, (straight[FUNCLATENCY], edged[FUNCLATENCY]), pid),
    ):
        yield


def copies(number: int) -> dict[str, dict[str, int]]:
    """Which copy each tool has in a round, by kind of function."""
    return {kind: {name: (at + number) % len(names) for at, name in enumerate(names)} for kind, names in TOOLS.items()}


def rounds_like(rounds: int) -> int:
    """Rounds that take about as long as so many of `benchmarks.probe_cost`: as few as give each tool each copy once or twice."""
    return len(TOOLS["push"]) * (1 if rounds <= 2 else 2)


def measure(rounds: int, show: Callable[[str], None]) -> Measured:
    """Every tool, in so many rounds."""
    measured: Measured = {
        (built, kind): {name: [] for name in names} for built in BUILDS for kind, names in TOOLS.items()
    }
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        files = build("in_turn.c", Path(directory))
        programs = {name: stack.enter_context(closing(Program(path))) for name, path in files.items()}
        floor = stack.enter_context(closing(Floor()))
        back, edge = (stack.enter_context(closing(backend_of("multi"))) for _ in range(2))
        for number in range(rounds):
            places = copies(number)
            named = {kind: {name: f"{kind}_{at}" for name, at in each.items()} for kind, each in places.items()}
            for built, program in programs.items():
                with _everything(program, named, floor, back, edge):
                    for kind, each in places.items():
                        turns = program.turns(kind, len(each), MEASURE_MS)
                        for name, at in each.items():
                            measured[built, kind][name].append(turns[at])
            show(f"in turn, round {number + 1} of {rounds}")
    return measured


def table(measured: Mapping[tuple[str, str], Times]) -> str:
    """Markdown."""
    columns = list(measured)
    names = list(dict.fromkeys(name for column in columns for name in measured[column]))
    heads = [starts_with(*column) + (", a branch" if column[1] == "push_edge" else "") for column in columns]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(_cell(measured[column], name) for column in columns) + " |" for name in names]
    return "\n".join(lines)


def _cell(times: Times, name: str) -> str:
    if name not in times:
        return ""
    each = [ns for turns in times[name] for ns in turns]
    compared = "" if name == FLOOR else f" **{ratio(times, name, FLOOR)}**"
    return f"{min(each):.0f} ({statistics.median(each):.0f}){compared}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    print(table(measure(args.rounds, lambda line: print(line, file=sys.stderr))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
