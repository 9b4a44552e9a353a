# SPDX-License-Identifier: Apache-2.0
"""A process's identity in the telemetry: `stream.Target`."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping
from functools import lru_cache

from otel_jb.host.container import cgroups, namespace_pids, pod_uid
from otel_jb.host.container_names import container_of
from otel_jb.host.procfs import PROC, Process
from otel_jb.model.stream import Target
from otel_jb.model.text import printable

#: The namespace of this agent's instance ids (a random UUID that never changes).
_NAMESPACE = uuid.UUID("6f0b7c52-5d0e-4b3f-9a57-0c6c1a6f8f4e")


def make_target(
    process: Process,
    number: int,
    build_id: str | None,
    service_name: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Target:
    """The record of a process that is being attached.

    `number` is the dense target id; `service_name` and `attributes` are the user's configuration for it.
    """
    found: dict[str, str] = {"host.name": socket.gethostname()}
    paths = cgroups(process.pid)
    container, uid = container_of(process.pid, paths=paths), pod_uid(process.pid, paths)
    if container is not None:
        in_pod = uid or container.pod
        names = {
            "container.id": container.id,
            "k8s.container.name" if in_pod else "container.name": container.name,
            "k8s.pod.name": container.pod,
            "k8s.namespace.name": container.namespace,
        }
        found.update({key: printable(value) for key, value in names.items() if value})
    if uid:
        found["k8s.pod.uid"] = uid
    inner = namespace_pids(process.pid)
    if len(inner) > 1:
        found["process.vpid"] = str(inner[-1])
    found.update(attributes or {})
    return Target(
        id=number,
        pid=process.pid,
        start_time_unix_nano=process.start_time_unix_nano,
        name=process.name,
        executable=process.executable,
        build_id=build_id,
        service_name=service_name or process.name,
        service_instance_id=instance_id(process),
        attached_unix_nano=time.time_ns(),
        attributes=tuple(sorted(found.items())),
    )


def instance_id(process: Process) -> str:
    """UUIDv5 of host, boot, PID and start time: unique to this process, and the same for every agent that asks.

    The start time counts ticks since boot, so a step of the wall clock does not create a new instance.
    """
    host, boot = _host()
    return str(uuid.uuid5(_NAMESPACE, f"{host}/{boot}/{process.pid}/{process.start_time_ticks}"))


@lru_cache(maxsize=1)
def _host() -> tuple[str, str]:
    boot = _line(f"{PROC}/sys/kernel/random/boot_id")
    return _line("/etc/machine-id") or socket.gethostname(), boot


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(200).strip()
    except OSError:
        return ""
