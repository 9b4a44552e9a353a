# SPDX-License-Identifier: Apache-2.0
"""The walk of a stack: from a slow call out to the outermost function, on the copy of the stack that came with it.

It is arithmetic on plain data. Which rule holds at an address is asked for, so nothing here reads a file or a process, and the
architecture is an argument: the stacks of either can be walked on both.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from otel_jb.arch.machine import Machine
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import SlowCall
from otel_jb.sandbox.unwind import Rule

MAX_FRAMES = 64
IN_REGISTER = -1  #: in `Walk.rests_on`: the frame pointer that the call's event has
_OUTERMOST = ("_start", "__clone", "__clone3", "clone3", "clone", "start_thread")
#: Where coroutines begin: State Threads, Tencent's libco, ucontext, boost::context, Go, QEMU. What lies above is no caller: these have been
#: entered by a jump, and the stack that they jumped from is another one.
_BEGINS_COROUTINE = frozenset(
    {
        "_st_thread_main",
        "st_thread_create",
        "CoRoutineFunc",
        "__start_context",
        "make_fcontext",
        "runtime.goexit",
        "runtime.goexit.abi0",
        "runtime.mstart",
        "coroutine_trampoline",
    }
)
_BEGINS_COROUTINE_TEMPLATES = (
    "boost::context::detail::fiber_entry<",
    "boost::context::detail::context_entry<",
    "boost::coroutines::detail::trampoline",
)


_ADDRESS_BITS = 48


def address_mask(arch: Machine, highest: int) -> int:
    """The bits of a return address that are its own, in a process that has code or stack as far up as `highest`.

    Like the kernel (`perf_callchain_user` by `ptrauth_user_pac_mask`) this takes a signature away wherever there may be one, whether
    the frame description says so or not. How wide addresses are is the kernel's choice, from 36 to 52 bits; what it maps highest, it
    maps in the upper half of them.
    """
    return (1 << (highest.bit_length() if arch.signs else _ADDRESS_BITS)) - 1


class Place(NamedTuple):
    """What is known of an address."""

    file: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Walk:
    """A stack, walked."""

    lines: tuple[str, ...]  #: innermost first
    frames: frozenset[int]  #: the frame (see `records.ProbeSite`) of every function on it that was reached
    complete: bool  #: reached the outermost function, of a coroutine the one that it began with
    reached: int  #: the highest stack address that the walk got to
    callers: tuple[
        tuple[int, str], ...
    ] = ()  #: frame and function of those above the call itself, as far as both are known
    #: (place in the copy of the stack, what lies there, whether it is an address in the stack): all that the walk rests on beside
    #: the call's registers, so that a copy with the same gives the same walk
    rests_on: tuple[tuple[int, int, bool], ...] = ()


def walk(
    arch: Machine,
    function: str,
    call: SlowCall,
    find: Callable[[int], Place | None],
    *,
    mask: int,
    returned: bool = False,
) -> Walk:
    """Walk from a call outwards.

    Args:
        arch: of the process.
        function: the name of the function that was called.
        call: the call, with the registers of its end and the copy of its stack.
        find: what is known of an address.
        mask: the bits of an address that are its own.
        returned: the end was a return probe, which runs when the function has returned.
    """
    copy, low = call.stack_copy, call.stack_pointer

    def word(address: int) -> int | None:
        at = address - low
        return struct.unpack_from("<Q", copy, at)[0] if 0 <= at <= len(copy) - 8 else None

    lines = [function]
    frames: set[int] = {call.frame}
    callers: list[tuple[int, str]] = []
    rests_on: list[tuple[int, int, bool]] = []

    def read(address: int) -> int | None:
        """A word of the stack that the walk rests on."""
        value = word(address)
        if value is not None:
            rests_on.append((address - low, value, False))
        return value

    def walked(complete: bool) -> Walk:
        return Walk(tuple(lines), frozenset(frames), complete, cfa, tuple(callers), tuple(rests_on))

    cfa = call.frame + arch.pushed
    pc, fp, fp_at = _caller(arch, call, find, read, word, returned)
    if pc is None:
        return walked(False)
    link: int | None = None  # what a function that a signal interrupted may still have in x30
    behind = 1
    for _ in range(MAX_FRAMES):
        pc &= mask
        # A return address lies behind the call, and it is the call that runs.
        call_ended = bool(behind)
        pc, behind = pc - behind, 1
        place = find(pc)
        if place is None:
            return walked(pc < 0)
        rule = place.rule
        if call_ended and rule.begins is not None:
            # The first instruction of a function, put there as the return address of a coroutine's first function.
            lines.extend([f"{rule.begins}+0x0 ({place.file})"] if rule.begins else [])
            return walked(True)
        lines.append(_line(place))
        if _begins_coroutine(rule):
            return walked(True)
        if rule.base == "signal":
            # What the handler's caller was doing: the stack goes on where it was interrupted.
            fp, cfa, pc, *rest = (read(cfa + at) or 0 for at in arch.interrupted)
            link = rest[0] if rest else None
            fp_at = None
            behind = 0
            continue
        if rule.base is None:
            return walked(_is_outermost(rule))
        if rule.base == "fp":
            rests_on.append((IN_REGISTER if fp_at is None else fp_at, fp, True))
        base = cfa if rule.base == "sp" else fp
        above = base + rule.offset
        if above <= cfa and rule.base != "sp":
            return walked(False)
        cfa = above
        back = None if rule.outermost else link
        if rule.return_address_at is not None:
            back = read(cfa + rule.return_address_at)
        link = None
        fp, fp_at = _saved(word, low, cfa, rule.frame_pointer_at, fp, fp_at)
        if back is None or back == 0:
            # Where calls push it, a return address that is not in the stack is nowhere.
            outermost = rule.outermost or (bool(arch.pushed) and rule.return_address_at is None)
            return walked(back == 0 or outermost or _is_outermost(rule))
        frames.add(cfa - arch.pushed)
        callers.append((cfa - arch.pushed, rule.function))
        pc = back
    return walked(False)


def _caller(
    arch: Machine,
    call: SlowCall,
    find: Callable[[int], Place | None],
    read: Callable[[int], int | None],
    word: Callable[[int], int | None],
    returned: bool,
) -> tuple[int | None, int, int | None]:
    """Where the call goes back to, None where that is not known; the frame pointer there, and where in the copy that was, if it was there."""
    cfa, fp, fp_at = call.frame + arch.pushed, call.frame_pointer, None
    if returned:
        # Execution is there already. The kernel has put its trampoline where the function expected the return address: in x30.
        return call.instruction_pointer, fp, fp_at
    if not arch.pushed and call.stack_pointer == cfa:
        return call.link_register, fp, fp_at  # a `ret`, or a jump to a function that returns in this one's stead
    place = find(call.instruction_pointer)
    rule = place.rule if place is not None and place.rule.base is not None else None
    if rule is not None:
        fp, fp_at = _saved(word, call.stack_pointer, cfa, rule.frame_pointer_at, fp, fp_at)
    if arch.pushed:
        return read(call.frame), fp, fp_at
    if rule is None:
        return None, fp, fp_at
    back = call.link_register if rule.return_address_at is None else read(cfa + rule.return_address_at)
    return back, fp, fp_at


def _saved(
    word: Callable[[int], int | None], low: int, cfa: int, at: int | None, now: int, now_at: int | None
) -> tuple[int, int | None]:
    """The frame pointer of the caller, and where in the copy of the stack it was saved; that of now where it was not."""
    value = word(cfa + at) if at is not None else None
    return (now, now_at) if value is None or at is None else (value, cfa + at - low)


def _line(place: Place) -> str:
    file, rule = place
    if rule.function:
        return f"{rule.function}+{rule.displacement:#x} ({file})"
    return f"{file}+{rule.displacement:#x}"


def _is_outermost(rule: Rule) -> bool:
    """`_start` and the start of a thread have no caller; their frame descriptions say so by an undefined return address."""
    return rule.function in _OUTERMOST


def _begins_coroutine(rule: Rule) -> bool:
    return rule.function in _BEGINS_COROUTINE or rule.function.startswith(_BEGINS_COROUTINE_TEMPLATES)
