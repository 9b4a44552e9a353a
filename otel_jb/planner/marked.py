# SPDX-License-Identifier: Apache-2.0
"""USDT probes in a plan: places that a program's authors marked. Their hits are counted, and a profile can say what their arguments mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from otel_jb.arch.instruction import Price
from otel_jb.elf.usdt import Usdt, UsdtPlace
from otel_jb.model.arguments import ArgumentKind, MarkArgument, SiteArguments
from otel_jb.model.plan import USDT, EndStrategy, Probe, ProbeSite, SiteKind, Symbol, SymbolSource
from otel_jb.model.reads import MAX_FIELDS, ReadProgram
from otel_jb.planner.inputs import FileFacts, FunctionMeaning, KernelFacts, telling

ARGUMENTS = "argument"  #: field under which an argument counts that is in memory which cannot be read
_PAGE = 4096


def symbols_of(marks: Sequence[Usdt]) -> list[Symbol]:
    """The marks of a file, as symbols for profiles to know."""
    return [_symbol(mark) for mark in marks]


def marked_probes(facts: FileFacts, globs: Sequence[str], kernel: KernelFacts, known: Collection[str]) -> list[Probe]:
    """A probe for each mark of the file that a glob over `PROVIDER:NAME` means, but for those whose names are known."""
    return [
        _probe(facts, mark, kernel)
        for mark in facts.marks
        if _name(mark) not in known and any(fnmatchcase(mark.full_name, glob) for glob in globs)
    ]


def meant_probe(facts: FileFacts, symbol: Symbol, meaning: FunctionMeaning, kernel: KernelFacts) -> Probe | str:
    """The probe for a mark that a profile knows; or why it is left out."""
    mark = next((each for each in facts.marks if _name(each) == symbol.name), None)
    if mark is None:
        return "the file has no such mark"
    probe = _probe(facts, mark, kernel)
    needed = sorted(number - 1 for number in meaning.argument_registers)
    missing = _missing(mark, needed)
    if missing:
        return replace(
            probe,
            role=meaning.role,
            profile=meaning.profile,
            primary=meaning.primary,
            reason=f"{probe.reason}; nothing is read: {missing}",
        )
    read = meaning.program
    site_arguments = [_read_at(place, needed) for place in mark.places]
    if any(value.kind is ArgumentKind.MEMORY for values in site_arguments for _, value in values):
        read = replace(read, fields=(*read.fields, ARGUMENTS)[:MAX_FIELDS])
    fault = max(len(read.fields) - 1, 0)
    return replace(
        probe,
        **telling(meaning),
        read=read,
        sites=tuple(
            replace(site, arguments=SiteArguments(values, fault) if values else None)
            for site, values in zip(probe.sites, site_arguments, strict=True)
        ),
    )


def _missing(mark: Usdt, needed: Sequence[int]) -> str:
    """Why the arguments that a profile needs cannot be read at every place; nothing if they can."""
    for place in mark.places:
        for number in needed:
            if number >= len(place.arguments) or place.arguments[number] is None:
                return f"argument {number + 1} at {place.address:#x} is none that can be read ({mark.arguments or 'there are none'})"
    places: dict[int, object] = {}
    for place in mark.places:
        if places.setdefault(place.offset % _PAGE, _read_at(place, needed)) != _read_at(place, needed):
            return "two places at the same distance in their pages have their arguments elsewhere"
    return ""


def _read_at(place: UsdtPlace, needed: Sequence[int]) -> tuple[tuple[int, MarkArgument], ...]:
    return tuple((number, value) for number in needed if (value := place.arguments[number]) is not None)


def _name(mark: Usdt) -> str:
    return f"{USDT}{mark.full_name}"


def _symbol(mark: Usdt) -> Symbol:
    name = _name(mark)
    return Symbol(name, mark.places[0].address, 0, SymbolSource.USDT, name)


def _probe(facts: FileFacts, mark: Usdt, kernel: KernelFacts) -> Probe:
    """A probe that counts its hits and reads nothing."""
    symbol = _symbol(mark)
    raised = ", whose semaphore is raised" if any(place.semaphore for place in mark.places) else ""
    where = "one place" if len(mark.places) == 1 else f"{len(mark.places)} places"
    return Probe(
        function=symbol.name,
        symbol=symbol,
        file=facts.file,
        build_id=facts.build_id,
        role="other",
        primary=False,
        profile="none",
        strategy=EndStrategy.ENTRY_ONLY,
        reason=f"a mark at {where} of the program{raised}: counts, no times",
        sites=tuple(
            ProbeSite(SiteKind.ENTRY, place.address, place.offset, instruction="nop", semaphore=place.semaphore)
            for place in mark.places
        ),
        read=ReadProgram(),
        cost_ns=kernel.cost_ns(Price.EMULATED),
        names=(symbol.name,),
        code=tuple(piece for place in mark.places for piece in facts.text.get(place.address, ())),
        identity=facts.identity,
    )
