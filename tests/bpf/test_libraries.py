# SPDX-License-Identifier: Apache-2.0
"""Libraries that processes load later: known ones are probed before the process maps them, so no call is missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.model.stream import Target
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.series import ProbeSet
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import Running, running
from tests.e2e.agent_process import until
from tests.scale import patience

pytestmark = pytest.mark.bpf

FUNCTION = "jitter_buffer_get"


def sets(agent: Running) -> list[ProbeSet]:
    """The linked sets of probes of speexdsp."""
    measuring = agent.agent._measuring
    assert measuring is not None
    files = cast(BpfBackend, measuring.backend)._files
    every = agent.agent._commands.call(lambda: list(files.by_number.values()))
    return [each for each in every if any(f.probe.symbol.name == FUNCTION and f.links for f in each.functions)]


def calls(agent: Running) -> int:
    """Calls of all processes, as of now."""
    agent.agent.read()
    every = [
        s.values for view in agent.agent.state.view().targets for s in view.series if s.series.function == FUNCTION
    ]
    return sum(values.returned for values in every)


@pytest.mark.parametrize("then", ["", " close"], ids=["stays", "unloads it at once"])
def test_a_process_that_is_waited_for_is_counted_from_the_first_call_of_its_library(
    compile_program: Compile, start: Callable[..., Child], then: str
) -> None:
    """The library is linked for this process alone, and no call is lost, even if it is unloaded before the agent looks."""
    path = compile_program("late.c", "-O1", "-ldl")
    child, other = start(path), start(path)
    with running(TargetSelector(pid=child.pid)) as agent:
        until(lambda: bool(sets(agent)), "the library is probed ahead", patience(30))
        (probes,) = sets(agent)
        assert {pid for function in probes.functions for pid in function.links} == {child.pid}
        assert not probes.everyone
        assert (other.ask("7"), child.ask(f"25{then}")) == ("7", "25")
        agent.wait(lambda: len(agent.of(Target)) == 1, "the process is measured")
        assert calls(agent) == 25
        assert (other.ask("7"), child.ask(f"5{then}"), child.ask(f"6{then}")) == ("7", "5", "6")
        assert calls(agent) == 36
        assert agent.agent.readiness()[0]
    assert child.close() == 0
