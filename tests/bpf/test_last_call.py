# SPDX-License-Identifier: Apache-2.0
"""A function that ends straight after a call is timed by the ends of the function that it calls, or by the call, by the agent's own program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from otel_jb.model.plan import EndStrategy, ProbeSite, SiteKind
from otel_jb.model.stream import Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.plans import Meaning, plan_for


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("flags", [(), ("-fomit-frame-pointer", "-fno-stack-protector")])
def test_every_call_ends_where_what_it_calls_last_ends(
    compile_program: Compile, start: Callable[..., Child], links: str, flags: tuple[str, ...]
) -> None:
    """Count, outcome by the return value on the stack, and bytes are exact with two threads, and other callers are not mistaken."""
    child = start(compile_program("last_call.c", "-O0", "-pthread", *flags))
    sites = assert_exact(child, links)
    assert any(site.callers for site in sites)


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("level", ["-O1", "-O2"])
def test_every_call_ends_at_a_last_call_that_takes_a_moment(
    compile_program: Compile, start: Callable[..., Child], links: str, level: str
) -> None:
    """The same where the called function has no end to lend: the call itself is the end, and only put's is probed."""
    child = start(compile_program("last_call.c", level, "-DMOMENT", "-pthread"))
    sites = assert_exact(child, links)
    assert not any(site.callers for site in sites)
    assert [site.kind for site in sites if site.instruction.startswith("call")] == [SiteKind.EDGE]


def assert_exact(child: Child, links: str) -> Sequence[ProbeSite]:
    """Let the program make its calls under the agent's probes, and compare what it did; returns the sites."""
    plan = plan_for(child.path, {"put": Meaning()})
    (probe,) = plan.probes
    assert probe.strategy is EndStrategy.EDGE_SITES
    backend = BpfBackend(KernelOptions([1_000, 1_000_000], links=links))
    try:
        backend.attach(Target(1, child.pid, 0, "last_call", str(child.path), None, "last_call", "x", 0), plan)
        assert child.ask("5000") == "done"
        (values,) = backend.snapshot(roll=False).series
    finally:
        backend.close()
    # Of ten calls 0 and 5 return a negative result, 9 an error of its own.
    assert (values.returned, values.drops, values.unknown) == (10_000, (3000,), 0)
    assert values.bytes == 9000 * 100
    assert (values.abandoned, values.missed, values.in_flight, values.orphan_ends) == (0, 0, 0, 0)
    return probe.sites
