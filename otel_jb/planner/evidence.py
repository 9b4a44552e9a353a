"""Whether anything in a process can switch stacks or throw: its files' names and code, read once each, in the background.

Names take a moment, code a second for some megabytes, so code is read only where no name has decided already, and only for processes
of which a function would be measured at a lower price (docs/adr/0019).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import LoadHook
from otel_jb.planner.files import FileKey, keep, path_key
from otel_jb.planner.findings import opened_file
from otel_jb.planner.process import ProcessFacts, by_names, needs_code, with_code
from otel_jb.sandbox.whole_file import NameEvidence, code_of, names_of

if TYPE_CHECKING:
    from otel_jb.host.procfs import MappedFile, Process
    from otel_jb.sandbox.client import Inspector

_logger = logging.getLogger(__name__)

MOST_CODE_BYTES = 64 << 20  #: of one process, about 20 s of work; what has more is not examined
MOST_FILES = 512
_LOADER = re.compile(r"(ld-linux[\w-]*|ld-musl-\w+|ld)\.so(\.\d+)?|ld-[\d.]+\.so")
#: where both C libraries tell debuggers that they have mapped or unmapped something (`r_brk` of struct r_debug, <link.h>)
_LOADED = "_dl_debug_state"


class Evidence:
    """What is known of files that processes map. Safe to ask from several threads; one of them gathers."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._names: dict[FileKey, NameEvidence | None] = {}
        self._code: dict[FileKey, str] = {}
        self._hooks: dict[FileKey, int | None] = {}

    def known(self, process: Process, files: Sequence[tuple[str, MappedFile]], facts: ProcessFacts) -> ProcessFacts:
        """The facts of a process with what is known of its files now, (path as the agent opens it, file), without reading any."""
        keyed = _keyed(files)
        if any(key not in self._names for _, _, key in keyed) or len(keyed) < len(files):
            return facts
        names = [self._names[key] for _, _, key in keyed]
        found = by_names(facts, names, unnamed_code=procfs.has_unnamed_code(process.pid))
        if found.switches is None:
            wanted = self._wanted(keyed)
            if all(key in self._code for _, key in wanted):
                found = with_code(found, {name: self._code[key] for name, key in wanted})
        hooks = [(path, self._hooks.get(key)) for path, file, key in keyed if _is_loader(file)]
        if len(hooks) == 1 and hooks[0][1] is not None:
            found = replace(found, load_hook=LoadHook(hooks[0][0], hooks[0][1]))
        return found

    def _wanted(self, keyed: Sequence[tuple[str, MappedFile, FileKey]]) -> list[tuple[str, FileKey]]:
        """The files whose code decides, with their names."""
        known = [names for _, _, key in keyed if (names := self._names[key]) is not None]
        return [
            (names.name, key)
            for _, _, key in keyed
            if (names := self._names[key]) is not None and needs_code(names, known)
        ]

    def gather(
        self,
        process: Process,
        files: Sequence[tuple[str, MappedFile]],
        facts: ProcessFacts,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> ProcessFacts:
        """Read what is not known yet, as far as it can decide something and `goes_on` says so; then the facts are as `known`."""
        keyed = _keyed(files)[:MOST_FILES]
        self._read_names([(path, key) for path, _, key in keyed if key not in self._names])
        for path, file, key in keyed:
            if _is_loader(file) and key not in self._hooks:
                keep(self._hooks, key, self._hook(path))
        now = self.known(process, files, facts)
        if now.switches is not None or now.throws != "":
            return now
        wanted = self._wanted(keyed)
        paths: Mapping[FileKey, str] = {key: path for path, _, key in keyed}
        sizes = sum(names.code_bytes for _, _, key in keyed if (names := self._names[key]) is not None)
        if sizes > MOST_CODE_BYTES:
            _logger.debug("the code of process %d is too large to be examined as a whole", process.pid)
            return now
        for name, key in wanted:
            if key not in self._code and goes_on():
                found = self._read_code(paths[key], name, goes_on)
                if found is None:
                    return now
                keep(self._code, key, found)
                if found:
                    break  # one is enough
        if any(self._code.get(key) for _, key in wanted):
            return with_code(now, {name: self._code.get(key, "") for name, key in wanted})
        return self.known(process, files, facts)

    def _read_names(self, files: Sequence[tuple[str, FileKey]]) -> None:
        with ExitStack() as stack:
            opened: list[tuple[int, str]] = []
            keys = []
            for path, key in files:
                try:
                    opened.append((opened_file(stack, path), path))
                    keys.append(key)
                except AgentError:
                    keep(self._names, key, None)
            for key, names in zip(keys, names_of(self._inspector, opened), strict=True):
                keep(self._names, key, names)

    def _read_code(self, path: str, name: str, goes_on: Callable[[], bool]) -> str | None:
        try:
            with ExitStack() as stack:
                return code_of(self._inspector, opened_file(stack, path), name, goes_on)
        except AgentError as error:
            return f"code that cannot be read ({error.message})"

    def _hook(self, path: str) -> int | None:
        """The file offset of the loader's function that tells of what it loaded; None: it has none."""
        from otel_jb.sandbox.functions import examine_file
        from otel_jb.sandbox.report import inspect_file

        try:
            with ExitStack() as stack:
                descriptor = opened_file(stack, path)
                report = inspect_file(self._inspector, descriptor, path, [_LOADED])
                symbols = [symbol for symbol in report.symbols if symbol.name == _LOADED]
                functions = [(symbol.address, symbol.size) for symbol in symbols]
                code = examine_file(self._inspector, descriptor, path, functions) if functions else {}
        except AgentError as error:
            _logger.debug("%s", error.message)
            return None
        offsets = [found.entries[0].offset for found in code.values() if found.entries]
        return offsets[0] if offsets else None


def _is_loader(file: MappedFile) -> bool:
    return _LOADER.fullmatch(file.path.rsplit("/", 1)[-1]) is not None


def _keyed(files: Sequence[tuple[str, MappedFile]]) -> list[tuple[str, MappedFile, FileKey]]:
    """Those of the files that are there, with their keys."""
    return [(path, file, key) for path, file in files if (key := path_key(path)) is not None]
