# SPDX-License-Identifier: Apache-2.0
"""A C++ program that times each of its calls itself, from both sides of the probe: the agent must agree with it."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, Exposition, agent, run_command, until

pytestmark = pytest.mark.e2e

FUNCTIONS = (
    "SrsRtpPacket::decode",
    "SrsRtpJitterBuffer::put",
    "SrsRtpJitterBuffer::get",
    "SrsRtpJitterBuffer::get_time",
)
BOUNDS_US = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6)
#: The governor would take probes of so busy a program away again.
EVERY_CALL = ("--overhead-budget", "off")
#: What a probed call may take longer than an unprobed one, measured on this machine at start, is published as this.
COST = "otel_jb_probe_cost_seconds"


@pytest.fixture(params=["-O0", "-O2"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The program, built without and with optimisation."""
    built = tmp_path / "srs_like"
    source = TARGETS / "srs_like.cc"
    subprocess.run(["g++", request.param, "-g", "-Wall", "-Werror", "-pthread", "-o", built, source], check=True)
    return built


class ReadsEvery100Ms(threading.Thread):
    """Scrapes ten times a second for as long as the block lasts; counters must never go down."""

    def __init__(self, measuring: AgentProcess, pid: int) -> None:
        super().__init__(daemon=True)
        self._measuring, self._pid = measuring, pid
        self._ended = threading.Event()
        self.counts: list[float] = []

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            scraped = self._measuring.scrape()
            self.counts.append(scraped.total("jitterbuffer_delay_seconds_count", pid=self._pid))


def test_sixteen_threads_and_1_6_million_calls_are_counted_exactly(program: Path, tmp_path: Path) -> None:
    """While the agent is read every 100 ms: counts exact, each bucket within what the program's two clocks allow."""
    ends = strategies(program)
    with Conversation(program) as server, agent(tmp_path, *EVERY_CALL, "--pid", str(server.pid)) as measuring:
        # It is measured after the first probe, and takes long where sixteen threads are busy meanwhile.
        until(lambda: list(measuring.scrape().find(COST)), "what a call costs is published")
        reader = ReadsEvery100Ms(measuring, server.pid)
        with reader:
            # Seven of eight calls are the bodies alone, the rest land in the middle of buckets.
            account = server.ask("run 16 100000 0 0 0 0 0 0 0 1700")["functions"]
        scraped = measuring.settled(server.pid)
    assert sum(account[function]["calls"] for function in FUNCTIONS) == 1_600_000
    assert reader.counts == sorted(reader.counts)
    assert reader.counts
    for function in FUNCTIONS:
        check_counts(scraped, server.pid, function, account[function])
        check_buckets(scraped, server.pid, function, account[function])
        check_sum(scraped, server.pid, function, account[function], ends[function])


def test_calls_away_from_a_boundary_are_in_the_programs_own_buckets(program: Path, tmp_path: Path) -> None:
    """Calls at least 20 µs away from every boundary: the agent's buckets equal the program's, one by one."""
    with Conversation(program) as server, agent(tmp_path, *EVERY_CALL, "--pid", str(server.pid)) as measuring:
        account = server.ask("run 1 1600 0 175000 375000 750000 1700000 3700000 7500000 0")["functions"]
        scraped = measuring.settled(server.pid)
    for function in FUNCTIONS:
        own = account[function]
        check_counts(scraped, server.pid, function, own)
        check_buckets(scraped, server.pid, function, own)
        assert own["calls"] == 400
        # Six of eight were made to be far from any bound; a busy machine moves some of them, and holds some in between.
        assert own["far_calls"] >= 200
        assert own["far_unsure"] * 10 <= own["far_calls"]
        counted = buckets(scraped, server.pid, function)
        certain = [number for number, maybe in enumerate(own["maybe"]) if own["far"][number] and not maybe]
        assert certain
        assert [counted[number] for number in certain] == [own["sure"][number] for number in certain]


def check_counts(scraped: Exposition, pid: int, function: str, own: dict[str, Any]) -> None:
    """Every call is there once, returned; nothing is abandoned or missed."""
    where = {"pid": pid, "function": function}
    assert scraped.value("jitterbuffer_calls_total", outcome="returned", **where) == own["calls"]
    assert scraped.value("jitterbuffer_calls_total", outcome="abandoned", **where) == 0
    assert scraped.value("jitterbuffer_calls_total", outcome="missed", **where) == 0
    assert scraped.value("jitterbuffer_delay_seconds_count", **where) == own["calls"]


def buckets(scraped: Exposition, pid: int, function: str) -> list[int]:
    """Calls by bucket, not cumulative."""
    cumulative = scraped.buckets("jitterbuffer_delay_seconds", pid=pid, function=function)
    bounds = [bound * 1e6 for bound in sorted(cumulative)[:-1]]
    assert bounds == pytest.approx(list(BOUNDS_US))
    counts = [int(cumulative[bound]) for bound in sorted(cumulative)]
    return [count - before for count, before in zip(counts, [0, *counts], strict=False)]


def check_buckets(scraped: Exposition, pid: int, function: str, own: dict[str, Any]) -> None:
    """A bucket holds the calls that can only be in it, and at most those that may be in it besides."""
    for counted, sure, maybe in zip(buckets(scraped, pid, function), own["sure"], own["maybe"], strict=True):
        assert sure <= counted <= sure + maybe


def check_sum(scraped: Exposition, pid: int, function: str, own: dict[str, Any], strategy: str) -> None:
    """The agent's total lies between the program's two, and exceeds the inner by at most the published cost of its calls."""
    total = scraped.value("jitterbuffer_delay_seconds_sum", pid=pid, function=function)
    assert total is not None
    assert own["inner_sum_ns"] / 1e9 <= total <= own["outer_sum_ns"] / 1e9
    # Where the scheduler stopped the thread between a clock and the probe, that time is none of the probe's.
    excess = total - own["inner_sum_ns"] / 1e9 - own["held_ns"] / 1e9
    assert excess <= own["calls"] * cost_of_a_call(scraped, strategy)


def cost_of_a_call(scraped: Exposition, strategy: str) -> float:
    """Seconds that an entry and an end cost on this machine, as the agent measured and published at its start."""
    cost = {labels["kind"]: value for labels, value in scraped.find(COST)}
    return cost["emulated"] + cost[{"edge-sites": "emulated", "ret-sites": "stepped"}.get(strategy, strategy)]


def strategies(program: Path) -> dict[str, str]:
    """How the agent sees the end of each function's calls."""
    found = json.loads(run_command("discover", "--json", str(program)).stdout)
    return {each["function"]: each["strategy"] for each in found["targets"][0]["functions"]}
