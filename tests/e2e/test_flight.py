# SPDX-License-Identifier: Apache-2.0
"""The packets around a slow call in Jaeger, through the real Collector: those that were sent to a real FFmpeg, in their order."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from otel_jb.demo.ffmpeg import Receiver
from otel_jb.probes.read.flight import AFTER, BEFORE
from tests.e2e.agent_process import agent, until
from tests.e2e.collector import collector, jaeger
from tests.e2e.injector import Log, Plan, play

pytestmark = pytest.mark.e2e

PACKETS, FIRST = 60, 65500


def expected(log: Log) -> list[tuple[int, int, str]]:
    """Sequence number, RTP time and order of each packet, in the order in which they left."""
    found, seen, highest = [], set[int](), -1
    for number, _ in log.sent:
        order = "duplicated" if number in seen else "reordered" if number < highest else "in_order"
        seen.add(number)
        highest = max(highest, number)
        found.append(((FIRST + number) & 0xFFFF, number * 160, order))
    return found


def packets_of(trace: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Time in microseconds and fields of each packet that the root of a trace shows."""
    (root,) = [span for span in trace["spans"] if not span["references"]]
    events = [(each["timestamp"], {field["key"]: field["value"] for field in each["fields"]}) for each in root["logs"]]
    return [(at, fields) for at, fields in events if fields["event"] == "jitterbuffer.packet.put"]


def test_jaeger_shows_the_packets_around_each_slow_call(tmp_path: Path) -> None:
    """Each trace of a put shows a run of what was sent, lost, late and double packets as they came, which ends with its own or a later one."""
    receiver = Receiver(tmp_path)
    receiver.wait_until_listening()
    try:
        with jaeger(tmp_path) as traces, collector(tmp_path, traces) as otel:
            options = (
                "--slow-threshold",
                "100ns",
                "--interval",
                "500ms",
                "--overhead-budget",
                "off",
                "--otlp-endpoint",
                f"http://{otel.grpc}",
            )
            with agent(tmp_path, "--pid", str(receiver.pid), *options, "--service-name", "flight") as measuring:
                offset_ns = time.time_ns() - time.monotonic_ns()
                plan = Plan(loss=0.1, delayed=0.1, duplicated=0.1, seed=8)
                (log,) = play(receiver.rtp_port, [plan], packets=PACKETS, first=FIRST)
                receiver.wait_until_handled()
                scraped = measuring.settled(receiver.pid)
                where = {"pid": receiver.pid, "function": "ff_rtp_parse_packet"}
                emitted = int(scraped.total("otel_jb_events_emitted_total", **where))

                def all_there() -> list[dict[str, Any]] | None:
                    found = [
                        each
                        for each in traces.traces("flight")
                        if each["spans"][0]["operationName"] == where["function"]
                    ]
                    return found if len(found) >= emitted else None

                found = until(all_there, f"{emitted} traces of puts in Jaeger", every=0.2)
    finally:
        receiver.stop()
    assert emitted >= PACKETS // 2
    sent, last = expected(log), set()
    for trace in found or []:
        packets = packets_of(trace)
        assert 1 <= len(packets) <= BEFORE + AFTER
        shown = [
            (fields["rtp.sequence_number"], fields["rtp.timestamp"], fields["rtp.packet.order"])
            for _, fields in packets
        ]
        # One and the same packet may have been sent twice; the second time it is another entry.
        begins = [at for at in range(len(sent)) if sent[at : at + len(shown)] == shown]
        assert begins, (shown, sent)
        last.add(begins[0] + len(shown))
        assert {fields["rtp.ssrc"] for _, fields in packets} == {f"{log.ssrc:08x}"}
        for (at_us, _), (_, left) in zip(packets, log.sent[begins[0] :], strict=False):
            assert at_us * 1000 >= left * 1e9 + offset_ns - 5_000_000
    assert len(sent) in last
