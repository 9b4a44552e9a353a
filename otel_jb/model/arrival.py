# SPDX-License-Identifier: Apache-2.0
"""A process that the kernel met before anybody knew of it."""

from __future__ import annotations

from dataclasses import dataclass

from otel_jb.model.plan import ProbePlan


@dataclass(frozen=True, slots=True)
class Arrival:
    """A process that called a probed function, as the kernel saw it then."""

    block: int  #: of the kernel's series: identifies the arrival
    pid: int
    start_ns: int  #: since boot; 0: not known
    comm: str  #: the kernel's short name of the thread that called
    uid: int
    plan: ProbePlan  #: what of it is measured already
