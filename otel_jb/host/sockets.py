# SPDX-License-Identifier: Apache-2.0
"""Sockets according to the kernel: the ports of a process, and its UDP sockets with their unread bytes and drops.

Sources: `/proc/PID/net/udp` and `udp6` (net/ipv4/udp.c, udp4_format_sock) and `tcp` and `tcp6` (net/ipv4/tcp_ipv4.c, get_tcp4_sock), which show that
process's network namespace, and the socket inodes behind `/proc/PID/fd`.
"""

# Names under /proc are short-lived strings: no Path objects.
# ruff: noqa: PTH115, PTH116, PTH208
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from otel_jb.host.procfs import PROC
from otel_jb.model.dataclass import dataclass

_LISTENS = "0A"  #: TCP_LISTEN (include/net/tcp_states.h)
_MAX_SOCKETS = 1 << 16  #: further sockets are ignored


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """One UDP socket of a network namespace, IPv4 or IPv6."""

    port: int  #: local one; 0: not bound
    queued_bytes: int  #: kernel memory of unread datagrams; 0 exactly when none is unread
    inode: int
    dropped: int  #: datagrams dropped since the socket was created because the queue was full


def udp_sockets(pid: int | str = "self") -> Iterator[UdpSocket]:
    """Every UDP socket in a process's network namespace; none if it cannot be read."""
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
    """Inodes of a process's open sockets; empty if they cannot be read."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(f"{PROC}/{pid}/fd"):
            with suppress(OSError, ValueError):
                link = os.readlink(f"{PROC}/{pid}/fd/{name}")
                if link.startswith("socket:["):
                    found.add(int(link[8:-1]))
    return frozenset(found)


def bound_ports(pid: int) -> frozenset[int]:
    """The TCP ports that a process listens on and the UDP ports that it is bound to, IPv4 and IPv6."""
    inodes = socket_inodes(pid)
    ports = {each.port for each in udp_sockets(pid) if each.inode in inodes} if inodes else set[int]()
    for table in ("tcp", "tcp6") if inodes else ():
        with suppress(OSError), open(f"{PROC}/{pid}/net/{table}", encoding="ascii", errors="replace") as file:
            next(file, None)
            for _, line in zip(range(_MAX_SOCKETS), file, strict=False):
                column = line.split()
                with suppress(ValueError, IndexError):
                    if column[3] == _LISTENS and int(column[9]) in inodes:
                        ports.add(int(column[1].rpartition(":")[2], 16))
    return frozenset(ports - {0})


class SocketTables:
    """The UDP sockets of network namespaces. Reads each table once, for one look at many processes."""

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, UdpSocket]] = {}

    def of(self, pid: int) -> list[UdpSocket]:
        """The UDP sockets that a process has open."""
        inodes = socket_inodes(pid)
        return self.some_of(pid, sorted(inodes)) if inodes else []

    def some_of(self, pid: int, inodes: Iterable[int]) -> list[UdpSocket]:
        """Those of these sockets that are UDP sockets of the process's network namespace."""
        try:
            namespace = os.stat(f"{PROC}/{pid}/ns/net").st_ino
        except OSError:
            return []
        if namespace not in self._tables:
            self._tables[namespace] = {each.inode: each for each in udp_sockets(pid)}
        table = self._tables[namespace]
        return [table[inode] for inode in inodes if inode in table]


def sockets_of(pid: int) -> list[UdpSocket]:
    """The UDP sockets that a process has open."""
    return SocketTables().of(pid)
