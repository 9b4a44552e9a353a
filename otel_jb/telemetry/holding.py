"""Slow calls that ran inside another probed call which has not ended yet: they wait for it, to become its child spans.

The kernel tells of a call when it ends, so of an inner one first. One slow call is one span (docs/adr/0011-slow-inside-slow.md): the
inner call is made a trace of its own only if the outer one does not turn up in time, because it goes on, is not slow by its own
threshold, or was held back by its rate limit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from otel_jb.model.stream import NestedCall, Series, SlowCall, Target

HOLD_S = 2.0  #: how long a call waits for the one around it
MAX_HELD = 256  #: beyond it the oldest waits no longer


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

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells a call from every other."""
        return (self.call.series, self.call.frame, self.call.start_ns)

    def nested(self) -> NestedCall:
        """The call as one that ran inside another."""
        return NestedCall(self.call.series, self.call.frame, self.call.start_ns, self.call.end_ns)

    def may_be_inside(self, outer: SlowCall, target: Target) -> bool:
        """Whether `outer` is, as far as this call's own stack and the times tell, a call around this one."""
        within = outer.start_ns <= self.call.start_ns and self.call.end_ns <= outer.end_ns
        return self.target.id == target.id and within and (self.around is None or outer.frame in self.around)


class Holding:
    """The calls that wait. Used from one thread."""

    def __init__(self, hold_seconds: float = HOLD_S, most: int = MAX_HELD) -> None:
        self._hold = hold_seconds
        self._most = most
        self._held: list[Held] = []  # in the order of arrival

    def __len__(self) -> int:
        return len(self._held)

    def add(
        self, call: SlowCall, series: Series, target: Target, stack: str, around: Collection[int] | None, now: float
    ) -> None:
        """Hold a call from `now` (monotonic seconds) on; those that may be inside it wait as long as it does."""
        new = Held(call, series, target, stack, around, now + self._hold)
        for held in self._held:
            if held.may_be_inside(call, target):
                held.due = new.due
        self._held.append(new)

    def next_due(self) -> float | None:
        """When the next one has waited long enough; None where none waits."""
        return min((held.due for held in self._held), default=None)

    def inside(self, outer: SlowCall, target: Target) -> list[Held]:
        """Those that may be inside a slow call; they stay until `remove`."""
        return [held for held in self._held if held.may_be_inside(outer, target)]

    def remove(self, gone: Collection[Held]) -> None:
        """Hold these no longer."""
        keys = {id(held) for held in gone}
        self._held = [held for held in self._held if id(held) not in keys]

    def release(self, now: float | None) -> Iterator[Held]:
        """Let go, one by one, what has waited long enough or is too much; None: everything. Outer calls come before inner ones."""
        while True:
            ready = [
                held
                for place, held in enumerate(self._held)
                if now is None or held.due <= now or len(self._held) - place > self._most
            ]
            if not ready:
                return
            first = max(ready, key=lambda held: (held.call.end_ns, -held.call.start_ns))
            self.remove([first])
            yield first
