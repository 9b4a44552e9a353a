# SPDX-License-Identifier: Apache-2.0
"""An ELF file as the agent sees it: identity, segments, sections, and virtual address <-> file offset.

The file may be hostile. pyelftools describes the layout of the headers. This module checks every count, offset and size in them
against the file's real size before using it, and follows nothing recursively. The only exception that a file's content can cause is
`ElfError`. The file is mapped, not read: a 200 MB library costs only the pages that are accessed.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import cached_property
from typing import IO, Any

from otel_jb.arch.machine import MACHINES
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError, PermissionDeniedError, TargetError
from otel_jb.model.text import printable

MAX_FILE_BYTES = 4 << 30
MAX_HEADERS = 65_536  #: sections, and segments
MAX_STRING = 4096  #: maximum bytes of a soname or another name in the file
MAX_DYNAMIC = 65_536  #: entries of the dynamic section

PF_X = 1
_EHDR_SIZE = 64
_PHDR_SIZE = 56
_SHDR_SIZE = 64
_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_SHN_XINDEX = 0xFFFF
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_FLAGS_1 = 1, 5, 10, 14, 0x6FFFFFFB
_DF_1_PIE = 0x08000000
_NT_GNU_BUILD_ID = 3
_SUPPORTED = "otel_jb measures 64-bit x86-64 and AArch64 programs (little-endian)."
_SUPPORTED_MACHINES = {machine.elf_number: machine for machine in MACHINES.values()}
_MACHINES = {
    2: "SPARC",
    3: "32-bit x86",
    8: "MIPS",
    20: "PowerPC",
    21: "64-bit PowerPC",
    22: "IBM S/390",
    40: "32-bit ARM",
    43: "SPARC V9",
    243: "RISC-V",
    247: "BPF",
    258: "LoongArch",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header; `type` is its name (`PT_LOAD`, ...)."""

    type: str
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int

    @property
    def executable(self) -> bool:
        return bool(self.flags & PF_X)


@dataclass(frozen=True, slots=True)
class Section:
    """A section header and, on demand, its bytes; `type` is its name (`SHT_SYMTAB`, ...)."""

    name: str
    type: str
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int
    _buffer: Buffer = field(repr=False, compare=False)

    @property
    def view(self) -> memoryview:
        """The section's bytes without a copy; empty where the file holds none (`.bss`, sections of a debug file)."""
        if self.type == "SHT_NOBITS":
            return memoryview(b"")
        return memoryview(self._buffer)[self.offset : self.offset + self.size]

    @property
    def data(self) -> bytes:
        """The section's bytes, copied. Pages that are mapped for that alone are given back: a large table would be held twice."""
        data = bytes(self.view)
        if isinstance(self._buffer, mmap.mmap):
            start = -(-self.offset // mmap.PAGESIZE) * mmap.PAGESIZE
            end = min(self.offset + self.size, len(self._buffer)) // mmap.PAGESIZE * mmap.PAGESIZE
            if start < end:
                self._buffer.madvise(mmap.MADV_DONTNEED, start, end - start)
        return data


Buffer = mmap.mmap | bytes


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The dynamic section: raw tag and value pairs, and the names in it."""

    entries: tuple[tuple[int, int], ...] = ()
    soname: str | None = None
    needed: tuple[str, ...] = ()

    def value(self, tag: int) -> int | None:
        """The value of the first entry with this tag."""
        return next((value for key, value in self.entries if key == tag), None)


class Image:
    """One mapped ELF file. Create it with `from_file` or `from_bytes`.

    Attributes: `name` (its name in messages), `arch` (`x86_64` or `aarch64`), `kind` (`executable` or `library`),
    `size` in bytes, `entry`, `segments`, `sections`, `build_id` (lower-case hex), `soname`, `needed`, `executable_ranges`.
    """

    def __init__(self, buffer: Buffer, name: str, *, debug: bool = False) -> None:
        """Parse the headers. `debug` accepts segments without bytes, as in separate debug files."""
        self.name = printable(name)
        self.size = len(buffer)
        self.debug = debug
        self._buffer = buffer
        try:
            self._parse()
        except ElfError:
            raise
        except Exception as error:  # on corrupt input, pyelftools raises whatever its parsers happen to raise
            raise self.corrupt(f"its headers cannot be read ({type(error).__name__})") from error

    @classmethod
    def from_file(cls, file: str | os.PathLike[str] | int | IO[bytes], name: str = "", *, debug: bool = False) -> Image:
        """Map a file given by path, descriptor or file object; never blocks on a FIFO or device.

        Raises ElfError, and for a path what `open_regular` raises.
        """
        if isinstance(file, str | os.PathLike):
            path = os.fspath(file)
            descriptor = open_regular(path)
            try:
                return cls._from_descriptor(descriptor, name or path, debug)
            finally:
                os.close(descriptor)
        descriptor = file if isinstance(file, int) else file.fileno()
        if not name:
            name = f"descriptor {descriptor}" if isinstance(file, int) else str(getattr(file, "name", "a file"))
        return cls._from_descriptor(descriptor, name, debug)

    @classmethod
    def from_bytes(cls, data: bytes, name: str, *, debug: bool = False) -> Image:
        """Parse an image that is in memory (an unpacked `.gnu_debugdata`, a vDSO)."""
        if not data:
            raise ElfError(f"{printable(name)}: empty, so not an ELF file")
        return cls(data, name, debug=debug)

    @classmethod
    def _from_descriptor(cls, descriptor: int, name: str, debug: bool) -> Image:
        shown = printable(name)
        size = _size(descriptor, shown)
        if size == 0:
            raise ElfError(f"{shown}: empty, so not an ELF file", "Name an executable or a shared library.")
        if size > MAX_FILE_BYTES:
            raise ElfError(f"{shown}: larger than {MAX_FILE_BYTES >> 30} GiB, the limit for an ELF file")
        try:
            # Shared, because the kernel puts breakpoints of probes into private mappings, executable or not.
            buffer = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise ElfError(f"{shown}: cannot be mapped: {error}") from error
        return cls(buffer, name, debug=debug)

    # -- headers ------------------------------------------------------------------------------------------------

    def _parse(self) -> None:
        self._check_identity()
        from elftools.elf.structs import ELFStructs

        structs: Any = ELFStructs(little_endian=True, elfclass=64)
        structs.create_basic_structs()
        header: Any = structs.Elf_Ehdr.parse(bytes(self._buffer[:_EHDR_SIZE]))
        structs.create_advanced_structs(header.e_type, header.e_machine, header.e_ident.EI_OSABI)
        self.machine = _SUPPORTED_MACHINES[int.from_bytes(self._buffer[18:20], "little")]
        self.arch = self.machine.name
        self.entry: int = header.e_entry
        self.segments = self._parse_segments(structs, header)
        self._loads = sorted((s for s in self.segments if s.type == "PT_LOAD"), key=lambda s: s.address)
        self._load_addresses = [s.address for s in self._loads]
        self.executable_ranges = tuple((s.address, s.address + s.file_size) for s in self._loads if s.executable)
        self.sections = self._parse_sections(structs, header)
        self._by_name: dict[str, Section] = {}
        for section in self.sections:
            self._by_name.setdefault(section.name, section)
        self._elf_type: str = header.e_type

    def _check_identity(self) -> None:
        start = bytes(self._buffer[:_EHDR_SIZE])
        if start[:4] != b"\x7fELF":
            what = " (a script)" if start[:2] == b"#!" else ""
            raise ElfError(
                f"{self.name}: not an ELF file{what}",
                "Name an executable or a shared library; for a script, the interpreter that runs it.",
            )
        if len(start) < _EHDR_SIZE:
            raise self.truncated("the ELF header")
        if start[4] == 1:
            machine = _MACHINES.get(struct.unpack_from("<H" if start[5] != 2 else ">H", start, 18)[0], "unknown")
            raise ElfError(f"{self.name}: a 32-bit ELF file ({machine})", _SUPPORTED)
        if start[4] != 2:
            raise self.corrupt("its class is neither 32 nor 64 bit")
        if start[5] == 2:
            machine = _MACHINES.get(struct.unpack_from(">H", start, 18)[0], "unknown")
            raise ElfError(f"{self.name}: a big-endian ELF file ({machine})", _SUPPORTED)
        if start[5] != 1 or start[6] != 1:
            raise self.corrupt("its byte order or version is unknown")
        kind, machine_number = struct.unpack_from("<HH", start, 16)
        if machine_number not in _SUPPORTED_MACHINES:
            machine = _MACHINES.get(machine_number, f"machine {machine_number}")
            raise ElfError(f"{self.name}: built for another architecture ({machine})", _SUPPORTED)
        if kind == _ET_REL and self.debug:  # a `.dwo` file
            return
        if kind == _ET_REL:
            raise ElfError(
                f"{self.name}: a relocatable object, which cannot be run",
                "Name the program or library linked from it.",
            )
        if kind == _ET_CORE:
            raise ElfError(f"{self.name}: a core dump", "Name the program that it came from.")
        if kind not in (_ET_EXEC, _ET_DYN):
            raise self.corrupt(f"its type {kind} is unknown")

    def _parse_segments(self, structs: Any, header: Any) -> tuple[Segment, ...]:
        count: int = header.e_phnum
        if count == 0:
            if self.debug:
                return ()
            raise self.corrupt("it has no program headers")
        if header.e_phentsize != _PHDR_SIZE:
            raise self.corrupt("the size of its program headers is wrong")
        if count >= MAX_HEADERS - 1:
            raise self.corrupt("it has too many program headers")
        table = self._table(header.e_phoff, count * _PHDR_SIZE, "the program headers")
        segments = []
        for start in range(0, len(table), _PHDR_SIZE):
            raw: Any = structs.Elf_Phdr.parse(table[start : start + _PHDR_SIZE])
            segment = Segment(_type_name(raw.p_type), raw.p_flags, raw.p_offset, raw.p_vaddr, raw.p_filesz, raw.p_memsz)
            inside = segment.offset + segment.file_size <= self.size
            if self.debug and not inside:
                continue  # a separate debug file keeps the headers of segments without their bytes
            if not inside and segment.type not in ("PT_NULL", "PT_GNU_STACK"):
                raise self.truncated(f"a segment ({segment.type})")
            if segment.type == "PT_LOAD":
                if segment.file_size > segment.memory_size:
                    raise self.corrupt("a segment is larger in the file than in memory")
                if segment.address + segment.memory_size > 1 << 64:
                    raise self.corrupt("a segment lies beyond the address space")
            segments.append(segment)
        return tuple(segments)

    def _parse_sections(self, structs: Any, header: Any) -> tuple[Section, ...]:
        start: int = header.e_shoff
        if start == 0:
            return ()
        if header.e_shentsize != _SHDR_SIZE:
            raise self.corrupt("the size of its section headers is wrong")
        first: Any = structs.Elf_Shdr.parse(self._table(start, _SHDR_SIZE, "the section headers"))
        count: int = header.e_shnum or first.sh_size
        if count > MAX_HEADERS:
            raise self.corrupt("it has too many sections")
        table = self._table(start, count * _SHDR_SIZE, "the section headers")
        raws: list[Any] = [
            structs.Elf_Shdr.parse(table[at : at + _SHDR_SIZE]) for at in range(0, len(table), _SHDR_SIZE)
        ]
        for raw in raws:
            if raw.sh_type not in ("SHT_NOBITS", "SHT_NULL") and raw.sh_offset + raw.sh_size > self.size:
                raise self.truncated("a section")
        index: int = first.sh_link if header.e_shstrndx == _SHN_XINDEX else header.e_shstrndx
        names: tuple[int, int] | None = None
        if index:
            if index >= count:
                raise self.corrupt("its table of section names does not exist")
            if raws[index].sh_type != "SHT_NOBITS":
                names = (raws[index].sh_offset, raws[index].sh_offset + raws[index].sh_size)
        return tuple(
            Section(
                self._string(names[0] + raw.sh_name, names[1]) if names else "",
                _type_name(raw.sh_type),
                raw.sh_flags,
                raw.sh_addr,
                raw.sh_offset,
                raw.sh_size,
                raw.sh_link,
                raw.sh_info,
                raw.sh_entsize,
                self._buffer,
            )
            for raw in raws
        )

    def _table(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self.size:
            raise self.truncated(what)
        return bytes(self._buffer[offset : offset + size])

    def _string(self, start: int, end: int) -> str:
        """The NUL-terminated string at a file offset, at most `MAX_STRING` long, not beyond `end`."""
        end = min(end, start + MAX_STRING, self.size)
        if not 0 <= start < end:
            return ""
        stop = self._buffer.find(b"\0", start, end)
        return bytes(self._buffer[start : stop if stop >= 0 else end]).decode("utf-8", "backslashreplace")

    # -- contents -----------------------------------------------------------------------------------------------

    @cached_property
    def dynamic(self) -> Dynamic:
        """The dynamic section, read through its segment (section headers may be stripped)."""
        segment = next((s for s in self.segments if s.type == "PT_DYNAMIC"), None)
        if segment is None or self.debug:
            return Dynamic()
        size = min(segment.file_size, MAX_DYNAMIC * 16) // 16 * 16
        entries: list[tuple[int, int]] = []
        for tag, value in struct.iter_unpack("<qQ", bytes(self._buffer[segment.offset : segment.offset + size])):
            if tag == 0:
                break
            entries.append((tag, value))
        found = Dynamic(tuple(entries))
        table, length = found.value(_DT_STRTAB), found.value(_DT_STRSZ)
        if table is None or length is None:
            return found
        try:
            start = self.offset(table)
        except ElfError:
            return found
        sonames = [self._string(start + value, start + length) for tag, value in entries if tag == _DT_SONAME]
        needed = [self._string(start + value, start + length) for tag, value in entries if tag == _DT_NEEDED]
        return Dynamic(
            found.entries, sonames[0] if sonames and sonames[0] else None, tuple(name for name in needed if name)
        )

    @property
    def soname(self) -> str | None:
        """DT_SONAME, or None."""
        return self.dynamic.soname

    @property
    def needed(self) -> tuple[str, ...]:
        """DT_NEEDED: the libraries that the file asks for, in order."""
        return self.dynamic.needed

    @property
    def kind(self) -> str:
        """`executable` (also position-independent, also static) or `library`."""
        if self._elf_type == "ET_EXEC" or (self.dynamic.value(_DT_FLAGS_1) or 0) & _DF_1_PIE:
            return "executable"
        # libc.so.6 has an interpreter too, to print its version; its soname distinguishes it from a program.
        has_interpreter = any(segment.type == "PT_INTERP" for segment in self.segments)
        return "executable" if has_interpreter and self.soname is None else "library"

    @property
    def fixed(self) -> bool:
        """Whether it is always loaded at the addresses that it states."""
        return self._elf_type == "ET_EXEC"

    @cached_property
    def build_id(self) -> str | None:
        """The GNU build-id in lower-case hexadecimal, or None."""
        for segment in () if self.debug else self.segments:
            if segment.type == "PT_NOTE":
                found = _find_build_id(self._buffer, segment.offset, segment.offset + segment.file_size)
                if found:
                    return found
        for section in self.sections:  # in a debug file the sections are right; the segments are those of the program
            if section.type == "SHT_NOTE":
                found = _find_build_id(self._buffer, section.offset, section.offset + section.size)
                if found:
                    return found
        return None

    @property
    def buffer(self) -> Buffer:
        """The whole file."""
        return self._buffer

    def section(self, name: str) -> Section | None:
        """The first section of this name."""
        return self._by_name.get(name)

    # -- addresses ----------------------------------------------------------------------------------------------

    def _load_at(self, address: int) -> Segment | None:
        index = bisect_right(self._load_addresses, address) - 1
        if index < 0:
            return None
        segment = self._loads[index]
        return segment if address < segment.address + segment.file_size else None

    def offset(self, address: int) -> int:
        """File offset of a virtual address. Raises ElfError if no byte of the file is loaded there."""
        segment = self._load_at(address)
        if segment is None:
            raise ElfError(f"{self.name}: nothing of the file is loaded at address {address:#x}")
        return address - segment.address + segment.offset

    def address(self, offset: int) -> int:
        """Virtual address of a file offset, in the executable segment if two load the same bytes. Raises ElfError if there is none."""
        found: Segment | None = None
        for segment in self._loads:
            if segment.offset <= offset < segment.offset + segment.file_size and (found is None or segment.executable):
                found = segment
        if found is None:
            raise ElfError(f"{self.name}: the byte at file offset {offset:#x} is not loaded")
        return offset - found.offset + found.address

    def is_executable(self, address: int) -> bool:
        """Whether code of the file is loaded at this address."""
        segment = self._load_at(address)
        return segment is not None and segment.executable

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a virtual address. Raises ElfError unless one loaded segment of the file contains all of them."""
        segment = self._load_at(address)
        if segment is None or size < 0 or address + size > segment.address + segment.file_size:
            raise ElfError(f"{self.name}: the file does not hold {size} bytes at address {address:#x}")
        start = address - segment.address + segment.offset
        return bytes(self._buffer[start : start + size])

    def holds(self, data: bytes, section: str = "") -> bool:
        """Whether these bytes are in the section of this name, or anywhere in the file if it has no such section."""
        within = self.section(section)
        start, end = (within.offset, within.offset + within.size) if within is not None else (0, self.size)
        return self._buffer.find(data, start, end) >= 0

    # -- errors -------------------------------------------------------------------------------------------------

    def truncated(self, what: str) -> ElfError:
        """The error for a part that lies beyond the end of the file."""
        return ElfError(
            f"{self.name}: truncated or corrupt: {what} would lie beyond the end of the file",
            "The file is incomplete or damaged; install it again.",
        )

    def corrupt(self, what: str) -> ElfError:
        """The error for headers that contradict themselves."""
        return ElfError(f"{self.name}: corrupt: {what}", "The file is damaged or forged; install it again.")


def _look(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def open_regular(path: str, look: Callable[[str], int] = _look) -> int:
    """A read-only descriptor of a regular file. Never opens a FIFO, device or socket, not even briefly.

    `look`: returns an O_PATH descriptor; how a path of another process is resolved (`otel_jb.host.roots`).

    Raises TargetError (no such file), PermissionDeniedError, ElfError (anything else that cannot be opened).
    """
    shown = printable(path)
    try:
        # O_PATH looks without opening: opening a FIFO blocks, and opening a device may act on it.
        looked = look(path)
        try:
            _require_regular(os.fstat(looked).st_mode, shown)
            return os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        finally:
            os.close(looked)
    except FileNotFoundError as error:
        raise TargetError(f"{shown}: no such file", "Check the path, or name a process by its PID.") from error
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{shown}: permission denied", "Run as root, or as a user who may read the file."
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ElfError(f"{shown}: cannot be opened: {reason}") from error


def _size(descriptor: int, shown: str) -> int:
    try:
        status = os.fstat(descriptor)
    except PermissionError:
        # In the sandbox, which refuses the system call behind libc's fstat because it takes a path. `open_regular` opened what is passed in.
        return os.lseek(descriptor, 0, os.SEEK_END)
    _require_regular(status.st_mode, shown)
    return status.st_size


def _require_regular(mode: int, shown: str) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = [
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    ]
    what = next((text for test, text in kinds if test(mode)), "not a regular file")
    raise ElfError(f"{shown}: {what}, so not an ELF file", "Name an executable or a shared library.")


def _type_name(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:#x}"


def notes(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(type, owner, content) of each note."""
    while start + 12 <= end:
        name_size, data_size, kind = struct.unpack_from("<III", buffer, start)
        name_at = start + 12
        data_at = name_at + (name_size + 3 & ~3)
        if data_at + data_size > end:
            return
        yield kind, bytes(buffer[name_at : name_at + name_size]), bytes(buffer[data_at : data_at + data_size])
        start = data_at + (data_size + 3 & ~3)


def _find_build_id(buffer: Buffer, start: int, end: int) -> str | None:
    end = min(end, start + (1 << 20))  # notes are small; a hostile segment may claim the whole file
    for kind, owner, data in notes(buffer, start, end):
        if kind == _NT_GNU_BUILD_ID and owner == b"GNU\0" and 0 < len(data) <= 64:
            return data.hex()
    return None
