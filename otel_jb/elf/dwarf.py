# SPDX-License-Identifier: Apache-2.0
"""DWARF 2 to 5, as far as type layouts need it: units, abbreviations, and entries (DIEs) with a few of their attributes.

This does not use pyelftools, which decodes every attribute of every entry into objects and does not support split units
(docs/adr/0030). The tests' oracle is the compiled program itself, which prints the offsets of its fields.
All input may be hostile: an offset outside its section raises IndexError or struct.error, which `types` reports as unreadable.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import field
from typing import NamedTuple

from otel_jb.elf.image import Buffer, Image
from otel_jb.model.dataclass import dataclass

MAX_UNPACKED = 1 << 30  #: maximum bytes of one decompressed section
_SHF_COMPRESSED = 0x800
_ZLIB, _ZSTD = 1, 2
_MAX_ABBREVIATIONS = 1 << 16
_MAX_ATTRIBUTES = 256  #: of one abbreviation

# Units
UT_TYPE, UT_SPLIT_TYPE, UT_SKELETON, UT_SPLIT_COMPILE = 2, 6, 4, 5

# Attributes
AT_SIBLING, AT_NAME, AT_BYTE_SIZE, AT_BIT_OFFSET, AT_BIT_SIZE = 0x01, 0x03, 0x0B, 0x0C, 0x0D
AT_COMP_DIR, AT_DATA_MEMBER_LOCATION, AT_DECLARATION, AT_ENCODING, AT_EXTERNAL = 0x1B, 0x38, 0x3C, 0x3E, 0x3F
AT_TYPE, AT_DATA_BIT_OFFSET, AT_SIGNATURE, AT_STR_OFFSETS_BASE, AT_DWO_NAME = 0x49, 0x6B, 0x69, 0x72, 0x76
AT_SPECIFICATION, AT_GNU_DWO_NAME, AT_GNU_DWO_ID = 0x47, 0x2130, 0x2131

# Forms
_ADDR, _BLOCK2, _BLOCK4, _DATA2, _DATA4, _DATA8, _STRING, _BLOCK, _BLOCK1, _DATA1, _FLAG, _SDATA, _STRP, _UDATA = (
    0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F,
)  # fmt: skip
_REF_ADDR, _REF1, _REF2, _REF4, _REF8, _REF_UDATA, _INDIRECT, _SEC_OFFSET, _EXPRLOC, _FLAG_PRESENT = range(0x10, 0x1A)
_STRX, _ADDRX, _REF_SUP4, _STRP_SUP, _DATA16, _LINE_STRP, _REF_SIG8, _IMPLICIT, _LOCLISTX, _RNGLISTX, _REF_SUP8 = range(
    0x1A, 0x25
)
_STRX1, _STRX2, _STRX3, _STRX4, _ADDRX1, _ADDRX2, _ADDRX3, _ADDRX4 = range(0x25, 0x2D)
_GNU_ADDR_INDEX, _GNU_STR_INDEX, _GNU_REF_ALT, _GNU_STRP_ALT = 0x1F01, 0x1F02, 0x1F20, 0x1F21

_FIXED = {
    _DATA1: 1, _REF1: 1, _FLAG: 1, _STRX1: 1, _ADDRX1: 1, _DATA2: 2, _REF2: 2, _STRX2: 2, _ADDRX2: 2, _STRX3: 3, _ADDRX3: 3,
    _DATA4: 4, _REF4: 4, _STRX4: 4, _ADDRX4: 4, _REF_SUP4: 4, _DATA8: 8, _REF8: 8, _REF_SIG8: 8, _REF_SUP8: 8, _DATA16: 16,
    _FLAG_PRESENT: 0, _IMPLICIT: 0,
}  # fmt: skip
_OFFSETS = frozenset(
    {_STRP, _LINE_STRP, _SEC_OFFSET, _STRP_SUP, _GNU_REF_ALT, _GNU_STRP_ALT}
)  #: as wide as an offset of the unit
_LEB = frozenset({_UDATA, _SDATA, _REF_UDATA, _STRX, _ADDRX, _LOCLISTX, _RNGLISTX, _GNU_ADDR_INDEX, _GNU_STR_INDEX})
_BLOCKS = {_BLOCK1: 1, _BLOCK2: 2, _BLOCK4: 4}
_LEB_BLOCKS = frozenset({_BLOCK, _EXPRLOC})
_INDEXED_STRINGS = {_STRX: 0, _GNU_STR_INDEX: 0, _STRX1: 1, _STRX2: 2, _STRX3: 3, _STRX4: 4}
REF_ADDR, REF_SIG8 = _REF_ADDR, _REF_SIG8
_ELSEWHERE = frozenset(
    {_STRP_SUP, _GNU_REF_ALT, _GNU_STRP_ALT, _REF_SUP4, _REF_SUP8}
)  #: in a supplementary file made by dwz


class DwarfError(Exception):
    """Debug information cannot be read; the message says why."""


class Bytes:
    """A section: part of the file's buffer, or its unpacked contents."""

    __slots__ = ("buffer", "end", "start")

    def __init__(self, buffer: Buffer, start: int, size: int) -> None:
        self.buffer, self.start, self.end = buffer, start, start + size

    def __len__(self) -> int:
        return self.end - self.start

    def number(self, at: int, size: int) -> int:
        """An unsigned little-endian number. Raises IndexError outside of the section."""
        begin = self.start + at
        if at < 0 or begin + size > self.end:
            raise IndexError(at)
        return int.from_bytes(self.buffer[begin : begin + size], "little")

    def uleb(self, at: int) -> tuple[int, int]:
        """A ULEB128 number and the position after it."""
        begin = self.start + at
        if at >= 0 and begin < self.end and (byte := self.buffer[begin]) < 0x80:  # nearly always
            return byte, at + 1
        value = shift = 0
        while True:
            byte = self.number(at, 1)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
            if shift > 63:
                raise IndexError(at)

    def sleb(self, at: int) -> tuple[int, int]:
        """An SLEB128 number and the position after it."""
        value, end = self.uleb(at)
        bits = 7 * (end - at)
        return (value - (1 << bits) if value >> (bits - 1) & 1 else value), end

    def string(self, at: int) -> bytes:
        """The bytes up to the next zero."""
        begin = self.start + at
        end = self.buffer.find(b"\0", begin, self.end) if 0 <= at < len(self) else -1
        if end < 0:
            raise IndexError(at)
        return bytes(self.buffer[begin:end])


_EMPTY = Bytes(b"", 0, 0)


class Abbreviation(NamedTuple):
    """The encoding of entries with one abbreviation code."""

    tag: int
    children: bool
    attributes: tuple[tuple[int, int, int], ...]  #: attribute, form, implicit constant
    size: int  #: total size of the attributes, -1 if it depends on their values


@dataclass(slots=True)
class Unit:
    """A compile, type, partial or skeleton unit. Positions count from the start of its section."""

    section: Bytes
    start: int
    end: int
    first: int  #: position of its first entry
    version: int
    offset_size: int  #: 4, or 8 in 64-bit DWARF
    address_size: int
    abbreviations: int  #: position of its table
    kind: int = 0  #: DW_UT_*; 0 before DWARF 5
    signature: int = 0  #: of the type in a type unit, or the number that ties a skeleton to its split unit
    type_at: int = 0  #: position of that type
    str_offsets: int | None = None


@dataclass(slots=True)
class Entry:
    """A debugging information entry. Attribute values are numbers, strings, or raw blocks."""

    unit: Unit
    at: int
    tag: int
    children: bool
    next: int  #: position behind its attributes
    values: dict[int, int | bytes] = field(default_factory=dict)
    forms: dict[int, int] = field(default_factory=dict)

    def number(self, attribute: int) -> int | None:
        """The value of an attribute that is a number."""
        value = self.values.get(attribute)
        return value if isinstance(value, int) else None


class Dwarf:
    """The debug sections of one file, `.dwo` ones if it is a split file's."""

    def __init__(self, image: Image) -> None:
        """Unpacks compressed sections. Raises DwarfError."""
        self.split = image.section(".debug_info") is None and image.section(".debug_info.dwo") is not None
        suffix = ".dwo" if self.split else ""
        self.info = section(image, f".debug_info{suffix}")
        self.types = section(image, f".debug_types{suffix}")
        self._abbrev = section(image, f".debug_abbrev{suffix}")
        self.str = section(image, f".debug_str{suffix}")
        self._line_str = section(image, f".debug_line_str{suffix}")
        self._str_offsets = section(image, f".debug_str_offsets{suffix}")
        self._tables: dict[int, dict[int, Abbreviation]] = {}

    def units(self) -> Iterator[Unit]:
        """All units, type units of `.debug_types` last."""
        for part, of_types in ((self.info, False), (self.types, True)):
            at = 0
            while at + 11 < len(part):
                unit = _unit(part, at, of_types=of_types)
                at = unit.end
                if 2 <= unit.version <= 5 and unit.address_size == 8:
                    yield unit

    def table(self, unit: Unit) -> dict[int, Abbreviation]:
        """The abbreviations of a unit by code."""
        known = self._tables.get(unit.abbreviations)
        if known is None:
            known = self._tables[unit.abbreviations] = _abbreviations(self._abbrev, unit.abbreviations)
        return known

    def entry(self, unit: Unit, at: int) -> Entry | None:
        """The entry at a position of the unit's section; None for the end of a list of children."""
        code, position = unit.section.uleb(at)
        if code == 0:
            return None
        if position > unit.end:
            raise IndexError(at)
        how = self.table(unit)[code]
        entry = Entry(unit, at, how.tag, how.children, position)
        for attribute, form, constant in how.attributes:
            entry.values[attribute], position = self._value(unit, form, constant, position)
            entry.forms[attribute] = form
        entry.next = position
        return entry

    def step(self, unit: Unit, at: int) -> tuple[Abbreviation | None, int, bool]:
        """(encoding of the entry here, None for the end of a list of children; the next position; whether that is its first child).

        The unit's `table` must have been read.
        """
        code, position = unit.section.uleb(at)
        if code == 0:
            return None, position, False
        how = self._tables[unit.abbreviations][code]
        if not how.children and how.size >= 0 and unit.offset_size == 4:
            return how, position + how.size, False
        for attribute, form, _ in how.attributes:
            if attribute == AT_SIBLING and form == _REF4 and how.children:
                sibling = unit.start + unit.section.number(position, 4)
                if not position < sibling <= unit.end:
                    raise IndexError(at)
                return how, sibling, False
            position = self._behind(unit, form, position)
        return how, position, how.children

    def children(self, entry: Entry) -> Iterator[Entry]:
        """The entry's direct children, decoded."""
        if not entry.children:
            return
        unit, at = entry.unit, entry.next
        while (child := self.entry(unit, at)) is not None:
            yield child
            at = self.behind(child)

    def behind(self, entry: Entry) -> int:
        """Position of the entry's next sibling."""
        if not entry.children:
            return entry.next
        sibling = entry.number(AT_SIBLING)
        if sibling is not None and entry.at < sibling <= entry.unit.end:
            return sibling
        return self.behind_children(entry.unit, entry.next)

    def behind_children(self, unit: Unit, at: int) -> int:
        """Position after the list of children that starts here."""
        depth = 1
        while depth:
            how, at, inside = self.step(unit, at)
            if at > unit.end:
                raise IndexError(at)
            depth += inside - (how is None)
        return at

    def name(self, entry: Entry) -> bytes:
        """Its name, or empty if it has none."""
        value = entry.values.get(AT_NAME)
        return value if isinstance(value, bytes) else b""

    def _value(self, unit: Unit, form: int, constant: int, at: int) -> tuple[int | bytes, int]:
        part = unit.section
        if form == _INDIRECT:
            form, at = part.uleb(at)
            if form in (_INDIRECT, _IMPLICIT):
                raise IndexError(at)
        if form in (_FLAG_PRESENT, _IMPLICIT):
            return (1 if form == _FLAG_PRESENT else constant), at
        if form in _ELSEWHERE:
            raise DwarfError("parts of its debug information are in a supplementary file made by dwz")
        if form in (_STRP, _LINE_STRP):
            where = self.str if form == _STRP else self._line_str
            return where.string(part.number(at, unit.offset_size)), at + unit.offset_size
        if form in _INDEXED_STRINGS:
            size = _INDEXED_STRINGS[form]
            index, at = (part.number(at, size), at + size) if size else part.uleb(at)
            return self._indexed(unit, index), at
        if form == _STRING:
            text = part.string(at)
            return text, at + len(text) + 1
        if form in _BLOCKS or form in _LEB_BLOCKS:
            size, at = (part.number(at, _BLOCKS[form]), at + _BLOCKS[form]) if form in _BLOCKS else part.uleb(at)
            if at + size > unit.end:
                raise IndexError(at)
            return bytes(part.buffer[part.start + at : part.start + at + size]), at + size
        if form == _SDATA:
            return part.sleb(at)
        if form in _LEB:
            value, at = part.uleb(at)
            return (value + unit.start if form == _REF_UDATA else value), at
        size = _fixed(unit, form)
        value = part.number(at, size)
        if form in (_REF1, _REF2, _REF4, _REF8):
            value += unit.start
        return value, at + size

    def _behind(self, unit: Unit, form: int, at: int) -> int:
        part = unit.section
        if form in _LEB:
            return part.uleb(at)[1]
        if form == _STRING:
            return at + len(part.string(at)) + 1
        if form in _BLOCKS:
            return at + _BLOCKS[form] + part.number(at, _BLOCKS[form])
        if form in _LEB_BLOCKS:
            size, at = part.uleb(at)
            return at + size
        if form == _INDIRECT:
            form, at = part.uleb(at)
            return self._behind(unit, form, at) if form != _INDIRECT else len(part) + 1
        return at + _fixed(unit, form)

    def _indexed(self, unit: Unit, index: int) -> bytes:
        if unit.str_offsets is None:
            # A split unit has no base: its table follows the header (DWARF 5, 7.26), or is the whole section (GNU, DWARF 4).
            unit.str_offsets = 0 if unit.version < 5 else 4 + unit.offset_size
        return self.str.string(self._str_offsets.number(unit.str_offsets + index * unit.offset_size, unit.offset_size))

    def root(self, unit: Unit) -> Entry | None:
        """The unit's own entry. After this call, its indexed strings can be read."""
        if unit.version >= 5 and not self.split and unit.str_offsets is None:
            unit.str_offsets = self._str_offsets_base(unit)
        return self.entry(unit, unit.first)

    def _str_offsets_base(self, unit: Unit) -> int | None:
        code, at = unit.section.uleb(unit.first)
        for attribute, form, _ in self.table(unit)[code].attributes if code else ():
            if attribute == AT_STR_OFFSETS_BASE:
                return unit.section.number(at, unit.offset_size)
            at = self._behind(unit, form, at)
        return None


def section(image: Image, name: str) -> Bytes:
    """A debug section, unpacked; empty if it is missing. Raises DwarfError."""
    found = image.section(name)
    if found is None and name.startswith(".debug_"):
        old = image.section(".z" + name[1:])
        if old is not None and bytes(old.view[:4]) == b"ZLIB":
            return _unpacked(old.view[12:], int.from_bytes(old.view[4:12], "big"))
    if found is None or found.type == "SHT_NOBITS":
        return _EMPTY
    if not found.flags & _SHF_COMPRESSED:
        return Bytes(image.buffer, found.offset, found.size)
    kind, _, size, _ = struct.unpack_from("<IIQQ", found.view)
    if kind != _ZLIB:
        how = "zstd" if kind == _ZSTD else f"method {kind}"
        raise DwarfError(f"its debug information is compressed with {how}, which cannot be unpacked here")
    return _unpacked(found.view[24:], size)


def _unpacked(data: memoryview, size: int) -> Bytes:
    if size > MAX_UNPACKED:
        raise DwarfError(f"its debug information unpacks to more than {MAX_UNPACKED >> 20} MiB")
    try:
        unpacked = zlib.decompressobj().decompress(data, size)
    except zlib.error:
        raise DwarfError("its debug information cannot be unpacked") from None
    return Bytes(unpacked, 0, len(unpacked))


def _unit(part: Bytes, start: int, *, of_types: bool) -> Unit:
    length, at, size = part.number(start, 4), start + 4, 4
    if length == 0xFFFFFFFF:
        length, at, size = part.number(at, 8), at + 8, 8
    end = at + length
    if (length >= 0xFFFFFFF0 and size == 4) or not at + 7 <= end <= len(part):
        raise IndexError(start)
    version = part.number(at, 2)
    at += 2
    kind = signature = type_at = 0
    if version >= 5:
        kind, address_size = part.number(at, 1), part.number(at + 1, 1)
        abbreviations, at = part.number(at + 2, size), at + 2 + size
        if kind in (UT_SKELETON, UT_SPLIT_COMPILE, UT_TYPE, UT_SPLIT_TYPE):
            signature, at = part.number(at, 8), at + 8
        if kind in (UT_TYPE, UT_SPLIT_TYPE):
            type_at, at = start + part.number(at, size), at + size
    else:
        abbreviations, address_size, at = part.number(at, size), part.number(at + size, 1), at + size + 1
        if of_types:
            kind, signature, at = UT_TYPE, part.number(at, 8), at + 8
            type_at, at = start + part.number(at, size), at + size
    return Unit(part, start, end, at, version, size, address_size, abbreviations, kind, signature, type_at)


def _abbreviations(part: Bytes, at: int) -> dict[int, Abbreviation]:
    found: dict[int, Abbreviation] = {}
    while len(found) < _MAX_ABBREVIATIONS:
        code, at = part.uleb(at)
        if code == 0:
            return found
        tag, at = part.uleb(at)
        children, at = part.number(at, 1) != 0, at + 1
        attributes: list[tuple[int, int, int]] = []
        while len(attributes) < _MAX_ATTRIBUTES:
            attribute, at = part.uleb(at)
            form, at = part.uleb(at)
            constant = 0
            if form == _IMPLICIT:
                constant, at = part.sleb(at)
            if attribute == 0 and form == 0:
                break
            attributes.append((attribute, form, constant))
        sizes = [_FIXED.get(form, 4 if form in _OFFSETS else -1) for _, form, _ in attributes]
        # Offsets have 4 bytes except in 64-bit DWARF, for which sizes are not used to skip entries.
        whole = sum(sizes) if all(size >= 0 for size in sizes) else -1
        found[code] = Abbreviation(tag, children, tuple(attributes), whole)
    raise DwarfError("its debug information has too many abbreviations")


def _fixed(unit: Unit, form: int) -> int:
    size = _FIXED.get(form)
    if size is not None:
        return size
    if form in _OFFSETS:
        return unit.offset_size
    if form == _REF_ADDR:
        return unit.offset_size if unit.version > 2 else unit.address_size
    if form == _ADDR:
        return unit.address_size
    raise DwarfError(f"its debug information uses the unknown form {form:#x}")
