# SPDX-License-Identifier: Apache-2.0
"""The kernel counts every call exactly: calls, bytes, drops, buckets, minimum and maximum, whatever reads meanwhile."""

from __future__ import annotations

import select
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from platform import machine

import pytest

from otel_jb.model.errors import AttachError
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.reads import Op, Outcome, ReadOp, ReadProgram
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, SeriesSnapshot, Snapshot, Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import instances
from otel_jb.probes.read.boundaries import EXPONENTIAL_SCALE
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.plans import PUT, Meaning, plan_for
from tests.scale import SCALE, patience, scaled

pytestmark = pytest.mark.bpf

BOUNDARIES = [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000, 10_000_000]
#: On AArch64 the cheapest end is `ret` itself, and no edges are ever chosen.
STRATEGIES = [
    *([EndStrategy.EDGE_SITES] if machine() == "x86_64" else []),
    EndStrategy.URETPROBE,
    EndStrategy.RET_SITES,
]
CALLS, THREADS = scaled(40_000, 4_000), 4
#: Of `calls.c`: its calls begin at the function's prologue; some of them begin and end at its first branch (x86-64).
APART = ("-O1", "-fcf-protection=none", "-fstack-protector-all", "-fno-omit-frame-pointer")
EARLY = ("-O1", "-fcf-protection=none", "-DEARLY")


@contextmanager
def backend(**options: object) -> Iterator[BpfBackend]:
    """A backend that is closed again."""
    made = BpfBackend(KernelOptions(BOUNDARIES, **options))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def target(child: Child, number: int = 1) -> Target:
    """The record of a test program's process."""
    return Target(number, child.pid, 0, "calls", str(child.path), None, "calls", "x", 0)


def only(snapshot: Snapshot) -> SeriesSnapshot:
    """The values of the one series that there is."""
    assert len(snapshot.series) == 1
    return snapshot.series[0]


def entries(values: SeriesSnapshot) -> int:
    """Entries by their identity."""
    return values.returned + values.abandoned + values.missed + values.untimed + values.in_flight


@pytest.fixture
def calls(compile_program: Compile, start: Callable[..., Child]) -> Child:
    """A running `calls` program, its function with a prologue."""
    return start(compile_program("calls.c", *APART))


@pytest.mark.parametrize("own", [True, False], ids=["own", "shared"])
@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_counts_are_exact_under_concurrency(
    calls: Child, strategy: EndStrategy, links: str, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four threads on two processors, read and rolled all the time: calls, bytes and drops come out to the unit, whether the probe
    has programs of its own or shares them and is told apart by its cookie.
    """
    monkeypatch.setattr(instances, "MOST_OF_ONE_PROBE", 512 if own else 0)
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}, strategy)
    assert [probe.strategy for probe in plan.probes] == [strategy]
    with backend(links=links) as kernel:
        kernel.attach(target(calls), plan)
        of_probes = {"on_entry", "on_end", "on_session"}
        loaded = kernel._attacher.instances._loaded
        assert {shape.cookie is None for name, shape in loaded if name in of_probes} == {not own}
        count = CALLS if strategy is not EndStrategy.RET_SITES else max(CALLS // 4, 2_000)
        calls.say(f"{count} {THREADS}")
        before, reads = 0, 0
        while not select.select([calls.stdout], [], [], 0.02)[0]:
            values = only(kernel.snapshot(roll=reads % 2 == 0))
            assert values.returned >= before
            before, reads = values.returned, reads + 1
        assert calls.hear() == "done"
        values = only(kernel.snapshot(roll=True))
    assert reads > 1 or SCALE < 1  # where little is done it may be done at once
    assert values.returned == count * THREADS == sum(values.buckets)
    assert values.bytes == THREADS * sum(i & 1023 for i in range(count))
    assert values.drops == (THREADS * -(-count // 7),)
    assert (values.abandoned, values.missed, values.in_flight, values.orphan_ends, values.unknown) == (0, 0, 0, 0, 0)


#: Ends after which no call of `put` is known to have handled a packet, whatever it returns (0 or -1).
NO_PACKETS = {
    "no packet": (ReadOp(Op.OUTCOME, imm=Outcome.NO_PACKET), ReadOp(Op.END)),
    "fault": (ReadOp(Op.READ, dst=7, src=0, width=4), ReadOp(Op.BYTES, src=7), ReadOp(Op.END)),
}


@pytest.mark.parametrize("end", NO_PACKETS)
def test_calls_that_end_meanwhile_are_never_taken_for_packets(calls: Child, end: str) -> None:
    """What handled a packet follows from what returned and what did not, which change one by one: at no moment is a call a packet that was none."""
    meaning = Meaning(uretprobe="leaf", program=ReadProgram(PUT.entry, NO_PACKETS[end]))
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": meaning}))
        calls.say(f"{CALLS} {THREADS}")
        reads = 0
        while not select.select([calls.stdout], [], [], 0)[0]:
            assert only(kernel.snapshot()).packets == 0
            reads += 1
        assert calls.hear() == "done"
        values = only(kernel.snapshot())
    assert reads > 1 or SCALE < 1
    assert (values.packets, values.returned, values.bytes) == (0, CALLS * THREADS, 0)
    assert (values.no_packet, values.unknown) == ((values.returned, 0) if end == "no packet" else (0, values.returned))


def test_packets_are_exact_at_rest_and_never_ahead_of_the_calls(calls: Child) -> None:
    """Every seventh call of each thread, its first one among them, has no packet."""
    end = tuple(replace(op, imm=Outcome.NO_PACKET) if op.op is Op.OUTCOME else op for op in PUT.end)
    meaning = Meaning(uretprobe="leaf", program=ReadProgram(PUT.entry, end))
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": meaning}))
        calls.say(f"{CALLS} {THREADS}")
        before = 0
        while not select.select([calls.stdout], [], [], 0)[0]:
            values = only(kernel.snapshot())
            assert values.packets is not None
            assert before <= values.packets <= values.returned * 6 // 7
            before = values.packets
        assert calls.hear() == "done"
        assert only(kernel.snapshot()).packets == THREADS * (CALLS - -(-CALLS // 7))
        assert calls.ask("7 1") == "done"
        assert only(kernel.detach(1)).packets == THREADS * (CALLS - -(-CALLS // 7)) + 6


if EndStrategy.EDGE_SITES in STRATEGIES:

    @pytest.mark.parametrize("own", [True, False], ids=["own", "shared"])
    @pytest.mark.parametrize("links", LINKS)
    def test_calls_that_end_where_they_begin_are_counted_exactly(
        compile_program: Compile,
        start: Callable[..., Child],
        links: str,
        own: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Half of the calls leave by the branch at which they begin, the others later: each has one end, its bytes and its return value."""
        monkeypatch.setattr(instances, "MOST_OF_ONE_PROBE", 512 if own else 0)
        child = start(compile_program("calls.c", *EARLY))
        plan = plan_for(child.path, {"put": Meaning()}, EndStrategy.EDGE_SITES)
        entry, *ends = (site.offset for site in plan.probes[0].sites)
        assert entry in ends
        with backend(links=links) as kernel:
            kernel.attach(target(child), plan)
            assert child.ask(f"{CALLS} {THREADS}") == "done"
            values = only(kernel.snapshot(roll=True))
        assert values.returned == CALLS * THREADS == sum(values.buckets)
        assert values.bytes == THREADS * sum(i & 1023 for i in range(CALLS))
        assert values.drops == (THREADS * -(-CALLS // 7),)
        assert (values.abandoned, values.missed, values.in_flight, values.orphan_ends, values.unknown) == (
            0,
            0,
            0,
            0,
            0,
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_thousand_threads_are_counted_exactly(calls: Child, strategy: EndStrategy) -> None:
    """Threads that begin to call together, far more than there are processors: every call is counted once, and as returned."""
    threads, count = 1000, 20
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}, strategy))
        assert calls.ask(f"{count} {threads}") == "done"
        values = only(kernel.snapshot())
    assert values.returned == entries(values) == count * threads
    assert values.bytes == threads * sum(range(count))
    assert values.drops == (threads * 3,)


def test_calls_of_changing_length_are_in_the_buckets_of_their_durations(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """Whatever the calls before took, and however the calls of two threads alternate. Each call is an event with its times, too."""
    child = start(compile_program("lengths.c", "-O1", "-fcf-protection=none", "-fstack-protector-all", "-pthread"))
    lengths = [0, 300_000, 3, 40_000, 0, 900, 1_500_000, 0, 5_000, 70_000, 0, 0, 2_000, 0, 20_000, 700_000]
    expected: Counter[int] = Counter()
    with backend(events=True, event_rate=1e6, threshold_ns=lambda _probe: 0) as kernel:
        kernel.attach(target(child), plan_for(child.path, {"put": Meaning(uretprobe="leaf")}))
        for _ in range(8):
            assert child.ask(" ".join(map(str, lengths))) == "done"
            snapshot = kernel.snapshot()
            durations = [call.end_ns - call.start_ns for call in kernel.slow_calls()]
            assert len(durations) == 2 * len(lengths)
            expected.update(bisect_left(snapshot.bounds_ns, duration) for duration in durations)
    buckets = only(snapshot).buckets
    assert {bucket: number for bucket, number in enumerate(buckets) if number} == expected
    assert max(expected) - min(expected) > 8 * EXPONENTIAL_SCALE  # octaves, each of some buckets


def test_minimum_and_maximum_belong_to_the_interval(calls: Child) -> None:
    """Each interval has its own minimum and maximum, and one without calls has none."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    with backend() as kernel:
        kernel.attach(target(calls), plan)
        calls.ask("100 1")
        first = only(kernel.snapshot(roll=True)).interval
        assert first is not None
        assert first.count == 100
        assert 0 < first.min_ns <= first.sum_ns / first.count <= first.max_ns
        assert only(kernel.snapshot(roll=True)).interval is None
        calls.ask("7 1")
        again = only(kernel.snapshot(roll=True)).interval
        assert again is not None
        assert again.count == 7


def test_a_target_can_be_detached_and_attached_again(calls: Child) -> None:
    """What is called while nothing is attached is not counted, and a new attachment starts at zero."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    with backend() as kernel:
        kernel.attach(target(calls), plan)
        calls.ask("10 1")
        assert only(kernel.detach(1)).returned == 10
        calls.ask("10 1")
        kernel.attach(target(calls, 2), plan)
        calls.ask("5 1")
        assert only(kernel.detach(2)).returned == 5


def test_where_the_series_are_used_up_the_others_go_on(calls: Child, start: Callable[..., Child]) -> None:
    """A target for which there is no room is refused with what helps, leaves nothing behind, and fits once another is gone."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    other = start(calls.path)
    with backend(max_series=1) as kernel:
        kernel.attach(target(calls), plan)
        with pytest.raises(AttachError, match="no room for more series") as refused:
            kernel.attach(target(other, 2), plan)
        assert "max_series" in refused.value.help
        assert kernel.measure_cost().seconds_by_kind == ()  # that needs a series too, and is no reason to stop
        calls.ask("10 1")
        assert only(kernel.snapshot()).returned == 10
        kernel.detach(1)
        kernel.attach(target(other, 3), plan)
        other.ask("7 1")
        assert only(kernel.detach(3)).returned == 7


def test_of_a_target_with_too_many_functions_some_are_measured(calls: Child) -> None:
    """What finds no room is a failed probe with its reason; what found room counts."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    twice = replace(plan, probes=(*plan.probes, replace(plan.probes[0], function="again")))
    with backend(max_series=1) as kernel:
        records = kernel.attach(target(calls), twice)
        states = {record.function: record.state for record in records if isinstance(record, ProbeStatus)}
        assert states == {"put": ProbeState.ATTACHED, "again": ProbeState.FAILED}
        calls.ask("10 1")
        assert only(kernel.detach(1)).returned == 10


def test_shedding_stops_counting_and_restoring_goes_on_from_there(calls: Child) -> None:
    """A shed probe keeps what it counted; the time for which it was attached says what it did not see."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    with backend() as kernel:
        records = kernel.attach(target(calls), plan)
        series = next(record for record in records if isinstance(record, Series)).id
        calls.ask("10 1")
        status = kernel.shed(series, "test")
        assert isinstance(status, ProbeStatus)
        shed = only(kernel.snapshot())
        calls.ask("10 1")
        time.sleep(0.05)
        assert only(kernel.snapshot()).returned == 10
        assert only(kernel.snapshot()).attached_ns == shed.attached_ns
        assert kernel.restore(series, "test") is not None
        calls.ask("3 1")
        values = only(kernel.snapshot())
    assert values.returned == 13
    assert values.attached_ns > shed.attached_ns


def test_two_processes_of_one_file_are_two_series(compile_program: Compile, start: Callable[..., Child]) -> None:
    """Calls are credited to the process that makes them, and a third process to nobody."""
    path = compile_program("calls.c", *APART)
    one, two, three = start(path), start(path), start(path)
    plan = plan_for(path, {"put": Meaning(uretprobe="leaf")})
    with backend() as kernel:
        kernel.attach(target(one, 1), plan)
        kernel.attach(target(two, 2), plan)
        one.ask("100 2")
        two.ask("30 1")
        three.ask("1000 1")
        values = kernel.snapshot().series
    assert [v.returned for v in values] == [200, 30]


def test_calls_in_flight_are_settled_when_the_process_is_killed(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """A call that a dead process left open is abandoned, and the identity of entries holds before and after."""
    child = start(compile_program("blocking.c", "-O1", "-fcf-protection=none"))
    plan = plan_for(child.path, {"put": Meaning()})
    with backend() as kernel:
        kernel.attach(target(child), plan)
        assert child.ask("3") == "entered"
        values = only(kernel.snapshot())
        assert (values.in_flight, entries(values)) == (3, 3)
        child.process.kill()
        child.process.wait(10)
        values = only(kernel.detach(1))
    assert (values.in_flight, values.abandoned, entries(values)) == (0, 3, 3)


def test_calls_of_a_thread_that_died_are_abandoned(compile_program: Compile, start: Callable[..., Child]) -> None:
    """What a thread left open when it ended is counted as abandoned once that is certain."""
    child = start(compile_program("blocking.c", "-O1", "-fcf-protection=none"))
    plan = plan_for(child.path, {"put": Meaning()})
    with backend() as kernel:
        kernel.attach(target(child), plan)
        assert child.ask("2 die") == "entered"
        deadline = time.monotonic() + patience(10)
        while True:
            values = only(kernel.snapshot(roll=True))
            if values.abandoned == 2 or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    assert (values.in_flight, values.abandoned, entries(values)) == (0, 2, 2)


def test_a_refused_site_is_a_failed_probe_and_the_others_work(calls: Child) -> None:
    """An offset beyond the file's end fails with a reason; the other probe counts."""
    good = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}).probes[0]
    sites = tuple(replace(site, offset=1 << 40) for site in good.sites)
    elsewhere = replace(good.symbol, address=good.symbol.address + 1)  # no plan has one function twice
    bad = replace(good, function="nowhere", symbol=elsewhere, sites=sites)
    with backend() as kernel:
        records = kernel.attach(target(calls), ProbePlan((bad, good)))
        failed = [r for r in records if isinstance(r, ProbeStatus) and r.state.value == "failed"]
        assert [(status.function, bool(status.reason)) for status in failed] == [("nowhere", True)]
        calls.ask("5 1")
        assert only(kernel.snapshot()).returned == 5


def test_nothing_stays_attached_or_open_after_close(calls: Child) -> None:
    """Closing gives back every descriptor."""

    def of_the_kernel() -> list[str]:
        links = (str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
        return [link for link in sorted(links) if "bpf" in link or "perf_event" in link or "memfd" in link]

    before = of_the_kernel()
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    with backend() as kernel:
        kernel.attach(target(calls), plan)
        kernel.measure_cost()
        kernel.snapshot()
        assert of_the_kernel() != before
    assert of_the_kernel() == before
