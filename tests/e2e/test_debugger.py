# SPDX-License-Identifier: Apache-2.0
"""A real gdb on a measured process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bpf.conftest import PROGRAMS, Child
from tests.e2e.agent_process import AgentProcess, agent, until
from tests.scale import patience

pytestmark = pytest.mark.e2e

FUNCTION = "jitterbuffer_put"


def probes(running: AgentProcess, state: str) -> float:
    return running.scrape().total("otel_jb_probes", state=state)


def returned(running: AgentProcess, child: Child) -> float | None:
    return running.scrape().value("jitterbuffer_calls_total", pid=child.pid, function=FUNCTION, outcome="returned")


def test_probes_give_way_to_a_debugger_and_come_back(tmp_path: Path) -> None:
    """While gdb is attached its breakpoint on a measured function stops the process; once it has left, calls are counted on."""
    program = tmp_path / "own_text"
    subprocess.run(["gcc", "-O2", "-o", program, PROGRAMS / "own_text.c"], check=True, timeout=patience(60))
    child = Child(program)
    told = tmp_path / "told"
    with agent(tmp_path, "--pid", str(child.pid), "--function", FUNCTION) as running:
        assert child.ask("call 10") == "10 0"
        until(lambda: returned(running, child) == 10, "the calls before")
        steps = (f"shell until [ -e {told} ]; do sleep 0.1; done", f"break {FUNCTION}", "continue", "delete", "detach")
        with subprocess.Popen(
            ["gdb", "-nx", "-q", "-batch", "-p", str(child.pid), *(word for step in steps for word in ("-ex", step))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as debugger:
            try:
                until(lambda: probes(running, "shed") == 1, "the probe gives way", 60)
                assert f"gdb (process {debugger.pid}) is attached" in running.log()
                child.say("call 10")
                told.touch()
                said, _ = debugger.communicate(timeout=patience(60))
            finally:
                debugger.kill()
        assert "Breakpoint 1, 0x" in said, said
        assert child.hear() == "10 0"
        until(lambda: probes(running, "attached") == 1, "the probe is back", 60)
        assert "the debugger has left" in running.log()
        assert child.ask("call 10") == "10 0"
        until(lambda: (returned(running, child) or 0) >= 20, "the calls afterwards")
        assert returned(running, child) == 20
    child.close()
