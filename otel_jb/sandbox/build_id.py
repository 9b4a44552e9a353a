# SPDX-License-Identifier: Apache-2.0
"""The build-id of a debug file, read in the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector


def build_id(inspector: Inspector, file: int, name: str) -> str | None:
    """The build-id of an open file; None if it has none. Raises ElfError for what is no ELF file."""
    found = inspector.call("otel_jb.sandbox.build_id:read", [file], name=name, patient=True)
    return found if isinstance(found, str) else None


def read(files: Sequence[int]) -> Any:
    """Runs in the sandbox."""
    from otel_jb.elf.image import Image

    return Image.from_file(files[0], "a debug file", debug=True).build_id
