# SPDX-License-Identifier: Apache-2.0
"""Standard descriptors that the parent process closed."""

from __future__ import annotations

import os
import sys


def reopen() -> None:
    """Open /dev/null in place of closed standard input, output or error.

    Otherwise the next file or socket gets that number: output would go into a socket, or a library would close a poller.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if number != 0:
                os.set_inheritable(null, True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
