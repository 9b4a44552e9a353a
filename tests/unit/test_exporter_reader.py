# SPDX-License-Identifier: Apache-2.0
"""The exporter process as the reader sees it, with a test in its place."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from otel_jb.agent.exporter import Exporter
from otel_jb.agent.walked import unpacked
from otel_jb.agent.wire import Wire
from otel_jb.config import environment
from otel_jb.config.model import Config
from otel_jb.model.errors import AddressInUseError, AgentError
from otel_jb.model.stream import SlowCall
from otel_jb.telemetry.clock import MIN_GAP_NS
from tests import telemetry_samples as samples


class Reader:
    """An agent that reads the kernel once it may."""

    def __init__(self) -> None:
        self.may_read, self.stopped = threading.Event(), threading.Event()
        self.state = SimpleNamespace(series=lambda _: None)
        self.stop = self.stopped.set
        self.overhead, self.uncounted, self.targets = dict[int, float], int, dict[tuple[str, str], int]
        self.unmeasured = list[tuple[int, str, str, str]]

    def readiness(self) -> tuple[bool, str]:
        return True, "measures"

    def refresh(self) -> None:
        self.may_read.wait()


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The exporter's end of the socket; its process is one that sleeps."""
    ours, other = socket.socketpair()
    end = Wire(other.dup(), up=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        monkeypatch.setattr(socket, "socketpair", lambda: (ours, other))
        monkeypatch.setattr(os, "fork", lambda: process.pid)
        yield end
        end.close()
        process.kill()


def begun(theirs: Wire) -> Exporter:
    config = Config()
    theirs.send({"url": "http://127.0.0.1:9310/"})
    exporter = Exporter(config, environment.read({}, config.otlp, config.otlp_command_line))
    exporter.opened()
    return exporter


def start(theirs: Wire, reader: Reader, *before: dict[str, Any]) -> Exporter:
    exporter = begun(theirs)
    for message in (*before, {"started": True}):
        theirs.send(message)
    agent: Any = reader
    assert exporter.start(agent, agent)
    return exporter


def test_what_waits_for_the_kernel_delays_nothing_else(theirs: Wire) -> None:
    """A scrape that comes while the agent starts waits for it; the start and the question whether it is ready do not wait for the scrape."""
    reader = Reader()
    exporter = start(theirs, reader, {"ask": "scrape", "number": 0}, {"ask": "readiness", "number": 1})
    came = [theirs.receive(), theirs.receive()]
    assert sorted(came) == [("answer", 1, (True, "measures")), ("start",)]
    reader.may_read.set()
    assert theirs.receive() == ("answer", 0, ("", {}, 0, {}, []))
    assert exporter.scraped


def test_a_tick_without_slow_calls_says_nothing(theirs: Wire) -> None:
    """The exporter sleeps while nothing happens; with the next slow calls it is told how the clocks went meanwhile."""
    reader = Reader()
    reader.state.series = lambda _: (samples.PUT, samples.SRS)
    reader.may_read.set()
    stacks: Any = SimpleNamespace(around=lambda *_: (), symbolise=lambda *_: ("put",))
    config = Config()
    theirs.send({"url": "http://127.0.0.1:9310/"})
    settings = environment.read({"OTEL_TRACES_EXPORTER": "otlp"}, config.otlp, config.otlp_command_line)
    exporter = Exporter(config, settings)
    exporter.opened()
    theirs.send({"started": True})
    agent: Any = reader
    exporter.start(agent, stacks)
    assert theirs.receive() == ("start",)
    for _ in range(3):
        time.sleep(2 * MIN_GAP_NS / 1e9)
        exporter.tick()
    exporter.take(SlowCall(samples.PUT.id, 7, "worker", 100, 100, 200, None, None, None, None))
    exporter.tick()
    kind, data, lines, compared = theirs.receive()
    assert (kind, lines) == ("slow", {0: ("put",)})
    assert [(call.start_ns, call.lines) for call in unpacked(data, lines)] == [(100, ("put",))]
    times = [monotonic_ns for monotonic_ns, _ in compared]
    assert len(times) >= 4  # the first comparison, and one of each tick
    assert times == sorted(times)
    assert all(abs(offset - (time.time_ns() - time.monotonic_ns())) < 10**9 for _, offset in compared)


def test_an_exporter_that_asks_without_end_ends_the_agent(theirs: Wire) -> None:
    """Questions that nobody can answer that fast are not kept: the exporter is killed and the agent stops."""
    reader = Reader()
    exporter = start(theirs, reader)
    for number in range(200):  # few enough for the socket to hold
        try:
            theirs.send({"ask": "export", "number": number})
        except OSError:
            break
    assert reader.stopped.wait(30)
    assert exporter.failure is not None
    assert "asks without end" in exporter.failure.message


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (["AddressInUseError", "port 1 is taken", "Take another."], AddressInUseError, "port 1 is taken"),
        (["SystemExit", "no error of the agent's", ""], AgentError, "no error of the agent's"),
    ],
)
def test_an_error_arrives_as_the_kind_that_it_was(
    theirs: Wire, said: list[str], kind: type[AgentError], message: str
) -> None:
    """What the exporter could not do is raised with its exit code; a name that is none of the agent's errors is not looked for elsewhere."""
    theirs.send({"error": said})
    config = Config()
    exporter = Exporter(config, environment.read({}, config.otlp, config.otlp_command_line))
    with pytest.raises(AgentError) as raised:
        exporter.opened()
    assert (type(raised.value), raised.value.message) == (kind, message)
