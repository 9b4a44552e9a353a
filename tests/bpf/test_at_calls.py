# SPDX-License-Identifier: Apache-2.0
"""A function that is probed at its call of another one: the calls are counted exactly, and however they are left the program does not notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_jb.catalog.matching import Catalog, check
from otel_jb.catalog.spec import ProfileSpec
from otel_jb.config import yamlfile
from otel_jb.config.model import Config, Detail
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.stream import Series, SeriesSnapshot, Target
from otel_jb.planner.planner import Planner
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import LINKS, Child, Compile
from tests.scale import scaled

pytestmark = pytest.mark.bpf

PROFILE = """\
profile: timers
title: a timer that seldom has to do anything
functions:
  - name: Timer::tick
    role: nack
    adds: [{to: requested_packets, value: i32 arg3, when: i32 arg4 != 0}]
    at_calls:
      - of: ["Request::add"]
        adds: [{to: requested_packets, value: i32 arg2}]
"""
ROUNDS = scaled(20_000, 200)
UNOPTIMISED = ("-O0",)
OPTIMISED = ("-O2", "-fno-optimize-sibling-calls")
AT_CALL = "Timer::tick [calling add]"


def planned(child: Child, directory: Path, detail: Detail = Detail.DEFAULT) -> ProbePlan:
    """What would be attached to the program."""
    path = directory / "timers.yaml"
    path.write_text(PROFILE)
    catalog = Catalog([check(yamlfile.load(path, ProfileSpec))])
    with Inspector() as inspector:
        return Planner(Config(detail=detail), inspector, catalog).plan_process(procfs.process(child.pid), named=True)


def measured(child: Child, plan: ProbePlan, links: str = "auto") -> tuple[dict[str, SeriesSnapshot], dict[str, Any]]:
    """By function what was counted, and the program's own account."""
    kernel = BpfBackend(KernelOptions([1_000_000], links=links))
    try:
        target = Target(1, child.pid, 0, "timers", str(child.path), None, "timers", "x", 0)
        series = {each.id: each for each in kernel.attach(target, plan) if isinstance(each, Series)}
        own: dict[str, Any] = json.loads(child.ask(f"run {ROUNDS}"))
        snapshot = kernel.detach(1)
    finally:
        kernel.close()
    return {series[values.series].function: values for values in snapshot.series}, own


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("flags", [UNOPTIMISED, OPTIMISED], ids=["O0", "O2"])
def test_the_calls_are_counted_and_the_target_ends_as_it_would(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, flags: tuple[str, ...], links: str
) -> None:
    """Returns, exceptions, longjmp, coroutines and a look at the return address, on two threads: each such call is one, others are none of them."""
    child = start(compile_program("calls_inside.cc", *flags))
    plan = planned(child, tmp_path)
    (probe,) = plan.probes
    (place,) = probe.sites
    assert (probe.function, probe.strategy) == (AT_CALL, EndStrategy.ENTRY_ONLY)
    assert place.instruction.startswith(("call", "bl"))
    seen, own = measured(child, plan, links)
    values = seen[AT_CALL]
    assert (values.untimed, values.added) == (own["calls"], (own["packets"],))
    assert (values.returned, values.abandoned, values.missed, values.in_flight) == (0, 0, 0, 0)
    assert own["wrong"] == 0
    assert own["others"] > 0
    assert own["ticks"] > 2 * own["calls"]
    assert set(own["ways"]) == {own["calls"] // 5}
    assert child.close() == 0


def test_without_such_a_place_the_function_itself_tells_the_same(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Where the compiler made a jump of the call, and with all detail, every call of the function is counted, and the same packets."""
    jumping = start(compile_program("calls_inside.cc", "-O2"))
    calling = start(compile_program("calls_inside.cc", *UNOPTIMISED))
    for child, detail in ((jumping, Detail.DEFAULT), (calling, Detail.ALL)):
        plan = planned(child, tmp_path, detail)
        seen, own = measured(child, plan)
        (values,) = seen.values()
        assert [*seen] == ["Timer::tick"]
        assert values.returned + values.abandoned + values.untimed == own["ticks"]
        assert values.added == (own["packets"],)
        assert own["wrong"] == 0
