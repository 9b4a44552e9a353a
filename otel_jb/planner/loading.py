# SPDX-License-Identifier: Apache-2.0
"""Tells a process that has just begun and has not loaded its libraries yet from one that needs none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_jb.host.procfs import MappedFile, Process
from otel_jb.model.errors import AgentError
from otel_jb.planner.mapped import is_program, paths

if TYPE_CHECKING:
    from otel_jb.planner.files import Files

LOADS_S = (
    0.2  #: how long the dynamic loader is waited for; a library may be mapped under a name that nobody would guess
)


class Loading:
    """The processes that are waited for. A plan made too early would be that of a program without libraries, for all processes of its file."""

    def __init__(self) -> None:
        self._since: dict[Process, float] = {}

    def still(self, process: Process, files: Files, mapped: Sequence[tuple[str, MappedFile]] | None = None) -> bool:
        """Whether a process has not mapped every library that its program names; `files`: what was read of it; `mapped`: its `paths`, if
        they were just looked at.
        """
        now = time.monotonic()
        if now - self._since.setdefault(process, now) < LOADS_S and not _loaded(process, files, mapped):
            return True
        self.forget(process)
        return False

    def forget(self, process: Process) -> None:
        """It ended, or is not waited for any more."""
        self._since.pop(process, None)


def _loaded(process: Process, files: Files, mapped: Sequence[tuple[str, MappedFile]] | None) -> bool:
    try:
        mapped = paths(process) if mapped is None else mapped
    except AgentError:
        return True  # who looks at it will hear why
    needed = [files.needed(path, file.device) for path, file in mapped if is_program(process, file)]
    names = [file.path.rpartition("/")[2] for _, file in mapped]
    return all(_is_mapped(soname, names) for sonames in needed for soname in sonames)


def _is_mapped(soname: str, names: Sequence[str]) -> bool:
    """Whether a library of this name is among files: as itself, or as what its name is a link to (libz.so.1.2.13, libc-2.31.so)."""
    stem = soname.partition(".so")[0] + "-"
    return any(name == soname or name.startswith((soname + ".", stem)) for name in names)
