# SPDX-License-Identifier: Apache-2.0
"""Which of the measured processes a debugger is attached to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from otel_jb.host import debuggers
from otel_jb.host.debuggers import Debugger

AT_ONCE = 16  #: processes examined per call; one takes some 30 µs


class DebuggerWatch:
    """Looks at a few processes at a time, at those that are being debugged every time."""

    def __init__(self, debugger_of: Callable[[int], Debugger | None] = debuggers.of) -> None:
        self._debugger_of = debugger_of
        self._turn: deque[int] = deque()
        self._debugged: set[int] = set()

    def look(self, pids: Mapping[int, int]) -> Iterator[tuple[int, Debugger | None]]:
        """Each target with a debugger, and once each whose debugger has left, with None; `pids` are those of all targets."""
        self._debugged &= pids.keys()
        new = pids.keys() - set(self._turn)
        self._turn = deque([*sorted(new), *(each for each in self._turn if each in pids)])
        due = [self._turn[at] for at in range(min(AT_ONCE, len(self._turn)))]
        self._turn.rotate(-len(due))
        for target in dict.fromkeys((*self._debugged, *due)):
            debugger = self._debugger_of(pids[target])
            if debugger is not None:
                self._debugged.add(target)
                yield target, debugger
            elif target in self._debugged:
                self._debugged.remove(target)
                yield target, None
