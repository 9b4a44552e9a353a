# SPDX-License-Identifier: Apache-2.0
"""Virtual functions of a C++ class in a file without symbols: type name, type information, virtual table, slot.

The layout is the Itanium C++ ABI's (section 2.5): behind two words, the offset to the top of the object and the address of the type
information, a table holds the addresses of the virtual functions in the order of their declaration. In a file that is loaded anywhere,
these words are relocations, or, where relocations are packed (`.relr.dyn`), words that the loader adds its address to.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from itertools import islice

from otel_jb.elf.image import Image, Section
from otel_jb.elf.references import MAX_PLACES, places
from otel_jb.elf.search import occurrences
from otel_jb.model.marks import MAX_SLOT

MAX_FOUND = 1 << 16  #: occurrences in a section; words that point into the same 64 KB have bytes in common
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


def pointed_to(image: Image, addresses: Collection[int]) -> frozenset[int]:
    """Those of these addresses that the program's data hold."""
    near: dict[int, set[int]] = {}
    for address in addresses:
        near.setdefault(address >> 16, set()).add(address)
    found: set[int] = set()
    for upper, those in near.items():
        # One search for what the words have in common costs as much as one for a word.
        for _, value in _held(image, struct.pack("<Q", upper << 16 & (1 << 64) - 1)[2:]):
            if value in those:
                found.add(value)
    return frozenset(found)


def _relocations(image: Image) -> list[Section]:
    return [section for section in image.sections if section.type == "SHT_RELA" and section.flags & _ALLOCATED]


def _holders(image: Image, value: int) -> Iterator[int]:
    """Where the program has this address in its data once it runs."""
    return (place for place, _ in islice(_held(image, struct.pack("<Q", value & (1 << 64) - 1)), MAX_PLACES))


def _held(image: Image, tail: bytes) -> Iterator[tuple[int, int]]:
    """(place, word) of the words in the program's data, once it runs, that end in these bytes."""
    relative, before = _RELATIVE[image.arch], 8 - len(tail)
    for section, at in _found(image, _relocations(image), tail):
        start = at - before - 16
        if start < section.offset or (start - section.offset) % _ENTRY.size:
            continue
        place, kind, value = _ENTRY.unpack(image.buffer[start : start + _ENTRY.size])
        if kind == relative:
            yield place, value & (1 << 64) - 1
    data = [s for s in image.sections if s.type == "SHT_PROGBITS" and s.flags & _ALLOCATED and s.flags & _WRITABLE]
    if image.fixed:
        data += [s for s in image.sections if s.name.startswith(".rodata")]
    for section, at in _found(image, data, tail):
        start = at - before
        place = start - section.offset + section.address
        if start >= section.offset and place % 8 == 0:
            yield place, int.from_bytes(image.buffer[start : start + 8], "little")


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
    """(section, file offset) of every occurrence, at most MAX_FOUND of each section."""
    for section in sections:
        yield from (
            (section, at)
            for at in islice(
                occurrences(image.buffer, sought, section.offset, section.offset + section.size), MAX_FOUND
            )
        )
