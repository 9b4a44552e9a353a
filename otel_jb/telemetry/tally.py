# SPDX-License-Identifier: Apache-2.0
"""Counts the agent's own losses and failures; any thread may add, and `selfmetrics` reads."""

from __future__ import annotations

import threading

from otel_jb.model.instruments import Instrument
from otel_jb.telemetry.metrics import Attributes


class Tally:
    """Monotonic counters by instrument and attributes; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Instrument, dict[Attributes, int]] = {}

    def add(self, instrument: Instrument, count: int = 1, **attributes: str) -> None:
        """Add to one counter; double underscores in attribute names stand for dots."""
        key = tuple((name.replace("__", "."), value) for name, value in sorted(attributes.items()))
        with self._lock:
            counts = self._counts.setdefault(instrument, {})
            counts[key] = counts.get(key, 0) + count

    def read(self, instrument: Instrument) -> tuple[tuple[Attributes, int], ...]:
        """The counters of one instrument."""
        with self._lock:
            return tuple(self._counts.get(instrument, {}).items())

    def total(self, instrument: Instrument) -> int:
        """Sum of the counters of one instrument."""
        return sum(count for _, count in self.read(instrument))
