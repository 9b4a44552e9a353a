# SPDX-License-Identifier: Apache-2.0
"""When the ring buffer of slow calls is looked at."""

from __future__ import annotations

import os
import select

import pytest

from otel_jb.agent.pacing import EXPECTED, LONGEST_PAUSE_S, MANY, SHORTEST_PAUSE_S, Paced

pytestmark = pytest.mark.unit


def test_the_pause_leaves_room_for_what_comes() -> None:
    """After a fetch the descriptor is left alone, for less long the faster events come, and not at all once they are many."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with select.epoll() as poller:
        paced = Paced(poller, reading)
        now = 100.0

        def ready() -> set[int]:
            return {descriptor for descriptor, _ in poller.poll(0)}

        def fetch(count: int) -> float:
            """How long the descriptor is left alone after it."""
            assert paced.due(now, ready())
            paced.fetched(now, count)
            left = paced.wait(now, 5.0)
            assert bool(ready()) == (left == 5.0)
            return left

        assert fetch(1) == pytest.approx(LONGEST_PAUSE_S)
        now += LONGEST_PAUSE_S / 2
        assert not paced.due(now, ready())
        assert paced.wait(now, 5.0) == pytest.approx(LONGEST_PAUSE_S / 2)
        now += 0.25
        assert paced.wait(now, 5.0) == 0.0
        assert fetch(EXPECTED) == pytest.approx(LONGEST_PAUSE_S)  # as many in the next 0.4 s
        now += LONGEST_PAUSE_S
        assert fetch(MANY) == 5.0
        now += 0.15
        assert fetch(EXPECTED) == pytest.approx(0.15)
        now += 0.1
        assert not paced.due(now, ready())
        now += 0.06
        assert fetch(MANY - 1) == pytest.approx(0.16 * EXPECTED / (MANY - 1))
        now += 0.13
        assert fetch(MANY - 1) == pytest.approx(SHORTEST_PAUSE_S)
        now += SHORTEST_PAUSE_S
        assert fetch(0) == 5.0  # the spell is over: the next event wakes at once
        now += 9.0
        assert fetch(0) == pytest.approx(LONGEST_PAUSE_S)  # woken by what was no slow call
    os.close(reading)
    os.close(writing)
