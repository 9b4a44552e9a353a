# SPDX-License-Identifier: Apache-2.0
"""CPU time of a process, by one system call however many threads it has."""

from __future__ import annotations

import time


def cpu_seconds(pid: int) -> float | None:
    """CPU time that all threads of a process have used, ended ones included; None where there is no such process.

    It is the process's CPU clock, of nanoseconds where `/proc/PID/stat` has ticks of 10 ms; clock_getcpuclockid(3), which Python does
    not have for processes, computes its number in this way.
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | 2) / 1e9
    except OSError:
        return None
