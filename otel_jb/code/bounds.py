# SPDX-License-Identifier: Apache-2.0
"""Where functions begin and end in code that no unwind entry describes, as Chromium's is (`-fno-asynchronous-unwind-tables`).

The linker (lld) aligns functions to 16 bytes and fills the gaps with `int3`. A function that happens to end at such an address has no gap behind
it, so every aligned instruction behind one that does not run on is looked at: it begins a function if something calls it or holds its address. Code that reads what its caller
keeps in a register goes on with a function.
Whatever contradicts that, a jump into the middle, leaves the bounds unknown: a wrong beginning would be a probe on another function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from otel_jb.arch import x86_64
from otel_jb.arch.instruction import CALLS, FALLS_THROUGH, Flow, Instruction
from otel_jb.elf.image import Image
from otel_jb.elf.references import called_or_taken
from otel_jb.elf.vtables import pointed_to
from otel_jb.model.dataclass import dataclass

MAX_BYTES = 1 << 16  #: of code that is read on either side of an address
_ALIGNED = 16
_LOOKED_AT = 8  #: instructions at which it is looked whether they can begin a function
_KEPT = re.compile(r"\b(rbp|rbx|r1[2-5])\b")  #: registers that a function keeps for its caller (System V ABI), in full
_SETS = frozenset({"mov", "lea", "pop"})
_GAP = re.compile(rb"\xcc+")
_INT3 = 0xCC


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The code between two gaps."""

    start: int
    end: int
    instructions: list[Instruction]

    def openings(self) -> list[int]:
        """Where another function may begin: aligned, and behind an instruction that does not run on, or calls what may not return."""
        return [
            here.address
            for index, (before, here) in enumerate(pairwise(self.instructions))
            if here.address % _ALIGNED == 0
            and not before.nop
            and (before.flow not in FALLS_THROUGH or before.flow in CALLS)
            and not _goes_on(self.instructions[index + 1 : index + 1 + _LOOKED_AT])
        ]


def _goes_on(instructions: Sequence[Instruction]) -> bool:
    """Whether code reads a register that belongs to its caller before it has put anything there, as no function does but to save it."""
    written: set[str] = set()
    for instruction in instructions:
        name, _, operands = instruction.text.partition(" ")
        first, _, others = operands.partition(", ")
        sets = name in _SETS and _KEPT.fullmatch(first) is not None
        if name not in ("push", "endbr64") and not (name == "xor" and first == others):
            read = _KEPT.findall(others if sets else operands)
            if any(each not in written for each in read):
                return True
        if instruction.flow is not Flow.NEXT:
            return False
        written.update(_KEPT.findall(first))
    return False


class Bounds:
    """The functions around addresses of one image, by gaps, calls and pointers; only for x86-64."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._stretches: dict[int, _Stretch | None] = {}
        self._begins: dict[int, bool] = {}

    def learn(self, addresses: Iterable[int]) -> None:
        """Find out of everything that may begin a function near these addresses whether it does, since each search reads all of the code."""
        stretches = [each for address in addresses if (each := self._stretch(address)) is not None]
        unknown = {at for each in stretches for at in (each.start, *each.openings()) if at not in self._begins}
        held = pointed_to(self._image, unknown)
        self._begins.update((at, at in held) for at in unknown)
        left = unknown - held
        self._begins.update(dict.fromkeys(called_or_taken(self._image, left), True))

    def around(self, address: int) -> tuple[int, int] | None:
        """[start, end) of the function around an address; None where it is not known."""
        stretch = self._stretch(address)
        if stretch is None:
            return None
        self.learn([address])
        begins = [at for at in (stretch.start, *stretch.openings()) if self._begins[at]]
        start = max((at for at in begins if at <= address), default=None)
        if start is None or (start != stretch.start and not self._begins[stretch.start]):
            return None
        end = min((at for at in begins if at > address), default=stretch.end)
        return None if _crossed(stretch, start, end) else (start, end)

    def _stretch(self, address: int) -> _Stretch | None:
        if address not in self._stretches:
            self._stretches[address] = self._read(address) if self._image.arch == "x86_64" else None
        return self._stretches[address]

    def _read(self, address: int) -> _Stretch | None:
        part = next(
            (each for each in self._image.segments if each.executable and 0 <= address - each.address < each.file_size),
            None,
        )
        if part is None:
            return None
        buffer, shift = self._image.buffer, part.address - part.offset
        at, first, last = address - shift, part.offset, part.offset + part.file_size
        start = at - (at + shift) % _ALIGNED
        while start > max(first, at - MAX_BYTES) and buffer[start - 1] != _INT3:
            start -= _ALIGNED
        if start <= first or buffer[start - 1] != _INT3:
            return None
        for gap in _GAP.finditer(buffer, at, min(last, at + MAX_BYTES)):
            if (gap.end() + shift) % _ALIGNED:
                continue
            instructions, done = x86_64.decode(bytes(buffer[start : gap.start()]), start + shift)
            if start + done != gap.start() or not instructions:
                continue  # a byte of an instruction looks like a gap
            whole = any(each.address <= address < each.end for each in instructions)
            ended = instructions[-1].flow not in FALLS_THROUGH or instructions[-1].flow in CALLS
            if ended:
                return _Stretch(start + shift, gap.start() + shift, instructions) if whole else None
        return None


def _crossed(stretch: _Stretch, start: int, end: int) -> bool:
    """Whether a jump leads from outside of this range into its middle, or from it into the middle of what lies beside it."""
    for each in stretch.instructions:
        target = each.target
        if each.flow not in (Flow.JUMP, Flow.BRANCH) or target is None or not stretch.start < target < stretch.end:
            continue
        inside = start <= each.address < end
        if inside and not start <= target < end and target not in (start, end):
            return True
        if not inside and start < target < end:
            return True
    return False
