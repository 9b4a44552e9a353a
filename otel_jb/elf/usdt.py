# SPDX-License-Identifier: Apache-2.0
"""USDT probes: places that a program's authors marked, from `.note.stapsdt` (SystemTap's <sys/sdt.h>, version 3 of the note)."""

from __future__ import annotations

import re
import struct

from otel_jb.elf.image import Image, notes
from otel_jb.elf.usdt_arguments import parse
from otel_jb.model.arguments import MarkArgument
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

MAX_PROBES, MAX_PLACES = 1024, 64
_KIND, _OWNER = 3, b"stapsdt\0"
_COUNTER_SIZE = 2  # unsigned short
_MOST_TEXT = 1024  #: of a note's arguments
_ADDRESSES = struct.Struct("<QQQ")
_NAME = re.compile(r"[A-Za-z_][\w.$-]{0,127}", re.ASCII)
#: What <sys/sdt.h> puts there. Not x86-64's nop of 5 bytes: since Linux 6.18 a probe makes it a call, which writes below the stack pointer,
#: where a function that calls nothing may keep its values (docs/adr/0155).
_NOPS = {"x86_64": b"\x90", "aarch64": b"\x1f\x20\x03\xd5"}


@dataclass(frozen=True, slots=True)
class UsdtPlace:
    """One place of a probe. Raises ValueError for numbers that are none of a file."""

    address: int
    offset: int
    semaphore: int = 0  #: file offset of the counter that says that the probe is wanted; 0: none
    arguments: tuple[MarkArgument | None, ...] = ()  #: None: it cannot be read

    def __post_init__(self) -> None:
        if any(not 0 <= number < 1 << 63 for number in (self.address, self.offset, self.semaphore)):
            raise ValueError("not a place of a file")


@dataclass(frozen=True, slots=True)
class Usdt:
    """One probe and its places, in order of address."""

    provider: str
    name: str
    places: tuple[UsdtPlace, ...]
    arguments: str = ""  #: as the note has them, of the first place

    def __post_init__(self) -> None:
        if not self.places:
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
    places: dict[tuple[str, str], dict[int, UsdtPlace]] = {}
    texts: dict[tuple[str, str], str] = {}
    for kind, owner, data in notes(section.data, 0, section.size):
        if kind != _KIND or owner != _OWNER or len(data) < _ADDRESSES.size:
            continue
        address, linked_base, semaphore = _ADDRESSES.unpack_from(data)
        words = [word.decode("utf-8", "replace") for word in data[_ADDRESSES.size :].split(b"\0", 3)[:3]]
        if len(words) < 3 or not all(_NAME.fullmatch(word) for word in words[:2]) or len(words[2]) > _MOST_TEXT:
            continue
        # A file that was moved after it was linked (prelink) has its base moved alike.
        moved = base.address - linked_base if base is not None and linked_base else 0
        semaphore = semaphore + moved if semaphore else 0
        if semaphore and (counters is None or not 0 <= semaphore - counters.address <= counters.size - _COUNTER_SIZE):
            continue  # the kernel would count in another variable of the program
        place = _place(image, address + moved, semaphore, words[2])
        key = (words[0], words[1])
        if place is None or (key not in places and len(places) >= MAX_PROBES):
            continue
        found = places.setdefault(key, {})
        texts.setdefault(key, words[2])
        if place.address in found:  # two notes of one place that disagree say nothing
            if found[place.address] != place:
                found[place.address] = UsdtPlace(place.address, place.offset, found[place.address].semaphore)
        elif len(found) < MAX_PLACES:
            found[place.address] = place
    return tuple(Usdt(*key, tuple(places[key][at] for at in sorted(places[key])), texts[key]) for key in sorted(places))


def _place(image: Image, address: int, semaphore: int, arguments: str) -> UsdtPlace | None:
    nop = _NOPS.get(image.arch, b"")
    try:
        if not nop or not image.is_executable(address) or image.read(address, len(nop)) != nop:
            return None
        counter = image.offset(semaphore) if semaphore else 0
        return UsdtPlace(address, image.offset(address), counter, parse(arguments, image.arch))
    except (ElfError, ValueError):
        return None
