# SPDX-License-Identifier: Apache-2.0
"""Pairs of functions: the time from the entry of one to the entry of another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_jb.config.model import Config, Functions, Pair, TargetSelector
from otel_jb.model.stream import Target
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import Running
from tests.bpf.test_counting import entries

pytestmark = pytest.mark.bpf
ROUNDS, THREADS, OPEN = 250, 4, 16


def test_pairs_are_told_apart_by_argument_and_by_thread(compile_program: Compile, start: Callable[..., Child]) -> None:
    """Each piece of work is counted once, whichever thread ends it; what begins again is abandoned, what ends twice is nothing."""
    child = start(compile_program("pairs.c", "-O1"))
    config = Config(
        targets=(TargetSelector(pid=child.pid),),
        functions=Functions(include=("enqueue",)),
        pairs=(
            Pair("in the queue", "enqueue", "dequeue", "arg1", "arg2"),
            Pair("turn", "begin_turn", "end_turn"),
        ),
        listen=None,
    )
    agent = Running(config)
    try:
        agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
        assert child.ask(str(ROUNDS)) == "done"
        agent.agent.read()
        (seen,) = agent.agent.state.view().targets
        values = {each.series.function: each.values for each in seen.series}
        queue, turn, own = values["in the queue"], values["turn"], values["enqueue"]
        begun = THREADS * (ROUNDS * OPEN + OPEN + 2)
        assert entries(own) == begun
        assert (queue.returned, queue.abandoned, queue.in_flight) == (begun - THREADS, THREADS, 0)
        assert (turn.returned, turn.abandoned, turn.in_flight) == (THREADS * ROUNDS, 0, 0)
        assert queue.orphan_ends == turn.orphan_ends == queue.missed == turn.missed == 0
        assert {each.series.strategy for each in seen.series} >= {"start-stop"}
    finally:
        agent.close()
    assert child.close() == 0
