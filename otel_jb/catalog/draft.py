# SPDX-License-Identifier: Apache-2.0
"""A profile to begin with: what a file's symbols and debug information say of functions, with roles and outcomes left to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from otel_jb.catalog.generic import role_of
from otel_jb.elf.prototypes import Prototype, Value
from otel_jb.elf.types import Field
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import Symbol
from otel_jb.model.text import printable

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_SIZE = re.compile(r"(?i)^(n_?)?(size|len|length|bytes|payload_(size|len|length)|nb_bytes|data_len)_?$")
_DEPTH = re.compile(
    r"(?i)^(n|count|depth|queue_len|num_(packets|frames)|(packet|frame)s?_?count|pkts?_?count|n_?packets)_?$"
)
ARGUMENTS = 6  #: that a profile can name


@dataclass(frozen=True, slots=True)
class Drafted:
    """A function to draft, and what is known of it."""

    symbol: Symbol
    prototype: Prototype | None


def draft(name: str, soname: str | None, executable: str, functions: Sequence[Drafted], problem: str = "") -> str:
    """The text of the profile, which loads as it is. `problem`: why no function is described."""
    identifier = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:40] or "server"
    if not identifier[0].isalpha():
        identifier = f"p-{identifier}"[:40]
    mark = f"soname: [{_quoted(soname)}]" if soname else f"executable: [{_quoted(executable)}]"
    lines = [
        f"profile: {identifier}",
        f"title: {_quoted(f'{printable(name)}: fill in')}",
        f"only: {{{mark}}}     # the names below are believed only there",
    ]
    if problem:
        lines.append(f"# What the functions take and return is not known: {printable(problem)}.")
    structs = {
        each.name: dict(each.fields)
        for function in functions
        if function.prototype
        for each in function.prototype.structs
    }
    usable = {s: {f: p for f, p in fields.items() if _IDENTIFIER.fullmatch(f)} for s, fields in structs.items()}
    usable = {s: fields for s, fields in usable.items() if fields and _IDENTIFIER.fullmatch(s)}
    if usable:
        lines.append("structs:        # integers and pointers; delete what you do not use")
        for struct, fields in usable.items():
            lines.append(f"  {struct}:")
            lines += [f"    {field}: {_type(place)} {field}" for field, place in fields.items()]
    lines.append("functions:")
    for each in functions:
        lines += _function(each, usable)
    return "\n".join(lines) + "\n"


def _function(each: Drafted, structs: dict[str, dict[str, Field]]) -> list[str]:
    symbol, known = each.symbol, each.prototype
    role = role_of(symbol.function)
    guessed = "guessed from the name; " if role is not None else ""
    lines = [f"  - name: {_quoted(symbol.function)}"]
    if known is None and symbol.demangled != symbol.function:
        lines.append(f"    # {printable(symbol.demangled)}")
    for number, value in enumerate(known.parameters if known else (), 1):
        lines.append(f"    # {_argument(known, number)}: {_said(value)}")
    lines.append(
        f"    role: {role.value if role else 'other'}        # {guessed}put, get, parse, decode, reset, open, close, drop, nack, query, wait or tick"
    )
    if known is not None and known.result is not None and known.result.size:
        lines.append(f"    returns: {_value_type(known.result)}")
    elif known is None:
        lines.append("    # returns: i32        # what it returns; nothing: leave it out")
    elif known.result is not None:
        lines.append("    # it returns neither an integer nor a pointer")
    if known is None or any(not value.size for value in known.parameters):
        if known is not None:
            lines.append(
                "    # an argument that is no integer or pointer may take several registers, or none: count them yourself"
            )
        lines.append("    # stream: arg1        # the address of the buffer")
    elif known.parameters and known.parameters[0].pointer:
        lines.append("    stream: arg1        # the address of the buffer")
    for key, names, when in (("bytes", _SIZE, ""), ("depth", _DEPTH, "")):
        lines += [f"    # {key}: {place}{when}" for place in _places(known, structs, names)]
    if known is not None and known.result is not None and known.result.size:
        lines.append("    # outcomes:        # the first that holds decides; none: a packet")
        lines.append("    #   - {is: drop, reason: late, when: ret == -1}")
        lines.append("    # errors: [..-1]")
    return lines


def _places(known: Prototype | None, structs: dict[str, dict[str, Field]], names: re.Pattern[str]) -> list[str]:
    """Arguments and fields whose name says that they may be the value."""
    found = []
    for number, value in enumerate(known.parameters[:ARGUMENTS] if known else (), 1):
        if value.size and not value.pointer and names.match(value.name):
            found.append(f"{_value_type(value)} arg{number}" if value.size < 8 else f"arg{number}")
        found += [f"arg{number}->{value.struct}.{f}" for f in structs.get(value.struct, {}) if names.match(f)]
    return found


def _argument(known: Prototype | None, number: int) -> str:
    return f"arg{number}" if known is not None and number <= ARGUMENTS else "on the stack"


def _said(value: Value) -> str:
    name = printable(value.name) or "without a name"
    if value.pointer:
        return f"{name}, pointer to {printable(value.struct)}" if value.struct else f"{name}, pointer"
    return f"{name}, {_value_type(value)}" if value.size else f"{name}, neither an integer nor a pointer"


def _value_type(value: Value) -> str:
    return "ptr" if value.pointer else f"{'i' if value.signed else 'u'}{8 * value.size}"


def _type(place: Field) -> str:
    return f"{'i' if place.signed else 'u'}{8 * place.size}"


def _quoted(text: str) -> str:
    return json.dumps(printable(text))
