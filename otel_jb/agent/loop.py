# SPDX-License-Identifier: Apache-2.0
"""The agent: finds targets, attaches, reads, passes the stream of records to its consumers, and stops cleanly.

Two threads: one looks at processes and plans, which takes as long as it takes; the other owns the kernel's side (`measuring`) and does
what it is asked by a queue of commands. The order at start is chosen for the time to the first probe: the sandbox is forked before
there are threads, the kernel's side is opened on a thread of its own while targets are looked for, and everything that speaks
OpenTelemetry is imported only once probes are attached.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from otel_jb.agent.commands import ClosedError, Commands
from otel_jb.agent.opening import Opening
from otel_jb.agent.pacing import Paced
from otel_jb.model.closest import closest
from otel_jb.model.errors import AgentError, AttachError, OverrunError, TargetError
from otel_jb.model.text import number_of, printable
from otel_jb.probes.backend import KernelOptions

if TYPE_CHECKING:
    from otel_jb.agent.debug_files import DebugFiles
    from otel_jb.agent.measuring import Measuring, Sink
    from otel_jb.catalog import Catalog
    from otel_jb.config.model import Config
    from otel_jb.model.stream import StreamRecord
    from otel_jb.planner.targets import Discovery
    from otel_jb.probes.backend import Backend
    from otel_jb.sandbox.client import Inspector
    from otel_jb.telemetry.clock import StepWatch

_logger = logging.getLogger(__name__)

WATCH_S = 1.0  #: maximum delay until the agent notices what the kernel does not report
EARLY_S = (
    0.25  #: what is due that much later is done now, where the interval ends now: a wake-up costs more than most of it
)
#: For the first processes to be attached: calibrating beside that would take their time, and measure it.
COST_WAITS_S = 10.0
STOP_BUDGET_S = 4.0  #: a second is left for what cannot be hurried, so that stopping takes at most five


def _debug_files(inspector: Inspector) -> DebugFiles | None:
    """None unless the user names servers."""
    from otel_jb.planner.debug_files import settings

    servers = settings(os.environ)
    if servers is None:
        return None
    from otel_jb.agent.debug_files import DebugFiles

    return DebugFiles(servers, inspector)


class Agent:
    """Measures until stopped.

    Args:
        config: what to measure and how.
        sinks: each gets every record of the stream, in order, from the thread that runs the agent; must not block.
        events: whether slow calls leave events; they are counted either way.
    """

    def __init__(self, config: Config, sinks: list[Sink] | None = None, *, events: bool = True) -> None:
        from otel_jb.sandbox.client import Inspector
        from otel_jb.telemetry.state import StreamState

        self.config = config
        self.inspector = Inspector()  # forks: before anything starts a thread
        self._debug_files = _debug_files(self.inspector)  # forks too
        self.state = StreamState(config.retain / 1e9, judges=False)  # the exporter judges
        self.sinks: list[Sink] = [self.state.apply, *(sinks or [])]
        self.on_tick: list[Callable[[], object]] = []  #: called about once a second
        self._events = events
        self._commands = Commands()
        self._stop = threading.Event()
        self._examined = threading.Event()  # all processes that ran at the start were looked at
        self._discovery: Discovery | None = None
        self._measuring: Measuring | None = None
        self._looking: threading.Thread | None = None
        self._read_ns: int | None = None
        self._problem = "the processes of this host are still being looked at"
        self._looked_at_all = False
        self._refused: Exception | None = None  # what `run` ends with

    # -- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Compile, find targets and attach. Raises AgentError if nothing can ever be measured; leaves nothing behind in that case."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        from otel_jb.planner.targets import Discovery
        from otel_jb.probes import features

        discovery = self._discovery = Discovery(self.config, self.inspector)
        if self._debug_files is not None:
            discovery.planner.files.fetch = self._debug_files.ask
            self._debug_files.start(discovery.debug_file_came)
        if discovery.planner.kernel.sessions and not features.has_sessions():
            discovery.planner.without_sessions()
        opening = Opening(self._backend, self.inspector.asked)
        try:
            first = discovery.first()
        except BaseException:
            opening.close()
            raise
        backend = opening.result()
        from otel_jb.agent.measuring import Measuring

        measuring = self._measuring = Measuring(self.config, backend, self.sinks)
        discovery.held = measuring.held
        refused: AgentError | None = None
        for found in first:
            try:
                measuring.attach(found)
            except (AttachError, TargetError) as error:
                _logger.warning("%s", error.message)
                refused = error
                discovery.forget(found.process)
        by_pid = self.config.targets and all(selector.pid is not None for selector in self.config.targets)
        if refused is not None and not measuring.targets and by_pid:
            raise refused
        self._say_if_nothing_runs(discovery, measuring)

    def _backend(self) -> Backend:
        from otel_jb.probes.live import BpfBackend

        config, slow = self.config, self.config.slow
        return BpfBackend(
            KernelOptions(
                boundaries_ns=[int(bound) for bound in config.histogram.boundaries],
                max_series=config.max_series,
                links=config.link.value,
                events=self._events,
                event_rate=slow.rate,
                event_burst=slow.burst,
                threshold_ns=lambda probe: _fixed_threshold(self.config, probe.function, probe.role),
                streams=config.rtp.streams or 0,
                clock_rates=config.rtp.rates,
                flight_recorder=config.rtp.flight_recorder,
            )
        )

    def reconfigure(self, config: Config, catalog: Catalog) -> None:
        """Take over another configuration: thresholds and budget at once, selection and profiles at the next look. For any thread."""
        measuring = self._measuring
        self.config = config
        if measuring is not None:
            with contextlib.suppress(ClosedError, OverrunError):  # it is being stopped, or will be
                self._commands.call(lambda: measuring.reconfigure(config))
        if self._discovery is not None:
            self._looked_at_all = False  # if nothing is measured then, that is said again
            self._discovery.reconfigure(config, catalog)

    def _say_if_nothing_runs(self, discovery: Discovery, measuring: Measuring) -> None:
        """Called once, after all processes were examined."""
        if discovery.more:
            return
        self._examined.set()
        if self._looked_at_all:
            return
        self._looked_at_all = True
        if not measuring.targets:
            include = self.config.functions.include
            called = f" with a function called {' or '.join(include)}" if include else ""
            self._problem = f"no process{called} that is to be measured runs" + self._unmeasured()
            if not discovery.waiting:  # otherwise that has been said, of the very process
                hint = _similar(self.config) if not self._unmeasured() else ""
                _logger.info("no process%s to measure yet; waiting for one%s%s", called, self._unmeasured(), hint)

    def _unmeasured(self) -> str:
        """The processes that cannot be measured although somebody expects it, and why, for people who wonder why there is no data."""
        missed = list(self._discovery.unmeasured.values()) if self._discovery is not None else []
        if not missed:
            return ""
        some = ", ".join(f"{each}: {each.kind.replace('_', ' ')}" for each in missed[:5]) + (
            ", …" if len(missed) > 5 else ""
        )
        who = "1 process" if len(missed) == 1 else f"{len(missed)} processes"
        return f"; {who} cannot be measured: {some} (see otel-jb doctor PID)"

    def run(self) -> None:
        """Work until `stop` is called; after `start`. Raises NoFunctionError where debug files that were waited for name nothing to measure."""
        discovery, measuring = self._discovery, self._measuring
        if discovery is None or measuring is None:
            raise RuntimeError("the agent was not started")
        self._commands.own()
        look = partial(self._look, discovery, measuring)
        self._looking = threading.Thread(target=look, name="discovery", daemon=True)
        with ExitStack() as stack:
            poller = select.epoll()
            stack.callback(poller.close)
            poller.register(self._commands.fileno(), select.EPOLLIN)
            ring = Paced(poller, measuring.backend.event_descriptor)
            steps = _step_watch()
            if steps is not None:
                # Times of events around a step of the wall clock are told apart by when the step was seen.
                stack.callback(steps.close)
                poller.register(steps.fileno(), select.EPOLLIN)
            self._looking.start()
            self._loop(poller, ring, steps, discovery, measuring)
        if self._refused is not None:
            raise self._refused

    def _loop(
        self,
        poller: select.epoll,
        ring: Paced,
        steps: StepWatch | None,
        discovery: Discovery,
        measuring: Measuring,
    ) -> None:
        """The owner's thread."""
        interval_s = self.config.interval / 1e9
        next_roll = time.monotonic() + interval_s
        next_watch = time.monotonic() + WATCH_S
        while not self._stop.is_set():
            now = time.monotonic()
            wait = max(0.0, min(next_roll, next_watch) - now)
            ready = {descriptor for descriptor, _ in poller.poll(ring.wait(now, wait))}
            try:
                if self._commands.fileno() in ready:
                    self._commands.run_pending()
                if steps is not None and steps.fileno() in ready and steps.stepped():
                    self._tick()
                now = time.monotonic()
                if watches := now >= next_watch - (EARLY_S if now >= next_roll else 0.0):
                    next_watch = now + WATCH_S
                if watches or ring.due(now, ready):  # some events found no room in the ring, and wake nobody
                    ring.fetched(now, self._take_events(discovery, measuring), next_watch, unasked=watches)
                if watches:
                    measuring.tidy()
                    measuring.mind_debuggers()
                    measuring.govern()
                    self._tick()
                if now >= next_roll:
                    self._read_ns = measuring.read(roll=True)
                    next_roll = max(next_roll + interval_s, now)
            except OverrunError as error:
                self._end_with(error)
            except AgentError as error:  # one target's trouble does not stop the others
                _logger.warning("%s", error.message)

    def _end_with(self, error: Exception) -> None:
        """Have `run` end and raise this, unless something else was first."""
        self._refused = self._refused or error
        self.stop()

    def _take_events(self, discovery: Discovery, measuring: Measuring) -> int:
        """Slow calls, and processes that have ended or come; how many slow calls there were."""
        slow = measuring.take_slow_calls()
        arrivals = measuring.backend.arrivals()
        # Without the cost measurement's own process, which a signal to the agent's process group ends too.
        ended = {target: how for target, how in measuring.backend.ended().items() if target in measuring.targets}
        if ended:
            measuring.end(list(ended))
            self._problem = "the processes that were measured have ended"
        if arrivals or ended:
            discovery.tell(arrivals, ended)
        return slow

    def _look(self, discovery: Discovery, measuring: Measuring) -> None:
        """The thread that examines processes, so that one with many large files does not delay reading the kernel."""
        try:
            while not self._stop.is_set():
                try:
                    changes = discovery.poll()
                    if changes:  # else the owner need not wake
                        failed, again = self._commands.call(partial(measuring.apply, changes))
                        for each in failed:
                            discovery.forget(each.process)
                        if again:
                            discovery.tell(again, {})
                except OverrunError:
                    raise
                except AgentError as error:  # one target's trouble does not stop the others
                    if not self._stop.is_set():
                        _logger.warning("%s", error.message)
                    self._stop.wait(WATCH_S)
                    continue
                self._say_if_nothing_runs(discovery, measuring)
                if changes.more:
                    continue
                if (vain := discovery.in_vain()) is not None:
                    self._end_with(vain)
                    return
                discovery.wait(WATCH_S)
        except ClosedError:
            return
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._end_with(error)

    def _tick(self) -> None:
        for callback in self.on_tick:
            callback()

    def stop(self) -> None:
        """End `run`; callable from a signal handler."""
        self._stop.set()
        self._commands.wake()

    def close(self) -> None:
        """Read a last time, detach everything, end the children. Safe to call twice."""
        self._stop.set()
        self._examined.set()
        self._commands.close()
        measuring, self._measuring = self._measuring, None
        if measuring is not None:
            measuring.close()
        if self._discovery is not None:
            self._discovery.stop()
        if self._debug_files is not None:
            self._debug_files.close()
        self.inspector.close()

    # -- for other threads ----------------------------------------------------------------------------------

    def read(self) -> None:
        """Take a snapshot and hand it on."""
        try:
            self._read_ns = self._commands.call(self._read)
        except ClosedError:
            return

    def _read(self) -> int | None:
        try:
            return self._measuring.read() if self._measuring is not None else self._read_ns
        except OverrunError as error:
            self._end_with(error)
            return self._read_ns

    def emit(self, *records: StreamRecord) -> None:
        """Hand records on, in order with all others."""
        measuring = self._measuring
        try:
            if measuring is not None:
                self._commands.call(partial(measuring.emit, *records))
        except ClosedError:
            return

    def refresh(self) -> None:
        """For a scrape: values as of now."""
        self.read()

    def overhead(self) -> Mapping[int, float]:
        """Estimated CPU time spent in the probes of each target, by `Target.id`, as a fraction of one CPU over the last minute."""
        return self._measuring.overhead if self._measuring is not None else {}

    def uncounted(self) -> int:
        """Calls that were not counted, because their process found no room."""
        return self._measuring.uncounted if self._measuring is not None else 0

    def targets(self) -> dict[tuple[str, str], int]:
        """Processes by state and reason: measured, unmeasurable, or ignored."""
        measured = len(self._measuring.targets) if self._measuring is not None else 0
        others = self._discovery.counts() if self._discovery is not None else {}
        return {("measured", ""): measured, **others}

    def unmeasured(self) -> list[tuple[int, str, str, str]]:
        """(pid, name, kind, reason) of processes that somebody expects to be measured, and of which nothing can be."""
        missed = list(self._discovery.unmeasured.values()) if self._discovery is not None else []
        return [(each.pid, printable(each.name), each.kind, printable(each.reason)) for each in missed]

    def pid_of(self, target: int) -> int | None:
        """The process of a target, None once it has ended. Detaching does not end it: its last slow calls are still told."""
        return self._measuring.pids.get(target) if self._measuring is not None else None

    def measure_cost(self) -> None:
        """Measure the cost of probes on this machine in the background, publish it, and use it for later plans."""
        threading.Thread(target=self._measure_cost, name="cost", daemon=True).start()

    def _measure_cost(self) -> None:
        discovery, measuring = self._discovery, self._measuring
        if discovery is None or measuring is None:
            return
        self._examined.wait(COST_WAITS_S)
        try:
            cost = measuring.backend.measure_cost(self._commands.call)
            discovery.planner.use_costs(cost)
            plans = discovery.plans_again()
            self._commands.call(partial(measuring.use_costs, cost, plans))
        except ClosedError:
            return
        except (AgentError, OSError) as error:
            _logger.warning("the cost of a probe could not be measured: %s", error)

    def readiness(self) -> tuple[bool, str]:
        """Whether probes are attached and the kernel was read within the last interval; otherwise the reason."""
        measuring, read_ns = self._measuring, self._read_ns
        targets = len(measuring.targets) if measuring is not None else 0
        if measuring is None or not targets:
            waiting = list(self._discovery.waiting.values()) if self._discovery is not None else []
            return False, "; ".join(waiting[:5]) or self._problem
        if read_ns is not None:
            age_s = (time.monotonic_ns() - read_ns) / 1e9
            if age_s > self.config.interval / 1e9 + 1:
                return False, f"the kernel was last read {age_s:.0f} s ago"
        probes = measuring.functions
        said = f"{number_of(probes, 'function')} of {number_of(targets, 'process')} {'is' if probes == 1 else 'are'} measured"
        if measuring.uncounted:
            said += f"; {measuring.uncounted} calls were not counted: their processes found no room (max_series)"
        return True, said + self._unmeasured()


def _step_watch() -> StepWatch | None:
    from otel_jb.telemetry.clock import StepWatch

    try:
        return StepWatch()
    except (OSError, AttributeError):  # a C library without timerfd
        return None


def _similar(config: Config) -> str:
    """What runs under a name like one that is waited for."""
    from otel_jb.host import procfs

    wanted = [each.name for each in config.targets if each.name is not None]
    running = sorted({each.name for each in procfs.processes()}) if wanted else []
    close = [name for each in wanted for name in closest(each, running, 1, 0.7) if name != each]
    return f" (did you mean {' or '.join(map(printable, close))}, which is running?)" if close else ""


def _fixed_threshold(config: Config, function: str, role: str) -> int | None:
    threshold = config.slow.of(function, role)
    return threshold.ns if threshold is not None else None
