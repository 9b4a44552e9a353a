# SPDX-License-Identifier: Apache-2.0
"""What a probe costs is measured while the agent does its work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.model.stream import AgentCost, Target
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs.instances import Instances
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import running

pytestmark = pytest.mark.bpf

#: What only one thread at a time may use. `measure_cost` itself waits on another one most of the time, and hands over what it does here.
USES = [
    *((BpfBackend, name) for name in vars(BpfBackend) if not name.startswith("_") and name != "measure_cost"),
    *((Instances, name) for name in ("take", "give_back", "room")),
]


class OneAtATime:
    """Wraps what has one user at a time, and notes where one thread comes in while another is inside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.collisions: set[tuple[str, str]] = set()
        self._inside: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        for owner, name in USES:
            if callable(getattr(owner, name)):
                monkeypatch.setattr(owner, name, self._wrapped(name, getattr(owner, name)))

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def use(*arguments: Any, **options: Any) -> Any:
            me = threading.get_ident()
            with self._lock:
                self.collisions |= {(other, name) for thread, other in self._inside if thread != me}
                self._inside.append((me, name))
            try:
                return function(*arguments, **options)
            finally:
                with self._lock:
                    self._inside.remove((me, name))

        return use


def test_targets_come_and_are_read_while_costs_are_measured(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two threads are in the backend at once, the cost is told, and what came meanwhile is measured exactly."""
    uses = OneAtATime(monkeypatch)
    path = compile_program("guide_names.c", "-O1")
    children = [start(path)]
    with running(TargetSelector(binary=str(path))) as agent:
        agent.wait(lambda: len(agent.of(Target)) == 1, "the first process is attached")
        agent.agent.measure_cost()
        children += [start(path) for _ in range(3)]
        while not agent.of(AgentCost):
            agent.agent.read()
        agent.wait(lambda: len(agent.of(Target)) == 4, "the other processes are attached")
        for child in children:
            assert child.ask("50") == "done"
        assert agent.returned("jitterbuffer_put") == 200
        (cost,) = agent.of(AgentCost)
        assert isinstance(cost, AgentCost)
        assert cost.seconds_by_kind
    assert uses.collisions == set()
