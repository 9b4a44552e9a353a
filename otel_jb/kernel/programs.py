"""Encodes a `ReadProgram` into the few branch-free kinds of operation that the kernel interprets (bpf/abi.h, `struct op`)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from otel_jb.kernel import abi
from otel_jb.records import BIG_ENDIAN, MAX_OPS, SIGNED, Op, ReadOp

_OP = struct.Struct("<BBBBiIBBBx")
_EMIT = {
    Op.BYTES: abi.REG_BYTES,
    Op.STREAM: abi.REG_STREAM,
    Op.DEPTH: abi.REG_DEPTH,
    Op.CLOSE: abi.REG_CLOSE,
    Op.OPEN: abi.REG_OPEN,
}
_DST, _SRC, _NEGATE = 1, 2, 4  # `how` of OP_LINEAR
_LESS, _NOT = 1, 2  # `how` of OP_JUMP


def encode(operations: tuple[ReadOp, ...]) -> bytes:
    """The program as the kernel reads it, padded to PROGRAM_OPS operations.

    Raises ValueError for a program that is too long, jumps out of itself or names no register: profiles are checked when
    they are loaded, so this is the last guard and not a message for users.
    """
    if len(operations) > min(MAX_OPS, abi.PROGRAM_OPS):
        raise ValueError(f"read program of {len(operations)} operations, at most {MAX_OPS}")
    steps = _fused([_step(op, len(operations) - at - 1) for at, op in enumerate(operations)])
    ends = [False, *(step.kind == abi.OP_END for step in steps[1:]), False]
    encoded = b"".join(_OP.pack(*step, ends[at + 1] and step.kind != abi.OP_JUMP) for at, step in enumerate(steps))
    return encoded.ljust(abi.PROGRAM_OPS * _OP.size, b"\0")


class _Step(NamedTuple):
    """`struct op` of bpf/abi.h, but for its last field."""

    kind: int
    dst: int = 0
    src: int = 0
    how: int = 0
    imm: int = 0
    skip: int = 0
    up: int = 0
    down: int = 0

    def reads(self, register: int) -> bool:
        """Whether what is in the register matters to this step."""
        from_source = self.kind in (abi.OP_READ, abi.OP_SHIFT) or (self.kind == abi.OP_LINEAR and self.how & _SRC)
        from_destination = self.kind == abi.OP_JUMP or (self.kind == abi.OP_LINEAR and self.how & _DST)
        return bool((from_source and self.src == register) or (from_destination and self.dst == register))


def _fused(steps: list[_Step]) -> list[_Step]:
    """Without moves whose source was made by the step before and serves nothing else: each step costs about 6 ns a call."""
    at = 0
    while at + 1 < len(steps):
        made, move = steps[at], steps[at + 1]
        targets = {place + 1 + step.skip for place, step in enumerate(steps) if step.kind == abi.OP_JUMP}
        if (
            made.kind in (abi.OP_READ, abi.OP_SHIFT)
            and (move.kind, move.how, move.imm, move.src) == (abi.OP_LINEAR, _SRC, 0, made.dst)
            and at + 1 not in targets
            and not any(step.reads(made.dst) for step in steps[at + 2 :])
        ):
            shorter = [
                step._replace(skip=step.skip - 1)
                if step.kind == abi.OP_JUMP and place <= at < place + 1 + step.skip and place + 1 + step.skip > at + 1
                else step
                for place, step in enumerate(steps)
            ]
            shorter[at] = made._replace(dst=move.dst)
            del shorter[at + 1]
            steps = shorter
        else:
            at += 1
    return steps


def reads_return(end: tuple[ReadOp, ...]) -> bool:
    """Whether an end program looks at register 0, the return value."""
    by_destination = (Op.ADD, Op.SUB, Op.ADDI, Op.ANDI, Op.SHRI, Op.SHLI, Op.EXT, Op.JEQ, Op.JNE, Op.JLT, Op.JGE)
    by_source = (Op.READ, Op.MOV, Op.ADD, Op.SUB, *_EMIT, Op.SAVE)
    return any((op.op in by_destination and op.dst == 0) or (op.op in by_source and op.src == 0) for op in end)


def _step(op: ReadOp, left: int) -> _Step:
    if not (0 <= op.dst < 16 and 0 <= op.src < 16):
        raise ValueError("read program names no register")
    size = op.width & 15
    signed = op.width & SIGNED
    match op.op:
        case Op.END:
            return _Step(abi.OP_END)
        case Op.READ:
            if size not in (1, 2, 4, 8):
                raise ValueError(f"read of {size} bytes")
            down = 64 - 8 * size
            up = 0 if op.width & BIG_ENDIAN else down
            return _Step(abi.OP_READ, op.dst, op.src, op.width, op.imm, op.skip, up, down)
        case Op.MOVI:
            return _Step(abi.OP_LINEAR, op.dst, how=0, imm=op.imm)
        case Op.MOV:
            return _Step(abi.OP_LINEAR, op.dst, op.src, _SRC)
        case Op.ADD:
            return _Step(abi.OP_LINEAR, op.dst, op.src, _DST | _SRC)
        case Op.SUB:
            return _Step(abi.OP_LINEAR, op.dst, op.src, _DST | _SRC | _NEGATE)
        case Op.ADDI:
            return _Step(abi.OP_LINEAR, op.dst, how=_DST, imm=op.imm)
        case Op.ANDI:
            return _Step(abi.OP_SHIFT, op.dst, op.dst, imm=op.imm)
        case Op.SHRI:
            return _Step(abi.OP_SHIFT, op.dst, op.dst, imm=-1, down=op.imm & 63)
        case Op.SHLI:
            return _Step(abi.OP_SHIFT, op.dst, op.dst, imm=-1, up=op.imm & 63)
        case Op.EXT:
            shift = (64 - 8 * size) & 63
            return _Step(abi.OP_SHIFT, op.dst, op.dst, how=signed, imm=-1, up=shift, down=shift)
        case Op.JEQ | Op.JNE | Op.JLT | Op.JGE | Op.JMP:
            if not 0 <= op.skip <= left:
                raise ValueError("read program jumps out of itself")
            if op.op is Op.JMP:
                # Register 31 is never written: it is 0, and a jump on "equal to 0" is always taken.
                return _Step(abi.OP_JUMP, 31, how=0, imm=0, skip=op.skip)
            how = (_LESS if op.op in (Op.JLT, Op.JGE) else 0) | (_NOT if op.op in (Op.JNE, Op.JGE) else 0)
            return _Step(abi.OP_JUMP, op.dst, how=how, imm=op.imm, skip=op.skip)
        case Op.SAVE:
            if not 0 <= op.imm <= 2:
                raise ValueError("no such save slot")
            return _Step(abi.OP_LINEAR, abi.REG_SAVE + op.imm, op.src, _SRC)
        case Op.OUTCOME:
            return _Step(abi.OP_LINEAR, abi.REG_OUTCOME, how=0, imm=op.imm)
        case Op.BYTES | Op.STREAM | Op.DEPTH | Op.CLOSE | Op.OPEN:
            return _Step(abi.OP_LINEAR, _EMIT[op.op], op.src, _SRC)
    raise ValueError(f"unknown operation {op.op}")
