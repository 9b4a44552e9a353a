# SPDX-License-Identifier: Apache-2.0
"""The overhead budget of the real agent on the SRS-like server under load: kept within a minute, and returned when the load falls."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent, until

#: Rounds a second, words of the server's own work in each, and how often each calls the least telling function.
ROUNDS, WORK, SPARE = 1_000, 4_000, 60
PUT, GET, DECODE = "SrsRtpJitterBuffer::put", "SrsRtpJitterBuffer::get", "SrsRtpPacket::decode"
GET_TIME = "SrsRtpJitterBuffer::get_time"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("budget") / "srs_like"
    subprocess.run(["g++", "-O2", "-pthread", "-o", path, TARGETS / "srs_like.cc"], check=True)
    return path


@contextmanager
def loaded(server: Conversation, rounds: int, seconds: int) -> Iterator[threading.Thread]:
    """The server under load meanwhile; it has ended afterwards."""
    load = threading.Thread(target=server.ask, args=(f"serve {rounds} {seconds} {WORK} {SPARE}",))
    load.start()
    try:
        yield load
    finally:
        load.join()


def states(measuring: AgentProcess) -> dict[str, float]:
    """How many probes are in which state."""
    found: dict[str, float] = {}
    for labels, value in measuring.scrape().find("otel_jb_probes"):
        found[labels["state"]] = found.get(labels["state"], 0.0) + value
    return found


def calls(measuring: AgentProcess, pid: int) -> float:
    """Of `put`, as the agent counts them."""
    return measuring.scrape().total("jitterbuffer_calls_total", pid=pid, function=PUT, outcome="returned")


def decisions(measuring: AgentProcess, what: str) -> list[str]:
    return [line for line in measuring.log().splitlines() if f" {what} of " in line or line.startswith(f"{what} of ")]


def test_a_budget_sheds_the_least_telling_function_once_and_returns_it(program: Path, tmp_path: Path) -> None:
    """Sixty calls of a getter a packet exceed 2 %: within a minute it goes, it alone, by one line; at a tenth of the load it comes back."""
    with (
        Conversation(program) as server,
        agent(tmp_path, "--pid", str(server.pid), "--overhead-budget", "2%", "--interval", "1s") as measuring,
    ):
        until(lambda: measuring.scrape().find("otel_jb_probe_cost_seconds"), "the cost of a hit", timeout=30)
        with loaded(server, ROUNDS, 40):
            until(lambda: decisions(measuring, "detached"), "the governor sheds", timeout=40, every=0.5)
            puts = calls(measuring, server.pid)
            until(lambda: calls(measuring, server.pid) > puts + ROUNDS, "the others count on", timeout=20, every=0.5)
        (line,) = decisions(measuring, "detached")
        assert GET_TIME in line
        assert not any(f"{name} (" in line for name in (PUT, GET, DECODE))
        assert re.search(r"\(\d+\.\d%\); overhead budget: .* 2\.0% is the limit", line)
        with loaded(server, ROUNDS // 10, 45):
            until(lambda: decisions(measuring, "attached again"), "it comes back", timeout=45, every=0.5)
        (back,) = decisions(measuring, "attached again")
        assert GET_TIME in back
        assert "the load has fallen" in back
        assert states(measuring).get("shed", 0) == 0
