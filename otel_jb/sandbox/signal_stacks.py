# SPDX-License-Identifier: Apache-2.0
"""What a file may do that its functions do not show, by the names that it imports: run signal handlers on stacks of their own, switch stacks, load libraries."""

from __future__ import annotations

import re

from otel_jb.code import known
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import tables

_NAME = "sigaltstack"
#: `mov eax, 131; syscall`: sigaltstack without the C library
_RAW = bytes.fromhex("b8830000000f05")
#: What Rust's standard library says when a thread's stack overflows: its handler, on a stack of its own, does that and no more. Newer and
#: older ones keep different parts of it in one piece.
_RUST = (b"has overflowed its stack", b"failed to allocate an alternative stack")


_LOADS = re.compile(rb"\0(dlopen|dlmopen|android_dlopen_ext)\0")
#: A name by which stacks are switched, in a table of strings. `sigaltstack` switches none by itself.
_SWITCHES = re.compile(rb"\0(?!sigaltstack[\0@])(" + known.SWITCHES.encode() + rb")(?=[\0@])")
_OF_EVERYBODY = (
    "libc.so",
    "ld-linux",
    "libpthread",
    "libgcc_s",
)  #: have such functions, and leave it to others to use them


def loads(image: Image) -> bool:
    """Whether a file can load further libraries."""
    return any(_LOADS.search(table.strings) for table in tables(image))


def signal_stacks(image: Image) -> str:
    """The means by which a file may run signal handlers on alternate stacks; "" if it has none."""
    if any(_NAME.encode() + b"\0" in table.strings for table in tables(image)):
        return "" if any(image.holds(text, ".rodata") for text in _RUST) else _NAME
    return f"the system call {_NAME}" if not image.needed and image.holds(_RAW) else ""


def stack_switches(image: Image) -> str:
    """A function by which a file may switch stacks, its own or another's; "" if it has none, or is the C library."""
    if (image.soname or "").startswith(_OF_EVERYBODY):
        return ""
    found = next(filter(None, (_SWITCHES.search(table.strings) for table in tables(image))), None)
    return found[1].decode("ascii", "replace") if found else ""
