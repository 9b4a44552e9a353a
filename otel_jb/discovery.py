"""From a process to a plan: its files, the functions that the catalogue knows in them, their code, the sites.

Every file is read in the sandbox, once: what was found is kept by device, inode, size and time of change, so that a hundred
processes that map the same library cost one analysis.
"""

from __future__ import annotations

import fnmatch
import itertools
import logging
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from otel_jb.catalog import Catalog, load
from otel_jb.catalog.matching import Match
from otel_jb.elf.inspect import MAX_FILES
from otel_jb.errors import AgentError, ElfError, NoFunctionError, TargetError
from otel_jb.evidence import Evidence
from otel_jb.plan.choose import make_plan
from otel_jb.plan.inputs import FileFacts, KernelFacts, Options
from otel_jb.plan.process import UNKNOWN, ProcessFacts, signal_stacks
from otel_jb.process import procfs
from otel_jb.process.procfs import MappedFile, Process
from otel_jb.process.target import make_target
from otel_jb.process.watch import Watcher
from otel_jb.records import AgentCost, EndStrategy, ProbePlan, Target

if TYPE_CHECKING:
    from otel_jb.config import Config, TargetSelector
    from otel_jb.elf.code import FunctionCode
    from otel_jb.elf.inspect import Inspector
    from otel_jb.elf.report import FileReport

_logger = logging.getLogger(__name__)

FIRST_LOOK_S = 1.0  #: after which the files that a process maps are looked at again
LAST_LOOK_S = 16.0
PATIENCE_S = 30.0  #: that somebody waits for what a plan depends on, who asks for nothing else
SLICE_S = 0.25  #: how long new processes are looked at before what was found is handed on

#: Libraries of every process that hold no jitter buffer: reading them at each start would cost more than all others.
_PLAIN = re.compile("|".join(map(fnmatch.translate, (
    "ld-linux*", "libc.so*", "libc-*", "libm.so*", "libm-*", "libpthread*", "libdl.so*", "libdl-*", "librt.so*", "librt-*",
    "libresolv*", "libnss_*", "libgcc_s*", "libstdc++*", "libz.so*", "libcrypto*", "libssl*", "libsystemd*", "libselinux*",
    "libpcre*", "liblzma*", "libzstd*", "libcap.so*", "libgcrypt*", "libgpg-error*", "libLLVM*", "libX*", "libGL*", "libicu*",
))))  # fmt: skip

MAX_KNOWN_FILES = 1024  #: what was read of so many files is kept
_AT_ONCE = 16  #: processes whose files are read ahead together


@dataclass(frozen=True, slots=True)
class Examined:
    """One ELF file, read: its identity and the functions that the catalogue knows in it, with their code."""

    path: str  #: as the agent opens it
    report: FileReport
    facts: FileFacts

    @property
    def matches(self) -> Sequence[Match]:
        """The catalogue's matches, in the order of the symbol table."""
        return [match for match in self.facts.matches if isinstance(match, Match)]


@dataclass(frozen=True, slots=True)
class Found:
    """A process that is to be measured, and how."""

    process: Process
    target: Target
    plan: ProbePlan

    def still_runs(self) -> bool:
        """Whether it is still this very process."""
        return procfs.alive(self.process)


_FileKey = tuple[int, int, int, int]
_K = TypeVar("_K")
_V = TypeVar("_V")


class Discovery:
    """Finds processes and plans them; keeps what it learned of files."""

    def __init__(
        self, config: Config, inspector: Inspector, catalog: Catalog | None = None, *, thorough: bool = False
    ) -> None:
        """Loads the catalogue, the user's own profiles first. `thorough`: follow the calls of every function, for what is said
        of it, not only of those whose plan depends on them. Raises ConfigError.
        """
        self.config = config
        self._thorough = thorough
        self.catalog = catalog or load([Path(name) for name in config.profiles])
        self.kernel = kernel_facts(perf=config.link.value == "perf")
        self._inspector = inspector
        self._evidence = Evidence(inspector)
        self._planning = (
            threading.RLock()
        )  # plans are made by the thread that looks at processes and by the one that gathers
        self._wishes: dict[Process, None] = {}  # of which more should be known, see `gather_next`
        self._patterns = (*self.catalog.patterns(), *config.functions.include)  # also what no profile knows
        self._cache: dict[tuple[_FileKey, str, frozenset[tuple[str, int]]], Examined | ElfError] = {}
        self._reports: dict[_FileKey, FileReport | ElfError] = {}  # whatever program maps the file
        self._numbers = itertools.count(1)
        self._watcher = Watcher(self._selected)
        self._looks: dict[Process, _Look] = {}
        self._target_of: dict[Process, int] = {}
        self._pending: dict[Process, None] = {}  # came and were not looked at yet; in the order in which they will be

    # -- files ----------------------------------------------------------------------------------------------

    def examine(
        self,
        path: str,
        executable_name: str,
        shown: str | None = None,
        root: str = "/",
        libraries: Sequence[str] = (),
        beside: frozenset[tuple[str, int]] = frozenset(),
    ) -> Examined:
        """Read one file in the sandbox. Raises ElfError, TargetError, PermissionDeniedError.

        `root` is where its debug files are looked for, `libraries` the files that the process maps beside it: calls into them
        are followed, so what was learned of a function holds only `beside` these files (device and inode).
        """
        with ExitStack() as opened:
            file = _opened(opened, path)
            identity = _file_key(file)
            alone = self._cache.get((identity, executable_name, frozenset()))
            # Where no function is known in it nothing depends on what is beside it.
            key = (identity, executable_name, beside if isinstance(alone, Examined) and alone.matches else frozenset())
            known = self._cache.get(key)
            if known is None:
                try:
                    known = self._read(opened, file, path, executable_name, shown or path, root, libraries)
                except ElfError as error:
                    known = error
                _keep(self._cache, key, known)
                if isinstance(known, Examined) and known.matches:
                    _keep(self._cache, (identity, executable_name, beside), known)
        if isinstance(known, ElfError):
            raise known
        return replace(known, path=path, facts=replace(known.facts, file=path))

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
        from otel_jb.elf.examine import examine_file
        from otel_jb.elf.report import inspect_file

        key = _file_key(file)
        known = self._reports.get(key)
        if isinstance(known, ElfError):
            raise known
        report = known or inspect_file(self._inspector, file, shown, self._patterns)
        _keep(self._reports, key, report)
        if report.arch != platform.machine():
            raise ElfError(
                f"{shown} is for {report.arch}, this machine is {platform.machine()}",
                "A program of another architecture cannot be probed here.",
            )
        debug: list[int] = []
        if not report.has_symtab:
            for candidate in candidate_paths(shown, report.build_id, report.debug_link, root):
                try:
                    debug.append(_opened(opened, candidate))
                except AgentError:
                    continue
            if debug:
                report = inspect_file(self._inspector, file, shown, self._patterns, debug)
        matches = self.catalog.match(report.soname, executable_name, report.symbols)
        code: Mapping[int, FunctionCode] = {}
        if matches:
            functions = [(match.symbol.address, match.symbol.size) for match in matches]
            others = [_opened(opened, other) for other in libraries[: MAX_FILES - 1 - len(debug)] if other != path]
            code = examine_file(
                self._inspector,
                file,
                shown,
                functions,
                debug_files=debug,
                libraries=others,
                thorough=self._thorough,
            )
        return Examined(path, report, FileFacts(path, report.build_id, matches, code))

    # -- processes ------------------------------------------------------------------------------------------

    def examine_process(self, process: Process) -> list[Examined]:
        """Every file of the process that could be read; raises only where its own program cannot be."""
        files = _paths(process)
        paths = [path for path, _ in files]
        beside = frozenset((file.device, file.inode) for _, file in files)
        files = _worth_reading(process, files)
        self._read_ahead([(path, file.path) for path, file in files])
        examined = []
        for path, file in files:
            own = _is_program(process, file)
            try:
                examined.append(self.examine(path, process.name, file.path, process.root, paths, beside))
            except (ElfError, TargetError) as error:
                if own:
                    raise
                _logger.debug("%s", error.message)
        return examined

    def _read_ahead(self, files: Sequence[tuple[str, str]]) -> None:
        """Read all files, (path, name to show), that are not known yet, many by one request: it costs more than most files."""
        left = iter(files)
        while self._read_some(left):
            pass

    def _read_some(self, files: Iterator[tuple[str, str]]) -> bool:
        """Read the next files that are not known yet, as many as one request takes; whether there were that many."""
        from otel_jb.elf.image import open_regular
        from otel_jb.elf.report import inspect_files

        with ExitStack() as opened:
            unread: dict[_FileKey, tuple[int, str]] = {}
            for path, shown in files:
                try:
                    file = open_regular(path)
                except AgentError:
                    continue  # it is an error, or not, when it is examined
                key = _file_key(file)
                if key in self._reports or key in unread:
                    os.close(file)
                    continue
                opened.callback(os.close, file)
                unread[key] = (file, shown)
                if len(unread) == MAX_FILES:
                    break
            if not unread:
                return False
            reports = inspect_files(self._inspector, list(unread.values()), self._patterns)
            for key, report in zip(unread, reports, strict=True):
                _keep(self._reports, key, report)
            return len(unread) == MAX_FILES

    def plan(self, examined: Sequence[Examined], *, named: bool, process: Process | None = None) -> ProbePlan:
        """The plan for files of one process, or for files alone. `named`: the user named the target, so generic matches are
        attached too.
        """
        config = self.config
        options = Options(
            end_strategy=config.end_strategy.strategy,
            unsafe_uretprobe=config.unsafe_uretprobe,
            functions=config.functions.include,
            exclude=config.functions.exclude,
            max_probes=config.max_probes,
            target_named=named,
        )
        facts = self.process_facts(process, examined) if process is not None else UNKNOWN
        plan = make_plan([each.facts for each in examined], self.kernel, options, process=facts)
        if process is not None and facts.switches is None and self._would_help(plan, examined):
            self._wishes[process] = None
        return plan

    def plan_process(self, process: Process) -> ProbePlan:
        """What would be attached to a process now. Raises TargetError, ElfError, PermissionDeniedError."""
        with self._planning:
            return self.plan(self.examine_process(process), named=self._selector(process) is not None, process=process)

    # -- what holds of a whole process ----------------------------------------------------------------------

    def process_facts(self, process: Process, examined: Sequence[Examined]) -> ProcessFacts:
        """What is known of the process as a whole, without reading anything for it. Raises TargetError, PermissionDeniedError."""
        stacks = signal_stacks([(_name(each), each.report.signal_stacks) for each in examined])
        facts = ProcessFacts(
            shadow_stack=procfs.has_shadow_stack(process.pid),
            system_call_filter=procfs.has_system_call_filter(process.pid),
            signal_stacks=stacks,
        )
        return self._evidence.known(process, _paths(process), facts)

    def _would_help(self, plan: ProbePlan, examined: Sequence[Examined]) -> bool:
        """Whether a function would be measured at a lower price if nothing in the process could switch stacks or throw."""
        code = {each.path: each.facts.code for each in examined}
        dear = (EndStrategy.RET_SITES, EndStrategy.ENTRY_ONLY)
        return self.config.end_strategy.strategy in (None, EndStrategy.URETPROBE) and any(
            probe.strategy in dear and code[probe.file][probe.symbol.address].reach.open for probe in plan.probes
        )

    def plan_patiently(self, examined: Sequence[Examined], process: Process, seconds: float = PATIENCE_S) -> ProbePlan:
        """The plan for a process that the user named, once all of its files were read, or `seconds` are over."""
        plan = self.plan(examined, named=True, process=process)
        if process not in self._wishes:
            return plan
        until = time.monotonic() + seconds
        self.gather(process, lambda: time.monotonic() < until)
        return self.plan(examined, named=True, process=process)

    def gather(self, process: Process, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Read what plans of this process want to know of all its files; may take seconds. Raises TargetError and the like."""
        self._wishes.pop(process, None)
        self._evidence.gather(process, _paths(process), ProcessFacts(), goes_on)

    def gather_next(self, goes_on: Callable[[], bool]) -> tuple[int, ProbePlan] | None:
        """Gather for one of the processes that are measured, if more should be known of any: its target's id and its plan then."""
        for process in list(self._wishes):
            target = self._target_of.get(process)
            if target is None:
                if not procfs.alive(process):
                    self._wishes.pop(process, None)
                continue
            try:
                self.gather(process, goes_on)
                return (target, self.plan_process(process)) if goes_on() else None
            except AgentError as error:
                _logger.debug("%s", error.message)
        return None

    def unchanged(self, target: int) -> bool:
        """Whether the process of a target maps what it did when it was planned."""
        process = self._process_of(target)
        return process is not None and process in self._looks and _files(process) == self._looks[process].files

    def look_now(self, target: int) -> None:
        """Have the next poll look at what the process of a target maps."""
        process = self._process_of(target)
        if process is not None and process in self._looks:
            self._looks[process] = replace(self._looks[process], next_s=0.0)

    def _process_of(self, target: int) -> Process | None:
        return next((process for process, number in list(self._target_of.items()) if number == target), None)

    def find(self, process: Process, selector: TargetSelector | None) -> Found:
        """Plan one process. Raises TargetError, ElfError, PermissionDeniedError, NoFunctionError."""
        with self._planning:
            examined = self.examine_process(process)
            plan = self.plan(examined, named=selector is not None, process=process)
        if not plan.probes:
            raise no_function(process.name, f"process {process.pid}", examined, plan)
        build_id = next((each.report.build_id for each in examined if each.path == self._program(process)), None)
        target = make_target(
            process,
            next(self._numbers),
            build_id or (examined[0].report.build_id if examined else None),
            selector.service_name if selector else None,
            selector.attributes if selector else None,
        )
        return Found(process, target, plan)

    @staticmethod
    def _program(process: Process) -> str:
        return process.root + process.executable

    # -- selection ------------------------------------------------------------------------------------------

    def _selector(self, process: Process) -> TargetSelector | None:
        """The first selector that means this process."""
        for selector in self.config.targets:
            if selector.pid is not None and selector.pid == process.pid:
                return selector
            if selector.name is not None and fnmatch.fnmatchcase(process.name, selector.name):
                return selector
            if selector.binary is not None and self._runs(process, selector.binary):
                return selector
        return None

    @staticmethod
    def _runs(process: Process, binary: str) -> bool:
        """Whether the process runs this file or maps it."""
        try:
            wanted = Path(binary).stat()
        except OSError:
            return process.executable == binary
        if (wanted.st_dev, wanted.st_ino) == (process.device, process.inode):
            return True
        try:
            return any(file.inode == wanted.st_ino for file in procfs.mapped_files(process.pid))
        except AgentError:
            return False

    def _selected(self, process: Process) -> bool:
        if process.pid == os.getpid():
            return False
        if self.config.targets:
            return self._selector(process) is not None  # also one that cannot be read: who named its PID is told why
        return bool(process.executable)

    def first(self) -> list[Found]:
        """The processes that are to be measured now, those that were named by PID first; others that take longer come by `poll`.

        A target that the user named and that can never be measured is an error at once: TargetError, ElfError, NoFunctionError.
        A file or name that no process runs yet is none; it is waited for.
        """
        for selector in self.config.targets:
            if selector.pid is not None:
                procfs.process(selector.pid)
            elif selector.binary is not None:
                self._check_binary(selector.binary)
        new, _ = self._watcher.poll()
        found = []
        for process in new:
            chosen = self._selector(process)
            if chosen is not None and chosen.pid is not None:
                files = _files(process)  # before the plan: what is loaded meanwhile is news at the next look
                found.append(self._remember(self.find(process, chosen)))
                self._looks[process] = _Look(files, time.monotonic() + FIRST_LOOK_S, FIRST_LOOK_S)
            else:
                self._pending[process] = None
        # Programs that a profile is named after are the likeliest to be measured.
        likely = tuple(profile.profile for profile in self.catalog.profiles)
        self._pending = dict.fromkeys(sorted(self._pending, key=lambda each: not each.name.startswith(likely)))
        return found + self._look_at_pending()

    @property
    def more(self) -> bool:
        """Whether processes wait to be looked at."""
        return bool(self._pending)

    def _look_at_pending(self) -> list[Found]:
        """Look at processes that came, for at most about SLICE_S."""
        found = []
        until = time.monotonic() + SLICE_S
        while self._pending and time.monotonic() < until:
            for process in self._read_next():
                del self._pending[process]
                if (each := self._try(process, time.monotonic())) is not None:
                    found.append(each)
        return found

    def _read_next(self) -> list[Process]:
        """The next processes to look at: as many as have one request's worth of files that are not known, which are read."""
        files: list[tuple[str, str]] = []
        processes: list[Process] = []
        for process in itertools.islice(self._pending, _AT_ONCE):
            try:
                mapped = _worth_reading(process, _paths(process))
            except AgentError:
                mapped = []  # it ended; `_try` says so
            unread = [(path, file.path) for path, file in mapped if _path_key(path) not in self._reports]
            if processes and len(files) + len(unread) > MAX_FILES:
                break
            processes.append(process)
            files += unread
        self._read_ahead(files)
        return processes

    def _check_binary(self, binary: str) -> None:
        """Whether processes of this file could be measured at all."""
        name = Path(binary).name
        examined = self.examine(binary, name)
        if examined.report.kind == "executable" and not examined.matches and not examined.report.needed:
            raise no_function(name, binary, [examined], ProbePlan(()))

    def _remember(self, found: Found) -> Found:
        self._target_of[found.process] = found.target.id
        return found

    def forget(self, found: Found) -> None:
        """It could not be attached after all; it is planned anew when it maps other files."""
        self._target_of.pop(found.process, None)

    def use_costs(self, cost: AgentCost) -> None:
        """Plan with what probes were measured to cost here."""
        measured = {kind: seconds * 1e9 for kind, seconds in cost.seconds_by_kind if seconds > 0}
        if measured:
            self.kernel = replace(
                self.kernel,
                emulated_ns=measured.get("emulated", self.kernel.emulated_ns),
                stepped_ns=measured.get("stepped", self.kernel.stepped_ns),
                uretprobe_ns=measured.get("uretprobe", self.kernel.uretprobe_ns),
            )

    def without_sessions(self) -> None:
        """The kernel has no session links, whatever its version says."""
        self.kernel = replace(self.kernel, sessions=False)

    def plans_again(self) -> list[tuple[int, ProbePlan]]:
        """(target id, plan) of the processes that are measured, planned anew: what they cost now, nothing is attached by it."""
        plans = []
        for process, target in list(self._target_of.items()):  # another thread may be at it
            try:
                plans.append((target, self.plan_process(process)))
            except AgentError:
                continue  # it ended meanwhile
        return plans

    def poll(self) -> Changes:
        """What happened since last time: processes came, ended, or loaded further libraries.

        A host full of processes is looked at in several calls (`Changes.more`); the newest first, since a server that was
        started again waits for its probes.
        """
        now = time.monotonic()
        new, ended = self._watcher.poll()
        self._pending = dict.fromkeys([*new, *self._pending])
        gone = [self._target_of.pop(process) for process in ended if process in self._target_of]
        for process in ended:
            self._looks.pop(process, None)
            self._pending.pop(process, None)
        found = self._look_at_pending()
        grown: list[tuple[int, ProbePlan]] = []
        for process, look in list(self._looks.items()):
            if now < look.next_s:
                continue
            files = _files(process)
            changed = files != look.files
            self._looks[process] = look.again(now, files)
            if not changed:
                continue
            if process not in self._target_of:
                again = self._try(process, now)
                found += [again] if again is not None else []
            else:
                target = self._target_of[process]
                try:
                    grown.append((target, self.plan_process(process)))
                except AgentError as error:
                    _logger.debug("%s", error.message)
        return Changes(found, gone, grown, more=self.more)

    def _try(self, process: Process, now: float) -> Found | None:
        """Plan a process that may have nothing to measure (yet); it is looked at again when it maps other files."""
        files = _files(process)
        selector = self._selector(process)
        if process not in self._looks:
            self._looks[process] = _Look(files, now + FIRST_LOOK_S, FIRST_LOOK_S)
        try:
            return self._remember(self.find(process, selector))
        except AgentError as error:
            _log_unmeasured(process, error, named=selector is not None)
            return None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a poll found."""

    found: list[Found]
    ended: list[int]  #: target ids
    grown: list[tuple[int, ProbePlan]]  #: target id and its plan with what it loaded since
    more: bool = False  #: processes wait to be looked at: call again soon


@dataclass(frozen=True, slots=True)
class _Look:
    """When a process's mapped files are looked at again; a young process loads libraries, an old one hardly."""

    files: frozenset[tuple[str, int]]
    next_s: float
    step_s: float

    def again(self, now: float, files: frozenset[tuple[str, int]]) -> _Look:
        """The look after this one: soon where something changed, else ever later."""
        step = FIRST_LOOK_S if files != self.files else min(LAST_LOOK_S, self.step_s * 2)
        return _Look(files, now + step, step)


def _files(process: Process) -> frozenset[tuple[str, int]]:
    """What the process has code of: files by device and inode, and code that is of no file."""
    try:
        files = {(file.device, file.inode) for file in procfs.mapped_files(process.pid)}
        return frozenset(files | ({("", 0)} if procfs.has_unnamed_code(process.pid) else set()))
    except AgentError:
        return frozenset()


def _log_unmeasured(process: Process, error: AgentError, *, named: bool) -> None:
    level = logging.WARNING if named else logging.DEBUG
    _logger.log(level, "%s (process %d) is not measured: %s", process.name, process.pid, error.message)


def _file_key(file: int) -> _FileKey:
    return _key(os.fstat(file))


def _path_key(path: str) -> _FileKey | None:
    try:
        return _key(Path(path).stat())
    except OSError:
        return None


def _key(status: os.stat_result) -> _FileKey:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _keep(known: dict[_K, _V], key: _K, value: _V) -> None:
    """Remember what was learned of a file; the one that was learned first is forgotten where there are too many."""
    known[key] = value
    if len(known) > MAX_KNOWN_FILES:
        del known[next(iter(known))]


def _paths(process: Process) -> list[tuple[str, MappedFile]]:
    """The files that a process has code of, each with where the agent opens it; its program first."""
    files = [(procfs.file_path(process, file), file) for file in procfs.mapped_files(process.pid)]
    return sorted(files, key=lambda item: not _is_program(process, item[1]))


def _worth_reading(process: Process, files: Sequence[tuple[str, MappedFile]]) -> list[tuple[str, MappedFile]]:
    return [(path, file) for path, file in files if _is_program(process, file) or not _is_plain(file)]


def _is_plain(file: MappedFile) -> bool:
    return _PLAIN.match(Path(file.path).name) is not None


def _name(examined: Examined) -> str:
    return examined.report.soname or examined.path.rsplit("/", 1)[-1]


def _is_program(process: Process, file: MappedFile) -> bool:
    return file.inode == process.inode and file.path == process.executable


def no_function(name: str, what: str, examined: Sequence[Examined], plan: ProbePlan) -> NoFunctionError:
    """Why nothing can be probed, with what was looked at and what would help."""
    if plan.skipped:
        reasons = "\n".join(f"  {s.function}: {s.reason}" for s in plan.skipped[:10])
        return NoFunctionError(
            f"no jitter-buffer function of {what} ({name}) can be probed", f"Found, but left out:\n{reasons}"
        )
    symbols = sum(each.report.symbol_count for each in examined)
    stripped = [each.path for each in examined if not each.report.has_symtab]
    help_text = f"Looked at {symbols} symbols of {len(examined)} files; `otel-jb discover --all` lists what is there."
    if stripped:
        help_text += (
            f"\n{stripped[0]} is stripped: install its debug symbols (Debian: PACKAGE-dbgsym, Fedora: dnf debuginfo-install),\n"
            "or run a build that keeps its symbol table. A profile of your own (--profile) can name further functions."
        )
    return NoFunctionError(f"no jitter-buffer function in {what} ({name})", help_text)


def kernel_facts(*, perf: bool = False) -> KernelFacts:
    """What the running kernel does with probes, from its version. `perf`: they are attached by perf events, as older ones do."""
    numbers = platform.release().split("-")[0].split(".")
    facts = KernelFacts.of_version(int(numbers[0]), int("".join(c for c in numbers[1] if c.isdigit()) or 0))
    return replace(facts, multi_links=False, sessions=False) if perf else facts


def _opened(stack: ExitStack, path: str) -> int:
    """A read-only descriptor of a regular file, closed with the stack."""
    from otel_jb.elf.image import open_regular

    file = open_regular(path)
    stack.callback(os.close, file)
    return file


__all__ = ["Discovery", "Examined", "Found", "no_function"]
