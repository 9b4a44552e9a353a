# SPDX-License-Identifier: Apache-2.0
"""USDT probes in plans and listings; that their hits are counted is in tests/bpf/test_marks.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import Catalog, check
from otel_jb.catalog.spec import ProfileSpec
from otel_jb.config import yamlfile
from otel_jb.elf.image import Image
from otel_jb.elf.usdt import Usdt, UsdtPlace, read
from otel_jb.elf.usdt_arguments import parse
from otel_jb.model.arguments import ArgumentKind, MarkArgument
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import EndStrategy, Probe, SiteKind
from otel_jb.model.reads import Op
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options
from otel_jb.planner.marked import symbols_of
from otel_jb.probes.programs import markcode
from otel_jb.probes.programs.markcode import mark_codes

MARK = Usdt("server", "packet", (UsdtPlace(0x1000, 0x400, 0x3000), UsdtPlace(0x1010, 0x410, 0x3000)), "8@%rax")
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
    for numbers in ((-1, 0, 0), (0, 0, 1 << 63)):
        with pytest.raises(ValueError, match="not a place"):
            UsdtPlace(*numbers)
    with pytest.raises(ValueError, match="not a place"):
        Usdt("p", "n", ())


@pytest.mark.parametrize(("section", "found"), [(".probes", ["lost", "packet"]), (".counters", ["lost"])])
def test_no_variable_is_raised_but_in_the_section_for_semaphores(
    section: str, found: list[str], tmp_path: Path
) -> None:
    """A note can name any address; the kernel would count in whatever the program keeps there, so such a mark is left out."""
    program = tmp_path / "server"
    source = Path(__file__).parents[1] / "bpf" / "programs" / "marks.c"
    subprocess.run(["gcc", "-O1", f'-DSECTION="{section}"', "-o", program, source], check=True)
    assert [mark.name for mark in read(Image.from_file(program))] == found


CONSTANT, REGISTER, MEMORY = ArgumentKind


@pytest.mark.parametrize(
    ("arch", "text", "expected"),
    [
        ("x86_64", "-4@%edi", MarkArgument(REGISTER, 4, True, 0, 7)),
        ("x86_64", "1@%r9b", MarkArgument(REGISTER, 1, False, 0, 9)),
        ("x86_64", "8@-16(%rbp)", MarkArgument(MEMORY, 8, False, -16, 5)),
        ("x86_64", "2@(%rsp)", MarkArgument(MEMORY, 2, False, 0, 4)),
        ("x86_64", "8@0x10(%rax,%rcx,8)", MarkArgument(MEMORY, 8, False, 16, 0, 1, 3)),
        ("x86_64", "8@8(,%r12,4)", MarkArgument(MEMORY, 8, False, 8, None, 12, 2)),
        ("x86_64", "-4@$-5", MarkArgument(CONSTANT, 4, True, -5)),
        ("x86_64", "8@$18446744073709551615", MarkArgument(CONSTANT, 8, False, -1)),
        ("x86_64", "4@counter(%rip)", None),
        ("x86_64", "4@8(%rip)", None),
        ("x86_64", "1@%ah", None),
        ("x86_64", "8f@%xmm0", None),
        ("x86_64", "8@(%eax)", None),
        ("x86_64", "8@99999999999(%rax)", None),
        ("x86_64", "%rdi", None),
        ("aarch64", "-4@w3", MarkArgument(REGISTER, 4, True, 0, 3)),
        ("aarch64", "8@x30", MarkArgument(REGISTER, 8, False, 0, 30)),
        ("aarch64", "8@sp", MarkArgument(REGISTER, 8, False, 0, 31)),
        ("aarch64", "8@x31", None),
        ("aarch64", "4@[sp, 12]", MarkArgument(MEMORY, 4, False, 12, 31)),
        ("aarch64", "4@[x29, -8]", MarkArgument(MEMORY, 4, False, -8, 29)),
        ("aarch64", "1@[x0]", MarkArgument(MEMORY, 1, False, 0, 0)),
        ("aarch64", "8@[x0, x2, lsl 3]", MarkArgument(MEMORY, 8, False, 0, 0, 2, 3)),
        ("aarch64", "8@[x0], 16", None),
        ("aarch64", "-4@-5", MarkArgument(CONSTANT, 4, True, -5)),
        ("aarch64", "8@xzr", None),
    ],
)
def test_an_argument_is_where_its_operand_says(arch: str, text: str, expected: MarkArgument | None) -> None:
    """Constants, registers and memory of both machines; what cannot be read (symbols, floating point, high bytes) is none."""
    assert parse(f"8@{'%rax' if arch == 'x86_64' else 'x0'} {text}", arch)[1] == expected


@given(
    st.text(alphabet="-@%$()[], 0123456789abcdefghijklmnopqrstuvwxyz#\x00\u0660", max_size=1024),
    st.sampled_from(["x86_64", "aarch64"]),
)
def test_no_text_of_arguments_breaks_the_reader(text: str, arch: str) -> None:
    """Whatever a note says, it has a dozen arguments at most, and each is one or none."""
    found = parse(text, arch)
    assert len(found) <= 12
    assert all(each is None or each.width in (1, 2, 4, 8) for each in found)


PROFILE = """
profile: marked
title: marks
functions:
  - name: usdt:server:packet
    role: put
    stream: arg1
    bytes: u16 arg2
    outcomes: [{is: drop, reason: late, when: arg3 < 0}]
"""


def _planned(*places: UsdtPlace, tmp_path: Path) -> Probe:
    path = tmp_path / "marked.yaml"
    path.write_text(PROFILE)
    catalog = Catalog([check(yamlfile.load(path, ProfileSpec))])
    mark = Usdt("server", "packet", places, "8@%rdi 2@x(%rip)")
    matches = catalog.match_marks(None, "server", symbols_of([mark]), [])
    (probe,) = make_plan([FileFacts("/bin/server", None, matches, marks=(mark,))]).probes
    return probe


def _at(address: int, *arguments: MarkArgument | None) -> UsdtPlace:
    return UsdtPlace(address, address, 0, arguments)


RDI, RSI, STATE = (MarkArgument(REGISTER, 8, True, 0, number) for number in (7, 6, 2))


def test_a_profile_reads_the_arguments_of_each_place(tmp_path: Path) -> None:
    """Size and outcome are read where the mark is hit, since it has no end; each place has its own arguments, memory a fault of its own."""
    memory = MarkArgument(MEMORY, 2, False, 4, 7)
    probe = _planned(_at(0x1000, RDI, RSI, STATE), _at(0x1234, RSI, memory, RDI), tmp_path=tmp_path)
    assert (probe.has_packets, probe.has_bytes, probe.drop_reasons, probe.read.end) == (True, True, ("late",), ())
    assert {Op.BYTES, Op.OUTCOME, Op.STREAM} <= {each.op for each in probe.read.entry}
    first, second = (site.arguments for site in probe.sites)
    assert first is not None
    assert second is not None
    assert first.values == ((0, RDI), (1, RSI), (2, STATE))
    assert second.values == ((0, RSI), (1, memory), (2, RDI))
    assert probe.read.fields[second.fault_field] == "argument"
    codes = mark_codes([(site.offset, site.arguments) for site in probe.sites if site.arguments is not None])
    assert [code.in_page for code in codes] == [(0x000,), (0x234,)]
    instructions = markcode.compiled(codes)
    assert all(
        0 <= at + 1 + each.offset <= len(instructions)
        for at, each in enumerate(instructions)
        if each.opcode in (0x05, 0x15)
    )


@pytest.mark.parametrize(
    ("places", "why"),
    [
        ([_at(0x1000, RDI, None, STATE)], "argument 2 at 0x1000 is none that can be read"),
        ([_at(0x1000, RDI, RSI)], "argument 3 at 0x1000"),
        ([_at(0x1000, RDI, RSI, STATE), _at(0x3000, RSI, RDI, STATE)], "two places at the same distance"),
    ],
)
def test_arguments_that_are_not_certain_are_not_read(places: list[UsdtPlace], why: str, tmp_path: Path) -> None:
    """Hits are counted, and the plan says why there is no more."""
    probe = _planned(*places, tmp_path=tmp_path)
    assert why in probe.reason
    assert (probe.read.entry, probe.has_packets, probe.has_bytes) == ((), False, False)
    assert all(site.arguments is None for site in probe.sites)


@pytest.mark.parametrize(
    "line",
    [
        "returns: i32",
        "uretprobe: {vouch: x}",
        "opens: arg1",
        "bytes: {value: arg1, when: end}",
        "depth: {value: arg1, when: end}",
    ],
)
def test_a_profile_cannot_ask_for_the_end_of_a_mark(line: str, tmp_path: Path) -> None:
    """A mark is a place: it returns nothing."""
    path = tmp_path / "marked.yaml"
    path.write_text(
        "profile: marked\ntitle: marks\nfunctions:\n  - name: usdt:server:packet\n    role: put\n    stream: arg1\n"
        f"    {line}\n"
    )
    with pytest.raises(ConfigError, match=r":7: a USDT probe"):
        check(yamlfile.load(path, ProfileSpec))


def test_a_function_that_is_called_like_a_mark_is_none(tmp_path: Path) -> None:
    """A file can call a symbol anything; its arguments are elsewhere."""
    path = tmp_path / "marked.yaml"
    path.write_text(PROFILE)
    catalog = Catalog([check(yamlfile.load(path, ProfileSpec))])
    assert catalog.match(None, "server", symbols_of([MARK])) == []
