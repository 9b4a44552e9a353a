# SPDX-License-Identifier: Apache-2.0
"""The addresses of a process that mean a probe hit, and how many samples of its threads are in hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from otel_jb.arch.jumps import jump_target
from otel_jb.arch.machine import Machine

BEHIND = (
    16  #: bytes behind a probed instruction that are taken for its successor: a few instructions, a nanosecond or two
)


class Sample(NamedTuple):
    """Where a thread was in its own code when it was interrupted."""

    address: int
    in_kernel: bool


class HitAddresses:
    """A thread that is in the kernel while its own code stands at a probed instruction, or at the one that follows it, is in a hit.

    Interrupts are off on the way into a trap and on the way out. What falls due there comes a moment later: still in the kernel, or in the
    thread's own code, at the instruction that follows.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._at: dict[int, int] = {}
        self._behind: dict[int, int] = {}
        self._areas: list[range] = []

    def add(self, series: int, address: int, code: bytes) -> None:
        """A probed instruction of a series, and the bytes from there on, as they are without the probe."""
        self._at[address] = series
        called = code.find(self._machine.system_call, 0, BEHIND)
        # Behind a system call's instruction a thread in the kernel is in that call.
        end = BEHIND if called < 0 else called + len(self._machine.system_call)
        for behind in range(address + 1, address + end):
            self._behind[behind] = series
        target = jump_target(self._machine, code, address)
        if target is not None:
            self._behind[target] = series

    def add_area(self, area: range) -> None:
        """Where the kernel has code of its own in the process: stepped instructions, trampolines."""
        self._areas.append(area)

    def count(self, samples: Iterable[Sample]) -> tuple[Counter[int], int]:
        """How many samples are in hits of each series, and in hits of which nobody knows the series."""
        inside: Counter[int] = Counter()
        leaving: Counter[int] = Counter()
        unknown = 0
        for address, in_kernel in samples:
            series = self._at.get(address) if in_kernel else None
            if series is None:
                series = self._behind.get(address)
            if series is not None:
                (inside if in_kernel else leaving)[series] += 1
            elif any(address in area for area in self._areas):
                unknown += 1
        # The way out takes no longer than the rest: where it seems to, the code there has work of its own.
        return inside + Counter({series: min(count, inside[series]) for series, count in leaving.items()}), unknown
