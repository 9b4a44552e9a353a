# SPDX-License-Identifier: Apache-2.0
"""`otel-jb discover`: the jitter-buffer functions of a file, a process or this host, and how each can be probed."""

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

from otel_jb.cli import target
from otel_jb.cli.progress import Progress
from otel_jb.model.errors import ElfError, ExitCode, NoFunctionError, PermissionDeniedError, TargetError
from otel_jb.model.plan import EndStrategy, SymbolSource
from otel_jb.model.text import number_of, printable

if TYPE_CHECKING:
    from otel_jb.catalog.matching import Match
    from otel_jb.cli.listing import File, Row, Target
    from otel_jb.cli.target import Target as Named
    from otel_jb.host.procfs import Process
    from otel_jb.model.plan import Probe, ProbePlan, Skipped, Symbol
    from otel_jb.planner.files import Examined
    from otel_jb.planner.planner import Planner
    from otel_jb.planner.process import ProcessFacts

EXAMPLES = f"""\
examples:
  otel-jb discover                                   what `otel-jb run` would measure on this host
  otel-jb discover 1234                              the functions of this process and its libraries
  otel-jb discover ffmpeg                            of every process called ffmpeg
  otel-jb discover /usr/lib/x86_64-linux-gnu/libspeexdsp.so.1
  otel-jb discover 1234 --function '*JitterBuffer*'  only these, with or without a profile
  otel-jb discover --json | jq '.targets[].functions[].function'

PROBE is the end strategy ({", ".join(each.value for each in EndStrategy)}; docs/strategies.md); the line
below it says why. * marks the primary function of its role, which dashboards count. Files that you can read need no privileges.
"""
_FFMPEG_ADVICE = (
    "FFmpeg's RTP functions are internal, so a stripped build has no names for them. Install its debug symbols "
    "(Debian and Ubuntu: the -dbgsym package of ffmpeg or libavformat; Fedora: dnf debuginfo-install ffmpeg-libs); "
    "otel-jb finds them by build-id. Or use a build that keeps its symbols (./configure --disable-stripping)."
)
_STRIPPED_ADVICE = (
    "It is stripped, so only exported functions have names. Install its debug symbols (Debian and Ubuntu: the "
    "-dbgsym package; Fedora: dnf debuginfo-install), or run a build that keeps its symbols."
)
_LINKED_ADVICE = "These are the libraries that this host's linker finds for it. A process may map others (RPATH, LD_LIBRARY_PATH): name its PID to see them."
_LIBRARIES_ADVICE = (
    "It uses {count} libraries ({some}), which are searched while it runs: name its PID, or the file of a library."
)


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    parser = subparsers.add_parser(
        "discover",
        help="list the jitter-buffer functions of a target or this host",
        description="List the jitter-buffer functions of a file or process, or what `run` would measure on this host.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    target.add_arguments(parser, many=False, purpose=" (default: every process)")
    target.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON (docs/discover.schema.json), for programs")
    parser.add_argument(
        "--all", action="store_true", help="list every process and function, including unusable ones, with the reason"
    )
    parser.add_argument(
        "--function", action="append", default=[], metavar="NAME|GLOB", help="only these functions (repeatable)"
    )
    parser.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="additional profile file (repeatable)"
    )


def run(args: argparse.Namespace) -> int:
    """Find and print functions. Raises the error of an unreadable target, NoFunctionError for one without such functions."""
    from otel_jb.config.model import Config, Functions
    from otel_jb.sandbox.client import Inspector

    wanted = target.only(args)
    listed = wanted is None and not (args.json or args.all or args.function)
    with Inspector() as inspector, Progress() as progress:
        from otel_jb.planner.planner import Planner

        config = Config(functions=Functions(include=tuple(args.function)), profiles=tuple(args.profile))
        planner = Planner(config, inspector, thorough=not listed)
        if listed:
            from otel_jb.cli import host

            found = host.look(planner, progress)
            progress.clear()
            print("\n".join(host.lines(found, _columns(), root=os.geteuid() == 0)))
            return int(ExitCode.OK)
        looker = _Looker(planner, tuple(args.function), progress)
        targets = list(looker.look(wanted, everything=args.all))
    useful = any(each.has("probe", "skipped", "unknown") for each in targets)
    if wanted is None or useful or args.json or args.all:
        _print(targets, looker, args, wanted)
    if wanted is None or useful:
        return int(ExitCode.OK)
    if args.json:
        return int(ExitCode.NO_FUNCTION)
    raise _nothing_found(str(wanted), targets, looker)


def _columns() -> int:
    return max(72, min(shutil.get_terminal_size((100, 24)).columns, 160))


def _print(targets: Sequence[Target], looker: _Looker, args: argparse.Namespace, wanted: Named | None) -> None:
    from otel_jb.cli.listing import table, to_json

    if args.json:
        print(json.dumps(to_json(targets, looker.not_permitted, looker.demangles), indent=2))
        return
    for line in table(targets, everything=args.all, width=_columns()):
        print(line)
    if wanted is None and not targets:
        print(f"None of the {looker.looked_at} processes here has a jitter-buffer function that a profile knows.")
    if looker.not_permitted and os.geteuid() != 0:
        print(f"{looker.not_permitted} processes of other users could not be read: run as root (sudo) to see them.")
    elif looker.not_permitted:
        print(f"{looker.not_permitted} processes cannot be read, even by root.")
    if not looker.demangles:
        print("C++ names stay mangled, because no C++ runtime is installed: install libstdc++6 (libstdc++).")


def _nothing_found(text: str, targets: Sequence[Target], looker: _Looker) -> NoFunctionError:
    if looker.functions and looker.others:
        return looker.none_is_called_so(text)
    files = [file for target in targets for file in target.files]
    help_text = (
        f"Looked at {number_of(sum(file.symbols for file in files), 'symbol')} of {number_of(len(files), 'file')}."
    )
    advice = list(dict.fromkeys(line for target in targets for line in target.advice))
    if not advice:
        advice.append("Write a profile that names its functions (--profile); docs/profiles.md says how.")
    return NoFunctionError(f"no jitter-buffer function in {text}", "\n".join([help_text, *advice]))


class _Looker:
    """Examines targets and remembers which could not be read."""

    def __init__(self, planner: Planner, functions: tuple[str, ...], progress: Progress) -> None:
        self.planner = planner
        self.functions = functions
        self.progress = progress
        self.others: list[Skipped] = []  #: functions that can be measured and were not asked for
        self.not_permitted = 0
        self.looked_at = 0
        self.demangles = True

    def look(self, wanted: Named | None, *, everything: bool) -> Iterator[Target]:
        """The targets that the user named."""
        if wanted is None:
            yield from self._host(everything)
        elif wanted.file is not None:
            yield self._file(wanted.file)
        else:
            for process in target.processes(wanted):
                yield self._process(process)

    def none_is_called_so(self, text: str) -> NoFunctionError:
        """The error for --function with a name that the target does not have."""
        from otel_jb.model.plan import ProbePlan
        from otel_jb.planner.planner import no_function

        return no_function(Path(text).name, text, (), ProbePlan((), tuple(self.others)), self.functions)

    def _host(self, everything: bool) -> Iterator[Target]:
        from otel_jb.cli.listing import Target
        from otel_jb.host import procfs

        processes = sorted(procfs.processes(), key=lambda each: each.pid)
        for number, process in enumerate(processes):
            if process.pid == os.getpid():
                continue
            self.progress(f"looked at {number} of {len(processes)} processes; now {printable(process.name)}")
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

        resolved = target.real_path(path)
        name = Path(resolved).name
        examined = self.planner.examine_file(path, resolved)
        paths = {each.path: resolved if each is examined[0] else each.path for each in examined}
        files = tuple(self._describe(each, paths[each.path]) for each in examined)
        rows = tuple(self._rows(examined, paths, named=True))
        advice = (*_unchecked(examined), *_advice(name, files, rows))
        report = examined[0].report
        if len(examined) > 1:
            advice = (_LINKED_ADVICE, *advice)
        elif report.kind == "executable" and report.needed and not any(row.state == "probe" for row in rows):
            some = ", ".join(report.needed[:4]) + (", ..." if len(report.needed) > 4 else "")
            advice += (_LIBRARIES_ADVICE.format(count=len(report.needed), some=some),)
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
            (*_unchecked(examined), *_advice(process.name, files, rows)),
        )

    def _describe(self, examined: Examined, path: str) -> File:
        from otel_jb.cli.listing import File

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

        plan = self.planner.plan(examined, named=named, process=process)
        facts = self.planner.process_facts(process, examined) if process is not None else UNKNOWN
        matches = {_key(each.path, match.symbol): (each, match) for each in examined for match in each.matches}
        found = [*self._planned(plan, matches, facts), *self._left_out(plan, examined)]
        order = {each.path: number for number, each in enumerate(examined)}
        for row in sorted(found, key=lambda row: (order.get(row.file or "", 0), row.address or 0)):
            yield replace(row, file=paths.get(row.file or "", row.file))
        for each in examined:
            yield from self._marks(each, paths[each.path])
        yield from self._missing([match for each in examined for match in each.matches])
        for each in examined:
            yield from self._unmatched(each, paths[each.path])

    @staticmethod
    def _marks(examined: Examined, file: str) -> Iterator[Row]:
        """The USDT probes of a file."""
        from otel_jb.cli.listing import Row

        known = {match.symbol.name for match in examined.matches if match.symbol.source is SymbolSource.USDT}
        for mark in examined.facts.marks:
            name = f"usdt:{mark.full_name}"
            if name in known:
                continue  # a profile says what it means
            told = f"; its arguments: {mark.arguments}" if mark.arguments else ""
            yield Row(
                function=name,
                state="ignored",
                role="other",
                profile="none",
                reason=f"a USDT probe: `run --usdt {mark.full_name}` counts its hits{told}",
                symbol=name,
                address=mark.places[0].address,
                source=SymbolSource.USDT.value,
                file=file,
            )

    def _planned(
        self, plan: ProbePlan, matches: dict[tuple[str, int, str], tuple[Examined, Match]], facts: ProcessFacts
    ) -> Iterator[Row]:
        from otel_jb.cli.listing import Row
        from otel_jb.planner.peers import peer_note
        from otel_jb.planner.sums import partial_note

        for probe in plan.probes:
            symbol = probe.symbol
            known = matches.get(_key(probe.file, symbol))
            if known is None:
                continue  # a USDT probe that no profile knows
            examined, match = known
            code = examined.facts.code.get(symbol.address)
            spec = match.function.spec
            kernel, yields, throws = self.planner.kernel, spec.may_yield, spec.throws
            peers = ""
            if code and probe.pair is None and not probe.callee:
                peers = peer_note(code, kernel, may_yield=yields, throws=throws, process=facts)
            told: tuple[str, ...] = ()
            if probe.callee:
                told = (match.function.notes,)
            elif probe.pair is None:
                told = (*match.function.absent, *partial_note(probe, match.function), match.function.notes)
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
                notes=" ".join(told).strip(),
                evidence="; but ".join(filter(None, (symbol.evidence, symbol.doubt))),
            )

    def _left_out(self, plan: ProbePlan, examined: Sequence[Examined]) -> Iterator[Row]:
        from otel_jb.cli.listing import Row
        from otel_jb.planner.choose import NOT_ASKED_FOR

        by_name: dict[tuple[str, str], list[Match]] = {}
        for each in examined:
            for match in each.matches:
                by_name.setdefault((each.path, match.symbol.function), []).append(match)
        for skipped in plan.skipped:
            if skipped.reason == NOT_ASKED_FOR:
                self.others.append(skipped)
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
                evidence=symbol.evidence,
                notes=match.function.notes,
            )

    def _missing(self, matches: Sequence[Match]) -> Iterator[Row]:
        """Functions that the recognised profiles name but the target does not have."""
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
                reason=f"named by profile {function.profile} but not in this target: inlined, stripped or from another version{versions}",
                primary=function.primary,
                names=spec.also,
                notes=function.notes,
            )

    def _unmatched(self, examined: Examined, path: str) -> Iterator[Row]:
        """Functions that only look like a jitter buffer's, and functions that the user asked for but no profile knows."""
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
                or "no profile knows it; a profile of your own can say what it does (--profile, docs/profiles.md)",
                demangled=symbol.demangled,
                symbol=symbol.name,
                names=symbol.aliases,
                address=symbol.address,
                size=symbol.size or None,
                source=symbol.source.value,
                file=path,
            )


def _key(path: str, symbol: Symbol) -> tuple[str, int, str]:
    """A function is where it is; a USDT probe may be where a function begins."""
    return path, symbol.address, symbol.name if symbol.source is SymbolSource.USDT else ""


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


def _unchecked(examined: Sequence[Examined]) -> list[str]:
    """Each version that its profile was not checked with, said once: the notes of the functions, which say it too, are shown by --all only."""
    notes = (match.function.unchecked for each in examined for match in each.matches)
    return list(dict.fromkeys(note for note in notes if note))


def _advice(name: str, files: Sequence[File], rows: Sequence[Row]) -> tuple[str, ...]:
    """What would make more functions visible, if anything is likely to."""
    if any(row.state == "probe" for row in rows):
        return ()
    stripped = [file for file in files if file.stripped]
    labels = [name, *(file.soname or "" for file in files)]
    if stripped and any(label.startswith(("ffmpeg", "ffplay", "ffprobe", "libavformat")) for label in labels):
        return (_FFMPEG_ADVICE,)
    if stripped and files[0].stripped:
        return (_STRIPPED_ADVICE,)
    return ()
