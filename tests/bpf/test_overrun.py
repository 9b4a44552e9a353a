# SPDX-License-Identifier: Apache-2.0
"""An agent that was stopped beside a program that calls all the time: counts that ran over in the kernel meanwhile are told to nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from otel_jb.agent.loop import Agent
from otel_jb.config.model import Config, TargetSelector
from otel_jb.config.yamlfile import Duration
from otel_jb.model.errors import OverrunError
from otel_jb.model.stream import SeriesSnapshot, Snapshot, StreamRecord
from otel_jb.probes import abi
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import APART, backend, only, target
from tests.scale import patience

pytestmark = pytest.mark.bpf

NEAR = (1 << 32) - 200  #: calls of each half that a bucket is filled with


@pytest.fixture
def calls(compile_program: Compile, start: Callable[..., Child]) -> Child:
    """A running `calls` program, its function with a prologue."""
    return start(compile_program("calls.c", *APART))


def fill(kernel: BpfBackend, values: SeriesSnapshot) -> int:
    """Have the fullest bucket of a series hold almost as many calls as it can; returns how many were added."""
    (index,) = (index for index, item in kernel._by_index.items() if item.series.id == values.series)
    at, words = index * kernel._series_words, kernel._series.words
    fullest = max(range(len(values.buckets)), key=values.buckets.__getitem__)
    added = 2 * NEAR - values.buckets[fullest]
    words[at + abi.SERIES_BUCKETS + fullest] = NEAR << 32 | NEAR
    words[at + abi.SERIES_ENTERED] += added
    return added


@pytest.mark.parametrize("rolls", [0, 1], ids=["even epoch", "odd epoch"])
def test_a_bucket_that_ran_over_is_told_and_its_counts_are_not(calls: Child, rolls: int) -> None:
    """More calls than half a bucket has room for return while nobody reads: none of its counts is told, however the reader is asked."""
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}))
        for _ in range(rolls):
            kernel.snapshot(roll=True)
        assert calls.ask("1000 1") == "done"
        added = fill(kernel, only(kernel.snapshot()))
        values = only(kernel.snapshot())
        assert (values.returned, values.in_flight) == (1000 + added, 0), "almost full is right"
        assert calls.ask("100000 1") == "done"
        kernel.entries()  # which takes out what there is, as an agent that goes on does
        for roll in (False, True, True):
            with pytest.raises(OverrunError, match="put was called more than 4 000 000 000 times"):
                kernel.snapshot(roll=roll)
        with pytest.raises(OverrunError):
            kernel.detach(1)


@pytest.mark.parametrize("straw", ["a turn of its own", "a scrape", "the end of the process"])
def test_an_agent_whose_counts_ran_over_ends_and_tells_none_of_them(
    compile_program: Compile, start: Callable[..., Child], straw: str
) -> None:
    """Whatever has it read first: it ends with the error, and the last values are those from before."""
    child = start(compile_program("guide_names.c", "-O1"))
    records: list[StreamRecord] = []
    failed: list[Exception] = []
    interval_s = 1.0 if straw == "a turn of its own" else 100.0
    config = Config(targets=(TargetSelector(pid=child.pid),), listen=None, interval=Duration(round(interval_s * 1e9)))
    agent = Agent(config, [records.append], events=False)

    def run() -> None:
        try:
            agent.run()
        except OverrunError as error:
            failed.append(error)

    agent.start()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert child.ask("99") == "done"
        agent.read()
        assert agent._measuring is not None
        kernel = cast(BpfBackend, agent._measuring.backend)

        def overrun() -> None:  # on the agent's own thread, which reads nothing meanwhile, as if it were stopped
            kernel._returns.most = 1 << 62
            every = kernel.snapshot().series
            for values in every:
                assert values.returned
                fill(kernel, values)
            assert child.ask("999") == "done"

        agent._commands.call(overrun)
        told = len(records)
        if straw == "a scrape":
            agent.read()
        elif straw == "the end of the process":
            child.close()
        thread.join(patience(20))
        assert not thread.is_alive()
        (error,) = failed
        assert "jitterbuffer_" in str(error)
        assert "4 000 000 000" in str(error)
    finally:
        agent.stop()
        thread.join(patience(20))
        agent.close()
    assert child.pid > 0
    for record in records[told:]:
        assert not isinstance(record, Snapshot), "nothing is told that was read afterwards"
