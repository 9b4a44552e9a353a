# SPDX-License-Identifier: Apache-2.0
"""A few instructions on which the agent measures what a probe hit costs: `int put(long n)`, which calls a function f n times.

f is an instruction that the kernel emulates, a branch that it emulates, one that it steps, and a return.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from otel_jb.arch.machine import AARCH64, X86_64, here
from otel_jb.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Specimen:
    """The machine code, which begins with `put`, and offsets into it."""

    code: bytes
    entry: int  #: of f
    branch: int  #: f's emulated branch before its end
    stepped: int  #: f's instruction that is single-stepped
    displacement: int  #: bytes from the stack pointer to f's frame at the last two


_OF: Mapping[str, Specimen] = {
    X86_64.name: Specimen(
        bytes.fromhex(
            "53"  # push %rbx
            "4889fb"  # mov %rdi,%rbx
            "e808000000"  # call f (at 17)
            "48ffcb"  # dec %rbx
            "75f6"  # jne to the call
            "5b"  # pop %rbx
            "c3"  # ret
            "90"
            "55"  # f: push %rbp
            "eb00"  # jmp to the next instruction
            "5d"  # pop %rbp
            "c3"  # ret
        ),
        entry=17,
        branch=18,
        stepped=20,
        displacement=8,
    ),
    AARCH64.name: Specimen(
        struct.pack(
            "<13I",
            0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
            0xF9000BF3,  # str x19, [sp, #16]
            0xAA0003F3,  # mov x19, x0
            0x94000006,  # bl f (at 36)
            0xF1000673,  # subs x19, x19, #1
            0x54FFFFC1,  # b.ne to the bl
            0xF9400BF3,  # ldr x19, [sp, #16]
            0xA8C27BFD,  # ldp x29, x30, [sp], #32
            0xD65F03C0,  # ret
            0x14000001,  # f: b to the next instruction
            0x14000001,  # b to the next instruction
            0xAA0003E0,  # mov x0, x0
            0xD65F03C0,  # ret
        ),
        entry=36,
        branch=40,
        stepped=44,
        displacement=0,
    ),
}


def specimen() -> Specimen:
    """That of the machine that this process runs on. Raises UnsupportedError."""
    return _OF[here().name]
