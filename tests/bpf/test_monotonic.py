# SPDX-License-Identifier: Apache-2.0
"""What is exported as a counter never falls, whatever happens to calls, threads and probes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields

import pytest

from otel_jb.model.stream import Series, SeriesSnapshot, Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read import reader
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.scale import patience, scaled

pytestmark = pytest.mark.bpf

#: The others are values of the moment, or describe the series.
COUNTERS = tuple(
    field.name for field in fields(SeriesSnapshot) if field.name not in {"series", "in_flight", "interval"}
)


class Watch:
    """Takes snapshots of the one series that there is, and compares each with the one before."""

    def __init__(self, kernel: BpfBackend) -> None:
        self.kernel = kernel
        self.last: SeriesSnapshot | None = None

    def look(self, *, roll: bool = False) -> SeriesSnapshot:
        """The values now."""
        return self.compare(self.kernel.snapshot(roll=roll).series[0])

    def compare(self, values: SeriesSnapshot) -> SeriesSnapshot:
        """The same values, none of which is below the last."""
        for name in COUNTERS:
            now, before = getattr(values, name), getattr(self.last, name) if self.last is not None else None
            if isinstance(now, tuple):
                assert before is None or all(a >= b for a, b in zip(now, before, strict=True)), (name, before, now)
            else:
                assert before is None or now >= before, (name, before, now)
        self.last = values
        return values


def attached(kernel: BpfBackend, child: Child) -> int:
    """The number of the series of `put`."""
    target = Target(1, child.pid, 0, "program", str(child.path), None, "program", "x", 0)
    records = kernel.attach(target, plan_for(child.path, {"put": Meaning()}))
    return next(record.id for record in records if isinstance(record, Series))


def test_no_counter_falls_when_a_probe_is_shed_after_threads_died_in_calls(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """Calls that counted as abandoned, because their thread ended, stay so when the probe goes, comes again and is detached."""
    child = start(compile_program("blocking.c", "-O1", "-fcf-protection=none"))
    kernel = BpfBackend(KernelOptions([1_000_000]))
    try:
        watch = Watch(kernel)
        series = attached(kernel, child)
        assert child.ask("2 die") == "entered"
        deadline = time.monotonic() + patience(30)
        while watch.look(roll=True).abandoned < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert kernel.shed(series, "test") is not None
        assert watch.look().abandoned == 2
        assert kernel.restore(series, "test") is not None
        assert child.ask("3 die") == "entered"
        watch.look(roll=True)
        last = watch.compare(kernel.detach(1).series[0])
        assert last.abandoned + last.untimed == 5
        assert last.in_flight == 0
    finally:
        kernel.close()


def test_no_counter_falls_while_calls_are_made_and_threads_die(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that die inside calls leave their stacks, and so the keys of their calls, to the next: each read is at least the last."""
    monkeypatch.setattr(reader, "SETTLE_AGE_NS", 0)  # so that what is settled is soon met again
    child = start(compile_program("blocking.c", "-O1", "-fcf-protection=none"))
    kernel = BpfBackend(KernelOptions([1_000_000]))
    rounds = scaled(200, 20)
    try:
        watch = Watch(kernel)
        attached(kernel, child)
        for _ in range(rounds):
            child.say("4 die")
            watch.look(roll=True)
            watch.look()
            assert child.hear() == "entered"
            watch.look(roll=True)
        last = watch.compare(kernel.detach(1).series[0])
    finally:
        kernel.close()
    assert last.returned + last.abandoned + last.missed + last.untimed == 4 * rounds
    assert last.in_flight == 0
