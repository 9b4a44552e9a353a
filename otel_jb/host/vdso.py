# SPDX-License-Identifier: Apache-2.0
"""The vdso: code that the kernel maps into every process. There is no file that could be opened.

All processes of a kernel with the same instruction set share it, so the agent reads its own.
"""

from __future__ import annotations

import os
from functools import lru_cache

from otel_jb.host import procfs

NAME = "[vdso]"


def mapped(pid: int) -> tuple[int, int] | None:
    """Its start and end in a process. Raises TargetError if the process has ended."""
    try:
        with open(f"{procfs.PROC}/{pid}/maps", "rb") as file:
            for line in file:
                if line.rstrip().endswith(NAME.encode()):
                    start, _, end = line.partition(b" ")[0].partition(b"-")
                    return int(start, 16), int(end, 16)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise procfs.ended(pid, "?") from error
    return None


@lru_cache(maxsize=1)
def descriptor() -> int | None:
    """A file with its bytes, which stays open; None if the kernel maps no vdso or it cannot be read."""
    where = mapped(os.getpid())
    if where is None:
        return None
    start, end = where
    try:
        with open(f"{procfs.PROC}/self/mem", "rb", buffering=0) as memory:
            image = os.pread(memory.fileno(), end - start, start)
    except OSError:  # a process that must not be dumped may not even read itself
        return None
    copy = os.memfd_create("vdso", os.MFD_CLOEXEC)
    os.write(copy, image)
    return copy
