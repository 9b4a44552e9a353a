"""Session links, whose one program runs for entries and ends and has to tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.errors import AttachError
from otel_jb.model.plan import EndStrategy, LoadHook, ProbePlan
from otel_jb.model.stream import Target
from otel_jb.probes import features
from otel_jb.probes.attach import links
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import instances
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.scale import scaled

pytestmark = pytest.mark.bpf

PAGE = 4096
COUNT = scaled(1000, 100)


def gated(path: Path) -> ProbePlan:
    """A return probe on `put` as where it depends on what the process loads; nothing calls `main` again."""
    plan = plan_for(path, {"put": Meaning(uretprobe="a leaf")}, EndStrategy.URETPROBE)
    image = Image.from_file(str(path))
    (main,) = (symbol for symbol in find(image, ["main"]) if symbol.name == "main")
    probes = tuple(replace(probe, gated=True) for probe in plan.probes)
    return ProbePlan(probes, plan.skipped, LoadHook(str(path), image.offset(main.address)))


def page_target(child: Child, path: Path) -> Target:
    return Target(1, child.pid, 0, "page", str(path), None, "page", "x", 0)


def test_a_kernel_without_session_links_is_an_error_and_harms_nothing(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel knows no session links (before Linux 6.13), that is the error, and the process goes on without a probe."""
    # As unknown to every kernel as the real number is to an old one.
    monkeypatch.setattr(links, "ATTACH_UPROBE_SESSION", 9999)
    path = compile_program("page.c", "-O1", "-DOFFSET=0")
    child = start(path)
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        with pytest.raises(AttachError, match="no probe could be attached"):
            backend.attach(page_target(child, path), gated(path))
        assert child.ask(str(COUNT)) == "done"
        assert not backend.snapshot().series
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
        (probe,) = gated(anywhere).probes
        (place,) = {site.offset % PAGE for site in probe.sites}
        path = compile_program("page.c", "-O1", f"-DOFFSET={place}")
        image = Image.from_file(str(path))
        (near,) = (symbol for symbol in find(image, ["near"]) if symbol.name == "near")
        plan = gated(path)
        assert {site.offset % PAGE for site in plan.probes[0].sites} == {place}
        assert near.address % PAGE in ((place - 9) % PAGE, (place - 8) % PAGE)  # so the call in it returns to `place`
        child = start(path)
        backend = BpfBackend(KernelOptions([1_000_000]))
        try:
            backend.attach(page_target(child, path), plan)
            loads = backend.loads(1)
            assert loads is not None
            backend.open_gate(1, loads)
            assert child.ask(str(COUNT)) == "done"
            (values,) = backend.snapshot().series
        finally:
            backend.close()
        assert values.returned == 2 * COUNT
        assert values.bytes == COUNT * (3 + 4)
        assert values.abandoned == values.missed == values.untimed == values.in_flight == values.orphan_ends == 0
