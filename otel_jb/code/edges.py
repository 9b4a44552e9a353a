# SPDX-License-Identifier: Apache-2.0
"""Where the ends of a function's calls can be seen without a probe on every return instruction.

From every end (a `ret`, a tail call through memory) the walk goes back along all paths until each crosses a branch (or a nop) that the
kernel emulates. Behind it the code runs straight to that one end: no other branch, no call. So a crossing is an end, each call
crosses exactly one, and nothing depends on return addresses. A way that no branch leads into is seen where it comes out of a
call: by the ends of the function that is called (`otel_jb.code.called`), or by the call itself if that function's work is a moment's
(`otel_jb.code.brief`); or else by a single-stepped instruction of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from otel_jb.arch.instruction import CALLS, Flow, Price
from otel_jb.code import known
from otel_jb.code.body import Body
from otel_jb.model.dataclass import dataclass

MAX_STRAIGHT = 40  #: instructions between the last branch and the end, which are left out of the measured time


class Crossed(Enum):
    """What is crossed."""

    BRANCH = "an emulated branch or nop"
    CALL = "a call whose function's ends are known"
    BRIEF = "a call of a function that returns within a moment"
    LAST = "a call of a function that is known by name, which is left out of the time"
    STEP = "an instruction that is single-stepped"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A site by instruction index; `taken` is the way out of a BRANCH, None for an instruction that is always a way out."""

    index: int
    taken: bool | None = None
    kind: Crossed = Crossed.BRANCH
    rare: bool = False  #: only an error or an exception leads here


@dataclass(frozen=True, slots=True)
class Cut:
    """The crossings that lead to one end, or why there are none."""

    end: int
    crossings: tuple[Crossing, ...]
    refused: str = ""


Calls = Callable[[int], Crossed | None]  #: how a call, by its index, is seen to come back; None if it is not


def cut(body: Body, end: int, calls: Calls = lambda _: None) -> Cut:
    """The sites that see every arrival at the end with this index."""
    if body.indirect_inside and not body.tables_resolved:
        return Cut(end, (), "it has a jump table whose targets are not known")
    crossings: set[Crossing] = set()
    steps: dict[int, int] = {end: 1}
    queue = [end]
    while queue:
        here = queue.pop()
        instruction = body.instructions[here]
        if instruction.slow and not _clears_marks(body, here):
            return Cut(end, (), "a slow instruction lies between the last branch and an end")
        if instruction.address == body.start:
            return Cut(end, (), "an end is reached from the entry without an emulated branch")
        found = _ways_in(body, here, steps[here], calls)
        if isinstance(found, str):
            step = _stepped(body, here, end)
            if step is None:
                return Cut(end, (), found)
            crossings.add(step)
            continue
        crossings.update(found)
        before = here - 1
        covered = any(crossing.index == before and crossing.taken is not True for crossing in found)
        if _runs_into(body, here) and not covered and before not in steps:
            steps[before] = steps[here] + 1
            queue.append(before)
    return Cut(end, tuple(sorted(crossings, key=lambda c: (c.index, str(c.taken)))))


_MARKS = re.compile(r"lea rdi, \[r\w+ \+ 0x7fff8[0-9a-f]{3}\]$")
_CLEARING = 16  #: instructions between the address of the marks and their clearing


def _clears_marks(body: Body, here: int) -> bool:
    """Whether it clears AddressSanitizer's marks of the frame that ends, one byte for eight of it; they lie from 0x7fff8000 on."""
    if not body.instructions[here].text.startswith("rep stosq"):
        return False
    for before in range(here - 1, max(-1, here - _CLEARING), -1):
        if not body.falls_through(before) or body.came_from[before + 1]:
            return False
        if _MARKS.match(body.instructions[before].text):
            return True
    return False


def _runs_into(body: Body, here: int) -> bool:
    """Whether the instruction before this one leads to it without a branch."""
    before = here - 1
    return before >= 0 and body.falls_through(before) and not _padding(body, before)


def _ways_in(body: Body, here: int, steps: int, calls: Calls) -> set[Crossing] | str:
    """The crossings that lead to one instruction from anywhere but plain code before it; or why not all ways can be covered so."""
    if steps > MAX_STRAIGHT:
        return f"more than {MAX_STRAIGHT} instructions lie between the last branch and an end"
    if here in body.table_targets:
        return "an end is reached straight from a jump table"
    found: set[Crossing] = set()
    for source in body.came_from[here]:
        reason = _unsuitable(body, source)
        if reason:
            return reason
        found.add(Crossing(source, True if body.instructions[source].flow is Flow.BRANCH else None))
    if not _runs_into(body, here):
        if found:
            return found
        if body.may_land:
            return "an end is reached from a landing pad of an exception"
        return "an end is reached from code that nothing leads to"
    before = here - 1
    previous = body.instructions[before]
    if previous.flow in CALLS:
        kind = calls(before)
        if kind is None:
            return "an end is reached straight from a call"
        found.add(Crossing(before, kind=kind))
    elif previous.flow is Flow.BRANCH:
        reason = _unsuitable(body, before)
        if reason:
            return reason
        found.add(Crossing(before, False))
    elif previous.nop and previous.price is Price.EMULATED and body.frame(previous.address) is not None:
        found.add(Crossing(before))
    return found


def may_be_site(body: Body, index: int) -> bool:
    """Whether a probe there is harmless and cheap, and finds the frame."""
    instruction = body.instructions[index]
    harmless = body.context.takes_probe(instruction)
    return harmless and instruction.price is Price.EMULATED and body.frame(instruction.address) is not None


def _unsuitable(body: Body, index: int) -> str:
    """Why a branch cannot be the site."""
    instruction = body.instructions[index]
    if instruction.price is not Price.EMULATED:
        return "an end is reached by a branch that the kernel does not emulate"
    if instruction.flow is Flow.BRANCH and instruction.condition is None:
        return "the last branch before an end tests a register, not the flags"
    if body.frame(instruction.address) is None:
        return "the frame is not known at the last branch before an end"
    return ""


def _stepped(body: Body, here: int, end: int) -> Crossing | None:
    """An instruction that sees all ways into this one and no other: the last before further ways come in, where the frame is known."""
    if body.context.image.arch != "x86_64":
        return None  # AArch64's `ret` is cheaper than what is stepped
    found: int | None = None
    at = here
    while True:
        instruction = body.instructions[at]
        if instruction.slow:
            break
        if instruction.price is not Price.REFUSED and body.frame(instruction.address) is not None:
            found = at
        if at == end or not body.falls_through(at) or body.came_from[at + 1] or at + 1 in body.table_targets:
            break
        at += 1
    if found is None:
        return None
    return Crossing(found, kind=Crossed.STEP, rare=_is_rare(body, here))


def _is_rare(body: Body, here: int) -> bool:
    """Whether, as far as the code shows, only an error or an exception leads here."""
    if body.came_from[here]:
        return False
    address = body.instructions[here].address
    if not any(low <= body.start < high and low <= address < high for low, high in body.parts):
        return True  # compilers move what they take for unlikely to a part of its own
    if not _runs_into(body, here):
        return body.may_land and here not in body.table_targets
    target = body.instructions[here - 1].target
    return target is not None and known.makes_error(body.context.names.get(target, ""))


def _padding(body: Body, index: int) -> bool:
    """Whether the instruction is a nop that nothing reaches: compilers align targets of jumps with them."""
    while index >= 0 and body.instructions[index].nop and not body.came_from[index] and index not in body.table_targets:
        if index == 0 or body.instructions[index - 1].end != body.instructions[index].address:
            return False
        if not body.falls_through(index - 1):
            return True
        index -= 1
    return False


def cyclic(body: Body) -> frozenset[int]:
    """Instructions that lie on a cycle of the function's graph (Tarjan's components, without recursion)."""
    count = len(body.instructions)
    successors = [tuple(body.successors(i)) for i in range(count)]
    for jump in body.indirect_inside:
        successors[jump] += tuple(body.table_targets)
    number = [0] * count
    low = [0] * count
    on_stack = bytearray(count)
    stack: list[int] = []
    found: set[int] = set()
    clock = 0
    for root in range(count):
        if number[root]:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                clock += 1
                number[node] = low[node] = clock
                stack.append(node)
                on_stack[node] = 1
            descend = False
            for next_position in range(position, len(successors[node])):
                child = successors[node][next_position]
                if not number[child]:
                    work.append((node, next_position + 1))
                    work.append((child, 0))
                    descend = True
                    break
                if on_stack[child]:
                    low[node] = min(low[node], number[child])
            if descend:
                continue
            if low[node] == number[node]:
                component = []
                while True:
                    member = stack.pop()
                    on_stack[member] = 0
                    component.append(member)
                    if member == node:
                        break
                if len(component) > 1 or node in successors[node]:
                    found.update(component)
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[node])
    return frozenset(found)


def straight(body: Body, crossing: Crossing, end: int) -> list[int] | None:
    """The instructions that run between the crossing and the end; a stepped one is the first of them."""
    instruction = body.instructions[crossing.index]
    here = crossing.index + (crossing.kind is not Crossed.STEP)
    if instruction.flow is Flow.JUMP or crossing.taken:
        if instruction.target not in body.index:
            return None
        here = body.index[instruction.target]
    path: list[int] = []
    while here != end:
        instruction = body.instructions[here]
        if len(path) > 2 * MAX_STRAIGHT or (instruction.flow is not Flow.NEXT and instruction.flow is not Flow.JUMP):
            return None
        if instruction.flow is Flow.JUMP:
            if instruction.target not in body.index:
                return None
            here = body.index[instruction.target]
            continue
        if not body.falls_through(here):
            return None
        path.append(here)
        here += 1
    return path
