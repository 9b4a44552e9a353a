# SPDX-License-Identifier: Apache-2.0
"""When the ring buffer of slow calls is looked at."""

from __future__ import annotations

import os
import select

import pytest

from otel_jb.agent.pacing import LONGEST_PAUSE_S, MANY, SHORTEST_PAUSE_S, Paced

pytestmark = pytest.mark.unit


def test_the_pause_leaves_room_for_what_comes() -> None:
    """After a fetch the descriptor is left alone, for less long the faster events come, and not at all once they are many."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with select.epoll() as poller:
        paced = Paced(poller, reading)
        now = 100.0

        def fetch(count: int) -> float:
            """How long the descriptor is left alone after it."""
            paced.fetched(now, count)
            left = paced.wait(now, 5.0)
            assert bool(poller.poll(0)) == (left == 5.0)
            return left

        assert fetch(1) == pytest.approx(LONGEST_PAUSE_S)
        now += LONGEST_PAUSE_S
        assert paced.wait(now, 5.0) == 5.0
        assert poller.poll(0)
        now += 0.1
        assert fetch(MANY // 2) == pytest.approx(LONGEST_PAUSE_S)  # as many in the next 0.4 s
        now += 0.15
        assert fetch(MANY // 2) == pytest.approx(0.15)
        now += 0.02
        assert fetch(MANY // 2) == pytest.approx(SHORTEST_PAUSE_S)
        now += SHORTEST_PAUSE_S
        assert paced.wait(now, 5.0) == 5.0
        assert fetch(MANY) == 5.0
    os.close(reading)
    os.close(writing)
