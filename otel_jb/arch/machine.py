# SPDX-License-Identifier: Apache-2.0
"""The two machines as numbers: what the kernel, the ABI and DWARF fix for each. Imports no decoder, so that it costs nothing to ask."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture. Register numbers are DWARF's."""

    name: str  #: as `uname -m` prints it
    elf_number: int  #: e_machine
    audit: int  #: AUDIT_ARCH_*, by which seccomp knows it
    system_calls: Mapping[str, int]  #: those that the C library has no function for
    stack_pointer: int
    frame_pointer: int
    return_address: int
    pushed: int  #: bytes of return address that a call pushes; the frame of a call lies so far below its CFA
    emulates_return: bool  #: the kernel simulates a probed `ret` instead of stepping it
    signs: bool  #: return addresses may be signed, in the bits that no user-space address has
    #: where the kernel's signal frame holds frame pointer, stack pointer, instruction pointer and, if there is one, link register,
    #: as seen from behind its return address (struct rt_sigframe)
    interrupted: tuple[int, ...]
    breakpoint: bytes  #: the instruction that the kernel puts where a probe is
    keeps_order: bool  #: loads are seen in their order, and stores behind them, without a barrier
    #: the vdso's code to which the kernel lets signal handlers return, if it is known by its instructions and not by a frame description
    signal_return: bytes = b""
    #: the nop in whose place the kernel (Linux 6.18) puts a call, where a probe is, and how that call begins
    replaced_nop: bytes = b""
    call: bytes = b""
    #: where struct pt_regs, as a probe's program sees it, holds the general registers by hardware number, and the instruction pointer
    saved_registers: tuple[int, ...] = ()
    saved_instruction_pointer: int = 0
    sampled_instruction_pointer: int = 0  #: its number among the registers of perf_event_open (asm/perf_regs.h)
    system_call: bytes = b""  #: the instruction
    undescribed_frame_pointers: bool = False  #: Go's functions keep a frame pointer and have no `.eh_frame`
    derives_frames: bool = (
        False  #: the analysis follows the stack pointer and what is on the stack through instructions
    )

    def ends_in_call(self, before: bytes) -> bool:
        """Whether the 7 bytes before an address can end in a call."""
        if self is AARCH64:
            word = int.from_bytes(before[-4:], "little")
            return word >> 26 == 0b100101 or word & 0xFFFFFC1F == 0xD63F0000  # bl, blr
        indirect = any(before[-size] == 0xFF and before[1 - size] >> 3 & 7 == 2 for size in (2, 3, 4, 6, 7))
        return before[-5] == 0xE8 or indirect  # call rel32, call r/m64


X86_64 = Machine(
    name="x86_64",
    elf_number=62,
    audit=0xC000003E,
    system_calls={"bpf": 321, "perf_event_open": 298, "membarrier": 324, "openat2": 437},
    stack_pointer=7,
    frame_pointer=6,
    return_address=16,
    pushed=8,
    emulates_return=False,
    signs=False,
    interrupted=(120, 160, 168),
    breakpoint=b"\xcc",
    keeps_order=True,
    undescribed_frame_pointers=True,
    derives_frames=True,
    replaced_nop=bytes.fromhex("0f1f440000"),
    call=b"\xe8",
    saved_registers=(80, 88, 96, 40, 152, 32, 104, 112, 72, 64, 56, 48, 24, 16, 8, 0),
    saved_instruction_pointer=128,
    sampled_instruction_pointer=8,
    system_call=b"\x0f\x05",
)
AARCH64 = Machine(
    name="aarch64",
    elf_number=183,
    audit=0xC00000B7,
    system_calls={"bpf": 280, "perf_event_open": 241, "membarrier": 283, "openat2": 437},
    stack_pointer=31,
    frame_pointer=29,
    return_address=30,
    pushed=0,
    emulates_return=True,
    signs=True,
    interrupted=(544, 560, 568, 552),
    breakpoint=bytes.fromhex("a00020d4"),
    keeps_order=False,
    signal_return=bytes.fromhex("681180d2 010000d4"),  # arch/arm64/kernel/vdso/sigreturn.S
    saved_registers=tuple(8 * number for number in range(32)),  # x0 to x30, then the stack pointer
    saved_instruction_pointer=256,
    sampled_instruction_pointer=32,
    system_call=bytes.fromhex("010000d4"),
)
MACHINES: Mapping[str, Machine] = {machine.name: machine for machine in (X86_64, AARCH64)}


def named(name: str) -> Machine:
    """The machine of this name. Raises UnsupportedError for any other than the two."""
    machine = MACHINES.get(name)
    if machine is None:
        raise UnsupportedError(
            f"this machine is {name}; otel-jb knows {' and '.join(MACHINES)}", "Run it on one of these."
        )
    return machine


def here() -> Machine:
    """The machine that this process runs on. Raises UnsupportedError."""
    return named(platform.machine())
