"""C++ names: demangled by the C++ runtime's own demangler, and cut down to the function's name.

`__cxa_demangle` comes from the host's libstdc++ (or libc++abi), loaded by its soname: `cxxfilt`, which wraps the same
function, runs ldconfig and a compiler at import to find it. Wherever `bcc` is, libstdc++ is too, since LLVM needs it.
Where neither library is, names stay mangled, and `available()` is False so that `discover` can say so.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

_LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1", "libc++.so.1")
MAX_MANGLED = 8192  #: longer names are left mangled
MAX_DEMANGLED = 65_536  #: substitutions can make a short name enormous; such names are left mangled too

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
_CLOSERS = {")": "(", "]": "[", "}": "{"}


@lru_cache(maxsize=1)
def _demangler() -> Callable[[bytes], bytes | None] | None:
    for name in _LIBRARIES:
        try:
            raw: Any = getattr(ctypes.CDLL(name), "__cxa_demangle")
            free: Any = ctypes.CDLL(None).free
        except (OSError, AttributeError):
            continue
        raw.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
        raw.restype = ctypes.c_void_p
        free.argtypes = [ctypes.c_void_p]
        free.restype = None
        return partial(_call, raw, free)
    return None


def _call(raw: Any, free: Any, mangled: bytes) -> bytes | None:
    status = ctypes.c_int()
    pointer = raw(mangled, None, None, ctypes.byref(status))
    if not pointer:
        return None
    try:
        text = ctypes.string_at(pointer)
        return text if status.value == 0 and len(text) <= MAX_DEMANGLED else None
    finally:
        free(pointer)


def available() -> bool:
    """Whether a C++ runtime with a demangler is on this host; without one `demangle` returns names unchanged."""
    return _demangler() is not None


def demangle(name: str) -> str:
    """The full C++ name with arguments, or `name` itself where it is not mangled or cannot be demangled.

    A symbol version (`name@@VERSION`) is no part of the name and is left out of a demangled one.
    """
    if not name.startswith(("_Z", "__Z")) or len(name) > MAX_MANGLED:
        return name
    function = _demangler()
    if function is None:
        return name
    result = function(name.partition("@")[0].encode("utf-8", "surrogateescape"))
    return name if result is None else result.decode("utf-8", "backslashreplace")


def without_arguments(full: str) -> str:
    """A demangled name without return type, arguments, qualifiers and clone suffix; template arguments stay.

    `void foo<int>(int) const [clone .cold]` gives `foo<int>`; names that hold no arguments are returned unchanged.
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
        # What is left ends with a group in parentheses: `void (*f<int>(int))`, the function is inside it.
        inner = text[opening + 1 : -1] if opening >= 0 else ""
        pointer = _POINTER.match(inner)
        if pointer is None:
            return _without_return_type(text)
        text = inner[pointer.end() :]


def _opening_parenthesis(text: str) -> int:
    """Where the parenthesis opens that the last character closes; -1 where none does."""
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
    """What follows the last space outside brackets, where that space is not part of the name itself."""
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
