# SPDX-License-Identifier: Apache-2.0
"""Compiles what a profile reads at entries and ends into BPF instructions (the `HOLE_*_READS` of bpf/otel_jb.bpf.c).

Every register of `records.Op`, and everything that a program emits, is a word of an array on the BPF stack. r1 points to it where the reads
begin, and r2 to the series (bpf/abi.h), whose counters a program adds to at once. Jumps lead forward only, so a program ends, and the verifier checks all of it once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.model.added import MAX_ADDED, MAX_MEAN, MEAN_SHIFT
from otel_jb.model.reads import (
    BIG_ENDIAN,
    MAX_FIELDS,
    MAX_OPS,
    OPERANDS,
    SIGNED,
    Op,
    ReadOp,
    ReadProgram,
    adds,
    numbered,
)
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction

_WORDS = 5  #: BPF register that points to the array
LOWEST = (
    -512
)  #: where on the BPF stack, from r10, the pointer is kept over calls: its last word, which the program leaves free
SERIES_AT = LOWEST + 8  #: where the series' address is kept: the word above, which it leaves free too
PROBE_READ_USER = 112
_GIVEN = 7  #: registers 0 to 6 are filled before the program; what else it reads before it writes it is 0
_OWN = 16
_EMITTED = {
    Op.BYTES: abi.REG_BYTES,
    Op.STREAM: abi.REG_STREAM,
    Op.DEPTH: abi.REG_DEPTH,
    Op.CLOSE: abi.REG_CLOSE,
    Op.OPEN: abi.REG_OPEN,
    Op.RTP: abi.REG_RTP,
    Op.ENTERS: abi.REG_PACKET,
    Op.LEAVES: abi.REG_PACKET,
    Op.EMPTIES: abi.REG_PACKET,
}
#: values that are emitted only if they can be, and the word that says that one was not
_CHECKED = {Op.BYTES: abi.REG_BROKEN, Op.DEPTH: abi.REG_BROKEN + 1}
_JUMPS = {Op.JEQ: bpf.EQUAL, Op.JNE: bpf.NOT_EQUAL, Op.JLT: bpf.LESS, Op.JGE: bpf.AT_LEAST}


def reads_return(end: Sequence[ReadOp]) -> bool:
    """Whether an end program looks at register 0, the return value."""
    return any(0 in op.reads() for op in end)


def emits(operations: Sequence[ReadOp], op: Op) -> bool:
    """Whether a program has such an operation."""
    return any(each.op is op for each in operations)


def saves(entry: Sequence[ReadOp]) -> int:
    """How many of a call's words for saved values an entry program uses, from the first one on."""
    return max((1 + op.imm for op in entry if op.op is Op.SAVE), default=0)


def told_at_entry(reads: ReadProgram) -> bool:
    """Whether the entry alone determines what a call carries: no end changes its bytes or its outcome."""
    return not any(op.op in (Op.BYTES, Op.OUTCOME) for op in reads.end)


def compiled(operations: Sequence[ReadOp]) -> list[Instruction]:
    """The instructions of a program; r0 is then 0, or 1 + the field whose read faulted.

    Raises ValueError for a program that is too long, jumps out of itself or names no register: profiles are checked when they are
    loaded, so this is the last guard and not a message for users.
    """
    _check(operations)
    made = _Code()
    made.add(Instruction(bpf.MOVE, _WORDS, 1))
    if emits(operations, Op.READ):
        made.add(Instruction(bpf.STORE, 10, 1, LOWEST))
    if adds(operations):
        made.add(Instruction(bpf.STORE, 10, 2, SERIES_AT))
    for register in _unset(operations):
        made.add(Instruction(bpf.STORE_IMMEDIATE, _WORDS, offset=8 * register))
    targets = {at + 1 + op.skip for at, op in enumerate(operations) if OPERANDS[op.op].jumps}
    for at, op in enumerate(operations):
        if at in targets:
            made.label(at)
        if op.op is Op.END:
            if at + 1 < len(operations):
                made.jump(bpf.JUMP, len(operations))
        else:
            _translate(made, op, at)
    made.label(len(operations))
    made.add(Instruction(bpf.by_value(bpf.MOVE), 0))
    return made.finished()


def _check(operations: Sequence[ReadOp]) -> None:
    if len(operations) > MAX_OPS:
        raise ValueError(f"read program of {len(operations)} operations, at most {MAX_OPS}")
    for at, op in enumerate(operations):
        if not (0 <= op.dst < _OWN and 0 <= op.src < _OWN):
            raise ValueError("read program names no register")
        if OPERANDS[op.op].jumps and not 0 <= op.skip < len(operations) - at:
            raise ValueError("read program jumps out of itself")
        if op.op is Op.READ and (op.width & 15 not in (1, 2, 4, 8) or not 0 <= op.skip < MAX_FIELDS):
            raise ValueError(f"read of {op.width & 15} bytes, counted under field {op.skip}")
        if op.op is Op.RTP and not 0 <= op.skip < MAX_FIELDS:
            raise ValueError(f"read of a packet, counted under field {op.skip}")
        if op.op in _CHECKED and not (0 <= op.imm < 1 << 31 and 0 <= op.skip < MAX_FIELDS):
            raise ValueError(f"values up to {op.imm}, others counted under field {op.skip}")
        if op.op in (Op.ADDED, Op.MEAN):
            _check_added(op)
        if op.op is Op.EXT and op.width & 15 not in (1, 2, 4, 8):
            raise ValueError(f"extension of {op.width & 15} bytes")
        if op.op is Op.SAVE and not 0 <= op.imm < abi.SAVES:
            raise ValueError("no such save slot")
        if op.op is Op.DIVI and op.imm <= 0:
            raise ValueError(f"operations divide by {op.imm}")
        if op.op in (Op.SHRI, Op.SHLI) and not 0 <= op.imm < 64:
            raise ValueError(f"shift by {op.imm}")


def _check_added(op: ReadOp) -> None:
    most = MAX_MEAN if op.op is Op.MEAN else (1 << 31) - 1
    if not (0 <= op.dst < MAX_ADDED and 0 < op.imm <= most and 0 <= op.skip < MAX_FIELDS):
        raise ValueError(f"values up to {op.imm} are added to no such counter, others counted under field {op.skip}")


def _unset(operations: Sequence[ReadOp]) -> list[int]:
    """The program's registers that it may read before it writes them."""
    written: set[int] = set(range(_GIVEN))
    found: set[int] = set()
    straight = True  # until the first jump, what is written is written on every path
    for op in operations:
        found |= op.reads() - written
        straight = straight and not OPERANDS[op.op].jumps
        if straight and OPERANDS[op.op].writes_dst:
            written.add(op.dst)
    return sorted(found)


class _Code:
    """Instructions whose jumps refer to operations until all instructions are known."""

    def __init__(self) -> None:
        self._made: list[Instruction] = []
        self._jumps: list[tuple[int, int]] = []  # (instruction, operation that it leads to)
        self._labels: dict[int, int] = {}
        self._faults: list[tuple[int, int]] = []  # (instruction, field)
        self._held: int | None = None  # the word that is in r1 too

    def add(self, *made: Instruction) -> None:
        self._made.extend(made)

    def jump(self, opcode: int, operation: int, immediate: int = 0) -> None:
        """A jump to an operation; a conditional one tests r1."""
        self._jumps.append((len(self._made), operation))
        self.add(Instruction(opcode, 0 if opcode == bpf.JUMP else 1, immediate=immediate))

    def label(self, operation: int) -> None:
        """The next instruction is the first of this operation."""
        self._labels[operation] = len(self._made)
        self._held = None

    def fault_unless_zero(self, field: int) -> None:
        """Behind a call: go to the end, with a fault of this field, where r0 is not 0; else point to the array again."""
        self._faults.append((len(self._made), field))
        self.add(Instruction(bpf.NOT_EQUAL, 0), Instruction(bpf.LOAD, _WORDS, 10, LOWEST))
        self._held = None

    def forget(self) -> None:
        """r1 holds no word any more."""
        self._held = None

    def load(self, word: int) -> None:
        """r1 = the word."""
        if self._held != word:
            self.add(Instruction(bpf.LOAD, 1, _WORDS, 8 * word))
            self._held = word

    def store(self, word: int) -> None:
        """The word = r1."""
        self.add(Instruction(bpf.STORE, _WORDS, 1, 8 * word))
        self._held = word

    def set(self, word: int, value: int) -> None:
        """The word = a sign-extended 32-bit number."""
        self.add(Instruction(bpf.STORE_IMMEDIATE, _WORDS, offset=8 * word, immediate=value))
        self._held = None

    def finished(self) -> list[Instruction]:
        """With every jump's distance; ways out of faults come last."""
        made = list(self._made)
        fields = sorted({field for _, field in self._faults})
        end = len(made) + (1 + 2 * len(fields) if fields else 0)
        stubs: dict[int, int] = {}
        if fields:
            made.append(Instruction(bpf.JUMP, offset=end - len(made) - 1))
        for field in fields:
            stubs[field] = len(made)
            made.append(Instruction(bpf.by_value(bpf.MOVE), 0, immediate=1 + field))
            made.append(Instruction(bpf.JUMP, offset=end - len(made) - 1))
        for at, operation in self._jumps:
            made[at] = made[at]._replace(offset=self._labels[operation] - at - 1)
        for at, field in self._faults:
            made[at] = made[at]._replace(offset=stubs[field] - at - 1)
        return made


def _translate(made: _Code, op: ReadOp, at: int) -> None:
    kind, size = op.op, op.width & 15
    if kind is Op.READ:
        _read(made, op, size)
    elif kind is Op.MOVI:
        made.set(op.dst, op.imm)
    elif kind is Op.OUTCOME:
        made.set(abi.REG_OUTCOME, op.imm)
    elif kind is Op.PASSES:
        made.set(abi.REG_PACKET, abi.PACKET_PASSED)
    elif numbered(op):
        pass  # the kernel program takes it from the header
    elif kind in _CHECKED and op.imm:
        made.load(op.src)
        broken = [Instruction(bpf.STORE_IMMEDIATE, _WORDS, offset=8 * _CHECKED[kind], immediate=1 + op.skip)]
        if kind is Op.BYTES:
            broken.append(Instruction(bpf.STORE_IMMEDIATE, _WORDS, offset=8 * _EMITTED[kind], immediate=1))
        made.add(
            Instruction(bpf.AT_MOST_UNSIGNED, 1, offset=len(broken) + 1, immediate=op.imm),
            *broken,
            Instruction(bpf.JUMP, offset=1),
            Instruction(bpf.STORE, _WORDS, 1, 8 * _EMITTED[kind]),
        )
    elif kind in (Op.ADDED, Op.MEAN):
        _add(made, op)
    elif kind is Op.MOV or kind in _EMITTED or kind is Op.SAVE:
        made.load(op.src)
        made.store(op.dst if kind is Op.MOV else _EMITTED.get(kind, abi.REG_SAVE + op.imm))
        if kind is Op.RTP:
            made.set(abi.REG_RTP + 1, 1 + op.skip)
    elif kind in _JUMPS:
        made.load(op.dst)
        made.jump(_JUMPS[kind], at + 1 + op.skip, op.imm)
    elif kind is Op.JMP:
        made.jump(bpf.JUMP, at + 1 + op.skip)
    else:
        made.load(op.dst)
        made.add(*_arithmetic(op, size))
        made.store(op.dst)


def _add(made: _Code, op: ReadOp) -> None:
    """To a counter of the series, or one to the field's count of faults. Both are words of it, so the way of the second is a step and not a jump out."""
    made.load(op.src)
    reading = bpf.load_immediate(3, 1 << MEAN_SHIFT) if op.op is Op.MEAN else ()
    added = [
        *reading,
        *([Instruction(bpf.ADD, 1, 3)] if reading else []),
        Instruction(bpf.ATOMIC_ADD, 2, 1, 8 * (abi.PLACES["added"] + op.dst)),
    ]
    broken = [
        Instruction(bpf.by_value(bpf.MOVE), 1, immediate=1),
        Instruction(bpf.ATOMIC_ADD, 2, 1, 8 * (abi.PLACES["faults"] + op.skip)),
        Instruction(bpf.JUMP, offset=len(added)),
    ]
    made.add(
        Instruction(bpf.LOAD, 2, 10, SERIES_AT),
        Instruction(bpf.AT_MOST_UNSIGNED, 1, offset=len(broken), immediate=op.imm),
        *broken,
        *added,
    )
    made.forget()


def _read(made: _Code, op: ReadOp, size: int) -> None:
    """`probe_read_user` into the destination's own word, which is 0 before, so that a short value needs no more than its sign."""
    made.load(op.src)
    made.add(Instruction(bpf.MOVE, 3, 1))
    if op.imm:
        made.add(Instruction(bpf.by_value(bpf.ADD), 3, immediate=op.imm))
    made.set(op.dst, 0)
    made.add(
        Instruction(bpf.MOVE, 1, _WORDS),
        Instruction(bpf.by_value(bpf.ADD), 1, immediate=8 * op.dst),
        Instruction(bpf.by_value(bpf.MOVE), 2, immediate=size),
        Instruction(bpf.CALL, immediate=PROBE_READ_USER),
    )
    made.fault_unless_zero(op.skip)
    shift = 64 - 8 * size
    swapped, signed = op.width & BIG_ENDIAN, op.width & SIGNED
    if swapped or (signed and shift):
        made.load(op.dst)
        if swapped:
            made.add(Instruction(bpf.TO_BIG_ENDIAN, 1, immediate=64))
        elif shift:
            made.add(Instruction(bpf.by_value(bpf.LEFT), 1, immediate=shift))
        if shift:
            made.add(Instruction(bpf.by_value(bpf.ARITHMETIC_RIGHT if signed else bpf.RIGHT), 1, immediate=shift))
        made.store(op.dst)


def _arithmetic(op: ReadOp, size: int) -> tuple[Instruction, ...]:
    """On r1; the second operand of ADD and SUB is loaded into r2."""
    if op.op in (Op.ADD, Op.SUB, Op.MUL):
        opcode = {Op.ADD: bpf.ADD, Op.SUB: bpf.SUB, Op.MUL: bpf.MULTIPLY}[op.op]
        return Instruction(bpf.LOAD, 2, _WORDS, 8 * op.src), Instruction(opcode, 1, 2)
    if op.op is Op.EXT:
        shift = 64 - 8 * size
        right = bpf.ARITHMETIC_RIGHT if op.width & SIGNED else bpf.RIGHT
        steps = (
            Instruction(bpf.by_value(bpf.LEFT), 1, immediate=shift),
            Instruction(bpf.by_value(right), 1, immediate=shift),
        )
        return steps if shift else ()
    opcode = {
        Op.ADDI: bpf.ADD,
        Op.ANDI: bpf.AND,
        Op.SHRI: bpf.RIGHT,
        Op.SHLI: bpf.LEFT,
        Op.DIVI: bpf.DIVIDE,
    }[op.op]
    return (Instruction(bpf.by_value(opcode), 1, immediate=op.imm),)
