# SPDX-License-Identifier: Apache-2.0
"""Numbers of buffer groups, given out and taken back."""

from __future__ import annotations

from collections import deque

from otel_jb.model.errors import AttachError


class Indices:
    """Numbers from `first` to `last`; the longest unused one is given out first, so that a stale number is not met soon."""

    def __init__(self, first: int, last: int, what: str) -> None:
        self._free = deque(range(first, last + 1))
        self._what = what

    def take(self) -> int:
        """A free number; raises AttachError when there is none."""
        if not self._free:
            raise AttachError(
                f"there is no room for more {self._what}", "Raise `max_series`, or select fewer targets or functions."
            )
        return self._free.popleft()

    def give_back(self, number: int) -> None:
        """Free it."""
        self._free.append(number)
