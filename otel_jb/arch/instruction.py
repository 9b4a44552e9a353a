# SPDX-License-Identifier: Apache-2.0
"""What the analysis knows of one machine instruction, alike for both architectures."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Flow(IntEnum):
    """Where control goes after an instruction."""

    NEXT = 0
    JUMP = 1  #: to `target`
    BRANCH = 2  #: to `target` or on
    CALL = 3  #: to `target`, then on (if it returns)
    INDIRECT_JUMP = 4
    INDIRECT_CALL = 5
    RETURN = 6
    STOP = 7  #: a trap that does not go on


class Price(IntEnum):
    """What the kernel does with a probed instruction, which decides what a hit costs (see `plan.KernelFacts`)."""

    EMULATED = 0  #: emulated (AArch64: simulated): no single step
    LONG_NOP = 1  #: a nop of 3 to 5 bytes: emulated from Linux 6.16
    STEPPED = 2  #: copied out of line and single-stepped: ten times the price
    REFUSED = 3  #: the kernel accepts no probe there


class Instruction(NamedTuple):
    """One decoded instruction. `condition` is the architecture's condition code of a BRANCH that tests the flags."""

    address: int
    size: int
    text: str
    flow: Flow = Flow.NEXT
    target: int | None = None
    condition: int | None = None
    price: Price = Price.STEPPED
    nop: bool = False
    slow: bool = False  #: may take long by itself (string operation, system call): nothing to leave untimed

    @property
    def end(self) -> int:
        """Address of the instruction behind this one."""
        return self.address + self.size


FALLS_THROUGH = frozenset({Flow.NEXT, Flow.BRANCH, Flow.CALL, Flow.INDIRECT_CALL})
CALLS = frozenset({Flow.CALL, Flow.INDIRECT_CALL})
