# SPDX-License-Identifier: Apache-2.0
"""The agent as a service: endpoint, exporters, recording and signals around the measuring itself."""

from __future__ import annotations

import gc
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.agent import log
from otel_jb.agent.loop import STOP_BUDGET_S, Agent
from otel_jb.agent.notify import tell
from otel_jb.agent.signals import Signals
from otel_jb.config import environment
from otel_jb.config.model import HistogramKind
from otel_jb.host.privileges import keep_only
from otel_jb.model.errors import AgentError, UsageError
from otel_jb.model.stream import SlowCall, StreamRecord
from otel_jb.probes.features import kept_capabilities
from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
from otel_jb.telemetry.kept_calls import KeptCalls
from otel_jb.telemetry.tally import Tally
from otel_jb.views.page import site
from otel_jb.views.page.feed import Feed

if TYPE_CHECKING:
    from otel_jb.agent.measuring import Sink
    from otel_jb.agent.shares import Shares
    from otel_jb.config.model import Config
    from otel_jb.telemetry.access import Access
    from otel_jb.telemetry.pipeline import Telemetry
    from otel_jb.views.page.tables import Tables

_logger = logging.getLogger(__name__)

_END_S = 1.5  #: kept of the time to stop for the endpoint, the interpreter, and a machine that has more to do


def run(
    config: Config,
    sinks: Sequence[Sink] = (),
    ended: Callable[[], bool] | None = None,
    again: Callable[[], Config] | None = None,
    seconds: float | None = None,
) -> int:
    """Measure until SIGINT or SIGTERM; returns the exit code. Raises AgentError before anything is left behind.

    Args:
        config: what is in effect.
        sinks: each gets every record of the stream.
        ended: whether everything that was to be measured is gone; then it stops by itself, see `Service.stop_after`.
        again: reads the configuration anew, for SIGHUP. Raises AgentError.
        seconds: how long to measure, from when probes were first attached; None: until stopped.
    """
    log.configure(config.log.level.value, config.log.format.value)
    with Service(config, sinks) as service:
        # What is opened once, a recording or a port below 1024, is open; threads, which would keep what they had, come later.
        keep_only(kept_capabilities(config.link.value))
        signals = Signals(service.agent.stop, None if again is None else lambda: service.reload(again))
        if ended is not None:
            service.stop_after(ended)
        service.start()
        service.agent.on_tick.append(lambda: tell("WATCHDOG=1"))
        if seconds is not None:
            service.agent.on_tick.append(_stop_at(time.monotonic() + seconds, service.agent))
        tell("READY=1")
        service.agent.run()
        tell("STOPPING=1")
    signals.close()
    return 0


def _stop_at(deadline: float, agent: Agent) -> Callable[[], None]:
    def look() -> None:
        if time.monotonic() >= deadline:
            agent.read()
            agent.stop()

    return look


def access(config: Config) -> Access | None:
    """Who may read the endpoint, as `web_config` says; None: everybody. Raises ConfigError."""
    if config.web_config is None:
        return None
    from otel_jb.config.web import read
    from otel_jb.telemetry.access import Access

    return Access(read(Path(config.web_config)))


#: What a running agent takes over when its configuration is read again. The kernel has the rest, or it was opened with privileges
#: that are given up.
RELOADED = (
    *("targets", "functions", "profiles", "detail", "max_probes", "slow", "overhead", "otlp", "otlp_command_line"),
    *("attributes", "inherit_attributes", "host_name", "web_config", "allowed_hosts", "log"),
)


def merged(current: Config, wanted: Config) -> tuple[Config, list[str]]:
    """The wanted configuration as far as it can be applied now, and the keys that need a restart."""
    keys = [each.name for each in fields(wanted)]
    fixed = [key for key in keys if key not in RELOADED and getattr(current, key) != getattr(wanted, key)]
    return replace(wanted, **{key: getattr(current, key) for key in fixed}), fixed


class Service:
    """An agent with its exporters and other consumers. Also a context manager.

    Args:
        config: what is in effect.
        sinks: further takers of the stream of records.
    """

    def __init__(self, config: Config, sinks: Sequence[Sink] = ()) -> None:
        self.config = config
        self.settings = environment.read(os.environ, config.otlp, config.otlp_command_line)
        self.telemetry: Telemetry | None = None
        self.endpoint: Endpoint | None = None
        self.tally = Tally()
        self._shares: Shares | None = None
        self._scraped = False
        self._kept: KeptCalls | None = None
        self._stack = ExitStack()
        takers: list[Sink] = [*sinks, self._trace]
        if config.record_to:
            from otel_jb.agent.recording import Writer

            writer = Writer(config.record_to, config.histogram.boundaries, config.retain)
            self._stack.callback(writer.close)
            takers.append(writer.write)
        try:
            # Without a receiver for traces, do not emit slow calls in the kernel, unless they are recorded or shown.
            shows = config.page.slow_calls and config.listen is not None
            events = config.traces and (self.settings.sends_traces or config.record_to is not None or shows)
            self._kept = KeptCalls() if config.listen is not None and (self.settings.sends_traces or shows) else None
            self.agent = Agent(config, takers, events=events)
            self._stack.callback(self.agent.close)
            if config.listen is not None:
                # Taken before anything is attached: an address in use is the most frequent error of all.
                self._refresh = SharedRefresh(self.agent.refresh)
                feed = Feed(self._refresh, self._page_content)
                self._stack.callback(feed.close)
                pages = {
                    **standard_pages(self._render, self._refresh, self.agent.readiness),
                    **site.pages(feed.subscribe),
                }
                host, port = config.listen.host, config.listen.port
                self.endpoint = Endpoint(host, port, pages, access(config), config.allowed_hosts)
                self._stack.callback(self.endpoint.close)
        except BaseException:
            self._stack.close()
            raise

    def start(self) -> None:
        """Attach, then start the exporters. Everything heavy is imported here, after the first probe. Raises AgentError."""
        self.agent.start()
        from otel_jb.agent.shares import Shares
        from otel_jb.stacks.unwinder import Stacks

        config = self.config
        self._stacks = Stacks(self.agent.inspector, self.agent.pid_of, self.agent.state.functions)
        self.telemetry = telemetry = self._telemetry(config, self.settings)
        telemetry.start()
        self.agent.on_tick.append(self._tick)
        if self.endpoint is not None:
            self.endpoint.start()
            if telemetry.page is not None:
                _logger.info("serving %smetrics", self.endpoint.url)
            else:
                _logger.info("serving %shealth and /ready; /metrics is turned off", self.endpoint.url)
        self._shares = Shares(self.agent.state, self.agent.emit, config.interval / 1e9)
        self._shares.start()
        self.agent.measure_cost()
        # Modules and classes stay: spare the garbage collector from traversing half a million objects for every few slow calls.
        gc.collect()
        gc.freeze()

    def _page_content(self) -> Callable[[], Tables]:
        """What the page shows, from now on: nothing is kept of it while nobody looks."""
        from otel_jb.views.page.tables import Content, Facts

        agent = self.agent
        facts = Facts(
            agent.overhead, agent.targets, agent.unmeasured, agent.uncounted, self._kept.latest if self._kept else tuple
        )
        head = {
            "host": self.config.host_name or platform.node(),
            "trace_url": self.config.page.trace_url,
            "keeps_slow_calls": self._kept is not None,
        }
        return Content(agent.state, facts, head).tables

    def _telemetry(self, config: Config, settings: environment.OtelSettings) -> Telemetry:
        from otel_jb.probes.read.boundaries import EXPONENTIAL_SCALE
        from otel_jb.telemetry.histogram import HistogramShape
        from otel_jb.telemetry.pipeline import Telemetry

        return Telemetry(
            self.agent.state,
            settings,
            HistogramShape(
                tuple(int(bound) for bound in config.histogram.boundaries),
                EXPONENTIAL_SCALE if config.histogram.kind is HistogramKind.EXPONENTIAL else None,
            ),
            config.interval / 1e9,
            overhead=self.agent.overhead,
            uncounted=self.agent.uncounted,
            targets=self.agent.targets,
            refresh=self.agent.refresh,
            symbolise=self._stacks.symbolise,
            same_stack=self._stacks.same_stack,
            around=self._stacks.around,
            tally=self.tally,
            host=config.host_name,
            kept=self._kept,
        )

    def _tick(self) -> None:
        if self.telemetry is not None:
            self.telemetry.tick()

    def reload(self, again: Callable[[], Config]) -> None:
        """Apply the configuration that `again` reads; an unusable one changes nothing. Thread-safe; one call at a time."""
        from otel_jb.catalog import load
        from otel_jb.telemetry.metrics import CONFIG_RELOADS

        try:
            wanted = again()
            who = access(wanted)
            settings = environment.read(os.environ, wanted.otlp, wanted.otlp_command_line)
            config, fixed = merged(self.config, wanted)
            catalog = load([Path(name) for name in config.profiles])
            self._export(config, settings)
        except AgentError as error:
            _logger.warning("the configuration stays as it was: %s", error.message)
            self.tally.add(CONFIG_RELOADS, result="refused")
            return
        if self.endpoint is not None:
            self.endpoint.use(who, config.allowed_hosts)
        self.agent.reconfigure(config, catalog)
        log.configure(config.log.level.value, config.log.format.value)
        self.config, self.settings = config, settings
        if fixed:
            _logger.warning("the configuration was read again; these change only with a restart: %s", ", ".join(fixed))
        else:
            _logger.info("the configuration was read again")
        self.tally.add(CONFIG_RELOADS, result="partial" if fixed else "applied")

    def _export(self, config: Config, settings: environment.OtelSettings) -> None:
        """Switch to these exporters, and keep unchanged ones running. On AgentError, everything stays as it was."""
        old = self.telemetry
        if old is None or (settings, config.host_name) == (self.settings, self.config.host_name):
            return
        telemetry = self._telemetry(config, settings)
        telemetry.start()
        self.telemetry = telemetry
        old.shutdown(STOP_BUDGET_S)

    def stop_after(self, ended: Callable[[], bool]) -> None:
        """Stop once `ended` is true and nothing waits for the last values.

        If /metrics is scraped, they stay for `retain`, so that the next scrape finds them; otherwise they are dropped at once.
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

    def _render(self, accept: str, accept_encoding: str, version: object) -> tuple[Iterable[bytes], dict[str, str]]:
        self._scraped = True
        page = self.telemetry.page if self.telemetry is not None else None
        if page is None:
            raise UsageError("metrics are not exposed: OTEL_METRICS_EXPORTER or OTEL_SDK_DISABLED says so")
        return page.stream(accept, accept_encoding, version)

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
