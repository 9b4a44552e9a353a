# SPDX-License-Identifier: Apache-2.0
"""What is known of the registers and the stack of a BPF program wherever it may be: numbers, addresses on the stack, and nothing.

A value is a number from 0 to 2^64 - 1; an address on the stack, as `address` makes it; or one of the names below. What a program's own words may hold is followed
through registers and through whole words of the stack; of memory elsewhere nothing is known, and no address on the stack is there.
"""

from __future__ import annotations

from collections.abc import Callable

from otel_jb.model.dataclass import dataclass
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction

UNKNOWN = -1  #: whatever, but no address on the stack
HALF = -2  #: a number below 2^32
CONTEXT = -3  #: the address of what the program was called with
ANYTHING = -4  #: perhaps an address on the stack
_FRAME = -(1 << 20)  #: the address in r10
STACK = 512  #: bytes
WORD = (1 << 64) - 1
LOW = (1 << 32) - 1
LOADS = {0x61: 4, 0x69: 2, 0x71: 1, 0x79: 8}  #: bytes, by opcode
STORES = {0x62: 4, 0x6A: 2, 0x72: 1, 0x7A: 8, 0x63: 4, 0x6B: 2, 0x73: 1, 0x7B: 8}
BY_REGISTER = 0x08
FETCHES, EXCHANGES_IF = (
    0x01,
    0xF1,
)  #: of the immediate of an atomic instruction: the old value is loaded; the old value is in r0
_ATOMIC = 0xC0
_ALU, _ALU64, _JUMP32 = 0x04, 0x07, 0x06
_ADD, _SUB, _MUL, _OR, _AND, _LSH, _RSH, _XOR, _MOV, _ARSH, _END = (
    0x00,
    0x10,
    0x20,
    0x40,
    0x50,
    0x60,
    0x70,
    0xA0,
    0xB0,
    0xC0,
    0xD0,
)


def address(offset: int) -> int:
    """The value for r10 + `offset`, which is from -512 to 0."""
    return _FRAME + offset


def offset_of(value: int) -> int | None:
    """How far from r10 an address on the stack is; None where the value is not known to be one."""
    return value - _FRAME if value < ANYTHING else None


def is_half(value: int) -> bool:
    """Whether it is a number below 2^32."""
    return value == HALF or 0 <= value <= LOW


def either(one: int, other: int) -> int:
    """What is known of a value that is one of the two."""
    if one == other:
        return one
    if one <= ANYTHING or other <= ANYTHING:
        return ANYTHING
    return HALF if is_half(one) and is_half(other) else UNKNOWN


def signed(value: int, bits: int = 64) -> int:
    """The number with a sign that these bits are."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def operates(each: Instruction) -> bool:
    """Whether an instruction calculates with registers."""
    return each.opcode & 7 in (_ALU, _ALU64)


def is_familiar(each: Instruction) -> bool:
    """Whether it is one of those that are followed here: no later extension of the instruction set."""
    return each.opcode in _FAMILIAR and not (each.offset and operates(each))


def moves(each: Instruction) -> bool:
    """Whether it copies one register, or a number, to another, whole or halved."""
    return operates(each) and each.opcode & 0xF0 == _MOV


def is_swap(each: Instruction) -> bool:
    """Whether it puts the bytes of a register into another order."""
    return operates(each) and each.opcode & 0xF0 == _END


def allows(each: Instruction, number: int) -> bool:
    """Whether a calculation may have this number as its right operand: no kernel takes one that shifts too far, or divides by 0."""
    kind = each.opcode & 0xF0
    if kind in (_LSH, _RSH, _ARSH):
        return 0 <= number < 32
    return kind in (_ADD, _SUB, _MUL, _OR, _AND, _XOR, _MOV)


def keeps(each: Instruction) -> bool:
    """Whether a calculation leaves its register as it is, whatever is in it."""
    kind, by_number = each.opcode & 0xF0, not each.opcode & BY_REGISTER
    return (
        each.opcode & 7 == _ALU64 and by_number and not each.immediate and kind in (_ADD, _SUB, _OR, _XOR, _LSH, _RSH)
    )


def copies_onto_zero(each: Instruction) -> bool:
    """Whether a calculation leaves the right operand where the left one is 0, and that is a register."""
    return each.opcode & 7 == _ALU64 and bool(each.opcode & BY_REGISTER) and each.opcode & 0xF0 in (_ADD, _OR, _XOR)


def is_atomic(each: Instruction) -> bool:
    """Whether it changes memory by a locked instruction."""
    return each.opcode & 0xE7 == _ATOMIC | 3


_FAMILIAR = frozenset(
    {bpf.LOAD_IMMEDIATE, 0, bpf.CALL, bpf.EXIT, *LOADS, *STORES}
    | {opcode for opcode in range(256) if is_atomic(Instruction(opcode))}
    | {opcode for opcode in range(256) if opcode & 7 in (_ALU, _ALU64) and opcode & 0xF7 != _END | _ALU64}
)


@dataclass(slots=True)
class State:
    """What is known at one place of a program."""

    registers: list[int]
    slots: dict[int, int]  #: words of the stack, by offset from r10; others are UNKNOWN

    def copy(self) -> State:
        """One that may be changed."""
        return State(list(self.registers), dict(self.slots))

    def join(self, other: State) -> bool:
        """Know only what is known in both. Returns whether that is less than before."""
        less = False
        if self.registers != other.registers:
            joined = list(map(either, self.registers, other.registers))
            less = joined != self.registers
            self.registers = joined
        if self.slots != other.slots:
            for at in self.slots.keys() | other.slots.keys():
                before, coming = self.slots.get(at, UNKNOWN), other.slots.get(at, UNKNOWN)
                if before != coming and (value := either(before, coming)) != before:
                    less = True
                    self.slots[at] = value
        return less

    def operand(self, each: Instruction) -> int:
        """The value on the right of a calculation or a comparison."""
        return self.registers[each.src] if each.opcode & BY_REGISTER else each.immediate & WORD

    def place(self, register: int, distance: int) -> int | None:
        """Where on the stack an access is, from r10; None where it is elsewhere or not known."""
        offset = offset_of(self.registers[register])
        return None if offset is None or not -STACK <= offset + distance < 0 else offset + distance

    def forget(self, begin: int, end: int) -> None:
        """Something was written to the stack there that is no address on the stack."""
        for place in range(begin & -8, min(end, 0), 8):
            self.slots.pop(place, None)

    def blur(self, value: int) -> None:
        """A value was written to the stack, wherever."""
        for place in range(-STACK, 0, 8):
            self.slots[place] = either(self.slots.get(place, UNKNOWN), ANYTHING if value <= ANYTHING else UNKNOWN)

    def exchange(self, each: Instruction) -> None:
        """What is known behind an atomic instruction."""
        known, somewhere = self.registers, self.registers[each.dst] <= ANYTHING
        if somewhere:
            self.blur(known[each.src])
        if each.immediate & FETCHES:
            known[0 if each.immediate == EXCHANGES_IF else each.src] = ANYTHING if somewhere else UNKNOWN

    def load(self, each: Instruction, place: int | None) -> None:
        """What is known behind a load from this place of the stack, or from elsewhere."""
        if self.registers[each.src] <= ANYTHING and place is None:
            value = ANYTHING
        elif LOADS[each.opcode] < 8:
            value = HALF
        elif place is None:
            value = UNKNOWN
        else:
            value = ANYTHING if place % 8 else self.slots.get(place, UNKNOWN)
        self.registers[each.dst] = value

    def store(self, each: Instruction, place: int | None) -> None:
        """What is known behind a store to this place of the stack, or elsewhere."""
        value, size = self.registers[each.src] if each.opcode & 1 else each.immediate & WORD, STORES[each.opcode]
        if place is None:
            if self.registers[each.dst] <= ANYTHING:
                self.blur(value)
        elif size == 8 and not place % 8:
            self.slots[place] = value
        else:
            self.forget(place, place + size)
            if size == 8:
                self.blur(value)


def calculated(each: Instruction, left: int, right: int) -> int:
    """The value that a calculation leaves, from those of its operands."""
    kind, whole = each.opcode & 0xF0, each.opcode & 7 == _ALU64
    if kind == _END:
        return HALF if each.immediate < 64 else UNKNOWN
    if kind == _MOV:
        return right if whole or (is_half(right) and right >= 0) else HALF
    if kind in (_AND, _MUL) and (right == 0 or left == 0):
        return 0
    if left < ANYTHING and right >= 0 and kind in (_ADD, _SUB) and whole:
        offset = left - _FRAME + (signed(right) if kind == _ADD else -signed(right))
        return address(offset) if -STACK <= offset <= 0 else ANYTHING
    if min(left, right) <= ANYTHING:
        return ANYTHING
    if left >= 0 and right >= 0:
        number = _number(kind, left, right, 64 if whole else 32)
        if number is not None:
            return number
    if not whole or (kind == _RSH and right >= 32) or (kind in (_AND, _OR) and is_half(left) and is_half(right)):
        return HALF
    return HALF if kind == _AND and (is_half(left) or is_half(right)) else UNKNOWN


def _number(kind: int, left: int, right: int, bits: int) -> int | None:
    mask = (1 << bits) - 1
    calculate = _CALCULATIONS.get(kind)
    return None if calculate is None else calculate(left & mask, right & mask, bits) & mask


#: by the upper four bits of the opcode, for numbers of so many bits
_CALCULATIONS: dict[int, Callable[[int, int, int], int]] = {
    _ADD: lambda a, b, _: a + b,
    _SUB: lambda a, b, _: a - b,
    _MUL: lambda a, b, _: a * b,
    _OR: lambda a, b, _: a | b,
    _AND: lambda a, b, _: a & b,
    _XOR: lambda a, b, _: a ^ b,
    _LSH: lambda a, b, bits: a << (b & bits - 1),
    _RSH: lambda a, b, bits: a >> (b & bits - 1),
    _ARSH: lambda a, b, bits: signed(a, bits) >> (b & bits - 1),
}
#: likewise
_COMPARISONS: dict[int, Callable[[int, int, int], bool]] = {
    0x10: lambda a, b, _: a == b,
    0x50: lambda a, b, _: a != b,
    0x20: lambda a, b, _: a > b,
    0x30: lambda a, b, _: a >= b,
    0xA0: lambda a, b, _: a < b,
    0xB0: lambda a, b, _: a <= b,
    0x40: lambda a, b, _: bool(a & b),
    0x60: lambda a, b, bits: signed(a, bits) > signed(b, bits),
    0x70: lambda a, b, bits: signed(a, bits) >= signed(b, bits),
    0xC0: lambda a, b, bits: signed(a, bits) < signed(b, bits),
    0xD0: lambda a, b, bits: signed(a, bits) <= signed(b, bits),
}


def decided(jump: Instruction, left: int, right: int) -> bool | None:
    """Whether a jump is taken; None where that is not known."""
    compare = _COMPARISONS.get(jump.opcode & 0xF0)
    if left < 0 or right < 0 or compare is None:
        return None
    bits = 32 if jump.opcode & 7 == _JUMP32 else 64
    return compare(left & (1 << bits) - 1, right & (1 << bits) - 1, bits)


def begun() -> State:
    """What is known where a program begins."""
    registers = [UNKNOWN] * 11
    registers[1], registers[10] = CONTEXT, address(0)
    return State(registers, {})
