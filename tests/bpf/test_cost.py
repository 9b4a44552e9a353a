# SPDX-License-Identifier: Apache-2.0
"""What a probe costs, measured at start."""

from __future__ import annotations

import pytest

from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend

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
    assert all(1e-8 < costs[kind] < 1e-3 for kind in ("emulated", "stepped", "uretprobe"))
    assert 0 <= costs["cold"] < 1e-4
    assert costs["stepped"] > costs["emulated"]
