# SPDX-License-Identifier: Apache-2.0
"""The agent's own metrics as they go out by OTLP; the SDK's own instruments are the oracle."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, Metric
from opentelemetry.sdk.resources import Resource

from otel_jb.config.environment import read
from otel_jb.telemetry import selfmetrics
from otel_jb.telemetry.instruments import CPU_TIME, EVENTS_EMITTED, MEMORY_USAGE, OVERHEAD, SPANS_DROPPED
from otel_jb.telemetry.own_points import OwnPoints
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.sdk_points import Temporality
from otel_jb.telemetry.tally import Tally
from tests import telemetry_samples as samples
from tests.otlp_receiver import grpc_receiver

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
#: As the OTLP exporter asks for where the preference is `delta` (its `_get_temporality`).
PREFERRED = {
    "cumulative": {},
    "delta": {
        Counter: DELTA,
        Histogram: DELTA,
        ObservableCounter: DELTA,
        UpDownCounter: CUMULATIVE,
        ObservableUpDownCounter: CUMULATIVE,
        ObservableGauge: CUMULATIVE,
    },
}


def said(metrics: list[Metric]) -> dict[str, Any]:
    """Everything of each metric but the times."""
    return {
        metric.name: (
            metric.description,
            metric.unit,
            type(metric.data).__name__,
            getattr(metric.data, "is_monotonic", None),
            getattr(metric.data, "aggregation_temporality", None),
            {frozenset((point.attributes or {}).items()): point.value for point in metric.data.data_points},  # type: ignore[union-attr]
        )
        for metric in metrics
    }


@pytest.mark.parametrize("preference", PREFERRED)
def test_they_are_what_the_sdk_makes_of_the_same_observations(preference: str) -> None:
    """Over three exports, while counters grow and a counter appears: names, kinds, temporality, attributes and values."""
    tally = Tally()
    tally.add(SPANS_DROPPED, 3, signal="traces", error__type="queue_full")
    observed = dict(selfmetrics.sources(samples.state().view, tally, lambda: {1: 0.25}))
    for moving in (CPU_TIME, MEMORY_USAGE):  # between the two
        once = tuple(observed[moving]())
        observed[moving] = lambda once=once: once  # type: ignore[misc]
    reader = InMemoryMetricReader(preferred_temporality=PREFERRED[preference])  # type: ignore[arg-type]
    selfmetrics.register(MeterProvider([reader], Resource({})).get_meter("test"), observed)
    own = OwnPoints(observed, Temporality(preference))
    for added in ("queue_full", "timeout", "timeout"):
        data = reader.get_metrics_data()
        assert data is not None
        expected = said(list(data.resource_metrics[0].scope_metrics[0].metrics))
        assert said(own.metrics()) == expected
        assert OVERHEAD.name in expected
        assert expected[EVENTS_EMITTED.name][4] is (DELTA if preference == "delta" else CUMULATIVE)
        own.arrived()
        tally.add(SPANS_DROPPED, 2, signal="traces", error__type=added)


def test_a_delta_waits_for_a_receiver_that_is_down() -> None:
    """What was made but has not arrived is in what is made next."""
    tally = Tally()
    own = OwnPoints(selfmetrics.sources(samples.state().view, tally), Temporality("delta"))

    def dropped() -> Any:
        (*_, values) = said(own.metrics())[SPANS_DROPPED.name]
        return values[frozenset({("signal", "traces")})]

    tally.add(SPANS_DROPPED, 3, signal="traces")
    assert dropped() == 3
    tally.add(SPANS_DROPPED, 2, signal="traces")
    assert dropped() == 5
    own.arrived()
    tally.add(SPANS_DROPPED, 4, signal="traces")
    assert dropped() == 4


def test_nothing_stays_of_processes_that_are_gone() -> None:
    """A thousand processes that were each seen by one export leave no objects behind, on the way to a real receiver too."""
    now = {"overhead": 0}
    state = samples.state()
    with grpc_receiver() as receiver:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_TRACES_EXPORTER": "none"}
        telemetry = Telemetry(
            state, read(environ), targets=lambda: {("measured", f"of process {now['overhead']}"): 1}, host="h"
        )
        telemetry.start()
        counts = []
        for number in range(600):
            now["overhead"] = number
            telemetry.flush()
            receiver.metric_requests.clear()
            if number % 300 == 299:
                gc.collect()
                counts.append(len(gc.get_objects()))
        telemetry.shutdown(2.0)
    assert counts[1] - counts[0] < 300
