# SPDX-License-Identifier: Apache-2.0
"""A BPF program as blocks of instructions that run one after another, and the ways between them."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.model.dataclass import dataclass
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction

MARK = Instruction(bpf.JUMP)  #: to the next instruction: no compiler makes it by itself
NOWHERE = -1  #: the place of what has no target


@dataclass(slots=True)
class Block:
    """Instructions that run one after another, without the jump at their end."""

    code: list[Instruction]
    jump: Instruction | None = None  #: at its end, if that depends on something
    target: int = NOWHERE  #: where it leads
    next: int = NOWHERE  #: where it goes on otherwise; none behind an exit
    rare: bool = False

    def ways(self) -> list[int]:
        """Where it may go on."""
        if self.next == NOWHERE:
            return []
        return [self.next] if self.target == NOWHERE else [self.next, self.target]


def blocks_of(program: Sequence[Instruction]) -> dict[int, Block]:
    """The program's blocks in its order, by where they begin. Raises ValueError where it leads out of itself."""
    starts = {0}
    for at, each in enumerate(program):
        if bpf.jumps(each):
            starts |= {at + 1, at + 1 + each.offset}
        elif each.opcode == bpf.EXIT:
            starts.add(at + 1)
    begins = sorted(start for start in starts if start < len(program))
    blocks: dict[int, Block] = {}
    for begin, end in zip(begins, [*begins[1:], len(program)], strict=True):
        *code, last = program[begin:end]
        block = blocks[begin] = Block(code, next=end)
        if last == MARK:
            block.rare = True
        elif last.opcode == bpf.JUMP:
            block.next = end + last.offset
        elif bpf.jumps(last):
            block.jump, block.target = last, end + last.offset
        else:
            block.code.append(last)
            if last.opcode == bpf.EXIT:
                block.next = NOWHERE
        if max(block.next, block.target) >= len(program):
            raise ValueError("a BPF program without an end")
    return blocks
