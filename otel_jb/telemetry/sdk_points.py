# SPDX-License-Identifier: Apache-2.0
"""One data point as the SDK's data classes have it, given what the receiver has already: deltas, and exemplars that are new."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

from otel_jb.model.dataclass import dataclass
from otel_jb.model.instruments import Instrument, Kind
from otel_jb.telemetry.histogram import ExponentialCounts
from otel_jb.telemetry.metrics import HistogramPoint, NumberPoint, Point

#: A cumulative point carries an exemplar again for so long: who scrapes the Collector, seldom or out of step, sees only the last
#: point of some. Prometheus takes each once. A delta is seen by everybody, or lost with its exemplars.
AGAIN_NS = 60_000_000_000

_CUMULATIVE, _DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA


@dataclass(slots=True)
class Sent:
    """What the receiver is known to have of one series."""

    point: Point
    exemplars: frozenset[int] = frozenset()  #: span ids


class Temporality:
    """Which instruments are sent as deltas, by OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE.

    The kernel's counters are asynchronous in OpenTelemetry's terms: `lowmemory` keeps them cumulative.
    """

    def __init__(self, preference: str) -> None:
        self.counter = _DELTA if preference == "delta" else _CUMULATIVE
        self.histogram = _DELTA if preference in ("delta", "lowmemory") else _CUMULATIVE


def number_point(
    instrument: Instrument, point: NumberPoint, sent: Sent | None, temporality: Temporality
) -> NumberDataPoint | None:
    """A counter's or gauge's point; None where a delta would be of no time (the same reading of an ended target again)."""
    start, value = point.start_unix_nano, point.value
    if instrument.kind is Kind.GAUGE:
        start = 0
    elif temporality.counter is _DELTA and sent is not None and isinstance(sent.point, NumberPoint):
        if point.time_unix_nano <= sent.point.time_unix_nano:
            return None
        start, value = sent.point.time_unix_nano, value - sent.point.value
    return NumberDataPoint(dict(point.attributes), start, point.time_unix_nano, value)


def histogram_point(
    point: HistogramPoint, sent: Sent | None, temporality: Temporality
) -> HistogramDataPoint | ExponentialHistogramDataPoint | None:
    """A histogram's point, exponential where it has such counts; None where a delta would be of no time."""
    exemplars = _fresh(point, sent)
    if temporality.histogram is _DELTA and sent is not None and isinstance(sent.point, HistogramPoint):
        if point.time_unix_nano <= sent.point.time_unix_nano:
            return None
        point = _difference(point, sent.point)
    attributes: dict[str, str | int] = dict(point.attributes)
    if point.exponential is not None:
        counts = point.exponential
        return ExponentialHistogramDataPoint(
            attributes,
            point.start_unix_nano,
            point.time_unix_nano,
            point.count,
            point.sum_ns / 1e9,
            counts.scale,
            counts.zero_count,
            Buckets(counts.offset, list(counts.counts)),
            Buckets(0, []),
            0,
            # Minimum and maximum of all calls are not known (each interval's are, as gauges): None is encoded as absent.
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            exemplars,
        )
    return HistogramDataPoint(
        attributes,
        point.start_unix_nano,
        point.time_unix_nano,
        point.count,
        point.sum_ns / 1e9,
        list(point.counts),
        [bound / 1e9 for bound in point.bounds_ns],
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        exemplars,
    )


def sent_of(point: Point, before: Sent | None, temporality: Temporality) -> Sent:
    """What the receiver has once this point has arrived."""
    if not isinstance(point, HistogramPoint):
        return Sent(point)
    known = before.exemplars if before is not None else frozenset()
    return Sent(
        replace(point, exemplars=()), _settled(point, known, 0 if temporality.histogram is _DELTA else AGAIN_NS)
    )


def _settled(point: HistogramPoint, known: frozenset[int], again_ns: int) -> frozenset[int]:
    """Exemplars that need not be sent again once this point arrives: the receiver has them, or a later one of their bucket, and had
    them for long enough.
    """
    return frozenset(
        one.span_id
        for one in point.exemplars
        if one.span_id in known
        or (
            point.counts[bisect_left(point.bounds_ns, one.value_ns)]
            and point.time_unix_nano - one.time_unix_nano >= again_ns
        )
    )


def _fresh(point: HistogramPoint, sent: Sent | None) -> list[SdkExemplar]:
    """The latest exemplar of each bucket, of those that are not settled."""
    known = sent.exemplars if sent is not None else frozenset()
    latest: dict[int, SdkExemplar] = {}
    for one in sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano):
        bucket = bisect_left(point.bounds_ns, one.value_ns)
        if one.span_id not in known and point.counts[bucket]:  # the event may be ahead of the snapshot
            latest[bucket] = SdkExemplar(
                {"thread.id": one.thread_id}, one.value_ns / 1e9, one.time_unix_nano, one.span_id, one.trace_id
            )
    return list(latest.values())


def _difference(now: HistogramPoint, before: HistogramPoint) -> HistogramPoint:
    exponential = now.exponential
    if exponential is not None and before.exponential is not None:
        exponential = _exponential_difference(exponential, before.exponential)
    return replace(
        now,
        start_unix_nano=before.time_unix_nano,
        counts=tuple(new - old for new, old in zip(now.counts, before.counts, strict=True)),
        sum_ns=now.sum_ns - before.sum_ns,
        exponential=exponential,
    )


def _exponential_difference(now: ExponentialCounts, before: ExponentialCounts) -> ExponentialCounts:
    counts = list(now.counts)
    for place, count in enumerate(before.counts):
        if count:
            counts[before.offset + place - now.offset] -= count
    return replace(now, zero_count=now.zero_count - before.zero_count, counts=tuple(counts))
