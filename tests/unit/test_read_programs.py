"""Read programs as the kernel gets them."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.kernel import abi
from otel_jb.kernel.programs import _step, encode, reads_return
from otel_jb.records import SIGNED, Op, Outcome, ReadOp

END = ReadOp(Op.END)


def test_a_program_is_padded_to_its_place() -> None:
    """Every program takes the room of the longest; the padding ends it."""
    assert len(encode((END,))) == abi.PROGRAM_WORDS * 8
    assert encode(()) == bytes(abi.PROGRAM_WORDS * 8)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ((ReadOp(Op.EXT, dst=0, width=4 | SIGNED), END), True),
        ((ReadOp(Op.JGE, dst=0, imm=0, skip=0), END), True),
        ((ReadOp(Op.MOV, dst=7, src=0), END), True),
        ((ReadOp(Op.BYTES, src=0), END), True),
        ((ReadOp(Op.READ, dst=7, src=2, width=4), ReadOp(Op.DEPTH, src=7), END), False),
        ((ReadOp(Op.OUTCOME, imm=Outcome.NO_PACKET), END), False),
        ((ReadOp(Op.JMP, skip=0), END), False),
    ],
)
def test_whether_the_return_value_is_read_is_told(operations: tuple[ReadOp, ...], expected: bool) -> None:
    """An end that does not know the return value spoils the outcome only of a program that looks at it."""
    assert reads_return(operations) is expected


@pytest.mark.parametrize(
    "operations",
    [
        (ReadOp(Op.JEQ, dst=0, imm=0, skip=2), END),
        (ReadOp(Op.READ, dst=1, src=0, width=3), END),
        (ReadOp(Op.SAVE, src=1, imm=3), END),
        (ReadOp(Op.MOV, dst=99, src=0), END),
        (END,) * 33,
    ],
)
def test_an_impossible_program_is_refused(operations: tuple[ReadOp, ...]) -> None:
    """Jumps out of the program, odd widths, unknown places and too many operations never reach the kernel."""
    with pytest.raises(ValueError, match=r"read|no such|jumps|operations"):
        encode(operations)


def steps(operations: tuple[ReadOp, ...]) -> list[tuple[int, ...]]:
    """(kind, dst, src, last) of each operation up to the end."""
    found: list[tuple[int, ...]] = []
    for kind, dst, src, _, _, _, _, _, last in struct.Struct("<BBBBiIBBBx").iter_unpack(encode(operations)):
        found.append((kind, dst, src, last))
        if kind == abi.OP_END:
            return found
    raise AssertionError("a program without an end")


def test_a_value_that_is_made_only_to_be_emitted_is_made_in_place() -> None:
    """The move goes, and the last operation says that it is the last."""
    program = (ReadOp(Op.EXT, dst=1, width=4), ReadOp(Op.BYTES, src=1), END)
    assert steps(program) == [(abi.OP_SHIFT, abi.REG_BYTES, 1, 1), (abi.OP_END, 0, 0, 0)]


def test_a_value_that_is_needed_again_keeps_its_register() -> None:
    """What a later operation reads is not moved away."""
    program = (
        ReadOp(Op.READ, dst=1, src=0, width=4),
        ReadOp(Op.DEPTH, src=1),
        ReadOp(Op.JEQ, dst=1, imm=0, skip=1),
        ReadOp(Op.OUTCOME, imm=1),
        END,
    )
    assert [kind for kind, *_ in steps(program)] == [
        abi.OP_READ,
        abi.OP_LINEAR,
        abi.OP_JUMP,
        abi.OP_LINEAR,
        abi.OP_END,
    ]


MEMORY = {address: (address * 2654435761 >> 7) & 0xFF for address in range(4096)}


def run_encoded(code: bytes, registers: list[int]) -> list[int]:
    """What bpf/otel_jb.bpf.c does with an encoded program, over a small memory."""
    mask = (1 << 64) - 1
    r = registers[:16] + [0] * 16
    r[abi.REG_DEPTH] = mask
    operations = list(struct.Struct("<BBBBiIBBBx").iter_unpack(code))
    pc = 0
    for _ in range(abi.PROGRAM_OPS):
        kind, dst, src, how, imm, skip, up, down, last = operations[pc]
        v, x = r[dst], r[src]
        if kind == abi.OP_END:
            break
        jumped = 0
        if kind == abi.OP_LINEAR:
            x = -x if how & 4 else x
            r[dst] = ((v if how & 1 else 0) + (x if how & 2 else 0) + imm) & mask
        elif kind == abi.OP_JUMP:
            signed = v - (1 << 64) if v >> 63 else v
            holds = signed < imm if how & 1 else v == imm & mask
            jumped = skip if holds != bool(how & 2) else 0
        else:
            if kind == abi.OP_READ:
                raw = bytes(MEMORY[(x + imm + i) % 4096] for i in range(how & 15)).ljust(8, b"\0")
                v = int.from_bytes(raw, "big" if how & 0x20 else "little")
                imm = -1
            else:
                v = x
            v = v << up & mask
            v = (v - (1 << 64) if how & 0x10 and v >> 63 else v) >> down
            r[dst] = v & imm & mask
        if last:
            break
        pc = (pc + 1 + jumped) % abi.PROGRAM_OPS
    return r


REGISTER = st.integers(0, 6)
OPERATION = st.one_of(
    st.builds(ReadOp, st.just(Op.READ), REGISTER, REGISTER, st.sampled_from([1, 2, 4, 8, 0x12, 0x22, 0x34]), imm=st.integers(0, 99)),
    st.builds(ReadOp, st.just(Op.EXT), REGISTER, width=st.sampled_from([1, 2, 4, 0x14])),
    st.builds(ReadOp, st.sampled_from([Op.MOV, Op.ADD, Op.SUB]), REGISTER, REGISTER),
    st.builds(ReadOp, st.sampled_from([Op.MOVI, Op.ADDI, Op.ANDI]), REGISTER, imm=st.integers(-9, 99)),
    st.builds(ReadOp, st.sampled_from([Op.BYTES, Op.STREAM, Op.DEPTH]), src=REGISTER),
    st.builds(ReadOp, st.sampled_from([Op.JEQ, Op.JNE, Op.JLT, Op.JGE]), REGISTER, imm=st.integers(-2, 99), skip=st.integers(0, 3)),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(OPERATION, max_size=20), st.lists(st.integers(0, (1 << 64) - 1), min_size=16, max_size=16))
def test_a_shortened_program_emits_what_the_long_one_does(operations: list[ReadOp], registers: list[int]) -> None:
    """Fusing changes no emission, whatever the program jumps over."""
    program = (
        *(replace(op, skip=0) if op.skip > len(operations) - at else op for at, op in enumerate(operations)),
        END,
    )
    fused = run_encoded(encode(program), registers)
    plain = b"".join(struct.pack("<BBBBiIBBBx", *step, 0) for step in _plain(program)).ljust(512, b"\0")
    assert fused[abi.REG_BYTES :] == run_encoded(plain, registers)[abi.REG_BYTES :]


def _plain(program: tuple[ReadOp, ...]) -> list[tuple[int, ...]]:
    return [tuple(_step(op, len(program) - at - 1)) for at, op in enumerate(program)]
