# SPDX-License-Identifier: Apache-2.0
"""TLS, certificates of clients, passwords and tokens at the endpoint, in the form of Prometheus' web.config.yml."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest

from otel_jb.config import web
from otel_jb.model.errors import ConfigError
from otel_jb.telemetry.access import Access
from otel_jb.telemetry.endpoint import Endpoint
from otel_jb.telemetry.http1 import Request, Response

pytestmark = pytest.mark.unit

PASSWORD = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode()


def certificate(directory: Path, name: str, authority: Path | None = None) -> Path:
    """`name.pem` and `name.key`: signed by itself, or by `authority`."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    what = f"-newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    signer = ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))] if authority else []
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", "-x509", *what.split(), *signer, *files], check=True, capture_output=True)
    return cert


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("web")
    certificate(made, "server")
    authority = certificate(made, "authority")
    certificate(made, "client", authority)
    certificate(made, "stranger")
    return made


def written(directory: Path, text: str) -> Path:
    path = directory / "web.config.yml"
    path.write_text(text)
    return path


@contextmanager
def serving(path: Path) -> Iterator[Endpoint]:
    made = Endpoint(
        "127.0.0.1",
        0,
        {"/metrics": lambda _: Response(b"m" * 200_000), "/health": lambda _: Response(b"h")},
        Access(web.read(path)),
    )
    made.start()
    try:
        yield made
    finally:
        made.close()


def status(made: Endpoint, path: str = "/metrics", context: ssl.SSLContext | None = None, **headers: str) -> int:
    connection: http.client.HTTPConnection
    if context is not None:
        connection = http.client.HTTPSConnection(made.host, made.port, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(made.host, made.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def trusting(directory: Path, show: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=directory / "server.pem")
    if show:
        context.load_cert_chain(directory / f"{show}.pem", directory / f"{show}.key")
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_the_endpoint_speaks_tls(directory: Path) -> None:
    """With a certificate it is served over TLS from 1.2 on, and plain HTTP gets no answer."""
    path = written(directory, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    with serving(path) as made:
        assert made.url.startswith("https://")
        assert status(made, context=trusting(directory)) == 200
        with pytest.raises((http.client.HTTPException, OSError)):
            status(made)
        old = trusting(directory)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            status(made, context=old)


def test_clients_show_a_certificate(directory: Path) -> None:
    """With RequireAndVerifyClientCert only clients with a certificate of the authority are answered, for /health too."""
    path = written(
        directory,
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n",
    )
    with serving(path) as made:
        assert status(made, context=trusting(directory, "client")) == 200
        for wrong in (None, "stranger"):
            with pytest.raises((OSError, http.client.HTTPException)):
                status(made, context=trusting(directory, wrong))


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    """When the files change the next connection gets the new certificate; a half-written one leaves the old one."""
    certificate(tmp_path, "server")
    path = written(tmp_path, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    with serving(path) as made:
        assert status(made, context=trusting(tmp_path)) == 200
        before = trusting(tmp_path)
        (tmp_path / "server.pem").write_text("half")
        assert status(made, context=before) == 200
        certificate(tmp_path, "server")
        assert status(made, context=trusting(tmp_path)) == 200


def test_passwords_are_asked_for(directory: Path) -> None:
    """A user's password, hashed with bcrypt, lets in; anything else is 401 with the scheme; /health is open."""
    path = written(directory, f"basic_auth_users:\n  alice: {PASSWORD.replace('$2b$', '$2y$')}\n")
    with serving(path) as made:
        assert status(made, "/health") == 200
        assert status(made) == 401
        assert status(made, Authorization=basic("alice", "s3cret")) == 200
        assert status(made, Authorization=basic("alice", "s3cret")) == 200  # remembered
        wrong = [basic("alice", "x"), basic("bob", "s3cret"), basic("alice", ""), basic("alice", "s3cret" + "x" * 80)]
        for each in (*wrong, "Basic", "Basic %%%", "Basic YWxpY2U=", "Bearer s3cret", "Digest x", ""):
            assert status(made, Authorization=each) == 401, each
        assert status(made, "/nothing") == 401


def test_tokens_are_asked_for(directory: Path) -> None:
    """A bearer token whose hash is listed lets in."""
    digest = hashlib.sha256(b"t0ken").hexdigest()
    with serving(written(directory, f"bearer_token_sha256: [{'0' * 64}, {digest}]\n")) as made:
        assert status(made) == 401
        assert status(made, Authorization="Bearer t0ken") == 200
        assert status(made, Authorization="bearer t0ken") == 200
        assert status(made, Authorization="Bearer other") == 401


def test_guessed_passwords_do_not_push_out_a_known_one(directory: Path) -> None:
    """After a thousand wrong guesses a password that was checked before is still let in at once."""
    access = Access(web.read(written(directory, f"basic_auth_users: {{alice: {PASSWORD}}}\n")))

    def asks(password: str) -> Request:
        return Request("GET", "/metrics", "", {"authorization": basic("alice", password)}, "test")

    assert access.lets_in_at_once(asks("s3cret")) is None
    assert access.lets_in(asks("s3cret"))
    for number in range(200):
        assert not access.lets_in(asks(str(number)))
    assert access.lets_in_at_once(asks("s3cret")) is True
    assert access.lets_in_at_once(asks("wrong")) is None


def test_headers_of_the_configuration_are_sent(directory: Path) -> None:
    """Headers under http_server_config are on every page."""
    text = "http_server_config: {http2: true, headers: {Strict-Transport-Security: max-age=60}}\n"
    with serving(written(directory, text)) as made:
        connection = http.client.HTTPConnection(made.host, made.port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().getheader("Strict-Transport-Security") == "max-age=60"
        connection.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_config: {cert_file: server.pem}\n", "go together"),
        ("tls_server_config: {key_file: server.key}\n", "go together"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAnyClientCert}\n", "RequireAndVerifyClientCert"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAndVerifyClientCert}\n", "client_ca_file"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.key, cipher_suites: [X]}\n", "cipher_suites"),
        ("basic_auth_users: {alice: s3cret}\n", "bcrypt"),
        ("basic_auth_users: {'a:b': x}\n", "colon"),
        ("bearer_token_sha256: [t0ken]\n", "64 hexadecimal"),
        ("basic_auth_user: {}\n", "basic_auth_users"),
        ("http_server_config: {headers: {'a b': c}}\n", "header"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(directory: Path, text: str, said: str) -> None:
    """A file that asks for what is not understood is an error with its line, never an endpoint without protection."""
    path = written(directory, text)
    with pytest.raises(ConfigError) as caught:
        web.read(path)
    assert f"{path}:1" in caught.value.message
    assert said in caught.value.message


def test_a_certificate_that_cannot_be_used_is_an_error(directory: Path) -> None:
    """Missing files, and a key of another certificate, are errors that name the files."""
    for cert, key in (("nothing.pem", "server.key"), ("server.pem", "client.key"), ("web.config.yml", "server.key")):
        path = written(directory, f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n")
        with pytest.raises(ConfigError) as caught:
            Access(web.read(path))
        assert os.fspath(directory / cert) in caught.value.message
