# SPDX-License-Identifier: Apache-2.0
"""What a target costs on the wire and at the Collector: points, bytes, series, and the Collector's CPU and memory.

    python -m benchmarks.telemetry_size [TARGETS]

The agent's real telemetry sends made-up targets to a receiver that counts, then to the built Collector with the shipped
configuration, which remote-writes into Debian's Prometheus. docs/sizing.md has the table that this prints.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from otel_jb.config.environment import read
from otel_jb.model.stream import Series, Snapshot
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.state import StreamState
from tests.e2e.agent_process import Exposition, fetch, until
from tests.e2e.collector import collector, prometheus
from tests.telemetry_samples import SRS, series, snapshot_of

INTERVAL = 10.0  #: seconds between exports, the agent's default


class Sink(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Accepts OTLP metrics and counts bytes and points, those of the agent itself included."""

    def __init__(self) -> None:
        self.bytes = self.points = 0

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self.export)

    def export(self, raw: bytes, _: grpc.ServicerContext) -> bytes:
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(raw)
        self.bytes += len(raw)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.points += sum(len(getattr(m, m.WhichOneof("data")).data_points) for m in scope.metrics)
        return bytes(metrics_service_pb2.ExportMetricsServiceResponse().SerializeToString())


def state_of(targets: int, functions: int) -> tuple[StreamState, list[Series]]:
    state = StreamState()
    made: list[Series] = []
    for n in range(targets):
        target = replace(SRS, id=n + 1, pid=10_000 + n, service_instance_id=str(uuid4()))
        state.apply(target)
        for f in range(functions):
            one = series(len(made) + 1, target, f"SrsRtpJitterBuffer::put{f}", drop_reasons=("late", "full"))
            state.apply(one)
            made.append(one)
    return state, made


def step(state: StreamState, made: list[Series], calls: list[int]) -> None:
    now = time.time_ns()
    values = tuple(snapshot_of(one, calls) for one in made)
    state.apply(Snapshot(now, time.monotonic_ns(), DEFAULT_BOUNDS_NS, values, (), 10**10))


def send(state: StreamState, made: list[Series], otlp: str, rounds: int, compression: str = "none") -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp}", "OTEL_METRICS_EXPORTER": "otlp"}
    telemetry = Telemetry(
        state, read({**variables, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}), interval_seconds=3600
    )
    telemetry.start()
    try:
        for number in range(rounds):
            step(state, made, [3_000 + 7 * number, 40_000, 2_000_000] * (5 + number))
            telemetry.flush(60)
    finally:
        telemetry.shutdown(60)  # with a last export


def wire(functions: int) -> tuple[float, float]:
    """Points and bytes of one export of one target."""
    sink = Sink()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[sink])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        state, made = state_of(20, functions)
        step(state, made, [3_000])
        send(state, made, f"127.0.0.1:{port}", 3)
    finally:
        server.stop(0)
    exports = 20 * 4  # three rounds and the one at the end
    return sink.points / exports, sink.bytes / exports


def cpu_seconds(address: str) -> float:
    return Exposition(fetch(f"http://{address}/metrics")[1]).total("otelcol_process_cpu_seconds_total")


def main() -> int:
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("one target, one export:")
    print("| functions | points | bytes | points/s | bytes/s |")
    print("|---:|---:|---:|---:|---:|")
    for functions in (1, 4, 10):
        points, size = wire(functions)
        print(f"| {functions} | {points:.0f} | {size:.0f} | {points / INTERVAL:.1f} | {size / INTERVAL:.0f} |")
    functions, rounds = 4, 5
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with prometheus(directory) as store, collector(directory, prometheus=store) as otel:
            state, made = state_of(targets, functions)
            step(state, made, [3_000])
            send(state, made, otel.grpc, 1)
            before = cpu_seconds(otel.telemetry)
            send(state, made, otel.grpc, rounds)
            wanted = targets * functions
            until(
                lambda: store.query("count(jitterbuffer_packet_count_total)")[0][1] == wanted,
                "all is written",
                timeout=60,
            )
            until(
                lambda: (
                    Exposition(fetch(f"http://{otel.telemetry}/metrics")[1]).value(
                        "otelcol_exporter_queue_size", exporter="prometheus_remote_write"
                    )
                    == 0
                ),
                "the queue is empty",
                timeout=60,
            )
            time.sleep(1)
            own = Exposition(fetch(f"http://{otel.telemetry}/metrics")[1])
            used = (cpu_seconds(otel.telemetry) - before) / (rounds + 1)
            memory = own.total("otelcol_process_memory_rss_bytes") or own.total("otelcol_process_memory_rss")
            active = store.query('count({__name__=~"jitterbuffer_.+|target_info"})')[0][1]
            points = own.total("otelcol_receiver_accepted_metric_points_total") / (rounds + 3)
    print(
        f"{targets} targets of {functions} functions, one export: {points:.0f} points, {active:.0f} series ({active / targets:.0f} a target)"
    )
    print(
        f"Collector (scrape and remote write): {used:.2f} CPU seconds an export = {used / INTERVAL:.3f} CPU at {INTERVAL:g} s, {memory / 2**20:.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
