# SPDX-License-Identifier: Apache-2.0
"""The live table as lines of text that fit a terminal.

If the terminal is too narrow, the table drops whole columns, the least informative first, and shortens names from the left. It never
truncates a number. Functions without calls share one line; rows that do not fit the height are counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_jb.model.text import printable
from otel_jb.views.numbers import NONE, at_most_text, rate, whole
from otel_jb.views.rows import Row

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS = ("process", "function", "role", "calls/s", "p50", "p99", "bytes/s", "packets", "drops", "depth")
_TEXT = frozenset({"process", "function", "role"})  #: aligned to the left
#: The order in which columns are dropped. The process column goes first if there is one process; of several, only the PID stays.
_EXPENDABLE = ("p50", "bytes/s", "role", "process", "depth", "packets", "drops", "p99", "pid")
_GAP = 2
_SHORTEST_FUNCTION = 28  #: function names are shortened to this before a column is dropped
_LEAST_FUNCTION = 8
_LONGEST_PROCESS = 16
_LEAST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `alarm`: the range (from, to) that reports drops; `weak`: of minor interest."""

    text: str
    heading: bool = False
    weak: bool = False
    alarm: tuple[int, int] | None = None


def cells(row: Row) -> dict[str, str]:
    """The row's columns as text."""
    # A long process name must not take space from the functions; the PID distinguishes processes.
    name = printable(row.process)
    process = name if len(name) <= _LONGEST_PROCESS else name[: _LONGEST_PROCESS - 1] + "…"
    idle = row.calls_per_second == 0
    return {
        "pid": str(row.pid),
        "process": f"{process}[{row.pid}]" + (" (ended)" if row.ended else ""),
        "function": printable(row.function),
        "role": row.role,
        "calls/s": rate(row.calls_per_second),
        "p50": NONE if idle else at_most_text(row.p50_at_most_ns),
        "p99": NONE if idle else at_most_text(row.p99_at_most_ns),
        "bytes/s": rate(row.bytes_per_second),
        "packets": whole(row.packets),
        "drops": whole(row.drops),
        "depth": whole(row.depth),
    }


def lines(rows: Sequence[Row], width: int = 200, height: int | None = None) -> list[Line]:
    """The table in this many columns and, if given, lines."""
    called = [row for row in rows if row.calls]
    idle = [row for row in rows if not row.calls]
    room = len(called) if height is None else max(_LEAST_ROWS, height - 1 - bool(idle))
    hidden = len(called) - room if len(called) > room else 0
    if hidden:
        called = called[: room - 1]
        hidden += 1
    table = [cells(row) for row in called]
    columns, widths = _fit(table, width)
    found = [Line(_join([(name, name) for name in columns], widths), heading=True)]
    for row, texts in zip(called, table, strict=True):
        text = _join([(name, texts[name]) for name in columns], widths)
        found.append(Line(text, weak=row.ended, alarm=_place("drops", columns, widths) if row.drops else None))
    if hidden:
        found.append(Line(f"and {hidden} more", weak=True))
    if idle:
        names = ", ".join(dict.fromkeys(printable(row.function) for row in idle))
        found.append(Line(_cut(f"not called yet: {names}", width), weak=True))
    return found


def text_lines(rows: Sequence[Row], width: int = 200, height: int | None = None) -> list[str]:
    """The same without style."""
    return [line.text for line in lines(rows, width, height)]


def render(rows: Sequence[Row], width: int, height: int, caption: str = "") -> Group:
    """The table for a terminal of this size, with a line below it."""
    from rich.console import Group
    from rich.text import Text

    below = [Text(""), Text(_cut(printable(caption), width), no_wrap=True)] if caption else []
    shown = []
    for line in lines(rows, width, height - len(below)):
        # Names come from a possibly hostile binary; Text never interprets them as markup.
        text = Text(
            line.text, no_wrap=True, overflow="crop", style="bold" if line.heading else "dim" if line.weak else ""
        )
        if line.alarm is not None:
            text.stylize("bold red", *line.alarm)
        shown.append(text)
    return Group(*shown, *below)


def _fit(table: Sequence[dict[str, str]], width: int) -> tuple[list[str], dict[str, int]]:
    """The columns that fit, with their widths."""
    widths = {name: max([_width(name), *(_width(row[name]) for row in table)]) for name in ("pid", *COLUMNS)}
    columns = [name for name in COLUMNS if name == "function" or _says_something(name, table)]
    least = min(widths["function"], _SHORTEST_FUNCTION)

    def others() -> int:
        return sum(widths[name] for name in columns if name != "function") + _GAP * (len(columns) - 1)

    one = len({row["pid"] for row in table}) <= 1
    for name in ("process", *_EXPENDABLE) if one else _EXPENDABLE:
        if others() + least <= width:
            break
        if name in columns:
            columns.remove(name)
            if name == "process" and not one:
                columns.insert(0, "pid")
    widths["function"] = max(_LEAST_FUNCTION, min(widths["function"], width - others()))
    return columns, widths


def _says_something(name: str, table: Sequence[dict[str, str]]) -> bool:
    """Whether a column contains only dashes and can be dropped."""
    return name in _TEXT or not table or any(row[name] != NONE for row in table)


def _join(row: Sequence[tuple[str, str]], widths: dict[str, int]) -> str:
    shown = []
    for name, text in row:
        room = widths[name]
        fitted = _cut_left(text, room) if name in _TEXT else text
        blank = " " * (room - _width(fitted))
        shown.append(fitted + blank if name in _TEXT else blank + fitted)
    return (" " * _GAP).join(shown).rstrip()


def _place(name: str, columns: Sequence[str], widths: dict[str, int]) -> tuple[int, int] | None:
    if name not in columns:
        return None
    start = sum(widths[each] + _GAP for each in columns[: columns.index(name)])
    return start, start + widths[name]


def _width(text: str) -> int:
    """The number of columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _cut(text: str, width: int) -> str:
    """The beginning of the text, in at most this many columns."""
    if _width(text) <= width:
        return text
    while text and _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _cut_left(text: str, width: int) -> str:
    """The end of the text, which distinguishes functions of one class."""
    if _width(text) <= width:
        return text
    while text and _width(text) > width - 1:
        text = text[1:]
    return "…" + text
