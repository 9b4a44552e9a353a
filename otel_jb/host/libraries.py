# SPDX-License-Identifier: Apache-2.0
"""Where a host or a container keeps its shared libraries: what ldconfig noted in its cache, and the directories of its linker.

Nothing is executed for it. A container's cache is a file that the target controls: it is read with limits, and a wrong one yields nothing.
"""

# Hundreds of names in directories that may be a container's: no Path objects.
# ruff: noqa: PTH208
from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate

from otel_jb.host.patience import patiently
from otel_jb.host.roots import open_inside, read_again
from otel_jb.model.errors import AgentError

CACHE = "/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"  # glibc, sysdeps/generic/dl-cache.h: CACHEMAGIC_VERSION_NEW
_HEADER = struct.Struct("=20sII20x")  # magic, number of entries, bytes of strings; then flags and unused words
_ENTRY = struct.Struct("=iIIIQ")  # flags, name, path, version of the system, capabilities
_MOST_BYTES = 16 << 20
_MOST_NAMES = 1 << 16  #: in one directory
_DIRECTORIES = ("/usr/local/lib", "/lib", "/usr/lib", "/lib64", "/usr/lib64")


def cached(data: bytes) -> list[tuple[str, str]]:
    """(soname, path) of every entry of a cache in glibc's format; those that make no sense are left out."""
    start = data.find(_MAGIC)  # an older format may stand before it
    if start < 0 or len(data) < start + _HEADER.size:
        return []
    _, count, _ = _HEADER.unpack_from(data, start)
    room = (len(data) - start - _HEADER.size) // _ENTRY.size
    found = []
    for number in range(min(count, room)):
        _, name, path, _, _ = _ENTRY.unpack_from(data, start + _HEADER.size + number * _ENTRY.size)
        soname, library = _string(data, start + name), _string(data, start + path)
        if soname and library.startswith("/"):
            found.append((soname, library))
    return found


def _string(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + 4096)
    return os.fsdecode(data[at:end]) if end > at else ""


def find(globs: Sequence[str], root: str = "/") -> list[str]:
    """The libraries whose soname or file name one of the globs matches, as they are called inside `root`; each file once.

    No link leads out of `root`.
    A glob with a slash is one of a file below the linker's directories: `gstreamer-1.0/libgstrtpmanager.so`.
    """
    if not globs:
        return []
    try:
        return patiently(lambda: _find(globs, root), f"the libraries of {root}", root)
    except (OSError, AgentError):
        return []


def _find(globs: Sequence[str], root: str) -> list[str]:
    names = _any([glob for glob in globs if "/" not in glob])
    below = [glob.rsplit("/", 1) for glob in globs if "/" in glob]
    entries = cached(_cache(root))
    paths = [path for soname, path in entries if names(soname)]
    directories = list(dict.fromkeys([os.path.dirname(path) for _, path in entries] + list(_standard(root))))  # noqa: PTH120
    for directory in directories:
        paths += _matching(root, directory, names)
        for within, glob in below:
            paths += _matching(root, f"{directory}/{within}", _any([glob]))
    seen: set[tuple[int, int]] = set()
    found = []
    for path in dict.fromkeys(paths):
        try:
            status = _status(root, path)
        except (OSError, ValueError):
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            found.append(path)
    return found


def _cache(root: str) -> bytes:
    try:
        looked = open_inside(root, CACHE)  # opening a device for reading may act on it
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(looked).st_mode):
            return b""
        with open(read_again(looked), "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(looked)


def _standard(root: str) -> Iterator[str]:
    """The directories that a linker searches without being told, with those that distributions make for an architecture."""
    for directory in _DIRECTORIES:
        yield directory
        for name in _list(root, directory):
            if name.endswith("-linux-gnu"):
                yield f"{directory}/{name}"


def _any(globs: Sequence[str]) -> Callable[[str], object]:
    """Whether one of the globs matches a name; none does where there are none."""
    return re.compile("|".join(map(translate, globs)) or r"(?!)").match


def _matching(root: str, directory: str, wanted: Callable[[str], object]) -> list[str]:
    return [f"{directory}/{name}" for name in _list(root, directory) if wanted(name)]


def _list(root: str, directory: str) -> list[str]:
    try:
        opened = open_inside(root, directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return sorted(os.listdir(opened)[:_MOST_NAMES])
    except OSError:
        return []
    finally:
        os.close(opened)


def _status(root: str, path: str) -> os.stat_result:
    looked = open_inside(root, path)
    try:
        return os.fstat(looked)
    finally:
        os.close(looked)


def state(root: str = "/") -> tuple[int, int]:
    """What changes when ldconfig runs: after packages were installed or upgraded."""
    try:
        status = patiently(lambda: _status(root, CACHE), f"the libraries of {root}", root)
    except (OSError, AgentError):
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
