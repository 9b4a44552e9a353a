# SPDX-License-Identifier: Apache-2.0
"""Notifications to a service manager: started, alive, stopping (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def tell(state: str) -> None:
    """Send `READY=1`, `WATCHDOG=1` or the like to the socket in $NOTIFY_SOCKET, if there is one."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    address = "\0" + where[1:] if where.startswith("@") else where
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto(state.encode(), socket.MSG_DONTWAIT, address)
    except OSError:  # the manager restarts, or its queue is full: the next word will do
        pass
