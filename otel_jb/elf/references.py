# SPDX-License-Identifier: Apache-2.0
"""Texts in a file, and the instructions that refer to them.

Code that does not know where it will be loaded reaches a text by its distance from the instruction: `lea reg, [rip + distance]` on
x86-64, `adrp` and `add` (or `adr`) on AArch64. A search for the distance itself is impossible, since it is another at every
instruction. But its upper bytes are nearly the same over a megabyte of code, and a regular expression with these bytes passes over a
gigabyte of code per second. What it finds is then computed exactly.
"""

from __future__ import annotations

import itertools
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from otel_jb.elf.image import Image
from otel_jb.elf.search import held, occurrences
from otel_jb.model.dataclass import dataclass

MAX_PLACES = 64  #: occurrences of one text; a mark that is there more often says nothing
MAX_REFERENCES = 4096  #: to all texts of a file

_ALLOCATED, _EXECUTABLE = 2, 4
_WINDOW, _FAR_WINDOW = 1 << 20, 1 << 23
_TABLES = (".eh_frame", ".eh_frame_hdr", ".gcc_except_table", ".gopclntab")
_LEA = rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"  #: behind the prefix: `lea` of a distance, and the register
_REACH_OF_ADD = 64  #: instructions after an `adrp` in which its `add` is looked for
_PAGE = 0xFFF


@dataclass(frozen=True, slots=True)
class _Range:
    """Bytes of the file, by file offset, and the virtual address of the first."""

    start: int
    end: int
    address: int


def places(image: Image, text: bytes, *, whole: bool) -> list[int]:
    """Virtual addresses of a text in the file's data, at most MAX_PLACES + 1. `whole`: it ends there; otherwise it only begins there.

    Linkers let a text share the end of a longer one, so a whole text may begin in the middle of another.
    """
    sought = text + b"\0" if whole else b"\0" + text
    skip = 0 if whole else 1
    found: list[int] = []
    for part in _data(image):
        for at in occurrences(image.buffer, sought, max(part.start - skip, 0), part.end):
            if len(found) > MAX_PLACES:
                break
            found.append(at + skip - part.start + part.address)
    return found


def contained(image: Image, texts: Sequence[str]) -> tuple[str, ...]:
    """Those of these texts that the file's data contain anywhere."""
    left = {text.encode() for text in texts}
    for part in _data(image):
        left -= held(image.buffer, left, part.start, part.end) if left else set()
    return tuple(text for text in texts if text.encode() not in left)


def references(image: Image, targets: Collection[int]) -> list[tuple[int, int]]:
    """(address of an instruction, address that it computes), for these addresses; at most MAX_REFERENCES."""
    if image.arch != "x86_64":
        return _all(image, lambda part: _of_aarch64(image, part, frozenset(targets)), targets)
    return _all(image, lambda part: _addresses(image, part, frozenset(targets)), targets)


def called(image: Image, addresses: Collection[int]) -> frozenset[int]:
    """Those of these addresses that an instruction calls."""
    if image.arch != "x86_64":
        return frozenset(target for _, target in _branches_to(image, addresses, b"", 0x94))
    return _found_from_nearby(image, addresses, (rb"\xe8",))


def called_or_taken(image: Image, addresses: Collection[int]) -> frozenset[int]:
    """Those of these addresses that an instruction of x86-64 calls or computes, as one that hands a function to another does."""
    return _found_from_nearby(image, addresses, (rb"\xe8", _LEA))


def _found_from_nearby(image: Image, addresses: Collection[int], heads: tuple[bytes, ...]) -> frozenset[int]:
    left = set(addresses)
    # Most functions are called from nearby: the rest of the code is read only for those that are not.
    around = _Ranges([(address, address + 1) for address in left])
    windows = [(part, window) for part in _code(image) for window in _windows_around(part, around)] if left else []
    if left:
        near = min(left)
        windows.sort(key=lambda each: abs(each[1].address - near))
    for part, window in windows:
        if not left:
            break
        wanted = _Ranges([(address, address + 1) for address in left])
        left -= {target for _, target in _distances_in(image, part, window, heads, wanted)}
    return frozenset(addresses) - left


def calls_of(image: Image, addresses: Collection[int]) -> list[int]:
    """The addresses behind (on AArch64: of) the instructions that call one of these addresses, or jump there as the last thing that they do."""
    return [
        at for head, top in ((rb"\xe8", 0x94), (rb"\xe9", 0x14)) for at, _ in _branches_to(image, addresses, head, top)
    ]


def jumped_to(image: Image, addresses: Collection[int]) -> frozenset[int]:
    """Those of these addresses that an instruction jumps to without a condition, as a call at a function's end does."""
    near = {address for address in addresses if image.arch == "x86_64" and _has_short_jump(image, address)}
    return frozenset(target for _, target in _branches_to(image, set(addresses) - near, rb"\xe9", 0x14)) | near


def _has_short_jump(image: Image, address: int) -> bool:
    for part in _code(image):
        at = address - part.address + part.start
        low, high = max(part.start, at - 129), min(part.end, at + 128)
        for found in re.finditer(rb"\xeb.", image.buffer[low:high] if low < high else b"", re.DOTALL):
            if low + found.end() + int.from_bytes(found[0][1:], "little", signed=True) == at:
                return True
    return False


def _branches_to(image: Image, addresses: Collection[int], head: bytes, top: int) -> list[tuple[int, int]]:
    """(place, address) of what branches to these addresses by an instruction that begins so on x86-64, or whose upper byte is this on AArch64."""
    if image.arch == "x86_64":
        wanted = _Ranges([(address, address + 1) for address in addresses])
        return _all(image, partial(_distances, image, head=head, wanted=wanted), addresses)
    return _all(image, partial(_branches, image, targets=frozenset(addresses), kind=top), addresses)


def jumps_into(image: Image, start: int, end: int) -> list[int]:
    """The addresses of direct jumps, conditional or not, into a range of addresses; of x86-64 only."""
    if image.arch != "x86_64":
        return []
    wanted = _Ranges([(start, end)])
    found: list[tuple[int, int]] = []
    for head in (rb"\xe9", rb"\x0f[\x80-\x8f]"):
        found += _all(image, partial(_distances, image, head=head, wanted=wanted), (start,))
    return [at for at, _ in found]


def _all(
    image: Image, find: Callable[[_Range], Iterator[tuple[int, int]]], targets: Collection[int]
) -> list[tuple[int, int]]:
    if not targets:
        return []
    every = (each for part in _code(image) for each in find(part))
    return list(itertools.islice(every, MAX_REFERENCES))


def _data(image: Image) -> Iterator[_Range]:
    """The initialised data of the file, code and tables excluded; without section headers, every loaded segment."""
    for section in image.sections:
        if section.type != "SHT_PROGBITS" or section.flags & (_ALLOCATED | _EXECUTABLE) != _ALLOCATED:
            continue
        if section.name not in _TABLES:
            yield _Range(section.offset, section.offset + section.size, section.address)
    if not image.sections:
        yield from _segments(image, executable=None)


def _code(image: Image) -> Iterator[_Range]:
    for section in image.sections:
        if section.type == "SHT_PROGBITS" and section.flags & _ALLOCATED and section.flags & _EXECUTABLE:
            yield _Range(section.offset, section.offset + section.size, section.address)
    if not image.sections:
        yield from _segments(image, executable=True)


def _segments(image: Image, *, executable: bool | None) -> Iterator[_Range]:
    for segment in image.segments:
        if segment.type == "PT_LOAD" and executable in (None, segment.executable):
            yield _Range(segment.offset, segment.offset + segment.file_size, segment.address)


def _windows(part: _Range, size: int = _WINDOW) -> Iterator[_Range]:
    for start in range(part.start, part.end, size):
        yield _Range(start, min(start + size, part.end), part.address + start - part.start)


def _windows_around(part: _Range, wanted: _Ranges) -> Iterator[_Range]:
    """Windows that are large where these are far away: there one expression serves for more, and finds little by accident."""
    for window in _windows(part, _FAR_WINDOW):
        size = window.end - window.start
        near = any(upper >> 8 in (0, 0xFF) for upper in wanted.uppers(window.address, window.address + size))
        yield from _windows(window) if near else (window,)


class _Ranges:
    """Ranges of addresses, [start, end), that do not overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [start for start, _ in self._ranges]

    def __contains__(self, address: int) -> bool:
        index = bisect_right(self._starts, address) - 1
        return index >= 0 and address < self._ranges[index][1]

    def uppers(self, low: int, high: int) -> set[int]:
        """The upper 16 bits of the distances to them from anywhere between two addresses."""
        return {
            upper & 0xFFFF
            for start, end in self._ranges
            for upper in range((start - high) >> 16, ((end - low) >> 16) + 1)
        }


def _distances(image: Image, part: _Range, head: bytes, wanted: _Ranges) -> Iterator[tuple[int, int]]:
    """(address behind the instruction, target) where `head` is followed by the distance of a target from the next instruction."""
    for window in _windows_around(part, wanted):
        yield from _distances_in(image, part, window, (head,), wanted)


def _distances_in(
    image: Image, part: _Range, window: _Range, heads: tuple[bytes, ...], wanted: _Ranges
) -> Iterator[tuple[int, int]]:
    """The same for any of these beginnings, where the last byte of the distance is in the window."""
    buffer = image.buffer
    base = window.address - window.start + 1
    for expression, start, to_last in _expressions(window, heads, wanted):
        for match in expression.finditer(buffer, max(start, part.start), window.end):
            last = match.end() + to_last
            target = base + last + int.from_bytes(buffer[last - 3 : last + 1], "little", signed=True)
            if last >= window.start and target in wanted:
                yield base + last, target


def _expressions(
    window: _Range, heads: tuple[bytes, ...], wanted: _Ranges
) -> Iterator[tuple[re.Pattern[bytes], int, int]]:
    """What finds such instructions: (expression, offset from which to search, bytes from a match's end to the distance's last byte).

    The engine looks for an expression's first literal byte with `memchr`. The distance's last byte is 0 or 255 near the target, which occur
    everywhere; farther away it is a rare one, and a search for it is four times as fast as one for the beginning.
    """
    uppers = wanted.uppers(window.address, window.address + window.end - window.start)
    near = {upper for upper in uppers if upper >> 8 in (0, 0xFF)}
    for last in {upper >> 8 for upper in uppers - near}:
        lows = b"".join(b"\\x%02x" % (upper & 0xFF) for upper in sorted(uppers) if upper >> 8 == last)
        before = b"|".join(rb"(?<=%s..[%s].)" % (head, lows) for head in heads)
        yield re.compile(rb"\x%02x(?:%s)" % (last, before), re.DOTALL), window.start, -1
    for head in heads if near else ():
        # Only looks at the distance, so that a byte that happens to look like a beginning hides no true one behind it.
        text = head + rb"(?=..(?:" + _either(near) + rb"))"
        yield re.compile(text, re.DOTALL), window.start - 8, 3


def _addresses(image: Image, part: _Range, targets: frozenset[int]) -> Iterator[tuple[int, int]]:
    wanted = _Ranges([(target, target + 1) for target in targets])
    for after, target in _distances(image, part, _LEA, wanted):
        yield after - 6, target
    if image.fixed:
        for target in targets:
            if target < 1 << 31:
                yield from _absolute(image, part, target)


def _absolute(image: Image, part: _Range, target: int) -> Iterator[tuple[int, int]]:
    """`mov reg, address` and `push address` in a program that is always loaded at the same place."""
    sought = struct.pack("<I", target)
    for at in occurrences(image.buffer, sought, part.start + 1, part.end):
        before = image.buffer[at - 1]
        if 0xB8 <= before <= 0xBF or before == 0x68 or (0xC0 <= before <= 0xC7 and image.buffer[at - 2] == 0xC7):
            yield part.address + at - 1 - part.start, target


def _of_aarch64(image: Image, part: _Range, targets: frozenset[int]) -> Iterator[tuple[int, int]]:
    buffer = image.buffer
    pages = {target & ~_PAGE for target in targets}
    for window in _windows(part):
        size = window.end - window.start
        uppers = {
            upper & 0xFFFF
            for page in pages
            for upper in range(
                ((page >> 12) - ((window.address + size) >> 12)) >> 5,
                (((page >> 12) - (window.address >> 12)) >> 5) + 1,
            )
        }
        # An `adrp` holds the distance in pages: 2 bits in its last byte, 3 in its first, and 16 between them.
        upper = _either(uppers)
        for last in (0x90, 0xB0, 0xD0, 0xF0):
            expression = re.compile(rb"\x%02x(?<=(?:%s).)" % (last, upper), re.DOTALL)
            for match in expression.finditer(buffer, window.start, window.end):
                at = match.start() - 3
                if at < part.start or (at - part.start + part.address) % 4:
                    continue
                yield from _of_adrp(image, part, at, targets)
    yield from _of_adr(image, part, targets)


def _of_adrp(image: Image, part: _Range, at: int, targets: frozenset[int]) -> Iterator[tuple[int, int]]:
    """The references of the `add`s after an `adrp` at a file offset."""
    words = image.buffer[at : min(at + 4 * _REACH_OF_ADD, part.end)]
    first = int.from_bytes(words[:4], "little")
    address = at - part.start + part.address
    register, page = first & 31, (address & ~_PAGE) + (_immediate(first) << 12)
    for number in range(4, len(words) - 3, 4):
        word = int.from_bytes(words[number : number + 4], "little")
        if word & 0x9F00001F == 0x90000000 | register:
            return  # the register gets another page
        if word & 0xFFC00000 == 0x91000000 and word >> 5 & 31 == register:
            target = page + (word >> 10 & _PAGE)
            if target in targets:
                yield address + number, target


def _branches(image: Image, part: _Range, targets: frozenset[int], kind: int) -> Iterator[tuple[int, int]]:
    """AArch64's `bl` and `b` (the upper byte is `kind`, two bits aside): 26 bits of distance in words."""
    for window in _windows(part):
        low, high = window.address, window.address + window.end - window.start
        distances = {
            upper & 0x3FFFF for target in targets for upper in range((target - high) >> 10, ((target - low) >> 10) + 1)
        }
        for top in {each >> 16 for each in distances}:
            upper = _either({each & 0xFFFF for each in distances if each >> 16 == top})
            expression = re.compile(rb"\x%02x(?<=(?:%s).)" % (kind | top, upper), re.DOTALL)
            for match in expression.finditer(image.buffer, window.start, window.end):
                at = match.start() - 3
                address = at - part.start + part.address
                if at < part.start or address % 4:
                    continue
                distance = int.from_bytes(image.buffer[at : at + 4], "little") & 0x3FFFFFF
                target = address + 4 * (distance - (1 << 26) if distance >> 25 else distance)
                if target in targets:
                    yield address, target


def _of_adr(image: Image, part: _Range, targets: frozenset[int]) -> Iterator[tuple[int, int]]:
    """`adr`, which reaches a megabyte; linkers make it of `adrp` and `add`."""
    for target in targets:
        near = target - part.address + part.start  # as a file offset
        low, high = max(part.start, near - (1 << 20)), min(part.end, near + (1 << 20))
        if low >= high:
            continue
        for match in re.compile(rb"[\x10\x30\x50\x70]").finditer(image.buffer, low, high):
            at = match.start() - 3
            address = at - part.start + part.address
            if at < low or address % 4:
                continue
            word = int.from_bytes(image.buffer[at : at + 4], "little")
            if address + _immediate(word) == target:
                yield address, target


def _immediate(word: int) -> int:
    """The signed number of 21 bits in an `adr` or `adrp`."""
    number = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return number - (1 << 21) if number >> 20 else number


def _either(numbers: Collection[int]) -> bytes:
    """An expression for any of these numbers of 16 bits, low byte first."""
    lows: dict[int, set[int]] = {}
    for number in numbers:
        lows.setdefault(number >> 8, set()).add(number & 0xFF)
    return b"|".join(
        b"[%s]\\x%02x" % (b"".join(b"\\x%02x" % low for low in sorted(values)), high)
        for high, values in sorted(lows.items())
    )
