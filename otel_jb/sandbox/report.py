# SPDX-License-Identifier: Apache-2.0
"""What is read of a file inside the sandbox, as plain data, and the dataclasses that are made of it outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.elf.usdt import Usdt
from otel_jb.model import codec
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.model.text import printable, printable_lines

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector


_READ_EACH = "otel_jb.sandbox.report:read_each"


@dataclass(frozen=True, slots=True)
class FileReport:
    """Identity and matching functions of one ELF file."""

    arch: str
    kind: str  #: `executable` or `library`
    build_id: str | None
    soname: str | None
    needed: tuple[str, ...]
    has_symtab: bool
    debug_link: tuple[str, int] | None  #: name and CRC-32 of the separate debug file that the file asks for
    symbols: tuple[Symbol, ...]
    symbol_count: int  #: entries of all symbol tables that were read, debug files' among them
    demangles: bool  #: False where no C++ runtime is installed, so that C++ names stay mangled
    signal_stacks: str = ""  #: by what it may run signal handlers on stacks of their own
    stack_switches: str = ""  #: by what it may switch stacks
    loads: bool = False  #: it can load further libraries
    telltales: tuple[str, ...] = ()  #: those of the texts asked for that are in its data
    marks: tuple[Usdt, ...] = ()  #: USDT probes
    misplaced: tuple[str, ...] = ()  #: what is wrong with the places (`FILE+0xADDRESS`) that were asked for

    def __post_init__(self) -> None:
        if self.build_id is not None:
            bytes.fromhex(self.build_id)  # it becomes part of paths; ValueError
        if any(symbol.address < 0 or symbol.size < 0 for symbol in self.symbols):
            raise ValueError("a symbol has a negative address or size")


def inspect_file(
    inspector: Inspector,
    file: int,
    name: str,
    patterns: Sequence[str],
    debug_files: Sequence[int] = (),
    telltales: Sequence[str] = (),
) -> FileReport:
    """Read an open file in the sandbox. `debug_files` are candidates for its separate debug file; wrong ones are ignored. `telltales`:
    texts to look for in the data of a file without names.

    Raises ElfError.
    """
    plain = inspector.call(
        "otel_jb.sandbox.report:read",
        [file, *debug_files],
        name=name,
        file_name=name,
        patterns=list(patterns),
        telltales=list(telltales),
    )
    try:
        return codec.decode(plain, FileReport)
    except ValueError as error:
        raise ElfError(
            f"{name}: its analysis returned an invalid result", "The file may be made to attack its reader."
        ) from error


def inspect_files(
    inspector: Inspector, files: Sequence[tuple[int, str]], patterns: Sequence[str], telltales: Sequence[str] = ()
) -> list[FileReport | ElfError]:
    """Read several open files, (descriptor, name), without their debug files: one request for many, since a request costs
    more than the reading of a usual library. Where they are too much for one, each is read by itself.
    """
    from otel_jb.sandbox.limits import MAX_FILES

    found: list[FileReport | ElfError] = []
    for start in range(0, len(files), MAX_FILES):
        batch = files[start : start + MAX_FILES]
        try:
            plain = inspector.call(_READ_EACH, [file for file, _ in batch], **_arguments(batch, patterns, telltales))
            if len(plain) != len(batch):
                raise ValueError("one answer for each file")
            found += [_report_or_error(each) for each in plain]
        except (ElfError, KeyError, TypeError, ValueError):
            found += [_inspect_alone(inspector, file, name, patterns, telltales) for file, name in batch]
    return found


def ask_early(files: Sequence[tuple[int, str]], patterns: Sequence[str], telltales: Sequence[str]) -> None:
    """Have the early sandbox begin with what `inspect_files` will ask. See `client.ask_early`."""
    from otel_jb.sandbox.client import ask_early as ask

    ask(_READ_EACH, [file for file, _ in files], **_arguments(files, patterns, telltales))


def _arguments(files: Sequence[tuple[int, str]], patterns: Sequence[str], telltales: Sequence[str]) -> dict[str, Any]:
    """Of `read_each`."""
    return {
        "file_names": [name for _, name in files],
        "patterns": list(patterns),
        "telltales": list(telltales),
    }


def _inspect_alone(
    inspector: Inspector, file: int, name: str, patterns: Sequence[str], telltales: Sequence[str]
) -> FileReport | ElfError:
    try:
        return inspect_file(inspector, file, name, patterns, telltales=telltales)
    except ElfError as error:
        return error


def _report_or_error(plain: Any) -> FileReport | ElfError:
    if isinstance(plain, list):
        message, help_text = codec.decode(plain, tuple[str, str])
        return ElfError(printable(message), printable_lines(help_text))
    return codec.decode(plain, FileReport)


def read_each(
    files: Sequence[int], file_names: Sequence[str], patterns: Sequence[str], telltales: Sequence[str] = ()
) -> list[Any]:
    """Runs in the sandbox: `read` of each file, or its error's message and help."""
    found: list[Any] = []
    for file, name in zip(files, file_names, strict=True):
        try:
            found.append(read([file], name, patterns, telltales))
        except ElfError as error:
            found.append([error.message, error.help])
    return found


def read(files: Sequence[int], file_name: str, patterns: Sequence[str], telltales: Sequence[str] = ()) -> Any:
    """Runs in the sandbox: the first file's identity and its functions that match, with the debug files that follow."""
    from otel_jb.elf import debugfile, demangle, places, references, symbols, usdt
    from otel_jb.elf.image import Image
    from otel_jb.sandbox.signal_stacks import loads, signal_stacks, stack_switches

    image = Image.from_file(files[0], file_name)
    own = symbols.tables(image)
    debug = debugfile.matching_images(image, files[1:])
    found = symbols.find(image, [pattern for pattern in patterns if not places.is_place(pattern)], debug)
    placed = places.find(image, [file_name, file_name.rsplit("/", 1)[-1], image.soname or ""], patterns, debug)
    has_symtab = any(table.source is SymbolSource.SYMTAB for table in own)
    named = has_symtab or bool(debug)
    report = FileReport(
        arch=image.arch,
        kind=image.kind,
        build_id=image.build_id,
        soname=image.soname,
        needed=tuple(image.needed),
        has_symtab=has_symtab,
        debug_link=debugfile.debug_link(image),
        symbols=symbols.joined(found, placed.symbols),
        symbol_count=sum(table.count for table in symbols.all_tables(image, debug)),
        demangles=demangle.available(),
        signal_stacks=printable(signal_stacks(image)),
        stack_switches=printable(stack_switches(image)),
        loads=loads(image),
        telltales=() if named else references.contained(image, telltales),
        marks=usdt.read(image),
        misplaced=tuple(map(printable, placed.problems)),
    )
    return codec.encode(report)
