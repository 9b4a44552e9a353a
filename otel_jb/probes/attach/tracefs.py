# SPDX-License-Identifier: Apache-2.0
"""Uprobes by tracefs, for kernels without multi links: who may write `uprobe_events` needs no CAP_SYS_ADMIN (docs/adr/0107).

A line there defines an event, which does nothing until a perf event is opened for it, and again nothing once that is closed; perf_event_open
wants only CAP_PERFMON. So what a killed agent leaves behind touches no process; the next agent removes it.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Sequence

from otel_jb.host import procfs

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
PERF_TYPE_TRACEPOINT = 2
_GROUP = re.compile(r"^[pr]\d*:(otel_jb_(\d+)_(\d+))/(\S+) ", re.MULTILINE)

_lock = threading.Lock()
_defined: dict[int, str] = {}  # by the descriptor of the perf event
_busy: list[str] = []  # still in use when they were to be removed
_count = 0


def events_file() -> str | None:
    """The file that defines uprobes, if this process may write it."""
    paths = (f"{place}/uprobe_events" for place in PLACES)
    return next((path for path in paths if os.access(path, os.W_OK, effective_ids=True)), None)


def define(path: str, offset: int, *, is_return: bool, semaphore: int) -> tuple[str, int]:
    """Define an event at a file's offset; its name, and its number for perf_event_open. `path` has no space in it. Raises OSError."""
    global _count
    events = events_file()
    if events is None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), PLACES[0])
    with _lock:
        first, _count = _count == 0, _count + 1
        name = f"{_group()}/e{_count}"
    if first:
        tidy(events)
    counter = f"({semaphore:#x})" if semaphore else ""
    _write(events, f"{'r' if is_return else 'p'}:{name} {path}:{offset:#x}{counter}")
    try:
        with open(f"{os.path.dirname(events)}/events/{name}/id", encoding="ascii") as file:  # noqa: PTH120
            return name, int(file.read())
    except (OSError, ValueError):
        _write(events, f"-:{name}")
        raise


def keep(event: int, name: str) -> None:
    """The perf event, by its descriptor, that uses a definition."""
    with _lock:
        _defined[event] = name


def taken(events: Sequence[int]) -> list[str]:
    """The definitions that these perf events use, by their descriptors, and older ones that were in use; to be removed once they are closed."""
    if not _defined and not _busy:
        return []
    with _lock:
        names = [*_busy, *(_defined.pop(event) for event in events if event in _defined)]
        _busy.clear()
    return names


def remove(name: str) -> None:
    """Remove a definition; what is still in use is tried again with the next."""
    events = events_file()
    try:
        if events is not None:
            _write(events, f"-:{name}")
    except OSError as error:
        if error.errno == errno.EBUSY:
            with _lock:
                _busy.append(name)


def tidy(events: str) -> None:
    """Remove what agents left that were killed."""
    with open(events, encoding="ascii", errors="replace") as file:
        left = _GROUP.findall(file.read())
    for group, pid, ticks, event in left:
        status = procfs.read_stat(int(pid))
        if status is None or status.start_time_ticks != int(ticks):
            remove(f"{group}/{event}")


def _group() -> str:
    """Of this process alone, also where another one had its PID."""
    status = procfs.read_stat(os.getpid())
    return f"otel_jb_{os.getpid()}_{status.start_time_ticks if status is not None else 0}"


def _write(events: str, line: str) -> None:
    file = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)
