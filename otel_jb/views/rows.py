# SPDX-License-Identifier: Apache-2.0
"""Rows of the live tables (functions, RTP streams and processes), derived from the state of the stream alone.

Rates and percentiles cover the last few seconds: the difference between two readings of cumulative counts. A histogram only shows
which bucket a percentile is in, so the table shows the bucket's upper bound (`≤50µs`: at least this share of the calls took at most
50 µs). Nothing is interpolated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from otel_jb.model.added import in_units
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import HostShare
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
    buckets: tuple[int, ...] = ()  #: calls of the last few seconds by duration
    bounds_ns: tuple[int, ...] = ()  #: upper bounds of the buckets but the last
    totals: tuple[int, ...] = ()  #: calls by duration since attached
    drops_by_reason: tuple[tuple[str, int], ...] = ()  #: since attached
    added: tuple[
        tuple[str, str, float], ...
    ] = ()  #: what its profile adds up: metric, unit, value since attached or now

    @property
    def key(self) -> tuple[int, str]:
        """What tells the row from others."""
        return self.pid, self.function


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One RTP stream, or those that share a label. Counts are since the label was first used."""

    process: str
    pid: int
    function: str
    stream: str
    packets: int
    packets_per_second: float | None
    bytes_per_second: float | None
    lost: int
    reordered: int
    duplicated: int
    jitter_ns: int | None  #: None: the clock rate is not known
    ended: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """What tells the row from others."""
        return self.pid, f"{self.function}\0{self.stream}"


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process: its functions together, and what the host gave it. Shares are of one CPU, of the last few seconds."""

    process: str
    pid: int
    functions: int
    calls: int
    calls_per_second: float | None
    cpu: float | None = None  #: share of a CPU that its threads ran
    waited: float | None = None  #: share that its threads were ready and had to wait for a CPU
    throttled: float | None = None  #: share that its cgroup had no CPU time left
    udp_drops: int | None = None  #: datagrams that the kernel dropped at its sockets since attached
    ended: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """What tells the row from others."""
        return self.pid, ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the live tables show of one moment."""

    functions: tuple[Row, ...] = ()
    streams: tuple[StreamRow, ...] = ()
    processes: tuple[ProcessRow, ...] = ()


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
        return rows_between(*self._readings())

    def picture(self) -> Picture:
        """Take a reading and make all rows."""
        return self.reading()[1]

    def reading(self) -> tuple[StateView, Picture]:
        """Take a reading and make all rows; with the view that they show, whose targets, series and streams come in the order of the rows."""
        before, after = self._readings()
        rows = rows_between(before, after)
        return after, Picture(tuple(rows), tuple(_streams(before, after)), tuple(_processes(before, after, rows)))

    def _readings(self) -> tuple[StateView, StateView]:
        now = self._now()
        view = self._state.view()
        while len(self._views) > 1 and self._views[1][0] <= now - self._window:
            self._views.popleft()
        # Keep two readings per second, so that frequent calls do not fill memory.
        if not self._views or now - self._views[-1][0] >= 0.5:
            self._views.append((now, view))
        return self._views[0][1], view


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
        buckets=buckets if series.has_timing else (),
        bounds_ns=after.bounds_ns,
        totals=values.buckets if series.has_timing else (),
        drops_by_reason=tuple(zip(series.drop_reasons, values.drops, strict=True)),
        added=tuple(
            (each.instrument.name, each.instrument.unit, value)
            for each, value in in_units(series.adds, values.added, values.means)
        ),
    )


def _streams(before: StateView, after: StateView) -> Iterator[StreamRow]:
    earlier = {
        (each.series.id, rtp.stream): (rtp, each.time_unix_nano)
        for target in before.targets
        for each in target.series
        for rtp in each.rtp
    }
    for target in after.targets:
        for each in target.series:
            for rtp in each.rtp:
                old, when = earlier.get((each.series.id, rtp.stream), (None, 0))
                same = old is not None and old.since_unix_nano == rtp.since_unix_nano
                seconds = (each.time_unix_nano - when) / 1e9 if same else 0.0
                known = old is not None and seconds > 0 and target.ended_unix_nano is None
                yield StreamRow(
                    process=target.target.name,
                    pid=target.target.pid,
                    function=each.series.function,
                    stream=rtp.stream,
                    packets=rtp.received,
                    packets_per_second=(rtp.received - old.received) / seconds if known and old is not None else None,
                    bytes_per_second=(rtp.bytes - old.bytes) / seconds if known and old is not None else None,
                    lost=rtp.lost,
                    reordered=rtp.reordered,
                    duplicated=rtp.duplicated,
                    jitter_ns=rtp.jitter_ns,
                    ended=target.ended_unix_nano is not None,
                )


def _processes(before: StateView, after: StateView, rows: Sequence[Row]) -> Iterator[ProcessRow]:
    earlier = {target.target.id: target.host for target in before.targets}
    left = iter(rows)
    for target in after.targets:
        own = [next(left) for _ in target.series]
        rates = [row.calls_per_second for row in own if row.calls_per_second is not None]
        old, new = earlier.get(target.target.id), target.host
        ended = target.ended_unix_nano is not None
        yield ProcessRow(
            process=target.target.name,
            pid=target.target.pid,
            functions=len(own),
            calls=sum(row.calls for row in own),
            calls_per_second=sum(rates) if rates else None,
            cpu=None if ended else _share(old, new, "cpu_ns"),
            waited=None if ended else _share(old, new, "run_delay_ns"),
            throttled=None if ended else _share(old, new, "throttled_ns"),
            udp_drops=sum(count for _, count in new.udp_drops) if new is not None else None,
            ended=ended,
        )


def _share(before: HostShare | None, after: HostShare | None, what: str) -> float | None:
    if before is None or after is None or after.time_unix_nano <= before.time_unix_nano:
        return None
    old, new = getattr(before, what), getattr(after, what)
    return None if old is None or new is None else (new - old) / (after.time_unix_nano - before.time_unix_nano)


def _calls(view: SeriesView) -> int:
    values = view.values
    return values.returned + values.abandoned + values.missed + values.untimed + values.in_flight
