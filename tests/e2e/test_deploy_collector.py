# SPDX-License-Identifier: Apache-2.0
"""collector-config.yaml in the built Collector, between the agent's telemetry and real Prometheus and Jaeger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_process import ROOT, Exposition, fetch, until
from tests.e2e.collector import (
    Collector,
    Jaeger,
    Prometheus,
    collector,
    get_json,
    jaeger,
    prometheus,
    scrape_configuration,
)
from tests.e2e.synthetic import MILLISECOND, World, world

DEPLOY = ROOT / "deploy" / "prometheus"
#: Step 7 of the guide.
GUIDE = (
    "jitterbuffer_packet_count_total",
    "jitterbuffer_delay_avg_seconds",
    "jitterbuffer_delay_min_seconds",
    "jitterbuffer_delay_max_seconds",
    "jitterbuffer_dropped_packets_total",
    "jitterbuffer_bytes_total",
    "jitterbuffer_buffer_size_packets",
    "rate(jitterbuffer_packet_count_total[5m])",
    "rate(jitterbuffer_dropped_packets_total[5m])",
)

Sample = tuple[tuple[tuple[str, str], ...], float]


class Stack:
    """Everything at once: one agent; its metrics by three ways in three Prometheus servers; its spans in Jaeger."""

    def __init__(self, world: World, otel: Collector, traces: Jaeger, ways: dict[str, Prometheus]) -> None:
        self.world = world
        self.otel = otel
        self.traces = traces
        self.ways = ways
        self.started = time.time()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    with (
        jaeger(directory) as traces,
        prometheus(directory, name="written") as written,
        collector(directory, traces, written) as otel,
        world(otel.grpc) as made,
        prometheus(
            directory,
            scrape_configuration(
                {"otel_jb": otel.scrape, "otelcol": otel.telemetry}, DEPLOY / "prometheus-collector.yml"
            ),
            "scraped",
        ) as scraped,
        prometheus(
            directory,
            scrape_configuration({"ffmpeg-jitterbuffer": made.metrics_address}, DEPLOY / "prometheus.yml"),
            "direct",
        ) as direct,
    ):
        yield Stack(made, otel, traces, {"direct": direct, "scraped": scraped, "written": written})


def samples(server: Prometheus, expression: str) -> list[Sample]:
    """Labels and values; `le` as a number, because remote write spells 1e-06 as 0.000001."""
    found = []
    for labels, value in server.query(expression):
        if "le" in labels:
            labels["le"] = str(float(labels["le"]))
        found.append((tuple(sorted(labels.items())), value))
    return sorted(found)


def test_every_way_brings_the_same_series(stack: Stack) -> None:
    """All metrics of the targets have the same labels and values on 9310, scraped from the Collector and by remote write."""
    everything = '{__name__=~"jitterbuffer_.+"}'
    for function, duration in (("SrsRtpJitterBuffer::put", 3_000), ("ff_rtp_parse_packet", 70_000)):
        stack.world.call(function, *[duration] * 500, *[40 * duration] * 5)
        stack.world.step()
        stack.world.packets_held += 7
    stack.world.call("SrsRtpJitterBuffer::get", *range(1_000, 900_000, 1_000))
    stack.world.call("SrsRtpJitterBuffer::put", 2_000)
    stack.world.call("ff_rtp_parse_packet", 5_000)
    stack.world.step()
    total = 505 + 1

    def same() -> bool:
        ways = [samples(server, everything) for server in stack.ways.values()]
        counted = stack.ways["direct"].query('jitterbuffer_packet_count_total{function="SrsRtpJitterBuffer::put"}')
        return bool(counted) and counted[0][1] == total and ways[0] == ways[1] == ways[2]

    try:
        until(same, "the three ways agree", timeout=30, every=0.25)
    except AssertionError:
        ways = {name: samples(server, everything) for name, server in stack.ways.items()}
        for name in ("scraped", "written"):
            assert ways[name] == ways["direct"], name
        raise
    put = 'jitterbuffer_delay_seconds_count{pid="4712",function="SrsRtpJitterBuffer::put",job="live"}'
    for server in stack.ways.values():
        assert [value for _, value in server.query(put)] == [total]


def test_the_guides_queries_return_the_same_through_the_collector(stack: Stack) -> None:
    """Each query of the guide's step 7 returns data by every way, for the same pids and functions."""

    def identities(server: Prometheus, query: str) -> list[tuple[str, str]]:
        found = [(labels["pid"], labels["function"]) for labels, _ in server.query(query)]
        return sorted(found)

    stack.world.call("SrsRtpJitterBuffer::put", *[5_000] * 100)
    stack.world.call("ff_rtp_parse_packet", *[5_000] * 100)
    stack.world.step()
    for query in GUIDE:

        def alike(query: str = query) -> list[tuple[str, str]] | None:
            found = [identities(server, query) for server in stack.ways.values()]
            return found[0] if found[0] and found[0] == found[1] == found[2] else None

        answer = until(alike, f"{query} has the same series by every way", timeout=30, every=0.25)
        assert answer is not None
        assert ("4711", "ff_rtp_parse_packet") in answer
    last = "last_over_time(jitterbuffer_bytes_total[1m])"
    until(lambda: len({tuple(samples(s, last)) for s in stack.ways.values()}) == 1, "bytes agree", every=0.25)


def test_every_exemplar_opens_in_jaeger(stack: Stack) -> None:
    """Each scrape interval with a slow call has an exemplar by every way, and Jaeger opens each trace id that is returned."""
    begin = time.time()
    seen: set[str] = set()
    sent: set[str] = set()

    def shown(trace_id: str) -> bool:
        return all(
            any(one["labels"]["trace_id"] == trace_id for one in exemplars(server, begin))
            for server in stack.ways.values()
        )

    for round_number in range(4):
        # A scrape that comes late, because the machine is busy, misses an exemplar for good: then another call is made.
        for attempt in range(3):
            wanted = stack.world.slow_call("SrsRtpJitterBuffer::put", (20 + round_number) * MILLISECOND)
            sent.add(wanted)
            stack.world.step()
            try:
                until(partial(shown, wanted), f"exemplar {round_number} by every way", every=0.2)
            except AssertionError:
                if attempt == 2:
                    raise
            else:
                seen.add(wanted)
                break
    for name, server in stack.ways.items():
        found = exemplars(server, begin)
        assert seen <= {one["labels"]["trace_id"] for one in found} <= sent, name
        for one in found:
            assert one["series"]["function"] == "SrsRtpJitterBuffer::put"
            trace = until(partial(stack.traces.trace, one["labels"]["trace_id"]), "the trace opens")
            assert trace is not None
            spans = [span for span in trace["spans"] if span["spanID"] == one["labels"]["span_id"]]
            assert [span["operationName"] for span in spans] == ["SrsRtpJitterBuffer::put"]
            assert spans[0]["duration"] / 1e6 == pytest.approx(float(one["value"]), rel=1e-3)
            tags = {tag["key"]: tag["value"] for process in trace["processes"].values() for tag in process["tags"]}
            assert tags["process.pid"] == 4712


def exemplars(server: Prometheus, begin: float) -> list[dict[str, Any]]:
    return server.exemplars("jitterbuffer_delay_seconds_bucket", begin - 1, time.time() + 1)


def test_the_agents_own_metrics_keep_their_names(stack: Stack) -> None:
    """The agent's metrics about itself have one name by every way, and no label that only one way adds."""
    for query in (
        "otel_jb_probes",
        "otel_jb_overhead_ratio",
        "otel_jb_probe_cost_seconds",
        "otel_jb_events_emitted_total",
    ):

        def shapes(query: str = query) -> set[tuple[tuple[str, ...], ...]]:
            found = set()
            for server in stack.ways.values():
                ignored = {"job", "instance"}
                found.add(tuple(sorted({tuple(sorted(set(labels) - ignored)) for labels, _ in server.query(query)})))
            return found

        until(lambda shapes=shapes: len(shapes()) == 1 and shapes() != {()}, f"{query} alike", timeout=20, every=0.25)  # type: ignore[misc]


def test_the_collector_says_how_it_is(stack: Stack) -> None:
    """Health check and own telemetry answer, and the telemetry counts what went through without a refusal."""
    assert get_json(f"http://{stack.otel.health}/")["status"] == "Server available"
    own = Exposition(fetch(f"http://{stack.otel.telemetry}/metrics")[1])
    assert own.total("otelcol_receiver_accepted_metric_points_total") > 0
    assert own.total("otelcol_receiver_refused_metric_points_total") == 0
    assert own.total("otelcol_exporter_send_failed_metric_points_total") == 0


def test_series_end_when_their_target_does(tmp_path: Path) -> None:
    """Once a process has ended and its values were kept long enough, the Collector no longer exposes its series, only theirs."""
    with collector(tmp_path) as otel, world(otel.grpc, retain=0.5) as made:
        for function in made.functions:
            made.call(function, 5_000)
        made.step()

        def pids() -> set[str]:
            text = fetch(f"http://{otel.scrape}/metrics")[1]
            return {labels["pid"] for labels, _ in Exposition(text).find("jitterbuffer_packet_count_total")}

        until(lambda: pids() == {"4711", "4712"}, "both targets are there")
        made.end(made.srs)
        until(lambda: pids() == {"4711"}, "the ended target's series are gone", timeout=15)
        made.call("ff_rtp_parse_packet", 5_000)
        made.step()
        until(
            lambda: (
                Exposition(fetch(f"http://{otel.scrape}/metrics")[1]).value("jitterbuffer_packet_count_total", pid=4711)
                == 2
            ),
            "the other target goes on",
        )
