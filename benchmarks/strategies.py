# SPDX-License-Identifier: Apache-2.0
"""How many of the catalogue's functions get which end strategy in real builds: the table of docs/strategies.md.

`python -m benchmarks.strategies` takes PyPI's FFmpeg and Debian's packages (fetched by apt-get into a temporary directory, not
installed); `python -m benchmarks.strategies FILE...` takes files. `--also NAME=FILE` adds a build of one's own, such as an SRS. `--write` renews
the table in the page.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from otel_jb import catalog
from otel_jb.code.sites import analyse
from otel_jb.elf import symbols
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options

PAGE = Path(__file__).parent.parent / "docs" / "strategies.md"
GOLDEN = Path(__file__).parent.parent / "tests" / "unit" / "golden" / "plan"
#: How a single function is probed; `start-stop` is for pairs, which are of no build.
STRATEGIES = tuple(strategy for strategy in EndStrategy if strategy is not EndStrategy.START_STOP)
BEGIN, END = "<!-- table: python -m benchmarks.strategies --write -->", "<!-- end of table -->"
PACKAGES = {
    "libspeexdsp1": "usr/lib/*/libspeexdsp.so.1.*",
    "libortp16": "usr/lib/*/libortp.so.16*",
    "libre0": "usr/lib/*/libre.so.0*",
    "rtpengine-daemon": "usr/bin/rtpengine",
    "janus": "usr/bin/janus",
}


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """(what it is, path) of every build that the table is about."""
    import imageio_ffmpeg

    yield f"FFmpeg {imageio_ffmpeg.get_ffmpeg_version()} (imageio-ffmpeg)", Path(imageio_ffmpeg.get_ffmpeg_exe())
    for package, pattern in PACKAGES.items():
        subprocess.run(["apt-get", "download", "-qq", package], cwd=directory, check=True, stderr=subprocess.DEVNULL)
        (archive,) = directory.glob(f"{package}_*.deb")
        version = archive.name.split("_")[1].replace("%3a", ":")
        subprocess.run(["dpkg", "-x", archive, directory / package], check=True)
        path = next(p for p in sorted((directory / package).glob(pattern)) if p.is_file() and not p.is_symlink())
        yield f"{package} {version} (Debian)", path


def libraries(path: Path) -> list[tuple[Image, Names]]:
    """The libraries that the loader would map, where they are installed."""
    output = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    found = [line.split("=>")[1].split()[0] for line in output.splitlines() if "=> /" in line]
    return [(image, Names(image)) for image in map(Image.from_file, found)]


def plan_of(path: Path) -> ProbePlan:
    """The plan for all functions of one file that a profile knows."""
    image = Image.from_file(path)
    known = catalog.load()
    found = symbols.find(image, known.patterns())
    matches = [m for m in known.match(image.soname, path.name, found) if not m.function.generic]
    functions = [(match.symbol.address, match.symbol.size) for match in matches]
    code = {c.address: c for c in analyse(image, functions, Names(image), libraries(path))}
    return make_plan([FileFacts(path.name, image.build_id, matches, code)], options=Options(functions=("*",)))


def rows(named: Iterable[tuple[str, Path]], details: bool) -> Iterator[str]:
    """The lines of the table; `details` prints every function's reason as well."""
    yield f"| build | functions | {' | '.join(strategy.value for strategy in STRATEGIES)} | share of ret-sites |"
    yield "|---" * (len(STRATEGIES) + 3) + "|"
    others: Counter[EndStrategy] = Counter()
    for number, (name, path) in enumerate(named):
        plan = plan_of(path)
        counts = Counter(probe.strategy for probe in plan.probes)
        yield _row(name, counts)
        if number:
            others += counts
        if details:
            for probe in plan.probes:
                print(f"{name}: {probe.function}: {probe.strategy.value}: {probe.reason}")
            for skipped in plan.skipped:
                print(f"{name}: {skipped.function}: skipped: {skipped.reason}")
    yield _row("all but the first", others)


def golden_rows() -> Iterator[str]:
    """SRS-like code, whose plans the unit tests hold against these files."""
    for level in ("O0", "O2"):
        lines = (GOLDEN / f"srs_like_{level}.txt").read_text().splitlines()
        told = [re.match(r"\S.*?: ([a-z-]+), \d+ ns: ", line) for line in lines]
        yield _row(f"SRS-like C++, -{level}", Counter(EndStrategy(match[1]) for match in told if match is not None))


def _row(name: str, counts: Counter[EndStrategy]) -> str:
    total = counts.total()
    cells = [str(counts[strategy]) for strategy in STRATEGIES]
    share = f"{counts[EndStrategy.RET_SITES] / total:.0%}" if total else "-"
    return f"| {name} | {total} | {' | '.join(cells)} | {share} |"


def main() -> None:
    """Print the table, or put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="ELF files instead of the usual set")
    parser.add_argument("--write", action="store_true", help="put the table into docs/strategies.md")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FILE", help="one more build (repeatable)")
    parser.add_argument("--details", action="store_true", help="print each function with its reason")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        named = [(path.name, path) for path in options.files] or list(files(Path(directory)))
        named += [(name, Path(path)) for name, _, path in (each.partition("=") for each in options.also)]
        table = "\n".join([*rows(named, options.details), *([] if options.files else golden_rows())])
    if not options.write:
        print(table)
        return
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
