# SPDX-License-Identifier: Apache-2.0
"""Bucket boundaries: exact integers, found through the kernel's table."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.model.errors import ConfigError
from otel_jb.probes.abi import CELL_GAP_BITS, CELL_GAPS_SHIFT, RTP_GAPS
from otel_jb.probes.read.boundaries import LONGEST_NS, Buckets, build, exponential_bounds, gap_bounds

DEFAULT = [int(b * unit) for unit in (1_000, 1_000_000) for b in (1, 2.5, 5, 10, 25, 50, 100, 250, 500)] + [
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
]
BUCKETS = build(DEFAULT)
WORDS = {
    bounds: list(BUCKETS.words(bounds))
    for bounds in ((), tuple(DEFAULT[:1]), tuple(DEFAULT), tuple(BUCKETS.bounds_ns[-31:]))
}


def through_cells(buckets: Buckets, duration: int) -> int:
    """What bpf/otel_jb.bpf.c computes."""
    value = duration | 1
    exponent = value.bit_length() - 1
    mantissa = (((duration << (63 - exponent)) & ((1 << 64) - 1)) >> (63 - buckets.cell_bits)) & (
        (1 << buckets.cell_bits) - 1
    )
    above1, above2, bucket = buckets.cells[(exponent << buckets.cell_bits) | mantissa]
    return bucket + (duration > above1) + (duration > above2)


@given(st.integers(min_value=0, max_value=LONGEST_NS * 4))
def test_the_table_finds_the_exact_bucket_of_any_duration(duration: int) -> None:
    """A duration falls into the first bucket whose inclusive upper bound is not below it."""
    assert through_cells(BUCKETS, duration) == bisect_left(BUCKETS.bounds_ns, duration)


def test_the_table_is_exact_at_and_beside_every_bound() -> None:
    """One nanosecond decides: a bound belongs to its bucket, the next nanosecond does not."""
    for index, bound in enumerate(BUCKETS.bounds_ns):
        assert through_cells(BUCKETS, bound) == index
        assert through_cells(BUCKETS, bound + 1) == index + 1


@given(st.integers(min_value=0, max_value=LONGEST_NS * 4), st.sampled_from(list(WORDS)))
def test_a_cell_says_where_a_time_between_packets_counts(gap: int, bounds: tuple[int, ...]) -> None:
    """With the same comparisons as the histogram bucket: the first of the explicit bounds that is not below it."""
    value = gap | 1
    exponent, bits = value.bit_length() - 1, BUCKETS.cell_bits
    mantissa = ((gap << (63 - exponent)) & ((1 << 64) - 1)) >> (63 - bits) & ((1 << bits) - 1)
    above1, above2, buckets = WORDS[bounds][exponent << bits | mantissa]
    above = (gap > above1) + (gap > above2)
    assert (buckets & 0xFFFFFFFF) + above == BUCKETS.index(gap)
    assert buckets >> CELL_GAPS_SHIFT + CELL_GAP_BITS * above & (RTP_GAPS - 1) == bisect_left(bounds, gap)


def test_times_between_packets_have_no_more_buckets_than_there_is_room_for() -> None:
    """With too many bounds they are not divided at all."""
    assert gap_bounds(range(1, RTP_GAPS)) == tuple(range(1, RTP_GAPS))
    assert gap_bounds(range(1, RTP_GAPS + 1)) == ()


def test_every_explicit_bound_is_a_bound() -> None:
    """Explicit histograms are folded from the buckets without loss."""
    assert set(DEFAULT) <= set(BUCKETS.bounds_ns)


def test_exponential_bounds_are_the_floors_of_the_exact_powers() -> None:
    """Bucket i ends at floor(1e9 * 2^((i + 1) / 8)): its 8th power is compared as a fraction."""
    for index, floor in exponential_bounds(3).items():
        exact = Fraction(10**9) ** 8 * Fraction(2) ** (index + 1)
        assert Fraction(floor) ** 8 <= exact < Fraction(floor + 1) ** 8


@given(st.lists(st.integers(min_value=1, max_value=10**10), min_size=1, max_size=30, unique=True))
def test_any_boundaries_are_exact_or_refused(boundaries: list[int]) -> None:
    """Boundaries that lie too close together are an error, never a wrong bucket."""
    try:
        buckets = build(sorted(boundaries))
    except ConfigError:
        with pytest.raises(ConfigError, match="too close"):
            build(sorted(boundaries))
        return
    for bound in boundaries:
        assert through_cells(buckets, bound) == bisect_left(buckets.bounds_ns, bound)
        assert through_cells(buckets, bound + 1) == bisect_left(buckets.bounds_ns, bound + 1)


def test_boundaries_that_lie_too_close_together_are_refused() -> None:
    """Three boundaries within 0.1 % of each other have no room in the table."""
    with pytest.raises(ConfigError, match="too close"):
        build([1_000_000, 1_000_100, 1_000_200, 1_000_300])
