# SPDX-License-Identifier: Apache-2.0
"""The real agent on a real FFmpeg, through the shipped Collector configuration into real Prometheus servers."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from tests.e2e.agent_process import ROOT, agent, until
from tests.e2e.collector import Prometheus, collector, jaeger, prometheus, scrape_configuration
from tests.e2e.streams import LossyStream

DEPLOY = ROOT / "deploy" / "prometheus"
COUNT = 'jitterbuffer_packet_count_total{function="ff_rtp_parse_packet"}'
#: Step 7 of the guide, as far as values stand still once the stream has ended.
GUIDE = (
    "jitterbuffer_packet_count_total",
    "jitterbuffer_dropped_packets_total",
    "jitterbuffer_bytes_total",
    "jitterbuffer_buffer_size_packets",
)
IN_TIME = ("jitterbuffer_delay_avg_seconds", "jitterbuffer_delay_min_seconds", "jitterbuffer_delay_max_seconds")


def found(server: Prometheus, query: str, pid: int) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(labels.items())): value for labels, value in server.query(query) if labels.get("pid") == str(pid)
    }


def test_an_ffmpegs_packets_are_the_same_number_by_every_way(tmp_path: Path) -> None:
    """Port 9310, the Collector's scrape and its remote write all report what the relay forwarded; the guide's queries agree."""
    with prometheus(tmp_path, name="written") as written, collector(tmp_path, prometheus=written) as otel:
        through = scrape_configuration({"otel_jb": otel.scrape}, DEPLOY / "prometheus-collector.yml")
        with (
            LossyStream(tmp_path) as stream,
            agent(
                tmp_path, "--pid", str(stream.pid), "--interval", "1s", "--otlp-endpoint", f"http://{otel.grpc}"
            ) as measuring,
            prometheus(tmp_path, through, "scraped") as scraped,
            prometheus(
                tmp_path,
                scrape_configuration({"ffmpeg-jitterbuffer": f"127.0.0.1:{measuring.port}"}, DEPLOY / "prometheus.yml"),
                "direct",
            ) as direct,
        ):
            ways = (direct, scraped, written)
            counts = stream.play(seconds=24, speed=4)

            def all_say(expected: int = counts.forwarded_packets) -> bool:
                return all([value for _, value in way.query(COUNT)] == [expected] for way in ways)

            until(all_say, f"{counts.forwarded_packets} packets by every way", timeout=30, every=0.25)
            for query in GUIDE:

                def same(query: str = query) -> bool:
                    answers = [found(way, query, stream.pid) for way in ways]
                    return answers[0] == answers[1] == answers[2]

                until(same, f"{query} alike by every way", timeout=20, every=0.25)
            assert found(direct, "jitterbuffer_bytes_total", stream.pid)
            for query in IN_TIME:
                for way in ways:
                    seen = way.query(f"last_over_time({query}[1m])")
                    assert [labels["function"] for labels, _ in seen if labels["pid"] == str(stream.pid)], query
            for way in ways:
                ((labels, rate),) = way.query(f"rate({COUNT}[1m])")
                assert labels["pid"] == str(stream.pid)
                assert rate > 0


def test_an_ffmpegs_slow_calls_open_from_their_exemplars(tmp_path: Path) -> None:
    """Exemplars of a real stream's slow calls, from 9310 and through the Collector, all open in Jaeger as spans of that length."""
    with jaeger(tmp_path) as traces, collector(tmp_path, traces) as otel, LossyStream(tmp_path) as stream:
        # Low enough that this function is often slower, so that each scrape finds some.
        settings = ("--interval", "1s", "--slow-threshold", "5us", "--otlp-endpoint", f"http://{otel.grpc}")
        through = scrape_configuration({"otel_jb": otel.scrape}, DEPLOY / "prometheus-collector.yml")
        with agent(tmp_path, "--pid", str(stream.pid), *settings) as measuring:
            own = scrape_configuration(
                {"ffmpeg-jitterbuffer": f"127.0.0.1:{measuring.port}"}, DEPLOY / "prometheus.yml"
            )
            with prometheus(tmp_path, through, "scraped") as scraped, prometheus(tmp_path, own, "direct") as direct:
                begin = time.time()
                stream.play(seconds=24, speed=4)
                for way in (direct, scraped):

                    def several(way: Prometheus = way) -> bool:
                        return len(way.exemplars("jitterbuffer_delay_seconds_bucket", begin - 5, time.time() + 5)) >= 3

                    until(several, "three exemplars", timeout=20, every=0.25)
                    for one in way.exemplars("jitterbuffer_delay_seconds_bucket", begin - 5, time.time() + 5):
                        trace_id, span_id = one["labels"]["trace_id"], one["labels"]["span_id"]
                        trace = until(partial(traces.trace, trace_id), f"{trace_id} opens", timeout=20)
                        assert trace is not None
                        (span,) = [span for span in trace["spans"] if span["spanID"] == span_id]
                        assert span["operationName"] == one["series"]["function"]
                        # Jaeger's clock is in microseconds.
                        assert abs(span["duration"] / 1e6 - float(one["value"])) < 2e-6
