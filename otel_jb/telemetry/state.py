# SPDX-License-Identifier: Apache-2.0
"""What the stream of records adds up to: the present state of every target, read by the exporters and the live view.

`StreamState` folds records as they come, from any thread. `view()` hands out an immutable picture of one moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import (
    AgentCost,
    DepthSnapshot,
    HostShare,
    ProbeStatus,
    ResidenceSnapshot,
    RtpSnapshot,
    Series,
    SeriesSnapshot,
    SlowCall,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)
from otel_jb.telemetry.broken import broken, doubtful, without

if TYPE_CHECKING:
    from otel_jb.diagnosis.history import History
    from otel_jb.diagnosis.limits import Culprit
    from otel_jb.diagnosis.verdict import Verdict

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One probed function with its last values."""

    series: Series
    values: SeriesSnapshot  #: cumulative; `interval` is None unless it is of the agent's last complete interval
    bounds_ns: tuple[int, ...]  #: inclusive upper bounds that `values.buckets` were counted by
    time_unix_nano: int  #: when the values were read
    depth: DepthSnapshot | None  #: None where the function reads no depth, or none was read
    rtp: tuple[RtpSnapshot, ...] = ()  #: by label
    gap_bounds_ns: tuple[int, ...] = ()  #: of the times between packets in `rtp`
    residence: ResidenceSnapshot | None = None  #: of the buffers that packets leave by this function


@dataclass(frozen=True, slots=True)
class TargetView:
    """One process with its series."""

    target: Target
    ended_unix_nano: int | None
    series: tuple[SeriesView, ...]
    probes: tuple[ProbeStatus, ...]
    host: HostShare | None = None  #: None: not looked at yet
    accused: tuple[tuple[Culprit, str | None], ...] = ()  #: who is at fault, and for which stream; None: for all of it
    judged_unix_nano: int = 0


@dataclass(frozen=True, slots=True)
class StateView:
    """The state at one moment. `targets` holds ended ones too until their values have been kept long enough."""

    targets: tuple[TargetView, ...]
    snapshot_unix_nano: int | None  #: when the kernel was last read; None: not yet
    snapshot_ns: int | None
    interval_ns: int  #: length of the last complete interval
    cost: AgentCost
    slow_calls: int  #: slow-call events received since the start
    recorder_bytes: int = 0  #: kernel memory of the flight recorder

    @property
    def live(self) -> tuple[TargetView, ...]:
        """The targets that have not ended."""
        return tuple(target for target in self.targets if target.ended_unix_nano is None)


@dataclass(slots=True)
class _Values:
    values: SeriesSnapshot
    bounds_ns: tuple[int, ...]
    time_unix_nano: int


@dataclass(slots=True)
class _Judged:
    sampled_ns: int | None
    accused: tuple[tuple[Culprit, str | None], ...]


@dataclass(slots=True)
class _Ended:
    unix_nano: int
    forget_at: float


def _history() -> History:
    """Imports what judges, which the reader has no use for."""
    import otel_jb.diagnosis.verdict  # noqa: F401 - for later, when this process may not be able to
    from otel_jb.diagnosis.history import History

    return History()


class StreamState:
    """Folds stream records; thread-safe.

    Counts are never added up here: a `SeriesSnapshot` is cumulative already, so a series that was shed and restored continues
    where it stood, and a snapshot that leaves a series out takes nothing away from it.

    Args:
        retain_seconds: how long the values of an ended target stay in the view.
        now: monotonic seconds.
        says: whether values that cannot be are logged.
        judges: whether the last minutes are kept for the verdict.
    """

    def __init__(
        self,
        retain_seconds: float = 60.0,
        now: Callable[[], float] = time.monotonic,
        *,
        says: bool = True,
        judges: bool = True,
    ) -> None:
        self._says = says
        self._retain = retain_seconds
        self._now = now
        self._lock = threading.Lock()
        self._targets: dict[int, Target] = {}
        self._ended: dict[int, _Ended] = {}
        self._series: dict[int, Series] = {}
        self._off: dict[int, frozenset[str]] = {}  # values that were taken off, by series
        self._of_target: dict[int, list[int]] = {}
        self._values: dict[int, _Values] = {}
        self._probes: dict[int, dict[tuple[str, str], ProbeStatus]] = {}
        self._snapshot: Snapshot | None = None
        self._in_snapshot: frozenset[int] = frozenset()
        self._depths: dict[int, DepthSnapshot] = {}
        self._rtp: dict[int, tuple[RtpSnapshot, ...]] = {}
        self._residences: dict[int, ResidenceSnapshot] = {}
        self._shares: dict[int, HostShare] = {}
        self._cost = AgentCost()
        self._slow_calls = 0
        self._history = _history() if judges else None
        self._judged: dict[int, _Judged] = {}
        self._view: StateView | None = None  # as long as nothing changes

    def take_slow_calls(self, calls: Iterable[SlowCall]) -> None:
        """Fold in some slow calls: their number, and for verdicts what they spent their time on."""
        with self._lock:
            self._view = None
            for call in calls:
                self._slow_calls += not call.late
                if self._history is not None:
                    self._history.apply(call)

    def apply(self, record: StreamRecord) -> None:
        """Fold one record in. Records of unknown series or targets (their process ended and was forgotten) change nothing."""
        if isinstance(record, SlowCall):  # by far the most
            self.take_slow_calls((record,))
            return
        with self._lock:
            self._view = None
            if self._history is not None:
                self._history.apply(record)
            if isinstance(record, Snapshot):
                self._apply_snapshot(record)
            elif isinstance(record, Target):
                # A process that is measured anew: its series would be there twice.
                for other in [
                    key for key in self._ended if self._targets[key].service_instance_id == record.service_instance_id
                ]:
                    self._forget(other)
                self._targets[record.id] = record
                self._of_target.setdefault(record.id, [])
            elif isinstance(record, Series):
                if record.target in self._targets:
                    if record.id not in self._series:
                        self._of_target[record.target].append(record.id)
                    self._series[record.id] = without(record, self._off.get(record.id, frozenset()))
            elif isinstance(record, ProbeStatus):
                # A status may come before its target's record: a target of which nothing could be attached has only these.
                self._probes.setdefault(record.target, {})[(record.function, record.file)] = record
            elif isinstance(record, HostShare):
                if record.target in self._targets:
                    self._shares[record.target] = record
            elif isinstance(record, TargetEnded):
                if record.target in self._targets and record.target not in self._ended:
                    self._ended[record.target] = _Ended(record.time_unix_nano, self._now() + self._retain)
            else:
                self._cost = record
            self._forget_expired()

    def _apply_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        for values in snapshot.series:
            if values.series in self._series:
                self._values[values.series] = _Values(values, snapshot.bounds_ns, snapshot.time_unix_nano)
        for values in snapshot.series:
            self._take_off(values)
        self._in_snapshot = frozenset(values.series for values in snapshot.series)
        live = {depth.series: depth for depth in snapshot.depths if depth.series in self._series}
        # The buffers of an ended target are gone from the kernel; what they held last stays as long as its other values.
        kept = {key: depth for key, depth in self._depths.items() if depth.target in self._ended}
        self._depths = {**kept, **live}
        self._residences.update((each.series, each) for each in snapshot.residences if each.series in self._series)
        streams: dict[int, list[RtpSnapshot]] = {values.series: [] for values in snapshot.series}
        for each in snapshot.rtp:
            streams.setdefault(each.series, []).append(each)
        self._rtp.update((series, tuple(found)) for series, found in streams.items() if series in self._series)

    def _take_off(self, values: SeriesSnapshot) -> None:
        series = self._series.get(values.series)
        if series is None:
            return
        for value, count in broken(series, values).items():
            if value in self._off.get(series.id, frozenset()):
                continue
            known = [self._series[each] for each in self._of_target[series.target]]
            of_file = [each for each in known if each.file == series.file]
            for each, fallen in doubtful(series, value, of_file).items():
                self._off[each] = self._off.get(each, frozenset()) | fallen
                self._series[each] = without(self._series[each], self._off[each])
                if self._history is not None:
                    self._history.apply(self._series[each])
            if not self._says:
                continue
            structs = ", ".join(dict(series.sources).get(value, ()))
            _logger.warning(
                "%s of process %d: %d values of `%s` are impossible, so they are not what the profile %s expects%s; they are no longer reported%s",
                series.function,
                self._targets[series.target].pid,
                count,
                value,
                series.profile,
                f" (struct {structs})" if structs else "",
                ", nor is anything else read from there" if structs else "",
            )

    def _forget_expired(self) -> None:
        now = self._now()
        for target in [key for key, ended in self._ended.items() if ended.forget_at <= now]:
            self._forget(target)

    def _forget(self, target: int) -> None:
        self._view = None
        del self._ended[target], self._targets[target]
        self._probes.pop(target, None)
        self._shares.pop(target, None)
        self._judged.pop(target, None)
        for series in self._of_target.pop(target):
            del self._series[series]
            self._values.pop(series, None)
            self._off.pop(series, None)
            self._depths.pop(series, None)
            self._rtp.pop(series, None)
            self._residences.pop(series, None)

    def retain_at_least(self, seconds: float) -> None:
        """Keep ended targets at least this long; for an exporter that looks only now and then."""
        with self._lock:
            self._retain = max(self._retain, seconds)

    def series(self, series_id: int) -> tuple[Series, Target] | None:
        """The series with this id and its target; None if it is not known, or no longer."""
        with self._lock:
            series = self._series.get(series_id)
            return None if series is None else (series, self._targets[series.target])

    def functions(self, target_id: int) -> frozenset[str]:
        """The names of a target's probed functions."""
        with self._lock:
            return frozenset(self._series[one].function for one in self._of_target.get(target_id, ()))

    def verdict(self, target_id: int) -> Verdict | None:
        """Who is at fault in a target's last minute, with the evidence; None of one that is gone. It takes ten times as long as `TargetView.accused`."""
        with self._lock:
            if self._history is None or self._history.sampled_ns(target_id) is None:
                return None
            from otel_jb.diagnosis.verdict import judge

            return judge(self._history, target_id, silence=False)

    def cost(self) -> AgentCost:
        """What one probe hit costs on this machine."""
        with self._lock:
            return self._cost

    def view(self) -> StateView:
        """The state now. Targets and series come in the order of their ids."""
        with self._lock:
            self._forget_expired()
            if self._view is not None:
                return self._view
            snapshot = self._snapshot
            targets = [self._view_of(target) for _, target in sorted(self._targets.items())]
            self._view = StateView(
                targets=tuple(targets),
                snapshot_unix_nano=None if snapshot is None else snapshot.time_unix_nano,
                snapshot_ns=None if snapshot is None else snapshot.time_ns,
                interval_ns=0 if snapshot is None else snapshot.interval_ns,
                cost=self._cost,
                slow_calls=self._slow_calls,
                recorder_bytes=0 if snapshot is None else snapshot.recorder_bytes,
            )
            return self._view

    def _view_of(self, target: Target) -> TargetView:
        ended = self._ended.get(target.id)
        series = []
        for series_id in self._of_target[target.id]:
            known = self._values.get(series_id)
            if known is None:
                continue
            values = known.values
            # Minimum, maximum and average belong to the last interval: a series that was not read in it has none. An ended
            # target keeps those of its own last interval.
            if ended is None and series_id not in self._in_snapshot:
                values = values.without_interval()
            series.append(
                SeriesView(
                    self._series[series_id],
                    values,
                    known.bounds_ns,
                    known.time_unix_nano,
                    self._depths.get(series_id) if self._series[series_id].has_depth else None,
                    self._rtp.get(series_id, ()) if self._series[series_id].has_rtp else (),
                    () if self._snapshot is None else self._snapshot.gap_bounds_ns,
                    self._residences.get(series_id) if self._series[series_id].has_residence else None,
                )
            )
        probes = self._probes.get(target.id, {})
        return TargetView(
            target,
            None if ended is None else ended.unix_nano,
            tuple(series),
            tuple(probes.values()),
            self._shares.get(target.id),
            self._accused(target.id),
            0 if self._snapshot is None else self._snapshot.time_unix_nano,
        )

    def _accused(self, target: int) -> tuple[tuple[Culprit, str | None], ...]:
        """The verdict, made once for each moment that the history keeps."""
        if self._history is None:
            return ()
        from otel_jb.diagnosis.verdict import accused

        sampled = self._history.sampled_ns(target)
        judged = self._judged.get(target)
        if judged is None or judged.sampled_ns != sampled:
            judged = self._judged[target] = _Judged(sampled, accused(self._history, target))
        return judged.accused
