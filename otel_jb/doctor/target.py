# SPDX-License-Identifier: Apache-2.0
"""The checks of `doctor` for a target: is it readable, of this architecture, with symbols, with known functions?"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.doctor.preflight import Check, Status
from otel_jb.doctor.system import System
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, ElfError, NoFunctionError, TargetError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.model.plan import ProbePlan
    from otel_jb.sandbox.report import FileReport


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """One file of the target, and its functions that the catalog knows."""

    path: str
    report: FileReport
    functions: tuple[str, ...]
    generic: tuple[str, ...]  #: recognised only by their names
    asked: tuple[str, ...] = ()  #: unknown; the user named them


@dataclass(frozen=True, slots=True)
class Inspected:
    """The target's readable files, and why others could not be read."""

    what: str  #: the target, in words
    files: tuple[InspectedFile, ...]
    errors: tuple[AgentError, ...] = ()


Inspect = Callable[[int | str, "Config"], Inspected]
MakePlan = Callable[[int | str, "Config"], "ProbePlan"]


def target_checks(
    system: System, config: Config, target: int | str, inspect: Inspect | None = None, plan: MakePlan | None = None
) -> Iterator[Check]:
    """Each check builds on the previous one, so the first ✗ is the last line.

    Args:
        system: the machine.
        config: the configuration in effect.
        target: a PID or a file.
        inspect: reads the target's files; default: in the sandbox.
        plan: plans the target as `run` does.
    """
    try:
        found = (inspect or inspect_target)(target, config)
    except AgentError as error:
        yield Check("target", Status.FAILED, error.message, error.help, type(error))
        return
    yield Check("target", Status.OK, f"{found.what}, {_count(len(found.files), 'file')} read")
    for check in (
        architecture(system, found),
        symbols(system, found, target),
        functions(system, config, found, target),
    ):
        yield check
        if check.status is Status.FAILED:
            return
    yield probes(config, target, plan or plan_target)


def probes(config: Config, target: int | str, plan: MakePlan) -> Check:
    """The functions that `run` would probe; a function may be present but offer no site for a probe."""
    name = "probes"
    try:
        made = plan(target, config)
    except AgentError as error:
        return Check(name, Status.FAILED, error.message, error.help, type(error))
    strategies = Counter(probe.strategy.value for probe in made.probes)
    listed = ", ".join(f"{count} {strategy}" for strategy, count in strategies.most_common())
    return Check(name, Status.OK, f"{_count(len(made.probes), 'function')} can be probed ({listed})")


def architecture(system: System, found: Inspected) -> Check:
    """Only code of the machine's own architecture can be probed."""
    foreign = [file for file in found.files if file.report.arch != system.machine]
    if not foreign:
        return Check("target's architecture", Status.OK, system.machine)
    return Check(
        "target's architecture",
        Status.FAILED,
        f"{foreign[0].path} is for {foreign[0].report.arch}, this machine is {system.machine}",
        "name the file or process of this machine's own architecture",
        ElfError,
    )


def symbols(system: System, found: Inspected, target: int | str) -> Check:
    """Functions are found by name, so the target needs symbols."""
    name = "symbols"
    count = sum(file.report.symbol_count for file in found.files)
    stripped = [file.path for file in found.files if not file.report.has_symtab]
    if count:
        note = f"; {len(stripped)} stripped, with exported names only" if stripped else ""
        return Check(name, Status.OK, f"{count} names in {_count(len(found.files), 'file')}{note}")
    return Check(
        name,
        Status.FAILED,
        f"{found.what} is stripped: it has no names at all",
        _debug_symbols(system, target),
        NoFunctionError,
    )


def functions(system: System, config: Config, found: Inspected, target: int | str) -> Check:
    """The functions that would be probed, after --function and --exclude."""
    name = "jitter-buffer functions"
    known = [function for file in found.files for function in file.functions]
    generic = [function for file in found.files for function in file.generic]
    wanted = [function for function in [*known, *generic] if config.functions.selects(function)]
    wanted += [function for file in found.files for function in file.asked]
    if wanted:
        note = f" ({len(generic)} of them by name only)" if generic else ""
        return Check(name, Status.OK, f"{_list(wanted)}{note}")
    if known or generic:
        return Check(
            name,
            Status.FAILED,
            f"--function and --exclude leave none of {_list([*known, *generic])}",
            "write the demangled name without arguments, or a glob:\n"
            f"  otel-jb run --function '*{(known or generic)[0].rpartition('::')[2]}*'",
            NoFunctionError,
        )
    stripped = not any(file.report.has_symtab for file in found.files)
    hidden = (
        f"internal functions have no name in a stripped file; {_debug_symbols(system, target)}\n" if stripped else ""
    )
    return Check(
        name,
        Status.FAILED,
        f"no profile or pattern matches a name in {found.what}",
        f"{hidden}see what is there, and describe it in a profile of your own (docs/profiles.md):\n"
        f"  otel-jb discover {shlex.quote(str(target))}\n  nm -DC {_file_of(target)} | grep -i -E 'jitter|rtp'\n"
        "or the functions are inlined: build without -O3/LTO, or look at their callers",
        NoFunctionError,
    )


def inspect_target(target: int | str, config: Config) -> Inspected:
    """Read the files of a process (by PID), or one file (by path) and the libraries that `discover` searches with it, in the sandbox.

    Raises AgentError if there is nothing to read.
    """
    from otel_jb import catalog
    from otel_jb.planner.inferred import with_inferred
    from otel_jb.planner.mapped import open_foreign
    from otel_jb.planner.planner import linked_libraries
    from otel_jb.sandbox.client import Inspector
    from otel_jb.sandbox.report import inspect_file

    known = catalog.load([Path(path) for path in config.profiles])
    if isinstance(target, int):
        what, name, places = _of_process(target)
    else:
        what, name, places = printable(target), Path(target).name, [(target, partial(open_foreign, target))]
    inspected: list[InspectedFile] = []
    errors: list[AgentError] = []
    with Inspector() as inspector:
        for shown, opened in places:
            try:
                descriptor = opened()
                try:
                    patterns = (*known.patterns(), *config.functions.include)
                    report = inspect_file(inspector, descriptor, shown, patterns, telltales=known.telltales())
                    report = with_inferred(inspector, known, descriptor, shown, report)
                finally:
                    os.close(descriptor)
            except AgentError as error:
                errors.append(error)
                continue
            matches = known.match(report.soname, name, report.symbols, config.functions.include)
            inspected.append(
                InspectedFile(
                    shown,
                    report,
                    tuple(match.symbol.function for match in matches if not match.function.generic),
                    tuple(
                        match.symbol.function
                        for match in matches
                        if match.function.generic and not match.function.asked
                    ),
                    tuple(match.symbol.function for match in matches if match.function.asked),
                )
            )
            if isinstance(target, str) and shown == target and report.kind == "executable":
                places += [(each, partial(open_foreign, each)) for each in linked_libraries(report, known)]
    if not inspected:
        raise errors[0] if errors else TargetError(f"{what} maps no file")
    return Inspected(what, tuple(inspected), tuple(errors))


def plan_target(target: int | str, config: Config) -> ProbePlan:
    """The plan that `run` would make for a process (by PID) or file. Raises NoFunctionError if it has no probe, AgentError."""
    from otel_jb.host import procfs
    from otel_jb.planner.planner import Planner, no_function
    from otel_jb.sandbox.client import Inspector

    with Inspector() as inspector:
        planner = Planner(config, inspector)
        if isinstance(target, int):
            process = procfs.process(target)
            examined, plan = planner.examined_plan(process, named=True)
            name, what = process.name, f"process {target}"
        else:
            examined = planner.examine_file(target, os.path.realpath(target))
            plan = planner.plan(examined, named=True)
            name, what = Path(target).name, target
    if not plan.probes:
        raise no_function(name, what, examined, plan, config.functions.include)
    return plan


def _of_process(pid: int) -> tuple[str, str, list[tuple[str, Callable[[], int]]]]:
    """A description of the process, its executable's name, and its files, each with a function that opens it. Raises TargetError."""
    from otel_jb.host import procfs

    process = procfs.process(pid)
    files = procfs.mapped_files(process.pid)
    # `functools.partial`, because a lambda would open the loop's last file for each.
    places = [(file.path, partial(procfs.open_file, process, file)) for file in files if not file.path.startswith("[")]
    return f"process {process.pid} ({process.name})", process.name, [*places]


def _debug_symbols(system: System, target: int | str) -> str:
    file = _file_of(target)
    return {
        "debian": f"install its debug symbols:\n  sudo apt-get install debian-goodies && find-dbgsym-packages {file}",
        "fedora": f"install its debug symbols:\n  sudo dnf debuginfo-install $(rpm -qf {file})",
    }.get(system.family, "install its debug symbols") + "\nor build it without `strip` and -s"


def _file_of(target: int | str) -> str:
    return f"/proc/{target}/exe" if isinstance(target, int) else shlex.quote(target)


def _count(number: int, word: str) -> str:
    return f"{number} {word if number == 1 else word + 's'}"


def _list(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
