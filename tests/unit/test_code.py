# SPDX-License-Identifier: Apache-2.0
"""What the analysis reads from code that the tests assemble: entry sites, ends, tail calls, jump tables, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.arch import aarch64, x86_64
from otel_jb.arch.instruction import Flow, Price
from otel_jb.code.facts import FunctionCode, Reach
from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model import codec
from otel_jb.model.plan import IN_RESULT
from tests.unit.assembled import analysed, assembly

Analyse = Callable[..., dict[str, FunctionCode]]


@pytest.fixture
def examined(tmp_path: Path) -> Analyse:
    """Builds a library from C or assembly and analyses its functions by name."""

    def build(source: str, *flags: str, language: str = "c", thorough: bool = True) -> dict[str, FunctionCode]:
        return analysed(tmp_path, source, *flags, language=language, thorough=thorough)

    return build


@pytest.mark.parametrize(
    ("raw", "price"),
    [
        ("53", Price.EMULATED),  # push rbx
        ("4157", Price.EMULATED),  # push r15
        ("ff33", Price.STEPPED),  # push [rbx]
        ("6a01", Price.STEPPED),  # push 1
        ("90", Price.EMULATED),
        ("6690", Price.EMULATED),
        ("0f1f00", Price.LONG_NOP),
        ("0f1f440000", Price.LONG_NOP),
        ("660f1f440000", Price.STEPPED),
        ("eb00", Price.EMULATED),
        ("e900000000", Price.EMULATED),
        ("7400", Price.EMULATED),
        ("0f8400000000", Price.EMULATED),
        ("e800000000", Price.EMULATED),
        ("666648e800000000", Price.REFUSED),  # as a call of __tls_get_addr is padded
        ("c3", Price.STEPPED),
        ("f3c3", Price.STEPPED),
        ("f30f1efa", Price.STEPPED),  # endbr64
        ("4883ec08", Price.STEPPED),  # sub rsp, 8
        ("ff20", Price.STEPPED),  # jmp [rax]
        ("3effe0", Price.REFUSED),  # notrack jmp rax
        ("662e0f1f840000000000", Price.REFUSED),  # nop word ptr cs:[rax + rax]
        ("f0480fc107", Price.REFUSED),  # lock xadd [rdi], rax
        ("64488b042528000000", Price.STEPPED),  # mov rax, fs:[40]
    ],
)
def test_price_is_what_the_kernel_does(raw: str, price: Price) -> None:
    """Each encoding has the price of arch/x86/kernel/uprobes.c."""
    (instruction,), done = x86_64.decode(bytes.fromhex(raw), 0x1000)
    assert done == len(raw) // 2
    assert instruction.price is price


def test_instructions_are_those_of_objdump() -> None:
    """Boundaries, branch targets and kinds of flow over a whole library are what objdump prints."""
    path = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"
    image = Image.from_file(path)
    section = image.section(".text")
    assert section is not None
    output = subprocess.run(
        ["objdump", "-d", "-j", ".text", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    expected = {}
    for line in output.splitlines():
        address, separator, text = line.strip().partition(":\t")
        if separator:
            expected[int(address, 16)] = text
    instructions, done = x86_64.decode(section.data, section.address)
    assert done == section.size
    assert [i.address for i in instructions] == sorted(expected)
    for instruction in instructions:
        words = expected[instruction.address].split()
        words = [w for w in words if w not in ("bnd", "notrack", "repz")]
        flow = {"ret": Flow.RETURN, "call": Flow.CALL, "jmp": Flow.JUMP}.get(words[0])
        if flow is not None and len(words) > 1 and words[1].startswith("*"):
            flow = {Flow.CALL: Flow.INDIRECT_CALL, Flow.JUMP: Flow.INDIRECT_JUMP}[flow]
        if flow is None and words[0].startswith("j"):
            flow = Flow.BRANCH
        if flow is not None:
            assert instruction.flow is flow, hex(instruction.address)
        if instruction.target is not None:
            assert int(words[1], 16) == instruction.target


def test_endbr_is_stepped_over(examined: Analyse) -> None:
    """The first candidate behind `endbr64` is the push, with the stack pointer still at the return address."""
    source = assembly(
        "t_f", "endbr64", "push rbx", ".cfi_adjust_cfa_offset 8", "mov rbx, rdi", "mov edi, 1", "call t_f", "pop rbx",
        ".cfi_adjust_cfa_offset -8", "ret",
    )  # fmt: skip
    code = examined(source, language="assembler")["t_f"]
    assert code.first == "endbr64"
    assert [(s.text, s.price, s.displacement, s.clobbered, s.at_return) for s in code.entries] == [
        ("push rbx", Price.EMULATED, 0, (), True),
        ("mov rbx, rdi", Price.STEPPED, 8, (), False),
        ("mov edi, 1", Price.STEPPED, 8, (), False),
        (code.entries[3].text, Price.EMULATED, 8, (1,), False),
    ]
    assert code.recursive


@pytest.mark.parametrize(
    ("before", "site"),
    [
        ((), True),
        (("endbr64", "push rbx", ".cfi_adjust_cfa_offset 8", "sub rsp, 16", ".cfi_adjust_cfa_offset 16"), True),
        (("mov [rsp - 8], rdi",), False),
        (("push rbp", "mov [rsp - 8], rdi"), False),
    ],
)
def test_no_probe_is_put_on_a_long_nop_behind_values_in_the_red_zone(
    examined: Analyse, before: tuple[str, ...], site: bool
) -> None:
    """Linux 6.18 makes a call of a probed 5-byte nop, whose return address would fall on them."""
    source = assembly("t_f", *before, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "mov rax, [rsp - 8]", "ret")
    code = examined(source, language="assembler")["t_f"]
    assert any(spot.text.startswith("nop") for spot in code.entries) == site
    assert code.entries


def test_a_loop_to_the_first_instruction_cannot_be_probed(examined: Analyse) -> None:
    """Where the code jumps back to its start, calls cannot be told from rounds."""
    code = examined(assembly("t_f", "dec rdi", "jnz t_f", "ret"), language="assembler")
    assert "first instruction" in code["t_f"].problem


def test_data_in_code_is_refused(examined: Analyse) -> None:
    """A function with bytes that are no instruction is not analysed."""
    code = examined(assembly("t_f", "jmp 1f", ".byte 0x06, 0x07, 0x0e", "1: ret"), language="assembler")["t_f"]
    assert code.problem.startswith("not decodable: the bytes at")


def test_a_leaf_without_a_branch_has_no_edges(examined: Analyse) -> None:
    """The prologue's push is no end, so a straight leaf is left to other ways."""
    code = examined("int t_f(int a) { return a * 3; }", "-O0")["t_f"]
    assert code.leaf
    assert code.edges.refused == "an end is reached from the entry without an emulated branch"
    assert [s.text for s in code.rets.spots] == ["ret"]


def test_a_function_that_exchanges_stacks_is_no_leaf(examined: Analyse) -> None:
    """It calls nothing, as swapcontext does, and yet returns on another stack: a return probe would kill its target."""
    code = examined(assembly("t_f", "mov [rdi], rsp", "mov rsp, [rsi]", "ret"), language="assembler")["t_f"]
    assert not code.leaf
    assert not code.reach.safe
    assert code.reach.kills


def test_an_end_straight_behind_a_call_into_another_file_is_stepped(examined: Analyse) -> None:
    """No branch lies between a call that returns and the end, so an instruction behind it carries the probe."""
    code = examined("int g(void); int t_f(int a) { return g() + 1; }", "-O2")["t_f"]
    assert [(s.price, s.rare, s.returned) for s in code.edges.spots] == [(Price.STEPPED, False, IN_RESULT)]


def test_a_call_that_never_returns_is_no_way_to_the_end(examined: Analyse) -> None:
    """The stack protector's branch sees every end, since its failing way does not come back."""
    source = "void g(char *); int t_f(int a) { char b[64]; g(b); return b[a & 7]; }"
    code = examined(source, "-O2", "-fstack-protector-all")["t_f"]
    assert [s.text.split()[0] for s in code.edges.spots] == ["jne"]
    assert (code.edges.spots[0].condition, code.edges.spots[0].taken) == (5, False)


def test_a_tail_call_into_another_file_ends_at_the_jump(examined: Analyse) -> None:
    """The jump through the PLT is the end, and what it leaves out is said."""
    code = examined("void free(void *); void g(void *); void t_f(void **p) { g(*p); free(p); }", "-O2")["t_f"]
    assert code.edges.note == "the call of free at its end"
    assert [(s.text.split()[0], s.returned) for s in code.edges.spots] == [("jmp", None)]


@pytest.mark.parametrize("part", ["cold", "warm"])
def test_a_part_split_off_belongs_to_its_function(part: str, examined: Analyse) -> None:
    """A jump to a part that the compiler or BOLT split off is no tail call, though it has the frame of an entry: the part's `ret` is an end."""
    split = assembly(f"t_f.{part}", "mov eax, 2", "ret")
    code = examined(
        assembly("t_f", "test edi, edi", f"jne t_f.{part}", "mov eax, 1", "ret") + split, language="assembler"
    )["t_f"]
    assert len(code.rets.spots) == 2
    assert not any(spot.optional for spot in code.rets.spots)


@pytest.mark.parametrize("name", ["main.warmUp", "main.coldStart", "t_g"])
def test_a_function_that_is_called_warm_or_cold_is_no_part_of_another(name: str, examined: Analyse) -> None:
    """Go's names have dots. A jump to one is a tail call, whose `ret` closes a call of the caller only where that is open."""
    other = assembly(name, "mov eax, 2", "ret")
    code = examined(assembly("t_f", "test edi, edi", f"jne {name}", "mov eax, 1", "ret") + other, language="assembler")[
        "t_f"
    ]
    assert sorted(spot.optional for spot in code.rets.spots) == [False, True]


def test_a_tail_called_function_lends_its_ends(examined: Analyse) -> None:
    """The ends of the function that is jumped to are ends of the caller, closing its call only where it is open."""
    source = """
    void g(char *);
    __attribute__((noinline)) int t_b(int a) { char b[64]; g(b); return b[a & 7]; }
    int t_a(int a) { if (a > 3) return 7; g(0); return t_b(a + 1); }
    """
    codes = examined(source, "-O2", "-fstack-protector-strong")
    own = {s.address for s in codes["t_b"].edges.spots}
    lent = {s.address for s in codes["t_a"].edges.spots if s.optional}
    assert own == lent != set()
    assert all(
        s.optional
        for s in codes["t_a"].rets.spots
        if s.address not in range(codes["t_a"].address, codes["t_a"].address + codes["t_a"].size)
    )


def test_a_jump_table_is_followed(examined: Analyse) -> None:
    """The targets of a switch are read from its table, and an end behind one is refused for edges."""
    cases = " ".join(f"case {n}: g({n * 7}); break;" for n in range(9))
    source = (
        f"void g(int); int t_f(int a) {{ char b[64]; switch (a) {{ {cases} default: g(-1); }} h(b); return b[0]; }}"
    )
    code = examined(source, "-O2", "-fstack-protector-all", "-fno-jump-tables")["t_f"]
    with_table = examined(source, "-O2", "-fstack-protector-all")["t_f"]
    assert code.edges.refused == with_table.edges.refused == ""
    assert [s.text.split()[0] for s in with_table.edges.spots] == ["jne"]


def test_a_virtual_tail_call_is_an_end(examined: Analyse) -> None:
    """A jump through an object's pointer is a tail call, not a table."""
    code = examined("struct o { int (**v)(struct o *); }; int t_f(struct o *o) { return o->v[2](o); }", "-O2")["t_f"]
    assert [s.text.split()[0] for s in code.rets.spots] == ["jmp"]
    assert code.rets.note == "a call through a pointer at its end"


def test_the_register_that_holds_the_return_value_is_followed(examined: Analyse) -> None:
    """A value that is copied to eax behind the last branch is found where it is at that branch."""
    source = "int g(char *); int t_f(void) { char b[64]; int r = g(b); g(b + 1); return r; }"
    (spot,) = examined(source, "-O2", "-fstack-protector-all")["t_f"].edges.spots
    assert spot.returned is not None
    assert (spot.returned.kind.value, spot.returned.number in (3, 5, 12)) == ("register", True)


def test_analysis_survives_json(examined: Analyse) -> None:
    """What crosses from the sandbox as JSON is the same outside."""
    codes = examined("void g(char *); int t_f(int a) { char b[64]; g(b); return a > 3 ? b[a] : 1; }", "-O2")
    assert codes
    for code in codes.values():
        assert codec.decode(json.loads(json.dumps(codec.encode(code))), FunctionCode) == code


def test_code_that_runs_on_into_its_neighbour_has_no_known_ends(examined: Analyse) -> None:
    """Hand-written code without an end of its own is counted, not timed."""
    source = assembly("t_f", "test edi, edi", "jz 1f", "ret", "1: mov eax, 3") + assembly("t_g", "ret")
    code = examined(source, language="assembler")["t_f"]
    assert "runs on into what follows" in code.rets.refused
    assert code.edges.refused == code.rets.refused


def test_a_function_of_the_program_is_not_taken_for_the_librarys(examined: Analyse) -> None:
    """A program's own `time` is followed, not vouched for by its name."""
    source = """
    int swapcontext(void *, void *); int time(void *p) { return swapcontext(p, p); } int t_f(void *p) { return time(p) + 1; }
    """
    code = examined(source, "-O1", "-fno-builtin")["t_f"]
    assert code.reach.kills
    assert "via time" in code.reach.reason


def words(*values: int) -> bytes:
    """AArch64 instructions."""
    return b"".join(value.to_bytes(4, "little") for value in values)


@pytest.mark.parametrize(
    ("word", "flow", "price", "target"),
    [
        (0xD65F03C0, Flow.RETURN, Price.EMULATED, None),  # ret
        (0xD65F0BFF, Flow.RETURN, Price.REFUSED, None),  # retaa
        (0x14000002, Flow.JUMP, Price.EMULATED, 0x1008),  # b
        (0x97FFFFFF, Flow.CALL, Price.EMULATED, 0xFFC),  # bl
        (0x54000040, Flow.BRANCH, Price.EMULATED, 0x1008),  # b.eq
        (0xB4000040, Flow.BRANCH, Price.EMULATED, 0x1008),  # cbz x0
        (0x37000040, Flow.BRANCH, Price.EMULATED, 0x1008),  # tbnz w0, #0
        (0xD61F0020, Flow.INDIRECT_JUMP, Price.EMULATED, None),  # br x1
        (0xD63F0020, Flow.INDIRECT_CALL, Price.EMULATED, None),  # blr x1
        (0x10000040, Flow.NEXT, Price.EMULATED, None),  # adr
        (0x90000001, Flow.NEXT, Price.EMULATED, None),  # adrp
        (0x58000040, Flow.NEXT, Price.EMULATED, None),  # ldr x0, literal
        (0xA9BF7BFD, Flow.NEXT, Price.STEPPED, None),  # stp x29, x30, [sp, #-16]!
        (0xD503233F, Flow.NEXT, Price.STEPPED, None),  # paciasp
        (0xD503245F, Flow.NEXT, Price.STEPPED, None),  # bti c
        (0xD503201F, Flow.NEXT, Price.STEPPED, None),  # nop
        (0xD4000001, Flow.NEXT, Price.REFUSED, None),  # svc
        (0xC85F7C00, Flow.NEXT, Price.REFUSED, None),  # ldxr
        (0xD53BD040, Flow.NEXT, Price.REFUSED, None),  # mrs x0, tpidr_el0
        (0xD4200000, Flow.STOP, Price.STEPPED, None),  # brk
    ],
)
def test_price_on_arm_is_what_the_kernel_does(word: int, flow: Flow, price: Price, target: int | None) -> None:
    """Each AArch64 encoding has the flow and the price of arch/arm64/kernel/probes/decode-insn.c."""
    (instruction,), done = aarch64.decode(words(word), 0x1000)
    assert (done, instruction.flow, instruction.price, instruction.target) == (4, flow, price, target)


def test_go_code_never_gets_a_return_probe(tmp_path: Path) -> None:
    """In a Go program, told by its line table, not even a leaf is safe for a return probe, since its stacks move."""
    library, marked = tmp_path / "library.so", tmp_path / "marked.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), "-x", "c", "-"]
    subprocess.run(command, input="int t_f(int a) { return a * 3; }", text=True, check=True)
    table = tmp_path / "table"
    table.write_bytes(bytes(16))
    subprocess.run(["objcopy", f"--add-section=.gopclntab={table}", library, marked], check=True)
    codes = []
    for path in (library, marked):
        image = Image.from_file(path)
        (symbol,) = find(image, ["t_f"])
        codes += analyse(image, [(symbol.address, symbol.size)], Names(image))
    assert [code.leaf for code in codes] == [True, False]
    assert codes[1].reach == Reach(False, "it is Go code, whose runtime moves stacks", 0, kills=True)
