# SPDX-License-Identifier: Apache-2.0
"""Probes that tracefs defines, for kernels without multi links: no CAP_SYS_ADMIN, exact counts, nothing left behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.model.plan import EndStrategy
from otel_jb.probes.attach import tracefs
from otel_jb.probes.bpf import BpfError
from tests.bpf import capabilities
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import backend, entries, only, target

pytestmark = pytest.mark.bpf
EVENTS = Path("/sys/kernel/tracing/uprobe_events")

#: Defines a probe and opens an event for it, as an agent does, and waits to be killed.
_LEAVES = """
import sys
from otel_jb.probes.attach import links
made = links._by_tracefs(sys.argv[1], links.Point(int(sys.argv[2]), 1), int(sys.argv[3]), -1)
print("defined", flush=True)
input()
"""


def refuse(_path: object, _point: object) -> bytes:
    """What the kernel says to who lacks CAP_SYS_ADMIN."""
    raise BpfError(errno.EACCES, os.strerror(errno.EACCES))


def defined(pid: int) -> list[str]:
    """The lines that a process's definitions have in tracefs."""
    return [line for line in EVENTS.read_text().splitlines() if f":otel_jb_{pid}_" in line]


@pytest.mark.parametrize("strategy", [EndStrategy.RET_SITES, EndStrategy.URETPROBE])
def test_each_call_is_counted_and_no_definition_stays(
    strategy: EndStrategy, compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel refuses the perf PMU, entries and ends go through definitions of their own, by descriptor, which end with the probes."""
    child = start(compile_program("calls.c", "-O1", "-fcf-protection=none"))
    plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, strategy)
    monkeypatch.setattr("otel_jb.probes.attach.links._of_pmu", refuse)
    with backend(links="perf") as kernel:
        kernel.attach(target(child), plan)
        (probe,) = plan.probes
        ends = 1 if strategy is EndStrategy.URETPROBE else len(probe.sites) - 1
        lines = defined(os.getpid())
        assert len(lines) == 1 + ends
        assert all(f" /proc/{os.getpid()}/fd/" in line for line in lines)  # of the file that was analysed
        child.ask("100 1")
        assert only(kernel.snapshot()).returned == entries(only(kernel.snapshot())) == 100
    assert defined(os.getpid()) == []


def test_root_without_sys_admin_measures_where_it_may_write_there(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """User 0 with four capabilities, as in a container before Linux 6.6: its perf events are refused, its definitions are not."""
    child = start(compile_program("guide_names.c", "-O1"))
    assert capabilities.tried(capabilities.NEEDED, child, tmp_path, user=0, links="perf") == ""


def test_what_a_killed_agent_leaves_is_removed_by_the_next(
    compile_program: Compile, start: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its definition stays, touches no process any more, and is gone after the next agent's first."""
    child = start(compile_program("calls.c", "-O1", "-fcf-protection=none"))
    site = plan_for(child.path, {"put": Meaning()}, EndStrategy.RET_SITES).probes[0].sites[0].offset
    arguments = [sys.executable, "-c", _LEAVES, str(child.path), str(site), str(child.pid)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"defined\n"
        agent.send_signal(signal.SIGKILL)
    assert len(defined(agent.pid)) == 1
    assert child.ask("10 1") != ""
    monkeypatch.setattr(tracefs, "_count", 0)
    name, _ = tracefs.define(str(child.path), site, is_return=False, semaphore=0)
    assert defined(agent.pid) == []
    tracefs.remove(name)
    assert defined(os.getpid()) == []
