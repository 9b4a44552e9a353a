# SPDX-License-Identifier: Apache-2.0
"""Which processes a selector means, and what the runtimes' files say of a container."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from otel_jb.config.model import TargetSelector
from otel_jb.host import container, container_names, procfs
from otel_jb.host.container_names import Container, container_of
from otel_jb.planner.selection import changes, means, of_running_only

NUMBER = "0123456789abcdef" * 4
UID = "005f082b-5fd9-4650-8ef4-473e63b5dd34"
KUBERNETES = {
    "io.kubernetes.cri.container-name": "srs",
    "io.kubernetes.cri.sandbox-name": "edge-64df67bd8b-xmzhv",
    "io.kubernetes.cri.sandbox-namespace": "media",
}
CRI_O = {
    "io.kubernetes.container.name": "srs",
    "io.kubernetes.pod.name": "edge-64df67bd8b-xmzhv",
    "io.kubernetes.pod.namespace": "media",
    "io.kubernetes.cri-o.Labels": json.dumps({"app": "edge"}),
}


def write(path: Path, content: object) -> None:
    """A file of a runtime."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def meant(**conditions: object) -> bool:
    """Whether these conditions mean this test's own process."""
    return means(TargetSelector(**conditions), procfs.process(os.getpid()), lambda *_: False)  # type: ignore[arg-type]


def test_a_process_is_meant_where_everything_holds() -> None:
    """Command line, user and cgroup of this process; one condition that fails is enough to leave it out."""
    command = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    user = pwd.getpwuid(os.getuid()).pw_name
    (path, *_) = container.cgroups(os.getpid())
    here = {"command": f"{command} *", "user": user, "cgroup": f"{path}*"}
    assert meant(**here, pid=os.getpid())
    assert meant(user=str(os.getuid()))
    for key in here:
        assert not meant(**{**here, key: "no-such-thing"})
    assert not meant(**here, pid=1)
    assert not meant(container="*")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_process_is_meant_by_a_port_that_it_uses(family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    """A TCP port counts once it listens, a UDP port once it is bound; neither after it was closed."""
    with socket.socket(family, kind) as opened:
        opened.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        port = opened.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            assert not meant(port=port)
            opened.listen()
        assert meant(port=port)
    assert not meant(port=port)


def test_of_a_process_that_ended_no_condition_holds() -> None:
    """Nothing is claimed of it, and nothing is raised."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = procfs.process(child.pid)
    child.communicate(b"\n", timeout=60)
    for conditions in ({"command": "*input*"}, {"user": str(os.getuid())}, {"cgroup": "/*"}, {"port": 80}):
        assert not means(TargetSelector(**conditions), process, lambda *_: False)


def test_what_may_change_and_what_needs_a_living_process_is_known() -> None:
    """Ports and cgroups change while a program runs; names are all that is left of one that ended."""
    assert changes(TargetSelector(port=1935))
    assert not changes(TargetSelector(user="root"))
    assert of_running_only(TargetSelector(name="srs", user="root"))
    assert not of_running_only(TargetSelector(name="srs"))


CONTAINERD = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{NUMBER}/config.json"
STORAGE = f"containers/storage/overlay-containers/{NUMBER}/userdata/config.json"
DOCKER = f"var/lib/docker/containers/{NUMBER}/config.v2.json"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({CONTAINERD: {"annotations": KUBERNETES}}, ("srs", "edge-64df67bd8b-xmzhv", "media")),
        ({f"run/{STORAGE}": {"annotations": CRI_O}}, ("srs", "edge-64df67bd8b-xmzhv", "media")),
        ({f"var/lib/{STORAGE}": {"annotations": CRI_O}}, ("srs", "edge-64df67bd8b-xmzhv", "media")),
        ({DOCKER: {"Name": "/srs-1", "Config": {"Labels": {"app": "edge"}}}}, ("srs-1", "", "")),
        (
            {"var/lib/containers/storage/overlay-containers/containers.json": [{"id": NUMBER, "names": ["srs-2"]}]},
            ("srs-2", "", ""),
        ),
        ({f"var/log/pods/media_edge-1_{UID}/srs/0.log": ""}, ("", "edge-1", "media")),
        ({}, ("", "", "")),
    ],
)
def test_a_container_has_the_names_that_its_runtime_wrote(
    files: Mapping[str, object], expected: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd, CRI-O, Docker, Podman, and the kubelet's directories of logs; the id alone where nobody wrote any."""
    monkeypatch.setattr(container_names, "container_id", lambda *_: NUMBER)
    monkeypatch.setattr(container_names, "pod_uid", lambda *_: UID)
    for path, content in files.items():
        write(tmp_path / path, content)
    found = container_of(1, str(tmp_path))
    assert found is not None
    assert (found.id, found.name, found.pod, found.namespace) == (NUMBER, *expected)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"annotations": 3}', '{"annotations": {"a": 1}}', "[" * 100_000])
def test_a_spoilt_file_of_a_runtime_names_nothing(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passed over."""
    monkeypatch.setattr(container_names, "container_id", lambda *_: NUMBER)
    for path in (CONTAINERD, DOCKER, "var/lib/containers/storage/overlay-containers/containers.json"):
        write(tmp_path / path, content)
    assert container_of(1, str(tmp_path)) == Container(NUMBER)


def test_a_container_is_meant_by_name_id_pod_namespace_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Globs over names, the beginning of an id of at least four digits, labels to the letter."""
    known = Container(NUMBER, "srs", "edge-1", "media", {"app": "edge"})
    monkeypatch.setattr("otel_jb.planner.selection.container_of", lambda _: known)
    assert meant(container="sr*", namespace="media", pod="edge-*", labels={"app": "edge"})
    assert meant(container=NUMBER[:12])
    assert not meant(container=NUMBER[:3])
    assert not meant(container="sr*", namespace="other")
    assert not meant(labels={"app": "origin"})


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "at least one condition"),
        ({"pid": 1, "name": "srs"}, "at most one of"),
        ({"port": 70000}, "from 1 to 65535"),
        ({"command": ""}, "command is empty"),
    ],
)
def test_a_selector_that_means_nothing_is_refused(conditions: dict[str, object], message: str) -> None:
    """With a message that says what is wrong."""
    with pytest.raises(ValueError, match=message):
        TargetSelector(**conditions)  # type: ignore[arg-type]
