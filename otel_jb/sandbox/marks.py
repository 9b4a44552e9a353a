# SPDX-License-Identifier: Apache-2.0
"""Where the marks of functions lead in a stripped file: `follow` outside asks, `read` inside answers with plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.model import codec
from otel_jb.model.errors import ElfError
from otel_jb.model.marks import Mark, Trail

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector


def follow(inspector: Inspector, file: int, name: str, marks: Sequence[Mark]) -> list[Trail]:
    """Where the marks lead in an open file, in their order. Raises ElfError."""
    plain = inspector.call(
        "otel_jb.sandbox.marks:read", [file], name=name, file_name=name, marks=[codec.encode(mark) for mark in marks]
    )
    try:
        found = codec.decode(plain, tuple[Trail, ...])
        if [trail.mark for trail in found] != list(marks):
            raise ValueError("one answer for each mark")
        if any(each.address < 0 or each.size < 0 for trail in found for each in trail.functions):
            raise ValueError("a function has a negative address or size")
    except ValueError as error:
        raise ElfError(
            f"{name}: its analysis returned an invalid result", "The file may be made to attack its reader."
        ) from error
    return list(found)


def read(files: Sequence[int], file_name: str, marks: Sequence[dict[str, Any]]) -> Any:
    """Runs in the sandbox: where the marks lead in the first file."""
    from otel_jb.code.marks import trails
    from otel_jb.elf.image import Image

    image = Image.from_file(files[0], file_name)
    return [codec.encode(trail) for trail in trails(image, [codec.decode(mark, Mark) for mark in marks])]
