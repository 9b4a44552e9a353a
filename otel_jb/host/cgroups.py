# SPDX-License-Identifier: Apache-2.0
"""CPU throttling of cgroups v1 and v2: how long their quota was used up (CFS bandwidth control)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from otel_jb.host.procfs import PROC

_MAX_BYTES = 1 << 16
_MAX_DEPTH = 64  #: maximum number of levels of a cgroup path that are read


def throttled_ns(pid: int) -> int | None:
    """Nanoseconds that a process's cgroups, its own and those around it, have been throttled so far.

    None if no cgroup accounts for it (the cpu controller is off), or if it cannot be read. A process waits while any of its
    cgroups is throttled. If two are throttled at once, the time counts twice.
    """
    times = [found for path in _paths(pid) if (found := _throttled(path)) is not None]
    return sum(times) if times else None


def _paths(pid: int) -> Iterator[str]:
    """Directories of a process's cgroups that may have a CPU quota, its own first."""
    version1, version2 = _mounts()
    with suppress(OSError), open(f"{PROC}/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read(_MAX_BYTES).splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if "cpu" in controllers.split(","):
                mount = version1
            elif number == "0" and not controllers:
                mount = version2
            else:
                continue
            if mount is not None and ".." not in path.split("/"):
                yield from _upwards(*mount, path)


def _upwards(root: str, place: str, path: str) -> Iterator[str]:
    """The directories of a cgroup and its ancestors; `root` is the cgroup mounted at `place`."""
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    parts = [part for part in inside.split("/") if part][:_MAX_DEPTH]
    for end in range(len(parts), 0, -1):
        yield "/".join([place, *parts[:end]])


def _throttled(directory: str) -> int | None:
    """`throttled_usec` of v2, `throttled_time` (nanoseconds) of v1."""
    with suppress(OSError), open(os.path.join(directory, "cpu.stat"), encoding="ascii", errors="replace") as file:  # noqa: PTH118
        for line in file:
            name, _, value = line.partition(" ")
            if name == "throttled_usec" and value.strip().isdecimal():
                return int(value) * 1000
            if name == "throttled_time" and value.strip().isdecimal():
                return int(value)
    return None


@lru_cache(maxsize=1)
def _mounts() -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """(root cgroup of the mount, mount point) of v1's cpu controller and of v2."""
    version1 = version2 = None
    with suppress(OSError), open(f"{PROC}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            fields, kind = left.split(), right.split()
            if len(fields) < 5 or len(kind) < 3:
                continue
            found = (_unescaped(fields[3]), _unescaped(fields[4]))
            if kind[0] == "cgroup" and "cpu" in kind[2].split(","):
                version1 = version1 or found
            elif kind[0] == "cgroup2":
                version2 = version2 or found
    return version1, version2


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
