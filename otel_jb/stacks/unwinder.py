"""Stacks of slow calls: where they were called from, and whether one call ran on the stack of another.

The kernel copies the top of the user stack with a slow call. It is walked (`otel_jb.stacks.walk`) by the rules of `.eh_frame`, so code without
frame pointers is no obstacle; where the copy ends, or a rule is missing, the trace says that it is truncated. Rules and names are read
in the sandbox and remembered, so that a stack like an earlier one costs no request.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.arch.machine import AARCH64, here
from otel_jb.host import procfs, vdso
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import EndStrategy
from otel_jb.model.stream import NestedCall, Series, SlowCall
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.limits import MAX_FILES
from otel_jb.sandbox.unwind import Rule, rules
from otel_jb.stacks.walk import Place, Walk, address_mask, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

_logger = logging.getLogger(__name__)

MAX_ADDRESSES = 2000  #: asked for in one request
REMEMBERED_RULES = 50_000
REMEMBERED_CHAINS = 4096
_ARCHITECTURE = here()

_Key = tuple[int, int, int]  # device, inode, address in the image


@dataclass(frozen=True, slots=True)
class _Code:
    """An executable mapping of a process."""

    start: int
    end: int
    offset: int
    path: str
    name: str
    device: int
    inode: int


class Stacks:
    """Walks the stacks of slow calls. Used from one thread.

    Args:
        inspector: the sandbox.
        pid_of: the process of a target by its id, None if it is not measured any more.
        probed: the names of a target's probed functions.
    """

    def __init__(
        self,
        inspector: Inspector,
        pid_of: Callable[[int], int | None],
        probed: Callable[[int], Collection[str]] = lambda _: (),
    ) -> None:
        self._inspector = inspector
        self._pid_of = pid_of
        self._probed = probed
        self._switching: dict[tuple[int, int], bool] = {}  # by device and inode
        self._rules: OrderedDict[_Key, Rule] = OrderedDict()
        self._biases: dict[tuple[int, int], tuple[tuple[int, int, int], ...]] = {}
        self._may_switch_of: tuple[int, int, bool] | None = (
            None  # pid, slow call's start: asked for each call inside it
        )
        self._walks: OrderedDict[tuple[int, int, int], Walk] = OrderedDict()
        self._lock = threading.Lock()

    # -- what the span maker asks ------------------------------------------------------------------------------

    def symbolise(self, series: Series, call: SlowCall) -> list[str]:
        """The call's stack, innermost first; the first line is the function itself."""
        pid = self._pid_of(series.target)
        if pid is None:
            return [series.function]
        walk = self._walk(pid, series, call)
        return [*walk.lines] if walk.complete else [*walk.lines, "(truncated)"]

    def same_stack(self, pid: int, outer: SlowCall, inner: NestedCall) -> bool | None:
        """Whether a call that ran while `outer` was open ran on its stack; None where it cannot be told.

        The inner call's own stack decides, if it was slow enough to have been copied: it ran inside exactly if `outer`'s frame is
        among those that it was called from. Else, a thread of a process that cannot switch stacks has one: then the frame decides.
        """
        walk = self._walks.get((inner.series, inner.frame, inner.start_ns))
        if walk is not None:
            if outer.frame in walk.frames:
                return True
            if walk.complete or walk.reached > outer.frame:
                return False
        try:
            if self._switches(pid, outer):
                return None
            return _one_mapping(pid, outer.frame, inner.frame)
        except (AgentError, OSError):
            return None  # it ended

    def around(self, series: Series, call: SlowCall) -> Collection[int] | None:
        """The frames of the probed calls that a slow one ran in; None where its stack does not reach far enough to tell."""
        probed = self._probed(series.target)
        pid = self._pid_of(series.target)
        if pid is None:
            return ()
        walk = self._walk(pid, series, call)
        found = [frame for frame, function in walk.callers if function in probed]
        # Beyond the stack's known part another probed function may be open, unless there is no other.
        return found if found or walk.complete or len(probed) < 2 else None

    def _switches(self, pid: int, outer: SlowCall) -> bool:
        """`_may_switch`, remembered while the calls inside one slow call are looked at."""
        known = self._may_switch_of
        if known is None or known[:2] != (pid, outer.start_ns):
            known = self._may_switch_of = (pid, outer.start_ns, self._may_switch(pid))
        return known[2]

    def _may_switch(self, pid: int) -> bool:
        """Whether something that the process maps has or uses functions that switch stacks (coroutines)."""
        maps = {(code.device, code.inode): code for code in self._code_of(pid)}
        unknown = [code for key, code in maps.items() if key not in self._switching]
        for code in unknown:
            file = os.open(code.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                names = self._inspector.call("otel_jb.sandbox.unwind:switching", [file], name=code.name)
            finally:
                os.close(file)
            self._switching[(code.device, code.inode)] = bool(names)
        return any(self._switching[key] for key in maps)

    # -- walking -----------------------------------------------------------------------------------------------

    def _walk(self, pid: int, series: Series, call: SlowCall) -> Walk:
        key = (call.series, call.frame, call.start_ns)
        with self._lock:
            known = self._walks.get(key)
            if known is None:
                try:
                    known = self._walk_now(pid, series, call)
                except AgentError as error:
                    _logger.debug("a stack of process %d cannot be walked: %s", pid, error.message)
                    known = Walk((series.function,), frozenset(), complete=False, reached=call.frame)
                self._walks[key] = known
                if len(self._walks) > REMEMBERED_CHAINS:
                    self._walks.popitem(last=False)
            return known

    def _walk_now(self, pid: int, series: Series, call: SlowCall) -> Walk:
        copy = call.stack_copy
        maps = self._code_of(pid)
        words = struct.unpack_from(f"<{len(copy) // 8}Q", copy)
        mask = address_mask(_ARCHITECTURE, max([call.stack_pointer, *(code.end for code in maps[-1:])]))
        # Each word that could be a return address, so that one request brings every rule that this stack may need.
        returns = {(value & mask) - 1 for value in (*words, call.link_register)}
        self._learn(maps, {call.instruction_pointer, call.instruction_pointer - 1, *returns})

        def find(address: int) -> Place | None:
            code = _find(maps, address) or _in_vdso(pid, address)
            if code is None:
                return None
            rule = self._rule(code, address)
            if rule is None:
                # Around a signal: where it interrupted something, which is no return address, and in the vdso.
                self._learn([code], {address})
                rule = self._rule(code, address)
            return Place(code.name, rule) if rule is not None else None

        returned = series.strategy == EndStrategy.URETPROBE.value
        return walk(_ARCHITECTURE, series.function, call, find, mask=mask, returned=returned)

    # -- rules -------------------------------------------------------------------------------------------------

    def _rule(self, code: _Code, address: int) -> Rule | None:
        key = self._key(code, address)
        return self._rules.get(key) if key is not None else None

    def _key(self, code: _Code, address: int) -> _Key | None:
        """Which address of which file this is; None where no segment of the file covers it."""
        offset = address - code.start + code.offset
        for first, end, bias in self._biases.get((code.device, code.inode), ()):
            if first <= offset < end:
                return (code.device, code.inode, offset + bias)
        return None

    def _learn(self, maps: Sequence[_Code], candidates: Collection[int]) -> None:
        """Ask for the rules of those addresses that are code and whose rules are not known."""
        by_file: dict[tuple[int, int], tuple[_Code, list[int]]] = {}
        for address in sorted(candidates):
            code = _find(maps, address)
            if code is None:
                continue
            if (code.device, code.inode) not in self._biases:
                self._biases[(code.device, code.inode)] = _segments(self._inspector, code)
            key = self._key(code, address)
            if key is not None and key not in self._rules:
                by_file.setdefault((code.device, code.inode), (code, []))[1].append(key[2])
        if not by_file:
            return
        with ExitStack() as stack:
            files, names, wanted = [], [], []
            for code, addresses in list(by_file.values())[:MAX_FILES]:
                file = os.open(code.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                stack.callback(os.close, file)
                files.append(file)
                names.append(code.name)
                wanted.append(addresses[:MAX_ADDRESSES])
            for (device, inode), found in zip(by_file, rules(self._inspector, files, names, wanted), strict=False):
                self._rules.update({(device, inode, address): rule for address, rule in found.items()})
        while len(self._rules) > REMEMBERED_RULES:
            self._rules.popitem(last=False)

    def _code_of(self, pid: int) -> list[_Code]:
        """Executable mappings of a process, read anew each time: a library may have been loaded or dropped since."""
        process = procfs.process(pid)
        found = []
        for file in procfs.mapped_files(pid):
            path = procfs.file_path(process, file)
            status = Path(path).stat()
            name = file.path.rsplit("/", 1)[-1]
            found += [_Code(m.start, m.end, m.offset, path, name, status.st_dev, status.st_ino) for m in file.mappings]
        return sorted(found, key=lambda code: code.start)


def _segments(inspector: Inspector, code: _Code) -> tuple[tuple[int, int, int], ...]:
    """(first file offset, end, virtual address - offset) of the file's executable segments."""
    file = os.open(code.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        plain = inspector.call("otel_jb.sandbox.unwind:segments", [file], name=code.name)
    finally:
        os.close(file)
    return tuple((int(first), int(end), int(bias)) for first, end, bias in plain)


def _find(maps: Sequence[_Code], address: int) -> _Code | None:
    index = bisect_right([code.start for code in maps], address) - 1
    return maps[index] if index >= 0 and address < maps[index].end else None


def _in_vdso(pid: int, address: int) -> _Code | None:
    """The vdso, if the address is there. Only AArch64's code calls anything: its signal handlers return there."""
    if _ARCHITECTURE is not AARCH64:
        return None
    where, file = vdso.mapped(pid), vdso.descriptor()
    if where is None or file is None or not where[0] <= address < where[1]:
        return None
    status = os.fstat(file)
    return _Code(*where, 0, f"/proc/self/fd/{file}", vdso.NAME, status.st_dev, status.st_ino)


def _one_mapping(pid: int, a: int, b: int) -> bool | None:
    """Whether two stack addresses lie in one mapping; a thread's stack is one, with a guard page below it. None: `a` lies in none."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            first, _, rest = line.partition("-")
            start, end = int(first, 16), int(rest.partition(" ")[0], 16)
            if start <= a < end:
                return start <= b < end
    return None
