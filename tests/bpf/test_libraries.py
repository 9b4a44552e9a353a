# SPDX-License-Identifier: Apache-2.0
"""Libraries that processes load later: known ones are probed before the process maps them, so no call is missed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.host import libraries
from otel_jb.model.stream import Target
from otel_jb.planner import expected
from otel_jb.probes.attach.files import EVERYONE
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


def holders(agent: Running, probes: ProbeSet) -> set[int]:
    """The processes that have series in a set."""
    measuring = agent.agent._measuring
    assert measuring is not None
    table = cast(BpfBackend, measuring.backend)._files._table
    return {b.pid for b in agent.agent._commands.call(lambda: list(table._by_base.values())) if b.set == probes.number}


def named(agent: Running) -> set[int]:
    """The PIDs of all targets so far."""
    return {record.pid for record in agent.records if isinstance(record, Target)}


def calls(agent: Running, pid: int | None = None) -> int:
    """Calls of one process or of all, as of now; the first ones are untimed where a return probe sees the end."""
    agent.agent.read()
    views = [view for view in agent.agent.state.view().targets if pid in (None, view.target.pid)]
    every = [s.values for view in views for s in view.series if s.series.function == FUNCTION]
    return sum(values.returned + values.untimed for values in every)


@pytest.fixture
def only_speexdsp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the libraries of this host the agent looks at one, at once."""
    find = libraries.find
    monkeypatch.setattr(libraries, "find", lambda globs, root: [p for p in find(globs, root) if "speexdsp" in p])
    monkeypatch.setattr(expected, "AFTER_S", 0.0)


@pytest.mark.usefixtures("only_speexdsp")
@pytest.mark.parametrize("then", ["", " close"], ids=["stays", "unloads it at once"])
def test_a_process_that_is_waited_for_is_counted_from_the_first_call_of_its_library(
    compile_program: Compile, start: Callable[..., Child], then: str
) -> None:
    """The library is linked for this process alone, and no call is lost, even if it is unloaded before the agent looks."""
    path = compile_program("late.c", "-O1", "-ldl")
    child, other = start(path), start(path)
    with running(TargetSelector(pid=child.pid)) as agent:
        until(lambda: bool(sets(agent)), "the library is probed ahead", patience(120))
        (probes,) = sets(agent)
        assert {pid for function in probes.functions for pid in function.links} == {child.pid}
        assert not probes.everyone
        assert (other.ask("7"), child.ask(f"25{then}")) == ("7", "25")
        agent.wait(lambda: len(agent.of(Target)) == 1, "the process is measured", seconds=120)
        assert calls(agent) == 25
        assert (other.ask("7"), child.ask(f"5{then}"), child.ask(f"6{then}")) == ("7", "5", "6")
        assert calls(agent) == 36
        assert agent.agent.readiness()[0]
    assert child.close() == 0


@pytest.mark.usefixtures("only_speexdsp")
@pytest.mark.parametrize("selected", ["by name", "by nothing"])
def test_a_known_library_is_counted_from_the_first_call_of_any_process_that_loads_it(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, selected: str
) -> None:
    """No process has it when the agent starts. Those that are selected are counted, even if they unload it at once or end; a process that is
    not selected is not, and leaves nothing behind.
    """
    made = compile_program("late.c", "-O1", "-ldl")
    path, other = (tmp_path / f"{name}-{random.randrange(1 << 24):x}" for name in ("late", "not"))
    shutil.copy(made, path)
    shutil.copy(made, other)
    selectors = [TargetSelector(name=path.name)] if selected == "by name" else []
    with running(*selectors) as agent:
        until(lambda: bool(sets(agent)), "the library is probed ahead", patience(120))
        (probes,) = sets(agent)
        assert {pid for function in probes.functions for pid in function.links} == {EVERYONE}
        children = [start(path) for _ in range(3)] + [start(other)]
        pids = [child.pid for child in children]
        for child, line in zip(children, ("25", "26 close", "27", "28"), strict=True):
            assert child.ask(line) == line[:2]
        assert children[2].close() == 0
        wanted = pids[:3] if selectors else pids
        agent.wait(lambda: named(agent) >= set(wanted), "all of them are named", seconds=120)
        assert (children[0].ask("5"), children[1].ask("6"), children[3].ask("8")) == ("5", "6", "8")
        assert [calls(agent, pid) for pid in pids] == [30, 32, 27, 36 if not selectors else 0]
        for child in (children[0], children[1], children[3]):
            assert child.close() == 0
        until(lambda: not set(pids) & holders(agent, probes), "nothing is left of them", patience(120))
