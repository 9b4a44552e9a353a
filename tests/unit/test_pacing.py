# SPDX-License-Identifier: Apache-2.0
"""When the ring buffer of slow calls is looked at."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from itertools import pairwise

import pytest

from otel_jb.agent.pacing import EXPECTED, LONGEST_PAUSE_S, MANY, OTHER_PAUSE_S, SHORTEST_PAUSE_S, STRETCHED, Paced

pytestmark = pytest.mark.unit


class _Watched:
    """A descriptor that is ready for good, and how long it is left alone."""

    def __init__(self, poller: select.epoll, descriptor: int) -> None:
        self._poller = poller
        self.paced = Paced(poller, descriptor)

    def ready(self) -> set[int]:
        return {descriptor for descriptor, _ in self._poller.poll(0)}

    def fetch(self, now: float, count: int, awake: float = float("inf"), *, unasked: bool = False) -> float:
        """How long it is left alone after a fetch, 5 s: until it is ready."""
        assert unasked or self.paced.due(now, self.ready())
        self.paced.fetched(now, count, awake, unasked=unasked)
        left = self.paced.wait(now, 5.0)
        assert bool(self.ready()) == (left == 5.0)
        return left


@pytest.fixture
def watched() -> Iterator[_Watched]:
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with select.epoll() as poller:
        yield _Watched(poller, reading)
    os.close(reading)
    os.close(writing)


def test_the_pause_leaves_room_for_what_comes(watched: _Watched) -> None:
    """After a fetch the descriptor is left alone, for less long the faster events come, and not at all once they are many."""
    paced, now = watched.paced, 100.0
    assert watched.fetch(now, 1) == pytest.approx(LONGEST_PAUSE_S)
    now += LONGEST_PAUSE_S / 2
    assert not paced.due(now, watched.ready())
    assert paced.wait(now, 5.0) == pytest.approx(LONGEST_PAUSE_S / 2)
    now += 0.26
    assert paced.wait(now, 5.0) == 0.0
    assert watched.fetch(now, EXPECTED) == pytest.approx(LONGEST_PAUSE_S)  # as many in the next 0.51 s
    now += LONGEST_PAUSE_S
    assert watched.fetch(now, MANY) == 5.0
    now += 0.15
    assert watched.fetch(now, EXPECTED) == pytest.approx(0.15)
    now += 0.1
    assert not paced.due(now, watched.ready())
    now += 0.06
    assert watched.fetch(now, MANY - 1) == pytest.approx(0.16 * EXPECTED / (MANY - 1))
    now += 0.13
    assert watched.fetch(now, MANY - 1) == pytest.approx(SHORTEST_PAUSE_S)
    now += SHORTEST_PAUSE_S
    assert watched.fetch(now, 0) == 5.0  # the spell is over: the next event wakes at once
    now += 9.0
    assert watched.fetch(now, 0) == pytest.approx(OTHER_PAUSE_S)  # woken by what was no slow call


def test_a_pause_ends_when_the_caller_is_awake_anyway(watched: _Watched) -> None:
    """At 200 a second a pause takes half a second, and the caller wakes once a second: so there are two wake-ups a second, not three."""
    now, fetched = 100.0, []
    watch = now
    since = now - 0.48
    for _ in range(40):
        unasked = now >= watch
        if unasked:
            watch = now + 1.0
        left = watched.fetch(now, round(200 * (now - since)), watch, unasked=unasked)
        fetched.append(now)
        since, now = now, min(now + left, watch)
    assert (len(fetched) - 1) / (fetched[-1] - fetched[0]) == pytest.approx(2.0, rel=0.05)
    assert 200 * max(after - before for before, after in pairwise(fetched)) < MANY


def test_no_pause_is_stretched_far(watched: _Watched) -> None:
    """One that ends long before the caller is awake ends then, and one that ends later is not cut short."""
    pause = LONGEST_PAUSE_S
    assert watched.fetch(100.0, 1, 100.0 + STRETCHED * pause + 0.01) == pytest.approx(pause)
    assert watched.fetch(101.0, 1, 101.0 + STRETCHED * pause - 0.01) == pytest.approx(STRETCHED * pause - 0.01)
    assert watched.fetch(102.0, 1, 102.0 + pause / 2) == pytest.approx(pause)


def test_a_look_by_the_way_that_finds_nothing_changes_nothing(watched: _Watched) -> None:
    """Else the first event after a quiet time would wait for the end of a pause. During a pause it ends the spell."""
    assert watched.fetch(100.0, 0, unasked=True) == 5.0
    assert watched.fetch(101.0, 3, unasked=True) == pytest.approx(LONGEST_PAUSE_S)
    assert watched.fetch(101.2, 0, unasked=True) == 5.0
