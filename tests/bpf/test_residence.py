# SPDX-License-Identifier: Apache-2.0
"""How long packets stay in buffers, as the kernel counts it, compared with what the program itself wrote down."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_jb.model.reads import SIGNED, Op, Outcome, ReadOp, ReadProgram
from otel_jb.model.stream import ResidenceSnapshot, Target
from otel_jb.probes import abi
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read import residence
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for

pytestmark = pytest.mark.bpf

BUFFER = 0x7F00_0000_1000
#: put(buffer, packet, result): a negative result is a drop, -2 a duplicate, 7 a packet that passes straight through
PUT = ReadProgram(
    entry=(ReadOp(Op.STREAM, src=0), ReadOp(Op.ENTERS, src=1), ReadOp(Op.END)),
    end=(
        ReadOp(Op.EXT, dst=0, width=4 | SIGNED),
        ReadOp(Op.JNE, dst=0, imm=-2, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.DUPLICATE),
        ReadOp(Op.END),
        ReadOp(Op.JGE, dst=0, imm=0, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.DROP),
        ReadOp(Op.END),
        ReadOp(Op.JNE, dst=0, imm=7, skip=1),
        ReadOp(Op.PASSES),
        ReadOp(Op.END),
    ),
)
#: get(buffer, …) returns the packet, or 0
GET = ReadProgram(
    entry=(ReadOp(Op.STREAM, src=0), ReadOp(Op.END)),
    end=(
        ReadOp(Op.JNE, dst=0, imm=0, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.NO_PACKET),
        ReadOp(Op.END),
        ReadOp(Op.LEAVES, src=0),
        ReadOp(Op.END),
    ),
)
#: head(buffer, packet): which packet leaves is known at the entry
HEAD = ReadProgram(entry=(ReadOp(Op.STREAM, src=0), ReadOp(Op.LEAVES, src=1), ReadOp(Op.END)))
RESET = ReadProgram(entry=(ReadOp(Op.EMPTIES, src=0), ReadOp(Op.END)))
DESTROY = ReadProgram(entry=(ReadOp(Op.CLOSE, src=0), ReadOp(Op.END)))
_STEP = struct.Struct("=QQQqQqq")


@dataclass(frozen=True)
class Step:
    """One call that the program is to make: `p`ut, `g`et, `h`ead, `r`eset, `d`estroy."""

    what: str
    packet: int = 0
    buffer: int = BUFFER
    result: int = 0
    wait_us: int = 0


@dataclass(frozen=True)
class Made:
    """A call and the times around it, by the program's clock."""

    step: Step
    before_ns: int
    after_ns: int


@pytest.fixture
def child(compile_program: Compile, start: Callable[..., Child]) -> Child:
    return start(compile_program("waiting.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.fixture
def kernel(child: Child) -> Iterator[BpfBackend]:
    made = BpfBackend(KernelOptions([int(bound) for bound in DEFAULT_BOUNDS_NS]))
    two, one = frozenset({1, 2}), frozenset({1})
    functions = {
        "put": Meaning(program=PUT, has_bytes=False, has_duplicates=True, argument_registers=two),
        "get": Meaning(program=GET, role="get", has_bytes=False, return_width=8, argument_registers=one),
        "head": Meaning(
            program=HEAD,
            role="get",
            primary=False,
            has_bytes=False,
            return_width=0,
            uses_return=False,
            argument_registers=two,
        ),
        "reset": Meaning(
            program=RESET,
            role="reset",
            has_packets=False,
            has_bytes=False,
            return_width=0,
            uses_return=False,
            argument_registers=one,
        ),
        "destroy": Meaning(
            program=DESTROY,
            role="close",
            has_packets=False,
            has_bytes=False,
            return_width=0,
            uses_return=False,
            argument_registers=one,
        ),
    }
    plan = plan_for(child.path, functions)
    made.attach(Target(1, child.pid, 0, "waiting", str(child.path), None, "waiting", "x", 0), plan)
    yield made
    made.close()


class Player:
    """Has the program make calls, by one thread or several."""

    def __init__(self, child: Child, directory: Path) -> None:
        self._child, self._directory = child, directory
        self._numbers = itertools.count()

    def __call__(self, *threads: Sequence[Step]) -> list[list[Made]]:
        paths = []
        for steps in threads:
            path = self._directory / f"steps-{next(self._numbers)}"
            parts = [_STEP.pack(ord(s.what), s.buffer, s.packet, s.result, s.wait_us, 0, 0) for s in steps]
            path.write_bytes(b"".join(parts))
            paths.append(path)
        assert self._child.ask(" ".join(map(str, paths))).startswith("done")
        return [
            [Made(step, *words[-2:]) for step, words in zip(steps, _STEP.iter_unpack(path.read_bytes()), strict=True)]
            for path, steps in zip(paths, threads, strict=True)
        ]


@pytest.fixture
def play(child: Child, tmp_path: Path) -> Player:
    return Player(child, tmp_path)


def told(kernel: BpfBackend) -> ResidenceSnapshot:
    (found,) = kernel.snapshot().residences
    return found


def unmatched(kernel: BpfBackend) -> dict[str, int]:
    return {reason: count for reason, count in told(kernel).unmatched if count}


def matched(kernel: BpfBackend) -> int:
    return sum(told(kernel).buckets)


def test_every_packet_of_four_threads_is_in_the_bucket_of_its_residence(kernel: BpfBackend, play: Player) -> None:
    """1 000 buffers, four threads: as many packets matched as came out, each within what the program's own clock allows."""
    source = random.Random(7)
    threads: list[list[Step]] = [[] for _ in range(4)]
    for number in range(1000):
        # Packets of one buffer have the numbers of another's; they come out in another order, some not at all.
        packets = source.sample(range(1, 100), 12)
        out = source.sample(packets, 10)
        buffer = BUFFER + 64 * number
        steps = [Step("p", packet, buffer) for packet in packets] + [Step("g", packet, buffer) for packet in out]
        threads[number % 4] += [*steps[:15], Step("g", 0, buffer, wait_us=1000 * (number % 40 == 0)), *steps[15:]]
    calls = play(*threads)
    low: list[int] = []
    high: list[int] = []
    for thread in calls:
        put: dict[tuple[int, int], Made] = {}
        for made in thread:
            key = (made.step.buffer, made.step.packet)
            if made.step.what == "p":
                put[key] = made
            elif made.step.packet:
                low.append(made.before_ns - put[key].after_ns)
                high.append(made.after_ns - put[key].before_ns)
    assert unmatched(kernel) == {}
    assert matched(kernel) == len(low) == 10_000
    assert sum(low) <= told(kernel).sum_ns <= sum(high)
    bounds = kernel.snapshot().bounds_ns
    counted = list(itertools.accumulate(told(kernel).buckets))
    for bound, below in zip(bounds, counted, strict=False):
        assert sum(each <= bound for each in high) <= below <= sum(each <= bound for each in low)


def test_packets_that_pass_at_once_stayed_no_time(kernel: BpfBackend, play: Player) -> None:
    """They count with 0, and leave no place behind that a later packet of that number could be taken for."""
    play([*(Step("p", packet, result=7) for packet in range(1, 31)), *(Step("g", packet) for packet in range(1, 31))])
    assert (matched(kernel), told(kernel).sum_ns, told(kernel).buckets[0]) == (30, 0, 30)
    assert unmatched(kernel) == {"unseen": 30}


@pytest.mark.parametrize("result", [-1, -2])
def test_a_packet_that_is_refused_is_not_in_the_buffer(kernel: BpfBackend, play: Player, result: int) -> None:
    """What was dropped or was a duplicate cannot come out; of a packet that is there already nobody knows any more."""
    play([Step("p", 5, result=result), Step("g", 5)])
    assert (matched(kernel), unmatched(kernel)) == (0, {"unseen": 1})
    play([Step("p", 5, result=result), Step("p", 5), Step("g", 5)])
    assert (matched(kernel), unmatched(kernel)) == (1, {"unseen": 1})


def test_a_packet_that_was_put_twice_is_never_guessed(kernel: BpfBackend, play: Player) -> None:
    """Which of the two came out cannot be told; the next packet of that number is another one."""
    play([Step("p", 9), Step("p", 9), Step("g", 9), Step("p", 9), Step("g", 9)])
    assert (matched(kernel), unmatched(kernel)) == (1, {"twice": 1})


def test_memory_that_becomes_another_buffer_gives_no_wrong_residence(kernel: BpfBackend, play: Player) -> None:
    """What was put before the buffer was emptied or destroyed does not come out of what is at its address later."""
    for end in ("r", "d"):
        (calls,) = play(
            [
                *(Step("p", packet) for packet in range(1, 21)),
                Step(end),
                *(Step("g", packet) for packet in range(1, 11)),
                *(Step("p", packet, wait_us=1000) for packet in range(11, 21)),
                *(Step("g", packet) for packet in range(11, 21)),
            ]
        )
        before = (matched(kernel), told(kernel).sum_ns)
    assert unmatched(kernel) == {"unseen": 20}
    assert before[0] == 20
    again = [made for made in calls if made.step.packet > 10][-20:]
    assert before[1] <= 2 * 2 * sum(
        out.after_ns - put.before_ns for put, out in zip(again[:10], again[10:], strict=True)
    )


@pytest.mark.parametrize("order", [1, -1])
def test_packets_that_find_no_near_place_are_matched_as_well(kernel: BpfBackend, play: Player, order: int) -> None:
    """Some at once use the near rows alone, more than those hold the far ones, too; a packet that is put again counts as such wherever it is."""
    few, many = 16, 2 * abi.WAITING_PLACES << abi.NEAR_BITS
    play([Step(what, packet + 1) for what in "pg" for packet in range(few)])
    assert (matched(kernel), unmatched(kernel)) == (few, {})
    assert kernel._table._control.words[abi.CONTROL_FAR_NS] == 0
    play([Step("p", packet + 1) for packet in range(many)])
    assert kernel._table._control.words[abi.CONTROL_FAR_NS] > 0
    again = range(0, many, 8)
    play([Step("p", packet + 1) for packet in again])
    play([Step("g", packet + 1) for packet in range(many)[::order]])
    assert (matched(kernel), unmatched(kernel)) == (few + many - len(again), {"twice": len(again)})


def test_what_leaves_at_the_entry_counts_like_what_is_returned(kernel: BpfBackend, play: Player) -> None:
    """A function that is given the packet which leaves tells the same as one that returns it."""
    (calls,) = play([Step("p", 1), Step("p", 2), Step("h", 2, wait_us=2000), Step("h", 3)])
    assert (matched(kernel), unmatched(kernel)) == (1, {"unseen": 1})
    assert calls[2].before_ns - calls[1].after_ns <= told(kernel).sum_ns <= calls[2].after_ns - calls[1].before_ns


def test_places_are_bounded_and_what_had_none_is_not_guessed(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many packets as there are places: each that comes out is matched or counted; ended buffers leave nothing behind."""
    many = 2 * abi.WAITING_PLACES * abi.WAITING_ROWS
    (calls,) = play([Step(what, packet + 1) for what in "pg" for packet in range(many)])
    puts, gets = calls[:many], calls[many:]
    assert matched(kernel) + sum(unmatched(kernel).values()) == many
    assert matched(kernel) < many
    assert told(kernel).sum_ns <= sum(get.after_ns - put.before_ns for put, get in zip(puts, gets, strict=True))
    monkeypatch.setattr(residence, "IDLE_NS", 0)
    kernel.snapshot(roll=True)
    assert not any(kernel._residence._places.words[abi.FLOW_AT :: abi.PLACE_WORDS].tolist())


def test_a_probe_that_was_out_meanwhile_believes_nothing_from_before(kernel: BpfBackend, play: Player) -> None:
    """While put and get were shed, what was put before may have come out, and its number may be another packet's by now."""
    series = [each.series for each in kernel.snapshot().series[:2]]
    play([Step("p", 4)])
    for each in series:
        assert kernel.shed(each, "test")
    for each in series:
        assert kernel.restore(each, "test")
    play([Step("g", 4), Step("p", 4), Step("g", 4)])
    assert (matched(kernel), unmatched(kernel)) == (1, {"unseen": 1})
