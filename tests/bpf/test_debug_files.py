# SPDX-License-Identifier: Apache-2.0
"""Debug files of a debuginfod server on loopback: probes are attached when they come, and nothing that comes is believed."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from otel_jb.agent.debug_files import DebugFiles
from otel_jb.agent.loop import Agent
from otel_jb.config.model import Config, Functions, TargetSelector
from otel_jb.model.errors import ExitCode, NoFunctionError, NothingYetError
from otel_jb.model.stream import Series, Target
from otel_jb.planner.debug_files import settings
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import Running

pytestmark = pytest.mark.bpf

Answer = Callable[[BaseHTTPRequestHandler], None]
TRUE = Path("/bin/true")
_NOTES = subprocess.run(["readelf", "-n", TRUE], check=True, capture_output=True, text=True).stdout
TRUE_BUILD = _NOTES.split("Build ID: ")[1].split()[0]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the paths that it was asked for; by HTTPS if it has a certificate."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http{'' if context is None else 's'}://127.0.0.1:{listening.server_port}", asked
        finally:
            listening.shutdown()
            thread.join()


def body(data: bytes) -> Answer:
    """Answer with this."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def in_a_circle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path + "x")
    handler.end_headers()


def to_a_file(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"\x7fELF")
    while True:
        handler.wfile.write(bytes(1 << 16))


def drop_by_drop(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"\x7fELF")
    stopped = threading.Event()
    while not stopped.wait(0.2):
        handler.wfile.write(b"\0")


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"\x7fELF" + bytes(100))
    handler.close_connection = True


def stripped(program: Path, directory: Path) -> tuple[Path, str, bytes]:
    """A copy of a program without names, its build-id, and its debug file."""
    twin, debug = directory / program.name, directory / f"{program.name}.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", "-o", twin, program], check=True)
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True).stdout
    return twin, notes.split("Build ID: ")[1].split()[0], debug.read_bytes()


def test_a_stripped_program_is_measured_once_its_debug_file_has_come(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent does not wait for the server, which answers once it runs. A second agent finds the file in the cache and asks nobody."""
    program, build_id, debug = stripped(compile_program("calls.c", "-O1", "-Wl,--build-id"), tmp_path)
    release = threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        release.wait()
        (body(debug) if build_id in handler.path else missing)(handler)

    with server(late) as (url, asked):
        monkeypatch.setenv("DEBUGINFOD_URLS", url)
        monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
        child = start(program)
        config = Config(targets=(TargetSelector(pid=child.pid),), functions=Functions(include=("put",)), listen=None)
        for wanted in (5000, 5000):
            agent = Running(config)
            try:
                release.set()
                agent.wait(lambda agent=agent: len(agent.of(Target)) == 1, "it is attached")  # type: ignore[misc]
                assert child.ask(f"{wanted} 1") == "done"
                assert agent.returned("put", child.pid) == wanted
            finally:
                agent.close()
        assert asked.count(f"/buildid/{build_id}/debuginfo") == 1
        assert (tmp_path / "cache" / build_id / "debuginfo").read_bytes() == debug
    assert child.close() == 0


def test_what_is_measured_is_measured_anew_if_its_debug_file_names_more(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the file is there, the functions that have names are measured; then all of them, as another target."""
    program, _, debug = stripped(
        compile_program("calls.c", "-O1", "-Wl,--build-id", "-Wl,--export-dynamic-symbol=put"), tmp_path
    )
    release = threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        release.wait()
        body(debug)(handler)

    with server(late) as (url, _):
        monkeypatch.setenv("DEBUGINFOD_URLS", url)
        monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
        child = start(program)
        targets = (TargetSelector(pid=child.pid),)
        agent = Running(Config(targets=targets, functions=Functions(include=("put", "main")), listen=None))
        try:
            agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
            assert child.ask("1000 1") == "done"
            assert agent.returned("put", child.pid) == 1000
            release.set()
            agent.wait(lambda: {"put", "main"} <= names_of_the_last(agent), "main is known")
            assert child.ask("500 1") == "done"
            agent.agent.read()
            newest = max(agent.agent.state.view().targets, key=lambda each: each.target.id)
            assert sum(each.values.returned for each in newest.series if each.series.function == "put") == 500
        finally:
            agent.close()
    assert child.close() == 0


def names_of_the_last(agent: Running) -> set[str]:
    """The functions of the target that came last."""
    series = [record for record in agent.records if isinstance(record, Series)]
    last = max(record.target for record in series)
    return {record.function for record in series if record.target == last}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (missing, ""),
        (body(b"<html>404</html>"), "it sent no ELF file"),
        (body(b"\x7fELF" + bytes(1000)), ""),
        (body(Path("/bin/true").read_bytes()), "it sent that of another build"),
        (in_a_circle, "HTTP status 302"),
        (to_a_file, "HTTP status 302"),
        (endless, "it sent more than 1 MiB"),
        (drop_by_drop, "no whole answer within 1 s"),
        (broken_off, "broke off"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    answer: Answer, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a server answers, it costs bounded time and space, no file is left, and the one who asked hears of it."""
    build_id = "61" * 20
    answered: SimpleQueue[str] = SimpleQueue()
    with server(answer) as (url, asked), Inspector() as inspector:
        wanted = settings({"DEBUGINFOD_URLS": f"{url} file:///etc", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})
        assert wanted is not None
        files = DebugFiles(wanted, inspector, seconds=1.0, most=1 << 20)
        try:
            files.start(answered.put)
            assert files.ask(build_id)
            assert not files.ask(build_id)
            assert not files.ask("../../etc/passwd")
            assert answered.get(timeout=60) == build_id
        finally:
            files.close()
        assert asked[0] == f"/buildid/{build_id}/debuginfo"
        assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
        assert said in caplog.text


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    made, key = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=debuginfod"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@pytest.mark.parametrize("trusted", [True, False])
def test_files_come_by_https_from_servers_whose_certificate_is_trusted(
    trusted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the authorities of the system, or of SSL_CERT_FILE. From any other server nothing is taken, and the log says why."""
    made, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
    fetched = fetch_true(tmp_path, context)
    assert fetched == ([f"/buildid/{TRUE_BUILD}/debuginfo"] if trusted else [])
    assert ("certificate verify failed" in caplog.text) != trusted
    assert [each.name for each in (tmp_path / "cache").rglob("*") if each.is_file()] == ["debuginfo"] * trusted


def test_files_come_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`http_proxy` is asked for a server whose name nobody here could resolve."""
    with server(body(TRUE.read_bytes())) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        assert fetch_from("http://debuginfod.invalid", tmp_path) == TRUE.read_bytes()
    assert asked == [f"http://debuginfod.invalid/buildid/{TRUE_BUILD}/debuginfo"]


def fetch_true(directory: Path, context: ssl.SSLContext) -> list[str]:
    """What a server with this certificate was asked for, by one who wants the file of /bin/true."""
    with server(body(TRUE.read_bytes()), context) as (url, asked):
        fetch_from(url, directory)
    return asked


def fetch_from(url: str, directory: Path) -> bytes | None:
    """What is in the cache after this server was asked for the file of /bin/true."""
    answered: SimpleQueue[str] = SimpleQueue()
    wanted = settings({"DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(directory / "cache")})
    assert wanted is not None
    with Inspector() as inspector:
        files = DebugFiles(wanted, inspector)
        try:
            files.start(answered.put)
            assert files.ask(TRUE_BUILD)
            assert answered.get(timeout=60) == TRUE_BUILD
        finally:
            files.close()
    kept = directory / "cache" / TRUE_BUILD / "debuginfo"
    return kept.read_bytes() if kept.exists() else None


def test_run_ends_where_no_server_has_the_debug_file_of_its_only_process(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process without names waits for the servers' answer; when none has its file, the agent ends with the error that it would have begun with."""
    program, build_id, _ = stripped(compile_program("calls.c", "-O1", "-Wl,--build-id"), tmp_path)
    release = threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        release.wait()
        missing(handler)

    with server(late) as (url, asked):
        monkeypatch.setenv("DEBUGINFOD_URLS", url)
        monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
        child = start(program)
        targets = (TargetSelector(pid=child.pid),)
        agent = Agent(Config(targets=targets, functions=Functions(include=("put",)), listen=None), [], events=False)
        try:
            agent.start()
            release.set()
            with pytest.raises(NoFunctionError) as refused:
                agent.run()
        finally:
            agent.close()
        assert asked.count(f"/buildid/{build_id}/debuginfo") == 1
        assert not isinstance(refused.value, NothingYetError)
        assert refused.value.exit_code == ExitCode.NO_FUNCTION
        assert str(child.pid) in refused.value.message
    assert child.close() == 0
