# SPDX-License-Identifier: Apache-2.0
"""FFmpeg receives RTP through a lossy relay; the agent's numbers are the relay's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import accumulate
from pathlib import Path

import pytest

from tests.e2e.agent_process import Exposition, agent
from tests.e2e.streams import LossyStream
from tests.otlp_receiver import Receiver, grpc_receiver, http_receiver

pytestmark = pytest.mark.e2e

PARSE = "ff_rtp_parse_packet"

#: FFmpeg waits max_delay (0.1 s) for a missing packet, and looks at its clock when a packet comes or poll times out (0.1 s).
LONGEST_WAIT_SECONDS = 0.2
PACKETS_PER_SECOND = 50


class DepthWatcher(threading.Thread):
    """Scrapes again and again while the stream runs, and keeps every depth that it read."""

    def __init__(self, scrape: Callable[[], Exposition], pid: int) -> None:
        super().__init__(daemon=True)
        self._scrape = scrape
        self._pid = pid
        self.ended = threading.Event()
        self.now: list[float] = []
        self.fullest: list[float] = []

    def run(self) -> None:
        while not self.ended.wait(0.15):
            scraped = self._scrape()
            for name, values in (
                ("jitterbuffer_buffer_size_packets", self.now),
                ("jitterbuffer_buffer_size_max_packets", self.fullest),
            ):
                value = scraped.value(name, pid=self._pid, function=PARSE)
                if value is not None:
                    values.append(value)


def test_packets_and_bytes_equal_what_the_relay_forwarded(tmp_path: Path) -> None:
    """Loss, reordering, duplicates and RTCP: packets and bytes equal the relay's, to the packet, and the depth moves."""
    with LossyStream(tmp_path) as stream, agent(tmp_path, "--pid", str(stream.pid), "--interval", "1s") as measuring:
        watcher = DepthWatcher(measuring.scrape, stream.pid)
        watcher.start()
        relayed = stream.play(seconds=12)
        watcher.ended.set()
        watcher.join()
        scraped = measuring.settled(stream.pid)

    where = {"pid": stream.pid, "function": PARSE}
    assert scraped.value("jitterbuffer_packet_count_total", **where) == relayed.forwarded_packets
    assert scraped.value("jitterbuffer_bytes_total", **where) == relayed.forwarded_bytes
    # FFmpeg also calls it once for each packet that it takes from its queue, and for RTCP: calls, but no packets.
    returned = scraped.value("jitterbuffer_calls_total", outcome="returned", **where)
    assert returned is not None
    assert returned >= relayed.forwarded_packets + relayed.rtcp_packets
    assert relayed.rtcp_packets > 0
    assert scraped.value("jitterbuffer_delay_seconds_count", **where) == returned
    assert_accounts_balance(scraped, stream.pid)

    # A packet that comes after FFmpeg has gone past it is late: only one that was delayed or sent twice can be.
    late = scraped.value("jitterbuffer_dropped_packets_total", reason="late", **where)
    assert late is not None
    assert late <= relayed.delayed_packets + relayed.duplicated_packets
    assert scraped.value("jitterbuffer_dropped_packets_total", reason="error", **where) == 0

    assert watcher.now
    assert min(watcher.now) == 0
    # What it holds while it waits for a packet; where others take the processors, it waits longer and more pile up.
    busy = max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))
    assert 1 <= max(watcher.fullest) <= (LONGEST_WAIT_SECONDS * PACKETS_PER_SECOND + 5) * busy
    assert max(watcher.now) <= max(watcher.fullest)


def test_a_clean_stream_loses_nothing_and_queues_nothing(tmp_path: Path) -> None:
    """Without impairment every packet counts once, nothing is dropped and nothing waits."""
    from otel_jb.demo.relay import Impairment

    with LossyStream(tmp_path, Impairment()) as stream, agent(tmp_path, "--pid", str(stream.pid)) as measuring:
        relayed = stream.play(seconds=4, speed=2)
        scraped = measuring.settled(stream.pid)
    where = {"pid": stream.pid, "function": PARSE}
    assert relayed.forwarded_packets == relayed.received_packets == 200
    assert scraped.value("jitterbuffer_packet_count_total", **where) == 200
    assert scraped.value("jitterbuffer_bytes_total", **where) == 200 * 172
    assert scraped.total("jitterbuffer_dropped_packets_total", **where) == 0
    assert scraped.value("jitterbuffer_buffer_size_packets", **where) == 0


def test_debians_stripped_ffmpeg_is_measured_as_installed(tmp_path: Path) -> None:
    """Its RTP functions have no names; found by their messages in libavformat, they count the relay's packets and bytes, by stream too."""
    debian = Path("/usr/bin/ffmpeg")
    with LossyStream(tmp_path, executable=debian) as stream, agent(tmp_path, "--pid", str(stream.pid)) as measuring:
        relayed = stream.play(seconds=4, speed=2)
        scraped = measuring.settled(stream.pid)
    where = {"pid": stream.pid, "function": PARSE}
    assert relayed.dropped_packets > 0
    assert scraped.value("jitterbuffer_packet_count_total", **where) == relayed.forwarded_packets
    assert scraped.value("jitterbuffer_bytes_total", **where) == relayed.forwarded_bytes
    ((_, received),) = scraped.find("rtp_packets_received_total", **where)
    assert received == relayed.forwarded_packets
    # What is handed to the payload's decoder, straight or from the queue: all but what came too late, and what the queue still holds.
    # It is static: its arguments are not read, so its calls are counted and not its packets.
    inner = {"pid": stream.pid, "function": "rtp_parse_packet_internal"}
    assert scraped.find("jitterbuffer_bytes_total", **inner) == []
    decoded = scraped.total("jitterbuffer_calls_total", **inner)
    late = scraped.value("jitterbuffer_dropped_packets_total", reason="late", **where)
    held = scraped.value("jitterbuffer_buffer_size_packets", **where)
    assert late is not None
    assert held is not None
    assert decoded == relayed.forwarded_packets - late - held
    assert_accounts_balance(scraped, stream.pid)


def test_a_receiver_is_found_without_being_named(tmp_path: Path) -> None:
    """With no target given, a process that a profile recognises and that starts later is measured from then on."""
    from tests.e2e.agent_process import AgentProcess, until

    measuring = AgentProcess(tmp_path)
    try:
        until(lambda: "serving" in measuring.log(), "the endpoint is served", timeout=20)
        with LossyStream(tmp_path) as stream:
            measuring.wait_until_ready()
            until(
                lambda: measuring.scrape().find("jitterbuffer_calls_total", pid=stream.pid, function=PARSE),
                "the new process is measured",
            )
            relayed = stream.play(seconds=2, speed=2)
            scraped = measuring.settled(stream.pid)
        counted = scraped.value("jitterbuffer_packet_count_total", pid=stream.pid, function=PARSE)
        assert counted == relayed.forwarded_packets
        assert measuring.stop() == 0
    finally:
        measuring.kill()


@pytest.mark.parametrize(
    ("receiving", "protocol"), [(grpc_receiver, "grpc"), (http_receiver, "http/protobuf")], ids=["grpc", "http"]
)
def test_otlp_carries_the_numbers_of_the_exposition(
    tmp_path: Path, receiving: Callable[[], AbstractContextManager[Receiver]], protocol: str
) -> None:
    """A decoding OTLP receiver gets the relay's packets and bytes, and every bucket, as /metrics has them."""
    with receiving() as receiver, LossyStream(tmp_path) as stream:
        to = ("--otlp-endpoint", receiver.endpoint, "--otlp-protocol", protocol, "--interval", "1s")
        with agent(tmp_path, "--pid", str(stream.pid), *to) as measuring:
            relayed = stream.play(seconds=6, speed=2)
            scraped = measuring.settled(stream.pid)
        # What was counted until the end is sent when the agent stops.
        points = {
            (metric, dict(attributes).get("jitterbuffer.outcome") or dict(attributes).get("outcome")): point
            for (resource, _, metric, attributes), point in receiver.points().items()
            if dict(resource).get("process.pid") == stream.pid and dict(attributes).get("code.function.name") == PARSE
        }
    assert points["jitterbuffer.packet_count", None].as_int == relayed.forwarded_packets
    assert points["jitterbuffer.bytes", None].as_int == relayed.forwarded_bytes
    where = {"pid": stream.pid, "function": PARSE}
    delay = points["jitterbuffer.delay", None]
    assert delay.count == scraped.value("jitterbuffer_delay_seconds_count", **where)
    assert delay.sum == pytest.approx(scraped.value("jitterbuffer_delay_seconds_sum", **where), rel=1e-9)
    cumulative = scraped.buckets("jitterbuffer_delay_seconds", **where)
    assert [*delay.explicit_bounds, float("inf")] == pytest.approx(sorted(cumulative))
    assert list(accumulate(delay.bucket_counts)) == [cumulative[bound] for bound in sorted(cumulative)]
    returned = points["jitterbuffer.calls", "returned"]
    assert returned.as_int == scraped.value("jitterbuffer_calls_total", outcome="returned", **where)
    assert 0 < delay.start_time_unix_nano < delay.time_unix_nano


def assert_accounts_balance(scraped: Exposition, pid: int) -> None:
    """Where nothing runs any more, a function's bucket counts add up to its returned calls."""
    for labels, returned in scraped.find("jitterbuffer_calls_total", pid=pid, outcome="returned"):
        function = labels["function"]
        buckets = scraped.buckets("jitterbuffer_delay_seconds", pid=pid, function=function)
        assert buckets[float("inf")] == returned
        assert list(buckets.values()) == sorted(buckets.values())
        for outcome in ("abandoned", "missed"):
            assert scraped.total("jitterbuffer_calls_total", pid=pid, function=function, outcome=outcome) == 0
