# SPDX-License-Identifier: Apache-2.0
"""Which words of a function's stack no pointer can lead to, because the function never takes the address of anything that holds them."""

from __future__ import annotations

from otel_jb.arch import x86_64 as x86
from otel_jb.code.body import Body
from otel_jb.code.values import IsPrivate
from otel_jb.model.plan import FrameBase

_NOWHERE = 1 << 62


def privacy(body: Body) -> IsPrivate:
    """Whether (offset from the frame, bytes) is private. An object whose address is taken may reach upwards as far as it likes."""

    def is_private(offset: int, size: int) -> bool:
        if body.lowest_taken is None:
            body.lowest_taken = _lowest_taken(body)
        return offset + size <= body.lowest_taken

    return is_private


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
