# SPDX-License-Identifier: Apache-2.0
"""Register contents at an end, in terms of those at the site before it: evaluates the straight line between them symbolically (x86-64).

Values are constants, parts of registers, words of the stack and addresses in the frame. Whatever else an instruction makes is
unknown. A word of the stack that was written through a pointer meanwhile is known only if no pointer can lead to it, or if the pointer
is one that the caller passed: the frame did not exist yet when it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from enum import Enum
from typing import NamedTuple

from otel_jb.arch import x86_64 as x86
from otel_jb.arch.x86_64 import Operand
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import IN_RESULT, FrameBase, Origin, ReturnPlace

_STACK, _FRAME, _RESULT = x86.STACK, x86.FRAME, x86.RETURN_REGISTER
#: they look at what is in memory at their first operand and write nothing there
READERS = frozenset(
    "cmp test push nop bt comiss comisd ucomiss ucomisd vcomiss vcomisd vucomiss vucomisd prefetcht0 prefetcht1 prefetcht2 "
    "prefetchnta prefetchw mul imul div idiv fld fild fadd fmul fsub fdiv fcom fcomp ldmxcsr".split()
)
#: they write to memory without saying so
_WRITES_UNSAID = ("movsb", "movsw", "movsd", "movsq", "stos", "maskmov", "enter", "call", "int", "syscall", "rep ")


class Words(NamedTuple):
    """What is known of the words of a function's stack, by their offset from the frame."""

    are_private: Callable[[int, int], bool]  #: (offset, bytes): whether no pointer can lead there
    is_argument: Callable[[int], bool] = lambda _: (
        False
    )  #: whether the word always holds what the caller passed in a register


NOTHING_KNOWN = Words(lambda _at, _size: False)


class Kind(Enum):
    """What a value is made of."""

    REGISTER = "register"
    STACK = "stack"
    CONSTANT = "constant"
    ADDRESS = "address"  #: of the frame itself


class Value(NamedTuple):
    """`width` low bytes of a register or of the stack at `number` from the frame, extended; a constant; or an address from the frame.

    `known`: how many of its low bytes are right; the others may be anything.
    """

    kind: Kind
    number: int
    width: int = 8
    signed: bool = False
    known: int = 8


@dataclass(slots=True)
class State:
    """Registers by hardware number, and stores since the site. Offsets are relative to the frame."""

    registers: list[Value | None]
    words: Words
    stores: list[tuple[int, int, Value | None]] = field(default_factory=list)
    through_pointers: bool = False  #: something was stored where nobody knows
    through_arguments: bool = False  #: something was stored where the caller's pointers lead, so not into this frame

    @classmethod
    def at_site(cls, frame: tuple[FrameBase, int], depth: int | None, words: Words) -> State:
        """What holds at a site whose frame is found so: (base, offset). `depth`: of the stack pointer below the frame, if it is known."""
        state = cls([Value(Kind.REGISTER, number) for number in range(16)], words)
        base, offset = frame
        state.registers[_STACK if base is FrameBase.SP else _FRAME] = Value(Kind.ADDRESS, -offset)
        if base is FrameBase.FP:
            state.registers[_STACK] = None if depth is None else Value(Kind.ADDRESS, -depth)
        return state

    @classmethod
    def unknown(cls, words: Words) -> State:
        """Nothing is known, and anything may have been stored."""
        return cls([None] * 16, words, [], True)

    def called(self) -> None:
        """A call: the callee preserves the callee-saved registers, and may write through any pointer."""
        for number in x86.CALLER_SAVED:
            self.registers[number] = None
        self.stored(None, 0, None)

    def moved(self, by: int, words: Words) -> State:
        """The same, with offsets from a frame that lies `by` above this one."""

        def seen(value: Value | None) -> Value | None:
            if value is not None and value.kind in (Kind.STACK, Kind.ADDRESS):
                return value._replace(number=value.number - by)
            return value

        stores = [(offset - by, size, seen(value)) for offset, size, value in self.stores]
        # What this function's caller passed may lead into the frame of that one.
        through_pointers = self.through_pointers or self.through_arguments
        return State([seen(value) for value in self.registers], words, stores, through_pointers)

    def loaded(self, offset: int, size: int) -> Value | None:
        """What is at the frame + offset now."""
        for at, length, value in reversed(self.stores):
            if (at, length) == (offset, size):
                return value
            if at < offset + size and offset < at + length:
                return None
        written = self.through_pointers or (self.through_arguments and offset + size > 0)
        if written and not self.words.are_private(offset, size):
            return None
        return Value(Kind.STACK, offset, size)

    def stored(self, offset: int | None, size: int, value: Value | None) -> None:
        """Record a store; `offset` None: at an unknown place."""
        if offset is None:
            self.through_pointers = True
            # A pointer may lead to what was stored before, unless to nothing there.
            self.stores = [(at, n, kept if self.words.are_private(at, n) else None) for at, n, kept in self.stores]
        else:
            self.stores.append((offset, size, value))

    def stored_through_argument(self) -> None:
        """Note that something was stored where a pointer of the caller's leads: above the frame, or not on this stack at all."""
        self.through_arguments = True
        self.stores = [(at, n, kept if at + n <= 0 else None) for at, n, kept in self.stores]

    @property
    def writes(self) -> bool:
        """Whether something was stored since the site that is not known to be in the frame."""
        return self.through_pointers or self.through_arguments

    def returned(self) -> ReturnPlace | None:
        """Where the return value of a function that returns now was at the site."""
        value = self.registers[_RESULT]
        if value is None or value.kind is Kind.ADDRESS:
            return None
        if value == Value(Kind.REGISTER, _RESULT):
            return IN_RESULT
        number = value.number
        if value.kind is Kind.CONSTANT:
            number = (number + (1 << 63)) % (1 << 64) - (
                1 << 63
            )  # `movabs` gives the bits of a negative number as a positive one
        return ReturnPlace(Origin(value.kind.value), number, value.width, value.signed, value.known)


def extended(value: Value | None, size: int, signed: bool = False) -> Value | None:
    """The low `size` bytes of a value, extended to 8."""
    if value is None or size == 8:
        return value
    if value.kind is Kind.ADDRESS:
        return None
    known = 8 if size <= value.known else value.known
    if value.kind is Kind.CONSTANT:
        number = value.number & (1 << 8 * size) - 1
        if signed and number >> (8 * size - 1):
            number -= 1 << 8 * size
        return Value(Kind.CONSTANT, number, known=known)
    if size <= value.width:
        return value._replace(width=size, signed=signed, known=known)
    if not value.signed:
        return value._replace(known=known)
    # Extended with its sign to `size` bytes, and from there in another way: what lies above is not told.
    return value._replace(known=known if signed else min(known, size))


def run(state: State, code: Sequence[tuple[bytes, int]]) -> None:
    """Run instructions, (bytes, address), on the state."""
    for raw, address in code:
        _step(state, raw, address)


def _step(state: State, raw: bytes, address: int) -> None:
    name, operands = x86.operands(raw, address)
    special = _SPECIAL.get(name)
    if special is not None and special(state, operands):
        return
    if name.startswith(_WRITES_UNSAID) and not any(each.kind == "memory" for each in operands):
        state.stored(None, 0, None)
    if operands and operands[0].kind == "memory" and name.rsplit(" ", 1)[-1] not in READERS:
        _store(state, operands[0], None)
    if name.startswith(("xchg", "xadd", "lock")):
        for each in operands:
            if each.kind == "memory":
                _store(state, each, None)
    for number in x86.writes(raw, address):
        state.registers[number] = None


def _place(state: State, operand: Operand) -> int | None:
    """The offset of memory from the frame; None if unknown."""
    if not operand.plain or operand.base is None:
        return None
    base = state.registers[operand.base]
    return base.number + operand.number if base is not None and base.kind is Kind.ADDRESS else None


def _store(state: State, operand: Operand, value: Value | None) -> None:
    """Put a value into memory."""
    place = _place(state, operand)
    base = state.registers[operand.base] if operand.plain and operand.base is not None else None
    if (
        place is None
        and base is not None
        and (base.kind, base.width) == (Kind.STACK, 8)
        and state.words.is_argument(base.number)
    ):
        state.stored_through_argument()
    else:
        state.stored(place, operand.width, value)


def _value(state: State, operand: Operand) -> Value | None:
    """What an operand is, its own width extended without sign."""
    if operand.kind == "constant":
        return Value(Kind.CONSTANT, operand.number)
    if operand.kind == "register":
        return extended(state.registers[operand.number], operand.width) if operand.plain else None
    at = _place(state, operand)
    return None if at is None else state.loaded(at, operand.width)


def _write(state: State, operand: Operand, value: Value | None) -> None:
    """Put a value into a register, as narrow as that is, or into memory."""
    if operand.kind == "memory":
        _store(state, operand, extended(value, operand.width))
    elif not operand.plain:
        state.registers[operand.number] = None
    elif operand.width >= 4:
        state.registers[operand.number] = extended(value, operand.width)
    else:  # the rest of the register stays
        low = extended(value, operand.width)
        state.registers[operand.number] = None if low is None else low._replace(known=min(low.known, operand.width))


def _general(*operands: Operand) -> bool:
    """Whether all are general registers, constants and memory."""
    return all(each.kind in ("register", "constant", "memory") for each in operands)


def _move(state: State, operands: tuple[Operand, ...]) -> bool:
    if len(operands) != 2 or not _general(*operands):
        return False
    target, source = operands
    value = _value(state, source)
    if source.kind == "constant" and target.width < 8:
        value = extended(value, target.width)
    _write(state, target, value)
    return True


def _extend(signed: bool) -> Callable[[State, tuple[Operand, ...]], bool]:
    def step(state: State, operands: tuple[Operand, ...]) -> bool:
        if len(operands) != 2 or not _general(*operands):
            return False
        target, source = operands
        value = extended(_value(state, source), source.width, signed)
        if signed and target.width == 4 and value is not None and value.kind is not Kind.CONSTANT:
            value = value._replace(known=min(value.known, 4))  # what is above is 0, not the sign
        _write(state, target, value)
        return True

    return step


def _within_result(size: int, result: int) -> Callable[[State, tuple[Operand, ...]], bool]:
    def step(state: State, _: tuple[Operand, ...]) -> bool:
        value = extended(extended(state.registers[_RESULT], size), size, signed=True)
        if result < 8 and value is not None:
            value = (
                extended(value, result)
                if value.kind is Kind.CONSTANT
                else value._replace(known=min(value.known, result))
            )
        state.registers[_RESULT] = value
        return True

    return step


def _all_ones(number: int, width: int) -> bool:
    return (number + 1) & (1 << 8 * width) - 1 == 0


def _combine(name: str) -> Callable[[State, tuple[Operand, ...]], bool]:
    def step(state: State, operands: tuple[Operand, ...]) -> bool:
        if len(operands) != 2 or operands[0].kind != "register" or not _general(*operands):
            return False
        target, source = operands
        same = source.kind == "register" and source.number == target.number and source.plain == target.plain
        old = extended(state.registers[target.number], target.width) if target.plain else None
        other = _value(state, source)
        made = None
        if same and name in ("xor", "sub"):
            made = Value(Kind.CONSTANT, 0)
        elif same and name in ("and", "or"):
            made = old
        elif (
            name == "or" and other is not None and other.kind is Kind.CONSTANT and _all_ones(other.number, target.width)
        ):
            made = Value(Kind.CONSTANT, -1)
        elif name == "and" and other == Value(Kind.CONSTANT, 0):
            made = Value(Kind.CONSTANT, 0)
        elif old is not None and other is not None and other.kind is Kind.CONSTANT and name in ("add", "sub"):
            number = other.number if name == "add" else -other.number
            if old.kind is Kind.ADDRESS and target.width == 8:
                made = old._replace(number=old.number + number)
            elif old.kind is Kind.CONSTANT and old.known >= target.width:
                made = Value(Kind.CONSTANT, old.number + number)
        _write(state, target, made)
        return True

    return step


def _address(state: State, operands: tuple[Operand, ...]) -> bool:
    if len(operands) != 2 or operands[1].kind != "memory":
        return False
    at = _place(state, operands[1])
    _write(state, operands[0], None if at is None or operands[0].width < 8 else Value(Kind.ADDRESS, at))
    return True


def run_called(state: State, code: Sequence[tuple[bytes, int]]) -> None:
    """Run a call of a function that is one straight line, from the call to behind its return."""
    top = state.registers[_STACK]
    _put_on_stack(state, None)  # the return address
    run(state, code)
    state.registers[_STACK] = top


def _put_on_stack(state: State, value: Value | None) -> None:
    top = state.registers[_STACK]
    known = top is not None and top.kind is Kind.ADDRESS
    at = top.number - 8 if top is not None and known else None
    state.stored(at, 8, value)
    state.registers[_STACK] = None if at is None else Value(Kind.ADDRESS, at)


def _push(state: State, operands: tuple[Operand, ...]) -> bool:
    _put_on_stack(state, _value(state, operands[0]) if operands and operands[0].width == 8 else None)
    return True


def _pop(state: State, operands: tuple[Operand, ...]) -> bool:
    if len(operands) != 1 or operands[0].kind != "register" or operands[0].width != 8:
        return False
    top = state.registers[_STACK]
    known = top is not None and top.kind is Kind.ADDRESS
    value = state.loaded(top.number, 8) if top is not None and known else None
    state.registers[_STACK] = Value(Kind.ADDRESS, top.number + 8) if top is not None and known else None
    state.registers[operands[0].number] = value
    return True


def _leave(state: State, _: tuple[Operand, ...]) -> bool:
    state.registers[_STACK] = state.registers[_FRAME]
    return _pop(state, (Operand("register", _FRAME, 8),))


_SPECIAL: dict[str, Callable[[State, tuple[Operand, ...]], bool]] = {
    **dict.fromkeys(("mov", "movabs"), _move),
    "movzx": _extend(signed=False),
    **dict.fromkeys(("movsx", "movsxd"), _extend(signed=True)),
    "cdqe": _within_result(4, 8),
    "cwde": _within_result(2, 4),
    **{name: _combine(name) for name in ("xor", "sub", "and", "or", "add")},
    "lea": _address,
    "push": _push,
    "pop": _pop,
    "leave": _leave,
}
