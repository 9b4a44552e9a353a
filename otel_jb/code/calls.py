# SPDX-License-Identifier: Apache-2.0
"""Calls inside a function as places for probes: there the arguments are those of the function that is called, which its own entry would find."""

from __future__ import annotations

from collections.abc import Collection

from otel_jb.arch.instruction import Price
from otel_jb.code.body import Body
from otel_jb.code.facts import CallSite
from otel_jb.code.spots import spot_at
from otel_jb.model.plan import FrameBase


def call_sites(body: Body, callees: Collection[int]) -> tuple[CallSite, ...]:
    """The call of each of the functions at these addresses: a place if it is the only one, direct, and the kernel emulates it.

    A second call may be a copy that the compiler made, and of a copy it may have dissolved the other one: then neither place shows all calls.
    Nor does a place whose function may have more code than was read, or that also ends with a jump to what it calls. None in a file whose
    processes may have a shadow stack.
    """
    return tuple(_call_site(body, callee) for callee in sorted(callees))


def _call_site(body: Body, callee: int) -> CallSite:
    if body.context.shadow_stack:
        return CallSite(callee, refused="the file is made for user shadow stacks, which a probed call may miss")
    if body.unclear:
        return CallSite(callee, refused=f"not all of the code could be read: {body.unclear}")
    calls = [instruction for instruction in body.calls if instruction.target == callee]
    if not calls:
        return CallSite(callee, refused="no direct call of it in the code")
    if len(calls) > 1:
        return CallSite(callee, refused=f"{len(calls)} calls of it, and of another copy only parts may be left")
    if any(each.target == callee for each in body.exits):
        return CallSite(callee, refused="it is also jumped to at the end")
    if calls[0].price is not Price.EMULATED:
        return CallSite(callee, refused="the kernel does not emulate the call")
    # The call pushes the return address, or puts it into a register: that is the frame which the called function will find.
    return CallSite(callee, spot_at(body, calls[0], (FrameBase.SP, -body.context.image.machine.pushed)))
