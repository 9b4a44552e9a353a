# SPDX-License-Identifier: Apache-2.0
"""The instructions at which every end of a function can be seen: its `ret` instructions, or the edges before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace

from otel_jb.arch.instruction import Flow, Price
from otel_jb.code import called, edges, known, values
from otel_jb.code.body import Body, Exit, UndecodableError, body_of
from otel_jb.code.brief import Brief, brief
from otel_jb.code.edges import Crossed, Crossing
from otel_jb.code.facts import Ends, Spot
from otel_jb.code.private import words
from otel_jb.code.spots import merged, spot_at
from otel_jb.code.values import State
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import IN_RESULT, SITE_REGISTERS, FrameBase, Origin, ReturnPlace

MAX_DEPTH = 3  #: of functions that end in one another
MAX_FOLLOWED_SITES = 24  #: end sites taken over from other functions


@dataclass(frozen=True, slots=True)
class _End:
    """A site, and the state when the function returns after it; None: unknown."""

    spot: Spot
    state: State | None


@dataclass(slots=True)
class _Found:
    """Ends of one function, or why they cannot all be seen."""

    ends: list[_End] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str = ""

    @property
    def note(self) -> str:
        """What is not part of the measured time."""
        return "; ".join(dict.fromkeys(self.notes))

    def add(self, other: _Found) -> None:
        """Copy findings from elsewhere."""
        self.ends += other.ends
        self.notes += other.notes
        self.refused = self.refused or other.refused


_Finder = Callable[[Body, tuple[int, ...]], _Found]


def ret_ends(body: Body) -> Ends:
    """A probe on every `ret`, on every tail call that cannot be followed, and on the ends of those that can."""
    return _as_ends(_rets(body, ()))


def edge_ends(body: Body) -> Ends:
    """Sites that every way out crosses, emulated ones wherever possible."""
    if not body.described and not body.unclear:
        return Ends(refused="there is no call frame information to find the frame by")
    return _as_ends(_edges(body, ()))


#: What finds all ends of a function, by the field of `FunctionCode` that holds them.
FINDERS: dict[str, Callable[[Body], Ends]] = {"edges": edge_ends, "rets": ret_ends}


def _as_ends(found: _Found) -> Ends:
    return (
        Ends(refused=found.refused) if found.refused else Ends(merged(end.spot for end in found.ends), "", found.note)
    )


def _rets(body: Body, chain: tuple[int, ...]) -> _Found:
    if body.unclear:
        return _Found(refused=body.unclear)
    spots = [
        spot_at(body, instruction, (FrameBase.SP, 0), ret=True)
        for instruction in body.instructions
        if instruction.flow is Flow.RETURN
    ]
    if any(spot.price is Price.REFUSED for spot in spots):
        return _Found(refused="a return instruction takes no probe (pointer authentication)")
    found = _Found([_End(spot, None) for spot in spots])
    for exit_ in body.exits:
        if exit_.target is None:
            instruction = body.instructions[exit_.index]
            frame = body.frame(instruction.address) or (FrameBase.SP, 0)
            found.ends.append(_End(spot_at(body, instruction, frame, returned=None), None))
    found.add(_tails(body, chain, _rets, frozenset()))
    return found


def _edges(body: Body, chain: tuple[int, ...]) -> _Found:
    if body.unclear:
        return _Found(refused=body.unclear)
    if not body.described:
        return _Found(refused="there is no call frame information to find the frame by")
    ends = [n for n, instruction in enumerate(body.instructions) if instruction.flow is Flow.RETURN]
    ends += [exit_.index for exit_ in body.exits if exit_.target is None]
    cycles = edges.cyclic(body)
    lenders: dict[int, _Found] = {}

    def calls(call: int) -> Crossed | None:
        """How the call is seen to come back: where the called function ends, or else where it begins."""
        if _gives_back(body, call):
            return Crossed.LAST
        if call not in lenders:
            lenders[call] = _lenders(body, call, chain)
        return Crossed.CALL if not lenders[call].refused else _at_itself(body, call)

    found = _Found()
    for end in ends:
        cut = edges.cut(body, end, calls)
        if cut.refused:
            return _Found(refused=cut.refused)
        for crossing in cut.crossings:
            if crossing.kind is Crossed.LAST:
                last = called.name_of(body, body.instructions[crossing.index])
                found.notes.append(f"the call of {known.readable(last)} at its end")
            if crossing.kind is Crossed.CALL:
                found.add(_lent(body, crossing, end, lenders[crossing.index]))
            else:
                found.ends.append(_crossed(body, crossing, end, looped=crossing.index in cycles, inner=bool(chain)))
    found.add(_tails(body, chain, _edges, cycles))
    if not found.refused and len(found.ends) > MAX_FOLLOWED_SITES + len(body.instructions):
        return _Found(refused="it has too many ends")
    return found


def _crossed(body: Body, crossing: Crossing, end: int, *, looped: bool, inner: bool) -> _End:
    """The site of a crossing that leads to the end with this index. `inner`: of a function whose ends another one's are."""
    instruction = body.instructions[crossing.index]
    frame = body.frame(instruction.address)
    assert frame is not None  # edges.cut refuses sites without one
    branch = crossing.taken is not None
    state = _state_at(body, crossing, end, frame, inner=inner)
    spot = spot_at(
        body,
        instruction,
        frame,
        condition=instruction.condition if branch else None,
        taken=bool(crossing.taken),
        looped=looped and branch,
        rare=crossing.rare,
        returned=_returned(body, crossing, end, state),
        writes=state is None or state.writes,
    )
    return _End(spot, state)


def _state_at(body: Body, crossing: Crossing, end: int, frame: tuple[FrameBase, int], *, inner: bool) -> State | None:
    """What holds at the end, in terms of what holds at the crossing; None where values are not followed."""
    if not body.context.image.machine.derives_frames or body.instructions[end].flow is Flow.INDIRECT_JUMP:
        return None
    path = edges.straight(body, crossing, end)
    if path is None:
        return None
    instruction = body.instructions[crossing.index]
    passed = brief(body.context, instruction.target or 0) if crossing.kind is Crossed.BRIEF else None
    # Where it matters what the function gives back to its caller, pops must be found; and what is pushed, where it calls another.
    depth = called.depth_at(body, instruction) if inner or passed is not None else None
    state = State.at_site(frame, depth, words(body))
    if passed is not None and passed.line is not None:
        values.run_called(state, passed.line)
    elif crossing.kind in (Crossed.BRIEF, Crossed.LAST):
        state.called()
    _run(body, path, state)
    return state


def _run(body: Body, path: Sequence[int], state: State) -> None:
    values.run(state, [(body.raw(body.instructions[n]), body.instructions[n].address) for n in path])


def _returned(body: Body, crossing: Crossing, end: int, state: State | None) -> ReturnPlace | None:
    if state is not None:
        return state.returned()
    if body.instructions[end].flow is Flow.INDIRECT_JUMP or crossing.kind in (Crossed.BRIEF, Crossed.LAST):
        return None
    path = edges.straight(body, crossing, end)
    source = None if path is None else _copied_from(body, path)
    if source is None or source == body.context.machine.RETURN_REGISTER:
        return None if source is None else IN_RESULT
    return ReturnPlace(Origin.REGISTER, source) if source < SITE_REGISTERS else None


def _copied_from(body: Body, path: Sequence[int]) -> int | None:
    """The general register that holds before the path what is the return value behind it; None if none does (AArch64)."""
    machine = body.context.machine
    wanted: int = machine.RETURN_REGISTER
    for position in reversed(path):
        instruction = body.instructions[position]
        if wanted not in body.writes(instruction):
            continue
        source: int | None = machine.copied_from(instruction, wanted)
        if source is None:
            return None
        wanted = source
    return wanted


# -- ends of other functions ----------------------------------------------------------------------------------------


def _lenders(body: Body, call: int, chain: tuple[int, ...]) -> _Found:
    """The ends of the function that is called there, if they can stand for an end of this one that follows straight."""
    instruction = body.instructions[call]
    refused = called.can_follow(body, instruction)
    target = instruction.target
    if refused or target is None:
        return _Found(refused=refused)
    if target == body.start or target in chain or len(chain) >= MAX_DEPTH:
        return _Found(refused="it calls too deep at its end")
    try:
        found = _edges(body_of(body.context, target, 0), (*chain, body.start))
    except UndecodableError as reason:
        return _Found(refused=f"what it calls at its end is not decodable: {reason}")
    if found.refused or not found.ends:
        return _Found(refused=found.refused or "what it calls at its end never returns")
    if len(found.ends) > MAX_FOLLOWED_SITES:
        return _Found(refused="what it calls at its end has too many ends")
    if any(end.spot.price is not Price.EMULATED and not end.spot.rare for end in found.ends):
        return _Found(refused="an end of what it calls at its end is single-stepped")
    if any(end.spot.looped for end in found.ends):
        return _Found(refused="an end of what it calls at its end is inside a loop")
    return found


def _gives_back(body: Body, call: int) -> bool:
    """Whether a call of another file's function may count as the end: it takes a moment and gives something back."""
    instruction = body.instructions[call]
    if instruction.target is None or not body.context.in_plt(instruction.target):
        return False
    return edges.may_be_site(body, call) and known.gives_back(called.name_of(body, instruction))


def _at_itself(body: Body, call: int) -> Crossed | None:
    """How the end behind a call can be seen at the call itself."""
    instruction = body.instructions[call]
    if instruction.target is None or not edges.may_be_site(body, call):
        return None
    if brief(body.context, instruction.target) is not None:
        return Crossed.BRIEF
    return Crossed.LAST if known.tells(called.name_of(body, instruction)) else None


def _lent(body: Body, crossing: Crossing, end: int, lenders: _Found) -> _Found:
    """The ends of the called function as ends of this one."""
    call = body.instructions[crossing.index]
    path = edges.straight(body, crossing, end)
    found = _Found(notes=list(lenders.notes))
    for each in lenders.ends:
        state = each.state if each.state is not None else State.unknown(words(body))
        behind = called.after_call(body, call, state, words(body))
        if path is None or body.instructions[end].flow is Flow.INDIRECT_JUMP:
            found.ends.append(_End(replace(called.lent(body, call, each.spot), returned=None), None))
            continue
        _run(body, path, behind)
        spot = replace(called.lent(body, call, each.spot), returned=behind.returned(), writes=behind.writes)
        found.ends.append(_End(spot, behind))
    return found


def _tails(body: Body, chain: tuple[int, ...], finder: _Finder, cycles: frozenset[int]) -> _Found:
    """The ends of functions that are jumped to at the end, or the jump itself where it leads elsewhere."""
    found = _Found()
    for exit_ in body.exits:
        instruction = body.instructions[exit_.index]
        if exit_.target is None:
            found.notes.append("a call through a pointer at its end")
            continue
        name = known.plain(body.context.names.get(exit_.target, ""))
        if known.never_returns(name):
            continue
        if body.context.in_plt(exit_.target) or known.is_generic(name):
            if instruction.flow is Flow.BRANCH and instruction.condition is None:
                return _Found(refused="a tail call depends on a register, not the flags")
            found.notes.append(f"the call of {known.readable(name) or 'another file'} at its end")
            found.ends.append(_End(_jump_spot(body, exit_, looped=exit_.index in cycles), None))
            continue
        try:
            target = body_of(body.context, exit_.target, 0)
        except UndecodableError as reason:
            return _Found(refused=f"it tail-calls {name or hex(exit_.target)}, which is not decodable: {reason}")
        if exit_.target == body.start or exit_.target in chain or len(chain) >= MAX_DEPTH:
            return _Found(refused="it tail-calls too deep")
        followed = finder(target, (*chain, body.start))
        passed = brief(body.context, exit_.target) if followed.refused else None
        if passed is not None and (instruction.flow is not Flow.BRANCH or instruction.condition is not None):
            found.ends.append(_passing(body, exit_, passed, looped=exit_.index in cycles))
            continue
        if followed.refused:
            return _Found(refused=f"it tail-calls {name or hex(exit_.target)}: {followed.refused}")
        error = known.makes_error(name)
        followed.ends = [
            _End(replace(end.spot, optional=True, rare=end.spot.rare or error), end.state) for end in followed.ends
        ]
        found.add(followed)
    if sum(end.spot.optional for end in found.ends) > MAX_FOLLOWED_SITES:
        return _Found(refused="its tail calls have too many ends")
    return found


def _passing(body: Body, exit_: Exit, passed: Brief, *, looped: bool) -> _End:
    """The jump to a function that returns within a moment."""
    spot = _jump_spot(body, exit_, looped=looped)
    state = State.at_site((FrameBase(spot.base), spot.displacement), 0, words(body))
    if passed.line is None:
        state.called()
    else:
        values.run(state, passed.line)
    return _End(replace(spot, returned=state.returned(), writes=state.writes), state)


def _jump_spot(body: Body, exit_: Exit, *, looped: bool) -> Spot:
    instruction = body.instructions[exit_.index]
    branch = instruction.flow is Flow.BRANCH
    frame = body.frame(instruction.address) or (FrameBase.SP, 0)
    return spot_at(
        body,
        instruction,
        frame,
        condition=instruction.condition if branch else None,
        taken=branch,
        looped=looped and branch,
        returned=None,
    )
