# SPDX-License-Identifier: Apache-2.0
"""Functions that are probed at calls which they make, where most of their own calls have nothing to tell (docs/adr/0287).

A probe there counts those calls and no others, under a name that says so. So it takes the place of the function's own probe only by default, and
only if together the calls tell what the function tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from otel_jb.code.facts import CallSite
from otel_jb.model.plan import EndStrategy, SiteKind, Symbol, SymbolSource
from otel_jb.planner.ends import Way, site
from otel_jb.planner.inputs import FileFacts, FunctionMeaning, KernelFacts
from otel_jb.planner.process import ProcessFacts

_NAMELESS = frozenset({SymbolSource.INFERRED, SymbolSource.USDT, SymbolSource.PLACE})


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
    code = facts.code.get(symbol.address)
    if code is None or code.problem or code.goroutine or process.shadow_stack:
        return []
    sites = {call.callee: call for call in code.calls}
    found = []
    for each in meaning.at_calls:
        callee = next((facts.callees[name] for name in each.of if name in facts.callees), None)
        call = sites.get(callee.address) if callee is not None else None
        if callee is None or call is None:
            return []
        found.append(CallWay(callee, each.function, _way(call, callee, each.function, kernel)))
    return found


def _way(call: CallSite, callee: Symbol, meaning: FunctionMeaning, kernel: KernelFacts) -> Way:
    return Way(
        EndStrategy.ENTRY_ONLY,
        (site(SiteKind.ENTRY, call.spot, meaning),),
        kernel.cost_ns(call.spot.price),
        f"at its call of {callee.function}, without which it has nothing to tell: counts those calls, no times; --detail all probes the function itself",
    )
