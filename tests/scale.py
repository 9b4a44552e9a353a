# SPDX-License-Identifier: Apache-2.0
"""How much the tests do, and how long they wait: less and longer where a whole machine is emulated (scripts/kernels.py)."""

from __future__ import annotations

import os

#: The part of its usual work that a test does; what it asserts is exact all the same.
SCALE = float(os.environ.get("OTEL_JB_TEST_SCALE", "1"))
#: How many times longer than usual a test waits before it says that something does not happen.
PATIENCE = float(os.environ.get("OTEL_JB_TEST_PATIENCE", "1"))


def scaled(count: int, least: int = 1) -> int:
    """A number of rounds or calls, reduced to the machine; never less than `least`."""
    return max(min(count, least), round(count * SCALE))


def patience(seconds: float) -> float:
    """A time limit in seconds, stretched to the machine."""
    return seconds * PATIENCE
