# SPDX-License-Identifier: Apache-2.0
"""PJSIP's buffer in programs that have it in their own file: its fields by the version that PJNATH's text tells."""

from __future__ import annotations

import pytest

from otel_jb.catalog import FunctionProfile, Match, load
from otel_jb.catalog.layouts import Findings
from otel_jb.elf.types import Field
from otel_jb.model.added import MEAN_SHIFT
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.reads import Outcome
from tests.unit import readvm
from tests.unit.readvm import Memory

PUT = "pjmedia_jbuf_put_frame3"
BUFFER, FRAME, NUMBER, SIZE = 0x5000, 0x8000, 1000, 80
#: Where `size`, `discarded_num`, `origin` and `jb_discard` are, as gdb prints it of jbuf.c (`ptype /o struct pjmedia_jbuf`).
OLD, NEW = (124, 128, 132, 252), (132, 136, 140, 260)


def in_version(version: str) -> FunctionProfile:
    """The function as it is in a file with PJNATH's text of this version."""
    catalog, symbol = load(), Symbol(PUT, 0, 0, SymbolSource.SYMTAB, PUT)
    since_2_14, before = (each for each in catalog.functions() if each.name == PUT)
    known = since_2_14 if tuple(map(int, version.split("."))) >= (2, 14) else before
    return catalog.place([Match(symbol, known)], Findings(versions={"pjnath-": (version,)}))[0].function


def call(known: FunctionProfile, places: tuple[int, ...], *, origin: int, refused: bool) -> readvm.Call:
    """A call with frame 1000 on a buffer whose head is `origin`, which holds 7 frames, 2 of them thrown away."""
    memory = Memory()
    for place, value in zip(places, (7, 2, origin, 40), strict=True):
        memory.write(BUFFER + place, value.to_bytes(4, "little"))
    for unknown in (24, 28, 156, 164):  # what else it may read
        memory.write(BUFFER + unknown, bytes(4))
    entered = readvm.entry(known.program, [BUFFER, FRAME, SIZE, 0, NUMBER, 0], memory)
    memory.write(BUFFER + places[3], (40 + refused).to_bytes(4, "little"))
    return readvm.end(known.program, entered, 0, memory)


@pytest.mark.parametrize(
    ("version", "places"),
    [
        ("2.0.1", OLD), ("2.8.0", OLD), ("2.12.1", OLD), ("2.14.1", OLD), ("2.15.1", OLD), ("2.16.0", NEW), ("2.17.0", NEW)
    ],
)  # fmt: skip
def test_a_known_version_has_depth_and_late_frames(version: str, places: tuple[int, ...]) -> None:
    """A frame that is taken is a packet, one before the head that is refused is late, and the depth is without what was thrown away."""
    known = in_version(version)
    taken = call(known, places, origin=990, refused=False)
    assert (taken.outcome, taken.bytes, taken.depths) == (Outcome.PACKET, SIZE, [5])
    late = call(known, places, origin=1001, refused=True)
    assert (late.outcome, known.drop_reasons[late.outcome - Outcome.DROP]) == (Outcome.DROP, "late")
    assert call(known, places, origin=990, refused=True).outcome == Outcome.PACKET


@pytest.mark.parametrize("version", ["1.16.0", "2.15.0", "2.18.0"])
def test_a_version_that_nobody_looked_at_has_neither(version: str) -> None:
    """2.15.0 is also what development versions call themselves in which the struct had grown."""
    known = in_version(version)
    assert not known.has_depth
    assert not known.drop_reasons
    assert known.absent


@pytest.mark.parametrize(
    ("version", "prefetch", "divisor", "told"),
    [
        ("2.13.1", 156, None, 15), ("2.14.1", 156, 1, 15), ("2.14.1", 156, 2, None), ("2.15.1", 156, 1, 15), ("2.17.0", 164, 1, 15),
        ("2.17.0", 164, 2, None),
    ],
)  # fmt: skip
def test_a_known_version_has_its_target_delay(
    version: str, prefetch: int, divisor: int | None, told: int | None
) -> None:
    """Three frames of 5 ms are 15 ms. Since 2.14 a frame's duration is a fraction, and of 5 / 2 ms nothing is said."""
    known, memory = in_version(version), Memory({BUFFER + place: bytes(4) for place in (*OLD, *NEW)})
    fields = {prefetch: 3, 24: 5} | ({} if divisor is None else {28: divisor})
    for place, value in fields.items():
        memory.write(BUFFER + place, value.to_bytes(4, "little"))
    entered = readvm.entry(known.program, [BUFFER, FRAME, SIZE, 0, NUMBER, 0], memory)
    assert entered.added == ({} if told is None else {0: (1 << MEAN_SHIFT) + told})


@pytest.mark.parametrize(("divisor", "told"), [(1, 3 * 5), (2, None)])
def test_frames_of_parts_of_a_millisecond_have_no_target_delay(divisor: int, told: int | None) -> None:
    """With debug information the divisor is known: three frames of 5 ms are 15 ms, and of 5 / 2 ms nothing is said."""
    (known, _) = (each for each in load().functions() if each.name == PUT)
    paths = (
        *("jb_framelist.size", "jb_framelist.discarded_num", "jb_framelist.origin", "jb_discard"),
        *("jb_prefetch", "jb_frame_ptime", "jb_frame_ptime_denum"),
    )
    types = {"pjmedia_jbuf": {path: Field(4 * at, 4, True) for at, path in enumerate(paths)}}
    placed = (
        load().place([Match(Symbol(PUT, 0, 0, SymbolSource.SYMTAB, PUT), known)], Findings(types=types))[0].function
    )
    memory = Memory()
    for at, value in enumerate((7, 2, 990, 40, 3, 5, divisor)):
        memory.write(BUFFER + 4 * at, value.to_bytes(4, "little"))
    entered = readvm.entry(placed.program, [BUFFER, FRAME, SIZE, 0, NUMBER, 0], memory)
    assert entered.added == ({0: (1 << MEAN_SHIFT) + told} if told is not None else {})
