# SPDX-License-Identifier: Apache-2.0
"""`otel-jb profile draft TARGET FUNCTION...` and `otel-jb profile check PROFILE TARGET`: write a profile, and see what it is worth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.cli import target
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ExitCode, NoFunctionError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from otel_jb.catalog.draft import Drafted
    from otel_jb.catalog.matching import Match
    from otel_jb.catalog.spec import ProfileSpec
    from otel_jb.planner.files import Examined
    from otel_jb.planner.inputs import FileFacts
    from otel_jb.sandbox.client import Inspector

EXAMPLES = """\
examples:
  otel-jb profile draft ./my-server 'JitterBuffer::*' > mine.yaml      then fill in roles and outcomes
  otel-jb profile check mine.yaml ./my-server                          what of it holds in this binary
  otel-jb run --profile mine.yaml my-server
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `profile` to the main parser."""
    parser = subparsers.add_parser(
        "profile",
        help="draft a profile of your own server, and check one against a binary",
        description="Write a profile for functions of your own server, and check what of it holds in a binary.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    draft = actions.add_parser(
        "draft", help="print a profile with roles and outcomes left to fill in", allow_abbrev=False
    )
    draft.add_argument("target", metavar="TARGET", help=target.HELP)
    draft.add_argument("functions", metavar="FUNCTION", nargs="+", help="name or glob, or FILE+0xADDRESS")
    check = actions.add_parser("check", help="test a profile against a binary", allow_abbrev=False)
    check.add_argument("profile", metavar="PROFILE", help="the profile's file")
    check.add_argument("target", metavar="TARGET", help=target.HELP)


def run(args: argparse.Namespace) -> int:
    """Draft or check. Raises ConfigError for a wrong profile, NoFunctionError where nothing is found, and an unreadable target's errors."""
    return _draft(args.target, args.functions) if args.action == "draft" else _check(args.profile, args.target)


def _draft(text: str, names: Sequence[str]) -> int:
    from otel_jb.catalog.draft import draft
    from otel_jb.config.model import Config, Functions
    from otel_jb.planner.planner import Planner
    from otel_jb.sandbox.client import Inspector

    path, shown = _file(text)
    with Inspector() as inspector:
        planner = Planner(Config(functions=Functions(include=tuple(names))), inspector)
        examined = planner.files.examine(path, Path(shown).name, shown)
        drafted, problem = _described(inspector, path, shown, examined, names)
    if not drafted:
        raise NoFunctionError(
            f"no function of {printable(shown)} is called {' or '.join(map(printable, names))}",
            "`otel-jb discover --all TARGET` lists those that look like a jitter buffer's, `nm -DC FILE` all that have a name.",
        )
    name = Path(shown).name
    print("# A draft: fill in what is marked, then `otel-jb profile check`. docs/profiles.md explains each key.")
    print(draft(name, examined.report.soname, name, drafted, problem), end="")
    return int(ExitCode.OK)


def _described(
    inspector: Inspector, path: str, shown: str, examined: Examined, names: Sequence[str]
) -> tuple[list[Drafted], str]:
    """The functions meant, each with what debug information says of it, and why that is nothing."""
    from otel_jb.catalog.draft import Drafted
    from otel_jb.elf.debugfile import candidate_paths
    from otel_jb.model.errors import AgentError
    from otel_jb.planner.findings import opened_file
    from otel_jb.sandbox.prototypes import ask

    report = examined.report
    found = {each.symbol.address: each.symbol for each in examined.matches if each.symbol.is_meant(names)}
    symbols = [found[address] for address in sorted(found)]
    if not symbols:
        return [], ""
    with ExitStack() as opened:
        file = opened_file(opened, path)
        debug = []
        for candidate in candidate_paths(shown, report.build_id, report.debug_link, "/"):
            try:
                debug.append(opened_file(opened, candidate))
            except AgentError:
                continue
        said = ask(inspector, file, shown, [symbol.address for symbol in symbols], debug)
    return [Drafted(*both) for both in zip(symbols, said.functions, strict=True)], said.problem


@dataclass(frozen=True, slots=True)
class _Line:
    """What became of one function of the profile."""

    name: str
    holds: bool
    text: str
    at_calls: tuple[str, ...] = ()  #: what became of the calls at which it is probed by default


def _check(profile: str, text: str) -> int:
    from otel_jb.catalog.matching import Catalog, check
    from otel_jb.catalog.spec import ProfileSpec
    from otel_jb.config import yamlfile
    from otel_jb.config.model import Config
    from otel_jb.planner.planner import Planner
    from otel_jb.sandbox.client import Inspector

    spec = check(yamlfile.load(Path(profile), ProfileSpec))
    path, shown = _file(text)
    with Inspector() as inspector:
        planner = Planner(Config(), inspector, Catalog([spec]))
        examined = planner.files.examine(path, Path(shown).name, shown)
        plan = planner.plan([examined], named=True, detail=True)
    how = {probe.symbol.address: probe.strategy.value for probe in plan.probes}
    lines = list(_lines(spec, examined, how, {each.function: each.reason for each in plan.skipped}))
    width = max(len(line.name) for line in lines)
    for line in lines:
        print(f"{'✓' if line.holds else '✗'} {line.name:{width}}  {line.text}")
        for told in line.at_calls:
            print(f"  {'':{width}}  {told}")
    found = sum(line.holds for line in lines)
    print(f"{found} of {len(lines)} functions of {spec.profile} hold in {printable(shown)}.")
    if not examined.matches:
        raise NoFunctionError(f"{printable(shown)} has no function of the profile {spec.profile}", _remedy(examined))
    return int(ExitCode.OK if found == len(lines) else ExitCode.CHECK_FAILED)


def _lines(spec: ProfileSpec, examined: Examined, how: dict[int, str], skipped: dict[str, str]) -> Iterator[_Line]:
    """One line for each function of the profile."""
    for function in spec.functions:
        names = (function.name, *function.also)
        matches = [
            match
            for match in examined.matches
            if match.function.profile == spec.profile and match.function.spec is function
        ]
        if not matches:
            yield _Line(" or ".join(names), False, "not in this file, or not credible there (`only`)")
            continue
        for match in matches:
            strategy = how.get(match.symbol.address)
            absent = match.function.absent
            told = [
                match.function.role,
                strategy or f"not probed: {skipped.get(match.symbol.function, 'nothing says why')}",
            ]
            told += [key for key in ("bytes", "depth", "packets") if getattr(match.function, f"has_{key}")]
            told += [f"drops ({', '.join(match.function.drop_reasons)})"] if match.function.drop_reasons else []
            text = "; ".join([", ".join(told), *absent])
            calls = tuple(map(printable, _at_calls(examined.facts, match)))
            yield _Line(printable(match.symbol.function), strategy is not None and not absent, text, calls)


def _at_calls(facts: FileFacts, match: Match) -> Iterator[str]:
    """What is probed by default in the function's place: its calls of others, if all of them are places; or why not."""
    from otel_jb.planner.at_calls import place_of
    from otel_jb.planner.ends import Refusal

    wanted = match.function.spec.at_calls
    refused = False
    for call in wanted:
        place = place_of(facts, match.symbol.address, call.of)
        if isinstance(place, Refusal):
            refused = True
            yield f"no place at a call of {' or '.join(call.of)}: {place.reason}"
        else:
            at = f"the call of {place.callee.function} at {place.spot.address:#x}"
            yield f"{at} tells {', '.join(sorted(call.tells()))}"
    if not wanted:
        return
    if unread := match.function.absent_at_calls:
        yield f"at a call, something cannot be read: {'; '.join(unread)}"
    by_calls = bool(match.function.at_calls) and not refused
    yield f"by default, {'these calls are' if by_calls else 'the function itself is'} probed"


def _remedy(examined: Examined) -> str:
    stripped = (
        ""
        if examined.report.has_symtab
        else " The file is stripped: install its debug symbols, or name functions by FILE+0xADDRESS."
    )
    return f"Names are matched as `nm -C` prints them, without arguments; `only` must fit the file.{stripped}"


def _file(text: str) -> tuple[str, str]:
    """(path to open, path to show) of TARGET."""
    wanted = target.parse(text)
    path = wanted.file if wanted.file is not None else f"/proc/{target.process(wanted).pid}/exe"
    return path, target.real_path(path)
