# SPDX-License-Identifier: Apache-2.0
"""The sandbox in which files that may be hostile are read, as the agent sees it.

An `Inspector` has a process without privileges (`server`), which ends when it is not asked for a while; a process that was forked
before the agent had threads starts it and the next one (`starter`). The server reads no file itself: each request runs in a fresh fork
of it, with limits on time, memory and system calls (see `limits`), on descriptors that were opened outside. What comes back is JSON, bounded in size, from which the caller rebuilds its dataclasses; nothing that a
child says is ever executed or unpickled. A request that crashes, runs out of time or out of memory is an `ElfError`, and
what it left behind is gone with its process. Where the child cannot be confined, no file is read: an `UnsupportedError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ElfError, UnsupportedError
from otel_jb.model.text import printable, printable_lines
from otel_jb.sandbox.limits import MAX_FILES
from otel_jb.sandbox.server import write_all
from otel_jb.sandbox.starter import Starter

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_CPU_SECONDS = 20
BUSY = 5  #: times as long as that a request may wait for its share of a busy machine's processors
MAX_ANSWER_BYTES = 64 << 20
DYING_MS = 2000  #: how long a sandbox that ends is given to close its socket
_PF_EXITING = 4  # include/linux/sched.h


class Inspector:
    """Runs functions of `otel_jb.sandbox` on open files in the sandbox. Safe to call from several threads.

    `cpu_seconds`: of processor time, at most, for one request. On a busy machine, where media servers are in trouble and an agent is wanted most,
    it may take BUSY times as long.

    Start it before the process has threads. Also a context manager.
    """

    def __init__(self, cpu_seconds: int = DEFAULT_CPU_SECONDS) -> None:
        self.cpu_seconds = cpu_seconds
        self.asked = threading.Event()  #: for the first time, so that the caller mostly waits from now on
        self._lock = threading.Lock()
        early = _early.pop() if _early else _started()
        self._starter, self._pid, self._socket = early.starter, early.pid, early.socket
        self._question = early.question  # that is being answered, see `ask_early`

    def call(
        self, function: str, files: Sequence[int], *, name: str = "the file", patient: bool = False, **arguments: Any
    ) -> Any:
        """`module:function` of `otel_jb.sandbox`, called as `function(files, **arguments)` in the sandbox; its plain answer.

        `files` are open descriptors, `arguments` and the answer what JSON can hold, `name` what to call the file in errors; `patient`
        lets other processes go first.
        Raises ElfError: the function's own, or that it crashed or exceeded its limits; UnsupportedError: the sandbox could not
        be confined here, so it reads nothing.
        """
        if len(files) > MAX_FILES:
            raise ValueError(f"at most {MAX_FILES} files in a request")
        data = _request(function, files, arguments, self.cpu_seconds, patient=patient)
        shown = printable(name)
        answer = self._ask(data, files, shown)
        if not answer and self._replace_dead():  # the sandbox itself had died: the file is not to blame
            answer = self._ask(data, files, shown)
        return _result(answer, shown)

    def _ask(self, request: bytes, files: Sequence[int], name: str) -> bytes:
        with self._lock:
            question, self._question = self._question, None
        if question is not None and question.what == (request, _identities(files)):
            reading = question.reading
        else:
            if question is not None:
                os.close(question.reading)
            reading = _sent(self._send, request, files)
        self.asked.set()
        try:
            return _read_answer(reading, self.cpu_seconds * BUSY, name)
        finally:
            os.close(reading)

    def _send(self, descriptors: list[int]) -> None:
        with self._lock:
            self._check_open()
            try:
                socket.send_fds(self._socket, [b"?"], descriptors)
            except OSError:
                self._raise_refusal()
                self._replace()
                socket.send_fds(self._socket, [b"?"], descriptors)

    def _replace_dead(self) -> bool:
        with self._lock:
            self._check_open()
            poll = select.poll()
            poll.register(self._socket, 0)
            # It hangs up as it dies, perhaps some time after the request was lost with it.
            dead = bool(poll.poll(DYING_MS if _is_ending(self._pid) else 0))
            if dead:
                self._raise_refusal()
                self._replace()
            return dead

    def _raise_refusal(self) -> None:
        """Raise the error that the server sent before it ended, if any: it could not be confined."""
        said = b""
        for _ in range(2):  # the first time only ECONNRESET is read, where a request was lost with it
            with contextlib.suppress(OSError):  # it said nothing
                said = said or self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
        if said:
            message, help_text = json.loads(said)
            raise UnsupportedError(f"no file can be read safely here: {message}", help_text)

    def _check_open(self) -> None:
        if self._pid == 0:  # closed by another thread, so nothing waits for the answer
            raise ElfError("the sandbox for reading files was closed")

    def _replace(self) -> None:
        self._socket.close()  # the server ends when it reads the end of its socket, its workers with it
        self._pid, self._socket = self._starter.start()

    def close(self) -> None:
        """End the sandbox and wait for its process."""
        with self._lock:
            if self._pid > 0:
                if self._question is not None:
                    os.close(self._question.reading)
                    self._question = None
                self._socket.close()
                self._starter.close()
                self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_ending(pid: int) -> bool:
    """Whether a process has begun to end, which is so before any of its files is closed; also where that cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & _PF_EXITING)
    except OSError:
        return True


@dataclass(frozen=True, slots=True)
class _Question:
    """A request that was sent, and the files that it was sent with; `reading`: where its answer will come."""

    what: tuple[bytes, tuple[tuple[int, ...], ...]]
    reading: int


@dataclass(slots=True)
class _Sandbox:
    starter: Starter
    pid: int
    socket: socket.socket
    question: _Question | None = None


_early: list[_Sandbox] = []


def start_early() -> None:
    """Start a sandbox early, so that it is ready for the first `Inspector`. Raises ElfError."""
    if not _early:
        _early.append(_started())


def ask_early(function: str, files: Sequence[int], **arguments: Any) -> None:
    """Ask the early sandbox what the first `Inspector` will probably ask first, so that it is answered meanwhile; nothing where there is none.

    If its first call is the same, of the same files as they were, it takes this answer, otherwise it asks as if this had never been.
    """
    if was_asked():
        return
    early = _early[0]
    request = _request(function, files, arguments, DEFAULT_CPU_SECONDS, patient=False)
    with contextlib.suppress(OSError):  # it has ended, and the next call says why

        def send(descriptors: list[int]) -> None:
            socket.send_fds(early.socket, [b"?"], descriptors)

        early.question = _Question((request, _identities(files)), _sent(send, request, files))


def was_asked() -> bool:
    """Whether the early sandbox has been asked; also where there is none."""
    return not _early or _early[0].question is not None


def end_early() -> None:
    """End the early sandbox if nothing used it."""
    while _early:
        early = _early.pop()
        if early.question is not None:
            os.close(early.question.reading)
        early.socket.close()
        early.starter.close()


def _started() -> _Sandbox:
    starter = Starter()
    return _Sandbox(starter, *starter.start())


# -- the caller's side ------------------------------------------------------------------------------------------


def _request(
    function: str, files: Sequence[int], arguments: dict[str, Any], cpu_seconds: int, *, patient: bool
) -> bytes:
    request = {
        "function": function,
        "arguments": arguments,
        "cpu_seconds": cpu_seconds,
        "seconds": cpu_seconds * BUSY,
        "bytes": sum(os.fstat(file).st_size for file in files),
        "patient": patient,
    }
    return json.dumps(request).encode()


def _identities(files: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """What tells open files apart, and from what they were before they were changed."""
    return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in map(os.fstat, files))


def _sent(send: Callable[[list[int]], None], request: bytes, files: Sequence[int]) -> int:
    """Send a request; the descriptor that its answer will come from."""
    body = os.memfd_create("request", os.MFD_CLOEXEC)
    try:
        write_all(body, request)
        reading, writing = os.pipe()
        try:
            send([writing, body, *files])
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
    finally:
        os.close(body)
    return reading


def _read_answer(reading: int, timeout: float, name: str) -> bytes:
    """The worker's answer; empty if it died before completing it."""
    deadline = time.monotonic() + timeout
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    answer = bytearray()
    size = 8  # of the length that precedes the answer: with it, nobody waits for the worker to be torn down
    while len(answer) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise ElfError(
                f"{name}: reading it took longer than {timeout:g} s",
                "The machine is too busy, or the file is made to keep its reader busy; it is not measured.",
            )
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            return b""
        answer += chunk
        if len(answer) >= 8:
            size = 8 + int.from_bytes(answer[:8], "little")
            if size > MAX_ANSWER_BYTES:
                raise ElfError(f"{name}: the result of reading it is larger than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(answer[8:size])


def _result(answer: bytes, name: str) -> Any:
    try:
        decoded = json.loads(answer)
        if "error" in decoded:
            message, help_text = decoded["error"]
            raise ElfError(printable(str(message)), printable_lines(str(help_text)))
        return decoded["result"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ElfError(
            f"{name}: reading it crashed, or exceeded the limits on memory or time",
            "The file is damaged, far larger than any known program, or made to harm its reader; it is not measured.",
        ) from error
