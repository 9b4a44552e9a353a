# SPDX-License-Identifier: Apache-2.0
"""USDT probes in a plan: hits of places that a program's authors marked, counted where the user names them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from otel_jb.arch.instruction import Price
from otel_jb.elf.usdt import Usdt
from otel_jb.model.plan import EndStrategy, Probe, ProbeSite, SiteKind, Symbol, SymbolSource
from otel_jb.model.reads import ReadProgram
from otel_jb.planner.inputs import FileFacts, KernelFacts


def marked_probes(facts: FileFacts, globs: Sequence[str], kernel: KernelFacts) -> list[Probe]:
    """A probe for each mark of the file that a glob over `PROVIDER:NAME` means."""
    return [_probe(facts, each, kernel) for each in facts.marks if any(fnmatchcase(each.full_name, g) for g in globs)]


def _probe(facts: FileFacts, mark: Usdt, kernel: KernelFacts) -> Probe:
    name = f"usdt:{mark.full_name}"
    first = mark.places[0][0]
    raised = ", whose semaphore is raised" if any(semaphore for _, _, semaphore in mark.places) else ""
    where = "one place" if len(mark.places) == 1 else f"{len(mark.places)} places"
    return Probe(
        function=name,
        symbol=Symbol(name, first, 0, SymbolSource.USDT, name),
        file=facts.file,
        build_id=facts.build_id,
        role="other",
        primary=False,
        profile="none",
        strategy=EndStrategy.ENTRY_ONLY,
        reason=f"a mark at {where} of the program{raised}: counts, no times",
        sites=tuple(
            ProbeSite(SiteKind.ENTRY, address, offset, instruction="nop", semaphore=semaphore)
            for address, offset, semaphore in mark.places
        ),
        read=ReadProgram(),
        has_packets=False,
        has_bytes=False,
        has_depth=False,
        has_duplicates=False,
        cost_ns=kernel.cost_ns(Price.EMULATED),
        names=(name,),
        code=tuple(piece for address, _, _ in mark.places for piece in facts.text.get(address, ())),
        identity=facts.identity,
    )
