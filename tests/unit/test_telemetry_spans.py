# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.config.environment import read
from otel_jb.model.stream import NestedCall, PassedPacket, Series, SlowCall
from otel_jb.telemetry import instruments
from otel_jb.telemetry.exemplars import ExemplarStore
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.metrics import Exemplar
from otel_jb.telemetry.nesting import nest
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.spans import _without_copy
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.otlp_receiver import attributes, grpc_receiver, http_receiver

pytestmark = pytest.mark.unit

RECEIVERS = {"grpc": grpc_receiver, "http/protobuf": http_receiver}
both = pytest.mark.parametrize("protocol", list(RECEIVERS))
TOP = 0x7FFF_0000


def slow(one: Series = samples.PUT, took_ns: int = 20_000_000, **changes: Any) -> SlowCall:
    end = time.monotonic_ns()
    made = SlowCall(
        series=one.id,
        thread_id=4720,
        thread_name="receiver",
        frame=TOP,
        start_ns=end - took_ns,
        end_ns=end,
        bytes=172,
        stream=0xDEAD,
        stream_name="live/cam0",
        ssrc=0xAB,
        return_value=0,
        outcome=0,
    )
    return replace(made, **changes)


def inside(call: SlowCall, first: int, last: int, frame: int, one: Series = samples.DECODE) -> NestedCall:
    """A nested call from `first` to `last` milliseconds after the slow one's start."""
    return NestedCall(one.id, frame, call.start_ns + first * 1_000_000, call.start_ns + last * 1_000_000)


@contextmanager
def tracing(
    endpoint: str, protocol: str = "grpc", state: StreamState | None = None, arguments: Any = None, **more: Any
) -> Iterator[Telemetry]:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2000",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        **more,
    }
    telemetry = Telemetry(state or samples.state(), read(environ), **(arguments or {}))
    telemetry.start()
    try:
        yield telemetry
    finally:
        telemetry.shutdown(2.0)


def wait_for(condition: Callable[[], object], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@both
def test_a_slow_call_is_a_span(protocol: str) -> None:
    """Name, times, attributes, resource, stack and scope of the span are those of the call; nothing unknown is claimed."""
    symbolised: dict[str, Any] = {"symbolise": lambda _series, _call: ["put+0x10", "main"]}
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol, arguments=symbolised) as telemetry:
        before = time.time_ns()
        call = slow()
        telemetry.slow_call(call)
        telemetry.slow_call(replace(call, bytes=None, return_value=None, stream=None))
        receiver.wait(lambda: len(receiver.spans()) == 2)
        after = time.time_ns()
        (resource, span), (_, bare) = receiver.spans()
    assert span.name == "SrsRtpJitterBuffer::put"
    assert span.end_time_unix_nano - span.start_time_unix_nano == 20_000_000
    assert before - 1_000_000 < span.end_time_unix_nano < after + 1_000_000
    assert dict(attributes(span.attributes)) == {
        "code.function.name": "SrsRtpJitterBuffer::put",
        "jitterbuffer.role": "put",
        "thread.id": 4720,
        "thread.name": "receiver",
        "jitterbuffer.packet.size": 172,
        "jitterbuffer.return_value": 0,
        "jitterbuffer.stream": "live/cam0",
        "rtp.ssrc": "000000ab",
        "code.stacktrace": "put+0x10\nmain",
    }
    assert not {"jitterbuffer.packet.size", "jitterbuffer.return_value"} & dict(attributes(bare.attributes)).keys()
    assert (resource["service.name"], resource["process.pid"]) == ("live", 4712)
    assert span.status.code == 0
    assert bare.trace_id != span.trace_id


@both
def test_a_span_says_what_the_thread_did_or_that_nobody_knows(protocol: str) -> None:
    """Seconds that the call ran, waited for a processor, and was blocked; of a coroutine's call only that it may have been suspended."""
    call = slow()
    known = replace(call, cpu_ns=2_000_000, run_delay_ns=17_500_000, blocked_ns=500_000)
    coroutine = replace(call, frame=call.frame + 64, may_yield=True)
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol) as telemetry:
        telemetry.slow_call(known, coroutine)
        receiver.wait(lambda: len(receiver.spans()) == 2)
        told = [dict(attributes(span.attributes)) for _, span in receiver.spans()]
    of_call = [{name: value for name, value in each.items() if ".call." in name} for each in told]
    assert of_call == [
        {
            "jitterbuffer.call.cpu_time": 0.002,
            "jitterbuffer.call.run_delay": 0.0175,
            "jitterbuffer.call.blocked_time": 0.0005,
        },
        {"jitterbuffer.call.may_yield": True},
    ]


@both
def test_packets_are_events_at_their_own_times(protocol: str) -> None:
    """Each packet around a slow call is an event of its span, as long before the call's end as it was; one inside tells no packet twice."""
    call = slow()
    packets = tuple(
        [PassedPacket(0xAB, number, 160 * number, call.start_ns + number * 1_000_000, "in_order") for number in (0, 3)]
    )
    inner = inside(call, 5, 10, TOP - 200, samples.GET)
    together: dict[str, Any] = {"same_stack": lambda _pid, _a, _b: True}
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol, arguments=together) as telemetry:
        telemetry.slow_call(replace(call, packets=packets, nested=(inner,)))
        receiver.wait(lambda: len(receiver.spans()) == 2)
        spans = {span.name: span for _, span in receiver.spans()}
    span = spans["SrsRtpJitterBuffer::put"]
    told = [
        (each.name, each.time_unix_nano - span.start_time_unix_nano, attributes(each.attributes))
        for each in span.events
    ]
    assert [(name, after) for name, after, _ in told] == [("jitterbuffer.packet.put", n * 1_000_000) for n in (0, 3)]
    assert [dict(each) for _, _, each in told] == [
        {"rtp.ssrc": "000000ab", "rtp.sequence_number": n, "rtp.timestamp": 160 * n, "rtp.packet.order": "in_order"}
        for n in (0, 3)
    ]
    assert [len(one.events) for one in spans.values() if one is not span] == [0]


def test_a_failing_return_is_an_error() -> None:
    """A return value in the function's error ranges makes the status ERROR, its edges included; others leave it unset."""
    with grpc_receiver() as receiver, tracing(receiver.endpoint) as telemetry:
        for value in (-1, -(2**31), 0, 5):
            telemetry.slow_call(slow(return_value=value))
        receiver.wait(lambda: len(receiver.spans()) == 4)
        codes = {
            dict(attributes(s.attributes))["jitterbuffer.return_value"]: s.status.code for _, s in receiver.spans()
        }
    assert codes == {-1: 2, -(2**31): 2, 0: 0, 5: 0}


def test_nested_calls_are_children() -> None:
    """Calls inside become child spans under the innermost call around them, with exact times, in one trace."""
    call = slow()
    outer, inner = inside(call, 2, 18, TOP - 100, samples.GET), inside(call, 5, 10, TOP - 200)
    later = inside(call, 11, 12, TOP - 200)
    together: dict[str, Any] = {"same_stack": lambda _pid, _a, _b: True}
    with grpc_receiver() as receiver, tracing(receiver.endpoint, arguments=together) as telemetry:
        telemetry.slow_call(replace(call, nested=(inner, later, outer), nested_omitted=3))
        receiver.wait(lambda: len(receiver.spans()) == 4)
        spans = {(s.name, s.end_time_unix_nano - s.start_time_unix_nano): s for _, s in receiver.spans()}
    root, around = spans["SrsRtpJitterBuffer::put", 20_000_000], spans["SrsRtpJitterBuffer::get", 16_000_000]
    assert around.parent_span_id == root.span_id
    for took in (5_000_000, 1_000_000):
        assert spans["SrsRtpPacket::decode", took].parent_span_id == around.span_id
    assert around.start_time_unix_nano - root.start_time_unix_nano == 2_000_000
    assert {s.trace_id for s in spans.values()} == {root.trace_id}
    assert dict(attributes(root.attributes))["otel_jb.nested.omitted"] == 3


def test_calls_of_other_stacks_are_no_children() -> None:
    """A call on another coroutine's stack is left out; one whose stack cannot be told is left out and counted."""
    call = slow()
    mine, other, unclear = (inside(call, 1, 2, TOP - offset) for offset in (0x100, 0x10000, 0x20000))
    above = inside(call, 3, 4, TOP + 8)
    outside = NestedCall(samples.DECODE.id, TOP - 0x100, call.start_ns - 5, call.start_ns + 5)
    stacks = {mine.frame: True, above.frame: True, other.frame: False, unclear.frame: None}
    known: dict[str, Any] = {"same_stack": lambda _pid, _a, b: stacks[b.frame]}
    with grpc_receiver() as receiver, tracing(receiver.endpoint, arguments=known) as telemetry:
        telemetry.slow_call(replace(call, nested=(mine, other, unclear, above, outside)))
        receiver.wait(lambda: len(receiver.spans()) == 2)
        (key, count), *rest = telemetry.tally.read(instruments.NESTING_DOUBTFUL)
    assert [span.name for _, span in receiver.spans()] == ["SrsRtpJitterBuffer::put", "SrsRtpPacket::decode"]
    assert (count, rest) == (3, [])
    assert dict(key) == {"function": "SrsRtpJitterBuffer::put", "pid": "4712", "target": "live"}


@given(
    st.lists(
        st.tuples(st.integers(-5, 30), st.integers(-5, 30), st.integers(-3, 40), st.sampled_from([True, False, None]))
    )
)
def test_nesting_accounts_for_every_call(shapes: list[tuple[int, int, int, bool | None]]) -> None:
    """Each nested call is a child, doubtful or elsewhere; every child lies within its parent in time and below it on the stack."""
    call = replace(slow(), start_ns=0, end_ns=25)
    nested = tuple(
        NestedCall(1, TOP - 8 * depth - place, begin, end) for place, (begin, end, depth, _) in enumerate(shapes)
    )
    verdicts = {one.frame: shape[3] for one, shape in zip(nested, shapes, strict=True)}
    found = nest(replace(call, nested=nested), 1, lambda _pid, _a, b: verdicts[b.frame])
    assert len(found.children) + len(found.doubtful) + found.elsewhere == len(nested)
    for place, (child, parent) in enumerate(found.children):
        above = call if parent is None else found.children[parent][0]
        assert parent is None or parent < place
        assert above.start_ns <= child.start_ns <= child.end_ns <= above.end_ns
        assert child.frame < above.frame


def exemplar_ids(telemetry: Telemetry) -> list[str]:
    assert telemetry.page is not None
    text = telemetry.page.render("application/openmetrics-text; version=1.0.0", "")[0].decode()
    return [line.split('trace_id="')[1][:32] for line in text.splitlines() if "trace_id=" in line]


@both
def test_every_exemplar_resolves(protocol: str) -> None:
    """Exemplars on /metrics and in OTLP name traces that arrived, the latest of each bucket."""
    state = samples.state()
    state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [20_000_000] * 5 + [70_000_000])))
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol, state) as telemetry:
        for _ in range(4):
            telemetry.slow_call(slow())
        telemetry.slow_call(slow(took_ns=70_000_000))
        receiver.wait(lambda: len(receiver.spans()) == 5)
        shown = exemplar_ids(telemetry)
        telemetry.flush()
        spans = [span for _, span in receiver.spans()]
        sent = [
            e for (_, _, name, _), _, p in receiver.all_points() if name == "jitterbuffer.delay" for e in p.exemplars
        ]
    latest = max(
        (s for s in spans if s.end_time_unix_nano - s.start_time_unix_nano == 20_000_000),
        key=lambda s: s.end_time_unix_nano,
    )
    long = next(s for s in spans if s.end_time_unix_nano - s.start_time_unix_nano == 70_000_000)
    assert sorted(shown) == sorted([latest.trace_id.hex(), long.trace_id.hex()])
    assert {e.span_id for e in sent} == {latest.span_id, long.span_id}
    assert {e.as_double for e in sent} == {0.02, 0.07}


@pytest.mark.parametrize("name", ["always_off", "parentbased_always_off", "traceidratio"])
def test_what_is_not_sampled_is_no_exemplar(name: str) -> None:
    """OTEL_TRACES_SAMPLER decides; a call that it leaves out has neither span nor exemplar and is not counted as dropped."""
    state = samples.state()
    state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [20_000_000])))
    sampler: dict[str, Any] = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "0"}
    with grpc_receiver() as receiver:
        with tracing(receiver.endpoint, state=state, **sampler) as telemetry:
            telemetry.slow_call(slow())
            assert telemetry._maker is not None
            telemetry._maker.shutdown(5)
            assert exemplar_ids(telemetry) == []
            assert telemetry.tally.total(instruments.SPANS_DROPPED) == 0
        assert not receiver.spans()


def test_a_ratio_samples_about_that_many() -> None:
    """traceidratio keeps its share of the traces, whole."""
    with grpc_receiver() as receiver:
        with tracing(
            receiver.endpoint, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.25"
        ) as telemetry:
            assert telemetry._maker is not None
            kept = sum(telemetry._maker.make(slow()) for _ in range(800))
        assert len(receiver.spans()) == kept
    assert 120 < kept < 280


@both
def test_spans_wait_for_a_receiver_that_is_down_and_are_counted_beyond_the_bound(protocol: str) -> None:
    """While nothing is accepted spans queue up to the bound, the rest is counted; when the receiver is back exactly those arrive."""
    bound: dict[str, Any] = {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol, **bound) as telemetry:
        receiver.status = grpc.StatusCode.UNAVAILABLE if protocol == "grpc" else 503
        assert telemetry._maker is not None
        accepted = sum(telemetry._maker.make(slow()) for _ in range(80))
        assert accepted == 50
        receiver.wait(lambda: receiver.refused > 1)
        assert telemetry.tally.read(instruments.SPANS_DROPPED) == (
            ((("error.type", "queue_full"), ("signal", "traces")), 30),
        )
        receiver.status = None
        receiver.wait(lambda: len(receiver.spans()) >= 50)
        wait_for(lambda: len(telemetry._queues[0]) == 0)
        assert len({span.span_id for _, span in receiver.spans()}) == 50
        assert telemetry.tally.total(instruments.SPANS_DROPPED) == 30


@both
def test_spans_that_are_refused_for_good_are_counted(protocol: str) -> None:
    """A batch that the receiver rejects is dropped and counted with its reason; later ones arrive."""
    with RECEIVERS[protocol]() as receiver, tracing(receiver.endpoint, protocol) as telemetry:
        receiver.status = grpc.StatusCode.INVALID_ARGUMENT if protocol == "grpc" else 400
        telemetry.slow_call(slow())
        wait_for(lambda: telemetry.tally.total(instruments.SPANS_DROPPED) == 1)
        receiver.status = None
        telemetry.slow_call(slow())
        receiver.wait(lambda: len(receiver.spans()) == 1)
        (key, count), *_ = telemetry.tally.read(instruments.SPANS_DROPPED)
    assert count == 1
    assert dict(key)["error.type"] == ("INVALID_ARGUMENT" if protocol == "grpc" else "400")


@both
def test_stopping_keeps_to_its_budget_with_waiting_spans(protocol: str) -> None:
    """With a full queue and a receiver that never answers, shutdown returns within its budget and counts what is lost."""
    with RECEIVERS[protocol]() as receiver:
        receiver.hang.set()
        with tracing(receiver.endpoint, protocol, OTEL_EXPORTER_OTLP_TIMEOUT="60000") as telemetry:
            assert telemetry._maker is not None
            for _ in range(2048):
                telemetry._maker.make(slow())
            begin = time.monotonic()
            telemetry.shutdown(1.5)
            assert time.monotonic() - begin < 5
            assert telemetry.tally.total(instruments.SPANS_DROPPED) == 2048


def test_what_waits_is_counted_once_whoever_gives_up() -> None:
    """Spans of an export that hangs count as dropped when the queue gives up; not again when it does so twice, or when the export ends."""
    with grpc_receiver() as receiver:
        receiver.hang.set()
        with tracing(receiver.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="60000", OTEL_BSP_SCHEDULE_DELAY="10") as telemetry:
            assert telemetry._maker is not None
            for _ in range(7):
                telemetry._maker.make(slow())
            (queue,) = telemetry._queues
            wait_for(lambda: len(queue) == 7)
            queue.give_up()
            queue.give_up()
            assert telemetry.tally.total(instruments.SPANS_DROPPED) == 7
            receiver.hang.clear()
            queue._thread.join(10)
            assert not queue._thread.is_alive()
            assert telemetry.tally.total(instruments.SPANS_DROPPED) == 7


def test_stopping_sends_what_waits() -> None:
    """Spans that are waiting at shutdown have arrived when it returns."""
    with grpc_receiver() as receiver:
        with tracing(receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000") as telemetry:
            for _ in range(20):
                telemetry.slow_call(slow())
        assert len(receiver.spans()) == 20


def test_no_request_is_larger_than_a_collector_takes() -> None:
    """A full batch of spans with long stacks is divided: a Collector refuses a message of more than 4 MiB, with all its spans."""
    lines = [f"{number:04} {'x' * 900}" for number in range(8)]
    arguments = {"symbolise": lambda _series, _call: lines}
    with grpc_receiver() as receiver:
        with tracing(receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000", arguments=arguments) as telemetry:
            assert telemetry._maker is not None
            for _ in range(1024):
                assert telemetry._maker.make(slow())
            receiver.wait(lambda: len(receiver.spans()) == 1024)
        sizes = [request.ByteSize() for request in receiver.trace_requests]
    assert sum(sizes) > 4 << 20
    assert 1 << 20 < max(sizes) <= 3 << 20


def test_events_of_forgotten_targets_are_counted() -> None:
    """A slow call of a series that is not known is dropped and counted."""
    with grpc_receiver() as receiver, tracing(receiver.endpoint) as telemetry:
        assert telemetry._maker is not None
        assert telemetry._maker.make(slow(series=999)) is False
        (key, count), *_ = telemetry.tally.read(instruments.SPANS_DROPPED)
    assert (dict(key)["error.type"], count) == ("unknown_target", 1)


def test_submitting_never_blocks(caplog: pytest.LogCaptureFixture) -> None:
    """While symbolising hangs, slow calls are taken up to a bound and counted beyond it; a defect there is logged once."""
    gate = threading.Event()

    def symbolise(_series: Series, _call: SlowCall) -> Sequence[str]:
        gate.wait(10)
        raise ValueError("bad symbols")

    with (
        caplog.at_level(logging.ERROR, "otel_jb"),
        grpc_receiver() as receiver,
        tracing(receiver.endpoint, arguments={"symbolise": symbolise}) as telemetry,
    ):
        begin = time.monotonic()
        for _ in range(600):
            telemetry.slow_call(slow())
        assert time.monotonic() - begin < 2
        assert telemetry.tally.total(instruments.SPANS_DROPPED) >= 600 - 513
        gate.set()
        wait_for(lambda: telemetry.tally.total(instruments.SPANS_DROPPED) == 600)
    assert len([record for record in caplog.records if "bad symbols" in str(record.exc_info)]) == 1


def test_a_defect_behind_the_spans_does_not_end_them(caplog: pytest.LogCaptureFixture) -> None:
    """Where a row's calls cannot be kept for the page, that is logged once, and later slow calls become spans as before."""

    def add(_calls: object, *, traced: bool) -> None:
        raise ValueError("cannot keep")

    with (
        caplog.at_level(logging.ERROR, "otel_jb"),
        grpc_receiver() as receiver,
        tracing(receiver.endpoint, arguments={"kept": SimpleNamespace(add=add)}) as telemetry,
    ):
        for number in (1, 2):
            telemetry.slow_call(slow())
            wait_for(lambda n=number: len(receiver.spans()) >= n)  # type: ignore[misc]
    assert len([record for record in caplog.records if "cannot keep" in str(record.exc_info)]) == 1


def test_long_stacks_say_what_is_left_out() -> None:
    """A stack trace is cut at whole frames and says how many are missing."""
    lines = [f"{'x' * 100}{number}" for number in range(200)]
    with (
        grpc_receiver() as receiver,
        tracing(receiver.endpoint, arguments={"symbolise": lambda _s, _c: lines}) as telemetry,
    ):
        telemetry.slow_call(slow())
        receiver.wait(receiver.spans)
        stack = str(dict(attributes(receiver.spans()[0][1].attributes))["code.stacktrace"]).splitlines()
    assert stack[:-1] == lines[: len(stack) - 1]
    assert stack[-1] == f"[{200 - len(stack) + 1} more frames left out]"


def test_the_store_keeps_the_latest_of_each_bucket_and_forgets_the_gone() -> None:
    """One exemplar a bucket, the latest by time; series that ended are swept out."""
    alive = set(range(10))
    store = ExemplarStore(DEFAULT_BOUNDS_NS, lambda series: series in alive)
    for at, took in ((5, 20_000_000), (9, 21_000_000), (7, 22_000_000), (1, 900)):
        store.add([(1, Exemplar(took, at, at, at, 1))])
    assert {one.time_unix_nano for one in store.latest(1)} == {9, 1}
    assert store.latest(2) == ()
    for series in range(5_000):
        store.add([(series, Exemplar(1, 1, 1, 1, 1))])
    assert len(store._latest) < 1_500
    assert store.latest(1)


def test_what_waits_for_its_trace_keeps_all_but_its_stack() -> None:
    """The call that is held back is the call itself, without registers, return addresses and the copy of its stack."""
    whole = SlowCall(
        1, 2, "t", 3, 4, 5, 6, 7, 8, 9, (10,), 11, 12, 13, 14, b"15", (NestedCall(1, 2, 3, 4),), 16, 17, "cam", 18
    )
    of_the_stack: dict[str, Any] = {"stack": (), "stack_copy": b""}
    of_the_stack |= dict.fromkeys(("stack_pointer", "instruction_pointer", "frame_pointer", "link_register"), 0)
    assert _without_copy(whole) == replace(whole, **of_the_stack)
