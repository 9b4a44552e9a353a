# SPDX-License-Identifier: Apache-2.0
"""Places of fields and marks of versions, read of a file in the sandbox: `ask` outside, `read` and `read_split` inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.elf.search import holds, occurrences
from otel_jb.elf.types import Field
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

if TYPE_CHECKING:
    from otel_jb.elf.image import Image
    from otel_jb.sandbox.client import Inspector

_SECONDS = 5.0  #: that the search for types may take, of the 10 that a request has
_MAX_SPLIT = 4096  #: reported units that lie in other files
_MAX_SPLIT_FILES = 256  #: that are opened
_BATCH = 24  #: files of one request
_TEXTS = (".rodata",)  #: the section that programs have their texts in

Places = dict[str, dict[str, "Field | str"]]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file says, see `catalog.layouts.Findings`."""

    types: Places
    problem: str
    symbols: frozenset[str]
    perhaps: frozenset[str]
    strings: frozenset[str]
    versions: dict[str, tuple[str, ...]]


def ask(
    inspector: Inspector,
    file: int,
    name: str,
    types: Mapping[str, Sequence[str]],
    *,
    debug_files: Sequence[int] = (),
    symbols: Sequence[str] = (),
    strings: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    opened: Callable[[str, str], int | None] = lambda _directory, _file: None,
) -> Layout:
    """Read an open file. `opened` gives a descriptor of a `.dwo` file, by the directory and name that the program states.

    Raises ElfError where the file itself cannot be read; debug information that cannot is `problem`.
    """
    wanted = {each: list(paths) for each, paths in types.items()}
    plain = inspector.call(
        "otel_jb.sandbox.layout:read",
        [file, *debug_files],
        name=name,
        file_name=name,
        types=wanted,
        symbols=list(symbols),
        strings=list(strings),
        prefixes=list(prefixes),
    )
    try:
        found = _places(plain["types"])
        problem = _text(plain["problem"])
        missing = {each: paths for each, paths in wanted.items() if each not in found}
        if missing and plain["split"]:
            more, unread = _ask_split(inspector, name, missing, plain["split"], opened)
            found.update(more)
            problem = problem or unread
        return Layout(
            found,
            problem,
            frozenset(map(_text, plain["symbols"])),
            frozenset(map(_text, plain["perhaps"])),
            frozenset(map(_text, plain["strings"])),
            {_text(prefix): tuple(map(_text, versions)) for prefix, versions in plain["versions"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ElfError(
            f"{name}: its analysis returned an invalid result", "The file may be made to attack its reader."
        ) from error


def _ask_split(
    inspector: Inspector,
    name: str,
    wanted: dict[str, list[str]],
    split: Sequence[Sequence[Any]],
    opened: Callable[[str, str], int | None],
) -> tuple[Places, str]:
    found: Places = {}
    files: list[tuple[int, int]] = []
    for directory, file, number in split:
        descriptor = opened(_text(directory), _text(file)) if len(files) < _MAX_SPLIT_FILES else None
        if descriptor is not None:
            files.append((descriptor, number))
    problem = "" if files else "its debug information is in .dwo files that are not there"
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        left = {each: paths for each, paths in wanted.items() if each not in found}
        if not left:
            break
        plain = inspector.call(
            "otel_jb.sandbox.layout:read_split",
            [descriptor for descriptor, _ in batch],
            name=name,
            types=left,
            ids=[number for _, number in batch],
        )
        found.update(_places(plain["types"]))
        problem = problem or _text(plain["problem"])
    return found, problem


def _places(plain: Mapping[str, Any]) -> Places:
    return {
        _text(name): {
            _text(path): value if isinstance(value, str) else Field(_number(value[0]), _size(value[1]), bool(value[2]))
            for path, value in paths.items()
        }
        for name, paths in plain.items()
    }


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 24:
        raise ValueError("an offset expected")
    return value


def _size(value: object) -> int:
    if value not in (1, 2, 4, 8):
        raise ValueError("a size expected")
    return int(str(value))


# -- the sandbox's side -----------------------------------------------------------------------------------------


def read(
    files: Sequence[int],
    file_name: str,
    types: dict[str, list[str]],
    symbols: Sequence[str],
    strings: Sequence[str],
    prefixes: Sequence[str],
) -> dict[str, Any]:
    """Runs in the sandbox: what the first file, or a debug file of it among the others, says of types, names and versions."""
    from otel_jb.elf import debugfile
    from otel_jb.elf.image import Image

    image = Image.from_file(files[0], file_name)
    images = [image, *(each for each, _ in debugfile.matching_images(image, files[1:]))]
    described = next((each for each in images if _has_types(each)), None)
    plain: dict[str, Any] = {"types": {}, "split": [], "problem": ""}
    if described is None:
        plain["problem"] = "it has no debug information"
    else:
        plain = _types(described, types, None)
    names = (".strtab", ".dynstr")
    return {
        **plain,
        "symbols": [name for name in symbols if _any_holds(images, b"\0" + name.encode() + b"\0", names)],
        "perhaps": [name for name in symbols if _any_holds(images, name.encode() + b"\0", names)],
        "strings": [each for each in strings if _any_holds([image], each.encode(), _TEXTS)],
        "versions": {prefix: _versions(prefix, image) for prefix in prefixes},
    }


def read_split(files: Sequence[int], types: dict[str, list[str]], ids: Sequence[int]) -> dict[str, Any]:
    """Runs in the sandbox: what `.dwo` files say of types, as far as they belong to the units with these numbers."""
    from otel_jb.elf.image import Image

    found: dict[str, Any] = {"types": {}, "problem": ""}
    for file in files:
        left = {name: paths for name, paths in types.items() if name not in found["types"]}
        try:
            image = Image.from_file(file, ".dwo file", debug=True)
        except ElfError:
            continue
        plain = _types(image, left, frozenset(ids)) if left else found
        found["types"].update(plain["types"])
        found["problem"] = found["problem"] or plain["problem"]
    return found


def _types(image: Image, wanted: dict[str, list[str]], ids: frozenset[int] | None) -> dict[str, Any]:
    from otel_jb.elf.dwarf import Dwarf, DwarfError
    from otel_jb.elf.types import fields

    try:
        found = fields(Dwarf(image), wanted, _SECONDS, ids)
    except DwarfError as error:
        return {"types": {}, "split": [], "problem": str(error)}
    return {
        "types": {
            name: {
                path: value if isinstance(value, str) else [value.offset, value.size, value.signed]
                for path, value in paths.items()
            }
            for name, paths in found.types.items()
        },
        "split": [list(unit) for unit in found.split[:_MAX_SPLIT]],
        "problem": "",
    }


def _has_types(image: Image) -> bool:
    names = (".debug_info", ".zdebug_info")
    return any(part is not None and part.type != "SHT_NOBITS" for part in map(image.section, names))


def _parts(image: Image, names: Sequence[str]) -> list[tuple[int, int]]:
    """Where sections begin and end in the file: they are searched where they lie, a copy of a large one takes longer than that."""
    parts = (part for part in map(image.section, names) if part is not None and part.type != "SHT_NOBITS")
    return [(part.offset, part.offset + part.size) for part in parts]


def _any_holds(images: Sequence[Image], text: bytes, names: Sequence[str]) -> bool:
    return any(holds(image.buffer, text, *part) for image in images for part in _parts(image, names))


def _versions(prefix: str, image: Image) -> list[str]:
    pattern = re.compile(rb"\d{1,6}(?:\.\d{1,6}){1,4}")
    found = set()
    for start, end in _parts(image, _TEXTS):
        for at in occurrences(image.buffer, prefix.encode(), start, end):
            version = pattern.match(image.buffer, at + len(prefix.encode()), end)
            if version is not None:
                found.add(version[0].decode())
    return sorted(found)[:16]
