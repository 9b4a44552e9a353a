# SPDX-License-Identifier: Apache-2.0
"""A lease on a probed file (fcntl(2), F_SETLEASE): a process that opens it for writing waits until its probes are out.

A link for all processes leaves its breakpoints registered while nobody runs the file. The kernel puts them into the next process at the
same offsets, whatever the file holds by then, and a breakpoint inside an instruction makes that process compute wrong results.
"""

from __future__ import annotations

import fcntl
import signal


def take(file: int) -> bool:
    """Take a read lease on a descriptor; False where it cannot be had: the file is another user's, is open for writing, or of a
    file system without leases.

    The signal that says that somebody waits is one that is ignored by default: `broken` asks instead.
    """
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False
    return True


def broken(file: int) -> bool:
    """Whether somebody waits to write to a file on which a lease was taken."""
    try:
        return fcntl.fcntl(file, fcntl.F_GETLEASE) != fcntl.F_RDLCK
    except OSError:
        return True


def release(file: int) -> None:
    """Let the writer in; closing the descriptor does so too."""
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:  # it was broken by force meanwhile (/proc/sys/fs/lease-break-time)
        return
