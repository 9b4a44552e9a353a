# SPDX-License-Identifier: Apache-2.0
"""Functions that tests write in C or assembly, built into a library and analysed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from otel_jb.code.facts import FunctionCode
from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find


def analysed(
    directory: Path, source: str, *flags: str, language: str = "c", thorough: bool = True
) -> dict[str, FunctionCode]:
    """The library's functions `t_*` by name."""
    path = directory / "library.so"
    command = ["gcc", "-shared", "-fPIC", "-w", "-Wl,-Bsymbolic", *flags, "-o", str(path), "-x", language, "-"]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)
    image = Image.from_file(path)
    found = find(image, ["t_*"])
    codes = analyse(image, [(s.address, s.size) for s in found], Names(image), thorough=thorough)
    return {symbol.name: code for symbol, code in zip(found, codes, strict=True)}


def assembly(name: str, *lines: str) -> str:
    """One global function with frame information."""
    body = "\n".join(f"  {line}" for line in lines)
    return (
        f".intel_syntax noprefix\n.text\n.globl {name}\n.type {name}, @function\n{name}:\n  .cfi_startproc\n"
        f'{body}\n  .cfi_endproc\n.size {name}, .-{name}\n.section .note.GNU-stack,"",@progbits\n'
    )
