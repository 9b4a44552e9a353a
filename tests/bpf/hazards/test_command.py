# SPDX-License-Identifier: Apache-2.0
"""The command itself, `otel-jb run --pid`, on hazards: what it chooses by default, and what it does when forced to be unsafe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bpf.hazards.harness import HAZARDS, Child, Hazard, Outcome, command
from tests.e2e.agent_process import AgentProcess, until
from tests.e2e.agent_process import agent as running_agent
from tests.scale import patience

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(patience(120))]

some = pytest.mark.parametrize(
    "hazard", [h for h in HAZARDS if h.name in {"ucontext-up-outside", "exception-nested"}], ids=str
)


def start(arguments: list[str]) -> Child:
    child = Child(arguments)
    assert child.hear(patience(30)) == "ready"
    return child


def total(process: AgentProcess, pid: int, function: str, outcome: str) -> float:
    """Calls of a function with this outcome, as /metrics tells."""
    return process.scrape().total("jitterbuffer_calls_total", pid=pid, function=function, outcome=outcome)


def agree(told: Callable[[str], float], returned: int) -> bool:
    return told("returned") == returned


def talk(child: Child, rounds: int, limit_s: float) -> Outcome:
    outcome = Outcome()
    child.say(str(rounds))
    while (line := child.hear(limit_s)) is not None:
        outcome.output.append(line)
        if line == "done":
            break
    return outcome


@some
def test_a_target_of_the_command_is_unharmed_and_its_calls_are_in_the_exposition(
    hazard: Hazard, tmp_path: Path
) -> None:
    """Each function's calls on /metrics, by outcome, are the entries that the program knows; it ends as it would anyway."""
    child = start(command(hazard, "O2"))
    with running_agent(tmp_path, "--pid", str(child.pid)) as process:
        outcome = talk(child, hazard.rounds, patience(30))
        assert outcome.finished
        for function, (entered, returned) in outcome.calls.items():
            told = functools.partial(total, process, child.pid, function)
            until(functools.partial(agree, told, returned), f"{returned} returned calls of {function}")
            # The last one that threw is open until its frame is used again.
            assert entered - returned - told("abandoned") in {0, 1}
        assert child.end(patience(30)) == "status 7"


@some
def test_a_target_of_the_command_dies_where_return_probes_are_forced(hazard: Hazard, tmp_path: Path) -> None:
    """--unsafe-uretprobe does what its help says; the agent itself goes on and stops with 0."""
    child = start(command(hazard, "O2"))
    with running_agent(tmp_path, "--pid", str(child.pid), "--unsafe-uretprobe", "*"):
        outcome = talk(child, hazard.rounds, patience(3))
        assert not outcome.finished
        assert child.end(patience(3)) in {"SIGILL", "SIGABRT", "SIGSEGV", "SIGBUS", "hung"}
