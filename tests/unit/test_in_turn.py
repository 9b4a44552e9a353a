# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.in_turn` and `benchmarks.probe_cost` make of what calls took."""

from __future__ import annotations

from math import isnan

import pytest

from benchmarks import in_turn
from benchmarks.in_turn import ratio, table
from benchmarks.probe_cost import goals
from benchmarks.probed import BPFTRACE, BUILDS, EDGES, FLOOR, RETURN


def test_a_ratio_is_of_the_same_turns() -> None:
    """A machine that is twice as slow in half of the turns, and a preempted batch, change nothing. Rounds have 1.1, 1.2 and 1.3."""
    floor = [[100.0, 200.0, 200.0], [100.0] * 3, [200.0] * 3]
    ours = [[110.0, 220.0, 9000.0], [120.0] * 3, [260.0] * 3]
    found = ratio({FLOOR: floor, RETURN: ours}, RETURN, FLOOR)
    assert found.mean == pytest.approx(1.2)
    assert found.error == pytest.approx(0.1 / 3**0.5)
    assert str(found) == "1.200 ± 0.058"


def test_one_round_has_no_error() -> None:
    """The error of one round is not known, and not 0."""
    assert isnan(ratio({FLOOR: [[1.0]], RETURN: [[2.0]]}, RETURN, FLOOR).error)


def test_rounds_with_other_turns_are_not_compared() -> None:
    """Where turns are missing, nothing is paired."""
    with pytest.raises(ValueError, match="longer"):
        ratio({FLOOR: [[1.0, 1.0]], RETURN: [[2.0]]}, RETURN, FLOOR)


def test_each_tool_has_each_copy_once() -> None:
    """In as many rounds as there are tools."""
    for kind, names in in_turn.TOOLS.items():
        rounds = [in_turn.copies(number)[kind] for number in range(len(names))]
        assert all(sorted(copies.values()) == list(range(len(names))) for copies in rounds)
        assert all(sorted(copies[name] for copies in rounds) == list(range(len(names))) for name in names)


def test_the_table_keeps_best_times_and_medians() -> None:
    """Beside the ratio."""
    times = {FLOOR: [[100.0, 120.0, 140.0]] * 2, RETURN: [[105.0, 126.0, 147.0]] * 2}
    assert table({("cf-protection", "push"): times}).splitlines()[2:] == [
        f"| {FLOOR} | 100 (120) |",
        f"| {RETURN} | 105 (126) **1.050 ± 0.000** |",
    ]


def test_goals_are_compared_in_three_ways() -> None:
    """Best times miss a goal that medians and turns meet."""
    names = (FLOOR, RETURN, EDGES, BPFTRACE)
    kinds = [(build, kind) for build in BUILDS for kind in ("push", "push_edge")]
    results = {kind: {name: [100.0, 140.0, 140.0] for name in names} for kind in kinds}
    measured = {kind: {name: [[100.0, 120.0]] * 2 for name in names} for kind in kinds}
    push = "no-cf-protection", "push"
    results[push][RETURN] = [111.0, 150.0, 160.0]
    measured[push][RETURN] = [[108.0, 129.6], [109.0, 130.8]]
    rows = goals(results, measured).splitlines()
    assert rows[2] == "| uretprobe / floor, `push` | 1.10 | 1.110, missed | 1.071, met | 1.085 ± 0.005, met |"
    assert rows[3] == "| uretprobe / floor, `endbr64; push` | 1.10 | 1.000, met | 1.000, met | 1.000 ± 0.000, met |"
