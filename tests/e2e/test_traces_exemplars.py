# SPDX-License-Identifier: Apache-2.0
"""From a scrape to a trace: each scrape interval with a slow call has its exemplar, and every exemplar's trace opens."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.blocks import SHELL, blocks, script
from tests.e2e.agent_process import ROOT, Conversation, agent, until
from tests.e2e.collector import Jaeger, Prometheus, collector, get_json, jaeger, prometheus, scrape_configuration
from tests.e2e.test_traces import DECODE, PUT, UNGOVERNED, build

DEPLOY = ROOT / "deploy" / "prometheus"
BUCKETS = "jitterbuffer_delay_seconds_bucket"
ROUNDS = 24
#: From a call's end to the page: the event (0.5 s), its stack, its way to the exporter, and the page's age (0.25 s); to the Collector one export.
#: Twice what that takes on a machine with nothing else to do.
SOON_S = {"direct": 1.5, "scraped": 2.5}


class Seen:
    """What the program did, and the servers that saw it."""

    def __init__(self, ends: list[float], begin: float, ways: dict[str, Prometheus], traces: Jaeger, pid: int) -> None:
        self.ends, self.begin, self.ways, self.traces, self.pid = ends, begin, ways, traces, pid

    def exemplars(self, way: str) -> list[dict[str, Any]]:
        found = self.ways[way].exemplars(f'{BUCKETS}{{pid="{self.pid}"}}', self.begin - 5, time.time() + 5)
        assert found
        return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A program with a slow call now and then, scraped every second at the agent and at the Collector, and written on by it."""
    directory = tmp_path_factory.mktemp("exemplars")
    program = build(directory, "threads")
    with (
        jaeger(directory) as traces,
        prometheus(directory, name="written") as written,
        collector(directory, traces, written) as otel,
        Conversation(program) as server,
    ):
        options = (*UNGOVERNED, "--interval", "1s", "--otlp-endpoint", f"http://{otel.grpc}", "--pid", str(server.pid))
        through = scrape_configuration({"otel_jb": otel.scrape}, DEPLOY / "prometheus-collector.yml")
        with agent(directory, *options) as measuring:
            own = scrape_configuration(
                {"ffmpeg-jitterbuffer": f"127.0.0.1:{measuring.port}"}, DEPLOY / "prometheus.yml"
            )
            with prometheus(directory, own, "direct") as direct, prometheus(directory, through, "scraped") as scraped:
                ways = {"direct": direct, "scraped": scraped, "written": written}
                server.ask("run 1 4 2 20000")  # the first stack takes its time: its symbols are read
                for way in ways.values():
                    until(partial(way.query, BUCKETS), "a first scrape", timeout=20)
                begin, ends = time.time(), []
                for number in range(ROUNDS):
                    time.sleep(0.05 + 0.13 * (number % 4))  # at all phases of the scrapes
                    log = server.ask("run 1 40 2 20000")["log"]
                    ends += [(one["start_unix_nano"] + one["outer_ns"]) / 1e9 for one in log if one["planned"]]
                last = time.time()
                for name in ("direct", "scraped"):
                    until(lambda name=name: scrapes(ways[name], begin)[-1] > last + 3, "a scrape after the last", 20)  # type: ignore[misc]
                yield Seen(ends, begin, ways, traces, server.pid)


def scrapes(server: Prometheus, begin: float) -> list[float]:
    """The times of a server's scrapes since a few seconds before `begin`."""
    data = get_json(f"{server.url}/api/v1/query", query=f"up[{int(time.time() - begin) + 10}s]")["data"]["result"]
    return [float(at) for one in data for at, value in one["values"] if value == "1"]


@pytest.mark.parametrize("way", ["direct", "scraped"])
def test_each_scrape_interval_with_a_slow_call_has_an_exemplar(seen: Seen, way: str) -> None:
    """Whenever a slow call ended soon enough before a scrape, an exemplar of put from no earlier than that call is there."""
    times = scrapes(seen.ways[way], seen.begin)
    found = [float(one["timestamp"]) for one in seen.exemplars(way) if one["series"]["function"] == PUT]
    looked_at = 0
    for before, after in itertools.pairwise(times):
        in_time = [end for end in seen.ends if before - SOON_S[way] < end <= after - SOON_S[way]]
        if not in_time:
            continue
        looked_at += 1
        assert any(max(in_time) - 0.002 <= at <= after for at in found), (before, after, in_time, found)
    assert looked_at >= 5


@pytest.mark.parametrize("way", ["direct", "scraped", "written"])
def test_every_trace_id_opens_in_jaeger(seen: Seen, way: str) -> None:
    """Each exemplar names a span in Jaeger, of the series' function, of the exemplar's length, that ended at its time."""
    functions = set()
    for one in seen.exemplars(way):
        trace_id = one["labels"]["trace_id"]
        trace = until(partial(seen.traces.trace, trace_id), f"{trace_id} opens", timeout=10)
        assert trace is not None
        (span,) = [span for span in trace["spans"] if span["spanID"] == one["labels"]["span_id"]]
        assert span["operationName"] == one["series"]["function"]
        assert span["duration"] / 1e6 == pytest.approx(float(one["value"]), abs=2e-6)
        assert (span["startTime"] + span["duration"]) / 1e6 == pytest.approx(float(one["timestamp"]), abs=2e-3)
        functions.add(one["series"]["function"])
    assert functions == {PUT, DECODE}


@pytest.mark.parametrize("page", ["docs/collector.md", "docs/traces.md"])
def test_the_documented_commands_lead_from_an_exemplar_to_its_trace(seen: Seen, page: str) -> None:
    """The two commands of the page, with the ports of the servers here, print an exemplar and the trace of it."""
    text = "\n".join(script(block) for block in blocks() if block.page == page and block.language in SHELL)
    addresses = {"9090": seen.ways["direct"].url, "16686": seen.traces.url}
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    first, second = (line for line in lines if line.startswith("curl ") and re.search(":(9090|16686)/", line))

    def answer(line: str) -> Any:
        here = re.sub(r"(http://)?(127\.0\.0\.1|localhost):(9090|16686)", lambda found: addresses[found[3]], line)
        done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)["data"]

    ids = [one["labels"]["trace_id"] for group in answer(first) for one in group["exemplars"]]
    assert ids
    trace = until(lambda: answer(second.replace("TRACE_ID", ids[0])), "it opens", timeout=10)
    assert trace
    assert trace[0]["traceID"] == ids[0]


def test_remote_write_brings_the_same_buckets(seen: Seen) -> None:
    """The delay's buckets are the same by remote write as at the agent."""
    query = f'{BUCKETS}{{pid="{seen.pid}"}}'

    def buckets(way: str) -> dict[tuple[str, float], float]:
        found = seen.ways[way].query(query)
        return {(labels["function"], float(labels["le"])): value for labels, value in found}

    until(lambda: len(buckets("direct")) > 40 and buckets("direct") == buckets("written"), "the same buckets", 20)
