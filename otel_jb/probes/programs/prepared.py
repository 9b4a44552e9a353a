# SPDX-License-Identifier: Apache-2.0
"""Puts each probe's constants and reads in the holes of a compiled program before it is loaded.

bpf/otel_jb.bpf.c calls helpers that no kernel has where something differs between probes. Made into constants there, a cookie costs
no call (27 ns of a hit on some processors, 8 on others), what a probe does not need is dead code that is left
out, and its reads are instructions and not operations that are interpreted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otel_jb.model.dataclass import dataclass
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs import markcode, sharecode, sitecode
from otel_jb.probes.programs.blocks import MARK, NOWHERE, Block, blocks_of
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.layout import laid_out
from otel_jb.probes.programs.pruning import prune
from otel_jb.probes.programs.reading import compiled
from otel_jb.probes.programs.template import Shape, Template

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
        abi.HOLE_WORD,
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
_ROOM = 1 << 16  #: for the blocks of pieces between the numbers of those of the program


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program with its maps, in blocks, to be filled for many probes: it takes longer to make than to fill, and much memory.

    `holes` says of each block that has some where they are, and what goes there.
    """

    blocks: Mapping[int, Block]
    holes: Mapping[int, Sequence[tuple[int, int]]]

    def filled(self, shape: Shape) -> bytes:
        """The program for a shape. Raises ValueError."""
        pieces: dict[int, Sequence[Instruction]] = {}
        blocks: dict[int, Block] = {}
        for at, block in self.blocks.items():
            holes = self.holes.get(at, ())
            for _, helper in holes:
                if helper not in pieces:
                    pieces[helper] = _piece(helper, shape)
            if holes:
                blocks |= _spliced(at, block, [(place, pieces[helper]) for place, helper in holes])
            else:
                blocks[at] = Block(block.code, block.jump, block.target, block.next, block.rare)
        prune(blocks)
        return bpf.encode(laid_out(blocks))


def prepare(template: Template, maps: Mapping[str, int]) -> Prepared:
    """The template with these maps' descriptors. Raises ValueError, KeyError."""
    general = template.code
    values = {
        at: (Instruction(bpf.LOAD_IMMEDIATE, 0, _MAP_VALUE, 0, maps[_MAP_HOLES[helper]]), Instruction(0))
        for at, helper in bpf.calls(general)
        if helper in _MAP_HOLES
    }
    code, places = bpf.replaced(general, values)
    for at, name in template.maps.items():
        code[places[at]] = code[places[at]]._replace(immediate=maps[name])
    blocks: dict[int, Block] = {}
    holes: dict[int, Sequence[tuple[int, int]]] = {}
    for at, block in blocks_of(code).items():
        target, following = (each if each == NOWHERE else each * _ROOM for each in (block.target, block.next))
        blocks[at * _ROOM] = Block(block.code, block.jump, target, following, block.rare)
        if found := [(place, helper) for place, helper in bpf.calls(block.code) if helper in _HOLES]:
            holes[at * _ROOM] = found
    return Prepared(blocks, holes)


def _spliced(at: int, block: Block, pieces: Sequence[tuple[int, Sequence[Instruction]]]) -> dict[int, Block]:
    """A block with pieces in the place of some of its instructions. The jumps of a piece, which lead to its end at most, part it into several."""
    code: list[Instruction] = []
    done = 0
    for place, piece in pieces:
        code += block.code[done:place]
        code += piece
        done = place + 1
    code += block.code[done:]
    if not any(bpf.jumps(each) for _, piece in pieces for each in piece):
        return {at: Block(code, block.jump, block.target, block.next, block.rare)}
    # A mark behind them is a block's end, and with something behind the mark they are a program.
    found = {at + place: each for place, each in blocks_of([*code, MARK, Instruction(bpf.EXIT)]).items()}
    found.popitem()
    for each in found.values():
        each.target, each.next = (way if way == NOWHERE else at + way for way in (each.target, each.next))
    last = found[max(found)]
    last.jump, last.target, last.next, last.rare = block.jump, block.target, block.next, block.rare
    return found


def _piece(hole: int, shape: Shape) -> Sequence[Instruction]:
    if hole == abi.HOLE_FEATURES:
        return bpf.load_immediate(0, shape.features)
    if hole == abi.HOLE_COOKIE:
        if shape.cookie is None:
            return (Instruction(bpf.CALL, immediate=_GET_ATTACH_COOKIE),)
        return bpf.load_immediate(0, shape.cookie)
    if hole == abi.HOLE_WORD:
        return bpf.load_immediate(0, shape.word)
    if hole in (abi.HOLE_SHARE, abi.HOLE_UPDATED):
        if shape.share is None:
            return sharecode.NOTHING
        return shape.share.account() if hole == abi.HOLE_SHARE else shape.share.updated()
    if hole == abi.HOLE_ARGUMENTS:
        return markcode.compiled(shape.marks)
    if hole == abi.HOLE_SITE:
        only = None if shape.cookie is None else sitecode.number_in(shape.cookie)
        return sitecode.compiled(shape.sites if shape.cookie is None or only is not None else (), only)
    return compiled(shape.reads.entry if hole == abi.HOLE_ENTRY_READS else shape.reads.end)
