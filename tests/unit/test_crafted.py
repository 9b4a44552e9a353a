# SPDX-License-Identifier: Apache-2.0
"""ELF files that are made to harm their reader: each is read or refused, within bounds on time and memory, and never breaks it."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_mutants import LIBRARIES, READ, REFUSED, outcome, read_all

pytestmark = pytest.mark.unit

MOST = (1 << 64) - 1
#: Elf64_Shdr, Elf64_Phdr and Elf64_Ehdr: where each field lies, and its format.
_SECTION = {"name": (0, "I"), "type": (4, "I"), "flags": (8, "Q"), "address": (16, "Q"), "offset": (24, "Q"), "size": (32, "Q"), "link": (40, "I"), "entry": (56, "Q")}  # fmt: skip
_SEGMENT = {"type": (0, "I"), "offset": (8, "Q"), "address": (16, "Q"), "size": (32, "Q"), "memory": (40, "Q")}
_HEADER = {"phoff": (32, "Q"), "shoff": (40, "Q"), "phentsize": (54, "H"), "phnum": (56, "H"), "shentsize": (58, "H"), "shnum": (60, "H"), "shstrndx": (62, "H")}  # fmt: skip
_SYMBOL = {"name": (0, "I"), "info": (4, "B"), "section": (6, "H"), "value": (8, "Q"), "size": (16, "Q")}


class Crafted:
    """A real library, to be spoilt in one place on purpose."""

    def __init__(self) -> None:
        self.data = bytearray((LIBRARIES / "libspeexdsp.so.1").read_bytes())
        self._sections, (_, count, names) = self.header("shoff"), struct.unpack_from("<HHH", self.data, 58)
        self._count = count
        text = self.content(names)
        self._numbers = {}
        for number in range(count):
            at = self.section(number, "name")
            self._numbers[text[at : text.index(b"\0", at)].decode()] = number

    def header(self, field: str, value: int | None = None) -> int:
        """Read a field of the ELF header, or write it."""
        return self._field(0, _HEADER, field, value)

    def section(self, which: str | int, field: str, value: int | None = None) -> int:
        """Read a field of a section's header, or write it."""
        number = self._numbers[which] if isinstance(which, str) else which
        return self._field(self._sections + 64 * number, _SECTION, field, value)

    def segment(self, number: int, field: str, value: int | None = None) -> int:
        """Read a field of a program header, or write it."""
        return self._field(64 + 56 * number, _SEGMENT, field, value)

    def symbols(self, field: str, value: int) -> int:
        """Write a field of every symbol; how many bytes those are."""
        start = self.section(".dynsym", "offset")
        for at in range(start + 24, start + self.section(".dynsym", "size"), 24):
            self._field(at, _SYMBOL, field, value)
        return self.section(".dynsym", "size")

    def _field(self, start: int, fields: dict[str, tuple[int, str]], field: str, value: int | None) -> int:
        at, code = fields[field]
        if value is not None:
            struct.pack_into("<" + code, self.data, start + at, value)
        return int(struct.unpack_from("<" + code, self.data, start + at)[0])

    def content(self, which: str | int) -> bytes:
        """What is in a section."""
        start = self.section(which, "offset")
        return bytes(self.data[start : start + self.section(which, "size")])

    def fill(self, which: str, pattern: bytes) -> int:
        """Write a pattern over a section, from its beginning to its end; how many bytes those are."""
        start, size = self.section(which, "offset"), self.section(which, "size")
        self.data[start : start + size] = (pattern * (size // len(pattern) + 1))[:size]
        return size

    def put(self, name: str, content: bytes, flags: int = 0) -> int:
        """Make a section of this name, in the place of one that is not needed; how many bytes it has."""
        strings = self.content(".shstrtab") + name.encode() + b"\0"
        self.section(".gnu_debuglink", "name", len(strings) - len(name) - 1)
        for section, added in ((".shstrtab", strings), (".gnu_debuglink", content)):
            self.data += bytes(-len(self.data) % 16)
            self.section(section, "offset", len(self.data))
            self.section(section, "size", len(added))
            self.data += added
        self.section(".gnu_debuglink", "flags", flags)
        return len(content)


def _segments(file: Crafted, field: str, value: int) -> list[int]:
    return [file.segment(number, field, value) for number in range(4)]


def _unit(dies: bytes, abbreviations: bytes) -> Callable[[Crafted], object]:
    """Debug information of one unit; the abbreviations lie in .comment's place, which is .gnu.version_r here."""

    def spoil(file: Crafted) -> None:
        body = struct.pack("<HBBI", 5, 1, 8, 0) + dies
        file.put(".debug_info", struct.pack("<I", len(body)) + body)
        strings = file.content(".shstrtab") + b".debug_abbrev\0"
        file.data += bytes(-len(file.data) % 16)
        for section, content in ((".shstrtab", strings), (".gnu.version_r", abbreviations)):
            file.section(section, "offset", len(file.data))
            file.section(section, "size", len(content))
            file.data += content
        file.section(".gnu.version_r", "name", len(strings) - len(b".debug_abbrev\0"))

    return spoil


def _loop_of_types() -> Callable[[Crafted], object]:
    """A pointer to a typedef of itself, ten thousand structures deep."""
    abbreviations = bytes([1, 0x11, 1, 0, 0, 2, 0x16, 0, 0x49, 0x13, 0, 0, 3, 0x13, 1, 0x49, 0x13, 0, 0, 0])
    deep = b"".join(struct.pack("<BI", 3, 12) for _ in range(10_000))
    return _unit(b"\1" + struct.pack("<BI", 2, 13) + deep + bytes(10_002), abbreviations)


def _bomb(kind: int, claimed: int) -> bytes:
    return struct.pack("<IIQQ", kind, 0, claimed, 1) + lzma.compress(bytes(1 << 20), preset=0)


#: What is done to the file.
CASES: dict[str, Callable[[Crafted], object]] = {
    "symbols without end": lambda f: f.section(".dynsym", "size", MOST),
    "symbols of no size": lambda f: f.section(".dynsym", "entry", 0),
    "symbols of one byte": lambda f: f.section(".dynsym", "entry", 1),
    "symbols whose names are symbols": lambda f: f.section(".dynsym", "link", 3),
    "symbols whose names are in no section": lambda f: f.section(".dynsym", "link", 0xFFFF),
    "symbols that are as large as an address space": lambda f: f.symbols("size", MOST),
    "symbols at the end of an address space": lambda f: f.symbols("value", MOST),
    "symbols that are all one function": lambda f: (f.symbols("value", 0x2240), f.symbols("size", 0xD000)),
    "symbols of one name": lambda f: (f.symbols("name", 1), f.symbols("info", 0x12)),
    "symbols whose names lie behind their end": lambda f: f.symbols("name", 0xFFFFFFFF),
    "symbols of sections that are none": lambda f: f.symbols("section", 0xFEFE),
    "names without an end": lambda f: f.fill(".dynstr", b"A"),
    "names that are mangled without end": lambda f: f.fill(".dynstr", b"_ZN" + b"S_I" * 100),
    "names of no size": lambda f: f.section(".dynstr", "size", 0),
    "names behind the end of the file": lambda f: f.section(".dynstr", "offset", MOST - 16),
    "names of another kind of section": lambda f: f.section(".dynstr", "type", 8),
    "names that are packed, to 1 TiB": lambda f: (f.section(".dynstr", "flags", 0x800), f.fill(".dynstr", _bomb(1, 1 << 40)[:64])),
    "sections without names": lambda f: f.header("shstrndx", 0),
    "sections whose names are in no section": lambda f: f.header("shstrndx", 0xFFFF),
    "65 535 sections": lambda f: f.header("shnum", 0xFFFF),
    "four thousand million sections": lambda f: (f.header("shnum", 0), f.section(0, "size", 0xFFFFFFFF)),
    "sections of eight bytes": lambda f: f.header("shentsize", 8),
    "sections at the last byte": lambda f: f.header("shoff", len(f.data) - 1),
    "sections at the end of an address space": lambda f: f.header("shoff", MOST),
    "65 535 segments": lambda f: f.header("phnum", 0xFFFF),
    "segments of no size": lambda f: f.header("phentsize", 0),
    "segments at the end of an address space": lambda f: f.header("phoff", MOST - 8),
    "segments on top of each other": lambda f: (_segments(f, "address", 0), _segments(f, "offset", 0), _segments(f, "size", len(f.data))),
    "segments that wrap around": lambda f: (_segments(f, "address", MOST - 4096), _segments(f, "size", 1 << 63)),
    "segments that overlap by their offsets": lambda f: (_segments(f, "offset", MOST - 15), _segments(f, "size", 32)),
    "notes without end": lambda f: (f.segment(5, "offset", 0x2000), f.segment(5, "size", MOST)),
    "ten thousand empty notes": lambda f: (f.put(".note.none", bytes(120_000)), f.section(".gnu_debuglink", "type", 7), f.segment(5, "offset", f.section(".gnu_debuglink", "offset")), f.segment(5, "size", 120_000)),
    "a note with a name of 4 GiB": lambda f: f.fill(".note.gnu.build-id", b"\xff"),
    "unwinding: a table of 4 thousand million rows": lambda f: f.data.__setitem__(slice(f.section(".eh_frame_hdr", "offset") + 8, f.section(".eh_frame_hdr", "offset") + 12), b"\xff" * 4),
    "unwinding: an entry of 16 EiB": lambda f: f.fill(".eh_frame", b"\xff"),
    "unwinding: entries that are their own parents": lambda f: f.fill(".eh_frame", struct.pack("<II", 12, 4) + bytes(8)),
    "unwinding: numbers without end": lambda f: f.fill(".eh_frame", struct.pack("<II", 0x1000, 0) + b"\1zR\0" + b"\x80" * 4000),
    "unwinding: states remembered without end": lambda f: f.fill(".eh_frame", struct.pack("<II", 0x1400, 0) + b"\1\0\1\x78\x10" + b"\x0a" * 6000),
    "unwinding: rows of 4 GiB each": lambda f: f.fill(".eh_frame", struct.pack("<II", 0x1400, 0) + b"\1\0\1\x78\x10" + b"\x04\xff\xff\xff\xff" * 1200),
    "unwinding: an expression of 4 GiB": lambda f: f.fill(".eh_frame", struct.pack("<II", 0x1400, 0) + b"\1\0\1\x78\x10" + b"\x0f\xff\xff\xff\x7f"),
    "a debug link without an end": lambda f: f.fill(".gnu_debuglink", b"A"),
    "a debug link that climbs": lambda f: f.fill(".gnu_debuglink", b"../../../../etc/passwd\0\0"),
    "a symbol table that is packed, and no symbol table": lambda f: f.put(".gnu_debugdata", lzma.compress(bytes(16 << 20), preset=0)),
    "a symbol table that is packed in itself": lambda f: f.put(".gnu_debugdata", lzma.compress(bytes(f.data), preset=0)),
    "a packed symbol table that ends early": lambda f: f.put(".gnu_debugdata", lzma.compress(bytes(f.data), preset=0)[:-40]),
    "debug information that is packed, to 1 TiB": lambda f: f.put(".debug_info", _bomb(1, 1 << 40), 0x800),
    "debug information packed in a way that nobody knows": lambda f: f.put(".debug_info", _bomb(99, 1 << 20), 0x800),
    "debug information of 16 EiB": lambda f: f.put(".debug_info", b"\xff" * 4096),
    "debug information with types that go round": _loop_of_types(),
    "debug information whose abbreviations never end": _unit(b"\1" * 4096, bytes([1, 0x11, 1]) + b"\x80" * 4096),
    "Go's table with 16 EiB of functions": lambda f: f.put(".gopclntab", struct.pack("<IHBBQQQQQQQ", 0xFFFFFFF1, 0, 1, 8, *[MOST] * 7) + bytes(4096)),
    "Go's table with functions that are their own": lambda f: f.put(".gopclntab", struct.pack("<IHBBQQQQQQQ", 0xFFFFFFF1, 0, 1, 8, 1 << 20, 1, 0x2230, 8, 8, 8, 8) + bytes(4096)),
    "USDT probes without end": lambda f: (f.put(".note.stapsdt", struct.pack("<III", 8, MOST & 0xFFFFFFFF, 3) + b"stapsdt\0" + b"\xff" * 4096), f.section(".gnu_debuglink", "type", 7)),
    "relocations that are all ones": lambda f: (f.fill(".rela.plt", b"\xff"), f.fill(".rela.dyn", b"\xff")),
    "a linker's table without an end": lambda f: f.fill(".dynamic", struct.pack("<QQ", 1, 1)),
    "a linker's table of hashes that goes round": lambda f: f.fill(".gnu.hash", struct.pack("<II", 1, 0)),
    "code that jumps to itself": lambda f: f.fill(".text", b"\xeb\xfe"),
    "code that jumps to the next instruction": lambda f: f.fill(".text", b"\xeb\0"),
    "code that may jump at each instruction": lambda f: f.fill(".text", b"\x74\x7e"),
    "code that may jump back at each instruction": lambda f: f.fill(".text", b"\x90" * 126 + b"\x75\x80"),
    "code that calls the next instruction": lambda f: f.fill(".text", b"\xe8\0\0\0\0"),
    "code that calls itself": lambda f: f.fill(".text", b"\xe8\xfb\xff\xff\xff"),
    "code of prefixes alone": lambda f: f.fill(".text", b"\x66"),
    "code of jump tables": lambda f: f.fill(".text", b"\x3e\xff\x24\xc5\0\0\1\0"),
    "code that pushes without end": lambda f: f.fill(".text", b"\x55"),
    "code of returns": lambda f: f.fill(".text", b"\xc3"),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import what reading takes, once for all: each file is read in a process of its own."""
    read_all(bytes(Crafted().data))


def test_there_are_forty_crafted_files() -> None:
    """At least as many are tried."""
    assert len(CASES) >= 40


@pytest.mark.parametrize("what", CASES)
def test_a_crafted_file_is_read_or_refused(what: str) -> None:
    """It takes at most 5 s of CPU and 300 MB, and ends with an answer or an ElfError."""
    file = Crafted()
    original = bytes(file.data)
    CASES[what](file)
    assert file.data != original
    status, said = outcome(bytes(file.data))
    assert status in (READ, REFUSED), said or f"ended with {status}"


def test_the_base_is_where_it_is_expected() -> None:
    """The file that is spoilt has the layout that the cases rely on."""
    file = Crafted()
    assert file.segment(5, "type") == 4  # PT_NOTE
    assert [file.segment(number, "type") for number in range(4)] == [1] * 4
    assert file.section(3, "size") == file.section(".dynsym", "size")
    assert Path(LIBRARIES, "libspeexdsp.so.1").stat().st_size == len(file.data)
