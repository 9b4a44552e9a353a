# SPDX-License-Identifier: Apache-2.0
"""OTLP: the targets' data points as the SDK's data classes, sent with the agent's own metrics by the SDK's exporters.

The SDK has no way to feed it ready-made aggregates, but its data classes are public and its exporters take them.
`TargetExporter` stands between a `PeriodicExportingMetricReader` and the real exporter. What the reader collected, the agent's
`otel_jb.build_info`, goes out together with the agent's other metrics (`own_points`) and the targets'. It sees the result of each
export, which the reader throws away, so delta and exemplar state moves on only when the receiver has the points.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Any, cast

from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import otel_jb
from otel_jb.model.dataclass import dataclass
from otel_jb.model.instruments import Instrument, Kind
from otel_jb.telemetry.histogram import DEFAULT_SHAPE, HistogramShape
from otel_jb.telemetry.instruments import SCOPE
from otel_jb.telemetry.metrics import (
    Attributes,
    ExemplarSource,
    HistogramPoint,
    LeftOut,
    NumberPoint,
    Point,
    TargetMetrics,
    resource_attributes,
    target_metrics,
)
from otel_jb.telemetry.outcome import Failure, Outcome
from otel_jb.telemetry.own_points import OwnPoints
from otel_jb.telemetry.sdk_points import Sent, Temporality, histogram_point, number_point, sent_of
from otel_jb.telemetry.selfmetrics import Sources
from otel_jb.telemetry.state import StateView

_logger = logging.getLogger(__name__)

#: Data points of one request: far below gRPC's 4 MiB with 64 boundaries and long C++ names (about 1.5 KiB a point).
MAX_POINTS = 1000
#: Series whose end is still to be told to a receiver that is down.
MAX_VANISHED = 20_000
#: Targets whose last values wait for a receiver that is down; beyond it the oldest are given up.
MAX_WAITING_TARGETS = 1024

_SCOPE = InstrumentationScope(SCOPE, otel_jb.__version__)

_Key = tuple[int, Instrument, Attributes]
#: The agent's own: scope, metric and attributes; and the point with all that it stood in.
_OwnKey = tuple[str, str, frozenset[tuple[str, Any]]]
_OwnPoint = tuple[ResourceMetrics, ScopeMetrics, Metric, Any]


@dataclass(slots=True)
class _Batch:
    """Points of one request, and what is true once it succeeded."""

    data: list[ResourceMetrics] = field(default_factory=list)
    commits: list[tuple[_Key, Sent]] = field(default_factory=list)
    points: int = 0


class TargetExporter(MetricExporter):
    """Sends the targets' metrics with each export of the agent's own.

    Args:
        inner: the real exporter; must not split batches itself.
        view: gives the state to send.
        shape: explicit or exponential histograms.
        temporality: of counters and histograms.
        exemplars: latest exemplars of a series by its id.
        outcome: counts and logs failures.
        ending: told whether the points of the next requests only end their series (`exporters.EndingSeries.ending`); None: the
            receiver's expiry has to end them.
        left_out: receives the number of points that cannot be encoded.
        observed: the agent's own metrics beside those that the reader collects.
    """

    def __init__(
        self,
        inner: MetricExporter,
        view: Callable[[], StateView],
        outcome: Outcome,
        shape: HistogramShape = DEFAULT_SHAPE,
        temporality: str = "cumulative",
        exemplars: ExemplarSource | None = None,
        ending: Callable[[bool], None] | None = None,
        left_out: LeftOut | None = None,
        observed: Sources | None = None,
    ) -> None:
        super().__init__(
            preferred_temporality=getattr(inner, "_preferred_temporality", None),
            preferred_aggregation=getattr(inner, "_preferred_aggregation", None),
        )
        self._inner = inner
        self._view = view
        self._outcome = outcome
        self._shape = shape
        self._temporality = Temporality(temporality)
        self._own_points = OwnPoints(observed or {}, self._temporality)
        self._exemplars = exemplars
        self._ending = ending
        self._left_out = left_out
        self._sent: dict[_Key, Sent] = {}
        self._last: dict[int, TargetMetrics] = {}
        self._told_end: set[int] = set()
        self._own: dict[_OwnKey, _OwnPoint] = {}
        self._own_vanished: dict[_OwnKey, _OwnPoint] = {}
        self._vanished: dict[_Key, tuple[TargetMetrics, NumberPoint | HistogramPoint]] = {}
        self._resources: dict[int, Resource] = {}

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Send the agent's own metrics and the targets', in as many requests as they need; stops at the first failure."""
        del kwargs
        view = self._view()
        metrics_data = self._with_own(metrics_data)
        shown_now = target_metrics(view, self._shape, self._exemplars, self._left_out)
        present = {one.target.id: one for one in shown_now}
        gone = self._gone(present)
        self._last.update(present)
        waiting = [one for key, one in self._last.items() if key not in present and key not in gone]
        shown = [*present.values(), *waiting]
        own = _requests_of(metrics_data)
        for number, batch in enumerate(self._batches(metrics_data, shown), 1):
            if self._send(MetricsData(batch.data), timeout_millis) is not None:
                return MetricExportResult.FAILURE
            self._sent.update(batch.commits)
            if number == own:
                self._own_points.arrived()
        self._told_end.update(key for key, one in self._last.items() if one.ended)
        self._note_vanished(shown)
        self._note_own_vanished(metrics_data)
        self._forget(gone)
        self._end_vanished(timeout_millis, view.snapshot_unix_nano or 0)
        return MetricExportResult.SUCCESS

    def _with_own(self, collected: MetricsData) -> MetricsData:
        """With the rest of the agent's own metrics in the scope, and of the resource, of those that were collected."""
        (resource,) = collected.resource_metrics
        (scope,) = resource.scope_metrics
        scope = replace(scope, metrics=[*scope.metrics, *self._own_points.metrics()])
        return MetricsData([replace(resource, scope_metrics=[scope])])

    def _send(self, data: MetricsData, timeout_millis: float) -> Failure | None:
        return self._outcome.of(
            lambda: self._inner.export(data, timeout_millis=timeout_millis) is MetricExportResult.SUCCESS
        )

    def _gone(self, present: dict[int, TargetMetrics]) -> set[int]:
        """Targets that left the state. One whose last values the receiver does not have yet waits for it."""
        absent = [key for key in self._last if key not in present]
        again = {
            one.target.service_instance_id for one in present.values()
        }  # measured anew: its points are there already
        self._told_end.update(key for key in absent if self._last[key].target.service_instance_id in again)
        for key in absent[: max(0, len(absent) - MAX_WAITING_TARGETS)]:
            self._told_end.add(key)
        return {key for key in absent if key in self._told_end}

    def _note_vanished(self, shown: Iterable[TargetMetrics]) -> None:
        """Find the series that the receiver has and that have no point any more: gauges without a reading, ended targets."""
        now = {(one.target.id, i, point.attributes) for one in shown for i, points in one.points for point in points}
        names = {
            (one.target.service_instance_id, i, p.attributes)
            for one in shown
            for i, points in one.points
            for p in points
        }
        for key in [key for key in self._sent if key not in now]:
            last, point = self._last[key[0]], self._sent.pop(key).point
            if (last.target.service_instance_id, *key[1:]) not in names:
                self._vanished[key] = (last, point)
        for key in [key for key in self._vanished if key in now]:
            del self._vanished[key]

    def _note_own_vanished(self, own: MetricsData) -> None:
        """The agent's own series end too: those that are about a target that is gone."""
        now = {
            (scope.scope.name, metric.name, frozenset((point.attributes or {}).items())): (
                resource,
                scope,
                metric,
                point,
            )
            for resource in own.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }
        self._own_vanished.update({key: found for key, found in self._own.items() if key not in now})
        self._own_vanished = {key: found for key, found in self._own_vanished.items() if key not in now}
        self._own = now

    def _forget(self, gone: set[int]) -> None:
        for key in gone:
            del self._last[key]
            self._told_end.discard(key)
            self._resources.pop(key, None)

    def _end_vanished(self, timeout_millis: float, at_unix_nano: int) -> None:
        """Tell the receiver that these series have ended, or it would show their last value for minutes; tried until it works."""
        if self._ending is None or not (self._vanished or self._own_vanished):
            self._vanished.clear()
            self._own_vanished.clear()
            return
        by_target: dict[int, tuple[TargetMetrics, dict[Instrument, list[Point]]]] = {}
        for (target_id, instrument, _), (target, point) in self._vanished.items():
            time = max(at_unix_nano, point.time_unix_nano + 1)
            points = by_target.setdefault(target_id, (target, {}))[1]
            points.setdefault(instrument, []).append(replace(point, time_unix_nano=time))
        ended = [
            TargetMetrics(
                target.target, True, tuple((instrument, tuple(points)) for instrument, points in found.items())
            )
            for target, found in by_target.values()
        ]
        self._ending(True)
        try:
            for batch in self._batches(_together(self._own_vanished.values(), at_unix_nano), ended):
                if self._send(MetricsData(batch.data), timeout_millis) is not None:
                    break
                for key, _ in batch.commits:
                    self._vanished.pop(key, None)
            else:
                self._own_vanished.clear()
        finally:
            self._ending(False)
        _bound(self._vanished)
        _bound(self._own_vanished)

    def _batches(self, own: MetricsData | None, targets: Iterable[TargetMetrics]) -> Iterator[_Batch]:
        """Requests of at most MAX_POINTS; a resource appears once in each, or the encoder would drop the second silently."""
        batch = _Batch()
        for part in _split(own):
            if batch.data:
                yield batch
            batch = part
        for target in targets:
            resource = self._resource(target)
            metrics: list[Metric] = []
            for instrument, points in target.points:
                rest: Sequence[Point] = points
                while rest:
                    room = MAX_POINTS - batch.points
                    if room <= 0:
                        _close(batch, resource, metrics)
                        yield batch
                        batch, metrics, room = _Batch(), [], MAX_POINTS
                    taken, rest = rest[:room], rest[room:]
                    data, commits = self._metric(target, instrument, taken)
                    if data is not None:
                        metrics.append(data)
                        batch.commits.extend(commits)
                        batch.points += len(commits)
            _close(batch, resource, metrics)
        if batch.data:
            yield batch

    def _resource(self, target: TargetMetrics) -> Resource:
        known = self._resources.get(target.target.id)
        if known is None:
            known = self._resources[target.target.id] = Resource(resource_attributes(target.target))
        return known

    def _metric(
        self, target: TargetMetrics, instrument: Instrument, points: Sequence[Point]
    ) -> tuple[Metric | None, list[tuple[_Key, Sent]]]:
        commits: list[tuple[_Key, Sent]] = []
        made: list[Any] = []
        for point in points:
            key = (target.target.id, instrument, point.attributes)
            sent = self._sent.get(key)
            data: Any
            if isinstance(point, HistogramPoint):
                data = histogram_point(point, sent, self._temporality)
            else:
                data = number_point(instrument, point, sent, self._temporality)
            if data is not None:
                made.append(data)
                commits.append((key, sent_of(point, sent, self._temporality)))
        if not made:
            return None, commits
        kind = instrument.kind
        container: Any
        if kind is Kind.GAUGE:
            container = Gauge(made)
        elif kind is Kind.HISTOGRAM and self._shape.exponential_scale is not None:
            container = ExponentialHistogram(made, self._temporality.histogram)
        elif kind is Kind.HISTOGRAM:
            container = Histogram(made, self._temporality.histogram)
        else:
            container = Sum(made, self._temporality.counter, is_monotonic=kind is Kind.COUNTER)
        return Metric(instrument.name, instrument.description, instrument.unit, container), commits

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept back here."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the real exporter, which ends an export under way."""
        del kwargs
        self._inner.shutdown(timeout_millis)


def _bound(waiting: dict[Any, Any]) -> None:
    for key in list(waiting)[: max(0, len(waiting) - MAX_VANISHED)]:
        del waiting[key]


def _together(points: Iterable[_OwnPoint], at_unix_nano: int) -> MetricsData:
    """These points of the agent's own metrics under their one resource, each scope and metric once."""
    scopes: dict[str, tuple[ScopeMetrics, dict[str, tuple[Metric, list[Any]]]]] = {}
    found: ResourceMetrics | None = None
    for resource, scope, metric, point in points:
        found = resource
        metrics = scopes.setdefault(scope.scope.name, (scope, {}))[1]
        late = replace(point, time_unix_nano=max(at_unix_nano, point.time_unix_nano + 1))
        metrics.setdefault(metric.name, (metric, []))[1].append(late)
    if found is None:
        return MetricsData([])
    made = [
        replace(
            scope, metrics=[replace(m, data=replace(cast(Any, m.data), data_points=p)) for m, p in metrics.values()]
        )
        for scope, metrics in scopes.values()
    ]
    return MetricsData([replace(found, scope_metrics=made)])


def _requests_of(own: MetricsData) -> int:
    """How many batches `_split` makes."""
    points = sum(
        len(metric.data.data_points)
        for resource in own.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    return max(1, -(-points // MAX_POINTS))


def _split(own: MetricsData | None) -> Iterator[_Batch]:
    """The agent's own metrics, in batches of at most MAX_POINTS."""
    batch = _Batch()
    for resource_metrics in own.resource_metrics if own is not None else ():
        for scope_metrics in resource_metrics.scope_metrics:
            metrics: list[Metric] = []
            for metric in scope_metrics.metrics:
                data: Any = metric.data
                rest: Sequence[Any] = data.data_points
                while rest:
                    room = MAX_POINTS - batch.points
                    if room <= 0:
                        _append(batch, resource_metrics, scope_metrics, metrics)
                        yield batch
                        batch, metrics, room = _Batch(), [], MAX_POINTS
                    taken, rest = rest[:room], rest[room:]
                    metrics.append(replace(metric, data=replace(data, data_points=taken)))
                    batch.points += len(taken)
            _append(batch, resource_metrics, scope_metrics, metrics)
    yield batch


def _append(batch: _Batch, resource: ResourceMetrics, scope: ScopeMetrics, metrics: list[Metric]) -> None:
    if not metrics:
        return
    part = replace(scope, metrics=list(metrics))
    if batch.data and batch.data[-1].resource is resource.resource:
        batch.data[-1] = replace(batch.data[-1], scope_metrics=[*batch.data[-1].scope_metrics, part])
    else:
        batch.data.append(replace(resource, scope_metrics=[part]))


def _close(batch: _Batch, resource: Resource, metrics: list[Metric]) -> None:
    if metrics:
        batch.data.append(ResourceMetrics(resource, [ScopeMetrics(_SCOPE, list(metrics), "")], ""))
