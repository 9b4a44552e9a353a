# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
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
from otel_jb.telemetry import connections, http1
from otel_jb.telemetry.access import Hosts
from otel_jb.telemetry.endpoint import Endpoint, Page, SharedRefresh, standard_pages
from otel_jb.telemetry.http1 import Request, Response
from tests.scale import patience

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


HOST = b"Host: 127.0.0.1\r\n"
LINES: dict[bytes, bytes] = {  # request line -> status; a good Host follows
    b"GET /hello": b"400",
    b"GET": b"400",
    b"": b"400",
    b" ": b"400",
    b"GET  /hello HTTP/1.1": b"400",
    b"GET /hello  HTTP/1.1": b"400",
    b" GET /hello HTTP/1.1": b"400",
    b"GET /hello HTTP/1.1 ": b"400",
    b"GET\t/hello\tHTTP/1.1": b"400",
    b"GET /hello HTTP/2.0": b"505",
    b"GET /hello HTTP/0.9": b"505",
    b"GET /hello HTTP/1.10": b"400",
    b"GET /hello HTTP/1": b"400",
    b"GET /hello http/1.1": b"400",
    b"GET /hello HTTPS/1.1": b"400",
    b"G\x00T /hello HTTP/1.1": b"400",
    b"G(T /hello HTTP/1.1": b"400",
    b"get /hello HTTP/1.1": b"405",
    b"BREW /hello HTTP/1.1": b"405",
    b"PRI * HTTP/2.0": b"505",
    b"OPTIONS * HTTP/1.1": b"400",
    b"CONNECT 127.0.0.1:22 HTTP/1.1": b"400",
    b"GET hello HTTP/1.1": b"400",
    b"GET ../hello HTTP/1.1": b"400",
    b"GET ?hello HTTP/1.1": b"400",
    b"GET #hello HTTP/1.1": b"400",
    b"GET http://[ HTTP/1.1": b"400",
    b"GET http://127.0.0.1 HTTP/1.1": b"400",
    b"GET file:///etc/passwd HTTP/1.1": b"400",
    b"GET gopher://x/hello HTTP/1.1": b"400",
    b"GET javascript:alert(1) HTTP/1.1": b"400",
    b"GET /hel\x00lo HTTP/1.1": b"400",
    b"GET /hel\x7flo HTTP/1.1": b"400",
    b"GET /hel\xfflo HTTP/1.1": b"400",
    b"GET /hel\x1b[2Jlo HTTP/1.1": b"400",
    b"GET /hel\rlo HTTP/1.1": b"400",
    b"GET /hel\nlo HTTP/1.1": b"400",
    b"GET /hello\xc0\xaf HTTP/1.1": b"400",
    b"GET /" + b"a" * 3000 + b" HTTP/1.1": b"414",
    b"\x16\x03\x01\x02\x00\x01": b"400",
    b"\x00" * 100: b"400",
    b"{}": b"400",
}
HEADERS: dict[bytes, bytes] = {  # what follows a good request line -> status
    b"": b"400",  # no Host
    HOST + b"Host: other\r\n": b"400",
    HOST + b"broken\r\n": b"400",
    HOST + b": empty\r\n": b"400",
    HOST + b"a b: c\r\n": b"400",
    HOST + b"a : c\r\n": b"400",
    HOST + b" folded: line\r\n": b"400",
    HOST + b"X: a\r\n b\r\n": b"400",
    HOST + b"X: a\nY: b\r\n": b"400",
    HOST + b"X: a\rb\r\n": b"400",
    HOST + b"X: a\x00b\r\n": b"400",
    HOST + b"X: \x1b[2J\r\n": b"400",
    HOST + b"X\xff: a\r\n": b"400",
    HOST + b"Content-Length: 5\r\n": b"413",
    HOST + b"Content-Length: -1\r\n": b"413",
    HOST + b"Content-Length: 0\r\nContent-Length: 5\r\n": b"400",
    HOST + b"Transfer-Encoding: chunked\r\n": b"413",
    HOST + b"Authorization: a\r\nAuthorization: b\r\n": b"400",
    HOST + b"a: b\r\n" * 150: b"431",
    HOST + b"a: " + b"b" * 20000 + b"\r\n": b"431",
    b"Host: evil.example\r\n": b"421",
    b"Host: 127.0.0.1.evil.example:9310\r\n": b"421",
    b"Host: localhost.evil.example\r\n": b"421",
    b"Host: [evil\r\n": b"421",
    b"Host: ,\r\n": b"421",
}
MALFORMED = [
    *(pytest.param(line + b"\r\n" + HOST + b"\r\n", status, id=repr(line[:40])) for line, status in LINES.items()),
    *(
        pytest.param(b"GET /hello HTTP/1.1\r\n" + rest + b"\r\n", status, id=repr(rest[:60]))
        for rest, status in HEADERS.items()
    ),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serving() as made:
        yield made


@pytest.mark.parametrize(("sent", "status"), MALFORMED)
def test_malformed_requests_are_refused(endpoint: Endpoint, sent: bytes, status: bytes) -> None:
    """A malformed, oversized or foreign request gets its status, and the server goes on."""
    try:
        answer = exchange(endpoint, sent)
    except ConnectionResetError:  # the server did not read all of what was too long
        answer = b"HTTP/1.1 " + status
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert fetch(endpoint, "/hello")[0] == 200


def test_there_are_sixty_malformed_requests() -> None:
    """The list does not shrink."""
    assert len(MALFORMED) >= 60


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9310",
        "localhost:1",
        "LOCALHOST",
        "[::1]:9310",
        "192.0.2.7",
        "a.localhost",
        socket.gethostname(),
    ],
)
def test_names_of_this_machine_and_addresses_are_answered_to(endpoint: Endpoint, host: str) -> None:
    """Addresses, localhost and the machine's own name are good Hosts; only a foreign name can be rebound."""
    assert exchange(endpoint, f"GET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")


def test_further_names_may_be_allowed() -> None:
    """A name in `allowed_hosts` is answered to, by wildcard too; on an address of the network any name is, unless some are listed."""
    hosts = Hosts("127.0.0.1", ("jb.example", "*.internal"), strict=True)
    wide, narrow = Hosts("0.0.0.0", (), strict=False), Hosts("0.0.0.0", ("jb.example",), strict=False)

    def asks(name: str) -> Request:
        return Request("GET", "/", "", {"host": name}, "test")

    assert [hosts.answers_to(asks(name)) for name in ("JB.example:9310", "a.internal", "evil.example")] == [
        True,
        True,
        False,
    ]
    assert wide.answers_to(asks("evil.example"))
    assert not narrow.answers_to(asks("evil.example"))


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=1.000", True),
        ("*", True),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=nan", False),
        ("gzip;q=2", False),
        ("identity", False),
        ("xgzip", False),
    ],
)
def test_a_weight_of_zero_refuses_gzip(header: str, accepted: bool) -> None:
    """Accept-Encoding is read with its weights, as RFC 9110 has it."""
    assert http1.accepts_gzip(header) is accepted


def test_a_body_in_parts_is_sent_as_it_is_made() -> None:
    """The first part arrives before the last is made; HTTP/1.1 gets chunks, HTTP/1.0 the plain body, HEAD none."""
    go = threading.Event()

    def parts() -> Iterator[bytes]:
        yield b"first"
        assert go.wait(20)
        yield b""
        yield b"second"

    with serving({"/parts": lambda _: Response(parts())}) as made:
        with socket.create_connection((made.host, made.port), timeout=10) as connection:
            connection.sendall(b"GET /parts HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while b"first" not in received:
                received += connection.recv(4096)
            go.set()
            while data := connection.recv(4096):
                received += data
        assert received.endswith(b"\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")
        assert exchange(made, b"GET /parts HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nfirstsecond")
        status, body, headers = fetch(made, "/parts", "HEAD")
        assert (status, body, headers["transfer-encoding"]) == (200, b"", "chunked")


def test_a_client_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not complete within the time-out is ended, however often a byte arrives."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.3)
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


def seconds_to_fetch(made: Endpoint) -> float:
    """How long a page takes, which must be answered well."""
    started = time.monotonic()
    assert fetch(made, "/hello")[0] == 200
    return time.monotonic() - started


@pytest.mark.parametrize("kind", ["silent", "half a request", "not reading"])
def test_five_hundred_slow_connections_leave_scrapes_alone(kind: str) -> None:
    """While 500 clients of the same address say nothing, dribble, or do not read their answers, others are answered within a second."""
    large = b"x" * (4 << 20)
    sent = {"silent": b"", "half a request": b"GET /hello HTTP/1.1\r\n", "not reading": b"GET /large HTTP/1.0\r\n\r\n"}[
        kind
    ]
    pages: dict[str, Page] = {"/hello": lambda _: Response(b"hello\n"), "/large": lambda _: Response(large)}
    slow: list[socket.socket] = []
    others = threading.active_count()  # of tests before this one
    with serving(pages) as made:
        try:
            for number in range(500):
                connection = socket.socket()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(10)
                connection.connect((made.host, made.port))
                connection.sendall(sent)
                slow.append(connection)
                if number % 50 == 49:
                    # A machine that does something else for a second does not do so three times in a row; slow clients would.
                    assert min(seconds_to_fetch(made) for _ in range(3)) < patience(1.0)
            assert threading.active_count() - others < 40
        finally:
            for connection in slow:
                connection.close()
        assert fetch(made, "/hello")[0] == 200


def test_one_client_leaves_room_for_others() -> None:
    """A machine that opens more connections than one may have loses its own oldest ones, not those of another."""
    with serving(host="127.0.0.1") as made:

        def open_from(address: str) -> socket.socket:
            return socket.create_connection((made.host, made.port), timeout=10, source_address=(address, 0))

        other = open_from("127.0.0.2")
        many = [open_from("127.0.0.3") for _ in range(200)]
        try:
            assert fetch(made, "/hello")[0] == 200
            other.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")
            many[0].settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert many[0].recv(1) == b""
        finally:
            for connection in (other, *many):
                connection.close()


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

    shared = SharedRefresh(slow, now=lambda: 100.0)  # no caller is so late that the values are old
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


@given(
    st.binary(max_size=600)
    | st.builds(lambda parts: b"GET " + b"".join(parts), st.lists(st.binary(max_size=20), max_size=8))
)
def test_any_bytes_are_a_request_or_a_refusal(sent: bytes) -> None:
    """Whatever a client sends, it is read as a request or refused with a status; nothing else is raised."""
    refused: int | None = None
    try:
        found = http1.parse(sent, "test")
    except http1.BadRequestError as error:
        refused = int(error.status)
    else:
        assert found.path.startswith("/")
        assert sent.startswith(found.method.encode("latin-1"))
    assert refused is None or 400 <= refused < 600


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
