# SPDX-License-Identifier: Apache-2.0
"""Slow calls are fetched some at a time: each wake-up costs more than a call, and the ring buffer must not fill up meanwhile."""

from __future__ import annotations

import select

LONGEST_PAUSE_S = 0.3  #: between two fetches
SHORTEST_PAUSE_S = 0.1
MANY = 64  #: half of what the ring buffer holds; fetched at once, there is no pause


class Paced:
    """A descriptor of an epoll that is not looked at for a while after each time.

    Args:
        poller: where it is registered from now on.
        descriptor: of the ring buffer.
    """

    def __init__(self, poller: select.epoll, descriptor: int) -> None:
        self._poller = poller
        self.descriptor = descriptor
        self._until: float | None = None
        self._last = float("-inf")
        poller.register(descriptor, select.EPOLLIN)

    def fetched(self, now: float, count: int) -> None:
        """So many events were fetched at `now` (monotonic seconds): a pause follows, in which half of `MANY` may come, unless there were many."""
        since, self._last = now - self._last, now
        if count < MANY:
            self._poller.modify(self.descriptor, 0)
            pause_s = MANY / 2 * since / max(1, count)
            self._until = now + min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, pause_s))

    def wait(self, now: float, longest: float) -> float:
        """How long to poll at `now`, at most `longest`; from the end of the pause on the descriptor is looked at again."""
        if self._until is None:
            return longest
        if now >= self._until:
            self._until = None
            self._poller.modify(self.descriptor, select.EPOLLIN)
            return longest
        return min(longest, self._until - now)
