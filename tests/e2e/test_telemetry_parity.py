# SPDX-License-Identifier: Apache-2.0
"""The same state on the agent's own /metrics and through a real Collector."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_jb.config.environment import read
from otel_jb.model.stream import TargetEnded
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.e2e.agent_process import until
from tests.e2e.collector import collector

pytestmark = pytest.mark.e2e

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def of_targets(text: str) -> Samples:
    """Samples of the targets' metrics; scope labels, which only the Collector adds, left out, `le` as a number."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("jitterbuffer_"):
                labels = {key: value for key, value in sample.labels.items() if not key.startswith("otel_scope_")}
                if "le" in labels:
                    labels["le"] = str(float(labels["le"]))
                found[sample.name, frozenset(labels.items())] = sample.value
    return found


def test_the_collector_serves_what_the_agent_serves_and_ends_what_ended(tmp_path: Path) -> None:
    """Names, labels and values are equal on both routes; when a target is gone, the Collector drops all its series."""
    now = [0.0]
    state = StreamState(60.0, lambda: now[0])
    for record in samples.records():
        state.apply(record)
    at = time.time_ns()
    values = (
        samples.snapshot_of(samples.PUT, [20_000_000] * 9, drops=(2, 0)),
        samples.snapshot_of(samples.PARSE, [1_000, 1_001]),
    )
    state.apply(samples.snapshot(*values, at=at))
    with collector(tmp_path) as otel:

        def scraped() -> str:
            with urllib.request.urlopen(f"http://{otel.scrape}/metrics", timeout=5) as response:
                text: str = response.read().decode()
                return text

        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otel.grpc}", "OTEL_TRACES_EXPORTER": "none"}
        telemetry = Telemetry(state, read(environ), interval_seconds=3600)
        telemetry.start()
        try:
            telemetry.flush()
            assert telemetry.page is not None
            own = of_targets(telemetry.page.render("", "")[0].decode())
            until(lambda: of_targets(scraped()).keys() >= own.keys(), "every series at the Collector", 30)
            assert of_targets(scraped()) == own
            assert len(own) > 100
            state.apply(TargetEnded(1, at))
            telemetry.flush()
            now[0] = 1e9
            telemetry.flush()
            until(lambda: 'pid="4711"' not in scraped(), "the end of the target's series", 30)
            assert 'pid="4712"' in scraped()
        finally:
            telemetry.shutdown(2.0)
