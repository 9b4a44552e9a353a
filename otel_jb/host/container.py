# SPDX-License-Identifier: Apache-2.0
"""A process's container, and its PID there."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache

from otel_jb.host.procfs import PROC, status_field

_ID = r"([0-9a-f]{64})"
#: the last part of a cgroup path: docker, containerd and cri-o by systemd (`docker-ID.scope`) or by cgroupfs (`ID`), podman
_CGROUP = re.compile(rf"^(?:(?:docker|cri-containerd|crio|libpod|nerdctl|containerd|buildkit)[-_:])?{_ID}(?:\.scope)?$")
_CRI_SYSTEMD = re.compile(rf":(?:cri-containerd|crio|docker):{_ID}$")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?:\.slice)?$")
#: inside a container the cgroup is `/`, but files that the runtime mounts still contain the id
_MOUNT = re.compile(rf"/(?:containers|overlay-containers|sandboxes)/{_ID}/(?:\S*/)?(?:hostname|resolv\.conf|hosts)\b")
_MAX_BYTES = 1 << 20


def container_id(pid: int, paths: Sequence[str] | None = None) -> str | None:
    """The container's full id (64 hexadecimal digits); None for a host process, or one that has ended. `paths`: its `cgroups`, if known."""
    for path in cgroups(pid) if paths is None else paths:
        for part in reversed(path.split("/")):
            found = _CGROUP.match(part) or _CRI_SYSTEMD.search(part)
            if found:
                return found[1]
    return _own_mounted_id() if _shares_mounts(pid) else _mounted_id(pid)


def _mounted_id(pid: int) -> str | None:
    found = _MOUNT.search(_read(f"{PROC}/{pid}/mountinfo"))
    return found[1] if found else None


@lru_cache(maxsize=1)
def _own_mounted_id() -> str | None:
    """The same of the agent's own container, whose mounts a thousand processes of a host share."""
    return _mounted_id(os.getpid())


def _shares_mounts(pid: int) -> bool:
    """Whether a process has the agent's mount namespace; False where that cannot be seen."""
    try:
        theirs, own = (os.stat(f"{PROC}/{each}/ns/mnt") for each in (pid, os.getpid()))  # noqa: PTH116 - thousands of them
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (own.st_dev, own.st_ino)


def pod_uid(pid: int, paths: Sequence[str] | None = None) -> str | None:
    """The UID of the process's Kubernetes pod; None if it is in no pod. `paths`: its `cgroups`, if known."""
    for path in cgroups(pid) if paths is None else paths:
        for part in reversed(path.split("/")):
            found = _POD.search(part)
            if found:
                return found[1].replace("_", "-")
    return None


def namespace_pids(pid: int) -> tuple[int, ...]:
    """The PIDs of a process, from the agent's PID namespace inwards; just one if both share a namespace."""
    found = status_field(pid, b"NSpid")
    return tuple(map(int, found.split())) if found else ()


def cgroups(pid: int) -> list[str]:
    """Paths of the process's cgroups; version 2 has one line, `0::PATH`, version 1 one per hierarchy."""
    return [line.split(":", 2)[2] for line in _read(f"{PROC}/{pid}/cgroup").splitlines() if line.count(":") >= 2]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return ""
