# SPDX-License-Identifier: Apache-2.0
"""Slow calls are fetched some at a time: each wake-up costs more than a call, and the ring buffer must not fill up meanwhile."""

from __future__ import annotations

import select
from collections.abc import Collection

LONGEST_PAUSE_S = 0.5  #: between two fetches
SHORTEST_PAUSE_S = 0.1
OTHER_PAUSE_S = 0.3  #: after a wake-up for something else: processes that come and end
MANY = 128  #: half of what the ring buffer holds; fetched at once, there is no pause
EXPECTED = 96  #: of which a pause may let so many come
STRETCHED = 1.25  #: a pause may be that much longer where it then ends with something else that wakes


class Paced:
    """A descriptor of an epoll that is not looked at for a while after each time. After the pause its events are fetched unasked.

    Args:
        poller: where it is registered from now on.
        descriptor: of the ring buffer.
    """

    def __init__(self, poller: select.epoll, descriptor: int) -> None:
        self._poller = poller
        self._descriptor = descriptor
        self._watched = True  # by the poller
        self._until = 0.0  # of the pause
        self._last = float("-inf")
        poller.register(descriptor, select.EPOLLIN)

    def wait(self, now: float, longest: float) -> float:
        """How long to poll at `now` (monotonic seconds), at most `longest`."""
        return longest if self._watched else min(longest, max(0.0, self._until - now))

    def due(self, now: float, ready: Collection[int]) -> bool:
        """Whether to fetch at `now`, when the poller has found these ready."""
        return self._descriptor in ready if self._watched else now >= self._until

    def fetched(self, now: float, count: int, awake: float = float("inf"), *, unasked: bool = False) -> None:
        """So many events were fetched at `now`: a pause follows, in which `EXPECTED` more may come, unless there were many, or none since the last one.

        Args:
            now: monotonic seconds.
            count: of events.
            awake: when the caller fetches anyway: a pause that would end shortly before lasts until then.
            unasked: it did so now; if nothing came and nothing was paused, nothing changes.
        """
        if unasked and self._watched and count == 0:
            return
        since, self._last = now - self._last, now
        wants_look = count >= MANY or (count == 0 and not self._watched)
        if not wants_look:
            pause_s = min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, EXPECTED * since / count)) if count else OTHER_PAUSE_S
            self._until = awake if pause_s <= awake - now <= STRETCHED * pause_s else now + pause_s
        if wants_look != self._watched:
            self._watched = wants_look
            self._poller.modify(self._descriptor, select.EPOLLIN if wants_look else 0)
