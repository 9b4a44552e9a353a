# SPDX-License-Identifier: Apache-2.0
"""Which files may run signal handlers on stacks of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.planner.process import signal_stacks as signal_stacks_of
from otel_jb.sandbox.signal_stacks import signal_stacks

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
