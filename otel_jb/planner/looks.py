# SPDX-License-Identifier: Apache-2.0
"""When the files that a process has mapped are looked at again, and which they are."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.host import procfs
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError

FIRST_LOOK_S = 1.0  #: after which the files that a process maps are looked at again
LAST_LOOK_S = 16.0
MOST_UNREAD = 7  #: looks at a process whose memory has not grown, before its files are read again


@dataclass(frozen=True, slots=True)
class Look:
    """When a process's mapped files are looked at again; a young process loads libraries, an old one hardly."""

    files: frozenset[tuple[str, int]]
    next_s: float
    step_s: float
    size: int | None = None  #: of its memory then, in pages
    unread: int = 0  #: looks since its files were read

    def still(self, size: int | None) -> bool:
        """Whether it can have mapped nothing since: its memory is as large as it was. Now and then that is not trusted."""
        return size is not None and size == self.size and self.unread < MOST_UNREAD

    def again(self, now: float, files: frozenset[tuple[str, int]], size: int | None, last_s: float) -> Look:
        """The look after this one: soon where something changed, else ever later, at most after `last_s`."""
        step = FIRST_LOOK_S if files != self.files else min(last_s, self.step_s * 2)
        return Look(files, now + step, step, size, self.unread + 1 if self.still(size) else 0)


def files_of(process: Process) -> frozenset[tuple[str, int]]:
    """The files that the process has code of, by device and inode."""
    return identities(mapped_of(process))


def mapped_of(process: Process) -> list[MappedFile]:
    """The files that the process has code of; none where it has ended, or cannot be looked at."""
    try:
        return procfs.mapped_files(process.pid)
    except AgentError:
        return []


def identities(files: Sequence[MappedFile]) -> frozenset[tuple[str, int]]:
    return frozenset((file.device, file.inode) for file in files)
