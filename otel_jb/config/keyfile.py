# SPDX-License-Identifier: Apache-2.0
"""Key and certificate files: regular ones, and small."""

from __future__ import annotations

import errno
import os
import stat

MAX_BYTES = 1 << 20


def read(path: str) -> bytes:
    """The content. Raises OSError: also for what would block or never end (a FIFO, a device), and for a file that is too large to be meant."""
    # Without O_NONBLOCK, opening a FIFO waits for a writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, "larger than 1 MiB", path)
    return data
