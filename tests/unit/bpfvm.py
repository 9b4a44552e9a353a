# SPDX-License-Identifier: Apache-2.0
"""Runs the BPF instructions that reads are compiled to, over a small memory: an interpreter after the instruction set's description."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.probes.programs.instructions import Instruction
from tests.unit.readvm import Memory

MASK = (1 << 64) - 1
PROBE_READ_USER = 112
STACK_TOP, WORDS_AT = 0x10000, 0x10000 - 256
SERIES_AT = 0x20000


def signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def run(code: Sequence[Instruction], words: list[int], memory: Memory, series: list[int] | None = None) -> int:
    """Run a piece on the words to which r1 points, and on those of the series at r2, and change them; returns r0.

    What no instruction may do is a failure.
    """
    stack: dict[int, int] = {WORDS_AT + 8 * n: value & MASK for n, value in enumerate(words)}
    stack.update({SERIES_AT + 8 * n: value & MASK for n, value in enumerate(series or [])})
    r: list[int | None] = [None] * 10 + [STACK_TOP]
    r[1], r[2] = WORDS_AT, SERIES_AT
    pc = steps = 0

    def value(register: int) -> int:
        found = r[register]
        assert found is not None, f"r{register} is read before it is written"
        return found

    while pc < len(code):
        op = code[pc]
        pc += 1
        steps += 1
        assert steps <= len(code), "a jump leads backwards"
        kind, by_register = op.opcode & 7, op.opcode & 8
        assert op.dst != 10 or kind in (2, 3), "r10 is changed"
        if op.opcode == 0x79:
            r[op.dst] = stack[value(op.src) + op.offset]
        elif op.opcode == 0x7B:
            stack[value(op.dst) + op.offset] = value(op.src)
        elif op.opcode == 0x7A:
            stack[value(op.dst) + op.offset] = op.immediate & MASK
        elif op.opcode == 0xDB:
            assert op.immediate == 0, "not an addition"
            assert value(op.dst) == SERIES_AT, "added to something else than the series"
            at = SERIES_AT + op.offset
            stack[at] = (stack[at] + value(op.src)) & MASK
        elif op.opcode == 0x85:
            assert op.immediate == PROBE_READ_USER
            data = memory.read(value(3), value(2))
            at = value(1)
            if data is not None:
                stack[at] = stack[at] >> 8 * len(data) << 8 * len(data) | int.from_bytes(data, "little")
            r[:6] = [0 if data is not None else (-14) & MASK, None, None, None, None, None]
        elif op.opcode == 0x18:
            r[op.dst] = (op.immediate & 0xFFFFFFFF) | (code[pc].immediate & 0xFFFFFFFF) << 32
            pc += 1
        elif op.opcode == 0xDC:
            assert op.immediate == 64
            r[op.dst] = int.from_bytes(value(op.dst).to_bytes(8, "little"), "big")
        elif kind == 7:
            x = value(op.src) if by_register else op.immediate & MASK
            r[op.dst] = alu(op.opcode & 0xF0, x if op.opcode & 0xF0 == 0xB0 else value(op.dst), x)
        elif kind == 5:
            if op.opcode == 0x05 or holds(op.opcode, value(op.dst), op.immediate):
                assert op.offset >= 0
                pc += op.offset
        else:
            raise AssertionError(f"opcode {op.opcode:#x}")
    assert pc == len(code)
    if series is not None:
        series[:] = [stack[SERIES_AT + 8 * n] for n in range(len(series))]
    words[:] = [stack[WORDS_AT + 8 * n] for n in range(len(words))]
    return value(0)


def alu(operation: int, a: int, b: int) -> int:
    results = {
        0x00: a + b,
        0x10: a - b,
        0x20: a * b,
        0x30: a // (b or 1),
        0x50: a & b,
        0x60: a << (b & 63),
        0x70: a >> (b & 63),
        0xB0: b,
        0xC0: signed(a) >> (b & 63),
    }
    return results[operation] & MASK


def holds(opcode: int, a: int, immediate: int) -> bool:
    return {
        0x15: a == immediate & MASK,
        0x55: a != immediate & MASK,
        0xC5: signed(a) < immediate,
        0x75: signed(a) >= immediate,
        0xB5: a <= immediate & MASK,
    }[opcode]
