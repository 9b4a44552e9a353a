# SPDX-License-Identifier: Apache-2.0
"""Which functions are attached by default: those without which a metric would be missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.planner.detail import TIMED_BY_NAME, UNTIMED, Told
from tests.meanings import Known, Meaning, symbol

PRIMARY = Meaning(primary=True, has_packets=True, has_bytes=True, drop_reasons=("late",))
OTHER = replace(PRIMARY, primary=False)


def needed(other: Meaning, primary: Meaning = PRIMARY) -> bool:
    """Whether a function is attached by default beside a primary one."""
    return Told([Known(symbol("a", 1), primary), Known(symbol("b", 2), other)]).needs(other)


def reads(op: Op) -> ReadProgram:
    return ReadProgram(entry=(ReadOp(op, src=1), ReadOp(Op.END)))


def test_what_a_primary_function_tells_too_is_not_needed() -> None:
    """Packets, bytes and drops are told once per role; the primary function itself is always needed."""
    assert not needed(OTHER)
    assert not needed(replace(OTHER, has_bytes=False, drop_reasons=()))
    assert needed(PRIMARY)


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER, drop_reasons=("late", "full")),
        replace(OTHER, has_duplicates=True),
        replace(OTHER, has_underruns=True),
        replace(OTHER, role="get"),
        replace(OTHER, profile="another"),
        replace(OTHER, generic=True),
        *(replace(OTHER, program=reads(op)) for op in (Op.DEPTH, Op.OPEN, Op.CLOSE)),
    ],
)
def test_what_nobody_else_tells_is_needed(other: Meaning) -> None:
    """A drop of another reason, duplicates, another role, another profile, and everything about buffers."""
    assert needed(other)


def test_a_primary_function_that_is_not_attached_tells_nothing() -> None:
    """Where it is attached only on demand, or is not in the file, the others stand in."""
    assert needed(OTHER, replace(PRIMARY, attach_by_default=False))
    assert Told([Known(symbol("b", 2), OTHER)]).needs(OTHER)


def test_bytes_are_needed_where_the_primary_function_does_not_know_them() -> None:
    """The primary function may tell less than another of its role."""
    assert needed(OTHER, replace(PRIMARY, has_bytes=False))


def test_what_a_profile_keeps_for_detail_is_needed_by_nothing() -> None:
    """It is not attached by default even where it alone tells something, and tells nothing in place of others."""
    assert not needed(replace(OTHER, detail=True, role="get", program=reads(Op.DEPTH)))
    assert needed(OTHER, replace(PRIMARY, detail=True))


def untimed(other: Meaning, primary: Meaning = PRIMARY, *, detail: bool = False) -> str | None:
    """Why a function that is attached beside a primary one needs no end, if it needs none."""
    return Told([Known(symbol("a", 1), primary), Known(symbol("b", 2), other)]).why_untimed(other, detail=detail)


def test_a_function_whose_entry_shows_everything_needs_no_end() -> None:
    """A depth read at the entry is all that it adds: the primary function of its role tells how long calls take."""
    other = replace(OTHER, program=reads(Op.DEPTH))
    assert untimed(other) == UNTIMED
    assert untimed(other, detail=True) is None


def test_a_step_is_timed_by_its_name_only() -> None:
    """With `--detail all` it is attached, at its entry alone, unless something is read at its end."""
    step = replace(OTHER, untimed=True, untimed_in_detail=True, program=reads(Op.DEPTH))
    assert untimed(step) == untimed(step, detail=True) == TIMED_BY_NAME
    assert untimed(replace(step, program=ReadProgram(end=reads(Op.DEPTH).entry)), detail=True) is None
    assert untimed(replace(step, asked=True), detail=True) is None


def test_a_profile_keeps_times_for_detail() -> None:
    """Those of a primary function, too, as long as its entry shows all else, and it shows something."""
    assert untimed(replace(PRIMARY, untimed=True, program=reads(Op.DEPTH)))
    assert untimed(replace(OTHER, untimed=True, program=reads(Op.DEPTH), role="get"))
    assert not untimed(replace(PRIMARY, untimed=True, program=ReadProgram(end=reads(Op.DEPTH).entry)))
    assert not untimed(replace(PRIMARY, untimed=True))


@pytest.mark.parametrize(
    "other",
    [
        replace(PRIMARY, program=reads(Op.DEPTH)),
        replace(OTHER, program=ReadProgram(end=reads(Op.DEPTH).entry)),
        replace(OTHER, program=reads(Op.DEPTH), role="get"),
        replace(OTHER, program=reads(Op.DEPTH), generic=True),
        replace(OTHER, program=reads(Op.DEPTH), asked=True),
        replace(OTHER),
    ],
)
def test_what_else_the_end_tells_needs_it(other: Meaning) -> None:
    """The times of a primary function or of a role without one, what is read at an end, and what the user or only a pattern named."""
    assert not untimed(other)
