# SPDX-License-Identifier: Apache-2.0
"""How many packets a target's buffers hold: exact for as many as the kernel has room for, absent beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.model.stream import Target
from otel_jb.probes import abi
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read import reader
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for

pytestmark = pytest.mark.bpf

#: put(buffer, bytes, depth)
PUT = ReadProgram(
    entry=(
        ReadOp(Op.BYTES, src=1),
        ReadOp(Op.STREAM, src=0),
        ReadOp(Op.DEPTH, src=2),
        ReadOp(Op.END),
    )
)
FEW, MANY = 500, abi.BUFFER_SLOTS + 1000


@pytest.fixture
def child(compile_program: Compile, start: Callable[..., Child]) -> Child:
    return start(compile_program("buffers.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.fixture
def kernel(child: Child) -> Iterator[BpfBackend]:
    made = BpfBackend(KernelOptions([1_000_000]))
    plan = plan_for(child.path, {"put": Meaning(program=PUT, uretprobe="a leaf")})
    plan = replace(plan, probes=tuple(replace(probe, has_depth=True) for probe in plan.probes))
    made.attach(Target(1, child.pid, 0, "buffers", str(child.path), None, "buffers", "x", 0), plan)
    yield made
    made.close()


def test_the_depth_is_the_sum_over_all_buffers(child: Child, kernel: BpfBackend) -> None:
    """Each buffer counts with what it held last, and the highest depth of the interval is that of any of them."""
    assert child.ask(f"0 {FEW} 3") == "done"
    assert child.ask("7 1 40") == "done"
    assert child.ask("7 1 5") == "done"
    (depth,) = kernel.snapshot(roll=True).depths
    assert (depth.packets, depth.buffers, depth.max_packets) == (3 * (FEW - 1) + 5, FEW, 40)


def test_a_buffer_that_nobody_touches_is_as_full_as_it_was(child: Child, kernel: BpfBackend) -> None:
    """In an interval without a call, the highest depth equals what is held; the peak of the interval before is forgotten, and an empty
    buffer says 0."""
    for depth in (40, 5):
        assert child.ask(f"7 1 {depth}") == "done"
    kernel.snapshot(roll=True)
    (held,) = kernel.snapshot(roll=True).depths
    assert (held.packets, held.max_packets) == (5, 5)
    assert child.ask("7 1 0") == "done"
    (held,) = kernel.snapshot(roll=True).depths
    assert (held.packets, held.max_packets) == (0, 0)


def test_more_buffers_than_there_is_room_for_leave_no_depth_and_all_else_exact(
    child: Child, kernel: BpfBackend
) -> None:
    """A sum over some of the buffers is never shown as that of all; calls and bytes do not suffer."""
    assert child.ask(f"0 {MANY} 3") == "done"
    snapshot = kernel.snapshot(roll=True)
    assert snapshot.depths == ()
    (values,) = snapshot.series
    assert (values.returned, values.bytes, values.missed) == (MANY, 100 * MANY, 0)


def test_the_depth_comes_back_when_there_is_room_again(
    child: Child, kernel: BpfBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buffers that nobody has touched for long give their room to others: once all fit, there is a depth again, and it is exact."""
    assert child.ask(f"0 {MANY} 3") == "done"
    assert kernel.snapshot(roll=True).depths == ()
    monkeypatch.setattr(reader, "FORGET_BUFFER_NS", 0)
    kernel.snapshot(roll=True)
    monkeypatch.undo()
    assert child.ask(f"{MANY} {FEW} 4") == "done"
    kernel.snapshot(roll=True)  # it ends the interval in which there was no room
    (depth,) = kernel.snapshot(roll=True).depths
    assert (depth.packets, depth.buffers) == (4 * FEW, FEW)
