# SPDX-License-Identifier: Apache-2.0
"""Arguments of USDT probes: where each value is when its mark is hit."""

from __future__ import annotations

from enum import Enum

from otel_jb.model.dataclass import dataclass


class ArgumentKind(Enum):
    """The kind of place that holds an argument."""

    CONSTANT = "constant"
    REGISTER = "register"
    MEMORY = "memory"


MOST_READ = 6  #: a profile names arguments 1 to 6


@dataclass(frozen=True, slots=True)
class MarkArgument:
    """One argument: its low `width` bytes, sign-extended if `signed`, otherwise zero-extended.

    `number` is the constant itself, or what is added to the address. `base` and `index` are hardware numbers of general registers (31 on
    AArch64: the stack pointer); the address is base + (index << shift) + number. Raises ValueError if it is impossible, since the
    sandbox may have sent it.
    """

    kind: ArgumentKind
    width: int
    signed: bool
    number: int = 0
    base: int | None = None
    index: int | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        constant = self.kind is ArgumentKind.CONSTANT
        limit = 63 if constant else 31
        registers = [each for each in (self.base, self.index) if each is not None]
        if (
            self.width not in (1, 2, 4, 8)
            or not -(1 << limit) <= self.number < 1 << limit
            or not 0 <= self.shift <= 3
            or any(not 0 <= each <= 31 for each in registers)
            or (self.kind is ArgumentKind.REGISTER and self.base is None)
            or (self.kind is not ArgumentKind.MEMORY and self.index is not None)
            or (self.kind is ArgumentKind.MEMORY and not registers)
        ):
            raise ValueError("not a place of an argument")


@dataclass(frozen=True, slots=True)
class SiteArguments:
    """The arguments that are read at one place of a mark, (number from 0, place) each, and the field under which faults count."""

    values: tuple[tuple[int, MarkArgument], ...]
    fault_field: int = 0
