# SPDX-License-Identifier: Apache-2.0
"""The results of `discover` as rows, as JSON (docs/discover.schema.json) and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from otel_jb.model.dataclass import dataclass
from otel_jb.model.text import printable, printable_lines

SCHEMA_VERSION = 1
_WIDTH = 100
_ROWS = ("probe", "unknown")  #: states that have a row of their own
_FOLDED = ("skipped", "missing")
_HEADS = ("FUNCTION", "ROLE", "PROFILE", "ADDRESS", "FROM", "PROBE")


@dataclass(frozen=True, slots=True)
class Row:
    """One function. `state`: `probe` (can be probed), `skipped` (found, but not probed), `missing` (named by a profile, but not in
    the target), `ignored` (looks like a jitter buffer's, but the profile says that it is none), `unknown` (requested by name, but no
    profile knows it).
    """

    function: str  #: demangled, without arguments
    state: str
    role: str
    profile: str
    reason: str  #: why this strategy, or why it is not probed
    primary: bool = False
    strategy: str | None = None
    demangled: str | None = None
    symbol: str | None = None
    names: tuple[str, ...] = ()  #: further names of the same address
    address: int | None = None  #: virtual address in the file
    size: int | None = None  #: bytes; None where the symbol table does not say
    source: str | None = None  #: where the symbol came from
    file: str | None = None
    evidence: str = ""  #: what led to a function that no symbol table names
    other_tools: str = ""  #: what bpftrace's or funclatency's probes would do to the process there; empty: nothing bad
    notes: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """An ELF file of a target."""

    path: str
    arch: str
    kind: str
    build_id: str | None
    soname: str | None
    stripped: bool  #: no `.symtab`, in it or in a debug file
    symbols: int


@dataclass(frozen=True, slots=True)
class Target:
    """A file or process, and what was found in it; `error` is why it could not be read."""

    name: str
    executable: str
    pid: int | None
    container_id: str | None
    files: tuple[File, ...]
    functions: tuple[Row, ...]
    advice: tuple[str, ...] = ()
    error: str | None = None

    def has(self, *states: str) -> bool:
        """Whether a function is in one of these states."""
        return any(row.state in states for row in self.functions)


def to_json(targets: Sequence[Target], not_permitted: int, demangles: bool) -> dict[str, Any]:
    """The document that docs/discover.schema.json describes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "targets": [asdict(target) for target in targets],
        "not_permitted": not_permitted,
        "demangled": demangles,
    }


def table(targets: Sequence[Target], *, everything: bool, width: int = _WIDTH) -> Iterator[str]:
    """Lines for people: first what is measured, a row each, then the rest, folded by reason. `everything`: rows of that too, and of
    functions and files that cannot be used.
    """
    shown = [(target, [row for row in target.functions if everything or row.state in _ROWS]) for target in targets]
    cells = [_cells(row) for _, rows in shown for row in rows]
    widths = [max((len(cell[column]) for cell in [_HEADS, *cells]), default=0) for column in range(len(_HEADS))]
    widths[0] = min(widths[0], max(24, width - sum(widths[1:]) - 2 * len(widths)))
    for target, rows in shown:
        yield from _heading(target, everything)
        file = None
        if rows:
            yield "  " + _line(_HEADS, widths)
        several = len({row.file for row in rows if row.file}) > 1
        for row in rows:
            if several and row.file and row.file != file:
                yield f"  in {printable(row.file)}:"
                file = row.file
            yield "  " + _line(_cells(row), widths)
            for text in (
                row.reason,
                row.evidence,
                row.other_tools and f"other tools: {row.other_tools}",
                row.notes if everything else "",
            ):
                yield from _wrapped(text, "      ", width)
        if not everything:
            yield from _folded(target.functions, width)
        for advice in target.advice:
            yield from _wrapped(advice, "  ", width)
        yield ""


def _folded(rows: Sequence[Row], width: int) -> Iterator[str]:
    """The functions that are not measured, by reason; `--all` gives each a row."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.state in _FOLDED:
            names.setdefault(row.reason, []).append(printable(row.function) + (" *" if row.primary else ""))
    if names:
        yield "  not measured (--all: a row each):"
    for reason, functions in names.items():
        yield from _wrapped(f"{reason}:", "    ", width)
        yield from _wrapped(", ".join(functions), "      ", width)


def _heading(target: Target, everything: bool) -> Iterator[str]:
    where = f"PID {target.pid}  " if target.pid is not None else ""
    yield f"{where}{printable(target.name)}  {printable(target.executable)}"
    if target.container_id:
        yield f"  container {target.container_id[:12]}"
    if target.error:
        yield f"  {printable(target.error)}"
    used = {row.file for row in target.functions}
    for file in target.files:
        if everything or file.path in used or len(target.files) == 1:
            facts = [file.arch, file.kind, f"build-id {file.build_id}" if file.build_id else "no build-id"]
            facts.append("stripped" if file.stripped else f"{file.symbols} symbols")
            name = "" if len(target.files) == 1 else f"{printable(file.path)}: "
            yield f"  {name}{', '.join(facts)}"


def _cells(row: Row) -> tuple[str, ...]:
    probe = {"probe": row.strategy or "yes", "skipped": "no", "missing": "not here"}.get(row.state, row.state)
    return (
        printable(row.function) + (" *" if row.primary else ""),
        row.role or "-",
        printable(row.profile) or "-",
        f"{row.address:#x}" if row.address is not None else "-",
        row.source or "-",
        probe,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=True)).rstrip()


def _wrapped(text: str, indent: str, width: int) -> Iterator[str]:
    for line in printable_lines(text).splitlines():
        yield from textwrap.wrap(
            line, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
