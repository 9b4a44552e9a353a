# SPDX-License-Identifier: Apache-2.0
"""The SDK's OTLP exporters, chosen and configured as the settings say, for metrics and for spans.

The metric exporters here can also end series: Python's data point classes have no `flags`, so the no-recorded-value mark is set in
the encoded request, at the one place in each exporter where it passes by.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from otel_jb.config import keyfile
from otel_jb.config.environment import SignalSettings
from otel_jb.config.model import OtlpProtocol
from otel_jb.model.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from otel_jb.telemetry.call_span import CallSpan

# gRPC's core writes lines of its own to standard error, between those of the log; what went wrong, `outcome` says.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_NO_RECORDED_VALUE = 1  # opentelemetry.proto.metrics.v1.DataPointFlags


def mark_ended(request: Any) -> Any:
    """Set the no-recorded-value mark on every point of a request, take out the values, and give each point a metric of its own.

    The Collector's Prometheus exporter (0.155) leaves a metric at its first marked point and would go on showing the others.
    """
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in list(scope_metrics.metrics):
                kind = metric.WhichOneof("data")
                points = list(getattr(metric, kind).data_points)
                for point in points:
                    _empty(point)
                for point in points[1:]:
                    alone = scope_metrics.metrics.add()
                    alone.CopyFrom(metric)
                    del getattr(alone, kind).data_points[:]
                    getattr(alone, kind).data_points.append(point)
                del getattr(metric, kind).data_points[1:]
    return request


def _empty(point: Any) -> None:
    for field in ("as_int", "as_double", "count", "sum", "bucket_counts", "exemplars", "zero_count", "positive"):
        if field in point.DESCRIPTOR.fields_by_name:
            point.ClearField(field)
    if "explicit_bounds" in point.DESCRIPTOR.fields_by_name:
        point.ClearField("explicit_bounds")
    point.flags |= _NO_RECORDED_VALUE


class EndingSeries:
    """Mixed into a metric exporter: whether the next requests only end the series whose points they hold."""

    _ends = False

    def ending(self, ends: bool) -> None:
        """From now on, every point that is exported only ends its series, or does not."""
        self._ends = ends

    def mark(self, request: Any) -> Any:
        """The encoded request, marked if need be."""
        return mark_ended(request) if self._ends else request


def metric_exporter(settings: SignalSettings, temporality: str = "cumulative") -> MetricExporter:
    """An OTLP metric exporter (also an `EndingSeries`).

    Args:
        settings: where it sends to.
        temporality: of the agent's own metrics, which the SDK aggregates; the targets' are `otlp.TargetExporter`'s business.

    Raises:
        ConfigError: a certificate or key cannot be read.
    """
    if settings.protocol is OtlpProtocol.GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        from otel_jb.telemetry.answers_grpc import NotingStub

        class EndingGrpcExporter(EndingSeries, GrpcExporter):
            def _initialize_channel_and_stub(self) -> None:
                super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]
                self._client: Any = NotingStub(self._client, settings.timeout_seconds)

            def _translate_data(self, data: Any) -> Any:
                return self.mark(super()._translate_data(data))

        return EndingGrpcExporter(**_grpc_arguments(settings), preferred_temporality=_preferred(temporality))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    class EndingHttpExporter(EndingSeries, HttpExporter):
        def _export_batch(self, export_request: Any) -> Any:
            return super()._export_batch(self.mark(export_request))

    arguments = _http_arguments(settings, ExportMetricsServiceResponse)
    return EndingHttpExporter(**arguments, preferred_temporality=_preferred(temporality))


def _preferred(temporality: str) -> dict[type, Any]:
    """By kind of instrument (specification, "Metrics exporter: OTLP"); all of the agent's own are observable."""
    from opentelemetry.sdk.metrics import ObservableCounter, ObservableGauge, ObservableUpDownCounter
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    counter = AggregationTemporality.DELTA if temporality == "delta" else AggregationTemporality.CUMULATIVE
    cumulative = AggregationTemporality.CUMULATIVE
    return {ObservableCounter: counter, ObservableUpDownCounter: cumulative, ObservableGauge: cumulative}


class CallSpanExporter(Protocol):
    """Sends spans of slow calls."""

    def export(self, spans: Sequence[CallSpan], /) -> SpanExportResult:
        """Send them; returns once that is done."""

    def shutdown(self) -> None:
        """End an export under way, as far as that can be done."""


class ReadableExporter:
    """Has an exporter of the SDK send them: what it knows is `ReadableSpan`."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[CallSpan], /) -> SpanExportResult:
        """See `CallSpanExporter`."""
        return self._exporter.export([span.readable() for span in spans])

    def shutdown(self) -> None:
        """See `CallSpanExporter`."""
        self._exporter.shutdown()


def span_exporter(settings: SignalSettings) -> CallSpanExporter:
    """An OTLP span exporter.

    Raises:
        ConfigError: a certificate or key cannot be read.
    """
    if settings.protocol is OtlpProtocol.GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        from otel_jb.telemetry.answers_grpc import NotingStub
        from otel_jb.telemetry.span_encoding import EncodedStub, SpanEncoder

        encoder = SpanEncoder()

        class NotingGrpcExporter(GrpcExporter):
            def _translate_data(self, data: Any) -> Any:
                return encoder.encode(data)

            def _initialize_channel_and_stub(self) -> None:
                super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]
                self._client: Any = NotingStub(EncodedStub(self._channel), settings.timeout_seconds)

        sends: Any = NotingGrpcExporter(**_grpc_arguments(settings))  # its encoder is ours
        return sends  # type: ignore[no-any-return]
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    return ReadableExporter(HttpExporter(**_http_arguments(settings, ExportTraceServiceResponse)))


def _read(path: str | None, what: str) -> bytes | None:
    if path is None:
        return None
    try:
        return keyfile.read(path)
    except OSError as error:
        raise ConfigError(
            f"the {what} {path} cannot be read: {error.strerror}",
            "Correct otlp.tls in the configuration file, or the OTEL_EXPORTER_OTLP_*CERTIFICATE and _KEY variables.",
        ) from None


def _grpc_arguments(settings: SignalSettings) -> dict[str, Any]:
    import grpc

    from otel_jb.telemetry.answers import MAX_ANSWER_BYTES

    insecure = not settings.endpoint.startswith("https://")
    arguments: dict[str, Any] = {
        "endpoint": settings.endpoint,
        "insecure": insecure,
        "headers": settings.headers or None,
        "timeout": settings.timeout_seconds,
        # The exporter tries again by itself. gRPC's own retries have no pause: a peer that says good-bye to each connection took the
        # agent to 550 MiB in 3 s.
        "channel_options": (("grpc.max_receive_message_length", MAX_ANSWER_BYTES), ("grpc.enable_retries", 0)),
        "compression": grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression,
    }
    if not insecure:
        arguments["credentials"] = grpc.ssl_channel_credentials(
            root_certificates=_read(settings.certificate, "certificate"),
            private_key=_read(settings.client_key, "client key"),
            certificate_chain=_read(settings.client_certificate, "client certificate"),
        )
    return arguments


def _http_arguments(settings: SignalSettings, response: type[Any]) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression

    from otel_jb.telemetry.answers_http import BoundedSession

    key, chain = settings.client_key, settings.client_certificate
    client = (chain, key) if chain and key else chain
    for path, what in (
        (settings.certificate, "certificate"),
        (settings.client_key, "client key"),
        (settings.client_certificate, "client certificate"),
    ):
        _read(path, what)
    return {
        "endpoint": settings.endpoint,
        "certificate_file": settings.certificate,
        "client_key_file": settings.client_key,
        "client_certificate_file": settings.client_certificate,
        "headers": dict(settings.headers),
        "timeout": settings.timeout_seconds,
        "compression": Compression(settings.compression),
        "session": BoundedSession(response, settings.timeout_seconds, settings.certificate, client),
    }
