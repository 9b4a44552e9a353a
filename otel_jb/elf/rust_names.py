# SPDX-License-Identifier: Apache-2.0
"""Demangles Rust's names in both of its forms, as `rustfilt` prints them: without hashes and crate numbers.

- Legacy: a C++ name whose last part is a hash (`_ZN4core3ptr4read17h0123456789abcdefE`), with escapes such as `$LT$`.
- v0 (RFC 2603): `_R`, a grammar of its own with back references.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LEGACY = re.compile(r"_?_ZN(.+?)17h[0-9a-f]{16}E(?:\.[\w.$]*)?", re.ASCII)
_ESCAPES = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}
_ESCAPE = re.compile(r"\$(?:([A-Z]{1,2})|u([0-9a-f]{1,6}))\$")
_V0 = re.compile(r"_?_R[A-Z]\w*(?:[.$][\w.$]*)?", re.ASCII)
_BASIC = dict(
    zip(
        "abcdefhijlmnopstuvxyz",
        "i8 bool char f64 str f32 u8 isize usize i32 u32 i128 u128 _ i16 u16 () ... i64 u64 !".split(),
        strict=True,
    )
)
_MAX_DEPTH = 200  #: of nested paths and types
_MAX_STEPS = 20_000  #: back references can make a short name enormous
_MAX_TEXT = 65_536


def demangle_rust(name: str) -> str | None:
    """The name as its source has it, without arguments; None if it is no Rust name, or a damaged one."""
    if name.startswith(("_R", "__R")):
        if _V0.fullmatch(name) is None:
            return None
        body = re.split(r"[.$]", name.lstrip("_")[1:], maxsplit=1)[0]
        try:
            return _Parser(body).symbol()
        except (_DamagedError, RecursionError):
            return None
    return _legacy(name)


def _legacy(name: str) -> str | None:
    found = _LEGACY.fullmatch(name)
    if found is None:
        return None
    rest, parts = found[1], []
    while rest:
        length = re.match(r"[1-9]\d{0,5}", rest)
        if length is None or len(rest) < length.end() + int(length[0]):
            return None
        end = length.end() + int(length[0])
        parts.append(_unescaped(rest[length.end() : end]))
        rest = rest[end:]
    return "::".join(parts)


def _unescaped(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]

    def character(found: re.Match[str]) -> str:
        if found[1] is not None:
            return _ESCAPES.get(found[1], found[0])
        code = int(found[2], 16)
        return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]

    # A `..` is the `::` of a path inside a part; a single dot stands for a hyphen, which no name of today has.
    return _ESCAPE.sub(character, part.replace("..", "::"))


class _DamagedError(Exception):
    """The name does not follow the grammar, or asks for too much."""


class _Parser:
    """One v0 name. Each method reads one production of the grammar and returns its text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = self._steps = 0
        self._lifetimes = 0

    def symbol(self) -> str:
        """Read the whole name: a path, and the crate that made it from a generic one."""
        text = self._path(in_value=True)
        if self.at < len(self.text):
            self._path(in_value=False)
        if self.at != len(self.text):
            raise _DamagedError
        return text

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise _DamagedError
        self.at += 1
        return self.text[self.at - 1]

    def _eat(self, letter: str) -> bool:
        if self.text.startswith(letter, self.at):
            self.at += 1
            return True
        return False

    def _base62(self) -> int:
        value = 0
        if self._eat("_"):
            return 0
        while (letter := self._next()) != "_":
            digit = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".find(letter)
            if digit < 0 or value > 1 << 64:
                raise _DamagedError
            value = value * 62 + digit
        return value + 1

    def _optional(self, tag: str) -> int:
        return self._base62() + 1 if self._eat(tag) else 0

    def _identifier(self) -> tuple[str, int]:
        """Its text and its number among those of the same name."""
        number = self._optional("s")
        encoded = self._eat("u")
        digits = re.compile(r"0|[1-9]\d{0,5}").match(self.text, self.at)
        if digits is None:
            raise _DamagedError
        self.at = digits.end()
        self._eat("_")
        end = self.at + int(digits[0])
        if end > len(self.text):
            raise _DamagedError
        text, self.at = self.text[self.at : end], end
        if encoded:
            head, mark, tail = text.rpartition("_")
            try:
                text = f"{head}{'-' if mark else ''}{tail}".encode().decode("punycode")
            except (UnicodeError, ValueError, OverflowError):
                raise _DamagedError from None
        return text, number

    def _again(self, read: Callable[[], str]) -> str:
        """What a back reference refers to; it always goes back."""
        here = self.at - 1
        target = self._base62()
        if target >= here:
            raise _DamagedError
        after, self.at = self.at, target
        text = read()
        self.at = after
        return text

    def _deeper(self) -> None:
        self._depth += 1
        self._steps += 1
        if self._depth > _MAX_DEPTH or self._steps > _MAX_STEPS:
            raise _DamagedError

    def _path(self, *, in_value: bool) -> str:
        self._deeper()
        tag = self._next()
        if tag == "C":
            text = self._identifier()[0]
        elif tag in "MX":
            self._optional("s")
            self._path(in_value=False)
            text = self._type()
            text = f"<{text}>" if tag == "M" else f"<{text} as {self._path(in_value=False)}>"
        elif tag == "Y":
            text = self._type()
            text = f"<{text} as {self._path(in_value=False)}>"
        elif tag == "N":
            space = self._next()
            text = self._path(in_value=in_value)
            name, number = self._identifier()
            if space.isupper():
                kind = {"C": "closure", "S": "shim"}.get(space, space)
                text += f"::{{{kind}{':' if name else ''}{name}#{number}}}"
            elif name:
                text += f"::{name}"
        elif tag == "I":
            text = self._path(in_value=in_value)
            text += f"{'::' if in_value else ''}<{', '.join(self._until_end(self._argument))}>"
        elif tag == "B":
            text = self._again(lambda: self._path(in_value=in_value))
        else:
            raise _DamagedError
        self._depth -= 1
        if len(text) > _MAX_TEXT:
            raise _DamagedError
        return text

    def _until_end(self, read: Callable[[], str]) -> list[str]:
        found = []
        while not self._eat("E"):
            found.append(read())
        return found

    def _argument(self) -> str:
        if self._eat("L"):
            return self._lifetime(self._base62())
        if self._eat("K"):
            return self._constant()
        return self._type()

    def _lifetime(self, index: int) -> str:
        if index == 0:
            return "'_"
        if index > self._lifetimes:
            raise _DamagedError
        depth = self._lifetimes - index
        return f"'{chr(97 + depth)}" if depth < 26 else f"'_{depth}"

    def _bound(self, read: Callable[[str], str]) -> str:
        """A binder, `for<'a>`, around what `read` gives."""
        count = self._optional("G")
        if count > 64:
            raise _DamagedError
        before = self._lifetimes
        names = []
        for _ in range(count):
            self._lifetimes += 1
            names.append(self._lifetime(1))
        text = read(f"for<{', '.join(names)}> " if names else "")
        self._lifetimes = before
        return text

    def _type(self) -> str:
        self._deeper()
        tag = self._next()
        if tag in _BASIC:
            text = _BASIC[tag]
        elif tag in "RQ":
            lifetime = self._base62() if self._eat("L") else 0
            named = f"{self._lifetime(lifetime)} " if lifetime else ""
            text = f"&{named}{'mut ' if tag == 'Q' else ''}{self._type()}"
        elif tag in "PO":
            text = f"*{'const' if tag == 'P' else 'mut'} {self._type()}"
        elif tag == "A":
            text = self._type()
            text = f"[{text}; {self._constant()}]"
        elif tag == "S":
            text = f"[{self._type()}]"
        elif tag == "T":
            parts = self._until_end(self._type)
            text = f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        elif tag == "F":
            text = self._bound(self._function)
        elif tag == "D":
            text = self._bound(lambda binder: f"dyn {binder}{' + '.join(self._until_end(self._dynamic))}")
            if not self._eat("L"):
                raise _DamagedError
            lifetime = self._base62()
            text += f" + {self._lifetime(lifetime)}" if lifetime else ""
        elif tag == "B":
            text = self._again(self._type)
        else:
            self.at -= 1
            text = self._path(in_value=False)
        self._depth -= 1
        if len(text) > _MAX_TEXT:
            raise _DamagedError
        return text

    def _function(self, binder: str) -> str:
        unsafe = "unsafe " if self._eat("U") else ""
        abi = ""
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._identifier()[0].replace("_", "-")
            abi = f'extern "{abi}" '
        arguments = ", ".join(self._until_end(self._type))
        result = "" if self._eat("u") else f" -> {self._type()}"
        return f"{binder}{unsafe}{abi}fn({arguments}){result}"

    def _dynamic(self) -> str:
        """A trait, with the types that are fixed: `Iterator<Item = u8>`."""
        text = self._path(in_value=False)
        fixed = []
        while self._eat("p"):
            name, _ = self._identifier()
            fixed.append(f"{name} = {self._type()}")
        if not fixed:
            return text
        return f"{text[:-1]}, {', '.join(fixed)}>" if text.endswith(">") else f"{text}<{', '.join(fixed)}>"

    def _constant(self) -> str:
        self._deeper()
        tag = self._next()
        if tag == "p":
            text = "_"
        elif tag == "B":
            text = self._again(self._constant)
        elif tag in "hmyjoatlxnisbc":
            negative = self._eat("n")
            end = self.text.find("_", self.at)
            digits = self.text[self.at : end] if end >= 0 else "!"
            if not re.fullmatch(r"[0-9a-f]{0,32}", digits):
                raise _DamagedError
            self.at = end + 1
            text = self._plain_constant(tag, int(digits or "0", 16), negative=negative)
        else:
            raise _DamagedError
        self._depth -= 1
        return text

    @staticmethod
    def _plain_constant(tag: str, value: int, *, negative: bool) -> str:
        if tag == "b":
            return {0: "false", 1: "true"}.get(value, str(value))
        if tag == "c":
            return repr(chr(value)) if 0x20 <= value < 0xD800 or 0xE000 <= value < 0x110000 else f"'\\u{{{value:x}}}'"
        digits = f"{value:#x}" if value >> 64 else str(value)  # as rustfilt does, which has no decimals of 128 bits
        return f"{'-' if negative else ''}{digits}"
