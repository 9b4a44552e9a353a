# SPDX-License-Identifier: Apache-2.0
"""Puts the parts together: state in, Prometheus page and OTLP out.

The agent holds one `Telemetry`. Make it after everything that forks (gRPC and forks do not go together), call `start()` once, and
`shutdown()` before the BPF side is cleaned up.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import otel_jb
from otel_jb.config.environment import OtelSettings
from otel_jb.model.stream import Series, SlowCall, Target
from otel_jb.telemetry.clock import WallClock
from otel_jb.telemetry.exemplars import ExemplarStore
from otel_jb.telemetry.histogram import DEFAULT_SHAPE, HistogramShape
from otel_jb.telemetry.instruments import (
    BUILD_INFO,
    EXPORT_FAILURES,
    EXPORT_REJECTED,
    POINTS_LEFT_OUT,
    SELF_SCOPE,
    SPANS_DROPPED,
)
from otel_jb.telemetry.metrics import ExemplarSource
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

    from otel_jb.telemetry.kept_calls import KeptCalls
    from otel_jb.telemetry.metrics import LeftOut
    from otel_jb.telemetry.nesting import SameStack
    from otel_jb.telemetry.outcome import Failure
    from otel_jb.telemetry.prometheus import MetricsPage
    from otel_jb.telemetry.selfmetrics import Sources
    from otel_jb.telemetry.span_queue import SpanQueue
    from otel_jb.telemetry.spans import Around, SpanMaker

_logger = logging.getLogger(__name__)


def agent_resource(settings: OtelSettings, host: str | None = None, reader: int | None = None) -> dict[str, str | int]:
    """The agent's own resource: what the environment names it, and what only this process knows.

    Args:
        settings: the environment's wishes.
        host: its name, as configured.
        reader: the process that measures, where it is not this one.
    """
    return {
        "service.version": otel_jb.__version__,
        "service.instance.id": str(uuid.uuid4()),
        "host.name": host or platform.node(),
        "process.pid": reader or os.getpid(),
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        **settings.agent_resource(),
    }


class Telemetry:
    """The exporters over one state.

    Args:
        state: what is exported.
        settings: the environment's wishes.
        shape: boundaries, and whether OTLP sends exponential histograms.
        interval_seconds: between OTLP exports, where OTEL_METRIC_EXPORT_INTERVAL does not say.
        overhead: estimated CPU time spent in probes by `Target.id`, as a fraction of one CPU.
        uncounted: calls of processes that found no room.
        targets: processes by state (measured, unmeasurable, ignored) and reason.
        symbolise: lines of a slow call's stack trace, innermost first.
        same_stack: whether a call that ran meanwhile ran on a slow call's stack; None where it cannot be told.
        around: frames of the probed calls that a slow call ran in; None where its stack does not tell.
        exemplars: latest exemplars of a series by its id; its own, made of the spans, unless given.
        refresh: called before each periodic export, to read the kernel.
        tally: counts of what was lost.
        host: the host's name, where it is not what the system says.
        kept: gets the slow calls that become traces; where no receiver wants traces, all of them.
        reader: the process that measures, where it is not this one.
        gather_seconds: see `SpanMaker`.
    """

    def __init__(
        self,
        state: StreamState,
        settings: OtelSettings,
        shape: HistogramShape = DEFAULT_SHAPE,
        interval_seconds: float = 10.0,
        overhead: Callable[[], Mapping[int, float]] = dict,
        uncounted: Callable[[], int] = int,
        targets: Callable[[], Mapping[tuple[str, str], int]] = dict,
        symbolise: Callable[[Series, SlowCall], Sequence[str]] | None = None,
        same_stack: SameStack | None = None,
        around: Around | None = None,
        exemplars: ExemplarSource | None = None,
        refresh: Callable[[], object] | None = None,
        tally: Tally | None = None,
        host: str | None = None,
        kept: KeptCalls | None = None,
        reader: int | None = None,
        gather_seconds: float = 0.5,
    ) -> None:
        self._kept = kept
        self.state = state
        self.settings = settings
        self.shape = shape
        self.tally = tally or Tally()
        self.page: MetricsPage | None = None
        self._interval = settings.metric_interval_seconds or interval_seconds
        self._overhead = overhead
        self._uncounted = uncounted
        self._targets = targets
        self._store = ExemplarStore(shape.bounds_ns, lambda series: state.series(series) is not None)
        self._exemplars = exemplars or self._store.latest
        self._symbolise = symbolise
        self._same_stack = same_stack
        self._around = around
        self._gather = gather_seconds
        self.clock = WallClock()  #: of the slow calls; who knows earlier comparisons of the clocks tells it
        self._maker: SpanMaker | None = None
        self._queues: list[SpanQueue] = []
        self._refresh = refresh
        self._provider: MeterProvider | None = None
        self._periodic_readers: list[MetricReader] = []
        self._resource = agent_resource(settings, host, reader)
        self._reader = reader
        self._told_left_out: set[int] = set()

    @property
    def resource(self) -> Mapping[str, str | int]:
        """The agent's own resource attributes."""
        return self._resource

    def start(self) -> None:
        """Make readers and exporters and begin the periodic export. Without any exporter (OTEL_SDK_DISABLED) it does nothing.

        Raises:
            ConfigError: a certificate cannot be read.
        """
        for warning in self.settings.warnings:
            _logger.warning("%s", warning)
        if self.settings.disabled:
            _logger.warning("OTEL_SDK_DISABLED is set: nothing is exported")
            return
        if self.settings.sends_traces or self._kept is not None:
            self._start_spans()
        from otel_jb.telemetry import selfmetrics

        observed = dict(
            selfmetrics.sources(
                self.state.view, self.tally, self._overhead, self._uncounted, self._targets, self._reader
            )
        )
        if self.settings.serves_prometheus:
            self.page = self._metrics_page({**observed})
        collected = {BUILD_INFO: observed.pop(BUILD_INFO)}  # of which there is one series, for good
        readers: list[MetricReader] = []
        if self.settings.sends_metrics:
            readers.append(self._otlp_reader(observed))
        if "console" in self.settings.metrics_exporters:
            readers.append(self._console_reader(observed))
        if not readers:
            return
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource

        self._provider = MeterProvider(readers, Resource(self._resource), shutdown_on_exit=False)
        selfmetrics.register(self._provider.get_meter(SELF_SCOPE, otel_jb.__version__), collected)

    def _start_spans(self) -> None:
        from otel_jb.telemetry import exporters
        from otel_jb.telemetry.outcome import Outcome
        from otel_jb.telemetry.span_queue import SpanQueue
        from otel_jb.telemetry.spans import SpanMaker, sampler

        def failed(failure: Failure) -> None:
            self.tally.add(EXPORT_FAILURES, signal="traces", error__type=failure.kind)

        def rejected(spans: int) -> None:
            self.tally.add(EXPORT_REJECTED, spans, signal="traces")
            self.tally.add(SPANS_DROPPED, spans, signal="traces", error__type="rejected")

        settings = self.settings
        for name in settings.traces_exporters:
            exporter: exporters.CallSpanExporter
            if name == "otlp":
                exporter, where = exporters.span_exporter(settings.traces), settings.traces.endpoint
            else:
                from opentelemetry.sdk.trace.export import ConsoleSpanExporter

                exporter, where = exporters.ReadableExporter(ConsoleSpanExporter()), "the console"
            outcome = Outcome("spans", where, failed, rejected)
            sizes = (settings.span_queue, settings.span_batch, settings.span_delay_seconds)
            self._queues.append(SpanQueue(exporter, outcome, self.tally, *sizes))
        queues, kept = tuple(self._queues), self._kept
        self._maker = SpanMaker(
            self.state,
            self.clock,
            queues[0].offer
            if len(queues) == 1
            else lambda spans: min([queue.offer(spans) for queue in queues], default=True),
            self.tally if queues else Tally(),  # what the page goes without is no lost span
            sampler(settings.sampler, settings.sampler_ratio) if queues else sampler("always_on"),
            self._store if queues else None,
            self._symbolise,
            self._same_stack or (lambda _pid, _a, _b: None),
            self._around,
            keep=None if kept is None else lambda calls: kept.add(calls, traced=bool(queues)),
            gather_seconds=self._gather,
        )

    def slow_call(self, *calls: SlowCall) -> None:
        """Make traces of slow calls, on another thread; never blocks. Without an exporter for traces it does nothing."""
        if self._maker is not None:
            self.clock.sample_if_due()
            self._maker.submit(*calls)

    def _metrics_page(self, observed: Sources) -> MetricsPage:
        from prometheus_client import CollectorRegistry

        from otel_jb.telemetry.prometheus import MetricsPage, SelfCollector, TargetCollector

        registry = CollectorRegistry()
        registry.register(
            TargetCollector(
                self.state.view, self.shape, self._exemplars, self._resource, left_out=self._left_out("prometheus")
            )
        )
        registry.register(SelfCollector(observed, str(self._resource["host.name"])))
        return MetricsPage(registry)

    def _otlp_reader(self, observed: Sources) -> MetricReader:
        from otel_jb.telemetry import exporters

        inner = exporters.metric_exporter(self.settings.metrics, self.settings.temporality)
        ending = inner.ending if isinstance(inner, exporters.EndingSeries) else None
        return self._periodic(inner, self.settings.metrics.endpoint, ending, observed)

    def _console_reader(self, observed: Sources) -> MetricReader:
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return self._periodic(ConsoleMetricExporter(), "the console", None, observed)

    def _periodic(self, inner: Any, where: str, ending: Any, observed: Sources) -> MetricReader:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        from otel_jb.telemetry.otlp import TargetExporter
        from otel_jb.telemetry.outcome import Outcome

        def failed(failure: Failure) -> None:
            self.tally.add(EXPORT_FAILURES, signal="metrics", error__type=failure.kind)

        # An ended target has to be seen by an export before it is forgotten.
        self.state.retain_at_least(2.5 * self._interval)
        exporter = TargetExporter(
            inner,
            self._view,
            Outcome("metrics", where, failed, lambda points: self.tally.add(EXPORT_REJECTED, points, signal="metrics")),
            self.shape,
            self.settings.temporality,
            self._exemplars,
            ending,
            self._left_out("otlp"),
            observed,
        )
        timeout = self.settings.metric_timeout_seconds
        reader = PeriodicExportingMetricReader(exporter, self._interval * 1000, timeout * 1000)
        self._periodic_readers.append(reader)
        return reader

    def _left_out(self, surface: str) -> LeftOut:
        def count(target: Target, points: int) -> None:
            names = {"target": target.service_name, "pid": str(target.pid), "surface": surface}
            self.tally.add(POINTS_LEFT_OUT, points, **names)
            if target.id not in self._told_left_out:
                self._told_left_out.add(target.id)
                _logger.warning(
                    "%d values of %s (process %d) are not exported: they are larger than 64 bits, so they are no counts",
                    points,
                    target.name,
                    target.pid,
                    extra={"pid": target.pid, "target": target.service_name},
                )

        return count

    def _view(self) -> Any:
        if self._refresh is not None:
            try:
                self._refresh()
            except Exception as error:  # noqa: BLE001 (the last values are still worth sending)
                _logger.warning("the probes could not be read for an export: %s", error)
        return self.state.view()

    def flush(self, timeout_seconds: float = 10.0) -> None:
        """Export once now."""
        for reader in self._periodic_readers:
            reader.collect(timeout_seconds * 1000)

    def shutdown(self, budget_seconds: float = 5.0) -> None:
        """Export a last time and stop; returns within the budget, whatever the receivers do."""
        deadline = time.monotonic() + budget_seconds
        provider, self._provider = self._provider, None
        maker, self._maker = self._maker, None
        queues, self._queues = self._queues, []
        if maker is not None:
            maker.shutdown(budget_seconds / 5)
        remaining = max(0.1, deadline - time.monotonic())
        actions: list[Callable[[], object]] = [lambda queue=queue: queue.shutdown(remaining * 0.9) for queue in queues]  # type: ignore[misc]
        if provider is not None:
            actions.append(lambda: provider.shutdown(remaining * 900))
        within(remaining, "metrics and spans", *actions)
        for queue in queues:
            queue.give_up()  # on a busy machine its own thread may come too late to count what was lost


def within(budget_seconds: float, what: str, *actions: Callable[[], object]) -> bool:
    """Run the actions in parallel on daemon threads; False if one exceeds the budget and is abandoned."""
    deadline = time.monotonic() + budget_seconds

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 (the agent is ending; the rest of it has to end too)
            _logger.warning("stopping %s: %s", what, error)

    threads = [threading.Thread(target=run, args=(action,), name=f"stop-{what}", daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = any(thread.is_alive() for thread in threads)
    if late:
        _logger.warning("the last %s could not be sent within %g s", what, math.ceil(budget_seconds))
    return not late
