# SPDX-License-Identifier: Apache-2.0
"""Rows of the live table: one per function and process, derived from the state of the stream alone.

Rates and percentiles cover the last few seconds: the difference between two readings of cumulative counts. A histogram only shows
which bucket a percentile is in, so the table shows the bucket's upper bound (`≤50µs`: at least this share of the calls took at most
50 µs). Nothing is interpolated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from otel_jb.telemetry.metrics import packets
from otel_jb.telemetry.state import SeriesView, StateView, StreamState
from otel_jb.views.numbers import at_most

WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """One function of one process. None: unknown, or not applicable to this function."""

    process: str
    pid: int
    function: str
    role: str
    calls: int  #: since attached
    calls_per_second: float | None
    p50_at_most_ns: float | None  #: upper bound of the median's bucket; infinite for the last bucket
    p99_at_most_ns: float | None
    bytes_per_second: float | None
    packets: int | None  #: since attached
    drops: int | None  #: since attached
    depth: int | None  #: packets held now
    ended: bool = False


class LiveTable:
    """Rows of the current state, with rates over the last `window_seconds`; not thread-safe.

    Args:
        state: the accumulated state of the agent's stream.
        now: monotonic seconds.
    """

    def __init__(
        self, state: StreamState, window_seconds: float = WINDOW_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._window = window_seconds
        self._now = now
        self._views: deque[tuple[float, StateView]] = deque()

    def rows(self) -> list[Row]:
        """Take a reading and make the rows, in the order in which processes and functions were attached."""
        now = self._now()
        view = self._state.view()
        while len(self._views) > 1 and self._views[1][0] <= now - self._window:
            self._views.popleft()
        # Keep two readings per second, so that frequent calls do not fill memory.
        if not self._views or now - self._views[-1][0] >= 0.5:
            self._views.append((now, view))
        return rows_between(self._views[0][1], view)


def rows_between(before: StateView, after: StateView) -> list[Row]:
    """The rows of `after`, with rates since `before`."""
    earlier = {each.series.id: each for target in before.targets for each in target.series}
    return [
        _row(
            target.target.name, target.target.pid, earlier.get(each.series.id), each, target.ended_unix_nano is not None
        )
        for target in after.targets
        for each in target.series
    ]


def _row(process: str, pid: int, before: SeriesView | None, after: SeriesView, ended: bool) -> Row:
    series, values = after.series, after.values
    # A series that is new in this window started at zero, within the window.
    seconds = (after.time_unix_nano - before.time_unix_nano) / 1e9 if before is not None else 0.0
    buckets = values.buckets
    bytes_before = 0
    calls_before = 0
    if before is not None and seconds > 0:
        calls_before, bytes_before = _calls(before), before.values.bytes
        if before.bounds_ns == after.bounds_ns:
            buckets = tuple(new - old for new, old in zip(values.buckets, before.values.buckets, strict=True))
    known = seconds > 0 and not ended
    return Row(
        process=process,
        pid=pid,
        function=series.function,
        role=series.role,
        calls=_calls(after),
        calls_per_second=(_calls(after) - calls_before) / seconds if known else None,
        p50_at_most_ns=at_most(buckets, after.bounds_ns, 0.5) if series.has_timing else None,
        p99_at_most_ns=at_most(buckets, after.bounds_ns, 0.99) if series.has_timing else None,
        bytes_per_second=(values.bytes - bytes_before) / seconds if known and series.has_bytes else None,
        packets=packets(values) if series.has_packets else None,
        drops=sum(values.drops) if series.drop_reasons else None,
        depth=after.depth.packets if after.depth is not None and not ended else None,
        ended=ended,
    )


def _calls(view: SeriesView) -> int:
    values = view.values
    return values.returned + values.abandoned + values.missed + values.untimed + values.in_flight
