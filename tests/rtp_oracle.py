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


@dataclass(frozen=True)
class Bursts:
    """Bursts and gaps of loss: the counts of RFC 3611, A.2, of all numbers whose fate was final."""

    bursts: int
    burst_expected: int
    burst_lost: int
    gap_expected: int
    gap_lost: int


def bursts(arrived: Sequence[int], settle: int, gmin: int = 16) -> Bursts:
    """Of true numbers in the order of arrival.

    A number's fate is final once a number comes whose block of 32 is more than `settle` blocks beyond its own. The group of losses that
    the last final number may still belong to is not judged.
    """
    first_at: dict[int, int] = {}
    highest_at: list[int] = []  # the highest number after each arrival
    for place, number in enumerate(arrived):
        first_at.setdefault(number, place)
        highest_at.append(max(number, highest_at[-1]) if highest_at else number)
    final = ((highest_at[-1] >> 5) - settle) << 5
    fates = []
    place = 0
    for number in range(arrived[0], max(final, arrived[0])):
        while (highest_at[place] >> 5) - settle <= number >> 5:
            place += 1
        came = first_at.get(number)
        fates.append(came is not None and came < place)
    losses = [at for at, came in enumerate(fates) if not came]
    groups: list[list[int]] = []
    for at in losses:
        if groups and at - groups[-1][-1] <= gmin:
            groups[-1].append(at)
        else:
            groups.append([at])
    judged = len(fates)
    if groups and judged - groups[-1][-1] <= gmin:
        judged = groups.pop()[0]
    several = [group for group in groups if len(group) > 1]
    expected = sum(group[-1] - group[0] + 1 for group in several)
    return Bursts(len(several), expected, sum(map(len, several)), judged - expected, len(groups) - len(several))
