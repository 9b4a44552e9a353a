# SPDX-License-Identifier: Apache-2.0
"""Spans on their way to the receiver: put together from parts, they are what the SDK's own encoder makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from otel_jb.model.stream import PassedPacket
from otel_jb.telemetry.call_span import CallSpan, Origin
from otel_jb.telemetry.span_encoding import SpanEncoder

pytestmark = pytest.mark.unit

RESOURCES = [Resource({"service.name": name, "process.pid": pid}) for name, pid in (("live", 1), ("edge", 2**31))]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
TRACE, SPAN = st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1)
TIME = st.integers(0, 2**64 - 1)
VALUE = st.integers(-(2**63), 2**63 - 1) | TEXT
NAME = TEXT.filter(bool)
#: An attribute of a name is always a truth, always seconds, or neither.
ATTRIBUTES = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(NAME, VALUE, max_size=6),
    st.dictionaries(NAME.map("seconds {}".format), st.floats(allow_nan=False), max_size=3),
    st.dictionaries(st.just("yields"), st.booleans()),
)
PACKET = st.builds(
    PassedPacket,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**62),
    TEXT,
    st.none() | st.integers(1, 2**32 - 1),
    TEXT,
    st.none() | st.integers(0, 2**62),
)
#: No span has one of these as its own.
COMMON = st.dictionaries(NAME.map("origin {}".format), VALUE, max_size=4)
#: Many spans are of one function and thread, and have packets in common: these are encoded once.
SHARED = st.shared(
    st.tuples(
        st.lists(st.builds(Origin, TEXT, st.sampled_from(RESOURCES), COMMON), min_size=1, max_size=3),
        st.lists(PACKET, min_size=1, max_size=4),
    )
)
SPANS = SHARED.flatmap(
    lambda shared: st.builds(
        CallSpan,
        st.sampled_from(shared[0]),
        TRACE,
        SPAN,
        st.just(0) | SPAN,
        TIME,
        TIME,
        ATTRIBUTES,
        st.just("") | TEXT,
        st.lists(st.tuples(TRACE, SPAN), max_size=2),
        st.lists(st.sampled_from(shared[1]), max_size=3),
        st.integers(0, 2**62),
    )
)


@settings(deadline=None)
@given(st.lists(st.lists(SPANS, min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_request_is_the_one_that_the_sdk_encodes(batches: list[list[CallSpan]]) -> None:
    """For any span that a slow call can become, in a first batch and in later ones that use what was kept."""
    encoder = SpanEncoder()
    for batch in batches:
        request = encoder.encode(batch)
        told = encode_spans([span.readable() for span in batch])
        assert _by_span(ExportTraceServiceRequest.FromString(request)) == _by_span(told)


def _by_span(request: Any) -> list[Any]:
    """Resource, scope and encoded span of each, in an order of their own: the SDK's groups may come in another one."""
    return sorted(
        (
            group.resource.SerializeToString(deterministic=True),
            scope.scope.name,
            span.SerializeToString(deterministic=True),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def test_a_resource_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many requests have spans of a target, the SDK encodes its resource for the first one only."""
    asked: list[Any] = []

    def counted(spans: Any) -> Any:
        asked.append(spans)
        return encode_spans(spans)

    monkeypatch.setattr("otel_jb.telemetry.span_encoding.encode_spans", counted)
    encoder = SpanEncoder()
    batch = [CallSpan(Origin("put", resource, {}), 1, 2, 0, 3, 4) for resource in RESOURCES]
    for _ in range(3):
        request = encoder.encode(batch)
        assert len(ExportTraceServiceRequest.FromString(request).resource_spans) == len(RESOURCES)
    assert len(asked) == len(RESOURCES)


def test_a_packet_is_encoded_once_for_all_calls_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of one buffer have most of their packets in common; a later request may have others at the same place in memory."""
    asked: list[PassedPacket] = []
    encode = SpanEncoder._of_packet

    def counted(encoder: SpanEncoder, packet: PassedPacket) -> bytes:
        asked.append(packet)
        return encode(encoder, packet)

    monkeypatch.setattr(SpanEncoder, "_of_packet", counted)
    encoder, origin = SpanEncoder(), Origin("put", RESOURCES[0], {})
    packets = [PassedPacket(5, number, 7, 8, "in_order") for number in range(30)]
    batch = [CallSpan(origin, 1, 2 + n, 0, 3, 4, packets=packets[n : n + 20], shift=n) for n in range(10)]
    for requests in (1, 2):
        encoder.encode(batch)
        assert asked == requests * packets[:29]
