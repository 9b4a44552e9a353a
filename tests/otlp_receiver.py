# SPDX-License-Identifier: Apache-2.0
"""An OTLP receiver in the test's own process that decodes what it is sent: gRPC and HTTP/protobuf, metrics and traces.

It can misbehave as receivers do: answer with an error, or accept and never answer.
"""

from __future__ import annotations

import gzip
import http.server
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

Labels = tuple[tuple[str, Any], ...]
#: (resource attributes, scope, metric, point attributes)
PointKey = tuple[Labels, str, str, Labels]


def attributes(pairs: Any) -> Labels:
    """Key-value pairs of a message as a sorted tuple."""
    return tuple(sorted((pair.key, getattr(pair.value, pair.value.WhichOneof("value"))) for pair in pairs))


class Receiver:
    """What arrived, and how to answer.

    Attributes:
        status: None to accept; an HTTP status or a `grpc.StatusCode` to refuse with.
        hang: set, requests are accepted and not answered until it is cleared or the receiver is closed.
    """

    def __init__(self) -> None:
        self.metric_requests: list[Any] = []
        self.trace_requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refused = 0
        self.status: Any = None
        self.hang = threading.Event()
        self.endpoint = ""
        self._closed = threading.Event()
        self._changed = threading.Condition()

    def accept(self, request: Any, headers: dict[str, str]) -> Any:
        """Note a decoded request. Returns the status to refuse it with, or None."""
        while self.hang.is_set() and not self._closed.wait(0.01):
            pass
        with self._changed:
            self.headers.append(headers)
            if self.status is not None:
                self.refused += 1
            elif isinstance(request, metrics_pb.ExportMetricsServiceRequest):
                self.metric_requests.append(request)
            else:
                self.trace_requests.append(request)
            self._changed.notify_all()
            return self.status

    def wait(self, condition: Any, timeout: float = 10.0) -> None:
        """Wait until `condition()` holds. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("the receiver did not get what was waited for")
                self._changed.wait(min(remaining, 0.2))

    def points(self) -> dict[PointKey, Any]:
        """The last point of every series."""
        return {key: point for key, _, point in self.all_points()}

    def all_points(self) -> Iterator[tuple[PointKey, Any, Any]]:
        """Every point in the order of arrival: key, metric, point. A resource or scope that is repeated is an error."""
        for request in list(self.metric_requests):
            resources = [attributes(one.resource.attributes) for one in request.resource_metrics]
            assert len(resources) == len(set(resources)), "a resource appears twice in one request"
            for resource_metrics in request.resource_metrics:
                resource = attributes(resource_metrics.resource.attributes)
                scopes = [one.scope.name for one in resource_metrics.scope_metrics]
                assert len(scopes) == len(set(scopes)), "a scope appears twice in one resource"
                for scope_metrics in resource_metrics.scope_metrics:
                    for metric in scope_metrics.metrics:
                        for point in getattr(metric, metric.WhichOneof("data")).data_points:
                            key = (resource, scope_metrics.scope.name, metric.name, attributes(point.attributes))
                            yield key, metric, point

    def spans(self) -> list[tuple[dict[str, Any], Any]]:
        """Every span with its resource."""
        return [
            (dict(attributes(resource_spans.resource.attributes)), span)
            for request in list(self.trace_requests)
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def close(self) -> None:
        """Let hanging requests go."""
        self._closed.set()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        return _answer(self._receiver, request, context, metrics_pb.ExportMetricsServiceResponse())


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        return _answer(self._receiver, request, context, trace_pb.ExportTraceServiceResponse())


def _answer(receiver: Receiver, request: Any, context: Any, response: Any) -> Any:
    status = receiver.accept(request, dict(context.invocation_metadata()))
    if status is not None:
        context.abort(status, "refused by the test")
    return response


@contextmanager
def grpc_receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver for OTLP/gRPC on loopback; `endpoint` is its URL."""
    receiver = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    register: Any = metrics_grpc.add_MetricsServiceServicer_to_server
    register(_Metrics(receiver), server)
    register = trace_grpc.add_TraceServiceServicer_to_server
    register(_Traces(receiver), server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield receiver
    finally:
        receiver.close()
        server.stop(0).wait(5)


@contextmanager
def http_receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver for OTLP/HTTP with protobuf bodies on loopback; `endpoint` is its base URL."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            encoding = self.headers.get("Content-Encoding")
            if encoding == "gzip":
                body = gzip.decompress(body)
            elif encoding == "deflate":
                body = zlib.decompress(body)
            kinds: dict[str, Any] = {
                "/v1/metrics": metrics_pb.ExportMetricsServiceRequest,
                "/v1/traces": trace_pb.ExportTraceServiceRequest,
            }
            request = kinds[self.path]()
            request.ParseFromString(body)
            status = receiver.accept(request, {key.lower(): value for key, value in self.headers.items()})
            try:
                self.send_response(status or 200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the client has given up

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        server.shutdown()
        server.server_close()
