# SPDX-License-Identifier: Apache-2.0
"""What one probed call costs: this agent against the kernel's own floor, bpftrace and funclatency, in interleaved rounds.

    .venv/bin/python -m benchmarks.probe_cost [--rounds N]

Root; gcc, bpftrace and bpfcc-tools. For each way a function can begin, built with and without -fcf-protection, the nanoseconds that
a call of it takes under each tool: the best of the rounds, and their median; ratios are of the best. The floor is an empty entry
program and an empty return program, attached as BCC does, but past `endbr64`. Empty programs at the agent's edge sites show what the kernel
takes of those.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.peers import bpftrace_histogram, funclatency
from otel_jb.catalog import load as load_catalog
from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.plan import EndStrategy, ProbePlan, Symbol, SymbolSource
from otel_jb.model.reads import SIGNED, Op, Outcome, ReadOp, ReadProgram
from otel_jb.model.stream import Target
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, FunctionMeaning, Options
from otel_jb.planner.planner import kernel_facts
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from tests import meanings
from tests.meanings import Known

HERE = Path(__file__).parent
CALLS = 300  #: of one batch: few enough that some batches run without being preempted
MEASURE_NS = 70e6  #: batches are called for this long, and at least this many:
BATCHES = 12
PLAIN = ("push", "mov", "sub")
EDGED = tuple(f"{name}_edge" for name in PLAIN)
BUILDS = {"no-cf-protection": "-fcf-protection=none", "cf-protection": "-fcf-protection=full"}
NONE, FLOOR, MULTI = "no probe", "floor: empty entry + return, perf events", "empty entry + return, multi links"
EMPTY_EDGES = "empty entry + edge sites, multi links"
BPFTRACE, FUNCLATENCY = "bpftrace `hist()`", "funclatency"
EDGES, RETURN, RETS = "otel-jb, edge sites", "otel-jb, uretprobe", "otel-jb, `ret` sites"

#: By build and function: what each tool's calls took, nanoseconds, a number a round.
Results = dict[tuple[str, str], dict[str, list[float]]]


@dataclass(frozen=True)
class Meaning(meanings.Meaning):
    """What a profile would say of `put(state, bytes, packet, length, result)`: the default metrics with bytes and drops."""

    profile: str = "benchmark"
    primary: bool = True
    program: ReadProgram = field(
        default_factory=lambda: ReadProgram(
            entry=(
                ReadOp(Op.EXT, dst=1, width=4),
                ReadOp(Op.BYTES, src=1),
                ReadOp(Op.END),
            ),
            end=(
                ReadOp(Op.EXT, dst=0, width=4 | SIGNED),
                ReadOp(Op.JGE, dst=0, imm=0, skip=1),
                ReadOp(Op.OUTCOME, imm=Outcome.DROP),
                ReadOp(Op.END),
            ),
        )
    )
    drop_reasons: tuple[str, ...] = ("error",)
    has_bytes: bool = True
    uses_return: bool = True
    argument_registers: frozenset[int] = frozenset({2})
    uretprobe: object | None = "a leaf"


def ffmpeg_meaning() -> FunctionMeaning:
    """What the shipped profile says of FFmpeg's ff_rtp_parse_packet: two to five reads a call, a depth, drops, duplicates."""
    name = "ff_rtp_parse_packet"
    symbol = Symbol(name, 0x1000, 64, SymbolSource.SYMTAB, name)
    return next(match.function for match in load_catalog().match(None, "ffmpeg", [symbol]))


class Program:
    """A running copy of `programs/prologues.c`, pinned to one processor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            ["nice", "-n", "-20", "taskset", "-c", "0", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._out.readline()
        self.pid = self._process.pid

    def ns_per_call(self, function: str) -> float:
        """Of the best of many short batches, the more the shorter they are."""
        first = self._best(function, 2)
        return min(first, self._best(function, max(BATCHES, int(MEASURE_NS / (first * CALLS)))))

    def _best(self, function: str, batches: int) -> float:
        self._in.write(f"{function} {CALLS} {min(batches, 1000)}\n")
        return float(self._out.readline())

    def close(self) -> None:
        """End it."""
        self._in.close()
        self._process.wait()


def build(directory: Path) -> dict[str, Path]:
    """The target, with and without -fcf-protection."""
    built = {name: directory / name for name in BUILDS}
    for name, path in built.items():
        subprocess.run(["gcc", "-O2", BUILDS[name], "-o", path, HERE / "programs" / "prologues.c"], check=True)
    return built


def plan_of(path: Path, functions: Sequence[str], strategy: EndStrategy, meaning: FunctionMeaning) -> ProbePlan:
    """The plan of these functions with this strategy; empty where it does not hold."""
    image = Image.from_file(str(path))
    symbols = [symbol for symbol in find(image, list(functions)) if symbol.name in functions]
    code = {c.address: c for c in analyse(image, [(s.address, s.size) for s in symbols], Names(image))}
    facts = FileFacts(str(path), image.build_id, [Known(symbol, meaning) for symbol in symbols], code)
    plan = make_plan([facts], kernel_facts(), Options(end_strategy=strategy))
    return ProbePlan(tuple(probe for probe in plan.probes if probe.strategy is strategy), plan.skipped)


@contextmanager
def attached(backend: BpfBackend, plan: ProbePlan, pid: int) -> Iterator[None]:
    """The agent's own backend, attached to one process."""
    backend.attach(Target(1, pid, 0, "prologues", "", None, "", "", 0), plan)
    try:
        yield
    finally:
        backend.detach(1)


def backend_of(kind: str) -> BpfBackend:
    """A backend with the default metrics and the default threshold."""
    return BpfBackend(KernelOptions(DEFAULT_BOUNDS_NS, links=kind, threshold_ns=lambda _: 10_000_000))


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


def starts_with(build: str, function: str) -> str:
    """How the function's code begins, and how it ends."""
    name = function.removesuffix("_edge")
    first = {"push": "push", "mov": "mov", "sub": "sub rsp"}[name]
    return f"`{'endbr64; ' if build == 'cf-protection' else ''}{first}`"


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
    return "\n\n".join([*texts, goals(results)]) + "\n"


def _cell(values: Mapping[str, list[float]], name: str) -> str:
    found = values.get(name)
    if not found:
        return ""
    ratio = "" if name in (NONE, FLOOR) else f" **{min(found) / min(values[FLOOR]):.2f}**"
    return f"{min(found):.0f} ({statistics.median(found):.0f}){ratio}"


def goals(results: Results) -> str:
    """Which of the goals were met in this measurement."""

    def ratio(column: tuple[str, str], name: str, base: str) -> float:
        return min(results[column][name]) / min(results[column][base])

    push, edge = ("no-cf-protection", "push"), ("no-cf-protection", "push_edge")
    endbr, endbr_edge = ("cf-protection", "push"), ("cf-protection", "push_edge")
    rows = [
        ("uretprobe / floor, `push`", ratio(push, RETURN, FLOOR), 1.10),
        ("uretprobe / floor, `endbr64; push`", ratio(endbr, RETURN, FLOOR), 1.10),
        ("edge sites / floor, `push`", ratio(edge, EDGES, FLOOR), 1.30),
        ("edge sites / floor, `endbr64; push`", ratio(endbr_edge, EDGES, FLOOR), 1.30),
        ("uretprobe / bpftrace, `push`", ratio(push, RETURN, BPFTRACE), 0.70),
        ("edge sites / bpftrace, `push`", ratio(edge, EDGES, BPFTRACE), 0.70),
        ("uretprobe / bpftrace, `endbr64; push`", ratio(endbr, RETURN, BPFTRACE), 0.10),
        ("edge sites / bpftrace, `endbr64; push`", ratio(endbr_edge, EDGES, BPFTRACE), 0.10),
    ]
    lines = ["| goal | measured | at most | |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {value:.3f} | {limit:.2f} | {'met' if value <= limit else 'missed'} |"
        for name, value, limit in rows
    ]
    lowest = min(results[endbr][FLOOR]) / min(results[endbr][BPFTRACE])
    lines += ["", f"On this machine the floor alone is {lowest:.3f} × bpftrace on `endbr64; push`."]
    return "\n".join(lines)


def run(rounds: int) -> str:
    """Build, measure, and the tables of it."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        programs = {name: Program(path) for name, path in build(Path(directory)).items()}
        for program in programs.values():
            stack.callback(program.close)
        return tables(measure(programs, rounds, lambda line: print(line, file=sys.stderr)))


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
