"""The agent's HTTP endpoint: /metrics, /health, /ready and what else is given to it.

A small server of its own, because it runs in a privileged process: GET and HEAD only, fixed paths (nothing is ever looked up in
a file system), a request of at most 16 KiB that has to be complete within 5 s, at most 16 connections at once, one request a
connection. A connection is served on its own thread, and TLS shakes hands there, so that a silent client holds up nobody.
"""

from __future__ import annotations

import errno
import html
import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import otel_jb
from otel_jb.model.errors import AddressInUseError, PermissionDeniedError, UsageError

_logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
MAX_REQUEST_BYTES = 16 * 1024
MAX_REQUEST_LINE_BYTES = 2048
SOCKET_TIMEOUT_SECONDS = 5.0

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Connection": "close",
}
_DEFAULT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a page sees it; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client: str


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Its headers are added to those that every answer bears."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Page = Callable[[Request], Response]


class SharedRefresh:
    """Calls `refresh` so that values are at most `max_age` seconds old; callers that come while it runs share its outcome."""

    def __init__(
        self, refresh: Callable[[], None], max_age: float = 0.25, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._refresh = refresh
        self._max_age = max_age
        self._now = now
        self._lock = threading.Lock()
        self._started: float | None = None
        self._generation = 0

    def __call__(self) -> int:
        """Refresh if need be. Returns a number that is another one after each refresh; lets its exceptions through."""
        with self._lock:
            started = self._now()
            if self._started is None or started - self._started > self._max_age:
                self._refresh()
                self._started = started
                self._generation += 1
            return self._generation


def standard_pages(
    metrics: Callable[[str, str, object], tuple[bytes, dict[str, str]]] | None,
    refresh: SharedRefresh,
    readiness: Callable[[], tuple[bool, str]],
) -> dict[str, Page]:
    """/metrics, /health and /ready.

    Args:
        metrics: `MetricsPage.render`; None, or a UsageError from it: no /metrics (OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED
            say so).
        refresh: reads the kernel.
        readiness: whether values are to be had, and why not.
    """
    started = time.monotonic()

    def metrics_page(request: Request) -> Response:
        if metrics is None:
            return _text(
                HTTPStatus.NOT_FOUND, "metrics are not exposed: OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED says so"
            )
        try:
            generation = refresh()
        except Exception as error:  # noqa: BLE001 (whatever it is, a scrape gets an answer and the agent goes on)
            _logger.warning("a scrape was refused because the probes could not be read: %s", error)
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, f"the probes cannot be read: {error}")
        accept, accept_encoding = request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
        try:
            body, headers = metrics(accept, accept_encoding, generation)
        except UsageError as error:
            return _text(HTTPStatus.NOT_FOUND, error.message)
        content_type = headers.pop("Content-Type")
        return Response(body, content_type, headers=headers)

    def health_page(_: Request) -> Response:
        uptime = round(time.monotonic() - started, 3)
        return _json(HTTPStatus.OK, {"status": "ok", "version": otel_jb.__version__, "uptime_seconds": uptime})

    def ready_page(_: Request) -> Response:
        ready, reason = readiness()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"ready": ready, "reason": reason})

    return {"/metrics": metrics_page, "/health": health_page, "/ready": ready_page}


def _json(status: HTTPStatus, value: object) -> Response:
    return Response(json.dumps(value).encode() + b"\n", "application/json", status)


def _text(status: HTTPStatus, message: str) -> Response:
    return Response(message.encode("utf-8", "replace") + b"\n", status=status)


class _BadRequestError(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Endpoint:
    """The server; listens as soon as it is made, answers from `start()` on.

    Args:
        host, port: where to listen, see `otel_jb.config.Address`; port 0 lets the system choose.
        pages: handlers by exact path; `/` is made from their names unless it is among them.
        wrap: turns an accepted socket into a TLS one; called on the connection's own thread, with a time-out set.
        authorise: whether a request may be answered (asked for everything but /health); else 401.

    Raises:
        AddressInUseError: the address is taken, or is none of this machine's.
        PermissionDeniedError: a privileged port.
        UsageError: the host's name cannot be resolved.
    """

    def __init__(
        self,
        host: str,
        port: int,
        pages: Mapping[str, Page],
        wrap: Callable[[socket.socket], socket.socket] | None = None,
        authorise: Callable[[Request], bool] | None = None,
    ) -> None:
        self._pages = dict(pages)
        self._pages.setdefault("/", self._index)
        self._wrap = wrap
        self._authorise = authorise
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._listener = _listen(host, port)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.host: str = host
        self.port: int = self._listener.getsockname()[1]
        if not _is_loopback(self._listener.getsockname()[0]):
            _logger.warning(
                "listening on %s, which other machines can reach; the metrics name programs and functions of this one%s",
                self.address,
                "" if wrap and authorise else ", and are served without encryption or password",
            )

    @property
    def address(self) -> str:
        """HOST:PORT with the real port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the index page."""
        return f"{'https' if self._wrap else 'http'}://{self.address}/"

    def start(self) -> None:
        """Answer from now on, on threads of its own."""
        self._thread = threading.Thread(target=self._accept, name="endpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Answers under way are not waited for: their threads end with their time-out."""
        self._closing.set()
        # Closing alone would leave accept() waiting.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        if self._thread is not None:
            self._thread.join(1.0)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError as error:
                if self._closing.is_set():
                    return
                # Out of descriptors, or the client is gone already: neither is worth an end, nor a busy loop.
                _logger.debug("accept: %s", error)
                self._closing.wait(0.1)
                continue
            if not self._slots.acquire(blocking=False):
                self._refuse(connection)
                continue
            try:
                threading.Thread(
                    target=self._serve, args=(connection, str(peer[0])), name="endpoint-connection", daemon=True
                ).start()
            except RuntimeError:  # no more threads
                self._slots.release()
                connection.close()

    def _refuse(self, connection: socket.socket) -> None:
        with connection:
            if self._wrap is None:
                connection.settimeout(0.0)
                try:
                    connection.send(_encode(_text(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"), head=False))
                except OSError:
                    pass

    def _serve(self, connection: socket.socket, client: str) -> None:
        try:
            deadline = time.monotonic() + SOCKET_TIMEOUT_SECONDS
            connection.settimeout(SOCKET_TIMEOUT_SECONDS)
            if self._wrap is not None:
                connection = self._wrap(connection)
            try:
                request = _read_request(connection, client, deadline)
                response, head = self._answer(request), request.method == "HEAD"
            except _BadRequestError as error:
                response, head = _text(error.status, error.status.phrase), False
            connection.settimeout(SOCKET_TIMEOUT_SECONDS)
            connection.sendall(_encode(response, head))
            connection.shutdown(socket.SHUT_WR)
        except (OSError, EOFError) as error:
            _logger.debug("connection from %s: %s", client, error)
        finally:
            connection.close()
            self._slots.release()

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            message = f"{HTTPStatus.METHOD_NOT_ALLOWED.phrase}\n".encode()
            return Response(message, status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        if self._authorise is not None and request.path != "/health" and not self._authorise(request):
            headers = {"WWW-Authenticate": 'Basic realm="otel_jb", charset="UTF-8"'}
            return Response(b"unauthorised\n", status=HTTPStatus.UNAUTHORIZED, headers=headers)
        page = self._pages.get(request.path)
        if page is None:
            return _text(HTTPStatus.NOT_FOUND, f"no such page; there are: {' '.join(sorted(self._pages))}")
        try:
            return page(request)
        except Exception:
            _logger.exception("%s failed", request.path)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "the agent failed to make this page; its log says why")

    def _index(self, _: Request) -> Response:
        links = "".join(
            f'<li><a href="{html.escape(path)}">{html.escape(path)}</a></li>'
            for path in sorted(self._pages)
            if path != "/"
        )
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>otel_jb</title></head>'
            f"<body><h1>otel_jb {html.escape(otel_jb.__version__)}</h1><ul>{links}</ul></body></html>\n"
        )
        return Response(page.encode(), "text/html; charset=utf-8")


def _listen(host: str, port: int) -> socket.socket:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(
            f"the host name in {where} cannot be resolved: {error}", "Name an address, for example 127.0.0.1:9310."
        ) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"{where} is taken by another program",
                f"See which one: ss -ltnp 'sport = :{port}'. Or choose another port: --listen HOST:PORT (port 0: any free one).",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PermissionDeniedError(
                f"no permission to listen on {where}",
                "Ports below 1024 ask CAP_NET_BIND_SERVICE; choose a higher one: --listen HOST:PORT.",
            ) from error
        raise AddressInUseError(
            f"cannot listen on {where}: {error.strerror}",
            "The host has to be one of this machine's addresses: ip -brief address. Choose another: --listen HOST:PORT.",
        ) from error
    return listener


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _read_request(connection: socket.socket, client: str, deadline: float) -> Request:
    """The request's line and headers; a body is never read.

    The deadline is for all of it, since a time-out for each read would let a client send a byte every four seconds for ever.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        if b"\r\n" not in data and len(data) > MAX_REQUEST_LINE_BYTES:
            raise _BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(data) > MAX_REQUEST_BYTES:
            raise _BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise _BadRequestError(HTTPStatus.REQUEST_TIMEOUT)
        connection.settimeout(remaining)
        try:
            received = connection.recv(4096)
        except TimeoutError:
            raise _BadRequestError(HTTPStatus.REQUEST_TIMEOUT) from None
        if not received:
            raise EOFError("closed before the request was complete")
        data += received
    line, *fields = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(line) > MAX_REQUEST_LINE_BYTES:
        raise _BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise _BadRequestError(HTTPStatus.BAD_REQUEST)
    headers: dict[str, str] = {}
    for text in fields:
        name, separator, value = text.partition(":")
        if not separator or not name or name != name.strip():
            raise _BadRequestError(HTTPStatus.BAD_REQUEST)
        headers[name.lower()] = value.strip()
    try:
        target = urlsplit(words[1])
    except ValueError:
        raise _BadRequestError(HTTPStatus.BAD_REQUEST) from None
    return Request(words[0], target.path, target.query, headers, client)


def _encode(response: Response, head: bool) -> bytes:
    status = HTTPStatus(response.status)
    headers = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Content-Security-Policy": _DEFAULT_POLICY,
        **_ALWAYS,
        **response.headers,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    encoded = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return encoded if head else encoded + response.body
