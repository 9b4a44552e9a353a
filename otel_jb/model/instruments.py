# SPDX-License-Identifier: Apache-2.0
"""What a metric is, before any wire format: its name, kind, unit and meaning."""

from __future__ import annotations

from enum import Enum

from otel_jb.model.dataclass import dataclass


class Kind(Enum):
    """Kinds of instruments."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "updowncounter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. `prometheus` is the full name of its samples (of a histogram: without `_bucket`, `_sum`, `_count`)."""

    name: str
    kind: Kind
    unit: str
    prometheus: str
    description: str
