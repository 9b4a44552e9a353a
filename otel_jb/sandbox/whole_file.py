"""What a whole file can do to stacks: by the names of functions that it imports or has, and by all of its code.

Where no file of a process can switch stacks or start an exception, a return probe needs to know less of what a function calls.
Names cost a search over the string tables; code is decoded instruction by instruction, in pieces, since that takes seconds for
a large library, and only where it can decide something. x86-64 only: AArch64 needs no return probes.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from otel_jb.code.body import Body, Context, UndecodableError, body_of
from otel_jb.code.known import ENDS_THREAD, SWITCHES, THROWS
from otel_jb.code.stack_pointer import foreign_load, moves_stack_pointer
from otel_jb.code.vouched import TAKES_BACK
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import SymbolTable, tables
from otel_jb.model import codec
from otel_jb.model.errors import ElfError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector

PIECE_BYTES = 1 << 21  #: of code that one request decodes, about half a second of work
_ENTRY = struct.Struct("<IBBHQQ")
_LOADS = "dlopen|dlmopen|android_dlopen_ext"
_SIGNAL_STACK = "sigaltstack"
_MOST_NAMES = 8  #: of each kind that are told
#: `mov eax, 131; syscall`: sigaltstack without the C library
_RAW_SIGNAL_STACK = bytes.fromhex("b8830000000f05")
#: What Rust's standard library says when a thread's stack overflows: its handler, on a stack of its own, does that and no more. Newer and
#: older ones keep different parts of it in one piece.
_RUST = (b"has overflowed its stack", b"failed to allocate an alternative stack")
_NO_CODE = ("SHT_NOBITS", "SHT_NULL")
_STUBS = (".plt", ".plt.sec", ".plt.got", ".iplt")
_EXECUTABLE = 4  # SHF_EXECINSTR


@dataclass(frozen=True, slots=True)
class NameEvidence:
    """What the names of one file say."""

    name: str  #: soname, else the file's name
    switches: tuple[str, ...] = ()  #: functions that switch stacks
    throws: tuple[str, ...] = ()  #: functions that start an exception or end a thread by unwinding it
    takes_back: tuple[str, ...] = ()  #: functions whose use takes a vouch for another file back
    loads: bool = False  #: it can load further libraries
    code_bytes: int = 0


def names_of(inspector: Inspector, files: Sequence[tuple[int, str]]) -> list[NameEvidence | None]:
    """Evidence of open files, (descriptor, name), by their names; None where one cannot be read."""
    from otel_jb.sandbox.limits import MAX_FILES

    found: list[NameEvidence | None] = []
    for start in range(0, len(files), MAX_FILES):
        batch = files[start : start + MAX_FILES]
        try:
            plain = inspector.call(
                "otel_jb.sandbox.whole_file:read_names",
                [file for file, _ in batch],
                file_names=[name for _, name in batch],
            )
            if len(plain) != len(batch):
                raise ValueError("one answer for each file")
            found += [_printable(codec.decode(each, NameEvidence)) if each is not None else None for each in plain]
        except (ElfError, TypeError, ValueError, KeyError):
            found += [None] * len(batch)
    return found


def _printable(found: NameEvidence) -> NameEvidence:
    return dataclasses.replace(
        found,
        name=printable(found.name),
        switches=tuple(map(printable, found.switches)),
        throws=tuple(map(printable, found.throws)),
        takes_back=tuple(map(printable, found.takes_back)),
    )


def code_of(inspector: Inspector, file: int, name: str, goes_on: Callable[[], bool]) -> str | None:
    """Why the code of an open file may switch stacks, "" where it cannot; None where `goes_on` said no before the end.

    Raises ElfError.
    """
    first = 0
    while goes_on():
        answer = inspector.call(
            "otel_jb.sandbox.whole_file:read_code", [file], name=name, patient=True, file_name=name, first=first
        )
        try:
            found, first = printable(str(answer[0])), int(answer[1])
        except (TypeError, ValueError, IndexError) as error:
            raise ElfError(f"{name}: its analysis gave nonsense", "The file is made to harm its reader.") from error
        if found or first <= 0:
            return found
    return None


# -- in the sandbox --------------------------------------------------------------------------------------------------


def read_names(files: Sequence[int], file_names: Sequence[str]) -> list[dict[str, Any] | None]:
    """Runs in the sandbox: the names' evidence of each file, None for one that cannot be read."""
    found: list[dict[str, Any] | None] = []
    for file, name in zip(files, file_names, strict=True):
        try:
            found.append(codec.encode(name_evidence(Image.from_file(file, name))))
        except ElfError:
            found.append(None)
    return found


def read_code(files: Sequence[int], file_name: str, first: int) -> tuple[str, int]:
    """Runs in the sandbox: (why its code may switch stacks or "", where to go on or 0 at the end) from a position on."""
    return code_evidence(Image.from_file(files[0], file_name), first, PIECE_BYTES)


def name_evidence(image: Image) -> NameEvidence:
    """What the names of an image say. Raises ElfError."""
    all_tables = tables(image)
    return NameEvidence(
        name=image.soname or image.name.rsplit("/", 1)[-1],
        switches=_named(all_tables, SWITCHES, but=_SIGNAL_STACK),
        throws=_named(all_tables, f"{THROWS}|{ENDS_THREAD}"),
        takes_back=_named(all_tables, TAKES_BACK, undefined=True),
        loads=bool(_named(all_tables, _LOADS)),
        code_bytes=sum(section.size for section in _code_sections(image)),
    )


def signal_stacks(image: Image) -> str:
    """What by which a file may run signal handlers on stacks of their own; "" where it has nothing of the kind."""
    if any(_SIGNAL_STACK.encode() + b"\0" in table.strings for table in tables(image)):
        return "" if any(image.holds(text, ".rodata") for text in _RUST) else _SIGNAL_STACK
    return f"the system call {_SIGNAL_STACK}" if not image.needed and image.holds(_RAW_SIGNAL_STACK) else ""


def _named(all_tables: Sequence[SymbolTable], pattern: str, but: str = "", undefined: bool = False) -> tuple[str, ...]:
    """Functions of these names, the file's own and those that it imports; only the latter if `undefined`."""
    search = re.compile(rb"(?:" + pattern.encode() + rb")\0")
    found: dict[str, None] = {}
    for table in all_tables:
        places = {match.start(): match[0][:-1] for match in search.finditer(table.strings)}
        if not places:
            continue
        for position, info, _, section, _, _ in _ENTRY.iter_unpack(table.entries):
            if position in places and info & 15 in (0, 2, 10) and not (undefined and section):
                name = places[position].decode("ascii", "replace")
                if name != but:
                    found[name] = None
    return tuple(found)[:_MOST_NAMES]


def _code_sections(image: Image) -> list[Any]:
    return [s for s in image.sections if s.flags & _EXECUTABLE and s.type not in _NO_CODE and s.name not in _STUBS]


def code_evidence(image: Image, first: int, most_bytes: int) -> tuple[str, int]:
    """Decode up to so many bytes from an address on (0: the beginning): (why the code may switch stacks, where to go on or 0).

    Raises ElfError.
    """
    if image.arch != "x86_64":
        return "its code is not examined on this architecture", 0
    sections = sorted(_code_sections(image), key=lambda section: int(section.address))
    if not sections:
        return "it does not say where its code is", 0
    context = Context.of(image, Names(image))
    done = 0
    for start, end in _pieces(context, sections, first):
        if done >= most_bytes:
            return "", start
        done += end - start
        found = _switch_in(context, start, end)
        if found:
            return found, 0
    return "", 0


def _pieces(context: Context, sections: Sequence[Any], first: int) -> Iterator[tuple[int, int]]:
    """Ranges of code that begin where a function does, as far as the unwinding table says where that is."""
    starts = context.frames.starts()
    for section in sections:
        low, high = section.address, section.address + section.size
        if high <= first:
            continue
        inside = starts[bisect_right(starts, low) : bisect_right(starts, high - 1)]
        cuts = [low, *inside, high]
        for start, end in pairwise(cuts):
            if start >= first and end > start:
                yield start, end


def _switch_in(context: Context, start: int, end: int) -> str:
    """Why code between two starts of functions may switch stacks; "" where it does not."""
    from otel_jb.arch.x86_64 import lite

    suspects: list[int] = []
    leaves = other_base = False
    done = start
    for address, size, name, operands in lite(context.image.read(start, end - start), start):
        done = address + size
        if name == "leave":
            leaves = True
        elif operands[1:3] == "sp" or operands[-3:] == "rsp" or operands[-3:] == "esp" or name in _RARE:
            if moves_stack_pointer(f"{name} {operands}" if operands else name):
                suspects.append(address)
        elif operands[1:3] == "bp" and name not in _ONLY_READ and not (name == "mov" and operands == "rbp, rsp"):
            other_base = True
    frame = context.frames.at(start)
    if done < end:
        return _undecoded(context, frame.end if frame is not None else start, done, end)
    if not suspects and not (leaves and other_base):
        return ""
    if frame is not None:
        found = _foreign(context, start, 0)
        if found or all(address < frame.end for address in suspects):
            return found
        start = frame.end
    return _foreign(context, start, end - start)


#: written without naming the stack pointer as the first operand, and what reads the frame pointer as it
_RARE = frozenset({"enter", "iretq", "iretd", "iret", "sysretq", "sysret", "lss"})
_ONLY_READ = frozenset({"cmp", "test", "push", "pop", "bt"})


def _undecoded(context: Context, function_end: int, done: int, end: int) -> str:
    """What stands behind the last instruction that decoded: padding of zeros, or nobody knows."""
    if done >= function_end and not any(context.image.read(done, end - done)):
        return ""
    return f"bytes at {done:#x} that are no instruction"


def _foreign(context: Context, start: int, size: int) -> str:
    try:
        body: Body = body_of(context, start, size)
    except UndecodableError as reason:
        return f"code at {start:#x} that loads the stack pointer and cannot be followed ({reason})"
    load = foreign_load(body)
    if load is None:
        return ""
    name = context.names.get(start, "")
    return f"code that loads the stack pointer (`{load.text}` at {load.address:#x}{f', {name}' if name else ''})"
