# SPDX-License-Identifier: Apache-2.0
"""Decoding of what the kernel sends of a slow call."""

from __future__ import annotations

import pytest

from otel_jb.probes import abi
from otel_jb.probes.read.events import _copy

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("below_page_end", [0, 8, 1000])
def test_a_page_that_could_not_be_read_holds_no_address(below_page_end: int) -> None:
    """What the kernel left there, zeros or an older event's bytes, is no return address, and no end of the stack either."""
    sp = 0x7FFC_0000_2000 - below_page_end
    record = bytes(abi.EVENT_COPY) + b"\x11" * abi.STACK_COPY
    copied = below_page_end + 3 * abi.STACK_PAGE
    copy = _copy(record, copied, 1 << 2, sp)
    hole = slice(below_page_end + abi.STACK_PAGE, below_page_end + 2 * abi.STACK_PAGE)
    assert len(copy) == copied
    assert copy[hole] == b"\xff" * abi.STACK_PAGE
    assert set(copy[: hole.start] + copy[hole.stop :]) == {0x11}
    assert _copy(record, copied, 0, sp) == record[abi.EVENT_COPY : abi.EVENT_COPY + copied]
