"""The live table of functions, from the state of the stream alone.

Rates and percentiles are of the last few seconds: the difference between two readings of cumulative counts. A histogram
tells of a percentile no more than the bucket that it is in, so its upper bound is shown (`≤50µs`: at least so many of the
calls took at most 50 µs), and nothing is interpolated.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_jb.model.text import printable
from otel_jb.telemetry.metrics import packets
from otel_jb.telemetry.state import SeriesView, StateView, StreamState

if TYPE_CHECKING:
    from rich.table import Table

WINDOW_SECONDS = 10.0
_HEADINGS = ("process", "function", "role", "calls/s", "p50", "p99", "bytes/s", "packets", "drops", "depth")
_LEFT = 3  #: so many columns are text
_LONGEST_PROCESS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One function of one process. None: not known, or there is no such thing for this function."""

    process: str
    pid: int
    function: str
    role: str
    calls_per_second: float | None
    p50_at_most_ns: float | None  #: upper bound of the median's bucket; infinite for the last bucket
    p99_at_most_ns: float | None
    bytes_per_second: float | None
    packets: int | None  #: since attached
    drops: int | None  #: since attached
    depth: int | None  #: packets held now
    ended: bool = False


class LiveTable:
    """Rows of the state now, with rates over the last `window_seconds`; not thread-safe.

    Args:
        state: what the agent's stream adds up to.
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
        # A caller that asks often must not fill memory: two readings a second are kept.
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
    # A series that is new in this window began at zero when it was attached, which is no longer ago than the window.
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


def at_most(buckets: Sequence[int], bounds_ns: Sequence[int], share: float) -> float | None:
    """The upper bound of the bucket where `share` (0 to 1) of the calls is reached; None without a call."""
    total = sum(buckets)
    if total == 0:
        return None
    reached = 0
    for count, bound in zip(buckets, (*bounds_ns, float("inf")), strict=True):
        reached += count
        if reached >= share * total:
            return float(bound)
    raise AssertionError("the buckets hold all calls")


def cells(row: Row) -> tuple[str, ...]:
    """The row's columns as text."""
    # A long name must not take the functions' room: the PID tells processes apart.
    process = row.process if len(row.process) <= _LONGEST_PROCESS else row.process[: _LONGEST_PROCESS - 1] + "…"
    name = f"{process}[{row.pid}]"
    return (
        name + (" (ended)" if row.ended else ""),
        row.function,
        row.role,
        _number(row.calls_per_second),
        _bound(row.p50_at_most_ns, row.calls_per_second),
        _bound(row.p99_at_most_ns, row.calls_per_second),
        _number(row.bytes_per_second),
        _number(row.packets),
        _number(row.drops),
        _number(row.depth),
    )


def plain_lines(rows: Sequence[Row]) -> list[str]:
    """The table as aligned lines of text, for what is no terminal."""
    table = [_HEADINGS, *(tuple(map(printable, cells(row))) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEADINGS))]
    return [
        "  ".join(
            cell.ljust(width) if column < _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def render(rows: Sequence[Row], title: str = "", caption: str = "") -> Table:
    """The table for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        caption=caption or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )
    for number, heading in enumerate(_HEADINGS):
        justify = "left" if number < _LEFT else "right"
        table.add_column(heading, justify=justify, no_wrap=number != 1, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        # Names come from a binary that may be hostile: they are never read as markup or as escape sequences.
        shown = [Text(printable(cell)) for cell in cells(row)]
        if row.drops:
            shown[8].stylize("bold red")
        table.add_row(*shown, style="dim" if row.ended else "")
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    for least, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / scale:.1f}{unit}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _bound(nanoseconds: float | None, calls_per_second: float | None) -> str:
    if nanoseconds is None or calls_per_second == 0:
        return "-"
    if nanoseconds == float("inf"):
        return "over"
    scale, unit = next(
        ((scale, unit) for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")) if nanoseconds >= scale), (1.0, "ns")
    )
    # Three digits, upwards: the bound must stay one.
    step = 10.0 ** (math.floor(math.log10(nanoseconds / scale)) - 2) if nanoseconds > 0 else 1.0
    return f"≤{math.ceil(nanoseconds / scale / step - 1e-9) * step:.3g}{unit}"
