# SPDX-License-Identifier: Apache-2.0
"""Processes that the kernel met before anybody had named them, in the order in which they are to be."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Hashable, Sequence

from otel_jb.host.procfs import Process
from otel_jb.model.arrival import Arrival


class Arrivals:
    """A queue of them. Each entry has the arrivals of one process, one per file in which it has called."""

    def __init__(self) -> None:
        self._groups: deque[list[Arrival]] = deque()
        self._images: Counter[Hashable] = Counter()  # how often each process came with the same file

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, arrivals: Sequence[Arrival]) -> None:
        """Those that came since last time."""
        for group in _by_process(arrivals):
            self._groups.append(group)
            self._images[_image(group[0])] += 1

    def next(self) -> tuple[list[Arrival], bool]:
        """The next process, and whether it has executed a program since, perhaps the same one: what /proc shows of it is not what came."""
        group = self._groups.popleft()
        image = _image(group[0])
        self._images[image] -= 1
        again = self._images[image] > 0
        if not again:
            del self._images[image]
        return group, again


def is_of(arrival: Arrival, process: Process) -> bool:
    """Whether this very process came."""
    return not arrival.start_ns or ticks(arrival.start_ns) == process.start_time_ticks


def ticks(start_ns: int) -> int:
    """A process's start in clock ticks since boot, as /proc has it; `start_ns` as the kernel's programs have it."""
    return start_ns * os.sysconf("SC_CLK_TCK") // 1_000_000_000


def _by_process(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """The arrivals of each process together. What comes again with the same file has executed a program meanwhile, and is another one."""
    groups: list[list[Arrival]] = []
    latest: dict[Hashable, tuple[list[Arrival], set[Hashable]]] = {}
    for arrival in arrivals:
        process, image = (arrival.pid, arrival.start_ns, arrival.ended), _image(arrival)
        if process not in latest or image in latest[process][1]:
            latest[process] = ([], set())
            groups.append(latest[process][0])
        latest[process][0].append(arrival)
        latest[process][1].add(image)
    return groups


def _image(arrival: Arrival) -> Hashable:
    """What two arrivals have in common only if the process has executed a program between them."""
    probe = arrival.plan.probes[0]
    return (arrival.pid, arrival.start_ns, probe.identity or probe.file, probe.place)
