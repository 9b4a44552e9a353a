from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.model.errors import AddressInUseError, PermissionDeniedError, UsageError
from otel_jb.telemetry import endpoint as module
from otel_jb.telemetry.endpoint import Endpoint, Page, Request, Response, SharedRefresh, standard_pages

pytestmark = pytest.mark.unit


@contextmanager
def serving(pages: dict[str, Page] | None = None, host: str = "127.0.0.1") -> Iterator[Endpoint]:
    made = Endpoint(host, 0, pages or {"/hello": lambda _: Response(b"hello\n")})
    made.start()
    try:
        yield made
    finally:
        made.close()


def fetch(made: Endpoint, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(made.host, made.port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), {key.lower(): value for key, value in response.getheaders()}
    finally:
        connection.close()


def exchange(made: Endpoint, sent: bytes) -> bytes:
    with socket.create_connection((made.host, made.port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_pages_are_served_with_their_headers() -> None:
    """GET answers with the page and security headers; HEAD with the same headers and no body."""
    with serving() as made:
        status, body, headers = fetch(made, "/hello?x=1")
        assert (status, body) == (200, b"hello\n")
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        status, body, head = fetch(made, "/hello", "HEAD")
        assert (status, body, head) == (200, b"", headers)


@pytest.mark.parametrize("path", ["/nothing", "/../../etc/passwd", "/hello/../../etc/passwd", "//hello", "/hello%2f.."])
def test_other_paths_are_not_found(path: str) -> None:
    """Only the exact paths exist; nothing is looked up anywhere."""
    with serving() as made:
        status, body, _ = fetch(made, path)
        assert status == 404
        assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(method: str) -> None:
    """Methods other than GET and HEAD get 405 and the list of those allowed."""
    with serving() as made:
        status, _, headers = fetch(made, "/hello", method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /hello\r\n\r\n", b"400"),
        (b"GET /hello HTTP/2.0\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\nbroken\r\n\r\n", b"400"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /hello HTTP/1.1\r\n" + b"a: b\r\n" * 4000 + b"\r\n", b"431"),
    ],
)
def test_malformed_requests_are_refused(sent: bytes, status: bytes) -> None:
    """A malformed or oversized request gets its 4xx, and the server goes on."""
    with serving() as made:
        try:
            answer = exchange(made, sent)
        except ConnectionResetError:  # the server did not read all of what was too long
            answer = b"HTTP/1.1 " + status
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert fetch(made, "/hello")[0] == 200


def test_a_client_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not complete within the time-out is ended, however often a byte arrives."""
    monkeypatch.setattr(module, "SOCKET_TIMEOUT_SECONDS", 0.3)
    with serving() as made, socket.create_connection((made.host, made.port), timeout=5) as connection:
        answer = None  # b"" once the server has closed the connection
        connection.settimeout(0.05)
        deadline = time.monotonic() + 30
        while answer is None:
            assert time.monotonic() < deadline, "a byte now and then keeps the connection open"
            try:
                connection.send(b"G")
                answer = connection.recv(100)
            except TimeoutError:
                continue
            except OSError:
                answer = b""
        assert not answer or b"408" in answer


def test_connections_beyond_sixteen_are_refused_and_slots_come_back() -> None:
    """The seventeenth connection at once gets 503; when the others end, requests are answered again."""
    with serving() as made:
        idle = [socket.create_connection((made.host, made.port), timeout=5) for _ in range(16)]
        deadline = time.monotonic() + 5
        while made._slots._value and time.monotonic() < deadline:
            time.sleep(0.005)
        assert fetch(made, "/hello")[0] == 503
        for connection in idle:
            connection.close()
        while made._slots._value < 16 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert fetch(made, "/hello")[0] == 200


def test_a_failing_page_is_a_500_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    """A page that raises is answered with 500, its reason goes to the log only."""

    def fail(_: Request) -> Response:
        raise RuntimeError("secret")

    with serving({"/fail": fail}) as made:
        status, body, _ = fetch(made, "/fail")
    assert status == 500
    assert b"secret" not in body
    assert "secret" in caplog.text


def test_health_ready_and_metrics() -> None:
    """/health is always 200, /ready says why not, /metrics is 503 where the kernel cannot be read."""
    broken, ready = threading.Event(), threading.Event()

    def refresh() -> None:
        if broken.is_set():
            raise RuntimeError("map is gone")

    pages = standard_pages(
        lambda _accept, _encoding, version: (f"v{version}".encode(), {"Content-Type": "text/plain"}),
        SharedRefresh(refresh, max_age=0.0),
        lambda: (True, "") if ready.is_set() else (False, "no probe is attached"),
    )
    with serving(pages) as made:
        assert fetch(made, "/metrics")[:2] == (200, b"v1")
        assert json.loads(fetch(made, "/health")[1])["status"] == "ok"
        status, body, _ = fetch(made, "/ready")
        assert (status, json.loads(body)) == (503, {"ready": False, "reason": "no probe is attached"})
        ready.set()
        assert fetch(made, "/ready")[0] == 200
        broken.set()
        status, body, _ = fetch(made, "/metrics")
        assert status == 503
        assert b"map is gone" in body
        assert fetch(made, "/health")[0] == 200
        assert b'href="/metrics"' in fetch(made, "/")[1]


def test_concurrent_scrapes_share_one_refresh() -> None:
    """Callers that come while a refresh runs wait for it instead of starting their own."""
    calls = []
    gate = threading.Barrier(8)

    def slow() -> None:
        calls.append(1)
        time.sleep(0.05)

    shared = SharedRefresh(slow)
    generations = []

    def scrape() -> None:
        gate.wait()
        generations.append(shared())

    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert generations == [1] * 8


def test_values_are_refreshed_when_they_are_old() -> None:
    """A caller gets values that are at most `max_age` old."""
    now = [100.0]
    count = []
    shared = SharedRefresh(lambda: count.append(1), max_age=1.0, now=lambda: now[0])
    assert [shared(), shared()] == [1, 1]
    now[0] += 1.01
    assert shared() == 2
    assert len(count) == 2


def test_ipv6_and_real_port_are_reported() -> None:
    """Port 0 becomes the real port, and an IPv6 address is written in brackets."""
    with serving(host="::1") as made:
        assert made.port > 0
        assert made.url == f"http://[::1]:{made.port}/"
        assert fetch(made, "/hello")[0] == 200


def test_a_taken_address_is_an_error_with_a_remedy() -> None:
    """A port in use raises AddressInUseError, whose help says how to find the other program."""
    with serving() as made, pytest.raises(AddressInUseError) as caught:
        Endpoint("127.0.0.1", made.port, {})
    assert str(made.port) in caught.value.message
    assert "ss -ltnp" in caught.value.help


def test_an_address_of_another_machine_is_an_error() -> None:
    """An address that this machine does not have is AddressInUseError with a remedy, an unknown name UsageError."""
    with pytest.raises(AddressInUseError) as caught:
        Endpoint("192.0.2.1", 0, {})
    assert caught.value.help
    with pytest.raises(UsageError):
        Endpoint("no.such.host.invalid", 0, {})


def test_a_privileged_port_names_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    """No permission to bind is PermissionDeniedError that names the capability."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PermissionDeniedError) as caught:
        Endpoint("127.0.0.1", 80, {})
    assert "CAP_NET_BIND_SERVICE" in caught.value.help


def test_listening_for_other_machines_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """An address that is not loopback is announced in the log, loopback is not."""
    with caplog.at_level(logging.WARNING):
        Endpoint("127.0.0.1", 0, {}).close()
        assert not caplog.records
        Endpoint("0.0.0.0", 0, {}).close()
    assert "other machines" in caplog.text


def test_closing_frees_the_port() -> None:
    """After close() the port can be bound again at once, and no answer comes any more."""
    with serving() as made:
        assert fetch(made, "/hello")[0] == 200
    with pytest.raises(OSError):
        fetch(made, "/hello")
    again = Endpoint("127.0.0.1", made.port, {})
    again.close()


def test_unauthorised_requests_are_refused_but_health_is_open() -> None:
    """With `authorise`, other pages than /health answer 401 to who is not."""
    pages: dict[str, Page] = {"/metrics": lambda _: Response(b"m"), "/health": lambda _: Response(b"h")}
    made = Endpoint("127.0.0.1", 0, pages, authorise=lambda request: "authorization" in request.headers)
    made.start()
    try:
        assert fetch(made, "/metrics")[0] == 401
        assert fetch(made, "/health")[0] == 200
        answer = exchange(made, b"GET /metrics HTTP/1.1\r\nAuthorization: Basic eA==\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
    finally:
        made.close()


@given(
    st.binary(max_size=600)
    | st.builds(lambda parts: b"GET " + b"".join(parts) + b"\r\n\r\n", st.lists(st.binary(max_size=20), max_size=8))
)
def test_any_bytes_are_a_request_or_a_refusal(sent: bytes) -> None:
    """Whatever a client sends, it is read as a request, refused with a status, or ended; nothing else is raised."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        outcome: object
        try:
            outcome = module._read_request(ours, "test", time.monotonic() + 5)
        except (module._BadRequestError, EOFError) as error:
            outcome = error
    if isinstance(outcome, module._BadRequestError):
        assert 400 <= outcome.status < 500
    elif isinstance(outcome, EOFError):
        assert b"\r\n\r\n" not in sent
    else:
        assert isinstance(outcome, Request)
        assert sent.startswith(outcome.method.encode("latin-1"))


def test_metrics_that_are_turned_off_are_not_found() -> None:
    """Where the environment turns /metrics off it is 404 with the reason, and health stays."""

    def refuse(_accept: str, _encoding: str, _version: object) -> tuple[bytes, dict[str, str]]:
        raise UsageError("OTEL_SDK_DISABLED says so")

    for metrics in (None, refuse):
        with serving(standard_pages(metrics, SharedRefresh(lambda: None), lambda: (True, ""))) as made:
            status, body, _ = fetch(made, "/metrics")
            assert status == 404
            assert b"OTEL_SDK_DISABLED" in body
            assert fetch(made, "/health")[0] == 200
