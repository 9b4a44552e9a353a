# SPDX-License-Identifier: Apache-2.0
"""Which processes are measured, and what is said of those that are not."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.config.model import Config, Functions, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.errors import NoFunctionError
from otel_jb.model.stream import AgentCost
from otel_jb.planner.servers import is_server
from otel_jb.planner.targets import Discovery
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as made:
        yield made


@contextmanager
def running(directory: Path, name: str) -> Iterator[procfs.Process]:
    """A stripped program of this name, which has no jitter buffer."""
    program = directory / name
    if not program.exists():
        shutil.copy("/usr/bin/sleep", program)
    child = subprocess.Popen([program, "100"])
    try:
        # Popen returns before the loader has mapped what the program needs, and even before the program itself is mapped.
        deadline = time.monotonic() + 30
        while not any("/libc.so" in file.path for file in procfs.mapped_files(child.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield procfs.process(child.pid)
    finally:
        child.kill()
        child.wait()


def test_a_media_server_that_is_passed_over_is_named_once(
    inspector: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes of one stripped ffmpeg are one warning with what helps, and both are known to be unmeasured."""
    discovery = Discovery(Config(), inspector)
    caplog.set_level(logging.WARNING)
    with running(tmp_path, "ffmpeg") as one, running(tmp_path, "ffmpeg") as other:
        for process in (one, other):
            assert discovery._try(process, time.monotonic()) is None
        assert [str(each) for each in discovery.unmeasured.values()] == [f"ffmpeg ({one.pid})", f"ffmpeg ({other.pid})"]
    (record,) = caplog.records
    assert f"otel-jb doctor {one.pid}" in record.getMessage()


def test_processes_are_counted_by_why_they_are_not_measured(inspector: Inspector, tmp_path: Path) -> None:
    """A media server without symbols counts as stripped, what nobody expects as ignored."""
    discovery = Discovery(Config(), inspector)
    with running(tmp_path, "ffmpeg") as server, running(tmp_path, "my-shell") as other:
        for process in (server, other):
            discovery._try(process, time.monotonic())
        assert discovery.counts() == {("unmeasurable", "stripped"): 1, ("ignored", "nothing_to_measure"): 1}


def test_a_program_that_nobody_expects_to_be_measured_is_passed_over_in_silence(
    inspector: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A shell without a jitter buffer is no news."""
    discovery = Discovery(Config(), inspector)
    caplog.set_level(logging.WARNING)
    with running(tmp_path, "my-shell") as process:
        assert discovery._try(process, time.monotonic()) is None
    assert not discovery.unmeasured
    assert not caplog.records


def test_a_named_program_that_can_never_be_measured_is_an_error(inspector: Inspector) -> None:
    """/bin/true has nothing to probe, no library that could have, and no means to load one: it is not waited for."""
    discovery = Discovery(Config(targets=(TargetSelector(binary="/bin/true"),)), inspector)
    with pytest.raises(NoFunctionError, match="/bin/true"):
        discovery.first()


def test_a_named_program_that_loads_libraries_is_waited_for(inspector: Inspector, tmp_path: Path) -> None:
    """A program that calls dlopen may yet load a jitter buffer."""
    program = tmp_path / "loader"
    source = "#include <dlfcn.h>\nint main(int n, char **a) { return dlopen(a[0], 1) == 0; }"
    subprocess.run(["gcc", "-o", program, "-x", "c", "-", "-ldl"], input=source, text=True, check=True)
    assert Discovery(Config(targets=(TargetSelector(binary=str(program)),)), inspector).first() == []


def test_a_function_that_is_not_there_is_said_to_be_missing(inspector: Inspector) -> None:
    """`--function` with a name that the process does not have: what it has, and what was probably meant."""
    import ctypes
    import os

    ctypes.CDLL("/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1")
    config = Config(targets=(TargetSelector(pid=os.getpid()),), functions=Functions(include=("jiter_buffer_put",)))
    discovery = Discovery(config, inspector)
    with pytest.raises(NoFunctionError, match=r"no function of .* is called jiter_buffer_put") as caught:
        discovery.find(procfs.process(os.getpid()), config.targets[0])
    assert "Did you mean jitter_buffer_put" in caught.value.help
    assert "It has: jitter_buffer_" in caught.value.help


def test_server_names_are_whole_names() -> None:
    """The list is of executables: ffmpeg with a version is one, a script that mentions it is none."""
    assert is_server("ffmpeg")
    assert is_server("ffmpeg-linux-x86_64-v7.1")
    assert is_server("srs")
    assert not is_server("my-ffmpeg")
    assert not is_server("srsly")


def test_processes_of_a_file_are_planned_once(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has the first one's plan with paths of its own; a new build under its name is planned anew."""
    program = tmp_path / "server"
    source = tmp_path / "server.c"
    source.write_text(
        "#include <unistd.h>\nint jitterbuffer_put(int a) { return a + 1; } int main(void) { return pause(); }"
    )
    subprocess.run(["gcc", "-O0", "-o", program, source], check=True)
    planner = Discovery(Config(), inspector).planner
    with running(tmp_path, "server") as one, running(tmp_path, "server") as other:
        examined, plan = planner.examined_plan(one, named=True)
        with monkeypatch.context() as nothing_more:
            nothing_more.setattr(planner, "examine_process", None)
            again, second = planner.examined_plan(other, named=True)
        assert [probe.function for probe in second.probes] == ["jitterbuffer_put"]
        assert [probe.file for probe in second.probes] == [f"/proc/{other.pid}/root{program}"]
        assert [replace(probe, file=plan.probes[0].file) for probe in second.probes] == list(plan.probes)
        assert [each.path for each in again] == [each.path.replace(str(one.pid), str(other.pid)) for each in examined]
        # What probes cost was measured meanwhile: another plan would be another set of links, which the first calls went by.
        planner.use_costs(AgentCost((("emulated", 9e-6), ("stepped", 1e-7), ("uretprobe", 9e-6))))
        assert planner.plan_process(other, named=True).probes == second.probes
        planner._kinds.clear()  # as for a process that is looked at before it has mapped its libraries
        assert planner.plan_process(other, named=True).probes == second.probes
        (priced,) = planner.priced_again(other, named=True).probes
        assert priced == replace(second.probes[0], cost_ns=priced.cost_ns)
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    with running(tmp_path, "server") as rebuilt:
        assert planner.plan_process(rebuilt, named=True).probes[0].code != plan.probes[0].code
