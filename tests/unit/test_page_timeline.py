# SPDX-License-Identifier: Apache-2.0
"""The packets around a slow call as rows of a picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.streams.clocks import STATIC, rate_of, ticks
from otel_jb.telemetry.kept_calls import KeptPacket
from otel_jb.views.page.timeline import timeline

pytestmark = pytest.mark.unit

MS = 1_000_000


def packet(number: int, after_ns: int, rtp_time: int, order: str = "in_order", ssrc: str = "ab") -> KeptPacket:
    return KeptPacket(after_ns, ssrc, number & 0xFFFF, rtp_time & 0xFFFFFFFF, order, 8000)


@given(
    first=st.integers(0, 2**17),
    begin=st.integers(0, 2**33),
    late_ms=st.lists(st.integers(0, 19), min_size=1, max_size=24),
    gap=st.integers(1, 900),
)
def test_rows_and_lateness_survive_wrapping_numbers(first: int, begin: int, late_ms: list[int], gap: int) -> None:
    """Wherever numbers and RTP times wrap, rows follow the numbers, a gap has one row with its size, and lateness is relative to the earliest."""
    numbers = [first + place + (gap if place > 3 else 0) for place in range(len(late_ms))]
    packets = [
        packet(number, (20 * (number - first) + late) * MS - 100 * MS, begin + 160 * (number - first))
        for number, late in zip(numbers, late_ms, strict=True)
    ]
    found = timeline(packets)
    assert [each.packet for each in found.placed] == packets
    assert [each.line for each in found.placed] == [place + (place > 3) for place in range(len(packets))]
    assert found.missing == (((4, gap),) if len(packets) > 4 else ())
    assert [each.late_ns for each in found.placed] == [(late - min(late_ms)) * MS for late in late_ms]


def test_streams_of_one_buffer_have_rows_and_clocks_of_their_own() -> None:
    """Two SSRCs never share a row, nor a measure of who is late; a stray packet is compared with nobody, and opens no gap."""
    packets = [
        packet(10, 0, 0),
        packet(10, 5 * MS, 123456, ssrc="cd"),
        packet(40000, 6 * MS, 7, "stray"),
        packet(12, 50 * MS, 320),
        packet(11, 60 * MS, 123616, ssrc="cd"),
    ]
    found = timeline(packets)
    assert [each.line for each in found.placed] == [0, 4, 3, 2, 5]
    assert found.missing == ((1, 1),)
    assert [each.late_ns for each in found.placed] == [0, 0, None, 10 * MS, 35 * MS]
    assert timeline([]).placed == ()


def test_a_step_leads_back_to_its_rate() -> None:
    """The kernel's length of a step of RTP time gives the clock rate that it was made of."""
    rates = {100: 48000, 101: 8000, 102: 90000, 103: 1, 104: 384_000}
    assert {payload: rate_of(tick) for payload, tick in ticks(rates).items()} == {**STATIC, **rates}
