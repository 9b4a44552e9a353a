# SPDX-License-Identifier: Apache-2.0
"""Access to other programs' files on file systems that may be gone or never answer.

A call into a hanging file system cannot be cancelled. So it runs on a separate thread, which is abandoned if it does not return.
The agent then leaves that file system alone for a while, so abandoned threads stay few.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeVar

from otel_jb.host.roots import THROUGH_ROOT, look
from otel_jb.model.errors import AgentError, NoAnswerError
from otel_jb.model.shortage import shortage_of
from otel_jb.model.text import printable

T = TypeVar("T")

PATIENCE_S = 2.0
RESPITE_S = 60.0  #: how long to leave a file system alone that did not answer
MAX_LEFT = 16  #: maximum number of hanging threads; beyond it, no access that may hang is tried

_AT_FDCWD = -100
_AT_STATX_DONT_SYNC = 0x4000
_STATX_BASIC_STATS = 0x7FF
_STATX_BTIME = 0x800
_left: set[object] = set()  # one per abandoned thread
_silent: dict[str, float] = {}  # file system that did not answer -> when it may be tried again
_lock = threading.Lock()


def patiently(access: Callable[[], T], shown: str, system: str = "", discard: Callable[[T], object] | None = None) -> T:
    """Run `access` on another thread and wait for a while. Raises what it raises, NoAnswerError if it does not return, and ResourceError if there can be no thread.

    Args:
        access: the access.
            shown: the file's name in the error.
            system: identifies its file system (a device); others are still tried if this one does not answer.
            discard: releases a result that comes too late.
    """
    now = time.monotonic()
    with _lock:
        if _silent.get(system or shown, 0.0) > now or len(_left) >= MAX_LEFT:
            raise _no_answer(shown)
    result: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()
    late = False

    def work() -> None:
        try:
            result.append(access())
        except BaseException as error:  # noqa: BLE001 - it belongs to the waiting caller
            failed.append(error)
        with _lock:
            done.set()
            if not late:
                return
            _left.discard(done)
        if result and discard is not None:
            discard(result[0])

    try:
        threading.Thread(target=work, name="file-access", daemon=True).start()
    except RuntimeError as error:  # there is no memory for its stack
        raise shortage_of(error) or error from None
    done.wait(PATIENCE_S)
    with _lock:
        if not done.is_set():
            late = True
            _left.add(done)
            _silent[system or shown] = time.monotonic() + RESPITE_S
            for each in [each for each, until in _silent.items() if until <= now]:
                del _silent[each]
    if late:
        raise _no_answer(shown)
    if failed:
        raise failed[0]
    return result[0]


def _no_answer(shown: str) -> AgentError:
    return NoAnswerError(
        f"{printable(shown)}: its file system does not answer",
        "The agent tries again in a minute; see `mount` and `dmesg`.",
    )


class Status(NamedTuple):
    """What the kernel knows about a file."""

    device: int
    inode: int
    links: int
    born_ns: int = 0  #: when the file was made (Unix time); 0: its file system does not say


def known_status(path: str) -> Status:
    """Facts about a file that the kernel holds (a link under /proc/PID), without asking its file system. Raises OSError, UnsupportedError."""
    if THROUGH_ROOT.match(path):
        looked = look(path)
        try:
            return known_status(f"/proc/self/fd/{looked}")
        finally:
            os.close(looked)
    function = _statx()
    if function is None:
        found = os.stat(path)  # noqa: PTH116
        return Status(found.st_dev, found.st_ino, found.st_nlink)
    buffer = ctypes.create_string_buffer(256)
    if function(_AT_FDCWD, os.fsencode(path), _AT_STATX_DONT_SYNC, _STATX_BASIC_STATS | _STATX_BTIME, buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    (known,) = struct.unpack_from("=I", buffer, 0)
    (links,) = struct.unpack_from("=I", buffer, 16)
    (inode,) = struct.unpack_from("=Q", buffer, 32)
    major, minor = struct.unpack_from("=II", buffer, 136)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, 80)
    born_ns = seconds * 1_000_000_000 + nanoseconds if known & _STATX_BTIME else 0
    return Status(os.makedev(major, minor), inode, links, born_ns)


@lru_cache(maxsize=1)
def _statx() -> Callable[..., int] | None:
    """The C library's function; None if it has none."""
    return getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
