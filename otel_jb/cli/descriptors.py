# SPDX-License-Identifier: Apache-2.0
"""Standard descriptors that were closed by whoever started the program."""

from __future__ import annotations

import os
import sys


def reopen() -> None:
    """Put /dev/null where standard input, output or error is closed.

    Otherwise the next file or socket that is opened gets its number: a socket that somebody prints to, or a poller that a library closes.
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
