# SPDX-License-Identifier: Apache-2.0
"""Calls by duration over time: a column for each reading, a row for each bucket."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import field

from otel_jb.model.dataclass import dataclass
from otel_jb.views.numbers import at_most_text

MOST = 90  #: columns that are kept
ROWS = 10  #: at most about so many; neighbours are put together where there are more buckets
_MARKS = " ░▒▓█"
_PLAIN_MARKS = " .:*#"  #: for a terminal without the others


@dataclass(slots=True)
class _Kept:
    totals: tuple[int, ...]
    #: When each reading was made, and the calls since the one before: bucket and number, where there was one.
    columns: deque[tuple[float, dict[int, int]]] = field(default_factory=lambda: deque(maxlen=MOST))


class Heat:
    """Remembers how many calls came between readings; functions that are gone are forgotten. `now`: monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: dict[Hashable, _Kept] = {}

    def feed(self, totals: Iterable[tuple[Hashable, tuple[int, ...]]]) -> None:
        """One reading of every function: its calls since it was attached, by bucket."""
        now = self._now()
        old, self._kept = self._kept, {}
        for key, new in totals:
            kept = old.get(key)
            if kept is None or len(kept.totals) != len(new) or any(map(int.__gt__, kept.totals, new)):
                kept = _Kept(new)  # new here, or attached anew: what came before is not known
            else:
                more = {} if kept.totals == new else dict(enumerate(map(int.__sub__, new, kept.totals)))
                kept.columns.append((now, {place: calls for place, calls in more.items() if calls}))
                kept.totals = new
            self._kept[key] = kept

    def lines(self, key: Hashable, bounds_ns: Sequence[int], width: int, *, plain: bool) -> list[str]:
        """The picture, the longest calls on top; each row ends with its number of calls. Empty without a timed call."""
        kept = self._kept.get(key)
        columns = list(kept.columns)[-max(1, width - 24) :] if kept is not None else []
        used = {place for _, calls in columns for place in calls}
        if not used:
            return []
        together = -(-(max(used) - min(used) + 1) // ROWS)
        rows = range(max(used) // together, min(used) // together - 1, -1)
        cells = {row: [0] * len(columns) for row in rows}
        for place, (_, calls) in enumerate(columns):
            for bucket, number in calls.items():
                cells[bucket // together][place] += number
        most = max(map(max, cells.values()))
        marks = _PLAIN_MARKS if plain else _MARKS
        found = []
        for row, numbers in cells.items():
            last = min(row * together + together - 1, len(bounds_ns))
            bound = at_most_text(bounds_ns[last]) if last < len(bounds_ns) else "over"
            shades = "".join(marks[_shade(number, most, len(marks) - 1)] for number in numbers)
            found.append(f"{bound:>9}  {shades}  {sum(numbers)}")
        ago = f"{self._now() - columns[0][0]:.0f} s ago"
        if len(columns) >= len(ago) + 5:
            found.append(f"{'':9}  {ago}{'now':>{len(columns) - len(ago)}}")
        return found


def _shade(calls: int, most: int, shades: int) -> int:
    """From 0 (no call) to `shades` (the most), by the logarithm: one call among thousands is seen."""
    return math.ceil(shades * math.log1p(calls) / math.log1p(most)) if calls else 0
