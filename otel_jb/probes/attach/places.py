# SPDX-License-Identifier: Apache-2.0
"""Numbers of buffer groups, given out and taken back."""

from __future__ import annotations

from collections import deque

from otel_jb.model.errors import AttachError
from otel_jb.probes import abi


class Indices:
    """Numbers from `first` to `last`; the longest unused one is given out first, so that a stale number is not met soon."""

    def __init__(self, first: int, last: int, what: str) -> None:
        self._fresh = iter(range(first, last + 1))  # never given out: as a list, tens of thousands would take megabytes
        self._freed: deque[int] = deque()
        self.left = last + 1 - first  #: how many are free
        self._what = what

    def take(self) -> int:
        """A free number; raises AttachError when there is none."""
        if not self.left:
            raise AttachError(
                f"there is no room for more {self._what}", "Raise `max_series`, or select fewer targets or functions."
            )
        self.left -= 1
        number = next(self._fresh, None)
        return self._freed.popleft() if number is None else number

    def give_back(self, number: int) -> None:
        """Free it."""
        self.left += 1
        self._freed.append(number)


class Groups:
    """Numbers of groups of buffers. The kernel has histograms for the lowest ones, which are kept for groups whose packets are followed."""

    def __init__(self) -> None:
        what = "groups of buffers"
        self._followed = Indices(1, abi.RESIDENCES - 1, what)
        self._others = Indices(abi.RESIDENCES, 0xFFFF, what)

    def take(self, *, followed: bool) -> int:
        """A free number; another one where all of those with a histogram are taken. Raises AttachError where there is none."""
        if followed and self._followed.left:
            return self._followed.take()
        return self._others.take()

    def give_back(self, number: int) -> None:
        """Free it."""
        (self._followed if number < abi.RESIDENCES else self._others).give_back(number)
