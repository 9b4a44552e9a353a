# SPDX-License-Identifier: Apache-2.0
"""Programs from which what is needless was left out do what they did before, as a machine of this file runs them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from operator import add, and_, mul, or_, sub, xor

import pytest

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.blocks import MARK, blocks_of
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.layout import laid_out
from otel_jb.probes.programs.pruning import prune

WORD = (1 << 64) - 1
EXIT = Instruction(bpf.EXIT)
MOVE = bpf.by_value(bpf.MOVE)
STACK, CONTEXT, MAP = 1 << 40, 1 << 41, 1 << 42  #: where the machine has its stack's end, the context and a map's value
LOOK_UP, CLOCK, READ_USER = 1, 5, 112
SIZES = {0x61: 4, 0x69: 2, 0x71: 1, 0x79: 8, 0x62: 4, 0x6A: 2, 0x72: 1, 0x7A: 8, 0x63: 4, 0x6B: 2, 0x73: 1, 0x7B: 8}
#: calculations and comparisons by the upper four bits of the opcode, as in the instruction set's description
CALCULATIONS = {0x00: add, 0x10: sub, 0x20: mul, 0x40: or_, 0x50: and_, 0xA0: xor}
JUMPS = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)


def signed(value: int, bits: int = 64) -> int:
    """The number with a sign."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


class Machine:
    """Runs a program, and writes down what it does that others see: calls, and what it writes to memory that is not its stack."""

    def __init__(self, program: Sequence[Instruction], seed: str) -> None:
        self.rng = random.Random(seed)
        self.memory = {
            start + at: self.rng.randrange(256) for start in (STACK - 512, CONTEXT, MAP) for at in range(512)
        }
        self.registers = [0] * 11
        self.registers[1], self.registers[10] = CONTEXT, STACK
        self.seen: list[object] = []
        at = 0
        for _ in range(5000):
            each = program[at]
            if each == EXIT:
                self.seen.append(("exit", self.registers[0]))
                return
            if each.opcode == bpf.LOAD_IMMEDIATE:
                self.registers[each.dst] = each.immediate & 0xFFFFFFFF | (program[at + 1].immediate & 0xFFFFFFFF) << 32
                at += 1
            elif each.opcode == bpf.CALL:
                self.call(each.immediate)
            elif bpf.jumps(each):
                at += each.offset if each.opcode == bpf.JUMP or self.holds(each) else 0
            else:
                self.do(each)
            at += 1

    def read(self, place: int, size: int) -> int:
        return int.from_bytes(bytes(self.memory[place + n] for n in range(size)), "little")

    def write(self, place: int, size: int, value: int) -> None:
        if not STACK - 512 <= place < STACK:
            self.seen.append((place, size, value % (1 << 8 * size)))
        for n, byte in enumerate((value % (1 << 8 * size)).to_bytes(size, "little")):
            self.memory[place + n] = byte

    def call(self, helper: int) -> None:
        r = self.registers
        if helper == LOOK_UP:
            self.seen.append(("look up", self.read(r[2], 8)))
            r[0] = MAP
        elif helper == CLOCK:
            r[0] = self.rng.choice([0, 1, 7, 1 << 20, self.rng.getrandbits(64)])
        else:
            for n in range(r[2]):
                self.memory[r[1] + n] = self.rng.randrange(256)
            self.seen.append(("read", r[3]))
            r[0] = 0
        r[1:6] = [0xDEAD] * 5

    def holds(self, each: Instruction) -> bool:
        a, b = self.registers[each.dst], self.registers[each.src] if each.opcode & 8 else each.immediate & WORD
        x, y = signed(a), signed(b)
        kinds = (a == b, a > b, a >= b, a & b, a != b, x > y, x >= y, a < b, a <= b, x < y, x <= y)
        return bool(kinds[JUMPS.index(each.opcode & 0xF0)])

    def do(self, each: Instruction) -> None:
        r, kind = self.registers, each.opcode & 7
        if kind == 1:
            r[each.dst] = self.read(r[each.src] + each.offset, SIZES[each.opcode])
        elif each.opcode in SIZES:
            self.write(
                r[each.dst] + each.offset, SIZES[each.opcode], r[each.src] if kind == 3 else each.immediate & WORD
            )
        elif kind == 3:
            place = r[each.dst] + each.offset
            was = self.read(place, 8)
            if each.immediate == 0xF1:
                self.write(place, 8, r[each.src] if was == r[0] else was)
                r[0] = was
            else:
                self.write(place, 8, was + r[each.src])
                r[each.src] = was if each.immediate & 1 else r[each.src]
        elif each.opcode == bpf.TO_BIG_ENDIAN:
            size = each.immediate // 8
            r[each.dst] = int.from_bytes((r[each.dst] % (1 << 8 * size)).to_bytes(size, "little"), "big")
        else:
            bits = 64 if kind == 7 else 32
            if each.opcode & 0xF8 in (0x60, 0x70, 0xC0):  # no kernel takes another number
                assert 0 <= each.immediate < bits
            left, right = r[each.dst] % (1 << bits), (r[each.src] if each.opcode & 8 else each.immediate) % (1 << bits)
            r[each.dst] = self.calculated(each.opcode & 0xF0, left, right, bits) % (1 << bits)

    def calculated(self, kind: int, left: int, right: int, bits: int) -> int:
        if kind in CALCULATIONS:
            return int(CALCULATIONS[kind](left, right))
        turn = right % bits
        return {0x60: left << turn, 0x70: left >> turn, 0xC0: signed(left, bits) >> turn, 0xB0: right, 0x80: -left}[
            kind
        ]


def number(rng: random.Random) -> int:
    """One that a 32-bit immediate holds."""
    return rng.choice([0, 1, -1, 2, 8, 0x400, 0x7FFFFFFF, -0x80000000, rng.randrange(-100, 100)])


def some(rng: random.Random) -> list[Instruction]:
    """A few instructions of one of many kinds. r6 to r9 hold anything; r0 to r5 are theirs while they last."""
    a, b, place = rng.choice([6, 7, 8]), rng.choice([6, 7, 8, 9]), -8 * rng.randrange(1, 4)
    kinds: list[list[Instruction]] = [
        [Instruction(MOVE, a, immediate=number(rng))],
        [*bpf.load_immediate(a, rng.choice([0x80000000, 0xFFFFFFFF, 1 << 40, rng.getrandbits(64)]))],
        [Instruction(bpf.MOVE, a, b)],
        [Instruction(0xBC, a, b)],
        [Instruction(rng.choice([*CALCULATIONS, 0x60, 0x70, 0xC0]) | 0x0F, a, b)],
        [Instruction(rng.choice(list(CALCULATIONS)) | rng.choice([7, 4]), a, immediate=number(rng))],
        [Instruction(rng.choice([0x60, 0x70, 0xC0]) | rng.choice([7, 4]), a, immediate=rng.choice([0, 1, 16, 31]))],
        [
            *[Instruction(rng.choice([0x4F, 0x5F]), a, b)] * rng.randrange(2),
            Instruction(0x67, a, immediate=32),
            *[Instruction(bpf.by_value(bpf.ADD), b)] * rng.randrange(2),
            Instruction(rng.choice([0x77, 0xC7]), a, immediate=32),
        ],
        [Instruction(0x87, a)],
        [Instruction(bpf.TO_BIG_ENDIAN, a, immediate=rng.choice([16, 32, 64]))],
        [Instruction(bpf.STORE, 10, a, place)],
        [Instruction(bpf.LOAD, a, 10, place)],
        [Instruction(rng.choice([0x63, 0x6B, 0x73]), 10, a, place + rng.choice([0, 4]))],
        [Instruction(rng.choice([0x61, 0x69, 0x71]), a, 10, place + rng.choice([0, 4]))],
        [Instruction(bpf.STORE_IMMEDIATE, 10, 0, place, number(rng))],
        [
            Instruction(bpf.MOVE, 3, 10),
            Instruction(bpf.by_value(bpf.ADD), 3, immediate=place),
            Instruction(bpf.STORE, 10, 3, -120),
            Instruction(bpf.LOAD, 4, 10, -120),
            Instruction(*rng.choice([(bpf.STORE, 4, a), (bpf.LOAD, a, 4)])),
        ],
        [
            Instruction(bpf.MOVE, 3, a),
            Instruction(bpf.by_value(bpf.AND), 3, immediate=0x18),
            Instruction(bpf.MOVE, 4, 10),
            Instruction(bpf.ADD, 4, 3),
            Instruction(
                *rng.choice(
                    [
                        (bpf.STORE, 4, b, -32),
                        (bpf.LOAD, b, 4, -32),
                        (bpf.ATOMIC_ADD, 4, b, -32),
                        (bpf.ATOMIC_ADD, 4, b, -32, 1),
                    ]
                )
            ),
        ],
        [Instruction(bpf.CALL, immediate=CLOCK), Instruction(bpf.MOVE, a, 0)],
        [
            Instruction(bpf.MOVE, 2, 10),
            Instruction(bpf.by_value(bpf.ADD), 2, immediate=place),
            Instruction(bpf.CALL, immediate=LOOK_UP),
            Instruction(rng.choice([bpf.STORE, bpf.ATOMIC_ADD]), 0, a, 8),
        ],
        [
            Instruction(bpf.CALL, immediate=LOOK_UP),
            Instruction(bpf.MOVE, 4, 0),
            Instruction(bpf.MOVE, 0, b),
            Instruction(bpf.ATOMIC_ADD, 4, a, 16, 0xF1),
            Instruction(bpf.MOVE, b, 0),
        ],
        [
            Instruction(bpf.CALL, immediate=LOOK_UP),
            Instruction(bpf.MOVE, 3, 10),
            Instruction(bpf.by_value(bpf.ADD), 3, immediate=place),
            Instruction(0x45, a, offset=1, immediate=1),
            Instruction(bpf.MOVE, 3, 0),
            Instruction(*rng.choice([(bpf.STORE, 3, b), (bpf.LOAD, b, 3)])),
        ],
        [
            Instruction(bpf.MOVE, 1, 10),
            Instruction(bpf.by_value(bpf.ADD), 1, immediate=-24),
            Instruction(MOVE, 2, immediate=rng.choice([4, 8, 12])),
            Instruction(MOVE, 3, immediate=5),
            Instruction(bpf.CALL, immediate=READ_USER),
        ],
    ]
    return rng.choice(kinds)


#: at the end: what is in r6 to r9 and in three words of the stack
SHOWN = [
    Instruction(bpf.MOVE, 2, 10),
    Instruction(bpf.by_value(bpf.ADD), 2, immediate=-8),
    Instruction(bpf.CALL, immediate=LOOK_UP),
    *(Instruction(bpf.STORE, 0, register) for register in (7, 8, 9)),
    *(each for at in (-16, -24) for each in (Instruction(bpf.LOAD, 7, 10, at), Instruction(bpf.STORE, 0, 7))),
    Instruction(bpf.MOVE, 0, 6),
]


def made(rng: random.Random) -> list[Instruction]:
    """A program of random blocks that may go on at any of them."""
    begin = [
        Instruction(bpf.LOAD, 6, 1, 8),
        *(Instruction(MOVE, register, immediate=number(rng)) for register in (7, 8, 9)),
    ]
    begin += [Instruction(bpf.MOVE, 2, 10), Instruction(bpf.by_value(bpf.ADD), 2, immediate=-8)]
    bodies = [begin]
    for _ in range(rng.randrange(2, 9)):
        body = [MARK] if rng.random() < 0.2 else []
        for _ in range(rng.randrange(1, 8)):
            # What calls left of registers that nobody may read any more.
            body += [Instruction(bpf.MOVE, 2, 10), Instruction(bpf.by_value(bpf.ADD), 2, immediate=-8), *some(rng)]
        bodies.append(body)
    starts = [sum(len(body) + 1 for body in bodies[:at]) for at in range(len(bodies))]
    program: list[Instruction] = []
    for at, body in enumerate(bodies):
        program += body
        if at == len(bodies) - 1:
            program += SHOWN
            break
        target = rng.choice(starts[at + 1 :] if rng.random() < 0.8 else starts[1:]) - len(program) - 1
        opcode = rng.choice(JUMPS) | 5 | rng.choice([0, 8])
        jump = Instruction(opcode, rng.choice([6, 7, 8, 9]), rng.choice([6, 7, 8, 9]) if opcode & 8 else 0, target, 0 if opcode & 8 else number(rng))  # fmt: skip
        program.append(jump)
    return [*program, EXIT]


def pruned(program: Sequence[Instruction]) -> list[Instruction]:
    """The program as it is loaded."""
    blocks = blocks_of(program)
    prune(blocks)
    return laid_out(blocks)


@pytest.mark.parametrize("seed", range(600))
def test_a_program_does_what_it_did(seed: int) -> None:
    """Whatever helpers answer: the same calls with the same keys, the same writes in the same order, the same result."""
    rng = random.Random(seed)
    program = made(rng)
    less = pruned(program)
    assert len(less) <= len(program) + 16  # jumps that blocks need where they were moved
    for trial in range(5):
        before, after = Machine(program, f"{seed} {trial}").seen, Machine(less, f"{seed} {trial}").seen
        ended = [seen and isinstance(seen[-1], tuple) and seen[-1][0] == "exit" for seen in (before, after)]
        if all(ended):
            assert after == before
        else:  # both go on for ever
            both = min(len(before), len(after))
            assert after[:both] == before[:both]


def test_what_a_constant_decides_is_left_out() -> None:
    """The number, its copy on the stack, the branch and what was calculated for it."""
    program = [
        Instruction(MOVE, 6, immediate=0x10B),
        Instruction(bpf.STORE, 10, 6, -16),
        Instruction(bpf.LOAD, 7, 10, -16),
        Instruction(bpf.by_value(bpf.AND), 7, immediate=0x400),
        Instruction(MOVE, 0, immediate=3),
        Instruction(bpf.EQUAL, 7, offset=1),
        Instruction(MOVE, 0, immediate=4),
        EXIT,
    ]
    assert pruned(program) == [Instruction(MOVE, 0, immediate=3), EXIT]


def test_shifts_that_clear_the_upper_half_become_one_instruction_or_none() -> None:
    """None where it is clear; the lower half is moved otherwise."""
    clear = [Instruction(0x67, 0, immediate=32), Instruction(0x77, 0, immediate=32)]
    assert pruned([Instruction(0x61, 0, 1), *clear, EXIT]) == [Instruction(0x61, 0, 1), EXIT]
    assert pruned([Instruction(bpf.LOAD, 6, 1), Instruction(bpf.MOVE, 0, 6), *clear, EXIT]) == [
        Instruction(bpf.LOAD, 6, 1),
        Instruction(0xBC, 0, 6),
        EXIT,
    ]


def test_shifts_within_shifts_are_each_taken_for_their_own_register() -> None:
    """One register's upper half is clear already and the other's is not: compilers may clear the one between the two shifts of the other."""
    left, right = (Instruction(opcode, 6, immediate=32) for opcode in (0x67, 0x77))
    between = [each._replace(dst=7) for each in (left, right)]
    program = [Instruction(bpf.LOAD, 6, 1, 8), Instruction(0x61, 7, 1), left, *between, right]
    program += [Instruction(bpf.MOVE, 0, 6), Instruction(bpf.ADD, 0, 7), EXIT]
    assert Machine(pruned(program), "halves").seen == Machine(program, "halves").seen
    assert Instruction(0xBC, 6, 6) in pruned(program)


def test_what_a_helper_reads_stays() -> None:
    """The key of a look-up is written to the stack, and nothing above it that nobody reads."""
    key = [Instruction(bpf.STORE_IMMEDIATE, 10, 0, -16, 7), Instruction(bpf.STORE_IMMEDIATE, 10, 0, -8, 8)]
    look_up = [
        Instruction(MOVE, 1, immediate=9),
        Instruction(bpf.MOVE, 2, 10),
        Instruction(bpf.by_value(bpf.ADD), 2, immediate=-16),
        Instruction(MOVE, 3, immediate=9),
        Instruction(bpf.CALL, immediate=LOOK_UP),
        EXIT,
    ]
    assert pruned([*key, *look_up]) == [key[0], *look_up[:3], *look_up[4:]]


@pytest.mark.parametrize(
    "unknown", [Instruction(0x81, 0, 1), Instruction(bpf.MOVE, 0, 6, 8), Instruction(0xD7, 0, 0, 0, 16)]
)
def test_a_program_of_later_instructions_stays_as_it_is(unknown: Instruction) -> None:
    """Loads and moves with a sign, and swaps, of Linux 6.6: rather than taken for something else."""
    program = [Instruction(MOVE, 6, immediate=1), Instruction(MOVE, 7, immediate=1), unknown, EXIT]
    assert pruned(program) == program
