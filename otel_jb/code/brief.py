# SPDX-License-Identifier: Apache-2.0
"""Functions that take a moment and return whatever happens: a call of one is as good an end as a branch, where the code behind it runs straight.

Compilers put calls of empty destructors and of the like straight in front of an end. Such a function has so little code that most have no
branch of their own to see its end at, and half the program calls it. The call itself is emulated, and behind it nothing can happen but the
few instructions of that function and those up to the end, which are left out of the time as the ones behind a branch are.
"""

from __future__ import annotations

from otel_jb.arch.instruction import Flow
from otel_jb.code import called
from otel_jb.code.body import Body, Context, UndecodableError, body_of
from otel_jb.code.edges import cyclic
from otel_jb.code.private import written_words
from otel_jb.code.stack_pointer import foreign_load
from otel_jb.model.dataclass import dataclass

MOST_INSTRUCTIONS = 20  #: of all that a call runs
_MAX_JUMPS = 3  #: from one function to the next at its end
_LEAVES = frozenset({Flow.CALL, Flow.INDIRECT_CALL, Flow.INDIRECT_JUMP, Flow.STOP})
_RETURN_ADDRESS = 8  #: bytes at the frame


@dataclass(frozen=True, slots=True)
class Brief:
    """What a call of such a function runs."""

    instructions: int  #: at most
    line: tuple[tuple[bytes, int], ...] | None  #: (bytes, address) of all of them up to the return; None: it branches


def brief(context: Context, target: int, jumps: int = _MAX_JUMPS) -> Brief | None:
    """What the function at this address runs, if it is a moment's work; None if it is not, or nobody knows (x86-64)."""
    if not context.image.machine.derives_frames or context.in_plt(target) or not jumps:
        return None
    try:
        body = body_of(context, target, 0)
    except UndecodableError:
        return None
    if not _runs_straight_out(body):
        return None
    further: dict[int, Brief] = {}
    for exit_ in body.exits:
        there = None if exit_.target is None else brief(context, exit_.target, jumps - 1)
        if there is None:
            return None
        further[exit_.index] = there
    length = len(body.instructions) + max((each.instructions for each in further.values()), default=0)
    return Brief(length, _line(body, further)) if length <= MOST_INSTRUCTIONS else None


def _runs_straight_out(body: Body) -> bool:
    """Whether every way through the function's own code ends soon, at the place it was called from or at a jump to another function."""
    if len(body.instructions) > MOST_INSTRUCTIONS or body.unclear or body.indirect_inside:
        return False
    if any(each.flow in _LEAVES or each.slow for each in body.instructions) or cyclic(body):
        return False
    if foreign_load(body) is not None:
        return False
    depths = called.depths(body)
    returns = [n for n, each in enumerate(body.instructions) if each.flow is Flow.RETURN]
    leaving = [*returns, *(exit_.index for exit_ in body.exits)]
    if not leaving or any(depths[n] != 0 for n in leaving):
        return False
    if any(body.instructions[n].text.split()[-1] != "ret" for n in returns):  # one that takes arguments off the stack
        return False
    written = written_words(body)
    return written is not None and all(at >= _RETURN_ADDRESS or at + size <= 0 for at, size in written)


def _line(body: Body, further: dict[int, Brief]) -> tuple[tuple[bytes, int], ...] | None:
    """All that a call runs, where it can take one way only."""
    found: list[tuple[bytes, int]] = []
    here = body.index[body.start]
    while True:
        instruction = body.instructions[here]
        if here in further:
            rest = further[here].line
            return None if rest is None or instruction.flow is not Flow.JUMP else (*found, *rest)
        match instruction.flow:
            case Flow.RETURN:
                return tuple(found)
            case Flow.JUMP:
                here = body.index[instruction.target or 0]
            case Flow.NEXT:
                found.append((body.raw(instruction), instruction.address))
                here += 1
            case _:
                return None
