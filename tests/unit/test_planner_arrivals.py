# SPDX-License-Identifier: Apache-2.0
"""Which process is named next, and whether it is still the one that came."""

from __future__ import annotations

from dataclasses import replace

from otel_jb.model.arrival import Arrival
from otel_jb.model.plan import ProbePlan
from otel_jb.planner.arrivals import Arrivals
from tests.unit.test_plan_command import probe

PUT = replace(probe("put", 100.0, primary=True), file="/bin/server", identity=(1, 2))
LIBRARY = replace(PUT, file="/lib/library.so", identity=(1, 3))


def arrival(pid: int, of: object = PUT) -> Arrival:
    return Arrival(0, pid, 5, "server", 0, ProbePlan((of,)))  # type: ignore[arg-type]


def test_a_process_comes_once_with_all_its_files() -> None:
    """What it called in a library belongs to what it called in its program; processes come in the order in which they called."""
    arrivals = Arrivals()
    assert not arrivals
    arrivals.add([arrival(1), arrival(2), arrival(1, LIBRARY)])
    first, again = arrivals.next()
    assert [(each.pid, each.plan.probes) for each in first] == [(1, (PUT,)), (1, (LIBRARY,))]
    assert not again
    assert [each.pid for each in arrivals.next()[0]] == [2]
    assert not arrivals


def test_what_comes_again_with_the_same_file_has_executed_a_program() -> None:
    """All but the last one are not what /proc shows now, whether they came together or not."""
    arrivals = Arrivals()
    arrivals.add([arrival(1), arrival(1)])
    arrivals.add([arrival(1)])
    assert [arrivals.next()[1] for _ in range(3)] == [True, True, False]
    arrivals.add([arrival(1)])
    assert not arrivals.next()[1], "the others were taken"
