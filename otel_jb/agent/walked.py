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
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import NestedCall, PassedPacket, Series, SlowCall
from otel_jb.telemetry.holding import Key, key_of
from otel_jb.telemetry.nesting import told_apart

if TYPE_CHECKING:
    from otel_jb.stacks.unwinder import Stacks

_logger = logging.getLogger(__name__)

_WAITING = 512  #: slow calls that wait to be walked; each has a copy of its stack, up to 16 KiB
_GATHERED = 256  #: enough of them to begin: from the second call of a row on everything is in the processor's caches, here and in the exporter
_KNOWN_LINES = 1024
_KEPT = 4096  #: more than wait for the call that they ran in

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
_STACK, _NESTED, _PACKETS = (_NAMES.index(name) for name in ("stack", "nested", "packets"))
#: What lies between the first two, the target's stack and registers, has been walked and stays behind.
_LEFT: list[Any] = [each.default for each in fields(SlowCall)[_STACK:_NESTED]]
_DOUBTFUL = _NESTED + 1
#: As they are: before the stack, between `nested_doubtful` and the packets, and behind these.
_OF_CALL = attrgetter(*_NAMES[:_STACK], *_NAMES[_DOUBTFUL + 1 : _PACKETS], *_NAMES[_PACKETS + 1 :])
_FIRST, _SECOND = slice(_STACK), slice(_STACK, _STACK + _PACKETS - _DOUBTFUL - 1)
_THIRD = slice(_SECOND.stop, None)
_OF_PACKET = attrgetter(*(each.name for each in fields(PassedPacket)))
_OF_NESTED = attrgetter(*(each.name for each in fields(NestedCall)))


def packed(batch: Sequence[Walked]) -> bytes:
    """As bytes, in a tenth of the time that pickling takes."""
    runs = Runs()
    rows = [
        (
            _OF_CALL(call),
            [*map(_OF_NESTED, nested)] if nested else (),
            doubtful,
            runs.add(call.packets) if call.packets else (0, 0, 0),
            lines,
            around,
        )
        for call, lines, around, nested, doubtful in batch
    ]
    return marshal.dumps(([[*map(_OF_PACKET, run)] for run in runs.every], rows))


class Runs:
    """Packets of calls, each once where it can be: calls of one buffer have most of theirs in common, one after the other, and so each has a part of a run.

    Those who add packets keep them.
    """

    def __init__(self) -> None:
        self.every: list[list[PassedPacket]] = []
        self._found: dict[
            int, tuple[int, int]
        ] = {}  # the number of the run and the place there, by the packet's identity

    def add(self, packets: Sequence[PassedPacket]) -> tuple[int, int, int]:
        """The number of the run that has them, from where, and to where."""
        number, begin = self._found.get(id(packets[0]), (-1, 0))
        end = begin + len(packets)
        common = self.every[number][begin:end] if number >= 0 else []
        if not common or not all(map(is_, common, packets)):
            number, begin, end, common = len(self.every), 0, len(packets), []
            self.every.append([])
        run = self.every[number]
        for packet in packets[len(common) :]:
            self._found[id(packet)] = (number, len(run))
            run.append(packet)
        return number, begin, end


@dataclass(slots=True, unsafe_hash=True)
class ToldCall(SlowCall):
    """A slow call as the exporter has it: without what only a walk needs, and with what the walk found."""

    lines: Lines = ()  #: of its stack, innermost first; empty: not known any more
    around: tuple[int, ...] | None = None  #: see `Walked.around`

    def __post_init__(self) -> None:
        """The reader's record made the texts printable."""


def unpacked(data: bytes, lines: Mapping[int, Lines]) -> list[ToldCall]:
    """What was packed by this very program, with the lines of these numbers."""
    runs, batch = marshal.loads(data)  # noqa: S302 - from the process that started this one
    made = [tuple([PassedPacket(*packet) for packet in run]) for run in runs]
    return [
        ToldCall(  # type: ignore[call-arg]
            *values[_FIRST],
            *_LEFT,
            tuple([NestedCall(*each) for each in nested]) if nested else (),
            doubtful,
            *values[_SECOND],
            made[number][begin:end] if end else (),
            *values[_THIRD],
            lines.get(known, ()),
            around,
        )
        for values, nested, doubtful, (number, begin, end), known, around in batch
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
        series: dict[int, tuple[Series, int] | None] = {}  # of this row
        while self._waiting:
            call = self._waiting.popleft()
            known = series.get(call.series)
            if known is None:
                known = series[call.series] = self._series(call.series)
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
        self._around: OrderedDict[Key, tuple[int, ...]] = OrderedDict()  # of calls that ran in others

    def take(self, data: bytes, new: Mapping[int, Lines]) -> list[ToldCall]:
        """The calls that were packed; `new`: lines that none before had."""
        self._lines.update(new)
        while len(self._lines) > 2 * _KNOWN_LINES:
            self._lines.popitem(last=False)
        calls = unpacked(data, self._lines)
        for call in calls:
            if call.around:
                self._around[key_of(call)] = call.around
        while len(self._around) > _KEPT:
            self._around.popitem(last=False)
        return calls

    @staticmethod
    def symbolise(series: Series, call: SlowCall) -> Sequence[str]:
        """See `Telemetry`."""
        return call.lines if isinstance(call, ToldCall) and call.lines else (series.function,)

    @staticmethod
    def around(_: Series, call: SlowCall) -> Collection[int] | None:
        """See `Telemetry`."""
        return call.around if isinstance(call, ToldCall) else ()

    def same_stack(self, _: int, outer: SlowCall, inner: NestedCall) -> bool | None:
        """See `Telemetry`. A call that the outer one does not name was slow itself: what it ran in is known of its own stack."""
        if any(inner is nested for nested in outer.nested):  # the others have been left out
            return True
        return True if outer.frame in self._around.get(key_of(inner), ()) else None
