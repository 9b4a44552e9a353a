# SPDX-License-Identifier: Apache-2.0
"""Session links, whose one program runs for entries and ends and has to tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.reads import ReadProgram
from otel_jb.model.stream import Series, Target
from otel_jb.probes import features
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import instances
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import PUT, Meaning, plan_for
from tests.scale import scaled

pytestmark = pytest.mark.bpf

PAGE = 4096
COUNT = scaled(1000, 100)


def returning(path: Path) -> ProbePlan:
    """A return probe on `put`."""
    return plan_for(path, {"put": Meaning(uretprobe="a leaf")}, EndStrategy.URETPROBE)


def page_target(child: Child, path: Path) -> Target:
    return Target(1, child.pid, 0, "page", str(path), None, "page", "x", 0)


def test_without_session_links_a_return_probe_stays_with_the_process_that_was_looked_at(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a kernel without session links (before Linux 6.13), nothing is ever linked for all processes of the file."""
    monkeypatch.setattr(features, "has_sessions", lambda: False)
    path = compile_program("page.c", "-O1", "-DOFFSET=0")
    one, other = start(path), start(path)
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        backend.attach(page_target(one, path), returning(path), alone=False)
        assert one.ask(str(COUNT)) == other.ask(str(COUNT)) == "done"
        (values,) = backend.snapshot().series
        assert values.returned == 2 * COUNT
        assert backend.arrivals() == []
    finally:
        backend.close()


# On a kernel without them the test above is all that there is to see, so this one is not collected there.
if features.has_sessions():

    @pytest.mark.parametrize("own", [True, False], ids=["own", "shared"])
    def test_a_caller_at_the_same_place_of_its_page_is_told_from_the_entry(
        compile_program: Compile, start: Callable[..., Child], own: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether a program knows where its probe is or asks the kernel each time: entries and ends are what they are."""
        monkeypatch.setattr(instances, "MOST_OF_ONE_PROBE", 512 if own else 0)
        anywhere = compile_program("page.c", "-O1", "-DOFFSET=0")
        (probe,) = returning(anywhere).probes
        (place,) = {site.offset % PAGE for site in probe.sites}
        path = compile_program("page.c", "-O1", f"-DOFFSET={place}")
        image = Image.from_file(str(path))
        (near,) = (symbol for symbol in find(image, ["near"]) if symbol.name == "near")
        plan = returning(path)
        assert {site.offset % PAGE for site in plan.probes[0].sites} == {place}
        assert near.address % PAGE in ((place - 9) % PAGE, (place - 8) % PAGE)  # so the call in it returns to `place`
        child = start(path)
        backend = BpfBackend(KernelOptions([1_000_000]))
        try:
            backend.attach(page_target(child, path), plan)
            assert child.ask(str(COUNT)) == "done"
            (values,) = backend.snapshot().series
        finally:
            backend.close()
        assert values.returned == 2 * COUNT
        assert values.bytes == COUNT * (3 + 4)
        assert values.abandoned == values.missed == values.untimed == values.in_flight == values.orphan_ends == 0

    def test_a_process_that_nobody_has_looked_at_gets_no_return_probe_and_loses_no_call(
        compile_program: Compile, start: Callable[..., Child]
    ) -> None:
        """Its calls are untimed, with their packets and bytes, until it is attached; from then on they are timed."""
        path = compile_program("page.c", "-O1", "-DOFFSET=0")
        known, unknown = start(path), start(path)
        reads = ReadProgram(entry=PUT.entry)
        plan = plan_for(path, {"put": Meaning(uretprobe="a leaf", program=reads)}, EndStrategy.URETPROBE)
        backend = BpfBackend(KernelOptions([1_000_000]))
        try:
            backend.attach(page_target(known, path), plan, alone=False)
            assert unknown.ask(str(COUNT)) == "done"
            (arrival,) = backend.arrivals()
            assert arrival.pid == unknown.pid
            backend.attach(replace(page_target(unknown, path), id=2), arrival.plan, alone=False)
            assert unknown.ask(str(COUNT)) == "done"
            (values,) = backend.snapshot(only=2).series
        finally:
            backend.close()
        assert (values.untimed, values.returned, values.in_flight) == (2 * COUNT, 2 * COUNT, 0)
        assert values.packets == 4 * COUNT
        assert values.bytes == 2 * COUNT * (3 + 4)

    def test_a_process_that_was_planned_otherwise_shares_the_links_of_its_file_and_loses_no_call(
        compile_program: Compile, start: Callable[..., Child]
    ) -> None:
        """A process that must not have the return probe of the others is counted without times, its calls before that too, until it may."""
        path = compile_program("page.c", "-O1", "-DOFFSET=0")
        known, other = start(path), start(path)
        reads = {"put": Meaning(uretprobe="a leaf", program=ReadProgram(entry=PUT.entry))}
        identity = (path.stat().st_dev, path.stat().st_ino)
        plans = [plan_for(path, reads, way).probes for way in (EndStrategy.URETPROBE, EndStrategy.RET_SITES)]
        returning, rets = (ProbePlan(tuple(replace(probe, identity=identity) for probe in plan)) for plan in plans)
        assert [probe.strategy for probe in rets.probes] == [EndStrategy.RET_SITES]
        backend = BpfBackend(KernelOptions([1_000_000]))
        try:
            backend.attach(page_target(known, path), returning, alone=False)
            assert other.ask(str(COUNT)) == "done"
            target = replace(page_target(other, path), id=2)
            (series, _) = backend.attach(target, rets, alone=False)
            assert isinstance(series, Series)
            assert (series.strategy, series.has_timing) == ("entry-only", False)
            assert other.ask(str(COUNT)) == "done"
            (before,) = backend.snapshot(only=2).series
            (series, _) = backend.extend(2, returning, alone=False)
            assert isinstance(series, Series)
            assert (series.strategy, series.has_timing) == ("uretprobe", True)
            assert other.ask(str(COUNT)) == "done"
            (after,) = backend.snapshot(only=2).series
            assert backend.arrivals() == []
        finally:
            backend.close()
        assert (before.untimed, before.returned, before.packets) == (4 * COUNT, 0, 4 * COUNT)
        assert (after.untimed, after.returned, after.packets) == (4 * COUNT, 2 * COUNT, 6 * COUNT)
