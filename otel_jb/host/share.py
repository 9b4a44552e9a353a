# SPDX-License-Identifier: Apache-2.0
"""The host's share in a process's problems, as counters: CPU time, waiting for a CPU, throttling, datagrams dropped at its sockets."""

from __future__ import annotations

import time
from dataclasses import field

from otel_jb.host import cgroups
from otel_jb.host.scheduling import ThreadTimes
from otel_jb.host.sockets import SocketTables
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import HostShare


@dataclass(slots=True)
class Follower:
    """Follows one process. Counters begin at 0 and never decrease, even as threads and sockets come and go."""

    target: int  #: Target.id
    pid: int
    _threads: ThreadTimes = field(init=False)
    _base: tuple[int, int, int] | None = None
    _last: tuple[int | None, int | None, int | None] = (None, None, None)
    _throttled: tuple[int, int] | None = None  # first and last
    _sockets: dict[int, tuple[int, int]] = field(default_factory=dict)  # inode -> (port, drops when last seen)
    _drops: dict[int, int] = field(default_factory=dict)  # port -> drops so far
    _seen: bool = False
    _glanced_ns: int | None = None
    _unread: dict[int, int] = field(default_factory=dict)  # inode -> byte-nanoseconds since it was seen empty
    _waited: dict[int, int] = field(default_factory=dict)  # port -> byte-nanoseconds that ended with an empty socket

    def __post_init__(self) -> None:
        self._threads = ThreadTimes(self.pid)

    def read(self, tables: SocketTables | None = None) -> HostShare:
        """The current share. Pass `tables` to read each namespace's sockets only once. A counter that becomes unreadable keeps its value."""
        cpu, delay, timeslices = self._times()
        queues = self._read_sockets(tables or SocketTables())
        return HostShare(
            self.target,
            time.time_ns(),
            cpu,
            delay,
            self._throttling(),
            tuple(sorted(self._drops.items())),
            tuple(sorted(queues.items())),
            tuple(sorted(self._waited.items())),
            timeslices,
        )

    @property
    def has_sockets(self) -> bool:
        """Whether the last `read` found any: there is nothing to glance at in a process that has none."""
        return bool(self._sockets)

    def glance(self, tables: SocketTables, now_ns: int) -> None:
        """See how much waits in the sockets that the last `read` found. Between two glances it is taken for what the later one sees, so what
        these sum up to is right on average if they come at random times.

        What waits in a socket that nobody ever reads is not counted: only once a socket is seen empty is what waited in it before.
        """
        before, self._glanced_ns = self._glanced_ns, now_ns
        if before is None:
            return
        for each in tables.some_of(self.pid, self._sockets):
            if each.queued_bytes:
                self._unread[each.inode] = self._unread.get(each.inode, 0) + each.queued_bytes * (now_ns - before)
            else:
                self._waited[each.port] = self._waited.get(each.port, 0) + self._unread.pop(each.inode, 0)

    def _times(self) -> tuple[int | None, int | None, int | None]:
        times = self._threads.read()
        if times is None:
            return self._last
        now = (times.cpu_ns, times.run_delay_ns, times.timeslices)
        cpu, delay, timeslices = self._base = self._base or now
        self._last = (now[0] - cpu, now[1] - delay, now[2] - timeslices)
        return self._last

    def _throttling(self) -> int | None:
        now = cgroups.throttled_ns(self.pid)
        if now is not None:
            first, last = self._throttled or (now, now)
            # If the process moves to another cgroup, the counter continues from its last value.
            self._throttled = (first, now) if now >= last else (now - (last - first), now)
        return None if self._throttled is None else self._throttled[1] - self._throttled[0]

    def _read_sockets(self, tables: SocketTables) -> dict[int, int]:
        """Add what was dropped since the last call; return the waiting bytes by port."""
        now: dict[int, tuple[int, int]] = {}
        queues: dict[int, int] = {}
        for each in tables.of(self.pid):
            if not each.port:
                continue
            # Drops before a socket was first seen count only if it was opened while the process was being followed.
            _, before = self._sockets.get(each.inode, (each.port, 0 if self._seen else each.dropped))
            self._drops[each.port] = self._drops.get(each.port, 0) + max(0, each.dropped - before)
            now[each.inode] = (each.port, each.dropped)
            queues[each.port] = queues.get(each.port, 0) + each.queued_bytes
        self._sockets, self._seen = now, True
        if not now:
            self._glanced_ns = None  # nobody glances until there are some again
        for gone in self._unread.keys() - now.keys():
            del self._unread[gone]
        return queues
