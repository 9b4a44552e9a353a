# SPDX-License-Identifier: Apache-2.0
"""Where a direct jump or call leads, from its bytes alone: no decoder, so that it may be asked of files that nobody trusts, and costs nothing."""

from __future__ import annotations

import struct

from otel_jb.arch.machine import AARCH64, Machine


def jump_target(machine: Machine, code: bytes, address: int) -> int | None:
    """Where the instruction at `address`, with which `code` begins, jumps or calls to; None if it is no direct jump or call.

    Of x86-64's, those that the kernel emulates (arch/x86/kernel/uprobes.c, branch_setup_xol_ops).
    """
    if machine is AARCH64:
        return _of_aarch64(int.from_bytes(code[:4], "little"), address) if len(code) >= 4 else None
    if code[:1] == b"\xeb" or (code and code[0] >> 4 == 7):  # jmp, jcc
        return address + 2 + struct.unpack_from("=b", code, 1)[0] if len(code) >= 2 else None
    near = 1 if code[:1] in (b"\xe8", b"\xe9") else 2 if code[:1] == b"\x0f" and code[1:2].hex()[:1] == "8" else 0
    if not near or len(code) < near + 4:
        return None
    return int(address + near + 4 + struct.unpack_from("=i", code, near)[0])


def _of_aarch64(word: int, address: int) -> int | None:
    if word & 0x7C000000 == 0x14000000:  # b, bl
        return address + _signed(word, 0, 26)
    if word & 0xFF000010 == 0x54000000 or word & 0x7E000000 == 0x34000000:  # b.cond; cbz, cbnz
        return address + _signed(word, 5, 19)
    if word & 0x7E000000 == 0x36000000:  # tbz, tbnz
        return address + _signed(word, 5, 14)
    return None


def _signed(word: int, at: int, bits: int) -> int:
    value = word >> at & (1 << bits) - 1
    return 4 * (value - (1 << bits) if value >> (bits - 1) else value)
