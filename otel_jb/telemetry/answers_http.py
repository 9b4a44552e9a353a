# SPDX-License-Identifier: Apache-2.0
"""Reads the answers of OTLP receivers by HTTP with limits: whatever a receiver does, an export ends in time, takes little memory and reports its result.

The SDK's exporter hands its requests to a `requests` session and takes every status below 400 for success. `BoundedSession` is such
a session; what it finds goes to `outcome`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from otel_jb.model.text import printable
from otel_jb.telemetry import outcome
from otel_jb.telemetry.answers import MAX_ANSWER_BYTES, note_partial


class AnswerError(Exception):
    """An answer that is not OTLP. The export is not retried: the exporter retries only connection errors."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class BoundedSession(requests.Session):
    """A session whose every request ends within its time-out, in all, and whose answers are small.

    A time-out of `requests` is one of each read: a byte a second would keep an exporter for ever.

    Args:
        response: the message that an answer holds (`ExportMetricsServiceResponse`, `ExportTraceServiceResponse`).
        timeout_seconds: of one request, at most, whatever the caller works out from a clock that may be set.
        certificate: file of the authorities to trust. It wins over REQUESTS_CA_BUNDLE, which would win over `verify`.
        client: files of certificate and key to show, or None.
    """

    def __init__(
        self,
        response: type[Any],
        timeout_seconds: float,
        certificate: str | None = None,
        client: str | tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._response = response
        self._timeout = timeout_seconds
        self._certificate = certificate
        self._client = client
        # Credentials are those of the configuration: without this, a .netrc would replace its Authorization header.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _TrackingAdapter())

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:  # type: ignore[override]
        """None: `requests` would read the whole answer to find the redirect's target, even if told not to follow it."""
        return iter(())

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """The environment's proxies and authorities, less those that the configuration names."""
        settings = super().merge_environment_settings(*args, **kwargs)
        if self._certificate is not None:
            settings["verify"] = self._certificate
        if self._client is not None:
            settings["cert"] = self._client
        return settings

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, read the answer, and record its result. Raises RequestException, AnswerError."""
        timeout = kwargs.get("timeout")
        seconds = min(self._timeout, timeout) if isinstance(timeout, (int, float)) else self._timeout
        kwargs.update(stream=True, allow_redirects=False, timeout=seconds)
        # A packed answer could unpack to any size.
        request.headers["Accept-Encoding"] = "identity"
        try:
            with _Watchdog(seconds) as watchdog:
                try:
                    with contextlib.closing(super().send(request, **kwargs)) as response:
                        body = _body(response)
                except Exception as error:
                    if watchdog.fired:
                        raise requests.Timeout(f"no complete answer within {seconds:g} s") from error
                    raise
                if watchdog.fired:  # headers that were cut off look as if they were complete
                    raise requests.Timeout(f"no complete answer within {seconds:g} s")
            self._note(response, body)
        except Exception as error:
            outcome.note_error(error)
            raise
        return response

    def _note(self, response: requests.Response, body: bytes) -> None:
        status = response.status_code
        if 300 <= status < 400:
            where = printable(response.headers.get("Location", "no place"), 200)
            raise AnswerError(outcome.kind_of_status(status), f"HTTP {status}: it is redirected to {where}")
        outcome.note_status(status)
        if not 200 <= status < 300:
            return
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            raise AnswerError("not_otlp", "a web page answered; this is not an OTLP receiver")
        if kind != "application/x-protobuf" or response.headers.get("Content-Encoding", "identity") != "identity":
            return
        answer = self._response()
        try:
            answer.ParseFromString(body)
        except Exception as error:  # noqa: BLE001 (DecodeError of whichever protobuf implementation there is)
            raise AnswerError("not_otlp", f"its answer cannot be read: {error}") from None
        note_partial(answer)


def _body(response: requests.Response) -> bytes:
    body = b""
    while len(body) <= MAX_ANSWER_BYTES:  # to its very end: only there a body is told from one that was cut off
        data: bytes = response.raw.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False)
        if not data:
            return body
        body += data
    raise AnswerError("answer_too_large", f"its answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")


class _Watchdog:
    """Cuts the connections that this thread uses after some seconds; `fired` says whether it had to."""

    _current = threading.local()

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.connections: list[HTTPConnection] = []
        self._done = threading.Event()
        self.fired = False

    @classmethod
    def watch(cls, connection: HTTPConnection) -> None:
        current: _Watchdog | None = getattr(cls._current, "watchdog", None)
        if current is not None:
            current.connections.append(connection)

    def __enter__(self) -> _Watchdog:  # noqa: PYI034 - Self is of Python 3.11
        self._current.watchdog = self
        self._deadline = time.monotonic() + self._seconds
        threading.Thread(target=self._wait, name="answer-watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._current.watchdog = None
        self._done.set()

    def _wait(self) -> None:
        if self._done.wait(self._seconds):
            return
        self.fired = True
        # Again and again: a connection may be made after the first time.
        while not self._done.is_set():
            for connection in list(self.connections):
                sock = connection.sock
                if sock is not None:
                    # Not close(): another thread reads from it.
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)
            self._done.wait(0.1)


class _TrackedConnection(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        _Watchdog.watch(self)
        super().request(*args, **kwargs)


class _TrackedTlsConnection(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        _Watchdog.watch(self)
        super().request(*args, **kwargs)


class _TrackedPool(HTTPConnectionPool):
    ConnectionCls = _TrackedConnection


class _TrackedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TrackedTlsConnection


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _TrackedPool, "https": _TrackedTlsPool}


class _TrackingAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = dict(_POOLS)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = dict(_POOLS)
        return manager
