# SPDX-License-Identifier: Apache-2.0
"""Encodes spans as an OTLP request, for the gRPC exporter: the same bytes as the SDK's encoder, at a tenth of its CPU time.

The SDK encodes every attribute of every span anew and hashes each span's resource as JSON. Slow calls come along a few paths with few values:
an encoded attribute, stack included, is kept and used again. The wire format has it that messages one after the other are one message with
the fields of all, so a span is put together from what is kept and what is its own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.trace import Link, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan

_MAX_KEPT = 4096
_MAX_RESOURCES = 256
_INTERNAL = Span.SpanKind.SPAN_KIND_INTERNAL
_FLAGS = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_STATUS = {
    StatusCode.UNSET: Status.STATUS_CODE_UNSET,
    StatusCode.OK: Status.STATUS_CODE_OK,
    StatusCode.ERROR: Status.STATUS_CODE_ERROR,
}


def _tag(field: str, wire_type: int) -> bytes:
    """What stands before a field of a span; the numbers of these are below 16."""
    return bytes([Span.DESCRIPTOR.fields_by_name[field].number << 3 | wire_type])


_FIXED64, _LENGTH = 1, 2
_DOUBLE = struct.Struct("<d")  #: the last bytes of an attribute that is one
_TRACE_ID, _SPAN_ID, _PARENT = (
    _tag("trace_id", _LENGTH) + b"\x10",
    _tag("span_id", _LENGTH) + b"\x08",
    _tag("parent_span_id", _LENGTH) + b"\x08",
)
_START, _END = _tag("start_time_unix_nano", _FIXED64), _tag("end_time_unix_nano", _FIXED64)
_SPAN = bytes([ScopeSpans.DESCRIPTOR.fields_by_name["spans"].number << 3 | _LENGTH])


class SpanEncoder:
    """Encodes the spans that `otel_jb.telemetry.spans` makes: internal, local, attributes of text and integers, here and in events."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], bytes] = {}  # encoded attributes, and what does not change of spans of a name
        self._resources: dict[
            int, tuple[Resource, ResourceSpans]
        ] = {}  # by identity, which stays theirs as long as they are here

    def encode(self, spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        """One request with all of them, grouped by resource."""
        groups: dict[int, list[ReadableSpan]] = {}  # by the resource's identity: the span maker has one for each target
        for span in spans:
            groups.setdefault(id(span.resource), []).append(span)
        return ExportTraceServiceRequest(resource_spans=[self._group(group) for group in groups.values()])

    def _group(self, spans: Sequence[ReadableSpan]) -> ResourceSpans:
        whole = ResourceSpans()
        whole.CopyFrom(self._empty(spans[0]))
        encoded: list[bytes] = []
        for span in spans:
            one = self._span(span)
            encoded += (_SPAN, _varint(len(one)), one)
        whole.scope_spans[0].MergeFromString(b"".join(encoded))
        return whole

    def _empty(self, span: ReadableSpan) -> ResourceSpans:
        """Resource and scope of a span, without spans, as the SDK encodes them."""
        resource = span.resource
        known = self._resources.get(id(resource))
        if known is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            (empty,) = encode_spans([span]).resource_spans
            del empty.scope_spans[0].spans[:]
            known = self._resources[id(resource)] = (resource, empty)
        return known[1]

    def _span(self, span: ReadableSpan) -> bytes:
        context, parent, status = span.context, span.parent, span.status
        parts = [
            _TRACE_ID,
            context.trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            context.span_id.to_bytes(8, "big"),
            _START,
            (span.start_time or 0).to_bytes(8, "little"),
            _END,
            (span.end_time or 0).to_bytes(8, "little"),
            self._fixed(span.name),
        ]
        if parent is not None:
            parts += (_PARENT, parent.span_id.to_bytes(8, "big"))
        kept = self._kept
        for item in (span.attributes or {}).items():
            parts.append(kept.get(item) or self._attribute(*item))
        if span.events:
            parts.append(Span(events=map(_event, span.events)).SerializeToString())
        if span.links:
            parts.append(Span(links=map(_link, span.links)).SerializeToString())
        if status.status_code is not StatusCode.UNSET:
            told = Status(code=_STATUS[status.status_code], message=status.description or "")
            parts.append(Span(status=told).SerializeToString())
        return b"".join(parts)

    def _fixed(self, name: str) -> bytes:
        """What spans of a name have in common."""
        known = self._kept.get((name, None))
        if known is None:
            known = self._keep((name, None), Span(name=name, kind=_INTERNAL, flags=_FLAGS, status=Status()))
        return known

    def _attribute(self, key: str, value: Any) -> bytes:
        if isinstance(value, float):  # a time, which does not come again: only what stands before the number is kept
            before = self._kept.get((key, float))
            if before is None:
                before = self._keep((key, float), Span(attributes=[_pair(key, 0.0)]), without=_DOUBLE.size)
            return before + _DOUBLE.pack(value)
        return self._keep((key, value), Span(attributes=[_pair(key, value)]))

    def _keep(self, key: tuple[str, Any], part: Span, without: int = 0) -> bytes:
        """Encode a part and keep it, but for its last bytes."""
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        whole: bytes = part.SerializeToString()
        encoded = whole[: len(whole) - without]
        self._kept[key] = encoded
        return encoded


def _pair(key: str, value: Any) -> KeyValue:
    return KeyValue(key=key, value=_value(value))


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(int_value=value)


def _event(event: Event) -> Span.Event:
    attributes = [_pair(*item) for item in (event.attributes or {}).items()]
    return Span.Event(name=event.name, time_unix_nano=event.timestamp, attributes=attributes)


def _link(link: Link) -> Span.Link:
    context = link.context
    return Span.Link(
        trace_id=context.trace_id.to_bytes(16, "big"), span_id=context.span_id.to_bytes(8, "big"), flags=_FLAGS
    )


@lru_cache(_MAX_KEPT)
def _varint(number: int) -> bytes:
    """A length as the wire format has it: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
