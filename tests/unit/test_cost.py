# SPDX-License-Identifier: Apache-2.0
"""How the cost of a hit is measured so that a busy machine does not distort it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from otel_jb.probes.cost import FEWEST_PASSES, MOST_PASSES, Sample, as_costs, measure

pytestmark = pytest.mark.unit


class Machine:
    """Calls whose time is known, on a machine that makes some passes slower; notes in which order it was asked."""

    def __init__(self, nanoseconds: dict[str, float], slower: Iterator[float]) -> None:
        self.nanoseconds, self.slower = nanoseconds, slower
        self.asked: list[str] = []

    def once(self, way: str) -> Sample:
        """One sample."""
        self.asked.append(way)
        factor = next(self.slower)
        return Sample(self.nanoseconds[way] * factor, self.nanoseconds[way] * factor * 2)


WAYS = {"bare": 2.0, "edge": 1000.0, "stepped": 9500.0}


def test_a_quiet_machine_needs_few_passes() -> None:
    """Passes that agree are enough; the ways take turns, and the median counts."""
    machine = Machine(WAYS, chain([1.0] * 3, [1.0] * 3, [1.01] * 3, repeat(9.0)))
    found = measure(machine.once, list(WAYS))
    assert machine.asked == [*WAYS] * FEWEST_PASSES
    assert [sample.warm for sample in found] == [2.0, 1000.0, 9500.0]


def test_a_disturbed_pass_does_not_count() -> None:
    """As long as a pass still moves a median there is another one; then the disturbed ones lie outside."""
    machine = Machine(WAYS, chain([1.0] * 3, [8.0] * 3, [1.02] * 3, [1.0] * 3, repeat(1.01)))
    found = measure(machine.once, list(WAYS))
    assert FEWEST_PASSES < len(machine.asked) / len(WAYS) < MOST_PASSES
    assert [sample.warm for sample in found] == pytest.approx([2.0, 1000.0, 9500.0], rel=0.03)


def test_a_machine_that_never_rests_is_given_up_on() -> None:
    """After the most passes it ends."""
    machine = Machine(WAYS, iter(1.5**-number for number in range(100)))
    measure(machine.once, list(WAYS))
    assert len(machine.asked) == MOST_PASSES * len(WAYS)


def test_a_slow_machine_is_measured_less_often() -> None:
    """No pass begins after two seconds, so that what waits for the measurement waits for one pass more at most."""
    machine = Machine(WAYS, iter(1.5**-number for number in range(100)))
    clock = iter(range(100))
    measure(machine.once, list(WAYS), lambda: float(next(clock)))
    assert len(machine.asked) == 2 * len(WAYS)


def test_costs_are_differences_of_calls() -> None:
    """An entry and an edge are two hits; `cold` is the surcharge that emulated hits show; no cost is negative."""
    costs = dict(as_costs(Sample(2, 100), Sample(1002, 1500), Sample(1202, 1800), Sample(9502, 12_000)).seconds_by_kind)
    assert costs == pytest.approx({"emulated": 500e-9, "stepped": 9000e-9, "uretprobe": 700e-9, "cold": 200e-9})
    assert set(dict(as_costs(*[Sample(5, 5)] * 4).seconds_by_kind).values()) == {0.0}
