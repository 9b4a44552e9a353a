# SPDX-License-Identifier: Apache-2.0
"""What Go code offers to probes: an entry behind the stack check, and the return instructions.

Goroutines' stacks grow by being copied, at any call and whenever a collection shrinks them, and a goroutine may go on in another thread. So
neither a return address nor an address on the stack says which call is which; the goroutine does, which Go's calling convention for
registers keeps in one (`src/cmd/compile/abi-internal.md`). A function whose stack is too small for it has the stack grown and begins
once more: its first instructions run twice in such a call, those behind the check once.
"""

from __future__ import annotations

import re
from dataclasses import replace

from otel_jb.arch.instruction import CALLS, Flow
from otel_jb.code.body import Body, Context, UndecodableError, body_of
from otel_jb.code.ends import ret_ends
from otel_jb.code.facts import Ends, FunctionCode, Reach
from otel_jb.code.spots import entry_spots
from otel_jb.elf import gopclntab
from otel_jb.elf.gopclntab import GoFrames
from otel_jb.elf.image import Image

#: Goroutines' stacks are copied when they grow or shrink, with all return addresses read.
MOVES = Reach(False, "it is Go code, whose runtime moves stacks", kills=True)
_EDGES = Ends(refused="it is Go code, whose ends are seen at its return instructions alone")
_OLD = "its table of Go functions is older than Go 1.16 or cannot be read"

#: Reads of the goroutine's `stackguard0` or `stackguard1`, 16 and 24 bytes from its beginning.
_GUARD = {
    "x86_64": re.compile(r"cmp r\w+, .*\[r14 \+ 0x1[08]\]$"),
    "aarch64": re.compile(r"ldr x16, \[x28, #0x1[08]\]$"),
}
_LONGEST_CHECK = 10  #: instructions


def is_go(image: Image) -> bool:
    """Whether a Go compiler made the file."""
    return gopclntab.section(image) is not None or image.section(".note.go.buildid") is not None


def examine_go(context: Context, address: int, size: int, found: FunctionCode) -> FunctionCode:
    """The same function of a file made by a Go compiler, as Go code if it is; `found` holds for any other."""
    other = replace(found, leaf=False, reach=MOVES)
    frames = context.frames
    if not isinstance(frames, GoFrames):
        return replace(other, problem=other.problem or _OLD) if frames.at(address) is None else other
    if frames.table.number(address) is None:
        return other  # C code that is linked in
    code = replace(other, goroutine=True, edges=_EDGES, problem="", entries=())
    try:
        if frames.table.is_assembly(address):
            return replace(
                code, problem="it is written in Go's assembly, which need not keep its goroutine in a register"
            )
        body = body_of(context, address, size)
    except (UndecodableError, IndexError) as reason:
        return replace(code, problem=f"not decodable: {reason}")
    first = body.index[address]
    behind = _behind_check(body)
    if behind is None and not frames.table.register_abi:
        return replace(code, problem="it does not keep its goroutine in a register, as Go does since 1.17")
    if behind is None and body.came_from[first]:
        return replace(
            code, problem="it jumps back to its first instruction, so its calls cannot be told from its loops"
        )
    entries = entry_spots(body, first if behind is None else behind, context.machine.GO_ARGUMENTS, below=False)
    return replace(
        code, entries=entries, rets=ret_ends(body), problem="" if entries else "a jump leads to where its entry is"
    )


def _behind_check(body: Body) -> int | None:
    """The first instruction that a call runs exactly once: behind the check of the stack's size; None where there is no such check.

    All jumps to the function's start must come from where the stack is grown.
    """
    first = position = body.index[body.start]
    guard, seen = _GUARD[body.context.image.arch], False
    for position in range(first, min(first + _LONGEST_CHECK, len(body.instructions) - 1)):
        instruction = body.instructions[position]
        seen = seen or guard.match(instruction.text) is not None
        if instruction.flow is Flow.BRANCH and seen:
            break
        if instruction.flow not in (Flow.NEXT, Flow.BRANCH) or (position > first and body.came_from[position]):
            return None
    else:
        return None
    growing = body.index.get(body.instructions[position].target or 0)
    if growing is None or body.came_from[first] != [_end_of_growing(body, growing)]:
        return None
    return position + 1


def _end_of_growing(body: Body, position: int) -> int | None:
    """The jump at the end of a straight line of code that calls once."""
    calls = 0
    while position < len(body.instructions):
        instruction = body.instructions[position]
        calls += instruction.flow in CALLS
        if instruction.flow is Flow.JUMP:
            return position if calls == 1 else None
        if not body.falls_through(position):
            return None
        position += 1
    return None
