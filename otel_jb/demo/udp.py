# SPDX-License-Identifier: Apache-2.0
"""UDP ports of the demo: finds a free pair, and counts unread and dropped datagrams."""

from __future__ import annotations

import socket
from contextlib import suppress

from otel_jb.host.sockets import sockets_of, udp_sockets


def queued_bytes(port: int) -> int:
    """Unread bytes (with the kernel's overhead) of all sockets at `port`."""
    return sum(each.queued_bytes for each in udp_sockets() if each.port == port)


def dropped(port: int) -> int:
    """Datagrams that the kernel dropped at `port` because its queue was full."""
    return sum(each.dropped for each in udp_sockets() if each.port == port)


def has_open(pid: int, port: int) -> bool:
    """Whether process `pid` has a UDP socket at `port`."""
    return any(each.port == port for each in sockets_of(pid))


def free_port_pair() -> tuple[int, int]:
    """An even loopback port and the odd one after it, both free right now (RTP and RTCP, RFC 3550 section 11).

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
