# SPDX-License-Identifier: Apache-2.0
"""The agent's HTTP endpoint: /metrics, /health, /ready and any other pages passed to it.

A small server of its own, because it runs in a privileged process: GET and HEAD only, fixed paths (nothing is ever looked up in
a file system), one small request a connection. `http1` reads requests, `connections` keeps slow clients from disturbing others,
`access` says who is let in.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import otel_jb
from otel_jb.model.errors import AddressInUseError, PermissionDeniedError, UsageError
from otel_jb.telemetry.access import Access, Hosts
from otel_jb.telemetry.http1 import Request, Response

if TYPE_CHECKING:
    import ssl

    from otel_jb.telemetry.connections import Connections

_logger = logging.getLogger(__name__)

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
    metrics: Callable[[str, str, object], tuple[bytes | Iterable[bytes], dict[str, str]]] | None,
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
                HTTPStatus.NOT_FOUND, "metrics are not exposed, because of OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED"
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


class Endpoint:
    """The server; listens as soon as it is made, answers from `start()` on.

    Args:
        host, port: where to listen, see `otel_jb.config.model.Address`; port 0 lets the system choose.
        pages: handlers by exact path; `/` is made from their names unless it is among them.
        access: TLS, passwords and tokens (asked for everything but /health); None: plain text, for everybody.
        allowed_hosts: names beside this machine's own that requests may ask for, with wildcards.

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
        access: Access | None = None,
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        self._pages = dict(pages)
        self._pages.setdefault("/", self._index)
        self._access = access
        self._listener = _listen(host, port)
        self._connections: Connections | None = None
        self.host: str = host
        self.port: int = self._listener.getsockname()[1]
        self._local = local = _is_loopback(self._listener.getsockname()[0])
        self._hosts = Hosts(host, allowed_hosts, strict=local)
        encrypted = access is not None and access.encrypts
        if not local and not (encrypted and access is not None and access.protects):
            _logger.warning(
                "listening on %s, which other machines can reach; the metrics name programs and functions of this one, and are served"
                " %s",
                self.address,
                "to everybody" if encrypted else "without encryption",
            )

    @property
    def address(self) -> str:
        """HOST:PORT with the real port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the index page."""
        return f"{'https' if self._access is not None and self._access.encrypts else 'http'}://{self.address}/"

    def start(self) -> None:
        """Start answering, on separate threads."""
        from otel_jb.telemetry.connections import Connections

        self._connections = Connections(
            self._listener,
            self._answer,
            self._at_once,
            self._context,
            needs_check=lambda request: self._lets_in(request) is None,
            check=self._check,
        )
        self._connections.start()

    def use(self, access: Access | None, allowed_hosts: Sequence[str] = ()) -> None:
        """Let in by other rules from the next connection on. Streams of events are cut: they were let in by the old ones."""
        self._access = access
        self._hosts = Hosts(self.host, allowed_hosts, strict=self._local)
        if self._connections is not None:
            self._connections.end_streams()

    def close(self) -> None:
        """Stop listening. Answers under way are cut off."""
        if self._connections is not None:
            self._connections.close()
        self._listener.close()

    def _context(self) -> ssl.SSLContext | None:
        return self._access.context() if self._access is not None else None

    def _lets_in(self, request: Request) -> bool | None:
        """None where it takes time to tell."""
        if self._access is None or request.path == "/health":
            return True
        return self._access.lets_in_at_once(request)

    def _check(self, request: Request) -> Response | None:
        access = self._access
        return None if access is None or access.lets_in(request) else self._unauthorised(access)

    @staticmethod
    def _unauthorised(access: Access) -> Response:
        headers = {"WWW-Authenticate": f'{access.realm} realm="otel_jb"'}
        return Response(b"unauthorised\n", status=HTTPStatus.UNAUTHORIZED, headers=headers)

    def _at_once(self, request: Request) -> Response | None:
        """What needs no page: refusals, and /health, which says that this thread is alive."""
        if not self._hosts.answers_to(request):
            return _text(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this is not a name of this machine; ask for 127.0.0.1, or add the name to allowed_hosts",
            )
        if request.method not in ("GET", "HEAD"):
            message = f"{HTTPStatus.METHOD_NOT_ALLOWED.phrase}\n".encode()
            return Response(message, status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        if self._access is not None and self._lets_in(request) is False:
            return self._unauthorised(self._access)
        if request.path == "/health" and request.path in self._pages:
            return self._answer(request)
        return None

    def _answer(self, request: Request) -> Response:
        page = self._pages.get(request.path)
        if page is None:
            return _text(HTTPStatus.NOT_FOUND, f"no such page; there are: {' '.join(sorted(self._pages))}")
        try:
            response = page(request)
        except Exception:
            _logger.exception("%s failed", request.path)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "the agent failed to create this page; its log says why")
        if self._access is not None and self._access.headers:
            return replace(response, headers={**response.headers, **self._access.headers})
        return response

    def _index(self, _: Request) -> Response:
        links = "".join(
            f'<li><a href="{quote(path)}">{quote(path)}</a></li>' for path in sorted(self._pages) if path != "/"
        )
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>otel_jb</title></head>'
            f"<body><h1>otel_jb {quote(otel_jb.__version__)}</h1><ul>{links}</ul></body></html>\n"
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
