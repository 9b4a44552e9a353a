"""PLT stubs: which imported function a call of a stub's address reaches."""

from __future__ import annotations

import re
import struct

from otel_jb.elf import symbols
from otel_jb.elf.image import Image, Section
from otel_jb.records import SymbolSource

SECTIONS = (".plt", ".plt.sec", ".plt.got", ".iplt")
MAX_RELOCATIONS = 1 << 24
#: R_*_GLOB_DAT, R_*_JUMP_SLOT
_RELOCATIONS = {"x86_64": (6, 7), "aarch64": (1025, 1026)}
_RELA = struct.Struct("<QIIq")
#: an optional `endbr64`, an optional `bnd`, then a jump through a cell at a distance from the next instruction
_STUB_X86 = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(.{4})", re.DOTALL)


def stubs(image: Image, cells: dict[int, str]) -> dict[int, str]:
    """Imported names (without version) by the address of the stub through which they are called; `cells` by `import_cells`."""
    if not cells:
        return {}
    find = _stubs_x86 if image.arch == "x86_64" else _stubs_arm64
    found: dict[int, str] = {}
    for name in SECTIONS:
        section = image.section(name)
        if section is not None and len(section.view):
            found.update((stub, cells[cell]) for stub, cell in find(section) if cell in cells)
    return found


def import_cells(image: Image) -> dict[int, str]:
    """Names by the address of the cell (in the global offset table) that the loader fills with the function's address."""
    tables = symbols.tables(image)
    dynamic = next((table for table in tables if table.source is SymbolSource.DYNSYM), None)
    if dynamic is None:
        return {}
    glob_dat, jump_slot = _RELOCATIONS[image.arch]
    found: dict[int, str] = {}
    for name in (".rela.plt", ".rela.dyn"):
        section = image.section(name)
        if section is None or section.size // _RELA.size > MAX_RELOCATIONS:
            continue
        view = section.view
        whole = view[: len(view) // _RELA.size * _RELA.size]
        for cell, kind, symbol, _ in _RELA.iter_unpack(whole):
            if kind in (jump_slot, glob_dat):
                text = _symbol_name(dynamic, symbol)
                if text:
                    found[cell] = text
    return found


def _symbol_name(table: symbols.SymbolTable, number: int) -> str:
    if not 0 < number < table.count:
        return ""
    (position,) = struct.unpack_from("<I", table.entries, number * 24)
    end = table.strings.find(b"\0", position, position + symbols.MAX_NAME)
    return table.strings[position:end].decode("utf-8", "backslashreplace") if end > position else ""


def _stubs_x86(section: Section) -> list[tuple[int, int]]:
    found = []
    for match in _STUB_X86.finditer(section.data):
        (distance,) = struct.unpack("<i", match[1])
        found.append((section.address + match.start(), section.address + match.end() + distance))
    return found


def _stubs_arm64(section: Section) -> list[tuple[int, int]]:
    """`adrp x16, page; ldr x17, [x16, #offset]; ...; br x17`, with an optional `bti c` before."""
    data = section.data
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    found = []
    for n in range(len(words) - 1):
        page, load = words[n], words[n + 1]
        if page & 0x9F00001F != 0x90000010 or load & 0xFFC003FF != 0xF9400211:
            continue
        distance = ((page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3) << 12
        if distance & 1 << 32:
            distance -= 1 << 33
        here = section.address + n * 4
        start = here - 4 if n and words[n - 1] == 0xD503245F else here
        found.append((start, (here & ~0xFFF) + distance + (load >> 10 & 0xFFF) * 8))
    return found
