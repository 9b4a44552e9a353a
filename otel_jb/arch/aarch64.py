# SPDX-License-Identifier: Apache-2.0
"""AArch64: decoding, and what Linux does with a probe on each instruction.

`arch/arm64/kernel/probes/decode-insn.c` simulates direct branches, `br`, `blr`, `ret`, `adr`, `adrp` and loads of literals, single-steps
most others, and refuses branches with pointer authentication, exclusive loads and stores, and system instructions beyond hints.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from otel_jb.arch.instruction import Flow, Instruction, Price

RETURN_REGISTER = 0
ARGUMENTS = (0, 1, 2, 3, 4, 5)
GO_ARGUMENTS = ARGUMENTS  #: of Go's calling convention
STACK, FRAME = 31, 29
CALLER_SAVED = frozenset(range(19)) | {30}

_HINT = 0xD503201F  #: with the hint's number in bits 5 to 11
#: nop, and the hints that the kernel steps: pointer authentication of the return address, `bti`.
_LANDING_HINTS = frozenset({25, 27, 32, 34, 36, 38})  #: paciasp, pacibsp, bti, bti c, bti j, bti jc


@lru_cache(maxsize=2)
def _capstone(detail: bool) -> Any:
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    engine.detail = detail
    return engine


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value & 1 << (bits - 1) else value


def decode(code: bytes, address: int) -> tuple[list[Instruction], int]:
    """(instructions, bytes that decoded); the second is less than `len(code)` where a word is no instruction."""
    found: list[Instruction] = []
    done = 0
    for at, size, name, operands in _capstone(False).disasm_lite(code, address):
        start = at - address
        done = start + size
        word = int.from_bytes(code[start : start + 4], "little")
        found.append(_classify(at, word, f"{name} {operands}" if operands else name))
    return found, done


def _classify(at: int, word: int, text: str) -> Instruction:
    cheap = Price.EMULATED
    if word & 0x7C000000 == 0x14000000:  # b, bl
        target = at + _signed(word & 0x3FFFFFF, 26) * 4
        return Instruction(at, 4, text, Flow.CALL if word >> 31 else Flow.JUMP, target, None, cheap)
    if word & 0xFF000010 == 0x54000000:  # b.cond; `al` and `nv` always branch
        target = at + _signed(word >> 5 & 0x7FFFF, 19) * 4
        if word & 0xF >= 14:
            return Instruction(at, 4, text, Flow.JUMP, target, None, cheap)
        return Instruction(at, 4, text, Flow.BRANCH, target, word & 0xF, cheap)
    if word & 0x7E000000 == 0x34000000:  # cbz, cbnz
        return Instruction(at, 4, text, Flow.BRANCH, at + _signed(word >> 5 & 0x7FFFF, 19) * 4, None, cheap)
    if word & 0x7E000000 == 0x36000000:  # tbz, tbnz
        return Instruction(at, 4, text, Flow.BRANCH, at + _signed(word >> 5 & 0x3FFF, 14) * 4, None, cheap)
    if word & 0xFFFFFC1F == 0xD65F0000:
        return Instruction(at, 4, text, Flow.RETURN, price=cheap)
    if word & 0xFE000000 == 0xD6000000:  # branches to a register, with and without pointer authentication
        operation = word >> 21 & 0xF
        plain = word & 0xF800 == 0 and word & 0x1F == 0 and operation < 3
        price = cheap if plain else Price.REFUSED
        if operation in (0, 8):
            return Instruction(at, 4, text, Flow.INDIRECT_JUMP, price=price)
        if operation in (1, 9):
            return Instruction(at, 4, text, Flow.INDIRECT_CALL, price=price)
        return Instruction(at, 4, text, Flow.RETURN, price=price)
    if word & 0x1F000000 == 0x10000000:  # adr, adrp
        return Instruction(at, 4, text, price=cheap)
    if word & 0x3B000000 == 0x18000000 and not word & 0x04000000:  # load of a literal into a general register
        return Instruction(at, 4, text, price=cheap)
    if word & 0xFFE0001F == 0xD4200000 or word & 0xFFFF0000 == 0:  # brk, udf
        return Instruction(at, 4, text, Flow.STOP)
    if word & 0xFF000000 == 0xD4000000:
        return Instruction(at, 4, text, price=Price.REFUSED, slow=True)  # svc and the like
    if word & 0x3F000000 == 0x08000000:
        return Instruction(at, 4, text, price=Price.REFUSED)  # exclusive loads and stores
    if word & 0xFFFFF01F == _HINT:
        number = word >> 5 & 0x7F
        price = Price.STEPPED if number == 0 or number in _LANDING_HINTS else Price.REFUSED
        return Instruction(at, 4, text, price=price, nop=number == 0)
    if word & 0xFFC00000 == 0xD5000000:
        return Instruction(at, 4, text, price=Price.REFUSED)  # other system instructions
    return Instruction(at, 4, text)


def landing_pad(instruction: Instruction) -> bool:
    """Whether it only marks a target of indirect branches, or signs the return address at entry."""
    return instruction.text.split()[0] in ("bti", "paciasp", "pacibsp")


def keeps_below_stack_pointer(_: Instruction) -> bool:
    """The ABI lets no function use what lies below the stack pointer."""
    return True


@lru_cache(maxsize=65536)
def writes(raw: bytes, address: int) -> frozenset[int]:
    """Numbers of the general registers (31: the stack pointer) that an instruction may change."""
    instruction = next(_capstone(True).disasm(raw, address), None)
    if instruction is None:
        return frozenset(range(32))
    if instruction.mnemonic in ("bl", "blr", "svc"):
        return CALLER_SAVED
    _, written = instruction.regs_access()
    return frozenset(number for register in written if (number := _number(instruction.reg_name(register))) is not None)


def _number(name: str) -> int | None:
    if name in ("sp", "wsp"):
        return 31
    if name in ("fp", "lr"):
        return 29 if name == "fp" else 30
    return int(name[1:]) if name[:1] in ("x", "w") and name[1:].isdigit() else None


def copied_from(instruction: Instruction, register: int) -> int | None:
    """The register that the instruction copies into `register`; None if it does something else."""
    name, _, operands = instruction.text.partition(" ")
    parts = [part.strip() for part in operands.split(",")]
    if name != "mov" or len(parts) != 2 or _number(parts[0]) != register:
        return None
    return _number(parts[1])
