# SPDX-License-Identifier: Apache-2.0
"""Opens what other processes' paths lead to: a path through /proc/PID/root never leads out of that root.

The kernel resolves an absolute symbolic link by the root of the process that asks, not by the root that the path went through. In a container
`/usr/lib/x.so -> /opt/x.so` would lead the agent to the host's /opt/x.so. openat2(2) with RESOLVE_IN_ROOT resolves links and `..` as a process
of that root would. Links of /proc, which lead anywhere, are refused (RESOLVE_NO_MAGICLINKS).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
import time

from otel_jb.arch.machine import here
from otel_jb.model.errors import UnsupportedError

THROUGH_ROOT = re.compile(r"^/proc/\d+/root(?=/)")
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10  # include/uapi/linux/openat2.h
LATELY_S = 0.02  #: for which `status` believes what it was told
_ATTEMPTS = 16  #: while somebody renames directories, a path with `..` cannot be resolved safely (EAGAIN)

_libc = ctypes.CDLL(None, use_errno=True)


def look(path: str, *, follow: bool = True) -> int:
    """A descriptor (O_PATH) of what a path leads to, inside the root that it goes through. Nothing is opened by it. Raises OSError, UnsupportedError.

    `follow`: the file that a symbolic link at the end leads to, not the link.
    """
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    through = THROUGH_ROOT.match(path)
    return os.open(path, flags) if through is None else open_inside(through[0], path[through.end() :], flags)


def names(directory: str) -> list[str]:
    """What is in a directory. Raises OSError, UnsupportedError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    through = THROUGH_ROOT.match(directory)
    opened = (
        os.open(directory, flags) if through is None else open_inside(through[0], directory[through.end() :], flags)
    )
    try:
        return os.listdir(opened)  # noqa: PTH208
    finally:
        os.close(opened)


def open_inside(root: str, path: str, flags: int = os.O_PATH | os.O_CLOEXEC) -> int:
    """Open a path as a process with this root would. Raises OSError, UnsupportedError."""
    if root == "/":
        return os.open(path, flags)
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _openat2(base, path, flags)
    finally:
        os.close(base)


def _openat2(base: int, path: str, flags: int) -> int:
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    how = struct.pack("=QQQ", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    number, size = here().system_calls["openat2"], ctypes.c_size_t(len(how))
    for _ in range(_ATTEMPTS):
        opened: int = _libc.syscall(number, base, name, how, size)
        if opened >= 0:
            return opened
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    if code == errno.ENOSYS:
        raise UnsupportedError(
            "files of other processes cannot be opened safely here: the system call openat2 is missing",
            "A seccomp profile must allow it; Docker's and podman's own do so since 2020.",
        )
    raise OSError(code, os.strerror(code), path)


def status(path: str, *, follow: bool = True) -> os.stat_result:
    """What stat() says of it, or lstat() without `follow`. Raises OSError, UnsupportedError.

    What it said of the same path in an equal root within the last LATELY_S is not asked again: a thousand processes of a host map the
    same files.
    """
    through = THROUGH_ROOT.match(path)
    if through is None:
        return os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - thousands of them
    known = _lately()
    root = known.root(through[0])
    place = (root, path[through.end() :], follow)
    found = known.files.get(place) if root is not None else None
    if found is None:
        looked = look(path, follow=follow)
        try:
            found = os.fstat(looked)
        finally:
            os.close(looked)
        if root is not None:
            known.files[place] = found
    return found


class _Lately:
    """What was asked since a moment that is not LATELY_S ago."""

    def __init__(self) -> None:
        self.until_s = time.monotonic() + LATELY_S
        self.files: dict[tuple[object, str, bool], os.stat_result] = {}
        self._roots: dict[str, tuple[int, ...]] = {}

    def root(self, path: str) -> tuple[int, ...] | None:
        """What equal roots have in common: the directory, and the mounts that are seen from there. None where that cannot be told."""
        known = self._roots.get(path)
        if known is None:
            try:
                directory, mounts = os.stat(path), os.stat(path.removesuffix("root") + "ns/mnt")  # noqa: PTH116
            except OSError:
                return None
            known = self._roots[path] = (directory.st_dev, directory.st_ino, mounts.st_dev, mounts.st_ino)
        return known


_known: list[_Lately] = []  # the one that holds; any thread may exchange it


def _lately() -> _Lately:
    if not _known or time.monotonic() >= _known[0].until_s:
        _known[:] = [_Lately()]
    return _known[0]


def read_again(looked: int) -> int:
    """A descriptor for reading of the regular file that `look` found, whatever its name leads to by now. Raises OSError."""
    return os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
