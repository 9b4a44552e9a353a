# SPDX-License-Identifier: Apache-2.0
"""The exporter process as the reader sees it: it is sent the stream of records, and its few questions are answered."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_jb.agent.carried import files_of
from otel_jb.agent.wire import Wire
from otel_jb.model import errors
from otel_jb.model.errors import AgentError
from otel_jb.model.instruments import Instrument
from otel_jb.model.stream import Series, SlowCall, StreamRecord
from otel_jb.telemetry.clock import WallClock
from otel_jb.telemetry.instruments import SPANS_DROPPED

if TYPE_CHECKING:
    from otel_jb.agent.loop import Agent
    from otel_jb.agent.walked import Walker
    from otel_jb.config.environment import OtelSettings
    from otel_jb.config.model import Config
    from otel_jb.stacks.unwinder import Stacks

_ANSWER_S = 60.0  #: for the exporter to start, and to take a configuration over
_DIES_S = 0.5  #: after its budget to stop is over
_MANY = 64  #: questions that wait; the exporter asks once for all scrapes that come together
_WALK_S = 0.5  #: of the budget to stop, for stacks that wait

_logger = logging.getLogger(__name__)


class Exporter:
    """Starts the process by a fork, so make it before there are threads; `opened` waits for it."""

    def __init__(self, config: Config, settings: OtelSettings) -> None:
        self.failure: AgentError | None = None
        self.scraped = False  #: somebody asked for /metrics
        self._shows = config.page.slow_calls and config.listen is not None
        self.takes_slow_calls = settings.sends_traces or self._shows
        self._clock = WallClock()
        self._agent: Agent | None = None
        self._walker: Walker | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue(_MANY)
        self._questions: queue.Queue[tuple[int, str]] = queue.Queue(_MANY)
        self._calling = threading.Lock()
        self._started = threading.Event()
        self._stopping = False
        ours, theirs = socket.socketpair()
        gc.freeze()  # pages of what exists stay shared, which a collection would write to
        self.pid = os.fork()
        if self.pid == 0:
            from otel_jb.catalog.names import forget

            ours.close()
            forget()  # first of all: what is imported next takes its room
            from otel_jb.agent.exporting import export

            export(Wire(theirs, up=True), config, settings)
        theirs.close()
        self._wire = Wire(ours, up=False)
        self.url = ""  #: of its pages, once it was opened

    def opened(self) -> None:
        """Wait until the process has its address and its keys.

        Raises what it could not do while it still had privileges: AddressInUseError, PermissionDeniedError, UsageError, ConfigError.
        """
        try:
            self.url = str(self._checked(self._wire.receive())["url"])
        except BaseException:
            self._wait(_DIES_S)
            raise

    def start(self, agent: Agent, stacks: Stacks) -> bool:
        """Have everything exported from now on; whether there is a page of metrics. Raises AgentError (a certificate that cannot be read)."""
        from otel_jb.agent.walked import Walker, packed

        def series(number: int) -> tuple[Series, int] | None:
            known = agent.state.series(number)
            return (known[0], known[1].pid) if known is not None else None

        self._agent = agent
        self._walker = Walker(
            stacks,
            series,
            lambda batch, lines: self._tell("slow", packed(batch), lines, self._clock.news()),
            lambda calls: self.count(SPANS_DROPPED, calls, signal="traces", error__type="queue_full"),
        )
        for work in (self._listen, self._read):
            threading.Thread(target=work, args=(agent,), name="exporter", daemon=True).start()
        page = bool(self._call("start")["started"])
        self._started.set()
        return page

    def take(self, record: StreamRecord) -> None:
        """Send a record. Slow calls go after their stacks were walked, on another thread."""
        if not isinstance(record, SlowCall):
            self._tell("record", record)
        elif self._walker is not None and self.takes_slow_calls:  # one that nobody takes is not worth a walk
            self._walker.take(record)

    def tick(self) -> None:
        """Compare the clocks, for the slow calls to come, and send on those that wait. To be called about once a second, and when the clock was set."""
        self._clock.sample()
        if self._walker is not None:
            self._walker.tick()

    def count(self, instrument: Instrument, count: int = 1, **attributes: str) -> None:
        """Add to one of the agent's own counters, see `Tally.add`."""
        self._tell("count", instrument, count, attributes)

    def use(self, config: Config, settings: OtelSettings) -> None:
        """Export as these say from now on. Raises AgentError where they cannot be used: then everything stays as it was."""
        from otel_jb.config.web import read

        self._started.wait(_ANSWER_S)
        web = read(Path(config.web_config)) if config.web_config is not None else None
        self._call(
            "use", config, settings, web, files_of(settings, web)
        )  # files may be root's, which the exporter is not
        self.takes_slow_calls = settings.sends_traces or self._shows

    def stop(self, budget_seconds: float) -> None:
        """Have the last values exported within the budget, and end the process. Safe to call twice."""
        if self._stopping:
            return
        self._stopping = True
        deadline = time.monotonic() + budget_seconds
        if self._walker is not None:
            self._walker.finish(min(_WALK_S, budget_seconds))
        budget_seconds = max(0.0, deadline - time.monotonic())
        self._tell("stop", budget_seconds)
        self._wait(budget_seconds + _DIES_S)

    # -- talking -----------------------------------------------------------------------------------------------

    def _tell(self, *message: object) -> None:
        if self.failure is not None:
            return
        try:
            self._wire.send(message)
        except OSError as error:
            self._failed(f"it takes nothing: {error.strerror or error}")

    def _call(self, *message: object) -> dict[str, Any]:
        """Tell, and wait for the answer; one at a time. Raises AgentError."""
        with self._calling:
            self._tell(*message)
            try:
                answer = self._answers.get(timeout=_ANSWER_S)
            except queue.Empty:
                answer = None
            return self._checked(answer)

    def _checked(self, answer: dict[str, Any] | None) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        if answer is None:
            raise AgentError(
                "the exporter process ended before it was ready", "Please report this with the log before it."
            )
        if "error" in answer:
            name, message, help_text = (str(each) for each in answer["error"])
            kind = getattr(errors, name, AgentError)
            raise (kind if isinstance(kind, type) and issubclass(kind, AgentError) else AgentError)(message, help_text)
        return answer

    def _listen(self, agent: Agent) -> None:
        """The thread that takes answers and questions; it waits for nothing but those."""
        try:
            while (message := self._wire.receive()) is not None:
                if "ask" not in message:
                    self._answers.put_nowait(message)
                elif message["ask"] == "readiness":
                    self._tell("answer", int(message["number"]), agent.readiness())
                else:
                    self._questions.put_nowait((int(message["number"]), str(message["ask"])))
            self._failed("its socket closed")
        except queue.Full:
            self._failed("it asks without end")
        except (OSError, ValueError, TypeError, KeyError) as error:
            self._failed(f"it says what cannot be understood: {error}")

    def _read(self, agent: Agent) -> None:
        """The thread that has the kernel read whenever the exporter asks."""
        while True:
            number, why = self._questions.get()
            self.scraped = self.scraped or why == "scrape"
            problem = ""
            try:
                agent.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it is, a scrape gets an answer and the agent goes on
                problem = str(error) or type(error).__name__
            known = dict(agent.overhead()), agent.uncounted(), agent.targets(), agent.unmeasured()
            self._tell("answer", number, (problem, *known))

    # -- its end -----------------------------------------------------------------------------------------------

    def _failed(self, how: str) -> None:
        """The exporter is gone or hangs: the agent stops, and a service manager starts it anew. The kernel's counters are the reader's."""
        if self._stopping or self.failure is not None:
            return
        self.failure = AgentError(f"the exporter process ended ({how})", "Please report this with the log before it.")
        self._kill()
        with contextlib.suppress(queue.Full):  # then nobody waits for one
            self._answers.put_nowait(None)
        if self._agent is not None:
            self._agent.stop()

    def _kill(self) -> None:
        # It may be of a user whom the reader may not signal any more. Then it ends with the reader, by PR_SET_PDEATHSIG.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.01)
        else:
            self._kill()
        self._wire.close()
