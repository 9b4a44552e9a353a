# SPDX-License-Identifier: Apache-2.0
"""Infers which function of a stripped file is which function of a profile, from where the profile's marks lead.

One wrong find would put another function's numbers under a known name. So a function is taken as found only if all its marks are in the file
and lead to the same single function, and no other function of the profile claims that one. Otherwise the best candidate is kept with the
doubt about it, which the user can overrule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from otel_jb.catalog.spec import FunctionSpec, MarkSpec, ProfileSpec
from otel_jb.model.marks import Mark, Reached, Trail
from otel_jb.model.plan import Symbol, SymbolSource

Trails = Mapping[Mark, Trail]


def telltales(profiles: Sequence[ProfileSpec]) -> tuple[str, ...]:
    """The texts that say of a file that functions of some profile may be found in it by their marks."""
    return tuple(dict.fromkeys(profile.telltale for profile in profiles if profile.telltale))


def marks_of(profiles: Sequence[ProfileSpec]) -> list[Mark]:
    """All marks of these profiles, each once."""
    return list(
        dict.fromkeys(spec.mark for profile in profiles for function in profile.functions for spec in function.marks)
    )


def infer(profile: ProfileSpec, trails: Trails) -> list[Symbol]:
    """The functions of a profile that its marks lead to, in order of address, those in doubt among them."""
    found = [symbol for function in profile.functions if (symbol := _inferred(function, trails)) is not None]
    claims = Counter(symbol.address for symbol in found if not symbol.doubt)
    rivals = {address: [s.name for s in found if s.address == address and not s.doubt] for address in claims}
    return sorted(
        (
            symbol
            if symbol.doubt or claims[symbol.address] == 1
            else replace(symbol, doubt=f"the marks of {' and '.join(rivals[symbol.address])} lead to the same function")
            for symbol in found
        ),
        key=lambda symbol: symbol.address,
    )


def _inferred(function: FunctionSpec, trails: Trails) -> Symbol | None:
    """The function that most of the marks lead to, with what speaks against it; None if nothing leads anywhere."""
    leading = [spec for spec in function.marks if not spec.elsewhere]
    votes = {spec: _led_to(spec, trails[spec.mark]) for spec in leading}
    others = {reached.address for spec in function.marks if spec.elsewhere for reached in trails[spec.mark].functions}
    left = {spec: tuple(each for each in found if each.address not in others) for spec, found in votes.items()}
    if any(left.values()):
        votes = left
    counted = Counter(reached.address for found in votes.values() for reached in found)
    if not counted:
        return None
    most = max(counted.values())
    best = [address for address, times in counted.items() if times == most]
    doubt = _doubt(function, votes, trails, best)
    rivals = len(best) - 1
    if rivals:  # nothing distinguishes them; the first stands for all, so that the doubt is shown
        best = sorted(best)[:1]
    size = next(reached.size for found in votes.values() for reached in found if reached.address == best[0])
    agreeing = [spec.mark for spec, found in votes.items() if any(reached.address == best[0] for reached in found)]
    return Symbol(
        name=function.name,
        address=best[0],
        size=size,
        source=SymbolSource.INFERRED,
        demangled=function.name,
        evidence=f"inferred: it {_listed([str(mark) for mark in agreeing])}",
        doubt=doubt,
        rivals=rivals,
    )


def _led_to(spec: MarkSpec, trail: Trail) -> tuple[Reached, ...]:
    """The functions for which a mark speaks: all that it leads to, or the one that refers to it most often."""
    if not spec.most or len(trail.functions) < 2:
        return trail.functions
    often = max(reached.times for reached in trail.functions)
    return tuple(reached for reached in trail.functions if reached.times == often)


def _doubt(
    function: FunctionSpec, votes: Mapping[MarkSpec, tuple[Reached, ...]], trails: Trails, best: Sequence[int]
) -> str:
    """What speaks against taking the candidates for the function, as one sentence; "" if nothing does."""
    if len(best) > 1:
        return f"its marks fit {len(best)} functions"
    address = best[0]
    for spec, found in votes.items():
        trail = trails[spec.mark]
        if trail.problem:
            return f"that it {spec.mark} cannot be checked: {trail.problem}"
        if not trail.present:
            if spec.optional:
                continue
            return f"this build has no function that {spec.mark}"
        if not any(reached.address == address for reached in found):
            where = f"the function at {found[0].address:#x}" if found else "no function"
            return f"its marks disagree: {where} {spec.mark}, the others lead to {address:#x}"
    for spec in function.marks:
        if spec.elsewhere and any(reached.address == address for reached in trails[spec.mark].functions):
            return f"its marks disagree: it also {spec.mark}, so it contains the function that is sought, or is another"
    return ""


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
