# SPDX-License-Identifier: Apache-2.0
"""Work for the one thread that owns the kernel's side: others hand it over and wait, so nothing there needs a lock."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar

_T = TypeVar("_T")


class ClosedError(Exception):
    """The owner takes no more work."""


class Commands:
    """A queue of commands, run in order by its owner: first the thread that creates it, then the one that calls `own`."""

    def __init__(self) -> None:
        self._owner: int | None = threading.get_ident()
        self._queue: queue.SimpleQueue[tuple[Callable[[], object], Future[object]]] = queue.SimpleQueue()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closed = False
        self._closing = threading.Lock()  # against a command that comes while the queue is closed

    def fileno(self) -> int:
        """Readable when there is work."""
        return self._event

    def own(self) -> None:
        """The calling thread runs the commands from now on."""
        self._owner = threading.get_ident()

    def call(self, work: Callable[[], _T]) -> _T:
        """Let the owner run it, and wait. Raises what it raises, and ClosedError if no owner will run it."""
        if threading.get_ident() == self._owner:
            return work()
        future: Future[_T] = Future()
        with self._closing:
            if self._closed:
                raise ClosedError
            self._queue.put((work, future))  # type: ignore[arg-type]
            self.wake()
        try:
            return future.result()
        except CancelledError:
            raise ClosedError from None

    def wake(self) -> None:
        """Have `fileno` readable; from a signal handler too."""
        try:
            os.eventfd_write(self._event, 1)
        except BlockingIOError:  # it is readable already
            return
        except OSError:
            if not self._closed:
                raise

    def run_pending(self) -> None:
        """Run the queued commands."""
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            pass
        while True:
            try:
                work, future = self._queue.get_nowait()
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it belongs to the waiting caller
                future.set_exception(error)

    def close(self) -> None:
        """Accept no more commands, and wake all callers that wait. Idempotent."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._owner = threading.get_ident()
        while True:
            try:
                self._queue.get_nowait()[1].cancel()
            except queue.Empty:
                break
        os.close(self._event)
