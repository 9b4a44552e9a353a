# SPDX-License-Identifier: Apache-2.0
"""A read program run in Python, after the description of `records.Op`: what the kernel would read, emit and count."""

from __future__ import annotations

from dataclasses import dataclass, field

from otel_jb.model.added import MEAN_SHIFT
from otel_jb.model.reads import BIG_ENDIAN, MAX_OPS, SIGNED, Op, Outcome, ReadOp, ReadProgram

MASK = (1 << 64) - 1


class Memory:
    """Bytes at addresses; everything else faults. Counts its reads."""

    def __init__(self, pieces: dict[int, bytes] | None = None) -> None:
        self.bytes: dict[int, int] = {}
        self.reads = 0
        for address, data in (pieces or {}).items():
            self.write(address, data)

    def write(self, address: int, data: bytes) -> None:
        self.bytes.update(enumerate(data, address))

    def read(self, address: int, size: int) -> bytes | None:
        self.reads += 1
        try:
            return bytes(self.bytes[(address + i) & MASK] for i in range(size))
        except KeyError:
            return None


@dataclass
class Call:
    """What one call left behind."""

    outcome: int = Outcome.PACKET
    bytes: int = 0
    stream: int = 0
    saved: list[int] = field(default_factory=lambda: [0, 0, 0])
    depths: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    moved: list[int] = field(
        default_factory=list
    )  #: packets that enter or leave, buffers that are emptied; 1: it passed
    fault: str | None = None
    broken: list[tuple[Op, str]] = field(default_factory=list)  #: sizes and depths that cannot be
    added: dict[int, int] = field(default_factory=dict)  #: by the number of the counter
    steps: int = 0


def signed(value: int) -> int:
    return value - (1 << 64) if value & 1 << 63 else value


def extended(value: int, width: int) -> int:
    size = width & 15
    value &= (1 << 8 * size) - 1
    if width & SIGNED and value & 1 << (8 * size - 1):
        value -= 1 << 8 * size
    return value & MASK


def run(program: tuple[ReadOp, ...], fields: tuple[str, ...], start: list[int], memory: Memory, call: Call) -> None:
    """Runs one program; the call is changed only if nothing faults, but for the fault itself."""
    r = [value & MASK for value in start] + [0] * (16 - len(start))
    effects: list[tuple[Op, int, int]] = []
    broken: list[tuple[Op, str]] = []
    pc = steps = 0
    while pc < len(program):
        op = program[pc]
        pc += 1
        steps += 1
        assert steps <= MAX_OPS, "a program may not run longer than it is"
        assert 0 <= op.dst < 16
        assert 0 <= op.src < 16
        assert op.skip >= 0
        assert -(2**31) <= op.imm < 2**31
        if op.op is Op.END:
            break
        if op.op is Op.READ:
            data = memory.read((r[op.src] + op.imm) & MASK, op.width & 15)
            if data is None:
                call.fault = fields[op.skip]
                return
            with_sign = bool(op.width & SIGNED)
            r[op.dst] = int.from_bytes(data, "big" if op.width & BIG_ENDIAN else "little", signed=with_sign) & MASK
        elif op.op is Op.MOVI:
            r[op.dst] = op.imm & MASK
        elif op.op is Op.MOV:
            r[op.dst] = r[op.src]
        elif op.op is Op.ADD:
            r[op.dst] = (r[op.dst] + r[op.src]) & MASK
        elif op.op is Op.SUB:
            r[op.dst] = (r[op.dst] - r[op.src]) & MASK
        elif op.op is Op.MUL:
            r[op.dst] = (r[op.dst] * r[op.src]) & MASK
        elif op.op is Op.DIVI:
            r[op.dst] //= op.imm
        elif op.op is Op.ADDI:
            r[op.dst] = (r[op.dst] + op.imm) & MASK
        elif op.op is Op.ANDI:
            r[op.dst] &= op.imm & MASK
        elif op.op is Op.SHRI:
            r[op.dst] >>= op.imm
        elif op.op is Op.SHLI:
            r[op.dst] = (r[op.dst] << op.imm) & MASK
        elif op.op is Op.EXT:
            r[op.dst] = extended(r[op.dst], op.width)
        elif op.op in (Op.JEQ, Op.JNE, Op.JLT, Op.JGE):
            value = signed(r[op.dst])
            holds = {Op.JEQ: value == op.imm, Op.JNE: value != op.imm, Op.JLT: value < op.imm, Op.JGE: value >= op.imm}
            pc += op.skip if holds[op.op] else 0
        elif op.op is Op.JMP:
            pc += op.skip
        elif op.op in (Op.BYTES, Op.DEPTH) and op.imm and r[op.src] > op.imm:
            broken.append((op.op, fields[op.skip]))
            effects += [(Op.BYTES, 1, 0)] if op.op is Op.BYTES else []
        elif op.op in (Op.ADDED, Op.MEAN):  # at once, whatever faults later
            if r[op.src] > op.imm:
                call.broken.append((op.op, fields[op.skip]))
            else:
                reading = 1 << MEAN_SHIFT if op.op is Op.MEAN else 0
                call.added[op.dst] = call.added.get(op.dst, 0) + r[op.src] + reading
        else:
            effects.append((op.op, r[op.src], op.imm))
    call.steps += steps
    call.broken += broken
    for kind, value, imm in effects:
        if kind is Op.BYTES:
            call.bytes = value
        elif kind is Op.STREAM:
            call.stream = value
        elif kind is Op.SAVE:
            call.saved[imm] = value
        elif kind is Op.DEPTH:
            call.depths.append(signed(value))
        elif kind is Op.OUTCOME:
            call.outcome = imm
        elif kind is Op.OPEN:
            call.opened.append(value)
        elif kind is Op.CLOSE:
            call.closed.append(value)
        elif kind in (Op.LEAVES, Op.EMPTIES) or (kind is Op.ENTERS and not imm):
            call.moved.append(value)
        elif kind is Op.PASSES:
            call.moved.append(1)


def entry(program: ReadProgram, arguments: list[int], memory: Memory) -> Call:
    """The entry of a call, with its integer arguments."""
    call = Call()
    run(program.entry, program.fields, [*arguments, *[0] * (6 - len(arguments)), 0x7FFF0000], memory, call)
    return call


def end(program: ReadProgram, call: Call, returned: int, memory: Memory) -> Call:
    """The end of that call, with the raw return register. A call that faulted has no outcome."""
    if call.fault is None:
        run(program.end, program.fields, [returned, call.bytes, call.stream, *call.saved, 0x7FFF0000], memory, call)
    return call
