# SPDX-License-Identifier: Apache-2.0
"""No hazard hurts a target that is measured with the default choices, and every call of it is accounted for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.bpf.hazards.harness import BUILDS, HAZARDS, Agent, Harm, Hazard, Outcome, command, play
from tests.scale import patience

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(patience(120))]
Unprobed = Callable[[Hazard, str], Outcome]

cases = pytest.mark.parametrize(
    ("hazard", "build"), [(hazard, build) for hazard in HAZARDS for build in BUILDS], ids=str
)


@cases
def test_the_target_ends_as_it_does_unprobed_and_every_call_is_accounted_for(
    hazard: Hazard, build: str, agent: Agent, unprobed: Unprobed
) -> None:
    """Same status, same output; entries known to the program = returned + abandoned + missed + untimed + in flight."""
    reference = unprobed(hazard, build)
    assert reference.finished
    outcome = play(command(hazard, build), hazard.rounds, agent)
    assert (outcome.end, outcome.output) == (reference.end, reference.output), outcome.strategies
    assert outcome.complaints() == [], outcome.strategies
    assert sum(entered for entered, _ in outcome.calls.values()) >= hazard.rounds // 2


@pytest.mark.parametrize("hazard", HAZARDS, ids=str)
def test_the_same_holds_where_all_processes_of_the_file_share_the_links(
    hazard: Hazard, shared_agent: Agent, unprobed: Unprobed
) -> None:
    """Linked for the file and told apart in the kernel: same status, same output, every call accounted for."""
    reference = unprobed(hazard, "O2")
    outcome = play(command(hazard, "O2"), hazard.rounds, shared_agent)
    assert (outcome.end, outcome.output) == (reference.end, reference.output), outcome.strategies
    assert outcome.complaints() == [], outcome.strategies


def biting(harm: Harm) -> pytest.MarkDecorator:
    """The hazards that do such harm where return probes are forced."""
    return pytest.mark.parametrize("hazard", [hazard for hazard in HAZARDS if hazard.harm is harm], ids=str)


def forced(hazard: Hazard, agent: Agent, unprobed: Unprobed) -> tuple[Outcome, Outcome]:
    """The outcome with return probes by force, and without any."""
    reference = unprobed(hazard, "O2")
    limit = max(3.0, 50 * reference.seconds)
    outcome = play(command(hazard, "O2"), hazard.rounds, agent, limit, unsafe=True)
    assert "uretprobe" in outcome.strategies.values()
    return outcome, reference


@biting(Harm.KILLS)
def test_forced_return_probes_kill_or_hang_the_target(hazard: Hazard, agent: Agent, unprobed: Unprobed) -> None:
    """The suite bites: with --unsafe-uretprobe the same program dies, hangs or goes wrong, which one depends on the kernel."""
    outcome, reference = forced(hazard, agent, unprobed)
    assert (outcome.end, outcome.output) != (reference.end, reference.output)


@biting(Harm.LOSES)
def test_forced_return_probes_lose_returns(hazard: Hazard, agent: Agent, unprobed: Unprobed) -> None:
    """The suite bites: with --unsafe-uretprobe the program lives, but returns are not seen."""
    outcome, reference = forced(hazard, agent, unprobed)
    assert (outcome.end, outcome.output) == (reference.end, reference.output)
    assert outcome.complaints() != []


def test_the_error_path_is_in_a_cold_part(agent: Agent) -> None:
    """The compiler did move it, so the hazard is one."""
    path = command(next(h for h in HAZARDS if h.name == "cold"), "O2")[0]
    names = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    assert "jitterbuffer_put.cold" in names
