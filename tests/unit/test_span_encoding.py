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
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from otel_jb.telemetry.span_encoding import SpanEncoder

pytestmark = pytest.mark.unit

SCOPE = InstrumentationScope("otel_jb", "1")
RESOURCES = [Resource({"service.name": name, "process.pid": pid}) for name, pid in (("live", 1), ("edge", 2**31))]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
CONTEXT = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.just(False),
    st.just(TraceFlags(TraceFlags.SAMPLED)),
)
STATUS = st.one_of(
    st.just(Status(StatusCode.UNSET)),
    st.just(Status(StatusCode.OK)),
    st.builds(lambda why: Status(StatusCode.ERROR, why), TEXT),
)
ATTRIBUTES = st.dictionaries(TEXT.filter(bool), st.one_of(st.integers(-(2**63), 2**63 - 1), TEXT), max_size=6)
#: An event may hold seconds, too.
EVENT_ATTRIBUTES = st.dictionaries(
    TEXT.filter(bool), st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXT), max_size=6
)
SPAN = st.builds(
    lambda name, context, parent, resource, attributes, events, links, status, times: ReadableSpan(
        name,
        context,
        parent,
        resource,
        attributes,
        events=events,
        links=links,
        status=status,
        start_time=times[0],
        end_time=times[1],
        instrumentation_scope=SCOPE,
    ),
    TEXT,
    CONTEXT,
    st.none() | CONTEXT,
    st.sampled_from(RESOURCES),
    ATTRIBUTES,
    st.lists(st.builds(Event, TEXT, EVENT_ATTRIBUTES, st.integers(0, 2**64 - 1)), max_size=3),
    st.lists(st.builds(Link, CONTEXT), max_size=2),
    STATUS,
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
)


@settings(deadline=None)
@given(st.lists(st.lists(SPAN, min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_request_is_the_one_that_the_sdk_encodes(batches: list[list[ReadableSpan]]) -> None:
    """For any span that a slow call can become, in a first batch and in later ones that use what was kept."""
    encoder = SpanEncoder()
    for batch in batches:
        request = encoder.encode(batch)
        assert _by_span(ExportTraceServiceRequest.FromString(request)) == _by_span(encode_spans(batch))


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
    context = SpanContext(1, 2, is_remote=False)
    batch = [ReadableSpan("put", context, None, resource, instrumentation_scope=SCOPE) for resource in RESOURCES]
    for _ in range(3):
        request = encoder.encode(batch)
        assert len(ExportTraceServiceRequest.FromString(request).resource_spans) == len(RESOURCES)
    assert len(asked) == len(RESOURCES)
