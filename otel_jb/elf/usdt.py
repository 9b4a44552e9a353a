# SPDX-License-Identifier: Apache-2.0
"""USDT probes: places that a program's authors marked, from `.note.stapsdt` (SystemTap's <sys/sdt.h>, version 3 of the note)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from otel_jb.elf.image import Image, notes
from otel_jb.model.errors import ElfError

MAX_PROBES, MAX_PLACES = 1024, 64
_KIND, _OWNER = 3, b"stapsdt\0"
_COUNTER_SIZE = 2  # unsigned short
_ADDRESSES = struct.Struct("<QQQ")
_NAME = re.compile(r"[A-Za-z_][\w.$-]{0,127}", re.ASCII)
#: What <sys/sdt.h> puts there, and what newer versions of it and of compilers do: nops of 1 and 5 bytes; AArch64's.
_NOPS = {"x86_64": (b"\x90", b"\x0f\x1f\x44\x00\x00"), "aarch64": (b"\x1f\x20\x03\xd5",)}


@dataclass(frozen=True, slots=True)
class Usdt:
    """One probe. Its places are (address, file offset, file offset of the semaphore that says it is wanted; 0: none)."""

    provider: str
    name: str
    places: tuple[tuple[int, int, int], ...]
    arguments: str = ""  #: as the note has them, of the first place

    def __post_init__(self) -> None:
        if any(not 0 <= number < 1 << 63 for place in self.places for number in place) or not self.places:
            raise ValueError("not a place of a file")

    @property
    def full_name(self) -> str:
        """`PROVIDER:NAME`."""
        return f"{self.provider}:{self.name}"


def read(image: Image) -> tuple[Usdt, ...]:
    """The probes of an image, in order of name. A place without the instruction that the marks are made of is left out."""
    section, base = image.section(".note.stapsdt"), image.section(".stapsdt.base")
    counters = image.section(".probes")
    if section is None:
        return ()
    places: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    arguments: dict[tuple[str, str], str] = {}
    for kind, owner, data in notes(section.data, 0, section.size):
        if kind != _KIND or owner != _OWNER or len(data) < _ADDRESSES.size:
            continue
        address, linked_base, semaphore = _ADDRESSES.unpack_from(data)
        words = [word.decode("utf-8", "replace") for word in data[_ADDRESSES.size :].split(b"\0")[:3]]
        if len(words) < 3 or not all(_NAME.fullmatch(word) for word in words[:2]):
            continue
        # A file that was moved after it was linked (prelink) has its base moved alike.
        moved = base.address - linked_base if base is not None and linked_base else 0
        semaphore = semaphore + moved if semaphore else 0
        if semaphore and (counters is None or not 0 <= semaphore - counters.address <= counters.size - _COUNTER_SIZE):
            continue  # the kernel would count in another variable of the program
        place = _place(image, address + moved, semaphore)
        key = (words[0], words[1])
        if place is None or (key not in places and len(places) >= MAX_PROBES):
            continue
        found = places.setdefault(key, [])
        if place not in found and len(found) < MAX_PLACES:
            found.append(place)
            arguments.setdefault(key, words[2])
    return tuple(Usdt(*key, tuple(sorted(places[key])), arguments[key]) for key in sorted(places))


def _place(image: Image, address: int, semaphore: int) -> tuple[int, int, int] | None:
    nops = _NOPS.get(image.arch, ())
    try:
        if not image.is_executable(address) or not any(image.read(address, len(nop)) == nop for nop in nops):
            return None
        return address, image.offset(address), image.offset(semaphore) if semaphore else 0
    except ElfError:
        return None
