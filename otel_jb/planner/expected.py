# SPDX-License-Identifier: Apache-2.0
"""Libraries with a jitter buffer that processes may load later: found by their names, planned before anybody maps them (docs/adr/0064, 0125)."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_jb.host import libraries
from otel_jb.host.patience import known_status
from otel_jb.host.procfs import PROC, Process
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import EndStrategy, ProbePlan

if TYPE_CHECKING:
    from otel_jb.planner.planner import Planner

_logger = logging.getLogger(__name__)

EVERYONE = 0  #: in the place of a PID
AFTER_S = 5.0  #: after the running processes were examined: they are busy with their start, and so is the agent
AGAIN_S = 16.0  #: between two looks for libraries that were installed meanwhile
MOST_ROOTS = 64  #: containers whose libraries are probed ahead


@dataclass(frozen=True, slots=True)
class Expectation:
    """Functions of a library that are to be counted from the first call of a process that may load it."""

    plan: ProbePlan
    pid: int = EVERYONE  #: only this process is probed


@dataclass(slots=True)
class _Root:
    """A file system in which processes look for their libraries."""

    path: str
    looked_at: tuple[int, int] | None = None  #: the state of its libraries then


class Ahead:
    """Says which libraries to probe before processes load them, one at a time, since analysing one takes up to a second."""

    def __init__(self) -> None:
        self._waiting: deque[Iterator[Expectation]] = deque()
        self._roots: dict[tuple[int, int], _Root] = {}
        self._looks_s: float | None = None  # when the roots are looked at next; None: nothing is probed for everyone
        self._made_s = time.monotonic()

    def clear(self) -> None:
        """Forget everything: other processes are selected."""
        self._waiting.clear()
        self._roots.clear()
        self._looks_s = None

    def add_process(self, planner: Planner, process: Process) -> None:
        """Probe what this process may load, for it alone."""
        self._waiting.append(_in_root(planner, process.root, process.pid, named=True))

    @property
    def begun(self) -> bool:
        """Whether `begin` was called."""
        return self._looks_s is not None

    def may_begin(self, *, busy: bool) -> bool:
        """Whether the running processes were examined (not `busy`), or too many come for that ever to happen."""
        return not busy or time.monotonic() > self._made_s + AGAIN_S

    def begin(self) -> None:
        """From soon on, probe for every process what any may load, on this host and in the roots that are added."""
        self._looks_s = time.monotonic() + AFTER_S
        self.add_root("/")
        self.add_root(f"{PROC}/1/root")  # of the host, if the agent runs in a container

    def add_root(self, root: str) -> None:
        """Processes run in this root, which is perhaps known."""
        if self._looks_s is None or len(self._roots) >= MOST_ROOTS:
            return
        try:
            status = known_status(root)
        except OSError:  # the process has ended, or may not be looked at
            return
        if (status.device, status.inode) not in self._roots:
            self._roots[status.device, status.inode] = _Root(root)
            self._looks_s = min(self._looks_s, time.monotonic() + AFTER_S)

    def next(self, planner: Planner, *, named: bool) -> Expectation | None:
        """What to probe next, if anything; `named`: functions count whose names alone give them away."""
        while True:
            while self._waiting:
                found = next(self._waiting[0], None)
                if found is not None:
                    return found
                self._waiting.popleft()
            if self._looks_s is None or time.monotonic() < self._looks_s:
                return None
            self._looks_s = time.monotonic() + AGAIN_S
            self._look(planner, named=named)

    def _look(self, planner: Planner, *, named: bool) -> None:
        """Have the libraries of those roots analysed in which there are others than before."""
        for key, root in list(self._roots.items()):
            try:
                status = known_status(root.path)
            except OSError:
                status = None
            if status is None or (status.device, status.inode) != key:
                del self._roots[key]  # processes that still run in it are added again
                continue
            state = libraries.state(root.path)
            if state != root.looked_at:
                root.looked_at = state
                self._waiting.append(_in_root(planner, root.path, EVERYONE, named=named))


def _in_root(planner: Planner, root: str, pid: int, *, named: bool) -> Iterator[Expectation]:
    """What a process may load of the libraries that a root has; each is analysed when it is asked for."""
    for path in libraries.find(planner.catalog.libraries(), root):
        try:
            plan = _without_ends(planner, planner.plan_library(path, root, named=named))
        except AgentError as error:
            _logger.debug("%s", error.message)
            continue
        if plan.probes:
            _logger.debug("%s is probed before %s loads it", path, f"process {pid}" if pid else "a process")
            yield Expectation(plan, pid)


def _without_ends(planner: Planner, plan: ProbePlan) -> ProbePlan:
    """Without return probes that could not be left out for a process whose libraries nobody has seen yet."""
    if planner.kernel.sessions:
        return plan
    return replace(plan, probes=tuple(each for each in plan.probes if each.strategy is not EndStrategy.URETPROBE))
