# SPDX-License-Identifier: Apache-2.0
"""Single keys from a terminal, without echo; the terminal is put back as it was."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

_ESCAPE = b"\x1b"
_NAMES = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down"}


class Keyboard:
    """Reads a terminal that is in cbreak mode."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = b""

    def keys(self, seconds: float) -> list[str]:
        """The keys pressed within `seconds`: characters, `up`, `down` or `esc`. Returns with the first ones at once."""
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return []
        data = self._left + os.read(self._descriptor, 1024)
        if not data:
            return ["q"]  # the terminal is gone
        found, self._left = _parse(data)
        return found


def _parse(data: bytes) -> tuple[list[str], bytes]:
    """The keys, and the beginning of a character whose rest has not come yet."""
    found = []
    while data:
        if data.startswith(_ESCAPE):
            if data[1:2] in (b"[", b"O"):
                found += [_NAMES[data[:3]]] if data[:3] in _NAMES else []
                data = data[3:]
            else:
                found.append("esc")
                data = data[1:]
            continue
        size = 1 if data[0] < 0x80 else 2 if data[0] < 0xE0 else 3 if data[0] < 0xF0 else 4
        if len(data) < size:
            return found, data
        character = data[:size].decode("utf-8", "replace")
        found.append("\r" if character == "\n" else character)
        data = data[size:]
    return found, b""


@contextmanager
def keyboard(descriptor: int) -> Iterator[Keyboard]:
    """The keyboard of a terminal; signals (Ctrl-C) work as ever."""
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield Keyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
