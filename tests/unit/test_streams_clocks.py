# SPDX-License-Identifier: Apache-2.0
"""Clock rates that a server has negotiated, read from memory that may hold anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.catalog.compile import BUFFER, compile_of_buffer
from otel_jb.catalog.expression import Read
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import TrackClock
from otel_jb.streams.clocks import negotiated
from tests.unit.readvm import Memory

BUFFER_AT, ARRAY, TRACK = 0x10000, 0x20000, 0x30000
#: A buffer with two arrays of tracks, each of which begins with its SSRC, its payload type and its clock rate.
PLACE = TrackClock(
    tuple((compile_of_buffer(Read(8, BUFFER, at)), compile_of_buffer(Read(8, BUFFER, at + 8))) for at in (0, 16)),
    compile_of_buffer(Read(4, BUFFER, 0)),
    compile_of_buffer(Read(1, BUFFER, 4)),
    compile_of_buffer(Read(4, BUFFER, 8)),
)


def memory(*tracks: tuple[int, int, int], sound: int = 1) -> Memory:
    """(SSRC, payload type, rate) of tracks, the first `sound` of them in the first array."""
    made = Memory()
    ends = (ARRAY, ARRAY + 8 * sound, ARRAY + 8 * sound, ARRAY + 8 * len(tracks))
    made.write(BUFFER_AT, b"".join(each.to_bytes(8, "little") for each in ends))
    for number, (ssrc, payload_type, hertz) in enumerate(tracks):
        at = TRACK + 0x100 * number
        made.write(ARRAY + 8 * number, at.to_bytes(8, "little"))
        made.write(at, ssrc.to_bytes(4, "little") + payload_type.to_bytes(4, "little") + hertz.to_bytes(4, "little"))
    return made


def clock(at: Memory, ssrc: int) -> tuple[int, int] | None:
    return negotiated(PLACE, BUFFER_AT, ssrc, at.read)


def test_the_track_with_the_ssrc_has_the_clock() -> None:
    """Sound and picture each have theirs, and an SSRC of no track has none."""
    at = memory((7, 111, 48000), (8, 106, 90000), (9, 108, 90000))
    assert [clock(at, ssrc) for ssrc in (7, 8, 9, 10)] == [(111, 48000), (106, 90000), (108, 90000), None]


@pytest.mark.parametrize("track", [(7, 111, 0), (7, 111, 999), (7, 111, 1 << 31), (7, 128, 48000)])
def test_what_no_clock_can_be_is_none(track: tuple[int, int, int]) -> None:
    """A rate or a payload type that cannot be means that something else lies there."""
    assert clock(memory(track), 7) is None


def test_tracks_that_do_not_agree_tell_nothing() -> None:
    """Of two tracks with one SSRC nobody knows which is meant, unless they say the same."""
    assert clock(memory((7, 111, 48000), (7, 111, 8000)), 7) is None
    assert clock(memory((7, 111, 48000), (7, 111, 48000)), 7) == (111, 48000)


@pytest.mark.parametrize(
    "ends", [(0, 8), (ARRAY, ARRAY - 8), (ARRAY, ARRAY), (ARRAY, ARRAY + 8 * 65), (ARRAY, 1 << 63)]
)
def test_an_array_that_cannot_be_is_not_read(ends: tuple[int, int]) -> None:
    """One at no address, that ends before it begins, or with more tracks than any server has."""
    at = memory((7, 111, 48000))
    at.write(BUFFER_AT, b"".join(each.to_bytes(8, "little") for each in ends))
    assert clock(at, 7) is None


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=600))
def test_whatever_the_memory_holds_a_clock_is_credible(ends: bytes, data: bytes) -> None:
    """No memory makes a rate that no medium has, or takes longer than an array of tracks."""
    at = Memory({BUFFER_AT: ends, ARRAY: data})
    found = clock(at, 7)
    assert found is None or (found[0] < 128 and 1000 <= found[1] <= 10_000_000)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("stream: arg1, rtp: arg2, bytes: arg3, track_clock: {tracks: [], ssrc: track, payload_type: track, hertz: track}", "no array"),
        ("stream: arg1, track_clock: {tracks: [{begin: stream, end: stream}], ssrc: track, payload_type: track, hertz: track}", "has streams with a clock"),
        ("stream: arg1, rtp: arg2, bytes: arg3, track_clock: {tracks: [{begin: arg2, end: stream}], ssrc: track, payload_type: track, hertz: track}", "nothing but the stream"),
    ],
)  # fmt: skip
def test_a_profile_whose_clock_cannot_be_read_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    """The mistake is told with its place, when the profile is loaded."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"profile: mine\ntitle: mine\nfunctions:\n  - {{name: put, role: put, {keys}}}\n")
    with pytest.raises(ConfigError, match=message):
        load([path])
