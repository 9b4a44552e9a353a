# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as far as the endpoint needs it: a request's head, an answer's head, and whether gzip is wanted. No sockets here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from otel_jb.model.dataclass import dataclass

MAX_REQUEST_BYTES = 16 * 1024
MAX_REQUEST_LINE_BYTES = 2048
MAX_HEADERS = 100

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: A header's value: visible characters, spaces and tabs (RFC 9110 §5.5); what is beyond ASCII stands for itself.
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]+")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")

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
    version: str = "HTTP/1.1"


class Subscription(Protocol):
    """One client's place in a stream of events. `take` is called from any thread, but never twice at once."""

    def take(self) -> bytes:
        """What the client has not had yet; empty: nothing new."""

    def close(self) -> None:
        """The client is gone."""


@dataclass(frozen=True, slots=True)
class Events:
    """A body without end: server-sent events.

    Attributes:
        subscribe: adds a client; the function that it is given says, from any thread, that there is something to take.
    """

    subscribe: Callable[[Callable[[], None]], Subscription]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Its headers are added to those that every answer bears. A body in parts is sent as it is made."""

    body: bytes | Iterable[bytes] | Events
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequestError(Exception):
    """A request that is answered with this status, whatever it asks for."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def check_size(received: bytes | bytearray) -> None:
    """Whether what came so far may yet become a request. Raises BadRequestError."""
    if len(received) > MAX_REQUEST_LINE_BYTES and b"\r\n" not in received[: MAX_REQUEST_LINE_BYTES + 2]:
        raise BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
    if len(received) > MAX_REQUEST_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def parse(head: bytes, client: str) -> Request:
    """The request whose line and headers are `head`, without the empty line. Raises BadRequestError.

    Strict (RFC 9112): no bare line feeds, no folded headers, exactly one Host from HTTP/1.1 on.
    """
    line, *fields = head.decode("latin-1").split("\r\n")
    if len(line) > MAX_REQUEST_LINE_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
    if len(fields) > MAX_HEADERS:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    words = line.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        known = re.fullmatch(r"HTTP/[0-9]\.[0-9]", words[2])
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED if known else HTTPStatus.BAD_REQUEST)
    headers: dict[str, str] = {}
    for text in fields:
        name, separator, value = text.partition(":")
        if not separator or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        key = name.lower()
        if key in headers and key in ("host", "authorization", "content-length", "transfer-encoding"):
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    if "host" not in headers and words[2] == "HTTP/1.1":
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # no page takes a body
    if words[1].startswith("/"):  # not by urlsplit: it takes what follows two slashes for a host
        path, _, query = words[1].partition("?")
        return Request(words[0], path, query, headers, client, words[2])
    try:
        target = urlsplit(words[1])
    except ValueError:
        raise BadRequestError(HTTPStatus.BAD_REQUEST) from None
    if not target.path.startswith("/") or (target.scheme and target.scheme not in ("http", "https")):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return Request(words[0], target.path, target.query, headers, client, words[2])


def head_of(response: Response, request: Request | None) -> bytes:
    """Status line and headers. A body in parts is chunked for clients that know that, else it ends with the connection."""
    status = HTTPStatus(response.status)
    headers = {
        "Content-Type": response.content_type,
        "Content-Security-Policy": _DEFAULT_POLICY,
        **_ALWAYS,
        **response.headers,
    }
    if isinstance(response.body, bytes):
        headers["Content-Length"] = str(len(response.body))
    elif is_chunked(response, request):
        headers["Transfer-Encoding"] = "chunked"
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def is_chunked(response: Response, request: Request | None) -> bool:
    """Whether the body goes in chunks."""
    return not isinstance(response.body, bytes) and request is not None and request.version != "HTTP/1.0"


def chunk(data: bytes) -> bytes:
    """One chunk; an empty one ends the body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: a weight of 0 forbids it, and `*` means those not named (RFC 9110 §12.5.3)."""
    weights: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
        weights[coding] = bool(_WEIGHT.fullmatch(weight)) and float(weight) > 0
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))
