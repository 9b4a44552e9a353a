# SPDX-License-Identifier: Apache-2.0
"""Programs whose rare parts are moved do what they did before."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.blocks import MARK, blocks_of
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.layout import laid_out

WORK = bpf.by_value(bpf.MOVE)
EXIT = Instruction(bpf.EXIT)
#: jumps by immediate: =, ≠, >, ≤, ≥, <, the signed ones, and the one that has no opposite; as in the instruction set's description
JUMPS = {0x15: 0, 0x55: 1, 0x25: 2, 0xB5: 3, 0x35: 4, 0xA5: 5, 0x65: 6, 0xD5: 7, 0x75: 8, 0xC5: 9, 0x45: 10}


def work(number: int) -> Instruction:
    return Instruction(WORK, immediate=number)


def jump(opcode: int, offset: int, immediate: int = 0) -> Instruction:
    return Instruction(opcode, 1, offset=offset, immediate=immediate)


def holds(opcode: int, a: int, b: int) -> bool:
    """Whether a jump is taken, for small numbers with a sign."""
    big_a, big_b = a % (1 << 64), b % (1 << 64)
    return (a == b, a != b, big_a > big_b, big_a <= big_b, big_a >= big_b, big_a < big_b, a > b, a <= b, a >= b, a < b, bool(a & b))[JUMPS[opcode]]  # fmt: skip


def ran(program: Sequence[Instruction], value: Callable[[int], int]) -> list[int]:
    """The numbers of the work that a program does if the n-th comparison finds `value(n)`, until it exits or has done much."""
    done: list[int] = []
    at = compared = 0
    while len(done) < 300:
        each = program[at]
        at += 1
        if each == EXIT:
            return [*done, -1]
        if each.opcode == bpf.JUMP:
            at += each.offset
        elif each.opcode == WORK:
            done.append(each.immediate)
        else:
            at += each.offset if holds(each.opcode, value(compared), each.immediate) else 0
            compared += 1
    return done


def made(rng: random.Random) -> list[Instruction]:
    """A program of random blocks, with jumps to any of them, some of which are marked."""
    bodies: list[list[Instruction]] = []
    for number in range(rng.randrange(2, 14)):
        mark = [MARK] if number and rng.random() < 0.3 else []
        bodies.append([*mark, *(work(100 * number + n) for n in range(rng.randrange(1, 4)))])
    starts = [sum(len(body) + 1 for body in bodies[:number]) for number in range(len(bodies))]
    program: list[Instruction] = []
    for number, body in enumerate(bodies):
        program += body
        target = rng.choice(starts) - len(program) - 1
        last = number == len(bodies) - 1
        kind = EXIT if last else rng.choice([EXIT, jump(bpf.JUMP, target), *[jump(rng.choice(list(JUMPS)), target, rng.randrange(-2, 3))] * 6])  # fmt: skip
        program.append(kind if kind != MARK else EXIT)
    return program


@pytest.mark.parametrize("seed", range(200))
def test_the_same_work_is_done_in_the_same_order(seed: int) -> None:
    """Whatever the comparisons find, a program does what it did, and no mark is left."""
    rng = random.Random(seed)
    program = made(rng)
    moved = laid_out(blocks_of(program))
    assert MARK not in moved
    for trial in range(20):
        values = random.Random(f"{seed} {trial}").choices(range(-3, 4), k=1000)
        assert ran(moved, values.__getitem__) == ran(program, values.__getitem__)


def test_what_is_rare_comes_last_and_costs_the_usual_way_no_jump() -> None:
    """The usual way falls through, to the exit; what only the rare part leads to is behind it, too."""
    program = [
        work(1),
        jump(0x15, 4),  # usual: on at 6
        MARK,
        work(2),
        jump(0x55, 1),
        work(3),
        work(4),
        EXIT,
    ]
    moved = laid_out(blocks_of(program))
    assert [each.immediate for each in moved[:3] if each.opcode == WORK] == [1, 4]
    assert moved[:4] == [work(1), jump(0x55, 2), work(4), EXIT]
    assert [each.immediate for each in moved[4:] if each.opcode == WORK] == [2, 3]


def test_a_number_of_two_instructions_stays_whole() -> None:
    """Its second half looks like nothing else, and is not taken for a jump."""
    number = (*bpf.load_immediate(3, 0x1234_5678_9ABC_DEF0),)
    assert laid_out(blocks_of([*number, jump(0x15, 2), MARK, work(1), EXIT]))[:2] == list(number)


@pytest.mark.parametrize("program", [[work(1)], [jump(bpf.JUMP, 7), EXIT], [jump(0x15, 5), EXIT]])
def test_what_is_no_program_is_refused(program: list[Instruction]) -> None:
    """A way that leads out of it."""
    with pytest.raises(ValueError, match="BPF program"):
        laid_out(blocks_of(program))


def test_jumps_that_grow_too_long_are_refused() -> None:
    """A distance has 16 bits."""
    with pytest.raises(ValueError, match="too long"):
        laid_out(blocks_of([jump(0x15, 2), MARK, work(0), *[work(1)] * 40000, EXIT]))
