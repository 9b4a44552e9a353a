# SPDX-License-Identifier: Apache-2.0
"""The offsets of fields in structs and classes, from the target's own DWARF.

Types are found by name, fields by path: `queue_._M_impl._M_start` searches members, base classes and unnamed members on the way.
Uncertain cases yield nothing: a virtual base, a bit field, two different types of one name.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence

from otel_jb.elf import dwarf
from otel_jb.elf.dwarf import Dwarf, DwarfError, Entry, Unit
from otel_jb.model.dataclass import dataclass

_TYPES = frozenset({0x02, 0x13, 0x17})  #: class, structure, union
_UNION, _MEMBER, _INHERITANCE, _NAMESPACE, _ENUMERATION, _BASE = 0x17, 0x0D, 0x1C, 0x39, 0x04, 0x24
_POINTERS = frozenset({0x0F, 0x10, 0x42})  #: pointer, reference, rvalue reference
_THROUGH = frozenset({0x16, 0x26, 0x35, 0x37, 0x47})  #: typedef, const, volatile, restrict, atomic
_INTEGERS = frozenset({2, 5, 6, 7, 8, 16})  #: DW_ATE_*: boolean, signed, signed char, unsigned, unsigned char, UTF
_SIGNED = frozenset({5, 6})
_MAX_DEPTH = 24  #: of base classes and typedefs
_MAX_MEMBERS = 4096
_MAX_DEFINITIONS = 3  #: maximum number of types of one name that are compared
_PLUS_CONSTANT = 0x23  #: DW_OP_plus_uconst
_ROOTS = frozenset({0x11, 0x3C, 0x41})  #: compile, partial, type unit


@dataclass(frozen=True, slots=True)
class Field:
    """A field's place in its type, in bytes."""

    offset: int
    size: int
    signed: bool


class UnplacedError(Exception):
    """A field's place is unknown; the message says why."""


class _NoFieldError(UnplacedError):
    """There is no field of that name."""


Wanted = Mapping[str, Sequence[str]]  #: names of types, and the field paths wanted in each


@dataclass(frozen=True, slots=True)
class Found:
    """Places by type and path, or texts that say why there is none. `split`: (directory, file, id) of units in other files."""

    types: Mapping[str, Mapping[str, Field | str]]
    split: tuple[tuple[str, str, int], ...] = ()


def fields(debug: Dwarf, wanted: Wanted, seconds: float, ids: frozenset[int] | None = None) -> Found:
    """The places of fields in the types that were found within the processor time. `ids`: only split units with these numbers.

    Raises DwarfError if the debug information cannot be read.
    """
    try:
        return TypeSearch(debug, wanted, time.process_time() + seconds, ids).run()
    except (IndexError, KeyError, struct.error, RecursionError, ValueError) as error:
        raise DwarfError(f"its debug information cannot be read ({type(error).__name__})") from error


class TypeSearch:
    """One walk over all units."""

    TYPES, POINTERS, MEMBER = _TYPES, _POINTERS, _MEMBER

    def __init__(self, debug: Dwarf, wanted: Wanted, deadline: float, ids: frozenset[int] | None) -> None:
        self.debug, self.wanted, self.deadline, self.ids = debug, wanted, deadline, ids
        self.definitions: dict[str, list[Entry]] = {name: [] for name in wanted}
        self.last = {name.rpartition("::")[2].encode() for name in wanted}
        self.scopes = {
            tuple(name.encode().split(b"::")[:depth]) for name in wanted for depth in range(1, name.count("::") + 1)
        }
        self.signatures: dict[int, Unit] = {}
        self.declared: dict[tuple[int, int], tuple[bytes, ...]] = {}  #: scoped names by unit and position
        self.split: list[tuple[str, str, int]] = []

    def run(self) -> Found:
        units = list(self.debug.units())
        self.signatures = {unit.signature: unit for unit in units if unit.type_at}
        for unit in units:
            if time.process_time() > self.deadline or all(self._settled(each) for each in self.definitions.values()):
                break
            self._walk(unit)
        return Found(
            {name: self._places(name, found) for name, found in self.definitions.items() if found}, tuple(self.split)
        )

    @staticmethod
    def _settled(found: list[Entry]) -> bool:
        return len(found) >= _MAX_DEFINITIONS

    def _walk(self, unit: Unit) -> None:
        root = self.debug.root(unit)
        if root is None:
            return
        name = root.values.get(dwarf.AT_DWO_NAME, root.values.get(dwarf.AT_GNU_DWO_NAME))
        number = unit.signature if unit.version >= 5 and not unit.type_at else root.number(dwarf.AT_GNU_DWO_ID)
        if isinstance(name, bytes) and not self.debug.split:
            directory = root.values.get(dwarf.AT_COMP_DIR)
            where = directory if isinstance(directory, bytes) else b""
            self.split.append((where.decode(errors="replace"), name.decode(errors="replace"), number or 0))
            return
        if self.ids is not None and not unit.type_at and number not in self.ids:
            return
        if root.children and root.tag in _ROOTS:
            self._look_into(unit, root.next, ())

    def _look_into(self, unit: Unit, at: int, scope: tuple[bytes, ...]) -> None:
        step = self.debug.step
        depth = 0
        while True:
            if at >= unit.end:
                return
            here = at
            how, at, inside = step(unit, here)
            if how is None:
                if depth == 0:
                    return
                depth -= 1
                continue
            if depth == 0 and (how.tag in _TYPES or (how.tag == _NAMESPACE and self.scopes)):
                self._consider(unit, here, how.tag, scope)
            depth += inside

    def _consider(self, unit: Unit, at: int, tag: int, scope: tuple[bytes, ...]) -> None:
        entry = self.debug.entry(unit, at)
        if entry is None:
            return
        name = self.debug.name(entry)
        full = self.declared.get((unit.start, entry.number(dwarf.AT_SPECIFICATION) or -1)) or (*scope, name)
        self.declared[unit.start, at] = full
        if entry.children and full in self.scopes:
            self._look_into(unit, entry.next, full)
        if tag == _NAMESPACE or name not in self.last or dwarf.AT_BYTE_SIZE not in entry.values:
            return  # another name, or a declaration
        found = self.definitions.get("::".join(part.decode(errors="replace") for part in full))
        if found is not None and not self._settled(found):
            found.append(entry)

    # -- from a type to its fields --------------------------------------------------------------------------

    def _places(self, name: str, found: Sequence[Entry]) -> dict[str, Field | str]:
        places: dict[str, Field | str] = {}
        for path in self.wanted[name]:
            answers = {self._place(entry, path) for entry in found}
            places[path] = answers.pop() if len(answers) == 1 else f"there are different types {name}"
        return places

    def _place(self, entry: Entry, path: str) -> Field | str:
        try:
            offset = 0
            *containers, last = path.split(".")
            for member in containers:
                at, of = self._member(entry, member.encode(), 0)
                offset += at
                entry = self._type(of)
                if entry.tag not in _TYPES or dwarf.AT_BYTE_SIZE not in entry.values:
                    raise UnplacedError(f"{member} is not a struct, or is not described where it is used")
            at, of = self._member(entry, last.encode(), 0)
            return self._scalar(self._type(of), offset + at, last)
        except UnplacedError as reason:
            return str(reason)

    def _scalar(self, entry: Entry, offset: int, name: str) -> Field:
        size = entry.number(dwarf.AT_BYTE_SIZE)
        if entry.tag in _POINTERS:
            return Field(offset, 8, False)
        if entry.tag == _ENUMERATION and size in (1, 2, 4, 8):
            return Field(offset, size, False)
        if entry.tag == _BASE and size in (1, 2, 4, 8):
            encoding = entry.number(dwarf.AT_ENCODING)
            if encoding in _INTEGERS:
                return Field(offset, size, encoding in _SIGNED)
        raise UnplacedError(f"{name} is neither an integer nor a pointer")

    def _member(self, entry: Entry, name: bytes, depth: int) -> tuple[int, Entry]:
        """Offset and entry of a member: its own, one of an unnamed member, or one of a base class."""
        if depth > _MAX_DEPTH:
            raise UnplacedError("its base classes are nested too deeply")
        inner: list[tuple[Entry, bool]] = []
        for number, child in enumerate(self.debug.children(entry)):
            if number > _MAX_MEMBERS:
                raise UnplacedError("it has too many members")
            own = child.tag == _MEMBER
            if own and self.debug.name(child) == name:
                if any(
                    bits in child.values for bits in (dwarf.AT_BIT_SIZE, dwarf.AT_DATA_BIT_OFFSET, dwarf.AT_BIT_OFFSET)
                ):
                    raise UnplacedError(f"{name.decode(errors='replace')} is a bit field")
                if child.number(dwarf.AT_DECLARATION) or child.number(dwarf.AT_EXTERNAL):
                    raise UnplacedError(f"{name.decode(errors='replace')} is static")
                return self._location(child, union=entry.tag == _UNION), child
            if child.tag == _INHERITANCE or (own and not self.debug.name(child)):
                inner.append((child, own))
        found: list[tuple[int, Entry]] = []
        for child, _ in inner:
            of = self._type(child)
            if of.tag not in _TYPES:
                continue
            try:
                at, member = self._member(of, name, depth + 1)
            except _NoFieldError:
                continue
            found.append((self._location(child, union=entry.tag == _UNION) + at, member))
        if len(found) == 1:
            return found[0]
        shown = name.decode(errors="replace")
        if found:
            raise UnplacedError(f"{shown} is in several base classes")
        raise _NoFieldError(f"it has no field {shown}")

    @staticmethod
    def _location(entry: Entry, *, union: bool) -> int:
        where = entry.values.get(dwarf.AT_DATA_MEMBER_LOCATION)
        if isinstance(where, int) and 0 <= where < 1 << 24:
            return where
        if isinstance(where, bytes) and where[:1] == bytes([_PLUS_CONSTANT]):
            value, end = dwarf.Bytes(where, 0, len(where)).uleb(1)
            if end == len(where) and value < 1 << 24:
                return value
        if where is None and union:
            return 0
        raise UnplacedError("it is in a virtual base class, whose place is known only at run time")

    def _type(self, entry: Entry) -> Entry:
        """The type of a member or base, through typedefs and qualifiers. Raises UnplacedError if there is none."""
        for _ in range(_MAX_DEPTH):
            at, unit = entry.number(dwarf.AT_TYPE), entry.unit
            if at is None:
                break
            other = self._entry_at(unit, at, signature=entry.forms.get(dwarf.AT_TYPE) == dwarf.REF_SIG8,
                                   anywhere=entry.forms.get(dwarf.AT_TYPE) == dwarf.REF_ADDR)  # fmt: skip
            if other is None:
                break
            signature = other.number(dwarf.AT_SIGNATURE)
            if signature is not None:
                other = self._entry_at(unit, signature, signature=True) or other
            if other.tag not in _THROUGH:
                return other
            entry = other
        raise UnplacedError("the type of a field is not described")

    def _entry_at(self, unit: Unit, at: int, *, signature: bool = False, anywhere: bool = False) -> Entry | None:
        if signature:
            of_type = self.signatures.get(at)
            if of_type is None:
                return None
            self.debug.root(of_type)
            return self.debug.entry(of_type, of_type.type_at)
        if not anywhere or unit.start <= at < unit.end:
            return self.debug.entry(unit, at)
        for other in self._units():
            if other.section is self.debug.info and other.start <= at < other.end:
                self.debug.root(other)
                return self.debug.entry(other, at)
        return None

    def _units(self) -> Iterable[Unit]:
        return self.debug.units()
