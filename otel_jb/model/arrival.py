# SPDX-License-Identifier: Apache-2.0
"""A process that called a probed function before user space knew about it."""

from __future__ import annotations

from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import ProbePlan


@dataclass(frozen=True, slots=True)
class Arrival:
    """A process that called a probed function, as the kernel saw it at that moment."""

    block: int  #: of the kernel's series: identifies the arrival
    pid: int
    start_ns: int  #: since boot; 0: unknown
    comm: str  #: the kernel's short name of the thread that called
    uid: int
    plan: ProbePlan  #: its functions that are already measured
    ended: bool = False  #: it has ended since, or executed another program
