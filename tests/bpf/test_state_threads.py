# SPDX-License-Identifier: Apache-2.0
"""A server on State Threads, a hundred coroutines on one thread, is measured where it blocks: every call, as its own log has it."""

from __future__ import annotations

import os
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.catalog import load
from otel_jb.config.layers import override, read
from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy
from otel_jb.model.stream import Series
from otel_jb.planner.targets import Discovery
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import PROGRAMS
from tests.bpf.hazards.harness import Child
from tests.scale import patience

pytestmark = pytest.mark.bpf

SECONDS = 60 if os.environ.get("OTEL_JB_LONG") else 6
BOUNDARIES_NS = [int(b * 1e6) for b in (0.01, 0.1, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 25, 30, 35, 40, 50, 100, 250, 1000)]
#: The library's own functions are in no shipped profile.
PROFILE = """\
profile: state-threads
title: State Threads
versions: "1.9"
functions:
  - {name: st_usleep, role: wait}
  - {name: st_read, role: get}
"""
FUNCTIONS = ("jitterbuffer_put", "jitterbuffer_get", "st_usleep", "st_read")


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    """The sandbox."""
    with Inspector() as made:
        yield made


def read_log(path: Path) -> dict[str, list[int]]:
    """Nanoseconds of every call by function, sorted."""
    data, at, logs = path.read_bytes(), 0, {}
    while at < len(data):
        line, _, _ = data[at:].partition(b"\n")
        name, count = line.decode().split()
        at += len(line) + 1
        logs[name] = sorted(struct.unpack_from(f"={count}Q", data, at))
        at += 8 * int(count)
    return logs


def waited(pid: int) -> tuple[int, int]:
    """How often the process was taken off its processor against its will, and for how many nanoseconds it waited to run."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("nonvoluntary_ctxt_switches"))
    return int(line.split()[1]), int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])


@pytest.mark.timeout(SECONDS + patience(90))
@pytest.mark.parametrize("wish", ["auto", "ret-sites"])
def test_latencies_of_blocking_functions_equal_the_servers_own_log(
    wish: str, tmp_path: Path, inspector: Inspector
) -> None:
    """Counts are exact; buckets too, but for calls that are as near to a boundary as what their probes cost, and one in a hundred; sums differ by that at most."""
    server, log, profile = tmp_path / "st_server", tmp_path / "log", tmp_path / "state-threads.yaml"
    subprocess.run(["gcc", "-O2", "-o", server, PROGRAMS / "st_server.c", "-lst"], check=True)
    profile.write_text(PROFILE)
    child = Child([str(server), str(log)])
    assert child.hear(patience(30)) == "ready"
    selector = TargetSelector(pid=child.pid)
    config = override(
        Config(targets=(selector,), profiles=(str(profile),)), {"end_strategy": read("end_strategy", wish)}
    )
    found = Discovery(config, inspector, load([profile])).find(procfs.process(child.pid), selector)
    assert {probe.function for probe in found.plan.probes} == set(FUNCTIONS)
    assert all(probe.strategy is not EndStrategy.URETPROBE for probe in found.plan.probes)
    backend = BpfBackend(KernelOptions(BOUNDARIES_NS))
    try:
        costs = dict(backend.measure_cost().seconds_by_kind)
        records = backend.attach(found.target, found.plan)
        switches, delay_ns = waited(child.pid)
        child.say(str(SECONDS * 1000))
        assert child.hear(SECONDS + patience(60)) == "done"
        switches, delay_ns = (
            after - before for after, before in zip(waited(child.pid), (switches, delay_ns), strict=True)
        )
        snapshot = backend.detach(found.target.id)
    finally:
        backend.close()
    assert child.end(patience(30)) == "status 7"
    names = {record.id: record.function for record in records if isinstance(record, Series)}
    # An entry and an end hit; if they are stepped, at the agent's own figure for a stepped hit.
    cost_ns = patience(2e9 * max(costs.values()))
    near_ns = int(1.25 * cost_ns)  # the cost is that of undisturbed hits
    logs = read_log(log)
    for values in snapshot.series:
        own = logs[names[values.series]]
        assert len(own) > SECONDS * 200
        assert values.returned == len(own)
        assert values.abandoned == values.missed == values.untimed == values.in_flight == values.orphan_ends == 0
        # The kernel's interval lies within the log's. What lies between is the probes' cost, unless the server had to wait
        # there: for its processor, or, on a virtual machine, while the host had taken that away, which nothing here counts.
        waits = len(own) // 100
        below, most = 0, 0
        for bound, count in zip(snapshot.bounds_ns, values.buckets, strict=False):
            below += count
            most = max(most, below - bisect_right(own, bound + near_ns))
            assert bisect_right(own, bound) <= below <= bisect_right(own, bound + near_ns) + waits, bound
        difference = sum(own) - values.sum_ns
        print(
            f"{names[values.series]}: {len(own)} calls, {difference / len(own):.0f} ns longer by the log, {switches} switches, {most}"
        )
        assert 0 <= difference <= len(own) * cost_ns + delay_ns
