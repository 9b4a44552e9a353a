# SPDX-License-Identifier: Apache-2.0
"""Scheduler statistics of a process: how long its threads ran, and how long they waited for a CPU while ready.

Source: `/proc/PID/task/TID/schedstat` (Documentation/scheduler/sched-stats.rst): nanoseconds on a CPU, nanoseconds on a run queue,
number of time slices.
"""

# Names under /proc are short-lived strings: no Path objects.
# ruff: noqa: PTH208
from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import field

from otel_jb.host.procfs import PROC
from otel_jb.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What a process's threads got, and what they waited for it."""

    cpu_ns: int
    run_delay_ns: int
    timeslices: int  #: how often a thread got a CPU


@dataclass(slots=True)
class ThreadTimes:
    """Adds up the times of a process's threads, including ended ones; the sums never decrease.

    They exclude what a thread did between its last reading and its end.
    """

    pid: int
    _threads: dict[int, Scheduled] = field(default_factory=dict)
    _ended: Scheduled = Scheduled(0, 0, 0)

    def read(self) -> Scheduled | None:
        """The current sums; None if the process is gone or this kernel does not account for them."""
        now: dict[int, Scheduled] = {}
        with suppress(OSError):
            for name in os.listdir(f"{PROC}/{self.pid}/task"):
                if name.isdecimal() and (times := _of_thread(self.pid, name)) is not None:
                    now[int(name)] = times
        if not now:
            return None
        for thread, before in self._threads.items():
            after = now.get(thread)
            # A decreasing number means that another thread has reused the id.
            if after is None or after.cpu_ns < before.cpu_ns or after.run_delay_ns < before.run_delay_ns:
                self._ended = _added(self._ended, before)
        self._threads = now
        total = self._ended
        for each in now.values():
            total = _added(total, each)
        return total


def _of_thread(pid: int, thread: str) -> Scheduled | None:
    with suppress(OSError, ValueError), open(f"{PROC}/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
        cpu, run_delay, timeslices, *_ = file.read(256).split()
        return Scheduled(int(cpu), int(run_delay), int(timeslices))
    return None


def _added(left: Scheduled, right: Scheduled) -> Scheduled:
    return Scheduled(
        left.cpu_ns + right.cpu_ns, left.run_delay_ns + right.run_delay_ns, left.timeslices + right.timeslices
    )
