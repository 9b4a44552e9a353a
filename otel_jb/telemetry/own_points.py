# SPDX-License-Identifier: Apache-2.0
"""The agent's own metrics as the SDK's data classes, for one receiver.

The SDK's instruments would make the same of what they observe, but keep an aggregation of every probe for as long as the agent runs
(docs/adr/0205-own-metrics-without-the-sdk.md). Here nothing stays of a series that has no value any more.
"""

from __future__ import annotations

import time

from opentelemetry.sdk.metrics.export import Gauge, Metric, NumberDataPoint, Sum

from otel_jb.model.instruments import Instrument, Kind
from otel_jb.telemetry.metrics import Attributes, NumberPoint
from otel_jb.telemetry.sdk_points import Sent, Temporality, number_point
from otel_jb.telemetry.selfmetrics import Sources

_CUMULATIVE = Temporality("cumulative")


class OwnPoints:
    """Makes them, and knows what the receiver has.

    Args:
        observed: what each instrument observes.
        temporality: of counters; all else is cumulative, as the SDK has it.
    """

    def __init__(self, observed: Sources, temporality: Temporality) -> None:
        self._observed = observed
        self._temporality = temporality
        self._began_unix_nano = time.time_ns()
        self._made: dict[tuple[Instrument, Attributes], Sent] = {}
        self._sent: dict[tuple[Instrument, Attributes], Sent] = {}

    def metrics(self) -> list[Metric]:
        """Those that have a value now."""
        now, found = time.time_ns(), []
        self._made = {}
        for instrument, source in self._observed.items():
            temporality = self._temporality if instrument.kind is Kind.COUNTER else _CUMULATIVE
            points: list[NumberDataPoint] = []
            for each in source():
                attributes: Attributes = tuple(each.attributes.items())
                point = NumberPoint(attributes, self._began_unix_nano, now, each.value)
                made = number_point(instrument, point, self._sent.get((instrument, attributes)), temporality)
                if made is not None:
                    points.append(made)
                    self._made[instrument, attributes] = Sent(point)
            if points:
                data = (
                    Gauge(points)
                    if instrument.kind is Kind.GAUGE
                    else Sum(points, temporality.counter, is_monotonic=instrument.kind is Kind.COUNTER)
                )
                found.append(Metric(instrument.name, instrument.description, instrument.unit, data))
        return found

    def arrived(self) -> None:
        """The receiver has what was made last."""
        self._sent = self._made
