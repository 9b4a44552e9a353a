# SPDX-License-Identifier: Apache-2.0
"""Links that go and come back within a tenth of a second, while everything else about the probes stays as it is.

What a probe costs a server is a small part of what the server takes, and how fast a machine is changes by more than that within seconds.
So turns with and without probes have to be short, and detaching and attaching as the agent does takes longer than they may.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from otel_jb.probes.attach import links

_AT_ONCE = 32  #: closing a link waits for a grace period


class Links:
    """The links that were made while `recorded`. Each keeps its descriptor, whether it is there or not."""

    def __init__(self) -> None:
        self._made: dict[int, Callable[[], int]] = {}
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Remember the multi links that this process makes meanwhile."""
        make = links.link_multi

        def remembered(*arguments: object, **named: object) -> int:
            again = partial(make, *arguments, **named)  # type: ignore[arg-type]
            descriptor = again()
            self._made[descriptor] = again
            return descriptor

        links.link_multi = remembered
        try:
            yield
        finally:
            links.link_multi = make

    def take_away(self) -> None:
        """Detach all."""
        list(self._threads.map(lambda each: os.dup2(self._nothing, each, inheritable=False), self._made))

    def put_back(self) -> None:
        """Attach all anew, in the order in which they were made."""
        for descriptor, make in self._made.items():
            new = make()
            os.dup2(new, descriptor, inheritable=False)
            os.close(new)

    def close(self) -> None:
        """Forget them. Their descriptors belong to those who made them."""
        self._made.clear()
        self._threads.shutdown()
        os.close(self._nothing)
