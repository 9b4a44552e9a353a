"""The agent as a service: endpoint, exporters, recording and signals around the measuring itself."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from otel_jb.agent import Agent, Sink

if TYPE_CHECKING:
    from otel_jb.config import Config
    from otel_jb.telemetry.endpoint import Endpoint

_logger = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Measure until SIGINT or SIGTERM; returns the exit code. Raises AgentError before anything is left behind."""
    from otel_jb.log import configure

    configure(config.log.level.value, config.log.format.value)
    with ExitStack() as stack:
        agent = open_agent(config, stack)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: agent.stop())
        agent.start()
        start_outputs(agent, config, stack)
        agent.run()
    return 0


def open_agent(config: Config, stack: ExitStack) -> Agent:
    """The agent with its recording, not started; the address to listen on is taken first, since that fails most often."""
    sinks: list[Sink] = []
    if config.record_to:
        from otel_jb.recording import Writer

        writer = Writer(config.record_to, config.histogram.boundaries, config.retain)
        stack.callback(writer.close)
        sinks.append(writer.write)
    agent = Agent(config, sinks)
    stack.callback(agent.close)
    return agent


def start_outputs(agent: Agent, config: Config, stack: ExitStack) -> Endpoint | None:
    """Start the endpoint and the exporters; everything heavy is imported here, after the probes are attached."""
    from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
    from otel_jb.telemetry.histogram import HistogramShape
    from otel_jb.telemetry.prometheus import MetricsPage, TargetCollector
    from prometheus_client import CollectorRegistry

    if config.listen is None:
        return None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TargetCollector(agent.state.view, HistogramShape(tuple(int(b) for b in config.histogram.boundaries))))
    refresh = SharedRefresh(agent.refresh)
    pages = standard_pages(MetricsPage(registry).render, refresh, agent.readiness)
    endpoint = Endpoint(config.listen.host, config.listen.port, pages)
    stack.callback(endpoint.close)
    endpoint.start()
    _logger.info("serving %smetrics", endpoint.url)
    return endpoint


__all__ = ["open_agent", "run", "start_outputs"]
