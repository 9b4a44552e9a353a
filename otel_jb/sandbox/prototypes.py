# SPDX-License-Identifier: Apache-2.0
"""Prototypes of functions, read in the sandbox: `ask` outside, `read` inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.elf.prototypes import Prototype
from otel_jb.model import codec
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector

_SECONDS = 20.0  #: processor time


@dataclass(frozen=True, slots=True)
class Described:
    """What debug information says of functions, in the order in which they were asked for; None of one that it does not describe."""

    functions: tuple[Prototype | None, ...] = ()
    problem: str = ""  #: why nothing is known


def ask(
    inspector: Inspector, file: int, name: str, addresses: Sequence[int], debug_files: Sequence[int] = ()
) -> Described:
    """What an open file, or a debug file of it, says of the functions at these addresses. Raises ElfError."""
    plain = inspector.call(
        "otel_jb.sandbox.prototypes:read", [file, *debug_files], name=name, file_name=name, addresses=list(addresses)
    )
    try:
        return codec.decode(plain, Described)
    except ValueError as error:
        raise ElfError(
            f"{name}: its analysis returned an invalid result", "The file may be made to attack its reader."
        ) from error


def read(files: Sequence[int], file_name: str, addresses: Sequence[int]) -> Any:
    """Runs in the sandbox."""
    from otel_jb.elf import debugfile
    from otel_jb.elf.dwarf import Dwarf, DwarfError
    from otel_jb.elf.image import Image
    from otel_jb.elf.prototypes import prototypes

    image = Image.from_file(files[0], file_name)
    images = [image, *(each for each, _ in debugfile.matching_images(image, files[1:]))]
    described = next((each for each in images if each.section(".debug_info") is not None), None)
    if described is None:
        return codec.encode(Described(tuple(None for _ in addresses), "it has no debug information"))
    try:
        found = prototypes(Dwarf(described), addresses, _SECONDS)
    except DwarfError as error:
        return codec.encode(Described(tuple(None for _ in addresses), str(error)))
    return codec.encode(Described(tuple(found.get(address) for address in addresses)))
