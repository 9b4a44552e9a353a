# SPDX-License-Identifier: Apache-2.0
"""Counters that profiles add to, compared with the account that a program keeps itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.host import procfs
from otel_jb.model.added import ADDED
from otel_jb.model.stream import Series, Snapshot, Target
from otel_jb.planner.planner import Planner
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from otel_jb.telemetry.state import StreamState
from tests.bpf.conftest import LINKS, Child, Compile

pytestmark = pytest.mark.bpf

FLAGS = ("-std=c++17", "-O1", "-g")
CONCEALED = {"concealed_samples", "silent_concealed_samples"}


@contextmanager
def measured(child: Child, links: str = "auto") -> Iterator[tuple[BpfBackend, Target, list[Series]]]:
    """A program that is measured as its profile says."""
    with Inspector() as inspector:
        plan = Planner(Config(), inspector).plan_process(procfs.process(child.pid), named=True)
    kernel = BpfBackend(KernelOptions([1_000_000], links=links))
    try:
        target = Target(1, child.pid, 0, "neteq", str(child.path), None, "neteq", "x", 0)
        yield kernel, target, [each for each in kernel.attach(target, plan) if isinstance(each, Series)]
    finally:
        kernel.close()


def counted(snapshot: Snapshot, series: list[Series]) -> dict[str, int]:
    """The counters, over all functions."""
    names = {each.id: each.adds for each in series}
    found: dict[str, int] = {}
    for values in snapshot.series:
        for name, value in zip(names[values.series], values.added, strict=True):
            found[name] = found.get(name, 0) + value
    return found


def mean_target(snapshot: Snapshot) -> float | None:
    """The target delay of the last interval."""
    means = [mean for each in snapshot.series for name, mean in each.means if name == "target_delay"]
    return means[0] if means else None


@pytest.mark.parametrize("links", LINKS)
def test_neteqs_counters_are_its_own(compile_program: Compile, start: Callable[..., Child], links: str) -> None:
    """Two receivers on a thread each: every counter of W3C's is their account's sum, and the target delay the mean of one interval's calls."""
    child = start(compile_program("neteq.cc", *FLAGS))
    with measured(child, links) as (kernel, _, series):
        first = json.loads(child.ask("run 1 20000 2"))
        before = kernel.snapshot(roll=True)
        idle = kernel.snapshot(roll=True)
        second = json.loads(child.ask("run 7 20000 2"))
        running = kernel.snapshot()
        after = kernel.snapshot(roll=True)
    others = {"recovered_packets", "unrecovered_packets", "requested_packets"}
    counters = {name for name, row in ADDED.items() if not row.is_mean} - others
    assert all(first[name] > 0 for name in counters)
    for snapshot, accounts in ((before, [first]), (after, [first, second])):
        found = counted(snapshot, series)
        assert {name: found[name] for name in counters} == {
            name: sum(each[name] for each in accounts) for name in counters
        }
    assert mean_target(before) == first["targets_ms"] / first["targets"]
    assert mean_target(idle) is mean_target(running) is None
    assert mean_target(after) == second["targets_ms"] / second["targets"]


def test_what_needs_an_unknown_field_is_absent(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Without debug information concealed samples cannot be told; what the functions are told is counted all the same."""
    path = tmp_path / "neteq"
    shutil.copy(compile_program("neteq.cc", *FLAGS), path)
    subprocess.run(["strip", "-g", path], check=True)
    child = start(path)
    with measured(child) as (kernel, _, series):
        account = json.loads(child.ask("run 3 5000 1"))
        found = counted(kernel.snapshot(), series)
    assert not CONCEALED & set(found)
    for name in ("concealment_events", "jitter_buffer_delay", "resets"):
        assert found[name] == account[name] > 0


def test_an_impossible_value_takes_its_counter_off(
    compile_program: Compile, start: Callable[..., Child], caplog: pytest.LogCaptureFixture
) -> None:
    """A number of samples that cannot be is not added; the counter is no longer reported, with a warning, and the others stay."""
    child = start(compile_program("neteq.cc", *FLAGS))
    state = StreamState()
    with measured(child) as (kernel, target, series):
        state.apply(target)
        account = json.loads(child.ask("run 5 5000 1"))
        assert child.ask("wrong") == "done"
        snapshot = kernel.snapshot()
    assert counted(snapshot, series)["total_samples_received"] == account["total_samples_received"]
    for each in series:
        state.apply(each)
    state.apply(snapshot)
    known = {name for view in state.view().targets[0].series for name in view.series.adds if name}
    assert "total_samples_received" not in known
    assert known >= CONCEALED
    assert "1 values of `total_samples_received` are impossible" in caplog.text
