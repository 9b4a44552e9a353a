# SPDX-License-Identifier: Apache-2.0
"""The analysis of functions in the sandbox: `examine_file` outside asks, `read` inside answers with plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.code.facts import FunctionCode
from otel_jb.model import codec
from otel_jb.model.errors import ElfError

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector


def examine_file(
    inspector: Inspector,
    file: int,
    name: str,
    functions: Sequence[tuple[int, int]],
    *,
    debug_files: Sequence[int] = (),
    libraries: Sequence[int] = (),
    thorough: bool = False,
    callees: Sequence[int] = (),
) -> dict[int, FunctionCode]:
    """What the code of functions, (address, size) of an open file, offers to probes; by address.

    `libraries` are the other files that the process maps, in the order in which the loader searches them; calls into them are
    followed when a return probe is examined: only where it may be needed, or always if `thorough`. `callees`: see `code.sites.analyse`.
    Raises ElfError.
    """
    plain = inspector.call(
        "otel_jb.sandbox.functions:read",
        [file, *debug_files, *libraries],
        name=name,
        file_name=name,
        functions=[list(function) for function in functions],
        debug_count=len(debug_files),
        thorough=thorough,
        callees=list(callees),
    )
    try:
        return {code.address: code for code in codec.decode(plain, tuple[FunctionCode, ...])}
    except ValueError as error:
        raise ElfError(
            f"{name}: its analysis returned an invalid result", "The file may be made to attack its reader."
        ) from error


def read(
    files: Sequence[int],
    file_name: str,
    functions: Sequence[Sequence[int]],
    debug_count: int = 0,
    thorough: bool = False,
    callees: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Runs in the sandbox: the analysis of functions of the first file."""
    from otel_jb.code.sites import analyse
    from otel_jb.elf import debugfile
    from otel_jb.elf.addresses import Names
    from otel_jb.elf.image import Image

    image = Image.from_file(files[0], file_name)
    names = Names(image, debugfile.matching_images(image, files[1 : 1 + debug_count]))
    libraries = [(library, Names(library)) for library in map(Image.from_file, files[1 + debug_count :])]
    wanted = [(address, size) for address, size in functions]
    found = analyse(image, wanted, names, libraries, thorough=thorough, callees=frozenset(callees))
    return [codec.encode(code) for code in found]
