# SPDX-License-Identifier: Apache-2.0
"""Leaves out of a program what its constants make needless: branches never taken, numbers that are calculated anew each time, and what nobody reads.

A probe's programs are one general program in which its constants stand (`template.py`). The verifier leaves out the branches that they
decide, but it does so when all is checked: what was calculated for those branches, the constants themselves and their copies on the stack stay. That is a third
of what runs, and a call after other work waits for every line of 64 bytes of it.

What a program does to memory that is not its own stack, which helpers it calls and what it loads from elsewhere stay as they are, in their order.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs import values
from otel_jb.probes.programs.blocks import NOWHERE, Block
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.values import STACK, State

#: of each helper how many arguments it has, how many of their bytes it reads, and from where on the stack it may write: by argument
_ARGUMENTS = {1: 2, 2: 4, 3: 2, 5: 0, 12: 3, 14: 0, 15: 0, 16: 2, 35: 0, 67: 4, 80: 0, 112: 3, 113: 3, 130: 4, 131: 3, 132: 2, 158: 0, 173: 1, 174: 1}  # fmt: skip
_MOST_ARGUMENTS = 5
_LOOK_UPS = frozenset(
    {1, 3}
)  #: of these the second argument is a key, of at most 8 bytes, and the rest is no address of the stack
_KEY = 8
_READS = frozenset({112, 113})  #: into what the first argument points to, as many bytes as the second says
_TAIL_CALL = 12
_SLOT0 = 11  #: the first bit of the stack's words, behind those of the registers
_ALL_SLOTS = ((1 << STACK // 8) - 1) << _SLOT0
_MOVE32 = 0xBC  #: of the lower half, and 0 in the upper one
_LEFT, _RIGHT = bpf.by_value(bpf.LEFT), bpf.by_value(bpf.RIGHT)


class _Step(NamedTuple):
    """An instruction, with what it reads and what it writes: a bit for each register and each word of the stack."""

    code: tuple[Instruction, ...]
    reads: int
    writes: int
    needless: bool  #: if nobody reads what it writes


def prune(blocks: dict[int, Block]) -> None:
    """Leave out what is needless. A program with instructions of another kind than the agent and BCC's compiler make stays as it is."""
    if not all(values.is_familiar(each) for block in blocks.values() for each in block.code):
        return
    known = _known(blocks)
    for at in [at for at in blocks if at not in known]:
        del blocks[at]
    steps = {at: _rewritten(block, known[at]) for at, block in blocks.items()}
    _without_unread(blocks, steps)


def _known(blocks: dict[int, Block]) -> dict[int, State]:
    """What is known where each block begins; blocks that nothing leads to are missing."""
    known = {0: values.begun()}
    waiting = [0]  # in the program's order, which is that of almost all ways: each block is looked at once or twice
    while waiting:
        at = heapq.heappop(waiting)
        block, state = blocks[at], known[at].copy()
        for each, second in values.whole(block.code):
            if each.opcode == bpf.CALL:
                _called(state, each)
            else:
                state.step(each, second)
        for way in _ways(block, state):
            if way not in known:
                known[way] = state.copy()
            elif not known[way].join(state):
                continue
            if way not in waiting:
                heapq.heappush(waiting, way)
    return known


def _ways(block: Block, state: State) -> list[int]:
    """Where a block may go on, with what is known at its end."""
    if block.jump is not None:
        taken = values.decided(block.jump, state.registers[block.jump.dst], state.operand(block.jump))
        if taken is not None:
            return [block.target if taken else block.next]
    return block.ways()


def _called(state: State, call: Instruction) -> None:
    """What is known behind the call of a helper."""
    helper, registers = call.immediate, state.registers
    if call.src or helper not in _LOOK_UPS:
        for register in range(1, 1 + _arguments(call)):
            begin = values.offset_of(registers[register])
            if begin is not None:
                size = registers[2] if helper in _READS and register == 1 and registers[2] >= 0 else STACK
                state.forget(begin, begin + size)
            elif registers[register] == values.ANYTHING:
                state.blur(values.UNKNOWN)
    registers[0:6] = [values.UNKNOWN] * 6


def _arguments(call: Instruction) -> int:
    return _MOST_ARGUMENTS if call.src else _ARGUMENTS.get(call.immediate, _MOST_ARGUMENTS)


def _slots(begin: int, end: int) -> int:
    """The bits of the words of the stack that these bytes are in."""
    first, behind = (max(begin, -STACK) + STACK) // 8, (min(end, 0) + STACK + 7) // 8
    return ((1 << behind) - (1 << first)) << _SLOT0 if behind > first else 0


def _read_by(state: State, call: Instruction) -> int:
    """What a helper may read."""
    helper, read = call.immediate, 0
    for register in range(1, 1 + _arguments(call)):
        read |= 1 << register
        if not call.src and helper in _READS and register == 1:
            continue
        begin = values.offset_of(state.registers[register])
        if begin is not None:
            read |= _slots(begin, begin + _KEY if not call.src and helper in _LOOK_UPS else 0)
        elif state.registers[register] == values.ANYTHING:
            read |= _ALL_SLOTS
    return read


def _rewritten(block: Block, state: State) -> list[_Step]:
    """The instructions of a block, with numbers in the place of what they are known to be. Its jump is decided, if it can be."""
    state = state.copy()
    steps: list[_Step] = []
    befores: list[int] = []  # of each step, what was known before it of the register that it names
    for each, second in values.whole(block.code):
        if each.opcode == bpf.CALL:
            steps.append(_Step((each,), _read_by(state, each), 0b111111, False))
            befores.append(values.UNKNOWN)
            _called(state, each)
            continue
        if (
            each.opcode == _RIGHT
            and each.immediate == 32
            and steps
            and steps[-1].code[0] == (_LEFT, each.dst, 0, 0, 32)
        ):
            _halve(steps, befores, each.dst)
            state.step(each)
            continue
        before = state.registers[each.dst]
        step = _step(state, each, second)
        state.step(each, second)
        after = state.registers[each.dst]
        if step.needless and each.opcode not in values.STORES:
            if (values.operates(each) and after == before and after >= 0) or values.keeps(step.code[0]):
                continue
            step = _as_number(step, each.dst, after)
        steps.append(step)
        befores.append(before)
    if block.jump is not None:
        _decide(block, state)
    return steps


def _halve(steps: list[_Step], befores: list[int], register: int) -> None:
    """In the place of two shifts that clear the upper half of a register: nothing, where that is clear, or one instruction."""
    steps.pop()
    if values.is_half(befores.pop()):
        return
    source = register
    if steps and steps[-1].code[0].opcode == bpf.MOVE and steps[-1].code[0].dst == register:
        source = steps.pop().code[0].src
        befores.pop()
    befores.append(values.UNKNOWN)
    steps.append(_Step((Instruction(_MOVE32, register, source),), 1 << source, 1 << register, True))


def _decide(block: Block, state: State) -> None:
    assert block.jump is not None
    ways = _ways(block, state)
    if len(ways) == 1 or block.target == block.next:
        block.jump, block.target, block.next = None, NOWHERE, ways[0]
        return
    block.jump = _by_number(block.jump, state)


def _by_number(each: Instruction, state: State) -> Instruction:
    """With the number that its right operand is known to be, if there is room for it."""
    right = state.registers[each.src] if each.opcode & values.BY_REGISTER else values.UNKNOWN
    number = values.signed(right)
    if right < 0 or not -(1 << 31) <= number < 1 << 31 or (values.operates(each) and not values.allows(each, number)):
        return each
    return each._replace(opcode=each.opcode & ~values.BY_REGISTER, src=0, immediate=number)


def _as_number(step: _Step, register: int, value: int) -> _Step:
    """The same result as a number, where that is one instruction."""
    if value < 0 or len(step.code) > 1:
        return step
    number = values.signed(value)
    if -(1 << 31) <= number < 1 << 31:
        made = Instruction(bpf.by_value(bpf.MOVE), register, immediate=number)
    elif value <= values.LOW:
        made = Instruction(bpf.by_value(_MOVE32), register, immediate=values.signed(value, 32))
    else:
        return step
    return _Step((made,), 0, step.writes, True)


def _step(state: State, each: Instruction, second: Instruction | None) -> _Step:
    target, source = 1 << each.dst, 1 << each.src
    if second is not None:
        return _Step((each, second), 0, target, True)
    if each.opcode in values.LOADS:
        place = state.place(each.src, each.offset)
        own = place is not None or state.registers[each.src] == values.CONTEXT
        read = _ALL_SLOTS if state.anywhere(each.src, each.offset) else 0
        if place is not None:
            read = _slots(place, place + values.LOADS[each.opcode])
        return _Step((each,), source | read, target, own)
    if each.opcode in values.STORES:
        reads = target | (source if each.opcode & 1 else 0)
        place, size = state.place(each.dst, each.offset), values.STORES[each.opcode]
        if place is None:
            return _Step((each,), reads, 0, False)
        written = _slots(place, place + size)
        return _Step((each,), reads if size == 8 and place % 8 == 0 else reads | written, written, True)
    if values.is_atomic(each):
        read, fetches = target | source, bool(each.immediate & values.FETCHES)
        if each.immediate == values.EXCHANGES_IF:
            return _Step((each,), read | 1 | _touched(state, each), 1, False)
        return _Step((each,), read | _touched(state, each), source if fetches else 0, False)
    if values.operates(each):
        if not values.is_swap(each):
            each = _by_number(each, state)
        if state.registers[each.dst] == 0 and values.copies_onto_zero(each):
            each = each._replace(opcode=bpf.MOVE)
        right = 1 << each.src if each.opcode & values.BY_REGISTER and not values.is_swap(each) else 0
        return _Step((each,), right | (0 if values.moves(each) else target), target, True)
    return _Step((each,), 1, 0, False)  # the exit


def _touched(state: State, each: Instruction) -> int:
    return _ALL_SLOTS if state.registers[each.dst] <= values.ANYTHING else 0


def _without_unread(blocks: dict[int, Block], steps: dict[int, list[_Step]]) -> None:
    """Leave out what only writes what nobody reads."""
    leading: dict[int, list[int]] = {at: [] for at in blocks}
    for at, block in blocks.items():
        for way in block.ways():
            leading[way].append(at)
    wanted = dict.fromkeys(blocks, 0)  # where each block begins
    waiting = sorted(-at for at in blocks)  # from the program's end
    while waiting:
        at = -heapq.heappop(waiting)
        read, _ = _back(blocks[at], steps[at], wanted)
        if read != wanted[at]:
            wanted[at] = read
            for before in leading[at]:
                if -before not in waiting:
                    heapq.heappush(waiting, -before)
    for at, block in blocks.items():
        _, kept = _back(block, steps[at], wanted)
        block.code = [each for step in kept for each in step.code]


def _back(block: Block, steps: list[_Step], wanted: dict[int, int]) -> tuple[int, list[_Step]]:
    """What is read behind the beginning of a block, by whoever, and which of its steps matter."""
    read = 0
    for way in block.ways():
        read |= wanted[way]
    if block.jump is not None:
        read |= 1 << block.jump.dst
        if block.jump.opcode & values.BY_REGISTER:
            read |= 1 << block.jump.src
    kept: list[_Step] = []
    for step in reversed(steps):
        if step.needless and not step.writes & read:
            continue
        read = read & ~step.writes | step.reads
        kept.append(step)
    kept.reverse()
    return read, kept
