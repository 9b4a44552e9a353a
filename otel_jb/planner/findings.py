# SPDX-License-Identifier: Apache-2.0
"""Finds the places of profiles' fields in one file: from its debug information, wherever that is, and from version marks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from otel_jb.catalog.layouts import Findings, Questions
from otel_jb.host import procfs
from otel_jb.host.patience import patiently
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.model.errors import AgentError, ElfError
from otel_jb.planner.mapped import open_foreign

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector
    from otel_jb.sandbox.report import FileReport

_logger = logging.getLogger(__name__)


def findings(
    inspector: Inspector,
    opened: ExitStack,
    file: int,
    shown: str,
    report: FileReport,
    root: str,
    asked: Questions,
    fetched: Sequence[str] = (),
) -> Findings:
    """What an open file says. `root` is where its debug files are looked for, `fetched` where else one may be. What cannot be read is `Findings.problem`."""
    from otel_jb.elf.debugfile import candidate_paths
    from otel_jb.sandbox.layout import ask

    debug: list[int] = []
    for candidate in [*candidate_paths(shown, report.build_id, report.debug_link, root), *fetched]:
        try:
            debug.append(opened_file(opened, candidate))
        except AgentError:
            continue

    def split(directory: str, name: str) -> int | None:
        """The `.dwo` file where the compiler left it, or beside the program."""
        path = PurePosixPath(directory, name)
        for place in (path, PurePosixPath(shown).parent / path.name):
            if path.suffix != ".dwo" or not place.is_absolute() or ".." in place.parts:
                continue
            try:
                return opened_file(opened, root.rstrip("/") + str(place))
            except AgentError:
                continue
        return None

    try:
        found = ask(
            inspector,
            file,
            shown,
            asked.types,
            debug_files=debug,
            symbols=asked.symbols,
            strings=asked.strings,
            prefixes=asked.prefixes,
            opened=split,
        )
    except ElfError as error:
        _logger.debug("%s", error.message)
        return Findings(problem="its debug information could not be read", build_id=report.build_id)
    return Findings(
        found.types,
        found.problem,
        report.build_id,
        found.symbols,
        found.perhaps,
        found.strings,
        found.versions,
    )


def open_mapped(process: Process, file: MappedFile) -> int:
    """The same of the very file that a process has mapped, whatever its name leads to by now."""
    return patiently(lambda: procfs.open_file(process, file), file.path, file.device, discard=os.close)


def opened_file(stack: ExitStack, path: str) -> int:
    """`open_foreign`, closed with the stack. Raises AgentError."""
    file = open_foreign(path)
    stack.callback(os.close, file)
    return file
