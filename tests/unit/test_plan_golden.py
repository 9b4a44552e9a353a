# SPDX-License-Identifier: Apache-2.0
"""The plans for real programs and for SRS-like code: site, strategy and reason of every function, as golden files have them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otel_jb import catalog
from otel_jb.code.sites import analyse
from otel_jb.elf import symbols
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.model.plan import IN_RESULT, ProbePlan, Skipped
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options
from otel_jb.planner.peers import peer_note
from tests.meanings import Known, Meaning

GOLDEN = Path(__file__).parent / "golden" / "plan"
PROGRAMS = Path(__file__).parent / "programs"
SPEEXDSP = Path("/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1")


def listing(plan: ProbePlan, notes: dict[str, str]) -> str:
    """The plan for people: addresses are relative to the function's start."""
    lines = []
    for probe in sorted(plan.probes, key=lambda p: p.function):
        lines.append(f"{probe.function}: {probe.strategy.value}, {probe.cost_ns:.0f} ns: {probe.reason}")
        for site in probe.sites:
            frame = f"{site.frame_base.value}{site.frame_offset:+d}"
            condition = f" if condition {site.condition} is {site.taken}" if site.condition is not None else ""
            marks = " optional" if site.optional else ""
            if site.returned != IN_RESULT and site.kind.value != "entry":
                kept = site.returned
                marks += (
                    f" return value: {kept.kind.value} {kept.number}" if kept is not None else " return value: unknown"
                )
            place = f"+{site.address - probe.symbol.address}" if not site.optional else "elsewhere"
            name = site.instruction.split()[0]
            lines.append(f"    {site.kind.value} {place} {name} frame {frame}{condition}{marks}")
        if notes.get(probe.function):
            lines.append(f"    others: {notes[probe.function]}")
    lines += [f"{skipped.function}: skipped: {skipped.reason}" for skipped in sorted(plan.skipped, key=_name)]
    return "\n".join(lines) + "\n"


def _name(skipped: Skipped) -> str:
    return skipped.function


def compare(name: str, text: str) -> None:
    """Hold a listing against its golden file; RENEW_GOLDEN=1 writes it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text)
    assert path.exists(), f"no golden file for this build ({name}); RENEW_GOLDEN=1 pytest {__file__} makes one"
    assert text == path.read_text()


def real(path: Path, libraries: list[Path]) -> tuple[str, str]:
    """(start of the build-id, listing) of a real file's catalogue functions."""
    image = Image.from_file(path)
    known = catalog.load()
    matches = [
        match
        for match in known.match(image.soname, path.name, symbols.find(image, known.patterns()))
        if not match.function.generic
    ]
    others = [(other, Names(other)) for other in map(Image.from_file, libraries)]
    functions = [(match.symbol.address, match.symbol.size) for match in matches]
    code = {c.address: c for c in analyse(image, functions, Names(image), others)}
    plan = make_plan([FileFacts(path.name, image.build_id, matches, code)], options=Options(functions=("*",)))
    notes = {match.symbol.function: peer_note(code[match.symbol.address]) for match in matches}
    return (image.build_id or "")[:8], listing(plan, notes)


def ffmpeg() -> Path:
    """The FFmpeg of PyPI's imageio-ffmpeg, which exports its RTP functions."""
    import imageio_ffmpeg

    return Path(imageio_ffmpeg.get_ffmpeg_exe())


def test_plan_of_ffmpeg_is_the_golden_one() -> None:
    """FFmpeg's functions get the sites, strategies and reasons of the golden file."""
    build, text = real(ffmpeg(), [])
    compare(f"ffmpeg-{build}", text)


def test_plan_of_speexdsp_is_the_golden_one() -> None:
    """speexdsp's functions get the sites, strategies and reasons of the golden file."""
    build, text = real(SPEEXDSP, [])
    compare(f"speexdsp-{build}", text)


@pytest.mark.parametrize("level", ["O0", "O2"])
def test_plan_of_srs_like_code_is_the_golden_one(level: str, tmp_path: Path) -> None:
    """SRS-like C++ (compiled once into the assembly beside it) gets what the golden file says, unoptimised and optimised."""
    assembly = GOLDEN / f"srs_like_{level}.s"
    if os.environ.get("RENEW_GOLDEN"):
        flags = [f"-{level}", "-fPIC", "-fcf-protection=none", "-fno-ident", "-fstack-protector-strong", "-S"]
        subprocess.run(["g++", *flags, "-o", str(assembly), str(PROGRAMS / "srs_like.cc")], check=True)
    library = tmp_path / "libsrs.so"
    subprocess.run(["g++", "-shared", "-Wl,-Bsymbolic", "-o", str(library), str(assembly)], check=True)
    image = Image.from_file(library)
    found = [s for s in symbols.find(image, ["Srs*::*", "Srs*_*"]) if "std::" not in s.demangled]
    meaning = Meaning(uses_return=False, argument_registers=frozenset({1, 2}))
    functions = [(s.address, s.size) for s in found]
    code = {c.address: c for c in analyse(image, functions, Names(image), thorough=True)}
    plan = make_plan([FileFacts("libsrs.so", None, [Known(s, meaning) for s in found], code)])
    compare(f"srs_like_{level}", listing(plan, {s.function: peer_note(code[s.address]) for s in found}))
