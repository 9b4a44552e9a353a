# SPDX-License-Identifier: Apache-2.0
"""The kernel's floor: an empty entry program and an empty return program on one function."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.probes.attach import links
from otel_jb.probes.programs.bcc_module import load
from otel_jb.probes.programs.source import bpf_directory

_SOURCE = """
#include <uapi/linux/ptrace.h>
int empty_entry(struct pt_regs *ctx) { return 0; }
int empty_return(struct pt_regs *ctx) { return 0; }
"""
ENDBR = 4


class Floor:
    """Empty programs, loaded for perf events and for multi links."""

    def __init__(self) -> None:
        os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
        bcc = load()
        self._module = bcc.BPF(text=_SOURCE, cflags=["-w"])
        self._programs = {}
        for kind, attach_type in (("perf", -1), ("multi", 48)):
            self._module.funcs.clear()
            self._programs[kind] = [
                self._module.load_func(name, bcc.BPF.KPROBE, attach_type=attach_type).fd
                for name in ("empty_entry", "empty_return")
            ]

    @contextmanager
    def attach(self, path: Path, function: str, pid: int, kind: str, *, returns: bool = True) -> Iterator[None]:
        """Attach to the function's cheapest start: past `endbr64`, as nobody but this project does; `returns`: with a return probe."""
        image = Image.from_file(str(path))
        symbol = next(s for s in find(image, [function]) if s.name == function)
        start = symbol.address + (ENDBR if image.read(symbol.address, 4) == b"\xf3\x0f\x1e\xfa" else 0)
        offset = image.offset(start)
        entry, back = self._programs[kind]
        opened = links.attach(kind, entry, str(path), [links.Point(offset, 0)], pid)
        if returns:
            opened += links.attach(kind, back, str(path), [links.Point(offset, 0, is_return=True)], pid)
        try:
            yield
        finally:
            links.close(opened)

    @contextmanager
    def points(self, places: Sequence[tuple[str, bool, int]], pid: int) -> Iterator[None]:
        """Attach to these places of one process, (file, whether it is a return probe, offset)."""
        entry, back = self._programs["multi"]
        opened = []
        try:
            for (file, is_return), group in groupby(places, key=lambda place: place[:2]):
                points = [links.Point(offset, 0, is_return=is_return) for _, _, offset in group]
                opened += links.attach("multi", back if is_return else entry, file, points, pid)
            yield
        finally:
            links.close(opened)

    def close(self) -> None:
        """Free the programs."""
        self._module.cleanup()
