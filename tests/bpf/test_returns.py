# SPDX-License-Identifier: Apache-2.0
"""Counts of calls outlive what a bucket of the kernel's has room for: they are taken out while calls go on, and none is lost or counted twice."""

from __future__ import annotations

import select
from collections.abc import Callable

import pytest

from otel_jb.probes import abi
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import APART, CALLS, THREADS, backend, entries, only, target
from tests.scale import SCALE

pytestmark = pytest.mark.bpf


@pytest.fixture
def calls(compile_program: Compile, start: Callable[..., Child]) -> Child:
    """A running `calls` program, its function with a prologue."""
    return start(compile_program("calls.c", *APART))


def in_kernel(kernel: BpfBackend) -> int:
    """How many calls the buckets of the only series hold."""
    at = next(iter(kernel._by_index)) * kernel._series_words + abi.SERIES_BUCKETS
    words = kernel._series.words[at : at + len(kernel.buckets.bounds_ns) + 1].tolist()
    return sum((word & 0xFFFF_FFFF) + (word >> 32) for word in words)


@pytest.mark.parametrize("rolls", [True, False], ids=["rolled", "not rolled"])
def test_no_call_is_lost_while_buckets_are_relieved(calls: Child, rolls: bool) -> None:
    """Four threads on two processors, whose buckets are emptied all the time: calls, their buckets and what intervals count come out to the unit."""
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}))
        kernel._returns.most = 1
        calls.say(f"{CALLS} {THREADS}")
        before, reads, counted, total_ns = 0, 0, 0, 0
        while not select.select([calls.stdout], [], [], 0.005)[0]:
            kernel.entries()
            values = only(kernel.snapshot(roll=rolls))
            assert before <= values.returned <= values.returned + values.in_flight <= CALLS * THREADS
            assert sum(values.buckets) == values.returned
            if rolls and values.interval is not None:
                counted += values.interval.count
                total_ns += values.interval.sum_ns
            before, reads = values.returned, reads + 1
        assert calls.hear() == "done"
        kernel.entries()
        assert in_kernel(kernel) == 0
        for _ in range(2):
            values = only(kernel.snapshot(roll=rolls))
            if rolls and values.interval is not None:
                counted += values.interval.count
                total_ns += values.interval.sum_ns
        assert calls.ask("9 1") == "done"
        assert in_kernel(kernel) == 9
        last = only(kernel.snapshot(roll=True))
        detached = only(kernel.detach(1))
    assert reads > 1 or SCALE < 1
    assert values.returned == entries(values) == sum(values.buckets) == CALLS * THREADS
    assert values.packets == CALLS * THREADS
    if rolls:
        assert (counted, total_ns) == (values.returned, values.sum_ns)
        assert last.interval is not None
        assert last.interval.count == 9
    for after in (last, detached):
        assert after.returned == entries(after) == sum(after.buckets) == CALLS * THREADS + 9
        assert (after.abandoned, after.in_flight) == (0, 0)


def test_buckets_are_left_alone_until_they_hold_many(calls: Child) -> None:
    """And only then: each time by as many calls as began since."""
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}))
        kernel._returns.most = 100
        held = []
        for count in (99, 1, 99, 2):
            assert calls.ask(f"{count} 1") == "done"
            kernel.entries()
            held.append(in_kernel(kernel))
        assert held == [99, 0, 99, 0]
        assert only(kernel.snapshot()).returned == 201


def test_a_series_that_is_used_again_begins_at_0(calls: Child) -> None:
    """What was taken out of its buckets goes with the process that had it."""
    plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")})
    with backend(max_series=1) as kernel:
        kernel._ready()
        kernel._returns.most = 1
        for number, count in ((1, 10), (2, 4)):
            kernel.attach(target(calls, number), plan)
            assert calls.ask(f"{count} 1") == "done"
            kernel.entries()
            assert in_kernel(kernel) == 0
            last = only(kernel.detach(number))
            assert last.returned == entries(last) == sum(last.buckets) == count


def test_calls_of_both_halves_are_told_apart_above_two_to_the_32(calls: Child) -> None:
    """Buckets that hold almost as much as they can, as after so many calls: neither half runs into the other, and all of it is taken out."""
    near = (1 << 32) - 100
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}))
        kernel.snapshot(roll=True)
        index = next(iter(kernel._by_index))
        at = index * kernel._series_words
        words = kernel._series.words
        words[at + abi.SERIES_BUCKETS] = near << 32 | near
        words[at + abi.SERIES_ENTERED] = 2 * near
        kernel.entries()
        assert in_kernel(kernel) == 0
        kernel.snapshot(roll=True)
        assert calls.ask("1000 1") == "done"
        values = only(kernel.snapshot(roll=True))
    assert values.interval is not None
    assert values.interval.count == near + 1000  # the half that was written now, and what the test put into it
    assert values.returned == entries(values) == sum(values.buckets) == 2 * near + 1000
