"""What the kernel says of UDP sockets: who has one open, what waits unread in it, what it had to drop.

Source: `/proc/net/udp` (net/ipv4/udp.c, udp4_format_sock) and the socket inodes behind `/proc/PID/fd`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """One IPv4 UDP socket of this network namespace."""

    port: int
    queued_bytes: int  #: kernel memory of unread datagrams; 0 exactly when none is unread
    inode: int
    dropped: int  #: datagrams that the kernel threw away because the queue was full


def udp_sockets() -> Iterator[UdpSocket]:
    """Every IPv4 UDP socket of this network namespace."""
    with open("/proc/net/udp", encoding="ascii") as table:
        next(table)
        for line in table:
            column = line.split()
            yield UdpSocket(
                port=int(column[1].rpartition(":")[2], 16),
                queued_bytes=int(column[4].rpartition(":")[2], 16),
                inode=int(column[9]),
                dropped=int(column[12]),
            )


def queued_bytes(port: int) -> int:
    """Unread bytes (with the kernel's overhead) of all sockets at `port`."""
    return sum(each.queued_bytes for each in udp_sockets() if each.port == port)


def dropped(port: int) -> int:
    """Datagrams that the kernel dropped at `port` because its queue was full."""
    return sum(each.dropped for each in udp_sockets() if each.port == port)


def has_open(pid: int, port: int) -> bool:
    """Whether process `pid` has a UDP socket at `port`."""
    inodes = {each.inode for each in udp_sockets() if each.port == port}
    if not inodes:
        return False
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                link = str(descriptor.readlink())
                if link.startswith("socket:[") and int(link[8:-1]) in inodes:
                    return True
    return False


def free_port_pair() -> tuple[int, int]:
    """An even port of loopback and the odd one after it, both free just now (RTP and RTCP, RFC 3550 section 11).

    Raises OSError if none is found.
    """
    for _ in range(200):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as even,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as odd,
        ):
            even.bind(("127.0.0.1", 0))
            port = int(even.getsockname()[1])
            if port % 2:
                continue
            with suppress(OSError):
                odd.bind(("127.0.0.1", port + 1))
                return port, port + 1
    raise OSError("no free pair of UDP ports on 127.0.0.1")
