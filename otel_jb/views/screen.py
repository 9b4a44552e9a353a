# SPDX-License-Identifier: Apache-2.0
"""What `top` shows: which table, in which order, what is hidden, which row is open. Keys change it; drawing is `frame`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import field, replace

from otel_jb.model.dataclass import dataclass
from otel_jb.model.text import printable
from otel_jb.views.detail import detail
from otel_jb.views.heat import Heat
from otel_jb.views.numbers import NONE, rate, whole
from otel_jb.views.opened import Opened
from otel_jb.views.rows import Picture, ProcessRow, Row, StreamRow
from otel_jb.views.table import FUNCTIONS, PROCESSES, STREAMS, Item, Layout, Line, arrange, cells, cut, process_text
from otel_jb.views.trends import LENGTH, Trends, histogram

AnyRow = Row | StreamRow | ProcessRow
HELP = """\
Tab       functions, RTP streams, processes
up, down  choose a row (k, j too); scroll in an open one
Enter     open the row: verdict, calls over time, slow calls; Esc closes it
s         order by the next column; r turns the order round
/         show only rows with this text; Enter keeps it, Esc drops it
space     freeze the picture; again: go on
q         quit

calls/s, p50, p99, packets/s and bytes/s are of the last 10 seconds, counts since the agent attached.
p50 ≤43.2µs: at least half of the calls took at most 43.2 µs.
trend: the rate's last readings. durations: the last calls, quick ones on the left, the same scale for all."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One of the tables, and the columns that it can be ordered by; None: as the agent attached."""

    title: str
    layout: Layout
    orders: tuple[tuple[str, Callable[[AnyRow], float] | None], ...]


def _number(*names: str) -> Callable[[AnyRow], float]:
    def value(row: AnyRow) -> float:
        found = next((getattr(row, name) for name in names if hasattr(row, name)), None)
        return -math.inf if found is None else float(found)

    return value


_TABLES = (
    _Table(
        "functions",
        FUNCTIONS,
        (
            ("as attached", None),
            ("calls/s", _number("calls_per_second")),
            ("p99", _number("p99_at_most_ns")),
            ("drops", _number("drops")),
            ("packets", _number("packets")),
            ("depth", _number("depth")),
        ),
    ),
    _Table(
        "streams",
        STREAMS,
        (
            ("packets/s", _number("packets_per_second")),
            ("lost", _number("lost")),
            ("jitter", _number("jitter_ns")),
            ("reordered", _number("reordered")),
            ("duplicated", _number("duplicated")),
        ),
    ),
    _Table(
        "processes",
        PROCESSES,
        (
            ("as attached", None),
            ("calls/s", _number("calls_per_second")),
            ("cpu", _number("cpu")),
            ("waited", _number("waited")),
            ("udp drops", _number("udp_drops")),
        ),
    ),
)


@dataclass(slots=True)
class Screen:
    """The state of the screen. Not thread-safe."""

    bars: bool = True  #: the terminal has the characters for trends
    table: int = 0
    order: list[int] = field(default_factory=lambda: [0] * len(_TABLES))
    ascending: bool = False
    text: str = ""  #: rows must have it
    typing: bool = False
    frozen: bool = False
    helping: bool = False
    opened: tuple[int, str] | None = None
    chosen: int = 0
    scrolled: int = 0  #: lines of the open row above the first that is shown
    _picture: Picture = field(default_factory=Picture)
    _trends: Trends = field(default_factory=Trends)
    _heat: Heat = field(default_factory=Heat)
    _more: tuple[tuple[int, str], Opened] | None = None
    _used: tuple[int, int] = (
        0,
        0,
    )  #: the lowest and the highest bucket with a call in any function: rows can be compared

    def take(self, picture: Picture) -> None:
        """A new picture; nothing changes while the screen is frozen."""
        if self.frozen:
            return
        self._picture = picture
        self._trends.feed(
            [
                *((("function", row.key), row.calls_per_second) for row in picture.functions),
                *((("stream", row.key), row.packets_per_second) for row in picture.streams),
                *((("process", row.key), row.calls_per_second) for row in picture.processes),
                *((("depth", row.key), row.depth) for row in picture.functions),
            ]
        )
        used = {place for row in picture.functions for place, calls in enumerate(row.buckets) if calls}
        self._used = (min(used), max(used)) if used else (0, 0)
        self._heat.feed((row.key, row.totals) for row in picture.functions if row.totals)

    @property
    def wanted(self) -> tuple[int, str] | None:
        """The key of the row that is open, whose `Opened` is to be told by `look`; None: nothing is."""
        return None if self.frozen and self._more is not None else self.opened

    def look(self, key: tuple[int, str], more: Opened) -> None:
        """What belongs to the row with this key."""
        self._more = key, more

    def press(self, key: str) -> bool:
        """Do what a key means; False: quit."""
        if self.typing:
            self._type(key)
            return True
        if key in ("q", "\x03"):
            return False
        if self.helping:
            self.helping = False
        elif key == "?":
            self.helping = True
        elif self.opened is not None and key in ("down", "j", "up", "k"):
            self.scrolled = max(0, self.scrolled + (1 if key in ("down", "j") else -1))
        elif key == "esc":
            self.opened, self.text = None, ""
        elif key == "\t":
            self.table, self.chosen, self.opened = (self.table + 1) % len(_TABLES), 0, None
        elif key in ("down", "j"):
            self.chosen += 1
        elif key in ("up", "k"):
            self.chosen = max(0, self.chosen - 1)
        elif key == "\r":
            shown = [row for row in self._rows() if not _idle(row)]
            if shown:
                self.opened, self.scrolled, self._more = shown[min(self.chosen, len(shown) - 1)].key, 0, None
        elif key == "s":
            self.order[self.table] = (self.order[self.table] + 1) % len(_TABLES[self.table].orders)
        elif key == "r":
            self.ascending = not self.ascending
        elif key == "/":
            self.typing, self.text = True, ""
        elif key == " ":
            self.frozen = not self.frozen
        return True

    def _type(self, key: str) -> None:
        if key == "\r":
            self.typing = False
        elif key == "esc":
            self.typing, self.text = False, ""
        elif key == "\x7f":
            self.text = self.text[:-1]
        elif len(key) == 1 and key.isprintable() and len(self.text) < 60:
            self.text += key

    def frame(self, width: int, height: int, note: str = "") -> list[Line]:
        """The whole screen. `note`: what else there is to say, in the last line."""
        room = max(3, height - 3)
        keys = "? help  Tab next table  s order  / filter  Enter open  q quit"
        if self.helping:
            body, keys = [Line(text) for text in HELP.splitlines()], "Esc back  q quit"
        elif self.opened is not None and (row := self._opened_row()) is not None:
            body, keys = self._detail(row, width), "Esc back  q quit"
            if len(body) > room:
                keys = "up, down scroll  " + keys
            self.scrolled = max(0, min(self.scrolled, len(body) - room))
            body = body[self.scrolled :]
        else:
            body = self._table(width, room)
        head, foot = Line(self._heading(), weak=True), Line(note or keys, weak=True)
        body = [*body[:room], *[Line("")] * (height - 3 - len(body))]
        lines = [*[head, Line(""), *body][: height - 1], foot]
        return [replace(line, text=cut(line.text, width)) for line in lines]

    def text_lines(self, width: int) -> list[str]:
        """The present table without a screen around it."""
        return [line.text for line in self._table(width, None, chosen=False)]

    def _heading(self) -> str:
        titles = "  ".join(
            f"[{each.title}]" if number == self.table else each.title for number, each in enumerate(_TABLES)
        )
        order = _TABLES[self.table].orders[self.order[self.table]][0]
        parts = [titles, f"by {order}{' upwards' if self.ascending else ''}" if order != "as attached" else order]
        if self.typing or self.text:
            parts.append(f"only /{self.text}{'_' if self.typing else ''}")
        if self.frozen:
            parts.append("FROZEN")
        return "  |  ".join(parts)

    def _table(self, width: int, height: int | None, *, chosen: bool = True) -> list[Line]:
        rows = self._rows()
        if not rows:
            return [Line(cut(self._nothing(), width), weak=True)]
        active = sum(not _idle(row) for row in rows)
        self.chosen = max(0, min(self.chosen, active - 1))
        items = [self._item(row) for row in rows]
        return arrange(items, _TABLES[self.table].layout, width, height, self.chosen if chosen and active else None)

    def _nothing(self) -> str:
        if self.text:
            return f"no row has {self.text!r} in it"
        return "no RTP stream has been seen yet" if self.table == 1 else "nothing is measured yet"

    def _rows(self) -> list[AnyRow]:
        rows: Sequence[AnyRow] = (self._picture.functions, self._picture.streams, self._picture.processes)[self.table]
        text = self.text.lower()
        found = [row for row in rows if text in _name(row).lower()]
        by = _TABLES[self.table].orders[self.order[self.table]][1]
        if by is not None:
            found.sort(key=by, reverse=not self.ascending)
        elif self.ascending:
            found.reverse()
        return found

    def _opened_row(self) -> AnyRow | None:
        rows: Sequence[AnyRow] = (self._picture.functions, self._picture.streams, self._picture.processes)[self.table]
        return next((row for row in rows if row.key == self.opened), None)

    def _item(self, row: AnyRow) -> Item:
        kind = "function" if isinstance(row, Row) else "stream" if isinstance(row, StreamRow) else "process"
        drawn = {"trend": self._trends.line((kind, row.key)) if self.bars else ""}
        if isinstance(row, Row):
            drawn["durations"] = histogram(row.buckets, *self._used, LENGTH) if self.bars and any(row.buckets) else ""
        shown = {name: bars or NONE for name, bars in drawn.items()}
        return Item({**_cells(row), **shown}, idle=_idle(row), weak=row.ended, alarm=_alarms(row))

    def _detail(self, row: AnyRow, width: int) -> list[Line]:
        """One row, opened."""
        shown = {name: text for name, text in _cells(row).items() if name in _layout(row).columns}
        title = [shown.pop("process"), *(shown.pop(name) for name in ("stream", "role") if name in shown)]
        if not isinstance(row, ProcessRow):
            shown.pop("function", None)
            title.insert(1, printable(row.function))
        heat: list[str] = []
        if isinstance(row, Row):
            reasons = ", ".join(f"{printable(reason)} {count}" for reason, count in row.drops_by_reason if count)
            shown["drops"] += f" ({reasons})" if reasons else ""
            depth = self._trends.line(("depth", row.key)) if self.bars else ""
            shown["depth"] += f" {depth}" if depth else ""
            heat = self._heat.lines(row.key, row.bounds_ns, width, plain=not self.bars)
        more = self._more[1] if self._more is not None and self._more[0] == row.key else None
        return detail("  ".join(filter(None, title)), shown, row, more, heat, width)


def _idle(row: AnyRow) -> bool:
    return not (row.packets if isinstance(row, StreamRow) else row.calls)


def _alarms(row: AnyRow) -> bool:
    if isinstance(row, StreamRow):
        return row.lost > 0
    return bool(row.drops if isinstance(row, Row) else row.udp_drops)


def _name(row: AnyRow) -> str:
    more = row.function if isinstance(row, Row) else row.stream if isinstance(row, StreamRow) else ""
    return f"{row.process}[{row.pid}] {more}"


def _cells(row: AnyRow) -> dict[str, str]:
    if isinstance(row, Row):
        return cells(row)
    process = {"pid": str(row.pid), "process": process_text(row.process, row.pid, ended=row.ended)}
    if isinstance(row, StreamRow):
        return process | {
            "stream": printable(row.stream),
            "packets/s": rate(row.packets_per_second),
            "bytes/s": rate(row.bytes_per_second),
            "lost": whole(row.lost),
            "reordered": whole(row.reordered),
            "duplicated": whole(row.duplicated),
            "jitter": NONE if row.jitter_ns is None else f"{row.jitter_ns / 1e6:.2f}ms",
            "packets": whole(row.packets),
        }
    return process | {
        "functions": whole(row.functions),
        "calls/s": rate(row.calls_per_second),
        "cpu": _percent(row.cpu),
        "waited": _percent(row.waited),
        "throttled": _percent(row.throttled),
        "udp drops": whole(row.udp_drops),
    }


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{share * 100:.1f}%"


def _layout(row: AnyRow) -> Layout:
    return FUNCTIONS if isinstance(row, Row) else STREAMS if isinstance(row, StreamRow) else PROCESSES
