# SPDX-License-Identifier: Apache-2.0
"""`otlp` of the configuration file before a real Collector: TLS with certificates of both sides, compression, and a tenant's header."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_jb.config.environment import read
from otel_jb.config.model import Config
from otel_jb.config.yamlfile import parse
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.e2e.agent_process import free_tcp_port, until
from tests.e2e.collector import program, running

pytestmark = pytest.mark.e2e

#: Takes only clients with a certificate of its authority, and writes the request's tenant into each resource.
COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", include_metadata: true, tls: &tls {{cert_file: server.pem, key_file: server.key, client_ca_file: authority.pem}}}}
      http: {{endpoint: "127.0.0.1:{http}", include_metadata: true, tls: *tls}}
processors:
  transform:
    error_mode: propagate
    metric_statements:
      - set(resource.attributes["tenant"], otelcol.client.metadata["x-scope-orgid"][0])
exporters:
  file: {{path: received.json, flush_interval: 100ms}}
extensions:
  health_check: {{endpoint: "127.0.0.1:{health}"}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [otlp], processors: [transform], exporters: [file]}}
"""
AGENT = """
otlp:
  endpoint: https://127.0.0.1:{port}
  protocol: {protocol}
  compression: gzip
  headers: {{X-Scope-OrgID: {protocol}}}
  tls: {{ca_file: {directory}/authority.pem, cert_file: {directory}/client.pem, key_file: {directory}/client.key}}
"""


def certificates(directory: Path) -> None:
    """An authority, and a certificate of it for the server and for the client."""
    for name, signer in (("authority", ""), ("server", "authority"), ("client", "authority")):
        by = f" -CA {signer}.pem -CAkey {signer}.key" if signer else ""
        what = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1{by}"
        argv = ["openssl", *what.split(), "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(argv, check=True, capture_output=True, cwd=directory)


@contextmanager
def collector(directory: Path) -> Iterator[dict[str, int]]:
    """The Collector; yields its port by the protocol."""
    ports = {"grpc": free_tcp_port(), "http": free_tcp_port(), "health": free_tcp_port()}
    text = COLLECTOR.format(**ports)
    for name in ("server.pem", "server.key", "authority.pem", "received.json"):
        text = text.replace(name, str(directory / name))
    (directory / "collector.yaml").write_text(text)
    argv = [program("collector"), "--config", str(directory / "collector.yaml")]
    with running(argv, directory / "collector.log", f"http://127.0.0.1:{ports['health']}/"):
        yield {"grpc": ports["grpc"], "http/protobuf": ports["http"]}


def test_a_tenants_metrics_arrive_over_tls(tmp_path: Path) -> None:
    """By gRPC and by HTTP, what the file says of TLS, compression and headers brings the metrics; without a certificate nothing arrives."""
    certificates(tmp_path)
    received = tmp_path / "received.json"

    def tenants() -> set[str]:
        lines = received.read_text().splitlines() if received.exists() else []
        resources = [one["resource"] for line in lines for one in json.loads(line)["resourceMetrics"]]
        return {a["value"]["stringValue"] for one in resources for a in one["attributes"] if a["key"] == "tenant"}

    def send(text: str, **environ: str) -> Telemetry:
        state: StreamState = samples.state()
        telemetry = Telemetry(state, read(environ, parse(text, "agent.yaml", Config).otlp), interval_seconds=60)
        telemetry.start()
        telemetry.flush()
        return telemetry

    with collector(tmp_path) as ports:
        for protocol, port in ports.items():
            text = AGENT.format(port=port, protocol=protocol, directory=tmp_path)
            stranger = text.replace(f"cert_file: {tmp_path}/client.pem, key_file: {tmp_path}/client.key", "")
            refused = send(
                stranger.replace(f"X-Scope-OrgID: {protocol}", "X-Scope-OrgID: stranger"),
                OTEL_EXPORTER_OTLP_TIMEOUT="500",
            )
            refused.shutdown(1.0)
            known = send(text)
            until(lambda protocol=protocol: protocol in tenants(), f"{protocol} brings its tenant")  # type: ignore[misc]
            known.shutdown(1.0)
        assert tenants() == set(ports)
