# SPDX-License-Identifier: Apache-2.0
"""What `top` and `demo` show: a picture once a second, on the whole terminal or as the lines that changed."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError

if TYPE_CHECKING:
    from threading import Event

    from otel_jb.telemetry.kept_calls import KeptCall
    from otel_jb.telemetry.state import StreamState
    from otel_jb.views.keyboard import Keyboard
    from otel_jb.views.opened import Opened
    from otel_jb.views.page.tables import Content
    from otel_jb.views.rows import Picture
    from otel_jb.views.screen import Screen

_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where what is shown comes from. Both raise AgentError.

    Attributes:
        picture: all rows of this moment.
        opened: what belongs to the row with this key; asked for while one is open.
    """

    picture: Callable[[], Picture]
    opened: Callable[[tuple[int, str]], Opened]


def page_of(state: StreamState, slow_calls: Callable[[], Iterable[KeptCall]]) -> Callable[[tuple[int, str]], Opened]:
    """`Source.opened` of what this process itself measures or replays."""
    made: list[Content] = []

    def look(key: tuple[int, str]) -> Opened:
        from otel_jb.views.opened import opened
        from otel_jb.views.page.tables import Content, Facts

        if not made:  # not before a row is opened: the first picture does not wait for these modules
            made.append(Content(state, Facts(slow_calls=slow_calls), {"keeps_slow_calls": True}))
        tables = made[0].tables()
        return opened(tables.head, tables.tables, key)

    return look


def until(deadline: float, stop: Event) -> Callable[[], float]:
    """The seconds that are left until the deadline (monotonic; infinite: none); 0 once `stop` is set."""
    return lambda: 0.0 if stop.is_set() else max(0.0, deadline - time.monotonic())


def show(source: Source, note: Callable[[], str], left: Callable[[], float], stop: Event) -> Screen:
    """Show pictures until no time is left or a key ends it; returns the screen with the last picture.

    Args:
        source: makes pictures.
        note: what else there is to say, in the last line.
        left: the seconds for which to go on.
        stop: set by signals; ends a wait.
    """
    from otel_jb.views.screen import Screen

    screen = Screen(bars=(sys.stdout.encoding or "").lower().replace("-", "") == "utf8")
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        _on_screen(screen, source, note, left, stop)
    else:
        _as_lines(screen, source.picture, note, left, stop)
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


def _on_screen(screen: Screen, source: Source, note: Callable[[], str], left: Callable[[], float], stop: Event) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    from otel_jb.views.table import styled

    console = Console()
    due, trouble, looked = 0.0, "", None
    with _keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while left() > 0:
            is_due = time.monotonic() >= due
            try:
                if is_due:
                    due = time.monotonic() + _PERIOD_S
                    screen.take(source.picture())
                    trouble = ""
                wanted = screen.wanted
                if wanted is not None and (is_due or wanted != looked):
                    screen.look(wanted, source.opened(wanted))
                looked = wanted
            except AgentError as error:
                trouble = error.message  # an agent that is started again answers again
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
