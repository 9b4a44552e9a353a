# SPDX-License-Identifier: Apache-2.0
"""Functions that a user names by their start address: `libfoo.so+0x1a40`, as nm and objdump show it, or `symbol+0x40`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from otel_jb.arch.machine import named
from otel_jb.elf.demangle import demangle
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import all_tables
from otel_jb.elf.unwind_tables import Frames
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError
from otel_jb.model.plan import Symbol, SymbolSource

_PLACE = re.compile(r"(?P<base>.+)\+0x(?P<offset>[0-9a-fA-F]{1,16})")


def is_place(pattern: str) -> bool:
    """Whether a pattern is a place instead of a name."""
    return _PLACE.fullmatch(pattern) is not None


@dataclass(frozen=True, slots=True)
class Places:
    """The functions found, each with the pattern that named it among its aliases, and the errors of the other places."""

    symbols: tuple[Symbol, ...] = ()
    problems: tuple[str, ...] = ()


def find(
    image: Image, names: Sequence[str], patterns: Iterable[str], debug: Sequence[tuple[Image, SymbolSource]] = ()
) -> Places:
    """The functions at the places among `patterns`; `names` are those of the file: its path, base name, soname.

    A probe in the middle of an instruction kills the program. So a place is accepted only if a symbol or an unwind entry says that a
    function begins there.
    """
    wanted = [(pattern, found) for pattern in patterns if (found := _PLACE.fullmatch(pattern)) is not None]
    if not wanted:
        return Places()
    sizes: dict[int, tuple[str, int, SymbolSource]] = {}
    bases: dict[str, int] = {}
    asked = {found["base"] for _, found in wanted}
    for table in all_tables(image, debug):
        for _, raw, address, size, indirect in table.functions():
            name = raw.decode("utf-8", "backslashreplace")
            if indirect:
                continue
            if name in asked:
                bases.setdefault(name, address)
            sizes.setdefault(address, (name, size, table.source))
    frames = Frames(image)
    symbols: dict[int, Symbol] = {}
    problems = []
    for pattern, found in wanted:
        base, offset = found["base"], int(found["offset"], 16)
        if any(fnmatchcase(name, base) for name in names):
            address = offset
        elif base in bases:
            address = bases[base] + offset
        else:
            continue  # it may be in another file
        if address in symbols:
            known = symbols[address]
            symbols[address] = replace(known, aliases=(*known.aliases, pattern))
            continue
        try:
            symbols[address] = _function(image, frames, sizes, address, pattern)
        except ElfError as error:
            problems.append(f"{pattern}: {error.message}")
    return Places(tuple(symbols[address] for address in sorted(symbols)), tuple(problems))


def _function(
    image: Image, frames: Frames, sizes: dict[int, tuple[str, int, SymbolSource]], address: int, pattern: str
) -> Symbol:
    """The function that begins at an address. Raises ElfError with the reason if there is none."""
    if not image.is_executable(address):
        raise ElfError("no code is there")
    frame = frames.at(address)
    known = sizes.get(address)
    if frame is not None and frame.start != address:
        raise ElfError(f"no function begins there; the one around it begins {address - frame.start:#x} bytes earlier")
    if frame is not None:
        row, machine = frame.row(address), named(image.arch)
        if row is None or (row.register, row.offset) != (machine.stack_pointer, machine.pushed):
            raise ElfError("only the outlined part of a function begins there; it is jumped to, never called")
    elif known is None:
        raise ElfError("neither a symbol nor an unwind entry says that a function begins there")
    size = frame.end - frame.start if frame is not None else 0
    if known is None:
        return Symbol(pattern, address, size, SymbolSource.PLACE, pattern)
    name, symbol_size, source = known
    return Symbol(name, address, symbol_size or size, source, demangle(name), (pattern,))
