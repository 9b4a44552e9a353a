# SPDX-License-Identifier: Apache-2.0
"""Detects code that loads the stack pointer from elsewhere, as every stack switch must, hand-written or not (x86-64).

Compilers move the stack pointer by constants, align it, lower it by a variable (alloca), and put back what they took from it before: from the
frame pointer, from a register, or from a word of the frame where it was kept over a variable-length array. A load is
followed back along every path to where its value was made; what is not found to be the function's own is a switch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from otel_jb.arch.instruction import Flow, Instruction
from otel_jb.code.body import Body, UndecodableError, body_of
from otel_jb.code.known import register_number

_FRAME_SETUP = re.compile(
    r"(sub|add|and) rsp, -?(0x)?[0-9a-f]+$|sub rsp, r\w+$|lea rsp, \[rsp [+-] (0x)?[0-9a-f]+\]$|or rsp, 0$"
)
_WRITES_STACK_POINTER = re.compile(
    r"\w+ (rsp|esp|sp|spl)(,|$)|xchg .*\b[er]?sp\b|xadd .*, [er]sp\b|(lock )?(xadd|cmpxchg) .*|enter\b|(lss|iret|sysret)"
)
_HARMLESS = re.compile(r"(cmp|test|push|bt|ucomis\w|nop|call|jmp) ")
_FROM_REGISTER = re.compile(r"mov rsp, (r\w+)$|lea rsp, \[(r\w+)(?: [+-] (?:0x)?[0-9a-f]+)?\]$")
_FROM_FRAME = re.compile(r"mov rsp, qword ptr \[(rbp - (?:0x)?[0-9a-f]+|rsp(?: \+ (?:0x)?[0-9a-f]+)?)\]$")
_STORE = re.compile(r"mov qword ptr \[[^]]+\], (r\w+)$")
_MOVES = re.compile(r"(push|pop)\b|leave$|enter\b|\w+ rsp, |xchg .*rsp")
_LOWERED = re.compile(r"(sub|and|add) (r\w+), ")
_WORDS = ("rbp -", "rsp")  #: how words of the frame are named here
_DWARF = {name: n for n, name in enumerate("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split())}
#: registers that calls keep, with a part of all their names
_KEPT = {"rbp": "bp", "rbx": "bx", "r12": "r12", "r13": "r13", "r14": "r14", "r15": "r15"}


def moves_stack_pointer(text: str) -> bool:
    """Whether an instruction may write the stack pointer otherwise than a frame's own set-up does; `leave` is not meant."""
    if "sp" not in text:
        return text.startswith(("enter", "iret", "sysret", "lss"))
    if _HARMLESS.match(text) or not _WRITES_STACK_POINTER.match(text):
        return False
    if text.startswith(("lock ", "xadd", "cmpxchg", "xchg")):
        return re.search(r"(^\w+ |, |^lock \w+ )[er]?sp\b", text) is not None
    return _FRAME_SETUP.match(text) is None


def foreign_load(body: Body) -> Instruction | None:
    """The first instruction that loads the stack pointer from outside the function's own frame; None if there is none."""
    origins = _Origins(body)
    for position, instruction in enumerate(body.instructions):
        text = instruction.text
        if text != "leave" and not moves_stack_pointer(text):
            continue
        if not origins.own_source(position, text):
            return instruction
    return None


class _Origins:
    """Where the values of registers and frame words of one function come from."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._known: dict[tuple[int, str], bool] = {}
        self._calls: list[int] | None = None

    def own_source(self, position: int, text: str) -> bool:
        """Whether what this instruction puts into the stack pointer was taken from it before, on every path."""
        if text == "leave":
            return self._own(position, "rbp")
        match = _FROM_REGISTER.match(text)
        if match is not None:
            register = match[1] or match[2]
            return self._own(position, register) or self._ends_realigned_frame(position, register)
        match = _FROM_FRAME.match(text)
        return match is not None and self._own_word(position, match[1])

    def _ends_realigned_frame(self, position: int, register: str) -> bool:
        """The register keeps what the stack pointer was before it was aligned. Compilers say so in the unwinding table: the CFA was
        found through that register or a word of the frame, and behind the restore it is found through the stack pointer again.
        """
        instruction = self._body.instructions[position]
        before, after = self._body.row(instruction.address), self._body.row(instruction.end)
        if not self._body.described or before is None or after is None:
            return False
        through = before.register is None or before.register == _DWARF.get(register, -1)
        return through and after.register == self._body.context.entry_rule()[0]

    def _own(self, position: int, place: str) -> bool:
        """Whether the place, a register or `rbp - N`, can hold, before this instruction, only what the function made of its stack
        pointer.
        """
        key = (position, place)
        if key not in self._known:
            before = len(self._known)
            self._known[key] = True  # on a way around a loop what was there before is still there
            self._known[key] = self._search(position, place)
            if not self._known[key]:  # what was concluded from its being so does not hold
                for later in list(self._known)[before + 1 :]:
                    if self._known[later]:
                        del self._known[later]
        return self._known[key]

    def _search(self, position: int, place: str) -> bool:
        body = self._body
        seen: set[int] = set()
        queue = [position]
        while queue:
            before = self._before(queue.pop())
            if before is None:
                return False
            for here in before:
                if here in seen:
                    continue
                seen.add(here)
                if not self._writes(here, place):
                    queue.append(here)
                    continue
                verdict = self._made_here(here, place, body.instructions[here].text)
                if verdict is None:
                    queue.append(here)
                elif not verdict:
                    return False
        return True

    def _made_here(self, position: int, register: str, text: str) -> bool | None:
        """Whether the value that the instruction makes is the function's own; None: it is if the register's was before."""
        if register.startswith(_WORDS):
            store = _STORE.match(text)
            return store is not None and (store[1] == "rsp" or self._own(position, store[1]))
        if text == f"mov {register}, rsp" or re.match(rf"lea {register}, \[rsp( [+-] (0x)?[0-9a-f]+)?\]$", text):
            return True
        lowered = _LOWERED.match(text)
        if lowered is not None and lowered[2] == register:
            return None
        copied = re.match(rf"mov {register}, (r\w+)$|lea {register}, \[(r\w+) [+-] (?:0x)?[0-9a-f]+\]$", text)
        if copied is not None:
            source = copied[1] or copied[2]
            return None if source == register else self._own(position, source)
        loaded = _FROM_FRAME.match(text.replace(f"mov {register},", "mov rsp,", 1))
        return loaded is not None and self._own_word(position, loaded[1])

    def _own_word(self, position: int, word: str) -> bool:
        """The same for a word of the frame, `rbp - N` or `rsp + N`, of which the function takes no address."""
        taken = re.compile(rf"lea r\w+, \[{re.escape(word)}\]")
        return (
            (not word.startswith("rbp") or self._own(position, "rbp"))
            and self._own(position, word)
            and not any(taken.match(instruction.text) for instruction in self._body.instructions)
        )

    def _writes(self, position: int, register: str) -> bool:
        instruction = self._body.instructions[position]
        text = instruction.text
        if register.startswith(_WORDS):
            # `rsp + N` is another word where the stack pointer was another: such an instruction stores nothing there, so that it ends the way.
            moved = register.startswith("rsp") and _MOVES.match(text) is not None
            return moved or (f"[{register}]" in text.partition(",")[0] and not _HARMLESS.match(text))
        short = _KEPT.get(register)
        # Only what names such a register, or is made for it, writes it; asking the disassembler takes long.
        if short is not None and short not in text and text not in ("leave", "cpuid") and "cmpxchg" not in text:
            return False
        if instruction.flow is Flow.CALL and instruction.target is not None and short is None:
            return not self._kept_by(instruction.target, register)
        return register_number("x86_64", register) in self._body.writes(instruction)

    def _kept_by(self, target: int, register: str) -> bool:
        """Whether a function of the file, a leaf, leaves the register alone, as gcc may rely on (-fipa-ra)."""
        context = self._body.context
        if context.in_plt(target):
            return False
        try:
            body = body_of(context, target, 0)
        except UndecodableError:
            return False
        number = register_number("x86_64", register)
        inside = not body.calls and not body.exits and not body.unclear
        return inside and not any(number in body.writes(instruction) for instruction in body.instructions)

    def _before(self, position: int) -> Sequence[int] | None:
        """The instructions that may run just before this one; None: the caller's, or unknown."""
        body = self._body
        if position == body.index[body.start]:
            return None
        found = list(body.came_from[position])
        if position and body.falls_through(position - 1):
            found.append(position - 1)
        nowhere_named = (
            not found and not body.instructions[position].nop
        )  # a computed jump whose table was not found leads there
        if position in body.table_targets or (body.indirect_inside and (nowhere_named or not body.tables_resolved)):
            found += body.indirect_inside
        # At a landing pad the unwinder comes from some call, with what is kept over calls.
        if not found and body.may_land:
            if self._calls is None:
                self._calls = [body.index[call.address] for call in body.calls]
            found = self._calls
        if not found and body.instructions[position].nop:
            return ()  # padding in front of a jump's target: nothing leads there
        return found or None
