# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import select
import time

import pytest

from otel_jb.telemetry.clock import StepWatch, WallClock

pytestmark = pytest.mark.unit
SECOND = 1_000_000_000


class Machine:
    """Two clocks under a test's control: the wall clock runs at `rate` relative to the monotonic one and can be set."""

    def __init__(self) -> None:
        self.monotonic = 5_000 * SECOND
        self.wall = 1_700_000_000 * SECOND
        self.rate = 1.0

    def advance(self, ns: int) -> None:
        self.monotonic += ns
        self.wall += round(ns * self.rate)

    def step(self, ns: int) -> None:
        self.wall += ns


def test_a_day_of_slews_and_steps_is_followed_within_a_millisecond() -> None:
    """Events of a whole day map to what the wall clock showed when they happened, 20 ms before they are fetched, within 1 ms."""
    rng = random.Random(7)
    machine = Machine()
    clock = WallClock(lambda: machine.monotonic, lambda: machine.wall)
    worst = 0
    steps = 0
    for second in range(86_400):
        if second % 600 == 0:
            machine.rate = 1.0 + rng.choice((0.0, 500e-6, -500e-6, 100e-6))
        if second % 3_000 == 1_500:
            # The clock is set in the middle of things; the step watch has the clocks compared within half a millisecond.
            before = (machine.monotonic, machine.wall)
            machine.advance(200_000)
            machine.step(rng.choice((-3_600, -1, 1, 7_200)) * SECOND + rng.randrange(-(10**9), 10**9))
            machine.advance(500_000)
            clock.sample()
            steps += 1
            worst = max(worst, abs(clock.unix_nano(before[0]) - before[1]))
        machine.advance(rng.randrange(SECOND // 2))
        event = (machine.monotonic, machine.wall)
        machine.advance(20_000_000)
        clock.sample()  # as the events are fetched
        worst = max(worst, abs(clock.unix_nano(event[0]) - event[1]))
        machine.advance(SECOND // 2)
        clock.sample()
        older = clock.unix_nano(event[0])
        worst = max(worst, abs(older - event[1]))
    assert steps == 29
    assert worst < 1_000_000


def test_events_before_a_step_keep_the_old_time() -> None:
    """A call that ended before the clock was set is dated by the old clock, one that ended after by the new."""
    machine = Machine()
    clock = WallClock(lambda: machine.monotonic, lambda: machine.wall)
    machine.advance(SECOND)
    before = (machine.monotonic, machine.wall)
    machine.advance(10_000_000)
    machine.step(-3_600 * SECOND)
    clock.sample()
    machine.advance(10_000_000)
    after = (machine.monotonic, machine.wall)
    assert clock.unix_nano(before[0]) == before[1]
    assert clock.unix_nano(after[0]) == after[1]


def test_an_event_older_than_the_history_is_still_mapped() -> None:
    """Before the first sample the first offset holds, and the history does not grow without bound."""
    machine = Machine()
    clock = WallClock(lambda: machine.monotonic, lambda: machine.wall)
    first = (machine.monotonic, machine.wall)
    for _ in range(10_000):
        machine.advance(SECOND)
        clock.sample()
    assert len(clock._samples) == 4096
    assert clock.unix_nano(first[0]) == first[1]


def test_samples_close_together_are_not_kept() -> None:
    """Sampling with every event keeps the history short, so that it reaches back far enough."""
    machine = Machine()
    clock = WallClock(lambda: machine.monotonic, lambda: machine.wall)
    for _ in range(1_000):
        machine.advance(1_000)
        clock.sample()
    assert len(clock._samples) == 1


def test_another_process_learns_what_one_has_seen() -> None:
    """With what it is told when events come, it maps them to the very time that the other one does, over steps and quiet minutes."""
    rng = random.Random(11)
    machine = Machine()
    one, other = (WallClock(lambda: machine.monotonic, lambda: machine.wall) for _ in range(2))
    for _ in range(300):
        machine.rate = 1.0 + rng.choice((0.0, 500e-6, -500e-6))
        before = (machine.monotonic, machine.wall)
        for _ in range(rng.randrange(1, 90)):  # seconds without an event
            machine.advance(SECOND)
            one.sample()
            if rng.random() < 0.05:
                machine.advance(200_000)
                machine.step(rng.randrange(-30 * SECOND, 30 * SECOND))
                machine.advance(200_000)
                one.sample()
            if rng.random() < 0.9:
                before = (machine.monotonic, machine.wall)
            machine.advance(1_000_000)
        machine.advance(SECOND // 2)
        one.sample()
        other.learn(one.news())
        if machine.monotonic - before[0] < 15 * SECOND:
            assert other.unix_nano(before[0]) == one.unix_nano(before[0])
            assert abs(other.unix_nano(before[0]) - before[1]) < 1_000_000
    assert one.news() == []


def test_the_real_clocks_agree() -> None:
    """On this machine a moment of CLOCK_MONOTONIC maps to CLOCK_REALTIME within a millisecond."""
    clock = WallClock()
    errors = []
    for _ in range(20):
        before = time.time_ns()
        mapped = clock.unix_nano(time.monotonic_ns())
        after = time.time_ns()
        errors.append(max(before - mapped, mapped - after, 0))
    assert min(errors) < 1_000_000


def test_the_step_watch_can_be_polled() -> None:
    """Its descriptor is valid for poll, is quiet while nobody sets the clock, and is gone after close()."""
    watch = StepWatch()
    poller = select.poll()
    poller.register(watch.fileno(), select.POLLIN)
    assert poller.poll(0) == []
    assert watch.stepped() is False
    descriptor = watch.fileno()
    watch.close()
    watch.close()
    with pytest.raises(OSError):
        os.fstat(descriptor)
