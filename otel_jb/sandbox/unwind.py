# SPDX-License-Identifier: Apache-2.0
"""What it takes to walk a stack: for an instruction's address, the rule that finds its caller, and the function's name.

Runs in the sandbox. The walk itself (`otel_jb.stacks.unwinder`) happens outside, on a copy of the stack, and remembers the rules.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otel_jb.elf.image import Image
from otel_jb.elf.unwind_tables import Frames
from otel_jb.model import codec
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector


#: `mov x8, #139` (rt_sigreturn) and `svc #0`


@dataclass(frozen=True, slots=True)
class Rule:
    """How to get from an instruction's frame to its caller's; `base` None: it cannot be known."""

    base: (
        str | None
    )  #: `sp` or `fp`: CFA = that register + `offset`; `signal`: the kernel made this frame for a handler
    offset: int = 0
    frame_pointer_at: int | None = None  #: the caller's frame pointer lies at CFA + this; None: unchanged
    return_address_at: int | None = None  #: likewise; None: in the link register, that is, not in the stack
    function: str = ""  #: demangled, without arguments; empty where no symbol covers it
    displacement: int = 0  #: of the address from the function's start, or from the file's where there is no function
    outermost: bool = False  #: nothing called it: `_start`, the start of a thread
    #: The address is that before a function's first instruction, and no call is there: as a return address somebody has put it there, who
    #: made a stack for a coroutine. The function's name, empty where no symbol tells.
    begins: str | None = None

    def __post_init__(self) -> None:
        if self.base not in ("sp", "fp", "signal", None):
            raise ValueError("not a rule")


def rules(
    inspector: Inspector, files: Sequence[int], names: Sequence[str], wanted: Sequence[Sequence[int]]
) -> list[dict[int, Rule]]:
    """For each open file, the rule of each of its wanted addresses (virtual ones of the image). Raises ElfError."""
    plain = inspector.call(
        "otel_jb.sandbox.unwind:read",
        files,
        name="mapped files",
        names=list(names),
        wanted=[list(each) for each in wanted],
    )
    try:
        answers = codec.decode(plain, tuple[tuple[Rule, ...], ...])
        return [dict(zip(addresses, found, strict=True)) for addresses, found in zip(wanted, answers, strict=True)]
    except ValueError as error:
        raise ElfError("the analysis of a stack returned an invalid result") from error


def read(files: Sequence[int], names: Sequence[str], wanted: Sequence[Sequence[int]]) -> Any:
    """Runs in the sandbox: rules of addresses of several files; a file that cannot be read has none."""
    answers: list[tuple[Rule, ...]] = []
    for file, name, addresses in zip(files, names, wanted, strict=True):
        try:
            answers.append(_of_file(Image.from_file(file, name), addresses))
        except ElfError:
            answers.append(tuple(Rule(None, displacement=address) for address in addresses))
    return codec.encode(tuple(answers))


class _Functions:
    """The functions of a file. Of a large program only their addresses are kept: a few names are asked for."""

    def __init__(self, image: Image) -> None:
        from otel_jb.elf import debugfile, symbols

        self._tables = symbols.all_tables(image, debugfile.matching_images(image, []))
        found = (address for table in self._tables for _, _, address, _, _ in table.functions())
        self.starts = array("Q", sorted(filter(image.is_executable, found)))

    def names(self, starts: Collection[int]) -> dict[int, str]:
        """The functions that start at these addresses, demangled, without arguments; the last in order where one has several names."""
        from otel_jb.elf.demangle import demangle
        from otel_jb.model.names import without_arguments

        found: dict[int, str] = {}
        for table in self._tables:
            for _, name, address, _, _ in table.functions(starts):
                found[address] = max(found.get(address, ""), name.decode("utf-8", "backslashreplace"))
        return {address: without_arguments(demangle(name)) for address, name in found.items()}


def _of_file(image: Image, addresses: Sequence[int]) -> tuple[Rule, ...]:
    frames, functions = Frames(image), _Functions(image)
    registers = {image.machine.stack_pointer: "sp", image.machine.frame_pointer: "fp"}
    by_frame_pointer = _keeps_frame_pointers(image)
    found: list[tuple[Rule, int | None, int | None]] = []  # without names, which belong to these two addresses
    for address in addresses:
        frame = row = None
        try:
            frame = frames.at(address)
            row = frame.row(address) if frame else None
        except ElfError:
            pass
        base = registers.get(row.register) if row and row.register is not None else None
        low = frame.start if frame else None
        if frame is not None and frame.signal:
            base = "signal"
        elif _returns_from_handler(image, address):
            base, address = "signal", address + 1
            low = address
        start = _start(functions.starts, address, low)
        displacement = address - start if start is not None else address
        begins = address + 1 if base != "signal" and _is_planted(image, frames, address) else None
        if base == "signal":
            rule = Rule(base, displacement=displacement)
        elif frame is None and by_frame_pointer:
            rule = Rule("fp", 16, -16, -8, displacement=displacement)
        elif row is None or base is None:
            rule = Rule(None, displacement=displacement)
        else:
            places = row.frame_pointer_at, row.return_address_at
            rule = Rule(base, row.offset, *places, displacement=displacement, outermost=row.outermost)
        found.append((rule, start, begins))
    names = functions.names({start for _, *both in found for start in both if start is not None})
    return tuple(
        replace(
            rule,
            function=names.get(start, "") if start is not None else "",
            begins=names.get(begins, "") if begins is not None else None,
        )
        for rule, start, begins in found
    )


def _keeps_frame_pointers(image: Image) -> bool:
    """Whether functions without a frame description keep a frame pointer all the same: those of Go."""
    tables = (".gopclntab", ".data.rel.ro.gopclntab")
    return image.machine.undescribed_frame_pointers and any(image.section(name) is not None for name in tables)


def _is_planted(image: Image, frames: Frames, address: int) -> bool:
    """Whether `address`, a return address less one, is where no call can have returned to: a function begins behind it.

    A call that never returns may be the last instruction of the function before, so there must be none.
    """
    try:
        behind = frames.at(address + 1)
        return behind is not None and behind.start == address + 1 and not _is_behind_call(image, address + 1)
    except ElfError:
        return False


def _is_behind_call(image: Image, address: int) -> bool:
    """Whether the bytes before an address can be a call."""
    return image.machine.ends_in_call(image.read(address - 7, 7))


def _returns_from_handler(image: Image, address: int) -> bool:
    """Whether the instruction behind `address`, a return address less one, is where the kernel lets signal handlers return to.

    Where it has no frame description (the kernel's arch/arm64/kernel/vdso/sigreturn.S says why), unwinders know it by its instructions.
    """
    code = image.machine.signal_return
    if not code or (address + 1) % 4:
        return False
    try:
        return image.read(address + 1, len(code)) == code
    except ElfError:
        return False


def _start(starts: Sequence[int], address: int, low: int | None) -> int | None:
    """Where the symbol that covers an address starts: the last one before it, and none from before the code that holds it.

    A stripped file has exported symbols far apart; naming a function by a distant neighbour would be a guess.
    """
    from bisect import bisect_right

    index = bisect_right(starts, address) - 1
    if index < 0 or (low is not None and starts[index] < low):
        return None
    return starts[index] if low is not None or address - starts[index] < 4096 else None


def segments(files: Sequence[int]) -> list[list[int]]:
    """Runs in the sandbox: (first file offset, end, virtual address - offset) of the executable segments of one file."""
    image = Image.from_file(files[0], "a mapped file")
    return [
        [segment.offset, segment.offset + segment.file_size, segment.address - segment.offset]
        for segment in image.segments
        if segment.executable
    ]


def switching(files: Sequence[int]) -> list[str]:
    """Runs in the sandbox: names of functions by which these files could switch stacks, imported or their own; at most a few.

    The C library has such functions for everybody; only who uses them counts, so its own are left out.
    """
    from otel_jb.code import known
    from otel_jb.elf import imports, symbols

    found: set[str] = set()
    for file in files:
        try:
            image = Image.from_file(file, "a mapped file")
            if (image.soname or "").startswith(("libc.so", "ld-linux", "libpthread", "libgcc_s")):
                continue
            imported = imports.read_imports(image)
            own = (each.name for each in symbols.all_functions(image))
            names = itertools.chain(imported.stubs.values(), imported.slots.values(), own)
            found.update(
                n for n in names if known.judge(n.partition("@")[0]) is known.Verdict.SWITCHES and n != "sigaltstack"
            )
        except ElfError:
            continue
        if len(found) > 8:
            break
    return sorted(found)[:8]
