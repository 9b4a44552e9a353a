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

from otel_jb.telemetry.call_span import RESIDENCE, packet_attributes
from otel_jb.telemetry.span_names import PACKET_EVENT

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otel_jb.model.stream import PassedPacket
    from otel_jb.telemetry.call_span import CallSpan, Identity, Origin

_MAX_KEPT = 4096
_MAX_RESOURCES = 256
_INTERNAL = Span.SpanKind.SPAN_KIND_INTERNAL
_FLAGS = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK


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
_EVENT = _tag("events", _LENGTH)
_EVENT_HEAD = Span.Event(name=PACKET_EVENT).SerializeToString() + bytes(
    [Span.Event.DESCRIPTOR.fields_by_name["time_unix_nano"].number << 3 | _FIXED64]
)
_EVENT_TIME = struct.Struct("<Q")
_NUMBERS = ("rtp.sequence_number", "rtp.timestamp")
_U64 = (1 << 64) - 1
_OWN = struct.Struct("<2s16s2s8s1sQ1sQ")  #: what no other span has: its identity, begin and end
_SPAN = bytes([ScopeSpans.DESCRIPTOR.fields_by_name["spans"].number << 3 | _LENGTH])
_SCOPE_SPANS = bytes([ResourceSpans.DESCRIPTOR.fields_by_name["scope_spans"].number << 3 | _LENGTH])
_RESOURCE_SPANS = bytes([ExportTraceServiceRequest.DESCRIPTOR.fields_by_name["resource_spans"].number << 3 | _LENGTH])


class Around(NamedTuple):
    """What stands around the spans of a resource, encoded: what else `ResourceSpans` and `ScopeSpans` have."""

    resource_spans: bytes
    scope_spans: bytes


class SpanEncoder:
    """Encodes the spans of slow calls. All values of an attribute's name are of one type."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], bytes] = {}  # encoded attributes by name and value
        self._kept_of_events: dict[tuple[str, Any], bytes] = {}  # the same, as an event's
        self._of_packets: dict[
            int, bytes
        ] = {}  # the attributes of packets of this request, by identity: calls of one buffer share most
        self._heads: dict[
            tuple[str, int], bytes
        ] = {}  # what stands before an event's number, by name and length of the number
        whole: bytes = Span.Event(attributes=[_pair(RESIDENCE, 0.0)]).SerializeToString()
        self._residence = whole[: len(whole) - _DOUBLE.size]
        self._resources: dict[
            int, tuple[Resource, Around]
        ] = {}  # by identity, which stays theirs as long as they are here

    def encode(self, spans: Sequence[CallSpan]) -> bytes:
        """One `ExportTraceServiceRequest` with all of them, grouped by resource."""
        groups: dict[int, list[CallSpan]] = {}  # by the resource's identity: the span maker has one for each target
        for span in spans:
            groups.setdefault(id(span.origin.resource), []).append(span)
        try:
            return b"".join([self._group(group) for group in groups.values()])
        finally:
            self._of_packets.clear()

    def _group(self, spans: Sequence[CallSpan]) -> bytes:
        around = self._around(spans[0])
        encoded = [around.scope_spans]
        for span in spans:
            one = self._span(span)
            encoded += (_SPAN, _varint(len(one)), one)
        scope_spans = b"".join(encoded)
        head = around.resource_spans + _SCOPE_SPANS + _varint(len(scope_spans))
        return b"".join((_RESOURCE_SPANS, _varint(len(head) + len(scope_spans)), head, scope_spans))

    def _around(self, span: CallSpan) -> Around:
        """Of a span's resource, as the SDK encodes it."""
        resource = span.origin.resource
        known = self._resources.get(id(resource))
        if known is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            (empty,) = encode_spans([span.readable()]).resource_spans
            (scope,) = empty.scope_spans
            del scope.spans[:]
            inner = scope.SerializeToString()
            del empty.scope_spans[:]
            known = self._resources[id(resource)] = (resource, Around(empty.SerializeToString(), inner))
        return known[1]

    def _span(self, span: CallSpan) -> bytes:
        parts = [
            _OWN.pack(
                _TRACE_ID,
                span.trace_id.to_bytes(16, "big"),
                _SPAN_ID,
                span.span_id.to_bytes(8, "big"),
                _START,
                span.start_time,
                _END,
                span.end_time,
            ),
            span.origin.encoded or self._origin(span.origin),
        ]
        if span.parent_id:
            parts.append(_PARENT + span.parent_id.to_bytes(8, "big"))
        if span.own:
            kept = self._kept
            parts += [kept.get(item) or self._attribute(*item) for item in span.own.items()]
        if span.packets:
            event = self._event
            for packet in span.packets:
                one = event(packet, span.shift)
                parts += (_EVENT, _varint(len(one)), one)
        if span.links:
            parts.append(Span(links=map(_link, span.links)).SerializeToString())
        if span.error:
            told = Status(code=Status.STATUS_CODE_ERROR, message=span.error)
            parts.append(Span(status=told).SerializeToString())
        return b"".join(parts)

    def _origin(self, origin: Origin) -> bytes:
        """Encode what spans of an origin have in common, and note it there."""
        attributes = [_pair(*item) for item in origin.attributes.items()]
        fixed = Span(name=origin.name, kind=_INTERNAL, flags=_FLAGS, status=Status(), attributes=attributes)
        origin.encoded = fixed.SerializeToString()
        return origin.encoded

    def _attribute(self, key: str, value: Any) -> bytes:
        if isinstance(value, float):  # a time, which does not come again: only what stands before the number is kept
            before = self._kept.get((key, float))
            if before is None:
                before = self._keep((key, float), Span(attributes=[_pair(key, 0.0)]), without=_DOUBLE.size)
            return before + _DOUBLE.pack(value)
        return self._keep((key, value), Span(attributes=[_pair(key, value)]))

    def _event(self, packet: PassedPacket, shift: int) -> bytes:
        """Of a packet: a span may have two dozen, and a message for each takes ten times as long."""
        attributes = self._of_packets.get(id(packet))
        if attributes is None:
            attributes = self._of_packets[id(packet)] = self._of_packet(packet)
        return b"".join((_EVENT_HEAD, _EVENT_TIME.pack(packet.put_ns + shift), attributes))

    def _of_packet(self, packet: PassedPacket) -> bytes:
        kept, parts = self._kept_of_events, []
        for item in packet_attributes(packet).items():
            name, value = item
            if name in _NUMBERS:  # few come again
                parts.append(self._number(name, value))
            elif name == RESIDENCE:
                parts += (self._residence, _DOUBLE.pack(value))
            else:
                parts.append(kept.get(item) or self._keep_of_events(name, value))
        return b"".join(parts)

    def _number(self, name: str, value: int) -> bytes:
        """An attribute of an event that is an integer."""
        number = _varint(value & _U64)
        head = self._heads.get((name, len(number)))
        if head is None:
            whole = Span.Event(attributes=[_pair(name, value)]).SerializeToString()
            head = self._heads[name, len(number)] = whole[: len(whole) - len(number)]
        return head + number

    def _keep_of_events(self, name: str, value: Any) -> bytes:
        if len(self._kept_of_events) >= _MAX_KEPT:
            self._kept_of_events.clear()
        encoded: bytes = Span.Event(attributes=[_pair(name, value)]).SerializeToString()
        self._kept_of_events[name, value] = encoded
        return encoded

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


def _link(to: Identity) -> Span.Link:
    trace_id, span_id = to
    return Span.Link(trace_id=trace_id.to_bytes(16, "big"), span_id=span_id.to_bytes(8, "big"), flags=_FLAGS)


@lru_cache(_MAX_KEPT)
def _varint(number: int) -> bytes:
    """A length as the wire format has it: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
