# SPDX-License-Identifier: Apache-2.0
"""What probes cost by the processor's maker, until they are measured here: which way is the cheapest depends on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from otel_jb.planner.inputs import KernelFacts

#: By `vendor_id` of /proc/cpuinfo: nanoseconds of an emulated hit, a stepped one, and a return probe's second half, in virtual machines. On
#: Intel's processors the way back into the kernel by a return probe costs two thirds of a trap; on AMD's, as much.
_NS = {"GenuineIntel": (430.0, 13_900.0, 260.0)}


def of_processor(facts: KernelFacts, cpuinfo: Path = Path("/proc/cpuinfo")) -> KernelFacts:
    """The facts with the prices of this processor, where they are known to differ from the defaults."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as file:
            lines = (line.partition(":") for line, _ in zip(file, range(32), strict=False))
            vendor = next((value.strip() for key, _, value in lines if key.strip() == "vendor_id"), "")
    except OSError:
        return facts
    if vendor not in _NS:
        return facts
    emulated, stepped, returned = _NS[vendor]
    return replace(facts, emulated_ns=emulated, stepped_ns=stepped, uretprobe_ns=returned)
