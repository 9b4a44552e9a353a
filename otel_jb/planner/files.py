# SPDX-License-Identifier: Apache-2.0
"""ELF files of processes, read in the sandbox, each once, so that a hundred processes that map the same library cost one analysis.

What was learned is found by device, inode, size and times, and believed only if the file still holds what was analysed (docs/adr/0065).
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from otel_jb.catalog.matching import Match
from otel_jb.host import roots
from otel_jb.host.patience import patiently
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, ElfError, TargetError
from otel_jb.model.text import printable
from otel_jb.planner.at_calls import callees
from otel_jb.planner.debug_files import settings
from otel_jb.planner.findings import findings, opened_file
from otel_jb.planner.inferred import with_inferred
from otel_jb.planner.inputs import FileFacts
from otel_jb.planner.mapped import open_foreign
from otel_jb.planner.marked import symbols_of
from otel_jb.sandbox.limits import MAX_FILES

if TYPE_CHECKING:
    from otel_jb.catalog import Catalog
    from otel_jb.catalog.layouts import Findings, Questions
    from otel_jb.code.facts import FunctionCode
    from otel_jb.sandbox.client import Inspector
    from otel_jb.sandbox.report import FileReport

_logger = logging.getLogger(__name__)

MOST_TEXT = 1 << 16  #: bytes of a function that are compared before it is probed
MOST_SITE = 16  #: the longest instruction
MOST_ASKED = 256  #: functions of a file that are looked at only because the user named them
HEAD = 4096  #: bytes at the start of a file
MAX_KNOWN_FILES = 1024  #: files whose contents are remembered

FileKey = tuple[
    int, int, int, int, int
]  #: device, inode, size, times when it was written and when anything of it was changed
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Examined:
    """One ELF file, read: its identity and the functions that the catalogue knows in it, with their code."""

    path: str  #: as the agent opens it
    report: FileReport
    facts: FileFacts
    head: bytes = b""  #: how the file begins: its headers and, as linkers lay it out, its build-id

    @property
    def matches(self) -> Sequence[Match]:
        """The catalogue's matches, in the order of the symbol table."""
        return [match for match in self.facts.matches if isinstance(match, Match)]


class Files:
    """Reads files and caches the results. Thread-safe; handles one request at a time."""

    def __init__(self, inspector: Inspector, catalog: Catalog, more_patterns: Sequence[str], *, thorough: bool) -> None:
        """`more_patterns`: functions to find although no profile knows them. `thorough`: follow the calls of every
        function, for what is said of it, not only of those whose plan depends on them.
        """
        self._inspector, self._catalog, self._thorough = inspector, catalog, thorough
        self._patterns, self._asked = (*catalog.patterns(), *more_patterns), tuple(more_patterns)
        self._cache: dict[tuple[FileKey, str, frozenset[tuple[str, int]]], Examined | ElfError] = {}
        self.programs: dict[str, str] = {}  #: by path: the names of those that are programs
        self._reports: dict[FileKey, FileReport | ElfError] = {}  # whatever program maps the file
        self._findings: dict[tuple[str, FileKey, str], Findings] = {}  # by build-id, file and what was asked
        self._debuginfod = settings(os.environ)
        self.fetch: Callable[[str], bool] | None = None  #: asks for the debug file of a build; whether one may come
        self.awaited: set[str] = set()  #: builds whose debug files may come

    def with_catalog(self, catalog: Catalog, more_patterns: Sequence[str]) -> Files:
        """The same for other profiles; nothing that was read is known there, since what was looked for is another."""
        found = Files(self._inspector, catalog, more_patterns, thorough=self._thorough)
        found.fetch, found.awaited = self.fetch, self.awaited
        return found

    def is_read(self, path: str, device: str = "00:") -> bool:
        """Whether the file is known; `device` as in `path_key`."""
        return path_key(path, device) in self._reports

    def needed(self, path: str, device: str = "00:") -> tuple[str, ...]:
        """The sonames that a file which was read asks the dynamic loader for; `device` as in `path_key`."""
        key = path_key(path, device)
        report = self._reports.get(key) if key is not None else None
        return () if report is None or isinstance(report, ElfError) else report.needed

    def examine(
        self,
        path: str,
        executable_name: str,
        shown: str | None = None,
        root: str = "/",
        libraries: Sequence[str] = (),
        beside: frozenset[tuple[str, int]] = frozenset(),
        opening: Callable[[], int] | None = None,
    ) -> Examined:
        """Read one file in the sandbox. Raises ElfError, TargetError, PermissionDeniedError.

        `opening`: returns a descriptor of it, where it is not simply what `path` leads to.
        `root` is where its debug files are looked for, `libraries` the files that the process maps beside it: calls into them
        are followed, so what was learned of a function holds only `beside` these files (device and inode).
        """
        with ExitStack() as opened:
            file = opening() if opening is not None else open_foreign(path)
            opened.callback(os.close, file)
            identity = file_key(file)
            alone = self._cache.get((identity, executable_name, frozenset()))
            # If no function in it is known, nothing depends on the other files.
            key = (identity, executable_name, beside if isinstance(alone, Examined) and alone.matches else frozenset())
            known = self._cache.get(key)
            if isinstance(known, Examined) and known.matches and not patiently(partial(_holds, file, known), path):
                self._forget(identity)
                known = None
            if known is None:
                try:
                    known = self._read(opened, file, path, executable_name, shown or path, root, libraries)
                except ElfError as error:
                    known = error
                keep(self._cache, key, known)
                if isinstance(known, Examined) and known.matches:
                    keep(self._cache, (identity, executable_name, beside), known)
        if isinstance(known, ElfError):
            raise known
        if known.report.kind == "executable":
            keep(self.programs, path, (shown or path).rsplit("/", 1)[-1])
        return replace(known, path=path, facts=replace(known.facts, file=path))

    def _forget(self, identity: FileKey) -> None:
        """The file is another one, whatever its times say."""
        self._reports.pop(identity, None)
        for key in [key for key in self._cache if key[0] == identity]:
            del self._cache[key]
        for known_by in [key for key in self._findings if key[1] == identity]:
            del self._findings[known_by]

    def _read(
        self,
        opened: ExitStack,
        file: int,
        path: str,
        executable_name: str,
        shown: str,
        root: str,
        libraries: Sequence[str],
    ) -> Examined:
        from otel_jb.elf.debugfile import candidate_paths
        from otel_jb.sandbox.functions import examine_file

        key = file_key(file)
        known = self._reports.get(key)
        if isinstance(known, ElfError):
            raise known
        report = known or self._inspect(file, shown)
        keep(self._reports, key, report)
        if report.arch != platform.machine():
            raise ElfError(
                f"{shown} is for {report.arch}, this machine is {platform.machine()}",
                "A program of another architecture cannot be probed here.",
            )
        debug: list[int] = []
        if not report.has_symtab:
            fetched = self._fetched(report)
            for candidate in [*candidate_paths(shown, report.build_id, report.debug_link, root), *fetched]:
                try:
                    debug.append(opened_file(opened, candidate))
                except AgentError:
                    continue
            if debug:
                report = self._inspect(file, shown, debug)
        report = with_inferred(self._inspector, self._catalog, file, shown, report)
        matches = self._few(shown, self._catalog.match(report.soname, executable_name, report.symbols, self._asked))
        marks = symbols_of(report.marks)
        matches += self._catalog.match_marks(report.soname, executable_name, marks, report.symbols)
        if not report.has_symtab and not debug:
            self._ask_for(report, matches, executable_name)
        asked = self._catalog.questions(matches)
        code: Mapping[int, FunctionCode] = {}
        at_calls = (call for match in matches for call in match.function.spec.at_calls)
        called = callees((name for call in at_calls for name in call.of), report.symbols)
        # Two questions about the same file, and neither needs the other's answer: each is read by a process of its own.
        with ThreadPoolExecutor(1, "layout") as beside:
            placing = asked and beside.submit(self._find, opened, file, shown, report, root, asked)
            if matches:
                functions = [(each.symbol.address, each.symbol.size) for each in matches if each.symbol not in marks]
                others = [opened_file(opened, each) for each in libraries[: MAX_FILES - 1 - len(debug)] if each != path]
                code = examine_file(
                    self._inspector,
                    file,
                    shown,
                    functions,
                    debug_files=debug,
                    libraries=others,
                    thorough=self._thorough,
                    callees=sorted(symbol.address for symbol in called.values()),
                )
        if placing:
            matches = self._catalog.place(matches, placing.result())
        text = {address: _text(file, each) for address, each in code.items()}
        head = os.pread(file, HEAD, 0) if matches else b""
        if report.marks:
            places = {place.address: place.offset for mark in report.marks for place in mark.places}
            new = {at: offset for at, offset in places.items() if at not in text}
            text = {**text, **{at: ((offset, os.pread(file, MOST_SITE, offset)),) for at, offset in new.items()}}
        if file_key(file) != key:
            raise TargetError(f"{shown} was changed while it was read", "Wait until it is installed, and try again.")
        return Examined(
            path,
            report,
            FileFacts(path, report.build_id, matches, code, text, key[:2], report.marks, callees=called),
            head,
        )

    def _fetched(self, report: FileReport) -> list[str]:
        """Where a debuginfod server's debug file is, if it came."""
        path = self._debuginfod.path(report.build_id) if self._debuginfod is not None else None
        return [path] if path is not None else []

    def _ask_for(self, report: FileReport, matches: Sequence[Match], executable_name: str) -> None:
        """Ask for the debug file of a file that a profile knows, or in which the user named functions."""
        known = matches or report.telltales or self._catalog.expects(report.soname, executable_name)
        if self.fetch is not None and report.build_id and (known or self._asked) and self.fetch(report.build_id):
            self.awaited.add(report.build_id)

    def forget_build(self, build_id: str) -> None:
        """Its debug file came, or will not: what was learned without it is read again."""
        self.awaited.discard(build_id)
        reports = list(self._reports.items())
        keys = {key for key, each in reports if not isinstance(each, ElfError) and each.build_id == build_id}
        for known in [known for known in self._cache if known[0] in keys]:
            del self._cache[known]
        for known_by in [key for key in self._findings if key[0] == build_id]:
            del self._findings[known_by]

    def inodes_of(self, build_id: str) -> set[int]:
        """The inodes of the files of a build that were read."""
        reports = list(self._reports.items())
        return {key[1] for key, each in reports if not isinstance(each, ElfError) and each.build_id == build_id}

    def _inspect(self, file: int, shown: str, debug: Sequence[int] = ()) -> FileReport:
        from otel_jb.sandbox.report import inspect_file

        return inspect_file(self._inspector, file, shown, self._patterns, debug, self._catalog.telltales())

    def _few(self, shown: str, matches: list[Match]) -> list[Match]:
        """The same without the functions that are over MOST_ASKED: a glob may mean every function of a large program."""
        asked = [match for match in matches if match.function.asked]
        over = {match.symbol.address for match in asked[MOST_ASKED:]}
        if over:
            _logger.warning(
                "--function %s matches %d functions of %s that no profile knows; only the first %d are examined. Name fewer",
                " ".join(self._asked), len(asked), printable(shown), MOST_ASKED,
            )  # fmt: skip
        return [match for match in matches if match.symbol.address not in over]

    def _find(
        self, opened: ExitStack, file: int, shown: str, report: FileReport, root: str, asked: Questions
    ) -> Findings:
        """What the file's debug information and its marks of a version say; one look for each file, whatever processes map it. A build-id does not
        do for that: a file can have another's, and would place that one's fields (docs/adr/0240).
        """
        key = (report.build_id or "", file_key(file), repr(asked))
        known = self._findings.get(key)
        if known is None:
            known = findings(self._inspector, opened, file, shown, report, root, asked, self._fetched(report))
            keep(self._findings, key, known)
        return known

    def read_ahead(self, files: Sequence[tuple[str, str]]) -> None:
        """Read all files, (path, name to show), that are not known yet, many by one request: it costs more than most files."""
        left = iter(files)
        while self._read_some(left):
            pass

    def _read_some(self, files: Iterator[tuple[str, str]]) -> bool:
        """Read the next files that are not known yet, as many as one request takes; whether there were that many."""
        from otel_jb.sandbox.report import inspect_files

        with ExitStack() as opened:
            unread: dict[FileKey, tuple[int, str]] = {}
            for path, shown in files:
                try:
                    file = open_foreign(path)
                except AgentError:
                    continue  # it is an error, or not, when it is examined
                key = file_key(file)
                if key in self._reports or key in unread:
                    os.close(file)
                    continue
                opened.callback(os.close, file)
                unread[key] = (file, shown)
                if len(unread) == MAX_FILES:
                    break
            if not unread:
                return False
            reports = inspect_files(self._inspector, list(unread.values()), self._patterns, self._catalog.telltales())
            for key, report in zip(unread, reports, strict=True):
                keep(self._reports, key, report)
            return len(unread) == MAX_FILES


def _text(file: int, code: FunctionCode) -> tuple[tuple[int, bytes], ...]:
    """(file offset, bytes) of a function's code, and of its sites that lie outside of it."""
    spots = code.spots
    if not spots:
        return ()
    start = spots[0].offset - (spots[0].address - code.address)
    own = range(start, start + min(code.size or MOST_SITE, MOST_TEXT))
    others = sorted({spot.offset for spot in spots if spot.offset not in own})
    pieces = [(own.start, len(own)), *((offset, MOST_SITE) for offset in others)]
    return tuple((offset, os.pread(file, size, offset)) for offset, size in pieces)


def _holds(file: int, known: Examined) -> bool:
    """Whether a file still has the headers and the code that were analysed."""
    pieces = [(0, known.head), *(piece for text in known.facts.text.values() for piece in text)]
    return all(os.pread(file, len(expected), offset) == expected for offset, expected in pieces)


def file_key(file: int) -> FileKey:
    """The key of an open file."""
    return _key(os.fstat(file))


def path_key(path: str, device: str = "00:") -> FileKey | None:
    """The key of the file of a name, None where there is none, or its file system does not answer.

    `device` as in /proc/PID/maps: a disk of this machine (not `00:`) is asked without a thread to wait for it.
    """
    try:
        look = partial(roots.status, path)
        return _key(patiently(look, path, device) if device.startswith("00:") else look())
    except (OSError, AgentError):
        return None


def _key(status: os.stat_result) -> FileKey:
    # Anybody may set the time of writing back, the time of change nobody.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def keep(known: dict[_K, _V], key: _K, value: _V) -> None:
    """Cache what was learned about a file; beyond the limit, evict the oldest entry."""
    known[key] = value
    if len(known) > MAX_KNOWN_FILES:
        del known[next(iter(known))]
