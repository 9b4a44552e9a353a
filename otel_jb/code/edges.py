"""Where the ends of a function's calls can be seen by probes on branches that the kernel emulates.

From every end (a `ret`, a tail call through memory) the walk goes back along all paths until each crosses an emulated branch (or a
nop). Behind such a branch the code runs straight to that one end: no other branch, no call. So a crossing is an end, each
call crosses exactly one, and nothing depends on return addresses. What the walk cannot show is refused with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from otel_jb.arch.instruction import CALLS, Flow, Price
from otel_jb.code.body import Body

MAX_STRAIGHT = 40  #: instructions between the last branch and the end, which are left out of the measured time

_BRANCHES = frozenset({Flow.JUMP, Flow.BRANCH})


@dataclass(frozen=True, slots=True)
class Crossing:
    """A site by instruction index; `taken` is the way out of a BRANCH, None for an instruction that is always a way out."""

    index: int
    taken: bool | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The crossings that lead to one end, or why there are none."""

    end: int
    crossings: tuple[Crossing, ...]
    refused: str = ""


def cut(body: Body, end: int, cyclic: frozenset[int]) -> Cut:
    """The sites that see every arrival at the end with this index."""
    if body.indirect_inside and not body.tables_resolved:
        return Cut(end, (), "it has a jump table whose targets are not known")
    crossings: set[Crossing] = set()
    steps: dict[int, int] = {end: 1}
    queue = [end]
    while queue:
        here = queue.pop()
        reason = _step_back(body, here, steps, queue, crossings)
        if reason:
            return Cut(end, (), reason)
    for crossing in crossings:
        reason = _unsuitable(body, crossing, cyclic)
        if reason:
            return Cut(end, (), reason)
    return Cut(end, tuple(sorted(crossings, key=lambda c: (c.index, str(c.taken)))))


def _step_back(body: Body, here: int, steps: dict[int, int], queue: list[int], crossings: set[Crossing]) -> str:
    """Follow the ways into one instruction; the reason where one of them cannot be covered."""
    instruction = body.instructions[here]
    if steps[here] > MAX_STRAIGHT:
        return f"more than {MAX_STRAIGHT} instructions lie between the last branch and an end"
    if instruction.slow:
        return "a slow instruction lies between the last branch and an end"
    if instruction.address == body.start:
        return "an end is reached from the entry without an emulated branch"
    sources = body.came_from[here]
    for source in sources:
        branch = body.instructions[source]
        if branch.price is not Price.EMULATED:
            return "an end is reached by a branch that the kernel does not emulate"
        crossings.add(Crossing(source, True if branch.flow is Flow.BRANCH else None))
    if here in body.table_targets:
        return "an end is reached straight from a jump table"
    before = here - 1
    if before < 0 or not body.falls_through(before) or _padding(body, before):
        if sources:
            return ""
        if body.may_land:
            return "an end is reached from a landing pad of an exception"
        return "an end is reached from code that nothing leads to"
    previous = body.instructions[before]
    if previous.flow in CALLS:
        return "an end is reached straight from a call"
    if previous.flow is Flow.BRANCH:
        if previous.price is not Price.EMULATED:
            return "an end is reached by a branch that the kernel does not emulate"
        crossings.add(Crossing(before, False))
        return ""
    if previous.nop and previous.price is Price.EMULATED:
        crossings.add(Crossing(before, None))
        return ""
    if before not in steps:
        steps[before] = steps[here] + 1
        queue.append(before)
    return ""


def _padding(body: Body, index: int) -> bool:
    """Whether the instruction is a nop that nothing reaches: compilers align targets of jumps with them."""
    while index >= 0 and body.instructions[index].nop and not body.came_from[index] and index not in body.table_targets:
        if index == 0 or body.instructions[index - 1].end != body.instructions[index].address:
            return False
        if not body.falls_through(index - 1):
            return True
        index -= 1
    return False


def _unsuitable(body: Body, crossing: Crossing, cyclic: frozenset[int]) -> str:
    instruction = body.instructions[crossing.index]
    if crossing.index in cyclic:
        return "the last branch before an end is inside a loop"
    if crossing.taken is not None and instruction.condition is None:
        return "the last branch before an end tests a register, not the flags"
    if body.frame(instruction.address) is None:
        return "the frame is not known at the last branch before an end"
    return ""


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


def return_source(body: Body, crossing: Crossing, end: int) -> int | None:
    """Number of the general register that holds at the crossing what is the return value at the end; None if none does."""
    path = _straight(body, crossing, end)
    if path is None:
        return None
    machine = body.context.machine
    wanted: int = machine.RETURN_REGISTER
    for position in reversed(path):
        instruction = body.instructions[position]
        if wanted not in body.writes(instruction):
            continue
        source: int | None = machine.copied_from(instruction, wanted)
        if source is None:
            return None
        wanted = source
    return wanted


def _straight(body: Body, crossing: Crossing, end: int) -> list[int] | None:
    """The instructions between the crossing and the end, neither included."""
    instruction = body.instructions[crossing.index]
    here = crossing.index + 1
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
