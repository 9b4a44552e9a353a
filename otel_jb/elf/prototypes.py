# SPDX-License-Identifier: Apache-2.0
"""What functions take and return, and the fields of the structs that they are given, from the target's own DWARF: the material of a profile."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

from otel_jb.elf import dwarf
from otel_jb.elf.dwarf import Dwarf, DwarfError, Entry, Unit
from otel_jb.elf.types import Field, TypeSearch, UnplacedError
from otel_jb.model.dataclass import dataclass

AT_LOW_PC, AT_ABSTRACT_ORIGIN = 0x11, 0x31
_SUBPROGRAM, _PARAMETER = 0x2E, 0x05
MAX_FIELDS = 64  #: of one struct


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter or a result. `size` is 0 unless it is an integer or a pointer; `struct` names the type that a pointer points to."""

    name: str = ""
    size: int = 0
    signed: bool = False
    pointer: bool = False
    struct: str = ""


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct that a parameter points to, with its fields that are integers or pointers."""

    name: str
    fields: tuple[tuple[str, Field], ...]


@dataclass(frozen=True, slots=True)
class Prototype:
    """One function. `result` is None for one that returns nothing."""

    parameters: tuple[Value, ...]
    result: Value | None
    structs: tuple[Struct, ...] = ()


def prototypes(debug: Dwarf, addresses: Sequence[int], seconds: float) -> dict[int, Prototype]:
    """The functions that begin at these addresses and are described, found within the processor time. Raises DwarfError."""
    try:
        return _Prototypes(debug, addresses, time.process_time() + seconds).found()
    except (IndexError, KeyError, struct.error, RecursionError, ValueError) as error:
        raise DwarfError(f"its debug information cannot be read ({type(error).__name__})") from error


class _Prototypes(TypeSearch):
    """One walk over all units."""

    def __init__(self, debug: Dwarf, addresses: Sequence[int], deadline: float) -> None:
        super().__init__(debug, {}, deadline, None)
        self.left = set(addresses)
        self.prototypes: dict[int, Prototype] = {}

    def found(self) -> dict[int, Prototype]:
        units = list(self.debug.units())
        self.signatures = {unit.signature: unit for unit in units if unit.type_at}
        for unit in units:
            if not self.left or time.process_time() > self.deadline:
                break
            root = self.debug.root(unit)
            if root is not None and root.children:
                self._functions(unit, root.next)
        return self.prototypes

    def _functions(self, unit: Unit, at: int) -> None:
        depth = 0
        while at < unit.end and self.left:
            here = at
            how, at, inside = self.debug.step(unit, here)
            if how is None:
                if depth == 0:
                    return
                depth -= 1
                continue
            if how.tag == _SUBPROGRAM and any(attribute == AT_LOW_PC for attribute, _, _ in how.attributes):
                entry = self.debug.entry(unit, here)
                address = entry.number(AT_LOW_PC) if entry is not None else None
                if entry is not None and address in self.left:
                    self.left.discard(address)
                    self.prototypes[address] = self._prototype(entry)
            depth += inside

    def _prototype(self, entry: Entry) -> Prototype:
        structs: dict[str, Struct] = {}
        children = self.debug.children(entry)
        parameters = [self._value(child, structs) for child in children if child.tag == _PARAMETER]
        declared = self._origin(entry)
        result = self._value(declared, {}) if dwarf.AT_TYPE in declared.values else None
        return Prototype(tuple(parameters), result, tuple(structs.values()))

    def _origin(self, entry: Entry) -> Entry:
        """What a concrete function or parameter is one of, which has its name and type."""
        for _ in range(4):
            if dwarf.AT_TYPE in entry.values:
                return entry
            for attribute in (AT_ABSTRACT_ORIGIN, dwarf.AT_SPECIFICATION):
                at = entry.number(attribute)
                if at is not None:
                    anywhere = entry.forms.get(attribute) == dwarf.REF_ADDR
                    other = self._entry_at(entry.unit, at, anywhere=anywhere)
                    break
            else:
                return entry
            if other is None:
                return entry
            entry = other
        return entry

    def _value(self, entry: Entry, structs: dict[str, Struct]) -> Value:
        declared = self._origin(entry)
        name = self.debug.name(declared).decode(errors="replace")
        try:
            of = self._type(declared)
        except UnplacedError:
            return Value(name)
        if of.tag in self.POINTERS:
            return Value(name, 8, False, True, self._struct(of, structs))
        try:
            place = self._scalar(of, 0, name)
        except UnplacedError:
            return Value(name)
        return Value(name, place.size, place.signed)

    def _struct(self, pointer: Entry, structs: dict[str, Struct]) -> str:
        """The name of the struct that is pointed to, whose fields are noted; "" where it is none, or is not described."""
        try:
            of = self._type(pointer)
        except UnplacedError:
            return ""
        name = self.debug.name(of).decode(errors="replace")
        if of.tag not in self.TYPES or not name or dwarf.AT_BYTE_SIZE not in of.values:
            return ""
        fields: dict[str, Field] = {}
        for child in self.debug.children(of):
            member = self.debug.name(child).decode(errors="replace")
            if child.tag != self.MEMBER or not member or len(fields) >= MAX_FIELDS:
                continue
            place = self._place(of, member)
            if isinstance(place, Field):
                fields[member] = place
        structs[name] = Struct(name, tuple(fields.items()))
        return name
