# SPDX-License-Identifier: Apache-2.0
"""Slow calls are fetched at once when they are few, and ten times a second when they are many: each wake-up costs more than a call."""

from __future__ import annotations

import select

PAUSE_S = 0.1  #: between two fetches
MANY = 64  #: fetched at once: the ring buffer is filling up, and there is no pause


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
        poller.register(descriptor, select.EPOLLIN)

    def fetched(self, now: float, count: int) -> None:
        """So many events were fetched at `now` (monotonic seconds): the next are fetched after a pause, unless there were many."""
        if count < MANY:
            self._poller.modify(self.descriptor, 0)
            self._until = now + PAUSE_S

    def wait(self, now: float, longest: float) -> float:
        """How long to poll at `now`, at most `longest`; from the end of the pause on the descriptor is looked at again."""
        if self._until is None:
            return longest
        if now >= self._until:
            self._until = None
            self._poller.modify(self.descriptor, select.EPOLLIN)
            return longest
        return min(longest, self._until - now)
