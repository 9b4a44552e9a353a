# SPDX-License-Identifier: Apache-2.0
"""Slow calls that ran inside another probed call which has not ended yet: they wait for it, to become its child spans.

The kernel reports a call when it ends, so an inner one first. One slow call is one span (docs/adr/0011-slow-inside-slow.md): the
inner call gets a trace of its own only if the outer one does not turn up in time, because it goes on, is not slow by its own
threshold, or was held back by its rate limit. An inner call never leaves before an outer one that waits too: then the outer one is
released, and takes the inner one along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import heappop, heappush
from typing import TypeVar

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import NestedCall, Series, SlowCall, Target

HOLD_S = 2.5  #: how long a call waits for the one around it; they come from the reader in rows, up to 1.3 s apart
MAX_HELD = 2048  #: beyond it the oldest waits no longer; one is 1 to 2 KB, its stack's text is shared

_T = TypeVar("_T")
Key = tuple[int, int, int]  #: series, frame and start of a call: no other call has all three


def key_of(call: SlowCall | NestedCall) -> Key:
    """The call's identity."""
    return (call.series, call.frame, call.start_ns)


@dataclass(slots=True)
class Held:
    """A slow call that waits.

    Attributes:
        around: frames of the probed calls that its stack shows around it; None where the stack does not reach far enough to tell.
        due: monotonic seconds.
    """

    call: SlowCall
    series: Series
    target: Target
    stack: str
    around: Collection[int] | None
    due: float
    key: Key  #: see `key_of`

    def nested(self) -> NestedCall:
        """The call as one that ran inside another."""
        return NestedCall(self.call.series, self.call.frame, self.call.start_ns, self.call.end_ns)

    def within(self, outer: SlowCall) -> bool:
        """Whether its time lies within that of `outer`."""
        return outer.start_ns <= self.call.start_ns and self.call.end_ns <= outer.end_ns


class Holding:
    """The calls that wait, found by the frames around them. Used from one thread."""

    def __init__(self, hold_seconds: float = HOLD_S, most: int = MAX_HELD) -> None:
        self._hold = hold_seconds
        self._most = most
        self._held: dict[Key, Held] = {}  # in the order of arrival
        self._due: list[
            tuple[float, Key]
        ] = []  # a heap; entries of calls that are gone or wait longer now are passed over
        self._at: dict[tuple[int, int], dict[Key, Held]] = {}  # by target and their own frame
        self._inside: dict[tuple[int, int], dict[Key, Held]] = {}  # by target and each frame around them
        self._unsure: dict[int, dict[Key, Held]] = {}  # by target: their stacks are cut off
        self._named: dict[Key, Key] = {}  # a call that ran inside -> the waiting call whose event names it

    def __len__(self) -> int:
        return len(self._held)

    def add(
        self, call: SlowCall, series: Series, target: Target, stack: str, around: Collection[int] | None, now: float
    ) -> None:
        """Hold a call from `now` (monotonic seconds) on; those that may be inside it wait as long as it does."""
        new = Held(call, series, target, stack, around, now + self._hold, key_of(call))
        for held in self.inside(call, target):
            held.due = new.due
        self._held[new.key] = new
        heappush(self._due, (new.due, new.key))
        self._at.setdefault((target.id, call.frame), {})[new.key] = new
        for frame in around or ():
            self._inside.setdefault((target.id, frame), {})[new.key] = new
        if around is None:
            self._unsure.setdefault(target.id, {})[new.key] = new
        for nested in call.nested:
            self._named[key_of(nested)] = new.key

    def next_due(self) -> float | None:
        """When the next one has waited long enough; None if none waits."""
        while self._due:
            due, key = self._due[0]
            held = self._held.get(key)
            if held is not None and held.due <= due:
                return due
            heappop(self._due)
            if held is not None:
                heappush(self._due, (held.due, key))
        return None

    @property
    def full(self) -> bool:
        """Whether `release` has some to release for their number, whatever the time."""
        return len(self._held) > self._most

    def due(self, now: float) -> bool:
        """Whether `release` at `now` has any to release."""
        if self.full:
            return True
        due = self.next_due()
        return due is not None and due <= now

    def inside(self, outer: SlowCall, target: Target) -> list[Held]:
        """Those that may be inside a slow call, as far as their own stacks and the times tell; they stay until `remove`."""
        sure = self._inside.get((target.id, outer.frame), {})
        unsure = self._unsure.get(target.id, {})
        if not sure and not unsure:
            return []
        own = key_of(outer)
        return [held for held in (*sure.values(), *unsure.values()) if held.within(outer) and held.key != own]

    def remove(self, gone: Collection[Held]) -> None:
        """Hold these no longer."""
        for held in gone:
            key = held.key
            if self._held.pop(key, None) is None:
                continue
            _drop(self._at, (held.target.id, held.call.frame), key)
            for frame in held.around or ():
                _drop(self._inside, (held.target.id, frame), key)
            if held.around is None:
                _drop(self._unsure, held.target.id, key)
            for nested in held.call.nested:
                if self._named.get(key_of(nested)) == key:
                    del self._named[key_of(nested)]

    def release(self, now: float | None) -> Iterator[Held]:
        """Release, one by one, the calls that have waited long enough or exceed the limit; None: all. Outer calls come before inner ones."""
        while self._held:
            due = self.next_due()
            if now is None or len(self._held) > self._most:
                ready = next(iter(self._held.values()))
            elif due is not None and due <= now:
                ready = self._held[self._due[0][1]]
            else:
                return
            first = self._outermost(ready)
            self.remove([first])
            yield first

    def _outermost(self, held: Held) -> Held:
        """The waiting call that is around all others that are around this one; itself where none is."""
        while True:
            outer = self._around(held)
            if outer is None:
                return held
            held = outer

    def _around(self, held: Held) -> Held | None:
        """The longest waiting call that its stack shows around it; where that is cut off, one whose event names it."""
        if held.around is None:
            named = self._held.get(self._named.get(held.key, (0, 0, 0)))
            found = [named] if named is not None else []
        else:
            found = [outer for frame in held.around for outer in self._at.get((held.target.id, frame), {}).values()]
        # A frame around another lies above it, so a walk along these ends.
        around = [outer for outer in found if held.within(outer.call) and outer.call.frame > held.call.frame]
        return min(around, key=lambda outer: outer.call.start_ns, default=None)


def _drop(index: dict[_T, dict[Key, Held]], place: _T, key: Key) -> None:
    there = index.get(place)
    if there is not None:
        there.pop(key, None)
        if not there:
            del index[place]
