# SPDX-License-Identifier: Apache-2.0
"""The arguments of a USDT probe as its note describes them: operands of the assembler behind their size, `-4@%edi`, `8@-16(%rbp)`, `4@$5`.

SystemTap's <sys/sdt.h> lets the compiler choose the place (constraint "nor"), so it differs from place to place of the same mark.
"""

from __future__ import annotations

import re

from otel_jb.arch import x86_64
from otel_jb.model.arguments import ArgumentKind, MarkArgument

MOST_ARGUMENTS = 12  #: STAP_PROBE12 is the last one
_ARM_STACK = 31
_ARM_FRAME, _ARM_LINK = 29, 30
_NUMBER = r"[+-]?(?:0x[0-9a-f]{1,16}|\d{1,20})"
#: A size, then an operand; only AArch64's have spaces, within brackets.
_WORD = re.compile(r"(?:[^\s\[\]]|\[[^\[\]]{0,64}\])+")
_SIZED = re.compile(r"(-?)([1248])@(.+)", re.ASCII)
_X86_CONSTANT = re.compile(rf"\$({_NUMBER})", re.ASCII | re.IGNORECASE)
_X86_REGISTER = re.compile(r"%(\w+)", re.ASCII)
_X86_MEMORY = re.compile(rf"({_NUMBER})?\((?:%(\w+))?(?:,%(\w+)(?:,([1248]))?)?\)", re.ASCII | re.IGNORECASE)
_ARM_CONSTANT = re.compile(rf"#?({_NUMBER})", re.ASCII | re.IGNORECASE)
_ARM_REGISTER = re.compile(r"[xw](\d{1,2})|w?sp|(fp|lr)", re.ASCII)
_ARM_MEMORY = re.compile(
    rf"\[(x\d{{1,2}}|sp|fp|lr)(?:, ?(?:#?({_NUMBER})|(x\d{{1,2}})(?:, ?lsl #?([0-3]))?))?\]", re.ASCII | re.IGNORECASE
)


def parse(text: str, arch: str) -> tuple[MarkArgument | None, ...]:
    """The arguments in their order; None for one that cannot be read: a floating-point number, or an operand with a symbol."""
    operand = {"x86_64": _x86, "aarch64": _arm}.get(arch)
    words = _WORD.findall(text)[:MOST_ARGUMENTS]
    return tuple(_argument(word, operand) if operand is not None else None for word in words)


def _argument(word: str, operand: object) -> MarkArgument | None:
    sized = _SIZED.fullmatch(word)
    if sized is None:
        return None
    assert callable(operand)
    place = operand(sized[3])
    if place is None:
        return None
    try:
        return MarkArgument(place[0], int(sized[2]), bool(sized[1]), *place[1:])
    except ValueError:
        return None  # a constant or a distance that no instruction has


_Place = tuple[ArgumentKind, int, "int | None", "int | None", int]


def _x86(text: str) -> _Place | None:
    if found := _X86_CONSTANT.fullmatch(text):
        return ArgumentKind.CONSTANT, _number(found[1]), None, None, 0
    if found := _X86_REGISTER.fullmatch(text):
        register = x86_64.register_number(found[1])
        return None if register is None else (ArgumentKind.REGISTER, 0, register, None, 0)
    found = _X86_MEMORY.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        return None
    base, index = (x86_64.register_number(name, wide=True) if name else None for name in (found[2], found[3]))
    if (found[2] and base is None) or (found[3] and index is None):
        return None
    shift = (1, 2, 4, 8).index(int(found[4] or 1))
    return ArgumentKind.MEMORY, _number(found[1] or "0"), base, index, shift


def _arm(text: str) -> _Place | None:
    if found := _ARM_CONSTANT.fullmatch(text):
        return ArgumentKind.CONSTANT, _number(found[1]), None, None, 0
    if _ARM_REGISTER.fullmatch(text):
        register = _arm_register(text)
        return None if register is None else (ArgumentKind.REGISTER, 0, register, None, 0)
    found = _ARM_MEMORY.fullmatch(text)
    if found is None:
        return None
    base, index = _arm_register(found[1]), _arm_register(found[3]) if found[3] else None
    if base is None or (found[3] and index in (None, _ARM_STACK)):
        return None
    return ArgumentKind.MEMORY, _number(found[2] or "0"), base, index, int(found[4] or 0)


def _arm_register(name: str) -> int | None:
    special = {"sp": _ARM_STACK, "wsp": _ARM_STACK, "fp": _ARM_FRAME, "lr": _ARM_LINK}.get(name)
    if special is not None:
        return special
    number = int(name[1:])
    return number if number < _ARM_STACK else None  # 31 there is the zero register


def _number(text: str) -> int:
    value = int(text, 0) if "x" in text.lower() else int(text)
    return value - (1 << 64) if 1 << 63 <= value < 1 << 64 else value
