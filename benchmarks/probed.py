# SPDX-License-Identifier: Apache-2.0
"""What the measurements of a probed call have in common: tools, builds, what the functions mean, and the target's process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.plan import EndStrategy, ProbePlan
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
BUILDS = {"no-cf-protection": "-fcf-protection=none", "cf-protection": "-fcf-protection=full"}
NONE, FLOOR, MULTI = "no probe", "floor: empty entry + return, perf events", "empty entry + return, multi links"
EMPTY_EDGES = "empty entry + edge sites, multi links"
BPFTRACE, FUNCLATENCY = "bpftrace `hist()`", "funclatency"
EDGES, RETURN, RETS = "otel-jb, edge sites", "otel-jb, uretprobe", "otel-jb, `ret` sites"


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


class Pinned:
    """A running program that is asked by lines, on one processor."""

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

    def close(self) -> None:
        """End it."""
        self._in.close()
        self._process.wait()


def build(source: str, directory: Path) -> dict[str, Path]:
    """A program of `programs`, with and without -fcf-protection."""
    built = {name: directory / f"{Path(source).stem}-{name}" for name in BUILDS}
    for name, path in built.items():
        subprocess.run(["gcc", "-O2", BUILDS[name], "-o", path, HERE / "programs" / source], check=True)
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


def starts_with(build: str, function: str) -> str:
    """How the function's code begins, and how it ends."""
    name = function.removesuffix("_edge")
    first = {"push": "push", "mov": "mov", "sub": "sub rsp"}[name]
    return f"`{'endbr64; ' if build == 'cf-protection' else ''}{first}`"
