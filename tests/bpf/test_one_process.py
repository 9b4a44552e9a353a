# SPDX-License-Identifier: Apache-2.0
"""Links for one process, whose programs know its PID and its first series: whatever else the kernel says of it, its calls are counted to the unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_jb.model.plan import EndStrategy
from otel_jb.probes import abi
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read.maps import WordArray
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import APART, STRATEGIES, backend, calls, entries, only, target

__all__ = ["calls"]  # a fixture

pytestmark = pytest.mark.bpf


def words_of_programs(kernel: BpfBackend) -> set[int]:
    """What the loaded programs of probes are told of their process."""
    return {shape.word for name, shape in kernel._instances._loaded if name in ("on_entry", "on_end", "on_session")}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_program_for_one_process_does_without_the_kernels_answer(calls: Child, strategy: EndStrategy) -> None:
    """It has the word that the cache has for the process; links for every process have none. Before Linux 6.13, no program has: a link with
    a PID runs for others that share the memory of the process, too.
    """
    with backend() as kernel:
        plan = plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}, strategy)
        kernel.attach(target(calls), plan)
        base = min(kernel._by_index)
        number = kernel._by_index[base].set.number
        known = kernel._attacher.sessions
        assert words_of_programs(kernel) == {abi.cache_word(calls.pid, number, base) if known else 0}
        assert calls.ask("50 2") == "done"
        assert only(kernel.snapshot(roll=True)).returned == 100
        kernel.detach(1)
        kernel.attach(target(calls, 2), plan, alone=False)
        assert words_of_programs(kernel) == {0}
        assert calls.ask("50 2") == "done"
        assert only(kernel.snapshot(roll=True)).returned == 100


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_calls_are_counted_whatever_the_cache_says(calls: Child, strategy: EndStrategy) -> None:
    """The word of the process is not where its program looks for it: the cache is empty, or its place is another's. The hash knows the process."""
    with backend() as kernel:
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf")}, strategy))
        assert kernel._loaded is not None
        cache = WordArray(kernel._loaded.maps["cache"], 1 << abi.CACHE_BITS)
        try:
            counted = 0
            for word in (0, abi.cache_word(1, 1, 1)):
                for place in range(1 << abi.CACHE_BITS):
                    cache.words[place] = word
                assert calls.ask("100 3") == "done"
                counted += 300
                values = only(kernel.snapshot(roll=True))
                assert (values.returned, entries(values), values.in_flight) == (counted, counted, 0)
                assert values.orphan_ends == 0
        finally:
            cache.close()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_process_that_executes_its_program_again_has_other_series(
    compile_program: Compile, start: Callable[..., Child], strategy: EndStrategy
) -> None:
    """Its links stay, with programs that know what it was: no call counts for the old program, and each counts in the new one's series."""
    child = start(compile_program("again.c", *APART))
    with backend() as kernel:
        plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, strategy)
        kernel.attach(target(child), plan)
        linked = words_of_programs(kernel)
        for number in range(1, 4):
            assert child.ask(str(10 * number)) == "done"
            counted = [values.returned for values in kernel.snapshot(roll=True).series]
            assert counted == [10 * each for each in range(1, number + 1)]
            assert child.ask("0") == "ready"
            kernel.attach(target(child, number + 1), plan)
            assert words_of_programs(kernel) == linked
