# SPDX-License-Identifier: Apache-2.0
"""What `top` and `demo` show: a picture once a second, on the whole terminal or as the lines that changed."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_jb.model.errors import AgentError

if TYPE_CHECKING:
    from threading import Event

    from otel_jb.views.keyboard import Keyboard
    from otel_jb.views.rows import Picture
    from otel_jb.views.screen import Screen

_PERIOD_S = 1.0


def until(deadline: float, stop: Event) -> Callable[[], float]:
    """The seconds that are left until the deadline (monotonic; infinite: none); 0 once `stop` is set."""
    return lambda: 0.0 if stop.is_set() else max(0.0, deadline - time.monotonic())


def show(picture: Callable[[], Picture], note: Callable[[], str], left: Callable[[], float], stop: Event) -> Screen:
    """Show pictures until no time is left or a key ends it; returns the screen with the last picture.

    Args:
        picture: makes one.
        note: what else there is to say, in the last line.
        left: the seconds for which to go on.
        stop: set by signals; ends a wait.
    """
    from otel_jb.views.screen import Screen

    screen = Screen(bars=(sys.stdout.encoding or "").lower().replace("-", "") == "utf8")
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        _on_screen(screen, picture, note, left, stop)
    else:
        _as_lines(screen, picture, note, left, stop)
    return screen


def columns() -> int:
    """The width of what is printed without a screen."""
    return max(72, shutil.get_terminal_size((200, 24)).columns)


@contextmanager
def _keyboard() -> Iterator[Keyboard | None]:
    """The terminal's keys, if standard input is one."""
    from otel_jb.views.keyboard import keyboard

    if not sys.stdin.isatty():
        yield None
        return
    with keyboard(sys.stdin.fileno()) as keys:
        yield keys


def _on_screen(
    screen: Screen, picture: Callable[[], Picture], note: Callable[[], str], left: Callable[[], float], stop: Event
) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    from otel_jb.views.table import styled

    console = Console()
    due, trouble = 0.0, ""
    with _keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while left() > 0:
            if time.monotonic() >= due:
                try:
                    screen.take(picture())
                    trouble = ""
                except AgentError as error:
                    trouble = error.message  # an agent that is started again answers again
                due = time.monotonic() + _PERIOD_S
            size = console.size
            live.update(Group(*styled(screen.frame(size.width, size.height, trouble or note()))), refresh=True)
            wait = min(due - time.monotonic(), left())
            if keyboard is None:
                stop.wait(max(0.0, wait))
                continue
            for key in keyboard.keys(wait):
                if not screen.press(key):
                    return


def _as_lines(
    screen: Screen, picture: Callable[[], Picture], note: Callable[[], str], left: Callable[[], float], stop: Event
) -> None:
    """Print the lines that changed, for a log, a pipe, or a terminal that cannot move its cursor."""
    screen.bars = False  # they would change every line
    before: set[str] = set()
    while True:
        screen.take(picture())
        lines = [*screen.text_lines(columns()), *filter(None, [note()])]
        if new := [line for line in lines if line not in before]:
            print("\n".join(new), flush=True)
        before = set(lines)
        if left() <= 0 or stop.wait(min(_PERIOD_S, left())):
            return


def deadline(seconds: float | None) -> float:
    """The time (monotonic) at which something ends that begins now and lasts `seconds`; infinite for None."""
    return math.inf if seconds is None else time.monotonic() + seconds
