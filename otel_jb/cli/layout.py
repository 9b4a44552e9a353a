# SPDX-License-Identifier: Apache-2.0
"""`otel-jb layout TARGET`: field offsets from a file's debug information, for hosts that run the file stripped."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.cli import target
from otel_jb.cli.progress import Progress
from otel_jb.model.errors import ExitCode, NoFunctionError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from otel_jb.catalog.matching import Match

EXAMPLES = """\
examples:
  otel-jb layout ./objs/srs > srs.yaml                  on the machine that built it
  otel-jb run --profile srs.yaml --pid 1234             where it runs after `strip -g`

The stripped file must come from the same link: the layout applies only to the same build-id.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `layout` to the main parser."""
    parser = subparsers.add_parser(
        "layout",
        help="extract a file's field offsets for hosts that run it stripped",
        description="Extract the offsets of the fields that profiles read from debug information; for use with --profile.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="TARGET", help=target.HELP)
    parser.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="additional profile file (repeatable)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the layouts. Raises NoFunctionError if there is none, and the errors of an unreadable target."""
    from otel_jb.config.model import Config
    from otel_jb.planner.planner import Planner
    from otel_jb.sandbox.client import Inspector

    wanted = target.parse(args.target)
    path = wanted.file if wanted.file is not None else f"/proc/{target.process(wanted).pid}/exe"
    resolved = target.real_path(path)
    with Inspector() as inspector, Progress().during(f"reading {printable(path)}"):
        planner = Planner(Config(profiles=tuple(args.profile)), inspector)
        examined = planner.files.examine(path, Path(resolved).name, resolved)
    placed = _placed(examined.matches)
    if not placed:
        raise NoFunctionError(
            f"{args.target} has no field of any profile",
            "Name a build with debug information (-g, not stripped) whose functions `otel-jb discover` shows.",
        )
    if examined.report.build_id is None:
        raise NoFunctionError(
            f"{args.target} has no build-id, so its stripped file could not be recognised",
            "Link it with -Wl,--build-id.",
        )
    print(f"# The fields of {Path(resolved).name}; for --profile, on hosts that run it without its debug information.")
    print("layouts_of:")
    for profile, structs in placed.items():
        print(f"  {profile}:")
        print(f"    - evidence: {{build_ids: ['{examined.report.build_id}']}}")
        print("      fields:")
        for struct, fields in structs.items():
            print(f"        {struct}: {{{', '.join(f'{name}: {offset}' for name, offset in fields.items())}}}")
        print("      source: debug information")
    return int(ExitCode.OK)


def _placed(matches: Sequence[Match]) -> dict[str, dict[str, dict[str, int]]]:
    """Offsets by profile, type and field, for fields with names."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for match in matches:
        for struct, fields in match.function.scope.structs.items():
            offsets = {name: place.offset for name, place in fields.items() if place.paths and place.offset is not None}
            if offsets:
                found.setdefault(match.function.profile, {})[struct] = offsets
    return found
