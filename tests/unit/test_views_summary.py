# SPDX-License-Identifier: Apache-2.0
"""What `run` says at its end: every process and function, from the stream of records alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_jb.model.stream import Snapshot, TargetEnded
from otel_jb.views.summary import Summary
from tests.unit.test_views_table import BOUNDS_NS, PUT, RESET, SECOND, TARGET, values

pytestmark = pytest.mark.unit


def snapshot(*series: object) -> Snapshot:
    return Snapshot(SECOND, SECOND, BOUNDS_NS, series)  # type: ignore[arg-type]


def test_a_run_is_told_by_program_and_function() -> None:
    """Calls, p99, packets and drops of what was called, and the names of what never was."""
    summary = Summary()
    last = values(PUT, (600, 390, 10, 0), no_packet=50, drops=(3, 1), missed=2)
    for record in (
        TARGET,
        PUT,
        RESET,
        snapshot(values(PUT, (1, 0, 0, 0))),
        snapshot(last, values(RESET, (0, 0, 0, 0))),
    ):
        summary.take(record)
    assert summary.lines(32.4) == [
        "Measured for 32 s:",
        "ffmpeg (process 4711)",
        "  ff_rtp_parse_packet  put  1 002 calls  p99 ≤50µs  950 packets  4 dropped",
        "  never called: ff_rtp_reset_packet_queue",
        "  2 of these calls were counted but not timed (docs/metrics.md: outcome)",
    ]


def test_processes_that_ended_are_added_up_by_name() -> None:
    """A hundred short-lived processes of one program are one entry with the sum, and take the memory of one."""
    summary = Summary()
    for number in range(100):
        target = replace(TARGET, id=number, pid=1000 + number)
        series = replace(PUT, id=number, target=number)
        counted = replace(values(PUT, (7, 0, 0, 0)), series=number)
        for record in (target, series, snapshot(counted), TargetEnded(number, SECOND)):
            summary.take(record)
    assert not summary._series
    assert not summary._values
    lines = summary.lines(300)
    assert lines[0] == "Measured for 5 min:"
    assert lines[1] == "ffmpeg (100 processes: 1000, 1001, 1002, 1003, …)"
    assert "700 calls" in lines[2]
    assert "p99 ≤1µs" in lines[2]


def test_a_run_that_measured_nothing_says_so() -> None:
    """Without any process there is one sentence."""
    assert Summary().lines(3) == ["Measured nothing in 3 s: no process that could be measured was running."]


def test_a_late_snapshot_of_what_ended_changes_nothing() -> None:
    """Values of a series whose process was folded already are not counted twice, and are not kept."""
    summary = Summary()
    counted = values(PUT, (5, 0, 0, 0))
    for record in (TARGET, PUT, snapshot(counted), TargetEnded(1, SECOND), snapshot(counted), TargetEnded(1, SECOND)):
        summary.take(record)
    assert not summary._values
    assert "5 calls" in summary.lines(1)[2]


def test_hostile_names_are_made_printable() -> None:
    """A program's and a function's name cannot reach the terminal as escape sequences."""
    summary = Summary()
    series = replace(PUT, function="\x1b[2Jf")
    for record in (replace(TARGET, name="\x07p"), series, snapshot(values(PUT, (1, 0, 0, 0)))):
        summary.take(record)
    assert all(line.isprintable() for line in summary.lines(1))
