# SPDX-License-Identifier: Apache-2.0
"""The slow calls that the page shows: which are kept, and that keeping them changes nothing that is exported."""

from __future__ import annotations

from dataclasses import replace

import pytest
from opentelemetry.sdk.resources import Resource

from otel_jb.config.environment import read
from otel_jb.config.model import Page
from otel_jb.config.yamlfile import KeyValueError
from otel_jb.model.stream import PassedPacket, SlowCall
from otel_jb.telemetry.call_span import CallSpan, Origin
from otel_jb.telemetry.instruments import SPANS_DROPPED
from otel_jb.telemetry.kept_calls import IN_ALL, OF_A_FUNCTION, KeptCalls, KeptPacket
from otel_jb.telemetry.pipeline import Telemetry
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit


def span(name: str, start: int, end: int) -> CallSpan:
    attributes = {"thread.id": 3, "thread.name": "rx"}
    return CallSpan(Origin(name, Resource({}), attributes), 7, start, 0, start, end)


def test_a_function_with_many_slow_calls_leaves_room_for_others() -> None:
    """The last ten of each function are kept, a hundred in all, the latest of them."""
    kept = KeptCalls()
    kept.add([(99, [span("rare", 5, 9)])], traced=True)
    for number in range(50):
        kept.add([(1, [span("often", number, number + 2)])], traced=False)
    assert [call.series for call in kept.latest()] == [99] + [1] * OF_A_FUNCTION
    rare, *often = kept.latest()
    assert (rare.trace_id, rare.took_ns, rare.thread) == (f"{7:032x}", 4, "rx (3)")
    assert [call.end_unix_nano for call in often] == list(range(42, 52))
    assert {call.trace_id for call in often} == {""}
    for series in range(1000, 1000 + 2 * IN_ALL):
        kept.add([(series, [span("many", 0, 1)])], traced=True)
    assert [call.series for call in kept.latest()] == list(range(1000 + IN_ALL, 1000 + 2 * IN_ALL))


def test_a_row_of_calls_is_kept_as_if_each_had_come_alone() -> None:
    """Of each function the last ten, in their order; their numbers, by which the page knows them, count those that are gone too."""
    row = [(1 + (number % 3 == 0), [span("put", number, number + 2)]) for number in range(64)]
    together, alone = KeptCalls(), KeptCalls()
    for first, last in ((0, 5), (5, 40), (40, 64)):
        together.add(row[first:last], traced=True)
        for call in row[first:last]:
            alone.add([call], traced=True)
        assert together.latest() == alone.latest()
    assert len(together.latest()) == 2 * OF_A_FUNCTION


def test_calls_are_kept_without_a_receiver_for_traces() -> None:
    """A slow call becomes a kept one with its inner calls and the packets around it; it has no trace to link to, no exemplar, and no span is counted lost."""
    kept = KeptCalls()
    telemetry = Telemetry(samples.state(), read({}), kept=kept, symbolise=lambda _series, _call: ["put+1", "main+2"])
    telemetry.start()
    try:
        packets = (
            PassedPacket(0xAB, 65535, 160, 10**9 - 5_000_000, "in_order", 8000),
            PassedPacket(0xAB, 0, 320, 10**9 + 7_000_000, "duplicated", None, "played", 10**9 + 27_000_000),
        )
        call = SlowCall(samples.PUT.id, 7, "rx", 64, 10**9, 10**9 + 30_000_000, 172, None, None, None, packets=packets)
        call = replace(call, cpu_ns=1_000_001, run_delay_ns=0, blocked_ns=28_999_999)
        assert telemetry._maker is not None
        assert telemetry._maker.make(call)
        (found,) = kept.latest()
        assert (found.series, found.took_ns, found.stack) == (samples.PUT.id, 30_000_000, "put+1\nmain+2")
        assert (found.packet_bytes, found.trace_id) == (172, "")
        assert (found.share_ns, found.may_yield) == ((1_000_001, 0, 28_999_999), False)
        assert found.packets == (
            KeptPacket(-5_000_000, "000000ab", 65535, 160, "in_order", 8000),
            KeptPacket(7_000_000, "000000ab", 0, 320, "duplicated", None, "played", 20_000_000),
        )
        assert telemetry._maker.make(replace(call, frame=128, cpu_ns=None, may_yield=True))
        assert [(each.share_ns, each.may_yield) for each in kept.latest()[1:]] == [(None, True)]
        assert not telemetry._store.latest(samples.PUT.id)
        assert not list(telemetry.tally.read(SPANS_DROPPED))
    finally:
        telemetry.shutdown(1.0)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert('{trace_id}')",
        "jaeger:16686/trace/{trace_id}",
        "http://jaeger/trace/",
        "http://jaeger/{trace}",
        "http://x/ {trace_id}",
        "http://x/{trace_id}\n",
    ],
)
def test_a_link_to_traces_is_a_link_on_the_web(url: str) -> None:
    """A template without the trace's id, or with another scheme than HTTP, is refused: the browser would run it."""
    with pytest.raises(KeyValueError, match="expected a URL"):
        Page(trace_url=url)
    assert Page(trace_url='https://g/explore?left={"q":"{trace_id}"}').trace_url is not None
