# SPDX-License-Identifier: Apache-2.0
"""Opens the kernel's side on a thread of its own, while the files of the first processes are read in the sandbox.

Loading the programs takes the kernel's verifier 0.1 s, and importing what attaches and reads takes 0.1 s more. Neither depends on
what is found in the files, and reading these keeps one processor busy for longer than that.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_jb.probes.backend import Backend


#: For how long a thread may keep the other from running Python. The one that plans mostly waits for files; each time it has something to do, it
#: would wait for the one that opens the kernel's side, by default for 5 ms.
_SWITCH_S = 0.0005


class Opening:
    """A backend on its way. Start it after the sandbox was forked: it is a thread.

    Args:
        make: makes the backend, on that thread.
        begin: set when this thread goes to wait for the sandbox. Until then, the other one would only take turns with it.
    """

    def __init__(self, make: Callable[[], Backend], begin: threading.Event) -> None:
        self._make, self._begin = make, begin
        self._backend: Backend | None = None
        self._problem: BaseException | None = None
        self._given_up = False
        self._lock = threading.Lock()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        self._thread = threading.Thread(target=self._open, name="opening", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        self._begin.wait()
        try:
            import otel_jb.agent.measuring  # noqa: F401 - for the caller that takes the result

            with self._lock:
                if self._given_up:
                    return
                self._backend = self._make()
            _ = self._backend.link_kind  # loads the programs
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self._problem = error

    def result(self) -> Backend:
        """The backend, once its programs are loaded. Raises PermissionDeniedError, UnsupportedError, ConfigError."""
        self._begin.set()
        self._join()
        if self._problem is not None:
            self.close()
            raise self._problem
        assert self._backend is not None
        return self._backend

    def close(self) -> None:
        """Give the backend up; a compiler that still works is ended."""
        with self._lock:
            self._given_up = True
        self._begin.set()
        if self._backend is not None:
            self._backend.close()
        self._join()

    def _join(self) -> None:
        self._thread.join()
        sys.setswitchinterval(self._interval)
