# SPDX-License-Identifier: Apache-2.0
"""Demangles Rust names, and C++ names with the C++ runtime's own demangler; `otel_jb.model.names` reduces them to the function's name.

`__cxa_demangle` comes from the host's libstdc++ (or libc++abi), loaded by its soname: `cxxfilt`, which wraps the same
function, runs ldconfig and a compiler at import to find it. Wherever `bcc` is installed, so is libstdc++, because LLVM needs it.
Without either library, names stay mangled and `available()` is False, so `discover` can say so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from otel_jb.elf.rust_names import demangle_rust

_LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1", "libc++.so.1")
MAX_MANGLED = 8192  #: longer names are left mangled
MAX_DEMANGLED = 65_536  #: substitutions can make a short name enormous; such names are left mangled too


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
    """Whether this host has a C++ runtime with a demangler; without one, `demangle` returns names unchanged."""
    return _demangler() is not None


def demangle(name: str) -> str:
    """The full C++ name with arguments or the Rust name, or `name` itself if it is not mangled or cannot be demangled.

    A symbol version (`name@@VERSION`) is not part of the name; the demangled one omits it.
    """
    if not name.startswith(("_Z", "__Z", "_R")) or len(name) > MAX_MANGLED:
        return name
    rust = demangle_rust(name.partition("@")[0])
    if rust is not None:
        return rust
    if name.startswith("_R"):
        return name
    function = _demangler()
    if function is None:
        return name
    result = function(name.partition("@")[0].encode("utf-8", "surrogateescape"))
    return name if result is None else result.decode("utf-8", "backslashreplace")
