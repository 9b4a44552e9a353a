# SPDX-License-Identifier: Apache-2.0
"""What the code of a function offers to probes: entry sites, and the instructions at which its ends can be seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from otel_jb.arch.instruction import Price
from otel_jb.code.body import Context, UndecodableError, body_of
from otel_jb.code.calls import call_sites
from otel_jb.code.ends import FINDERS
from otel_jb.code.facts import FunctionCode, Spot
from otel_jb.code.go import examine_go, is_go
from otel_jb.code.reach import Program, examine_reach
from otel_jb.code.spots import entry_spots
from otel_jb.code.stack_pointer import foreign_load
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image


def analyse(
    image: Image,
    functions: Sequence[tuple[int, int]],
    names: Names,
    libraries: Sequence[tuple[Image, Names]] = (),
    *,
    thorough: bool = False,
    callees: Collection[int] = (),
) -> list[FunctionCode]:
    """Analyse functions given as (address, size; 0 = as `.eh_frame` says).

    `libraries`: the other files of the process, in the loader's order. What a function can reach is followed where its edges
    do not see all that a profile may need, or always if `thorough`. `callees`: addresses of functions whose calls are wanted as places.
    """
    program = Program(Context.of(image, names), libraries)
    found = []
    for address, size in functions:
        code = examine(program.main, address, size, callees)
        if is_go(image):
            found.append(examine_go(program.main, address, size, code))
            continue
        wanting = code.edges.refused or code.edges.note or not all(_is_cheap(spot) for spot in code.edges.spots)
        if not code.problem and not code.leaf and (wanting or thorough):
            code = dataclasses.replace(code, reach=examine_reach(program, address))
        found.append(code)
    return found


def _is_cheap(spot: Spot) -> bool:
    """Whether an end at this spot is cheap and yields the return value."""
    return spot.returned is not None and not spot.looped and (spot.rare or spot.price is Price.EMULATED)


def examine(context: Context, address: int, size: int, callees: Collection[int] = ()) -> FunctionCode:
    """Analyse one function; never raises, whatever its bytes are. `callees` as for `analyse`."""
    arch = context.image.arch
    try:
        body = body_of(context, address, size)
    except UndecodableError as reason:
        return FunctionCode(address, arch, size, f"not decodable: {reason}")
    position = body.index[address]
    first = body.instructions[position]
    entries = entry_spots(body)
    problem = ""
    if not entries and body.indirect_inside and not body.tables_resolved:
        problem = "a jump table may lead back to its first instruction, so its calls cannot be told from its loops"
    elif not entries and (body.came_from[position] or position in body.table_targets):
        problem = "it jumps back to its first instruction, so its calls cannot be told from its loops"
    elif not entries:
        problem = "no instruction of its entry can carry a probe"
    ends: dict[str, Any] = {name: find(body) for name, find in FINDERS.items()}
    code = FunctionCode(
        address,
        arch,
        size=sum(high - low for low, high in body.parts),
        problem=problem,
        first=first.text,
        first_price=first.price,
        entries=entries,
        # One that switches stacks itself, as swapcontext does, calls nothing either.
        leaf=not body.calls and not body.exits and not body.unclear and foreign_load(body) is None,
        recursive=any(call.target == address for call in body.calls),
        calls=call_sites(body, callees),
        **ends,
    )
    return dataclasses.replace(code, returns=bool(code.rets.spots or code.rets.refused))
