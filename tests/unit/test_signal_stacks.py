# SPDX-License-Identifier: Apache-2.0
"""Which files may run signal handlers on stacks of their own, and which may switch stacks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.planner.process import signal_stacks as signal_stacks_of
from otel_jb.sandbox.signal_stacks import signal_stacks, stack_switches

Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a library from C."""

    def make(source: str, *flags: str, name: str = "libx.so") -> Path:
        path = tmp_path / name
        command = ["gcc", "-shared", "-fPIC", "-w", *flags, "-o", str(path), "-x", "c", "-"]
        subprocess.run(command, input=source, text=True, check=True, capture_output=True)
        return path

    return make


def test_alternate_signal_stacks_are_told_but_not_those_of_rust(build: Build) -> None:
    """Rust's standard library imports sigaltstack too, for a handler that prints one line."""
    source = "int sigaltstack(void *, void *); int f(void *a) { return sigaltstack(a, 0); }"
    assert signal_stacks(Image.from_file(build(source))) == "sigaltstack"
    rust = source + ' const char *text(void) { return "thread main has overflowed its stack"; }'
    assert signal_stacks(Image.from_file(build(rust))) == ""
    assert signal_stacks_of([("libx.so", "sigaltstack")]) == "libx.so uses sigaltstack"
    assert signal_stacks_of([("python3.11", "sigaltstack"), ("libpython3.12.so.1.0", "sigaltstack")]) == ""


def test_a_file_that_may_switch_stacks_is_told(build: Build) -> None:
    """By what it imports, or has itself; the C library, whose functions others use, and an alternate signal stack do not count."""
    swap = "int swapcontext(void *, void *); int f(void *a, void *b) { return swapcontext(a, b); }"
    assert stack_switches(Image.from_file(build(swap))) == "swapcontext"
    own = "int swap_ctx_now(void) { return 1; }"
    assert stack_switches(Image.from_file(build(own))) == "swap_ctx_now"
    assert stack_switches(Image.from_file(build(own, "-fvisibility=hidden", "-s"))) == ""
    plain = "int sigaltstack(void *, void *); int unswap_ctx_now(void *a) { return sigaltstack(a, 0); }"
    assert stack_switches(Image.from_file(build(plain))) == ""
    assert stack_switches(Image.from_file(build(swap, "-Wl,-soname,libc.so.6"))) == ""
