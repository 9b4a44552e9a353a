# SPDX-License-Identifier: Apache-2.0
"""The processes of an agent, from outside."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path


def below(pid: int) -> list[int]:
    """A process's children, their children and so on, as of now."""
    found = [pid]
    for each in found:
        try:
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except FileNotFoundError:  # a worker of the sandbox, which lives for one request
            continue
    return found[1:]


def cpu_ns(pids: Iterable[int]) -> dict[int, int]:
    """CPU time of processes, ended threads included; without those that are gone. stat has ticks of 10 ms, this clock nanoseconds."""
    found = {}
    for pid in pids:
        try:
            found[pid] = time.clock_gettime_ns(
                ~pid << 3 | 2
            )  # clock_getcpuclockid(3), which Python has for threads only
        except OSError:
            continue
    return found


def spent_ns(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """What the processes of `after` spent since `before`; those that began meanwhile spent all that they have."""
    return sum(ns - before.get(pid, 0) for pid, ns in after.items())
