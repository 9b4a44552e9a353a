# SPDX-License-Identifier: Apache-2.0
"""Instructions of a function as places for probes: the entry block's, and how several ends at one place are one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from otel_jb.arch.instruction import Flow, Instruction, Price
from otel_jb.code.body import Body
from otel_jb.code.facts import Spot
from otel_jb.model.plan import FrameBase


def entry_spots(
    body: Body, first: int | None = None, arguments: tuple[int, ...] | None = None, *, below: bool = True
) -> tuple[Spot, ...]:
    """The instructions of the entry block where an entry probe may sit, in order, with what each has lost; none behind one that may take long.

    `first`: where that block begins, if not at the function's start. `arguments`: registers of the arguments, if not those of C.
    `below`: whether the kernel may write below the stack pointer.
    """
    machine = body.context.machine
    position = body.index[body.start] if first is None else first
    arguments = machine.ARGUMENTS if arguments is None else arguments
    if body.came_from[position] or position in body.table_targets:
        return ()
    found: list[Spot] = []
    written: set[int] = set()
    untouched_below = below
    loops_unknown = bool(body.indirect_inside) and not body.tables_resolved
    rules = {body.frame(body.instructions[jump].address) for jump in body.indirect_inside}
    while True:
        instruction = body.instructions[position]
        frame = body.frame(instruction.address)
        # A jump table that is not resolved may lead back to where the stack is as it is at its jump.
        exposed = loops_unknown and frame in rules
        # Linux 6.18 turns a probed 5-byte nop into a call, which writes its return address below the stack pointer.
        overwrites = instruction.price is Price.LONG_NOP and not untouched_below
        if frame is not None and body.context.takes_probe(instruction) and not exposed and not overwrites:
            clobbered = tuple(n for n, register in enumerate(arguments, 1) if register in written)
            untouched = (
                frame == (FrameBase.SP, 0) if body.context.image.machine.pushed else instruction.address == body.start
            )
            found.append(spot_at(body, instruction, frame, clobbered=clobbered, at_return=untouched))
        if instruction.flow is not Flow.NEXT or instruction.slow or not body.falls_through(position):
            break
        if body.came_from[position + 1] or position + 1 in body.table_targets:
            break
        written |= body.writes(instruction)
        untouched_below = untouched_below and machine.keeps_below_stack_pointer(instruction)
        position += 1
    if found and found[0].address == body.start and machine.landing_pad(body.instructions[body.index[body.start]]):
        found = found[1:] or found
    return tuple(found)


def spot_at(body: Body, instruction: Instruction, frame: tuple[FrameBase, int], **more: Any) -> Spot:
    """The spot of an instruction with this frame."""
    base, displacement = frame
    offset = body.context.image.offset(instruction.address)
    return Spot(instruction.address, offset, instruction.text, instruction.price, base.value, displacement, **more)


def merged(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    """Each way out once. Where both ways of a branch are ends with the return value in one place, it is an end without a condition."""
    found: dict[tuple[Any, ...], list[Spot]] = {}
    for spot in spots:
        same_place = found.setdefault((spot.address, spot.base, spot.displacement, spot.callers), [])
        for n, other in enumerate(same_place):
            one = _joined(other, spot)
            if one is not None:
                same_place[n] = one
                break
        else:
            same_place.append(spot)
    return tuple(spot for key in sorted(found, key=lambda k: (k[0], k[2], k[3])) for spot in found[key])


def _joined(one: Spot, other: Spot) -> Spot | None:
    """Both as one site; None where the kernel must tell them apart by their condition."""
    same_way = (one.condition, one.taken) == (other.condition, other.taken)
    returned = one.returned if one.returned == other.returned else None
    if not same_way:
        if one.condition is None or other.condition is None:
            pass  # one of them is always an end
        elif one.returned != other.returned:
            return None
    return dataclasses.replace(
        one,
        condition=one.condition if same_way else None,
        taken=one.taken if same_way else False,
        optional=one.optional and other.optional,
        returned=returned,
        looped=one.looped or other.looped,
        rare=one.rare and other.rare,
        writes=one.writes or other.writes,
    )
