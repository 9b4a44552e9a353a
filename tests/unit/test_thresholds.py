# SPDX-License-Identifier: Apache-2.0
"""Slow thresholds that follow a percentile of the function's own calls."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from otel_jb.diagnosis.thresholds import ENOUGH_CALLS, PercentileThreshold
from otel_jb.probes.read.boundaries import build

BOUNDS = build([1_000_000]).bounds_ns


def buckets(durations: list[int]) -> list[int]:
    """Bucket counts of durations."""
    counts = [0] * (len(BOUNDS) + 1)
    for duration in durations:
        counts[bisect_left(BOUNDS, duration)] += 1
    return counts


@given(
    st.lists(st.integers(min_value=100, max_value=10**10), min_size=ENOUGH_CALLS, max_size=400),
    st.floats(min_value=50, max_value=99.9),
)
def test_at_most_the_wanted_share_is_slow_and_hardly_less(durations: list[int], percentile: float) -> None:
    """The threshold lies above the percentile and at most one bucket (9 %) beyond it."""
    threshold = PercentileThreshold(percentile).update(0.0, BOUNDS, buckets(durations))
    assert threshold is not None
    slow = sum(1 for duration in durations if duration >= threshold)
    assert slow <= len(durations) * (1 - percentile / 100) + 1e-9
    ranked = sorted(durations)
    exact = ranked[min(len(ranked) - 1, int(len(ranked) * percentile / 100))]
    assert threshold <= exact * 1.1 + 2


def test_too_few_calls_make_no_threshold() -> None:
    """Ninety-nine calls say nothing about a 99.5th percentile."""
    assert PercentileThreshold(99.5).update(0.0, BOUNDS, buckets([1000] * (ENOUGH_CALLS - 1))) is None


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    """A function that became slow is judged by what it does now."""
    threshold = PercentileThreshold(90)
    fast = [1_000] * 10_000
    slow = [1_000_000] * 1_000
    assert (threshold.update(0.0, BOUNDS, buckets(fast)) or 0) < 2_000
    values = [threshold.update(float(at), BOUNDS, buckets([*fast, *slow[: at * 2]])) for at in range(10, 500, 10)]
    assert (values[-1] or 0) > 1_000_000
