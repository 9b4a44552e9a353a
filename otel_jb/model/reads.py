# SPDX-License-Identifier: Apache-2.0
"""Read programs: what a probe reads at the entry and at the end of a call, before their translation to BPF instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from otel_jb.model.dataclass import dataclass


class Op(IntEnum):
    """Operations of a read program.

    A program works on 64-bit registers r0 to r15. At an entry r0 to r5 hold the integer arguments 1 to 6 and r6 the frame
    (address of the return address on x86-64, the stack pointer at entry on AArch64). At an end r0 holds the return value,
    r1 the bytes and r2 the stream that the entry emitted, r3 to r5 what it saved, r6 the frame. Others are 0.
    Jumps are relative and go forward only; `skip` is the number of operations to skip.
    A READ that faults is counted under its `fieldno` and ends the program. Only values emitted before count, and the call's outcome
    is unknown: counted as a fault, never guessed.
    BYTES and DEPTH with an `imm` other than 0 emit only values from 0 to `imm`. Any other value is counted under the field `skip`, and
    the program continues: a depth is not emitted, and a size becomes 1, so that the call keeps its packet. User space withdraws the
    value.
    """

    END = 0
    READ = 1  #: dst = *(width *)(src + imm); width: 1, 2, 4, 8, | SIGNED, | BIG_ENDIAN; `skip` holds fieldno
    MOVI = 2  #: dst = imm (sign-extended)
    MOV = 3  #: dst = src
    ADD = 4  #: dst += src
    SUB = 5  #: dst -= src
    ADDI = 6  #: dst += imm
    ANDI = 7  #: dst &= imm (sign-extended)
    SHRI = 8  #: dst >>= imm (logical)
    SHLI = 9  #: dst <<= imm
    EXT = 10  #: dst = the low width bytes of dst, sign-extended if SIGNED, else zero-extended
    JEQ = 11  #: if dst == imm (sign-extended, 64 bit): skip the next `skip` operations
    JNE = 12
    JLT = 13  #: signed
    JGE = 14  #: signed
    JMP = 15
    BYTES = 16  #: emit src as the packet's size (entry or end)
    STREAM = 17  #: emit src as the stream's identity (entry only): usually the address of the buffer object
    SAVE = 18  #: keep src in slot imm (0 to 2) for the end program (entry only)
    DEPTH = 19  #: emit src as the packets that the stream's buffer holds now
    OUTCOME = 20  #: what the call was: imm is an Outcome, or Outcome.DROP + index into `drop_reasons`
    CLOSE = 21  #: forget the buffer whose identity is src (its depth no longer counts)
    OPEN = 22  #: the buffer whose identity is src exists from now on and holds 0
    RTP = 23  #: an RTP packet of the size that BYTES emits begins at the address src (entry only); faults count under the field `skip`
    ENTERS = 24  #: a packet goes into the stream's buffer, identified by src, or if imm is 1 by the sequence number of its RTP header (entry only)
    LEAVES = 25  #: a packet that src identifies comes out of the stream's buffer (entry or end)
    PASSES = 26  #: the packet that went in came out again within this call (end only, with ENTERS at the entry)
    EMPTIES = 27  #: all packets of the buffer whose identity is src are thrown away (entry only)
    MUL = 28  #: dst *= src
    DIVI = 29  #: dst /= imm, unsigned; imm is above 0
    ADDED = 30  #: add src, from 0 to imm, to the function's counter number dst, at once; another value is counted under the field `skip`
    MEAN = 31  #: the same, and one reading above MEAN_SHIFT of `model.added`


@dataclass(frozen=True, slots=True)
class Operands:
    """How an operation uses its two registers, and whether it may jump."""

    reads_dst: bool = False
    reads_src: bool = False
    writes_dst: bool = False
    jumps: bool = False


_CHANGES = Operands(reads_dst=True, writes_dst=True)
_COMBINES = Operands(reads_dst=True, reads_src=True, writes_dst=True)
_COPIES = Operands(reads_src=True, writes_dst=True)
_EMITS = Operands(reads_src=True)
_TESTS = Operands(reads_dst=True, jumps=True)
#: The only place that says what each operation uses; the compiler, the translator to BPF and the checks rely on it.
OPERANDS = {
    Op.END: Operands(),
    Op.READ: _COPIES,
    Op.MOVI: Operands(writes_dst=True),
    Op.MOV: _COPIES,
    Op.ADD: _COMBINES,
    Op.SUB: _COMBINES,
    Op.ADDI: _CHANGES,
    Op.ANDI: _CHANGES,
    Op.SHRI: _CHANGES,
    Op.SHLI: _CHANGES,
    Op.EXT: _CHANGES,
    Op.JEQ: _TESTS,
    Op.JNE: _TESTS,
    Op.JLT: _TESTS,
    Op.JGE: _TESTS,
    Op.JMP: Operands(jumps=True),
    Op.BYTES: _EMITS,
    Op.STREAM: _EMITS,
    Op.SAVE: _EMITS,
    Op.DEPTH: _EMITS,
    Op.OUTCOME: Operands(),
    Op.CLOSE: _EMITS,
    Op.OPEN: _EMITS,
    Op.RTP: _EMITS,
    Op.ENTERS: _EMITS,
    Op.LEAVES: _EMITS,
    Op.PASSES: Operands(),
    Op.EMPTIES: _EMITS,
    Op.MUL: _COMBINES,
    Op.DIVI: _CHANGES,
    Op.ADDED: _EMITS,
    Op.MEAN: _EMITS,
}

SIGNED = 0x10
BIG_ENDIAN = 0x20
MAX_OPS = 40  #: maximum number of operations per program, including the final END
MAX_DROP_REASONS = 8
LATE = "late"  #: the drop reason of a packet that came after its turn
MAX_FIELDS = 8  #: maximum number of fields with separate fault counts
MAX_PACKET = 65536  #: maximum plausible bytes of a packet
MAX_DEPTH = 1 << 24  #: maximum plausible packets in a buffer
OUT_OF_RANGE = " out of range"  #: suffix of the name of a field that counts impossible values


class Outcome(IntEnum):
    """What a returned call did with a packet. Without an OUTCOME operation, the call is a PACKET."""

    PACKET = 0  #: handled one packet
    NO_PACKET = 1  #: carried none: RTCP, drain, empty get
    DUPLICATE = 2  #: handled one packet, which was a duplicate
    UNDERRUN = 3  #: carried none, because the buffer had none to give
    DROP = 8  #: + index of the reason: handled one packet and discarded it


@dataclass(frozen=True, slots=True)
class ReadOp:
    """One operation of a read program."""

    op: Op
    dst: int = 0
    src: int = 0
    width: int = 0
    skip: int = 0
    imm: int = 0

    def reads(self) -> frozenset[int]:
        """The registers that it reads."""
        operands = OPERANDS[self.op]
        return frozenset(([self.dst] if operands.reads_dst else []) + ([self.src] if operands.reads_src else []))


@dataclass(frozen=True, slots=True)
class ReadProgram:
    """Entry and end program of a function; `fields` names the field numbers under which READ operations count faults."""

    entry: tuple[ReadOp, ...] = ()
    end: tuple[ReadOp, ...] = ()
    fields: tuple[str, ...] = ()


def reads_memory(program: Sequence[ReadOp]) -> bool:
    """Whether a program reads the target's memory."""
    return any(operation.op is Op.READ for operation in program)


def emits_rtp(reads: ReadProgram) -> bool:
    """Whether a call's packet is looked at as RTP."""
    return any(operation.op is Op.RTP for operation in reads.entry)


def moves_packets(reads: ReadProgram) -> bool:
    """Whether it says which packet goes into a buffer, or comes out of one."""
    return any(operation.op in (Op.ENTERS, Op.LEAVES) for operation in (*reads.entry, *reads.end))


def adds(operations: Sequence[ReadOp]) -> frozenset[int]:
    """The numbers of the counters that a program adds to."""
    return frozenset(operation.dst for operation in operations if operation.op in (Op.ADDED, Op.MEAN))


def numbered(operation: ReadOp) -> bool:
    """Whether a packet enters that is known by its RTP header."""
    return operation.op is Op.ENTERS and bool(operation.imm)


def without_rtp(reads: ReadProgram) -> ReadProgram:
    """The same program that leaves RTP packets alone. A copy onto itself stands for what falls away, so that jumps stay right."""
    entry = (ReadOp(Op.MOV, op.src, op.src) if op.op is Op.RTP or numbered(op) else op for op in reads.entry)
    return replace(reads, entry=tuple(entry)) if emits_rtp(reads) else reads
