# SPDX-License-Identifier: Apache-2.0
"""libre's buffer: what it is asked for while it has none, and how long frames stay in it, compared with a driver's own account."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.host import procfs
from otel_jb.model.stream import Series, Target
from otel_jb.planner.planner import Planner
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.e2e.agent_process import Conversation

pytestmark = pytest.mark.bpf

DRIVER = Path(__file__).parents[1] / "targets/libre_driver.py"


def test_underruns_and_residence_are_the_drivers_own() -> None:
    """Of the gets without a packet, those of an empty buffer are underruns, and those of one that fills are not; frames stay as long as the driver says."""
    with Conversation("/usr/bin/python3", DRIVER) as driver:
        with Inspector() as inspector:
            plan = Planner(Config(), inspector).plan_process(procfs.process(driver.pid), named=True)
        kernel = BpfBackend(KernelOptions([1_000_000]))
        try:
            target = Target(1, driver.pid, 0, "python3", "/usr/bin/python3", None, "python3", "x", 0)
            known = {each.id: each for each in kernel.attach(target, plan) if isinstance(each, Series)}
            driver.tell("run 3000")
            account = driver.answer()
            snapshot = kernel.snapshot()
        finally:
            kernel.close()
    found = {known[each.series].function: each for each in snapshot.series}
    assert min(account.values()) > 50
    assert {each.function for each in known.values() if each.has_underruns} == {"jbuf_get"}
    get = found["jbuf_get"]
    assert get.returned == account["get"]
    assert get.packets == account["packets"]
    assert dict(get.counts)["underruns"] == account["underruns"]
    assert get.no_packet == account["underruns"] + account["filling"]
    assert found["jbuf_put"].packets == account["put"]
    (residence,) = snapshot.residences
    assert sum(residence.buckets) == account["packets"]
    assert sum(count for _, count in residence.unmatched) == 0
    assert account["shortest_ns"] <= residence.sum_ns <= account["longest_ns"]
