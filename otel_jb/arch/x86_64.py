# SPDX-License-Identifier: Apache-2.0
"""x86-64: decoding, and what Linux does with a probe on each instruction.

`arch/x86/kernel/uprobes.c`: `branch_setup_xol_ops` takes relative jumps, calls and nops, `push_setup_xol_ops` the pushes of one
register, both without the 66 prefix (which makes a relative branch one that is refused); all else is single-stepped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from otel_jb.arch.instruction import Flow, Instruction, Price

RETURN_REGISTER = 0
#: Hardware numbers of the integer argument registers 1 to 6: rdi, rsi, rdx, rcx, r8, r9.
ARGUMENTS = (7, 6, 2, 1, 8, 9)
#: The same in Go's calling convention (`src/cmd/compile/abi-internal.md`): rax, rbx, rcx, rdi, rsi, r8.
GO_ARGUMENTS = (0, 3, 1, 7, 6, 8)
STACK, FRAME = 4, 5
CALLER_SAVED = frozenset({0, 1, 2, 6, 7, 8, 9, 10, 11})

_HIGH = frozenset({"ah", "bh", "ch", "dh"})
_CONDITIONS = {
    name: number
    for number, names in enumerate(
        "jo/jno/jb jc jnae/jae jnb jnc/je jz/jne jnz/jbe jna/ja jnbe/js/jns/jp jpe/jnp jpo/"
        "jl jnge/jge jnl/jle jng/jg jnle".split("/")
    )
    for name in names.split()
}
_COUNTED = frozenset({"loop", "loope", "loopne", "jcxz", "jecxz", "jrcxz", "xbegin"})
_STOPS = frozenset({"ud2", "ud1", "ud0", "ud2b", "hlt", "int3"})
_SLOW = re.compile(
    r"^(rep\w*\s(?!ret)|(movs|stos|scas|cmps|lods)[bwdq]$|syscall|sysenter|int$|cpuid|pause|xsave|fxsave)"
)
_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\xf2\xf3")
_LEGACY_PREFIXES = _PREFIXES | {0x66, 0x67, 0xF0}
_REFUSED_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\xf0")
_LONG_NOPS = frozenset({b"\x0f\x1f\x00", b"\x0f\x1f\x40\x00", b"\x0f\x1f\x44\x00\x00"})
_NUMBERS = {
    **{name: number for number, name in enumerate("rax rcx rdx rbx rsp rbp rsi rdi".split())},
    **{name: number for number, name in enumerate("eax ecx edx ebx esp ebp esi edi".split())},
    **{name: number for number, name in enumerate("ax cx dx bx sp bp si di".split())},
    **{name: number for number, name in enumerate("al cl dl bl spl bpl sil dil".split())},
    **{name: number for number, name in enumerate("ah ch dh bh".split())},
    **{f"r{number}{width}": number for number in range(8, 16) for width in ("", "d", "w", "b")},
}


def register_number(name: str, *, wide: bool = False) -> int | None:
    """The hardware number of a general register whose low bits this name means; `wide`: all 64 of them."""
    known = _NUMBERS.get(name)
    return None if name in _HIGH or (wide and known is not None and not re.fullmatch(r"r(\w\w|[89])", name)) else known


@lru_cache(maxsize=2)
def _capstone(detail: bool) -> Any:
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = detail
    return engine


def decode(code: bytes, address: int) -> tuple[list[Instruction], int]:
    """(instructions, bytes that decoded); the second is less than `len(code)` where a byte is no instruction."""
    found: list[Instruction] = []
    done = 0
    for at, size, name, operands in _capstone(False).disasm_lite(code, address):
        start = at - address
        done = start + size
        instruction = _classify(at, size, name, operands, code, start)
        if code[start] in _LEGACY_PREFIXES and _is_refused(code, start):
            instruction = instruction._replace(price=Price.REFUSED)
        found.append(instruction)
    return found, done


def _classify(at: int, size: int, name: str, operands: str, code: bytes, start: int) -> Instruction:
    text = f"{name} {operands}" if operands else name
    word = name.rsplit(" ", 1)[-1]
    first = name[0]
    if first == "j" or word == "jmp":
        direct = operands.startswith("0x")
        if word == "jmp":
            if not direct:
                return Instruction(at, size, text, Flow.INDIRECT_JUMP)
            return Instruction(at, size, text, Flow.JUMP, int(operands, 16), None, _branch_price(code, start))
        condition = _CONDITIONS.get(word)
        if condition is not None and direct:
            return Instruction(at, size, text, Flow.BRANCH, int(operands, 16), condition, _branch_price(code, start))
    if word in _COUNTED:
        return Instruction(at, size, text, Flow.BRANCH, int(operands, 16) if operands.startswith("0x") else None)
    if word in ("call", "lcall"):
        if operands.startswith("0x"):
            return Instruction(at, size, text, Flow.CALL, int(operands, 16), None, _branch_price(code, start))
        return Instruction(at, size, text, Flow.INDIRECT_CALL)
    if word in ("ret", "retf", "retfq", "iretq", "iretd", "iret", "sysret"):
        return Instruction(at, size, text, Flow.RETURN)
    if name in _STOPS:
        return Instruction(at, size, text, Flow.STOP)
    if name == "ljmp":
        return Instruction(at, size, text, Flow.INDIRECT_JUMP)
    if name == "push":
        raw = code[start]
        plain = (size == 1 and 0x50 <= raw <= 0x57) or (size == 2 and raw == 0x41 and 0x50 <= code[start + 1] <= 0x57)
        return Instruction(at, size, text, price=Price.EMULATED if plain else Price.STEPPED)
    if word == "nop":
        raw_nop = code[start : start + size]
        if raw_nop in (b"\x90", b"\x66\x90"):
            return Instruction(at, size, text, price=Price.EMULATED, nop=True)
        price = Price.LONG_NOP if raw_nop in _LONG_NOPS else Price.STEPPED
        return Instruction(at, size, text, price=price, nop=True)
    return Instruction(at, size, text, slow=_SLOW.match(text) is not None)


def _is_refused(code: bytes, start: int) -> bool:
    """Whether the kernel takes no probe there for a prefix (`is_prefix_bad`): a segment other than fs and gs, as `notrack` is, or `lock`."""
    while code[start] in _LEGACY_PREFIXES:
        if code[start] in _REFUSED_PREFIXES:
            return True
        start += 1
    return False


def _branch_price(code: bytes, start: int) -> Price:
    """Relative branches are emulated, except with an operand-size prefix, where the kernel refuses the probe."""
    while code[start] in _PREFIXES or 0x40 <= code[start] <= 0x4F:
        start += 1
    return Price.REFUSED if code[start] == 0x66 else Price.EMULATED


def landing_pad(instruction: Instruction) -> bool:
    """Whether it only marks a target of indirect branches."""
    return instruction.text in ("endbr64", "endbr32")


_KEEPS_BELOW = re.compile(r"endbr|nop|(\w+ )*nop\b|push r\w+$|mov rbp, rsp$|(sub|and) rsp, -?(0x)?[0-9a-f]+$")


def keeps_below_stack_pointer(instruction: Instruction) -> bool:
    """Whether it surely puts nothing into the 128 bytes below the stack pointer that the ABI lets functions use (the red zone)."""
    return _KEEPS_BELOW.match(instruction.text) is not None


@lru_cache(maxsize=65536)
def writes(raw: bytes, address: int) -> frozenset[int]:
    """Hardware numbers of the general registers that an instruction may change."""
    instruction = next(_capstone(True).disasm(raw, address), None)
    if instruction is None:
        return frozenset(range(16))
    word = instruction.mnemonic.rsplit(" ", 1)[-1]
    if word in ("call", "lcall", "syscall", "cpuid"):
        return CALLER_SAVED
    _, written = instruction.regs_access()
    names = {instruction.reg_name(number) for number in written}
    return frozenset(_NUMBERS[name] for name in names if name in _NUMBERS)


class Operand(NamedTuple):
    """An operand. `number` is a register's hardware number, the constant itself, or the displacement of memory from its base."""

    kind: Literal["register", "constant", "memory", "other"]
    number: int = 0
    width: int = 8  #: bytes
    base: int | None = None  #: of memory: hardware number of the register that it is counted from
    scaled: int | None = None  #: of memory: of its index register
    plain: bool = True  #: a register's lowest bytes; memory at a base and a displacement alone


@lru_cache(maxsize=65536)
def operands(raw: bytes, address: int) -> tuple[str, tuple[Operand, ...]]:
    """Mnemonic and explicit operands of an instruction; ("", ()) where it does not decode."""
    instruction = next(_capstone(True).disasm(raw, address), None)
    if instruction is None:
        return "", ()
    return instruction.mnemonic, tuple(_operand(instruction, each) for each in instruction.operands)


def _operand(instruction: Any, operand: Any) -> Operand:
    import capstone.x86

    if operand.type == capstone.x86.X86_OP_IMM:
        return Operand("constant", operand.imm, operand.size)
    if operand.type == capstone.x86.X86_OP_REG:
        name = instruction.reg_name(operand.reg)
        if name not in _NUMBERS:
            return Operand("other", 0, operand.size)
        return Operand("register", _NUMBERS[name], operand.size, plain=name not in _HIGH)
    memory = operand.mem
    base = _NUMBERS.get(instruction.reg_name(memory.base) or "")
    index = _NUMBERS.get(instruction.reg_name(memory.index) or "")
    plain = base is not None and not memory.index and not memory.segment
    return Operand("memory", memory.disp, operand.size, base, index, plain)


_COPY = re.compile(r"mov(?:sxd)? (r\w+|e\w\w), (r\w+|e\w\w)$")


def copied_from(instruction: Instruction, register: int) -> int | None:
    """The register whose low 32 or all 64 bits the instruction copies into `register`; None if it does something else."""
    match = _COPY.match(instruction.text)
    if match is None or _NUMBERS.get(match[1]) != register or match[2] not in _NUMBERS:
        return None
    return _NUMBERS[match[2]]
