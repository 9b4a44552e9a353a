# SPDX-License-Identifier: Apache-2.0
"""Go's own table of functions, `.gopclntab`, which the runtime needs and which `-ldflags "-s -w"` and `strip` therefore leave.

It names every function and says where it begins, and for every instruction how far the stack pointer is from where it was at the
function's entry. The format changed in Go 1.16, 1.18 and 1.20 (`src/internal/abi/symtab.go`, `src/runtime/symtab.go`); older ones are not read.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import field
from itertools import pairwise
from weakref import WeakKeyDictionary

from otel_jb.elf.image import Image, Section
from otel_jb.elf.unwind_tables import Frame, Frames, Row
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab")  #: the second in position-independent programs
MAX_FUNCTIONS = 1 << 21
MAX_STEPS = 50_000  #: of the stack pointer within one function

_GO_1_16, _GO_1_18, _GO_1_20 = 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1
_HEADER = struct.Struct("<IHBB")
_MODULE_DATA = (".go.module", ".noptrdata", ".data", ".data.rel.ro")  #: where the linker puts `runtime.firstmoduledata`
#: In moduledata (unchanged since Go 1.16): pcHeader, then six slices and findfunctab, then these.
_FIRST_FUNCTION_AT, _TEXT_AT = 160, 176
_RELOCATION = 24  #: bytes of an Elf64_Rela; its addend is in the last 8
_ASSEMBLY = 4  #: FuncFlagAsm: written in assembly, so it keeps none of the compiler's rules
_SYMBOL = struct.Struct("<IBBHQQ")
_FUNCTION, _ANY_SECTION = 2, 1


@dataclass(frozen=True, slots=True)
class GoTable:
    """The functions of one Go program, in order of address."""

    magic: int
    quantum: int  #: smallest size of an instruction
    starts: array[int]  #: and the end of the last one
    strings: bytes = field(repr=False)
    names: array[int] = field(repr=False)  #: positions in `strings`, by function
    _records: memoryview = field(repr=False)
    _offsets: array[int] = field(repr=False)  #: of each function's record
    _values: memoryview = field(repr=False)

    @property
    def register_abi(self) -> bool:
        """Whether every function made by the compiler surely has its goroutine in a register: in programs of Go 1.18 and later."""
        return self.magic != _GO_1_16

    @property
    def _fields_at(self) -> int:
        """Where in a record its fields begin, behind the function's address."""
        return 8 if self.magic == _GO_1_16 else 4

    def symbols(self) -> bytes:
        """The same as entries of an ELF symbol table, whose names are in `strings`."""
        made = bytearray()
        for name, start, end in zip(self.names, self.starts, self.starts[1:], strict=False):
            made += _SYMBOL.pack(name, _FUNCTION, 0, _ANY_SECTION, start, end - start)
        return bytes(made)

    def number(self, address: int) -> int | None:
        """Which function contains an address."""
        at = bisect_right(self.starts, address) - 1
        return at if 0 <= at < len(self._offsets) else None

    def is_assembly(self, address: int) -> bool:
        """Whether the function at an address was not made by the compiler. Raises IndexError for a table that ends too soon."""
        number = self.number(address)
        if number is None:
            return True
        flag = self._offsets[number] + self._fields_at + (37 if self.magic == _GO_1_20 else 33)
        return bool(self._records[flag] & _ASSEMBLY)

    def frame(self, address: int, stack_pointer: int, pushed: int) -> Frame | None:
        """How far the caller's frame is from the stack pointer (a register with this DWARF number) in the function at an address."""
        number = self.number(address)
        if number is None:
            return None
        start, end = self.starts[number], self.starts[number + 1]
        (first,) = struct.unpack_from("<I", self._records, self._offsets[number] + self._fields_at + 12)
        saved = -8 if pushed else None
        rows = [Row(at, stack_pointer, value + pushed, None, saved) for at, value in self._steps(first, start, end)]
        return Frame(start, end, tuple(rows), None) if rows else None

    def _steps(self, at: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(first address, value) of a table of values by address (`runtime.step`)."""
        if not at:
            return
        value, address = -1, start
        for _ in range(MAX_STEPS):
            step, at = self._number_at(at)
            if not step and address != start:
                return
            value += (step >> 1) ^ -(step & 1)
            if not -(1 << 31) <= value < 1 << 31:
                return
            yield address, value
            distance, at = self._number_at(at)
            address += distance * self.quantum
            if address >= end:
                return

    def _number_at(self, at: int) -> tuple[int, int]:
        result = 0
        for shift in range(0, 35, 7):
            byte = self._values[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return result, at
        raise IndexError


class GoFrames(Frames):
    """The frames of a Go program: of Go functions by its own table, of others by `.eh_frame`."""

    def __init__(self, image: Image, table: GoTable) -> None:
        super().__init__(image)
        self.table = table
        self._known: dict[int, Frame | None] = {}

    def at(self, address: int) -> Frame | None:
        """As in `Frames`."""
        number = self.table.number(address)
        if number is not None and number not in self._known:
            machine = self.image.machine
            try:
                self._known[number] = self.table.frame(address, machine.stack_pointer, machine.pushed)
            except (IndexError, struct.error):
                raise ElfError("corrupt: .gopclntab ends in the middle of a table") from None
        found = self._known.get(number) if number is not None else None
        return found or super().at(address)


def section(image: Image) -> Section | None:
    """The table's section; None where no Go compiler made the file."""
    return next((found for name in SECTIONS if (found := image.section(name)) is not None), None)


_known: WeakKeyDictionary[Image, GoTable | None] = WeakKeyDictionary()  # half a million functions take seconds to read


def read(image: Image) -> GoTable | None:
    """The table; None where there is none, it is older than Go 1.16, or it contradicts itself."""
    if image not in _known:
        _known[image] = _read(image)
    return _known[image]


def _read(image: Image) -> GoTable | None:
    found = section(image)
    if found is None:
        return None
    try:
        return _parsed(image, found)
    except (struct.error, IndexError, ValueError, OverflowError, ElfError):
        return None


def _parsed(image: Image, found: Section) -> GoTable | None:
    view = found.view
    magic, zero, quantum, pointer = _HEADER.unpack_from(view)
    if magic not in (_GO_1_16, _GO_1_18, _GO_1_20) or zero or pointer != 8 or quantum not in (1, 2, 4):
        return None
    old = magic == _GO_1_16
    words = struct.unpack_from(f"<{7 if old else 8}Q", view, _HEADER.size)
    count, base = words[0], 0 if old else words[2]
    names_at, names_end, _, values_at, records_at = words[2 if old else 3 :]
    if not 0 < count <= MAX_FUNCTIONS or not names_at < names_end <= len(view):
        return None
    records = view[records_at:]
    # Arrays, since half a million functions as objects take hundreds of megabytes.
    flat = array("Q" if old else "I")
    flat.frombytes(records[: (2 * count + 1) * flat.itemsize])
    entries, offsets, last = flat[0:-1:2], flat[1::2], flat[-1]
    if len(offsets) != count:
        return None
    if not old and not image.is_executable(base):
        base = _text_start(image, found.address, entries[0])
    starts = array("Q", (base + at for at in entries))
    starts.append(base + last)
    if any(low > high for low, high in pairwise(starts)) or not image.is_executable(starts[0]):
        return None
    name = struct.Struct("<I").unpack_from
    name_at = 8 if old else 4
    names = array("I", (name(records, offset + name_at)[0] for offset in offsets))
    return GoTable(magic, quantum, starts, bytes(view[names_at:names_end]), names, records, offsets, view[values_at:])


def _text_start(image: Image, table: int, first: int) -> int:
    """What the entries are counted from, where the header does not say it (Go 1.26, and programs that are relocated).

    The runtime takes it from `runtime.firstmoduledata`, which begins with the table's address and holds it beside the first function's.
    """
    pointer = struct.pack("<Q", table)
    for name in _MODULE_DATA:
        within = image.section(name)
        at = within.data.find(pointer) if within is not None else -1
        while within is not None and at >= 0:
            if at % 8 == 0 and at + _TEXT_AT + 8 <= len(within.data):
                (lowest,) = struct.unpack_from("<Q", within.data, at + _FIRST_FUNCTION_AT)
                (text,) = struct.unpack_from("<Q", within.data, at + _TEXT_AT)
                if text + first == lowest and image.is_executable(text):
                    return int(text)
            at = within.data.find(pointer, at + 1)
    relocated = image.section(".rela.dyn") or image.section(".rela")
    if relocated is not None:
        values = {place: addend for place, _, addend in struct.iter_unpack("<QQQ", _whole(relocated.data))}
        for place, addend in values.items():
            text = values.get(place + _TEXT_AT)
            if addend == table and text is not None and values.get(place + _FIRST_FUNCTION_AT) == text + first:
                return int(text)
    raise ValueError("nobody says where the program's text begins")


def _whole(data: bytes) -> bytes:
    return data[: len(data) // _RELOCATION * _RELOCATION]
