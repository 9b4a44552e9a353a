# SPDX-License-Identifier: Apache-2.0
"""Spans of slow calls as they wait to be sent: what is a call's own, and what it shares with others of its function and thread.

The SDK's `ReadableSpan` holds the same, but takes three times as long to make, its contexts and events included. `CallSpan.readable`
makes one for exporters that need it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import otel_jb
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import PassedPacket, Series, SlowCall
from otel_jb.telemetry.instruments import SCOPE
from otel_jb.telemetry.span_names import MAY_YIELD, PACKET_EVENT, SHARE

Identity = tuple[int, int]  #: trace and span
Attributes = Mapping[str, Any]  #: texts, integers, seconds, truths

#: Why a call has a span that was not slow: `late`, its packet was thrown away for that.
TRIGGER = "jitterbuffer.trigger"
RESIDENCE = "jitterbuffer.packet.residence"
_REST_BYTES, _PACKET_BYTES = 512, 256
_RAN, _WAITED, _SLEPT = SHARE
_SCOPE = InstrumentationScope(SCOPE, otel_jb.__version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)


@dataclass(slots=True, eq=False)
class Origin:
    """What spans of one function on one thread have in common."""

    name: str  #: of the span: the function
    resource: Resource
    attributes: Attributes
    encoded: bytes = b""  #: the same for OTLP, once that was made (see `span_encoding`)


@dataclass(slots=True, eq=False)  # not frozen: that makes creation several times as expensive
class CallSpan:
    """A span of a slow call, or of a probed one inside it. Never changed."""

    origin: Origin
    trace_id: int
    span_id: int
    parent_id: int  #: 0: it has none
    start_time: int  #: Unix nanoseconds, as `end_time`
    end_time: int
    own: Attributes = field(default_factory=dict)  #: besides those of `origin`
    error: str = ""  #: empty: it did not fail
    links: Sequence[Identity] = ()
    packets: Sequence[PassedPacket] = ()  #: its events
    shift: int = 0  #: Unix nanoseconds of the monotonic clock's zero, for the packets

    @property
    def name(self) -> str:
        """Of its function."""
        return self.origin.name

    @property
    def attributes(self) -> dict[str, Any]:
        """All of them."""
        return {**self.origin.attributes, **self.own}

    @property
    def events(self) -> list[Event]:
        """The packets that went into the same buffer at that time."""
        return [Event(PACKET_EVENT, packet_attributes(each), each.put_ns + self.shift) for each in self.packets]

    @property
    def size(self) -> int:
        """Bytes that it takes of a request, about: what is long of it, and some for the rest."""
        return _REST_BYTES + len(self.own.get("code.stacktrace", "")) + _PACKET_BYTES * len(self.packets)

    def readable(self) -> ReadableSpan:
        """The same as the SDK has it."""
        return ReadableSpan(
            self.origin.name,
            _context(self.trace_id, self.span_id),
            _context(self.trace_id, self.parent_id) if self.parent_id else None,
            self.origin.resource,
            self.attributes,
            events=self.events,
            links=[Link(_context(*each)) for each in self.links],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, self.error) if self.error else _UNSET,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, False, _SAMPLED)


def identity(series: Series, thread_id: int, thread_name: str) -> Attributes:
    """The attributes of `Origin`."""
    return {
        "code.function.name": series.function,
        "jitterbuffer.role": series.role,
        "thread.id": thread_id,
        "thread.name": thread_name,
    }


def own_attributes(series: Series, call: SlowCall) -> dict[str, Any]:
    """What is known of this very call; a new dictionary."""
    attributes: dict[str, Any] = {}
    # A number of a hostile target's memory may be too large for OTLP's signed 64 bits, and would cost the others their spans.
    if call.bytes is not None and call.bytes < 1 << 63 and series.has_bytes:
        attributes["jitterbuffer.packet.size"] = call.bytes
    if call.return_value is not None:
        fits = -(1 << 63) <= call.return_value < 1 << 63
        attributes["jitterbuffer.return_value"] = call.return_value if fits else f"{call.return_value:#x}"
    if call.stream_name:
        attributes["jitterbuffer.stream"] = call.stream_name
    if call.ssrc is not None:
        attributes["rtp.ssrc"] = f"{call.ssrc:08x}"
    if call.late:
        attributes[TRIGGER] = "late"
    if call.cpu_ns is not None:
        attributes[_RAN] = call.cpu_ns / 1e9
    if call.run_delay_ns is not None:
        attributes[_WAITED] = call.run_delay_ns / 1e9
    if call.blocked_ns is not None:
        attributes[_SLEPT] = call.blocked_ns / 1e9
    if call.may_yield:
        attributes[MAY_YIELD] = True
    return attributes


def packet_attributes(packet: PassedPacket) -> dict[str, Any]:
    """Of the event of a packet."""
    attributes: dict[str, Any] = {
        "rtp.ssrc": f"{packet.ssrc:08x}",
        "rtp.sequence_number": packet.sequence_number,
        "rtp.timestamp": packet.rtp_time,
        "rtp.packet.order": packet.state,
    }
    if packet.clock_rate is not None:
        attributes["rtp.clock_rate"] = packet.clock_rate
    if packet.outcome:
        attributes["jitterbuffer.packet.outcome"] = packet.outcome
    if packet.end_ns is not None:
        attributes[RESIDENCE] = (packet.end_ns - packet.put_ns) / 1e9
    return attributes


def error_of(series: Series, call: SlowCall) -> str:
    """What a call's return value says of its failure; empty: it did not fail."""
    value = call.return_value
    if value is None or not series.error_return or not any(low <= value <= high for low, high in series.error_return):
        return ""
    return f"returned {value}"
