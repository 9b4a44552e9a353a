# SPDX-License-Identifier: Apache-2.0
"""When a call is slow: a fixed time, or a percentile of the function's own last minutes.

Pure. A percentile is told as the upper bound of the bucket that it falls into, at most 9 % above it (8 buckets an octave), so
that never more calls than wanted are slow; it needs enough calls to mean something, and until then no call is slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate

WINDOW_S = 300.0
STEP_S = 60.0
ENOUGH_CALLS = 100


class PercentileThreshold:
    """The percentile of one series over the last five minutes. `percentile` is from 50 to below 100."""

    def __init__(self, percentile: float) -> None:
        self.percentile = percentile
        self._history: deque[tuple[float, tuple[int, ...]]] = deque()

    def update(self, now: float, bounds_ns: Sequence[int], buckets: Sequence[int]) -> int | None:
        """Take the cumulative bucket counts at `now` (monotonic seconds); returns the threshold in ns, None: too few calls."""
        history = self._history
        if not history or now - history[-1][0] >= STEP_S:
            history.append((now, tuple(buckets)))
        while len(history) > 1 and history[1][0] <= now - WINDOW_S:
            history.popleft()
        oldest = history[0][1]
        # Within the first step the history holds nothing but the present: then all calls since the attachment count.
        since = oldest if len(history) > 1 else (0,) * len(buckets)
        counts = [later - earlier for later, earlier in zip(buckets, since, strict=True)]
        total = sum(counts)
        if total < ENOUGH_CALLS:
            return None
        wanted = total * self.percentile / 100
        for index, below in enumerate(accumulate(counts)):
            if below >= wanted:
                # A call that is exactly at the bound belongs to this bucket: slow begins one nanosecond above.
                return bounds_ns[index] + 1 if index < len(bounds_ns) else None
        return None
