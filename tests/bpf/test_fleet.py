"""Many processes of one file: each counted under its own PID, however short it lives."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.model.stream import Series, Snapshot, Target, TargetEnded
from tests.bpf.conftest import Compile
from tests.bpf.test_agent import Running, running
from tests.scale import scaled

pytestmark = pytest.mark.bpf

PROCESSES = scaled(200, 20)


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
        backend = measuring.backend
        assert len(backend._targets) == 1
        first.kill()
        first.wait()
        agent.wait(lambda: len(agent.of(TargetEnded)) == PROCESSES + 1, "the first has ended too")
        assert (backend._by_index, backend._waiting, backend._target_of) == ({}, {}, {})
