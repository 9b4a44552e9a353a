# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the agent with the guide's job, and the guide's queries return data."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_process import TARGETS, Conversation, agent, fetch, free_tcp_port, until
from tests.e2e.streams import LossyStream

pytestmark = pytest.mark.e2e

#: Step 7 of the guide, and the panels of its dashboard.
QUERIES = (
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

#: The guide's job as it stands, but for the port and for intervals that a test can wait for.
CONFIGURATION = """\
scrape_configs:
  - job_name: 'ffmpeg-jitterbuffer'
    static_configs:
      - targets: ['localhost:{port}']
    metrics_path: '/metrics'
    scrape_interval: 1s
    scrape_timeout: 1s
"""


class Prometheus:
    """Debian's Prometheus on a port of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        status, body = fetch(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(body)["data"] if status == 200 else None

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = self.get("/api/v1/query", query=expression)
        return [] if answer is None else list(answer["result"])


@contextlib.contextmanager
def prometheus(directory: Path, agent_port: int) -> Iterator[Prometheus]:
    configuration = directory / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(port=agent_port), encoding="ascii")
    subprocess.run(["promtool", "check", "config", configuration], check=True, stdout=subprocess.DEVNULL)
    port = free_tcp_port()
    with open(directory / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")
        until(lambda: fetch(f"{running.url}/-/ready")[0] == 200, "Prometheus is ready", timeout=30)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_every_query_of_the_guide_returns_data(tmp_path: Path) -> None:
    """Each query has data with pid and function, the counters have the relay's values, and the target is up."""
    with (
        LossyStream(tmp_path) as ffmpeg,
        Conversation("/usr/bin/python3", TARGETS / "speex_driver.py") as speex,
        agent(tmp_path, "--pid", str(ffmpeg.pid), "--pid", str(speex.pid), "--interval", "10s") as measuring,
        prometheus(tmp_path, measuring.port) as server,
    ):
        until(lambda: server.query("jitterbuffer_packet_count_total"), "a first scrape", timeout=20)
        played = speex.ask("run 1000")
        relayed = ffmpeg.play(seconds=12, speed=1)
        found = {
            query: until(lambda query=query: server.query(query), query, timeout=15)  # type: ignore[misc]
            for query in QUERIES
        }

        for query, series in found.items():
            for each in series:
                assert each["metric"]["pid"] in {str(ffmpeg.pid), str(speex.pid)}, (query, each)
                assert each["metric"]["function"], (query, each)
                assert each["metric"]["job"] == "ffmpeg-jitterbuffer", (query, each)

        def value(metric: str, pid: int, function: str) -> float | None:
            result = server.query(f'sum({metric}{{pid="{pid}",function="{function}"}})')
            return float(result[0]["value"][1]) if result else None

        parse = (ffmpeg.pid, "ff_rtp_parse_packet")
        put = (speex.pid, "jitter_buffer_put")
        for metric, where, expected in (
            ("jitterbuffer_packet_count_total", parse, relayed.forwarded_packets),
            ("jitterbuffer_bytes_total", parse, relayed.forwarded_bytes),
            ("jitterbuffer_packet_count_total", put, played["put"]["calls"]),
            ("jitterbuffer_bytes_total", put, played["put"]["bytes"]),
            ("jitterbuffer_dropped_packets_total", put, played["put"]["late"]),
        ):
            until(
                lambda metric=metric, where=where, expected=expected: value(metric, *where) == expected,  # type: ignore[misc]
                f"{metric}{where} = {expected}; now {value(metric, *where)}",
            )
        rate = server.query(f'rate(jitterbuffer_packet_count_total{{pid="{ffmpeg.pid}",function="{parse[1]}"}}[1m])')
        assert float(rate[0]["value"][1]) > 0
        # The average is that of the last interval, between its minimum and its maximum.
        low, average, high = (value(f"jitterbuffer_delay_{each}_seconds", *parse) for each in ("min", "avg", "max"))
        assert low is not None
        assert average is not None
        assert high is not None
        assert 0 < low <= average <= high
        p99 = server.query("histogram_quantile(0.99, sum by (le, function) (jitterbuffer_delay_seconds_bucket))")
        assert {each["metric"]["function"] for each in p99} >= {parse[1], put[1]}
        [target] = server.get("/api/v1/targets")["activeTargets"]
        assert target["health"] == "up"
        assert target["lastError"] == ""
