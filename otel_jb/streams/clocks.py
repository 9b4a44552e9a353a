# SPDX-License-Identifier: Apache-2.0
"""Clock rates of RTP payload types. Types below 35 are assigned permanently (RFC 3551, tables 4 and 5); others are negotiated per session."""

from __future__ import annotations

from collections.abc import Mapping

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


def ticks(rates: Mapping[int, int]) -> dict[int, int]:
    """2^-16 ns of one step of the RTP time, by payload type."""
    return {payload: (1_000_000_000 << 16) // rate for payload, rate in {**STATIC, **rates}.items()}


def rate_of(tick: int) -> int:
    """Hz of a clock whose step takes 2^-16 ns times `tick`, which `ticks` rounded down."""
    return round((1_000_000_000 << 16) / tick)
