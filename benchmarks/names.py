# SPDX-License-Identifier: Apache-2.0
"""Compares what `discover FILE` says of functions with what the tools of the toolchains say, over the ELF files of this machine.

    .venv/bin/python -m benchmarks.names [--most 500] [--dry-run] [DIRECTORY ...]

Each file is read as `discover FILE --function '*'` reads it. Addresses, sizes and names of the symbols are compared with `readelf`'s, demangled
names with those of `c++filt` and `rustfilt` (`cargo install rustfilt`), Go programs with `go tool nm`, as they are and once they are
stripped. Renews the table of docs/real-programs.md; the exit status is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import machine, replaced
from benchmarks.twins import PAGE, is_named
from otel_jb.elf.gopclntab import SECTIONS
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import is_cold, tables
from otel_jb.model.errors import ElfError
from otel_jb.model.names import base_name
from otel_jb.model.plan import Symbol, SymbolSource
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.report import inspect_file

PART = "names"
HEAD = ("| compared with | what | files | functions | differ |", "|---|---|---:|---:|---:|")
PASSED_OVER = {"/proc", "/sys", "/dev", "/run", "/tmp"}
MOST_SHOWN = 5  #: differences of one file

_RUST = re.compile(r"_R|_?_ZN.*17h[0-9a-f]{16}E(?:\.|$)")
SPELLING = "parentheses and spaces in them"
#: The C++ runtime's demangler and c++filt's are one source of other years, and put other parentheses around operands: `!(f<T>)` and `!f<T>`.
_PARENTHESES = re.compile(r"[() ]")
_SEGMENT = re.compile(r"^  LOAD +\S+ (\S+) \S+ (\S+) \S+ ([R ][W ]E)", re.MULTILINE)  # address, bytes in the file


@dataclass
class Tally:
    """What was compared with one tool."""

    files: int = 0
    functions: int = 0
    differ: list[str] = field(default_factory=list)

    def add(self, path: Path, compared: int, differ: Iterable[str]) -> None:
        """Count a file, and print what differs in it."""
        found = [f"{path}: {each}" for each in differ]
        self.files += 1
        self.functions += compared
        self.differ += found
        for text in found[:MOST_SHOWN]:
            print(text, flush=True)


Tallies = Mapping[tuple[str, str], Tally]


def with_symbols(directories: Sequence[Path], most: int) -> list[Path]:
    """ELF files for this machine with function names of their own, each build once. Of more than `most`, the largest and some of each size below."""
    known: dict[str, tuple[int, Path]] = {}
    for path in _elf_files(directories):
        try:
            image = Image.from_file(path)
            count = sum(table.count for table in tables(image) if table.source is not SymbolSource.GOPCLNTAB)
        except (ElfError, OSError):
            continue
        if image.arch == os.uname().machine and count:
            known.setdefault(image.build_id or str(path), (count, path))
    found = [path for _, path in sorted(known.values(), reverse=True)]
    return [found[number * len(found) // most] for number in range(most)] if len(found) > most else found


def _elf_files(directories: Sequence[Path]) -> Iterator[Path]:
    for top in directories:
        for directory, below, names in os.walk(top):
            below[:] = [name for name in below if str(Path(directory, name)) not in PASSED_OVER and name != "otel_jb"]
            for path in (Path(directory, name) for name in sorted(names)):
                if path.is_symlink() or not path.is_file():
                    continue
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def discovered(path: Path, inspector: Inspector) -> list[Symbol]:
    """What `discover` reads of a file's functions. Raises ElfError."""
    with ExitStack() as opened:
        files = [opened.enter_context(each.open("rb")).fileno() for each in (path, _debug_file(path)) if each]
        report = inspect_file(inspector, files[0], str(path), ["*"])
        if not report.has_symtab and len(files) > 1:
            report = inspect_file(inspector, files[0], str(path), ["*"], files[1:])
    return list(report.symbols)


def _debug_file(path: Path) -> Path | None:
    build_id = re.search(r"Build ID: (..)(\S+)", _output("readelf", "-n", path))
    debug = Path(f"/usr/lib/debug/.build-id/{build_id[1]}/{build_id[2]}.debug") if build_id else path
    return debug if debug != path and debug.exists() else None


def _output(*command: str | Path, text: str | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    # Not checked: readelf ends with 1 where it warns of a section, and has printed what was asked all the same.
    return subprocess.run(
        command, capture_output=True, text=True, errors="backslashreplace", check=False, env=environment, input=text
    ).stdout


def readelf(path: Path) -> dict[int, dict[str, int]]:
    """By address of a function with code in the file: its names, each with the symbol's size; of the file's debug file too, where there is one."""
    code = [(int(at, 16), int(size, 16)) for at, size, _ in _SEGMENT.findall(_output("readelf", "-lW", path))]
    found: dict[int, dict[str, int]] = defaultdict(dict)
    listed = [_output("readelf", "-sW", each) for each in (path, _debug_file(path)) if each]
    for line in "".join(listed).splitlines():
        parts = line.split(None, 7)
        if len(parts) != 8 or parts[3] != "FUNC" or parts[6] in ("UND", "ABS", "COM"):
            continue
        address, name = int(parts[1], 16), parts[7].partition("@")[0]
        if not is_cold(name) and any(start <= address < start + size for start, size in code):
            found[address][name] = max(int(parts[2], 0), found[address].get(name, 0))
    return found


def _demangled(tool: str, names: Sequence[str]) -> list[str]:
    # -i: without the long form of std::string in the names of constructors, which is a choice of c++filt's alone
    command = ["c++filt", "-i"] if tool == "c++filt" else [tool]
    return _output(*command, text="\n".join(names)).splitlines() if names else []


def _against_readelf(path: Path, ours: Mapping[int, Symbol], tallies: Tallies) -> None:
    true = readelf(path)
    both = [(symbol, true[at]) for at, symbol in ours.items() if at in true]
    wrong = [f"{_place(symbol)} is no function" for at, symbol in ours.items() if at not in true]
    wrong += [f"{min(names)} at {at:#x} is missing" for at, names in true.items() if at not in ours]
    tallies["readelf", "addresses"].add(path, len(true), wrong)
    others = [symbol for symbol, names in both if symbol.name.partition("@")[0] not in names]
    tallies["readelf", "names"].add(path, len(both), map(_place, others))
    sizes = [s for s, names in both if s.size not in names.values() or (not s.size and any(names.values()))]
    tallies["readelf", "sizes"].add(path, len(both), (f"{_place(symbol)}: {symbol.size}" for symbol in sizes))


def _place(symbol: Symbol) -> str:
    return f"{symbol.name} at {symbol.address:#x}"


def _against_filter(path: Path, ours: Iterable[Symbol], tool: str, tallies: Tallies) -> None:
    """Demangled names. rustfilt keeps the suffix of a variant (`.specialized.1`), which the agent leaves out of Rust's names."""
    asked = {symbol.name.partition("@")[0]: symbol.demangled for symbol in ours}
    if not asked:
        return
    names = list(asked) if tool == "c++filt" else [base_name(name) for name in asked]
    theirs = _demangled(tool, names)
    if len(theirs) != len(names):
        raise RuntimeError(f"{tool} answers {len(theirs)} lines for {len(names)} names of {path}")
    differ: list[str] = []
    spelt: list[str] = []
    for (name, text), other in zip(asked.items(), theirs, strict=True):
        if text != other:
            alike = tool == "c++filt" and _PARENTHESES.sub("", text) == _PARENTHESES.sub("", other)
            (spelt if alike else differ).append(f"{name}: {text!r}, {tool} {other!r}")
    tallies[tool, "demangled names"].add(path, len(asked), differ)
    if tool == "c++filt":
        tallies[tool, SPELLING].add(path, len(asked), spelt)


def _go_names(path: Path) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for line in _output("go", "tool", "nm", path).splitlines():
        address, kind, *name = line.strip().split(" ", 2)
        if kind in "tT" and name:
            found[int(address, 16)].add(name[0])
    return found


def _against_go(path: Path, ours: Sequence[Symbol], inspector: Inspector, tallies: Tallies) -> None:
    true = _go_names(path)
    if not true:
        return  # it is stripped, and nothing but its own table has its names
    wrong = [_place(symbol) for symbol in ours if symbol.name not in true[symbol.address]]
    tallies["go tool nm", "names and addresses"].add(path, len(ours), wrong)
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, path.name)
        _output("strip", "-o", copy, path)
        table = [symbol for symbol in discovered(copy, inspector) if symbol.source is SymbolSource.GOPCLNTAB]
    wrong = [_place(symbol) for symbol in table if not is_named(symbol.name, true[symbol.address])]
    tallies["go tool nm", "names and addresses, once it is stripped"].add(path, len(table), wrong)


def compare(path: Path, inspector: Inspector, tallies: Tallies) -> None:
    """Count what is equal and what differs in one file. Raises ElfError."""
    ours = discovered(path, inspector)
    named = {symbol.address: symbol for symbol in ours if symbol.source is not SymbolSource.GOPCLNTAB}
    _against_readelf(path, named, tallies)
    rust = [symbol for symbol in ours if _RUST.match(symbol.name)]
    _against_filter(path, rust, "rustfilt", tallies)
    cxx = [symbol for symbol in ours if symbol.name.startswith("_Z") and not _RUST.match(symbol.name)]
    _against_filter(path, cxx, "c++filt", tallies)
    if any(section.name in SECTIONS for section in Image.from_file(path).sections):
        _against_go(path, ours, inspector, tallies)


def lines(tallies: Tallies) -> list[str]:
    """The table."""
    return [
        *HEAD,
        *(
            f"| `{tool}` | {what} | {each.files} | {each.functions} | {len(each.differ)} |"
            for (tool, what), each in sorted(tallies.items())
        ),
    ]


def main() -> int:
    """Compare, print, and renew the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="*", type=Path, default=[Path("/")], metavar="DIRECTORY")
    parser.add_argument("--most", type=int, default=500, help="how many files, at most")
    parser.add_argument("--dry-run", action="store_true", help="print the table, and leave the page as it is")
    args = parser.parse_args()
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    with Inspector() as inspector:
        for path in with_symbols(args.directories, args.most):
            try:
                compare(path, inspector, tallies)
            except ElfError as error:
                tallies["discover", "files that were not read"].add(path, 0, [error.message])
    print("\n".join(lines(tallies)))
    if not args.dry_run:
        PAGE.write_text(replaced(PAGE.read_text(), PART, f"{machine()}\n\n" + "\n".join(lines(tallies))))
    return int(any(each.differ for (_, what), each in tallies.items() if what != SPELLING))


if __name__ == "__main__":
    sys.exit(main())
