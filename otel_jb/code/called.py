# SPDX-License-Identifier: Apache-2.0
"""Ends that come straight after a call: the ends of the function that is called are the caller's too, where it was called from there.

Nothing is probed at the call. How far the callee's frame lies below the caller's is known from the code, so an end of the callee
finds the caller's call by that distance; and the return address, just above the callee's frame, says whether it was called from
that very place. So neither other callers nor other calls of the same caller are taken for it, and what an exception leaves behind
is found as it always is.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from otel_jb.arch import x86_64 as x86
from otel_jb.arch.instruction import Flow, Instruction, Price
from otel_jb.code import known, values
from otel_jb.code.body import Body, Context
from otel_jb.code.facts import Spot
from otel_jb.code.values import State
from otel_jb.model.plan import FrameBase

MOST_CALLERS = 16  #: of a function whose ends are probed for one of them: the others pay for it
_MOST_CODE = 64 << 20
_CALL = re.compile(rb"\xe8(?=...[\x00\xff])", re.DOTALL)  #: with a distance of less than 16 MiB


def name_of(body: Body, call: Instruction) -> str:
    """The called function's name without its version; "" if it has none, or the call goes through a pointer."""
    return known.plain(body.context.names.get(call.target, "")) if call.target is not None else ""


def can_follow(body: Body, call: Instruction) -> str:
    """Why the callee cannot lend its ends; "" if nothing here forbids it."""
    context = body.context
    if context.image.arch != "x86_64":
        return "a return address is kept in a register"
    if call.flow is not Flow.CALL or call.target is None or call.price is not Price.EMULATED:
        return "it calls through a pointer at its end"
    name = known.plain(context.names.get(call.target, ""))
    if context.in_plt(call.target):
        return f"it calls {name or 'another file'} at its end"
    if known.is_generic(name) or known.makes_error(name) or callers(context)[call.target] > MOST_CALLERS:
        return f"it calls {name or hex(call.target)} at its end, which much else calls"
    if depth_at(body, call) is None:
        return "how deep its stack is at its last call is not known"
    return ""


def callers(context: Context) -> Counter[int]:
    """How many direct calls the file has, by their target. Bytes that look like a call count too, which does no harm."""
    if context.callers is None:
        found: Counter[int] = Counter()
        for low, high in context.image.executable_ranges:
            data = context.image.read(low, min(high - low, _MOST_CODE))
            places = [match.start() for match in _CALL.finditer(data)]
            found.update(low + at + 5 + int.from_bytes(data[at + 1 : at + 5], "little", signed=True) for at in places)
        context.callers = found
    return context.callers


def depth_at(body: Body, instruction: Instruction) -> int | None:
    """How far the frame is above the stack pointer before the instruction, in bytes; None if it varies or is unknown."""
    frame = body.frame(instruction.address)
    if frame is not None and frame[0] is FrameBase.SP:
        return frame[1]
    found = depths(body)[body.index[instruction.address]]
    return None if found is None else -found


def depths(body: Body) -> list[int | None]:
    """By instruction: the stack pointer's offset from the frame before it, as far as every path to it agrees."""
    if body.stack_depths is None:
        body.stack_depths = _follow_stack(body)
    return body.stack_depths


_MOVES = re.compile(r"[sb]p|push|pop|leave|enter|xchg|cpuid|popf")  #: in the text of whatever may change either pointer
_Pointers = tuple[int | None, int | None]  #: offsets of the stack and frame pointer from the frame


def _follow_stack(body: Body) -> list[int | None]:
    known_at: list[_Pointers | None] = [None] * len(body.instructions)
    if body.indirect_inside and not body.tables_resolved:
        return [None] * len(body.instructions)
    first = body.index[body.start]
    known_at[first] = (0, None)
    queue = [first]
    while queue:
        here = queue.pop()
        before = known_at[here]
        assert before is not None
        after = _moved(body, body.instructions[here], before)
        following = [*body.successors(here), *(body.table_targets if here in body.indirect_inside else ())]
        for each in following:
            there = known_at[each]
            if there is None:
                joined: _Pointers = after
            else:
                joined = (there[0] if there[0] == after[0] else None, there[1] if there[1] == after[1] else None)
            if joined != there:
                known_at[each] = joined
                queue.append(each)
    return [None if each is None else each[0] for each in known_at]


def _moved(body: Body, instruction: Instruction, before: _Pointers) -> _Pointers:
    """The pointers behind an instruction."""
    if instruction.flow is not Flow.NEXT:
        return before  # a call that returns leaves both as they were
    stack, frame = before
    if not _MOVES.search(instruction.text):
        return before
    state = State([None] * 16, values.NOTHING_KNOWN)
    for number, offset in ((x86.STACK, stack), (x86.FRAME, frame)):
        state.registers[number] = None if offset is None else values.Value(values.Kind.ADDRESS, offset)
    values.run(state, [(body.raw(instruction), instruction.address)])
    found = [state.registers[number] for number in (x86.STACK, x86.FRAME)]
    stack, frame = (each.number if each is not None and each.kind is values.Kind.ADDRESS else None for each in found)
    return stack, frame


def lent(body: Body, call: Instruction, spot: Spot) -> Spot:
    """An end of the called function as an end of the caller."""
    depth = depth_at(body, call)
    assert depth is not None  # `can_follow` has asked
    above = depth + 8  # of the caller's frame over the callee's, which is where the call puts its return address
    own = (-above, call.end - spot.address)
    further = tuple((offset - above, distance) for offset, distance in spot.callers)
    return replace(spot, displacement=spot.displacement + above, optional=True, callers=(*further, own))


def after_call(body: Body, call: Instruction, state: State, words: values.Words) -> State:
    """What holds in the caller behind the call, from what held at the return of the called function."""
    depth = depth_at(body, call)
    assert depth is not None
    found = state.moved(depth + 8, words)
    found.registers[x86.STACK] = values.Value(values.Kind.ADDRESS, -depth)
    frame = body.frame(call.address)
    if frame is not None and frame[0] is FrameBase.FP:
        found.registers[x86.FRAME] = values.Value(values.Kind.ADDRESS, -frame[1])
    return found
