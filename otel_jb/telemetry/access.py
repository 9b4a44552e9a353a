# SPDX-License-Identifier: Apache-2.0
"""Who is let in at the endpoint: TLS, certificates of clients, passwords, tokens, and names that the endpoint answers to."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_jb.config.web import ClientAuth, TlsServer, TlsVersion, WebConfig
from otel_jb.model.errors import ConfigError
from otel_jb.telemetry.http1 import Request

if TYPE_CHECKING:
    import ssl

_MAX_KNOWN = 64  #: passwords that were checked; bcrypt takes a tenth of a second, a scraper comes every few


class Access:
    """What a `WebConfig` asks for.

    Certificates are read again when their files change, so that a renewed one is served without a restart; while they cannot be read, the
    old one stays.

    Raises:
        ConfigError: a certificate or key cannot be read, or they do not belong together.
    """

    def __init__(self, config: WebConfig) -> None:
        self.config = config
        self.realm = "Basic" if config.basic_auth_users else "Bearer"
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._stamp = _stamp(config.tls_server_config)
        self._context = _context(config.tls_server_config) if config.tls_server_config.cert_file else None

    @property
    def protects(self) -> bool:
        """Whether not everybody is let in."""
        return self.config.asks_who or self.config.tls_server_config.client_auth_type is ClientAuth.REQUIRED

    @property
    def headers(self) -> dict[str, str]:
        """Further headers of every page."""
        return self.config.http_server_config.headers

    @property
    def encrypts(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return self._context is not None

    def context(self) -> ssl.SSLContext | None:
        """The TLS context for a new connection; None where none is configured."""
        if self._context is not None:
            stamp = _stamp(self.config.tls_server_config)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._context = _context(self.config.tls_server_config)
                except ConfigError:
                    pass  # half written: the next stamp is another one
        return self._context

    def lets_in_at_once(self, request: Request) -> bool | None:
        """Whether the request is let in; None where only `lets_in` can tell, which takes a tenth of a second."""
        if not self.config.asks_who:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and self.config.basic_auth_users:
            found = _decoded(credentials)
            return False if found is None else True if self._key(*found) in self._known else None
        return self.lets_in(request)

    def lets_in(self, request: Request) -> bool:
        """Whether the request bears a user's password or a token."""
        if not self.config.asks_who:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            digest = hashlib.sha256(credentials.strip().encode("latin-1", "replace")).hexdigest()
            return any(hmac.compare_digest(digest, token) for token in self.config.bearer_token_sha256)
        if scheme.lower() == "basic" and self.config.basic_auth_users:
            found = _decoded(credentials)
            return found is not None and self._password(*found)
        return False

    def _key(self, user: bytes, password: bytes) -> bytes:
        return hashlib.sha256(self._salt + len(user).to_bytes(4, "big") + user + password).digest()

    def _password(self, user: bytes, password: bytes) -> bool:
        key = self._key(user, password)
        with self._lock:
            if key in self._known:
                return True
        import bcrypt

        # An unknown user takes as long as a known one.
        hashed = self.config.basic_auth_users.get(user.decode("utf-8", "replace"))
        if not bcrypt.checkpw(password, (hashed or _NOBODY).encode()) or hashed is None:
            return False
        with self._lock:
            # Only good ones are remembered: guesses must not push them out.
            self._known[key] = None
            while len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return True


def _decoded(credentials: str) -> tuple[bytes, bytes] | None:
    """User and password; None where they are none that bcrypt can check: it reads 72 bytes."""
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon and len(password) <= 72 and b"\0" not in password else None


#: the hash of a password that nobody has, at the cost that htpasswd uses
_NOBODY = "$2b$10$abcdefghijklmnopqrstuuOSe2jKTrPOA2EXbEkbrWwZzC5Bp9Lbe"


class Hosts:
    """The names that the endpoint answers to.

    A page in somebody's browser may have a name of its own resolve to this machine (DNS rebinding), and would then read the endpoint as if
    it were its own site. Addresses cannot be rebound, so any of them is good; names are those of this machine and the configured ones.

    Args:
        listening: the host that the endpoint listens on.
        allowed: further names, with wildcards; `*` lets all of them in.
        strict: whether unknown names are refused where nothing is configured: on loopback, where a browser's user is who is asked.
    """

    def __init__(self, listening: str, allowed: Sequence[str], *, strict: bool) -> None:
        name = socket.gethostname().lower()
        self._names = {
            listening.lower(),
            "localhost",
            name,
            name.partition(".")[0],
            *(each.lower() for each in allowed),
        }
        self._all = not strict and not allowed

    def answers_to(self, request: Request) -> bool:
        """Whether the request's Host is one of them; one without a Host comes from no browser."""
        host = request.headers.get("host", "")
        if self._all or not host:
            return True
        name = _without_port(host).lower().rstrip(".")
        try:
            ipaddress.ip_address(name.strip("[]").partition("%")[0])
            return True
        except ValueError:
            return name.endswith(".localhost") or any(fnmatch.fnmatchcase(name, each) for each in self._names)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0] if host.count(":") == 1 else host


def _stamp(tls: TlsServer) -> tuple[object, ...]:
    found: list[object] = []
    for path in (tls.cert_file, tls.key_file, tls.client_ca_file):
        try:
            status = os.stat(path) if path else None  # noqa: PTH116 (for each connection)
            found.append(status and (status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def _context(tls: TlsServer) -> ssl.SSLContext:
    import ssl

    versions = {TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = versions[tls.min_version]
    context.maximum_version = versions[tls.max_version]
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.client_ca_file:
            context.load_verify_locations(tls.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the endpoint's certificate cannot be used: {error.strerror or error} ({tls.cert_file}, {tls.key_file}"
            f"{', ' + tls.client_ca_file if tls.client_ca_file else ''})",
            "They are PEM files that the agent can read; cert_file and key_file belong together.",
        ) from None
    context.verify_mode = {
        ClientAuth.NONE: ssl.CERT_NONE,
        ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
        ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
    }[tls.client_auth_type]
    return context
