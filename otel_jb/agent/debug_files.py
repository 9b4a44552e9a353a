# SPDX-License-Identifier: Apache-2.0
"""Debug files that the host does not have: asked of the servers that `DEBUGINFOD_URLS` names, while the agent measures.

A process without privileges speaks to the servers (`fetching`); a thread here hands it an empty file in the cache, has the sandbox compare the build-id of what came,
and gives the file its name only then. Nobody waits for it: the one who asked is notified later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.model.errors import AgentError
from otel_jb.model.text import printable
from otel_jb.planner.debug_files import MOST_ASKED, Debuginfod

if TYPE_CHECKING:
    from otel_jb.sandbox.client import Inspector

_logger = logging.getLogger(__name__)

_GRACE_S = 10.0  #: for an answer behind the time that the process gives itself
_END_S = 1.0  #: for the process to end


class DebugFiles:
    """Fetches files, one after the other. Starts its process by a fork, so make it before there are threads.

    Args:
        settings: servers and cache.
        inspector: reads what came.
        seconds: that an answer may take. most: bytes that it may have.
    """

    def __init__(
        self, settings: Debuginfod, inspector: Inspector, seconds: float | None = None, most: int | None = None
    ) -> None:
        from otel_jb.agent import fetching

        self._settings, self._inspector = settings, inspector
        self._seconds = fetching.SECONDS if seconds is None else seconds
        self._asked: set[str] = set()
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._came: Callable[[str], None] = lambda _: None
        self._thread: threading.Thread | None = None
        self._missing = fetching.MISSING
        self._fetched = fetching.FETCHED
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            fetching.serve_and_exit(theirs, self._seconds, fetching.MAX_BYTES if most is None else most)
        theirs.close()

    def start(self, came: Callable[[str], None]) -> None:
        """Begin to ask. `came` is called with each build-id that was asked for, whether there is a file now or not, on a thread of its own."""
        self._came = came
        self._thread = threading.Thread(target=self._work, name="debuginfod", daemon=True)
        self._thread.start()

    def ask(self, build_id: str) -> bool:
        """Have a file fetched; whether it will be: each is asked for once, and their number is limited. For any thread."""
        if self._settings.path(build_id) is None or build_id in self._asked or len(self._asked) >= MOST_ASKED:
            return False
        self._asked.add(build_id)
        self._wanted.put(build_id)
        return True

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._wanted.put(None)
        pid, self._pid = self._pid, 0
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # the process and the thread here see the end of it
        if pid:
            # It may be of a user whom the reader may not signal. Then it ends at its next request, or with the reader.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            _wait(pid, _END_S)
        if self._thread is not None:
            self._thread.join(timeout=2)
        self._socket.close()

    def _work(self) -> None:
        while (build_id := self._wanted.get()) is not None:
            try:
                self._fetch(build_id)
            except (OSError, AgentError) as error:
                if self._pid:
                    _logger.warning("no debug file of build %s: %s", build_id, printable(str(error)))
            if self._pid:
                self._came(build_id)

    def _fetch(self, build_id: str) -> None:
        """Raises OSError where the cache cannot be written, or the process is gone; AgentError for what no sandbox reads."""
        kept = Path(self._settings.path(build_id) or "")
        kept.parent.mkdir(parents=True, exist_ok=True)
        for server in self._settings.servers:
            part, name = tempfile.mkstemp(prefix=".fetching-", dir=kept.parent)
            try:
                said = self._said(f"{server}/buildid/{build_id}/debuginfo", part)
                if said == self._fetched:
                    said = self._wrong(part, build_id)
                    if not said:
                        Path(name).rename(kept)
                        _logger.info("fetched the debug file of build %s from %s", build_id, printable(server))
                        return
                level = logging.DEBUG if said == self._missing else logging.WARNING
                _logger.log(
                    level, "no debug file of build %s from %s: %s", build_id, printable(server), printable(said)
                )
            finally:
                os.close(part)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)  # noqa: PTH108
        with contextlib.suppress(OSError):
            kept.parent.rmdir()

    def _wrong(self, part: int, build_id: str) -> str:
        """Why what came is not the file; nothing if it is."""
        from otel_jb.sandbox.build_id import build_id as build_id_of

        try:
            found = build_id_of(self._inspector, part, f"the debug file of build {build_id}")
        except AgentError as error:
            return error.message
        return "" if found == build_id else f"it sent that of another build ({found or 'it has no build-id'})"

    def _said(self, url: str, part: int) -> str:
        socket.send_fds(self._socket, [url.encode()], [part])
        ready, _, _ = select.select([self._socket], [], [], self._seconds + _GRACE_S)
        answer = self._socket.recv(4096).decode("utf-8", "replace") if ready else ""
        if not answer:
            raise OSError("the process that fetches them is gone, or hangs")
        return answer


def _wait(pid: int, seconds: float) -> None:
    """Until a child has ended, if it does in that time."""
    until = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while not os.waitpid(pid, os.WNOHANG)[0] and time.monotonic() < until:
            time.sleep(0.01)
