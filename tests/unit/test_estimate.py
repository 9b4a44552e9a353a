# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.estimate` and `benchmarks.budgets` make of a server's own account of its rounds."""

from __future__ import annotations

import pytest

from benchmarks.budgets import Used
from benchmarks.estimate import Turn, compared

pytestmark = pytest.mark.unit


def test_what_was_added_is_the_difference_of_turns_with_its_error() -> None:
    """A round takes 10 us alone and 16 with probes, of which one is the server's own work; the agent says 4.5."""
    alone = [Turn(8.0 + each, 2.0) for each in (-0.1, 0.0, 0.1, 0.0, 0.0)]
    probed = [Turn(9.0 + each, 7.0, 4.5) for each in (-0.2, 0.0, 0.2, 0.0, 0.0)]
    found = compared(alone, probed)
    assert found.added[0] == pytest.approx(6.0)
    assert found.to_work[0] == pytest.approx(1.0)
    assert found.estimate == (4.5, 0.0)
    assert found.ratio[0] == pytest.approx(0.75)
    assert found.ratio[1] == pytest.approx(0.75 * found.added[1] / 6.0)


def test_a_disturbed_turn_counts_for_nothing() -> None:
    """One in five may be as long as it likes, and one as short."""
    calm = [Turn(8.0, 2.0) for _ in range(4)]
    probed = [Turn(8.0, 5.0, 3.0) for _ in range(5)]
    assert compared([*calm, Turn(800.0, 2.0)], probed).added[0] == pytest.approx(3.0)


def test_what_probes_cost_is_by_the_rounds_that_there_were() -> None:
    """A server that had no time for half of its rounds pays half."""
    alone = Used(10e-6, 2_000)
    assert Used(40e-6, 2_000).more_than(alone) == pytest.approx(6.0)
    assert Used(40e-6, 1_000).more_than(alone) == pytest.approx(3.0)
