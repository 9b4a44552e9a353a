# SPDX-License-Identifier: Apache-2.0
"""Compares what is inferred in stripped files with the names that the same files had before.

    .venv/bin/python -m benchmarks.twins FILE ... [--dry-run]

Each FILE is a program or library with a symbol table: one that was built for this, or a package's that keeps its symbols. A copy is stripped, and read as the agent
reads it: functions of profiles by their marks, all functions of Go programs by their own table. What the copy says of an address is compared
with the names that the file has there. Renews the table of docs/real-programs.md; the exit status is 1 if a find is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import machine, replaced
from otel_jb.catalog import Catalog, load
from otel_jb.catalog.marks import infer, marks_of
from otel_jb.code.marks import trails
from otel_jb.elf.image import Image
from otel_jb.elf.references import contained
from otel_jb.elf.symbols import all_functions
from otel_jb.model.names import base_name, without_arguments
from otel_jb.model.plan import SymbolSource

PART = "twins"
PAGE = Path(__file__).parents[1] / "docs" / "real-programs.md"
HEAD = ("| file | by | right | in doubt | unknown | wrong |", "|---|---|---:|---:|---:|---:|")


@dataclass(frozen=True, slots=True)
class Twin:
    """What was inferred in the stripped copy of one file. `unknown`: functions with marks that the file has, and that were not found."""

    name: str
    by: str
    right: int
    doubt: int
    unknown: int
    wrong: tuple[str, ...]


def names(path: Path) -> dict[int, set[str]]:
    """The names that nm and c++filt give each address, without arguments and suffixes of clones."""
    with subprocess.Popen(["nm", "--defined-only", path], stdout=subprocess.PIPE) as nm:
        listed = subprocess.run(["c++filt"], stdin=nm.stdout, capture_output=True, text=True, check=True).stdout
    listed += subprocess.run(["nm", "-DC", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    found: dict[int, set[str]] = defaultdict(set)
    for line in listed.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwWiu":
            found[int(address, 16)] |= {name, without_arguments(base_name(name))}
    return found


def compare(path: Path, directory: Path, catalog: Catalog) -> Twin:
    """Strip a copy of a file, and compare what is inferred in it with the file's names."""
    copy = directory / "stripped"
    subprocess.run(["strip", "-o", copy, path], check=True)
    true = names(path)
    image = Image.from_file(copy)
    if any(section.name == ".symtab" for section in image.sections):
        raise ValueError(f"{path}: strip left its symbols")
    table = [each for each in all_functions(image) if each.source is SymbolSource.GOPCLNTAB]
    if table:
        wrong = tuple(
            f"{each.name} at {each.address:#x}" for each in table if not is_named(each.name, true[each.address])
        )
        return Twin(path.name, "its own table (Go)", len(table) - len(wrong), 0, 0, wrong)
    profiles = [each for each in catalog.profiles if each.telltale and contained(image, [each.telltale])]
    followed = {trail.mark: trail for trail in trails(image, marks_of(profiles))}
    found = [symbol for profile in profiles for symbol in infer(profile, followed)]
    sure = [symbol for symbol in found if not symbol.doubt]
    wrong = tuple(f"{each.name} at {each.address:#x}" for each in sure if each.name not in true[each.address])
    everything = {name for those in true.values() for name in those}
    marked = {spec.name for profile in profiles for spec in profile.functions if spec.marks} & everything
    unknown = len(marked - {symbol.name for symbol in found})
    by = "marks of " + ", ".join(f"`{profile.profile}`" for profile in profiles)
    return Twin(path.name, by, len(sure) - len(wrong), len(found) - len(sure), unknown, wrong)


def is_named(name: str, there: set[str]) -> bool:
    """Whether a file's symbols call a Go function so: assembly has its ABI behind its name there, and a generic function its types in full."""
    name = name.replace("·", ".")  # of a type that is local to a function
    return name.partition("[")[0] in {each.removesuffix(".abi0").partition("[")[0] for each in there}


def row(twin: Twin) -> str:
    """One line of the table."""
    wrong = ", ".join(twin.wrong) or "0"
    return f"| {twin.name} | {twin.by} | {twin.right} | {twin.doubt} | {twin.unknown} | {wrong} |"


def main() -> int:
    """Compare, print, and renew the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--dry-run", action="store_true", help="print the table, and leave the page as it is")
    args = parser.parse_args()
    catalog, twins = load(), []
    for path in args.files:
        with tempfile.TemporaryDirectory() as directory:
            twins.append(compare(path, Path(directory), catalog))
        print(row(twins[-1]), flush=True)
    if not args.dry_run:
        table = "\n".join([*HEAD, *map(row, twins)])
        PAGE.write_text(replaced(PAGE.read_text(), PART, f"{machine()}\n\n{table}"))
    return int(any(twin.wrong for twin in twins))


if __name__ == "__main__":
    sys.exit(main())
