# SPDX-License-Identifier: Apache-2.0
"""Many processes of one file: each counted under its own PID, however short it lives."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, Snapshot, Target, TargetEnded
from otel_jb.planner.planner import Planner
from otel_jb.probes.attach import lease
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import Running, running
from tests.e2e.agent_process import until
from tests.scale import scaled

pytestmark = pytest.mark.bpf

PROCESSES = scaled(200, 20)
CALLS = 25


@pytest.fixture
def program(compile_program: Compile, tmp_path: Path) -> Path:
    """A program of a name that no other process has."""
    path = tmp_path / f"fleet-{random.randrange(1 << 30):x}"
    shutil.copy(compile_program("fleet.c", "-O1", "-fcf-protection=none"), path)
    return path


def entries_by_pid(agent: Running) -> dict[int, list[int]]:
    """The last count of each process that ran, by PID."""
    targets = {record.id: record for record in agent.records if isinstance(record, Target)}
    series = {record.id: record for record in agent.records if isinstance(record, Series)}
    last: dict[int, int] = {}
    for record in agent.records:
        if isinstance(record, Snapshot):
            for values in record.series:
                outcomes = values.returned + values.abandoned + values.missed + values.untimed + values.in_flight
                assert outcomes >= last.get(values.series, 0)
                last[values.series] = outcomes
    found: dict[int, list[int]] = defaultdict(list)
    for number, entries in last.items():
        found[targets[series[number].target].pid].append(entries)
    return dict(found)


def test_processes_that_live_for_a_moment_are_each_counted_under_their_own_pid(program: Path) -> None:
    """200 of them, started and ended at random: the calls of each, exactly; then nothing of them is left in the kernel."""
    dice = random.Random(7)
    with running(TargetSelector(name=program.name), interval_s=0.2) as agent:
        first = subprocess.Popen([program, "idle"])
        agent.wait(lambda: bool(agent.of(Target)), "the file is linked")
        children = []
        for _ in range(PROCESSES):
            child = subprocess.Popen([program, "live", str(dice.randrange(1, 120))], stdout=subprocess.PIPE, text=True)
            children.append(child)
            time.sleep(dice.random() * 0.02)
        told: dict[int, int] = {}
        for child in children:
            pid, calls = child.communicate()[0].split()
            told[int(pid)] = int(calls)
        agent.wait(lambda: len(agent.of(TargetEnded)) == PROCESSES, "all of them have ended")
        counted = entries_by_pid(agent)
        assert {pid: counted.get(pid) for pid in told} == {pid: [calls] for pid, calls in told.items()}
        measuring = agent.agent._measuring
        assert measuring is not None
        backend = cast(BpfBackend, measuring.backend)
        assert len(backend._targets) == 1
        first.kill()
        first.wait()
        agent.wait(lambda: len(agent.of(TargetEnded)) == PROCESSES + 1, "the first has ended too")
        assert (backend._by_index, backend._waiting, backend._target_of) == ({}, {}, {})


def planned(pid: int) -> ProbePlan:
    """What is planned for a process."""
    with Inspector() as inspector:
        return Planner(Config(), inspector).plan_process(procfs.process(pid), named=True)


def attached(child: Child, plan: ProbePlan) -> tuple[list[ProbeStatus], str]:
    """What becomes of a plan's probes in a process, and what the process answers then."""
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        target = Target(1, child.pid, 0, "rewritten", str(child.path), None, "rewritten", "x", 0)
        records = backend.attach(target, plan)
        return [record for record in records if isinstance(record, ProbeStatus)], child.ask(str(CALLS))
    finally:
        backend.close()


def test_a_file_that_is_written_over_in_place_with_its_old_time_is_not_probed(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Where a plan was made for other code in the same place, nothing is written, and the process goes on computing what it should."""
    path = tmp_path / "replaced"
    shutil.copy(compile_program("rewritten.c", "-O1", "-DADD=1"), path)
    first = start(path)
    (probe,) = planned(first.pid).probes
    plan = ProbePlan((replace(probe, file=str(path)),))
    first.close()
    before = path.stat()
    with path.open("r+b") as file:  # in place: the same inode
        file.write(compile_program("rewritten.c", "-O1", "-DADD=2").read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    (status,), answer = attached(start(path), plan)
    assert (status.state, answer) == (ProbeState.UNVERIFIED, str(CALLS))
    assert "was changed since it was analysed" in status.reason


@pytest.mark.parametrize("owned", [True, False], ids=["with a lease", "without"])
def test_a_file_that_nobody_runs_can_be_written_over_and_its_next_process_is_unharmed(
    compile_program: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owned: bool
) -> None:
    """Its links are out before the first byte is written, or already when its last process ends: the new build computes what it should."""
    if not owned:
        monkeypatch.setattr(lease, "take", lambda _: False)
    path = tmp_path / f"replaced-{random.randrange(1 << 30):x}"
    shutil.copy(compile_program("rewritten.c", "-O1", "-DADD=1"), path)
    with running(TargetSelector(name=path.name), interval_s=1.0) as agent:
        first = Child(path)
        agent.wait(lambda: len(agent.of(Target)) == 1, "the first process is attached")
        assert first.ask(str(CALLS)) == str(CALLS)
        measuring = agent.agent._measuring
        assert measuring is not None
        backend = cast(BpfBackend, measuring.backend)
        (probes,) = backend._files.by_number.values()
        assert (probes.everyone, probes.leased) == (True, owned)
        first.close()
        agent.wait(lambda: len(agent.of(TargetEnded)) == 1, "it has ended")
        if not owned:
            until(lambda: not backend._files.by_number, "nothing is linked any more")
        # Another padding before the function: the old offsets lie within instructions of the new build.
        build = compile_program("rewritten.c", "-O1", "-DADD=2", "-fpatchable-function-entry=3").read_bytes()
        with path.open("r+b") as file:  # waits for the lease
            assert not backend._files.by_number
            file.write(build)
        second = Child(path)
        assert second.ask(str(CALLS)) == str(CALLS)
        agent.wait(lambda: len(agent.of(Target)) == 2, "the new build is measured as what it is")
        assert second.ask(str(CALLS)) == str(CALLS)
        assert sum(agent.agent._commands.call(backend.entries).values()) >= CALLS
        assert second.close() == 0


def test_code_that_a_process_has_written_itself_is_not_probed(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """Its text is not what the file has: refused with that reason, and the same program as it is in the file is probed."""
    path = compile_program("rewritten.c", "-O1", "-DADD=1")
    plain, own = start(path, "plain"), start(path, "own")
    plan = planned(plain.pid)
    (status,), answer = attached(own, plan)
    assert (status.state, answer) == (ProbeState.UNVERIFIED, str(CALLS))
    assert "has changed the code of jitterbuffer_put" in status.reason
    (status,), answer = attached(plain, plan)
    assert (status.state, answer) == (ProbeState.ATTACHED, str(CALLS))
