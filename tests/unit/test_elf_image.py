# SPDX-License-Identifier: Apache-2.0
"""The image against readelf, and against every file that is none."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_jb.elf import debugfile, imports, symbols
from otel_jb.elf.image import Image
from otel_jb.model.errors import ElfError, TargetError

LIBRARY = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"
SAMPLES = ["/bin/bash", LIBRARY, "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"]


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.mark.parametrize("path", SAMPLES)
def test_identity_is_what_readelf_prints(path: str) -> None:
    """Architecture, entry, build-id, soname and needed libraries are those that readelf prints."""
    image = Image.from_file(path)
    dynamic = output("readelf", "-Wd", path)
    assert image.arch == "x86_64"
    assert f"{image.entry:#x}" in output("readelf", "-Wh", path)
    assert image.build_id == re.findall(r"Build ID: (\w+)", output("readelf", "-Wn", path))[0]
    assert [image.soname] == (re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) or [None])
    assert list(image.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert image.kind == ("executable" if path == "/bin/bash" else "library")


@pytest.mark.parametrize("path", SAMPLES)
def test_sections_and_segments_are_what_readelf_prints(path: str) -> None:
    """Every section's name, address, offset and size, and every segment's, are those that readelf prints."""
    image = Image.from_file(path)
    text = output("readelf", "-WS", path)
    printed = re.findall(
        r"^ +\[ *\d+\] (\S*) +[A-Z]\S* +([0-9a-f]{16}) ([0-9a-f]{6,}) ([0-9a-f]{6,})", text, re.MULTILINE
    )
    found = [(s.name, s.address, s.offset, s.size) for s in image.sections[1:]]
    assert found == [(name, int(a, 16), int(o, 16), int(z, 16)) for name, a, o, z in printed if name]
    loads = re.findall(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", output("readelf", "-Wl", path))
    assert [(s.offset, s.address, s.file_size) for s in image.segments if s.type == "PT_LOAD"] == [
        tuple(int(number, 16) for number in load) for load in loads
    ]


@pytest.mark.parametrize("path", SAMPLES)
def test_addresses_and_offsets_are_never_confused(path: str) -> None:
    """The bytes at a section's address are the bytes at its offset, and the two convert into each other."""
    image = Image.from_file(path)
    data = Path(path).read_bytes()
    for name in (".text", ".dynstr", ".rodata", ".data"):
        section = image.section(name)
        if section is None:
            continue
        assert image.offset(section.address) == section.offset
        assert image.address(section.offset) == section.address
        size = min(64, section.size)
        assert image.read(section.address, size) == data[section.offset : section.offset + size] == section.data[:size]
    bss = image.section(".bss")
    assert bss is not None
    assert bss.data == b""
    with pytest.raises(ElfError):
        image.read(1 << 62, 8)


def foreign(start: bytes, machine: int, kind: int = 3, order: str = "<") -> bytes:
    return start + bytes(16 - len(start)) + struct.pack(order + "HHI", kind, machine, 1) + bytes(4096)


BAD_CONTENT = {
    "empty": (b"", "empty"),
    "text": (b"hello world\n" * 100, "not an ELF file"),
    "script": (b"#!/bin/sh\nexit 0\n" * 10, "a script"),
    "magic only": (b"\x7fELF", "truncated"),
    "32-bit x86": (foreign(b"\x7fELF\x01\x01\x01", 3), "32-bit ELF file (32-bit x86)"),
    "32-bit ARM": (foreign(b"\x7fELF\x01\x01\x01", 40), "32-bit ELF file (32-bit ARM)"),
    "RISC-V": (foreign(b"\x7fELF\x02\x01\x01", 243), "another architecture (RISC-V)"),
    "unknown machine": (foreign(b"\x7fELF\x02\x01\x01", 9999), "another architecture (machine 9999)"),
    "big-endian": (foreign(b"\x7fELF\x02\x02\x01", 22, order=">"), "big-endian ELF file (IBM S/390)"),
    "object": (foreign(b"\x7fELF\x02\x01\x01", 62, kind=1), "a relocatable object"),
    "core": (foreign(b"\x7fELF\x02\x01\x01", 62, kind=4), "a core dump"),
    "no headers": (foreign(b"\x7fELF\x02\x01\x01", 62), "no program headers"),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_a_file_that_is_no_usable_image_gives_one_clear_error(case: str, tmp_path: Path) -> None:
    """Each kind of unusable content is an ElfError that names the file and says what it is."""
    content, expected = BAD_CONTENT[case]
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ElfError) as caught:
        Image.from_file(path)
    assert caught.value.message.startswith(str(path))
    assert expected in caught.value.message
    assert "\n" not in caught.value.message


def test_what_is_no_regular_file_is_refused_without_blocking(tmp_path: Path) -> None:
    """A directory, FIFO, device and socket are refused at once, by name; a missing file is no target."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, what in [
            (tmp_path, "a directory"),
            (fifo, "a FIFO"),
            (Path("/dev/zero"), "a device"),
            (tmp_path / "socket", "a socket"),
        ]:
            with pytest.raises(ElfError, match=what):
                Image.from_file(path)
    with pytest.raises(TargetError, match="no such file"):
        Image.from_file(tmp_path / "missing")


def test_names_from_outside_do_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    """Control characters in a file's name are escaped in the error."""
    path = tmp_path / "a\x1b[31m\nb"
    path.write_bytes(b"x")
    with pytest.raises(ElfError) as caught:
        Image.from_file(path)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message


def test_a_sparse_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """A file that claims terabytes is refused before it is mapped."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"\x7fELF")
        file.truncate(1 << 40)
    with pytest.raises(ElfError, match="larger than"):
        Image.from_file(path)


def read_everything(data: bytes) -> None:
    image = Image.from_bytes(data, "mutant")
    assert image.kind in ("executable", "library")
    _ = image.build_id, image.soname, image.needed
    symbols.find(image, ["jitter_buffer_*", "*::put"])
    list(symbols.all_functions(image))
    imports.read_imports(image)
    debugfile.debug_link(image)
    debugfile.mini_debug(image)
    for start, _ in image.executable_ranges:
        try:
            image.offset(start)
        except ElfError:
            continue


def error_of(data: bytes) -> str | None:
    """The ElfError's message, None where everything was read; any other exception is the test's failure."""
    try:
        read_everything(data)
    except ElfError as error:
        return error.message
    return None


ORIGINAL = Path(LIBRARY).read_bytes()
HEADERS = struct.unpack_from("<QQ", ORIGINAL, 32)
#: where a changed byte matters: the headers, and the dynamic section, symbols and relocations near the start
INTERESTING = st.one_of(
    st.integers(0, 1200),
    st.integers(HEADERS[1], len(ORIGINAL) - 1),
    st.integers(0, 0x2000),
    st.integers(0, len(ORIGINAL) - 1),
)


@settings(max_examples=200, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(INTERESTING, st.sampled_from([0, 1, 2, 8, 0x7F, 0x80, 0xFE, 0xFF])), min_size=1, max_size=12))
def test_flipped_bytes_give_an_answer_or_an_elf_error(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes of a real library are changed, it is read or refused by ElfError, within the deadline."""
    data = bytearray(ORIGINAL)
    for place, value in changes:
        data[place] = value
    message = error_of(bytes(data))
    assert message is None or message.startswith("mutant")


@settings(max_examples=100, deadline=5000)
@given(st.one_of(st.integers(0, 4096), st.integers(0, len(ORIGINAL) - 1)))
def test_a_library_that_is_cut_short_is_refused(length: int) -> None:
    """A library that ends too early is an ElfError wherever it was cut."""
    with pytest.raises(ElfError):
        read_everything(ORIGINAL[:length])


@settings(max_examples=100, deadline=5000)
@given(st.sampled_from([32, 40, 54, 56, 58, 60, 62]), st.integers(0, (1 << 64) - 1))
def test_impossible_header_fields_give_an_answer_or_an_elf_error(place: int, value: int) -> None:
    """Any value in the header's offsets, sizes and counts is read or refused."""
    width = 8 if place < 48 else 2
    data = bytearray(ORIGINAL)
    data[place : place + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    message = error_of(bytes(data))
    assert message is None or message.startswith("mutant")


def test_an_image_is_not_read_into_memory() -> None:
    """Opening a large file costs a small part of its size in resident memory."""
    program = (
        "import resource, sys; from otel_jb.elf.image import Image; Image.from_file('/bin/true').build_id;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; image = Image.from_file(sys.argv[1]);"
        "image.build_id, image.needed; after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(image.size // 1024, after - before)"
    )
    large = max(Path("/usr/lib/x86_64-linux-gnu").glob("lib*.so*"), key=lambda path: path.stat().st_size)
    size, grown = (int(number) for number in output(sys.executable, "-c", program, str(large)).split())
    assert size > 20_000
    assert grown < size / 10
