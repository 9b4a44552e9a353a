# SPDX-License-Identifier: Apache-2.0
"""Libraries with a jitter buffer that a process may load later: found by their names, planned before it maps them (docs/adr/0064)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otel_jb.host import libraries
from otel_jb.host.procfs import Process
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import EndStrategy, ProbePlan

if TYPE_CHECKING:
    from otel_jb.planner.planner import Planner

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Functions of a library that are to be counted from the first call of a process that may load it."""

    plan: ProbePlan
    pid: int  #: only this process is probed


def expected(planner: Planner, process: Process) -> Iterator[Expectation]:
    """What a process that the user named may load, of the libraries that its root has; each is analysed when it is asked for."""
    for path in libraries.find(planner.catalog.libraries(), process.root):
        try:
            plan = _ahead(planner, planner.plan_library(path, process.root, named=True))
        except AgentError as error:
            _logger.debug("%s", error.message)
            continue
        if plan.probes:
            _logger.debug("%s is probed before process %d loads it", path, process.pid)
            yield Expectation(plan, process.pid)


def _ahead(planner: Planner, plan: ProbePlan) -> ProbePlan:
    """Without return probes that could not be left out for a process whose libraries nobody has seen yet."""
    if planner.kernel.sessions:
        return plan
    return replace(plan, probes=tuple(each for each in plan.probes if each.strategy is not EndStrategy.URETPROBE))
