# SPDX-License-Identifier: Apache-2.0
"""SRS's receive history: thrown away where too many packets are missing, and asked for those."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, Conversation, agent, until

pytestmark = pytest.mark.e2e

GAPS = 100
FULL = {"function": "SrsRtpNackForReceiver::check_queue_size"}
ASKS = "SrsRtpNackForReceiver::get_nack_seqs"
#: By the build: who counts packets asked for again, and packets given up. An unoptimised one calls a function for each, which costs nothing without loss.
WHO = {"-O0": (f"{ASKS} [calling add_lost_sn]", f"{ASKS} [calling notify_drop_seq]"), "-O2": (ASKS, ASKS)}


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
def test_each_history_that_is_thrown_away_is_a_reset(tmp_path: Path, optimisation: str) -> None:
    """Of the gaps, those that make the list too long are counted, as the program counts them, though what throws the history away is inlined;
    and each packet of each request for missing ones, and each that is given up, the same in both builds."""
    built = tmp_path / "srs_history"
    subprocess.run(["g++", "-g", optimisation, "-o", built, TARGETS / "srs_history.cc"], check=True)
    with Conversation(built) as program, agent(tmp_path, "--pid", str(program.pid)) as measuring:
        account = program.ask(f"run {GAPS}")
        until(
            lambda: measuring.scrape().value("jitterbuffer_calls_total", outcome="returned", **FULL) == GAPS,
            "every gap is counted",
        )
        until(
            lambda: measuring.scrape().total("jitterbuffer_requested_packets_total") == account["requested"],
            "every packet of every request is counted",
        )
        scraped = measuring.scrape()
    assert account["resets"] == GAPS // 3
    counted = {
        (series["function"], name): value
        for name in ("requested", "unrecovered")
        for series, value in scraped.find(f"jitterbuffer_{name}_packets_total")
    }
    asks, gives_up = WHO[optimisation]
    assert counted == {
        (asks, "requested"): account["requested"],
        (gives_up, "unrecovered"): account["unrecovered"],
    }
    assert account["requested"] > account["unrecovered"] > 0
    assert scraped.value("jitterbuffer_resets_total", **FULL) == account["resets"]
