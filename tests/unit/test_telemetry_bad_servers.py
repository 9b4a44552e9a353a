# SPDX-License-Identifier: Apache-2.0
"""OTLP receivers that do what no receiver should: an export ends in time, takes little memory, and its failure is counted and said."""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb

from otel_jb.config.environment import read
from otel_jb.telemetry import instruments
from otel_jb.telemetry.pipeline import Telemetry
from tests import telemetry_samples as samples
from tests.otlp_receiver import grpc_receiver, http_receiver
from tests.scale import patience

pytestmark = pytest.mark.unit

TIMEOUT = 0.5
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
Answer = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def server(answer: Answer, wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[int]:
    """A TCP server that reads a request and then does whatever `answer` does; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    closed = threading.Event()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if wrap is not None:
                connection = wrap(connection)
            head = b""
            while b"\r\n\r\n" not in head and b"PRI * HTTP/2" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            if b"content-length" in head.lower():
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = len(head.partition(b"\r\n\r\n")[2])
                while body < length:
                    body += len(connection.recv(65536))
            answer(connection, closed)
            connection.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        closed.set()
        listener.close()


def sends(data: bytes) -> Answer:
    return lambda connection, _: connection.sendall(data)


def endless(head: bytes, body: bytes) -> Answer:
    def answer(connection: socket.socket, closed: threading.Event) -> None:
        connection.sendall(head)
        while not closed.is_set():
            connection.sendall(body)

    return answer


def trickle(head: bytes, byte: bytes) -> Answer:
    def answer(connection: socket.socket, closed: threading.Event) -> None:
        connection.sendall(head)
        while not closed.wait(0.2):
            connection.sendall(byte)

    return answer


def silent(_: socket.socket, closed: threading.Event) -> None:
    closed.wait()


def partial(rejected: int, message: str) -> bytes:
    answer = metrics_pb.ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = rejected
    answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


#: what it does, and the kind of failure that it is counted as
HTTP: dict[str, tuple[Answer, set[str]]] = {
    "an endless body": (endless(OK + b"\r\n", b"x" * 65536), {"answer_too_large"}),
    "endless chunks": (
        endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        {"answer_too_large"},
    ),
    "a gigabyte that is promised": (
        endless(OK + b"Content-Length: 1073741824\r\n\r\n", b"x" * 65536),
        {"answer_too_large"},
    ),
    "endless headers": (
        endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 60000 + b"\r\n"),
        {"connection", "timeout"},
    ),
    "an endless line": (endless(b"HTTP/1.1 200 ", b"z" * 65536), {"connection", "timeout"}),
    "endless continuations": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), {"timeout"}),
    "a byte at a time of the headers": (trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"s"), {"timeout"}),
    "a byte at a time of the body": (trickle(OK + b"Content-Length: 100000\r\n\r\n", b"s"), {"timeout"}),
    "silence": (silent, {"timeout"}),
    "a redirect": (
        sends(b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere.test/\x1b[2J\r\nContent-Length: 0\r\n\r\n"),
        {"301"},
    ),
    "a redirect with an endless body": (
        endless(b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/\r\n\r\n", b"x" * 65536),
        {"307", "answer_too_large"},
    ),
    "a web page": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
        {"not_otlp"},
    ),
    "no protobuf": (sends(OK + b"Content-Length: 6\r\n\r\n\xff\xff\xff\xff\xff\xff"), {"not_otlp"}),
    "another protocol": (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), {"connection"}),
    "an end in the middle": (sends(OK + b"Content-Length: 500\r\n\r\nabc"), {"connection"}),
    "a status that nobody knows": (sends(b"HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n"), {"7xx"}),
    "try again in a year": (
        sends(b"HTTP/1.1 503 Busy\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n"),
        {"503"},
    ),
}

#: HTTP/2: an empty SETTINGS frame, and what a peer may do after it
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GRPC: dict[str, tuple[Answer, set[str]]] = {
    "silence": (silent, {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
    "endless garbage": (endless(b"", b"x" * 65536), {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
    "endless settings": (endless(SETTINGS, SETTINGS * 100), {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
    "endless pings": (
        endless(SETTINGS, b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" * 100),
        {"UNAVAILABLE", "DEADLINE_EXCEEDED"},
    ),
    "endless headers": (
        endless(
            SETTINGS + b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x88",
            b"\x00\x40\x00\x09\x00\x00\x00\x00\x01" + b"\x82" * 16384,
        ),
        {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNKNOWN", "CANCELLED"},
    ),
    "a byte at a time": (trickle(SETTINGS, b"\x00"), {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
    "a web server": (
        sends(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        {"UNAVAILABLE", "DEADLINE_EXCEEDED"},
    ),
    "another protocol": (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
    "a good-bye at once": (
        sends(SETTINGS + b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"),
        {"UNAVAILABLE", "DEADLINE_EXCEEDED"},
    ),
    "an end at once": (sends(b""), {"UNAVAILABLE", "DEADLINE_EXCEEDED"}),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    grown_mib: float
    kinds: dict[str, int]
    rejected: int


def export(port: int, protocol: str, scheme: str = "http", **variables: str) -> Outcome:
    """One export of the sample state to this port."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(int(TIMEOUT * 1000)),
        "OTEL_TRACES_EXPORTER": "none",
        **variables,
    }
    telemetry = Telemetry(samples.state(), read(environ), interval_seconds=3600)
    telemetry.start()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    try:
        telemetry.flush(20)
        seconds = time.monotonic() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
        failures = {
            str(dict(key)["error.type"]): count for key, count in telemetry.tally.read(instruments.EXPORT_FAILURES)
        }
        return Outcome(seconds, grown, failures, telemetry.tally.total(instruments.EXPORT_REJECTED))
    finally:
        telemetry.shutdown(0.5)


@pytest.mark.parametrize("what", HTTP)
def test_an_export_by_http_ends_in_time_and_is_counted(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever an HTTP server answers, the export fails within its time-out, in little memory, with a kind and one line in the log."""
    answer, kinds = HTTP[what]
    with server(answer) as port, caplog.at_level(logging.WARNING, "otel_jb"):
        found = export(port, "http/protobuf")
    assert set(found.kinds) <= kinds
    assert sum(found.kinds.values()) == 1
    assert found.seconds < patience(TIMEOUT + 10)
    assert found.grown_mib < 64, found
    said = [each.getMessage() for each in caplog.records if "cannot be sent" in each.getMessage()]
    assert len(said) == 1
    if "redirect" in what and "301" in kinds:
        assert r"elsewhere.test/\x1b[2J" in said[0]
        assert "as the endpoint" in said[0]


@pytest.mark.parametrize("what", GRPC)
def test_an_export_by_grpc_ends_in_time_and_is_counted(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever an HTTP/2 peer does, the export fails within its time-out, in little memory, with a kind and one line in the log."""
    answer, kinds = GRPC[what]
    with server(answer) as port, caplog.at_level(logging.WARNING, "otel_jb"):
        found = export(port, "grpc")
    assert set(found.kinds) <= kinds
    assert sum(found.kinds.values()) == 1
    assert found.seconds < patience(TIMEOUT + 10)
    assert found.grown_mib < 64, found
    assert sum("cannot be sent" in each.getMessage() for each in caplog.records) == 1


def test_grpc_writes_no_lines_of_its_own_between_those_of_the_log() -> None:
    """In a process that logs as the agent does, every line on standard error is a JSON object, whatever gRPC meets."""
    script = """
import sys
from otel_jb.agent.log import configure
configure("info", "json")
from otel_jb.config.environment import read
from otel_jb.telemetry.pipeline import Telemetry
from tests import telemetry_samples as samples
settings = read({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1], "OTEL_EXPORTER_OTLP_TIMEOUT": "1000"})
telemetry = Telemetry(samples.state(), settings, interval_seconds=3600)
telemetry.start()
telemetry.flush(5)
telemetry.shutdown(0.5)
"""
    for what in ("a good-bye at once", "endless garbage", "another protocol"):
        with server(GRPC[what][0]) as port:
            done = subprocess.run(
                [sys.executable, "-c", script, f"http://127.0.0.1:{port}"],
                capture_output=True,
                text=True,
                timeout=patience(60),
                check=True,
                cwd=Path(__file__).parents[2],
            )
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert any("cannot be sent" in line["message"] for line in lines)


def test_a_grpc_answer_that_is_too_large_is_refused() -> None:
    """A server whose answer has 3 MiB, which gRPC would take, fails the export."""
    large = partial(1, "x" * (3 << 20))

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: large)

    running = grpc.server(futures.ThreadPoolExecutor(1))
    running.add_generic_rpc_handlers((Handler(),))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        found = export(port, "grpc")
    finally:
        running.stop(0).wait(5)
    assert found.kinds == {"RESOURCE_EXHAUSTED": 1}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_what_a_receiver_refuses_of_an_export_is_counted_and_said_once(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Partial success is no failure: the refused points are counted, and the reason is logged when it is a new one."""
    body = partial(7, "too\nold")

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: body)

    with contextlib.ExitStack() as stack, caplog.at_level(logging.WARNING, "otel_jb"):
        if protocol == "grpc":
            running = grpc.server(futures.ThreadPoolExecutor(1))
            running.add_generic_rpc_handlers((Handler(),))
            port = running.add_insecure_port("127.0.0.1:0")
            running.start()
            stack.callback(lambda: running.stop(0).wait(5))
        else:
            head = OK + f"Content-Length: {len(body)}\r\n\r\n".encode()
            port = stack.enter_context(server(sends(head + body)))
        found = export(port, protocol)
    assert found.kinds == {}
    assert found.rejected > 0
    assert found.rejected % 7 == 0
    said = [each.getMessage() for each in caplog.records if "refused 7 data points" in each.getMessage()]
    assert len(said) == 1
    assert r"too\nold" in said[0]


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for 127.0.0.1, and its key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    what = f"-newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", "-x509", *what.split(), *files], check=True, capture_output=True)
    return cert, key


def test_the_exporters_certificate_wins_over_requests_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE says whom to trust, whatever REQUESTS_CA_BUNDLE names; without it that bundle is used."""
    ours, key = certificate(tmp_path, "receiver")
    other, _ = certificate(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours, key)
    good = sends(OK + b"Content-Length: 0\r\n\r\n")

    def wrap(plain: socket.socket) -> socket.socket:
        return context.wrap_socket(plain, server_side=True)

    with server(good, wrap) as port:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
        trusted = export(port, "http/protobuf", "https", OTEL_EXPORTER_OTLP_CERTIFICATE=str(ours))
        assert trusted.kinds == {}
        assert sum(export(port, "http/protobuf", "https").kinds.values()) == 1
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours))
        assert export(port, "http/protobuf", "https").kinds == {}
        refused = export(port, "http/protobuf", "https", OTEL_EXPORTER_OTLP_CERTIFICATE=str(other))
        assert sum(refused.kinds.values()) == 1


def test_a_netrc_does_not_replace_the_configured_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Authorization header is the configuration's, even where a .netrc knows the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password x\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with http_receiver() as receiver:
        port = int(receiver.endpoint.rpartition(":")[2])
        assert export(port, "http/protobuf", OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20ours").kinds == {}
        assert {headers["authorization"] for headers in receiver.headers} == {"Bearer ours"}


@pytest.mark.parametrize(("protocol", "receiver"), [("grpc", grpc_receiver), ("http/protobuf", http_receiver)])
def test_a_good_receiver_is_none_of_these(protocol: str, receiver: Any) -> None:
    """An honest receiver gets the points, and nothing is counted as failed or refused."""
    with receiver() as running:
        found = export(int(running.endpoint.rpartition(":")[2]), protocol)
        assert running.metric_requests
    assert (found.kinds, found.rejected) == ({}, 0)
