# SPDX-License-Identifier: Apache-2.0
"""Programs that treat their own text as data: what the agent refuses beforehand, and what any breakpoint does to the others."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from collections.abc import Callable

import pytest

from otel_jb.host import procfs
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import ProbeState, ProbeStatus, Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_fleet import planned
from tests.e2e.agent_process import until

pytestmark = pytest.mark.bpf

Start = Callable[..., Child]
PTRACE_SEIZE = 0x4206
BREAKPOINT = b"\xcc" if platform.machine() == "x86_64" else bytes.fromhex("a00020d4")


class Probed:
    """A process with probes by a plan."""

    def __init__(self, child: Child, plan: ProbePlan) -> None:
        self.child = child
        self.backend = BpfBackend(KernelOptions([1_000_000]))
        target = Target(1, child.pid, 0, "own_text", str(child.path), None, "own_text", "x", 0)
        (self.status,) = [each for each in self.backend.attach(target, plan) if isinstance(each, ProbeStatus)]

    def __enter__(self) -> Probed:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.backend.close()

    def returned(self) -> int:
        (values,) = self.backend.snapshot().series
        return values.returned


@pytest.fixture
def plain(compile_program: Compile, start: Start) -> tuple[Child, ProbePlan]:
    """The program as any other, and what is planned for it."""
    child = start(compile_program("own_text.c", "-O2"))
    return child, planned(child.pid)


@pytest.mark.parametrize(
    ("what", "reason"), [("writable", "may write the code"), ("remapped", "has put other memory in the place")]
)
def test_text_where_the_kernel_would_put_no_probe_is_refused(
    what: str, reason: str, plain: tuple[Child, ProbePlan], start: Start
) -> None:
    """Text that the process may write, or has replaced by other memory, is not probed and says so: it would count nothing."""
    other = start(plain[0].path, what)
    with Probed(other, plain[1]) as probed:
        assert probed.status.state is ProbeState.UNVERIFIED
        assert reason in probed.status.reason
        assert other.ask("call 1000") == "1000 0"


def test_text_that_was_written_as_it_was_counts(plain: tuple[Child, ProbePlan], start: Start) -> None:
    """A private copy of a page of text, with the bytes that the file has, is probed like any other."""
    other = start(plain[0].path, "touched")
    with Probed(other, plain[1]) as probed:
        assert probed.status.state is ProbeState.ATTACHED
        assert other.ask("call 1000") == "1000 0"
        assert probed.returned() == 1000


def test_text_that_becomes_writable_goes_on_counting(plain: tuple[Child, ProbePlan]) -> None:
    """Probes that are in stay in when the process makes their page writable, and when it takes that back."""
    child, plan = plain
    with Probed(child, plan) as probed:
        for number, change in enumerate(("open", "shut"), 1):
            assert child.ask(change) == "0 0"
            assert child.ask("call 10") == "10 0"
            assert probed.returned() == 10 * number


def test_a_program_that_sums_up_its_text_sees_the_probe(plain: tuple[Child, ProbePlan]) -> None:
    """While its function is probed every checksum is another one, and afterwards none; its results are right all the time."""
    child, plan = plain
    assert child.ask("checksum 10") == "10 0"
    with Probed(child, plan):
        assert child.ask("checksum 10") == "10 10"
        assert child.ask("call 10") == "10 0"
    assert child.ask("checksum 10") == "10 0"


@pytest.mark.parametrize(("first", "then"), [("call 10", "copy 10"), ("remap", "call 10")], ids=["copy", "remap"])
def test_a_program_that_runs_a_copy_of_probed_text_dies(first: str, then: str, plain: tuple[Child, ProbePlan]) -> None:
    """The copy has the breakpoint in it, and the kernel knows of no probe there: SIGTRAP, as docs/safety.md says."""
    child, plan = plain
    with Probed(child, plan):
        assert child.ask(first).endswith(" 0")
        child.say(then)
        assert child.process.wait(30) == -signal.SIGTRAP


class Debugger:
    """Traces a process, and has a breakpoint in it."""

    def __init__(self, pid: int, address: int) -> None:
        self._pid = pid
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_SEIZE, pid, 0, 0):
            raise OSError(ctypes.get_errno(), "ptrace")
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(BREAKPOINT)

    def stopped(self) -> bool:
        """Whether the process has stopped, because of the breakpoint."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return False
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGTRAP
        return True


def site_of(child: Child, plan: ProbePlan) -> int:
    """Where the entry probe goes in the process."""
    offset = plan.probes[0].sites[0].offset
    mapping = next(each for each in procfs.maps(child.pid) if each.executable and each.path == str(child.path))
    return mapping.start + offset - mapping.offset


def test_a_debugger_stops_at_its_breakpoint_where_nothing_is_probed(plain: tuple[Child, ProbePlan]) -> None:
    """What the test after this one relies on: without a probe the breakpoint stops the process."""
    child, plan = plain
    debugger = Debugger(child.pid, site_of(child, plan))
    child.say("call 5")
    until(debugger.stopped, "the breakpoint stops it")


@pytest.mark.parametrize("first", ["debugger", "probe"])
def test_a_breakpoint_on_the_probed_instruction_itself_is_the_probes(
    first: str, plain: tuple[Child, ProbePlan]
) -> None:
    """Whichever was there first, the kernel takes the breakpoint for its own: every call is counted, and the debugger stops at none."""
    child, plan = plain
    address = site_of(child, plan)
    debugger = Debugger(child.pid, address) if first == "debugger" else None
    with Probed(child, plan) as probed:
        debugger = debugger or Debugger(child.pid, address)
        assert child.ask("call 5") == "5 0"
        assert not debugger.stopped()
        assert probed.returned() == 5
