# SPDX-License-Identifier: Apache-2.0
"""Names of symbols, cut down to the function's name."""

from __future__ import annotations

import re

_VARIANT = re.compile(
    r"(?:\.(?:cold|warm|part|specialized|isra|constprop|lto_priv|localalias|llvm|clone)(?:\.\d+)*|\.\d+)+$"
)
_CLONES = re.compile(r"(?: \[clone [^\]]*\])+$")
_THUNK = re.compile(r"^(?:(?:non-virtual thunk|virtual thunk|covariant return thunk|transaction clone) (?:to|for) )+")
_TRAILING_QUALIFIERS = re.compile(r"(?: const| volatile| noexcept| &&?)+$")
#: what may follow a space inside a name: the qualifiers of an enclosing member function, `f(int) const::{lambda()#1}`
_ENCLOSING_QUALIFIERS = re.compile(r"(?: (?:const|volatile|noexcept|&&?))+(?=::)")
_POINTER = re.compile(r"^(?:[\w:<>, ]*::)?[*&]+(?: ?(?:const|volatile))*\s*")
_OPERATOR = re.compile(
    r"operator(?:\(\)|\[\]|<=>|<<=|>>=|->\*|&&|\|\||\+\+|--|<<|>>|<=|>=|==|!=|->|[-+*/%^&|]=|[-+*/%^&|~!=<>,]"
    r"|\"\" ?\w+| (?:new|delete)(?:\[\])?(?!\w)| co_await(?!\w))"
)
_RECEIVER = re.compile(r"\.\(\*(?=\w)")
_CLOSERS = {")": "(", "]": "[", "}": "{"}


def base_name(name: str) -> str:
    """The function that a symbol is a variant of: without version, `.isra.N`, `.part.N`, `.constprop.N`, `.cold`, ..."""
    return _VARIANT.sub("", name.partition("@")[0])


def literal_receiver(glob: str) -> str:
    """The glob with the star of a Go method's receiver, `pkg.(*T).Push`, taken for the star that it is in the name."""
    return _RECEIVER.sub(".([*]", glob)


def without_arguments(full: str) -> str:
    """A demangled name without return type, arguments, qualifiers and clone suffix; template arguments stay.

    `void foo<int>(int) const [clone .cold]` becomes `foo<int>`; names without arguments are returned unchanged.
    """
    text = _CLONES.sub("", full)
    thunk = _THUNK.match(text)
    prefix = thunk.group() if thunk else ""
    name = _name_of(text[len(prefix) :])
    return prefix + name if name else full


def _name_of(text: str) -> str:
    while True:
        text = _TRAILING_QUALIFIERS.sub("", text)
        if text.endswith("]") and ")[" in text:  # a function that returns a reference to an array: T (&f<T>(int))[3]
            text = text[: text.rindex(")[") + 1]
            opening = _opening_parenthesis(text)
        elif text.endswith(")") and not text.endswith("operator()"):
            opening = _opening_parenthesis(text)
            if opening <= 0:
                return text
            text = text[:opening]
            if not text.endswith(")") or text.endswith("operator()"):
                return _without_return_type(text)
            opening = _opening_parenthesis(text)
        else:
            return text
        # The rest ends with a group in parentheses, which contains the function: `void (*f<int>(int))`.
        inner = text[opening + 1 : -1] if opening >= 0 else ""
        pointer = _POINTER.match(inner)
        if pointer is None:
            return _without_return_type(text)
        text = inner[pointer.end() :]


def _opening_parenthesis(text: str) -> int:
    """The index of the parenthesis that matches the last character; -1 if there is none."""
    depth = 0
    for index in range(len(text) - 1, -1, -1):
        if text[index] == ")":
            depth += 1
        elif text[index] == "(":
            depth -= 1
            if depth == 0:
                return index
    return -1


def _without_return_type(text: str) -> str:
    """The text after the last space outside brackets that is not part of the name itself."""
    stack: list[str] = []
    start = 0
    index = 0
    while index < len(text):
        character = text[index]
        if character == "o" and text.startswith("operator", index) and _is_word(text, index, index + 8):
            operator = _OPERATOR.match(text, index)
            if operator is None:  # a conversion: the type that follows is the rest of the name
                if not stack:
                    break
                index += 8
                continue
            index = operator.end()
            if text.startswith(" <", index):
                index += 1
            continue
        if character in "([{<":
            stack.append(character)
        elif character in _CLOSERS:
            while stack and stack.pop() != _CLOSERS[character]:
                pass
        elif character == ">":
            if stack and stack[-1] == "<" and text[index - 1] != "-":
                stack.pop()
        elif character == " " and not stack:
            qualifiers = _ENCLOSING_QUALIFIERS.match(text, index)
            if qualifiers:
                index = qualifiers.end()
                continue
            start = index + 1
        index += 1
    return text[start:]


def _is_word(text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not (before.isalnum() or before in "_$") and not (after.isalnum() or after in "_$")
