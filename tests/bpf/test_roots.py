# SPDX-License-Identifier: Apache-2.0
"""Files of a container: what its links lead to there is measured, and the host's file of that name never."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs, roots
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, Target
from otel_jb.planner.planner import Planner
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import running
from tests.bpf.test_counting import backend
from tests.bpf.test_libraries import FUNCTION, calls, sets
from tests.e2e.agent_process import until
from tests.scale import patience

pytestmark = pytest.mark.bpf

SONAME = "libspeexdsp.so.1"
DIRECTORY = f"usr/lib/{platform.machine()}-linux-gnu"

#: As a container engine starts it: namespaces of its own, nothing of the host's files left to be seen.
_ENTER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(done):
    if done != 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
root, pivot_root = os.fsencode(sys.argv[1]), int(sys.argv[2])
call(libc.unshare(0x00020000 | 0x04000000 | 0x08000000 | 0x40000000))  # mounts, name, IPC, network
call(libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None))  # private, all below
call(libc.mount(root, root, None, 0x1000, None))  # bind
os.chdir(root)
call(libc.syscall(pivot_root, b".", b"."))
call(libc.umount2(b".", 2))  # what was the root
os.chdir("/")
os.execv("/program", ["/program"])
"""
PIVOT_ROOT = {"x86_64": "155", "aarch64": "41"}


@pytest.fixture
def root(compile_program: Compile, tmp_path: Path) -> Path:
    """The root of a container whose jitter buffer is an absolute link to a file of a name that the host has too."""
    program = compile_program("late.c", "-O1", "-ldl")
    made = tmp_path / "root"
    (made / DIRECTORY).mkdir(parents=True)
    shutil.copy(program, made / "program")
    library = Path(f"/{DIRECTORY}/{SONAME}")
    trace = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_PRELOAD": str(library)}
    needed = subprocess.run([program], env=trace, capture_output=True, text=True, check=True)
    for path in [word for word in needed.stdout.split() if word.startswith("/") and word != str(library)]:
        (made / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, made / path.lstrip("/"))
    name = hosts(tmp_path)
    for copy in (name, inside(made, name)):
        copy.parent.mkdir(parents=True)
        shutil.copy(library, copy)
    (made / DIRECTORY / SONAME).symlink_to(name)
    return made


def hosts(tmp_path: Path) -> Path:
    """The host's file of the name to which the container's link leads."""
    return tmp_path / "plugins" / "jitter.so"


def inside(root: Path, name: Path) -> Path:
    """The container's file of that name, as the host calls it."""
    return root / str(name).lstrip("/")


def enter(start: Callable[..., Child], root: Path) -> Child:
    """The program in its container."""
    return start(Path(sys.executable), "-c", _ENTER, str(root), PIVOT_ROOT[platform.machine()])


def test_a_container_s_absolute_link_is_probed_ahead_where_it_leads_inside(
    root: Path, start: Callable[..., Child], tmp_path: Path
) -> None:
    """The container's file is linked before it is mapped, and counted from its first call; the host's file of that name has no probe."""
    child = enter(start, root)
    with running(TargetSelector(pid=child.pid)) as agent:
        until(lambda: bool(sets(agent)), "the library is probed ahead", patience(30))
        own = inside(root, hosts(tmp_path)).stat()
        linked = {(each.key[0], each.key[1]) for each in sets(agent)}
        assert linked == {(own.st_dev, own.st_ino)}
        assert child.ask("25") == "25"
        agent.wait(lambda: len(agent.of(Target)) == 1, "the process is measured")
        assert calls(agent) == 25
    assert child.close() == 0


def planned(pid: int) -> ProbePlan:
    """What is planned for a process, of its jitter buffer alone."""
    with Inspector() as inspector:
        plan = Planner(Config(), inspector).plan_process(procfs.process(pid), named=True)
    return ProbePlan(tuple(probe for probe in plan.probes if probe.function == FUNCTION))


def replaced(own: Path, host: Path) -> None:
    """Another file takes the name, as in an upgrade."""
    shutil.copy(host, own.with_suffix(".new"))
    own.with_suffix(".new").rename(own)


def led_out(own: Path, host: Path) -> None:
    """The directory becomes a link that would lead the host to its own file of that name."""
    own.parent.rename(own.parent.with_name("was"))
    own.parent.symlink_to(host.parent)


@pytest.mark.parametrize("swap", [replaced, led_out])
def test_a_file_that_is_swapped_after_it_was_read_is_still_the_one_that_is_probed(
    swap: Callable[[Path, Path], None], root: Path, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Between the plan and the probe the name comes to lead elsewhere: the file that the process has is counted, exactly."""
    child = enter(start, root)
    assert child.ask("1") == "1"
    plan = planned(child.pid)
    own = inside(root, hosts(tmp_path))
    identity = (own.stat().st_dev, own.stat().st_ino)
    assert {probe.identity for probe in plan.probes} == {identity}
    swap(own, hosts(tmp_path))
    with backend() as kernel:
        records = kernel.attach(Target(1, child.pid, 0, "late", "/program", None, "late", "x", 0), plan)
        assert [each.state for each in records if isinstance(each, ProbeStatus)] == [ProbeState.ATTACHED]
        (series,) = [each for each in records if isinstance(each, Series)]
        assert child.ask("10") == "10"
        (values,) = [each for each in kernel.snapshot().series if each.series == series.id]
        assert values.returned == 10
        (linked,) = kernel._files.by_number.values()
        status = os.fstat(linked.file)
        assert (status.st_dev, status.st_ino) == identity
    assert child.close() == 0


def test_a_process_that_sees_other_mounts_is_asked_about_its_own_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was told a moment ago of a path does not hold where something else is mounted there, though the root directory is the same."""
    monkeypatch.setattr(roots, "LATELY_S", 3600.0)
    monkeypatch.setattr(roots, "_known", [])
    file = tmp_path / "file"
    file.write_text("1")
    script = f"mount -t tmpfs none {tmp_path} && echo 4444 > {file} && echo && read x"
    words = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert roots.status(f"/proc/{os.getpid()}/root{file}").st_size == 1
        assert roots.status(f"/proc/{other.pid}/root{file}").st_size == 5
        other.communicate(b"\n")
