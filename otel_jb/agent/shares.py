# SPDX-License-Identifier: Apache-2.0
"""Reads the host's share of the measured processes on a separate thread, because /proc may be slow."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from otel_jb.host.share import Follower
from otel_jb.host.sockets import SocketTables
from otel_jb.model.stream import HostShare
from otel_jb.telemetry.state import StreamState

_logger = logging.getLogger(__name__)

_AT_ONCE = 100  # records handed on together; the receiver is asked each time

MOST_OF_A_CPU = 0.005  #: what looking may use; with very many processes it looks less often instead
#: Between two glances at the sockets, on average. At random, so that they meet nothing periodic always, or never.
GLANCE_S = 0.25


class Shares:
    """Emits a `HostShare` for each live target once an interval, from `start` until `close`.

    Args:
        state: says which targets are live.
        emit: takes the records, from this thread; must not block.
        interval_s: between two looks, at least.
    """

    def __init__(self, state: StreamState, emit: Callable[..., None], interval_s: float) -> None:
        self._state = state
        self._emit = emit
        self._interval_s = interval_s
        self._followers: dict[int, Follower] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host share", daemon=True)

    def start(self) -> None:
        """Begin to look; the counters begin at the first look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking. It is not waited for a look that hangs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def look(self) -> None:
        """Look at every live target once."""
        tables = SocketTables()
        found: list[HostShare] = []
        live = {view.target.id: view.target for view in self._state.view().live}
        for gone in self._followers.keys() - live.keys():
            del self._followers[gone]
        for number, target in live.items():
            if self._stop.is_set():
                return
            follower = self._followers.setdefault(number, Follower(number, target.pid))
            found.append(follower.read(tables))
            if len(found) == _AT_ONCE:
                self._emit(*found)
                found.clear()
        self._emit(*found)

    def _run(self) -> None:
        while not self._stop.is_set():
            begin = time.thread_time()
            try:
                self.look()
                used = time.thread_time() - begin
                self._glance_for(max(self._interval_s, used / MOST_OF_A_CPU))
            except Exception:
                # Measuring continues without it.
                _logger.exception("the host's share cannot be read any more")
                return

    def _glance_for(self, seconds: float) -> None:
        """Glance at the sockets until then, or until `close`."""
        end = time.monotonic() + seconds
        used = 0.0
        glanced = [follower for follower in self._followers.values() if follower.has_sockets]
        if not glanced:
            self._stop.wait(seconds)
            return
        while not self._stop.is_set() and (left := end - time.monotonic()) > 0:
            pause = max(random.expovariate(1 / GLANCE_S), used / MOST_OF_A_CPU)
            if self._stop.wait(min(left, pause)) or pause > left:
                continue
            begin = time.thread_time()
            tables = SocketTables()
            for follower in glanced:
                follower.glance(tables, time.monotonic_ns())
            used = time.thread_time() - begin
