# SPDX-License-Identifier: Apache-2.0
"""The compiled BPF programs, with the holes in which each probe's constants and reads are put before a program is loaded.

bpf/otel_jb.bpf.c calls helpers that no kernel has where something differs between probes. Made into constants there, a cookie costs
no call (27 ns of a hit on some processors, 8 on others), what a probe does not need is dead code that the verifier takes
out, and its reads are instructions and not operations that are interpreted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otel_jb.model.plan import PairKey
from otel_jb.model.reads import Op, ReadOp, ReadProgram, numbered
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs import markcode, sharecode, sitecode
from otel_jb.probes.programs.blocks import blocks_of
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.layout import laid_out
from otel_jb.probes.programs.markcode import MarkCode
from otel_jb.probes.programs.pruning import prune
from otel_jb.probes.programs.reading import LOWEST, SERIES_AT, compiled, emits, reads_return, told_at_entry
from otel_jb.probes.programs.sharecode import ShareCode
from otel_jb.probes.programs.sitecode import SiteCode

_MAP_REFERENCE = 1  #: source register BPF_PSEUDO_MAP_FD of a 64-bit load: the immediate is a descriptor
_GET_ATTACH_COOKIE = 174
_MAP_VALUE = 2  #: BPF_PSEUDO_MAP_VALUE: the address within the only element, whose offset is in the second instruction
_HOLES = frozenset(
    {
        abi.HOLE_COOKIE,
        abi.HOLE_FEATURES,
        abi.HOLE_ENTRY_READS,
        abi.HOLE_END_READS,
        abi.HOLE_SITE,
        abi.HOLE_ARGUMENTS,
        abi.HOLE_SHARE,
        abi.HOLE_UPDATED,
    }
)
_MAP_HOLES = {
    abi.HOLE_CALLS: "calls",
    abi.HOLE_SHARES: "shares",
    abi.HOLE_CELLS: "cells",
    abi.HOLE_CONTROL: "control",
    abi.HOLE_CACHE: "cache",
    abi.HOLE_SETS: "sets",
    abi.HOLE_USERS: "users",
    abi.HOLE_WAITING: "waiting",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a probe's programs are made for. `cookie` None: each link has its own, which the program asks the kernel for."""

    cookie: int | None
    features: int
    reads: ReadProgram
    sites: tuple[SiteCode, ...] = ()  #: of an end program: what its sites are, by number
    marks: tuple[MarkCode, ...] = ()  #: of a USDT probe: where its arguments are
    share: ShareCode | None = None  #: where the scheduler's account of a thread is; None: its slow calls do not tell


def shape_of(
    reads: ReadProgram,
    *,
    events: bool,
    nests: bool,
    cookie: int | None = None,
    form: int = 0,
    goroutine: bool = False,
    late: Iterable[int] = (),
    share: ShareCode | None = None,
) -> Shape:
    """The shape for a probe with these reads. `form`, 0 or 1, tells links that are exchanged from those that take their place.

    Calls of a `goroutine` are no thread's, so nobody knows what is inside what. `late`: the drop reasons, by number, of which a call is
    told now and then although it was not slow. `share` has slow calls tell what the scheduler did with their thread; what it did with a
    goroutine nobody knows.
    """
    if not events or goroutine:
        share = None
    both = (*reads.entry, *reads.end)
    wanted = {
        abi.FEATURE_EVENTS: events,
        abi.FEATURE_NEST: nests and not goroutine,
        abi.FEATURE_RETURN: reads_return(reads.end),
        abi.FEATURE_ENTRY_READS: bool(reads.entry),
        abi.FEATURE_END_READS: bool(reads.end),
        abi.FEATURE_DEPTH: emits(both, Op.DEPTH),
        abi.FEATURE_OPEN: emits(both, Op.OPEN),
        abi.FEATURE_CLOSE: emits(both, Op.CLOSE),
        abi.FEATURE_TOLD: told_at_entry(reads),
        abi.FEATURE_FORM: bool(form),
        abi.FEATURE_RTP: emits(reads.entry, Op.RTP),
        abi.FEATURE_GO: goroutine,
        abi.FEATURE_ENTERS: emits(reads.entry, Op.ENTERS),
        abi.FEATURE_LEAVES: emits(reads.end, Op.LEAVES),
        abi.FEATURE_LEFT: emits(reads.entry, Op.LEAVES),
        abi.FEATURE_EMPTIES: emits(reads.entry, Op.EMPTIES),
        abi.FEATURE_NUMBERED: any(map(numbered, reads.entry)),
        abi.FEATURE_SHARE: share is not None,
    }
    features = sum(feature for feature, is_on in wanted.items() if is_on)
    if events:
        features += sum(1 << abi.FEATURE_LATE_SHIFT + reason for reason in late)
    return Shape(cookie, features, reads, share=share)


def of_pair(shape: Shape, key: PairKey, *, stop: bool) -> Shape:
    """The shape for the start, or the stop, of a pair of functions, whose calls are in no thread's order."""
    number = (key.stop if stop else key.start) or abi.KEY_THREAD
    without = abi.FEATURE_NEST
    if number != abi.KEY_THREAD:  # nor are they one thread's
        without |= abi.FEATURE_SHARE
        shape = replace(shape, share=None)
    return replace(shape, features=shape.features & ~without | number << abi.FEATURE_KEY_SHIFT)


def with_arguments(shape: Shape, marks: tuple[MarkCode, ...]) -> Shape:
    """The shape for a USDT probe that reads arguments."""
    return replace(shape, features=shape.features | abi.FEATURE_ARGUMENTS, marks=marks) if marks else shape


def at_site(shape: Shape, offset: int) -> Shape:
    """The shape for a session program whose only site is at this file offset, and so at this place in its page."""
    site = abi.FEATURE_SITE | (offset & markcode.PAGE_MASK) << abi.FEATURE_SITE_SHIFT
    return replace(shape, features=shape.features | site)


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled program; `maps` are the instructions that refer to a map, by index."""

    encoded: bytes  #: decoded, all programs would take more than a megabyte for as long as the agent runs
    maps: Mapping[int, str]

    @classmethod
    def of(cls, code: bytes, names: Mapping[int, str]) -> Template:
        """From what BCC compiled, with descriptors in it whose maps are given by `names`.

        Raises ValueError where a reference means nothing in another process.
        """
        instructions = bpf.decode(code)
        found = {}
        for at, instruction in enumerate(instructions):
            if instruction.opcode == bpf.LOAD_IMMEDIATE and instruction.src:
                if instruction.src != _MAP_REFERENCE or instruction.immediate not in names:
                    raise ValueError("a BPF program with a reference of another kind")
                found[at] = names[instruction.immediate]
        if _lowest(instructions) <= SERIES_AT:
            raise ValueError("a BPF program that uses all of its stack")
        return cls(code, found)

    @property
    def code(self) -> list[Instruction]:
        """Its instructions, decoded anew."""
        return bpf.decode(self.encoded)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"code": base64.b64encode(self.encoded).decode(), "maps": [[at, name] for at, name in self.maps.items()]}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Template:
        """The inverse of `plain`. KeyError, TypeError or ValueError where it is not what that made."""
        template = cls(base64.b64decode(data["code"], validate=True), {int(at): str(name) for at, name in data["maps"]})
        _ = template.code  # ValueError
        return template

    def filled(self, shape: Shape, maps: Mapping[str, int]) -> bytes:
        """The program for a shape, with these maps' descriptors. Raises ValueError, KeyError."""
        general = self.code
        pieces: dict[int, Sequence[Instruction]] = {}
        for at, helper in bpf.calls(general):
            if helper in _HOLES:
                pieces[at] = _piece(helper, shape)
            elif helper in _MAP_HOLES:
                descriptor = maps[_MAP_HOLES[helper]]
                pieces[at] = (Instruction(bpf.LOAD_IMMEDIATE, 0, _MAP_VALUE, 0, descriptor), Instruction(0))
        code, places = bpf.replaced(general, pieces)
        for at, name in self.maps.items():
            code[places[at]] = code[places[at]]._replace(immediate=maps[name])
        blocks = blocks_of(code)
        prune(blocks)
        return bpf.encode(laid_out(blocks))


def _lowest(instructions: Sequence[Instruction]) -> int:
    """A bound of what the program uses of its stack, from r10 downwards: the lowest offset of anything that may be an address there."""
    of_stack = [i.offset for i in instructions if 10 in (i.dst, i.src)]
    return min(
        [
            0,
            *of_stack,
            *(i.immediate for i in instructions if i.opcode == bpf.by_value(bpf.ADD) and i.immediate >= LOWEST),
        ]
    )


def _piece(hole: int, shape: Shape) -> Sequence[Instruction]:
    if hole == abi.HOLE_FEATURES:
        return bpf.load_immediate(0, shape.features)
    if hole == abi.HOLE_COOKIE:
        if shape.cookie is None:
            return (Instruction(bpf.CALL, immediate=_GET_ATTACH_COOKIE),)
        return bpf.load_immediate(0, shape.cookie)
    if hole in (abi.HOLE_SHARE, abi.HOLE_UPDATED):
        if shape.share is None:
            return sharecode.NOTHING
        return shape.share.account() if hole == abi.HOLE_SHARE else shape.share.updated()
    if hole == abi.HOLE_ARGUMENTS:
        return markcode.compiled(shape.marks)
    if hole == abi.HOLE_SITE:
        only = None if shape.cookie is None else sitecode.number_in(shape.cookie)
        return sitecode.compiled(shape.sites if shape.cookie is None or only is not None else (), only)
    operations: tuple[ReadOp, ...] = shape.reads.entry if hole == abi.HOLE_ENTRY_READS else shape.reads.end
    return compiled(operations)
