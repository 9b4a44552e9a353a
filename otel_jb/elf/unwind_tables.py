# SPDX-License-Identifier: Apache-2.0
"""Function bounds and the canonical frame address (CFA) at any instruction, from `.eh_frame`.

A function in a 170 MB program costs a binary search in `.eh_frame_hdr` and the decoding of one entry; nothing is read ahead. The
format is specified in the LSB Core specification, chapter 10.6, and in DWARF 5, section 6.4.

The CFA on x86-64 is the stack pointer before the `call` that entered the function pushed the return address, so the return
address lies at CFA - 8; on AArch64 it is the stack pointer at entry.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from functools import cached_property

from otel_jb.elf.image import Image
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

MAX_ROWS = 20_000  #: maximum rows of one function; compilers write one or two per pushed register
MAX_ENTRIES = 2_000_000  #: maximum entries to read without a search table

_POINTER_FORMATS = {0x00: "Q", 0x02: "H", 0x03: "I", 0x04: "Q", 0x0A: "h", 0x0B: "i", 0x0C: "q"}

#: CFA register and offset, places of the saved frame pointer and return address, and whether there is no return address
_State = tuple["int | None", int, "int | None", "int | None", bool]


@dataclass(frozen=True, slots=True)
class Row:
    """From `address` on, CFA = register + offset; `register` is None if an expression defines the CFA."""

    address: int
    register: int | None  #: DWARF number
    offset: int
    frame_pointer_at: int | None = None  #: the caller's frame pointer is at CFA + this; None: still in its register
    return_address_at: int | None = None  #: likewise; None: in the link register
    outermost: bool = False  #: the return address is undefined: this is the outermost frame


@dataclass(frozen=True, slots=True)
class Frame:
    """The `.eh_frame` entry of one range of code (usually a function or its `.cold` part)."""

    start: int
    end: int
    rows: tuple[Row, ...]
    lsda: int | None  #: address of the exception tables: there are landing pads, so an exception may be caught or pass
    signal: bool = False

    def row(self, address: int) -> Row | None:
        """The rule that applies before the instruction at `address` runs."""
        index = bisect_right([row.address for row in self.rows], address) - 1
        return self.rows[index] if index >= 0 and self.start <= address < self.end else None


@dataclass(frozen=True, slots=True)
class _Common:
    """A CIE: data shared by several entries."""

    code_align: int
    data_align: int
    pointer_encoding: int
    lsda_encoding: int
    augmented: bool
    signal: bool
    instructions: tuple[int, int]


class _Reader:
    """A cursor over a section; moving beyond its end raises ElfError."""

    def __init__(self, view: memoryview, address: int, at: int, end: int) -> None:
        self.view, self.address, self.at = view, address, at
        self.end = min(end, len(view))

    def take(self, form: str) -> int:
        size = struct.calcsize("<" + form)
        if self.at + size > self.end or self.at < 0:
            raise ElfError("corrupt: .eh_frame ends in the middle of an entry")
        (value,) = struct.unpack_from("<" + form, self.view, self.at)
        self.at += size
        return int(value)

    def leb(self, signed: bool = False) -> int:
        result = shift = 0
        while True:
            byte = self.take("B")
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 70:
                raise ElfError("corrupt: .eh_frame holds a number that is too long")
        return result - (1 << shift) if signed and byte & 0x40 else result

    def skip(self, size: int) -> None:
        self.at += size

    def string(self) -> bytes:
        start = self.at
        while self.take("B"):
            if self.at - start > 32:
                raise ElfError("corrupt: .eh_frame holds an augmentation that is too long")
        return bytes(self.view[start : self.at - 1])

    def pointer(self, encoding: int, data_base: int = 0) -> int | None:
        """A DW_EH_PE-encoded pointer, or None if absent. An indirect one is returned as the address of its slot."""
        if encoding == 0xFF:
            return None
        here = self.address + self.at
        low = encoding & 0x0F
        if low in (0x01, 0x09):
            value = self.leb(signed=low == 0x09)
        elif low in _POINTER_FORMATS:
            value = self.take(_POINTER_FORMATS[low])
        else:
            raise ElfError(f"corrupt: .eh_frame uses the unknown pointer encoding {encoding:#x}")
        if value == 0:
            return 0
        base = {0x00: 0, 0x10: here, 0x30: data_base}.get(encoding & 0x70)
        if base is None:
            raise ElfError(f"unsupported: .eh_frame uses the pointer encoding {encoding:#x}")
        return (value + base) & 0xFFFFFFFFFFFFFFFF


class Frames:
    """The frame descriptions of one image, read on demand."""

    def __init__(self, image: Image) -> None:
        self.image = image
        section = image.section(".eh_frame")
        self._view = section.view if section is not None else memoryview(b"")
        self._address = section.address if section is not None else 0
        self._cache: dict[int, Frame] = {}
        self._common: dict[int, _Common] = {}

    def at(self, address: int) -> Frame | None:
        """The entry whose range contains `address`. Raises ElfError if the section is corrupt there."""
        if not self._view:
            return None
        position = self._search(address)
        if position is None:
            return None
        if position not in self._cache:
            self._cache[position] = self._parse(position)
        frame = self._cache[position]
        return frame if frame.start <= address < frame.end else None

    def starts(self) -> list[int]:
        """The start addresses of all entries, in order. Raises ElfError if the section is corrupt."""
        if not self._view:
            return []
        if self._table is None:
            return self._scan[0]
        entries, count, base = self._table
        return sorted(struct.unpack_from("<i", entries, number * 8)[0] + base for number in range(count))

    # -- the search table -----------------------------------------------------------------------------------------

    @cached_property
    def _table(self) -> tuple[memoryview, int, int] | None:
        """(entries, their number, base address) of `.eh_frame_hdr`; None if it is missing or unusual."""
        section = self.image.section(".eh_frame_hdr")
        if section is None or len(section.view) < 12:
            return None
        view = section.view
        if view[0] != 1 or view[3] != 0x3B:  # sorted table of sdata4 pairs relative to the section
            return None
        reader = _Reader(view, section.address, 4, len(view))
        reader.pointer(view[1], section.address)
        count = reader.pointer(view[2], section.address)
        if not count or reader.at + count * 8 > len(view):
            return None
        return view[reader.at : reader.at + count * 8], count, section.address

    def _search(self, address: int) -> int | None:
        if self._table is None:
            index = bisect_right(self._scan[0], address) - 1
            return self._scan[1][index] if index >= 0 else None
        entries, count, base = self._table
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if struct.unpack_from("<i", entries, middle * 8)[0] + base <= address:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        position: int = struct.unpack_from("<i", entries, (low - 1) * 8 + 4)[0] + base - self._address
        return position

    @cached_property
    def _scan(self) -> tuple[list[int], list[int]]:
        """Start addresses and positions of all entries, for files without a usable search table."""
        found: list[tuple[int, int]] = []
        at = 0
        for _ in range(MAX_ENTRIES):
            if at + 4 > len(self._view):
                break
            (length,) = struct.unpack_from("<I", self._view, at)
            if length == 0:
                break
            body = at + 4
            if length == 0xFFFFFFFF:
                reader = _Reader(self._view, self._address, body, len(self._view))
                length, body = reader.take("Q"), reader.at
            if body + 4 <= len(self._view) and struct.unpack_from("<I", self._view, body)[0]:
                frame = self._parse(at, rows=False)
                found.append((frame.start, at))
            at = body + length
        found.sort()
        return [start for start, _ in found], [position for _, position in found]

    # -- entries ----------------------------------------------------------------------------------------------------

    def _open(self, position: int) -> _Reader:
        reader = _Reader(self._view, self._address, position, len(self._view))
        length = reader.take("I")
        if length == 0xFFFFFFFF:
            length = reader.take("Q")
        if reader.at + length > len(self._view):
            raise ElfError(f"{self.image.name}: corrupt: an entry of .eh_frame goes beyond its end")
        reader.end = reader.at + length
        return reader

    def _parse(self, position: int, rows: bool = True) -> Frame:
        reader = self._open(position)
        here = reader.at
        distance = reader.take("I")
        if distance == 0:
            raise ElfError(f"{self.image.name}: corrupt: .eh_frame_hdr leads to no frame description")
        common = self._read_common(here - distance)
        start = reader.pointer(common.pointer_encoding)
        size = reader.pointer(common.pointer_encoding & 0x0F)
        lsda: int | None = None
        if common.augmented:
            length = reader.leb()
            after = reader.at + length
            if common.lsda_encoding != 0xFF:
                lsda = reader.pointer(common.lsda_encoding) or None
            reader.at = after
        if start is None or size is None:
            raise ElfError(f"{self.image.name}: corrupt: a frame description has no address")
        listed = self._rows(common, start, reader) if rows else ()
        return Frame(start, start + size, listed, lsda, common.signal)

    def _read_common(self, position: int) -> _Common:
        if position not in self._common:
            self._common[position] = self._parse_common(position)
        return self._common[position]

    def _parse_common(self, position: int) -> _Common:
        reader = self._open(position)
        if reader.take("I") != 0:
            raise ElfError(f"{self.image.name}: corrupt: a frame description names no common entry")
        version = reader.take("B")
        augmentation = reader.string()
        if version == 4:
            reader.take("H")  # address and segment selector size
        elif version not in (1, 3):
            raise ElfError(f"{self.image.name}: unsupported: .eh_frame version {version}")
        code_align, data_align = reader.leb(), reader.leb(signed=True)
        if version == 1:
            reader.take("B")
        else:
            reader.leb()
        pointer_encoding, lsda_encoding, signal = 0x00, 0xFF, False
        if augmentation.startswith(b"z"):
            after = reader.leb()
            after += reader.at
            for letter in augmentation[1:].decode("latin-1"):
                if letter == "R":
                    pointer_encoding = reader.take("B")
                elif letter == "L":
                    lsda_encoding = reader.take("B")
                elif letter == "P":
                    reader.pointer(reader.take("B") & 0x7F)
                elif letter == "S":
                    signal = True
                elif letter not in "BG":  # AArch64: key B, memory tagging
                    break
            reader.at = after
        elif augmentation:
            raise ElfError(f"{self.image.name}: unsupported: .eh_frame augmentation {augmentation!r}")
        span = (reader.at, reader.end)
        return _Common(code_align, data_align, pointer_encoding, lsda_encoding, augmentation[:1] == b"z", signal, span)

    # -- instructions -----------------------------------------------------------------------------------------------

    def _rows(self, common: _Common, start: int, reader: _Reader) -> tuple[Row, ...]:
        rows: list[Row] = []
        initial = _Reader(self._view, self._address, *common.instructions)
        state = self._run(initial, common, start, (None, 0, None, None, False), rows)
        # The common entry's state applies from the start, even if the entry itself adds no row.
        rows.append(Row(start, *state))
        self._run(reader, common, start, state, rows)
        merged: list[Row] = []
        for row in rows:
            if merged and merged[-1].address == row.address:
                merged[-1] = row
            else:
                merged.append(row)
        return tuple(merged)

    def _run(self, reader: _Reader, common: _Common, location: int, state: _State, rows: list[Row]) -> _State:
        """Run call frame instructions. Keeps changes of the CFA, the frame pointer and the return address, and skips the rest."""
        register, offset, fp_at, return_at, outermost = state
        places = [fp_at, return_at]
        kept = {self.image.machine.frame_pointer: 0, self.image.machine.return_address: 1}
        at_start = list(places)  # `restore` returns to the common entry's state
        outermost_at_start = outermost
        stack: list[tuple[int | None, int, list[int | None], bool]] = []

        def saved(number: int, place: int | None, undefined: bool = False) -> bool:
            nonlocal outermost
            if number in kept:
                places[kept[number]] = place
            if number == self.image.machine.return_address:
                outermost = undefined
            return number in kept

        def restored(number: int) -> bool:
            return saved(number, at_start[kept[number]] if number in kept else None, outermost_at_start)

        while reader.at < reader.end:
            byte = reader.take("B")
            high, low = byte & 0xC0, byte & 0x3F
            changed = False
            if high == 0x40:  # advance_loc
                location += low * common.code_align
            elif high == 0x80:  # offset
                changed = saved(low, reader.leb() * common.data_align)
            elif high == 0xC0:  # restore
                changed = restored(low)
            elif low in (0x00, 0x2C, 0x2D):  # nop, AArch64: negate_ra_state_with_pc, negate_ra_state
                pass
            elif low == 0x01:  # set_loc
                location = reader.pointer(common.pointer_encoding) or location
            elif low in (0x02, 0x03, 0x04):  # advance_loc1, 2, 4
                location += reader.take({2: "B", 3: "H", 4: "I"}[low]) * common.code_align
            elif low == 0x05:  # offset_extended
                number = reader.leb()
                changed = saved(number, reader.leb() * common.data_align)
            elif low in (0x09, 0x14, 0x2B, 0x2F):  # register, val_offset, AArch64: set_ra_state: two operands
                reader.leb()
                reader.leb()
            elif low == 0x06:  # restore_extended
                changed = restored(reader.leb())
            elif low in (0x07, 0x08):  # undefined, same_value
                changed = saved(reader.leb(), None, undefined=low == 0x07)
            elif low == 0x2E:  # args_size
                reader.leb()
            elif low == 0x0A:
                stack.append((register, offset, list(places), outermost))
            elif low == 0x0B:
                if stack:
                    register, offset, places, outermost = stack.pop()
                    changed = True
            elif low == 0x0C:  # def_cfa
                register, offset, changed = reader.leb(), reader.leb(), True
            elif low == 0x0D:
                register, changed = reader.leb(), True
            elif low == 0x0E:
                offset, changed = reader.leb(), True
            elif low == 0x0F:  # def_cfa_expression
                reader.skip(reader.leb())
                register, offset, changed = None, 0, True
            elif low in (0x10, 0x16):  # expression, val_expression
                reader.leb()
                reader.skip(reader.leb())
            elif low == 0x11:  # offset_extended_sf
                number = reader.leb()
                changed = saved(number, reader.leb(signed=True) * common.data_align)
            elif low == 0x15:  # val_offset_sf
                reader.leb()
                reader.leb(signed=True)
            elif low == 0x12:  # def_cfa_sf
                register, offset, changed = reader.leb(), reader.leb(signed=True) * common.data_align, True
            elif low == 0x13:
                offset, changed = reader.leb(signed=True) * common.data_align, True
            else:
                raise ElfError(f"{self.image.name}: unsupported: call frame instruction {byte:#x}")
            if changed:
                rows.append(Row(location, register, offset, places[0], places[1], outermost))
                if len(rows) > MAX_ROWS or len(stack) > MAX_ROWS:
                    raise ElfError(f"{self.image.name}: corrupt: a frame description has too many rows")
        return register, offset, places[0], places[1], outermost
