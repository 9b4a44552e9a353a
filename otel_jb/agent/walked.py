# SPDX-License-Identifier: Apache-2.0
"""What the stacks of slow calls mean, on the way from the reader to the exporter.

The reader walks each stack as the call arrives, since that takes the target's memory and files, and sends what it found: `Walker`. The
exporter keeps it until the call has become a span: `Walks`. Stacks have few shapes, so the lines of one cross once.
"""

from __future__ import annotations

import logging
import marshal
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_jb.model.stream import NestedCall, PassedPacket, Series, SlowCall
from otel_jb.telemetry.holding import Key, key_of
from otel_jb.telemetry.nesting import told_apart

if TYPE_CHECKING:
    from otel_jb.stacks.unwinder import Stacks

_logger = logging.getLogger(__name__)

_WAITING = 512  #: slow calls that wait to be walked; each has a copy of its stack, up to 16 KiB
_GATHERED = 256  #: enough of them to begin: from the second call of a row on everything is in the processor's caches, here and in the exporter
_KNOWN_LINES = 1024
_KEPT = 4096  #: more than wait to become spans

_NONE: tuple[list[NestedCall], list[NestedCall], int] = ([], [], 0)

Lines = tuple[str, ...]


class Walked(NamedTuple):
    """A slow call and what its stack means."""

    call: SlowCall
    lines: int  #: number of the stack's lines, innermost first
    around: tuple[int, ...] | None  #: frames of the probed calls that it ran in; None where its stack does not tell
    nested: Sequence[NestedCall]  #: those that ran inside it
    doubtful: int  #: of how many that cannot be told


_NAMES = [each.name for each in fields(SlowCall)]
_STACK, _NESTED = _NAMES.index("stack"), _NAMES.index("nested")
#: What lies between these two, the target's stack and registers, has been walked and stays behind.
_LEFT: list[Any] = [each.default for each in fields(SlowCall)[_STACK:_NESTED]]
_OF_CALL = attrgetter(*_NAMES[:_STACK])
_PACKETS = _NAMES.index("packets")
_OF_REST = attrgetter(*_NAMES[_NESTED + 2 : _PACKETS])
_OF_LAST = attrgetter(*_NAMES[_PACKETS + 1 :], "series")  # one more than there are, so that these are a tuple
_OF_PACKET = attrgetter(*(each.name for each in fields(PassedPacket)))
_OF_NESTED = attrgetter(*(each.name for each in fields(NestedCall)))


def packed(batch: Sequence[Walked]) -> bytes:
    """As bytes, in a tenth of the time that pickling takes."""
    return marshal.dumps(
        [
            (
                _OF_CALL(call),
                [*map(_OF_NESTED, nested)],
                doubtful,
                _OF_REST(call),
                [*map(_OF_PACKET, call.packets)],
                _OF_LAST(call),
                lines,
                around,
            )
            for call, lines, around, nested, doubtful in batch
        ]
    )


def unpacked(data: bytes) -> list[tuple[SlowCall, int, tuple[int, ...] | None]]:
    """What was packed by this very program: calls without what only a walk needs, `Walked.lines` and `Walked.around`."""
    return [
        (
            SlowCall(  # type: ignore[call-arg]
                *values,
                *_LEFT,
                tuple([NestedCall(*each) for each in nested]),
                doubtful,
                *rest,
                tuple([PassedPacket(*each) for each in packets]),
                *last[:-1],
            ),
            lines,
            around,
        )
        for values, nested, doubtful, rest, packets, last, lines, around in marshal.loads(data)  # noqa: S302 - from the process that started this one
    ]


class Walker:
    """Walks the stacks of slow calls on a thread of its own, which wakes once for each row of them.

    Args:
        stacks: walks.
        series: a series and its process by the series' id; None for one that is not known any more.
        send: takes calls in order, with the lines that none before had.
        dropped: takes how many calls found too many waiting before them.
    """

    def __init__(
        self,
        stacks: Stacks,
        series: Callable[[int], tuple[Series, int] | None],
        send: Callable[[Sequence[Walked], Mapping[int, Lines]], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._stacks = stacks
        self._series = series
        self._send = send
        self._dropped = dropped
        self._waiting: deque[SlowCall] = deque()
        self._due = threading.Event()
        self._ending = False
        self._numbers: dict[Lines, int] = {}
        self._next_number = 0
        self._thread = threading.Thread(target=self._work, name="stacks", daemon=True)
        self._thread.start()

    def take(self, call: SlowCall) -> None:
        """Walk this one in its turn, once there are many or `tick` is called; never blocks. From one thread."""
        if len(self._waiting) >= _WAITING:
            self._dropped(1)
            return
        self._waiting.append(call)
        if len(self._waiting) == _GATHERED:
            self._due.set()

    def tick(self) -> None:
        """Walk what waits: to be called once a second, by who is awake for something else. Never blocks."""
        if self._waiting:
            self._due.set()

    def finish(self, budget_seconds: float) -> None:
        """Walk what waits, and end."""
        self._ending = True
        self._due.set()
        self._thread.join(budget_seconds)

    def _work(self) -> None:
        ending = False
        while not ending:
            self._due.wait()
            self._due.clear()
            ending = self._ending
            self._walk_all()

    def _walk_all(self) -> None:
        new: dict[int, Lines] = {}
        batch = []
        while self._waiting:
            call = self._waiting.popleft()
            known = self._series(call.series)
            if known is None:
                continue
            try:
                batch.append(self._walk(call, *known, new))
            except Exception:
                _logger.exception("the stack of a slow call could not be walked")
                self._dropped(1)
        if batch:
            self._send(batch, new)

    def _walk(self, call: SlowCall, series: Series, pid: int, new: dict[int, Lines]) -> Walked:
        around = self._stacks.around(series, call)
        lines = tuple(self._stacks.symbolise(series, call))
        number = self._numbers.get(lines)
        if number is None:
            if len(self._numbers) >= _KNOWN_LINES:
                self._numbers.clear()
            number = self._numbers[lines] = self._next_number
            self._next_number += 1
            new[number] = lines
        inside, doubtful, _ = told_apart(call, pid, self._stacks.same_stack) if call.nested else _NONE
        return Walked(call, number, None if around is None else tuple(around), inside, len(doubtful))


class Walks:
    """What the exporter received about recent slow calls. One thread writes, another reads."""

    def __init__(self) -> None:
        self._lines: OrderedDict[int, Lines] = OrderedDict()
        self._kept: OrderedDict[Key, tuple[Lines, tuple[int, ...] | None]] = OrderedDict()

    def note(self, batch: Sequence[tuple[SlowCall, int, tuple[int, ...] | None]], new: Mapping[int, Lines]) -> None:
        """Keep what was found of these calls, see `unpacked`."""
        self._lines.update(new)
        while len(self._lines) > 2 * _KNOWN_LINES:
            self._lines.popitem(last=False)
        for call, lines, around in batch:
            self._kept[key_of(call)] = (self._lines.get(lines, ()), around)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def symbolise(self, series: Series, call: SlowCall) -> Sequence[str]:
        """See `Telemetry`."""
        kept = self._kept.get(key_of(call))
        return kept[0] if kept is not None and kept[0] else (series.function,)

    def around(self, _: Series, call: SlowCall) -> Collection[int] | None:
        """See `Telemetry`."""
        kept = self._kept.get(key_of(call))
        return kept[1] if kept is not None else ()

    def same_stack(self, _: int, outer: SlowCall, inner: NestedCall) -> bool | None:
        """See `Telemetry`. A call that the outer one does not name was slow itself: what it ran in is known of its own stack."""
        if any(inner is nested for nested in outer.nested):  # the others have been left out
            return True
        kept = self._kept.get(key_of(inner))
        return True if kept is not None and outer.frame in (kept[1] or ()) else None
