# SPDX-License-Identifier: Apache-2.0
"""Attaching, detaching and dying, of the target or of the agent, while the probed function is called all the time."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.host import procfs
from tests.bpf.hazards.harness import BUILDS, Agent, Child, Outcome, compiled, entries
from tests.e2e.agent_process import AgentProcess, until
from tests.e2e.agent_process import agent as running_agent
from tests.scale import patience, scaled

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(patience(240))]

THREADS = 2
#: How the ends are seen: build, --end-strategy, and what comes of it on x86-64.
ways = pytest.mark.parametrize(("build", "wish"), [("O2", "auto"), ("O0", "auto"), ("O2", "ret-sites")])


class Load:
    """A target that calls its probed function until it is stopped."""

    def __init__(self, directory: Path, build: str) -> None:
        self.path = compiled("load.c", *BUILDS[build])
        self.accounts = directory / "accounts"
        self.child = Child([str(self.path), str(self.accounts)])
        assert self.child.hear(patience(30)) == "ready"
        self.pid = self.child.pid

    def start(self) -> None:
        self.child.say(str(THREADS))
        assert self.child.hear(patience(30)) == "running"

    def stop(self) -> int:
        """Calls made in all, each of which gave the right result."""
        self.child.say("stop")
        calls, wrong = map(int, (self.child.hear(patience(30)) or "0 -1").split())
        assert wrong == 0
        return calls

    def account(self) -> tuple[int, int]:
        """(entered, left), by all threads, alive or not."""
        with self.accounts.open("rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ) as memory:
            pairs = [struct.unpack_from("=qq", memory, 64 * number) for number in range(THREADS)]
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)

    def code_is_original(self) -> bool:
        """Whether the code in its memory is the file's: no breakpoint is left."""
        file = self.path.read_bytes()
        mapped = next(m for m in procfs.maps(self.pid) if m.path == str(self.path) and m.executable)
        size = min(mapped.end - mapped.start, len(file) - mapped.offset)
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(mapped.start)
            return memory.read(size) == file[mapped.offset : mapped.offset + size]

    def close(self) -> None:
        if self.child.process.poll() is None:
            self.child.process.kill()
        self.child.process.wait()


@pytest.fixture
def load(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Load]:
    """The target, compiled as the test's parameter says."""
    made = Load(tmp_path, request.node.callspec.params["build"])
    yield made
    made.close()


@ways
def test_attaching_and_detaching_again_and_again_leaves_no_trace(
    load: Load, build: str, wish: str, agent: Agent
) -> None:
    """200 times under load (20 where returns are not touched): right results, unchanged code, and then every call counts."""
    load.start()
    times = scaled(200 if (build, wish) == ("O2", "auto") else 20, 5)
    returned = 0
    found = agent.plan(load.pid, wish=wish)
    for number in range(times):
        agent.backend.attach(found.target, found.plan)
        if number % 10 == 0:  # else at once, whether or not there was a call
            until(lambda: agent.backend.snapshot().series[0].returned > 0, "a call returns", every=0.002)
        (values,) = agent.backend.detach(found.target.id).series
        assert (values.in_flight, values.missed, values.untimed) == (0, 0, 0)
        assert values.abandoned <= THREADS
        returned += values.returned
    calls = load.stop()
    assert 0 < returned < calls
    assert load.code_is_original()
    outcome = Outcome()
    with agent.measuring(load.pid, outcome, wish=wish):
        assert not load.code_is_original()
        load.start()
        until(lambda: load.account()[0] > calls, "a call is made")
        assert load.stop() > calls
    (values,) = outcome.values.values()
    assert (values.returned, entries(values)) == (load.account()[0] - calls, load.account()[0] - calls)
    assert load.child.end(patience(30)) == "status 7"


@ways
def test_a_killed_target_leaves_every_call_accounted_for(load: Load, build: str, wish: str, agent: Agent) -> None:
    """SIGKILL under load: what was entered is returned or abandoned, as the memory that survives it says."""
    outcome = Outcome()
    with agent.measuring(load.pid, outcome, wish=wish) as snapshot:
        load.start()
        until(lambda: snapshot().series[0].returned > 1000, "calls are counted")
        load.child.process.kill()
        assert load.child.end(patience(30)) == "SIGKILL"
    (values,) = outcome.values.values()
    entered, left = load.account()
    assert entered - left <= THREADS
    assert left <= values.returned <= entries(values) <= entered
    assert (values.in_flight, values.missed, values.orphan_ends) == (0, 0, 0)


def counted(process: AgentProcess, pid: int) -> float:
    """Calls of this process at the command's endpoint, whatever their outcome."""
    return process.scrape().total("jitterbuffer_calls_total", pid=pid, function="jitterbuffer_put")


@pytest.mark.parametrize("build", ["O2"])
def test_a_killed_agent_leaves_nothing_behind_and_another_goes_on(load: Load, build: str, tmp_path: Path) -> None:
    """`otel-jb run` dies by SIGKILL under load: the target goes on with its own code, and the next agent counts every call."""
    arguments = ("--pid", str(load.pid), "--overhead-budget", "off", "--slow-threshold", "off")
    load.start()
    first = AgentProcess(tmp_path, *arguments)
    try:
        first.wait_until_ready()
        until(lambda: counted(first, load.pid) > 1000, "calls are counted")
        assert not load.code_is_original()
    finally:
        first.kill()
    until(load.code_is_original, "the kernel has removed the probes")
    before = load.account()[1]
    until(lambda: load.account()[1] > before, "the target goes on")
    with running_agent(tmp_path, *arguments) as second:
        until(lambda: counted(second, load.pid) > 1000, "calls are counted again")
        calls = load.stop()
        earlier = second.settled(load.pid).total("jitterbuffer_calls_total", pid=load.pid)
        load.start()
        until(lambda: load.account()[0] > calls, "it is called again")
        again = load.stop()
        settled = second.settled(load.pid).total("jitterbuffer_calls_total", pid=load.pid)
        assert settled - earlier == again - calls > 0
    assert load.code_is_original()
    assert load.child.end(patience(30)) == "status 7"
