"""Whether code loads the stack pointer from elsewhere: what every stack switch must do, hand-written or not (x86-64).

Compilers move the stack pointer by constants, align it, lower it by a variable (alloca), and restore it from a register that
they set from it before: the frame pointer, or the one that keeps it over a variable-length array. All else is a switch until
shown otherwise.
"""

from __future__ import annotations

import re

from otel_jb.elf.body import Body
from otel_jb.elf.instructions import Flow, Instruction

_FRAME_SETUP = re.compile(
    r"(sub|add|and) rsp, -?(0x)?[0-9a-f]+$|sub rsp, r\w+$|lea rsp, \[rsp [+-] (0x)?[0-9a-f]+\]$|or rsp, 0$"
)
_RESTORE = re.compile(r"mov rsp, (r\w+)$|lea rsp, \[(r\w+)(?: [+-] (?:0x)?[0-9a-f]+)?\]$")
_WRITES_STACK_POINTER = re.compile(
    r"\w+ (rsp|esp|sp|spl)(,|$)|xchg .*\b[er]?sp\b|xadd .*, [er]sp\b|enter\b|(lss|iret|sysret)"
)
_HARMLESS = re.compile(r"(cmp|test|push|bt|ucomis\w|nop|call|jmp) ")


def foreign_load(body: Body) -> Instruction | None:
    """The first instruction that loads the stack pointer from outside the function's own frame; None if there is none."""
    restored: list[tuple[Instruction, str]] = []
    for instruction in body.instructions:
        text = instruction.text
        if text == "leave":
            restored.append((instruction, "rbp"))
            continue
        if "sp" not in text and text != "enter":
            if text.startswith(("enter", "iret", "sysret", "lss")):
                return instruction
            continue
        if _HARMLESS.match(text) or not _WRITES_STACK_POINTER.match(text) or _FRAME_SETUP.match(text):
            continue
        match = _RESTORE.match(text)
        if match is None:
            return instruction
        restored.append((instruction, match[1] or match[2]))
    for instruction, register in restored:
        if not _lowered_here(body, instruction, register) and not _kept_from_stack_pointer(body, instruction, register):
            return instruction
    return None


def _lowered_here(body: Body, restore: Instruction, register: str) -> bool:
    """Whether the register was just made by lowering the stack pointer: how clang makes room for alloca."""
    position = body.index[restore.address] - 1
    number = _number(register)
    for here in range(position, max(-1, position - 16), -1):
        instruction = body.instructions[here]
        if instruction.flow is not Flow.NEXT or body.came_from[here + 1]:
            return False
        text = instruction.text
        if text == f"mov {register}, rsp":
            return True
        if text.startswith((f"sub {register}, ", f"and {register}, -")):
            continue
        if text.startswith(f"and {register}, 0xfffffff") or number not in body.writes(instruction):
            continue
        return False
    return False


def _kept_from_stack_pointer(body: Body, restore: Instruction, register: str) -> bool:
    """Whether the register can hold only what the function itself took from its stack pointer, when it is put back."""
    row = body.row(restore.address)
    if register == "r10" and body.described:
        # A realigned frame: r10 keeps the caller's stack pointer; behind the restore the CFA is the entry's again.
        after = body.row(restore.end)
        return after is not None and (after.register, after.offset) == body.context.entry_rule()
    if register == "rbp" and (row is None or row.register not in (6, None)):
        return False
    number = _number(register)
    taken = False
    for instruction in body.instructions:
        text = instruction.text
        if text.startswith((f"mov {register}, rsp", f"lea {register}, [rsp")):
            taken = True
            continue
        if text in (f"pop {register}", "leave") or instruction.flow is not Flow.NEXT:
            continue  # the caller's value back, just before the return; callees keep these registers
        if f" {register}" in text and number in body.writes(instruction):
            return False
    return taken and register in ("rbp", "rbx", "r12", "r13", "r14", "r15")


def _number(register: str) -> int:
    from otel_jb.elf.known import register_number

    return register_number("x86_64", register)
