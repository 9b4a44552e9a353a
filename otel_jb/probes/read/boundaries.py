# SPDX-License-Identifier: Apache-2.0
"""Exact histogram buckets by integer thresholds.

One bucket set serves both shapes of histogram: the union of the explicit boundaries and of the boundaries of OpenTelemetry's
base-2 exponential histogram of *seconds* (specification, "Exponential Scale": bucket i is (base^i, base^(i+1)] with
base = 2^(2^-scale)), both applied to integer nanoseconds, upper bound included. A duration v lies above boundary x exactly if
v > floor(x), so that floors suffice and no floating point is needed.

The kernel finds the bucket through a table of cells (log2 of the duration, leading mantissa bits); a cell holds the bucket of
its smallest duration and the at most two boundaries inside it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError
from otel_jb.probes.abi import CELL_GAP_BITS, CELL_GAPS_SHIFT, NEVER, RTP_GAPS

EXPONENTIAL_SCALE = 3  #: 8 buckets an octave: any percentile is known to within 9 %
LONGEST_NS = 1 << 40  #: 18 minutes; longer calls fall into the last bucket
MAX_CELL_BITS = 9


@dataclass(frozen=True, slots=True)
class Buckets:
    """Upper bounds (ns, inclusive, ascending) of all buckets but the last, and the cells that find them."""

    bounds_ns: tuple[int, ...]
    cell_bits: int
    cells: tuple[tuple[int, int, int], ...]

    def index(self, duration_ns: int) -> int:
        """The bucket of a duration: what the kernel computes, for tests and for reading."""
        return bisect_left(self.bounds_ns, duration_ns)

    def words(self, gap_bounds_ns: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """The words of each `struct cell` (bpf/abi.h). `gap_bounds_ns`: those bounds that divide the times between packets."""
        gaps = [bisect_left(gap_bounds_ns, bound) for bound in (*self.bounds_ns, NEVER)]
        last = len(gaps) - 1
        for above1, above2, first in self.cells:
            buckets = first
            for number in range(3):
                buckets |= gaps[min(first + number, last)] << CELL_GAPS_SHIFT + CELL_GAP_BITS * number
            yield above1, above2, buckets


def gap_bounds(explicit_ns: Sequence[int]) -> tuple[int, ...]:
    """The bounds by which times between packets are counted; none if there are more of them than a stream has room for."""
    return tuple(explicit_ns) if len(explicit_ns) < RTP_GAPS else ()


def exponential_floor(index: int, scale: int) -> int:
    """floor(1e9 * 2^(index / 2^scale)): the largest integer x with x^n <= 1e9^n * 2^index, n = 2^scale; exact."""
    n = 1 << scale
    numerator, denominator = (10 ** (9 * n) << index, 1) if index >= 0 else (10 ** (9 * n), 1 << -index)
    low, high = 0, 1 << 80
    while low < high:
        middle = (low + high + 1) >> 1
        if middle**n * denominator <= numerator:
            low = middle
        else:
            high = middle - 1
    return low


@lru_cache(maxsize=4)
def exponential_bounds(scale: int = EXPONENTIAL_SCALE) -> dict[int, int]:
    """Exponential bucket index -> its upper bound's floor in ns, for durations of 1 ns to `LONGEST_NS`.

    Below about 10 ns neighbouring boundaries fall onto the same integer; the lowest index keeps it.
    """
    bounds: dict[int, int] = {}
    seen = 0
    for index in range(-30 << scale, 11 << scale):
        floor = exponential_floor(index + 1, scale)
        if floor > seen and floor < LONGEST_NS:
            bounds[index] = floor
            seen = floor
    return bounds


def build(explicit_ns: Sequence[int], scale: int = EXPONENTIAL_SCALE) -> Buckets:
    """The bucket set for these explicit boundaries.

    Raises `ConfigError` where more than two boundaries share the finest cell, that is where they are closer together than
    the kernel's table can tell apart (0.2 % of their value).
    """
    bounds = sorted({*exponential_bounds(scale).values(), *explicit_ns})
    if bounds[0] <= 0 or bounds[-1] >= 1 << 62:
        raise ConfigError(
            "histogram boundaries must be above 0 and below 146 years", "Give them in seconds, ascending."
        )
    for cell_bits in range(scale + 2, MAX_CELL_BITS + 1):
        cells = _cells(bounds, cell_bits)
        if cells is not None:
            return Buckets(tuple(bounds), cell_bits, cells)
    raise ConfigError(
        "histogram boundaries lie too close together",
        "Leave at least 0.5 % between neighbouring boundaries.",
    )


def _cells(bounds: Sequence[int], bits: int) -> tuple[tuple[int, int, int], ...] | None:
    """The table for that many mantissa bits, or None if a cell would hold more than two boundaries."""
    cells = []
    for exponent in range(64):
        for mantissa in range(1 << bits):
            if exponent >= bits:
                low = (1 << exponent) + (mantissa << (exponent - bits))
                high = low + (1 << (exponent - bits)) - 1
            else:
                low = high = (1 << exponent) | (mantissa >> (bits - exponent))
            first, last = bisect_left(bounds, low), bisect_left(bounds, high)
            inside = list(bounds[first:last])
            if len(inside) > 2:
                return None
            above1, above2 = [*inside, NEVER, NEVER][:2]
            cells.append((above1, above2, first))
    return tuple(cells)
