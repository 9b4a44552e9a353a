"""What one probed call costs: this agent against the kernel's own floor, bpftrace and funclatency, in interleaved rounds.

    .venv/bin/python -m benchmarks.probe_cost [--rounds N] [--markdown FILE]

Root; gcc, bpftrace and bpfcc-tools. For each way a function can begin, built with and without -fcf-protection, the nanoseconds that
a call of it takes under each tool; best and median of the rounds, and the ratio to the floor (an empty entry program and an
empty return program, attached as BCC does).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.peers import bpftrace_histogram, funclatency
from otel_jb.discovery import kernel_facts
from otel_jb.elf.code import analyse
from otel_jb.elf.image import Image
from otel_jb.elf.names import Names
from otel_jb.elf.symbols import find
from otel_jb.kernel.backend import KernelOptions
from otel_jb.kernel.bpf import BpfBackend
from otel_jb.plan.choose import make_plan
from otel_jb.plan.inputs import FileFacts, Options
from otel_jb.records import (
    SIGNED,
    EndStrategy,
    Op,
    Outcome,
    ProbePlan,
    ReadOp,
    ReadProgram,
    Symbol,
    Target,
)

HERE = Path(__file__).parent
CALLS = 20_000
PLAIN = ("push", "endbr_push", "endbr_mov", "mov", "sub")
EDGED = tuple(f"{name}_edge" for name in PLAIN)
#: TELEMETRY.md's boundaries in nanoseconds.
BOUNDARIES = (
    *(int(b * s) for s in (1e3, 1e6) for b in (1, 2.5, 5, 10, 25, 50, 100, 250, 500)),
    *(1_000_000_000, 2_500_000_000, 5_000_000_000),
)


@dataclass(frozen=True)
class Meaning:
    """What a profile would say of `put(buffer, bytes, result)`: the default metrics with bytes and drops."""

    profile: str = "benchmark"
    role: str = "put"
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
    has_packets: bool = True
    has_bytes: bool = True
    has_depth: bool = False
    has_duplicates: bool = False
    error_return: tuple[tuple[int, int], ...] = ()
    return_width: int = 4
    return_signed: bool = True
    uses_return: bool = True
    argument_registers: frozenset[int] = frozenset({2})
    may_yield: bool = False
    throws: bool = False
    uretprobe: object | None = "a leaf"
    uretprobe_forbidden: str | None = None
    generic: bool = False
    attach_by_default: bool = True


@dataclass(frozen=True)
class Known:
    """A symbol and its meaning, as the catalogue would match them."""

    symbol: Symbol
    function: Meaning


class Program:
    """A running copy of `programs/prologues.c`, pinned to one processor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            ["taskset", "-c", "0", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._out.readline()
        self.pid = self._process.pid

    def ns_per_call(self, function: str, calls: int = CALLS) -> float:
        """Best of three rounds."""
        self._in.write(f"{function} {calls} 3\n")
        return float(self._out.readline())

    def close(self) -> None:
        """End it."""
        self._in.close()
        self._process.wait()


def build(directory: Path) -> dict[str, Path]:
    """The target, with and without -fcf-protection."""
    built = {}
    for name, flag in (("no-cf-protection", "-fcf-protection=none"), ("cf-protection", "-fcf-protection=full")):
        path = directory / name
        subprocess.run(["gcc", "-O2", flag, "-o", path, HERE / "programs" / "prologues.c"], check=True)
        built[name] = path
    return built


def plans(path: Path, function: str) -> dict[str, ProbePlan]:
    """The plan of one function for each strategy that holds."""
    image = Image.from_file(str(path))
    symbol = next(s for s in find(image, [function]) if s.name == function)
    code = {c.address: c for c in analyse(image, [(symbol.address, symbol.size)], Names(image))}
    facts = FileFacts(str(path), image.build_id, [Known(symbol, Meaning())], code)
    made = {}
    for strategy in (EndStrategy.EDGE_SITES, EndStrategy.URETPROBE, EndStrategy.RET_SITES):
        plan = make_plan([facts], kernel_facts(), Options(end_strategy=strategy))
        if plan.probes and plan.probes[0].strategy is strategy:
            made[strategy.value] = plan
    return made


@contextmanager
def agent(plan: ProbePlan, pid: int, links: str = "auto", **options: object) -> Iterator[BpfBackend]:
    """The agent's own backend, attached."""
    backend = BpfBackend(KernelOptions(BOUNDARIES, links=links, threshold_ns=lambda _: 10_000_000))
    try:
        if options.get("nest"):
            # Two probes of one target make calls that may be inside one another: what the trace of a slow call needs.
            plan = replace(plan, probes=(*plan.probes, plan.probes[0]))
        backend.attach(Target(1, pid, 0, "prologues", "", None, "", "", 0), plan)
        yield backend
    finally:
        backend.close()


def measure(program: Program, function: str, rounds: int, show: Callable[[str], None]) -> dict[str, list[float]]:
    """Nanoseconds per call of one function under each tool, `rounds` times in turn."""
    found = plans(program.path, function)
    floor = Floor()
    backends: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "no probe": _nothing,
        "floor (empty entry + return, perf)": lambda: floor.attach(program.path, function, program.pid, "perf"),
        "empty entry + return, multi": lambda: floor.attach(program.path, function, program.pid, "multi"),
    }
    for strategy, plan in found.items():
        backends[f"otel-jb {strategy}"] = partial(agent, plan, program.pid)
    if "uretprobe" in found:
        backends["otel-jb uretprobe, perf events"] = lambda: agent(found["uretprobe"], program.pid, "perf")
    backends["otel-jb, another process selected"] = lambda: agent(next(iter(found.values())), os.getpid())
    backends["bpftrace hist()"] = lambda: bpftrace_histogram(program.path, function)
    backends["funclatency"] = lambda: funclatency(program.path, function)
    results: dict[str, list[float]] = {name: [] for name in backends}
    for number in range(rounds):
        for name, attach in backends.items():
            try:
                with attach():
                    results[name].append(program.ns_per_call(function))
            except (OSError, RuntimeError) as error:
                show(f"{name}: {error}")
        show(f"{function}: round {number + 1} of {rounds}")
    floor.close()
    return results


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def table(title: str, results: dict[str, list[float]]) -> str:
    """A Markdown table: best, median, ratios of the best to the floor's and to bpftrace's best."""
    base = min(results["floor (empty entry + return, perf)"])
    peer = min(results["bpftrace hist()"], default=float("nan"))
    lines = [f"### {title}", "", "| | best ns | median ns | × floor | × bpftrace |", "|---|---|---|---|---|"]
    for name, values in results.items():
        if values:
            best = min(values)
            ratio = "" if name == "no probe" else f"{best / base:.2f}"
            against = "" if name == "no probe" else f"{best / peer:.2f}"
            lines.append(f"| {name} | {best:.0f} | {statistics.median(values):.0f} | {ratio} | {against} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--functions", nargs="*", default=[*PLAIN, *EDGED])
    parser.add_argument("--builds", nargs="*", default=["no-cf-protection", "cf-protection"])
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    began = time.monotonic()
    texts = []
    with tempfile.TemporaryDirectory() as directory:
        for build_name, path in build(Path(directory)).items():
            if build_name not in args.builds:
                continue
            program = Program(path)
            for function in args.functions:
                results = measure(program, function, args.rounds, lambda line: print(line, file=sys.stderr))
                texts.append(table(f"{function}, {build_name}", results))
                print(texts[-1], flush=True)
            program.close()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if args.markdown:
        args.markdown.write_text("\n".join(texts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
