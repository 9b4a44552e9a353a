# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: what is put there, and that everything else stays as it was compiled."""

from __future__ import annotations

import pytest

from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.prepared import prepare
from otel_jb.probes.programs.sharecode import ShareCode
from otel_jb.probes.programs.template import Shape, Template, at_site, shape_of

READS = ReadProgram(entry=(ReadOp(Op.BYTES, src=1), ReadOp(Op.END)), end=(ReadOp(Op.MOV, 7, 0), ReadOp(Op.END)))
CALLS_MAP, COOKIE = 40, 0xFFFFFFF800000005
CODE = (
    Instruction(bpf.MOVE, 6, 1),  # 0
    Instruction(bpf.EQUAL, 6, offset=5),  # 1: to 7
    Instruction(bpf.CALL, immediate=abi.HOLE_COOKIE),  # 2
    Instruction(bpf.STORE, 6, 0),  # 3
    Instruction(bpf.NOT_EQUAL, 6, offset=-5),  # 4: to 0
    Instruction(bpf.LOAD_IMMEDIATE, 1, 1, 0, CALLS_MAP),  # 5, 6
    Instruction(0),
    Instruction(bpf.CALL, immediate=1),  # 7: a helper of the kernel
    Instruction(bpf.EXIT),  # 8
)


def template() -> Template:
    return Template.of(bpf.encode(CODE), {CALLS_MAP: "overflow"})


def targets(code: list[Instruction]) -> list[int]:
    return [
        at + 1 + i.offset
        for at, i in enumerate(code)
        if i.opcode & 7 in (5, 6) and i.opcode not in (bpf.CALL, bpf.EXIT)
    ]


def test_a_constant_takes_the_place_of_the_call_and_jumps_find_their_targets() -> None:
    """A 64-bit cookie is one instruction longer than the call was; jumps over it are made longer, forwards and backwards."""
    code = bpf.decode(prepare(template(), {"overflow": 9}).filled(Shape(COOKIE, 0, ReadProgram())))
    assert code[2:4] == [Instruction(bpf.LOAD_IMMEDIATE, 0, 0, 0, 5), Instruction(0, 0, 0, 0, -8)]
    assert targets(code) == [8, 0]
    assert code[8] == CODE[7]
    assert code[6] == Instruction(bpf.LOAD_IMMEDIATE, 1, 1, 0, 9)


def test_a_program_for_many_probes_asks_the_kernel_for_the_cookie() -> None:
    """Without a cookie of its own the hole is the helper bpf_get_attach_cookie, and nothing moves."""
    code = bpf.decode(prepare(template(), {"overflow": 9}).filled(Shape(None, 0, ReadProgram())))
    assert code[2] == Instruction(bpf.CALL, immediate=174)
    assert targets(code) == targets(list(CODE))


@pytest.mark.parametrize(
    ("value", "length"),
    [(0, 1), (5, 1), ((1 << 31) - 1, 1), (1 << 31, 2), ((1 << 64) - 1, 1), (1 << 63, 2), (COOKIE, 2)],
)
def test_constants_are_as_short_as_they_can_be(value: int, length: int) -> None:
    """One instruction where the number is a sign-extended one of 32 bits."""
    made = bpf.load_immediate(0, value)
    assert len(made) == length
    low = made[0].immediate & ((1 << 64) - 1 if length == 1 else 0xFFFFFFFF)
    assert low | (made[1].immediate & 0xFFFFFFFF) << 32 == value if length == 2 else low == value


def test_what_a_probe_has_to_do_is_in_its_features() -> None:
    """Each feature is there exactly if the reads or the options need it."""
    shape = shape_of(READS, events=True, nests=False, cookie=3)
    reads = abi.FEATURE_ENTRY_READS | abi.FEATURE_END_READS | abi.FEATURE_RETURN | abi.FEATURE_TOLD | abi.FEATURE_BYTES
    assert shape.features == abi.FEATURE_EVENTS | reads
    depth = ReadProgram(entry=(ReadOp(Op.DEPTH, src=1), ReadOp(Op.END)))
    assert shape_of(depth, events=False, nests=True).features == (
        abi.FEATURE_NEST | abi.FEATURE_ENTRY_READS | abi.FEATURE_DEPTH | abi.FEATURE_TOLD
    )
    late = shape_of(READS, events=True, nests=False, late=[0, 7])
    assert late.features == shape.features | 0x81 << abi.FEATURE_LATE_SHIFT
    assert shape_of(READS, events=False, nests=False, late=[0, 7]).features == reads


@pytest.mark.parametrize(("saved", "near"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_words_of_a_call_are_those_that_its_reads_use(saved: int, near: bool) -> None:
    """What is told or saved at an entry has its word, and the scheduler's account is in the call where two words are left."""
    steps = [ReadOp(Op.SAVE, src=1, imm=slot) for slot in range(saved)]
    share = ShareCode(*range(8))
    features = shape_of(ReadProgram(entry=(*steps, ReadOp(Op.END))), events=True, nests=False, share=share).features
    assert features >> abi.FEATURE_SAVES_SHIFT == saved
    assert bool(features & abi.FEATURE_SHARE_NEAR) is near
    assert features & abi.FEATURE_SHARE
    assert not features & (abi.FEATURE_BYTES | abi.FEATURE_STREAM)
    alone = shape_of(ReadProgram(entry=(ReadOp(Op.STREAM, src=1),)), events=False, nests=False, share=share).features
    assert alone == abi.FEATURE_ENTRY_READS | abi.FEATURE_TOLD | abi.FEATURE_STREAM


def test_a_session_program_knows_the_place_of_its_site() -> None:
    """Its 12 bits are beside the other features, and nothing else of the shape changes."""
    shape = shape_of(READS, events=True, nests=False, cookie=3, form=1)
    placed = at_site(shape, 0x12345ABC)
    assert placed.features == shape.features | abi.FEATURE_SITE | 0xABC << abi.FEATURE_SITE_SHIFT
    assert placed.features & abi.FEATURE_FORM
    assert (placed.cookie, placed.reads) == (shape.cookie, shape.reads)


def test_a_template_survives_the_way_through_json() -> None:
    """`from_plain` gives back what `plain` took."""
    assert Template.from_plain(template().plain()) == template()


@pytest.mark.parametrize(
    "code",
    [
        (Instruction(bpf.LOAD_IMMEDIATE, 1, 1, 0, 77), Instruction(0)),  # a map that nobody knows
        (Instruction(bpf.LOAD_IMMEDIATE, 1, 4, 0, 1), Instruction(0)),  # a function's address
        (Instruction(bpf.STORE, 10, 1, -512),),  # the last word of the stack is for the reads
        (Instruction(bpf.MOVE, 1, 10), Instruction(bpf.by_value(bpf.ADD), 1, immediate=-512)),
    ],
)
def test_a_program_that_cannot_be_filled_is_refused(code: tuple[Instruction, ...]) -> None:
    """What means nothing in another process, or leaves no room for reads, is told before anything is loaded."""
    with pytest.raises(ValueError, match="BPF program"):
        Template.of(bpf.encode(code), {CALLS_MAP: "overflow"})


def test_a_jump_that_becomes_too_long_is_refused() -> None:
    """Distances have 16 bits."""
    with pytest.raises(ValueError, match="too long a jump"):
        bpf.replaced(
            (Instruction(bpf.JUMP, offset=1), Instruction(0x55), Instruction(bpf.EXIT)), {1: [CODE[0]] * 40_000}
        )
