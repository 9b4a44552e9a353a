# SPDX-License-Identifier: Apache-2.0
"""Which samples of a thread mean that it was in a probe hit."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from otel_jb.arch.jumps import jump_target
from otel_jb.arch.machine import AARCH64, X86_64, Machine
from otel_jb.probes.read.hits import HitAddresses, Sample

PUSH = bytes.fromhex("55 4889e5 4157 4156 4155 4154 53 4883ec28")


def addresses() -> HitAddresses:
    """Series 1 has `push %rbp` at 0x1000, series 2 a `jmp` from 0x2000 to 0x2102."""
    found = HitAddresses(X86_64)
    found.add(1, 0x1000, PUSH)
    found.add(2, 0x2000, bytes.fromhex("e9fd000000") + b"\x90" * 11)
    return found


@pytest.mark.parametrize(
    ("address", "in_kernel", "series"),
    [
        (0x1000, True, 1),  # the program runs
        (0x1001, True, 1),  # the instruction is emulated already
        (0x1000, False, None),  # its own code, about to be trapped
        (0x2102, True, 2),
        (0x1010, True, None),  # a system call of some later instruction
        (0x3000, True, None),
        (0x3000, False, None),
    ],
)
def test_a_thread_in_the_kernel_at_a_probed_instruction_is_in_a_hit(
    address: int, in_kernel: bool, series: int | None
) -> None:
    """At it or at its successor; elsewhere it is in a system call or in its own code."""
    counted, unknown = addresses().count([Sample(address, in_kernel)])
    assert (dict(counted), unknown) == ({series: 1} if series is not None else {}, 0)


def test_the_way_out_of_a_trap_counts_but_never_for_more_than_the_rest() -> None:
    """What fell due on the way out is met at the successor, in user mode; so many more as are met there are the code's own work."""
    way_out = [Sample(0x1001, False)] * 3
    assert addresses().count(way_out)[0].total() == 0
    assert dict(addresses().count([Sample(0x1000, True)] * 5 + way_out)[0]) == {1: 8}
    assert dict(addresses().count([Sample(0x1000, True)] * 2 + way_out)[0]) == {1: 4}


def test_a_system_call_behind_a_probe_is_no_hit() -> None:
    """A wrapper of the C library: endbr64, mov $0xe8,%eax, syscall. A thread that sleeps in it stands behind the instruction."""
    found = HitAddresses(X86_64)
    found.add(1, 0x1000, bytes.fromhex("f30f1efa b8e8000000 0f05 483d00f0ffff"))
    sleeping, trapped = Sample(0x100B, True), Sample(0x1004, True)
    assert dict(found.count([sleeping] * 9 + [trapped])[0]) == {1: 1}


def test_the_kernels_own_code_in_a_process_is_a_hit_of_an_unknown_series() -> None:
    """A stepped instruction, or the trampoline of a return probe."""
    found = addresses()
    found.add_area(range(0x7000, 0x8000))
    counted, unknown = found.count([Sample(0x7000, True), Sample(0x7004, False), Sample(0x8000, True)])
    assert (counted.total(), unknown) == (0, 2)


X86_JUMPS = ("jmp", "jne", "jbe", "jg", "js", "call")
ARM_JUMPS = ("b {}", "bl {}", "b.eq {}", "b.lt {}", "cbz x3, {}", "cbnz w4, {}", "tbz x5, #33, {}", "tbnz w6, #2, {}")


@pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=lambda machine: machine.name)
def test_jumps_lead_where_the_disassembler_says(machine: Machine, tmp_path: Path) -> None:
    """Near and far, forward and back, of every kind that the kernel emulates; other instructions lead nowhere."""
    rng = random.Random(3)
    is_arm = machine is AARCH64
    lines = []
    for number in range(120):
        lines.append(f"l{number}:")
        kind = rng.choice(ARM_JUMPS) if is_arm else rng.choice(X86_JUMPS) + " {}"
        near = max(0, min(119, number + rng.randint(-6, 6)))
        lines.append(kind.format(f"l{near if rng.random() < 0.5 else rng.randrange(120)}"))
        lines += ["nop" if is_arm else rng.choice(["push %rbp", "nop", "mov %rsp,%rbp", "lea 8(%rax),%rdx"])] * 4
    source, built = tmp_path / "jumps.s", tmp_path / "jumps.o"
    source.write_text("\n".join(lines) + "\n")
    target = "aarch64-linux-gnu" if is_arm else "x86_64-linux-gnu"
    subprocess.run(["clang", f"--target={target}", "-c", "-o", built, source], check=True)
    listing = subprocess.run(["llvm-objdump", "-d", built], check=True, capture_output=True, text=True).stdout
    seen = 0
    for line in listing.splitlines():
        match = re.match(r"\s*([0-9a-f]+): ((?:[0-9a-f]{2} )+)\s*(\S+)\s*(.*)", line)
        if match is None:
            continue
        code = bytes.fromhex(match[2])
        leads = re.search(r"0x([0-9a-f]+) <", match[4])
        assert jump_target(machine, code, int(match[1], 16)) == (int(leads[1], 16) if leads else None), line
        seen += leads is not None
    assert seen == 120
