# SPDX-License-Identifier: Apache-2.0
"""The packets of a stream around a time: the same whether each was put after the one before it or not, and whoever asked before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.model.stream import PassedPacket
from otel_jb.probes.read.flight import Latest

pytestmark = pytest.mark.unit


def _one_after_the_other(
    packets: Sequence[PassedPacket], at_ns: int, before: int, after: int
) -> tuple[list[PassedPacket], list[PassedPacket]]:
    """From the latest to the last one that is wanted of those put until then."""
    until: list[PassedPacket] = []
    since: list[PassedPacket] = []
    for one in packets:
        if len(until) == before:
            break
        (since if one.put_ns > at_ns else until).append(one)
    return until, since[-after:]


TIMES = st.lists(st.integers(0, 60), max_size=30)


@given(
    TIMES | TIMES.map(lambda times: sorted(times, reverse=True)) | TIMES.map(lambda times: sorted({*times})[::-1]),
    st.lists(st.tuples(st.integers(-1, 61), st.integers(1, 8), st.integers(1, 5)), min_size=1, max_size=6),
)
def test_packets_around_a_time_are_those_that_reading_backwards_finds(
    times: list[int], asked: list[tuple[int, int, int]]
) -> None:
    """For any times, in order or not, and several who ask one after the other."""
    packets = [PassedPacket(1, number, 0, time, "in_order") for number, time in enumerate(times)]
    latest = Latest(iter(packets))
    for at_ns, before, after in asked:
        assert latest.around(at_ns, before, after) == _one_after_the_other(packets, at_ns, before, after)


def test_a_packet_that_nobody_needs_is_not_read() -> None:
    """A ring holds a thousand, of which a call has two dozen."""
    read: list[int] = []

    def packets() -> Iterator[PassedPacket]:
        for number in range(1000):
            read.append(number)
            yield PassedPacket(1, number, 0, 1000 - number, "in_order")

    latest = Latest(packets())
    latest.around(990, 16, 8)
    assert len(read) == 10 + 16
    latest.around(995, 16, 8)
    assert len(read) == 10 + 16
