# SPDX-License-Identifier: Apache-2.0
"""A fast search for bytes in a large file that is mapped into memory.

`bytes.find` passes over about 1 GB a second. The engine of `re` looks for a pattern's first literal byte with `memchr`, which passes over ten
times as much where that byte is rare. So the pattern begins with the rarest byte of what is sought, and looks at the others around it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from heapq import heapify, heapreplace
from typing import Any

#: Bytes by how common they are in texts, tables and code, the most common first; what is not listed is rarer.
_COMMON = (
    b"\x00\xffetaoinsr_ lcdpumgfhybv\x01\x0f\x48Swk.TCIAEPRDNLMO-:/x01234\x02\x03\x04\x05\x06\x07\x08\x10\x20\x40\x80"
)
_LEAST_SHARED, _MOST_SHARED = 3, 12  #: bytes of a part that words share
_PIECE = 1 << 18
_MOST_COMMON = 4  #: bytes up to which a part in small letters is too common
_RANK = {byte: len(_COMMON) - rank for rank, byte in enumerate(_COMMON)}


@lru_cache(maxsize=4096)
def _pattern(sought: bytes) -> tuple[re.Pattern[bytes], int]:
    """The pattern, and where the byte that it begins with is in what is sought."""
    at = min(range(len(sought)), key=lambda index: _RANK.get(sought[index], 0))
    before, byte, after = (re.escape(part) for part in (sought[:at], sought[at : at + 1], sought[at + 1 :]))
    return re.compile(b"%s(?<=%s%s)(?=%s)" % (byte, before, byte, after), re.DOTALL), at


def occurrences(buffer: Any, sought: bytes, start: int, end: int) -> Iterator[int]:
    """Where a buffer (bytes or a map of a file) holds these bytes, in order, those that overlap among them, wholly between two offsets."""
    pattern, at = _pattern(sought)
    for match in pattern.finditer(buffer, start + at, end):
        yield match.start() - at


def holds(buffer: Any, sought: bytes, start: int, end: int) -> bool:
    """Whether a buffer holds these bytes, wholly between two offsets."""
    return next(occurrences(buffer, sought, start, end), None) is not None


def held(buffer: Any, words: Collection[bytes], start: int, end: int) -> set[bytes]:
    """Which of these words a buffer holds, wholly between two offsets. All are looked for in one piece after the other, which the cache keeps."""
    left, found = set(words), set[bytes]()
    overlap = max(map(len, words), default=1) - 1
    for at in range(start, end, _PIECE):
        piece = bytes(buffer[at : min(end, at + _PIECE + overlap)])
        found |= {word for word in left if word in piece}
        left -= found
        if not left:
            break
    return found


def positions(text: bytes, words: Collection[bytes]) -> list[int]:
    """Where a text holds any of these words, in order. Words that share a part cost one pass over the text together."""
    found: set[int] = set()
    for part, whole in _shared(frozenset(words)):
        at = text.find(part)
        while at >= 0:
            found.update(
                at - before for word, before in whole if text.startswith(word, at - before, at - before + len(word))
            )
            at = text.find(part, at + 1)
    return sorted(found)


@lru_cache(maxsize=16)
def _shared(words: frozenset[bytes]) -> list[tuple[bytes, list[tuple[bytes, int]]]]:
    """Parts, few together, of which each word has one, with those words and where the part is in them."""
    holders: dict[bytes, set[bytes]] = {}
    for word in words:
        for length in range(min(_LEAST_SHARED, len(word)), min(_MOST_SHARED, len(word)) + 1):
            for start in range(len(word) - length + 1):
                part = word[start : start + length]
                if (
                    length == len(word) or length > _MOST_COMMON or part.lower() != part
                ):  # "ter" is in every other name, "Srs" is not
                    holders.setdefault(part, set()).add(word)
    chosen = []
    left = set(words)
    # The part that most words share comes first, the longer one of equals. How many of them are left only falls, so what was counted
    # earlier is a bound: only the parts at the front are counted again.
    front = [(-len(of), -rank, part) for rank, (part, of) in enumerate(sorted(holders.items(), key=_by_length))]
    heapify(front)
    while left:
        counted, order, part = front[0]
        shared = holders[part] & left
        if len(shared) != -counted:
            heapreplace(front, (-len(shared), order, part))
            continue
        chosen.append((part, [(word, word.index(part)) for word in sorted(shared)]))
        left -= shared
    return chosen


def _by_length(holder: tuple[bytes, set[bytes]]) -> tuple[int, bytes]:
    part, _ = holder
    return len(part), part
