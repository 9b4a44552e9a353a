# SPDX-License-Identifier: Apache-2.0
"""USDT probes in plans and listings; that their hits are counted is in tests/bpf/test_marks.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.elf.usdt import Usdt, read
from otel_jb.model.plan import EndStrategy, SiteKind
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options

MARK = Usdt("server", "packet", ((0x1000, 0x400, 0x3000), (0x1010, 0x410, 0x3000)), "8@%rax")
FACTS = FileFacts("/bin/server", None, [], text={0x1000: ((0x400, b"\x90" * 16),)}, marks=(MARK,))


def test_all_places_of_a_mark_are_one_probe_that_raises_its_semaphore() -> None:
    """One series, counted and not timed, with the bytes that must still be there when it is attached."""
    (probe,) = make_plan([FACTS], options=Options(usdt=("server:*",), target_named=True)).probes
    assert (probe.function, probe.strategy) == ("usdt:server:packet", EndStrategy.ENTRY_ONLY)
    assert [(site.kind, site.offset, site.semaphore) for site in probe.sites] == [
        (SiteKind.ENTRY, 0x400, 0x3000),
        (SiteKind.ENTRY, 0x410, 0x3000),
    ]
    assert probe.code == ((0x400, b"\x90" * 16),)


@pytest.mark.parametrize(("globs", "named"), [((), True), (("other:*",), True), (("server:packet",), False)])
def test_marks_are_left_alone_unless_they_and_the_target_are_named(globs: tuple[str, ...], named: bool) -> None:
    """The C library has dozens of marks, in malloc and in locks."""
    assert make_plan([FACTS], options=Options(usdt=globs, target_named=named)).probes == ()


def test_a_mark_at_an_impossible_place_is_refused() -> None:
    """What the sandbox sends is checked, since the file may have taken it over."""
    for places in ((), ((-1, 0, 0),), ((0, 0, 1 << 63),)):
        with pytest.raises(ValueError, match="not a place"):
            Usdt("p", "n", places)


@pytest.mark.parametrize(("section", "found"), [(".probes", ["lost", "packet"]), (".counters", ["lost"])])
def test_no_variable_is_raised_but_in_the_section_for_semaphores(
    section: str, found: list[str], tmp_path: Path
) -> None:
    """A note can name any address; the kernel would count in whatever the program keeps there, so such a mark is left out."""
    program = tmp_path / "server"
    source = Path(__file__).parents[1] / "bpf" / "programs" / "marks.c"
    subprocess.run(["gcc", "-O1", f'-DSECTION="{section}"', "-o", program, source], check=True)
    assert [mark.name for mark in read(Image.from_file(program))] == found
