# SPDX-License-Identifier: Apache-2.0
"""Blocks of series: neighbouring elements of the kernel's array, one for each function of a set, all of one process."""

from __future__ import annotations

from collections import deque

from otel_jb.model.errors import AttachError

NO_ROOM = "there is no room for more series"
MORE_ROOM = "Raise `max_series`, or select fewer targets or functions."


class Blocks:
    """Gives out blocks of neighbouring series; the longest unused one first, so that a stale number is not met soon."""

    def __init__(self, series: int) -> None:
        self._series = series
        self._fresh = 0  # series from here on were never given out
        self._free: dict[int, deque[int]] = {}  # by length
        self.left = series  #: series that are not given out

    def take(self, length: int) -> int:
        """The first series of a block. Raises AttachError if there is no room."""
        if not self._free.get(length) and self._fresh + length > self._series:
            self._join()
            self._cut(length)
        if fits := self._free.get(length):
            base = fits.popleft()
        elif self._fresh + length <= self._series:
            base = self._fresh
            self._fresh += length
        else:
            raise AttachError(NO_ROOM, MORE_ROOM)
        self.left -= length
        return base

    def give_back(self, base: int, length: int) -> None:
        """Free a block."""
        self._free.setdefault(length, deque()).append(base)
        self.left += length

    def _join(self) -> None:
        """Make one range of free blocks that are neighbours: those at the end are fresh again, the others wait for their length."""
        free = sorted((base, length) for length, bases in self._free.items() for base in bases)
        joined: list[tuple[int, int]] = []
        for base, length in free:
            if joined and sum(joined[-1]) == base:
                joined[-1] = (joined[-1][0], joined[-1][1] + length)
            else:
                joined.append((base, length))
        if joined and sum(joined[-1]) == self._fresh:
            self._fresh = joined.pop()[0]
        self._free = {}
        for base, length in joined:
            self._free.setdefault(length, deque()).append(base)

    def _cut(self, length: int) -> None:
        """Make a block of this length of a longer free range, if there is one and none that fits."""
        longer = min((each for each, bases in self._free.items() if bases and each > length), default=0)
        if longer and not self._free.get(length):
            base = self._free[longer].popleft()
            self._free.setdefault(length, deque()).append(base)
            self._free.setdefault(longer - length, deque()).append(base + length)
