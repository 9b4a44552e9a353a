# SPDX-License-Identifier: Apache-2.0
"""The agent as a service: the exporter process, a recording and signals around the measuring itself."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.agent import log
from otel_jb.agent.confinement import limit_reader
from otel_jb.agent.exporter import Exporter
from otel_jb.agent.loop import STOP_BUDGET_S, Agent
from otel_jb.agent.notify import tell
from otel_jb.agent.signals import Signals
from otel_jb.config import environment
from otel_jb.host.memory import return_large_blocks, spare_the_collector, use_large_pages
from otel_jb.host.privileges import keep_only
from otel_jb.model.errors import AgentError, ExitCode
from otel_jb.probes.features import kept_capabilities

if TYPE_CHECKING:
    from otel_jb.agent.measuring import Sink
    from otel_jb.agent.recording import Writer
    from otel_jb.agent.shares import Shares
    from otel_jb.config.model import Config

_logger = logging.getLogger(__name__)

_END_S = 1.5  #: kept of the time to stop for the endpoint, the interpreter, and a machine that has more to do


def run(
    config: Config,
    sinks: Sequence[Sink] = (),
    ended: Callable[[], bool] | None = None,
    again: Callable[[], Config] | None = None,
    seconds: float | None = None,
    starting: AbstractContextManager[object] | None = None,
    *,
    slow_calls: bool = False,
) -> int:
    """Measure until SIGINT or SIGTERM; returns the exit code. Raises AgentError before anything is left behind.

    Args:
        config: what is in effect.
        sinks: each gets every record of the stream.
        ended: whether everything that was to be measured is gone; then it stops by itself, see `Service.stop_after`.
        again: reads the configuration anew, for SIGHUP. Raises AgentError.
        seconds: how long to measure, from when probes were first attached; None: until stopped.
        starting: held while files are read and probes attached, to show people that something happens. It may start a thread.
        slow_calls: the sinks want slow calls one by one, whether anybody else does or not.
    """
    log.configure(config.log.level.value, config.log.format.value)
    return_large_blocks()
    with Service(config, sinks, slow_calls=slow_calls) as service:
        # What is opened once, a recording or a port below 1024, is open; threads, which would keep what they had, come later.
        keep_only(kept_capabilities(config.link.value))
        limit_reader()
        signals = Signals(service.agent.stop, None if again is None else lambda: service.reload(again))
        if ended is not None:
            service.stop_after(ended)
        with starting or nullcontext():
            service.start()
        service.agent.on_tick.append(lambda: tell("WATCHDOG=1"))
        if seconds is not None:
            service.agent.on_tick.append(_stop_at(time.monotonic() + seconds, service.agent))
        tell("READY=1")
        service.run()
        tell("STOPPING=1")
    signals.close()
    return int(service.exit_code)


def _stop_at(deadline: float, agent: Agent) -> Callable[[], None]:
    def look() -> None:
        if time.monotonic() >= deadline:
            agent.read()
            agent.stop()

    return look


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

    def __init__(self, config: Config, sinks: Sequence[Sink] = (), *, slow_calls: bool = False) -> None:
        self.config = config
        settings = environment.read(os.environ, config.otlp, config.otlp_command_line)
        self._shares: Shares | None = None
        self._writer: Writer | None = None
        self._stack = ExitStack()
        try:
            # Its address is taken before anything is attached: an address in use is the most frequent error of all.
            self.exporter = Exporter(config, settings)
            self._stack.callback(self.exporter.stop, 0.0)
            from otel_jb.planner import first_look

            first_look.begin(config)
            import otel_jb.planner.targets  # noqa: F401 - meanwhile, for the agent

            self.exporter.opened()
            takers: list[Sink] = [*sinks, self.exporter.take]
            if config.record_to:
                from otel_jb.agent.recording import Writer

                self._writer = Writer(config.record_to, config.histogram.boundaries, config.retain)
                self._stack.callback(self._writer.close)
                takers.append(self._writer.write)
            # Without a receiver for traces, do not emit slow calls in the kernel, unless they are recorded or shown.
            events = slow_calls or (config.traces and (self.exporter.takes_slow_calls or config.record_to is not None))
            self.agent = Agent(config, takers, events=events)
            self._stack.callback(self.agent.close)
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        """Of the agent's pages; empty where none are served."""
        return self.exporter.url

    @property
    def exit_code(self) -> ExitCode:
        """Of a run that ended as it was told to: RESOURCES if its recording is incomplete."""
        return ExitCode.OK if self._writer is None or self._writer.complete else ExitCode.RESOURCES

    def start(self) -> None:
        """Attach, then have everything exported. Raises AgentError."""
        self.agent.start()
        from otel_jb.agent.shares import Shares
        from otel_jb.stacks.unwinder import Stacks

        stacks = Stacks(self.agent.inspector, self.agent.pid_of, self.agent.state.functions)
        page = self.exporter.start(self.agent, stacks)
        self.agent.on_tick.append(self.exporter.tick)
        if page and self.url:
            _logger.info("serving %smetrics", self.url)
        elif self.url:
            _logger.info("serving %shealth and /ready; /metrics is turned off", self.url)
        self._shares = Shares(self.agent.state, self.agent.emit, self.config.interval / 1e9)
        self._shares.start()
        self.agent.measure_cost()
        spare_the_collector()
        threading.Thread(target=use_large_pages, name="large-pages", daemon=True).start()

    def run(self) -> None:
        """Measure until the agent is told to stop. Raises AgentError where the exporter ended before."""
        self.agent.run()
        if self.exporter.failure is not None:
            raise self.exporter.failure

    def reload(self, again: Callable[[], Config]) -> None:
        """Apply the configuration that `again` reads; an unusable one changes nothing. Thread-safe; one call at a time."""
        from otel_jb.catalog import load
        from otel_jb.telemetry.instruments import CONFIG_RELOADS

        try:
            wanted = again()
            settings = environment.read(os.environ, wanted.otlp, wanted.otlp_command_line)
            config, fixed = merged(self.config, wanted)
            catalog = load([Path(name) for name in config.profiles])
            self.exporter.use(config, settings)
        except AgentError as error:
            _logger.warning("the configuration stays as it was: %s", error.message)
            self.exporter.count(CONFIG_RELOADS, result="refused")
            return
        self.agent.reconfigure(config, catalog)
        log.configure(config.log.level.value, config.log.format.value)
        self.config = config
        if fixed:
            _logger.warning("the configuration was read again; these change only with a restart: %s", ", ".join(fixed))
        else:
            _logger.info("the configuration was read again")
        self.exporter.count(CONFIG_RELOADS, result="partial" if fixed else "applied")

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
                until = now + (self.config.retain / 1e9 if self.exporter.scraped else 0.0)
                if until > now:
                    _logger.info(
                        "every process that was named has ended; its last values stay for %s", self.config.retain
                    )
            if now >= until:
                self.agent.stop()

        self.agent.on_tick.append(look)

    def close(self) -> None:
        """Detach, hand the last values on, stop exporting, close the endpoint: all within 5 s. Safe to call twice."""
        begin = time.monotonic()
        if self._shares is not None:
            self._shares.close()
        self.agent.close()
        self.exporter.stop(max(1.0, STOP_BUDGET_S - _END_S - (time.monotonic() - begin)))
        self._stack.close()

    def __enter__(self) -> Service:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
