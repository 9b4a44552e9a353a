# SPDX-License-Identifier: Apache-2.0
"""Clock rates of payload types from a session description (SDP, RFC 8866, 6.6: `a=rtpmap`)."""

from __future__ import annotations

import re

LONGEST = 1 << 20  #: bytes of a description; more is none

_MAP = re.compile(r"a=rtpmap:(\d{1,3})\s+[^\s/]+/(\d{1,9})(?:/\S+)?")


def clock_rates(text: str) -> dict[int, int]:
    """Hz by payload type, of all media together.

    Raises ValueError if it maps no payload type, or one to two clock rates: which of them a packet has cannot be told from its header.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters, so it is no SDP")
    found: dict[int, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("a=rtpmap:"):
            continue
        mapped = _MAP.fullmatch(line.rstrip())
        payload_type, rate = (int(mapped[1]), int(mapped[2])) if mapped else (128, 0)
        if payload_type > 127 or not rate:
            raise ValueError(f"line {number} is no a=rtpmap:TYPE NAME/HZ")
        if found.setdefault(payload_type, rate) != rate:
            raise ValueError(
                f"line {number} gives payload type {payload_type} a clock rate of {rate} Hz, and a line before it {found[payload_type]}"
            )
    if not found:
        raise ValueError("it has no a=rtpmap line, so it says nothing of clock rates")
    return found
