# SPDX-License-Identifier: Apache-2.0
"""What one probed call costs: this agent against the kernel's own floor, bpftrace and funclatency, in interleaved rounds.

    .venv/bin/python -m benchmarks.probe_cost [--rounds N]

Root; gcc, bpftrace and bpfcc-tools. For each way a function can begin, built with and without -fcf-protection, the nanoseconds that
a call of it takes under each tool: the best of the rounds, and their median; ratios are of the best. The floor is an empty entry
program and an empty return program, attached as BCC does, but past `endbr64`. Empty programs at the agent's edge sites show what the kernel
takes of those. What the goals are about is measured in turn, too (`benchmarks.in_turn`), in five rounds, or in ten if there are more than two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks import in_turn
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
    NONE,
    RETS,
    RETURN,
    Meaning,
    Pinned,
    attached,
    backend_of,
    build,
    plan_of,
    starts_with,
)
from otel_jb.catalog import load as load_catalog
from otel_jb.model.plan import EndStrategy, Symbol, SymbolSource
from otel_jb.planner.inputs import FunctionMeaning
from otel_jb.probes.live import BpfBackend

CALLS = 300  #: of one batch: few enough that some batches run without being preempted
MEASURE_NS = 70e6  #: batches are called for this long, and at least this many:
BATCHES = 12
PLAIN = ("push", "mov", "sub")
EDGED = tuple(f"{name}_edge" for name in PLAIN)

#: By build and function: what each tool's calls took, nanoseconds, a number a round.
Results = dict[tuple[str, str], dict[str, list[float]]]


def ffmpeg_meaning() -> FunctionMeaning:
    """What the shipped profile says of FFmpeg's ff_rtp_parse_packet: two to five reads a call, a depth, drops, duplicates."""
    name = "ff_rtp_parse_packet"
    symbol = Symbol(name, 0x1000, 64, SymbolSource.SYMTAB, name)
    return next(match.function for match in load_catalog().match(None, "ffmpeg", [symbol]))


class Program(Pinned):
    """A running copy of `programs/prologues.c`."""

    def ns_per_call(self, function: str) -> float:
        """Of the best of many short batches, the more the shorter they are."""
        first = self._best(function, 2)
        return min(first, self._best(function, max(BATCHES, int(MEASURE_NS / (first * CALLS)))))

    def _best(self, function: str, batches: int) -> float:
        self._in.write(f"{function} {CALLS} {min(batches, 1000)}\n")
        return float(self._out.readline())


@dataclass(frozen=True)
class Tool:
    """A way to measure a set of functions."""

    name: str
    functions: tuple[str, ...]
    together: bool  #: one start for all functions: as expensive as one, where a start takes seconds
    attach: Callable[[Program, tuple[str, ...]], AbstractContextManager[object]]


def tools(stack: ExitStack) -> list[Tool]:
    """Every tool, in the order of the table."""
    floor = Floor()
    stack.callback(floor.close)
    multi, perf = backend_of("multi"), backend_of("perf")
    stack.callback(multi.close)
    stack.callback(perf.close)
    plain, ffmpeg = Meaning(), ffmpeg_meaning()

    def agent(
        backend: BpfBackend,
        strategy: EndStrategy,
        meaning: FunctionMeaning = plain,
        *,
        other_process: bool = False,
    ) -> Callable[[Program, tuple[str, ...]], AbstractContextManager[object]]:
        def attach(program: Program, functions: tuple[str, ...]) -> AbstractContextManager[object]:
            pid = os.getpid() if other_process else program.pid
            plan = plan_of(program.path, functions, strategy, meaning)
            return attached(backend, plan, pid)

        return attach

    def empty_edges(program: Program, functions: tuple[str, ...]) -> AbstractContextManager[object]:
        plan = plan_of(program.path, functions, EndStrategy.EDGE_SITES, plain)
        places = [(str(program.path), False, site.offset) for probe in plan.probes for site in probe.sites]
        return floor.points(sorted(places), program.pid)

    everything = PLAIN + EDGED
    edge, back, ret = EndStrategy.EDGE_SITES, EndStrategy.URETPROBE, EndStrategy.RET_SITES
    return [
        Tool(NONE, everything, True, lambda *_: nullcontext()),
        Tool(FLOOR, everything, False, lambda p, f: floor.attach(p.path, f[0], p.pid, "perf")),
        Tool(MULTI, everything, False, lambda p, f: floor.attach(p.path, f[0], p.pid, "multi")),
        Tool(EMPTY_EDGES, EDGED, False, empty_edges),
        Tool(EDGES, EDGED, False, agent(multi, edge)),
        Tool(RETURN, everything, False, agent(multi, back)),
        Tool(RETS, everything, False, agent(multi, ret)),
        Tool("otel-jb, edge sites, perf events", EDGED, False, agent(perf, edge)),
        Tool("otel-jb, uretprobe, perf events", everything, False, agent(perf, back)),
        Tool("otel-jb, edge sites, 3 functions and their nesting", EDGED, True, agent(multi, edge)),
        Tool("otel-jb, uretprobe, 6 functions and their nesting", everything, True, agent(multi, back)),
        Tool("otel-jb, edge sites, FFmpeg's read program", EDGED, False, agent(multi, edge, ffmpeg)),
        Tool("otel-jb, uretprobe, FFmpeg's read program", everything, False, agent(multi, back, ffmpeg)),
        Tool("otel-jb on another process of the file", everything, True, agent(multi, back, other_process=True)),
        Tool(BPFTRACE, everything, True, lambda p, f: bpftrace_histogram(p.path, f)),
        Tool(FUNCLATENCY, everything, True, lambda p, f: funclatency(p.path, f, p.pid)),
    ]


def measure(programs: Mapping[str, Program], rounds: int, show: Callable[[str], None]) -> Results:
    """Every function of every build under every tool, `rounds` times in turn."""
    results: Results = {(build, f): {} for build in programs for f in PLAIN + EDGED}
    with ExitStack() as stack:
        chosen = tools(stack)
        for number in range(rounds):
            for build, program in programs.items():
                for tool in chosen:
                    for functions in [tool.functions] if tool.together else [(f,) for f in tool.functions]:
                        with tool.attach(program, functions):
                            for function in functions:
                                each = results[build, function].setdefault(tool.name, [])
                                each.append(program.ns_per_call(function))
            show(f"round {number + 1} of {rounds}")
    return results


def tables(results: Results) -> str:
    """Markdown: one table for functions with an edge before their end, one for those without."""
    texts = []
    for title, functions in (("Functions with a branch before their end", EDGED), ("Functions without", PLAIN)):
        columns = [(build, function) for build in BUILDS for function in functions if (build, function) in results]
        names = [name for name in results[columns[0]] if any(results[column].get(name) for column in columns)]
        lines = [f"{title}: best ns per call (median), × the floor.", ""]
        lines += [
            "| | " + " | ".join(starts_with(*column) for column in columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name in names:
            lines.append(f"| {name} | " + " | ".join(_cell(results[column], name) for column in columns) + " |")
        texts.append("\n".join(lines))
    return "\n\n".join(texts)


def _cell(values: Mapping[str, list[float]], name: str) -> str:
    found = values.get(name)
    if not found:
        return ""
    ratio = "" if name in (NONE, FLOOR) else f" **{min(found) / min(values[FLOOR]):.2f}**"
    return f"{min(found):.0f} ({statistics.median(found):.0f}){ratio}"


def goals(results: Results, measured: in_turn.Measured) -> str:
    """Which of the goals were met in this measurement: by best times, by medians, and by what was measured in turn."""
    push, edge = ("no-cf-protection", "push"), ("no-cf-protection", "push_edge")
    endbr, endbr_edge = ("cf-protection", "push"), ("cf-protection", "push_edge")
    rows = [
        ("uretprobe / floor, `push`", push, RETURN, FLOOR, 1.10),
        ("uretprobe / floor, `endbr64; push`", endbr, RETURN, FLOOR, 1.10),
        ("edge sites / floor, `push`", edge, EDGES, FLOOR, 1.30),
        ("edge sites / floor, `endbr64; push`", endbr_edge, EDGES, FLOOR, 1.30),
        ("uretprobe / bpftrace, `push`", push, RETURN, BPFTRACE, 0.70),
        ("edge sites / bpftrace, `push`", edge, EDGES, BPFTRACE, 0.70),
        ("uretprobe / bpftrace, `endbr64; push`", endbr, RETURN, BPFTRACE, 0.10),
        ("edge sites / bpftrace, `endbr64; push`", endbr_edge, EDGES, BPFTRACE, 0.10),
    ]
    lines = ["| goal | at most | by best times | by medians | in turn |", "|---|---|---|---|---|"]
    for title, column, name, base, most in rows:
        found, others = results[column][name], results[column][base]
        side = in_turn.ratio(measured[column], name, base)
        best, median = min(found) / min(others), statistics.median(found) / statistics.median(others)
        values = ((f"{best:.3f}", best), (f"{median:.3f}", median), (f"{side}", side.mean))
        cells = [f"{text}, {'met' if value <= most else 'missed'}" for text, value in values]
        lines.append(f"| {title} | {most:.2f} | {' | '.join(cells)} |")
    lowest = in_turn.ratio(measured[endbr], FLOOR, BPFTRACE).mean
    lines += ["", f"On this machine the floor alone is {lowest:.3f} × bpftrace on `endbr64; push`."]
    return "\n".join(lines)


def run(rounds: int) -> str:
    """Build, measure, and the tables of it."""

    def show(line: str) -> None:
        print(line, file=sys.stderr)

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        files = build("prologues.c", Path(directory))
        programs = {name: stack.enter_context(closing(Program(path))) for name, path in files.items()}
        results = measure(programs, rounds, show)
    measured = in_turn.measure(in_turn.rounds_like(rounds), show)
    side = (
        "In turn, each tool on a copy of the function: best ns per call (median), × the floor with its standard error."
    )
    return "\n\n".join([tables(results), f"{side}\n\n{in_turn.table(measured)}", goals(results, measured)]) + "\n"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    began = time.monotonic()
    print(run(args.rounds))
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
