# SPDX-License-Identifier: Apache-2.0
"""Puts what a program seldom does behind all else, so that what every call runs lies together.

clang lays a BPF program out in the order of its source, whatever the source says of probabilities, and the kernel's compiler keeps that order. A call
after other work finds little of a program in the caches, and then waits for every line of 64 bytes that it runs through: the fewer
there are, and the straighter the way, the sooner it is done. The source marks what is rare (`RARELY` in bpf/otel_jb.bpf.c) by a jump that leads
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction

MARK = Instruction(bpf.JUMP)  #: to the next instruction: no compiler makes it by itself
_FALLS = -1  #: the place of what has no target
#: jumps and their opposites, by the upper four bits of the opcode: =/≠, >/≤, ≥/<, signed the same
_OPPOSITES = {0x10: 0x50, 0x50: 0x10, 0x20: 0xB0, 0xB0: 0x20, 0x30: 0xA0, 0xA0: 0x30, 0x60: 0xD0, 0xD0: 0x60, 0x70: 0xC0, 0xC0: 0x70}  # fmt: skip


@dataclass(slots=True)
class _Block:
    """Instructions that run one after another, without the jump at their end."""

    code: list[Instruction]
    jump: Instruction | None = None  #: at its end, if that depends on something
    target: int = _FALLS  #: where it leads
    next: int = _FALLS  #: where it goes on otherwise; none behind an exit
    rare: bool = False


def laid_out(program: Sequence[Instruction]) -> list[Instruction]:
    """The program without its marks, and with what only they lead to at its end. Raises ValueError where it is none, or a jump grows too long."""
    blocks = _blocks(program)
    usual = _usual(blocks)
    order = [at for at in blocks if at in usual] + [at for at in blocks if at not in usual]
    pieces: dict[int, list[Instruction | tuple[Instruction, int]]] = {}
    for at, following in zip(order, [*order[1:], _FALLS], strict=True):
        block = blocks[at]
        piece: list[Instruction | tuple[Instruction, int]] = list(block.code)
        jump, target, other = block.jump, block.target, block.next
        if jump is not None and target == following and other != following:
            opposite = _OPPOSITES.get(jump.opcode & 0xF0)
            if opposite is not None:
                jump, target, other = jump._replace(opcode=jump.opcode & 0x0F | opposite), other, target
        if jump is not None:
            piece.append((jump, target))
        if other not in (_FALLS, following):
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


def _blocks(program: Sequence[Instruction]) -> dict[int, _Block]:
    """The program's blocks in its order, by where they begin."""
    starts = {0}
    for at, each in enumerate(program):
        if bpf.jumps(each):
            starts |= {at + 1, at + 1 + each.offset}
        elif each.opcode == bpf.EXIT:
            starts.add(at + 1)
    begins = sorted(start for start in starts if start < len(program))
    blocks: dict[int, _Block] = {}
    for begin, end in zip(begins, [*begins[1:], len(program)], strict=True):
        *code, last = program[begin:end]
        block = blocks[begin] = _Block(code, next=end)
        if last == MARK:
            block.rare = True
        elif last.opcode == bpf.JUMP:
            block.next = end + last.offset
        elif bpf.jumps(last):
            block.jump, block.target = last, end + last.offset
        else:
            block.code.append(last)
            if last.opcode == bpf.EXIT:
                block.next = _FALLS
        if max(block.next, block.target) >= len(program):
            raise ValueError("a BPF program without an end")
    return blocks


def _usual(blocks: dict[int, _Block]) -> set[int]:
    """The blocks that some way leads to that is not rare."""
    found: set[int] = set()
    ways = [0]
    while ways:
        at = ways.pop()
        if at in found or at == _FALLS or blocks[at].rare:
            continue
        found.add(at)
        ways += [blocks[at].target, blocks[at].next]
    return found | {0}
