# SPDX-License-Identifier: Apache-2.0
"""Walks of stacks made by hand, laid out as the architecture's calls and the kernel's signal frames leave them."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.arch.machine import AARCH64, X86_64, Machine
from otel_jb.model import codec
from otel_jb.model.stream import SlowCall
from otel_jb.sandbox.unwind import Rule, read
from otel_jb.stacks.shape import shape_of
from otel_jb.stacks.walk import Place, Walk, address_mask, walk

STACK = 0x7FFC_0000_1000
BITS_48 = (1 << 48) - 1


@dataclass(frozen=True)
class Registers:
    """What an event says of the end of a call."""

    sp: int
    frame: int
    ip: int
    fp: int = 0
    lr: int = 0


def memory(words: Mapping[int, int], size: int = 0x200) -> bytes:
    """A copy of the stack from its words by offset."""
    copy = bytearray(size)
    for at, value in words.items():
        struct.pack_into("<Q", copy, at, value)
    return bytes(copy)


def found(rules: Mapping[int, Rule]) -> Callable[[int], Place | None]:
    """Looks up rules by address; there is nothing else in the process."""
    return lambda address: Place("server", rules[address]) if address in rules else None


def walked(
    arch: Machine, rules: Mapping[int, Rule], stack: bytes, registers: Registers, *, mask: int = BITS_48, returned: bool = False
) -> Walk:  # fmt: skip
    """The walk of a call of `put` that ended with these registers and this copy of its stack."""
    return walk(arch, "put", a_call(registers, stack), found(rules), mask=mask, returned=returned)


def a_call(registers: Registers, stack: bytes) -> SlowCall:
    """A call of `put` that ended with these registers and this copy of its stack."""
    return SlowCall(
        1, 1, "thread", registers.frame, 1, 2, None, None, None, None,
        stack_pointer=registers.sp, instruction_pointer=registers.ip, frame_pointer=registers.fp,
        link_register=registers.lr, stack_copy=stack,
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------
# x86-64: a call pushes the return address

PUT, MIDDLE, OUTER, START = 0x401000, 0x402000, 0x403000, 0x404000
X86_RULES = {
    PUT: Rule("sp", 24, None, -8, "put", 0),
    MIDDLE + 4: Rule("fp", 16, -16, -8, "middle", 4),
    OUTER + 4: Rule("sp", 32, -16, -8, "outer", 4),
    START + 4: Rule("sp", 8, None, None, "begin", 4),
}
X86_CALLERS = ("middle+0x4 (server)", "outer+0x4 (server)", "begin+0x4 (server)")
#: from the return address of `put` upwards
X86_STACK = {
    0x10: MIDDLE + 5,
    0x30: STACK + 0x80,  # the frame pointer that `middle` saved
    0x38: OUTER + 5,
    0x50: 0xF0,  # and the one that `outer` saved
    0x58: START + 5,
}
AT_RET = Registers(STACK + 0x10, STACK + 0x10, PUT, STACK + 0x30)


@pytest.mark.parametrize("low", [0x0, 0x10])
def test_a_call_that_has_not_returned_is_left_by_its_return_address(low: int) -> None:
    """At an edge within the function as at its `ret`, the word at the frame leads to the caller, the rules to all others."""
    rules = X86_RULES | {PUT: Rule("sp", 24 - low, None, -8, "put", 0)}
    registers = Registers(sp=STACK + low, frame=STACK + 0x10, ip=PUT, fp=STACK + 0x30)
    walk = walked(X86_64, rules, memory(X86_STACK)[low:], registers)
    assert walk.lines == ("put", *X86_CALLERS)
    assert walk.complete
    assert walk.frames == {STACK + 0x10, STACK + 0x38, STACK + 0x58}
    assert walk.callers == ((STACK + 0x38, "middle"), (STACK + 0x58, "outer"))


@pytest.mark.parametrize(
    "beginning",
    [
        "_st_thread_main",
        "st_thread_create",
        "CoRoutineFunc",
        "make_fcontext",
        "__start_context",
        "runtime.goexit.abi0",
        "boost::context::detail::fiber_entry<boost::context::detail::fiber_record<x> >",
    ],
)
def test_where_a_coroutine_begins_its_stack_is_complete(beginning: str) -> None:
    """The function that entered the coroutine is the last line; nothing above it is followed, even where it could be."""
    rules = {**X86_RULES, OUTER + 4: Rule("sp", 32, -16, -8, beginning, 4)}
    found = walked(X86_64, rules, memory(X86_STACK)[0x10:], AT_RET)
    assert found.complete
    assert found.lines == ("put", "middle+0x4 (server)", f"{beginning}+0x4 (server)")
    assert [function for _, function in found.callers] == ["middle"]


@pytest.mark.parametrize(("name", "last"), [("__start_context", ["__start_context+0x0 (server)"]), ("", [])])
def test_a_return_address_that_no_call_left_begins_a_coroutine(name: str, last: list[str]) -> None:
    """The first instruction of a function as return address was put there: what lies before it, as if it had called, is not claimed."""
    rules = {**X86_RULES, OUTER + 4: Rule("sp", 32, -16, -8, "neighbour", 0x80, begins=name)}
    found = walked(X86_64, rules, memory(X86_STACK)[0x10:], AT_RET)
    assert found.complete
    assert list(found.lines) == ["put", "middle+0x4 (server)", *last]


@given(at=st.integers(0, 0x1EF), flip=st.integers(1, 255), moved=st.sampled_from([0, 0x10000, -0x2000]))
def test_a_stack_of_the_same_shape_is_walked_in_the_same_way(at: int, flip: int, moved: int) -> None:
    """Whichever byte differs, and wherever the stack lies: a shape that fits gives exactly the walk, and what the walk does not read is free."""
    copy = memory(X86_STACK)[0x10:]
    shape = shape_of(a_call(AT_RET, copy), walked(X86_64, X86_RULES, copy, AT_RET), ("outer",))
    assert shape.complete
    other = bytearray(memory({**X86_STACK, 0x30: STACK + moved + 0x80})[0x10:])
    same = Registers(AT_RET.sp + moved, AT_RET.frame + moved, PUT, AT_RET.fp + moved)
    assert shape.fits(a_call(same, bytes(other)))
    other[at] ^= flip
    again = walked(X86_64, X86_RULES, bytes(other), same)
    if shape.fits(a_call(same, bytes(other))):
        assert again.lines == shape.lines
        assert {frame - same.sp for frame in again.frames} == shape.frames
        assert tuple(frame - same.sp for frame, name in again.callers if name == "outer") == shape.around
    else:
        # The words that the walk read: return addresses, and the saved frame pointer where a later rule counts from it.
        assert any(place - 0x10 <= at < place - 8 for place in X86_STACK)


def test_a_return_probe_runs_in_the_caller() -> None:
    """At a return probe the stack pointer is above the return address, and execution is where the call returned to."""
    registers = Registers(sp=STACK + 0x18, frame=STACK + 0x10, ip=MIDDLE + 5, fp=STACK + 0x30)
    walk = walked(X86_64, X86_RULES, memory(X86_STACK)[0x18:], registers, returned=True)
    assert walk.lines == ("put", *X86_CALLERS)
    assert walk.complete


def test_a_signal_frame_leads_to_what_was_interrupted() -> None:
    """Behind the handler the walk goes on with the interrupted registers, at the very instruction that had not run yet."""
    restorer = 0x405000
    rules = X86_RULES | {restorer - 1: Rule("signal", function="__restore_rt"), OUTER: Rule("sp", 24, -16, -8, "outer")}
    frame = 0x8  # of the signal: right above the handler's return address
    stack = memory(
        {
            0x0: restorer,
            frame + 120: STACK,
            frame + 160: STACK + 0x150,
            frame + 168: OUTER,
            0x158: STACK,
            0x160: START + 5,
        }
    )
    walk = walked(X86_64, rules, stack, Registers(sp=STACK, frame=STACK, ip=PUT))
    assert walk.lines == (
        "put",
        "__restore_rt+0x0 (server)",
        "outer+0x0 (server)",
        "begin+0x4 (server)",
    )
    assert walk.complete
    assert walk.reached == STACK + 0x170


def test_beyond_the_copy_and_beyond_the_rules_nothing_is_claimed() -> None:
    """Where the copy ends or an address has no rule, the walk ends with what it knows, and is not complete."""
    registers = Registers(sp=STACK, frame=STACK + 0x10, ip=PUT, fp=STACK + 0x30)
    short = walked(X86_64, X86_RULES, memory(X86_STACK)[:0x38], registers)
    assert short.lines == ("put", "middle+0x4 (server)")
    assert not short.complete
    del (rules := dict(X86_RULES))[OUTER + 4]
    unknown = walked(X86_64, rules, memory(X86_STACK), registers)
    assert unknown.lines == ("put", "middle+0x4 (server)")
    assert not unknown.complete


# --------------------------------------------------------------------------------------------------------------
# AArch64: a call leaves the return address in x30, and the function saves it where it likes

TRAMPOLINE = 0xFFFF_FFFF_F000  #: the kernel's, where a return probe makes functions return to
ARM_RULES = {
    PUT: Rule("sp", 0, None, None, "put", 0x20),
    MIDDLE + 3: Rule("fp", 48, -48, -40, "middle", 3),
    OUTER + 3: Rule("sp", 32, None, -32, "outer", 3),
    START + 3: Rule("sp", 0, None, None, "begin", 3, outermost=True),
}
ARM_CALLERS = ("middle+0x3 (server)", "outer+0x3 (server)", "begin+0x3 (server)")
#: from the frame of `put` upwards: `middle` made room there after it had set x29, `outer` saves x30 alone
ARM_STACK = {0x20: STACK + 0x100, 0x28: OUTER + 4, 0x50: START + 4}
ARM_FRAMES = ((STACK + 0x50, "middle"), (STACK + 0x70, "outer"))


def test_at_a_ret_the_return_address_is_in_the_link_register() -> None:
    """The stack pointer is the frame, nothing is left of the function on the stack, and x30 leads to the caller."""
    registers = Registers(sp=STACK, frame=STACK, ip=PUT, fp=STACK + 0x20, lr=MIDDLE + 4)
    walk = walked(AARCH64, ARM_RULES, memory(ARM_STACK), registers)
    assert walk.lines == ("put", *ARM_CALLERS)
    assert walk.complete
    assert walk.callers == ARM_FRAMES
    assert walk.frames == {STACK, *(frame for frame, _ in ARM_FRAMES)}
    # Nothing else is needed: some compilers' rules are wrong at a `ret`, and assembly has none.
    wrong = ARM_RULES | {PUT: Rule("sp", 16, -16, -8, "put", 0x20)}
    assert walked(AARCH64, wrong, memory(ARM_STACK), registers) == walk
    del (none := dict(ARM_RULES))[PUT]
    assert walked(AARCH64, none, memory(ARM_STACK), registers) == walk


def test_at_a_return_probe_the_link_register_is_the_kernels_trampoline() -> None:
    """Execution goes on in the caller; x30 holds what the kernel had put in the place of the return address."""
    registers = Registers(sp=STACK, frame=STACK, ip=MIDDLE + 4, fp=STACK + 0x20, lr=TRAMPOLINE)
    walk = walked(AARCH64, ARM_RULES, memory(ARM_STACK), registers, returned=True)
    assert walk.lines == ("put", *ARM_CALLERS)
    assert walk.complete
    assert walk.callers == ARM_FRAMES


@pytest.mark.parametrize(
    ("rule", "lr"),
    [
        (Rule("sp", 16, -16, -8, "put"), 0),
        (Rule("sp", 16, -16, None, "put"), MIDDLE + 4),
    ],
)
def test_within_a_function_its_rule_says_where_the_return_address_is(rule: Rule, lr: int) -> None:
    """Before the stack pointer is back at the frame, x30 may have been used for calls: it is saved, or it still holds."""
    stack = memory({0: STACK + 0x30, 8: MIDDLE + 4} | {at + 0x10: word for at, word in ARM_STACK.items()})
    registers = Registers(sp=STACK, frame=STACK + 0x10, ip=PUT, fp=1, lr=lr)
    walk = walked(AARCH64, ARM_RULES | {PUT: rule}, stack, registers)
    assert walk.lines == ("put", *ARM_CALLERS)
    assert walk.complete
    del (unknown := dict(ARM_RULES))[PUT]
    assert walked(AARCH64, unknown, stack, registers).lines == ("put",)


def test_only_an_undefined_return_address_ends_the_stack() -> None:
    """A caller that keeps its return address in x30 cannot have made a call: something is missing, and the stack is not complete."""
    rules = ARM_RULES | {START + 3: Rule("sp", 0, None, None, "begin", 3)}
    registers = Registers(sp=STACK, frame=STACK, ip=PUT, fp=STACK + 0x20, lr=MIDDLE + 4)
    walk = walked(AARCH64, rules, memory(ARM_STACK), registers)
    assert walk.lines == ("put", *ARM_CALLERS)
    assert not walk.complete


@pytest.mark.parametrize("saved", [False, True])
def test_what_a_signal_interrupted_may_have_its_return_address_in_the_link_register(saved: bool) -> None:
    """Behind the kernel's frame (siginfo, ucontext) the registers are those of the interrupted function, x30 among them."""
    sigreturn, leaf, frame = 0x405000, 0x406000, 0x10  # the handler's own frame lies below the signal's
    interrupted = Rule("sp", 16, -16, -8, "leaf") if saved else Rule("sp", 0, None, None, "leaf")
    rules = ARM_RULES | {
        MIDDLE + 3: Rule("sp", 16, -16, -8, "handler", 3),
        sigreturn - 1: Rule("signal", function="__kernel_rt_sigreturn"),
        leaf: interrupted,
    }
    context = frame + 128 + 176  # uc_mcontext: fault_address, regs[31], sp, pc
    at = frame + 0x1000
    stack = memory(
        {
            0x0: STACK + 0x100,
            0x8: sigreturn,
            context + 8 + 29 * 8: STACK + at + 0x20,
            context + 8 + 30 * 8: 0xBAD if saved else OUTER + 4,
            context + 8 + 31 * 8: STACK + at,
            context + 8 + 32 * 8: leaf,
            at + 8: OUTER + 4 if saved else 0xBAD,
            at + (16 if saved else 0): START + 4,
        },
        0x1100,
    )
    registers = Registers(sp=STACK, frame=STACK, ip=PUT, fp=STACK, lr=MIDDLE + 4)
    walk = walked(AARCH64, rules, stack, registers)
    assert walk.lines == (
        "put",
        "handler+0x3 (server)",
        "__kernel_rt_sigreturn+0x0 (server)",
        "leaf+0x0 (server)",
        "outer+0x3 (server)",
        "begin+0x3 (server)",
    )
    assert walk.complete
    # Where the copy ends in the kernel's frame, as it does on most machines, what can be known is known.
    short = walked(AARCH64, rules, stack[:0x800], registers)
    assert short.lines == walk.lines[: 4 if saved else 5]
    assert not short.complete


@pytest.mark.parametrize(
    ("highest", "signature"),
    [
        (0xFFFF_F7FF_F000, 0x002A << 48),  # 4 KiB pages, 48 bits of address: 54 to 48 are the signature
        (0x0000_007F_FFFF_F000, 0x2A_8000 << 32),  # 39 bits, as on many a phone
        (0x000F_FFFF_FFFF_F000, 0x30 << 48),  # 52 bits
    ],
)
def test_signed_return_addresses_are_addresses(highest: int, signature: int) -> None:
    """What pointer authentication adds to x30 before a function saves it is taken away, however wide the kernel's addresses are."""
    mask = address_mask(AARCH64, highest)
    assert mask & signature == 0
    assert highest & mask == highest
    stack = memory({at: word | signature if at != 0x20 else word for at, word in ARM_STACK.items()})
    registers = Registers(sp=STACK, frame=STACK, ip=PUT, fp=STACK + 0x20, lr=MIDDLE + 4)
    walk = walked(AARCH64, ARM_RULES, stack, registers, mask=mask)
    assert walk.lines == ("put", *ARM_CALLERS)
    assert walk.complete
    assert address_mask(X86_64, highest) == BITS_48


def test_a_program_with_signed_return_addresses_is_walked_by_its_own_rules() -> None:
    """put < middle < outer < _start of `golden/aarch64/frames.c`: each frame where gcc's description has it."""
    path = Path(__file__).parent / "golden/aarch64/frames"
    names = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines()
    at = {name: int(address, 16) for address, _, name in (line.split() for line in names)}
    listing = subprocess.run(["llvm-objdump", "-d", path], capture_output=True, text=True, check=True).stdout
    #: where each call of a function returns to
    after = {
        callee: int(address, 16) + 4
        for address, callee in re.findall(r"^ *([0-9a-f]+):.*\tbl\t.*<(put|middle|outer)>$", listing, re.MULTILINE)
    }
    ret = max(
        int(a, 16) for a in re.findall(r"^ *([0-9a-f]+):.*\tret$", listing, re.MULTILINE) if int(a, 16) < at["middle"]
    )
    wanted = [ret, *(address - 1 for address in after.values())]
    with path.open("rb") as file:
        (found,) = read([file.fileno()], ["frames"], [wanted])
    rules = {address: codec.decode(plain, Rule) for address, plain in zip(wanted, found, strict=True)}
    signed = 0x0055 << 48
    stack = memory(
        {
            0x20: STACK + 0x40,  # x29, x30 of `middle`, above the 32 bytes that it made room for
            0x28: after["middle"] | signed,
            0x40: 0,  # and of `outer`
            0x48: after["outer"] | signed,
        }
    )
    registers = Registers(sp=STACK, frame=STACK, ip=ret, fp=STACK + 0x20, lr=after["put"])
    walk = walked(AARCH64, rules, stack, registers)
    assert [line.split("+")[0] for line in walk.lines] == ["put", "middle", "outer", "_start"]
    assert walk.complete
    assert walk.callers == ((STACK + 0x40, "middle"), (STACK + 0x50, "outer"))
