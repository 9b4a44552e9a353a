# SPDX-License-Identifier: Apache-2.0
"""Ends by code that the tests assemble: where the return value is at each, whose end it is, and which ways are rare or looped."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import FunctionCode, Spot
from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.plan import IN_RESULT, Origin, ReturnPlace
from tests.unit.assembled import analysed, assembly

#: a frame of 40 bytes below rbx, whose CFA is counted from rsp
_ENTER = ("push rbx", ".cfi_adjust_cfa_offset 8", "sub rsp, 32", ".cfi_adjust_cfa_offset 32")
_LEAVE = ("add rsp, 32", ".cfi_adjust_cfa_offset -32", "pop rbx", ".cfi_adjust_cfa_offset -8", "ret")


def end_behind_branch(directory: Path, *straight: str, before: tuple[str, ...] = ()) -> ReturnPlace | None:
    """Where the return value is at the branch in front of these instructions, which the epilogue follows."""
    lines = (*_ENTER, *before, "call t_g", "test rbx, rbx", "jne 1f", "inc qword ptr [rbx]", "jmp 1f", "1:", *straight)
    source = assembly("t_f", *lines, *_LEAVE) + assembly("t_g", "ret")
    first, *_ = analysed(directory, source, language="assembler")["t_f"].edges.spots
    return first.returned


@pytest.mark.parametrize(
    ("straight", "writes"),
    [
        (("mov eax, ebx",), False),
        (("mov [rsp + 8], rbx",), False),  # in its own frame
        (("mov dword ptr [rbx], 7",), True),
        (("mov rcx, [rsp + 8]", "inc qword ptr [rcx + 16]"), True),
    ],
)
def test_what_is_written_behind_the_last_branch_is_noticed(
    straight: tuple[str, ...], writes: bool, tmp_path: Path
) -> None:
    """A store between an end and the return, but for one into the function's own frame, may change what is read at that end."""
    lines = (*_ENTER, "call t_g", "test rbx, rbx", "jne 1f", "inc qword ptr [rbx]", "jmp 1f", "1:", *straight)
    source = assembly("t_f", *lines, *_LEAVE) + assembly("t_g", "ret")
    spots = analysed(tmp_path, source, language="assembler")["t_f"].edges.spots
    assert spots
    assert {spot.writes for spot in spots} == {writes}


@pytest.mark.parametrize(
    ("straight", "place"),
    [
        ((), IN_RESULT),
        (("mov rax, rbx",), ReturnPlace(Origin.REGISTER, 3)),
        (("mov eax, ebx",), ReturnPlace(Origin.REGISTER, 3, 4)),
        (("movzx eax, al",), ReturnPlace(Origin.REGISTER, 0, 1)),
        (("movsx rax, bl",), ReturnPlace(Origin.REGISTER, 3, 1, signed=True)),
        (("movsx eax, bl",), ReturnPlace(Origin.REGISTER, 3, 1, signed=True, known=4)),
        (("movsxd rax, ebx",), ReturnPlace(Origin.REGISTER, 3, 4, signed=True)),
        (("mov eax, ebx", "cdqe"), ReturnPlace(Origin.REGISTER, 3, 4, signed=True)),
        (("mov al, bl",), ReturnPlace(Origin.REGISTER, 3, 1, known=1)),
        (("xor eax, eax",), ReturnPlace(Origin.CONSTANT, 0)),
        (("mov eax, -1",), ReturnPlace(Origin.CONSTANT, 0xFFFFFFFF)),
        (("mov rax, -1",), ReturnPlace(Origin.CONSTANT, -1)),
        (("movabs rax, 0x8000000000000001",), ReturnPlace(Origin.CONSTANT, 1 - (1 << 63))),
        (("movabs rax, 0x7fffffffffffffff", "add rax, 3"), ReturnPlace(Origin.CONSTANT, 2 - (1 << 63))),
        (("or eax, -1",), ReturnPlace(Origin.CONSTANT, 0xFFFFFFFF)),
        (("mov eax, 5", "add eax, 2", "sub eax, 10"), ReturnPlace(Origin.CONSTANT, 0xFFFFFFFD)),
        (("mov al, 1",), ReturnPlace(Origin.CONSTANT, 1, known=1)),
        (("mov rax, [rsp + 8]",), ReturnPlace(Origin.STACK, -32)),
        (("mov eax, [rsp + 8]",), ReturnPlace(Origin.STACK, -32, 4)),
        (("movzx eax, byte ptr [rsp + 9]",), ReturnPlace(Origin.STACK, -31, 1)),
        (("movsxd rax, dword ptr [rsp + 4]",), ReturnPlace(Origin.STACK, -36, 4, signed=True)),
        (("mov [rsp + 8], rbx", "mov eax, [rsp + 8]"), None),  # as wide as it was stored, or not at all
        (("mov [rsp + 8], rbx", "mov rax, [rsp + 8]"), ReturnPlace(Origin.REGISTER, 3)),
        (("mov [rsp + 16], rbx", "mov rax, [rsp + 8]"), ReturnPlace(Origin.STACK, -32)),
        (("mov dword ptr [rsp + 8], 7", "mov eax, [rsp + 8]"), ReturnPlace(Origin.CONSTANT, 7)),
        (("mov qword ptr [rbx], 7", "mov eax, [rsp + 8]"), ReturnPlace(Origin.STACK, -32, 4)),
        (("movups [rsp], xmm0", "mov eax, [rsp + 8]"), None),
        (("lea rcx, [rsp + 8]", "mov rax, [rcx]"), ReturnPlace(Origin.STACK, -32)),
        (("mov rax, [rbx]",), None),  # not of the stack
        (("mov rax, fs:[40]",), None),
        (("mov ah, 1",), None),
        (("sete al", "movzx eax, al"), None),
        (("add rax, rbx",), None),
        (("imul eax, ebx",), None),
        (("cmovne eax, ebx",), None),
        (("xchg eax, ebx",), None),
        (("lea rax, [rsp + 8]",), None),  # the address in a frame that is gone
    ],
)
def test_where_the_return_value_is(straight: tuple[str, ...], place: ReturnPlace | None, tmp_path: Path) -> None:
    """Behind the branch the value comes from a register, a constant or the stack; anything else is unknown."""
    assert end_behind_branch(tmp_path, *straight) == place


@pytest.mark.parametrize(
    ("taken", "known"), [("lea rdi, [rsp + 8]", False), ("lea rdi, [rsp + 16]", True), ("mov rdi, rsp", False)]
)
def test_a_word_whose_address_was_taken_may_be_written_by_any_store(taken: str, known: bool, tmp_path: Path) -> None:
    """Behind a store through a pointer the word is known only if no address at or below it was ever taken."""
    place = end_behind_branch(tmp_path, "mov qword ptr [rbx], 7", "mov eax, [rsp + 8]", before=(taken,))
    assert place == (ReturnPlace(Origin.STACK, -32, 4) if known else None)


_LAST = """
volatile int sink;
__attribute__((noinline)) void t_set(long *p, int n) { if (n & 1) p[0] += n; else p[1] += n; sink++; if (n == 3) sink += 2; }
__attribute__((noinline)) int t_code(int n) { if (n > 7) return -1; sink += n; return n; }
int t_last(long *p, int n) { int error = n % 7; if (n % 10 == 9) return -1; t_set(p, n); return error; }
int t_pass(int n) { sink = 5; return t_code(n + 1); }
int t_deep(int n) { sink = 6; return t_pass(n - 1); }
int t_self(int n) { if (n < 2) return 1; return 1 + t_self(n - 1); }
"""


def lent(spots: tuple[Spot, ...]) -> list[Spot]:
    return [spot for spot in spots if spot.callers]


@pytest.mark.parametrize("flag", ["-fomit-frame-pointer", "-fno-omit-frame-pointer"])
def test_the_function_that_is_called_last_lends_its_ends(flag: str, tmp_path: Path) -> None:
    """Each end carries the distance to the caller's frame, the return address that must be there, and the caller's return value."""
    codes = analysed(tmp_path, _LAST, "-O0", "-fno-stack-protector", flag)
    own = {s.address: s for s in codes["t_set"].edges.spots}
    borrowed, *_ = lent(codes["t_last"].edges.spots)
    assert borrowed.optional
    assert borrowed.address in own
    ((offset, distance),) = borrowed.callers
    assert borrowed.displacement == own[borrowed.address].displacement - offset
    call_end = borrowed.address + distance
    assert codes["t_last"].address < call_end < codes["t_last"].address + codes["t_last"].size
    assert borrowed.returned is not None
    assert (borrowed.returned.kind, borrowed.returned.width) == (Origin.STACK, 4)
    assert offset < borrowed.returned.number < 0  # in the caller's frame, above the callee's
    assert all(spot.price is Price.EMULATED for spot in codes["t_last"].edges.spots)


def ends_of(spots: tuple[Spot, ...]) -> set[tuple[object, ...]]:
    """The spots by what does not depend on whose frame it is."""
    places = {s: (s.returned.kind, s.returned.width) if s.returned else None for s in spots}
    return {(s.address, s.condition, s.taken, place) for s, place in places.items()}


def test_ends_are_lent_through_several_calls(tmp_path: Path) -> None:
    """The innermost function's ends are the outermost's where both return addresses are theirs; the value is the innermost's."""
    codes = analysed(tmp_path, _LAST, "-O0", "-fno-stack-protector")
    spots = codes["t_deep"].edges.spots
    assert ends_of(spots) == ends_of(codes["t_code"].edges.spots)
    assert {len(s.callers) for s in spots} == {2}


def test_a_function_that_calls_itself_last_is_stepped(tmp_path: Path) -> None:
    """Its own ends cannot stand for themselves."""
    spots = analysed(tmp_path, _LAST, "-O0", "-fno-stack-protector")["t_self"].edges.spots
    assert lent(spots) == []
    assert [s.price for s in spots if s.price is not Price.EMULATED] == [Price.STEPPED]


def test_a_branch_in_a_loop_says_that_it_is_hit_more_often(tmp_path: Path) -> None:
    """The way out of a loop is an end by its condition; its price is another."""
    source = "int t_f(int *a, int n) { for (int i = 0; i < n; i++) { if (a[i] == 7) return i; } return -1; }"
    spots = analysed(tmp_path, source, "-O2")["t_f"].edges.spots
    assert any(s.looped and s.condition is not None for s in spots)
    assert not any(s.looped and s.condition is None for s in spots)


def test_both_ways_of_a_branch_with_different_values_are_two_ends(tmp_path: Path) -> None:
    """They cannot be one site, since the value differs."""
    lines = ("push rbx", ".cfi_adjust_cfa_offset 8", "test edi, edi", "je 1f", "mov eax, 5", "pop rbx")
    more = (".cfi_adjust_cfa_offset -8", "ret", "1:", ".cfi_adjust_cfa_offset 8", "mov eax, 6", "pop rbx")
    source = assembly("t_f", *lines, *more, ".cfi_adjust_cfa_offset -8", "ret")
    spots = analysed(tmp_path, source, language="assembler")["t_f"].edges.spots
    assert {(s.taken, s.returned.number if s.returned else None) for s in spots} == {(False, 5), (True, 6)}
    assert len({s.address for s in spots}) == 1


def test_a_way_out_behind_an_error_is_rare(tmp_path: Path) -> None:
    """A single-stepped site behind the making of an error is rare, one behind any other call is not."""
    source = """
    extern void *_ZN12SrsCplxError4wrapEv(void); extern void *other(void);
    void *t_error(int n) { if (n > 3) return 0; void *e = _ZN12SrsCplxError4wrapEv(); return e; }
    void *t_usual(int n) { if (n > 3) return 0; void *e = other(); return e; }
    """
    codes = analysed(tmp_path, source, "-O0")
    for name, rare in (("t_error", True), ("t_usual", False)):
        assert [s.rare for s in codes[name].edges.spots if s.price is Price.STEPPED] == [rare], name


def test_a_call_that_gives_something_back_may_be_the_end(tmp_path: Path) -> None:
    """The call is emulated and what it takes is said not to be timed; any other call of another file's function is stepped behind."""
    source = """
    extern void free(void *); extern int other(void *);
    int t_gives(int n, void *p) { if (n > 3) return 1; free(p); return n; }
    int t_works(int n, void *p) { if (n > 3) return 1; other(p); return n; }
    """
    codes = analysed(tmp_path, source, "-O0", "-fno-stack-protector")
    assert codes["t_gives"].edges.note == "the call of free at its end"
    assert all(s.price is Price.EMULATED for s in codes["t_gives"].edges.spots)
    (call,) = (s for s in codes["t_gives"].edges.spots if s.text.startswith("call"))
    assert call.returned is not None
    assert call.returned.kind is Origin.STACK
    assert codes["t_works"].edges.note == ""
    assert any(s.price is Price.STEPPED for s in codes["t_works"].edges.spots)


def calling(directory: Path, callee: str, *behind: str, more: str = "") -> FunctionCode:
    """A function that is a straight line around a call of t_g, assembled from these lines, with more lines behind the call."""
    source = assembly("t_f", *_ENTER, "mov rbx, rdi", "call t_g", *behind, *_LEAVE)
    return analysed(directory, source + assembly("t_g", *callee.split("; ")) + more, language="assembler")["t_f"]


@pytest.mark.parametrize(
    ("callee", "behind", "place", "writes"),
    [
        ("ret", "mov rax, rbx", ReturnPlace(Origin.REGISTER, 3), False),
        ("ret", "mov rax, [rsp + 8]", ReturnPlace(Origin.STACK, -32), False),
        ("mov eax, 7; ret", "nop dword ptr [rax]", ReturnPlace(Origin.CONSTANT, 7), False),
        ("mov rax, rsi; ret", "mov eax, eax", ReturnPlace(Origin.REGISTER, 6, 4), False),
        ("push rbx; mov ebx, 9; mov eax, ebx; pop rbx; ret", "mov rax, rbx", ReturnPlace(Origin.REGISTER, 3), False),
        ("mov [rdi], rsi; ret", "mov rax, rbx", ReturnPlace(Origin.REGISTER, 3), True),
        ("mov rax, [rdi]; ret", "inc rbx", None, False),
        ("test edi, edi; je 1f; mov [rsi], edi; 1: ret", "mov rax, rbx", ReturnPlace(Origin.REGISTER, 3), True),
        ("test edi, edi; je 1f; mov eax, 3; 1: ret", "inc rbx", None, True),
        ("inc rsi; jmp t_h", "mov rax, rsi", None, False),  # t_h made it
    ],
)
def test_a_call_of_a_function_that_returns_within_a_moment_is_an_end(
    callee: str, behind: str, place: ReturnPlace | None, writes: bool, tmp_path: Path
) -> None:
    """The call is the only site, and what the called function does to the return value is known where it runs straight."""
    many = "".join(assembly(f"t_{n}", "call t_g", "ret") for n in range(17))  # so many callers that it lends no ends
    code = calling(tmp_path, callee, behind, more=assembly("t_h", "mov esi, [rdx]", "ret") + many)
    (spot,) = code.edges.spots
    assert (spot.text.split()[0], spot.price, spot.condition) == ("call", Price.EMULATED, None)
    assert (spot.returned, spot.writes) == (place, writes)
    assert (code.edges.refused, code.edges.note) == ("", "")


@pytest.mark.parametrize(
    "callee",
    [
        "1: dec rdi; jne 1b; ret",  # a loop
        "syscall; ret",
        "rep stosb; ret",
        "call t_h; ret",
        "jmp t_h",  # which has a loop
        "jmp [rdi]",
        "call [rdi]; ret",
        "test edi, edi; je 1f; ud2; 1: ret",
        "mov [rsp], rdi; ret",  # to another place than it was called from
        "push rdi; ret",
        "mov rsp, rdi; ret",  # another stack
        "xchg rsp, rdi; ret",
        "pop rcx; jmp rcx",
        "ret 8",
        "; ".join(["inc rdi"] * 20) + "; ret",
    ],
)
def test_any_other_call_is_no_end(callee: str, tmp_path: Path) -> None:
    """Where the called function may take long, or come back elsewhere, or not at all, what follows the call is stepped."""
    loop = assembly("t_h", "1: dec rdi", "jne 1b", "ret")
    many = "".join(assembly(f"t_{n}", "call t_g", "ret") for n in range(17))
    spots = calling(tmp_path, callee, "mov rax, rbx", more=loop + many).edges.spots
    assert [spot.price for spot in spots] == [Price.STEPPED]


@pytest.mark.parametrize(
    ("callee", "place", "writes"),
    [
        ("ret", IN_RESULT, False),
        ("mov eax, 7; ret", ReturnPlace(Origin.CONSTANT, 7), False),
        ("mov eax, edi; ret", ReturnPlace(Origin.REGISTER, 7, 4), False),
        ("mov [rdi], esi; ret", IN_RESULT, True),
        ("test edi, edi; je 1f; mov eax, 3; 1: ret", None, True),
    ],
)
def test_a_jump_to_a_function_that_returns_within_a_moment_is_an_end(
    callee: str, place: ReturnPlace | None, writes: bool, tmp_path: Path
) -> None:
    """The jump itself is the site, where that function has no ends of its own that are seen: no other caller pays for it."""
    source = assembly("t_f", "mov eax, 5", "jmp t_g") + assembly("t_g", *callee.split("; "))
    code = analysed(tmp_path, source, language="assembler")["t_f"]
    branches = "je" in callee
    assert {spot.text.split()[0] for spot in code.edges.spots} == {"je" if branches else "jmp"}
    if not branches:
        assert [(spot.returned, spot.writes, spot.optional) for spot in code.edges.spots] == [(place, writes, False)]


def test_a_function_lends_the_jump_at_its_end(tmp_path: Path) -> None:
    """One that is left by a jump to an empty function, and is called last, has that jump for an end of its caller."""
    loop = ("push rdi", ".cfi_adjust_cfa_offset 8", "1: dec rdi", "jne 1b", "pop rdi", ".cfi_adjust_cfa_offset -8")
    code = calling(tmp_path, "; ".join((*loop, "jmp t_h")), "mov rax, rbx", more=assembly("t_h", "ret"))
    (spot,) = code.edges.spots
    assert spot.text.startswith("jmp")
    assert len(spot.callers) == 1
    assert spot.returned == ReturnPlace(Origin.REGISTER, 3)


@pytest.mark.parametrize("log", ["_Z15srs_logger_impl11Level", "g_return_if_fail_warning"])
def test_a_line_in_the_log_may_be_the_end(log: str, tmp_path: Path) -> None:
    """Where others come to what follows the line too, its call is the end of the way with the line, and the line is said not to be timed."""
    source = f"""
    extern void {log}(int); extern int other(int); extern volatile int sink;
    int t_f(int n) {{ if (n > 3) {{ if (other(n)) goto out; sink = n; if (other(5)) goto out; }} {log}(n); out: return 0; }}
    """
    edges = analysed(tmp_path, source, "-O2", "-fno-stack-protector")["t_f"].edges
    assert edges.note == f"the call of {log} at its end"
    assert all(spot.price is Price.EMULATED for spot in edges.spots)
    (call,) = (spot for spot in edges.spots if spot.text.startswith("call"))
    assert call.returned == ReturnPlace(Origin.CONSTANT, 0)


def test_in_a_file_made_for_shadow_stacks_no_call_takes_a_probe(tmp_path: Path) -> None:
    """The kernel makes a probed call itself and may leave its return address out of that stack: what is behind it is stepped, or what is before."""
    source = "".join(
        (
            assembly("t_end", *_ENTER, "mov rbx, rdi", "call t_g", "mov rax, rbx", *_LEAVE),
            assembly("t_entry", "mov eax, edi", "call t_g", "test edi, edi", "je 1f", "1:", "ret"),
            assembly("t_nothing_else", "call t_g", "test edi, edi", "je 1f", "1:", "ret"),
            assembly("t_g", "ret"),
        )
    )

    def calls_of(code: FunctionCode) -> list[str]:
        spots = (*code.entries, *code.edges.spots)
        return [spot.text for spot in spots if spot.text.startswith("call")]

    plain = analysed(tmp_path, source, language="assembler")
    marked = analysed(tmp_path, source, "-Wl,-z,shstk", language="assembler")
    assert (
        b"SHSTK" in subprocess.run(["readelf", "-n", tmp_path / "library.so"], capture_output=True, check=True).stdout
    )
    assert all(calls_of(plain[name]) for name in ("t_end", "t_entry", "t_nothing_else"))
    assert not any(calls_of(code) for code in marked.values())
    assert [spot.price for spot in marked["t_end"].edges.spots] == [Price.STEPPED]
    assert [spot.text.split()[0] for spot in marked["t_entry"].entries] == ["mov"]
    assert marked["t_nothing_else"].problem == "no instruction of its entry can carry a probe"


def test_a_value_in_a_register_that_no_site_reads_is_unknown_there_and_the_file_is_analysed() -> None:
    """On AArch64 gcc keeps it in x19 behind the last branch; the `ret` itself still finds it (golden/aarch64/returned.c)."""
    path = Path(__file__).parent / "golden/aarch64/returned"
    if os.environ.get("RENEW_GOLDEN"):  # takes Debian's gcc-aarch64-linux-gnu
        flags = "-O2 -fno-inline -fno-ipa-cp -fno-ipa-ra -fno-ipa-sra -fPIC -shared -nostdlib -mbranch-protection=none"
        smaller = "-Wl,-z,max-page-size=4096,--build-id=none,--eh-frame-hdr"
        command = ["aarch64-linux-gnu-gcc", *flags.split(), smaller, "-o", str(path), f"{path}.c"]
        subprocess.run(command, check=True)
    image = Image.from_file(str(path))
    (kept,) = find(image, ["t_kept"])
    (code,) = analyse(image, [(kept.address, kept.size)], Names(image), thorough=True)
    assert [spot.returned for spot in code.rets.spots] == [IN_RESULT, IN_RESULT]
    assert all(spot.returned is None for spot in code.edges.spots)


def test_a_store_through_an_argument_leaves_the_frame_alone(tmp_path: Path) -> None:
    """What the caller passed cannot lead to a word of a frame that did not exist yet; a pointer that the function made may."""
    source = """
    struct t_s { long other; short last; };
    extern int t_find(struct t_s *, unsigned short *, long *);
    long t_given(struct t_s *s, int n) {
      long error = 0; unsigned short end = 0;
      int lost = t_find(s, &end, 0);
      if (lost == -1) { error = n; } else { s->last = lost; }
      return error;
    }
    long t_changed(struct t_s *s, int n) {
      long error = 0; unsigned short end = 0;
      int lost = t_find(s, &end, &error);
      if (n == 3) s = (struct t_s *)&end;
      if (lost == -1) { error = n; } else { s->last = lost; }
      return error;
    }
    """
    codes = analysed(tmp_path, source, "-O0", "-fno-stack-protector")
    places = {name: [s.returned for s in codes[name].edges.spots] for name in codes}
    assert all(place is not None and place.kind is Origin.STACK for place in places["t_given"])
    assert None in places["t_changed"]


def test_an_argument_of_a_lender_may_lead_into_the_borrowers_frame(tmp_path: Path) -> None:
    """A store through what the caller passed is one into the caller's frame, for all that its code tells."""
    source = """
    volatile int sink;
    __attribute__((noinline)) int t_set(long *p, int n) { if (n & 1) sink++; if (n == 3) sink += 2; else *p = 1; return n; }
    long t_last(int n) { long error = n; if (n > 9) return -1; t_set(&error, n); return error; }
    long t_kept(int n) { long error = n; if (n > 9) return -1; t_set((long *)&sink, n); return error; }
    """
    codes = analysed(tmp_path, source, "-O0", "-fno-stack-protector")
    assert {s.returned for s in lent(codes["t_last"].edges.spots)} >= {None}
    assert None not in {s.returned for s in lent(codes["t_kept"].edges.spots)}


def test_an_end_in_what_makes_an_error_is_rare(tmp_path: Path) -> None:
    """A tail call that makes an error is no usual way out, whatever its own ends cost."""
    source = """
    extern void *other(void); extern volatile int sink;
    __attribute__((noinline)) void *_ZN12SrsCplxError4wrapEv(int n) { sink = n; void *e = other(); sink++; return e; }
    __attribute__((noinline)) void *t_plain(int n) { sink = n; void *e = other(); sink++; return e; }
    void *t_error(int n) { if (n > 3) return 0; return _ZN12SrsCplxError4wrapEv(n); }
    void *t_usual(int n) { if (n > 3) return 0; return t_plain(n); }
    """
    codes = analysed(tmp_path, source, "-O2", "-fno-stack-protector")
    for name, rare in (("t_error", True), ("t_usual", False)):
        stepped = [s for s in codes[name].edges.spots if s.price is Price.STEPPED]
        assert stepped, name
        assert all(s.rare is rare for s in stepped), name


def test_the_sanitizer_ends_the_process_where_it_reports(tmp_path: Path) -> None:
    """What follows its report is padding, through which no call comes."""
    source = """
    extern void __asan_report_load8(long); extern volatile int sink;
    int t_f(long *p) { if (*p == 7) { sink = 1; return 3; } if (*p > 9) __asan_report_load8(*p); sink = 2; return 0; }
    """
    spots = analysed(tmp_path, source, "-O2", "-fno-stack-protector")["t_f"].edges.spots
    assert spots
    assert all(s.price is Price.EMULATED for s in spots)


@pytest.mark.parametrize(("marks", "fits"), [("0x7fff8008", True), ("8", False)])
def test_clearing_the_sanitizers_marks_is_part_of_the_end(marks: str, fits: bool, tmp_path: Path) -> None:
    """It is short; any other string instruction behind the last branch is work, which must be timed."""
    straight = (f"lea rdi, [r13 + {marks}]", "xor eax, eax", "and rdi, -8", "shr ecx, 3", "rep stosq", "mov eax, 4")
    lines = (*_ENTER, "call t_g", "test rbx, rbx", "jne 1f", "inc qword ptr [rbx]", "jmp 1f", "1:", *straight, *_LEAVE)
    edges = analysed(tmp_path, assembly("t_f", *lines) + assembly("t_g", "ret"), language="assembler")["t_f"].edges
    assert (edges.refused == "") is fits
    assert {spot.returned for spot in edges.spots} == ({ReturnPlace(Origin.CONSTANT, 4)} if fits else set())


@pytest.mark.parametrize("told", [False, True])
def test_where_assembly_pushes_without_a_word_no_frame_is_known(told: bool, tmp_path: Path) -> None:
    """Between a push that the unwinding table leaves out and its pop no branch is a site; where the table has it, one is."""
    inside = [
        "push rax",
        ".cfi_adjust_cfa_offset 8",
        "test edi, edi",
        "je 2f",
        "2:",
        "pop rax",
        ".cfi_adjust_cfa_offset -8",
    ]
    lines = [line for line in inside if told or not line.startswith(".cfi")]
    source = assembly("t_f", *_ENTER, "test esi, esi", "je 1f", *lines, "1:", *_LEAVE)
    code = analysed(tmp_path, source, language="assembler")["t_f"]
    assert code.rets.spots
    if told:
        assert {spot.displacement for spot in code.edges.spots} == {40, 48}
    else:
        assert code.edges.refused == "the frame is not known at the last branch before an end"


def test_behind_the_pop_of_assembly_the_frame_is_known_again(tmp_path: Path) -> None:
    """A push that the table leaves out spoils the function's other sites in no way, nor do two paths that agree."""
    inside = ("push rax", "test edi, edi", "je 2f", "pop rax", "jmp 3f", "2:", "pop rax", "3:", "cmp esi, 3", "je 1f")
    source = assembly("t_f", *_ENTER, "test esi, esi", "je 1f", *inside, "inc rax", "jmp 1f", "1:", *_LEAVE)
    spots = analysed(tmp_path, source, language="assembler")["t_f"].edges.spots
    assert [spot.displacement for spot in spots] == [40, 40, 40]


def test_an_entry_site_behind_an_untold_push_is_none(tmp_path: Path) -> None:
    """The entry block's instructions behind it have another frame than the table says."""
    source = assembly(
        "t_f", "mov rax, rdi", "push rbx", "push r12", "pop r12", "pop rbx", "test rax, rax", "je 1f", "1:", "ret"
    )
    entries = analysed(tmp_path, source, language="assembler")["t_f"].entries
    assert [spot.text.split()[0] for spot in entries] == ["mov", "push", "test", "je"]
