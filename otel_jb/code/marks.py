# SPDX-License-Identifier: Apache-2.0
"""From marks to functions: which functions of a stripped file refer to a text or stand in a slot of a virtual table."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from otel_jb.arch import aarch64, x86_64
from otel_jb.arch.instruction import Flow, Instruction
from otel_jb.code.bounds import Bounds
from otel_jb.elf.image import Image
from otel_jb.elf.references import MAX_PLACES, called, calls_of, jumped_to, jumps_into, places, references
from otel_jb.elf.symbols import tables
from otel_jb.elf.unwind_tables import Frame, Frames, Row
from otel_jb.elf.vtables import pointed_to, slots
from otel_jb.model.errors import ElfError
from otel_jb.model.marks import Mark, MarkKind, Reached, Trail

MAX_BYTES = 1 << 17  #: of a function that is decoded for its calls, or of an outlined part for its jumps
MAX_CALLERS = 8  #: functions that refer to the text of one `called_by`
MAX_USERS = 512  #: instructions that refer to one mark
MAX_CALLED = 1024  #: functions that they call

_DECODERS = {"x86_64": x86_64, "aarch64": aarch64}


def trails(image: Image, marks: Sequence[Mark]) -> list[Trail]:
    """Where each mark leads, in their order."""
    texts = {
        mark: places(image, mark.text.encode(), whole=mark.kind is not MarkKind.STARTS)
        for mark in marks
        if mark.kind is not MarkKind.SLOT
    }
    targets = {place for found in texts.values() if len(found) <= MAX_PLACES for place in found}
    users: dict[int, list[int]] = {}
    for instruction, target in references(image, targets):
        users.setdefault(target, []).append(instruction)
    finder = _Functions(image)
    finder.meet(list(itertools.islice(itertools.chain(*users.values()), MAX_USERS)))
    follow = {MarkKind.CALLED_BY: finder.called, MarkKind.CALLS: finder.calling}
    found = []
    for mark in marks:
        if mark.kind is MarkKind.SLOT:
            found.append(finder.beginning(mark, slots(image, mark.text, mark.slot)))
        elif len(texts[mark]) > MAX_PLACES:
            found.append(Trail(mark, present=True, problem="the file has it too often"))
        else:
            used_at = [at for place in texts[mark] for at in users.get(place, ())]
            found.append(follow.get(mark.kind, finder.using)(mark, used_at, present=bool(texts[mark])))
    return found


class _Functions:
    """The functions around addresses, by the file's unwind entries; by gaps in the code where it has none."""

    def __init__(self, image: Image) -> None:
        self._image, self._frames, self._bounds = image, Frames(image), Bounds(image)
        self._decode = _DECODERS[image.arch].decode
        self._known: dict[int, Frame | None] = {}
        self._entered: dict[int, bool] = {}

    def using(self, mark: Mark, used_at: Sequence[int], *, present: bool) -> Trail:
        """The functions around the instructions that refer to a mark."""
        around = [self._function(address) for address in used_at[:MAX_USERS]]
        times = Counter(frame.start for frame in around if frame is not None)
        functions = {frame.start: frame for frame in around if frame is not None}
        reached = tuple(Reached(start, functions[start].end - start, times[start]) for start in sorted(functions))
        lost = None in around and not reached
        return Trail(
            mark,
            present,
            reached,
            "neither an unwind entry nor a call tells which function refers to it" if lost else "",
        )

    def called(self, mark: Mark, used_at: Sequence[int], *, present: bool) -> Trail:
        """The functions that are called by those around these instructions."""
        callers = {frame.start: frame for frame in map(self._function, used_at) if frame is not None}
        if len(callers) > MAX_CALLERS:
            return Trail(mark, present, problem="too many functions refer to it")
        times = Counter(
            instruction.target
            for frame in callers.values()
            for instruction in self._decoded(frame)
            if instruction.flow in (Flow.CALL, Flow.JUMP) and instruction.target is not None
        )
        return self._beginning(mark, times, present=present)

    def calling(self, mark: Mark, used_at: Sequence[int], *, present: bool) -> Trail:
        """The functions that call those around these instructions."""
        callees = {frame.start for frame in map(self._function, used_at[:MAX_USERS]) if frame is not None}
        # The call may be the last instruction of its function, so what is behind it may belong to the next one.
        sites = [at - 1 if self._image.arch == "x86_64" else at for at in calls_of(self._image, callees)]
        self.meet(sites[:MAX_USERS])
        found = self.using(mark, sites, present=present)
        return replace(found, functions=tuple(each for each in found.functions if each.address not in callees))

    def beginning(self, mark: Mark, addresses: Sequence[int]) -> Trail:
        """The functions that begin at these addresses."""
        return self._beginning(mark, Counter(addresses), present=bool(addresses))

    def _beginning(self, mark: Mark, times: Counter[int], *, present: bool) -> Trail:
        frames = [(frame, times[start]) for start in sorted(times) if (frame := self.frame(start)) is not None]
        reached = [
            Reached(frame.start, frame.end - frame.start, count) for frame, count in frames if frame.start in times
        ]
        return Trail(mark, present, tuple(reached[:MAX_CALLED]))

    def _function(self, address: int) -> Frame | None:
        """The function around an address; that of which an outlined part is one, where the address lies in such a part."""
        frame = self.frame(address)
        if frame is None or self._is_entered(frame):
            return frame
        if frame.start not in self._known:
            self._known[frame.start] = self._owner(frame)
        return self._known[frame.start]

    def meet(self, addresses: Sequence[int]) -> None:
        """Find out about the functions around all these addresses at once, since each question reads all of the code."""
        self._bounds.learn(address for address in addresses if self._described(address) is None)
        self.learn(filter(None, map(self.frame, addresses)))

    def frame(self, address: int) -> Frame | None:
        """The unwind entry around an address; one that says only what holds at its start where the file has none."""
        found = self._described(address)
        if found is not None or (bounds := self._bounds.around(address)) is None:
            return found
        self._entered[bounds[0]] = True
        machine = self._image.machine
        return Frame(*bounds, (Row(bounds[0], machine.stack_pointer, machine.pushed),), None)

    def _described(self, address: int) -> Frame | None:
        try:
            return self._frames.at(address)
        except ElfError:
            return None

    def _is_entered(self, frame: Frame) -> bool:
        """Whether it is a whole function: something calls it or holds its address, and its first instruction finds the frame as a call leaves
        it. An outlined part is only jumped to, and may begin with the same frame.
        """
        if frame.start not in self._entered:
            self.learn([frame])
        return self._entered[frame.start]

    def learn(self, frames: Iterable[Frame]) -> None:
        """Find out of all these frames at once whether they are whole functions, since each question reads all of the code."""
        image, machine = self._image, self._image.machine
        left: dict[int, Frame] = {}
        for frame in frames:
            row = frame.row(frame.start)
            if row is None or (row.register, row.offset) != (machine.stack_pointer, machine.pushed):
                self._entered[frame.start] = False
            elif frame.start not in self._entered:
                left[frame.start] = frame

        def settle(entered: Collection[int]) -> None:
            self._entered.update((start, True) for start in left if start in entered)
            for start in left.keys() & frozenset(entered):
                del left[start]

        settle(self._exported if left else ())
        settle(called(image, left))
        settle({target for _, target in references(image, left)})
        settle(pointed_to(image, left))
        settle({start for start in jumped_to(image, left) if not self._goes_back(left[start])})
        self._entered.update(dict.fromkeys(left, False))

    def _goes_back(self, frame: Frame) -> bool:
        """Whether it jumps into the middle of another function, as only its own outlined part does."""
        return any(
            other is not None and other.start not in (frame.start, target)
            for target in self._jumps(frame)
            for other in [self.frame(target)]
        )

    def _jumps(self, frame: Frame) -> list[int]:
        """Targets of its direct jumps out of it."""
        return [
            instruction.target
            for instruction in self._decoded(frame)
            if instruction.flow in (Flow.JUMP, Flow.BRANCH)
            and instruction.target is not None
            and not frame.start <= instruction.target < frame.end
        ]

    @cached_property
    def _exported(self) -> frozenset[int]:
        return frozenset(address for table in tables(self._image) for _, _, address, _, _ in table.functions())

    def _owner(self, part: Frame) -> Frame | None:
        """The only function that jumps to an outlined part or that the part jumps back to; None if there is none, or several."""
        # An address behind the jump, or in the middle of what is jumped back to: in both cases it lies within the owner.
        behind = [address - 1 for address in jumps_into(self._image, part.start, min(part.end, part.start + MAX_BYTES))]
        owners: dict[int, Frame] = {}
        for address in [*self._jumps(part), *behind]:
            frame = self.frame(address)
            if frame is None or frame.start in (part.start, address) or not self._is_entered(frame):
                continue
            owners[frame.start] = frame
        return next(iter(owners.values())) if len(owners) == 1 else None

    def _decoded(self, frame: Frame) -> list[Instruction]:
        """The instructions of a function or of a part; none where it is too large."""
        size = frame.end - frame.start
        if not 0 < size <= MAX_BYTES:
            return []
        try:
            found: list[Instruction] = self._decode(self._image.read(frame.start, size), frame.start)[0]
            return found
        except ElfError:
            return []
