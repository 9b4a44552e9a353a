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
_NUMBER, _TIME = "rtp.sequence_number", "rtp.timestamp"
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
        self._fixed: dict[tuple[Any, ...], tuple[bytes, bytes, bytes]] = {}  # see `_keep_fixed`
        #: Of packets of this request, by identity, as calls of one buffer share most: what stands before an event's time and behind it,
        #: and the time by the kernel's clock.
        self._of_packets: dict[int, tuple[bytes, bytes, int]] = {}
        self._heads: dict[
            tuple[str, int], bytes
        ] = {}  # what stands before an event's number, by name and length of the number
        self._resources: dict[
            int, tuple[Resource, Around]
        ] = {}  # by identity, which stays theirs as long as they are here

    def encode(self, spans: Sequence[CallSpan]) -> bytes:
        """One `ExportTraceServiceRequest` with all of them, grouped by resource."""
        groups: dict[int, list[CallSpan]] = {}  # by the resource's identity: the span maker has one for each target
        for span in spans:
            groups.setdefault(id(span.origin.resource), []).append(span)
        try:
            return b"".join([part for group in groups.values() for part in self._group(group)])
        finally:
            self._of_packets.clear()

    def _group(self, spans: Sequence[CallSpan]) -> list[bytes]:
        """In parts: some MiB are put together once."""
        around = self._around(spans[0])
        encoded = [b"", around.scope_spans]
        for span in spans:
            one = self._span(span)
            encoded += (_SPAN, _varint(len(one)), one)
        length = sum(map(len, encoded))
        head = around.resource_spans + _SCOPE_SPANS + _varint(length)
        encoded[0] = _RESOURCE_SPANS + _varint(len(head) + length) + head
        return encoded

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
            # A span may have two dozen, and each step here is one for all of them.
            known, time, shift = self._of_packets.get, _EVENT_TIME.pack, span.shift
            for packet in span.packets:
                before, behind, put_ns = known(id(packet)) or self._event(packet)
                parts += (before, time(put_ns + shift), behind)
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

    def _event(self, packet: PassedPacket) -> tuple[bytes, bytes, int]:
        """Encode a packet's event, but for its time, which each span has by its own comparison of the clocks; and note it."""
        attributes = self._of_packet(packet)
        length = _varint(len(_EVENT_HEAD) + _EVENT_TIME.size + len(attributes))
        kept = self._of_packets[id(packet)] = (_EVENT + length + _EVENT_HEAD, attributes, packet.put_ns)
        return kept

    def _of_packet(self, packet: PassedPacket) -> bytes:
        """The attributes of its event: all but three of them come again and again together."""
        key = (packet.ssrc, packet.state, packet.clock_rate, packet.outcome, packet.end_ns is None)
        before, between, behind = self._fixed.get(key) or self._keep_fixed(key, packet)
        number, time = _varint_of(packet.sequence_number), _varint_of(packet.rtp_time)
        heads = self._heads
        parts = (
            before,
            heads.get((_NUMBER, len(number))) or self._head(_NUMBER, packet.sequence_number, len(number)),
            number,
            between,
            heads.get((_TIME, len(time))) or self._head(_TIME, packet.rtp_time, len(time)),
            time,
            behind,
        )
        if packet.end_ns is None:
            return b"".join(parts)
        return b"".join((*parts, _DOUBLE.pack((packet.end_ns - packet.put_ns) / 1e9)))

    def _keep_fixed(self, key: tuple[Any, ...], packet: PassedPacket) -> tuple[bytes, bytes, bytes]:
        """What stands before, between and behind the two numbers, with what stands before the residence time, which is the last."""
        if len(self._fixed) >= _MAX_KEPT:
            self._fixed.clear()
        parts = [b"", b"", b""]
        at = 0
        for name, value in packet_attributes(packet).items():
            if name in (_NUMBER, _TIME):
                at += 1
                continue
            one: bytes = Span.Event(attributes=[_pair(name, value)]).SerializeToString()
            parts[at] += one[: len(one) - _DOUBLE.size] if name == RESIDENCE else one
        before, between, behind = parts
        self._fixed[key] = (before, between, behind)
        return self._fixed[key]

    def _head(self, name: str, value: int, length: int) -> bytes:
        """What stands before an attribute of an event that is an integer of so many bytes."""
        whole: bytes = Span.Event(attributes=[_pair(name, value)]).SerializeToString()
        self._heads[name, length] = whole[: len(whole) - length]
        return self._heads[name, length]

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


def _varint_of(number: int) -> bytes:
    """A number as the wire format has it: seven bits a byte, the lowest first."""
    if 0x3FFF < number < 1 << 32:  # most numbers of packets, without a loop
        if number < 1 << 21:
            return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
        if number > 0xFFFFFFF:
            return bytes(
                (
                    number & 0x7F | 0x80,
                    number >> 7 & 0x7F | 0x80,
                    number >> 14 & 0x7F | 0x80,
                    number >> 21 & 0x7F | 0x80,
                    number >> 28,
                )
            )
    number &= _U64
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_varint = lru_cache(_MAX_KEPT)(_varint_of)  #: of lengths, which come again
