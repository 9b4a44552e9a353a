# SPDX-License-Identifier: Apache-2.0
"""Gives the records of a recording at the pace at which they came, so that everything above the probes runs without root."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from otel_jb.agent.recording import Recorded


def play(
    records: Iterable[Recorded],
    speed: float | None = 1.0,
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Recorded]:
    """The records, each not before its time: `speed` 2.0 is twice as fast, None does not wait at all.

    Times count from the beginning, so that the time it takes to handle records does not add up.
    """
    began = now()
    for item in records:
        if speed is not None:
            ahead = item.at_ns / 1e9 / speed - (now() - began)
            if ahead > 0:
                wait(ahead)
        yield item
