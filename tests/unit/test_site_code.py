# SPDX-License-Identifier: Apache-2.0
"""The code of end sites: where the return value is, and whose end it is, run over a small stack."""

from __future__ import annotations

import pytest

from otel_jb.model.plan import Origin, ReturnPlace
from otel_jb.probes import abi
from otel_jb.probes.programs.sitecode import SiteCode, compiled, number_in
from tests.unit.bpfvm import run
from tests.unit.readvm import Memory

FRAME, IP = 0x7FFF0000, 0x401000
MASK = (1 << 64) - 1


def words(number: int = 0) -> list[int]:
    """Registers that hold 100 and more than their number, and what the kernel adds."""
    return [*(0x1_0000_0080 + n for n in range(16)), FRAME, IP, number, 0]


def memory(**at: int) -> Memory:
    """64 bytes of stack up to the frame, all 0xee, with 8-byte words put at negative distances `mN`."""
    data = bytearray(b"\xee" * 72)
    for name, value in at.items():
        data[64 - int(name[1:]) : 72 - int(name[1:])] = (value & MASK).to_bytes(8, "little")
    return Memory({FRAME - 64: bytes(data)})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (ReturnPlace(Origin.RESULT), 0x1_0000_0080),
        (ReturnPlace(Origin.REGISTER, 3), 0x1_0000_0083),
        (ReturnPlace(Origin.REGISTER, 3, 4), 0x83),
        (ReturnPlace(Origin.REGISTER, 3, 1, signed=True), -125),
        (ReturnPlace(Origin.CONSTANT, -1), -1),
        (ReturnPlace(Origin.CONSTANT, 0xFFFFFFFF), 0xFFFFFFFF),
        (ReturnPlace(Origin.CONSTANT, -(1 << 40)), -(1 << 40)),
        (ReturnPlace(Origin.STACK, -24), -5),
        (ReturnPlace(Origin.STACK, -24, 4), 0xFFFFFFFB),
        (ReturnPlace(Origin.STACK, -24, 4, signed=True), -5),
        (ReturnPlace(Origin.STACK, -22, 2, signed=True), -1),
        (ReturnPlace(Origin.STACK, -24, 1), 0xFB),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_the_value_is_found_where_the_analysis_says(place: ReturnPlace, value: int, alone: bool) -> None:
    """Every kind of place, width and sign gives the value, in a program for one site and in one for several."""
    sites = (SiteCode(ReturnPlace(Origin.CONSTANT, 9)), SiteCode(place))
    found = words(number=1)
    assert run(compiled(sites, 1 if alone else None), found, memory(m24=-5)) == abi.SITE_KNOWN
    assert found[abi.SITE_VALUE] == value & MASK


def test_a_stack_that_cannot_be_read_is_said() -> None:
    """A fault makes the value unknown, not zero."""
    assert run(compiled((SiteCode(ReturnPlace(Origin.STACK, -1000)),)), words(), memory()) == abi.SITE_UNKNOWN


def test_nothing_is_said_of_a_value_that_has_no_place() -> None:
    """A site with a caller and no place ends a call whose value is unknown."""
    assert run(compiled((SiteCode(None),)), words(), memory()) == abi.SITE_UNKNOWN


@pytest.mark.parametrize(
    ("outer", "verdict"),
    [(IP + 0x55, abi.SITE_KNOWN), (IP + 0x56, abi.SITE_OTHER), (IP + 0x55 + (1 << 32), abi.SITE_OTHER)],
)
def test_an_end_is_that_of_the_caller_whose_return_address_is_there(outer: int, verdict: int) -> None:
    """Both return addresses on the stack must be the calls' that lead to the end."""
    site = SiteCode(ReturnPlace(Origin.CONSTANT, 7), callers=((-48, -0x20), (-32, 0x55)))
    assert run(compiled((site,)), words(), memory(m48=IP - 0x20, m32=outer)) == verdict
    unreadable = SiteCode(ReturnPlace(Origin.CONSTANT, 7), callers=((-4096, -0x20),))
    assert run(compiled((unreadable,)), words(), memory()) == abi.SITE_OTHER


def test_a_site_of_no_known_number_tells_no_value() -> None:
    """A number beyond the sites is an end without a value."""
    assert run(compiled((SiteCode(),)), words(number=5), memory()) == abi.SITE_UNKNOWN
    assert run(compiled(()), words(), memory()) == abi.SITE_KNOWN


def test_more_sites_than_a_cookie_can_tell_apart_are_refused() -> None:
    """The number has six bits."""
    with pytest.raises(ValueError, match="65 end sites"):
        compiled([SiteCode()] * 65)


def test_the_number_is_where_the_cookie_has_it() -> None:
    """Bits 32 to 37, if the cookie says that there is one."""
    assert number_in(abi.COOKIE_SITE | 41 << abi.COOKIE_OFFSET_SHIFT | 3 << 38) == 41
    assert number_in(41 << abi.COOKIE_OFFSET_SHIFT) is None
