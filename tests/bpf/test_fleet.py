# SPDX-License-Identifier: Apache-2.0
"""Many processes of one file: each counted under its own PID, however short it lives."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from otel_jb.config.model import Config, TargetSelector
from otel_jb.config.yamlfile import Duration
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy, Probe, ProbePlan, SiteKind
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, SeriesSnapshot, Snapshot, Target, TargetEnded
from otel_jb.planner import expected
from otel_jb.planner.planner import Planner
from otel_jb.probes.attach import lease
from otel_jb.probes.attach.files import EVERYONE
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_agent import Running, running
from tests.bpf.test_counting import APART, EARLY, STRATEGIES, entries
from tests.e2e.agent_process import until
from tests.scale import patience, scaled

pytestmark = pytest.mark.bpf

#: OTEL_JB_TEST_FLEET=1000 is the whole of it: a thousand processes that live for 50 ms to 1 s.
WHOLE = int(os.environ.get("OTEL_JB_TEST_FLEET", "0"))
PROCESSES = WHOLE or scaled(200, 20)
LIVES_MS = (50, 1000) if WHOLE else (1, 120)
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
    for number, calls in last.items():
        found[targets[series[number].target].pid].append(calls)
    return dict(found)


def test_processes_that_live_for_a_moment_are_each_counted_under_their_own_pid(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 of them, started and ended at random: the calls of each, exactly; then nothing of them is left, in the kernel or in the agent."""
    monkeypatch.setattr(expected, "AFTER_S", 1e9)  # libraries that are probed meanwhile keep their descriptors
    dice = random.Random(7)
    agent = Running(
        Config(
            targets=(TargetSelector(name=program.name),),
            listen=None,
            interval=Duration(200_000_000),
            retain=Duration(1_000_000_000),
        )
    )
    try:
        first = subprocess.Popen([program, "idle"])
        agent.wait(lambda: bool(agent.of(Target)), "the file is linked")
        before = descriptors()
        children = []
        for _ in range(PROCESSES):
            life = str(dice.randrange(*LIVES_MS))
            children.append(subprocess.Popen([program, "live", life], stdout=subprocess.PIPE, text=True))
            time.sleep(dice.random() * 0.02)
        told: dict[int, list[int]] = defaultdict(list)
        for child in children:
            pid, calls = child.communicate()[0].split()
            told[int(pid)].append(int(calls))
        agent.wait(lambda: len(agent.of(TargetEnded)) == PROCESSES, "all of them have ended", seconds=120)
        counted = entries_by_pid(agent)
        assert {pid: sorted(counted.get(pid, [])) for pid in told} == {pid: sorted(each) for pid, each in told.items()}
        measuring = agent.agent._measuring
        assert measuring is not None
        backend = cast(BpfBackend, measuring.backend)
        assert len(backend._targets) == 1
        until(lambda: len(agent.agent.state.view().targets) == 1, "their series have ended")
        until(lambda: descriptors() <= before, "their descriptors are closed")
        first.kill()
        first.wait()
        agent.wait(lambda: len(agent.of(TargetEnded)) == PROCESSES + 1, "the first has ended too")
        assert (backend._by_index, backend._waiting, backend._target_of) == ({}, {}, {})
        until(lambda: not agent.agent.state.view().targets, "its series have ended too")
    finally:
        agent.close()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_process_that_executes_itself_again_and_again_ends_no_agent(program: Path) -> None:
    """Two processes run 41 programs each within a moment, all under one PID and start time: none is taken for another, all calls of each are
    counted, and so is who comes then.
    """
    config = Config(targets=(TargetSelector(name=program.name),), listen=None, interval=Duration(200_000_000))
    agent = Running(config)
    first = subprocess.Popen([program, "idle"])
    try:
        agent.wait(lambda: bool(agent.of(Target)), "the file is linked")
        children = [subprocess.Popen([program, "exec", "40"]) for _ in range(2)]
        assert [child.wait() for child in children] == [0, 0]
        last = subprocess.Popen([program, "idle"])
        try:
            agent.wait(lambda: last.pid in entries_by_pid(agent), "the next process is counted", seconds=120)
        finally:
            last.kill()
        counted = entries_by_pid(agent)
        found = [calls for child in children for calls in counted.get(child.pid, [])]
        assert found == [3] * 82, "every call of every program"
        assert len(agent.of(Series)) == len(agent.of(Target)), "each is one program with one function"
    finally:
        first.kill()
        agent.close()


@pytest.mark.parametrize(
    ("strategy", "flags"),
    [
        *((strategy, APART) for strategy in STRATEGIES),
        *((each, EARLY) for each in STRATEGIES if each is EndStrategy.EDGE_SITES),
    ],
)
def test_no_call_is_lost_while_links_by_pid_give_way_to_links_of_the_file(
    compile_program: Compile,
    start: Callable[..., Child],
    strategy: EndStrategy,
    flags: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two processes call all the time while a third comes and the links are exchanged: each call has one outcome, at every read. One kind of
    call begins and ends at the same instruction.
    """
    # On a busy machine a thread may wait for a CPU for so long inside a call.
    monkeypatch.setattr("otel_jb.probes.attach.files.DRAIN_S", patience(10))
    path = compile_program("calls.c", *flags)
    plan = plan_for(path, {"put": Meaning(uretprobe="leaf")}, strategy)
    assert [probe.strategy for probe in plan.probes] == [strategy]
    entry, *ends = plan.probes[0].sites
    assert any(each.offset == entry.offset and each.kind is SiteKind.EDGE for each in ends) is (flags == EARLY)
    children = [start(path) for _ in range(4)]
    backend = BpfBackend(KernelOptions([1_000_000]))
    entered: Counter[int] = Counter()
    series: dict[int, int] = {}  # by target

    def attach(number: int) -> None:
        target = Target(number, children[number].pid, 0, "calls", str(path), None, "calls", "x", 0)
        series[number] = next(each.id for each in backend.attach(target, plan) if isinstance(each, Series))

    def look() -> dict[int, SeriesSnapshot]:
        values = {each.series: each for each in backend.snapshot(roll=True).series}
        for number, each in values.items():
            assert entries(each) >= entered[number]
            entered[number] = entries(each)
        return values

    try:
        for number in (0, 1):
            attach(number)
        (probes,) = backend._files.by_number.values()
        assert set(probes.functions[0].links) == {child.pid for child in children[:2]}
        for child in children[:2]:
            child.say("-1 3")
        until(lambda: all(each.returned for each in look().values()), "both are counted")
        for number in (2, 3):
            attach(number)
            children[number].say("-1 3")
            look()
        assert set(probes.functions[0].links) == {EVERYONE}
        until(lambda: all(each.returned for each in look().values()), "all are counted")
        made = [int(child.ask("stop")) for child in children]
        values = look()
    finally:
        backend.close()
    assert [entries(values[series[number]]) for number in range(4)] == made
    assert all(each.in_flight == each.missed == each.abandoned == 0 for each in values.values())


def counted_uids(agent: Running, uid_of: dict[int, int]) -> Counter[int]:
    """How many processes of each user are measured."""
    return Counter(uid_of[view.target.pid] for view in agent.agent.state.view().live if view.series)


def test_one_user_cannot_take_the_room_of_others(program: Path) -> None:
    """A user with more processes than there are series gets three quarters of them; another one's process of the same file is measured.

    What was left out is a metric and part of /ready, and the room comes back when the processes end.
    """
    for directory in (program.parent, program.parent.parent, program.parent.parent.parent):
        directory.chmod(0o755)
    config = Config(
        targets=(TargetSelector(name=program.name),), listen=None, interval=Duration(200_000_000), max_series=64
    )
    greedy, modest, uid_of = 4001, 4002, {}
    agent = Running(config)
    children = []

    def start(uid: int) -> None:
        child = subprocess.Popen([program, "idle"], user=uid, group=uid, extra_groups=[])
        children.append(child)
        uid_of[child.pid] = uid

    try:
        for _ in range(80):
            start(greedy)
        until(lambda: counted_uids(agent, uid_of)[greedy] == 48, "the first user has its share")
        until(agent.agent.uncounted, "that some found no room is a metric")
        assert "found no room" in agent.agent.readiness()[1]
        for _ in range(4):
            start(modest)
        until(lambda: counted_uids(agent, uid_of)[modest] == 4, "the second finds room")
        assert counted_uids(agent, uid_of)[greedy] == 48
        for child in children[:80]:
            child.kill()
        until(lambda: not counted_uids(agent, uid_of)[greedy], "the first user's have ended")
        start(greedy)
        until(lambda: counted_uids(agent, uid_of)[greedy] == 1, "and may have room again")
    finally:
        for child in children:
            child.kill()
            child.wait()
        agent.close()


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
        (probes,) = (each for each in backend._files.by_number.values() if each.members)
        assert (probes.everyone, probes.leased) == (True, owned)
        first.close()
        agent.wait(lambda: len(agent.of(TargetEnded)) == 1, "it has ended")
        if not owned:
            until(lambda: probes.number not in backend._files.by_number, "it is not linked any more")
        # Another padding before the function: the old offsets lie within instructions of the new build.
        build = compile_program("rewritten.c", "-O1", "-DADD=2", "-fpatchable-function-entry=3").read_bytes()
        with path.open("r+b") as file:  # waits for the lease
            assert probes.number not in backend._files.by_number
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


@pytest.mark.parametrize("what", ["its code", "a breakpoint"])
def test_a_later_process_that_has_written_over_its_code_is_not_counted(
    compile_program: Compile, start: Callable[..., Child], what: str
) -> None:
    """The file is linked for all: a process whose memory differs from it is unverified, and the others are still counted."""
    path = compile_program("rewritten.c", "-O1", "-DADD=1")
    plain = start(path, "plain")
    plan = planned(plain.pid)
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        targets = [Target(at, 0, 0, "rewritten", str(path), None, "rewritten", "x", 0) for at in (1, 2)]
        backend.attach(replace(targets[0], pid=plain.pid), plan, alone=False)
        later = start(path, "own" if what == "its code" else "plain")
        assert later.ask(str(CALLS)) == str(CALLS)  # it comes by itself
        if what == "a breakpoint":
            take_out_breakpoint(later.pid, plan.probes[0])
        (status,) = backend.attach(replace(targets[1], pid=later.pid), plan, alone=False)
        assert isinstance(status, ProbeStatus)
        assert status.state is ProbeState.UNVERIFIED
        assert status.reason == f"process {later.pid} has changed the code of jitterbuffer_put"
        assert (later.ask(str(CALLS)), plain.ask(str(CALLS))) == (str(CALLS), str(CALLS))
        assert list(backend.entries().values()) == [CALLS]
    finally:
        backend.close()


def take_out_breakpoint(pid: int, probe: Probe) -> None:
    """Write over the entry's breakpoint in a process's memory, as the process itself can."""
    offset = probe.sites[0].offset
    ((start, code),) = [piece for piece in probe.code if piece[0] <= offset < piece[0] + len(piece[1])]
    mappings = [each for each in procfs.maps(pid, code=True) if each.path == procfs.process(pid).executable]
    (mapping,) = [each for each in mappings if each.offset <= offset < each.offset + each.end - each.start]
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        assert os.pwrite(memory, code[offset - start :][:4], mapping.start + offset - mapping.offset) == 4
    finally:
        os.close(memory)


LOADER = """
import ctypes, sys
put = ctypes.CDLL(sys.argv[1]).jitterbuffer_put
print("ready", flush=True)
for line in sys.stdin:
    print(sum(put(3) for _ in range(int(line))), flush=True)
"""


@pytest.mark.parametrize("leased", [True, False], ids=["with a lease", "without"])
def test_a_library_that_is_written_in_place_while_it_runs_is_not_measured_any_more(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leased: bool
) -> None:
    """Its functions are unverified, with the reason; their probes are out, and their attached time stands still. Nothing is probed in the
    build that was written, either, since a breakpoint would also go into the process that has the old one.
    """
    if not leased:
        monkeypatch.setattr(lease, "take", lambda _: False)
    path = tmp_path / "library.so"
    flags = ("-O1", "-shared", "-fPIC")
    shutil.copy(compile_program("rewritten.c", "-DADD=1", *flags), path)
    child = start(Path(sys.executable), "-c", LOADER, str(path))
    with running(TargetSelector(pid=child.pid), interval_s=0.2) as agent:
        assert child.ask(str(CALLS)) == str(10 * CALLS)
        assert agent.returned("jitterbuffer_put") == CALLS
        # The same size; the breakpoint's page is the process's own, so that what it computes is that of either build.
        with path.open("r+b") as file:  # waits for the lease
            file.write(compile_program("rewritten.c", "-DADD=2", *flags).read_bytes())

        def told() -> list[ProbeStatus]:
            records = [record for record in agent.records if isinstance(record, ProbeStatus)]
            return [record for record in records if record.state is ProbeState.UNVERIFIED]

        agent.wait(lambda: bool(told()), "that is reported")
        assert "was written to in place" in told()[0].reason
        assert agent.agent.state.view().targets[0].probes[0].state is ProbeState.UNVERIFIED
        agent.agent.read()
        attached_ns = agent.agent.state.view().targets[0].series[0].values.attached_ns
        assert child.ask(str(CALLS)) in (str(10 * CALLS), str(11 * CALLS))
        assert agent.returned("jitterbuffer_put") == CALLS
        assert agent.agent.state.view().targets[0].series[0].values.attached_ns == attached_ns
        other = start(Path(sys.executable), "-c", LOADER, str(path))
        assert agent.agent._discovery is not None
        assert agent.agent._measuring is not None
        plan = agent.agent._discovery.planner.plan_process(procfs.process(other.pid), named=True)
        target = Target(99, other.pid, 0, "python3", "", None, "python3", "x", 0)
        attach = agent.agent._measuring.backend.attach
        (status,) = agent.agent._commands.call(lambda: attach(target, plan))
        assert isinstance(status, ProbeStatus)
        assert status.state is ProbeState.UNVERIFIED
        assert "was written to in place" in status.reason
