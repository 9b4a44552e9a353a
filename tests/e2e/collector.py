# SPDX-License-Identifier: Apache-2.0
"""The Collector, Prometheus and Jaeger on free loopback ports, obtained by scripts/get-observability.

    with jaeger(directory) as traces, collector(directory, jaeger=traces) as otel, prometheus(directory, [...]) as metrics:
        otel.grpc, otel.scrape, metrics.query("up"), traces.trace("0123…")

Each program's output goes to a file in `directory`; what fails to start shows its end.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.agent_process import ROOT, fetch, free_tcp_port, until

GET = ROOT / "scripts" / "get-observability"
CONFIG = ROOT / "collector-config.yaml"


@functools.cache
def program(name: str) -> str:
    """Path of collector, jaeger, prometheus, promtool, helm, docker-compose or one of the tests' Go programs; builds or installs it if need be."""
    package = {"promtool": "prometheus"}.get(name, name)
    done = subprocess.run([GET, package], capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())[name]


@contextlib.contextmanager
def running(
    argv: Sequence[str | Path], log: Path, ready: str, environment: Mapping[str, str] | None = None, stop: float = 10.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose `ready` URL has answered 200; ended with SIGTERM, or SIGKILL after `stop` seconds."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(argv),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    try:

        def answers() -> bool:
            ended = child.poll()
            assert ended is None, f"{argv[0]} ended with {ended}:\n{log.read_text(errors='replace')[-3000:]}"
            return fetch(ready)[0] == 200

        until(answers, f"{ready} answers; {log}", timeout=60, every=0.05)
        yield child
    finally:
        child.terminate()
        try:
            child.wait(stop)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def get_json(url: str, **parameters: object) -> Any:
    """The decoded JSON answer; its error text where the status is not 200."""
    query = urllib.parse.urlencode({key: str(value) for key, value in parameters.items()})
    status, body = fetch(f"{url}?{query}" if query else url)
    assert status == 200, f"{status} from {url}?{query}: {body[:1000]}"
    return json.loads(body)


@dataclass(frozen=True, slots=True)
class Jaeger:
    """A running Jaeger. `otlp` is HOST:PORT for OTLP over gRPC, `url` of its query API."""

    otlp: str
    url: str

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """The trace as Jaeger's API returns it; None while it does not have it."""
        status, body = fetch(f"{self.url}/api/traces/{trace_id}")
        found = json.loads(body).get("data") if status == 200 else None
        return found[0] if found else None

    def traces(self, service: str, limit: int = 1500) -> list[dict[str, Any]]:
        """All traces of a service (a target's service.name)."""
        answer = get_json(f"{self.url}/api/traces", service=service, limit=limit, lookback="1h")
        return list(answer["data"] or ())


@contextlib.contextmanager
def jaeger(directory: Path) -> Iterator[Jaeger]:
    """Jaeger all-in-one with its memory store."""
    otlp, query, admin, internal = (f"127.0.0.1:{free_tcp_port()}" for _ in range(4))
    argv = [program("jaeger"), f"--collector.otlp.grpc.host-port={otlp}", f"--query.http-server.host-port={query}"]
    argv += [f"--admin.http.host-port={admin}", "--collector.otlp.enabled=true", "--log-level=warn"]
    argv += [f"--collector.grpc-server.host-port={internal}", f"--reporter.grpc.host-port={internal}"]
    unused = ("query.grpc-server", "collector.http-server", "collector.otlp.http", "http-server")
    argv += [f"--{name}.host-port=127.0.0.1:{free_tcp_port()}" for name in unused]
    datagrams = ("jaeger-binary", "jaeger-compact", "zipkin-compact")
    argv += [f"--processor.{name}.server-host-port=127.0.0.1:0" for name in datagrams]
    with running(argv, directory / "jaeger.log", f"http://{admin}/", {"SPAN_STORAGE_TYPE": "memory"}):
        yield Jaeger(otlp, f"http://{query}")


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    @property
    def remote_write(self) -> str:
        """Where it takes remote write."""
        return f"{self.url}/api/v1/write"

    def query(self, expression: str, time: float | None = None) -> list[tuple[dict[str, str], float]]:
        """An instant query's vector: labels and value."""
        at = {} if time is None else {"time": time}
        data = get_json(f"{self.url}/api/v1/query", query=expression, **at)["data"]
        assert data["resultType"] in ("vector", "scalar"), data["resultType"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """All exemplars of the selected series: labels, value, timestamp, and the series' labels as `series`."""
        data = get_json(f"{self.url}/api/v1/query_exemplars", query=expression, start=start, end=end)["data"]
        return [{**one, "series": group["seriesLabels"]} for group in data for one in group["exemplars"]]


def scrape_configuration(jobs: Mapping[str, str], source: Path) -> dict[str, Any]:
    """The shipped Prometheus configuration with the targets replaced, and scrapes every second.

    Args:
        jobs: HOST:PORT by the job's name; jobs that are not named here are left out.
        source: the shipped file; its rules are kept.
    """
    shipped: dict[str, Any] = yaml.safe_load(source.read_text())
    kept = [job for job in shipped["scrape_configs"] if job["job_name"] in jobs]
    assert {job["job_name"] for job in kept} == set(jobs), f"{source} has not all of {set(jobs)}"
    for job in kept:
        job["static_configs"] = [{"targets": [jobs[job["job_name"]]]}]
        job["scrape_interval"] = job["scrape_timeout"] = "1s"
    rules = [str(source.parent / pattern) for pattern in shipped.get("rule_files", ())]
    return {"global": {"evaluation_interval": "1s"}, "rule_files": rules, "scrape_configs": kept}


@contextlib.contextmanager
def prometheus(
    directory: Path, configuration: Mapping[str, Any] | None = None, name: str = "prometheus"
) -> Iterator[Prometheus]:
    """Debian's Prometheus with exemplar storage and the remote-write receiver; without a configuration it scrapes nothing."""
    file = directory / f"{name}.yml"
    file.write_text(yaml.safe_dump(dict(configuration or {})))
    address = f"127.0.0.1:{free_tcp_port()}"
    argv = [program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={directory / name}"]
    argv += [f"--web.listen-address={address}", "--enable-feature=exemplar-storage"]
    argv += ["--web.enable-remote-write-receiver", "--log.level=warn"]
    with running(argv, directory / f"{name}.log", f"http://{address}/-/ready"):
        yield Prometheus(f"http://{address}")


@dataclass(frozen=True, slots=True)
class Collector:
    """A running Collector; everything is HOST:PORT."""

    grpc: str
    http: str
    scrape: str  #: the Prometheus exporter
    telemetry: str  #: its own metrics
    health: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def collector(
    directory: Path,
    jaeger: Jaeger | None = None,
    prometheus: Prometheus | None = None,
    config: Path = CONFIG,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Collector]:
    """The built Collector with the shipped configuration: only end points are set, by the environment that the file reads.

    Args:
        directory: for its log.
        jaeger: where traces go.
        prometheus: where remote write goes.
        config: another configuration that reads the same variables.
        environment: further variables (to start it again on the same ports, among others).
    """
    listen = {
        name: f"127.0.0.1:{free_tcp_port()}"
        for name in ("OTLP_GRPC_LISTEN", "OTLP_HTTP_LISTEN", "PROMETHEUS_LISTEN", "HEALTH_LISTEN")
    }
    variables = {f"OTEL_JB_{name}": address for name, address in listen.items()}
    variables["OTEL_JB_TELEMETRY_PORT"] = str(free_tcp_port())
    metrics = "[prometheus, prometheus_remote_write]" if prometheus else "[prometheus]"
    traces = "[otlp_grpc/jaeger]" if jaeger else "[otlp_grpc/tempo]"
    variables |= {"OTEL_JB_METRICS_EXPORTERS": metrics, "OTEL_JB_TRACES_EXPORTERS": traces}
    if jaeger:
        variables["OTEL_JB_JAEGER_ENDPOINT"] = jaeger.otlp
    if prometheus:
        variables["OTEL_JB_REMOTE_WRITE_ENDPOINT"] = prometheus.remote_write
    variables |= environment or {}
    log = directory / "collector.log"
    argv = [program("collector"), "--config", str(config)]
    health = variables["OTEL_JB_HEALTH_LISTEN"]
    with running(argv, log, f"http://{health}/", variables) as process:
        yield Collector(
            grpc=variables["OTEL_JB_OTLP_GRPC_LISTEN"],
            http=variables["OTEL_JB_OTLP_HTTP_LISTEN"],
            scrape=variables["OTEL_JB_PROMETHEUS_LISTEN"],
            telemetry=f"127.0.0.1:{variables['OTEL_JB_TELEMETRY_PORT']}",
            health=health,
            process=process,
            log=log,
        )
