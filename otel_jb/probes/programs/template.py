# SPDX-License-Identifier: Apache-2.0
"""The compiled BPF programs with their holes, and what a probe's programs are made for."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import PairKey
from otel_jb.model.reads import Op, ReadProgram, numbered
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs import markcode
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.markcode import MarkCode
from otel_jb.probes.programs.reading import LOWEST, SERIES_AT, emits, reads_return, saves, told_at_entry
from otel_jb.probes.programs.sharecode import ShareCode
from otel_jb.probes.programs.sitecode import SiteCode

_MAP_REFERENCE = 1  #: source register BPF_PSEUDO_MAP_FD of a 64-bit load: the immediate is a descriptor


@dataclass(frozen=True, slots=True)
class Shape:
    """What a probe's programs are made for. `cookie` None: each link has its own, which the program asks the kernel for."""

    cookie: int | None
    features: int
    reads: ReadProgram
    sites: tuple[SiteCode, ...] = ()  #: of an end program: what its sites are, by number
    word: int = 0  #: what tells the first series of the only process that its links are for (`abi.cache_word`); 0: they are for more
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
        abi.FEATURE_SHARE_NEAR: share is not None and saves(reads.entry) <= abi.SAVES - abi.SHARE_WORDS,
        abi.FEATURE_BYTES: emits(reads.entry, Op.BYTES),
        abi.FEATURE_STREAM: emits(reads.entry, Op.STREAM),
    }
    features = sum(feature for feature, is_on in wanted.items() if is_on)
    features |= saves(reads.entry) << abi.FEATURE_SAVES_SHIFT
    if events:
        features += sum(1 << abi.FEATURE_LATE_SHIFT + reason for reason in late)
    return Shape(cookie, features, reads, share=share)


def of_pair(shape: Shape, key: PairKey, *, stop: bool) -> Shape:
    """The shape for the start, or the stop, of a pair of functions, whose calls are in no thread's order."""
    number = (key.stop if stop else key.start) or abi.KEY_THREAD
    without = abi.FEATURE_NEST
    if number != abi.KEY_THREAD:  # nor are they one thread's
        without |= abi.FEATURE_SHARE | abi.FEATURE_SHARE_NEAR
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
