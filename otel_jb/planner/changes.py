# SPDX-License-Identifier: Apache-2.0
"""What discovery finds out: processes to measure, and what became of those that the kernel had met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_jb.host import procfs
from otel_jb.host.procfs import Process
from otel_jb.model.dataclass import dataclass

if TYPE_CHECKING:
    from otel_jb.model.arrival import Arrival
    from otel_jb.model.plan import ProbePlan
    from otel_jb.model.stream import Target
    from otel_jb.planner.expected import Expectation


@dataclass(frozen=True, slots=True)
class Found:
    """A process that is to be measured, and how."""

    process: Process
    target: Target
    plan: ProbePlan
    alone: bool = False  #: it was named by its PID
    came: bool = False  #: the kernel has counted for it already, so it is reported even if it has ended

    def still_runs(self) -> bool:
        """Whether it is still this very process."""
        return procfs.alive(self.process)


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a process that the kernel had met: nothing of these, and it is not wanted."""

    arrivals: Sequence[Arrival]
    found: Found | None = None
    grown: tuple[int, ProbePlan] | None = None
    target: int | None = None  #: it is measured already


@dataclass(frozen=True, slots=True)
class Changes:
    """What a poll found."""

    found: list[Found]
    ended: list[int]  #: target ids
    grown: list[tuple[int, ProbePlan]]  #: target id and its plan with what it loaded since
    placed: list[Placed]  #: what the kernel had met
    left: list[int]  #: target ids that a new configuration does not select, or describes otherwise
    kept: list[tuple[int, ProbePlan]]  #: the other targets' plans by a new configuration
    more: bool = False  #: processes wait to be looked at: call again soon
    expected: Sequence[Expectation] = ()  #: what processes may load from now on
    anew: bool = False  #: a new configuration selects: nothing waits any more for what the old one expected

    def __bool__(self) -> bool:
        """Whether there is anything to apply; `more` alone is not."""
        return self.anew or any((self.found, self.ended, self.grown, self.placed, self.left, self.kept, self.expected))
