# SPDX-License-Identifier: Apache-2.0
"""What the hazard tests share: one backend for all of them, and each program's outcome when nothing probes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

from tests.bpf.hazards.harness import Agent, Hazard, Outcome, command, play


@pytest.fixture(scope="package")
def agent() -> Iterator[Agent]:
    """The product, ready to attach."""
    made = Agent()
    yield made
    made.close()


@pytest.fixture(scope="package")
def shared_agent() -> Iterator[Agent]:
    """The same, with links that all processes of a file share."""
    made = Agent(alone=False)
    yield made
    made.close()


@pytest.fixture(scope="package")
def unprobed() -> Callable[[Hazard, str], Outcome]:
    """A hazard's outcome without probes, played once."""

    @functools.cache
    def reference(hazard: Hazard, build: str) -> Outcome:
        return play(command(hazard, build), hazard.rounds)

    return reference
