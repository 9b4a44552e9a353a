# SPDX-License-Identifier: Apache-2.0
"""How long it takes to find functions in large files, compared with `nm -C FILE | grep`.

Each file is read in the sandbox as the agent does it. "found": all names that the profiles know are looked for; "again": the file was read
before; "marks": in a file without names, texts, the instructions that refer to them, and the functions around these. Memory is the most that
the sandbox had of its own, without the pages of the file, which the kernel can drop.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_jb.catalog import Catalog, load
from otel_jb.catalog.marks import marks_of
from otel_jb.config.model import Config
from otel_jb.model.errors import ElfError
from otel_jb.planner.planner import Planner
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.marks import follow
from otel_jb.sandbox.report import FileReport, inspect_file

LEAST_BYTES = 80 << 20
FILES = 8
ROOTS = (Path("/usr"), Path("/opt"), Path.home() / ".rustup", Path(__file__).parents[1] / ".venv")
HEAD = ("| file | MB | symbols | `nm -C \\| grep` | found | ratio | again | marks | memory |", "|---|" + "---:|" * 8)


def large_files() -> list[Path]:
    """The largest ELF files of this machine, one of each name up to its first hyphen."""
    found: dict[str, tuple[int, Path]] = {}
    for root in ROOTS:
        for directory, _, names in os.walk(root):
            for name in names:
                path = Path(directory, name)
                if path.is_symlink() or not path.is_file() or path.stat().st_size < LEAST_BYTES:
                    continue
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        key = name.partition("-")[0]
                        found[key] = max(found.get(key, (0, path)), (path.stat().st_size, path))
    return [path for _, path in sorted(found.values(), reverse=True)[:FILES]]


def _best(rounds: int, measure: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        measure()
        times.append(time.perf_counter() - begin)
    return min(times)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []  # it ended between two readings


@contextmanager
def _watched() -> Iterator[list[int]]:
    """The most bytes of its own that a request's process had, a child of the sandbox, as the only element once this ends."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            for child in (each for server in _children(os.getpid()) for each in _children(server)):
                try:
                    status = Path(f"/proc/{child}/status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("RssAnon:"):
                        most[0] = max(most[0], int(line.split()[1]) << 10)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _nm(path: Path, report: FileReport) -> Callable[[], object]:
    option = "-C" if report.has_symtab else "-DC"  # without `.symtab` it has only the dynamic symbols to show
    return lambda: subprocess.run(
        f"nm {option} '{path}' 2>&1 | grep -i jitterbuf", shell=True, capture_output=True, check=False
    )


def measured(path: Path, inspector: Inspector, catalog: Catalog, rounds: int) -> str:
    """The row of one file."""
    patterns, telltales = catalog.patterns(), catalog.telltales()
    with path.open("rb") as file:
        while file.read(1 << 24):  # from the disk into the page cache, for all alike
            pass

        def found() -> FileReport:
            return inspect_file(inspector, file.fileno(), path.name, patterns, telltales=telltales)

        report = found()
        profiles = catalog.nameless(report.telltales, report.symbols)

        def marks() -> None:
            follow(inspector, file.fileno(), path.name, marks_of(profiles))

        with _watched() as memory:
            seconds = _best(rounds, found)
            of_marks = f"{_best(rounds, marks):.2f} s" if profiles else "–"
    other = _best(rounds, _nm(path, report))
    files = Planner(Config(), inspector, catalog).files
    try:
        files.examine(str(path), path.name)
        again = f"{1000 * _best(rounds, lambda: files.examine(str(path), path.name)):.1f} ms"
    except ElfError:
        again = "–"
    name = path.name if len(path.name) < 36 else path.name[:33] + "..."
    return (
        f"| {name} | {path.stat().st_size / 1e6:.0f} | {report.symbol_count} | {other:.2f} s | {seconds:.2f} s | {seconds / other:.2f} "
        f"| {again} | {of_marks} | {memory[0] / 1e6:.0f} MB |"
    )


def run(rounds: int) -> str:
    """The table, as Markdown."""
    catalog = load()
    with Inspector() as inspector:
        return "\n".join([*HEAD, *(measured(path, inspector, catalog, rounds) for path in large_files())])


if __name__ == "__main__":
    print(run(5))
