# SPDX-License-Identifier: Apache-2.0
"""Which words of a function's stack no pointer can lead to, because the function never takes the address of anything that holds them; and
which of these hold nothing but an argument of the call.
"""

from __future__ import annotations

from otel_jb.arch import x86_64 as x86
from otel_jb.arch.instruction import Flow
from otel_jb.code import values
from otel_jb.code.body import Body
from otel_jb.code.values import Kind, State, Words
from otel_jb.model.plan import FrameBase

_NOWHERE = 1 << 62


def words(body: Body) -> Words:
    """What is known about the words of the function's stack. An object whose address is taken may extend upwards without limit."""

    def is_private(offset: int, size: int) -> bool:
        if body.lowest_taken is None:
            body.lowest_taken = _lowest_taken(body)
        return offset + size <= body.lowest_taken

    def is_argument(offset: int) -> bool:
        if body.argument_words is None:
            body.argument_words = frozenset(_argument_words(body))
        return is_private(offset, 8) and offset in body.argument_words

    return Words(is_private, is_argument)


def _lowest_taken(body: Body) -> int:
    """The lowest offset from the frame of which the function takes the address; very low where it cannot be told."""
    lowest = _NOWHERE
    for instruction in body.instructions:
        if "sp" not in instruction.text and "bp" not in instruction.text:
            continue
        name, operands = x86.operands(body.raw(instruction), instruction.address)
        frame = body.frame(instruction.address)
        taken: list[tuple[int, int]] = []  # (register, distance)
        if name == "lea" and operands[0].number not in (x86.STACK, x86.FRAME):
            source = operands[1]
            if source.base in (x86.STACK, x86.FRAME):
                taken.append((int(source.base or 0), source.number))
            if source.scaled in (x86.STACK, x86.FRAME):
                return -_NOWHERE
        elif name == "push" and operands[0].kind == "register" and operands[0].number == x86.STACK:
            taken.append((x86.STACK, 0))
        elif name not in ("push", "pop", "cmp", "test"):
            written = {each.number for each in operands[:1] if each.kind == "register"}
            moves = not written or not written <= {x86.STACK, x86.FRAME}
            taken += [
                (each.number, 0)
                for each in operands[1:]
                if each.kind == "register" and each.number in (x86.STACK, x86.FRAME) and moves
            ]
        for register, distance in taken:
            if frame is None:
                return -_NOWHERE
            base, offset = frame
            if register == x86.FRAME and base is FrameBase.SP:
                continue  # a general register there; what it holds was taken elsewhere
            if register == x86.STACK and base is FrameBase.FP:
                return -_NOWHERE
            lowest = min(lowest, distance - offset)
    return lowest


def _argument_words(body: Body) -> set[int]:
    """Offsets from the frame of words into which the entry block puts an argument, and which nothing else names as a target."""
    state = State.at_site((FrameBase.SP, 0), None, values.NOTHING_KNOWN)
    position = first = body.index[body.start]
    while body.instructions[position].flow is Flow.NEXT and body.falls_through(position):
        if position > first and (body.came_from[position] or position in body.table_targets):
            break
        values.run(state, [(body.raw(body.instructions[position]), body.instructions[position].address)])
        position += 1
    arguments = [values.Value(Kind.REGISTER, number) for number in x86.ARGUMENTS]
    found = [(offset, size) for offset, size, value in state.stores if size == 8 and value in arguments and offset < 0]
    written = written_words(body) if found else None
    if written is None:
        return set()
    return {
        offset
        for offset, size in found
        if sum(at < offset + size and offset < at + length for at, length in written) == 1
    }


def written_words(body: Body) -> list[tuple[int, int]] | None:
    """(offset from the frame, bytes) of all that the function's instructions name on the stack as their target; None where one cannot be told.

    What `push` and `call` write lies below the stack pointer, where no word is alive.
    """
    found: list[tuple[int, int]] = []
    for instruction in body.instructions:
        if "sp" not in instruction.text and "bp" not in instruction.text:
            continue
        name, operands = x86.operands(body.raw(instruction), instruction.address)
        places = [each for each in operands if each.kind == "memory"]
        if not places or (name in values.READERS and not name.startswith("xchg")):
            continue
        if places[0] is not operands[0] and not name.startswith(("xchg", "xadd", "lock", "cmpxchg")):
            continue  # it only reads
        for place in places:
            if place.base not in (x86.STACK, x86.FRAME) and place.scaled not in (x86.STACK, x86.FRAME):
                continue
            frame = body.frame(instruction.address)
            if frame is None or not place.plain:
                return None
            base, offset = frame
            if place.base == x86.FRAME and base is FrameBase.SP:
                continue  # a general register there
            if place.base == x86.STACK and base is FrameBase.FP:
                return None
            found.append((place.number - offset, place.width))
    return found
