# SPDX-License-Identifier: Apache-2.0
"""What a profile reads, as the BPF instructions that are loaded for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.model.added import MAX_ADDED
from otel_jb.model.reads import MAX_FIELDS, MAX_OPS, SIGNED, Op, Outcome, ReadOp
from otel_jb.probes import abi
from otel_jb.probes.programs.reading import compiled, emits, reads_return
from tests.unit import bpfvm, readvm

END = ReadOp(Op.END)


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
        (ReadOp(Op.READ, dst=1, src=0, width=4, skip=8), END),
        (ReadOp(Op.SAVE, src=1, imm=3), END),
        (ReadOp(Op.SHRI, dst=1, imm=64), END),
        (ReadOp(Op.EXT, dst=1, width=5), END),
        (ReadOp(Op.MOV, dst=99, src=0), END),
        (ReadOp(Op.ADDED, dst=6, src=0, imm=9), END),
        (ReadOp(Op.MEAN, dst=0, src=0, imm=1 << 20), END),
        (ReadOp(Op.DIVI, dst=1), END),
        (END,) * (MAX_OPS + 1),
    ],
)
def test_an_impossible_program_is_refused(operations: tuple[ReadOp, ...]) -> None:
    """Jumps out of the program, odd widths, unknown places and too many operations never reach the kernel."""
    with pytest.raises(ValueError, match=r"read|no such|added|jumps|operations|shift|extension"):
        compiled(operations)


WORDS = st.lists(st.integers(0, (1 << 64) - 1), min_size=7, max_size=7)
REGISTER = st.integers(0, 9)
OPERATION = st.one_of(
    st.builds(ReadOp, st.just(Op.READ), REGISTER, REGISTER, st.sampled_from([1, 2, 4, 8, 0x11, 0x12, 0x18, 0x22, 0x28, 0x34]), imm=st.integers(-9, 99), skip=st.integers(0, 7)),
    st.builds(ReadOp, st.just(Op.EXT), REGISTER, width=st.sampled_from([1, 2, 4, 8, 0x11, 0x14])),
    st.builds(ReadOp, st.sampled_from([Op.MOV, Op.ADD, Op.SUB, Op.MUL]), REGISTER, REGISTER),
    st.builds(ReadOp, st.sampled_from([Op.ADDED, Op.MEAN]), st.integers(0, 5), REGISTER, imm=st.sampled_from([1, 99, 1 << 19]), skip=st.integers(0, 7)),
    st.builds(ReadOp, st.sampled_from([Op.MOVI, Op.ADDI, Op.ANDI]), REGISTER, imm=st.integers(-(2**31), 2**31 - 1)),
    st.builds(ReadOp, st.just(Op.DIVI), REGISTER, imm=st.sampled_from([1, 3, 1_000_000])),
    st.builds(ReadOp, st.sampled_from([Op.SHRI, Op.SHLI]), REGISTER, imm=st.integers(0, 63)),
    st.builds(ReadOp, st.sampled_from([Op.STREAM, Op.CLOSE, Op.OPEN]), src=REGISTER),
    st.builds(ReadOp, st.sampled_from([Op.BYTES, Op.DEPTH]), src=REGISTER, imm=st.sampled_from([0, 1, 99, 65536, 2**31 - 1]), skip=st.integers(0, 7)),
    st.builds(ReadOp, st.just(Op.SAVE), src=REGISTER, imm=st.integers(0, 2)),
    st.builds(ReadOp, st.just(Op.OUTCOME), imm=st.sampled_from([0, 1, 2, 8, 15])),
    st.builds(ReadOp, st.sampled_from([Op.JEQ, Op.JNE, Op.JLT, Op.JGE]), REGISTER, imm=st.integers(-2, 99), skip=st.integers(0, 5)),
    st.builds(ReadOp, st.just(Op.JMP), skip=st.integers(0, 5)),
    st.just(END),
)  # fmt: skip
FIELDS = tuple(f"field{number}" for number in range(8))


def memory() -> readvm.Memory:
    """Bytes at the addresses 0 to 4095, and at the highest ones."""
    return readvm.Memory(
        {0: bytes((n * 2654435761 >> 7) & 0xFF for n in range(4096)), (1 << 64) - 16: bytes(range(16))}
    )


def both(operations: tuple[ReadOp, ...], given: list[int]) -> tuple[readvm.Call, int, list[int], list[int]]:
    """What the operations mean, and what r0, the words and those of the series are after the instructions have run."""
    call = readvm.Call()
    readvm.run(operations, FIELDS, given, memory(), call)
    words = [*given, *[0xDEAD] * 9, *[0] * 11]
    words[abi.REG_DEPTH] = bpfvm.MASK
    series = [0] * abi.series_words(1)
    return call, bpfvm.run(compiled(operations), words, memory(), series), words, series


def agree(operations: tuple[ReadOp, ...], given: list[int]) -> None:
    call, fault, words, series = both(operations, given)
    assert (FIELDS[fault - 1] if fault else None) == call.fault
    added, faults = abi.PLACES["added"], abi.PLACES["faults"]
    assert series[added : added + MAX_ADDED] == [call.added.get(number, 0) & bpfvm.MASK for number in range(MAX_ADDED)]
    not_added = [field for kind, field in call.broken if kind in (Op.ADDED, Op.MEAN)]
    assert series[faults : faults + MAX_FIELDS] == [not_added.count(field) for field in FIELDS]
    if fault:
        return
    assert words[abi.REG_BYTES] == call.bytes
    assert words[abi.REG_STREAM] == call.stream
    assert words[abi.REG_SAVE : abi.REG_SAVE + 3] == call.saved
    assert words[abi.REG_OUTCOME] == call.outcome
    assert words[abi.REG_DEPTH] == (call.depths[-1] & bpfvm.MASK if call.depths else bpfvm.MASK)
    assert words[abi.REG_OPEN] == [0, *call.opened, *call.moved][-1]  # no call opens a buffer and moves a packet
    for kind, word in ((Op.BYTES, abi.REG_BROKEN), (Op.DEPTH, abi.REG_BROKEN + 1)):
        broken = [field for broken_kind, field in call.broken if broken_kind is kind]
        assert words[word] == (1 + FIELDS.index(broken[-1]) if broken else 0)
    assert words[abi.REG_CLOSE] == (call.closed[-1] if call.closed else 0)


@settings(max_examples=1500, deadline=None)
@given(st.lists(OPERATION, max_size=24), st.one_of(WORDS, st.lists(st.integers(0, 4000), min_size=7, max_size=7)))
def test_the_instructions_do_what_the_operations_mean(operations: list[ReadOp], given: list[int]) -> None:
    """Every value and every fault is as the description of the operations has it, whatever the program skips."""
    most = len(operations)
    program = tuple(
        replace(op, skip=min(op.skip, most - at)) if op.op in (Op.JEQ, Op.JNE, Op.JLT, Op.JGE, Op.JMP) else op
        for at, op in enumerate(operations)
    )
    agree((*program, END), given)


@pytest.mark.parametrize("function", load().functions(), ids=lambda f: f"{f.profile}:{f.name}")
def test_the_reads_of_every_profile_are_compiled(function: object) -> None:
    """What the shipped profiles read becomes instructions that do the same, over memory that holds and memory that faults."""
    program = function.program  # type: ignore[attr-defined]
    for operations in (program.entry, program.end):
        for words in ([64] * 7, list(range(100, 800, 100)), [0] * 7, [1 << 40] * 7, [bpfvm.MASK] * 7):
            agree(operations, words)


def test_a_pointer_of_the_array_is_kept_only_over_reads() -> None:
    """What reads no memory needs no word of the stack."""
    assert all(op.src != 10 and op.dst != 10 for op in compiled((ReadOp(Op.BYTES, src=1), END)))
    assert emits((ReadOp(Op.BYTES, src=1), END), Op.BYTES)
    assert not emits((ReadOp(Op.BYTES, src=1), END), Op.DEPTH)
