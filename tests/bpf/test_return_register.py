# SPDX-License-Identifier: Apache-2.0
"""A return value that is still in another register at the last branch is read there, by the agent's own program."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_jb.model.plan import EndStrategy
from otel_jb.model.stream import Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.plans import Meaning, plan_for


@pytest.mark.parametrize("links", LINKS)
def test_outcomes_follow_a_value_that_is_not_in_its_register_yet(
    compile_program: Compile, start: Callable[..., Child], links: str
) -> None:
    """Every negative return is a drop, none is missed or invented, although rax does not hold it at the edge."""
    child = start(compile_program("late_return.c", "-O2", "-fstack-protector-all"))
    plan = plan_for(child.path, {"put": Meaning()})
    (probe,) = plan.probes
    assert probe.strategy is EndStrategy.EDGE_SITES
    assert [site.has_code for site in probe.sites] == [False, True]
    backend = BpfBackend(KernelOptions([1_000, 1_000_000], links=links))
    try:
        backend.attach(Target(1, child.pid, 0, "late_return", str(child.path), None, "late_return", "x", 0), plan)
        assert child.ask("5000") == "done"
        (values,) = backend.snapshot(roll=False).series
    finally:
        backend.close()
    assert (values.returned, values.drops, values.unknown) == (5000, (1000,), 0)
    assert (values.abandoned, values.missed, values.in_flight, values.orphan_ends) == (0, 0, 0, 0)
