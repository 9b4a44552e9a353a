"""Read programs as the kernel gets them."""

from __future__ import annotations

import pytest

from otel_jb.kernel import abi
from otel_jb.kernel.programs import encode, reads_return
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
