# SPDX-License-Identifier: Apache-2.0
"""Virtual functions of a C++ class in a file without symbols: type name, type information, virtual table, slot.

The layout is the Itanium C++ ABI's (section 2.5): behind two words, the offset to the top of the object and the address of the type
information, a table holds the addresses of the virtual functions in the order of their declaration. In a file that is loaded anywhere,
these words are relocations, or, where relocations are packed (`.relr.dyn`), words that the loader adds its address to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from otel_jb.elf.image import Image, Section
from otel_jb.elf.references import MAX_PLACES, places
from otel_jb.elf.search import occurrences
from otel_jb.model.marks import MAX_SLOT

_ALLOCATED, _WRITABLE = 2, 1
_RELATIVE = {"x86_64": 8, "aarch64": 1027}  #: R_X86_64_RELATIVE, R_AARCH64_RELATIVE
_ENTRY = struct.Struct("<QQq")


def slots(image: Image, type_name: str, number: int | None) -> list[int]:
    """Addresses of the functions in a slot of the class's own tables (not of those that serve a further base), each once. None: in any slot."""
    numbers = range(MAX_SLOT) if number is None else range(number, number + 1)
    found: dict[int, None] = {}
    for name in places(image, type_name.encode(), whole=True)[:MAX_PLACES]:
        for holder in _holders(image, name):
            for pointer in _holders(image, holder - 8):  # the name is the second word of the type information
                if _word(image, pointer - 8) not in (0, None):
                    continue
                for each in numbers:
                    function = _word(image, pointer + 8 + 8 * each)
                    if function is None or not image.is_executable(function):
                        break
                    found[function] = None
    return list(found)


def pointed_to(image: Image, address: int) -> bool:
    """Whether the program's data hold this address."""
    return next(_holders(image, address), None) is not None


def _relocations(image: Image) -> list[Section]:
    return [section for section in image.sections if section.type == "SHT_RELA" and section.flags & _ALLOCATED]


def _holders(image: Image, value: int) -> Iterator[int]:
    """Where the program has this address in its data once it runs."""
    left = MAX_PLACES
    relative = _RELATIVE[image.arch]
    for section, at in _found(image, _relocations(image), struct.pack("<Q", value & (1 << 64) - 1)):
        if (at - section.offset) % 24 != 16:
            continue
        place, kind, _ = _ENTRY.unpack(image.buffer[at - 16 : at + 8])
        if kind == relative and left:
            left -= 1
            yield place
    data = [s for s in image.sections if s.type == "SHT_PROGBITS" and s.flags & _ALLOCATED and s.flags & _WRITABLE]
    if image.fixed:
        data += [s for s in image.sections if s.name.startswith(".rodata")]
    for section, at in _found(image, data, struct.pack("<Q", value & (1 << 64) - 1)):
        place = at - section.offset + section.address
        if place % 8 == 0 and left:
            left -= 1
            yield place


def _word(image: Image, address: int) -> int | None:
    """The word that the program has at an address once it runs; None where there is none."""
    relative = _RELATIVE[image.arch]
    for section, at in _found(image, _relocations(image), struct.pack("<Q", address & (1 << 64) - 1)):
        if (at - section.offset) % 24 == 0:
            _, kind, addend = _ENTRY.unpack(image.buffer[at : at + 24])
            return addend if kind == relative else None
    for segment in image.segments:
        if segment.type == "PT_LOAD" and segment.address <= address <= segment.address + segment.file_size - 8:
            start = address - segment.address + segment.offset
            return int.from_bytes(image.buffer[start : start + 8], "little")
    return None


def _found(image: Image, sections: list[Section], sought: bytes) -> Iterator[tuple[Section, int]]:
    """(section, file offset) of every occurrence, at most a few thousand of each section."""
    for section in sections:
        yield from (
            (section, at)
            for at in islice(occurrences(image.buffer, sought, section.offset, section.offset + section.size), 4096)
        )
