# SPDX-License-Identifier: Apache-2.0
"""The agent's loop: processes that come, go, restart, and load libraries later."""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.agent.loop import Agent
from otel_jb.config.model import Config, TargetSelector
from otel_jb.config.yamlfile import Duration
from otel_jb.host import procfs, watch
from otel_jb.host.procfs import Mapping, Process
from otel_jb.model.errors import PermissionDeniedError, TargetError
from otel_jb.model.stream import Series, Snapshot, StreamRecord, Target, TargetEnded
from otel_jb.planner.files import Examined
from otel_jb.planner.planner import Planner
from tests.bpf.conftest import Child, Compile
from tests.scale import patience

pytestmark = pytest.mark.bpf

LATE = """
import ctypes, sys
print("ready", flush=True)
sys.stdin.readline()
speex = ctypes.CDLL("libspeexdsp.so.1")
speex.jitter_buffer_init.restype = ctypes.c_void_p
buffer = ctypes.c_void_p(speex.jitter_buffer_init(160))
print("loaded", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        speex.jitter_buffer_tick(buffer)
    print("done", flush=True)
"""


class Running:
    """An agent whose loop runs on a thread; its records are kept."""

    def __init__(self, config: Config) -> None:
        self.records: list[StreamRecord] = []
        self._changed = threading.Condition()
        self.agent = Agent(config, [self._take], events=False)
        self.agent.start()
        self._thread = threading.Thread(target=self.agent.run)
        self._thread.start()

    def _take(self, record: StreamRecord) -> None:
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Until the records show it."""
        deadline = time.monotonic() + patience(seconds)
        with self._changed:
            while not condition():
                assert self._changed.wait(deadline - time.monotonic()), f"{what} within {seconds} s"

    def of(self, kind: type[StreamRecord]) -> list[StreamRecord]:
        """The records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]

    def returned(self, function: str, pid: int | None = None) -> int:
        """Calls of a function that returned, over all targets or of one process, as of now."""
        self.agent.read()
        targets = [t for t in self.agent.state.view().targets if pid in (None, t.target.pid)]
        return sum(s.values.returned for t in targets for s in t.series if s.series.function == function)

    def close(self) -> None:
        """Stop and detach."""
        self.agent.stop()
        self._thread.join(patience(20))
        self.agent.close()


@contextmanager
def running(*targets: TargetSelector, interval_s: float = 10.0) -> Iterator[Running]:
    """An agent that is stopped again."""
    agent = Running(Config(targets=targets, listen=None, interval=Duration(round(interval_s * 1e9))))
    try:
        yield agent
    finally:
        agent.close()


def test_a_restarted_program_is_measured_again(compile_program: Compile, start: Callable[..., Child]) -> None:
    """A target that ends is told, and its successor is attached without being asked for."""
    path = compile_program("guide_names.c", "-O1")
    first = start(path)
    with running(TargetSelector(binary=str(path))) as agent:
        agent.wait(lambda: len(agent.of(Target)) == 1, "the first process is attached")
        assert first.ask("10") != ""
        assert agent.returned("jitterbuffer_put") == 10
        first.close()
        second = start(path)
        agent.wait(lambda: len(agent.of(Target)) == 2, "the second process is attached")
        agent.wait(lambda: len(agent.of(TargetEnded)) == 1, "the first process has ended")
        assert second.ask("7") != ""
        assert agent.returned("jitterbuffer_put") == 17


def test_a_file_that_is_replaced_goes_on_being_measured_as_the_build_that_runs(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Deleted before the agent starts, and replaced while it runs: each process is counted under its own build-id."""
    path, children = tmp_path / "server", {}
    ids = {build: f"{build}{'0' * 30}{random.randrange(1 << 32):08x}" for build in ("aa", "bb", "cc")}

    def begin(build: str) -> None:
        made = compile_program("guide_names.c", "-O1", f"-Wl,--build-id=0x{ids[build]}")
        shutil.copy(made, tmp_path / "new")
        (tmp_path / "new").rename(path)
        children[ids[build]] = start(path)

    begin("aa")
    begin("bb")
    with running(TargetSelector(binary=str(path))) as agent:
        agent.wait(lambda: len(agent.of(Target)) == 2, "the first two are attached")
        begin("cc")
        agent.wait(lambda: len(agent.of(Target)) == 3, "so is the third")
        path.unlink()
        for calls, child in enumerate(children.values(), 10):
            assert child.ask(str(calls)) != ""
        found = {
            t.build_id: agent.returned("jitterbuffer_put", t.pid) for t in agent.of(Target) if isinstance(t, Target)
        }
        assert found == dict(zip(children, (10, 11, 12), strict=True))


def test_a_program_that_starts_later_is_waited_for(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """`--name` of a program that does not run yet is no error; it is measured once it runs."""
    path = tmp_path / f"late-{os.getpid()}"  # a name that no other process has
    shutil.copy(compile_program("guide_names.c", "-O1"), path)
    with running(TargetSelector(name=path.name)) as agent:
        assert agent.agent.readiness() == (False, "no process that is to be measured runs")
        child = start(path)
        agent.wait(lambda: len(agent.of(Target)) == 1, "the process is attached")
        assert child.ask("3") != ""
        assert agent.returned("jitterbuffer_put") == 3
        assert agent.agent.readiness()[0]


@pytest.mark.parametrize("by", ["name", "pid"])
def test_a_library_that_is_loaded_later_is_measured(by: str, caplog: pytest.LogCaptureFixture) -> None:
    """A process that maps speexdsp only after it was looked at is measured from then on; named by its PID, it is said to be waited for."""
    caplog.set_level(logging.INFO)
    child = subprocess.Popen(
        [sys.executable, "-c", LATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        with running(TargetSelector(name="python3*") if by == "name" else TargetSelector(pid=child.pid)) as agent:
            assert not any(isinstance(r, Target) and r.pid == child.pid for r in agent.records)
            if by == "pid":
                ready, said = agent.agent.readiness()
                assert not ready
                assert said.endswith(f"(process {child.pid}) has no jitter buffer yet")
                assert f"{said}; waiting until it loads a library that has one" in caplog.messages
            child.stdin.write("\n")
            assert child.stdout.readline() == "loaded\n"
            agent.wait(
                lambda: any(
                    isinstance(r, Series) and r.function == "jitter_buffer_tick" and r.target == number
                    for number in [t.id for t in agent.of(Target) if isinstance(t, Target) and t.pid == child.pid]
                    for r in agent.records
                ),
                "the library is attached",
            )
            child.stdin.write("25\n")
            assert child.stdout.readline() == "done\n"
            assert agent.returned("jitter_buffer_tick", child.pid) == 25
            assert agent.agent.readiness()[0]
    finally:
        child.stdin.close()
        child.stdout.close()
        child.kill()
        child.wait(10)


def test_a_process_that_takes_long_to_look_at_delays_no_reading(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While a new process is looked at, intervals are closed and the kernel is read on time."""
    path = compile_program("guide_names.c", "-O1")
    another = tmp_path / path.name  # of one file a plan is made once
    shutil.copy(path, another)
    start(path)
    looking, go_on = threading.Event(), threading.Event()

    def slow(self: Planner, process: Process, files: object = None) -> list[Examined]:
        looking.set()
        assert go_on.wait(60)
        raise TargetError("it ended")

    with running(TargetSelector(name=path.name), interval_s=0.1) as agent:
        agent.wait(lambda: len(agent.of(Target)) == 1, "the first process is attached")
        monkeypatch.setattr(Planner, "examine_process", slow)
        start(another)
        assert looking.wait(patience(30))
        before = len(agent.of(Snapshot))
        agent.wait(lambda: len(agent.of(Snapshot)) > before + 10, "the kernel goes on being read")
        assert agent.agent.readiness()[0]
        go_on.set()


def test_a_process_that_cannot_be_read_is_refused_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a protected process by its PID is told why it cannot be measured, although its program has no name here."""
    real = procfs.look

    def protected(pid: int) -> Process | None:
        found = real(pid)
        return replace(found, executable="", device=0, inode=0) if found and pid == child.pid else found

    def denied(pid: int, *, code: bool = False) -> list[Mapping]:
        raise PermissionDeniedError(f"process {pid} cannot be looked at: permission denied")

    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            monkeypatch.setattr(procfs, "look", protected)
            monkeypatch.setattr(watch, "look", protected)
            monkeypatch.setattr(procfs, "maps", denied)
            agent = Agent(Config(targets=(TargetSelector(pid=child.pid),), listen=None))
            with pytest.raises(PermissionDeniedError):
                agent.start()
        finally:
            child.kill()
