# SPDX-License-Identifier: Apache-2.0
"""A function as a graph of instructions: its `.cold` parts included, every byte decoded, every way in and out classified."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import ModuleType

from otel_jb.arch.decoders import decoder
from otel_jb.arch.instruction import CALLS, FALLS_THROUGH, Flow, Instruction, Price
from otel_jb.code import jump_tables, known
from otel_jb.elf import gopclntab
from otel_jb.elf.image import Image
from otel_jb.elf.properties import allows_shadow_stack
from otel_jb.elf.symbols import is_cold
from otel_jb.elf.unwind_tables import Frame, Frames, Row
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError
from otel_jb.model.plan import FrameBase

MAX_BYTES = 1 << 20  #: of one function; the largest known decoder is 300 KB
MAX_PARTS = 8
MAX_INSTRUCTIONS = 100_000


_CELL = re.compile(r"qword ptr \[rip ([+-]) (0x[0-9a-f]+|\d)\]$")


_EPILOGUE = re.compile(r"pop r\w+$|add rsp, |leave$|ldp .*\[sp\], #|add sp, sp, #")


_MOVES_STACK = re.compile(r"(push|pop)\w* |pushfq?$|popfq?$|(add|sub) rsp, (-?)(0x[0-9a-f]+|\d+)$")
_TAKES_STACK_BACK = re.compile(r"leave$|mov rsp, rbp$|lea rsp, \[rbp ")


class UndecodableError(Exception):
    """The function cannot be analysed; the message is the reason that people read."""


@dataclass(slots=True)
class Context:
    """One image with everything that the analysis needs; all its functions share the caches."""

    image: Image
    names: Mapping[int, str]  #: names of addresses that matter: PLT stubs, parts, functions known by name
    frames: Frames
    plt: tuple[tuple[int, int], ...]
    machine: ModuleType
    shadow_stack: bool = False  #: a process of the file may have one: see `takes_probe`
    bodies: dict[int, Body | UndecodableError] = field(default_factory=dict)
    callers: Counter[int] | None = None  #: see `called.callers`

    @classmethod
    def of(cls, image: Image, names: Mapping[int, str]) -> Context:
        """Prepare an image."""
        sections = (image.section(name) for name in (".plt", ".plt.sec", ".plt.got", ".iplt"))
        plt = tuple((s.address, s.address + s.size) for s in sections if s is not None)
        table = gopclntab.read(image)
        frames = Frames(image) if table is None else gopclntab.GoFrames(image, table)
        return cls(image, names, frames, plt, decoder(image.arch), allows_shadow_stack(image))

    def in_plt(self, address: int) -> bool:
        """Whether the address is a stub that jumps to another file."""
        return any(start <= address < end for start, end in self.plt)

    def takes_probe(self, instruction: Instruction) -> bool:
        """Whether the kernel takes a probe there and the target outlives it, in whatever process the file is.

        No call where there may be a user shadow stack: the kernel that makes the call in the probe's place may not write the return
        address to that. The file's notes decide, because links may be for all of its processes, also for those that nobody looked at.
        """
        return instruction.price is not Price.REFUSED and not (self.shadow_stack and instruction.flow in CALLS)

    def cell_name(self, instruction: Instruction) -> str:
        """The imported function that an indirect call or jump through a constant cell reaches (`-fno-plt`); "" if none."""
        match = _CELL.search(instruction.text)
        cells: Mapping[int, str] = getattr(self.names, "cells", {})
        if match is None:
            return ""
        distance = int(match[2], 16) * (-1 if match[1] == "-" else 1)
        return known.plain(cells.get(instruction.end + distance, ""))

    def entry_rule(self) -> tuple[int, int]:
        """(DWARF register, offset) of the CFA at the first instruction of any function."""
        return self.image.machine.stack_pointer, self.image.machine.pushed

    def frame_rule(self, row: Row | None) -> tuple[FrameBase, int] | None:
        """(base, offset) of the frame by a row: CFA - 8 on x86-64, the CFA on AArch64."""
        if row is None:
            return None
        machine = self.image.machine
        if row.register == machine.stack_pointer:
            return FrameBase.SP, row.offset - machine.pushed
        if row.register == machine.frame_pointer:
            return FrameBase.FP, row.offset - machine.pushed
        return None


@dataclass(frozen=True, slots=True)
class Exit:
    """A jump out of the function. `target` None: through a register or memory."""

    index: int
    target: int | None


@dataclass(slots=True)
class Body:
    """The instructions of one function in address order, and how they hang together."""

    context: Context
    start: int
    parts: tuple[tuple[int, int], ...]
    instructions: list[Instruction]
    index: dict[int, int]
    came_from: list[list[int]]  #: by instruction: the branches that lead to it
    exits: list[Exit]  #: tail calls
    unclear: str  #: why an indirect or outward jump could not be classified; "" if all were
    indirect_inside: list[int]  #: jump-table jumps
    table_targets: frozenset[int]  #: instructions that jump tables lead to
    tables_resolved: bool  #: `table_targets` is complete
    may_land: bool  #: the unwinder may enter at a landing pad
    described: bool  #: `.eh_frame` covers every part, and its first rule is that of a function's entry
    stack_depths: list[int | None] | None = None  #: see `called.depths`
    misdescribed: frozenset[int] | None = None  #: addresses where the CFA's rule contradicts the code, see `frame`
    lowest_taken: int | None = None  #: see `private.words`
    argument_words: frozenset[int] | None = None  #: likewise

    def row(self, address: int) -> Row | None:
        """The CFA's rule before the instruction at `address`."""
        try:
            frame = self.context.frames.at(address)
        except ElfError:
            return None
        return frame.row(address) if frame is not None else None

    def frame(self, address: int) -> tuple[FrameBase, int] | None:
        """(base, offset) of the frame before the instruction at `address`; None where it is not known.

        Assembly inside a function may push without saying so: there the rule is wrong, as the pushes tell.
        """
        if address == self.start:
            return FrameBase.SP, 0
        found = self.context.frame_rule(self.row(address)) if self.described else None
        if found is None or found[0] is not FrameBase.SP:
            return found
        if self.misdescribed is None:
            self.misdescribed = _misdescribed(self)
        return None if address in self.misdescribed else found

    def raw(self, instruction: Instruction) -> bytes:
        """The instruction's bytes."""
        return self.context.image.read(instruction.address, instruction.size)

    def writes(self, instruction: Instruction) -> frozenset[int]:
        """General registers that the instruction may change."""
        found: frozenset[int] = self.context.machine.writes(self.raw(instruction), instruction.address)
        return found

    def never_returns(self, instruction: Instruction) -> bool:
        """Whether it is a call of a function that is known not to return."""
        if instruction.flow is not Flow.CALL or instruction.target is None:
            return False
        return known.never_returns(self.context.names.get(instruction.target, ""))

    def falls_through(self, index: int) -> bool:
        """Whether the instruction behind is reached from this one without a branch."""
        instruction = self.instructions[index]
        if instruction.flow not in FALLS_THROUGH or self.never_returns(instruction):
            return False
        return index + 1 < len(self.instructions) and self.instructions[index + 1].address == instruction.end

    def successors(self, index: int) -> Iterable[int]:
        """Instructions of the function that may run next (jump tables are not resolved)."""
        if self.falls_through(index):
            yield index + 1
        target = self.instructions[index].target
        if target is not None and self.instructions[index].flow in (Flow.JUMP, Flow.BRANCH) and target in self.index:
            yield self.index[target]

    @property
    def calls(self) -> list[Instruction]:
        """Every call, direct or not."""
        return [instruction for instruction in self.instructions if instruction.flow in CALLS]


def body_of(context: Context, start: int, size: int) -> Body:
    """Decode the function at `start` (`size` 0: as `.eh_frame` says). UndecodableError where that fails."""
    if start not in context.bodies:
        try:
            context.bodies[start] = _build(context, start, size)
        except UndecodableError as reason:
            context.bodies[start] = reason
        except ElfError as error:
            context.bodies[start] = UndecodableError(error.message)
    found = context.bodies[start]
    if isinstance(found, UndecodableError):
        raise found
    return found


def _build(context: Context, start: int, size: int) -> Body:
    frame = _frame_at(context, start)
    end = frame.end if frame is not None and frame.start == start else start + size
    if size and frame is not None and frame.start == start and end != start + size:
        end = max(end, start + size)
    if end <= start:
        raise UndecodableError("its size is unknown: the symbol has none and .eh_frame does not describe it")
    parts = [(start, end)]
    instructions = _decode(context, start, end)
    exits: list[Instruction] = []
    unclear = ""
    queue = list(instructions)
    while queue:
        instruction = queue.pop()
        if instruction.flow not in (Flow.JUMP, Flow.BRANCH) or instruction.target is None:
            continue
        target = instruction.target
        if any(low <= target < high for low, high in parts):
            continue
        kind = _outward(context, instruction, target)
        if kind == "tail":
            exits.append(instruction)
        elif isinstance(kind, Frame):
            if len(parts) >= MAX_PARTS:
                raise UndecodableError("it has too many parts")
            parts.append((kind.start, kind.end))
            more = _decode(context, kind.start, kind.end)
            instructions += more
            queue += more
        else:
            unclear = unclear or kind
    instructions.sort(key=lambda i: i.address)
    index = {instruction.address: position for position, instruction in enumerate(instructions)}
    came_from: list[list[int]] = [[] for _ in instructions]
    for position, instruction in enumerate(instructions):
        if instruction.flow in (Flow.JUMP, Flow.BRANCH) and instruction.target is not None:
            if instruction.target in index:
                came_from[index[instruction.target]].append(position)
            elif any(low <= instruction.target < high for low, high in parts):
                raise UndecodableError(f"a jump at {instruction.address:#x} leads into the middle of an instruction")
    body = Body(
        context,
        start,
        tuple(sorted(parts)),
        instructions,
        index,
        came_from,
        [],
        unclear,
        [],
        frozenset(),
        False,
        False,
        False,
    )
    body.may_land = any(f is not None and f.lsda is not None for f in (_frame_at(context, low) for low, _ in parts))
    first = body.row(start)
    body.described = first is not None and (first.register, first.offset) == context.entry_rule()
    body.exits = [Exit(index[i.address], i.target) for i in exits]
    body.unclear = body.unclear or _runs_on(body)
    for position, instruction in enumerate(instructions):
        if instruction.flow is Flow.INDIRECT_JUMP:
            _classify_indirect(body, position)
    if body.indirect_inside and context.image.machine.derives_frames:
        body.table_targets = jump_tables.targets(context.image, instructions, index)
        body.tables_resolved = bool(body.table_targets)
    return body


def _frame_at(context: Context, address: int) -> Frame | None:
    try:
        return context.frames.at(address)
    except ElfError:
        return None


def _decode(context: Context, start: int, end: int) -> list[Instruction]:
    if end - start > MAX_BYTES:
        raise UndecodableError(f"it is larger than {MAX_BYTES >> 10} KiB")
    instructions, done = context.machine.decode(context.image.read(start, end - start), start)
    if done < end - start:
        raise UndecodableError(f"the bytes at {start + done:#x} are no instruction")
    if len(instructions) > MAX_INSTRUCTIONS:
        raise UndecodableError(f"it has more than {MAX_INSTRUCTIONS} instructions")
    found: list[Instruction] = instructions
    return found


def _outward(context: Context, instruction: Instruction, target: int) -> str | Frame:
    """What a direct jump out of the function is: "tail", the frame of a part of the function, or why it is unclear."""
    if context.in_plt(target):
        return "tail"
    there = _frame_at(context, target)
    here = _frame_at(context, instruction.address)
    row = here.row(instruction.address) if here is not None else None
    name = context.names.get(target, "")
    own_part = is_cold(name) or name.endswith(".part")
    if there is None or row is None:
        if name and not own_part:
            return "tail"
        return f"the jump at {instruction.address:#x} leads to code without a frame description"
    arrival = there.row(target)
    if arrival is None or (arrival.register, arrival.offset) != (row.register, row.offset):
        return f"the jump at {instruction.address:#x} leads to code with another stack frame"
    at_entry = (row.register, row.offset) == context.entry_rule()
    if at_entry and target == there.start and not own_part:
        return "tail"
    return there


def _runs_on(body: Body) -> str:
    """Why control may leave a part by its last byte; "" if it cannot. A call there is one that never returns."""
    for _, end in body.parts:
        last = bisect_left(body.instructions, end, key=lambda instruction: instruction.address) - 1
        while last > 0 and body.instructions[last].nop and not body.came_from[last]:
            last -= 1
        if body.instructions[last].flow in (Flow.NEXT, Flow.BRANCH):
            return f"it runs on into what follows it at {end:#x}"
    return ""


def _misdescribed(body: Body) -> frozenset[int]:
    """Addresses at which the stack pointer is not where the CFA's rule says, or nobody knows whether it is."""
    if not body.context.image.machine.derives_frames:
        return frozenset()
    wrong = {n: by for n, each in enumerate(body.instructions) if (by := _unsaid(body, n, each))}
    if not wrong:
        return frozenset()
    first = body.index[body.start]
    off: dict[int, int | None] = {first: 0}  # how far the stack pointer is from where the rule says; None: paths differ
    queue = [first]
    while queue:
        here = queue.pop()
        before = off[here]
        after = 0 if _TAKES_STACK_BACK.match(body.instructions[here].text) else None
        if after is None and before is not None:
            after = before + wrong.get(here, 0)
        for each in (*body.successors(here), *(body.table_targets if here in body.indirect_inside else ())):
            joined = after if each not in off or off[each] == after else None
            if each not in off or off[each] != joined:
                off[each] = joined
                queue.append(each)
    # What no path leads to, a landing pad, is entered with the stack pointer that the rule gives.
    return frozenset(body.instructions[n].address for n, by in off.items() if by != 0)


def _unsaid(body: Body, index: int, instruction: Instruction) -> int:
    """How many bytes an instruction moves the stack pointer beyond what the CFA's rule says."""
    match = _MOVES_STACK.match(instruction.text)
    if match is None or not body.falls_through(index):
        return 0
    before, after = body.row(instruction.address), body.row(instruction.end)
    stack = body.context.image.machine.stack_pointer
    if before is None or after is None or before.register != stack or after.register != stack:
        return 0
    if match[2]:
        by = int(match[4], 0) * (-1 if match[3] else 1) * (1 if match[2] == "add" else -1)
    else:
        by = -8 if instruction.text.startswith("push") else 8
    return by + after.offset - before.offset


def _classify_indirect(body: Body, position: int) -> None:
    """Tell a jump table from a tail call through a pointer; where neither is sure, say so."""
    instruction = body.instructions[position]
    row = body.row(instruction.address)
    if row is None:
        body.unclear = body.unclear or f"the indirect jump at {instruction.address:#x} cannot be classified"
    elif (row.register, row.offset) != body.context.entry_rule():
        body.indirect_inside.append(position)  # a tail call needs the stack pointer at the return address
    elif instruction.text.startswith("notrack "):
        body.indirect_inside.append(position)  # compilers mark jump tables so under -fcf-protection
    elif (kind := _computed(body, position)) == "object":
        body.exits.append(Exit(position, None))
    elif kind == "table":
        body.indirect_inside.append(position)
    else:
        body.unclear = (
            body.unclear or f"the indirect jump at {instruction.address:#x} may be a tail call or a jump table"
        )


def _computed(body: Body, position: int) -> str:
    """How the jump's target was made: "object" (loaded without an index: a virtual function, a callback), "table", or ""."""
    instruction = body.instructions[position]
    operand = instruction.text.split(" ", 1)[1]
    if "[" in operand:
        if "*8" in operand:
            return "table"
        return "object" if "*" not in operand and operand.count("+") <= 1 else ""
    register = operand.strip()
    if register in ("x16", "x17") or (position and _EPILOGUE.match(body.instructions[position - 1].text)):
        return "object"  # gcc and clang keep x16 and x17 for tail calls; no table is entered behind an epilogue
    number = known.register_number(body.context.image.arch, register)
    for earlier in range(position - 1, max(-1, position - 40), -1):
        if not body.falls_through(earlier) or body.came_from[earlier + 1]:
            return ""
        if number not in body.writes(body.instructions[earlier]):
            continue
        name, _, operands = body.instructions[earlier].text.partition(" ")
        if not operands.startswith(register + ","):
            return ""
        source = operands.partition(",")[2].strip()
        if name == "add":
            return "table"  # base + distance; nobody calls a sum
        if name not in ("mov", "ldr") or "[" not in source:
            return ""
        if "*8" in source or "lsl #3" in source:
            return "table"
        return "" if "*" in source or "lsl" in source or "xtw" in source or source.count("+") > 1 else "object"
    return ""
