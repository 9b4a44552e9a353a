# SPDX-License-Identifier: Apache-2.0
"""What the owner of the kernel's side makes of a backend: which records it hands on, in which order, and what it asks the backend for."""

# ruff: noqa: ARG002 - a backend's methods take what the protocol gives them
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from otel_jb.agent.debugged import AT_ONCE, DebuggerWatch
from otel_jb.agent.governor import Decision, Governor, Reading
from otel_jb.agent.measuring import Measuring
from otel_jb.config.model import Config, Slow, Threshold
from otel_jb.host import debuggers, procfs
from otel_jb.host.debuggers import Debugger
from otel_jb.host.procfs import Process
from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import AttachError, TargetError
from otel_jb.model.plan import EndStrategy, Probe, ProbePlan, Symbol, SymbolSource
from otel_jb.model.reads import ReadProgram
from otel_jb.model.stream import (
    AgentCost,
    ProbeState,
    ProbeStatus,
    Series,
    SlowCall,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)
from otel_jb.planner.changes import Changes, Found
from otel_jb.probes.backend import Backend, HitTime
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from tests import telemetry_samples as samples

#: Traces a process under a name of its own.
TRACER = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
assert libc.prctl(15, sys.argv[2].encode(), 0, 0, 0) == 0  # PR_SET_NAME
assert libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0  # PTRACE_SEIZE
print("traced", flush=True)
time.sleep(100)
"""


class Scripted:
    """A backend of which a test says what it finds, and that says what it was asked to do."""

    link_kind = "multi"
    event_descriptor = -1
    tells_ends = True

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.refused: AttachError | None = None
        self.slow: list[SlowCall] = []
        self.counted = 0
        self.seen: HitTime | None = None
        self.buckets: dict[int, tuple[int, ...]] = {}
        self.shared: set[int] = set()
        self._number = 0
        self._series: dict[int, Series] = {}

    def attach(
        self, target: Target, plan: ProbePlan, *, alone: bool = True, running: bool = True
    ) -> list[StreamRecord]:
        self.asked.append(("attach", target.id))
        if self.refused is not None:
            raise self.refused
        return self.extend(target.id, plan)

    def extend(self, target_id: int, plan: ProbePlan, *, alone: bool = True) -> list[StreamRecord]:
        made: list[StreamRecord] = []
        for probe in plan.probes:
            self._number += 1
            one = replace(
                samples.PUT, id=self._number, target=target_id, function=probe.function, strategy=probe.strategy.value
            )
            self._series[one.id] = one
            status = ProbeStatus(target_id, one.function, "f", "p", ProbeState.ATTACHED, "", one.strategy, one.id)
            made += [one, status]
        return made

    def arrivals(self) -> list[Arrival]:
        return []

    def ignore(self, arrival: Arrival, target_id: int | None = None) -> None:
        self.asked.append(("ignore", arrival.pid))

    def ended(self) -> dict[int, bool]:
        return {}

    def tidy(self) -> list[StreamRecord]:
        return []

    def expect(self, plan: ProbePlan, pid: int) -> None:
        self.asked.append(("expect", pid))

    def drop_idle(self) -> None:
        self.asked.append(("drop idle",))

    def no_room(self) -> dict[str, int]:
        return {"f": 3}

    def detach(self, *target_ids: int, gone: bool = False) -> Snapshot:
        self.asked.append(("detach", target_ids, gone))
        over = [number for number, one in self._series.items() if one.target in target_ids]
        last = self._values(over)
        for number in over:
            del self._series[number]
        return last

    def snapshot(self, roll: bool = False, only: int | None = None) -> Snapshot:
        return self._values([number for number, one in self._series.items() if only in (None, one.target)])

    def _values(self, numbers: Sequence[int]) -> Snapshot:
        nothing = (0,) * (len(DEFAULT_BOUNDS_NS) + 1)
        values = [
            replace(samples.snapshot_of(samples.PUT, []), series=number, buckets=self.buckets.get(number, nothing))
            for number in numbers
        ]
        return samples.snapshot(*values)

    def has_counted(self, target_id: int) -> bool:
        return self.counted > 0

    def entries(self) -> dict[int, int]:
        return dict.fromkeys(self._series, self.counted)

    def slow_calls(self, *, every: bool = False) -> list[SlowCall]:
        calls, self.slow = self.slow, []
        return calls

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        self.asked.append(("threshold", series, threshold_ns))

    def shed(self, series: int, reason: str, *, shared: bool = True) -> ProbeStatus | None:
        if not shared and series in self.shared:
            return None
        self.asked.append(("shed", series))
        one = self._series[series]
        return ProbeStatus(one.target, one.function, "f", "p", ProbeState.SHED, reason, one.strategy, series)

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        self.asked.append(("restore", series))
        one = self._series[series]
        return ProbeStatus(one.target, one.function, "f", "p", ProbeState.ATTACHED, reason, one.strategy, series)

    def measure_cost(self, run: Callable[[Callable[[], object]], object]) -> AgentCost:
        return AgentCost()

    def sample_hits(self, target_id: int) -> bool:
        self.asked.append(("sample", target_id))
        return True

    def hit_time(self) -> HitTime | None:
        seen, self.seen = self.seen, None
        return seen

    def close(self) -> None:
        self.asked.append(("close",))


class World:
    """The owner's side over a scripted backend, and what came out of it."""

    def __init__(self, config: Config | None = None) -> None:
        self.backend = Scripted()
        self.records: list[StreamRecord] = []
        protocol: Backend = self.backend
        self.measuring = Measuring(config or Config(), protocol, [self.records.append])

    def kinds(self) -> list[str]:
        return [type(record).__name__ for record in self.records]


def probe(function: str) -> Probe:
    symbol = Symbol(function, 0x1000, 16, SymbolSource.SYMTAB, function)
    return Probe(
        function, symbol, "f", None, "put", True, "p", EndStrategy.EDGE_SITES, "", (), ReadProgram(), True, True, False, False, False
    )  # fmt: skip


def found(number: int, process: Process | None = None) -> Found:
    running = process or procfs.process(os.getpid())
    target = replace(samples.SRS, id=number, pid=running.pid)
    return Found(running, target, ProbePlan((probe("put"), probe("get"))))


def test_changes_are_nothing_unless_something_is_to_be_applied() -> None:
    """Each kind of news wakes the owner of the kernel's side, and so does a new configuration; that more will come does not."""
    kinds = [each.name for each in fields(Changes) if each.name not in ("more", "anew")]
    nothing: dict[str, Any] = {name: [] for name in kinds}
    assert not Changes(**nothing)
    assert not Changes(**nothing, more=True)
    assert Changes(**nothing, anew=True)
    for name in kinds:
        assert Changes(**{**nothing, name: [object()]})


def ended_process() -> Process:
    with subprocess.Popen(["sleep", "100"]) as child:
        process = procfs.process(child.pid)
        child.kill()
    return process


def test_a_target_is_told_of_before_its_series_and_their_values() -> None:
    """A record's target and series always precede it in the stream."""
    world = World()
    world.measuring.attach(found(7))
    assert world.kinds() == ["Target", "Series", "ProbeStatus", "Series", "ProbeStatus", "Snapshot"]
    last = world.records[-1]
    assert isinstance(last, Snapshot)
    assert len(last.series) == 2


def test_a_rare_call_whose_end_is_not_probed_has_one_cold_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hit costs more where it finds the caches cold is paid at a call's entry, and at its end only if that is a hit too."""
    seen: list[Reading] = []

    def observe(_: Governor, now: float, readings: list[Reading], *others: object) -> list[Decision]:
        seen.extend(readings)
        return []

    monkeypatch.setattr(Governor, "observe", observe)
    counted, timed = replace(probe("put"), strategy=EndStrategy.ENTRY_ONLY), probe("get")
    world = World()
    world.measuring.attach(replace(found(7), plan=ProbePlan((counted, timed))))
    world.measuring.use_costs(AgentCost((("cold", 2e-6),)), ())
    world.measuring.govern()
    assert [reading.cold_s for reading in seen] == [2e-6, 4e-6]


def test_a_target_is_sampled_from_one_look_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The governor names it, and is told at its next look what was seen since."""
    told: list[object] = []

    def observe(_: Governor, now: float, readings: object, cpu: object, quiet: object, seen: object) -> list[Decision]:
        told.append(seen)
        return []

    monkeypatch.setattr(Governor, "observe", observe)
    monkeypatch.setattr(Governor, "to_sample", lambda *_: 7)
    world = World()
    world.measuring.attach(found(7))
    world.measuring.govern()
    assert world.backend.asked[-1] == ("sample", 7)
    world.backend.seen = seen = HitTime(7, {1: 0.01}, 0.0, frozenset(), 0.001)
    world.measuring.govern()
    world.measuring.govern()
    assert told == [None, seen, None]


def test_nothing_comes_of_a_process_that_ended_while_it_was_attached() -> None:
    """It is detached and is an error, unless calls of it were counted: then it is a target that ended."""
    world = World()
    gone = found(7, ended_process())
    with pytest.raises(TargetError, match="ended while probes were attached"):
        world.measuring.attach(gone)
    assert world.backend.asked[-1] == ("detach", (7,), True)
    assert world.records == []
    world.backend.counted = 1
    world.measuring.attach(gone)
    assert world.kinds()[0] == "Target"


def test_a_refusal_of_a_process_that_runs_is_the_kernels_and_of_one_that_ended_its_own() -> None:
    """If the process ended, and its files with it, the error names the process; otherwise it repeats what the kernel said."""
    world = World()
    world.backend.refused = AttachError("the kernel refuses")
    with pytest.raises(AttachError, match="the kernel refuses"):
        world.measuring.attach(found(7))
    with pytest.raises(TargetError, match="ended before it could be probed"):
        world.measuring.attach(found(8, ended_process()))


def test_the_last_values_and_slow_calls_of_a_target_come_before_its_end() -> None:
    """After TargetEnded nothing of a target comes any more; one that is only detached has not ended."""
    world = World()
    world.measuring.attach(found(7))
    world.measuring.attach(found(8))
    world.records.clear()
    world.backend.slow = [SlowCall(1, 2, "t", 3, 4, 5, None, None, None, None)]
    world.measuring.end([7])
    assert world.kinds() == ["SlowCall", "Snapshot", "TargetEnded"]
    assert world.measuring.pids == {8: os.getpid()}
    world.records.clear()
    world.measuring.close()
    assert world.kinds() == ["Snapshot"]
    assert not any(isinstance(record, TargetEnded) for record in world.records)
    assert world.backend.asked[-1] == ("close",)


def test_functions_that_come_later_join_the_others() -> None:
    """A library that is loaded brings series; those that are known stay, and all end together."""
    world = World()
    world.measuring.attach(found(7))
    world.records.clear()
    world.measuring.extend(7, ProbePlan((probe("late"),)))
    assert world.kinds() == ["Series", "ProbeStatus"]
    world.measuring.end([7])
    last = next(record for record in world.records if isinstance(record, Snapshot))
    assert len(last.series) == 3
    world.measuring.extend(7, ProbePlan((probe("too late"),)))
    assert world.kinds()[-1] == "TargetEnded"


def test_a_percentile_moves_the_threshold_of_its_function() -> None:
    """Where the threshold is a percentile, it follows what the kernel counted; calls without room are summed up."""
    world = World(Config(slow=Slow(threshold=Threshold(percentile=99.0))))
    world.measuring.attach(found(7))
    buckets = [0] * (len(DEFAULT_BOUNDS_NS) + 1)
    buckets[3] = 5000
    world.backend.buckets = {1: tuple(buckets), 2: tuple(buckets)}
    world.measuring.govern()
    moved = [asked for asked in world.backend.asked if asked[0] == "threshold"]
    assert [asked[1] for asked in moved] == [1, 2]
    assert world.measuring.uncounted == 3


def test_without_targets_nothing_is_read() -> None:
    """A look at a host where nothing is measured hands no snapshot on."""
    world = World()
    assert world.measuring.read() > 0
    world.measuring.govern()
    assert (world.records, world.measuring.overhead) == ([], {})


def test_probes_give_way_to_a_debugger_until_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are out while it is attached, unless other processes share them, and the governor leaves them alone; then they are back."""
    attached: dict[int, Debugger] = {}
    monkeypatch.setattr("otel_jb.agent.measuring.DebuggerWatch", lambda: DebuggerWatch(attached.get))
    world = World()
    world.backend.shared = {2}
    world.measuring.attach(found(7))
    world.measuring.mind_debuggers()
    world.records.clear()
    world.backend.asked.clear()
    attached[os.getpid()] = Debugger("gdb", 12)
    world.measuring.mind_debuggers()
    (status,) = world.records
    assert isinstance(status, ProbeStatus)
    assert (status.series, status.state) == (1, ProbeState.SHED)
    assert "gdb (process 12) is attached" in status.reason
    world.measuring.extend(7, ProbePlan((probe("late"),)))
    world.records.clear()
    attached.clear()
    world.measuring.mind_debuggers()
    assert [each.state for each in world.records if isinstance(each, ProbeStatus)] == [ProbeState.ATTACHED]
    assert world.backend.asked == [("shed", 1), ("restore", 1)]


def test_debuggers_are_looked_for_in_a_few_processes_at_a_time() -> None:
    """New processes are examined first and debugged ones at every look; in the end each process had its turn."""
    looked: list[int] = []
    attached: dict[int, Debugger] = {}

    def debugger_of(pid: int) -> Debugger | None:
        looked.append(pid)
        return attached.get(pid)

    watch = DebuggerWatch(debugger_of)
    pids = {number: 1000 + number for number in range(3 * AT_ONCE)}
    for _ in range(3):
        assert list(watch.look(pids)) == []
    assert sorted(looked) == sorted(pids.values())
    looked.clear()
    pids[99], attached[1099] = 1099, Debugger("gdb", 12)
    assert list(watch.look(pids)) == [(99, attached[1099])]
    assert len(looked) == AT_ONCE
    assert list(watch.look(pids)) == [(99, attached[1099])]
    attached.clear()
    assert list(watch.look(pids)) == [(99, None)]
    assert list(watch.look(pids)) == []
    assert list(watch.look({})) == []


def test_only_tracers_that_set_breakpoints_are_debuggers() -> None:
    """A tracer called gdb is one, whatever version follows its name; one called strace is none."""
    for name, expected in (("gdb", True), ("lldb-server-14", True), ("strace", False), ("gdbus", False)):
        with subprocess.Popen(["sleep", "100"]) as traced:
            tracer = subprocess.Popen(
                [sys.executable, "-c", TRACER, str(traced.pid), name], stdout=subprocess.PIPE, text=True
            )
            with tracer:
                assert tracer.stdout is not None
                assert tracer.stdout.readline() == "traced\n"
                assert debuggers.of(traced.pid) == (Debugger(name, tracer.pid) if expected else None)
                tracer.kill()
            traced.kill()
    assert debuggers.of(os.getpid()) is None
    assert debuggers.of(traced.pid) is None
