"""What the code of a function offers to probes: entry sites, and the instructions at which its ends can be seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from otel_jb.arch.instruction import Flow, Instruction, Price
from otel_jb.code import edges, known
from otel_jb.code.body import Body, Context, Exit, UndecodableError, body_of
from otel_jb.code.facts import Ends, FunctionCode, Reach, Spot
from otel_jb.code.reach import Program, examine_reach
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.model.plan import IN_RESULT, FrameBase, Origin, ReturnPlace

MAX_TAIL_DEPTH = 3
MAX_FOLLOWED_SITES = 24  #: end sites taken over from tail-called functions


def analyse(
    image: Image,
    functions: Sequence[tuple[int, int]],
    names: Names,
    libraries: Sequence[tuple[Image, Names]] = (),
    *,
    thorough: bool = False,
) -> list[FunctionCode]:
    """Analyse functions given as (address, size; 0 = as `.eh_frame` says).

    `libraries`: the other files of the process, in the loader's order. What a function can reach is followed where its edges
    do not see all that a profile may need, or always if `thorough`.
    """
    program = Program(Context.of(image, names), libraries)
    found = []
    for address, size in functions:
        code = examine(program.main, address, size)
        if is_go(image):
            # Goroutines' stacks are copied when they grow or shrink, at any instruction, with all return addresses read.
            moves = Reach(False, "it is Go code, whose runtime moves stacks", kills=True)
            found.append(dataclasses.replace(code, leaf=False, reach=moves))
            continue
        wanting = (
            code.edges.refused or code.edges.note or not all(spot.returned == IN_RESULT for spot in code.edges.spots)
        )
        if not code.problem and not code.leaf and (wanting or thorough):
            code = dataclasses.replace(code, reach=examine_reach(program, address))
        found.append(code)
    return found


def is_go(image: Image) -> bool:
    """Whether a Go compiler made the file."""
    return image.section(".gopclntab") is not None or image.section(".note.go.buildid") is not None


def examine(context: Context, address: int, size: int) -> FunctionCode:
    """Analyse one function; never raises for what its bytes hold."""
    arch = context.image.arch
    try:
        body = body_of(context, address, size)
    except UndecodableError as reason:
        return FunctionCode(address, arch, size, f"not decodable: {reason}")
    first = body.instructions[body.index[address]]
    entries = entry_spots(body)
    problem = ""
    if not entries and body.indirect_inside and not body.tables_resolved:
        problem = "a jump table may lead back to its first instruction, so its calls cannot be told from its loops"
    elif not entries:
        problem = "it jumps back to its first instruction, so its calls cannot be told from its loops"
    rets = ret_ends(body)
    return FunctionCode(
        address,
        arch,
        sum(high - low for low, high in body.parts),
        problem,
        first.text,
        first.price,
        entries,
        edge_ends(body),
        rets,
        not body.calls and not body.exits and not body.unclear,
        any(call.target == address for call in body.calls),
        bool(rets.spots or rets.refused),
    )


def entry_spots(body: Body) -> tuple[Spot, ...]:
    """The instructions of the entry block where an entry probe may sit, in order, with what each has lost."""
    machine = body.context.machine
    position = body.index[body.start]
    if body.came_from[position] or position in body.table_targets:
        return ()
    found: list[Spot] = []
    written: set[int] = set()
    untouched_below = True
    loops_unknown = bool(body.indirect_inside) and not body.tables_resolved
    rules = {body.frame(body.instructions[jump].address) for jump in body.indirect_inside}
    while True:
        instruction = body.instructions[position]
        frame = body.frame(instruction.address)
        # A jump table that is not resolved may lead back to where the stack is as it is at its jump.
        exposed = loops_unknown and frame in rules
        # Linux 6.18 turns a probed 5-byte nop into a call, which writes its return address below the stack pointer.
        overwrites = instruction.price is Price.LONG_NOP and not untouched_below
        if frame is not None and instruction.price is not Price.REFUSED and not exposed and not overwrites:
            clobbered = tuple(n for n, register in enumerate(machine.ARGUMENTS, 1) if register in written)
            untouched = (
                frame == (FrameBase.SP, 0) if body.context.image.arch == "x86_64" else instruction.address == body.start
            )
            found.append(_spot(body, instruction, frame, clobbered=clobbered, at_return=untouched))
        if instruction.flow is not Flow.NEXT or not body.falls_through(position):
            break
        if body.came_from[position + 1] or position + 1 in body.table_targets:
            break
        written |= body.writes(instruction)
        untouched_below = untouched_below and machine.keeps_below_stack_pointer(instruction)
        position += 1
    if found and found[0].address == body.start and machine.landing_pad(body.instructions[body.index[body.start]]):
        found = found[1:] or found
    return tuple(found)


def _spot(body: Body, instruction: Instruction, frame: tuple[FrameBase, int], **more: Any) -> Spot:
    base, displacement = frame
    offset = body.context.image.offset(instruction.address)
    return Spot(instruction.address, offset, instruction.text, instruction.price, base.value, displacement, **more)


# -- ends ----------------------------------------------------------------------------------------------------------


def ret_ends(body: Body, depth: int = 0) -> Ends:
    """A probe on every `ret`, on every tail call that cannot be followed, and on the ends of those that can."""
    spots = [
        _spot(body, instruction, (FrameBase.SP, 0), ret=True)
        for instruction in body.instructions
        if instruction.flow is Flow.RETURN
    ]
    if body.unclear:
        return Ends(refused=body.unclear)
    if any(spot.price is Price.REFUSED for spot in spots):
        return Ends(refused="a return instruction takes no probe (pointer authentication)")
    followed, note, refused = _tails(body, depth, prefer_edges=False)
    if refused:
        return Ends(refused=refused)
    return Ends(_merge([*spots, *followed]), "", note)


def edge_ends(body: Body, depth: int = 0) -> Ends:
    """Emulated branches that every way out crosses."""
    if body.unclear:
        return Ends(refused=body.unclear)
    if not body.described:
        return Ends(refused="there is no call frame information to find the frame by")
    ends = [n for n, instruction in enumerate(body.instructions) if instruction.flow is Flow.RETURN]
    ends += [exit_.index for exit_ in body.exits if exit_.target is None]
    cycles = edges.cyclic(body)
    spots: list[Spot] = []
    for end in ends:
        found = edges.cut(body, end, cycles)
        if found.refused:
            return Ends(refused=found.refused)
        indirect = body.instructions[end].flow is Flow.INDIRECT_JUMP
        spots += [crossing_spot(body, crossing, end, indirect) for crossing in found.crossings]
    followed, note, refused = _tails(body, depth, prefer_edges=True)
    if refused:
        return Ends(refused=refused)
    for exit_ in body.exits:
        if exit_.index in cycles and body.instructions[exit_.index].flow is Flow.BRANCH:
            return Ends(refused="a conditional tail call is inside a loop")
    return Ends(_merge([*spots, *followed]), "", note)


def crossing_spot(body: Body, crossing: edges.Crossing, end: int, indirect: bool) -> Spot:
    """The site of a crossing that leads to the end with this index."""
    instruction = body.instructions[crossing.index]
    frame = body.frame(instruction.address)
    assert frame is not None  # edges.cut refuses sites without one
    source = None if indirect else edges.return_source(body, crossing, end)
    place = None if source is None else ReturnPlace(Origin.REGISTER, source)
    return _spot(
        body,
        instruction,
        frame,
        condition=instruction.condition if crossing.taken is not None else None,
        taken=bool(crossing.taken),
        returned=IN_RESULT if source == body.context.machine.RETURN_REGISTER else place,
    )


def _tails(body: Body, depth: int, prefer_edges: bool) -> tuple[list[Spot], str, str]:
    """(end sites, note, refusal) for the tail calls: those of the called function, or the jump where it is elsewhere."""
    spots: list[Spot] = []
    notes: list[str] = []
    for exit_ in body.exits:
        instruction = body.instructions[exit_.index]
        if exit_.target is None:
            notes.append("a call through a pointer at its end")
            if not prefer_edges:
                spots.append(_spot(body, instruction, body.frame(instruction.address) or (FrameBase.SP, 0),
                                   returned=None))  # fmt: skip
            continue
        name = known.plain(body.context.names.get(exit_.target, ""))
        if known.never_returns(name):
            continue
        if body.context.in_plt(exit_.target) or known.is_generic(name):
            if instruction.flow is Flow.BRANCH and instruction.condition is None:
                return [], "", "a tail call depends on a register, not the flags"
            notes.append(f"the call of {name or 'another file'} at its end")
            spots.append(_jump_spot(body, exit_))
            continue
        try:
            target = body_of(body.context, exit_.target, 0)
        except UndecodableError as reason:
            return [], "", f"it tail-calls {name or hex(exit_.target)}, which is not decodable: {reason}"
        if exit_.target == body.start or depth >= MAX_TAIL_DEPTH:
            return [], "", "it tail-calls too deep"
        ends = edge_ends(target, depth + 1) if prefer_edges else ret_ends(target, depth + 1)
        if ends.refused:
            return [], "", f"it tail-calls {name or hex(exit_.target)}: {ends.refused}"
        spots += [dataclasses.replace(spot, optional=True) for spot in ends.spots]
        if ends.note:
            notes.append(ends.note)
    if len(spots) > MAX_FOLLOWED_SITES:
        return [], "", "its tail calls have too many ends"
    return spots, "; ".join(dict.fromkeys(notes)), ""


def _jump_spot(body: Body, exit_: Exit) -> Spot:
    instruction = body.instructions[exit_.index]
    branch = instruction.flow is Flow.BRANCH
    frame = body.frame(instruction.address) or (FrameBase.SP, 0)
    return _spot(
        body,
        instruction,
        frame,
        condition=instruction.condition if branch else None,
        taken=branch,
        returned=None,
    )


def _merge(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """One spot an address: where both ways of a branch are ends, the branch is an end without a condition."""
    found: dict[int, Spot] = {}
    for spot in spots:
        other = found.get(spot.address)
        if other is None:
            found[spot.address] = spot
            continue
        both = other.condition is None or spot.condition is None or other.taken != spot.taken
        found[spot.address] = dataclasses.replace(
            other,
            condition=None if both else other.condition,
            taken=False if both else other.taken,
            optional=other.optional and spot.optional,
            returned=other.returned if other.returned == spot.returned else None,
        )
    return tuple(found[address] for address in sorted(found))
