# SPDX-License-Identifier: Apache-2.0
"""How many calls of each series returned: by how long they took, and in which half of the epoch.

A bucket of the kernel's is one word with two counts of 32 bits, the lower of calls that ended in even epochs and the upper of those in odd ones, so that a call
that ends is one addition (bpf/ends.c). All words of a series are added up at once: while it has fewer than 2^32 calls in the lower half, the
sum is the two halves' counts side by side. Long before that, what was read is subtracted in the kernel, and kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from operator import add

from otel_jb.model.dataclass import dataclass
from otel_jb.probes import abi
from otel_jb.probes.read.maps import WordArray

MOST_CALLS = 1 << 30  #: of a series, that its buckets hold before they are relieved; a second's calls come on top
_LOWER = (1 << abi.HALF_BITS) - 1


@dataclass(slots=True)
class _Kept:
    """What was taken out of a series' buckets."""

    buckets: list[int]  #: of both halves
    halves: list[int] = field(default_factory=lambda: [0, 0])
    entered: int = 0  #: calls that had begun when it last was


class Returns:
    """Counts of calls that returned. One thread at a time may use it.

    Attributes:
        most: calls of a series after which `relieve` takes out what its buckets hold.
    """

    def __init__(self, series: WordArray, words: int, buckets: int, subtract: Callable[[int, int, int], bool]) -> None:
        """`words`: of one series. `subtract`: has the kernel subtract from a bucket: the series' index, the bucket's number, how much."""
        self._series, self._words, self._buckets = series, words, buckets
        self._subtract = subtract
        self._kept: dict[int, _Kept] = {}
        self.most = MOST_CALLS

    def of_halves(self, index: int) -> tuple[int, int]:
        """How many calls of a series returned in even epochs, and in odd ones."""
        at = index * self._words + abi.SERIES_BUCKETS
        return self._halves(index, sum(self._series.words[at : at + self._buckets].tolist()))

    def of(self, index: int) -> int:
        """How many calls of a series returned."""
        return sum(self.of_halves(index))

    def read(self, index: int, words: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, int]]:
        """How many calls returned, by bucket and by half, from a copy of the series' words that was made since the last `relieve`."""
        counts = words[abi.SERIES_BUCKETS : abi.SERIES_BUCKETS + self._buckets]
        both = sum(counts)
        if both:
            counts = [word and (word & _LOWER) + (word >> abi.HALF_BITS) for word in counts]  # most are 0
        kept = self._kept.get(index)
        return tuple(counts if kept is None else map(add, counts, kept.buckets)), self._halves(index, both)

    def _halves(self, index: int, both: int) -> tuple[int, int]:
        even, odd = both & _LOWER, both >> abi.HALF_BITS
        kept = self._kept.get(index)
        return (even, odd) if kept is None else (even + kept.halves[0], odd + kept.halves[1])

    def relieve(self, indices: Iterable[int], entered: Sequence[int] | Mapping[int, int]) -> None:
        """Take out what the buckets of these series hold where it may soon be too much. `entered`: how many calls began, by index."""
        for index in indices:
            kept = self._kept.get(index)
            if entered[index] - (kept.entered if kept else 0) >= self.most:
                self._take_out(index)
                self._kept[index].entered = entered[index]

    def _take_out(self, index: int) -> None:
        """Lower each bucket by what was read of it: calls that end meanwhile stay in it."""
        kept = self._kept.setdefault(index, _Kept([0] * self._buckets))
        at = index * self._words + abi.SERIES_BUCKETS
        for bucket, word in enumerate(self._series.words[at : at + self._buckets].tolist()):
            if word and self._subtract(index, bucket, word):
                even, odd = word & _LOWER, word >> abi.HALF_BITS
                kept.buckets[bucket] += even + odd
                kept.halves[0] += even
                kept.halves[1] += odd

    def forget(self, index: int) -> None:
        """Forget a series whose index is released."""
        self._kept.pop(index, None)
