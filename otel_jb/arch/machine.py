# SPDX-License-Identifier: Apache-2.0
"""The two machines as numbers: what the kernel, the ABI and DWARF fix for each. Imports no decoder, so that it costs nothing to ask."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

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


X86_64 = Machine(
    name="x86_64",
    elf_number=62,
    audit=0xC000003E,
    system_calls={"bpf": 321, "perf_event_open": 298, "membarrier": 324},
    stack_pointer=7,
    frame_pointer=6,
    return_address=16,
    pushed=8,
    emulates_return=False,
    signs=False,
    interrupted=(120, 160, 168),
)
AARCH64 = Machine(
    name="aarch64",
    elf_number=183,
    audit=0xC00000B7,
    system_calls={"bpf": 280, "perf_event_open": 241, "membarrier": 283},
    stack_pointer=31,
    frame_pointer=29,
    return_address=30,
    pushed=0,
    emulates_return=True,
    signs=True,
    interrupted=(544, 560, 568, 552),
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
