# SPDX-License-Identifier: Apache-2.0
"""Libraries that can switch stacks are loaded while four threads call all the time: every count is right, at every read."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from platform import machine

import pytest

from otel_jb.config.model import Config, LinkKind, Overhead, TargetSelector
from otel_jb.config.yamlfile import Duration
from otel_jb.model.stream import Series
from otel_jb.planner import targets
from otel_jb.telemetry.state import SeriesView
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.test_agent import Running
from tests.bpf.test_counting import entries
from tests.e2e.agent_process import until
from tests.scale import scaled

pytestmark = pytest.mark.bpf

#: OTEL_JB_TEST_LOADS=1 is the whole of it: a thousand reads on a machine that is busy otherwise.
WHOLE = bool(os.environ.get("OTEL_JB_TEST_LOADS"))
LIBRARIES = 20
READS = 50 if WHOLE else scaled(6, 2)  #: after each
#: How the end of `put` is seen at first, and once libraries are loaded; on AArch64 `ret` costs less than a return probe from the start.
FIRST, AFTER = ("uretprobe", ("entry-only", "ret-sites")) if machine() == "x86_64" else ("ret-sites", ("ret-sites",))
FUNCTIONS = ("jitterbuffer_put", "jitterbuffer_get")
SWITCH = Path(__file__).parent / "hazards" / "programs" / "switch.S"
#: Signal handlers on stacks of their own: no return probe is left in a process that can have them.
SIGNALS = "#include <signal.h>\nint handle_elsewhere(const stack_t *stack) { return sigaltstack(stack, 0); }\n"


@pytest.fixture
def busy() -> Iterator[None]:
    """More programs that only compute than there are processors, in the whole run."""
    spin = [sys.executable, "-S", "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))] if WHOLE else []
    yield
    for each in processes:
        each.kill()
        each.wait()


class Counts:
    """What the program says of its own calls, by function."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(4096))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 4096)

    def _sums(self, at: int) -> dict[str, int]:
        words = struct.unpack("=512q", self._shared[:])
        return {name: sum(words[at + 8 * number : 64 : 16]) for number, name in enumerate(FUNCTIONS)}

    def begun(self) -> dict[str, int]:
        """Calls that were begun."""
        return self._sums(0)

    def over(self) -> dict[str, int]:
        """Calls that are over."""
        return self._sums(1)


def look(agent: Running, counts: Counts) -> dict[str, SeriesView]:
    """Read, and compare with what the program says before and after: no call is nowhere, none is there twice."""
    least = counts.over()
    agent.agent.read()
    (view,) = agent.agent.state.view().targets
    found = {each.series.function: each for each in view.series}
    most = counts.begun()
    for name in FUNCTIONS:
        values = found[name].values
        assert least[name] <= entries(values) - values.in_flight, (name, values)
        assert entries(values) <= most[name], (name, values)
        assert sum(values.buckets) == values.returned
        assert values.abandoned == values.missed == 0
    return found


@pytest.mark.parametrize("link", LINKS)
def test_libraries_that_can_switch_stacks_are_loaded_and_no_call_is_lost(
    compile_program: Compile,
    start: Callable[..., Child],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    busy: None,
    link: str,
) -> None:
    """Twenty of them, one after the other: at each of many reads the outcomes hold every call that is over, and none that was not begun; at
    the end they are the program's own counts. The return probe of a function is exchanged meanwhile, since the libraries forbid it.
    """
    monkeypatch.setattr(targets, "FIRST_LOOK_S", 0.0)
    path, made = tmp_path / "loads", tmp_path / "switch.so"
    shutil.copy(compile_program("loads.c", "-O1", "-fno-stack-protector", "-fcf-protection=none", "-ldl"), path)
    subprocess.run(["gcc", "-shared", "-o", made, SWITCH, "-x", "c", "-"], input=SIGNALS, text=True, check=True)
    counts = Counts(tmp_path / "counts")
    child = start(path, str(tmp_path / "counts"))
    selected = (TargetSelector(binary=str(path)),)
    # Nothing is shed: on a slow machine 10 000 calls a second are more than the budget.
    config = Config(targets=selected, listen=None, interval=Duration(10_000_000_000), overhead=Overhead(None))
    agent = Running(replace(config, link=LinkKind(link)))
    try:
        agent.wait(lambda: len(agent.of(Series)) >= len(FUNCTIONS), "the functions are measured")
        assert look(agent, counts)["jitterbuffer_put"].series.strategy == FIRST
        discovery = agent.agent._discovery
        assert discovery is not None
        child.say("go")
        until(lambda: min(counts.over().values()) > 0, "it calls")
        for number in range(LIBRARIES):
            copy = tmp_path / f"library-{number}.so"
            shutil.copy(made, copy)
            assert child.ask(str(copy)) == "loaded"
            discovery.tell([], {})  # so that the process is looked at again at once
            for _ in range(READS):
                look(agent, counts)
        until(
            lambda: look(agent, counts)["jitterbuffer_put"].series.strategy in AFTER, "it has no return probe any more"
        )
        assert child.close() == 0
        last = look(agent, counts)
        assert counts.begun() == counts.over()
        found = {name: each.values.returned + each.values.untimed for name, each in last.items()}
        assert found == counts.over()
    finally:
        agent.close()
