# SPDX-License-Identifier: Apache-2.0
"""Handles signals on a separate thread, so that they work even while every other thread waits for a file system that never answers.

Python runs a signal's handler on the main thread, between two instructions. One that is stuck in the kernel runs none, so what the
handlers would do is done by a thread that reads signal numbers from a socket (`signal.set_wakeup_fd`), which the C handler writes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

_logger = logging.getLogger(__name__)

STOP_SECONDS = 4.8  #: after which the process ends whatever it is doing


class Signals:
    """Stops on SIGINT and SIGTERM, reloads on SIGHUP. Make and use it on the main thread; also a context manager.

    Args:
        stop: begins to end the agent; called on another thread.
        reload: reads the configuration again; called on another thread, one at a time.
        seconds: from the first signal that stops until the process ends by force, with status 0: the kernel removes the probes.
    """

    def __init__(
        self, stop: Callable[[], None], reload: Callable[[], None] | None = None, seconds: float = STOP_SECONDS
    ) -> None:
        self._stop = stop
        self._reload = reload
        self._seconds = seconds
        self._wanted = threading.Event()
        self._ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._theirs = theirs
        self._before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if reload is not None else [])]
        # Without a handler the signal would have its default effect.
        self._handlers = [(number, signal.signal(number, lambda *_: None)) for number in numbers]
        threading.Thread(target=self._take, name="signals", daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                numbers = self._ours.recv(64)
            except OSError:
                return
            if not numbers:
                return
            for number in numbers:
                if number == signal.SIGHUP and not self._wanted.is_set():
                    threading.Thread(target=self._reload_once, name="reload", daemon=True).start()
                elif number in (signal.SIGINT, signal.SIGTERM) and not self._wanted.is_set():
                    self._wanted.set()
                    threading.Thread(target=self._insist, name="insist", daemon=True).start()
                    self._stop()

    _reloading = threading.Lock()

    def _reload_once(self) -> None:
        if self._reload is not None:
            with self._reloading:
                self._reload()

    def _insist(self) -> None:
        # Not ended by `close`: threads of libraries may keep the interpreter from ending, too.
        time.sleep(self._seconds)
        _logger.warning(
            "stopping took longer than %g s: the agent ends now, and the kernel removes its probes", self._seconds
        )
        os._exit(0)

    def close(self) -> None:
        """Restore the handlers. The time to end goes on where a signal came."""
        for number, handler in self._handlers:
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)
        self._ours.close()
        self._theirs.close()

    def __enter__(self) -> Signals:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
