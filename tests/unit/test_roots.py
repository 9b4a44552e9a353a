# SPDX-License-Identifier: Apache-2.0
"""Paths inside another process's root: nothing in that root makes one lead out of it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from otel_jb.arch.machine import MACHINES
from otel_jb.host import libraries, roots
from tests.unit.sandbox_attacks import header_numbers

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that serves as a root, beside a file of the host."""
    inside = tmp_path / "root"
    (inside / "usr/lib").mkdir(parents=True)
    (tmp_path / "host.so").write_bytes(b"host")
    return inside


def read(root: Path, path: str) -> bytes:
    """What is read by a path inside the root."""
    looked = roots.open_inside(str(root), path)
    try:
        with os.fdopen(roots.read_again(looked), "rb") as file:
            return file.read()
    finally:
        os.close(looked)


def test_a_link_leads_where_it_does_for_a_process_of_that_root(root: Path) -> None:
    """An absolute link and one that climbs above the root lead to the root's own file, although the host has one of that name."""
    host = root.parent / "host.so"
    own = root / str(host).lstrip("/")
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    (root / "usr/lib/absolute.so").symlink_to(host)
    (root / "usr/lib/climbing.so").symlink_to("../../../../../../../../../.." + str(host))
    (root / "usr/lib/directory").symlink_to(host.parent)
    assert (root / "usr/lib/absolute.so").read_bytes() == b"host"  # what a plain open() makes of it
    for path in ("absolute.so", "climbing.so", "directory/host.so"):
        assert read(root, f"/usr/lib/{path}") == b"own"


@pytest.mark.parametrize(("target", "error"), [("{host}", errno.ENOENT), ("loop.so", errno.ELOOP)])
def test_a_link_to_nothing_of_that_root_is_an_error(root: Path, target: str, error: int) -> None:
    """One to a file that only the host has, or to itself, opens nothing, and no library is found by it."""
    (root / "usr/lib/loop.so").symlink_to(target.format(host=root.parent / "host.so"))
    with pytest.raises(OSError, match=os.strerror(error)):
        read(root, "/usr/lib/loop.so")
    assert libraries.find(["*.so"], str(root)) == []


def test_a_link_of_proc_is_not_followed() -> None:
    """A container's /proc has links that lead anywhere."""
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        roots.open_inside("/proc", "/self/exe")


def test_the_root_of_a_process_is_recognised_in_a_path() -> None:
    """A path through /proc/PID/root is looked up there; any other by the agent's own root."""
    link = Path(f"/proc/{os.getpid()}/root/proc/self/exe")
    assert link.stat()
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        roots.look(str(link))
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        roots.names(f"/proc/{os.getpid()}/root/proc/self/cwd")
    assert sorted(roots.names("/proc/self/cwd")) == sorted(path.name for path in Path.cwd().iterdir())
    looked = roots.look("/proc/self/exe")
    assert os.fstat(looked).st_ino == link.stat().st_ino
    os.close(looked)


@pytest.mark.parametrize("machine", MACHINES)
def test_system_calls_that_the_c_library_lacks_have_the_kernel_s_numbers(machine: str) -> None:
    """As its headers have them."""
    table = dict(MACHINES[machine].system_calls)
    assert table == header_numbers(machine, sorted(table))


def test_a_file_of_processes_with_equal_roots_is_asked_for_once_in_a_moment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was told of it a moment ago for one process holds for another of the same root; later it is asked for again."""
    monkeypatch.setattr(roots, "LATELY_S", 3600.0)
    monkeypatch.setattr(roots, "_known", [])
    file = tmp_path / "file"
    file.write_text("1")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        own, theirs = (f"/proc/{pid}/root{file}" for pid in (os.getpid(), other.pid))
        assert roots.status(own).st_size == 1
        file.write_text("22")
        assert roots.status(theirs).st_size == 1
        roots._known[0].until_s = 0.0
        assert roots.status(theirs).st_size == 2
