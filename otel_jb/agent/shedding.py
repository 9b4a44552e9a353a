# SPDX-License-Identifier: Apache-2.0
"""Selects the probes to shed so that the rest fits a budget: the fewest, least informative ones, never one that costs nothing.

Pure; the governor asks it about a running target, `otel-jb plan` about a predicted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from itertools import product
from typing import Protocol

from otel_jb.config.model import IDLE_ROLES
from otel_jb.model.dataclass import dataclass

WORTH = 0.001  #: of one CPU: shedding less gains nothing
ROUNDING = 1e-9
KEEP = 0.8  #: of the budget: what may stay attached when something has to go, as an estimate may be a fifth too low


class Tells(IntEnum):
    """How much a function's loss would hide."""

    IDLE = 0  #: it waits or looks
    DETAIL = 1  #: how often it is called and how long it takes
    PACKETS = 2  #: packets, bytes, drops, how full a buffer is
    PRIMARY = 3  #: the one of its role that dashboards show


class Telling(Protocol):
    """What `tells` asks of a series or a planned probe."""

    @property
    def primary(self) -> bool: ...
    @property
    def role(self) -> str: ...
    @property
    def has_packets(self) -> bool: ...
    @property
    def has_bytes(self) -> bool: ...
    @property
    def has_depth(self) -> bool: ...
    @property
    def drop_reasons(self) -> tuple[str, ...]: ...
    @property
    def adds(self) -> tuple[str, ...]: ...


def tells(function: Telling) -> Tells:
    """How much information losing this function would cost."""
    if function.role in IDLE_ROLES:
        return Tells.IDLE  # the primary one of its role too: no dashboard shows packets by it
    if function.primary:
        return Tells.PRIMARY
    feeds = function.has_packets or function.has_bytes or function.has_depth or function.drop_reasons or function.adds
    return Tells.PACKETS if feeds else Tells.DETAIL


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attached probe costs its target."""

    share: float  #: of one CPU
    tells: Tells


def over_budget(costs: Mapping[int, Cost], budget: float) -> tuple[int, ...]:
    """The probes that the governor sheds if these costs persist; none within the budget."""
    return choose(costs, budget * KEEP) if sum(cost.share for cost in costs.values()) > budget else ()


def choose(costs: Mapping[int, Cost], allowed: float) -> tuple[int, ...]:
    """Select what to shed so that the rest costs at most `allowed` of a CPU.

    Primary functions are shed only if all others do not suffice. Among the candidates, it prefers the fewest functions, then the least
    informative, then the cheapest. Functions that cost next to nothing stay unless nothing else suffices.
    """
    excess = sum(cost.share for cost in costs.values()) - allowed
    if excess <= ROUNDING:
        return ()
    others = {series: cost for series, cost in costs.items() if cost.tells < Tells.PRIMARY and cost.share >= WORTH}
    primary = {series: cost for series, cost in costs.items() if cost.tells is Tells.PRIMARY and cost.share >= WORTH}
    tiny = {series: cost for series, cost in costs.items() if 0 < cost.share < WORTH}

    def chosen(*spare: bool) -> tuple[int, ...]:
        found: set[int] = set()
        # From the last resort to the first: of each kind as few as are needed beside all of the kinds that go before it.
        kinds: tuple[tuple[dict[int, Cost], list[dict[int, Cost]]], ...] = (
            (tiny, [others, primary]),
            (primary, [others]),
            (others, []),
        )
        for (kind, before), cheapest in zip(kinds, (*spare, True), strict=True):
            gone = sum(costs[series].share for series in found)
            will_go = sum(cost.share for each in before for cost in each.values())
            found |= _fewest(kind, excess - gone - will_go, cheapest=cheapest)
        return tuple(sorted(found, key=lambda series: (costs[series].tells, -costs[series].share, series)))

    # The cheapest primary one that suffices may need more of the others beside it than a more expensive one.
    return min((chosen(*spare) for spare in product((True, False), repeat=2)), key=len)


def _fewest(costs: Mapping[int, Cost], excess: float, *, cheapest: bool) -> set[int]:
    """As few as together cost `excess`; all where even they do not. `cheapest`: the least telling and cheapest such, else those that cost most."""
    chosen: list[int] = []
    gone = 0.0
    for series in sorted(costs, key=lambda s: (-costs[s].share, costs[s].tells, s)):
        if gone >= excess - ROUNDING:
            break
        chosen.append(series)
        gone += costs[series].share
    if gone < excess - ROUNDING or not cheapest:
        return set(chosen)

    def rank(series: int) -> tuple[int, float]:
        return (costs[series].tells, costs[series].share)

    # Exchange the most telling for less telling ones, as long as it is enough.
    for member in sorted(chosen, key=rank, reverse=True):
        left = [
            s for s in costs if s not in chosen and gone - costs[member].share + costs[s].share >= excess - ROUNDING
        ]
        better = min(left, key=rank, default=member)
        if rank(better) < rank(member):
            gone += costs[better].share - costs[member].share
            chosen[chosen.index(member)] = better
    return set(chosen)
