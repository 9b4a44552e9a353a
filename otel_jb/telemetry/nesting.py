# SPDX-License-Identifier: Apache-2.0
"""Which of the calls that a slow call's event carries really ran inside it, and inside which of each other.

The kernel saw them begin and end on the same thread meanwhile. That is not enough: under coroutines the slow call may have been
suspended, and what ran then belongs to another stack. A call ran inside another only if its frame lies below it on the same stack
(stacks grow downwards) and its time lies within.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from otel_jb.model.stream import NestedCall, SlowCall

#: (pid, slow call, call that ran meanwhile) -> both on one stack? None: it cannot be told.
SameStack = Callable[[int, SlowCall, NestedCall], "bool | None"]


class Nesting(NamedTuple):
    """`children` with the place of each one's parent in `children` (None: the slow call itself), parents first."""

    children: tuple[tuple[NestedCall, int | None], ...]
    doubtful: tuple[NestedCall, ...]  #: left out because it is uncertain
    elsewhere: int  #: left out since they ran on another stack


def nest(call: SlowCall, pid: int, same_stack: SameStack, more: Sequence[NestedCall] = ()) -> Nesting:
    """Sort the nested calls of a slow one into a tree; `more` are known of besides those that its event names."""
    inside, doubtful, elsewhere = told_apart(call, pid, same_stack, more)
    children: list[tuple[NestedCall, int | None]] = []
    # Of two that begin at one instant the outer one has the higher frame.
    for nested in sorted(inside, key=lambda one: (one.start_ns, -one.frame)):
        children.append((nested, _parent(children, nested)))
    return Nesting(tuple(children), tuple(doubtful), elsewhere)


def told_apart(
    call: SlowCall, pid: int, same_stack: SameStack, more: Sequence[NestedCall] = ()
) -> tuple[list[NestedCall], list[NestedCall], int]:
    """The calls that ran inside a slow one, those of which that is uncertain, and how many ran on another stack."""
    inside: list[NestedCall] = []
    doubtful: list[NestedCall] = []
    elsewhere = 0
    for nested in (*call.nested, *more):
        if not call.start_ns <= nested.start_ns <= nested.end_ns <= call.end_ns:
            doubtful.append(nested)
            continue
        together = same_stack(pid, call, nested)
        if together is False:
            elsewhere += 1
        elif together is None or nested.frame >= call.frame:
            # The same stack, yet not below a call that has not returned: the frame is not what it seems.
            doubtful.append(nested)
        else:
            inside.append(nested)
    return inside, doubtful, elsewhere


def _parent(children: list[tuple[NestedCall, int | None]], nested: NestedCall) -> int | None:
    """The innermost of the children so far that encloses this one. All are on the slow call's stack."""
    for place in range(len(children) - 1, -1, -1):
        outer = children[place][0]
        if outer.frame > nested.frame and outer.start_ns <= nested.start_ns and nested.end_ns <= outer.end_ns:
            return place
    return None
