# SPDX-License-Identifier: Apache-2.0
"""Leaves out of a program what its constants make needless: branches never taken, numbers that are calculated anew each time, and what nobody reads.

A probe's programs are one general program in which its constants stand (`template.py`). The verifier leaves out the branches that they
decide, but it does so when all is checked: what was calculated for those branches, the constants themselves and their copies on the stack stay. That is a third
of what runs, and a call after other work waits for every line of 64 bytes of it.

What a program does to memory that is not its own stack, which helpers it calls and what it loads from elsewhere stay as they are, in their order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence

from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs import values
from otel_jb.probes.programs.blocks import NOWHERE, Block
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.values import STACK, UNKNOWN, State

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


#: An instruction, of one half or two; what it reads and what it writes, a bit for each register and each word of the stack; whether it is needless if nobody
#: reads what it writes; and of what a calculation leaves, what its register was known to be before it. (A named tuple takes five times as long to make.)
_Step = tuple[tuple[Instruction, ...], int, int, bool, int]


def prune(blocks: dict[int, Block]) -> None:
    """Leave out what is needless. A program with instructions of another kind than the agent and BCC's compiler make stays as it is."""
    if not all(values.is_familiar(each) for block in blocks.values() for each in block.code):
        return
    steps = _followed(blocks)
    for at in [at for at in blocks if at not in steps]:
        del blocks[at]
    _without_unread(blocks, steps)


def _followed(blocks: dict[int, Block]) -> dict[int, list[_Step]]:
    """The blocks that something leads to, with numbers in the place of what is known to be one, and their jumps decided where they can be."""
    known = {0: values.begun()}
    steps: dict[int, list[_Step]] = {}
    ends: dict[int, State] = {}
    waiting = [0]  # in the program's order, which is that of almost all ways: each block is looked at once or twice
    while waiting:
        at = heapq.heappop(waiting)
        block, state = blocks[at], known[at].copy()
        steps[at], ends[at] = _through(block, state), state  # the last time is with all that leads there
        for way in _ways(block, state):
            if way not in known:
                known[way] = state.copy()
            elif not known[way].join(state):
                continue
            if way not in waiting:
                heapq.heappush(waiting, way)
    for at, state in ends.items():
        if blocks[at].jump is not None:
            _decide(blocks[at], state)
    return steps


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
                state.blur(UNKNOWN)
    registers[0:6] = [UNKNOWN] * 6


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


def _through(block: Block, state: State) -> list[_Step]:
    """The instructions of a block, with numbers in the place of what they are known to be. `state` is then what is known at its end."""
    steps: list[_Step] = []
    code = iter(block.code)
    for each in code:
        _BY_CLASS[each.opcode & 7](steps, state, each, code)
    return steps


def _number_of_64_bits(steps: list[_Step], state: State, each: Instruction, code: Iterator[Instruction]) -> None:
    second = next(code)
    state.registers[each.dst] = (
        UNKNOWN if each.src else each.immediate & values.LOW | (second.immediate & values.LOW) << 32
    )
    steps.append(((each, second), 0, 1 << each.dst, True, UNKNOWN))


def _load(steps: list[_Step], state: State, each: Instruction, _: object) -> None:
    place, base = state.place(each.src, each.offset), state.registers[each.src]
    state.load(each, place)
    reads = 1 << each.src
    if place is not None:
        reads |= _slots(place, place + values.LOADS[each.opcode])
    elif base <= values.ANYTHING:
        reads |= _ALL_SLOTS
    after = state.registers[each.dst]
    if place is not None and after >= 0 and (number := _number(each.dst, after)) is not None:
        steps.append(number)
    else:
        steps.append(((each,), reads, 1 << each.dst, place is not None or base == values.CONTEXT, UNKNOWN))


def _store(steps: list[_Step], state: State, each: Instruction, _: object) -> None:
    if values.is_atomic(each):
        _exchange(steps, state, each)
        return
    reads = 1 << each.dst | (1 << each.src if each.opcode & 1 else 0)
    place, size = state.place(each.dst, each.offset), values.STORES[each.opcode]
    state.store(each, place)
    if place is None:
        steps.append(((each,), reads, 0, False, UNKNOWN))
        return
    written = _slots(place, place + size)
    steps.append(((each,), reads if size == 8 and place % 8 == 0 else reads | written, written, True, UNKNOWN))


def _exchange(steps: list[_Step], state: State, each: Instruction) -> None:
    reads = 1 << each.dst | 1 << each.src | (_ALL_SLOTS if state.registers[each.dst] <= values.ANYTHING else 0)
    state.exchange(each)
    if each.immediate == values.EXCHANGES_IF:
        steps.append(((each,), reads | 1, 1, False, UNKNOWN))
    else:
        steps.append(((each,), reads, 1 << each.src if each.immediate & values.FETCHES else 0, False, UNKNOWN))


def _call_or_exit(steps: list[_Step], state: State, each: Instruction, _: object) -> None:
    if each.opcode == bpf.CALL:
        steps.append(((each,), _read_by(state, each), 0b111111, False, UNKNOWN))
        _called(state, each)
    else:
        steps.append(((each,), 1, 0, False, UNKNOWN))


def _calculation(steps: list[_Step], state: State, each: Instruction, _: object) -> None:
    registers, register = state.registers, each.dst
    before, right = registers[register], state.operand(each)
    if each.opcode == bpf.MOVE and right < 0:  # the most frequent one
        registers[register] = right
        steps.append(((each,), 1 << each.src, 1 << register, True, before))
        return
    after = registers[register] = values.calculated(each, before, right)
    if each.opcode == _RIGHT and each.immediate == 32 and steps and steps[-1][0] == ((_LEFT, register, 0, 0, 32),):
        _halve(steps, register)
        return
    if after >= 0:
        if after == before:
            return
        if (number := _number(register, after)) is not None:
            steps.append(number)
            return
    if not values.is_swap(each):
        each = _by_number(each, right)
    if before == 0 and values.copies_onto_zero(each):
        each = each._replace(opcode=bpf.MOVE)
    if values.keeps(each):
        return
    reads = 1 << each.src if each.opcode & values.BY_REGISTER and not values.is_swap(each) else 0
    if not values.moves(each):
        reads |= 1 << register
    steps.append(((each,), reads, 1 << register, True, before))


#: what makes the steps of an instruction, and goes on to what is known behind it, by the lowest three bits of the opcode
_BY_CLASS: Sequence[Callable[[list[_Step], State, Instruction, Iterator[Instruction]], None]] = (
    _number_of_64_bits, _load, _store, _store, _calculation, _call_or_exit, _call_or_exit, _calculation,
)  # fmt: skip


def _halve(steps: list[_Step], register: int) -> None:
    """In the place of two shifts that clear the upper half of a register: nothing, where that is clear, or one instruction."""
    *_, before = steps.pop()
    if values.is_half(before):
        return
    source = register
    if steps:
        last = steps[-1][0][0]
        if last.opcode == bpf.MOVE and last.dst == register:
            source = last.src
            steps.pop()
    steps.append(((Instruction(_MOVE32, register, source),), 1 << source, 1 << register, True, UNKNOWN))


def _decide(block: Block, state: State) -> None:
    assert block.jump is not None
    ways = _ways(block, state)
    if len(ways) == 1 or block.target == block.next:
        block.jump, block.target, block.next = None, NOWHERE, ways[0]
        return
    block.jump = _by_number(block.jump, state.operand(block.jump))


def _by_number(each: Instruction, right: int) -> Instruction:
    """With the number that its right operand is known to be, if there is room for it."""
    if right < 0 or not each.opcode & values.BY_REGISTER:
        return each
    number = values.signed(right)
    if not -(1 << 31) <= number < 1 << 31 or (values.operates(each) and not values.allows(each, number)):
        return each
    return Instruction(each.opcode & ~values.BY_REGISTER, each.dst, 0, each.offset, number)


def _number(register: int, value: int) -> _Step | None:
    """What sets a register to a number, where that is one instruction."""
    number = values.signed(value)
    if -(1 << 31) <= number < 1 << 31:
        made = Instruction(bpf.by_value(bpf.MOVE), register, 0, 0, number)
    elif value <= values.LOW:
        made = Instruction(bpf.by_value(_MOVE32), register, 0, 0, values.signed(value, 32))
    else:
        return None
    return (made,), 0, 1 << register, True, UNKNOWN


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
        read = _back(blocks[at], steps[at], wanted)  # the last time is with all that is read behind it
        if read != wanted[at]:
            wanted[at] = read
            for before in leading[at]:
                if -before not in waiting:
                    heapq.heappush(waiting, -before)


def _back(block: Block, steps: list[_Step], wanted: dict[int, int]) -> int:
    """Leave out of a block what does not matter behind it. Returns what is read behind its beginning, by whoever."""
    read = 0
    for way in block.ways():
        read |= wanted[way]
    if block.jump is not None:
        read |= 1 << block.jump.dst
        if block.jump.opcode & values.BY_REGISTER:
            read |= 1 << block.jump.src
    kept: list[Instruction] = []
    for code, reads, writes, needless, _ in reversed(steps):
        if needless and not writes & read:
            continue
        read = read & ~writes | reads
        kept += reversed(code)
    kept.reverse()
    block.code = kept
    return read
