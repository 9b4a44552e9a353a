# SPDX-License-Identifier: Apache-2.0
"""Compiles an end site into BPF instructions (`HOLE_SITE` of bpf/otel_jb.bpf.c): whose end it is, and where its return value is.

The code works on the words of bpf/abi.h (`SITE_*`), to which r1 points. A program for one site holds that site's code only;
one that serves several asks for the number that the cookie carries.
"""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import IN_RESULT, Origin, ReturnPlace
from otel_jb.probes import abi
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.reading import LOWEST, PROBE_READ_USER

_MOST_SITES = 1 << abi.COOKIE_SITE_BITS
_RESULT = 0  #: word of the return register: rax and x0 both have hardware number 0


@dataclass(frozen=True, slots=True)
class SiteCode:
    """What the kernel asks at one end site.

    `callers`: (offset from the frame, distance from the probed instruction) of return addresses: the end is one of the probed function's
    call only if each lies where it must. `place` None: nothing is returned, or nobody knows what.
    """

    place: ReturnPlace | None = IN_RESULT
    callers: tuple[tuple[int, int], ...] = ()


def number_in(cookie: int) -> int | None:
    """The site number in a cookie; None if its site has no code."""
    if not cookie & abi.COOKIE_SITE:
        return None
    return cookie >> abi.COOKIE_OFFSET_SHIFT & _MOST_SITES - 1


def compiled(sites: Sequence[SiteCode], only: int | None = None) -> list[Instruction]:
    """The instructions for these sites, or for one of them; r0 is then `SITE_*`.

    Raises ValueError for more sites than a cookie can tell apart: the planner chooses no such way.
    """
    if len(sites) > _MOST_SITES:
        raise ValueError(f"{len(sites)} end sites of one function, at most {_MOST_SITES}")
    made = _Code()
    if not sites:
        made.add(_set(0, abi.SITE_KNOWN))
        return made.finished()
    made.add(Instruction(bpf.STORE, 10, 1, LOWEST))  # calls change r1
    if only is not None:
        made.site(sites[only])
        return made.finished()
    for number, site in enumerate(sites):
        made.add(_load(2, 1, abi.SITE_NUMBER))
        at = made.jump(bpf.NOT_EQUAL, 2, number)
        made.site(site)
        made.lead_here(at)
    made.add(_set(0, abi.SITE_UNKNOWN))
    return made.finished()


def _set(register: int, value: int) -> Instruction:
    return Instruction(bpf.by_value(bpf.MOVE), register, immediate=value)


def _load(register: int, pointer: int, word: int) -> Instruction:
    return Instruction(bpf.LOAD, register, pointer, 8 * word)


class _Code:
    """Instructions, with jumps to the three ways out, which come last."""

    def __init__(self) -> None:
        self._made: list[Instruction] = []
        self._out: list[tuple[int, int]] = []  # (instruction, verdict)

    def add(self, *made: Instruction) -> None:
        self._made.extend(made)

    def jump(self, opcode: int, register: int = 0, immediate: int = 0) -> int:
        """A jump without a target yet."""
        self.add(Instruction(opcode, register, immediate=immediate))
        return len(self._made) - 1

    def lead_here(self, jump: int) -> None:
        self._made[jump] = self._made[jump]._replace(offset=len(self._made) - jump - 1)

    def out(self, verdict: int, opcode: int = bpf.JUMP, register: int = 0, immediate: int = 0) -> None:
        """Go to the end with a verdict, if a condition holds."""
        self._out.append((self.jump(opcode, register, immediate), verdict))

    def site(self, site: SiteCode) -> None:
        """The code of one site. r1 points to the words before it."""
        for offset, distance in site.callers:
            self._read(offset, 8, abi.SITE_OTHER)
            self.add(_load(2, 1, abi.SITE_VALUE), _load(3, 1, abi.SITE_IP), Instruction(bpf.SUB, 2, 3))
            self.out(abi.SITE_OTHER, bpf.NOT_EQUAL, 2, distance)
        place = site.place
        if place is None:
            self.out(abi.SITE_UNKNOWN)
            return
        if place.kind is Origin.CONSTANT:
            self.add(*bpf.load_immediate(2, place.number & (1 << 64) - 1))
        elif place.kind is Origin.STACK:
            self._read(place.number, place.width, abi.SITE_UNKNOWN)
            self.add(_load(2, 1, abi.SITE_VALUE))
        else:
            self.add(_load(2, 1, _RESULT if place.kind is Origin.RESULT else place.number))
        shift = 64 - 8 * place.width
        if shift and place.kind is not Origin.CONSTANT:
            right = bpf.ARITHMETIC_RIGHT if place.signed else bpf.RIGHT
            self.add(
                Instruction(bpf.by_value(bpf.LEFT), 2, immediate=shift),
                Instruction(bpf.by_value(right), 2, immediate=shift),
            )
        self.add(Instruction(bpf.STORE, 1, 2, 8 * abi.SITE_VALUE))
        self.out(abi.SITE_KNOWN)

    def _read(self, offset: int, size: int, refused: int) -> None:
        """SITE_VALUE = `size` bytes at the frame + `offset`, without a sign; r1 points to the words again."""
        self.add(
            Instruction(bpf.STORE_IMMEDIATE, 1, offset=8 * abi.SITE_VALUE),
            _load(3, 1, abi.SITE_FRAME),
            Instruction(bpf.by_value(bpf.ADD), 3, immediate=offset),
            Instruction(bpf.by_value(bpf.ADD), 1, immediate=8 * abi.SITE_VALUE),
            _set(2, size),
            Instruction(bpf.CALL, immediate=PROBE_READ_USER),
        )
        self.out(refused, bpf.NOT_EQUAL)
        self.add(Instruction(bpf.LOAD, 1, 10, LOWEST))

    def finished(self) -> list[Instruction]:
        """With every jump's distance."""
        made, ways = self._made, dict.fromkeys((verdict for _, verdict in self._out), 0)
        end = len(made) + 2 * len(ways)
        if ways and made[-1].opcode != bpf.JUMP:  # the verifier refuses code that nothing leads to
            made.append(Instruction(bpf.JUMP, offset=end - len(made)))
            end += 1
        for verdict in ways:
            ways[verdict] = len(made)
            made += [_set(0, verdict), Instruction(bpf.JUMP, offset=end - len(made) - 2)]
        for at, verdict in self._out:
            made[at] = made[at]._replace(offset=ways[verdict] - at - 1)
        return made
