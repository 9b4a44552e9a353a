# SPDX-License-Identifier: Apache-2.0
"""Stripped Go programs: goroutines whose stacks grow, shrink and move while the functions that run in them are measured."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from otel_jb.catalog import load
from otel_jb.config.layers import override
from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.stream import Series, SeriesSnapshot
from otel_jb.planner.targets import Discovery
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.hazards.harness import Child
from tests.e2e.collector import program
from tests.scale import patience

pytestmark = pytest.mark.e2e

GOROUTINES, CALLS = 16, 500
PROFILE = """\
profile: goroutines
title: A Go program
only: {executable: ["goroutines*"]}
structs:
  Buffer: {depth: u64 @0}
  Packet: {length: u64 @16}
functions:
  - name: main.(*buffer).Put
    role: put
    returns: i64
    stream: arg1
    bytes: arg2->Packet.length
    depth: arg1->Buffer.depth
    outcomes:
      - {is: drop, reason: late, when: ret < 0}
  - name: main.(*buffer).Get
    role: get
    returns: ptr
    stream: arg1
    outcomes:
      - {is: no_packet, when: ret == 0}
  - {name: main.Nest, role: wait}
"""


@dataclass(frozen=True)
class Measured:
    """What became of the program, what it counted itself, and what was counted of it."""

    plan: ProbePlan
    own: tuple[int, ...]
    end: str
    series: dict[str, SeriesSnapshot]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A run of it, measured from its first call to its last."""
    profile = tmp_path_factory.mktemp("profile") / "goroutines.yaml"
    profile.write_text(PROFILE)
    child = Child([program("goroutines")])
    with Inspector() as inspector:
        assert child.hear(patience(60)) == "ready"
        selector = TargetSelector(pid=child.pid)
        config = override(Config(targets=(selector,), profiles=(str(profile),)), {})
        found = Discovery(config, inspector, load([profile])).find(procfs.process(child.pid), selector)
        backend = BpfBackend(KernelOptions([1_000, 1_000_000]))
        try:
            records = backend.attach(found.target, found.plan)
            child.say(f"{GOROUTINES} {CALLS}")
            counted = child.hear(patience(120))
            assert counted is not None, child.end(1)
            child.say("end")
            end = child.end(patience(60))
            snapshot = backend.detach(found.target.id)
        finally:
            backend.close()
    names = {record.id: record.function for record in records if isinstance(record, Series)}
    own = tuple(map(int, counted.split()[1:]))
    return Measured(found.plan, own, end, {names[values.series]: values for values in snapshot.series})


@pytest.mark.timeout(patience(240))
def test_calls_of_goroutines_are_counted_exactly_while_their_stacks_move(measured: Measured) -> None:
    """Each call, its bytes, its drops and its outcome equal the program's own count, in a program without symbols, and the program lives."""
    assert measured.end == "status 7"
    assert {probe.strategy for probe in measured.plan.probes} == {EndStrategy.RET_SITES}
    calls, size, taken, _, _, _ = measured.own
    assert calls == GOROUTINES * CALLS
    put, get = measured.series["main.(*buffer).Put"], measured.series["main.(*buffer).Get"]
    assert (put.returned, put.packets, put.bytes) == (calls, calls, size)
    late = GOROUTINES * sum((how * 13 if how % 16 == 0 else how) % 5 == 0 and how > 0 for how in range(CALLS))
    assert sum(put.drops) == late
    assert (get.returned, get.packets, get.no_packet) == (calls, taken, calls - taken)
    for each in (put, get):
        assert each.abandoned == each.missed == each.untimed == each.orphan_ends == 0
        assert sum(each.faults) == 0


@pytest.mark.timeout(patience(240))
def test_recursion_and_panics_in_goroutines_are_told_apart(measured: Measured) -> None:
    """Of calls that call themselves all are counted; those that a panic ends are the only ones that do not return."""
    _, _, _, nested, returned, panics = measured.own
    nest = measured.series["main.Nest"]
    assert panics > 0
    assert nest.returned == returned
    assert nest.abandoned + nest.in_flight == nested - returned
    assert nest.missed == nest.untimed == nest.orphan_ends == 0
