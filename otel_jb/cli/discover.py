"""`otel-jb discover`: which jitter-buffer functions a file, a process or this host has, and how each can be probed."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_jb.model.errors import ElfError, ExitCode, NoFunctionError, PermissionDeniedError, TargetError

if TYPE_CHECKING:
    from otel_jb.catalog.matching import Match
    from otel_jb.cli.listing import File, Row, Target
    from otel_jb.host.procfs import Process
    from otel_jb.model.plan import Probe, ProbePlan
    from otel_jb.planner.files import Examined
    from otel_jb.planner.planner import Planner
    from otel_jb.planner.process import ProcessFacts

EXAMPLES = """\
examples:
  otel-jb discover                                   every process on this host
  otel-jb discover 1234                              this process, its libraries too
  otel-jb discover /usr/lib/x86_64-linux-gnu/libspeexdsp.so.1
  otel-jb discover 1234 --function '*JitterBuffer*'  only these; also such that no profile knows
  otel-jb discover --json | jq '.targets[].functions[].function'

PROBE says how the end of a call is seen (edge-sites, uretprobe, ret-sites, entry-only; docs/strategies.md), the line
below it why; * marks the primary function of its role, which dashboards count. Files that you can read need no privileges.
"""
_FFMPEG_ADVICE = (
    "FFmpeg's RTP functions are internal, so a stripped build has no name for them. What helps: its debug symbols "
    "(Debian and Ubuntu: the -dbgsym package of ffmpeg or libavformat; Fedora: dnf debuginfo-install ffmpeg-libs), "
    "found here by build-id as soon as they are installed; or a build that keeps its symbols (./configure "
    "--disable-stripping)."
)
_STRIPPED_ADVICE = (
    "It is stripped, so only exported functions can be found by name. Install its debug symbols (Debian and Ubuntu: the "
    "-dbgsym package; Fedora: dnf debuginfo-install), or run a build that keeps its symbols."
)


_LIBRARIES_ADVICE = (
    "It uses {count} libraries ({some}), which are searched when it runs: name its PID, or a library's file."
)


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    parser = subparsers.add_parser(
        "discover",
        help="list the jitter-buffer functions of a file, a process or this host",
        description="List the jitter-buffer functions of a file, a process, or every process on this host.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("target", nargs="?", metavar="TARGET", help="a file or a PID (default: every process)")
    parser.add_argument("--json", action="store_true", help="for programs; described by docs/discover.schema.json")
    parser.add_argument(
        "--all", action="store_true", help="also what is of no use: targets without such functions, what was left out"
    )
    parser.add_argument(
        "--function", action="append", default=[], metavar="NAME|GLOB", help="only these functions (repeatable)"
    )
    parser.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="a profile file of your own (repeatable)"
    )


def run(args: argparse.Namespace) -> int:
    """Look, and print what was found. Raises what the target is wrong with, NoFunctionError where it has no such function."""
    from otel_jb.config.model import Config, Functions
    from otel_jb.sandbox.client import Inspector

    with Inspector() as inspector:
        from otel_jb.planner.planner import Planner

        config = Config(functions=Functions(include=tuple(args.function)), profiles=tuple(args.profile))
        looker = _Looker(Planner(config, inspector, thorough=True), tuple(args.function))
        targets = list(looker.look(args.target, everything=args.all))
    useful = any(target.has("probe", "skipped", "unknown") for target in targets)
    if args.target is None or useful or args.json or args.all:
        _print(targets, looker, args)
    if args.target is None or useful:
        return int(ExitCode.OK)
    if args.json:
        return int(ExitCode.NO_FUNCTION)
    raise _nothing_found(args.target, targets)


def _print(targets: Sequence[Target], looker: _Looker, args: argparse.Namespace) -> None:
    from otel_jb.cli.listing import table, to_json

    if args.json:
        print(json.dumps(to_json(targets, looker.not_permitted, looker.demangles), indent=2))
        return
    width = max(72, min(shutil.get_terminal_size((100, 24)).columns, 160))
    for line in table(targets, everything=args.all, width=width):
        print(line)
    if args.target is None and not targets:
        print(f"None of {looker.looked_at} processes has a jitter-buffer function that is known here.")
    if looker.not_permitted:
        print(
            f"{looker.not_permitted} processes of other users could not be looked at: run as root (sudo) to see them."
        )
    if not looker.demangles:
        print("C++ names are shown mangled and found by their mangled names only: install libstdc++6 (libstdc++).")


def _nothing_found(text: str, targets: Sequence[Target]) -> NoFunctionError:
    files = [file for target in targets for file in target.files]
    help_text = f"Looked at {sum(file.symbols for file in files)} symbols of {len(files)} files."
    advice = list(dict.fromkeys(line for target in targets for line in target.advice))
    if not advice:
        advice.append("A profile of your own (--profile) can name its functions; docs/profiles.md says how.")
    return NoFunctionError(f"no jitter-buffer function in {text}", "\n".join([help_text, *advice]))


class _Looker:
    """Looks at targets and remembers what could not be looked at."""

    def __init__(self, planner: Planner, functions: tuple[str, ...]) -> None:
        self.planner = planner
        self.functions = functions
        self.not_permitted = 0
        self.looked_at = 0
        self.demangles = True

    def look(self, target: str | None, *, everything: bool) -> Iterator[Target]:
        """The targets that the user means."""
        from otel_jb.host import procfs

        if target is None:
            yield from self._host(everything)
        elif target.isdecimal() and "/" not in target and not Path(target).exists():
            yield self._process(procfs.process(procfs.parse_pid(target)))
        else:
            yield self._file(target)

    def _host(self, everything: bool) -> Iterator[Target]:
        from otel_jb.cli.listing import Target
        from otel_jb.host import procfs

        for process in sorted(procfs.processes(), key=lambda each: each.pid):
            if process.pid == os.getpid():
                continue
            try:
                found = self._process(process, named=False)
            except PermissionDeniedError:
                self.not_permitted += 1
                continue
            except ElfError as error:
                found = Target(process.name, process.executable, process.pid, None, (), (), error=error.message)
            except TargetError:
                continue  # it ended
            self.looked_at += 1
            if everything or found.has("probe", "skipped", "unknown"):
                yield found

    def _file(self, path: str) -> Target:
        from otel_jb.cli.listing import Target

        resolved = os.path.realpath(path)
        name = Path(resolved).name
        try:
            examined = self.planner.files.examine(path, name, resolved)
        except TargetError as error:
            found = None if "/" in path else shutil.which(path)
            raise TargetError(error.message, f"Did you mean {found}?" if found else error.help) from error
        files = (self._describe(examined, resolved),)
        rows = tuple(self._rows([examined], {examined.path: files[0].path}, named=True))
        advice = _advice(name, files, rows)
        needed = examined.report.needed
        if examined.report.kind == "executable" and needed and not any(row.state == "probe" for row in rows):
            some = ", ".join(needed[:4]) + (", ..." if len(needed) > 4 else "")
            advice += (_LIBRARIES_ADVICE.format(count=len(needed), some=some),)
        return Target(name, files[0].path, None, None, files, rows, advice)

    def _process(self, process: Process, *, named: bool = True) -> Target:
        from otel_jb.cli.listing import Target
        from otel_jb.host.container import container_id

        examined = self.planner.examine_process(process)
        paths = {each.path: _as_process_sees(process, each.path) for each in examined}
        files = tuple(self._describe(each, paths[each.path]) for each in examined)
        rows = tuple(self._rows(examined, paths, named=named, process=process))
        return Target(
            process.name,
            process.executable,
            process.pid,
            container_id(process.pid),
            files,
            rows,
            _advice(process.name, files, rows),
        )

    def _describe(self, examined: Examined, path: str) -> File:
        from otel_jb.cli.listing import File
        from otel_jb.model.plan import SymbolSource

        report = examined.report
        self.demangles = self.demangles and report.demangles
        named = report.has_symtab or any(symbol.source is SymbolSource.DEBUG_FILE for symbol in report.symbols)
        return File(
            path=path,
            arch=report.arch,
            kind=report.kind,
            build_id=report.build_id,
            soname=report.soname,
            stripped=not named,
            symbols=report.symbol_count,
        )

    # -- rows -----------------------------------------------------------------------------------------------

    def _rows(
        self, examined: Sequence[Examined], paths: dict[str, str], *, named: bool, process: Process | None = None
    ) -> Iterator[Row]:
        from otel_jb.planner.process import UNKNOWN

        if process is not None and named:
            plan = self.planner.plan_patiently(examined, process)
        else:
            plan = self.planner.plan(examined, named=named, process=process)
        facts = self.planner.process_facts(process, examined) if process is not None else UNKNOWN
        matches = {(each.path, match.symbol.address): (each, match) for each in examined for match in each.matches}
        found = [*self._planned(plan, matches, facts), *self._left_out(plan, examined)]
        order = {each.path: number for number, each in enumerate(examined)}
        for row in sorted(found, key=lambda row: (order.get(row.file or "", 0), row.address or 0)):
            yield replace(row, file=paths.get(row.file or "", row.file))
        yield from self._missing([match for each in examined for match in each.matches])
        for each in examined:
            yield from self._unmatched(each, paths[each.path])

    def _planned(
        self, plan: ProbePlan, matches: dict[tuple[str, int], tuple[Examined, Match]], facts: ProcessFacts
    ) -> Iterator[Row]:
        from otel_jb.cli.listing import Row
        from otel_jb.planner.peers import peer_note

        for probe in plan.probes:
            symbol = probe.symbol
            examined, match = matches[probe.file, symbol.address]
            code = examined.facts.code.get(symbol.address)
            spec = match.function.spec
            kernel, yields, throws = self.planner.kernel, spec.may_yield, spec.throws
            peers = peer_note(code, kernel, may_yield=yields, throws=throws, process=facts) if code else ""
            yield Row(
                function=probe.function,
                state="probe",
                role=probe.role,
                profile=probe.profile,
                reason=probe.reason,
                primary=probe.primary,
                strategy=probe.strategy.value,
                demangled=symbol.demangled,
                symbol=symbol.name,
                names=_other_names(probe),
                address=symbol.address,
                size=symbol.size or None,
                source=symbol.source.value,
                file=probe.file,
                other_tools=peers,
                notes=" ".join((*match.function.absent, match.function.notes)).strip(),
            )

    def _left_out(self, plan: ProbePlan, examined: Sequence[Examined]) -> Iterator[Row]:
        from otel_jb.cli.listing import Row

        by_name: dict[tuple[str, str], list[Match]] = {}
        for each in examined:
            for match in each.matches:
                by_name.setdefault((each.path, match.symbol.function), []).append(match)
        for skipped in plan.skipped:
            if skipped.reason == "not among the functions asked for":
                continue
            candidates = by_name.get((skipped.file, skipped.function), [])
            if not candidates:
                yield Row(skipped.function, "skipped", "", skipped.profile, skipped.reason, file=skipped.file)
                continue
            match = candidates.pop(0) if len(candidates) > 1 else candidates[0]  # overloads come in the same order
            symbol = match.symbol
            yield Row(
                function=skipped.function,
                state="skipped",
                role=match.function.role,
                profile=skipped.profile,
                reason=skipped.reason,
                primary=match.function.primary,
                demangled=symbol.demangled,
                symbol=symbol.name,
                names=symbol.aliases,
                address=symbol.address,
                size=symbol.size or None,
                source=symbol.source.value,
                file=skipped.file,
                notes=match.function.notes,
            )

    def _missing(self, matches: Sequence[Match]) -> Iterator[Row]:
        """What the profiles that were recognised name beside what was found."""
        from otel_jb.cli.listing import Row

        recognised = {match.function.profile for match in matches if not match.function.generic}
        have = {(match.function.profile, match.function.spec.name) for match in matches}
        for function in self.planner.catalog.functions():
            spec = function.spec
            key = (function.profile, spec.name)
            if function.profile not in recognised or key in have or spec.only is not None:
                continue
            have.add(key)
            if self.functions and not _any_match(self.functions, (spec.name, *spec.also)):
                continue
            versions = f" (it is in: {spec.versions})" if spec.versions else ""
            yield Row(
                function=spec.name,
                state="missing",
                role=spec.role.value,
                profile=function.profile,
                reason=f"named by profile {function.profile}, not in this target: inlined, stripped or of another version{versions}",
                primary=function.primary,
                names=spec.also,
                notes=function.notes,
            )

    def _unmatched(self, examined: Examined, path: str) -> Iterator[Row]:
        """What looks like a jitter buffer's and is none, and what the user asked for and no profile knows."""
        from otel_jb.cli.listing import Row

        matched = {match.symbol.address for match in examined.matches}
        for symbol in examined.report.symbols:
            if symbol.address in matched:
                continue
            names = (symbol.function, symbol.demangled, symbol.name, *symbol.aliases)
            reason = next((why for why in map(self.planner.catalog.ignored, names) if why), None)
            asked = _any_match(self.functions, names)
            if reason is None and not asked:
                continue
            yield Row(
                function=symbol.function,
                state="ignored" if reason else "unknown",
                role="",
                profile="",
                reason=reason
                or "no profile knows it: --profile with one of your own can say what it does (docs/profiles.md)",
                demangled=symbol.demangled,
                symbol=symbol.name,
                names=symbol.aliases,
                address=symbol.address,
                size=symbol.size or None,
                source=symbol.source.value,
                file=path,
            )


def _other_names(probe: Probe) -> tuple[str, ...]:
    return tuple(name for name in probe.names if name not in (probe.function, probe.symbol.name, probe.symbol.function))


def _any_match(globs: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in names for glob in globs)


def _as_process_sees(process: Process, path: str) -> str:
    if path.startswith(process.root + "/"):
        return path[len(process.root) :]
    if path == process.executable_path:
        return process.executable
    return path


def _advice(name: str, files: Sequence[File], rows: Sequence[Row]) -> tuple[str, ...]:
    """What would make more functions visible, where that is likely."""
    if any(row.state == "probe" for row in rows):
        return ()
    stripped = [file for file in files if file.stripped]
    labels = [name, *(file.soname or "" for file in files)]
    if stripped and any(label.startswith(("ffmpeg", "ffplay", "ffprobe", "libavformat")) for label in labels):
        return (_FFMPEG_ADVICE,)
    if stripped and files[0].stripped:
        return (_STRIPPED_ADVICE,)
    return ()
