# SPDX-License-Identifier: Apache-2.0
"""Clock rates of RTP payload types. Types below 35 are assigned permanently (RFC 3551, tables 4 and 5); others are negotiated per session.

What a server has negotiated is in its memory, which may have been freed, or belong to somebody who means harm: it counts only where the
track bears the SSRC of packets that came, and only for one payload type.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_jb.model.plan import TrackClock
from otel_jb.streams.names import Memory, evaluated

#: Hz. G722's is 8000 although it samples twice as fast (RFC 3551, 4.5.2).
STATIC = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8000),
    6: 16000,
    16: 11025,
    17: 22050,
    **dict.fromkeys((10, 11), 44100),
    **dict.fromkeys((14, 25, 26, 28, 31, 32, 33, 34), 90000),
}
DYNAMIC = range(35, 128)
MOST_TRACKS = 64  #: of one array; a server with more has another layout
CREDIBLE = range(1_000, 10_000_001)  #: Hz
_POINTER = 8


def ticks(rates: Mapping[int, int]) -> dict[int, int]:
    """2^-16 ns of one step of the RTP time, by payload type."""
    return {payload: tick_of(rate) for payload, rate in {**STATIC, **rates}.items()}


def tick_of(rate: int) -> int:
    """2^-16 ns of one step of a clock of so many Hz."""
    return (1_000_000_000 << 16) // rate


def rate_of(tick: int) -> int:
    """Hz of a clock whose step takes 2^-16 ns times `tick`, which `ticks` rounded down."""
    return round((1_000_000_000 << 16) / tick)


def negotiated(place: TrackClock, buffer: int, ssrc: int, memory: Memory) -> tuple[int, int] | None:
    """Payload type and clock rate in Hz of the one track of the buffer that has this SSRC; None: no track has, or several do not agree."""
    found: set[tuple[int, int]] = set()
    for begin, end in place.arrays:
        first, behind = evaluated(begin, buffer, memory), evaluated(end, buffer, memory)
        if not first or behind is None or not 0 < behind - first <= MOST_TRACKS * _POINTER:
            continue
        pointers = memory(first, behind - first) or b""
        for at in range(0, len(pointers) - _POINTER + 1, _POINTER):
            track = int.from_bytes(pointers[at : at + _POINTER], "little")
            if evaluated(place.ssrc, track, memory) != ssrc:
                continue
            payload_type, hertz = evaluated(place.payload_type, track, memory), evaluated(place.hertz, track, memory)
            if payload_type is None or hertz is None or payload_type > 127 or hertz not in CREDIBLE:
                return None
            found.add((payload_type, hertz))
    return found.pop() if len(found) == 1 else None
