# SPDX-License-Identifier: Apache-2.0
"""Replays a recording at its original pace, so that everything above the probes runs without root."""

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

    Times count from the beginning, so delays from handling records do not accumulate.
    """
    began = now()
    for item in records:
        if speed is not None:
            ahead = item.at_ns / 1e9 / speed - (now() - began)
            if ahead > 0:
                wait(ahead)
        yield item
