# SPDX-License-Identifier: Apache-2.0
"""The exemplars of each function's delay buckets: slow calls whose spans were sampled and accepted by the queue."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable

from otel_jb.telemetry.metrics import Exemplar

_SWEEP_AT = 4096


class ExemplarStore:
    """Keeps the latest exemplar of each series and bucket; thread-safe.

    One stays until a later one of its bucket comes, so a reader sees it in its next interval at the latest. Prometheus takes each once
    however often it sees it; for OTLP see `sdk_points`.

    Args:
        bounds_ns: the explicit boundaries, inclusive; also used where OTLP sends exponential histograms.
        known: whether a series still exists; those that do not are forgotten.
    """

    def __init__(self, bounds_ns: tuple[int, ...], known: Callable[[int], bool] = lambda _: True) -> None:
        self._bounds_ns = bounds_ns
        self._known = known
        self._lock = threading.Lock()
        self._latest: dict[int, dict[int, Exemplar]] = {}
        self._sweep_at = _SWEEP_AT

    def add(self, exemplars: Iterable[tuple[int, Exemplar]]) -> None:
        """Remember exemplars, each of a series by its id, unless a later call of the same bucket is there already."""
        with self._lock:
            for series_id, exemplar in exemplars:
                bucket = bisect_left(self._bounds_ns, exemplar.value_ns)
                buckets = self._latest.get(series_id)
                if buckets is None:
                    if len(self._latest) >= self._sweep_at:
                        self._latest = {key: found for key, found in self._latest.items() if self._known(key)}
                        self._sweep_at = max(_SWEEP_AT, 2 * len(self._latest))
                    buckets = self._latest[series_id] = {}
                present = buckets.get(bucket)
                if present is None or present.time_unix_nano <= exemplar.time_unix_nano:
                    buckets[bucket] = exemplar

    def latest(self, series_id: int) -> tuple[Exemplar, ...]:
        """The exemplars of a series: at most one a bucket."""
        with self._lock:
            return tuple(self._latest.get(series_id, {}).values())
