"""What the kernel says of UDP sockets: who has one open, what waits unread in it, what it had to drop.

Sources: `/proc/PID/net/udp` and `udp6` (net/ipv4/udp.c, udp4_format_sock), which show the network namespace of that process, and the
socket inodes behind `/proc/PID/fd`.
"""

# Names under /proc are short-lived strings: no Path objects.
# ruff: noqa: PTH115, PTH208
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from otel_jb.host.procfs import PROC

_MAX_SOCKETS = 1 << 16  #: a host with more is read no further


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """One UDP socket of a network namespace, IPv4 or IPv6."""

    port: int  #: local one; 0: not bound
    queued_bytes: int  #: kernel memory of unread datagrams; 0 exactly when none is unread
    inode: int
    dropped: int  #: datagrams that the kernel threw away because the queue was full, since the socket exists


def udp_sockets(pid: int | str = "self") -> Iterator[UdpSocket]:
    """Every UDP socket in the network namespace of a process; none where it cannot be read."""
    for table in ("udp", "udp6"):
        with suppress(OSError), open(f"{PROC}/{pid}/net/{table}", encoding="ascii", errors="replace") as file:
            next(file, None)
            for _, line in zip(range(_MAX_SOCKETS), file, strict=False):
                column = line.split()
                with suppress(ValueError, IndexError):
                    yield UdpSocket(
                        port=int(column[1].rpartition(":")[2], 16),
                        queued_bytes=int(column[4].rpartition(":")[2], 16),
                        inode=int(column[9]),
                        dropped=int(column[12]),
                    )


def socket_inodes(pid: int) -> frozenset[int]:
    """The sockets that a process has open; empty where that cannot be read."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(f"{PROC}/{pid}/fd"):
            with suppress(OSError, ValueError):
                link = os.readlink(f"{PROC}/{pid}/fd/{name}")
                if link.startswith("socket:["):
                    found.add(int(link[8:-1]))
    return frozenset(found)


def sockets_of(pid: int) -> list[UdpSocket]:
    """The UDP sockets that a process has open."""
    inodes = socket_inodes(pid)
    return [each for each in udp_sockets(pid) if each.inode in inodes] if inodes else []
