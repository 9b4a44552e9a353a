# SPDX-License-Identifier: Apache-2.0
"""Where jump tables lead (x86-64).

A table is found through any constant address that the function makes: from there on, entries are read for as long as they lead
to an instruction of the same function. That may take in more than the table holds, never less, whatever register carried its
address and however its bound was checked; and more targets only make the analysis more careful.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping

from otel_jb.arch.instruction import Instruction
from otel_jb.elf.image import Image
from otel_jb.model.errors import ElfError

MAX_ENTRIES = 4096

_RELATIVE = re.compile(r"lea r\w+, \[rip ([+-]) (0x[0-9a-f]+|\d)\]$")
_ABSOLUTE = re.compile(r"\[r\w+\*8 \+ (0x[0-9a-f]+)\]")
_CONSTANT = re.compile(r"mov e\w+, (0x[0-9a-f]+)$")


def targets(image: Image, instructions: Iterable[Instruction], index: Mapping[int, int]) -> frozenset[int]:
    """Indices of the instructions that the function's jump tables lead to; empty if there are none."""
    found: set[int] = set()
    for instruction in instructions:
        text = instruction.text
        relative = _RELATIVE.match(text)
        if relative is not None:
            distance = int(relative[2], 16) * (-1 if relative[1] == "-" else 1)
            found.update(_entries(image, index, instruction.end + distance, "<i"))
            continue
        absolute = _ABSOLUTE.search(text) or _CONSTANT.match(text)
        if absolute is not None:
            found.update(_entries(image, index, int(absolute[1], 16), "<Q"))
            found.update(_entries(image, index, int(absolute[1], 16), "<i"))
    return frozenset(found)


def _entries(image: Image, index: Mapping[int, int], table: int, form: str) -> Iterable[int]:
    size = struct.calcsize(form)
    for number in range(MAX_ENTRIES):
        try:
            (entry,) = struct.unpack(form, image.read(table + number * size, size))
        except (ElfError, struct.error):
            return
        position = index.get(entry + table if form == "<i" else entry)
        if position is None:
            return
        yield position
