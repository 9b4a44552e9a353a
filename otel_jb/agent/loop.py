"""The agent: finds targets, attaches, reads, hands the stream of records to whoever takes it, and stops cleanly.

One lock guards the kernel backend; the loop, a scrape and an export take it in turn. The order at start is chosen for the time
to the first probe: the sandbox is forked before there are threads, the BPF program compiles in its child while targets are
looked for, and everything that speaks OpenTelemetry is imported only once probes are attached.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from otel_jb.agent.governor import Decision, Governor, Reading
from otel_jb.agent.log import about
from otel_jb.agent.shedding import tells
from otel_jb.diagnosis.thresholds import PercentileThreshold
from otel_jb.host.cpu import cpu_seconds
from otel_jb.model.errors import AgentError, AttachError, TargetError
from otel_jb.model.plan import ProbePlan
from otel_jb.model.stream import (
    ProbeState,
    ProbeStatus,
    Series,
    SeriesSnapshot,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)
from otel_jb.probes.backend import KernelOptions

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.planner.targets import Changes, Discovery, Found
    from otel_jb.probes.live import BpfBackend
    from otel_jb.telemetry.clock import StepWatch

_logger = logging.getLogger(__name__)

WATCH_S = 1.0  #: new and ended processes are noticed within this time
STOP_BUDGET_S = 4.0  #: a second is left for what cannot be hurried, so that stopping takes at most five

Sink = Callable[[StreamRecord], None]


class Agent:
    """Measures until stopped.

    Args:
        config: what to measure and how.
        sinks: each gets every record of the stream, in order, from the agent's threads; must not block.
        events: whether slow calls leave events; they are counted either way.
    """

    def __init__(self, config: Config, sinks: list[Sink] | None = None, *, events: bool = True) -> None:
        from otel_jb.sandbox.client import Inspector
        from otel_jb.telemetry.state import StreamState

        self.config = config
        self.inspector = Inspector()  # forks: before anything starts a thread
        self.state = StreamState(config.retain / 1e9)
        self.sinks: list[Sink] = [self.state.apply, *(sinks or [])]
        self.backend: BpfBackend | None = None
        self.discovery: Discovery | None = None
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self.on_tick: list[Callable[[], object]] = []  #: called about once a second
        self._events = events
        self._governor = Governor(config.overhead.budget)
        self._series: dict[int, list[Series]] = {}
        self._percentiles: dict[int, PercentileThreshold] = {}
        self._costs: dict[int, float] = {}  # seconds of one call, by series
        self._cold_s = 0.0  # what a call costs more where it is a rare one
        self._targets: dict[int, Target] = {}
        self._measuring: threading.Thread | None = None
        self._pids: dict[int, int] = {}
        self._read_ns: int | None = None
        self._problem = "the processes of this host are still being looked at"
        self._looked_at_all = False
        self._defect: Exception | None = None

    # -- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Compile, find targets and attach. Raises AgentError where nothing can ever be measured, with nothing left behind."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        from otel_jb.probes.live import BpfBackend

        config = self.config
        slow = config.slow

        self.backend = BpfBackend(
            KernelOptions(
                boundaries_ns=[int(bound) for bound in config.histogram.boundaries],
                max_series=config.max_series,
                links=config.link.value,
                events=self._events,
                event_rate=slow.rate,
                event_burst=slow.burst,
                threshold_ns=lambda probe: _fixed_threshold(config, probe.function, probe.role),
            )
        )
        from otel_jb.planner.targets import Discovery
        from otel_jb.probes import features

        self.discovery = Discovery(config, self.inspector)
        if self.discovery.planner.kernel.sessions and not features.has_sessions():
            self.discovery.planner.without_sessions()
        found = self.discovery.first()
        refused: AgentError | None = None
        for each in found:
            try:
                self._attach(each)
            except (AttachError, TargetError) as error:
                _logger.warning("%s", error.message)
                refused = error
                self.discovery.forget(each)
        if (
            refused is not None
            and not self._targets
            and all(s.pid is not None for s in config.targets)
            and config.targets
        ):
            raise refused
        _ = self.backend.link_kind  # the program is loaded by now, or it never will be, and nothing ever measured
        self._say_if_nothing_runs()

    def _say_if_nothing_runs(self) -> None:
        """Once all processes were looked at; afterwards it goes without saying."""
        assert self.discovery is not None
        if self._looked_at_all or self.discovery.more:
            return
        self._looked_at_all = True
        if not self._targets:
            include = self.config.functions.include
            called = f" with a function called {' or '.join(include)}" if include else ""
            self._problem = f"no process{called} that is to be measured runs" + self._unmeasured()
            _logger.info("no process%s to measure yet; waiting for one", called)

    def _unmeasured(self) -> str:
        """The media servers that run and cannot be measured, for people who wonder why there is no data."""
        servers = list(self.discovery.unmeasured.values()) if self.discovery is not None else []
        if not servers:
            return ""
        some = ", ".join(map(str, servers[:5])) + (", …" if len(servers) > 5 else "")
        return f"; {len(servers)} media server{'s' if len(servers) > 1 else ''} cannot be measured: {some} (see otel-jb doctor PID)"

    def run(self) -> None:
        """Work until `stop` is called."""
        poller = select.epoll()
        discoverer = threading.Thread(target=self._discover, name="discovery", daemon=True)
        with ExitStack() as stack:
            stack.callback(poller.close)
            steps = _step_watch()
            if steps is not None:
                # Times of events around a step of the wall clock are told apart by when the step was seen.
                stack.callback(steps.close)
                poller.register(steps.fileno(), select.EPOLLIN)
            discoverer.start()
            threading.Thread(target=self._gather, name="evidence", daemon=True).start()
            self._loop(poller, steps)
        if self._defect is not None:
            raise self._defect

    def _gather(self) -> None:
        """The thread that reads what plans want to know of whole processes; it takes seconds, and nobody waits for it."""
        assert self.discovery is not None
        try:
            while not self._stop.is_set():
                found = self.discovery.gather_next(lambda: not self._stop.is_set())
                if found is None:
                    self._stop.wait(WATCH_S)
                else:
                    self._change(*found)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._defect = error
            self.stop()

    def _discover(self) -> None:
        """The thread that looks at processes: one with many large files keeps nobody from reading the kernel on time."""
        assert self.discovery is not None
        try:
            while not self._stop.is_set():
                try:
                    changes = self.discovery.poll()
                    self._apply(changes)
                except AgentError as error:  # one target's trouble does not stop the others
                    if not self._stop.is_set():
                        _logger.warning("%s", error.message)
                    self._stop.wait(WATCH_S)
                    continue
                if changes.more:
                    continue
                self._say_if_nothing_runs()
                self._stop.wait(WATCH_S)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._defect = error
            self.stop()

    def _loop(self, poller: select.epoll, steps: StepWatch | None) -> None:
        assert self.backend is not None
        interval_s = self.config.interval / 1e9
        next_roll = time.monotonic() + interval_s
        next_watch = time.monotonic() + WATCH_S
        registered = False
        while not self._stop.is_set():
            if self._targets and not registered:
                poller.register(self.backend.event_descriptor, select.EPOLLIN)
                registered = True
            wait = max(0.0, min(next_roll, next_watch) - time.monotonic())
            events = poller.poll(min(wait, 0.5))
            try:
                if steps is not None and any(fd == steps.fileno() for fd, _ in events) and steps.stepped():
                    self._tick()
                if events:
                    self._take_slow_calls()
                now = time.monotonic()
                if now >= next_watch:
                    next_watch = now + WATCH_S
                    self._govern()
                    self._open_gates()
                    self._tick()
                if now >= next_roll:
                    self.read(roll=True)
                    next_roll = max(next_roll + interval_s, now)
            except AgentError as error:  # one target's trouble does not stop the others
                _logger.warning("%s", error.message)

    def _tick(self) -> None:
        for callback in self.on_tick:
            callback()

    def stop(self) -> None:
        """End `run`; callable from a signal handler."""
        self._stop.set()

    def close(self) -> None:
        """Read a last time, detach everything, end the children. Safe to call twice."""
        if self._measuring is not None:
            self._measuring.join()  # it uses the kernel's arrays; bounded by what it measures
        with self._lock:
            if self.backend is not None:
                if self._targets:
                    self._take_slow_calls()
                    for target in list(self._targets):
                        self._end(target, ended=False)
                self.backend.close()
                self.backend = None
            self.inspector.close()

    # -- reading --------------------------------------------------------------------------------------------

    def read(self, roll: bool = False) -> None:
        """Take a snapshot and hand it on; `roll` ends the interval of min, max and avg."""
        with self._lock:
            if self.backend is None or not self._targets:
                self._read_ns = time.monotonic_ns()
                return
            self._take_slow_calls()
            snapshot = self.backend.snapshot(roll)
            self._read_ns = snapshot.time_ns
            self._emit(snapshot)

    def refresh(self) -> None:
        """For a scrape: values as of now."""
        self.read()

    def overhead(self) -> Mapping[int, float]:
        """Estimated CPU time spent in the probes of each target, by `Target.id`, as a fraction of one CPU over the last minute."""
        with self._lock:
            return self._governor.overhead()

    def pid_of(self, target: int) -> int | None:
        """The process of a target, None once it has ended. Detaching does not end it: its last slow calls are still told."""
        return self._pids.get(target)

    def measure_cost(self) -> None:
        """Measure what probes cost here, tell, and plan with that from now on; on a thread of its own, so that nothing waits for it."""
        self._measuring = threading.Thread(target=self._measure_cost, name="cost", daemon=True)
        self._measuring.start()

    def _measure_cost(self) -> None:
        backend, discovery = self.backend, self.discovery
        if backend is None or discovery is None:
            return
        try:
            cost = backend.measure_cost()
        except (AgentError, OSError) as error:
            _logger.warning("what a probe costs here could not be measured: %s", error)
            return
        self._cold_s = 2 * dict(cost.seconds_by_kind).get("cold", 0.0)  # a call is two hits: its entry and its end
        with self._lock:
            self._emit(cost)
        discovery.planner.use_costs(cost)
        for target, plan in discovery.plans_again():
            with self._lock:
                self._keep_costs(target, plan)

    def _keep_costs(self, target_id: int, plan: ProbePlan) -> None:
        by_function = {probe.function: probe.cost_ns / 1e9 for probe in plan.probes}
        for series in self._series.get(target_id, ()):
            self._costs[series.id] = by_function.get(series.function, self._costs.get(series.id, 0.0))

    def _govern(self) -> None:
        """Keep the probes of each target within the overhead budget."""
        with self._lock:
            if self.backend is None or not self._targets:
                return
            snapshot = self.backend.snapshot()
            values = {one.series: one for one in snapshot.series}
            self._follow_percentiles(snapshot)
            readings = [
                Reading(s.id, s.target, tells(s), _entries(values[s.id]), self._costs.get(s.id, 0.0), self._cold_s)
                for series in self._series.values()
                for s in series
                if s.id in values
            ]
            cpu_s = {number: used for number in self._targets if (used := cpu_seconds(self._pids[number])) is not None}
            for decision in self._governor.observe(time.monotonic(), readings, cpu_s):
                self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        """Attach or detach what the governor says, and log it in one line."""
        assert self.backend is not None
        act = self.backend.shed if decision.shed else self.backend.restore
        done = []
        for series, share in zip(decision.series, decision.shares, strict=True):
            status = act(series, decision.reason)
            if status is not None:
                self._emit(status)
                done.append(f"{status.function} ({share:.1%})")
        if done:
            target = self._targets[decision.target]
            _logger.warning(
                "%s of %s (process %d): %s; %s",
                "detached" if decision.shed else "attached again",
                target.name,
                target.pid,
                ", ".join(done),
                decision.reason,
                extra=about(target),
            )

    def _follow_percentiles(self, snapshot: Snapshot) -> None:
        """Move the thresholds that are percentiles of the functions' own calls."""
        assert self.backend is not None
        for values in snapshot.series:
            threshold = self._percentiles.get(values.series)
            if threshold is not None:
                ns = threshold.update(snapshot.time_ns / 1e9, snapshot.bounds_ns, values.buckets)
                self.backend.set_threshold(values.series, ns)

    def _take_slow_calls(self) -> None:
        with self._lock:
            if self.backend is not None and self._targets:
                for call in self.backend.slow_calls():
                    self._emit(call)

    def readiness(self) -> tuple[bool, str]:
        """Whether probes are attached and the kernel was read within the last interval; else the reason."""
        with self._lock:
            if not self._targets:
                return False, self._problem
            if self._read_ns is not None:
                age_s = (time.monotonic_ns() - self._read_ns) / 1e9
                if age_s > self.config.interval / 1e9 + 1:
                    return False, f"the kernel was last read {age_s:.0f} s ago"
            probes = sum(len(view.series) for view in self.state.view().live)
            return True, f"{probes} functions of {len(self._targets)} processes are measured" + self._unmeasured()

    def _emit(self, record: StreamRecord) -> None:
        for sink in self.sinks:
            sink(record)

    # -- targets --------------------------------------------------------------------------------------------

    def _attach(self, found: Found) -> None:
        target, plan = found.target, found.plan
        with self._lock:
            if not plan.probes or self.backend is None:
                return
            try:
                records = self.backend.attach(target, plan)
            except AttachError as error:
                if not found.still_runs():  # its files go with it: that is why nothing could be attached
                    raise TargetError(
                        f"process {target.pid} ({target.name}) ended before it could be probed"
                    ) from error
                raise
            if not found.still_runs():
                # Attached to a PID that ended meanwhile, perhaps to its successor.
                self.backend.detach(target.id)
                raise TargetError(f"process {target.pid} ({target.name}) ended while probes were attached to it")
            self._targets[target.id] = target
            self._pids[target.id] = target.pid
            self._series[target.id] = [record for record in records if isinstance(record, Series)]
            self._keep_costs(target.id, plan)
            self._follow(self._series[target.id])
            self._emit(target)
            for record in records:
                self._emit(record)
            self._open_gate(target.id)
            self._emit(self.backend.snapshot())
        self._report(target, plan, records)

    @staticmethod
    def _report(target: Target, plan: ProbePlan, records: list[StreamRecord]) -> None:
        series = [record for record in records if isinstance(record, Series)]
        _logger.info(
            "measuring %d functions of %s (process %d): %s",
            len(series),
            target.name,
            target.pid,
            ", ".join(f"{s.function} [{s.strategy}]" for s in series[:8]) + (" …" if len(series) > 8 else ""),
            extra=about(target),
        )
        for record in records:
            if isinstance(record, ProbeStatus) and record.state is ProbeState.FAILED:
                _logger.warning(
                    "%s in process %d cannot be probed: %s",
                    record.function,
                    target.pid,
                    record.reason,
                    extra=about(target, record.function),
                )
        for skipped in plan.skipped:
            _logger.debug(
                "%s in process %d is not probed: %s",
                skipped.function,
                target.pid,
                skipped.reason,
                extra=about(target, skipped.function),
            )

    def _apply(self, changes: Changes) -> None:
        assert self.discovery is not None
        with self._lock:
            if self.backend is None:  # closed meanwhile
                return
            for target_id in changes.ended:
                if target_id in self._targets:
                    self._end(target_id, ended=True)
            for target_id, plan in changes.grown:
                self._change(target_id, plan)
        for each in changes.found:
            try:
                self._attach(each)
            except (AttachError, TargetError) as error:
                _logger.warning("%s", error.message)
                self.discovery.forget(each)

    def _change(self, target_id: int, plan: ProbePlan) -> None:
        """A measured process has functions that it had not, or some that are to be measured in another way."""
        with self._lock:
            if self.backend is None or target_id not in self._targets:
                return
            target = self._targets[target_id]
            records = [*self.backend.extend(target_id, plan), *self.backend.replace(target_id, plan)]
            series = {record.id: record for record in records if isinstance(record, Series)}
            known = {each.id for each in self._series[target_id]}
            self._series[target_id] = [series.pop(each.id, each) for each in self._series[target_id]]
            self._series[target_id] += series.values()
            self._follow(each for each in series.values() if each.id not in known)
            self._keep_costs(target_id, plan)
            for record in records:
                self._emit(record)
            self._open_gate(target_id)
        if records:
            self._report(target, plan, records)

    def _open_gates(self) -> None:
        """Have what measured processes loaded looked at, where return probes are kept out of them until then."""
        with self._lock:
            for target_id in self._targets:
                if not self._open_gate(target_id) and self.discovery is not None:
                    self.discovery.look_now(target_id)

    def _open_gate(self, target_id: int) -> bool:
        """Let return probes into a process that maps nothing but what its plan knows of; whether they are."""
        assert self.backend is not None
        assert self.discovery is not None
        loads = self.backend.loads(
            target_id
        )  # before the look at its files: what is loaded after that is another number
        if loads is None:
            return True
        if not self.discovery.unchanged(target_id):
            return False
        self.backend.open_gate(target_id, loads)
        return True

    def _follow(self, series: Iterable[Series]) -> None:
        """Follow the percentiles of functions whose threshold is one."""
        for each in series:
            slow = self.config.slow.of(each.function, each.role)
            if slow is not None and slow.percentile is not None:
                self._percentiles[each.id] = PercentileThreshold(slow.percentile)

    def _end(self, target_id: int, *, ended: bool) -> None:
        assert self.backend is not None
        target = self._targets.pop(target_id)
        for series in self._series.pop(target_id, ()):
            self._costs.pop(series.id, None)
            self._percentiles.pop(series.id, None)
        self._take_slow_calls_of_ended()
        last: Snapshot = self.backend.detach(target_id)
        self._emit(last)
        if ended:
            self._pids.pop(target_id, None)
            _logger.info("%s (process %d) ended", target.name, target.pid, extra=about(target))
            self._emit(TargetEnded(target_id, last.time_unix_nano))
            self._problem = "the processes that were measured have ended"

    def _take_slow_calls_of_ended(self) -> None:
        """What the target sent before it ended: its series are known for a last moment."""
        assert self.backend is not None
        for call in self.backend.slow_calls():
            self._emit(call)


def _step_watch() -> StepWatch | None:
    from otel_jb.telemetry.clock import StepWatch

    try:
        return StepWatch()
    except (OSError, AttributeError):  # a C library without timerfd
        return None


def _entries(values: SeriesSnapshot) -> int:
    return values.returned + values.abandoned + values.missed + values.untimed + values.in_flight


def _fixed_threshold(config: Config, function: str, role: str) -> int | None:
    threshold = config.slow.of(function, role)
    return threshold.ns if threshold is not None else None
