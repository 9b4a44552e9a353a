# SPDX-License-Identifier: Apache-2.0
"""What slow calls spent running, waiting for a processor and asleep, against the kernel's own account that the program reads around each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest

from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.stream import SlowCall
from otel_jb.probes import abi
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import sharecode
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import STRATEGIES, backend, target
from tests.scale import patience

pytestmark = pytest.mark.bpf

MS = 1_000_000
BETWEEN = patience(MS // 2)  #: ns; what the program does between its clocks and the call, and probes that are hit
TRIES = 20
ROOM = patience(20_000)  #: ns between two clocks that are read one after the other


class Told(NamedTuple):
    """One call, as the program tells it, in ns."""

    wall: int
    cpu: int
    waited: int
    slept: int  #: how often


class Program:
    """A program whose calls of `put` are all slow."""

    def __init__(self, child: Child, kernel: BpfBackend) -> None:
        self._child, self._kernel = child, kernel

    @property
    def features(self) -> list[int]:
        """Of the probe's programs."""
        return [
            shape.features
            for (item,) in [self._kernel._targets[1].probes]
            for links in item.function.links.values()
            for _, shape in links.programs
        ]

    def known(self, line: str) -> tuple[SlowCall, Told]:
        """One call whose share is known to both. On a busy machine the thread may lose its processor while one of them reads it."""
        for _ in range(TRIES):
            call, told = self.call(line)
            if call.cpu_ns is not None and told.wall - (call.end_ns - call.start_ns) <= BETWEEN:
                break
        return call, told

    def call(self, line: str) -> tuple[SlowCall, Told]:
        """One call, as the agent and as the program tell it."""
        told = Told(*map(int, self._child.ask(line).split()))
        (call,) = self._kernel.slow_calls()
        return call, told


@contextmanager
def measured(child: Child, plan: ProbePlan, **options: object) -> Iterator[Program]:
    """The program with its probes."""
    with backend(events=True, threshold_ns=lambda _: 0, **options) as kernel:
        kernel.attach(target(child), plan)
        yield Program(child, kernel)


@contextmanager
def busy(processor: int) -> Iterator[None]:
    """Something else that computes on that processor."""
    other = subprocess.Popen(["taskset", "-c", str(processor), "sh", "-c", "while :; do :; done"])
    try:
        yield
    finally:
        other.kill()
        other.wait(10)


def agrees(call: SlowCall, told: Told) -> None:
    """The three are what the kernel told the program, and together the call's duration."""
    took = call.end_ns - call.start_ns
    assert call.cpu_ns is not None
    assert call.run_delay_ns is not None
    assert call.blocked_ns is not None
    assert call.cpu_ns + call.run_delay_ns + call.blocked_ns == took
    outside = told.wall - took  # there the program computes, or waits for a processor
    assert 0 <= outside <= BETWEEN
    room = ROOM + took // 1000
    assert -room <= (told.wall - told.cpu) - (took - call.cpu_ns) <= outside + room, (call, told)
    if told.slept:
        assert -room <= told.waited - call.run_delay_ns <= outside + room, (call, told)
    else:  # what interrupts and the hypervisor took is in it
        assert told.waited - call.run_delay_ns <= outside + room
        assert call.blocked_ns == 0
    assert not call.may_yield


@pytest.fixture
def shares(compile_program: Compile, start: Callable[..., Child]) -> Child:
    """A running `shares` program."""
    return start(compile_program("shares.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_share_of_a_call_is_what_the_kernel_says(shares: Child, strategy: EndStrategy, links: str) -> None:
    """A call that computes, that waits for a processor which another program uses too, that sleeps, and that does all of it in turn."""
    plan = plan_for(shares.path, {"put": Meaning(uretprobe="leaf")}, strategy)
    assert [probe.strategy for probe in plan.probes] == [strategy]
    processor = min(os.sched_getaffinity(0))
    with measured(shares, plan, links=links) as program:
        call, told = program.known("compute 40")
        agrees(call, told)
        assert call.cpu_ns is not None
        assert call.cpu_ns >= 39 * MS
        for millisecond in (3, 15, 80):
            call, told = program.known(f"sleep {millisecond}")
            agrees(call, told)
            assert call.blocked_ns is not None
            assert call.cpu_ns is not None
            assert call.cpu_ns < patience(MS)
            assert call.blocked_ns >= 0.9 * millisecond * MS - (call.run_delay_ns or 0)
        call, told = program.known("after 30")  # what it computed before the call is none of it
        agrees(call, told)
        assert (call.cpu_ns or 0) < patience(MS)
        call, told = program.known("mix 60")
        agrees(call, told)
        assert call.cpu_ns is not None
        assert call.cpu_ns >= 29 * MS
        with busy(processor):
            call, told = program.known(f"compute 60 {processor}")
            agrees(call, told)
            assert call.run_delay_ns is not None
            assert call.run_delay_ns >= 30 * MS
            call, told = program.known(f"mix 60 {processor}")
            agrees(call, told)


def test_the_share_of_a_real_time_threads_call_is_what_the_kernel_says(shares: Child) -> None:
    """The scheduler keeps another account for each class of threads; what is read of it is the same for all."""
    with measured(shares, plan_for(shares.path, {"put": Meaning(uretprobe="leaf")})) as program:
        assert shares.ask("fifo") == "0"
        for line in ("compute 20", "sleep 20", "after 20", "mix 40"):
            agrees(*program.known(line))


def test_a_thread_that_has_moved_to_another_processor_is_accounted_for(shares: Child) -> None:
    """Each processor has a clock of its own for the threads that it runs, which stands still while a hypervisor has it."""
    with measured(shares, plan_for(shares.path, {"put": Meaning(uretprobe="leaf")})) as program, ExitStack() as stack:
        for processor in os.sched_getaffinity(0):  # it is moved to whichever is free for a moment
            stack.enter_context(busy(processor))
        for _ in range(4):
            agrees(*program.known("mix 60"))


def test_nothing_is_told_of_a_call_whose_thread_may_run_something_else(shares: Child) -> None:
    """The thread's account is that of all coroutines together: it says nothing of one call, and no call pays for it."""
    plan = plan_for(shares.path, {"put": Meaning()})
    plan = replace(plan, probes=tuple(replace(probe, may_yield=True) for probe in plan.probes))
    with measured(shares, plan) as program:
        call, _ = program.call("sleep 20")
        assert (call.cpu_ns, call.run_delay_ns, call.blocked_ns) == (None, None, None)
        assert call.may_yield
        assert program.features
        assert not any(features & abi.FEATURE_SHARE for features in program.features)


def test_a_kernel_that_does_not_tell_leaves_it_out(shares: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without type information, or before Linux 5.11, slow calls are measured all the same."""
    monkeypatch.setattr(sharecode, "here", lambda: None)
    with measured(shares, plan_for(shares.path, {"put": Meaning()})) as program:
        call, told = program.call("sleep 20")
        assert call.cpu_ns is None
        assert not call.may_yield
        assert call.end_ns - call.start_ns >= 20 * MS
        assert told.wall >= call.end_ns - call.start_ns
