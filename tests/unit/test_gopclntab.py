# SPDX-License-Identifier: Apache-2.0
"""Go's table of functions in its three formats, and what Go code offers to probes; the code is assembled as Go's compiler writes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otel_jb.catalog import load
from otel_jb.code.facts import FunctionCode
from otel_jb.code.sites import analyse
from otel_jb.elf import gopclntab, symbols
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.model.names import literal_receiver
from otel_jb.model.plan import Symbol, SymbolSource

#: Magic number and the size of a record's address, by the first Go with this format.
FORMATS = {"1.16": (0xFFFFFFFA, 8), "1.18": (0xFFFFFFF0, 4), "1.20": (0xFFFFFFF1, 4)}
FUNCTIONS = ("pkg.(*Buffer).Push", "pkg.leaf", "pkg.asm", "pkg.loop")
LINK = ("-nostdlib", "-static", "-no-pie")
CODE = """
    .intel_syntax noprefix
    .text
    .globl _start
begin:
push_:
    lea r12, [rsp - 0x10]
    cmp r12, [r14 + 0x10]
    jbe 2f
push_in:
    push rbp
    mov rbp, rsp
    sub rsp, 0x88
push_out1:
    test rbx, rbx
    je 1f
    add rsp, 0x88
    pop rbp
    ret
1:  add rsp, 0x88
    pop rbp
    ret
2:  mov [rsp + 8], rax
    call asm_
    mov rax, [rsp + 8]
    jmp push_
    .balign 16, 0xcc
leaf_:
    lea rax, [rax + rbx]
    ret
    .balign 16, 0xcc
asm_:
    ret
    .balign 16, 0xcc
loop_:
    dec rax
    jne loop_
    ret
    .balign 16, 0xcc
end:
_start: ret
"""


def table(magic: int, address: int, *, text_known: bool) -> str:
    """The section, written for the assembler: header, names, steps of the stack pointer, addresses, records."""
    starts = ("push_", "leaf_", "asm_", "loop_")
    word = ".quad" if address == 8 else ".long"
    base = "" if address == 8 else " - begin"
    header = [f".long {magic:#x}", ".short 0", ".byte 1, 8", ".quad 4, 0"]
    if address == 4:
        header.append(".quad begin" if text_known else ".quad 0")
    header += [".quad names - table, cu - table, cu - table, values - table, records - table"]
    lines = ['    .section .gopclntab, "a"', "table:", *header, "names:"]
    lines += [f'name{n}: .asciz "{name}"' for n, name in enumerate(FUNCTIONS)]
    # Zigzag difference of the value (it begins at -1), then how many bytes it holds; one 0 ends it. 0x88 + 8 needs two bytes.
    lines += ["cu: .byte 0", "values: .byte 0", "steps0:", ".byte 2, push_in + 1 - push_", ".byte 16, 10"]
    lines += [".byte 0x90, 2, 0x7f", ".byte 0", "steps1: .byte 2, 0x7f, 0", ".balign 8", "records:"]
    lines += [f"{word} {start}{base}, record{n} - records" for n, start in enumerate(starts)]
    lines += [f"{word} end{base}"]
    for n, start in enumerate(starts):
        flag = 4 if start == "asm_" else 0
        steps = "steps0" if n == 0 else "steps1"
        line = ".long 1" if magic == FORMATS["1.20"][0] else ""
        lines += [
            ".balign 4", f"record{n}: {word} {start}{base}", f".long name{n} - names, 0, 0, {steps} - values, 0, 0, 0, 0",
            line, f".byte 0, {flag}, 0, 0",
        ]  # fmt: skip
    # The part of runtime.firstmoduledata that says where the text begins.
    lines += [
        '    .section .noptrdata, "aw"',
        ".balign 8",
        ".quad 7, table",
        ".zero 152",
        ".quad begin, end, begin, end",
    ]
    return "\n".join(lines) + "\n"


def built(directory: Path, form: str, *, text_known: bool = True, more: str = "") -> Image:
    """A stripped program with these functions."""
    source, path = directory / "program.s", directory / "program"
    source.write_text(CODE + table(*FORMATS[form], text_known=text_known) + more)
    subprocess.run(["gcc", *LINK, "-s", "-o", path, source], check=True, capture_output=True)
    return Image.from_file(path)


def examined(image: Image) -> dict[str, FunctionCode]:
    """What each function offers, by name."""
    found = symbols.find(image, ["pkg.*"])
    codes = analyse(image, [(symbol.address, symbol.size) for symbol in found], Names(image))
    return {symbol.function: code for symbol, code in zip(found, codes, strict=True)}


@pytest.mark.parametrize("form", FORMATS)
def test_functions_of_a_stripped_go_program_are_found_in_every_format(form: str, tmp_path: Path) -> None:
    """Names, addresses and sizes come from the runtime's own table, of Go 1.16, 1.18 and 1.20."""
    image = built(tmp_path, form)
    found = symbols.find(image, ["pkg.(*Buffer).Push", "pkg.l*"])
    assert [symbol.function for symbol in found] == ["pkg.(*Buffer).Push", "pkg.leaf", "pkg.loop"]
    assert {symbol.source for symbol in found} == {SymbolSource.GOPCLNTAB}
    subprocess.run(["gcc", *LINK, "-o", tmp_path / "twin", tmp_path / "program.s"], check=True)
    lines = subprocess.run(["nm", tmp_path / "twin"], check=True, capture_output=True, text=True).stdout.splitlines()
    own = {name: int(address, 16) for address, _, name in (line.split() for line in lines)}
    assert [symbol.address for symbol in found] == [own["push_"], own["leaf_"], own["loop_"]]
    assert [symbol.size for symbol in found] == [
        own["leaf_"] - own["push_"],
        own["asm_"] - own["leaf_"],
        own["end"] - own["loop_"],
    ]


def test_a_table_without_the_texts_address_is_read_by_the_runtimes_module_data(tmp_path: Path) -> None:
    """Since Go 1.26 the header does not say where the text begins."""
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    known.mkdir()
    unknown.mkdir()
    tables = [gopclntab.read(built(each, "1.20", text_known=each is known)) for each in (known, unknown)]
    assert tables[0] is not None
    assert tables[1] is not None
    assert tables[0].starts == tables[1].starts


@pytest.mark.parametrize("form", FORMATS)
def test_go_functions_are_entered_behind_their_stack_check_and_left_at_ret_alone(form: str, tmp_path: Path) -> None:
    """The entry is an instruction that a call runs once, however often its stack grows; there are no edges and no return probes."""
    push = examined(built(tmp_path, form))["pkg.(*Buffer).Push"]
    assert push.problem == ""
    assert push.goroutine
    assert push.entries[0].text == "push rbp"
    assert [(spot.base, spot.displacement) for spot in push.entries[:4]] == [
        ("sp", 0),
        ("sp", 8),
        ("sp", 8),
        ("sp", 144),
    ]
    assert [(spot.text, spot.displacement) for spot in push.rets.spots] == [("ret", 0), ("ret", 0)]
    assert push.edges.refused.startswith("it is Go code")
    assert push.reach.kills
    assert not push.leaf


def test_go_code_that_cannot_be_told_apart_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Assembly need not keep its goroutine in a register, nor code before Go 1.17; a function may loop back to its beginning."""
    codes = examined(built(tmp_path, "1.20"))
    assert "assembly" in codes["pkg.asm"].problem
    assert "jumps back" in codes["pkg.loop"].problem
    assert codes["pkg.leaf"].problem == ""
    assert "since 1.17" in examined(built(tmp_path, "1.16"))["pkg.leaf"].problem


@pytest.mark.parametrize("cut", [1, 7, 20, 60, 100, 200, 300, 400])
def test_a_damaged_table_is_no_error_and_yields_nothing_wrong(cut: int, tmp_path: Path) -> None:
    """Whatever byte of the table is wrong, no function is named that is not one, and every analysis ends."""
    image = built(tmp_path, "1.20")
    section = gopclntab.section(image)
    assert section is not None
    starts = {symbol.address for symbol in symbols.find(image, ["*"])}
    data = bytearray(image.buffer)
    data[section.offset + min(cut, section.size - 1)] ^= 0xFF
    damaged = Image.from_bytes(bytes(data), "damaged")
    found = symbols.find(damaged, ["*"])
    analyse(damaged, [(symbol.address, symbol.size) for symbol in found], Names(damaged))
    assert all(damaged.is_executable(symbol.address) for symbol in found)
    assert len(found) <= len(starts)


def test_the_star_of_a_receiver_is_no_wildcard() -> None:
    """`(*Buffer)` in the name of a Go method means that type alone; other stars stay wildcards."""
    other = Symbol("pkg.(*RingBuffer).Push", 1, 1, SymbolSource.GOPCLNTAB, "pkg.(*RingBuffer).Push")
    meant = Symbol("pkg.(*Buffer).Push", 1, 1, SymbolSource.GOPCLNTAB, "pkg.(*Buffer).Push")
    assert meant.function == "pkg.(*Buffer).Push"
    assert meant.is_meant(["pkg.(*Buffer).Push"])
    assert not other.is_meant(["pkg.(*Buffer).Push"])
    assert other.is_meant(["pkg.(*Ring*).Push"])
    assert literal_receiver("decode(*)") == "decode(*)"


def test_pions_functions_match_its_profile() -> None:
    """The whole name of a method, path of its package included, is known; what the compiler makes beside it is not."""
    catalog = load()
    name = "github.com/pion/interceptor/pkg/jitterbuffer.(*JitterBuffer).Push"
    made = [
        Symbol(each, 16 * n, 16, SymbolSource.GOPCLNTAB, each) for n, each in enumerate((name, f"{name}.deferwrap1"))
    ]
    (match,) = catalog.match(None, "server", made)
    assert (match.function.profile, match.function.role) == ("pion", "put")
