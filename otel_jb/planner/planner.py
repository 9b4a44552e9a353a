# SPDX-License-Identifier: Apache-2.0
"""Turns a process or files into a plan: selects the files to read, and considers the process as a whole."""

from __future__ import annotations

import fnmatch
import glob
import logging
import platform
import threading
from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.catalog import Catalog, load
from otel_jb.config.model import Inferred
from otel_jb.host import libraries, procfs
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.model.closest import closest
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError, NoFunctionError, NothingYetError, TargetError
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import AgentCost
from otel_jb.planner.choose import DOUBT, NOT_ASKED_FOR, make_plan
from otel_jb.planner.files import Examined, Files, keep, path_key
from otel_jb.planner.findings import open_mapped
from otel_jb.planner.inputs import KernelFacts, Options
from otel_jb.planner.mapped import asked, is_program, paths, worth_reading
from otel_jb.planner.prices import of_processor
from otel_jb.planner.process import UNKNOWN, ProcessFacts, signal_stacks

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.sandbox.client import Inspector
    from otel_jb.sandbox.report import FileReport

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is the same for all processes that run the same files in the same circumstances."""

    opened: Sequence[str]  #: as one of them opens its files
    examined: Sequence[Examined]
    plan: ProbePlan

    def opened_as(self, paths: Sequence[str]) -> tuple[list[Examined], ProbePlan]:
        """The files and the plan of another of these processes, which opens its files so; in the same order."""
        here = dict(zip(self.opened, paths, strict=True))
        examined = [
            replace(
                each,
                path=here[each.path],
                facts=replace(each.facts, file=here[each.path]) if each.facts.matches else each.facts,
            )
            for each in self.examined
        ]
        probes = tuple(replace(probe, file=here[probe.file]) for probe in self.plan.probes)
        skipped = tuple(replace(each, file=here[each.file]) for each in self.plan.skipped)
        return examined, ProbePlan(probes, skipped)


def linked_libraries(report: FileReport, catalog: Catalog) -> list[str]:
    """The libraries that profiles know, of those that a program is linked with, as this host's linker finds them."""
    globs = catalog.libraries()
    known = [each for each in report.needed if any(fnmatch.fnmatchcase(each, one) for one in globs)]
    return libraries.find([glob.escape(each) for each in known])


class Planner:
    """Plans processes and files; caches what it learned about files."""

    def __init__(
        self, config: Config, inspector: Inspector, catalog: Catalog | None = None, *, thorough: bool = False
    ) -> None:
        """Loads the catalogue, the user's own profiles first. `thorough`: follow the calls of every function. Raises ConfigError."""
        self.config = config
        self.catalog = catalog or load([Path(name) for name in config.profiles])
        self.kernel = kernel_facts(perf=config.link.value == "perf")
        # Where return probes are cheaper than edges it must be known of every function whether one is safe.
        thorough = thorough or self.kernel.prefers_return_probes
        self.files = Files(inspector, self.catalog, asked(config), thorough=thorough)
        self._planning = threading.RLock()  # plans are made again by the thread that measures what they cost
        self._kinds: dict[Hashable, _Kind] = {}  # by what a plan follows from
        self._kernels: dict[Hashable, KernelFacts] = {}  # by file: what its first plan went by
        self._prices: dict[Hashable, list[float]] = {}  # of probes in their order, by plan and costs of hits

    @property
    def asks_any(self) -> bool:
        """Whether functions of any file of a process may be meant, a system library's among them."""
        return bool(asked(self.config) or self.config.usdt or self.catalog.has_marks)

    def forget_build(self, build_id: str) -> None:
        """A debug file came, or will not: plans that were made without it are made again."""
        with self._planning:
            self.files.forget_build(build_id)
            self._kinds.clear()

    def with_config(self, config: Config, catalog: Catalog) -> Planner:
        """A planner for another configuration, with what this one has learned of files as far as it holds there."""
        found = copy(self)
        found.config = config
        found._kinds = {}  # noqa: SLF001 - its own kind
        if (catalog.profiles, asked(config)) != (self.catalog.profiles, asked(self.config)):
            found.catalog = catalog
            found.files = self.files.with_catalog(catalog, asked(config))
        return found

    def examine_process(
        self, process: Process, files: Sequence[tuple[str, MappedFile]] | None = None
    ) -> list[Examined]:
        """Every file of the process that could be read; raises only where its own program cannot be. `files`: its `paths`, if they were just
        looked at: what it has mapped by now may be another program's.
        """
        files = paths(process) if files is None else files
        everything = [path for path, _ in files]
        beside = frozenset((file.device, file.inode) for _, file in files)
        files = worth_reading(process, files, everything=self.asks_any)
        self.files.read_ahead([(path, file.path) for path, file in files])
        examined = []
        for path, file in files:
            own = is_program(process, file)
            try:
                opening = partial(open_mapped, process, file)
                examined.append(
                    self.files.examine(path, process.name, file.path, process.root, everything, beside, opening)
                )
            except (ElfError, TargetError) as error:
                if own:
                    raise
                _logger.debug("%s", error.message)
        return examined

    def examine_file(self, path: str, resolved: str) -> list[Examined]:
        """A file that perhaps nobody runs; after a program come the libraries with functions that it is linked with.
        `resolved`: the path without links. Raises ElfError, TargetError, PermissionDeniedError.
        """
        name = Path(resolved).name
        own = self.files.examine(path, name, resolved)
        examined = [own]
        for library in linked_libraries(own.report, self.catalog) if own.report.kind == "executable" else ():
            try:
                found = self._examine_library(library, "/", name)
            except (ElfError, TargetError) as error:
                _logger.debug("%s", error.message)
                continue
            if found.matches:
                examined.append(found)
        return examined

    def _examine_library(self, path: str, root: str, program: str) -> Examined:
        """A library that no process maps yet; `path` as it is called inside `root`."""
        inside = "" if root == "/" else root
        examined = self.files.examine(inside + path, program, path, root)
        if not examined.matches:
            return examined
        # The calls of its functions are followed into the libraries that it will be loaded with.
        needed = [inside + each for each in libraries.find(examined.report.needed, root)]
        beside = frozenset((each, 0) for each in needed)
        return self.files.examine(inside + path, program, path, root, [inside + path, *needed], beside)

    def plan(
        self,
        examined: Sequence[Examined],
        *,
        named: bool,
        process: Process | None = None,
        detail: bool | None = None,
        anew: bool = False,
    ) -> ProbePlan:
        """The plan for files of one process, or for files alone. `named`: the user named the target, so generic matches are
        attached too. `detail`: functions too that tell nothing new; None as configured. `anew`: by what probes cost now, and not
        by what they were thought to cost when the file was first planned.
        """
        config = self.config
        options = Options(
            end_strategy=config.end_strategy.strategy,
            unsafe_uretprobe=config.unsafe_uretprobe,
            functions=config.functions.include,
            exclude=config.functions.exclude,
            max_probes=config.max_probes,
            inferred=config.inferred is not Inferred.NONE,
            doubtful=config.inferred is Inferred.ALL,
            detail=config.detail.value == "all" if detail is None else detail,
            target_named=named,
            pairs=config.pairs,
            usdt=config.usdt,
        )
        facts = self.process_facts(process, examined) if process is not None else UNKNOWN
        files = [each.facts if anew else replace(each.facts, kernel=self._first_kernel(each)) for each in examined]
        return make_plan(files, self.kernel, options, process=facts)

    def _first_kernel(self, examined: Examined) -> KernelFacts:
        """The costs that the first plan of a file went by. All its processes share one set of links only if their plans are alike, also that of
        one which was looked at before it had mapped its libraries.
        """
        file = examined.facts.build_id or examined.facts.identity
        if file is None:
            return self.kernel
        if file not in self._kernels:
            keep(self._kernels, file, self.kernel)
        return self._kernels[file]

    def plan_process(self, process: Process, *, named: bool) -> ProbePlan:
        """What would be attached to a process now. Raises TargetError, ElfError, PermissionDeniedError."""
        return self.examined_plan(process, named=named)[1]

    def examined_plan(
        self, process: Process, *, named: bool, files: Sequence[tuple[str, MappedFile]] | None = None
    ) -> tuple[list[Examined], ProbePlan]:
        """The same, with the files that it comes from; `files`: the process's `paths`, if they were just looked at."""
        with self._planning:
            files = paths(process) if files is None else files
            ordered = sorted(files, key=lambda each: (each[1].path, each[1].device, each[1].inode))
            opened = [path for path, _ in ordered]
            kind = self._kind(process, ordered, named=named)
            known = self._kinds.get(kind) if kind is not None else None
            if known is not None:
                return known.opened_as(opened)
            examined = self.examine_process(process, files)
            plan = self.plan(examined, named=named, process=process)
            if kind is not None:
                keep(self._kinds, kind, _Kind(opened, examined, plan))
            return examined, plan

    def priced_again(self, process: Process, plan: ProbePlan, *, named: bool) -> ProbePlan:
        """The plan of a process with what its probes cost by now; it stays as it is. Raises as `plan_process`."""
        with self._planning:
            alike = tuple(replace(each, file="", cost_ns=0.0) for each in plan.probes)
            costs = self._prices.get((alike, self.kernel))
            if costs is None:  # once for the processes of a file
                fresh = self.plan(self.examine_process(process), named=named, process=process, anew=True)
                known = {(each.file, each.place, each.strategy): each.cost_ns for each in fresh.probes}
                costs = [known.get((p.file, p.place, p.strategy), p.cost_ns) for p in plan.probes]
                keep(self._prices, (alike, self.kernel), costs)
            probes = [replace(each, cost_ns=cost) for each, cost in zip(plan.probes, costs, strict=True)]
            return replace(plan, probes=tuple(probes))

    def _kind(self, process: Process, files: Sequence[tuple[str, MappedFile]], *, named: bool) -> Hashable | None:
        """What the plan of a process follows from: equal ones have the same plan, but for its paths. None where it cannot be told."""
        read = [
            (path_key(path, file.device), is_program(process, file)) for path, file in worth_reading(process, files)
        ]
        if any(key is None for key, _ in read):
            return None
        mapped = tuple((file.path, file.device, file.inode, file.deleted) for _, file in files)
        forbidden = procfs.has_shadow_stack_and_filter(process.pid)
        # Not the costs: a file that is linked already stays as it is, or the first calls of its next processes would be counted by links that
        # another plan does without.
        return (process.name, named, mapped, tuple(read), forbidden)

    def plan_library(self, path: str, root: str, *, named: bool) -> ProbePlan:
        """The plan for a library that no process maps yet; `path` as it is called inside `root`. Raises ElfError, TargetError."""
        with self._planning:
            return self.plan([self._examine_library(path, root, "")], named=named)

    # -- what holds of a whole process ----------------------------------------------------------------------

    def process_facts(self, process: Process, examined: Sequence[Examined]) -> ProcessFacts:
        """What is known of the process as a whole, without reading anything for it. Raises TargetError, PermissionDeniedError."""
        stacks = signal_stacks([(_name(each), each.report.signal_stacks) for each in examined])
        shadow_stack, system_call_filter = procfs.has_shadow_stack_and_filter(process.pid)
        return ProcessFacts(
            shadow_stack=shadow_stack,
            system_call_filter=system_call_filter,
            signal_stacks=stacks,
            stack_switches=next((each.report.stack_switches for each in examined if each.report.stack_switches), ""),
        )

    def program_name(self, path: str) -> str:
        """The name of the program that a file is; "" where it is a library, or was not read."""
        return self.files.programs.get(path, "")

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
        self._kernels.clear()


def _name(examined: Examined) -> str:
    return examined.report.soname or examined.path.rsplit("/", 1)[-1]


def no_function(
    name: str, what: str, examined: Sequence[Examined], plan: ProbePlan, include: Sequence[str] = ()
) -> NoFunctionError:
    """The error that nothing can be probed, with what was examined and what would help. `include`: the requested functions."""
    misplaced = [problem for each in examined for problem in each.report.misplaced]
    if misplaced and not plan.probes:
        return NoFunctionError(
            f"{what} ({name}) has no function at the named place", "\n".join(f"  {problem}" for problem in misplaced)
        )
    others = [skipped.function for skipped in plan.skipped if skipped.reason == NOT_ASKED_FOR]
    if others and len(others) == len(plan.skipped):
        return _not_there(name, what, others, include)
    doubtful = [skipped for skipped in plan.skipped if skipped.reason.startswith(DOUBT)]
    if doubtful:
        file = doubtful[0].file
        return NoFunctionError(
            f"{what} ({name}) is stripped, and what should lead to its functions does not agree",
            "\n".join(f"  {each.function}: {each.reason}" for each in doubtful[:10])
            + f"\nInstall the debug symbols of {file} (Debian: PACKAGE-dbgsym, Fedora: dnf debuginfo-install), so that they have names.",
            "marks_disagree",
        )
    if plan.skipped:
        reasons = "\n".join(f"  {s.function}: {s.reason}" for s in plan.skipped if s.reason != NOT_ASKED_FOR)
        return NoFunctionError(
            f"no jitter-buffer function of {what} ({name}) can be probed",
            "Found, but left out:\n" + "\n".join(reasons.splitlines()[:10]),
            "no_safe_probe",
        )
    symbols = sum(each.report.symbol_count for each in examined)
    files = "1 file" if len(examined) == 1 else f"{len(examined)} files"
    stripped = [each.path for each in examined if not each.report.has_symtab]
    help_text = f"Searched {symbols} symbols of {files}; `otel-jb discover --all` lists what is there."
    if stripped:
        help_text += (
            f"\n{stripped[0]} is stripped: install its debug symbols (Debian: PACKAGE-dbgsym, Fedora: dnf debuginfo-install),\n"
            "or run a build that keeps its symbol table. A profile of your own (--profile) can name further functions."
        )
    if include:
        help_text += "\nA function without a symbol can be named by its start address: FILE+0xADDRESS."
        return NoFunctionError(f"no function of {what} ({name}) is called {' or '.join(include)}", help_text)
    return NoFunctionError(
        f"no jitter-buffer function in {what} ({name})", help_text, "stripped" if stripped else "no_function"
    )


def nothing_yet(process: Process, include: Sequence[str] = ()) -> NothingYetError:
    """The error that a process has no function to measure, and may load a library that has. `include`: the requested functions."""
    what = f"no function called {' or '.join(include)}" if include else "no jitter buffer"
    return NothingYetError(
        f"{process.name} (process {process.pid}) has {what} yet", "It is measured once it loads a library that has one."
    )


def _not_there(name: str, what: str, others: Sequence[str], include: Sequence[str]) -> NoFunctionError:
    """The error that the requested functions cannot be measured, with those that can and the one probably meant."""
    there = sorted(dict.fromkeys(others))
    close = list(dict.fromkeys(found for glob in include for found in _close(glob, there)))
    meant = f"Did you mean {' or '.join(close)}?\n" if close else ""
    some = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
    return NoFunctionError(
        f"no function of {what} ({name}) is called {' or '.join(include)}", f"{meant}It has: {some}", "not_asked_for"
    )


def _close(glob: str, there: Sequence[str]) -> list[str]:
    """Names that somebody who typed this may have meant, whole or without their class."""
    plain = glob.strip("*?").lower()
    by_name = {each.lower(): each for each in there}
    by_last = {each.rpartition("::")[2].lower(): each for each in there}
    found = closest(plain, by_name, 2)
    last = closest(plain.rpartition("::")[2], by_last, 2)
    return [by_name[each] for each in found] or [by_last[each] for each in last]


def kernel_facts(*, perf: bool = False) -> KernelFacts:
    """What the running kernel does with probes, from its version. `perf`: they are attached by perf events, as older ones do."""
    numbers = platform.release().split("-")[0].split(".")
    facts = KernelFacts.of_version(int(numbers[0]), int("".join(c for c in numbers[1] if c.isdigit()) or 0))
    return of_processor(replace(facts, multi_links=False, sessions=False) if perf else facts)
