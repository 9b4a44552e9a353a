"""How the cost of a hit is measured so that a busy machine does not distort it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from otel_jb.probes.cost import FEWEST_PASSES, MOST_PASSES, Sample, as_costs, best_of

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


def test_a_quiet_machine_is_measured_twice() -> None:
    """Two passes that agree are enough; the ways take turns."""
    machine = Machine(WAYS, chain([1.0, 1.0, 1.0, 1.01, 1.02, 1.03], repeat(9.0)))
    found = best_of(machine.once, list(WAYS))
    assert machine.asked == [*WAYS] * FEWEST_PASSES
    assert [sample.warm for sample in found] == [2.0, 1000.0, 9500.0]


def test_a_disturbed_pass_is_measured_again() -> None:
    """As long as the best two passes of any way disagree there is another one; what was disturbed does not count."""
    machine = Machine(WAYS, chain([8.0, 8.0, 1.0, 3.0, 1.0, 2.0, 1.0, 1.02, 1.01], repeat(1.0)))
    found = best_of(machine.once, list(WAYS))
    assert len(machine.asked) == 4 * len(WAYS)
    assert [sample.warm for sample in found] == [2.0, 1000.0, 9500.0]


def test_a_machine_that_never_rests_is_given_up_on() -> None:
    """After the most passes the best sample is what counts."""
    machine = Machine(WAYS, iter(1.5**-number for number in range(100)))
    best_of(machine.once, list(WAYS))
    assert len(machine.asked) == MOST_PASSES * len(WAYS)


def test_costs_are_differences_of_calls() -> None:
    """Entry and edge are two hits; cold is what a hit of any kind costs more; nothing is negative."""
    costs = dict(as_costs(Sample(2, 100), Sample(1002, 1500), Sample(1202, 1800), Sample(9502, 10_000)).seconds_by_kind)
    assert costs == pytest.approx({"emulated": 500e-9, "stepped": 9000e-9, "uretprobe": 700e-9, "cold": 200e-9})
    assert set(dict(as_costs(*[Sample(5, 5)] * 4).seconds_by_kind).values()) == {0.0}
