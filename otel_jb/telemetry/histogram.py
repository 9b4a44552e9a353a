# SPDX-License-Identifier: Apache-2.0
"""Bucket boundaries in integer nanoseconds, and folding the kernel's buckets into explicit or exponential ones.

The kernel counts each call in the bucket of `Snapshot.bounds_ns` that its integer nanoseconds fall into, upper bound included
(as OTLP's buckets include theirs). Every boundary wanted later has to be among those bounds; then folding is addition, and every
call is in the exact bucket. Nothing here compares floating-point numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import isqrt

from otel_jb.config.model import DEFAULT_BOUNDARIES
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError

NS_PER_SECOND = 1_000_000_000

#: The contract's default, 1 µs to 5 s.
DEFAULT_BOUNDS_NS: tuple[int, ...] = tuple(int(bound) for bound in DEFAULT_BOUNDARIES)

MIN_SCALE, MAX_SCALE = 0, 5


@dataclass(frozen=True, slots=True)
class HistogramShape:
    """How the delay histogram leaves the agent.

    `exponential_scale` is base-2 exponential's scale (the buckets grow by 2^(2^-scale)); None: explicit boundaries. The
    Prometheus endpoint always has the explicit ones: its text formats know no other.
    """

    bounds_ns: tuple[int, ...] = DEFAULT_BOUNDS_NS
    exponential_scale: int | None = None


DEFAULT_SHAPE = HistogramShape()


def exponential_bound_ns(index: int, scale: int) -> int:
    """The largest whole number of nanoseconds that is at most 2^(index / 2^scale) seconds; exact."""
    degree = 1 << scale
    power: int = NS_PER_SECOND**degree
    power = power << index if index >= 0 else power >> -index
    for _ in range(scale):  # the floor of a root of a floor is the floor of the root
        power = isqrt(power)
    return power


@lru_cache(maxsize=16)
def _positions(bounds_ns: tuple[int, ...], wanted_ns: tuple[int, ...]) -> tuple[int, ...]:
    positions = []
    for bound in wanted_ns:
        position = bisect_left(bounds_ns, bound)
        if position == len(bounds_ns) or bounds_ns[position] != bound:
            raise ConfigError(
                f"calls were not counted by the histogram boundary {bound} ns",
                "A recording can be shown only with the boundaries it was made with, or some of them.",
            )
        positions.append(position)
    return tuple(positions)


def fold_explicit(counts: Sequence[int], bounds_ns: tuple[int, ...], wanted_ns: tuple[int, ...]) -> tuple[int, ...]:
    """Counts by `wanted_ns` (one more than those) from counts by `bounds_ns`, of which `wanted_ns` is a subset.

    Raises:
        ConfigError: a wanted boundary is not among `bounds_ns`.
    """
    folded, start = [], 0
    for position in _positions(bounds_ns, wanted_ns):
        folded.append(sum(counts[start : position + 1]))
        start = position + 1
    folded.append(sum(counts[start:]))
    return tuple(folded)


@dataclass(frozen=True, slots=True)
class ExponentialCounts:
    """Counts of a base-2 exponential histogram: bucket i of `counts` holds (base^(offset+i), base^(offset+i+1)] seconds."""

    scale: int
    zero_count: int  #: calls of at most `zero_threshold_ns`
    zero_threshold_ns: int
    offset: int
    counts: tuple[int, ...]


@lru_cache(maxsize=8)
def _exponential_indices(bounds_ns: tuple[int, ...], scale: int) -> tuple[int, tuple[int, ...]]:
    """First exponential boundary that the bounds hold, and the positions of it and those that follow without a gap."""
    known = {bound: position for position, bound in enumerate(bounds_ns)}
    indices = [index for index in range(-(30 << scale), 12 << scale) if exponential_bound_ns(index, scale) in known]
    # Below some tens of nanoseconds neighbouring boundaries fall on one integer, and explicit ones may equal lone
    # exponential ones: the run that counts is the one that ends highest.
    if not indices:
        raise ConfigError(f"calls were not counted by exponential boundaries of scale {scale}")
    last = first = indices[-1]
    for index in reversed(indices[:-1]):
        if index != first - 1:
            break
        first = index
    return first, tuple(known[exponential_bound_ns(index, scale)] for index in range(first, last + 1))


def fold_exponential(counts: Sequence[int], bounds_ns: tuple[int, ...], scale: int) -> ExponentialCounts:
    """Base-2 exponential counts from counts by `bounds_ns`; empty buckets at both ends are left out.

    Calls longer than the last exponential boundary (1 024 s unless configured) are put into the bucket after it.

    Raises:
        ConfigError: the bounds hold no exponential boundaries of that scale.
    """
    first, positions = _exponential_indices(bounds_ns, scale)
    zero_count = sum(counts[: positions[0] + 1])
    folded = [sum(counts[low + 1 : high + 1]) for low, high in pairwise(positions)]
    folded.append(sum(counts[positions[-1] + 1 :]))
    begin = next((place for place, count in enumerate(folded) if count), len(folded))
    end = len(folded)
    while end > begin and not folded[end - 1]:
        end -= 1
    offset = first + begin if end > begin else 0
    return ExponentialCounts(scale, zero_count, exponential_bound_ns(first, scale), offset, tuple(folded[begin:end]))
