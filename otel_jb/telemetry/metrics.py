# SPDX-License-Identifier: Apache-2.0
"""The data points of the targets' metrics, before any wire format.

`target_metrics` turns the state into data points that OTLP (`otlp`) and Prometheus (`prometheus`) both render, so that the two cannot
differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from otel_jb.model.added import ADDED
from otel_jb.model.counters import TABLE, Counter, Fold
from otel_jb.model.dataclass import dataclass
from otel_jb.model.instruments import Instrument
from otel_jb.model.stream import DepthSnapshot, HostShare, Interval, RtpSnapshot, SeriesSnapshot, Target
from otel_jb.telemetry.histogram import (
    DEFAULT_SHAPE,
    ExponentialCounts,
    HistogramShape,
    fold_explicit,
    fold_exponential,
)
from otel_jb.telemetry.instruments import (
    BUFFER_SIZE,
    BUFFER_SIZE_MAX,
    CALLS,
    DELAY,
    DELAY_AVG,
    DELAY_MAX,
    DELAY_MIN,
    HOST_CPU_TIME,
    HOST_RUN_DELAY,
    HOST_THROTTLED_TIME,
    HOST_TIMESLICES,
    HOST_UDP_DROPS,
    HOST_UDP_QUEUE,
    HOST_UDP_WAITED,
    INSTRUMENTS,
    INTERARRIVAL,
    RESIDENCE,
    RESIDENCE_UNMATCHED,
    RTP_BYTES,
    RTP_DUPLICATED,
    RTP_JITTER,
    RTP_LOSS_PATTERN,
    RTP_LOST,
    RTP_RECEIVED,
    RTP_REORDERED,
    VERDICT,
)
from otel_jb.telemetry.state import SeriesView, StateView, TargetView

Attributes = tuple[tuple[str, str | int], ...]


@dataclass(
    slots=True, unsafe_hash=True
)  # not frozen: each slow call makes one, and freezing makes that take five times as long
class Exemplar:
    """A slow call whose span was sampled and accepted; `value_ns` is its duration. Never changed."""

    value_ns: int
    time_unix_nano: int
    trace_id: int
    span_id: int
    thread_id: int


#: Latest exemplars of a series by its id: one a bucket of the boundaries it is given.
ExemplarSource = Callable[[int], Sequence[Exemplar]]


@dataclass(frozen=True, slots=True)
class NumberPoint:
    """A counter's or gauge's data point. `start_unix_nano` is meaningless for gauges."""

    attributes: Attributes
    start_unix_nano: int
    time_unix_nano: int
    value: int | float


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """A cumulative histogram in integer nanoseconds, so that differences between two of them are exact.

    `counts` are by `bounds_ns`, not cumulated over buckets. `exponential` stands beside them where that shape is configured.
    """

    attributes: Attributes
    start_unix_nano: int
    time_unix_nano: int
    bounds_ns: tuple[int, ...]
    counts: tuple[int, ...]
    sum_ns: int
    exponential: ExponentialCounts | None = None
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def count(self) -> int:
        """Number of calls."""
        return sum(self.counts)


Point = NumberPoint | HistogramPoint


@dataclass(frozen=True, slots=True)
class TargetMetrics:
    """All data points of one target, by instrument in the order of `INSTRUMENTS`; instruments without a point are left out."""

    target: Target
    ended: bool
    points: tuple[tuple[Instrument, tuple[Point, ...]], ...]


def resource_attributes(target: Target) -> dict[str, str | int]:
    """The resource that stands for the target. What the target's record carries in `attributes` is added and wins."""
    attributes: dict[str, str | int] = {
        "service.name": target.service_name,
        "service.instance.id": target.service_instance_id,
        "process.pid": target.pid,
        "process.executable.name": target.name,
        "process.executable.path": target.executable,
    }
    if target.build_id:
        attributes["process.executable.build_id.gnu"] = target.build_id
    attributes.update(target.attributes)
    return attributes


#: Told of a target some of whose points were left out, and how many.
LeftOut = Callable[[Target, int], None]


def target_metrics(
    view: StateView,
    shape: HistogramShape = DEFAULT_SHAPE,
    exemplars: ExemplarSource | None = None,
    left_out: LeftOut | None = None,
) -> tuple[TargetMetrics, ...]:
    """The data points of every target in the view that can be encoded; `left_out` receives the others.

    A receiver gets many targets in one request, and one number that does not fit would cost all of them their series. The numbers
    are sums of what targets hold in their memory, so a hostile one chooses them.

    Raises:
        ConfigError: the calls were not counted by the boundaries of `shape`.
    """
    return tuple(_encodable(_metrics_of(target, shape, exemplars), left_out) for target in view.targets)


def _encodable(target: TargetMetrics, left_out: LeftOut | None) -> TargetMetrics:
    missing = 0
    kept: list[tuple[Instrument, tuple[Point, ...]]] = []
    for instrument, points in target.points:
        fitting = tuple(point for point in points if _fits(point))
        missing += len(points) - len(fitting)
        if fitting:
            kept.append((instrument, fitting))
    if not missing:
        return target
    if left_out is not None:
        left_out(target.target, missing)
    return replace(target, points=tuple(kept))


def _fits(point: Point) -> bool:
    """Whether every format has room for the numbers: OTLP has 64 bits, of which values are signed."""
    if isinstance(point, HistogramPoint):
        fits = all(0 <= count < 1 << 64 for count in point.counts) and abs(point.sum_ns) < 1 << 64
    elif isinstance(point.value, int):
        fits = -(1 << 63) <= point.value < 1 << 63
    else:
        fits = math.isfinite(point.value)
    return fits and all(0 <= time < 1 << 64 for time in (point.start_unix_nano, point.time_unix_nano))


@dataclass(slots=True)
class _Points:
    """Data points of one target under way."""

    start_unix_nano: int
    by_instrument: dict[Instrument, list[Point]]

    def add(self, instrument: Instrument, attributes: Attributes, time_unix_nano: int, value: float) -> None:
        point = NumberPoint(attributes, self.start_unix_nano, time_unix_nano, value)
        self.by_instrument.setdefault(instrument, []).append(point)


def _metrics_of(view: TargetView, shape: HistogramShape, exemplars: ExemplarSource | None) -> TargetMetrics:
    points = _Points(view.target.attached_unix_nano, {})
    # Two probes may bear one name: a static function that exists in two files, or a probe that was planned anew. Their calls
    # are calls of that name, and two points with equal attributes would be one point too many for every receiver.
    by_identity: dict[Attributes, list[SeriesView]] = {}
    for series in view.series:
        identity: Attributes = (
            ("code.function.name", series.series.function),
            ("jitterbuffer.role", series.series.role),
        )
        by_identity.setdefault(identity, []).append(series)
    for key, group in by_identity.items():
        _add_series(points, key, group, shape, exemplars)
        if view.ended_unix_nano is None:  # what a process held is gone with it
            _add_depth(points, key, [series for series in group if series.depth is not None])
        _add_rtp(points, key, group, shape)
        _add_residence(points, key, [series for series in group if series.residence is not None], shape)
    if view.host is not None:
        _add_host(points, view.host)
    for culprit, stream in view.accused:
        named: Attributes = () if stream is None else (("jitterbuffer.stream", stream),)
        points.add(VERDICT, (("culprit", culprit.value), *named), view.judged_unix_nano, 1)
    ordered = tuple((one, tuple(points.by_instrument[one])) for one in INSTRUMENTS if one in points.by_instrument)
    return TargetMetrics(view.target, view.ended_unix_nano is not None, ordered)


def _add_series(
    points: _Points,
    identity: Attributes,
    group: Sequence[SeriesView],
    shape: HistogramShape,
    exemplars: ExemplarSource | None,
) -> None:
    time = max(series.time_unix_nano for series in group)
    timed = [series for series in group if series.series.has_timing]
    if timed:
        for outcome in ("returned", "abandoned", "missed"):
            value = sum(getattr(series.values, outcome) for series in timed)
            points.add(CALLS, (*identity, ("outcome", outcome)), time, value)
        histogram = _histogram((points.start_unix_nano, time), identity, timed, shape, exemplars)
        points.by_instrument.setdefault(DELAY, []).append(histogram)
        _add_interval(points, identity, time, [series.values.interval for series in timed])
    untimed = sum(series.values.untimed for series in group)
    if untimed or len(timed) < len(group):
        points.add(CALLS, (*identity, ("outcome", "untimed")), time, untimed)
    # What a call did with its packet may be known at its entry, so a function whose ends are not seen may tell it too.
    for row in TABLE:
        if row.instrument is not None:
            telling = [series for series in group if getattr(series.series, row.told_by)]
            for attributes, value in _folded(row, telling):
                points.add(row.instrument, (*identity, *attributes), time, value)
    _add_added(points, identity, group, time)


def _add_added(points: _Points, identity: Attributes, group: Sequence[SeriesView], time: int) -> None:
    """What profiles add up: sums, and the means of the last interval; of several probes of one name the highest."""
    sums: dict[str, int] = {}
    means: dict[str, float] = {}
    for series in group:
        known = {name for name in series.series.adds if name in ADDED}
        for name, value in zip(series.series.adds, series.values.added, strict=False):
            if name in known and not ADDED[name].is_mean:
                sums[name] = sums.get(name, 0) + value
        means.update((name, max(mean, means.get(name, 0))) for name, mean in series.values.means if name in known)
    for name, total in (*sums.items(), *means.items()):
        row = ADDED[name]
        points.add(row.instrument, identity, time, total if row.per == 1 else total / row.per)


def _folded(row: Counter, telling: Sequence[SeriesView]) -> Iterator[tuple[Attributes, float]]:
    """The values of a row over probes of one name, by the attribute that splits it."""
    by_attribute: dict[Attributes, list[int]] = {}
    for series in telling:
        value = packets(series.values) if row.name == "packets" else series.values.value(row.name)
        if isinstance(value, int):
            by_attribute.setdefault((), []).append(value)
        elif row.split is not None and value is not None:
            known = getattr(series.series, row.split.values)
            # Every one is known from the start, so that a rate sees the first. A recording may hold fewer.
            for name, count in zip_longest(known, value[: len(known)], fillvalue=0):
                by_attribute.setdefault(((row.split.attribute, name),), []).append(count)
    for attributes, values in by_attribute.items():
        total = _FOLDS[row.fold](values)
        yield attributes, total / 1e9 if row.instrument is not None and row.instrument.unit == "s" else total


_FOLDS: dict[Fold, Callable[[list[int]], int]] = {
    Fold.SUM: sum,
    Fold.BALANCE: sum,
    Fold.HIGHEST: max,
    Fold.LOWEST: min,
}


def _add_rtp(points: _Points, identity: Attributes, group: Sequence[SeriesView], shape: HistogramShape) -> None:
    by_stream: dict[str, list[RtpSnapshot]] = {}
    for each in (stream for series in group for stream in series.rtp):
        by_stream.setdefault(each.stream, []).append(each)
    time = max(series.time_unix_nano for series in group)
    for stream, values in by_stream.items():
        start = max(points.start_unix_nano, min(each.since_unix_nano for each in values))
        of_stream = _Points(start, points.by_instrument)
        key: Attributes = (*identity, ("jitterbuffer.stream", stream))
        of_stream.add(RTP_RECEIVED, key, time, sum(each.received for each in values))
        of_stream.add(RTP_BYTES, key, time, sum(each.bytes for each in values))
        of_stream.add(RTP_LOST, key, time, sum(each.lost for each in values))
        of_stream.add(RTP_REORDERED, key, time, sum(each.reordered for each in values))
        of_stream.add(RTP_DUPLICATED, key, time, sum(each.duplicated for each in values))
        jitters = [each.jitter_ns for each in values if each.jitter_ns is not None]
        if jitters:
            of_stream.add(RTP_JITTER, key, time, max(jitters) / 1e9)
        for instrument, name in RTP_LOSS_PATTERN:
            known = [value for each in values if (value := getattr(each, name)) is not None]
            if known:
                of_stream.add(instrument, key, time, sum(known))
        bounds = group[0].gap_bounds_ns
        gaps = [each.gaps for each in values if len(each.gaps) == len(bounds) + 1]
        if gaps and set(bounds) >= set(shape.bounds_ns):
            counts = fold_explicit(_added(gaps), bounds, shape.bounds_ns)
            total_ns = sum(each.gaps_ns for each in values)
            point = HistogramPoint(key, start, time, shape.bounds_ns, counts, total_ns)
            points.by_instrument.setdefault(INTERARRIVAL, []).append(point)


def _add_residence(points: _Points, identity: Attributes, group: Sequence[SeriesView], shape: HistogramShape) -> None:
    found = [series.residence for series in group if series.residence is not None]
    if not found:
        return
    time = max(series.time_unix_nano for series in group)
    counts = _added(each.buckets for each in found)
    histogram = _shaped(
        (points.start_unix_nano, time), identity, counts, group[0].bounds_ns, sum(each.sum_ns for each in found), shape
    )
    points.by_instrument.setdefault(RESIDENCE, []).append(histogram)
    reasons: dict[str, int] = {}
    for reason, count in (each for one in found for each in one.unmatched):
        reasons[reason] = reasons.get(reason, 0) + count
    for reason, count in reasons.items():
        points.add(RESIDENCE_UNMATCHED, (*identity, ("reason", reason)), time, count)


def _add_host(points: _Points, host: HostShare) -> None:
    """The host's share is the process's: its points bear no function."""
    times = (
        (HOST_RUN_DELAY, host.run_delay_ns),
        (HOST_CPU_TIME, host.cpu_ns),
        (HOST_THROTTLED_TIME, host.throttled_ns),
    )
    for instrument, value in times:
        if value is not None:
            points.add(instrument, (), host.time_unix_nano, value / 1e9)
    if host.timeslices is not None:
        points.add(HOST_TIMESLICES, (), host.time_unix_nano, host.timeslices)
    for instrument, by_port in ((HOST_UDP_DROPS, host.udp_drops), (HOST_UDP_QUEUE, host.udp_queue)):
        for port, value in by_port:
            points.add(instrument, (("server.port", port),), host.time_unix_nano, value)
    for port, waited in host.udp_waited:
        points.add(HOST_UDP_WAITED, (("server.port", port),), host.time_unix_nano, waited / 1e9)


def packets(values: SeriesSnapshot) -> int:
    """Calls that are known to have handled a packet. Recordings of old do not tell: there it follows from the others' numbers."""
    if values.packets is not None:
        return values.packets
    return values.returned - values.no_packet - values.unknown


def _histogram(
    span: tuple[int, int],
    identity: Attributes,
    group: Sequence[SeriesView],
    shape: HistogramShape,
    exemplars: ExemplarSource | None,
) -> HistogramPoint:
    found: list[Exemplar] = []
    if exemplars is not None:
        for series in group:
            found.extend(exemplars(series.series.id))
    counts = _added(series.values.buckets for series in group)
    total_ns = sum(series.values.sum_ns for series in group)
    return _shaped(span, identity, counts, group[0].bounds_ns, total_ns, shape, found)


def _shaped(
    span: tuple[int, int],
    identity: Attributes,
    counts: tuple[int, ...],
    bounds: tuple[int, ...],
    sum_ns: int,
    shape: HistogramShape,
    exemplars: Sequence[Exemplar] = (),
) -> HistogramPoint:
    """What was counted by the kernel's `bounds`, in the configured shape; `span`: start and time."""
    exponential = None
    if shape.exponential_scale is not None:
        exponential = fold_exponential(counts, bounds, shape.exponential_scale)
    return HistogramPoint(
        identity,
        *span,
        shape.bounds_ns,
        fold_explicit(counts, bounds, shape.bounds_ns),
        sum_ns,
        exponential,
        tuple(exemplars),
    )


def _added(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))


def _add_interval(points: _Points, identity: Attributes, time: int, intervals: Iterable[Interval | None]) -> None:
    present = [interval for interval in intervals if interval is not None and interval.count]
    if present:
        points.add(DELAY_MIN, identity, time, min(interval.min_ns for interval in present) / 1e9)
        points.add(DELAY_MAX, identity, time, max(interval.max_ns for interval in present) / 1e9)
        total_ns, count = sum(i.sum_ns for i in present), sum(i.count for i in present)
        points.add(DELAY_AVG, identity, time, total_ns / count / 1e9)


def _add_depth(points: _Points, identity: Attributes, group: Sequence[SeriesView]) -> None:
    depths: list[DepthSnapshot] = [series.depth for series in group if series.depth is not None]
    if depths:
        time = max(series.time_unix_nano for series in group)
        points.add(BUFFER_SIZE, identity, time, sum(depth.packets for depth in depths))
        fullest = [depth.max_packets for depth in depths if depth.max_packets is not None]
        if fullest:
            points.add(BUFFER_SIZE_MAX, identity, time, max(fullest))
