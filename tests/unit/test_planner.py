"""From a process to a plan: what is read for it, and when more is asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.host import procfs
from otel_jb.host.procfs import Process
from otel_jb.planner import evidence
from otel_jb.planner.planner import Planner, kernel_facts
from otel_jb.sandbox.client import Inspector

SOURCE = """
#include <stdio.h>
int (*volatile chosen)(int) = 0;
int plain(int a) { return a + 1; }
__attribute__((noipa)) int jitterbuffer_put(int a) { int b = chosen(a); return b * 3; }
int main(void) { chosen = plain; puts("ready"); fflush(stdout); getchar(); return jitterbuffer_put(1); }
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A process with a function that calls through a pointer, and nothing that could switch stacks."""
    path = tmp_path / "server"
    subprocess.run(["gcc", "-O2", "-o", path, "-x", "c", "-"], input=SOURCE, text=True, check=True, capture_output=True)
    child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    yield procfs.process(child.pid)
    child.stdin.close()
    child.stdout.close()
    child.wait(10)


@pytest.fixture
def planner() -> Iterator[Planner]:
    with Inspector() as inspector:
        yield Planner(Config(), inspector)


def strategy(planner: Planner, process: Process) -> str:
    (probe,) = planner.plan_process(process, named=True).probes
    return probe.strategy.value


def test_what_would_help_is_asked_for_and_used_once_it_is_known(planner: Planner, process: Process) -> None:
    """The first plan does not wait; after the files were read the next one is cheaper, and nothing more is wanted."""
    assert strategy(planner, process) == "ret-sites"
    assert list(planner.wishes) == [process]
    planner.gather(process)
    assert strategy(planner, process) == "uretprobe"
    assert not planner.wishes


def test_what_cannot_be_found_out_is_not_asked_for_again(
    planner: Planner, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with more code than is ever read keeps its plan, and nobody reads its files again and again."""
    monkeypatch.setattr(evidence, "MOST_CODE_BYTES", 0)
    assert strategy(planner, process) == "ret-sites"
    planner.gather(process)
    assert strategy(planner, process) == "ret-sites"
    assert not planner.wishes


def test_a_plan_waits_no_longer_than_it_is_told(planner: Planner, process: Process) -> None:
    """Whoever asks for a plan alone waits for what it depends on, but not for ever."""
    examined = planner.examine_process(process)
    assert planner.plan_patiently(examined, process, seconds=0.0).probes[0].strategy.value == "ret-sites"


def test_probes_by_perf_events_know_no_sessions() -> None:
    """`--link perf` plans as for a kernel without multi links."""
    facts = kernel_facts(perf=True)
    assert (facts.multi_links, facts.sessions) == (False, False)
