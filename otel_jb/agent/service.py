"""The agent as a service: endpoint, exporters, recording and signals around the measuring itself."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from otel_jb.agent.loop import STOP_BUDGET_S, Agent
from otel_jb.agent.measuring import Sink
from otel_jb.agent.notify import tell
from otel_jb.agent.shares import Shares
from otel_jb.config import environment
from otel_jb.config.model import HistogramKind
from otel_jb.host.privileges import keep_only
from otel_jb.model.errors import UsageError
from otel_jb.model.stream import SlowCall, StreamRecord
from otel_jb.probes.features import kept_capabilities
from otel_jb.probes.read.boundaries import EXPONENTIAL_SCALE
from otel_jb.stacks.unwinder import Stacks
from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.telemetry.pipeline import Telemetry

_logger = logging.getLogger(__name__)

_END_S = 1.5  #: kept of the time to stop for the endpoint, the interpreter, and a machine that has more to do


def run(config: Config, sinks: Sequence[Sink] = (), ended: Callable[[], bool] | None = None) -> int:
    """Measure until SIGINT or SIGTERM; returns the exit code. Raises AgentError before anything is left behind.

    Args:
        config: what is in effect.
        sinks: each gets every record of the stream.
        ended: whether everything that was to be measured is gone; then it stops by itself, see `Service.stop_after`.
    """
    from otel_jb.agent.log import configure

    configure(config.log.level.value, config.log.format.value)
    with Service(config, sinks) as service:
        # What is opened once, a recording or a port below 1024, is open; threads, which would keep what they had, come later.
        keep_only(kept_capabilities(config.link.value))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: service.agent.stop())
        if ended is not None:
            service.stop_after(ended)
        service.start()
        service.agent.on_tick.append(lambda: tell("WATCHDOG=1"))
        tell("READY=1")
        service.agent.run()
        tell("STOPPING=1")
    return 0


class Service:
    """An agent with everything that is told what it measures. Also a context manager.

    Args:
        config: what is in effect.
        sinks: further takers of the stream of records.
    """

    def __init__(self, config: Config, sinks: Sequence[Sink] = ()) -> None:
        self.config = config
        self.settings = environment.read(os.environ, config.otlp, config.otlp_command_line)
        self.telemetry: Telemetry | None = None
        self.endpoint: Endpoint | None = None
        self._shares: Shares | None = None
        self._scraped = False
        self._stack = ExitStack()
        takers: list[Sink] = [*sinks, self._trace]
        if config.record_to:
            from otel_jb.agent.recording import Writer

            writer = Writer(config.record_to, config.histogram.boundaries, config.retain)
            self._stack.callback(writer.close)
            takers.append(writer.write)
        try:
            # Traces that nobody receives are not worth an event in the kernel, except in a recording.
            events = config.traces and (self.settings.sends_traces or config.record_to is not None)
            self.agent = Agent(config, takers, events=events)
            self._stack.callback(self.agent.close)
            self._stacks = Stacks(self.agent.inspector, self.agent.pid_of, self.agent.state.functions)
            if config.listen is not None:
                # Taken before anything is attached: an address in use is the most frequent error of all.
                self._refresh = SharedRefresh(self.agent.refresh)
                pages = standard_pages(self._render, self._refresh, self.agent.readiness)
                self.endpoint = Endpoint(config.listen.host, config.listen.port, pages)
                self._stack.callback(self.endpoint.close)
        except BaseException:
            self._stack.close()
            raise

    def start(self) -> None:
        """Attach, then start what exports; everything heavy is imported here, after the first probe. Raises AgentError."""
        self.agent.start()
        from otel_jb.telemetry.histogram import HistogramShape
        from otel_jb.telemetry.pipeline import Telemetry

        config = self.config
        telemetry = Telemetry(
            self.agent.state,
            self.settings,
            HistogramShape(
                tuple(int(bound) for bound in config.histogram.boundaries),
                EXPONENTIAL_SCALE if config.histogram.kind is HistogramKind.EXPONENTIAL else None,
            ),
            config.interval / 1e9,
            overhead=self.agent.overhead,
            refresh=self.agent.refresh,
            symbolise=self._stacks.symbolise,
            same_stack=self._stacks.same_stack,
            around=self._stacks.around,
            host=config.host_name,
        )
        telemetry.start()
        self.telemetry = telemetry
        self.agent.on_tick.append(telemetry.tick)
        if self.endpoint is not None:
            self.endpoint.start()
            if telemetry.page is not None:
                _logger.info("serving %smetrics", self.endpoint.url)
            else:
                _logger.info("serving %shealth and /ready; /metrics is turned off", self.endpoint.url)
        self._shares = Shares(self.agent.state, self.agent.emit, config.interval / 1e9)
        self._shares.start()
        self.agent.measure_cost()

    def stop_after(self, ended: Callable[[], bool]) -> None:
        """Stop once `ended` is true and nobody waits for the last values.

        Where /metrics is scraped, they stay for `retain`, so that the next scrape finds them; otherwise they go at once.
        """
        until = 0.0

        def look() -> None:
            nonlocal until
            if self.agent.state.view().live or not ended():
                return
            now = time.monotonic()
            if not until:
                until = now + (self.config.retain / 1e9 if self._scraped else 0.0)
                if until > now:
                    _logger.info(
                        "every process that was named has ended; its last values stay for %s", self.config.retain
                    )
            if now >= until:
                self.agent.stop()

        self.agent.on_tick.append(look)

    def _render(self, accept: str, accept_encoding: str, version: object) -> tuple[bytes, dict[str, str]]:
        self._scraped = True
        page = self.telemetry.page if self.telemetry is not None else None
        if page is None:
            raise UsageError("metrics are not exposed: OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED says so")
        return page.render(accept, accept_encoding, version)

    def _trace(self, record: StreamRecord) -> None:
        if self.telemetry is not None and isinstance(record, SlowCall):
            self.telemetry.slow_call(record)

    def close(self) -> None:
        """Detach, hand the last values on, stop exporting, close the endpoint: all within 5 s. Safe to call twice."""
        begin = time.monotonic()
        if self._shares is not None:
            self._shares.close()
        self.agent.close()
        telemetry, self.telemetry = self.telemetry, None
        if telemetry is not None:
            telemetry.shutdown(max(1.0, STOP_BUDGET_S - _END_S - (time.monotonic() - begin)))
        self._stack.close()

    def __enter__(self) -> Service:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
