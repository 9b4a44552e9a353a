# SPDX-License-Identifier: Apache-2.0
"""What a probe costs, measured at start."""

from __future__ import annotations

import pytest

from otel_jb.probes import abi
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.scale import SCALE

pytestmark = pytest.mark.bpf


def test_each_kind_of_hit_has_a_cost() -> None:
    """Each kind is measured on this machine, in seconds; a stepped instruction costs more than an emulated one."""
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        costs = dict(backend.measure_cost().seconds_by_kind)
        assert backend.snapshot().series == ()
    finally:
        backend.close()
    assert set(costs) == {"emulated", "stepped", "uretprobe", "cold"}
    kinds = ("emulated", "stepped", "uretprobe")
    # Where a whole machine is emulated, a difference of two measurements may drown in their noise; it is then 0, which nobody plans with.
    low, high = (1e-8, 1e-3) if SCALE == 1 else (-1.0, 1.0)
    assert {kind: costs[kind] for kind in kinds if not low < costs[kind] < high} == {}
    assert 0 <= costs["cold"] < high
    assert SCALE != 1 or costs["stepped"] > costs["emulated"]


def test_what_is_measured_for_its_cost_is_never_slow() -> None:
    """Its calls leave no events, which would take the ring buffer's room from those of targets."""
    backend = BpfBackend(KernelOptions([1_000_000], event_rate=1e6, threshold_ns=lambda _: 1))
    try:
        backend.measure_cost()
        sizes = backend._ring.read(len)
    finally:
        backend.close()
    assert abi.EVENT_SIZE not in sizes
