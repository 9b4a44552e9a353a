# SPDX-License-Identifier: Apache-2.0
"""Encodes spans as an OTLP request, for the gRPC exporter: the same message as the SDK's encoder, at a tenth of its CPU time.

The SDK encodes every attribute of every span anew and hashes each span's resource as JSON. Slow calls come along a few paths with few values:
an encoded attribute, stack included, is kept and used again. The wire format has it that messages one after the other are one message with
the fields of all, so a span is put together from what is kept and what is its own, and a request from spans. It is never a message in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    DESCRIPTOR,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
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
_OWN = struct.Struct("<2s16s2s8s1sQ1sQ")  #: what no other span has: its identity, begin and end
_SPAN = bytes([ScopeSpans.DESCRIPTOR.fields_by_name["spans"].number << 3 | _LENGTH])
_SCOPE_SPANS = bytes([ResourceSpans.DESCRIPTOR.fields_by_name["scope_spans"].number << 3 | _LENGTH])
_RESOURCE_SPANS = bytes([ExportTraceServiceRequest.DESCRIPTOR.fields_by_name["resource_spans"].number << 3 | _LENGTH])


class Around(NamedTuple):
    """What stands around the spans of a resource, encoded: what else `ResourceSpans` and `ScopeSpans` have."""

    resource_spans: bytes
    scope_spans: bytes


class SpanEncoder:
    """Encodes the spans that `otel_jb.telemetry.spans` makes: internal, local, attributes of text and integers, here and in events."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], bytes] = {}  # encoded attributes, and what does not change of spans of a name
        self._resources: dict[
            int, tuple[Resource, Around]
        ] = {}  # by identity, which stays theirs as long as they are here

    def encode(self, spans: Sequence[ReadableSpan]) -> bytes:
        """One `ExportTraceServiceRequest` with all of them, grouped by resource."""
        groups: dict[int, list[ReadableSpan]] = {}  # by the resource's identity: the span maker has one for each target
        for span in spans:
            groups.setdefault(id(span.resource), []).append(span)
        return b"".join([self._group(group) for group in groups.values()])

    def _group(self, spans: Sequence[ReadableSpan]) -> bytes:
        around = self._around(spans[0])
        encoded = [around.scope_spans]
        for span in spans:
            one = self._span(span)
            encoded += (_SPAN, _varint(len(one)), one)
        scope_spans = b"".join(encoded)
        head = around.resource_spans + _SCOPE_SPANS + _varint(len(scope_spans))
        return b"".join((_RESOURCE_SPANS, _varint(len(head) + len(scope_spans)), head, scope_spans))

    def _around(self, span: ReadableSpan) -> Around:
        """Of a span's resource, as the SDK encodes it."""
        resource = span.resource
        known = self._resources.get(id(resource))
        if known is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            (empty,) = encode_spans([span]).resource_spans
            (scope,) = empty.scope_spans
            del scope.spans[:]
            inner = scope.SerializeToString()
            del empty.scope_spans[:]
            known = self._resources[id(resource)] = (resource, Around(empty.SerializeToString(), inner))
        return known[1]

    def _span(self, span: ReadableSpan) -> bytes:
        context, parent, status = span.context, span.parent, span.status
        parts = [
            _OWN.pack(
                _TRACE_ID,
                context.trace_id.to_bytes(16, "big"),
                _SPAN_ID,
                context.span_id.to_bytes(8, "big"),
                _START,
                span.start_time or 0,
                _END,
                span.end_time or 0,
            ),
            self._fixed(span.name),
        ]
        if parent is not None:
            parts.append(_PARENT + parent.span_id.to_bytes(8, "big"))
        kept = self._kept
        parts += [kept.get(item) or self._attribute(*item) for item in (span.attributes or {}).items()]
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


class EncodedStub:
    """The stub of OTLP's trace service on a gRPC channel, for requests that are encoded already: the generated one takes messages."""

    def __init__(self, channel: Any) -> None:
        (export,) = DESCRIPTOR.services_by_name["TraceService"].methods
        self.Export = channel.unary_unary(  # gRPC's name
            f"/{export.containing_service.full_name}/{export.name}",
            response_deserializer=ExportTraceServiceResponse.FromString,
        )


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
