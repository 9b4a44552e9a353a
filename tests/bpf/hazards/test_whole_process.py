"""Return probes that rest on what holds of a whole process, and what becomes of them when that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.planner.planner import Planner, kernel_facts
from tests.bpf.hazards.harness import Agent, Child, compiled
from tests.e2e.agent_process import AgentProcess, until
from tests.e2e.agent_process import agent as running_agent
from tests.scale import patience, scaled

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(patience(120))]

CALLS = scaled(1000, 200)
FUNCTION = "jitterbuffer_put"
#: Without session links a process that can load libraries keeps its probes on `ret`, whatever else is known of it.
SESSIONS = kernel_facts().sessions


def start(*arguments: str) -> Child:
    """The program that loads a stack switch late."""
    library = compiled("switch.S", "-shared", "-fPIC", "-O2")
    child = Child([str(compiled("late.c", "-O2", *arguments)), "late", str(library)])
    assert child.hear(patience(30)) == "ready"
    return child


def talk(child: Child, calls: int, limit_s: float) -> list[str]:
    """What the program says of its next play."""
    heard = []
    child.say(str(calls))
    while (line := child.hear(limit_s)) is not None:
        heard.append(line)
        if line == "done":
            break
    return heard


def total(process: AgentProcess, outcome: str) -> float:
    return process.scrape().total("jitterbuffer_calls_total", function=FUNCTION, outcome=outcome)


def totals(process: AgentProcess) -> dict[str, float]:
    return {outcome: total(process, outcome) for outcome in ("returned", "abandoned", "missed", "untimed")}


def has_strategy(process: AgentProcess, strategy: EndStrategy) -> bool:
    return process.scrape().total("otel_jb_probes", state="attached", strategy=strategy.value) == 1


def test_a_library_that_switches_stacks_closes_the_gate_before_it_runs(tmp_path: Path) -> None:
    """A call through a pointer gets a return probe where nothing in the process can switch stacks. A library that can is loaded and used
    within the same microseconds: the program is unharmed, each of its calls is counted, and it is planned anew.
    """
    child = start()
    before = EndStrategy.URETPROBE if SESSIONS else EndStrategy.RET_SITES
    with running_agent(tmp_path, "--pid", str(child.pid)) as process:
        until(lambda: has_strategy(process, before), f"{FUNCTION} measured by {before.value}")
        assert talk(child, CALLS, patience(30))[-1] == "done"
        until(lambda: total(process, "returned") == CALLS, f"{CALLS} calls returned")
        assert talk(child, CALLS, patience(30))[-1] == "done"  # two coroutines, so twice as many
        until(lambda: has_strategy(process, EndStrategy.RET_SITES), "the plan without return probes")
        until(lambda: sum(totals(process).values()) == 3 * CALLS, "every call is counted")
        outcomes = totals(process)
        assert outcomes["abandoned"] == outcomes["missed"] == 0
        assert outcomes["untimed"] == (2 * CALLS if SESSIONS else 0)
        assert talk(child, CALLS, patience(30))[-1] == "done"
        until(lambda: total(process, "returned") == outcomes["returned"] + 2 * CALLS, "calls that are timed again")
        assert child.end(patience(30)) == "status 7"


def test_without_the_gate_the_same_library_kills_the_program(tmp_path: Path) -> None:
    """The test above bites: a return probe that is there by force kills, hangs or spoils the program."""
    child = start()
    with running_agent(tmp_path, "--pid", str(child.pid), "--unsafe-uretprobe", "*") as process:
        until(lambda: has_strategy(process, EndStrategy.URETPROBE), "a return probe by force")
        assert talk(child, CALLS, patience(30))[-1] == "done"
        assert talk(child, CALLS, patience(3))[-1:] != ["done"]
        assert child.end(patience(3)) != "status 7"


def plan_of(child: Child, agent: Agent) -> ProbePlan:
    """What is planned for a program once all of its files were read."""
    process = procfs.process(child.pid)
    config = Config(targets=(TargetSelector(pid=child.pid),))
    planner = Planner(config, agent.inspector)
    return planner.plan_patiently(planner.examine_process(process), process)


@pytest.mark.parametrize(
    ("flags", "strategy", "reason"),
    [
        (("-DCANNOT_LOAD",), "uretprobe", "no code of the process can switch stacks or throw"),
        (("-DCANNOT_LOAD", "-DSWITCHES"), "ret-sites", "through a pointer"),
        (("-DCANNOT_LOAD", "-DENDS_THREADS"), "ret-sites", "through a pointer"),
    ],
    ids=["nothing", "an import that switches", "an import that unwinds"],
)
def test_what_any_file_of_the_process_can_do_decides(
    agent: Agent, flags: tuple[str, ...], strategy: str, reason: str
) -> None:
    """One import anywhere in the process is enough to keep return probes out; where nothing can be loaded no gate is needed."""
    child = start(*flags)
    plan = plan_of(child, agent)
    child.end(patience(30))
    (probe,) = plan.probes
    assert probe.strategy.value == strategy
    assert reason in probe.reason
    assert not probe.gated
    assert plan.load_hook is None
