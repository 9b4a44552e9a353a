# SPDX-License-Identifier: Apache-2.0
"""Plans for functions of test programs, made by the product's own analysis of their code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.reads import SIGNED, Op, Outcome, ReadOp, ReadProgram
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options
from otel_jb.planner.planner import kernel_facts
from tests import meanings
from tests.meanings import Known

#: put(buffer, bytes, result): bytes and stream at entry, a negative result is a drop
PUT = ReadProgram(
    entry=(
        ReadOp(Op.EXT, dst=1, width=4),
        ReadOp(Op.BYTES, src=1),
        ReadOp(Op.STREAM, src=0),
        ReadOp(Op.END),
    ),
    end=(
        ReadOp(Op.EXT, dst=0, width=4 | SIGNED),
        ReadOp(Op.JGE, dst=0, imm=0, skip=1),
        ReadOp(Op.OUTCOME, imm=Outcome.DROP),
        ReadOp(Op.END),
    ),
)


@dataclass(frozen=True)
class Meaning(meanings.Meaning):
    """What a profile would say of a test program's function."""

    primary: bool = True
    program: ReadProgram = field(default_factory=lambda: PUT)
    drop_reasons: tuple[str, ...] = ("error",)
    has_bytes: bool = True
    error_return: tuple[tuple[int, int], ...] = ((-(1 << 31), -1),)
    uses_return: bool = True
    argument_registers: frozenset[int] = frozenset({1, 2})


def plan_for(
    path: Path, functions: dict[str, Meaning], strategy: EndStrategy | None = None, **options: object
) -> ProbePlan:
    """The plan for functions of a file, by symbol name; `strategy` forces one where it holds."""
    image = Image.from_file(str(path))
    symbols = [s for s in find(image, list(functions)) if s.name in functions or set(s.aliases) & set(functions)]
    code = {c.address: c for c in analyse(image, [(s.address, s.size) for s in symbols], Names(image))}
    known = [Known(s, functions[next(n for n in (s.name, *s.aliases) if n in functions)]) for s in symbols]
    facts = FileFacts(str(path), image.build_id, known, code)
    return make_plan([facts], kernel_facts(), Options(end_strategy=strategy, **options))  # type: ignore[arg-type]
