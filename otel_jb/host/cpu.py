# SPDX-License-Identifier: Apache-2.0
"""CPU time of a process, read by one system call no matter how many threads it has."""

from __future__ import annotations

import time


def cpu_seconds(pid: int) -> float | None:
    """CPU time of all threads of a process, including ended ones; None if there is no such process.

    Reads the process's CPU clock, which counts nanoseconds; `/proc/PID/stat` has ticks of 10 ms. The clock's number is computed as
    in clock_getcpuclockid(3), which Python does not offer for processes.
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | 2) / 1e9
    except OSError:
        return None
