# SPDX-License-Identifier: Apache-2.0
"""What tools that put an entry probe and a return probe on the symbol itself would do to this process there."""

from __future__ import annotations

from otel_jb.code.facts import FunctionCode
from otel_jb.planner.inputs import KernelFacts
from otel_jb.planner.process import UNKNOWN, ProcessFacts


def peer_note(
    code: FunctionCode,
    kernel: KernelFacts | None = None,
    *,
    may_yield: bool = False,
    throws: bool = False,
    process: ProcessFacts = UNKNOWN,
) -> str:
    """One sentence about bpftrace's and funclatency's probes on this function; "" if nothing is wrong with them."""
    kernel = kernel or KernelFacts()
    notes: list[str] = []
    if process.shadow_stack and not kernel.shadow_stack_safe:
        notes.append("a uretprobe would kill this process: it has a shadow stack and the kernel is older than 6.11")
    elif process.system_call_filter and not kernel.seccomp_passes:
        notes.append("a uretprobe can kill this process: it filters its system calls and the kernel is 6.11 to 6.13")
    elif may_yield:
        notes.append("a uretprobe can kill this process: the function may switch coroutines")
    elif throws:
        notes.append("a uretprobe can abort this process: the function may throw through it")
    elif code.reach.kills:
        notes.append(f"a uretprobe can kill this process: {code.reach.reason}")
    elif process.signal_stacks:
        notes.append(
            "a uretprobe can kill this process: where a signal handler on a stack of its own meets another, "
            f"which it may ({process.signal_stacks})"
        )
    elif code.recursive:
        notes.append("a uretprobe misses returns of deep recursion")
    first = kernel.cost_ns(code.first_price) if not code.problem else 0.0
    cheapest = min((kernel.cost_ns(spot.price) for spot in code.entries), default=first)
    if first > 2 * cheapest > 0:
        notes.append(f"they probe `{code.first}`: {first / cheapest:.0f} times the price of the entry site chosen here")
    return "; ".join(notes)
