# SPDX-License-Identifier: Apache-2.0
"""Bars in a cell: the last readings of a rate, or the calls of each bucket; scaled to the highest of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence

LENGTH = 12
_BARS = "▁▂▃▄▅▆▇█"


class Trends:
    """Remembers rates by row; those of rows that are gone are forgotten."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length
        self._rates: dict[Hashable, deque[float]] = {}

    def feed(self, rates: Iterable[tuple[Hashable, float | None]]) -> None:
        """One reading of every row; None is no reading."""
        old, self._rates = self._rates, {}
        for key, rate in rates:
            kept = old.get(key) or deque(maxlen=self._length)
            if rate is not None:
                kept.append(max(0.0, rate))
            self._rates[key] = kept

    def line(self, key: Hashable) -> str:
        """The bars of a row, the newest on the right; "" without two readings."""
        rates = self._rates.get(key)
        return bars(rates) if rates is not None and len(rates) > 1 else ""


def bars(values: Iterable[float]) -> str:
    """One bar for each value from 0 up; the highest is full, and one that is 0 is the lowest."""
    given = list(values)
    top = max(given, default=0.0)
    if top <= 0:
        return _BARS[0] * len(given)
    return "".join(_BARS[min(len(_BARS) - 1, round(value / top * (len(_BARS) - 1)))] for value in given)


def histogram(calls: Sequence[int], first: int, last: int, room: int) -> str:
    """One bar for each bucket from `first` to `last`, neighbours together where they are more than `room`; blank: no call."""
    together = -(-(last - first + 1) // room)
    sums = [sum(calls[place : min(place + together, last + 1)]) for place in range(first, last + 1, together)]
    top = max(sums)
    return "".join(_BARS[(each * (len(_BARS) - 1)) // top] if each else " " for each in sums)
