# SPDX-License-Identifier: Apache-2.0
"""What `run` imports before it attaches the first probe."""

from __future__ import annotations

import subprocess
import sys

BEFORE = "otel_jb.agent.service, otel_jb.agent.measuring, otel_jb.views.summary, otel_jb.planner.targets, otel_jb.probes.live"
#: What only exporting, judging and the end of a run need.
LATER = ("otel_jb.diagnosis.verdict", "otel_jb.diagnosis.history", "otel_jb.telemetry.metrics", "opentelemetry", "grpc")


def test_nothing_that_only_exporting_and_judging_need_delays_the_first_probe() -> None:
    """The reader's modules bring neither the verdict's nor the exporters'."""
    program = f"import sys, {BEFORE}\nfrom otel_jb.telemetry.state import StreamState\nStreamState(judges=False)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not set(LATER) & set(done.stdout.split())


def test_an_agent_that_is_only_scraped_does_not_import_the_sdks_metrics() -> None:
    """The exporter's modules, with /metrics and without OTLP, have nothing of the SDK's metrics, which keep 10 KB of each probe."""
    program = """
import sys
from otel_jb.agent.exporting import _import
from otel_jb.config.environment import read
from otel_jb.config.model import Config
_import(Config(), read({}))
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "otel_jb.telemetry.prometheus" in done.stdout.split()
    assert "opentelemetry.sdk.metrics" not in done.stdout.split()
