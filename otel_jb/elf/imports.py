# SPDX-License-Identifier: Apache-2.0
"""The library function that a call through the PLT or the GOT reaches, on x86-64 and AArch64."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from otel_jb.elf.image import Image
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

MAX_RELOCATIONS = 1 << 22
_MAX_NAME = 16_384
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ, _DT_JMPREL = 2, 5, 6, 7, 8, 10, 23
#: GLOB_DAT and JUMP_SLOT (psABI tables). Plain 64-bit relocations are excluded: they fill variables that may change later.
_SLOT_TYPES = {"x86_64": frozenset({6, 7}), "aarch64": frozenset({1025, 1026})}
_RELOCATION, _TYPE_AT = struct.Struct("<QQq"), 8  #: Elf64_Rela: slot, symbol and type, addend
_PLT_SECTIONS = (".plt", ".plt.sec", ".plt.got", ".iplt")
_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_BTI_C = 0xD503245F


@dataclass(frozen=True, slots=True)
class Imports:
    """Names without version by address."""

    stubs: dict[int, str]  #: PLT stub that a direct call reaches
    slots: dict[int, str]  #: GOT slot that `call *sym@GOTPCREL(%rip)` or a stub reads


def read_imports(image: Image) -> Imports:
    """The PLT stubs and GOT slots of an image that belong to a named symbol. Raises ElfError for impossible tables."""
    slots = dict(_slots(image))
    find = _stubs_x86_64 if image.arch == "x86_64" else _stubs_aarch64
    stubs: dict[int, str] = {}
    for start, code, entry_size in _plt_code(image):
        for address, slot in find(start, code, entry_size):
            if slot in slots:
                stubs[address] = slots[slot]
    return Imports(stubs, slots)


def _slots(image: Image) -> Iterator[tuple[int, str]]:
    value = image.dynamic.value
    symbols, strings, length = value(_DT_SYMTAB), value(_DT_STRTAB), value(_DT_STRSZ)
    if symbols is None or strings is None or length is None:
        return
    types = _SLOT_TYPES[image.arch]
    low = re.compile(b"[%s]" % re.escape(bytes(each & 0xFF for each in types)))
    names: dict[int, str] = {}
    for table_tag, size_tag in ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
        table, size = value(table_tag), value(size_tag)
        if table is None or not size:
            continue
        if size // _RELOCATION.size > MAX_RELOCATIONS:
            raise image.corrupt("it has too many relocations")
        data = image.read(table, size // _RELOCATION.size * _RELOCATION.size)
        # Of half a million relocations of a large program some hundred are of these types, so the lowest bytes of all types are searched.
        for found in low.finditer(data[_TYPE_AT :: _RELOCATION.size]):
            slot, info, _ = _RELOCATION.unpack_from(data, found.start() * _RELOCATION.size)
            if info & 0xFFFFFFFF not in types or not info >> 32:
                continue
            index = info >> 32
            if index not in names:
                names[index] = _symbol_name(image, symbols + index * 24, strings, length)
            if names[index]:
                yield slot, names[index]


def _symbol_name(image: Image, symbol: int, strings: int, length: int) -> str:
    try:
        (position,) = struct.unpack("<I", image.read(symbol, 4))
        if position >= length:
            return ""
        data = image.read(strings + position, min(_MAX_NAME, length - position))
    except ElfError:
        return ""
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _plt_code(image: Image) -> Iterator[tuple[int, bytes, int]]:
    """(address, code, entry size or 0) of code that may contain stubs: the PLT sections, otherwise all code."""
    found = False
    for name in _PLT_SECTIONS:
        section = image.section(name)
        if section is not None and section.type == "SHT_PROGBITS":
            found = True
            # .plt.got has 8-byte entries without branch protection, 16-byte ones with it; ld writes the size, lld 0 or 16.
            yield section.address, section.data, section.entry_size if section.entry_size in (8, 16) else 0
    if not found and not image.sections:
        for start, end in image.executable_ranges:
            yield start, image.read(start, end - start), 0


def _stubs_x86_64(start: int, code: bytes, entry_size: int) -> Iterator[tuple[int, int]]:
    """(stub, slot) of each `[endbr64;] [bnd] jmp *slot(%rip)`."""
    at = code.find(b"\xff\x25")
    while 0 <= at <= len(code) - 6:
        (displacement,) = struct.unpack_from("<i", code, at + 2)
        begin = at
        if begin and code[begin - 1] == 0xF2:  # bnd
            begin -= 1
        if code[max(0, begin - 4) : begin] == _ENDBR64:
            begin -= 4
        if not entry_size or begin % entry_size == 0:
            yield start + begin, start + at + 6 + displacement
        at = code.find(b"\xff\x25", at + 2)


def _stubs_aarch64(start: int, code: bytes, _: int) -> Iterator[tuple[int, int]]:
    """(stub, slot) of each `[bti c;] adrp x16, page; ldr x17, [x16, #offset]`."""
    words = [word for (word,) in struct.iter_unpack("<I", code[: len(code) // 4 * 4])]
    for index in range(len(words) - 1):
        adrp, load = words[index], words[index + 1]
        if adrp & 0x9F00001F != 0x90000010 or load & 0xFFC003FF != 0xF9400211:
            continue
        page = (adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3
        if page & 1 << 20:
            page -= 1 << 21
        address = start + index * 4
        slot = (address & ~0xFFF) + (page << 12) + (load >> 10 & 0xFFF) * 8
        yield address - 4 if index and words[index - 1] == _BTI_C else address, slot
