# SPDX-License-Identifier: Apache-2.0
"""The live table as lines of text that fit a terminal.

If the terminal is too narrow, the table drops whole columns, the least informative first, and shortens names from the left. It never
truncates a number. Functions without calls share one line; rows that do not fit the height are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_jb.model.dataclass import dataclass
from otel_jb.model.text import printable
from otel_jb.views.numbers import NONE, at_most_text, rate, whole
from otel_jb.views.rows import Row

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a kind of rows."""

    columns: tuple[str, ...]
    elastic: str  #: the one that is shortened before a column goes, and is never given up
    expendable: tuple[str, ...]  #: in this order they are given up; a process among several leaves its PID behind
    alarm: str  #: the one that is an alarm where it is above 0


FUNCTIONS = Layout(
    columns=(
        "process",
        "function",
        "role",
        "calls/s",
        "trend",
        "durations",
        "p50",
        "p99",
        "bytes/s",
        "packets",
        "drops",
        "depth",
    ),
    elastic="function",
    expendable=("trend", "durations", "p50", "bytes/s", "role", "process", "depth", "packets", "drops", "p99", "pid"),
    alarm="drops",
)
STREAMS = Layout(
    columns=(
        "process",
        "stream",
        "packets/s",
        "trend",
        "bytes/s",
        "lost",
        "reordered",
        "duplicated",
        "jitter",
        "packets",
    ),
    elastic="stream",
    expendable=("trend", "packets", "bytes/s", "process", "duplicated", "reordered", "packets/s", "jitter", "pid"),
    alarm="lost",
)
PROCESSES = Layout(
    columns=("process", "functions", "calls/s", "trend", "cpu", "waited", "throttled", "udp drops"),
    elastic="process",
    expendable=("trend", "functions", "throttled", "udp drops", "waited", "cpu"),
    alarm="udp drops",
)
_DRAWN = frozenset({"trend", "durations"})  #: no text, but bars
_TEXT = frozenset({"process", "function", "stream", "role"}) | _DRAWN  #: aligned to the left
_GAP = 2
_SHORTEST = 28  #: the elastic column is shortened to this before another one goes
_LEAST = 8
_LONGEST_PROCESS = 16
_LEAST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `alarm`: the range (from, to) that reports drops; `weak`: of minor interest."""

    text: str
    heading: bool = False
    chosen: bool = False
    weak: bool = False
    alarm: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A row as text: its columns, and `pid`. An idle one shares a line with the others that are."""

    cells: dict[str, str]
    idle: bool = False
    weak: bool = False
    alarm: bool = False


def process_text(name: str, pid: int, *, ended: bool = False) -> str:
    """A process in a cell: a long name must not take the room of others, the PID tells processes apart."""
    shown = printable(name)
    short = shown if len(shown) <= _LONGEST_PROCESS else shown[: _LONGEST_PROCESS - 1] + "…"
    return f"{short}[{pid}]" + (" (ended)" if ended else "")


def cells(row: Row) -> dict[str, str]:
    """The row's columns as text."""
    idle = row.calls_per_second == 0
    return {
        "pid": str(row.pid),
        "process": process_text(row.process, row.pid, ended=row.ended),
        "function": printable(row.function),
        "role": row.role,
        "calls/s": rate(row.calls_per_second),
        "trend": NONE,
        "durations": NONE,
        "p50": NONE if idle else at_most_text(row.p50_at_most_ns),
        "p99": NONE if idle else at_most_text(row.p99_at_most_ns),
        "bytes/s": rate(row.bytes_per_second),
        "packets": whole(row.packets),
        "drops": whole(row.drops),
        "depth": whole(row.depth),
    }


def arrange(
    items: Sequence[Item], layout: Layout, width: int, height: int | None = None, chosen: int | None = None
) -> list[Line]:
    """The table in this many columns and, if given, lines. `chosen`: the number of the item, among those not idle, that is marked and in sight."""
    active = [each for each in items if not each.idle]
    idle = [each for each in items if each.idle]
    room = len(active) if height is None else max(_LEAST_ROWS, height - 1 - bool(idle))
    first, hidden = 0, 0
    if len(active) > room:
        first = 0 if chosen is None else min(max(0, chosen - room + 2), len(active) - room + 1)
        hidden = len(active) - room + 1
    shown = active[first : first + room - bool(hidden)]
    table = [each.cells for each in shown]
    columns, widths = _fit(table, width, layout)
    found = [Line(_join(_padded([(name, name) for name in columns], widths)), heading=True)]
    for number, each in enumerate(shown, first):
        padded = _padded([(name, each.cells[name]) for name in columns], widths)
        alarm = _place(layout.alarm, columns, padded) if each.alarm else None
        found.append(Line(_join(padded), weak=each.weak, alarm=alarm, chosen=number == chosen))
    if hidden:
        found.append(Line(f"and {hidden} more", weak=True))
    if idle:
        names = ", ".join(dict.fromkeys(each.cells[layout.elastic] for each in idle))
        what = "not called yet" if layout is FUNCTIONS else "nothing yet"
        found.append(Line(cut(f"{what}: {names}", width), weak=True))
    return found


def styled(shown_lines: Sequence[Line]) -> list[Text]:
    """The lines for a terminal."""
    from rich.text import Text

    shown = []
    for line in shown_lines:
        # Names come from a binary that may be hostile: Text never reads them as markup.
        text = Text(
            line.text,
            no_wrap=True,
            overflow="crop",
            style="bold" if line.heading else "reverse" if line.chosen else "dim" if line.weak else "",
        )
        if line.alarm is not None:
            text.stylize("bold red", *line.alarm)
        shown.append(text)
    return shown


def _fit(table: Sequence[dict[str, str]], width: int, layout: Layout) -> tuple[list[str], dict[str, int]]:
    """The columns that fit, and the width of each."""
    widths = {name: max([width_of(name), *(width_of(row[name]) for row in table)]) for name in ("pid", *layout.columns)}
    columns = [name for name in layout.columns if name == layout.elastic or _says_something(name, table)]
    least = min(widths[layout.elastic], _SHORTEST)

    def others() -> int:
        return sum(widths[name] for name in columns if name != layout.elastic) + _GAP * (len(columns) - 1)

    one = len({row["pid"] for row in table}) <= 1
    for name in ("process", *layout.expendable) if one and layout.elastic != "process" else layout.expendable:
        if others() + least <= width:
            break
        if name in columns:
            columns.remove(name)
            if name == "process" and not one:
                columns.insert(0, "pid")
    widths[layout.elastic] = max(_LEAST, min(widths[layout.elastic], width - others()))
    return columns, widths


def _says_something(name: str, table: Sequence[dict[str, str]]) -> bool:
    """A column of nothing but dashes takes room from those that have something to say."""
    return (name in _TEXT and name not in _DRAWN) or not table or any(row[name] != NONE for row in table)


def _padded(row: Sequence[tuple[str, str]], widths: dict[str, int]) -> list[str]:
    shown = []
    for name, text in row:
        room = widths[name]
        fitted = _cut_left(text, room) if name in _TEXT else text
        blank = " " * (room - width_of(fitted))
        shown.append(fitted + blank if name in _TEXT else blank + fitted)
    return shown


def _join(padded: Sequence[str]) -> str:
    return (" " * _GAP).join(padded).rstrip()


def _place(name: str, columns: Sequence[str], padded: Sequence[str]) -> tuple[int, int] | None:
    """Where a column is in the line, in characters: some take no room on a terminal, others take two columns."""
    if name not in columns:
        return None
    at = columns.index(name)
    start = sum(len(each) + _GAP for each in padded[:at])
    return start, start + len(padded[at])


def width_of(text: str) -> int:
    """The number of columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    # Python's and the terminal library's tables are of different Unicode versions; the latter's has the last word.
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    """The beginning of the text, in at most this many columns."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _cut_left(text: str, width: int) -> str:
    """The end of the text, which distinguishes functions of one class."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[1:]
    return "…" + text
