# SPDX-License-Identifier: Apache-2.0
"""Pairs of functions: what the entry of one began ends at the entry of the other, in the same thread or with the same argument."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.code.facts import FunctionCode, Spot
from otel_jb.config.model import Pair
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import (
    EndStrategy,
    FrameBase,
    PairKey,
    Probe,
    ProbeSite,
    SiteKind,
    Skipped,
    Symbol,
    SymbolSource,
)
from otel_jb.model.reads import ReadProgram
from otel_jb.planner.inputs import FileFacts, KernelFacts
from otel_jb.planner.process import ProcessFacts

ROLE, PROFILE = "other", "none"


@dataclass(frozen=True, slots=True)
class _End:
    """One of the two functions."""

    symbol: Symbol
    code: FunctionCode
    spot: Spot


def pair_probe(
    facts: FileFacts, pair: Pair, kernel: KernelFacts, process: ProcessFacts, *, named: bool
) -> Probe | Skipped | None:
    """The probe of a pair of functions in this file, why it is left out, or None if the file has neither function."""

    def skip(reason: str) -> Skipped:
        return Skipped(pair.name, facts.file, PROFILE, reason)

    functions_of_file = [each.symbol for each in facts.matches if each.symbol.source is not SymbolSource.USDT]
    symbols = list({symbol.address: symbol for symbol in functions_of_file}.values())
    found = {name: [symbol for symbol in symbols if symbol.is_meant([name])] for name in (pair.start, pair.stop)}
    if not any(found.values()):
        return None
    for name, functions in found.items():
        if not functions:
            return skip(f"its function {name} is not in this file: both functions of a pair must be in one")
        if len(functions) > 1:
            return skip(f"{name} means {len(functions)} functions: name one of them in full")
    if not named:
        return skip("pairs are measured in targets that are named: name the process or file")
    ends = []
    for name, argument in zip((pair.start, pair.stop), pair.keys, strict=True):
        end = _end(facts, found[name][0], argument, kernel, process)
        if isinstance(end, str):
            return skip(f"{name}: {end}")
        ends.append(end)
    start, stop = ends
    if start.symbol.address == stop.symbol.address:
        return skip("it begins and ends with the same function")
    if start.code.goroutine != stop.code.goroutine:
        return skip("one of its functions is Go code and the other is not")
    by = _said(pair, start.code)
    return Probe(
        function=pair.name,
        symbol=start.symbol,
        file=facts.file,
        build_id=facts.build_id,
        role=ROLE,
        primary=False,
        profile=PROFILE,
        strategy=EndStrategy.START_STOP,
        reason=f"from the entry of {start.symbol.function} to that of {stop.symbol.function}, by {by}",
        sites=(_site(SiteKind.ENTRY, start.spot), _site(SiteKind.STOP, stop.spot)),
        read=ReadProgram(),
        cost_ns=sum(kernel.cost_ns(end.spot.price) for end in ends),
        names=(pair.name,),
        code=_both(facts.text.get(start.symbol.address, ()), facts.text.get(stop.symbol.address, ())),
        identity=facts.identity,
        goroutine=start.code.goroutine,
        may_yield=start.code.goroutine or bool(process.stack_switches),
        pair=PairKey(*pair.keys),
    )


def _end(facts: FileFacts, symbol: Symbol, argument: int, kernel: KernelFacts, process: ProcessFacts) -> _End | str:
    """The cheapest instruction of a function's entry where the argument is intact, or why there is none."""
    code = facts.code.get(symbol.address)
    if code is None or code.problem:
        return code.problem if code is not None else "its code was not examined"
    fit = [
        spot
        for spot in code.entries
        if argument not in spot.clobbered and not (process.shadow_stack and spot.text.startswith("call"))
    ]
    spot = min(fit, key=lambda each: kernel.cost_ns(each.price), default=None)
    return "no instruction of its entry can carry the probe" if spot is None else _End(symbol, code, spot)


def _site(kind: SiteKind, spot: Spot) -> ProbeSite:
    # Nothing says that a stop belongs to a start: without one it means nothing.
    return ProbeSite(
        kind, spot.address, spot.offset, FrameBase(spot.base), spot.displacement,
        optional=kind is SiteKind.STOP, instruction=spot.text,
    )  # fmt: skip


def _said(pair: Pair, code: FunctionCode) -> str:
    if pair.by == "thread":
        return "goroutine" if code.goroutine else "thread"
    return pair.by if pair.stop_by in (None, pair.by) else f"{pair.by} and {pair.stop_by}"


def _both(one: Sequence[tuple[int, bytes]], other: Sequence[tuple[int, bytes]]) -> tuple[tuple[int, bytes], ...]:
    return tuple(dict.fromkeys((*one, *other)))
