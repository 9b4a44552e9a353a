# SPDX-License-Identifier: Apache-2.0
"""Results of a function's analysis: possible probe sites, and hazards for a return probe. Plain data that the sandbox sends."""

from __future__ import annotations

from dataclasses import fields

from otel_jb.arch.instruction import Price
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import IN_RESULT, FrameBase, ReturnPlace


@dataclass(frozen=True, slots=True)
class Spot:
    """An instruction where a probe may sit. The frame is `base` + `displacement`, see `records.ProbeSite`."""

    address: int
    offset: int  #: in the file
    text: str
    price: Price
    base: str = FrameBase.SP.value
    displacement: int = 0
    clobbered: tuple[int, ...] = ()  #: entry: argument registers (1 to 6) that no longer hold their argument
    at_return: bool = False  #: entry: the stack pointer (AArch64: the link register) still gives the return address
    condition: int | None = None
    taken: bool = False
    optional: bool = False
    returned: ReturnPlace | None = IN_RESULT  #: where the return value is here; None: nobody knows
    callers: tuple[tuple[int, int], ...] = ()  #: see `plan.ProbeSite`
    ret: bool = False  #: an end that is a return instruction itself
    looped: bool = False  #: a branch inside a loop, which is hit in every round
    rare: bool = False  #: only an error or an exception leads here
    writes: bool = False  #: an end: memory other than the function's own frame may be written between it and the return

    def __post_init__(self) -> None:
        if any(not -(1 << 31) <= number < 1 << 31 for pair in self.callers for number in pair):
            raise ValueError("a caller farther away than a file is large")


@dataclass(frozen=True, slots=True)
class Ends:
    """One way to see every end of a function; `refused` says why it cannot be done ("" if it can)."""

    spots: tuple[Spot, ...] = ()
    refused: str = ""
    note: str = ""  #: what is not part of the measured time


@dataclass(frozen=True, slots=True)
class CallSite:
    """A function's call of another one as a place for a probe, or why it is none."""

    callee: int  #: address of the function that is called
    spot: Spot | None = None
    refused: str = ""  #: "" if `spot` is the place


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a return probe is shown to be safe, and the reason either way."""

    safe: bool
    reason: str
    instructions: int = 0
    kills: bool = False  #: a path to a stack switch, throw or jump was found: a return probe would harm the process
    open: bool = False  #: not shown safe only because somewhere nobody knows what is called


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """One analysed function. `problem` is why it cannot be probed at all ("" if it can)."""

    address: int
    arch: str
    size: int = 0
    problem: str = ""
    first: str = ""  #: the instruction at its very start
    first_price: Price = Price.STEPPED
    entries: tuple[Spot, ...] = ()  #: candidates in the order in which they run
    edges: Ends = Ends(refused="not examined")
    rets: Ends = Ends(refused="not examined")
    leaf: bool = False
    recursive: bool = False
    returns: bool = True
    reach: Reach = Reach(False, "not examined")
    goroutine: bool = False  #: see `plan.Probe`
    calls: tuple[CallSite, ...] = ()  #: one for each function whose calls were asked for

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Every instruction that may carry a probe of the function."""
        ends = [value for each in fields(self) if isinstance(value := getattr(self, each.name), Ends)]
        places = (call.spot for call in self.calls if call.spot is not None)
        return (*self.entries, *(spot for found in ends for spot in found.spots), *places)
