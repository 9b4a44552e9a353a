# SPDX-License-Identifier: Apache-2.0
"""What the agent says of RTP streams into a real FFmpeg, compared with the log of who sent them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from otel_jb.demo.ffmpeg import Receiver
from tests.e2e.agent_process import AgentProcess, Exposition, agent, until
from tests.e2e.injector import Log, Plan, play
from tests.otlp_receiver import grpc_receiver
from tests.rtp_oracle import Truth

pytestmark = pytest.mark.e2e

#: Losses, reordering, duplicates and jitter, each alone and all together.
PLANS = (
    Plan(seed=1),
    Plan(loss=0.03, seed=2),
    Plan(delayed=0.05, seed=3),
    Plan(duplicated=0.05, seed=4),
    Plan(jitter_s=0.015, seed=5),
    Plan(loss=0.03, delayed=0.05, duplicated=0.03, jitter_s=0.01, seed=6),
)
ATTEMPTS = 6  #: a busy machine delays packets on their way; one stream in this many arrives undisturbed


def _told(scraped: Exposition, pid: int, stream: str) -> Truth:
    def value(name: str) -> int:
        found = scraped.value(name, pid=pid, stream=stream)
        assert found is not None, (name, stream, scraped.text)
        return int(found)

    return Truth(
        value("rtp_packets_received_total"),
        value("rtp_received_bytes_total"),
        value("rtp_packets_lost"),
        value("rtp_packets_reordered_total"),
        value("rtp_packets_duplicated_total"),
    )


def _sum(logs: list[Log]) -> Truth:
    every = [log.truth for log in logs]
    return Truth(*(sum(getattr(one, field.name) for one in every) for field in dataclasses.fields(Truth)))


def _has_all(measuring: AgentProcess, pid: int, logs: list[Log]) -> Exposition:
    wanted = sum(log.truth.received for log in logs)

    def whole() -> Exposition | None:
        scraped = measuring.scrape()
        return scraped if scraped.total("rtp_packets_received_total", pid=pid) >= wanted else None

    found = until(whole, f"{wanted} RTP packets")
    assert found is not None
    return found


def test_streams_equal_the_senders_log(tmp_path: Path) -> None:
    """Every count of six streams at once equals the sender's log, by /metrics and by OTLP, and jitter is RFC 3550's within 5 %."""
    receiver = Receiver(tmp_path)
    receiver.wait_until_listening()
    try:
        with grpc_receiver() as collector:
            otlp = ("--otlp-endpoint", collector.endpoint)
            with agent(tmp_path, "--pid", str(receiver.pid), "--interval", "500ms", *otlp) as measuring:
                logs = play(receiver.rtp_port, PLANS, packets=250)
                receiver.wait_until_handled()
                assert receiver.kernel_drops() == 0
                scraped = _has_all(measuring, receiver.pid, logs)
                # FFmpeg's input names them all.
                stream = str(tmp_path / "receiver.sdp")
                assert _told(scraped, receiver.pid, stream) == _sum(logs)
                assert len(scraped.find("rtp_packets_received_total", pid=receiver.pid)) == 1
                errors = []
                for seed in range(100, 100 + ATTEMPTS):
                    (log,) = play(receiver.rtp_port, [Plan(jitter_s=0.03, spacing_s=0.01, seed=seed)], packets=120)
                    receiver.wait_until_handled()
                    logs.append(log)
                    scraped = _has_all(measuring, receiver.pid, logs)
                    jitter = scraped.value("rtp_jitter_seconds", pid=receiver.pid, stream=stream)
                    assert jitter is not None
                    errors.append(abs(jitter / log.jitter_s - 1))
                    if errors[-1] < 0.05:
                        break
                assert min(errors) < 0.05, errors
            # What was counted until the end is sent when the agent stops.
            points = collector.points()
    finally:
        receiver.stop()
    exported = {
        (metric, dict(attributes)["jitterbuffer.stream"]): point
        for (_, _, metric, attributes), point in points.items()
        if "jitterbuffer.stream" in dict(attributes)
    }
    names = ("packets_received", "received_bytes", "packets_lost", "packets_reordered", "packets_duplicated")
    assert Truth(*(exported[f"rtp.{name}", stream].as_int for name in names)) == _sum(logs)
    assert exported["rtp.jitter", stream].as_double == jitter
