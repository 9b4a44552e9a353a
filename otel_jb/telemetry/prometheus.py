# SPDX-License-Identifier: Apache-2.0
"""The targets' metrics as Prometheus families, and the text that a scrape is answered with.

Labels of a sample: `host_name`, `pid`, `function` and `stream` for people and for the guide's queries; `code_function_name`, `jitterbuffer_role`,
`outcome`, `reason` as the standard translation of OpenTelemetry's attributes makes them; `job` (service.name) and `instance`
(service.instance.id), which lead to the other resource attributes in `target_info`. The Collector's exporter makes the same ones.
A scrape job without `honor_labels` renames the last two to `exported_job` and `exported_instance`, here as there.
"""

from __future__ import annotations

import threading
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as TextExemplar
from prometheus_client.samples import Sample, Timestamp

from otel_jb.model.instruments import Instrument, Kind
from otel_jb.model.stream import Target
from otel_jb.telemetry import exposition
from otel_jb.telemetry.histogram import DEFAULT_SHAPE, HistogramShape
from otel_jb.telemetry.http1 import accepts_gzip
from otel_jb.telemetry.instruments import INSTRUMENTS
from otel_jb.telemetry.metrics import (
    Attributes,
    ExemplarSource,
    HistogramPoint,
    LeftOut,
    NumberPoint,
    TargetMetrics,
    resource_attributes,
    target_metrics,
)
from otel_jb.telemetry.selfmetrics import Sources
from otel_jb.telemetry.state import StateView

#: OpenTelemetry units as OpenMetrics units; annotations in braces are none.
UNITS = {"s": "seconds", "By": "bytes", "packets": "packets"}
_FOR_PEOPLE = {"code.function.name": "function", "jitterbuffer.stream": "stream"}  #: further labels, short ones
_GZIP = 16 + zlib.MAX_WBITS
_MOST_UNPACKED = 1 << 18  #: bytes of a part that is sent
_TYPES = {Kind.COUNTER: "counter", Kind.UP_DOWN_COUNTER: "gauge", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}


@lru_cache(maxsize=1024)
def label_name(attribute: str) -> str:
    """An attribute's name as a label's."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in attribute)
    return "_" + name if name[:1].isdigit() else name


class TargetCollector(Collector):
    """Yields the metric families of all targets; register it on the registry that the agent's own SDK instruments use.

    Args:
        view: gives the state that a scrape shows.
        shape: the histogram's explicit boundaries.
        exemplars: latest exemplars of a series by its id.
        agent: resource attributes of the agent itself, added to `target_info`.
        created: also expose `_created` samples (OpenMetrics). Off by default: the text format turns them into series of
            their own, which double what Prometheus stores, and it reads start times from nowhere else.
        left_out: receives the number of points that cannot be encoded.
    """

    def __init__(
        self,
        view: Callable[[], StateView],
        shape: HistogramShape = DEFAULT_SHAPE,
        exemplars: ExemplarSource | None = None,
        agent: Mapping[str, str | int] | None = None,
        created: bool = False,
        left_out: LeftOut | None = None,
    ) -> None:
        self._left_out = left_out
        self._view = view
        self._shape = HistogramShape(shape.bounds_ns)
        self._exemplars = exemplars
        self._agent = agent
        self._created = created
        self._le = (*(str(bound / 1e9) for bound in shape.bounds_ns), "+Inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry would otherwise collect once to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families, each once, with the samples of all targets; one after the other, since each takes memory."""
        targets = target_metrics(self._view(), self._shape, self._exemplars, self._left_out)
        of_target = [(_base_labels(each.target), dict(each.points)) for each in targets]
        labels = cache(_labels)
        for instrument in INSTRUMENTS:
            if any(points.get(instrument) for _, points in of_target):
                family = _family(instrument)
                family.samples = cast(
                    list[Sample], _Samples(partial(self._samples, family, instrument, of_target, labels))
                )
                yield family
        info = self._target_info(targets)
        if info.samples:
            yield info

    def _samples(
        self,
        family: Metric,
        instrument: Instrument,
        of_target: Iterable[tuple[dict[str, str], Mapping[Instrument, Sequence[NumberPoint | HistogramPoint]]]],
        labels: Callable[[Attributes], dict[str, str]],
    ) -> Iterator[Sample]:
        for base, points in of_target:
            for point in points.get(instrument, ()):
                found = {**base, **labels(point.attributes)}
                if isinstance(point, HistogramPoint):
                    yield from self._of_histogram(family.name, found, point)
                else:
                    yield from self._of_number(family.name, found, instrument.kind, point)

    def _of_number(self, name: str, labels: dict[str, str], kind: Kind, point: NumberPoint) -> Iterator[Sample]:
        counter = kind is Kind.COUNTER
        yield Sample(name + "_total" if counter else name, labels, point.value)
        if counter and self._created:
            yield Sample(name + "_created", labels, point.start_unix_nano / 1e9)

    def _of_histogram(self, name: str, labels: dict[str, str], point: HistogramPoint) -> Iterator[Sample]:
        exemplars = _by_bucket(point)
        cumulative = 0
        for position, (le, count) in enumerate(zip(self._le, point.counts, strict=True)):
            cumulative += count
            bucket = {**labels, "le": le}
            exemplar = exemplars.get(position)
            yield Sample(name + "_bucket", bucket, cumulative, None, exemplar)
        yield Sample(name + "_count", labels, cumulative)
        yield Sample(name + "_sum", labels, point.sum_ns / 1e9)
        if self._created:
            yield Sample(name + "_created", labels, point.start_unix_nano / 1e9)

    def _target_info(self, targets: Iterable[TargetMetrics]) -> Metric:
        info = Metric("target", "Target metadata", "info")
        for target in targets:
            attributes = resource_attributes(target.target)
            labels = {
                label_name(key): str(value)
                for key, value in attributes.items()
                if key not in ("service.name", "service.instance.id")
            }
            labels["job"] = target.target.service_name
            labels["instance"] = target.target.service_instance_id
            info.samples.append(Sample("target_info", labels, 1))
        if self._agent:
            # Without `job` and `instance`: the scrape adds those of the agent itself.
            labels = {label_name(key): str(value) for key, value in self._agent.items()}
            info.samples.append(Sample("target_info", labels, 1))
        return info


class SelfCollector(Collector):
    """The agent's own metrics. The SDK's reader would keep five aggregations of every probe.

    Args:
        observed: what each instrument observes.
        host: the label `host_name` of every sample, which the Collector takes from the resource.
    """

    def __init__(self, observed: Sources, host: str) -> None:
        self._observed = observed
        self._host = host

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry would otherwise collect once to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families that have a sample, one after the other."""
        for instrument, source in self._observed.items():
            samples = [
                Sample(
                    instrument.prometheus,
                    {
                        "host_name": self._host,
                        **{label_name(key): str(value) for key, value in each.attributes.items()},
                    },
                    each.value,
                )
                for each in source()
            ]
            if samples:
                family = _family(instrument)
                family.samples = samples
                yield family


def _family(instrument: Instrument) -> Metric:
    name = instrument.prometheus.removesuffix("_total")
    unit = "ratio" if name.endswith("_ratio") and instrument.kind is Kind.GAUGE else UNITS.get(instrument.unit, "")
    return Metric(name, instrument.description, _TYPES[instrument.kind], unit)


class _Samples:
    """A family's samples, made as they are read: those of a thousand histograms would take 10 MB at once."""

    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        return self._make()


def _base_labels(target: Target) -> dict[str, str]:
    labels = {"pid": str(target.pid), "job": target.service_name, "instance": target.service_instance_id}
    host = dict(target.attributes).get("host.name")
    return labels if host is None else {"host_name": host, **labels}


def _labels(attributes: Attributes) -> dict[str, str]:
    labels = {}
    for key, value in attributes:
        labels[label_name(key)] = str(value)
        if key in _FOR_PEOPLE:
            labels[_FOR_PEOPLE[key]] = str(value)
    return labels


def _by_bucket(point: HistogramPoint) -> dict[int, TextExemplar]:
    """The latest exemplar of each bucket."""
    latest: dict[int, TextExemplar] = {}
    for exemplar in sorted(point.exemplars, key=lambda one: one.time_unix_nano):
        position = bisect_left(point.bounds_ns, exemplar.value_ns)
        if point.counts[position]:  # the event may be ahead of the snapshot
            latest[position] = TextExemplar(
                {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id:016x}"},
                exemplar.value_ns / 1e9,
                Timestamp(exemplar.time_unix_nano // 10**9, exemplar.time_unix_nano % 10**9),
            )
    return latest


class MetricsPage:
    """Renders a registry for one scrape at a time; scrapes that come meanwhile with the same wishes share the text.

    One at a time, because sixteen scrapers must not cost sixteen times what one does.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._packed: dict[str, tuple[bytes, ...]] = {}  # by type; the text of a thousand processes would take 9 MB
        self._version: object = None

    def render(self, accept: str, accept_encoding: str, version: object = None) -> tuple[bytes, dict[str, str]]:
        """`stream` with the body in one piece."""
        parts, headers = self.stream(accept, accept_encoding, version)
        return b"".join(parts), headers

    def stream(
        self, accept: str, accept_encoding: str, version: object = None
    ) -> tuple[Iterable[bytes], dict[str, str]]:
        """The body, in parts, and its headers.

        Args:
            accept: the request's Accept header: OpenMetrics 1.0 where it asks for it, else text 0.0.4.
            accept_encoding: the request's Accept-Encoding header (gzip).
            version: text made for an equal version (not None) is used again.
        """
        encoder, content_type = choose_encoder(accept)
        with self._lock:
            if version is None or version != self._version:
                self._packed.clear()
                self._version = version
            packed = self._packed.get(content_type)
            if packed is None:
                packed = self._packed[content_type] = tuple(_packed(self._written(encoder, content_type)))
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(accept_encoding):
            headers["Content-Encoding"] = "gzip"
            return packed, headers
        return _unpacked(packed), headers

    def _written(self, encoder: Callable[[CollectorRegistry], bytes], content_type: str) -> Iterable[bytes]:
        if (
            "escaping=dots" in content_type or "version=2" in content_type
        ):  # changes names that are plain already, or is new
            return (encoder(self._registry),)
        return exposition.write(
            self._registry.collect(), openmetrics=content_type.startswith("application/openmetrics")
        )


def _packed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts as one gzip stream."""
    packer = zlib.compressobj(level=4, wbits=_GZIP)
    for part in parts:
        if packed := packer.compress(part):
            yield packed
    yield packer.flush()


def _unpacked(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The other way round, as it is sent."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    for part in parts:
        while part:
            if text := unpacker.decompress(part, _MOST_UNPACKED):
                yield text
            part = unpacker.unconsumed_tail
    if text := unpacker.flush():
        yield text
