# SPDX-License-Identifier: Apache-2.0
"""Processes that started or ended since the last poll."""

# Names under /proc are short-lived strings, and there are thousands of them at each look: no Path objects.
from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress

from otel_jb.host.patience import known_status
from otel_jb.host.procfs import PROC, Process, look, read_stat
from otel_jb.model.dataclass import dataclass


@dataclass(slots=True)
class _Seen:
    """A PID at the last poll. `entry` is the inode of /proc/PID, which a reused PID does not have."""

    entry: int
    process: Process | None  #: None: a kernel thread, a zombie, or a process that ended immediately
    kernel: bool
    selected: bool


class Watcher:
    """Reports the start and end of processes that a predicate selects.

    `poll` costs one directory listing, plus a `stat` of each user process's executable to notice `exec`. It reads /proc/PID only
    if one of the two changed. A process that executes another program counts as ended and new.
    """

    def __init__(
        self, predicate: Callable[[Process], bool], *, again: bool = False, only: Collection[int] | None = None
    ) -> None:
        """`again`: ask the predicate at each poll about processes that it has not selected; it may change its mind. `only`: the PIDs that it
        can select at all; None: any.
        """
        self._predicate, self._again = predicate, again
        self.only = only  #: may be changed between polls
        self._seen: dict[int, _Seen] = {}

    def poll(self, held: Collection[int] = ()) -> tuple[list[Process], list[Process]]:
        """(new, ended) since the last poll; at the first one every selected process is new.

        `held`: PIDs of processes of which somebody else tells when they execute another program.
        """
        new: list[Process] = []
        ended: list[Process] = []
        present = _all_present() if self.only is None else _present(self.only)
        for pid in self._seen.keys() - present.keys():
            self._forget(pid, ended)
        for pid, inode in present.items():
            seen = self._seen.get(pid)
            if (
                seen is not None
                and seen.entry == inode
                and (seen.kernel or pid in held or not _changed(seen.process, pid))
            ):
                if self._again:
                    self._ask_again(seen, new)
                continue
            self._renew(pid, inode, new, ended)
        return new, ended

    def select_again(self, *, again: bool = False) -> list[Process]:
        """The processes of the last poll that the predicate, which selects otherwise now, selects. `again`: as at first."""
        self._again = again
        for seen in self._seen.values():
            seen.selected = seen.process is not None and self._predicate(seen.process)
        return [seen.process for seen in self._seen.values() if seen.selected and seen.process is not None]

    def _renew(self, pid: int, inode: int, new: list[Process], ended: list[Process]) -> None:
        seen = self._seen.get(pid)
        process = look(pid)
        if seen is not None and seen.process == process:
            seen.entry = inode  # the kernel had only evicted the directory entry
            return
        if seen is not None:
            self._forget(pid, ended)
        if process is None:
            status = read_stat(pid)
            self._seen[pid] = _Seen(inode, None, status is not None and status.kernel_thread, selected=False)
            return
        selected = self._predicate(process)
        self._seen[pid] = _Seen(inode, process, kernel=False, selected=selected)
        if selected:
            new.append(process)

    def _ask_again(self, seen: _Seen, new: list[Process]) -> None:
        if not seen.selected and seen.process is not None and self._predicate(seen.process):
            seen.selected = True
            new.append(seen.process)

    def _forget(self, pid: int, ended: list[Process]) -> None:
        seen = self._seen.pop(pid)
        if seen.selected and seen.process is not None:
            ended.append(seen.process)


def _all_present() -> dict[int, int]:
    """PIDs, and the inodes of their /proc/PID."""
    with os.scandir(PROC) as entries:
        return {int(entry.name): entry.inode() for entry in entries if entry.name.isdecimal()}


def _present(pids: Collection[int]) -> dict[int, int]:
    """The same of these."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = os.stat(f"{PROC}/{pid}").st_ino  # noqa: PTH116
    return found


def _changed(process: Process | None, pid: int) -> bool:
    """Whether the executable has changed or can no longer be read."""
    if process is None:
        return True
    if process.inode == 0:  # it was never readable; its end is noticed when the PID disappears
        return False
    try:
        found = known_status(f"{PROC}/{pid}/exe")
    except OSError:
        return True
    return (found.device, found.inode) != (process.device, process.inode)
