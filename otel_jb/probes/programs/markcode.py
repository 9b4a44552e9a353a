# SPDX-License-Identifier: Apache-2.0
"""Compiles the arguments of a USDT probe into BPF instructions (`HOLE_ARGUMENTS` of bpf/otel_jb.bpf.c).

r1 is the context, the target's registers; r2 points to the words of the reads, 0 to 5 of which are the arguments. What is in registers is
copied first, and addresses are computed, since a call of a helper changes r1; then memory is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.arch.machine import here
from otel_jb.model.arguments import ArgumentKind, MarkArgument, SiteArguments
from otel_jb.model.dataclass import dataclass
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.reading import LOWEST, PROBE_READ_USER

PAGE_MASK = 0xFFF  #: of the smallest page: files are mapped in whole ones, so that an address tells where in a page of its file it is
_CONTEXT, _WORDS, _VALUE, _OTHER = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class MarkCode:
    """The arguments at these places, which are known by where in their page they are."""

    arguments: SiteArguments
    in_page: tuple[int, ...]


def mark_codes(sites: Sequence[tuple[int, SiteArguments]]) -> tuple[MarkCode, ...]:
    """Of each place's file offset and arguments: the places that have them alike, together."""
    groups: dict[SiteArguments, set[int]] = {}
    for offset, arguments in sites:
        groups.setdefault(arguments, set()).add(offset & PAGE_MASK)
    return tuple(MarkCode(arguments, tuple(sorted(places))) for arguments, places in groups.items())


def compiled(marks: Sequence[MarkCode]) -> list[Instruction]:
    """The instructions; r0 is then 0, or 1 + the field under which a fault counts.

    Raises ValueError for arguments of this machine that no register holds: the note was made for another one.
    """
    if not marks:
        return [Instruction(bpf.by_value(bpf.MOVE), 0)]
    made: list[Instruction] = []
    leave: list[int] = []  # jumps to the end
    several = len(marks) > 1
    if several:
        made.append(Instruction(bpf.LOAD, _VALUE, _CONTEXT, here().saved_instruction_pointer))
        made.append(Instruction(bpf.by_value(bpf.AND), _VALUE, immediate=PAGE_MASK))
    for mark in marks:
        body, faults = _body(mark.arguments)
        if several:
            for at, place in enumerate(mark.in_page):  # to the body, over what leads past it
                made.append(Instruction(bpf.EQUAL, _VALUE, offset=len(mark.in_page) - at, immediate=place))
            made.append(Instruction(bpf.JUMP, offset=len(body) + 1))
        leave += [len(made) + at for at in faults]
        made += body
        if several:
            leave.append(len(made))
            made.append(Instruction(bpf.JUMP))
    if several:  # at none of its places: nothing is known
        made.append(Instruction(bpf.by_value(bpf.MOVE), 0, immediate=1 + marks[0].arguments.fault_field))
    for at in leave:
        made[at] = made[at]._replace(offset=len(made) - at - 1)
    return made


def _body(site: SiteArguments) -> tuple[list[Instruction], list[int]]:
    """Sets the words and r0; and which of its instructions are jumps to the end of everything, with r0 set."""
    made: list[Instruction] = []
    memory = [(word, value) for word, value in site.values if value.kind is ArgumentKind.MEMORY]
    for word, value in site.values:
        made += _placed(word, value)
    faults: list[int] = []
    if memory:
        made.append(Instruction(bpf.STORE, 10, _WORDS, LOWEST))
    for word, value in memory:
        made += [
            Instruction(bpf.LOAD, 1, 10, LOWEST),
            Instruction(bpf.LOAD, 3, 1, 8 * word),
            Instruction(bpf.STORE_IMMEDIATE, 1, offset=8 * word),
            Instruction(bpf.by_value(bpf.ADD), 1, immediate=8 * word),
            Instruction(bpf.by_value(bpf.MOVE), 2, immediate=value.width),
            Instruction(bpf.CALL, immediate=PROBE_READ_USER),
            Instruction(bpf.EQUAL, 0, offset=2),
            Instruction(bpf.by_value(bpf.MOVE), 0, immediate=1 + site.fault_field),
        ]
        faults.append(len(made))
        made.append(Instruction(bpf.JUMP))
        if value.signed and value.width < 8:
            made += [
                Instruction(bpf.LOAD, 1, 10, LOWEST),
                Instruction(bpf.LOAD, _VALUE, 1, 8 * word),
                *_extended(value),
                Instruction(bpf.STORE, 1, _VALUE, 8 * word),
            ]
    made.append(Instruction(bpf.by_value(bpf.MOVE), 0))
    return made, faults


def _placed(word: int, value: MarkArgument) -> list[Instruction]:
    """The word is then the value, or the address at which it is."""
    saved = here().saved_registers
    registers = [each for each in (value.base, value.index) if each is not None]
    if any(each >= len(saved) for each in registers):
        raise ValueError("an argument in a register that this machine does not have")
    if value.kind is ArgumentKind.CONSTANT:
        made = [*bpf.load_immediate(_VALUE, value.number & (1 << 64) - 1), *_extended(value)]
    elif value.kind is ArgumentKind.REGISTER:
        made = [Instruction(bpf.LOAD, _VALUE, _CONTEXT, saved[registers[0]]), *_extended(value)]
    else:
        made = list(bpf.load_immediate(_VALUE, value.number & (1 << 64) - 1))
        for register, shift in ((value.base, 0), (value.index, value.shift)):
            if register is not None:
                made.append(Instruction(bpf.LOAD, _OTHER, _CONTEXT, saved[register]))
                made += [Instruction(bpf.by_value(bpf.LEFT), _OTHER, immediate=shift)] if shift else []
                made.append(Instruction(bpf.ADD, _VALUE, _OTHER))
    return [*made, Instruction(bpf.STORE, _WORDS, _VALUE, 8 * word)]


def _extended(value: MarkArgument) -> list[Instruction]:
    shift = 64 - 8 * value.width
    right = bpf.ARITHMETIC_RIGHT if value.signed else bpf.RIGHT
    steps = [(bpf.LEFT, shift), (right, shift)] if shift else []
    return [Instruction(bpf.by_value(opcode), _VALUE, immediate=count) for opcode, count in steps]
