# SPDX-License-Identifier: Apache-2.0
"""Makes untrusted text safe to show.

The measured programs choose the names of processes, files, symbols, threads and containers. Such names may contain line ends,
terminal escapes, right-to-left marks, bytes that are not UTF-8, or a megabyte of spaces. All of them pass through `printable` before
they reach a log, a label, a span, a page or a terminal; the records of the stream apply it themselves.
"""

from __future__ import annotations

import hashlib
from typing import Any

LIMIT = 1024  #: maximum characters of a name; C++ names of real programs are shorter
_HASH_DIGITS = 16


def printable(text: str, limit: int = LIMIT) -> str:
    r"""Escape everything that a terminal, a log or a parser might interpret, and truncate the text if it is too long.

    Bytes that are not UTF-8 (surrogates of `os.fsdecode`) become `\xff`, other control characters `\n` or `\u202e`. A text of
    more than `limit` characters keeps its beginning and gets a hash of the whole text, so different long names stay different.
    The function is idempotent.
    """
    if len(text) <= limit and text.isprintable():
        return text
    digest = ""
    if len(text) > limit:  # before escaping: a megabyte of control characters would become six
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
        text = text[:limit]
    shown = text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)
    if digest or len(shown) > limit:
        digest = digest or hashlib.sha256(shown.encode()).hexdigest()[:_HASH_DIGITS]
        shown = f"{shown[: limit - _HASH_DIGITS - 2]}…#{digest}"
    return shown


def printable_lines(text: str, limit: int = 16 * LIMIT) -> str:
    """The same, but keep line ends and tabs, as in a message of several lines."""
    return "\n".join(printable(line.replace("\t", "    "), limit) for line in text[: 4 * limit].split("\n"))


def make_printable(record: Any, *fields: str) -> None:
    """Make these fields of a frozen record printable (each a text or tuples of texts) while it is being created."""
    for field in fields:
        value = getattr(record, field)
        if not value or (type(value) is str and len(value) <= LIMIT and value.isprintable()):  # nearly all of them
            continue
        shown = _shown(value)
        if shown is not value:
            object.__setattr__(record, field, shown)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple) and value:
        return tuple(_shown(each) for each in value)
    return value


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(character: str) -> str:
    # By hand: the sandbox uses this too and cannot load codecs any more.
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that could not be decoded (PEP 383)
        code -= 0xDC00
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number_of(count: int, noun: str) -> str:
    """A count with its noun: `1 process`, `2 processes`."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"
