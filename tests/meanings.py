# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what the catalogue says of a function, for tests and benchmarks that plan without a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otel_jb.model.plan import NamePart, Symbol, SymbolSource, TrackClock
from otel_jb.model.reads import ReadProgram
from otel_jb.planner.inputs import CallMeaning, FunctionMeaning


@dataclass(frozen=True)
class Meaning:
    """A function's meaning with nothing special about it."""

    profile: str = "test"
    role: str = "put"
    primary: bool = False
    program: ReadProgram = field(default_factory=ReadProgram)
    drop_reasons: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    named: str = ""
    adders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    has_packets: bool = True
    has_bytes: bool = False
    has_depth: bool = False
    has_duplicates: bool = False
    has_underruns: bool = False
    stream_name: tuple[NamePart, ...] = ()
    track_clock: TrackClock | None = None
    sources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    error_return: tuple[tuple[int, int], ...] = ()
    return_width: int = 4
    return_signed: bool = True
    uses_return: bool = False
    argument_registers: frozenset[int] = frozenset()
    uretprobe: object | None = None
    uretprobe_forbidden: str | None = None
    may_yield: bool = False
    generic: bool = False
    asked: bool = False
    attach_by_default: bool = True
    detail: bool = False
    untimed: bool = False
    untimed_in_detail: bool = False
    at_calls: Sequence[CallMeaning] = ()


@dataclass(frozen=True)
class Known:
    """A symbol with its meaning."""

    symbol: Symbol
    function: FunctionMeaning = Meaning()


def symbol(name: str, address: int, *aliases: str) -> Symbol:
    """A symbol without a size."""
    return Symbol(name, address, 0, SymbolSource.SYMTAB, name, aliases)
