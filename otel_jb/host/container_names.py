# SPDX-License-Identifier: Apache-2.0
"""What people call a container: its name, its pod, the pod's namespace and labels, from the files of the runtimes. No API server and no socket
of a runtime is asked.

Sources: the bundle's config.json with annotations of containerd (containerd/pkg/cri/annotations) and CRI-O (cri-o/pkg/annotations), Docker's
config.v2.json with the labels that the kubelet sets, Podman's containers.json, and the directories of the kubelet's logs,
/var/log/pods/NAMESPACE_POD_UID.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any

from otel_jb.host import roots
from otel_jb.host.container import container_id, pod_uid
from otel_jb.host.procfs import PROC
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError

_MAX_BYTES = 4 << 20  #: a larger file is none that a runtime wrote
_BUNDLES = (
    "/run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/{namespace}/{id}/config.json",
    "/run/containers/storage/overlay-containers/{id}/userdata/config.json",
    "/var/lib/containers/storage/overlay-containers/{id}/userdata/config.json",
)
_NAMESPACES = ("k8s.io", "moby", "default")  #: containerd's own, not the cluster's
_DOCKER = "/var/lib/docker/containers/{id}/config.v2.json"
_PODMAN = "/var/lib/containers/storage/overlay-containers/containers.json"
_POD_LOGS = "/var/log/pods"
#: the keys that containerd, then CRI-O and the kubelet use
_CONTAINER = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name")
_POD = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
_NAMESPACE = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")


@dataclass(frozen=True, slots=True)
class Container:
    """A container by its names; "" where nothing says it."""

    id: str
    name: str = ""
    pod: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def container_of(pid: int, root: str | None = None, paths: Sequence[str] | None = None) -> Container | None:
    """The container of a process, None for one of the host. `root`: where the host's files are; found out by default. `paths`: its `cgroups`,
    if they are known.
    """
    number = container_id(pid, paths)
    if number is None:
        return None
    prefix = _host_root() if root is None else root
    found = _by_bundle(prefix, number) or _by_docker(prefix, number) or Container(number, _podman_name(prefix, number))
    uid = pod_uid(pid, paths)
    if uid and not found.pod:
        namespace, pod = _by_logs(prefix, uid)
        found = Container(number, found.name, pod, namespace, found.labels)
    return found


def _host_root() -> str:
    """Where the host's files are: in a container that sees the host's processes, below the root of the first of them."""
    return "" if container_id(os.getpid()) is None else f"{PROC}/1/root"


def _by_bundle(root: str, number: str) -> Container | None:
    for template in _BUNDLES:
        for namespace in _NAMESPACES if "{namespace}" in template else ("",):
            config = _json(root + template.format(id=number, namespace=namespace))
            marks = config.get("annotations") if isinstance(config, dict) else None
            if isinstance(marks, dict) and (found := _named(number, marks)) is not None:
                return found
    return None


def _by_docker(root: str, number: str) -> Container | None:
    config = _json(root + _DOCKER.format(id=number))
    if not isinstance(config, dict):
        return None
    inner = config.get("Config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    labels = labels if isinstance(labels, dict) else {}
    found = _named(number, labels) or Container(number, labels=_texts(labels))
    name = config.get("Name")
    if not found.name and isinstance(name, str):
        return Container(number, name.lstrip("/"), found.pod, found.namespace, found.labels)
    return found


def _named(number: str, marks: Mapping[str, Any]) -> Container | None:
    texts = _texts(marks)
    name, pod, namespace = (
        next((texts[key] for key in keys if key in texts), "") for keys in (_CONTAINER, _POD, _NAMESPACE)
    )
    if not (name or pod):
        return None
    labels = dict(texts)
    with suppress(ValueError):  # CRI-O keeps the labels as a document of their own
        more = json.loads(texts.get("io.kubernetes.cri-o.Labels", "{}"))
        labels.update(_texts(more) if isinstance(more, dict) else {})
    return Container(number, name, pod, namespace, labels)


def _podman_name(root: str, number: str) -> str:
    for entry in _entries(_json(root + _PODMAN)):
        names = entry.get("names")
        if entry.get("id") == number and isinstance(names, list) and names and isinstance(names[0], str):
            return names[0]
    return ""


def _entries(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, list):
        yield from (entry for entry in document if isinstance(entry, dict))


def _by_logs(root: str, uid: str) -> tuple[str, str]:
    """(namespace, pod) by the name of its directory of logs; neither part can hold an underscore."""
    with suppress(OSError, AgentError):
        for name in roots.names(root + _POD_LOGS):
            parts = name.split("_")
            if len(parts) == 3 and parts[2] == uid:
                return parts[0], parts[1]
    return "", ""


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in values.items() if isinstance(value, str)}


def _json(path: str) -> Any:
    try:
        looked = roots.look(path)
        try:
            with open(roots.read_again(looked), encoding="utf-8", errors="backslashreplace") as file:
                text = file.read(_MAX_BYTES + 1)
        finally:
            os.close(looked)
        return json.loads(text) if len(text) <= _MAX_BYTES else None
    except (OSError, AgentError, ValueError, RecursionError):
        return None
