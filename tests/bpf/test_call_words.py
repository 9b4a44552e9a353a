# SPDX-License-Identifier: Apache-2.0
"""What the end of a call finds of its beginning: what that call's entry told and saved, nothing of the call that had the slot before, and the
scheduler's account wherever there is room for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from otel_jb.model.plan import EndStrategy
from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.model.stream import SlowCall
from otel_jb.probes import abi
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.programs import sharecode
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import STRATEGIES, backend, target

pytestmark = pytest.mark.bpf

BYTES, STREAM, SAVED = 40, 50_000, (101, 202, 303)
FOUND = 5  #: registers of an end that hold what the entry told: bytes, stream, and three saved values
ADD_UP = (*(ReadOp(Op.ADDED, dst=at, src=1 + at, imm=(1 << 31) - 1) for at in range(FOUND)), ReadOp(Op.END))


def reads(saved: int, *, tells: bool) -> ReadProgram:
    """An entry that saves so many values, and perhaps tells bytes and a stream; an end that adds up what it finds."""
    told = ((Op.BYTES, BYTES, 0), (Op.STREAM, STREAM, 0)) if tells else ()
    values = (*told, *((Op.SAVE, value, slot) for slot, value in enumerate(SAVED[:saved])))
    entry = [
        step for op, value, slot in values for step in (ReadOp(Op.MOVI, dst=7, imm=value), ReadOp(op, src=7, imm=slot))
    ]
    return ReadProgram((*entry, ReadOp(Op.END)) if entry else (), ADD_UP)


@pytest.fixture
def calls(compile_program: Compile, start: Callable[..., Child]) -> Child:
    """A running `calls` program, its function with a prologue."""
    return start(compile_program("calls.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


def ended(
    kernel: BpfBackend, child: Child, number: int, program: ReadProgram, strategy: EndStrategy
) -> tuple[list[int], SlowCall]:
    """What the end of one call found, and the call as it was told."""
    meaning = Meaning(uretprobe="leaf", program=program)
    kernel.attach(target(child, number), plan_for(child.path, {"put": meaning}, strategy))
    assert child.ask("1 1") == "done"
    (call,) = kernel.slow_calls()
    index = next(iter(kernel._by_index))
    at = index * kernel._series_words + abi.PLACES["added"]
    found = kernel._series.words[at : at + FOUND].tolist()
    kernel.detach(number)
    return found, call


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("saved", range(4))
def test_an_end_finds_what_its_own_entry_left(calls: Child, saved: int, strategy: EndStrategy, links: str) -> None:
    """Two calls of one thread begin at one place of its stack, so in one slot: the first fills it, the second tells and saves less."""
    with backend(links=links, events=True, threshold_ns=lambda _: 0) as kernel:
        found, call = ended(kernel, calls, 1, reads(3, tells=True), strategy)
        assert (found, call.bytes, call.stream) == ([BYTES, STREAM, *SAVED], BYTES, STREAM)
        found, again = ended(kernel, calls, 2, reads(saved, tells=False), strategy)
        assert again.frame == call.frame
        assert (found, again.bytes, again.stream) == ([0, 0, *SAVED[:saved], *[0] * (3 - saved)], 0, None)
        found, last = ended(kernel, calls, 3, reads(saved, tells=True), strategy)
        assert (found, last.bytes, last.stream) == ([BYTES, STREAM, *SAVED[:saved], *[0] * (3 - saved)], BYTES, STREAM)


@pytest.mark.parametrize("saved", range(4))
def test_the_account_of_a_call_is_kept_where_there_is_room(calls: Child, saved: int) -> None:
    """In the call, where its reads save one value at most, or beside it; what a call did adds up to its duration, and no two calls are the same."""
    near: set[bool] = set()
    with backend(events=True, threshold_ns=lambda _: 0, event_rate=1e6) as kernel:
        program = replace(reads(saved, tells=True), end=(ReadOp(Op.END),))
        kernel.attach(target(calls), plan_for(calls.path, {"put": Meaning(uretprobe="leaf", program=program)}))
        for links in next(iter(kernel._by_index.values())).function.links.values():
            near |= {bool(shape.features & abi.FEATURE_SHARE_NEAR) for _, shape in links.programs}
        assert calls.ask("200 1") == "done"
        told = [call for call in kernel.slow_calls(every=True) if call.cpu_ns is not None]
    if sharecode.here() is None:
        assert not told
        assert near == {False}
        return
    assert near == {saved <= 1}
    assert len(told) > 100  # of some, the thread was preempted while the account was read
    assert all(call.cpu_ns + call.run_delay_ns + call.blocked_ns == call.end_ns - call.start_ns for call in told)  # type: ignore[operator]
    assert sum(call.cpu_ns > 0 for call in told if call.cpu_ns is not None) > len(told) // 2
