"""What whole files, and a process of them, can do to stacks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.planner.process import ProcessFacts, by_names, vouched_of, with_code
from otel_jb.planner.process import signal_stacks as signal_stacks_of
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.whole_file import NameEvidence, code_evidence, code_of, name_evidence, names_of, signal_stacks

Build = Callable[..., Path]
ANY = ProcessFacts()
SWITCH = """
    .globl jump
    jump: mov %rsp, (%rdi)
    mov (%rsi), %rsp
    ret
"""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a library from C, or from assembly."""

    def make(source: str, *flags: str, language: str = "c", name: str = "libx.so") -> Path:
        path = tmp_path / name
        command = ["gcc", "-shared", "-fPIC", "-w", *flags, "-o", str(path), "-x", language, "-"]
        subprocess.run(command, input=source, text=True, check=True, capture_output=True)
        return path

    return make


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as made:
        yield made


def evidence(path: Path) -> NameEvidence:
    return name_evidence(Image.from_file(path))


@pytest.mark.parametrize(
    ("source", "field", "name"),
    [
        ("int swapcontext(void *, void *); int f(void *a) { return swapcontext(a, a); }", "switches", "swapcontext"),
        ("int st_usleep(long); int f(void) { return st_usleep(1); }", "switches", "st_usleep"),
        ("int co_resume(int a) { return a; }", "switches", "co_resume"),
        ("void pthread_exit(void *); void f(void) { pthread_exit(0); }", "throws", "pthread_exit"),
        (
            "void __cxa_throw(void *, void *, void *); void f(void *a) { __cxa_throw(a, a, a); }",
            "throws",
            "__cxa_throw",
        ),
        ("int ASYNC_start_job(void); int f(void) { return ASYNC_start_job(); }", "takes_back", "ASYNC_start_job"),
    ],
)
def test_functions_are_found_by_their_names(build: Build, source: str, field: str, name: str) -> None:
    """What switches stacks, throws or ends threads is told, imported or the file's own."""
    assert getattr(evidence(build(source)), field) == (name,)


def test_a_plain_library_has_nothing(build: Build) -> None:
    """Other names are nothing, nor are data and parts of names."""
    found = evidence(build("int my_swapcontext; int test_foo(int a) { return a; } int st_utime(int a) { return a; }"))
    assert (found.switches, found.throws, found.takes_back, found.loads) == ((), (), (), False)
    assert found.name == "libx.so"
    assert found.code_bytes > 0


def test_what_can_load_libraries_is_told(build: Build) -> None:
    """An import of dlopen."""
    assert evidence(build("void *dlopen(char *, int); void *f(char *a) { return dlopen(a, 1); }")).loads


def test_alternate_signal_stacks_are_told_but_not_those_of_rust(build: Build) -> None:
    """Rust's standard library imports sigaltstack too, for a handler that prints one line."""
    source = "int sigaltstack(void *, void *); int f(void *a) { return sigaltstack(a, 0); }"
    assert signal_stacks(Image.from_file(build(source))) == "sigaltstack"
    rust = source + ' const char *text(void) { return "thread main has overflowed its stack"; }'
    assert signal_stacks(Image.from_file(build(rust))) == ""
    assert signal_stacks_of([("libx.so", "sigaltstack")]) == "libx.so uses sigaltstack"
    assert signal_stacks_of([("python3.11", "sigaltstack"), ("libpython3.12.so.1.0", "sigaltstack")]) == ""


@pytest.mark.parametrize("described", [True, False], ids=["with an unwinding entry", "without"])
def test_a_hand_written_switch_is_found_in_any_code(build: Build, described: bool) -> None:
    """Wherever it stands, behind other functions and with or without `.eh_frame`, and in whatever piece it is read."""
    body = (
        SWITCH.replace("jump: ", "jump: .cfi_startproc\n").replace("ret\n", "ret\n.cfi_endproc\n")
        if described
        else SWITCH
    )
    plain = "\n".join(
        f"int f{n}(int a) {{ volatile char b[64]; b[a & 63] = a; return b[{n} & 63]; }}" for n in range(40)
    )
    switch = '__asm__(".text\\n' + body.replace("\n", "\\n") + '");'
    path = build(f"{plain}\n{switch}", "-O2", "-fno-toplevel-reorder")
    whole, following = code_evidence(Image.from_file(path), 0, 1 << 20)
    assert "mov rsp, qword ptr [rsi]" in whole
    assert following == 0
    found, at, steps = "", 0, 0
    while not found and (at or not steps):
        found, at = code_evidence(Image.from_file(path), at, 100)
        steps += 1
    assert found == whole
    assert steps > 1


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-fno-omit-frame-pointer"), ("-Os",)])
def test_compiled_code_is_no_switch(build: Build, flags: tuple[str, ...]) -> None:
    """Frames, variable-length arrays and aligned locals are the compiler's own."""
    source = """
    #include <string.h>
    int f(int n) { char p[n]; memset(p, n, n); return p[n / 2]; }
    int g(int n) { for (int i = 0; i < n; i++) { char p[i + 1]; memset(p, i, i); n -= p[0]; } return n; }
    int k(int n) { char b[64] __attribute__((aligned(64))); memset(b, n, sizeof b); return b[n & 63]; }
    """
    assert code_evidence(Image.from_file(build(source, *flags)), 0, 1 << 20) == ("", 0)


def test_bytes_that_are_no_code_are_not_vouched_for(build: Build) -> None:
    """Where a function does not decode nobody knows what it does; padding of zeros is nothing."""
    bad = ".globl f\nf: .cfi_startproc\nnop\n.byte 0x06, 0x07\nret\n.cfi_endproc\n"
    found, _ = code_evidence(Image.from_file(build(bad, "-nostdlib", language="assembler")), 0, 1 << 20)
    assert "no instruction" in found
    padded = ".globl f\nf: .cfi_startproc\nret\n.cfi_endproc\n.fill 7, 1, 0\n"
    assert code_evidence(Image.from_file(build(padded, "-nostdlib", language="assembler")), 0, 1 << 20) == ("", 0)


def test_files_are_read_in_the_sandbox(build: Build, inspector: Inspector, tmp_path: Path) -> None:
    """Names of many files by one request, code piece by piece; a file that is none of the kind is None."""
    other = tmp_path / "nonsense"
    other.write_bytes(b"\x7fELF and no more")
    paths = [build("int f(int a) { return a; }"), other, build(SWITCH, language="assembler", name="liby.so")]
    files = [(os.open(path, os.O_RDONLY), str(path)) for path in paths]
    try:
        first, none, last = names_of(inspector, files)
        assert first is not None
        assert first.name == "libx.so"
        assert none is None
        assert last is not None
        assert code_of(inspector, *files[0], lambda: True) == ""
        assert "mov rsp" in (code_of(inspector, *files[2], lambda: True) or "")
        assert code_of(inspector, *files[2], lambda: False) is None
    finally:
        for descriptor, _ in files:
            os.close(descriptor)


LIBC = NameEvidence("libc.so.6", ("swapcontext",), ("pthread_exit",), loads=True)
SSL = NameEvidence("libssl.so.3", takes_back=("ASYNC_start_job",))
CRYPTO = NameEvidence("libcrypto.so.3", ("makecontext",), loads=True)
PLAIN = NameEvidence("server")


def test_a_process_of_plain_files_depends_on_their_code() -> None:
    """Names alone show nothing to be impossible but what only names can do."""
    facts = by_names(ANY, [LIBC, SSL, CRYPTO, PLAIN])
    assert (facts.switches, facts.throws, facts.loads) == (None, "", "")
    assert not facts.closed
    assert with_code(facts, {"server": ""}).closed
    spoiled = with_code(facts, {"server": "", "libz.so.1": "code that loads the stack pointer"})
    assert spoiled.switches == "libz.so.1 has code that loads the stack pointer"


@pytest.mark.parametrize(
    ("files", "unnamed", "reason"),
    [
        ([LIBC, NameEvidence("libco.so", ("co_resume",))], False, "libco.so uses co_resume"),
        ([LIBC, None], False, "cannot be read"),
        ([LIBC], True, "in no file"),
        (
            [CRYPTO, SSL, NameEvidence("server", takes_back=("SSL_waiting_for_async",))],
            False,
            "libcrypto.so.3 uses makecontext",
        ),
    ],
)
def test_one_file_is_enough(files: list[NameEvidence | None], unnamed: bool, reason: str) -> None:
    """A name, a file that cannot be read, code that is of no file, and whoever asks for what was vouched for."""
    facts = by_names(ANY, files, unnamed_code=unnamed)
    assert reason in (facts.switches or "")
    assert with_code(facts, {}) == facts


def test_a_word_for_a_file_is_taken_back_by_who_uses_it() -> None:
    """GLib ends threads for those who ask it to; libssl's own use of libcrypto's jobs is none."""
    glib = NameEvidence("libglib-2.0.so.0", throws=("pthread_exit",))
    assert by_names(ANY, [glib, PLAIN]).throws == ""
    asking = NameEvidence("server", takes_back=("g_thread_exit",))
    assert "pthread_exit" in (by_names(ANY, [glib, asking]).throws or "")
    assert "switches" in vouched_of(CRYPTO, [CRYPTO, SSL])
    assert vouched_of(PLAIN, [PLAIN]) == frozenset()


def test_who_can_load_libraries_is_named() -> None:
    """The system's own libraries do not count, others do."""
    assert by_names(ANY, [LIBC, PLAIN]).loads == ""
    assert by_names(ANY, [LIBC, NameEvidence("server", loads=True)]).loads == "server can load libraries"
