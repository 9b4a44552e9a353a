# SPDX-License-Identifier: Apache-2.0
"""RTP packets and what RFC 3550 says of a list of them, worked out from whole lists instead of packet by packet."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def packet(sequence: int, rtp_time: int, ssrc: int, payload_type: int = 0, size: int = 172) -> bytes:
    """An RTP packet (RFC 3550, 5.1)."""
    head = struct.pack(">BBHII", 0x80, payload_type, sequence & 0xFFFF, rtp_time & 0xFFFFFFFF, ssrc)
    return head + bytes(size - len(head))


@dataclass(frozen=True)
class Truth:
    """What is right for one stream of which every packet is known by its true, unlimited number."""

    received: int
    bytes: int
    lost: int
    reordered: int
    duplicated: int


def truth(arrived: Sequence[tuple[int, int]]) -> Truth:
    """Of (true number, bytes) in the order of arrival. Numbers below the first that arrived were never expected."""
    seen: set[int] = set()
    highest = arrived[0][0]
    reordered = duplicated = 0
    for number, _ in arrived:
        if number in seen:
            duplicated += 1
        elif number < highest:
            reordered += 1
        seen.add(number)
        highest = max(highest, number)
    expected = set(range(arrived[0][0], highest + 1))
    return Truth(len(arrived), sum(size for _, size in arrived), len(expected - seen), reordered, duplicated)


def jitter_s(arrived: Iterable[tuple[float, int]], clock_rate: int) -> float:
    """RFC 3550, 6.4.1, in seconds: of (arrival in seconds, RTP time), in the order of arrival."""
    jitter, last = 0.0, None
    for arrival, rtp_time in arrived:
        if last is not None:
            difference = (arrival - last[0]) - (rtp_time - last[1]) / clock_rate
            jitter += (abs(difference) - jitter) / 16
        last = arrival, rtp_time
    return jitter
