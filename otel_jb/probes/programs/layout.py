# SPDX-License-Identifier: Apache-2.0
"""Puts what a program seldom does behind all else, so that what every call runs lies together.

clang lays a BPF program out in the order of its source, whatever the source says of probabilities, and the kernel's compiler keeps that order. A call
after other work finds little of a program in the caches, and then waits for every line of 64 bytes that it runs through: the fewer
there are, and the straighter the way, the sooner it is done. The source marks what is rare (`RARELY` in bpf/otel_jb.bpf.c) by a jump that leads
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.blocks import NOWHERE, Block
from otel_jb.probes.programs.instructions import Instruction

#: jumps and their opposites, by the upper four bits of the opcode: =/≠, >/≤, ≥/<, signed the same
_OPPOSITES = {0x10: 0x50, 0x50: 0x10, 0x20: 0xB0, 0xB0: 0x20, 0x30: 0xA0, 0xA0: 0x30, 0x60: 0xD0, 0xD0: 0x60, 0x70: 0xC0, 0xC0: 0x70}  # fmt: skip


def laid_out(blocks: dict[int, Block]) -> list[Instruction]:
    """The program of these blocks without its marks, and with what only they lead to at its end. Raises ValueError where a jump grows too long."""
    order = _order(blocks)
    pieces: dict[int, list[Instruction | tuple[Instruction, int]]] = {}
    for at, following in zip(order, [*order[1:], NOWHERE], strict=True):
        block = blocks[at]
        piece: list[Instruction | tuple[Instruction, int]] = list(block.code)
        jump, target, other = block.jump, block.target, block.next
        if jump is not None and target == following and other != following:
            opposite = _OPPOSITES.get(jump.opcode & 0xF0)
            if opposite is not None:
                jump, target, other = jump._replace(opcode=jump.opcode & 0x0F | opposite), other, target
        if jump is not None:
            piece.append((jump, target))
        if other not in (NOWHERE, following):
            piece.append((Instruction(bpf.JUMP), other))
        pieces[at] = piece
    return _joined(order, pieces)


def _joined(order: Sequence[int], pieces: dict[int, list[Instruction | tuple[Instruction, int]]]) -> list[Instruction]:
    places, place = {}, 0
    for at in order:
        places[at] = place
        place += len(pieces[at])
    made: list[Instruction] = []
    for at in order:
        for each in pieces[at]:
            if isinstance(each, Instruction):
                made.append(each)
                continue
            jump, target = each
            distance = places[target] - len(made) - 1
            if not -(1 << 15) <= distance < 1 << 15:
                raise ValueError("a BPF program with too long a jump")
            made.append(jump._replace(offset=distance))
    return made


def _order(blocks: dict[int, Block]) -> list[int]:
    """Where the blocks come: each behind the one that goes on there, if that can be, and all that is rare at the end."""
    usual = _usual(blocks)
    order: dict[int, None] = {}
    for group in (usual, blocks.keys() - usual):
        for start in sorted(group):
            way: int | None = start
            while way is not None and way not in order:
                order[way] = None
                way = next((at for at in blocks[way].ways() if at in group and at not in order), None)
    return list(order)


def _usual(blocks: dict[int, Block]) -> set[int]:
    """The blocks that some way leads to that is not rare."""
    found: set[int] = set()
    ways = [0]
    while ways:
        at = ways.pop()
        if at in found or blocks[at].rare:
            continue
        found.add(at)
        ways += blocks[at].ways()
    return found | {0}
