# SPDX-License-Identifier: Apache-2.0
"""Frames from `.eh_frame`, compared with readelf's on real libraries."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.elf.image import Image
from otel_jb.elf.unwind_tables import Frames
from otel_jb.model.errors import ElfError

LIBRARIES = ["/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1", "/usr/lib/x86_64-linux-gnu/libortp.so.16", "/bin/bash"]
_NUMBERS = {"rsp": 7, "rbp": 6, "exp": None}


def readelf(path: str) -> list[tuple[int, int, list[tuple[int, str, int]]]]:
    """(start, end, rows of (address, register, offset)) of every entry, as readelf decodes them."""
    output = subprocess.run(["readelf", "-wF", "-W", path], capture_output=True, text=True, check=True).stdout
    found: list[tuple[int, int, list[tuple[int, str, int]]]] = []
    rows: list[tuple[int, str, int]] = []
    for line in output.splitlines():
        if header := re.search(r"FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", line):
            rows = []
            found.append((int(header[1], 16), int(header[2], 16), rows))
        elif " CIE " in line:
            rows = []
        elif row := re.match(r"^([0-9a-f]{16})\s+(rsp|rbp|exp)(?:\+(\d+))?", line):
            rows.append((int(row[1], 16), row[2], int(row[3] or 0)))
    return found


@pytest.mark.parametrize("path", LIBRARIES)
def test_bounds_and_rows_are_those_of_readelf(path: str) -> None:
    """Every function's bounds and every row of its table are what readelf prints."""
    frames = Frames(Image.from_file(path))
    compared = 0
    for start, end, rows in readelf(path):
        frame = frames.at(start)
        assert frame is not None
        assert (frame.start, frame.end) == (start, end)
        assert frames.at(end - 1) == frame
        for address, register, offset in rows:
            row = frame.row(address)
            assert row is not None
            assert (row.register, row.offset) == (_NUMBERS[register], offset), hex(address)
            compared += 1
    assert compared > 100


def test_a_search_without_its_table_finds_the_same() -> None:
    """Where `.eh_frame_hdr` is missing the entries are scanned, with the same result."""
    image, plain = Image.from_file(LIBRARIES[0]), Image.from_file(LIBRARIES[0])
    plain._by_name = {name: section for name, section in plain._by_name.items() if name != ".eh_frame_hdr"}
    with_table, without = Frames(image), Frames(plain)
    for start, _, _ in readelf(LIBRARIES[0]):
        assert without.at(start) == with_table.at(start)


def test_addresses_outside_every_function_have_no_frame() -> None:
    """An address before, behind or between functions has no frame."""
    frames = Frames(Image.from_file(LIBRARIES[0]))
    assert frames.at(0) is None
    assert frames.at(1 << 40) is None


_DATA = Path(LIBRARIES[0]).read_bytes()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_corrupt_tables_are_an_error_or_an_answer(data: Any) -> None:
    """Whatever the bytes of `.eh_frame` are, asking ends in an answer or in ElfError."""
    image = Image.from_file(LIBRARIES[0])
    section = image.section(".eh_frame")
    assert section is not None
    damaged = bytearray(_DATA)
    for _ in range(data.draw(st.integers(1, 30))):
        damaged[section.offset + data.draw(st.integers(0, section.size - 1))] = data.draw(st.integers(0, 255))
    image._by_name[".eh_frame"] = replace(section, _buffer=bytes(damaged))
    frames = Frames(image)
    for address in (0x5310, 0x53E0, 0x5400, 0x56D0, 0x5BC0):
        try:
            frame = frames.at(address)
        except ElfError:
            continue
        assert frame is None or frame.start <= address < frame.end
