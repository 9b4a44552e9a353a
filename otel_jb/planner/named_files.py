# SPDX-License-Identifier: Apache-2.0
"""Files that the user named by path: the one that has the name now, and those that had it (docs/adr/0080)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import field

from otel_jb.host import procfs
from otel_jb.host.patience import Status, known_status, patiently
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError

MOST_FORMER = 64  #: files that had a name and are remembered

_Identity = tuple[int, int, int]  # device, inode, and when it was made: an inode's number is used again


@dataclass(slots=True)
class _Named:
    now: _Identity | None = None  # the file that has the name
    were: dict[_Identity, None] = field(default_factory=dict)  # those that had it, if it is known when they were made
    path: str = ""  # without links: what /proc calls a file that has lost this name

    def all(self) -> set[_Identity]:
        return self.were.keys() | ({self.now} if self.now is not None else set())


class NamedFiles:
    """Remembers which files had a name since the agent started."""

    def __init__(self) -> None:
        self._named: dict[str, _Named] = {}

    def look(self, names: Iterable[str]) -> bool:
        """Note which files have these names now; whether one has another file than at the last look."""
        changed = [self._look(name) for name in names]
        return any(changed)

    def _look(self, name: str) -> bool:
        first = name not in self._named
        named = self._named.setdefault(name, _Named())
        try:
            found, path = patiently(lambda: (known_status(name), os.path.realpath(name)), name)
        except (OSError, AgentError):
            named.path = named.path or name
            return False  # who had it is still known
        now = _identity(found)
        changed = now != named.now
        if changed and named.now is not None and named.now[2]:
            named.were[named.now] = None
            if len(named.were) > MOST_FORMER:
                del named.were[next(iter(named.were))]
        named.now, named.path = now, path
        return changed and not first

    def _of(self, name: str) -> _Named:
        if name not in self._named:
            self._look(name)
        return self._named[name]

    def runs(self, process: Process, name: str) -> bool:
        """Whether a process runs, or maps, the file that has this name or one that had it."""
        named = self._of(name)
        every = named.all()
        if not every and process.executable == name:  # it is a name in the process's own root
            return True
        if process.inode and (process.device, process.inode, process.born_ns) in every:
            return True
        # /proc calls a file that has lost its name by that name. In another root it is another file's.
        if process.deleted and process.executable == named.path and _root(process) == _root(None):
            return True
        try:
            files = procfs.mapped_files(process.pid)
        except AgentError:
            return False
        if any(file.deleted and file.path == named.path for file in files) and _root(process) == _root(None):
            return True
        # An inode's number says nothing without its file system, and what /proc/PID/maps calls the device need not be what stat() does.
        inodes = {inode for _, inode, _ in every}
        return any(_of_mapped(process, file) in every for file in files if file.inode in inodes)

    def had(self, name: str, device: int, inode: int) -> bool:
        """Whether this is the file of the name, or was."""
        return (device, inode) in {each[:2] for each in self._of(name).all()}


def _identity(found: Status) -> _Identity:
    return (found.device, found.inode, found.born_ns)


def _of_mapped(process: Process, file: MappedFile) -> _Identity | None:
    """What a mapped file is; None if it no longer has a name, or cannot be read."""
    try:
        path = procfs.file_path(process, file)
        return _identity(patiently(lambda: known_status(path), file.path))
    except (OSError, AgentError):
        return None


def _root(process: Process | None) -> tuple[int, int] | None:
    """What tells the root that a process sees from others; the agent's own for None."""
    try:
        return known_status(process.root if process is not None else "/")[:2]
    except OSError:
        return None
