# SPDX-License-Identifier: Apache-2.0
"""BPF instructions as the kernel takes them (Documentation/bpf/standardization/instruction-set.rst): encoding, and joining pieces."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_FORMAT = struct.Struct("=BBhi")
SIZE = _FORMAT.size

#: opcodes
LOAD_IMMEDIATE = 0x18  #: two instructions long
LOAD, STORE, STORE_IMMEDIATE = 0x79, 0x7B, 0x7A  #: 64 bits
ATOMIC_ADD = 0xDB  #: to 64 bits of memory
ADD, SUB, AND, LEFT, RIGHT, ARITHMETIC_RIGHT, MOVE = 0x0F, 0x1F, 0x5F, 0x6F, 0x7F, 0xCF, 0xBF  #: 64 bits, by register
MULTIPLY, DIVIDE = 0x2F, 0x3F  #: unsigned
BY_VALUE = 0x08  #: taken from one of these: by immediate
TO_BIG_ENDIAN = 0xDC
JUMP, CALL, EXIT = 0x05, 0x85, 0x95
EQUAL, NOT_EQUAL, LESS, AT_LEAST = 0x15, 0x55, 0xC5, 0x75  #: jumps by immediate; the last two are signed
AT_MOST_UNSIGNED = 0xB5

_JUMP_CLASSES = (0x05, 0x06)
_LONG_JUMP = 0x06  #: JA of class JMP32: the distance is the immediate


class Instruction(NamedTuple):
    """One instruction; a 64-bit immediate takes two, the second with opcode 0."""

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    immediate: int = 0

    def encoded(self) -> bytes:
        """Its 8 bytes."""
        return _FORMAT.pack(self.opcode, self.dst | self.src << 4, self.offset, self.immediate)


def by_value(opcode: int) -> int:
    """The form with an immediate of an arithmetic opcode that takes a register."""
    return opcode & ~BY_VALUE


def load_immediate(dst: int, value: int) -> tuple[Instruction, ...]:
    """`dst` = a 64-bit number: one instruction if it is a sign-extended 32-bit number, otherwise two."""
    signed = value - (1 << 64) if value >> 63 else value
    if -(1 << 31) <= signed < 1 << 31:
        return (Instruction(by_value(MOVE), dst, immediate=signed),)
    low, high = (_signed32(part) for part in (value & 0xFFFFFFFF, value >> 32))
    return (Instruction(LOAD_IMMEDIATE, dst, immediate=low), Instruction(0, immediate=high))


def _signed32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def decode(code: bytes) -> list[Instruction]:
    """The instructions of a program, equal ones as one object. Raises ValueError if the size is not a multiple of an instruction's."""
    if len(code) % SIZE:
        raise ValueError("a BPF program of broken instructions")
    words = list(_FORMAT.iter_unpack(code))
    made = {
        each: Instruction(op, registers & 15, registers >> 4, off, imm)
        for each in set(words)
        for op, registers, off, imm in (each,)
    }
    return [made[each] for each in words]


def encode(instructions: Sequence[Instruction]) -> bytes:
    """The inverse of `decode`."""
    return b"".join(instruction.encoded() for instruction in instructions)


def jumps(instruction: Instruction) -> bool:
    """Whether it is a jump, and its offset the distance. Raises ValueError for one of the kind that no older kernel knows."""
    if instruction.opcode == _LONG_JUMP:
        raise ValueError("a BPF program with long jumps")
    return instruction.opcode & 7 in _JUMP_CLASSES and instruction.opcode not in (CALL, EXIT)


def calls(instructions: Sequence[Instruction]) -> Iterator[tuple[int, int]]:
    """(index, helper) of every call of a helper."""
    for index, instruction in enumerate(instructions):
        if instruction.opcode == CALL and instruction.src == 0:
            yield index, instruction.immediate


def replaced(
    instructions: Sequence[Instruction], pieces: Mapping[int, Sequence[Instruction]]
) -> tuple[list[Instruction], list[int]]:
    """The program with some instructions replaced, by index, and the new position of each old instruction.

    Jumps across a piece are made longer; a piece's own jumps stay within it, or lead to its end. Raises ValueError for a jump that
    cannot be encoded.
    """
    places, at = [], 0
    for index in range(len(instructions)):
        places.append(at)
        at += len(pieces[index]) if index in pieces else 1
    places.append(at)
    made: list[Instruction] = []
    for index, instruction in enumerate(instructions):
        if index in pieces:
            made.extend(pieces[index])
            continue
        if jumps(instruction):
            distance = places[index + 1 + instruction.offset] - places[index] - 1
            if not -(1 << 15) <= distance < 1 << 15:
                raise ValueError("a BPF program with too long a jump")
            instruction = instruction._replace(offset=distance)
        made.append(instruction)
    return made, places
