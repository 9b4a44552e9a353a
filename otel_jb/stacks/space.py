# SPDX-License-Identifier: Apache-2.0
"""Where a process has its code and its stacks: read from its maps now and then, not for each slow call."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import field

from otel_jb.arch.machine import here
from otel_jb.host import procfs, vdso
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError
from otel_jb.planner.findings import open_mapped
from otel_jb.planner.mapped import open_foreign
from otel_jb.stacks.shape import Shapes
from otel_jb.stacks.walk import Place

LOOK_S = 1.0  #: what a process has loaded since is noticed within this time
MAX_SPACES = 512
MAX_PLACES = 20_000

FileKey = tuple[str, int]  #: device and inode, as the maps have them


@dataclass(frozen=True, slots=True)
class Code:
    """An executable mapping of a process."""

    start: int
    end: int
    offset: int
    name: str
    key: FileKey
    file: procfs.MappedFile | None  #: None: the vdso


@dataclass(slots=True)
class Space:
    """What the agent knows about one process's memory; discarded when the process loads or unloads code."""

    pid: int
    codes: tuple[Code, ...]  #: in order of address
    starts: tuple[int, ...]
    looked: float  #: monotonic seconds
    probed: Collection[str]  #: names of its probed functions
    process: procfs.Process | None = None
    places: dict[int, Place] = field(default_factory=dict)  #: by absolute address
    shapes: Shapes = field(default_factory=Shapes)
    switches: bool | None = None  #: whether it can switch stacks; None: not looked at yet
    ranges: list[tuple[int, int]] = field(default_factory=list)  #: all its mappings, as far as they were asked for

    def find(self, address: int) -> Code | None:
        """The code that an address lies in."""
        index = bisect_right(self.starts, address) - 1
        if index >= 0 and address < self.codes[index].end:
            return self.codes[index]
        return _in_vdso(self.pid, address)

    def note(self, address: int, place: Place) -> Place:
        """Remember what is at an address."""
        if len(self.places) >= MAX_PLACES:
            self.places.clear()
        self.places[address] = place
        return place

    def open(self, code: Code) -> int:
        """A descriptor of the file of a mapping. Raises AgentError."""
        if code.file is None:
            return open_foreign(f"/proc/self/fd/{vdso.descriptor()}")
        if self.process is None:
            self.process = procfs.process(self.pid)
        return open_mapped(self.process, code.file)

    def one_mapping(self, a: int, b: int) -> bool | None:
        """Whether two stack addresses lie in one mapping; a thread's stack is one, with a guard page below it. None: `a` lies in none.

        Raises OSError where the process has ended.
        """
        found = _holding(self.ranges, a)
        if found is None or not found[0] <= b < found[1]:
            self.ranges = _ranges(self.pid)  # a stack that was not there yet, or has grown
            found = _holding(self.ranges, a)
        return None if found is None else found[0] <= b < found[1]


class Spaces:
    """The spaces of the processes whose slow calls come in.

    Args:
        probed: names of a target's probed functions.
        now: monotonic seconds.
    """

    def __init__(self, probed: Callable[[int], Collection[str]], now: Callable[[], float] = time.monotonic) -> None:
        self._probed = probed
        self._now = now
        self._spaces: OrderedDict[int, Space] = OrderedDict()
        self._targets: dict[int, int] = {}

    def of(self, target: int, pid: int) -> Space:
        """The space of a target's process: at most `LOOK_S` old; older where it has ended. Raises what reading it raises."""
        now, known = self._now(), self._spaces.get(pid)
        if known is not None and now - known.looked < LOOK_S:
            return known
        try:
            codes = _codes(pid)
        except AgentError:
            if known is None:
                raise
            return known  # it has ended: what it was is right for its last calls
        if known is None or known.codes != codes:
            known = self._spaces[pid] = Space(pid, codes, tuple(code.start for code in codes), now, ())
            while len(self._spaces) > MAX_SPACES:
                self._targets.pop(self._spaces.popitem(last=False)[0], None)
        known.looked, self._targets[pid] = now, target
        probed = self._probed(target)
        if probed != known.probed:
            known.probed = probed
            known.shapes = Shapes()  # they know which of their callers are probed
        known.ranges = []
        return known

    def known(self, pid: int) -> Space:
        """The space of a process, whichever target it is. Raises what reading it raises."""
        return self.of(self._targets.get(pid, 0), pid)


def _codes(pid: int) -> tuple[Code, ...]:
    found = [
        Code(m.start, m.end, m.offset, file.path.rsplit("/", 1)[-1], (file.device, file.inode), file)
        for file in procfs.mapped_files(pid)
        for m in file.mappings
    ]
    return tuple(sorted(found, key=lambda code: code.start))


def _in_vdso(pid: int, address: int) -> Code | None:
    """The vdso, if the address is there and signal handlers return there; its other code calls nothing."""
    if not here().signal_return:
        return None
    where, file = vdso.mapped(pid), vdso.descriptor()
    if where is None or file is None or not where[0] <= address < where[1]:
        return None
    status = os.fstat(file)
    return Code(*where, 0, vdso.NAME, (f"vdso {status.st_dev}", status.st_ino), None)


def _holding(ranges: Sequence[tuple[int, int]], address: int) -> tuple[int, int] | None:
    return next((each for each in ranges if each[0] <= address < each[1]), None)


def _ranges(pid: int) -> list[tuple[int, int]]:
    found = []
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file:
            start, _, end = line.partition(b" ")[0].partition(b"-")
            found.append((int(start, 16), int(end, 16)))
    return found


def candidates(spaced: Space, words: Sequence[int]) -> dict[FileKey, tuple[Code, list[int]]]:
    """The addresses among these that are code whose place is not known, by file."""
    found: dict[FileKey, tuple[Code, list[int]]] = {}
    for address in sorted(set(words)):
        if address not in spaced.places:
            code = spaced.find(address)
            if code is not None:
                found.setdefault(code.key, (code, []))[1].append(address)
    return found
