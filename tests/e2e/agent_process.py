# SPDX-License-Identifier: Apache-2.0
"""The real `otel-jb` command as a subprocess, and what its endpoint says."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from otel_jb.demo.ffmpeg import find_ffmpeg
from tests.scale import patience

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).parents[2]
TARGETS = ROOT / "tests" / "targets"
COMMAND = Path(sys.executable).parent / "otel-jb"

Labels = dict[str, str]
Result = TypeVar("Result")


def until(condition: Callable[[], Result], what: str, timeout: float = 30.0, every: float = 0.02) -> Result:
    """What `condition` returns once that is true; fails when it is not within `timeout` seconds (30 at least: machines are busy)."""
    timeout = max(timeout, 30.0)
    deadline = time.monotonic() + patience(timeout)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last: {result!r}")
        time.sleep(every)


def free_tcp_port() -> int:
    """A port that nobody uses, outside of the range from which the kernel gives ports to connections that are made meanwhile."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("200 ports are in use")


def fetch(url: str, accept: str = "") -> tuple[int, str]:
    """Status and body; status 0 where nobody answers."""
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    try:
        with urllib.request.urlopen(request, timeout=patience(5)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, f"nobody answers: {error}"


class Exposition:
    """The samples of one scrape of `/metrics`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def find(self, name: str, **labels: object) -> list[tuple[Labels, float]]:
        """The samples of this name that carry these labels."""
        wanted = {key: str(value) for key, value in labels.items()}
        return [
            (found, value) for each, found, value in self.samples if each == name and wanted.items() <= found.items()
        ]

    def value(self, name: str, **labels: object) -> float | None:
        """The one such sample's value; None where there is none. Fails if there are several."""
        found = self.find(name, **labels)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def total(self, name: str, **labels: object) -> float:
        """The sum of all such samples."""
        return sum(value for _, value in self.find(name, **labels))

    def buckets(self, name: str, **labels: object) -> dict[float, float]:
        """Upper bound in seconds -> cumulative count."""
        return {float(found["le"]): value for found, value in self.find(f"{name}_bucket", **labels)}


class AgentProcess:
    """`otel-jb run` (or `record`, ...) with an endpoint on a port of its own; it goes on when its targets have ended."""

    def __init__(self, directory: Path, *arguments: str, command: Sequence[str] = ("run",)) -> None:
        self.port = free_tcp_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = directory / f"agent-{self.port}.log"
        self._log: IO[bytes] = open(self.log_path, "wb")  # noqa: SIM115 - lives as long as the process
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(COMMAND), *command, "--wait", "--port", str(self.port), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=directory,
        )

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_until_ready(self, timeout: float = 30.0) -> float:
        """Wait for 200 from /ready; seconds since the start."""

        def ready() -> bool:
            assert self.process.poll() is None, f"the agent ended with {self.process.returncode}:\n{self.log()}"
            return fetch(f"{self.url}/ready")[0] == 200

        try:
            until(ready, "/ready", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{fetch(f'{self.url}/ready')}\n{self.log()}") from error
        return time.monotonic() - self.started

    def scrape(self) -> Exposition:
        status, body = fetch(f"{self.url}/metrics")
        assert status == 200, (status, body, self.log())
        return Exposition(body)

    def settled(self, pid: int, metric: str = "jitterbuffer_calls_total", seconds: float = 1.2) -> Exposition:
        """A scrape whose values of `metric` for `pid` have not changed for longer than values may be old (1 s)."""
        deadline = time.monotonic() + patience(30)
        last: list[tuple[str, float]] | None = None
        since = time.monotonic()
        while True:
            scraped = self.scrape()
            calls = [(found["function"], value) for found, value in scraped.find(metric, pid=pid) if value]
            if calls != last:
                last, since = calls, time.monotonic()
            elif time.monotonic() - since > seconds:
                return scraped
            assert time.monotonic() < deadline, f"the counts of {pid} do not come to rest: {calls}\n{self.log()}"
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGINT, timeout: float = 30.0) -> int:
        """Stop it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience(timeout))
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextlib.contextmanager
def agent(
    directory: Path, *arguments: str, ready_within: float = 30.0, command: tuple[str, ...] = ("run",)
) -> Iterator[AgentProcess]:
    """A running agent whose probes are attached; it must end with 0 when it is stopped."""
    running = AgentProcess(directory, *arguments, command=command)
    try:
        running.wait_until_ready(ready_within)
        yield running
        status = running.stop()
        assert status == 0, f"exit status {status}\n{running.log()}"
    finally:
        running.kill()


class Conversation:
    """A program of tests/targets: it says "ready", takes commands by line and answers each with a line of JSON."""

    def __init__(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [str(each) for each in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, line: str) -> Any:
        self.tell(line)
        return self.answer()

    def end(self) -> int:
        """Close its input, which ends it; its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.process.wait(patience(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()


def run_command(*arguments: str, timeout: float = 60.0, **options: Any) -> subprocess.CompletedProcess[str]:
    """`otel-jb ARGUMENTS` to its end."""
    return subprocess.run(
        [str(COMMAND), *arguments], capture_output=True, text=True, timeout=patience(timeout), check=False, **options
    )


__all__ = [
    "COMMAND",
    "ROOT",
    "TARGETS",
    "AgentProcess",
    "Conversation",
    "Exposition",
    "agent",
    "fetch",
    "find_ffmpeg",
    "free_tcp_port",
    "run_command",
    "until",
]
