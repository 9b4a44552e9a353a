# SPDX-License-Identifier: Apache-2.0
"""Functions that are probed at calls which they make, where most of their own calls have nothing to tell (docs/adr/0287).

A probe there counts those calls and no others, under a name that says so. So it takes the place of the function's own probe only by default, or where the
function itself would not be timed (docs/adr/0286), and only if together the calls tell what the function tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from otel_jb.code.facts import CallSite, Spot
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import EndStrategy, SiteKind, Symbol, SymbolSource
from otel_jb.planner.ends import Refusal, Way, site
from otel_jb.planner.inputs import FileFacts, FunctionMeaning, KernelFacts
from otel_jb.planner.process import ProcessFacts

_NAMELESS = frozenset({SymbolSource.INFERRED, SymbolSource.USDT, SymbolSource.PLACE})


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Where a function calls another one, as a place for a probe."""

    callee: Symbol
    spot: Spot


@dataclass(frozen=True, slots=True)
class CallWay:
    """One call of a function, as it is probed."""

    callee: Symbol
    meaning: FunctionMeaning
    way: Way

    def named(self, function: str) -> str:
        """What it is called: the function that calls, and what it calls."""
        return f"{function} [calling {self.callee.function.rpartition('::')[2]}]"


def callees(wanted: Iterable[str], symbols: Iterable[Symbol]) -> dict[str, Symbol]:
    """Of the names wanted, those that one function of the file has. A clone has other arguments, and of overloads nobody knows which is meant."""
    names = frozenset(wanted)
    found: dict[str, list[Symbol]] = {}
    for symbol in symbols if names else ():
        if symbol.source in _NAMELESS or "." in symbol.name.partition("@")[0]:
            continue
        for name in names.intersection((symbol.function, symbol.name, *symbol.aliases)):
            found.setdefault(name, []).append(symbol)
    return {name: each[0] for name, each in found.items() if len(each) == 1}


def call_ways(
    facts: FileFacts, symbol: Symbol, meaning: FunctionMeaning, kernel: KernelFacts, process: ProcessFacts
) -> list[CallWay]:
    """How the function is measured by its calls; nothing where one of them is no place for a probe.

    Where there is a user shadow stack, a probed `call` may miss it, as for `ends.entry_site`.
    """
    found = []
    for each in meaning.at_calls if not process.shadow_stack else ():
        place = place_of(facts, symbol.address, each.of)
        if isinstance(place, Refusal):
            return []
        found.append(CallWay(place.callee, each.function, _way(place, meaning, each.function, kernel)))
    return found


def place_of(facts: FileFacts, function: int, names: Sequence[str]) -> CallPlace | Refusal:
    """Where the function at this address calls the first of the functions with these names that the file has."""
    code = facts.code.get(function)
    if code is None or code.problem or code.goroutine:
        return Refusal((code.problem if code is not None else "") or "its code cannot be examined for calls")
    callee = next((facts.callees[name] for name in names if name in facts.callees), None)
    if callee is None:
        return Refusal("the file has no function of that name, or several")
    call = next(
        (each for each in code.calls if each.callee == callee.address), CallSite(0, refused="it was not examined")
    )
    return CallPlace(callee, call.spot) if call.spot is not None else Refusal(call.refused)


def _way(place: CallPlace, caller: FunctionMeaning, called: FunctionMeaning, kernel: KernelFacts) -> Way:
    whole = "its name has the function itself probed"
    if not caller.untimed_in_detail:
        whole = "--detail all probes the function itself"
    return Way(
        EndStrategy.ENTRY_ONLY,
        (site(SiteKind.ENTRY, place.spot, called),),
        kernel.cost_ns(place.spot.price),
        f"at its call of {place.callee.function}, without which it has nothing to tell: counts those calls, no times; {whole}",
    )
