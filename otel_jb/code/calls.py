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
    """Of the functions at these addresses, those that the function calls at exactly one place, by a direct call that the kernel emulates.

    A second call may be a copy that the compiler made, and of a copy it may have dissolved the other one: then neither place shows all calls.
    Nor does a place whose function may have more code than was read, or that also ends with a jump to what it calls. None in a file whose
    processes may have a shadow stack.
    """
    if not callees or body.unclear or body.context.shadow_stack:
        return ()
    # The call pushes the return address, or puts it into a register: that is the frame which the called function will find.
    frame = (FrameBase.SP, -body.context.image.machine.pushed)
    found = []
    for callee in sorted(callees):
        calls = [instruction for instruction in body.calls if instruction.target == callee]
        jumps = any(each.target == callee for each in body.exits)
        if len(calls) == 1 and not jumps and calls[0].price is Price.EMULATED:
            found.append(CallSite(callee, spot_at(body, calls[0], frame)))
    return tuple(found)
