# SPDX-License-Identifier: Apache-2.0
"""Streams' names, read from memory that may hold anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.catalog.compile import BUFFER, compile_of_buffer
from otel_jb.catalog.expression import Argument, Number, Read, add
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import NamePart
from otel_jb.streams.names import read_name
from tests.unit.readvm import Memory

STREAM, REQUEST, TEXT = 0x10000, 0x20000, 0x30000


def pointer(offset: int) -> Read:
    return Read(8, BUFFER, offset)


def part(offset: int, *, terminated: bool = False) -> NamePart:
    """A std::string at an offset of what the buffer's first word points to."""
    text = Read(8, pointer(0), offset)
    return NamePart(compile_of_buffer(text), () if terminated else compile_of_buffer(Read(8, pointer(0), offset + 8)))


def memory(*texts: bytes, lengths: tuple[int, ...] = ()) -> Memory:
    made = Memory({STREAM: REQUEST.to_bytes(8, "little")})
    for number, text in enumerate(texts):
        length = lengths[number] if lengths else len(text)
        made.write(TEXT + 0x1000 * number, text)
        made.write(REQUEST + 16 * number, (TEXT + 0x1000 * number).to_bytes(8, "little") + length.to_bytes(8, "little"))
    return made


def short(at: Memory, address: int, size: int) -> bytes | None:
    """As many bytes as there are, as reading a process's memory gives."""
    for length in (size, *range(size - 1, 0, -1)):
        if (data := at.read(address, length)) is not None:
            return data
    return None


def name(at: Memory, *parts: NamePart) -> str | None:
    return read_name(parts, STREAM, lambda address, size: short(at, address, size))


def test_parts_are_joined_by_slashes() -> None:
    """`live` and `cam0` are live/cam0; a text without a length ends at its zero."""
    assert name(memory(b"live", "cám0".encode()), part(0), part(16)) == "live/cám0"
    assert name(memory(b"rtsp://cam\0rest"), part(0, terminated=True)) == "rtsp://cam"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"rtsp://admin:secret@cam.example:554/live", "rtsp://cam.example:554/live"),
        (b"srt://10.0.0.1:9000?passphrase=secret&mode=caller", "srt://10.0.0.1:9000"),
        (b"rtp://@239.0.0.1:5004#key", "rtp://239.0.0.1:5004"),
        (b"/srv/cam.sdp", "/srv/cam.sdp"),
        (b"rtsp://a/b@c", "rtsp://a/b@c"),
    ],
)
def test_a_url_leaves_its_secrets_behind(text: bytes, shown: str) -> None:
    """Users, passwords, queries and fragments of an input's URL never become a label."""
    assert name(memory(text), part(0)) == shown


@pytest.mark.parametrize(
    "at",
    [
        memory(b"\x1b[2J" * 2560),
        memory(b"live\nfake"),
        memory(b"\xff\xfe\xfd"),
        memory(b""),
        memory(b"live", lengths=(1 << 63,)),
        memory(b"live", lengths=(9,)),
        memory(b"ssrc:00000001"),
        memory(b"_other"),
        memory("\u202egnp.exe".encode()),
        Memory({STREAM: (0xDEAD).to_bytes(8, "little")}),
        Memory(),
    ],
)
def test_what_is_no_printable_text_is_no_name(at: Memory) -> None:
    """Escapes, line ends, broken UTF-8, absurd lengths, freed memory and the agent's own labels leave the stream without a name."""
    assert name(at, part(0)) is None
    assert name(at, part(0, terminated=True)) is None


@given(st.binary(min_size=0, max_size=200), st.integers(0, (1 << 64) - 1))
def test_whatever_the_memory_holds_a_name_is_short_and_printable(data: bytes, length: int) -> None:
    """No memory makes a label that is long, empty or not printable."""
    for found in (
        name(memory(data, lengths=(length,)), part(0)),
        name(memory(data), part(0)),
        name(memory(data), part(0, terminated=True)),
    ):
        assert found is None or (0 < len(found) <= 128 and found.isprintable())


def test_rtpengines_streams_bear_the_calls_id_and_the_sides_tag() -> None:
    """Both texts are found from the stream; a side that has no tag yet has no name."""
    (function,) = (each for each in load().functions() if each.name == "buffer_packet")
    media, call, monologue = 0x20000, 0x21000, 0x22000

    def words(*values: int) -> bytes:
        return b"".join(value.to_bytes(8, "little") for value in values)

    at = Memory(
        {STREAM: words(media, call), media: words(monologue), call: words(TEXT, 11), TEXT: b"8f@10.0.0.1caller"}
    )
    at.write(monologue, words(TEXT + 11, 6))
    assert name(at, *function.stream_name) == "8f@10.0.0.1/caller"
    at.write(monologue, words(0, 0))
    assert name(at, *function.stream_name) is None


def test_a_name_needs_nothing_but_the_stream() -> None:
    """It is read after the call, so its arguments are not there."""
    with pytest.raises(ValueError, match="there is nothing but the stream"):
        compile_of_buffer(add(Argument(1), Number(8), minus=False))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("stream: arg1, rtp: arg2, bytes: arg3, stream_name: [{text: arg1}]", "nothing but the stream"),
        ("rtp: arg2, bytes: arg3, stream_name: [{text: 'ptr @ stream'}]", "has streams to name"),
        ("stream: arg1, stream_name: [{text: 'ptr @ stream'}]", "has streams to name"),
    ],
)
def test_a_profile_whose_names_cannot_be_read_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    """The mistake is told with its place, when the profile is loaded or its function is first used."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"profile: mine\ntitle: mine\nfunctions:\n  - {{name: put, role: put, {keys}}}\n")
    with pytest.raises(ConfigError, match=message):
        load([path])
