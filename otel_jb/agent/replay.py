"""The backend that reads a recording instead of the kernel, so that everything above runs without root.

`play` gives the records at the pace at which they came. `ReplayBackend` answers the questions of `Backend` from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from otel_jb.agent.recording import Recorded
from otel_jb.model.arrival import Arrival
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import ProbeStatus, Series, SeriesSnapshot, SlowCall, Snapshot, StreamRecord, Target


def play(
    records: Iterable[Recorded],
    speed: float | None = 1.0,
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Recorded]:
    """The records, each not before its time: `speed` 2.0 is twice as fast, None does not wait at all.

    Times are held against the beginning, so that what a record takes to handle does not add up.
    """
    began = now()
    for item in records:
        if speed is not None:
            ahead = item.at_ns / 1e9 / speed - (now() - began)
            if ahead > 0:
                wait(ahead)
        yield item


class ReplayBackend:
    """Implements `Backend` from recorded records; each `snapshot` gives the next one of the recording, the last one for good.

    Thresholds and shedding are what they were when it was recorded: those methods change nothing.
    """

    def __init__(self, records: Iterable[Recorded | StreamRecord]) -> None:
        self._records = iter(records)
        self._ahead: list[StreamRecord] = []  # read, but not asked for yet
        self._slow: list[SlowCall] = []
        self._series: dict[int, int] = {}  # series -> its target
        self._last = Snapshot(0, 0, (), ())
        self._values: dict[int, SeriesSnapshot] = {}
        self.finished = False

    def targets(self) -> list[Target]:
        """The targets that the recording names before its next snapshot."""
        self._read_to_snapshot()
        return [record for record in self._ahead if isinstance(record, Target)]

    def attach(
        self, target: Target, plan: ProbePlan, *, alone: bool = True, running: bool = True
    ) -> list[StreamRecord]:
        """The Series and ProbeStatus records of this target that come before the next snapshot; the plan is not looked at."""
        del plan, alone, running
        self._read_to_snapshot()
        mine = [item for item in self._ahead if isinstance(item, Series | ProbeStatus) and item.target == target.id]
        self._ahead = [item for item in self._ahead if item not in mine]
        return list(mine)

    def extend(self, target_id: int, plan: ProbePlan, *, alone: bool = True) -> list[StreamRecord]:
        """Nothing: what was attached is in the recording."""
        del target_id, plan, alone
        return []

    def arrivals(self) -> list[Arrival]:
        """None: who came is in the recording."""
        return []

    def ignore(self, arrival: Arrival) -> None:
        """Changes nothing."""

    def ended(self) -> dict[int, bool]:
        """None: who ended is in the recording."""
        return {}

    def tidy(self) -> None:
        """Changes nothing."""

    def no_room(self) -> dict[str, int]:
        """Nothing: what was not counted is not in the recording."""
        return {}

    def detach(self, *target_ids: int, gone: bool = False) -> Snapshot:
        """The last values of the targets' series that the recording gave."""
        del gone
        over = [series for series, target in self._series.items() if target in target_ids]
        last = tuple(self._values.pop(series) for series in over if series in self._values)
        for series in over:
            del self._series[series]
        return replace(self._last, series=last, depths=())

    def has_counted(self, target_id: int) -> bool:
        """Whether the recording has a call of the target's so far."""
        return any(entered for series, entered in self.entries().items() if self._series.get(series) == target_id)

    def entries(self) -> dict[int, int]:
        """How often each series was entered, as of the last snapshot."""
        return {
            number: one.returned + one.abandoned + one.missed + one.untimed + one.in_flight
            for number, one in self._values.items()
        }

    def snapshot(self, roll: bool = False, only: int | None = None) -> Snapshot:
        """The next snapshot; after the end of the recording the last one again. Where intervals end is as recorded."""
        del roll, only
        self._read_to_snapshot()
        for index, record in enumerate(self._ahead):
            if isinstance(record, Snapshot):
                self._last = record
                # What came before it and was not asked for is over: a target that nobody attached, an end.
                del self._ahead[: index + 1]
                break
        self._values.update((values.series, values) for values in self._last.series)
        return self._last

    def slow_calls(self) -> list[SlowCall]:
        """The slow calls that the recording had up to the last snapshot."""
        calls, self._slow = self._slow, []
        return calls

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        """Changes nothing."""

    def shed(self, series: int, reason: str) -> ProbeStatus | None:
        """Changes nothing."""
        del series, reason
        return None

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        """Changes nothing."""
        del series, reason
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _read_to_snapshot(self) -> None:
        while not self.finished and not any(isinstance(record, Snapshot) for record in self._ahead):
            item = next(self._records, None)
            if item is None:
                self.finished = True
                return
            record = item.record if isinstance(item, Recorded) else item
            if isinstance(record, SlowCall):
                self._slow.append(record)
                continue
            if isinstance(record, Series):
                self._series[record.id] = record.target
            self._ahead.append(record)
