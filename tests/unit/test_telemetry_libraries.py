# SPDX-License-Identifier: Apache-2.0
"""What the exporters import: each of the two ways to send takes a library of 20 MiB."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from otel_jb.config.environment import read
from otel_jb.telemetry.exporters import metric_exporter, span_exporter
settings = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": sys.argv[1]})
metric_exporter(settings.metrics, "cumulative").shutdown()
span_exporter(settings.traces).shutdown()
print(*sorted({"grpc", "requests"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("protocol", "library"), [("grpc", "grpc"), ("http/protobuf", "requests")])
def test_only_the_library_of_the_protocol_is_imported(protocol: str, library: str) -> None:
    """An agent that sends by gRPC holds no HTTP client in memory, and one that sends by HTTP no gRPC."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, protocol], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [library]
