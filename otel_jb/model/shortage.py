# SPDX-License-Identifier: Apache-2.0
"""What a machine runs out of, as an error with a remedy."""

from __future__ import annotations

import errno

from otel_jb.model.errors import ResourceError

#: What a machine runs out of, in words, with what helps.
_SHORTAGES = {
    errno.EMFILE: ("too many open files", "Allow more descriptors, then start again:\n  ulimit -n 1024"),
    errno.ENFILE: ("too many open files on this machine", "Raise the limit:\n  sudo sysctl fs.file-max=1000000"),
    errno.ENOMEM: ("out of memory", "Raise the limit on memory (ulimit -v, the container's, the service's)."),
    errno.ENOSPC: ("no space left on the device", "Free some space:\n  df -h"),
    errno.EDQUOT: ("disk quota exceeded", "Free some space:\n  quota"),
}


def shortage_of(error: BaseException) -> ResourceError | None:
    """The error for a machine that ran out of something, None for any other."""
    # Python raises RuntimeError where it cannot start a thread: there is no room for its stack, or too many tasks.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        error = OSError(errno.ENOMEM, "")
    if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
        return None
    what, remedy = _SHORTAGES[error.errno]
    written = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = (
        f"{error.filename}: "
        if isinstance(error.filename, str)
        else "the output cannot be written: "
        if written
        else ""
    )
    return ResourceError(f"{where}{what}", remedy)
