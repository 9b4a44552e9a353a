# SPDX-License-Identifier: Apache-2.0
"""What a return probe would have below it: the closure over calls, and what makes it unsafe."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.code.body import Context, body_of
from otel_jb.code.facts import Reach
from otel_jb.code.sites import analyse
from otel_jb.code.stack_pointer import foreign_load
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find

Examine = Callable[..., Reach]


@pytest.fixture
def reach(tmp_path: Path) -> Examine:
    """Builds a library (and one behind it) and examines what its function `t_f` reaches."""

    def build(source: str, *flags: str, library: str = "", compiler: str = "gcc", language: str = "c") -> Reach:
        others = []
        if library:
            other = tmp_path / "libother.so"
            command = ["gcc", "-shared", "-fPIC", "-O2", "-w", "-o", str(other), "-x", "c", "-"]
            subprocess.run(command, input=library, text=True, check=True, capture_output=True)
            image = Image.from_file(other)
            others.append((image, Names(image)))
        path = tmp_path / "library.so"
        command = [compiler, "-shared", "-fPIC", "-w", "-Wl,-Bsymbolic", *flags, "-o", str(path), "-x", language, "-"]
        subprocess.run(command, input=source, text=True, check=True, capture_output=True)
        image = Image.from_file(path)
        found = [s for s in find(image, ["t_f"]) if s.name == "t_f"]
        (code,) = analyse(image, [(s.address, s.size) for s in found], Names(image), others, thorough=True)
        return Reach(True, "leaf") if code.leaf else code.reach

    return build


def asm_switch(body: str) -> str:
    """A C function that calls a hand-written stack switch."""
    return f"""
    __asm__(".intel_syntax noprefix\\n.globl jump\\n.type jump,@function\\njump:\\n.cfi_startproc\\n{body}\\nret\\n.cfi_endproc\\n"
            ".size jump,.-jump\\n.att_syntax\\n");
    void jump(void *, void *); int t_f(void **p) {{ jump(p[0], p[1]); return 3; }}
    """


def test_harmless_calls_are_safe(reach: Examine) -> None:
    """Vouched functions of libc and the file's own are followed to the end."""
    found = reach("#include <string.h>\nstatic __attribute__((noinline)) int h(char *p) { return strlen(p); }\n"
                  "int t_f(char *p) { memset(p, 0, 9); return h(p) + 1; }", "-O2")  # fmt: skip
    assert found.safe, found.reason


@pytest.mark.parametrize(
    "body",
    [
        "push rbp\\nmov [rdi], rsp\\nmov rsp, [rsi]\\npop rbp",
        "mov rax, rsp\\nmov [rdi], rax\\nmov rsp, rsi",
        "xchg rsp, rsi",
        "push rsi\\npop rsp",
        "mov rbp, rsi\\nmov rsp, rbp",
        "mov rbp, rsi\\nleave",
        "lea rsp, [rsi + 8]",
        "mov rbx, [rsi]\\nmov rsp, rbx",
        "add rsp, rsi",
    ],
)
def test_hand_written_switches_are_caught(reach: Examine, body: str) -> None:
    """Any load of the stack pointer from outside the frame is a stack switch."""
    found = reach(asm_switch(body), "-O2")
    assert not found.safe
    assert found.kills
    assert "loads the stack pointer" in found.reason
    assert "via jump" in found.reason


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-fno-omit-frame-pointer"), ("-Os",)])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_own_frames_are_no_switches(reach: Examine, compiler: str, flags: tuple[str, ...]) -> None:
    """Alloca and aligned locals move the stack pointer without being taken for a switch."""
    source = """
    #include <string.h>
    static __attribute__((noinline)) int h(int n) { char *p = __builtin_alloca(n); memset(p, n, n); return p[n / 2]; }
    static __attribute__((noinline)) int k(int n) {
      char b[64] __attribute__((aligned(64))); memset(b, n, sizeof b); return b[n & 63];
    }
    int t_f(int n) { return h(n & 255) + k(n); }
    """
    found = reach(source, *flags, compiler=compiler)
    assert found.safe, found.reason


@pytest.mark.parametrize(
    ("source", "reason", "kills"),
    [
        ("int swapcontext(void *, void *); int t_f(void *a) { swapcontext(a, a); return 1; }", "swapcontext", True),
        ("int st_cond_wait(void *); int t_f(void *a) { return st_cond_wait(a) + 1; }", "st_cond_wait", True),
        ("#include <setjmp.h>\nint t_f(jmp_buf *a) { longjmp(*a, 1); }", "longjmp", False),
        ("#include <pthread.h>\nint t_f(int a) { if (a) pthread_exit(0); return 1; }", "pthread_exit", False),
        ("int t_f(int (*g)(void)) { return g() + 1; }", "a call through a pointer", False),
        ("int unknown(void); int t_f(void) { return unknown() + 1; }", "in no file that was given", False),
        ("int t_f(int n) { return n ? t_f(n - 1) * n + t_f(n / 2) : 1; }", "it can call itself", False),
    ],
)  # fmt: skip
def test_hazards_are_named(reach: Examine, source: str, reason: str, kills: bool) -> None:
    """What forbids a return probe is named, and only what would kill the process is said to."""
    found = reach(source, "-O1")
    assert not found.safe
    assert reason in found.reason
    assert found.kills == kills


def test_calls_into_libraries_are_followed(reach: Examine) -> None:
    """A function behind the PLT is examined in its library: harmless there, safe here; a switch there, unsafe here."""
    source = "int far(int); int t_f(int n) { return far(n) + 1; }"
    assert reach(source, "-O2", library="int far(int n) { return n * 3; }").safe
    found = reach(
        source, "-O2", library="int swapcontext(void *, void *); int far(int n) { return swapcontext(0, 0); }"
    )
    assert not found.safe
    assert found.reason == "it reaches swapcontext via far, which switches stacks"


def test_calls_through_the_got_are_followed(reach: Examine) -> None:
    """-fno-plt calls through a cell whose function is known."""
    source = "int far(int); int t_f(int n) { return far(n) + 1; }"
    assert reach(source, "-O2", "-fno-plt", library="int far(int n) { return n * 3; }").safe


def test_a_throw_is_found(reach: Examine) -> None:
    """A C++ function that can throw, and one that uses operator new, are not shown safe."""
    thrown = reach('extern "C" int t_f(int n) { if (n > 3) throw n; return n; }', "-O2", compiler="g++", language="c++")
    assert (thrown.safe, thrown.kills) == (False, True)
    made = reach('extern "C" int *t_f(int n) { return new int(n); }', "-O0", compiler="g++", language="c++")
    assert (made.safe, "operator new" in made.reason) == (False, True)


def test_the_budget_bounds_the_search(reach: Examine) -> None:
    """What is larger than the budget is not shown safe."""
    chain = "\n".join(
        f"static __attribute__((noinline)) int f{n}(int a) {{ volatile int b = a; {'b = b * 3 + 1;' * 150} return b + f{n - 1}(b); }}"
        for n in range(1, 60)
    )
    found = reach(
        f"static __attribute__((noinline)) int f0(int a) {{ return a; }}\n{chain}\nint t_f(int a) {{ return f59(a) + 1; }}",
        "-O0",
    )
    assert not found.safe
    assert "more than 20000 instructions" in found.reason


def test_a_lock_that_the_program_replaced_is_looked_into(reach: Examine) -> None:
    """Coroutine libraries put locks that yield in place of the C library's: the name alone vouches for nothing then."""
    source = "int pthread_mutex_lock(void *); int t_f(void *m) { pthread_mutex_lock(m); return 1; }"
    switching = "int swapcontext(void *, void *); int pthread_mutex_lock(void *m) { swapcontext(m, m); return 0; }"
    assert reach(source).safe
    found = reach(source, library=switching)
    assert not found.safe
    assert found.kills
    assert "swapcontext via pthread_mutex_lock" in found.reason


@pytest.mark.parametrize(
    "body",
    [
        "mov rax, rsp\\nsub rsp, 64\\nmov [rsp + 8], rax\\ncall [rdi]\\nmov rsp, [rsp + 8]",
        "push rbp\\nmov rbp, rsp\\nmov rax, rsp\\nmov [rbp - 16], rax\\nsub rsp, rsi\\nmov rsp, [rbp - 16]\\nleave",
        "push rbx\\nmov rbx, rsp\\ntest rdi, rdi\\nje 1f\\nsub rsp, rsi\\njmp 2f\\n1: sub rsp, 16\\n2: mov rsp, rbx\\npop rbx",
        "push r13\\nlea r13, [rsp + 16]\\nand rsp, -32\\nlea rsp, [r13 - 16]\\npop r13",
    ],
)
def test_what_a_function_kept_of_its_own_stack_pointer_is_no_switch(tmp_path: Path, body: str) -> None:
    """Values that come back from registers and from words of the frame are followed to where they were made."""
    assert foreign(tmp_path, body) is None


@pytest.mark.parametrize(
    "body",
    [
        "mov rax, rsp\\nsub rsp, 64\\nmov [rsp + 8], rax\\npush rdi\\nmov rsp, [rsp + 8]",  # another word by then
        "push rbp\\nmov rbp, rsp\\nmov [rbp - 16], rsi\\nmov rsp, [rbp - 16]\\nleave",
        "push rbp\\nmov rbp, rsp\\nmov [rbp - 16], rsp\\nlea rax, [rbp - 16]\\nmov [rax], rsi\\nmov rsp, [rbp - 16]\\nleave",
        "push rbx\\nmov rbx, rsp\\ntest rdi, rdi\\nje 1f\\nmov rbx, rsi\\n1: mov rsp, rbx\\npop rbx",
        "mov rax, rsp\\n1: mov rsp, rax\\nmov rax, [rdi]\\ndec rsi\\njne 1b",
        "mov r9, rsp\\ncall [rdi]\\nmov rsp, r9",
    ],
)
def test_a_value_that_may_come_from_elsewhere_on_some_path_is_a_switch(tmp_path: Path, body: str) -> None:
    """One path on which it was made of something else is enough."""
    assert foreign(tmp_path, body) is not None


def foreign(tmp_path: Path, body: str) -> str | None:
    """What the function does that a stack switch does, its assembly being given; None: nothing."""
    path = tmp_path / "library.so"
    lines = body.replace("\\n", "\n")
    source = f".intel_syntax noprefix\n.globl t_f\n.type t_f,@function\nt_f:\n.cfi_startproc\n{lines}\nret\n.cfi_endproc\n.size t_f,.-t_f\n"
    command = ["gcc", "-shared", "-o", str(path), "-x", "assembler", "-"]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)
    image = Image.from_file(path)
    (symbol,) = find(image, ["t_f"])
    found = foreign_load(body_of(Context.of(image, Names(image)), symbol.address, symbol.size))
    return found.text if found is not None else None
