# SPDX-License-Identifier: Apache-2.0
"""A progress line on the terminal for anything that takes longer than a second."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

FIRST_S = 1.0  #: shorter work shows nothing, as a rule
STARTING = "reading the servers' files and attaching probes"
_EVERY_S = 0.2
_TURNS = "|/-\\"


class Progress:
    """One line on standard error, redrawn in place and removed at the end; nothing if that is not a terminal.

    Args:
        now: monotonic seconds.
        shown: whether to show anything; default: standard error is a terminal that can move its cursor.
        after_s: work that is done within so many seconds shows nothing.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, *, shown: bool | None = None, after_s: float = FIRST_S
    ) -> None:
        terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = terminal if shown is None else shown
        self._now = now
        self._after_s = after_s
        self._next = now() + after_s
        self._drawn = False

    def __call__(self, text: str) -> None:
        """Show this text, if an update is due."""
        now = self._now()
        if not self._shown or now < self._next:
            return
        self._next = now + _EVERY_S
        width = shutil.get_terminal_size((80, 24)).columns - 1
        # The cursor goes back to where it was, so that a line of the log is written over the text, not behind it.
        print(f"\r\x1b[K{text[:width]}\r", end="", file=sys.stderr, flush=True)
        self._drawn = True

    @contextmanager
    def during(self, text: str) -> Iterator[None]:
        """Show this text and the seconds while a step runs that cannot say how far it is. The line is gone afterwards."""
        if not self._shown:
            yield
            return
        done, began = threading.Event(), self._now()
        self._next = began + self._after_s

        def tick() -> None:
            for turn in itertools.cycle(_TURNS):
                self(f"{text} {turn} {self._now() - began:.0f} s")
                if done.wait(_EVERY_S):
                    return

        ticker = threading.Thread(target=tick, name="progress", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
            self.clear()

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = False

    def __enter__(self) -> Progress:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
