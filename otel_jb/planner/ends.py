# SPDX-License-Identifier: Apache-2.0
"""The ways to measure one function, each with its sites, its price and its reason; `choose` takes the first that holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import Ends, FunctionCode, Spot
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import IN_RESULT, EndStrategy, FrameBase, Origin, ProbeSite, SiteKind
from otel_jb.model.reads import reads_memory
from otel_jb.planner.inputs import FunctionMeaning, KernelFacts
from otel_jb.planner.process import UNKNOWN, ProcessFacts


@dataclass(frozen=True, slots=True)
class Way:
    """One way that holds."""

    strategy: EndStrategy
    sites: tuple[ProbeSite, ...]
    cost_ns: float
    reason: str
    partial: str = ""  #: the part of the call that the measured time excludes
    proven: bool = False  #: of a return probe: the code that the function can reach shows that it is safe


#: Assumed hits per call of a branch inside a loop; the code does not show the real number.
LOOP_ROUNDS = 4
#: Hits per call of an end that is in the function called last, which others call too: a packet's way through SRS passes it three times.
LENT_HITS = 3
#: Instructions before an entry that is an end, too: such a call takes no time at all, so what is in front of the site must not matter.
MOST_BEFORE = 40
READ_NS = 80.0  #: reading one word of the target's stack
MOST_CODES = 64  #: maximum end sites of one function that need more than their condition; limited by the cookie


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way that does not hold, and why."""

    reason: str


def entry_site(
    code: FunctionCode,
    meaning: FunctionMeaning,
    kernel: KernelFacts,
    ends: Sequence[Spot],
    *,
    at_return: bool = False,
    or_at_end: bool = False,
    process: ProcessFacts = UNKNOWN,
) -> Spot | None:
    """The cheapest correct entry site: the arguments that are read still in their registers, before any end site, or at the first one
    (`or_at_end`).

    Where there is a user shadow stack, never a `call`: emulated or stepped, its return address may miss that stack.
    """
    addresses = [spot.address for spot in code.entries]
    first_end = min((spot.address for spot in ends if spot.address in addresses), default=None)
    limit = first_end
    if first_end is not None and or_at_end and addresses.index(first_end) <= MOST_BEFORE:
        limit = first_end + 1
    fit = [
        spot
        for spot in code.entries
        if not meaning.argument_registers.intersection(spot.clobbered)
        and (limit is None or spot.address < limit)
        and (spot.at_return or not at_return)
        and not (process.shadow_stack and spot.text.startswith("call"))
    ]
    return min(fit, key=lambda spot: kernel.cost_ns(spot.price), default=None)


def site(kind: SiteKind, spot: Spot, meaning: FunctionMeaning) -> ProbeSite:
    """The record of a spot. A return value that no end program looks at is not worth a read of the target's stack."""
    returned = spot.returned if tells_return(spot, meaning) else None
    if not meaning.return_width:
        returned = IN_RESULT
    elif (
        returned is not None and returned.kind is Origin.STACK and not meaning.uses_return and not meaning.error_return
    ):
        returned = None
    return ProbeSite(
        kind,
        spot.address,
        spot.offset,
        FrameBase(spot.base),
        spot.displacement,
        spot.condition,
        spot.taken,
        spot.optional,
        spot.text,
        returned,
        spot.callers,
    )


def tells_return(spot: Spot, meaning: FunctionMeaning) -> bool:
    """Whether the function's return value, as wide as its profile says, is found at an end."""
    return spot.returned is not None and spot.returned.known >= meaning.return_width


def _end_cost(spot: Spot, kernel: KernelFacts) -> float:
    """What an end costs a call that takes this way out."""
    reads = len(spot.callers) + (spot.returned is not None and spot.returned.kind is Origin.STACK)
    hits = LOOP_ROUNDS if spot.looped else LENT_HITS if spot.callers else 1
    return kernel.cost_ns(spot.price) * hits + READ_NS * reads


def edge_way(
    code: FunctionCode, meaning: FunctionMeaning, kernel: KernelFacts, *, process: ProcessFacts = UNKNOWN
) -> Way | Refusal:
    """Emulated branches before the epilogue."""
    if code.edges.refused:
        return Refusal(code.edges.refused)
    if not code.edges.spots:
        return Refusal("it never returns")
    if meaning.uses_return and any(not tells_return(spot, meaning) for spot in code.edges.spots):
        return Refusal("the return value, which is needed, is made after the last branch")
    if reads_memory(meaning.program.end) and any(spot.writes for spot in code.edges.spots):
        return Refusal("memory, which is read at the end, may be written after the last branch")
    if process.shadow_stack and any(spot.text.startswith("call") for spot in code.edges.spots):
        return Refusal("an end is a call, whose return address may miss the process's shadow stack")
    # In front of such a branch the function may have written what is to be read as the call found it.
    at_end = not reads_memory(meaning.program.entry)
    entry = entry_site(code, meaning, kernel, code.edges.spots, or_at_end=at_end, process=process)
    if entry is None:
        return Refusal("no instruction before the first end can carry the entry probe")
    usual = [spot for spot in code.edges.spots if not spot.rare] or list(code.edges.spots)
    cost = kernel.cost_ns(entry.price) + max(_end_cost(spot, kernel) for spot in usual)
    sites = (site(SiteKind.ENTRY, entry, meaning), *(site(SiteKind.EDGE, spot, meaning) for spot in code.edges.spots))
    if len({(each.returned, each.callers) for each in sites if each.has_code}) > MOST_CODES:
        return Refusal("it has too many ends")
    stepped = any(spot.price is not Price.EMULATED for spot in usual)
    strategy = EndStrategy.RET_SITES if stepped else EndStrategy.EDGE_SITES
    return Way(strategy, sites, cost, _edge_reason(code.edges.spots), code.edges.note)


def _edge_reason(spots: Sequence[Spot]) -> str:
    """Where the ends are seen, in words."""
    lent = sum(bool(spot.callers) for spot in spots)
    rare = sum(spot.price is not Price.EMULATED and spot.rare for spot in spots)
    stepped = sum(spot.price is not Price.EMULATED and not spot.rare for spot in spots)
    calls = sum(spot.price is Price.EMULATED and not spot.callers and spot.text.startswith("call") for spot in spots)
    own = len(spots) - lent - rare - stepped - calls
    parts = []
    if own:
        parts.append("one emulated branch" if own == 1 else f"one of {own} emulated branches")
    if calls:
        parts.append("an emulated call" if calls == 1 else f"one of {calls} emulated calls")
    if lent:
        parts.append(f"{'an end' if lent == 1 else f'one of {lent} ends'} of the function that it calls last")
    if stepped:
        parts.append(
            "a single-stepped instruction" if stepped == 1 else f"one of {stepped} single-stepped instructions"
        )
    if rare:
        parts.append("a single-stepped instruction after an error")
    looped = "; a branch is inside a loop" if any(spot.looped for spot in spots) else ""
    return f"every way out crosses {' or '.join(parts)}{looped}"


def ret_way(
    code: FunctionCode, meaning: FunctionMeaning, kernel: KernelFacts, *, process: ProcessFacts = UNKNOWN
) -> Way | Refusal:
    """The return instructions themselves."""
    ends: Ends = code.rets
    if ends.refused:
        return Refusal(ends.refused)
    if not ends.spots:
        return Refusal("it never returns")
    entry = entry_site(code, meaning, kernel, ends.spots, process=process)
    if entry is None:
        return Refusal("it returns with its first instruction")
    cost = kernel.cost_ns(entry.price) + max(kernel.cost_ns(spot.price) for spot in ends.spots)
    sites = (
        site(SiteKind.ENTRY, entry, meaning),
        *(site(SiteKind.RET if spot.ret else SiteKind.EDGE, spot, meaning) for spot in ends.spots),
    )
    count = sum(spot.ret for spot in ends.spots)
    reason = "probes on its return instruction" if count == 1 else f"probes on {count} return instructions"
    if count == 0:
        reason = "probes on the jumps at its end"
    return Way(EndStrategy.RET_SITES, sites, cost, reason, ends.note)


def uretprobe_way(code: FunctionCode, meaning: FunctionMeaning, kernel: KernelFacts, *, process: ProcessFacts,
                  forced: bool) -> Way | Refusal:  # fmt: skip
    """A return probe, if it is proven safe or was demanded by name."""
    entry = entry_site(code, meaning, kernel, (), at_return=True, process=process)
    if entry is None:
        return Refusal(
            "no instruction of its entry has the return address on top of the stack and the arguments intact"
        )
    if code.goroutine:
        # Even by force: the runtime ends the process at the first stack that it copies.
        return Refusal(code.reach.reason)
    why = "demanded by --unsafe-uretprobe" if forced else ""
    if not why:
        refusal = _why_unsafe(code, meaning, kernel, process)
        if refusal:
            return Refusal(refusal)
        why = _why_safe(code, meaning)
    cost = kernel.cost_ns(entry.price) + kernel.uretprobe_ns
    sites = (
        site(SiteKind.ENTRY, entry, meaning),
        replace(site(SiteKind.URETPROBE, entry, meaning), returned=IN_RESULT),
    )
    proven = code.leaf or code.reach.safe
    return Way(EndStrategy.URETPROBE, sites, cost, why, proven=proven)


def entry_way(
    code: FunctionCode, meaning: FunctionMeaning, kernel: KernelFacts, *, process: ProcessFacts = UNKNOWN
) -> Way | Refusal:
    """Counts without time."""
    entry = entry_site(code, meaning, kernel, (), process=process)
    if entry is None:
        return Refusal("no instruction of its entry can carry the probe")
    return Way(
        EndStrategy.ENTRY_ONLY, (site(SiteKind.ENTRY, entry, meaning),), kernel.cost_ns(entry.price), "counts, no times"
    )


@dataclass(frozen=True, slots=True)
class SafeWay:
    """A way that touches no return address, whatever the function does."""

    strategy: EndStrategy
    sites: str  #: what it has, in words
    find: Callable[..., Way | Refusal]  #: as `edge_way`


#: At equal cost, the first one is preferred.
SAFE_WAYS = (
    SafeWay(EndStrategy.EDGE_SITES, "edge sites", edge_way),
    SafeWay(EndStrategy.RET_SITES, "ret sites", ret_way),
)


def _why_unsafe(code: FunctionCode, meaning: FunctionMeaning, kernel: KernelFacts, process: ProcessFacts) -> str:
    if process.shadow_stack and not kernel.shadow_stack_safe:
        return "the process has a shadow stack, which return probes break before Linux 6.11"
    if process.system_call_filter and not kernel.seccomp_passes:
        return "the process filters its system calls, and from Linux 6.11 to 6.13 return probes make one that its filter sees"
    if code.recursive:
        return "it is recursive"
    if meaning.asked:
        # setjmp and swapcontext keep the address that they find and come back by it once more; nobody knows of the others that do.
        return "no profile knows what it does with its return address"
    if meaning.uretprobe_forbidden:
        return f"its profile forbids it: {meaning.uretprobe_forbidden}"
    if code.reach.kills:
        return code.reach.reason
    if process.signal_stacks:
        # A handler that calls a function with a return probe, on a stack above the one that it interrupted, takes the return
        # address of the call there for one that is left over (tests/bpf/hazards, alternate-stack).
        return f"signal handlers may run on stacks of their own: {process.signal_stacks}"
    if code.leaf or code.reach.safe or meaning.uretprobe is not None:
        return ""
    return code.reach.reason


def _why_safe(code: FunctionCode, meaning: FunctionMeaning) -> str:
    if code.leaf:
        return "a leaf: it calls nothing that could switch stacks or throw"
    if code.reach.safe:
        return code.reach.reason
    reference = getattr(meaning.uretprobe, "reference", meaning.uretprobe)
    return f"its profile vouches for a return probe ({reference})"
