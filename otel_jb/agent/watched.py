# SPDX-License-Identifier: Apache-2.0
"""What an agent in this very process measures, with verdicts and slow calls one by one: for `top` and `demo`, which show it themselves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from otel_jb.model.stream import SlowCall, StreamRecord
from otel_jb.telemetry.kept_calls import KeptCalls
from otel_jb.telemetry.state import StreamState

if TYPE_CHECKING:
    from otel_jb.agent.service import Service
    from otel_jb.telemetry.spans import SpanMaker


class Watched:
    """A sink of a `Service`, which is told of slow calls once that has started.

    Attributes:
        state: what the records add up to.
        kept: the last slow calls.
    """

    def __init__(self, retain_seconds: float) -> None:
        self.state = StreamState(retain_seconds, says=False)  # the agent's own says it
        self.kept = KeptCalls()
        self._maker: SpanMaker | None = None
        self._starting: threading.Thread | None = None

    def take(self, record: StreamRecord) -> None:
        """Take a record; never blocks."""
        self.state.apply(record)
        if isinstance(record, SlowCall) and self._maker is not None:
            self._maker.submit(record)

    def start(self, service: Service) -> None:
        """Keep slow calls from soon on: nobody waits for the modules that this takes."""
        self._starting = threading.Thread(target=self._start, args=(service,), name="slow-calls", daemon=True)
        self._starting.start()

    def _start(self, service: Service) -> None:
        from otel_jb.stacks.unwinder import Stacks
        from otel_jb.telemetry.clock import WallClock
        from otel_jb.telemetry.spans import SpanMaker
        from otel_jb.telemetry.tally import Tally

        clock, agent = WallClock(), service.agent
        agent.on_tick.append(clock.sample)
        stacks = Stacks(agent.inspector, agent.pid_of, agent.state.functions)
        self._maker = SpanMaker(
            self.state,
            clock,
            offer=lambda _: True,
            tally=Tally(),
            symbolise=stacks.symbolise,
            same_stack=stacks.same_stack,
            around=stacks.around,
            keep=lambda calls: self.kept.add(calls, traced=False),
        )

    def close(self) -> None:
        """End its thread."""
        if self._starting is not None:
            self._starting.join()
        if self._maker is not None:
            self._maker.shutdown()
