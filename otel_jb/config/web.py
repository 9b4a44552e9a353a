# SPDX-License-Identifier: Apache-2.0
"""Access to the endpoint: the schema of `web.config.yml`, as Prometheus and its exporters use it, without the settings specific to Go.

Unsupported settings are errors, never ignored: a file that asks for protection must not leave the endpoint without it.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from enum import Enum
from pathlib import Path

from otel_jb.config.yamlfile import KeyValueError, load
from otel_jb.model.dataclass import dataclass

_BCRYPT = re.compile(r"\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ClientAuth(Enum):
    """What a client must present. Go's two modes that accept unverified certificates are missing on purpose."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


class TlsVersion(Enum):
    """Allowed TLS versions."""

    TLS12 = "TLS12"
    TLS13 = "TLS13"


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Certificate and key of the endpoint; paths are relative to the file that names them."""

    cert_file: str = ""
    key_file: str = ""
    client_auth_type: ClientAuth = ClientAuth.NONE
    client_ca_file: str = ""
    min_version: TlsVersion = TlsVersion.TLS12
    max_version: TlsVersion = TlsVersion.TLS13

    def __post_init__(self) -> None:
        if bool(self.cert_file) != bool(self.key_file):
            raise KeyValueError("cert_file" if self.cert_file else "key_file", "cert_file and key_file go together")
        if self.client_auth_type is not ClientAuth.NONE and not self.client_ca_file:
            raise KeyValueError("client_auth_type", f"{self.client_auth_type.value} needs client_ca_file")
        if self.client_ca_file and self.client_auth_type is ClientAuth.NONE:
            raise KeyValueError("client_ca_file", "client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
        if self.client_ca_file and not self.cert_file:
            raise KeyValueError("client_ca_file", "client certificates also need cert_file and key_file")
        if self.min_version is TlsVersion.TLS13 and self.max_version is TlsVersion.TLS12:
            raise KeyValueError("min_version", "min_version is above max_version")


@dataclass(frozen=True, slots=True)
class HttpServer:
    """Headers of every answer. HTTP/2 is not supported; `http2: true` is accepted because it is Prometheus's default."""

    http2: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise KeyValueError("headers", f"{name[:60]!r} is not a valid header")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file. Without users and tokens, everybody has access; without a certificate, in plain text."""

    tls_server_config: TlsServer = TlsServer()
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, str] = field(default_factory=dict)  #: name -> bcrypt hash of the password
    bearer_token_sha256: tuple[str, ...] = ()  #: of tokens, in hexadecimal; an extension of the agent's

    def __post_init__(self) -> None:
        for user, hashed in self.basic_auth_users.items():
            if not user or ":" in user or not user.isprintable():
                raise KeyValueError("basic_auth_users", "a user name must be printable and may not contain a colon")
            if not _BCRYPT.fullmatch(hashed):
                raise KeyValueError(
                    "basic_auth_users", f"the password of {user} is not hashed with bcrypt (htpasswd -nBC 10 {user})"
                )
        for digest in self.bearer_token_sha256:
            if not _SHA256.fullmatch(digest):
                raise KeyValueError("bearer_token_sha256", "expected 64 hexadecimal digits: printf TOKEN | sha256sum")

    @property
    def asks_who(self) -> bool:
        """Whether a request needs a password or a token."""
        return bool(self.basic_auth_users or self.bearer_token_sha256)


def read(path: Path) -> WebConfig:
    """Read the file and make its paths absolute. Raises ConfigError with file and line."""
    config = load(path, WebConfig)
    tls = config.tls_server_config
    names = ("cert_file", "key_file", "client_ca_file")
    paths = {name: str(path.parent / getattr(tls, name)) for name in names if getattr(tls, name)}
    return replace(config, tls_server_config=replace(tls, **paths))  # type: ignore[arg-type]
