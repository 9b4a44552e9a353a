# SPDX-License-Identifier: Apache-2.0
"""The packets around slow calls and late packets in Jaeger, through the real Collector: those that were sent to a real FFmpeg, in their order."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from otel_jb.demo.ffmpeg import Receiver
from otel_jb.probes.read.flight import AFTER, BEFORE
from tests.e2e.agent_process import agent, until
from tests.e2e.collector import Collector, Jaeger, collector, jaeger
from tests.e2e.injector import PAYLOAD_TYPE, SENDER_REPORT, Log, Plan, play
from tests.rtp_oracle import packet

pytestmark = pytest.mark.e2e

PUT = "ff_rtp_parse_packet"
PACKETS, FIRST = 60, 65500


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jaeger, Collector]]:
    """A Jaeger, and a Collector that sends there."""
    directory = tmp_path_factory.mktemp("backends")
    with jaeger(directory) as traces, collector(directory, traces) as otel:
        yield traces, otel


def expected(log: Log) -> list[tuple[int, int, str]]:
    """Sequence number, RTP time and order of each packet, in the order in which they left."""
    found, seen, highest = [], set[int](), -1
    for number, _ in log.sent:
        order = "duplicated" if number in seen else "reordered" if number < highest else "in_order"
        seen.add(number)
        highest = max(highest, number)
        found.append(((FIRST + number) & 0xFFFF, number * 160, order))
    return found


@contextmanager
def waiting(port: int) -> Iterator[None]:
    """FFmpeg ends where nothing comes for ten seconds, which is how long a busy machine may take to start all others: RTCP keeps it."""
    over = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not over.wait(0.5):
                out.sendto(SENDER_REPORT, ("127.0.0.1", port))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def spans_of(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spans of puts that are no part of another call's."""
    spans = [span for trace in traces for span in trace["spans"]]
    return [span for span in spans if span["operationName"] == PUT and not span["references"]]


def packets_of(span: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Time in microseconds and fields of each packet that a span shows."""
    events = [(each["timestamp"], {field["key"]: field["value"] for field in each["fields"]}) for each in span["logs"]]
    return [(at, fields) for at, fields in events if fields["event"] == "jitterbuffer.packet.put"]


def test_jaeger_shows_the_packets_around_each_slow_call(tmp_path: Path, backends: tuple[Jaeger, Collector]) -> None:
    """Each trace of a put shows a run of what was sent, lost, late and double packets as they came, each when it had left."""
    traces, otel = backends
    receiver = Receiver(tmp_path)
    receiver.wait_until_listening()
    slow = ("--slow-threshold", "100ns", "--interval", "500ms", "--overhead-budget", "off")
    try:
        with ExitStack() as opened:
            with waiting(receiver.rtcp_port):
                options = (*slow, "--otlp-endpoint", f"http://{otel.grpc}", "--service-name", "flight")
                measuring = opened.enter_context(
                    agent(tmp_path, "--pid", str(receiver.pid), *options, ready_within=120)
                )
            offset_ns = time.time_ns() - time.monotonic_ns()
            plan = Plan(loss=0.1, delayed=0.1, duplicated=0.1, seed=8)
            (log,) = play(receiver.rtp_port, [plan], packets=PACKETS, first=FIRST)
            receiver.wait_until_handled()
            scraped = measuring.settled(receiver.pid)
            emitted = int(scraped.total("otel_jb_events_emitted_total", pid=receiver.pid, function=PUT))

            def all_there() -> list[dict[str, Any]] | None:
                found = spans_of(traces.traces("flight"))
                return found if len(found) >= emitted else None

            found = until(all_there, f"{emitted} traces of puts in Jaeger", timeout=60, every=0.2)
    finally:
        receiver.stop()
    # RTCP that came before the first packet has nothing around it.
    timelines = [packets for span in found or [] if (packets := packets_of(span))]
    assert timelines
    sent = expected(log)
    for packets in timelines:
        assert len(packets) <= BEFORE + AFTER
        shown = [
            (fields["rtp.sequence_number"], fields["rtp.timestamp"], fields["rtp.packet.order"])
            for _, fields in packets
        ]
        # One and the same packet may have been sent twice; the second time it is another entry.
        begins = [at for at in range(len(sent)) if sent[at : at + len(shown)] == shown]
        assert begins, (shown, sent)
        assert {fields["rtp.ssrc"] for _, fields in packets} == {f"{log.ssrc:08x}"}
        for (at_us, _), (_, left) in zip(packets, log.sent[begins[0] :], strict=False):
            assert at_us * 1000 >= left * 1e9 + offset_ns - 5_000_000


def test_jaeger_shows_the_timeline_of_a_late_packet(tmp_path: Path, backends: tuple[Jaeger, Collector]) -> None:
    """FFmpeg drops a packet that comes behind its turn: no call was slow, and one trace has the packets before and behind it, and what became of each."""
    traces, otel = backends
    order = [*range(10), 3, *range(10, 15)]
    receiver = Receiver(tmp_path)
    receiver.wait_until_listening()
    options = ("--slow-threshold", "1h", "--interval", "500ms", "--otlp-endpoint", f"http://{otel.grpc}")
    try:
        with ExitStack() as opened:
            with waiting(receiver.rtcp_port):
                measuring = opened.enter_context(
                    agent(tmp_path, "--pid", str(receiver.pid), *options, "--service-name", "late", ready_within=120)
                )
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                for number in order:
                    data = packet(number, number * 160, 0x5EED, PAYLOAD_TYPE)
                    out.sendto(data, ("127.0.0.1", receiver.rtp_port))
            receiver.wait_until_handled()
            found = until(lambda: spans_of(traces.traces("late")), "the late packet's trace", timeout=60, every=0.2)
            scraped = measuring.settled(receiver.pid)
    finally:
        receiver.stop()
    assert receiver.log().count("dropping old packet received too late") == 1
    assert scraped.value("jitterbuffer_dropped_packets_total", pid=receiver.pid, function=PUT, reason="late") == 1
    assert scraped.total("otel_jb_events_emitted_total", pid=receiver.pid) == 0
    (span,) = found or []
    assert {tag["key"]: tag["value"] for tag in span["tags"]}["jitterbuffer.trigger"] == "late"
    packets = [fields for _, fields in packets_of(span)]
    assert [each["rtp.sequence_number"] for each in packets] == order
    outcomes = [each["jitterbuffer.packet.outcome"] for each in packets]
    assert outcomes == ["late" if place == 10 else "played" for place in range(len(order))]
    assert all(each["jitterbuffer.packet.residence"] > 0 for each in packets)
