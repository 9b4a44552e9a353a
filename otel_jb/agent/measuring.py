# SPDX-License-Identifier: Apache-2.0
"""What the owner of the kernel's side does: attaches targets, reads, governs, ends them, and hands every record on.

Everything here runs on one thread, the owner of `otel_jb.agent.commands`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from otel_jb.agent.debugged import DebuggerWatch
from otel_jb.agent.governor import Decision, Governor, Reading
from otel_jb.agent.log import about
from otel_jb.agent.shedding import Tells, tells
from otel_jb.diagnosis.thresholds import PercentileThreshold
from otel_jb.host.cpu import cpu_seconds
from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import AgentError, AttachError, OverrunError, TargetError
from otel_jb.model.plan import EndStrategy, ProbePlan
from otel_jb.model.stream import AgentCost, ProbeState, ProbeStatus, Series, Snapshot, StreamRecord, Target, TargetEnded

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.planner.changes import Changes, Found
    from otel_jb.probes.backend import Backend

_logger = logging.getLogger(__name__)

Sink = Callable[[StreamRecord], None]

_LEFT_OUT = "the configuration does not ask for it any more"


class Measuring:
    """The targets that are measured now.

    Args:
        config: what to measure and how.
        backend: the kernel's side.
        sinks: each gets every record of the stream, in order; must not block.
        governor: what keeps the budget; None: one for this configuration.
    """

    def __init__(
        self, config: Config, backend: Backend, sinks: Sequence[Sink], governor: Governor | None = None
    ) -> None:
        self.backend = backend
        self.targets: dict[int, Target] = {}
        self.pids: dict[int, int] = {}  #: by target; also of those that were detached and run on
        self.held: set[int] = set()  #: PIDs of which the kernel itself tells when they end or execute another program
        self.uncounted = 0  #: calls of processes that found no room
        self._config = config
        self._sinks = sinks
        self._governor = governor or Governor(config.overhead.budget, samples=True)
        self._series: dict[int, list[Series]] = {}  # by target
        self._percentiles: dict[int, PercentileThreshold] = {}  # by series
        self._left_out: set[int] = set()  # series that the configuration does not ask for any more
        self._debuggers = DebuggerWatch()
        self._yielded: dict[int, list[int]] = {}  # series whose probes gave way to a debugger, by target
        self._costs: dict[int, float] = {}  # seconds of one call, by series
        self._tells: dict[int, Tells] = {}  # by series
        self._cold_s = 0.0  # what a hit costs more where calls are rare

    def emit(self, *records: StreamRecord) -> None:
        """Hand records on."""
        for record in records:
            for sink in self._sinks:
                sink(record)

    @property
    def functions(self) -> int:
        """How many are measured, of all targets together. For any thread."""
        return sum(map(len, list(self._series.values())))

    @property
    def overhead(self) -> Mapping[int, float]:
        """By target, see `Governor.overhead`."""
        return self._governor.overhead() if self.targets else {}

    def spent_s(self, target_id: int) -> float:
        """See `Governor.spent_s`."""
        return self._governor.spent_s(target_id)

    # -- targets --------------------------------------------------------------------------------------------

    def attach(self, found: Found) -> None:
        """Measure a process. Raises AttachError, TargetError."""
        target, plan = found.target, found.plan
        if not plan.probes:
            return
        try:
            records = self.backend.attach(target, plan, alone=found.alone, running=not found.came)
        except AttachError as error:
            if not found.still_runs():  # its files go with it: that is why nothing could be attached
                raise TargetError(f"process {target.pid} ({target.name}) ended before it could be probed") from error
            raise
        if not found.came and not found.still_runs() and not self.backend.has_counted(target.id):
            # Attached to a PID that ended meanwhile, perhaps to its successor.
            self.backend.detach(target.id, gone=True)
            raise TargetError(f"process {target.pid} ({target.name}) ended while probes were attached to it")
        if found.came and not any(isinstance(record, Series) for record in records):
            self.backend.detach(target.id, gone=True)  # it was named in time, by another way
            return
        self.targets[target.id] = target
        self.pids[target.id] = target.pid
        self._series[target.id] = [record for record in records if isinstance(record, Series)]
        if self._series[target.id] and self.backend.tells_ends:
            self.held.add(target.pid)
        self._keep_costs(target.id, plan)
        self._follow(self._series[target.id])
        self.emit(target, *records, self.backend.snapshot(only=target.id))
        _report(target, plan, records)

    def apply(self, changes: Changes) -> tuple[list[Found], list[Arrival]]:
        """Apply the changes found among processes; returns what could not be attached, and the processes to examine again for that."""
        self.end([target for target in changes.ended if target in self.targets])
        self.end([target for target in changes.left if target in self.targets], ended=False, left=True)
        for target, plan in changes.kept:
            self._select(target, plan)
        if changes.left or changes.kept or changes.anew:
            self.backend.drop_idle()
        for target, plan in changes.grown:
            self.extend(target, plan)
        for expectation in changes.expected:
            try:
                self.backend.expect(expectation.plan, expectation.pid)
            except AgentError as error:  # the process is measured once its libraries are looked at
                _logger.debug("a library is not probed ahead: %s", error.message)
        failed = []
        for each in changes.found:
            try:
                self.attach(each)
            except (AttachError, TargetError) as error:
                _logger.log(logging.DEBUG if each.came else logging.WARNING, "%s", error.message)
                failed.append(each)
        again: list[Arrival] = []
        for placed in changes.placed:
            number = placed.found.target.id if placed.found is not None else placed.target
            if number is None or number in self.targets:
                for arrival in placed.arrivals:
                    self.backend.ignore(arrival, number)  # unless it is attached by now
            elif placed.found is None or not placed.found.came:
                again += placed.arrivals  # it ended meanwhile, and is named from what the kernel knew
        return failed, again

    def extend(self, target_id: int, plan: ProbePlan) -> None:
        """A measured process has functions that it had not."""
        if target_id not in self.targets:
            return
        target = self.targets[target_id]
        records = self.backend.extend(target_id, plan)
        series = {record.id: record for record in records if isinstance(record, Series)}
        known = {each.id for each in self._series[target_id]}
        self._series[target_id] = [series.pop(each.id, each) for each in self._series[target_id]]
        self._series[target_id] += series.values()
        self._follow(each for each in series.values() if each.id not in known)
        self._keep_costs(target_id, plan)
        self.emit(*records)
        if records:
            _report(target, plan, records)

    def _select(self, target_id: int, plan: ProbePlan) -> None:
        """Measure what a new configuration asks for of a target; what it does not ask for keeps what was counted, and counts no more."""
        if target_id not in self.targets:
            return
        wanted = {probe.function for probe in plan.probes}
        for series in self._series[target_id]:
            if series.function not in wanted and series.id not in self._left_out:
                self._left_out.add(series.id)
                status = self.backend.shed(series.id, _LEFT_OUT)
            elif series.function in wanted and series.id in self._left_out:
                self._left_out.discard(series.id)
                status = self.backend.restore(series.id, "selected again")
            else:
                status = None
            if status is not None:
                self.emit(status)
        self.extend(target_id, plan)

    def end(self, target_ids: Sequence[int], *, ended: bool = True, left: bool = False) -> None:
        """Read targets a last time and let them go; `ended`: their processes are gone; `left`: they run on and are not to be measured."""
        if not target_ids:
            return
        self.take_slow_calls(every=True)  # what they sent before: their series are known for a last moment
        try:
            last = self.backend.detach(*target_ids, gone=ended)
        except OverrunError:  # they are detached, and their last values are not known
            for target_id in target_ids:
                del self.targets[target_id]
            raise
        self.emit(last)
        for target_id in target_ids:
            target = self.targets.pop(target_id)
            self.held.discard(target.pid)
            self._yielded.pop(target_id, None)
            for series in self._series.pop(target_id, ()):
                self._costs.pop(series.id, None)
                self._tells.pop(series.id, None)
                self._percentiles.pop(series.id, None)
                self._left_out.discard(series.id)
            if ended or left:
                self.pids.pop(target_id, None)
                how = "ended" if ended else "is not measured any more, or anew: the configuration says so"
                _logger.info("%s (process %d) %s", target.name, target.pid, how, extra=about(target))
                self.emit(TargetEnded(target_id, last.time_unix_nano))

    def tidy(self) -> None:
        """What is to be done once a second or so; says which functions are not measured any more, and why."""
        records = self.backend.tidy()
        self.emit(*records)
        for record in records:
            if isinstance(record, ProbeStatus) and record.target in self.targets:
                _warn_of(self.targets[record.target], record)

    def mind_debuggers(self) -> None:
        """Take the probes out of processes that are being debugged, and put them back afterwards. To be called once a second or so.

        The kernel takes a debugger's breakpoint on a probed instruction for its own, so the process would not stop there.
        """
        for target_id, debugger in self._debuggers.look(
            {number: target.pid for number, target in self.targets.items()}
        ):
            if debugger is None:
                kept = [each for each in self._yielded.pop(target_id, ()) if each not in self._left_out]
                done = [self.backend.restore(each, "the debugger has left") for each in kept]
            else:
                done = [
                    self.backend.shed(
                        each.id, f"{debugger} is attached: probes give way to its breakpoints", shared=False
                    )
                    for each in self._series[target_id]
                ]
                self._yielded.setdefault(target_id, []).extend(each.series for each in done if each and each.series)
            records = [each for each in done if each is not None]
            self.emit(*records)
            for record in records[:1]:
                _warn_of_debugger(self.targets[target_id], record, len(records))

    # -- reading --------------------------------------------------------------------------------------------

    def read(self, *, roll: bool = False) -> int:
        """Take a snapshot and hand it on; `roll` ends the interval of min, max and avg. Returns its time (monotonic ns)."""
        if not self.targets:
            return time.monotonic_ns()
        self.take_slow_calls()
        snapshot = self.backend.snapshot(roll)
        self.emit(snapshot)
        return snapshot.time_ns

    def take_slow_calls(self, *, every: bool = False) -> int:
        """Hand on the slow calls that have arrived, `every` one or those that are complete; how many there were."""
        calls = self.backend.slow_calls(every=every) if self.targets else []
        for sink in self._sinks if calls else ():
            for call in calls:  # each sink is done with all of them before the next one's code has to be in the caches
                sink(call)
        return len(calls)

    # -- cost -----------------------------------------------------------------------------------------------

    def use_costs(self, cost: AgentCost, plans: Iterable[tuple[int, ProbePlan]]) -> None:
        """What probes cost was measured, and what targets cost follows from that."""
        self._cold_s = dict(cost.seconds_by_kind).get("cold", 0.0)
        self._governor.forget_samples()
        self.emit(cost)
        for target, plan in plans:
            self._keep_costs(target, plan)

    def _keep_costs(self, target_id: int, plan: ProbePlan) -> None:
        by_function = {probe.function: probe.cost_ns / 1e9 for probe in plan.probes}
        for series in self._series.get(target_id, ()):
            self._costs[series.id] = by_function.get(series.function, self._costs.get(series.id, 0.0))
            self._tells[series.id] = tells(series)

    def govern(self) -> None:
        """Keep the probes of each target within the overhead budget."""
        self.uncounted = sum(self.backend.no_room().values())
        seen = self.backend.hit_time()
        if not self.targets:
            return
        if self._percentiles:
            self._follow_percentiles(self.backend.snapshot())
        entries, now = self.backend.entries(), time.monotonic()
        due: list[int] = []
        quiet: list[int] = []
        for number, series in self._series.items():
            calls = 0
            for each in series:  # of a thousand targets with one function: a sum of a list takes three times as long
                calls += entries.get(each.id, 0)
            (due if self._governor.due(number, now, calls) else quiet).append(number)
        readings = [
            Reading(
                s.id, s.target, self._tells[s.id], entries[s.id], self._costs.get(s.id, 0.0), self._cold_s * _hits(s)
            )
            for number in due
            for s in self._series[number]
            if s.id in entries and s.id not in self._left_out and s.id not in self._yielded.get(s.target, ())
        ]
        cpu_s = {number: used for number in due if (used := cpu_seconds(self.pids[number])) is not None}
        for decision in self._governor.observe(now, readings, cpu_s, quiet, seen):
            self._carry_out(decision)
        wanted = self._governor.to_sample(now)
        if wanted is not None:
            self.backend.sample_hits(wanted)

    def _carry_out(self, decision: Decision) -> None:
        """Attach or detach as the governor decided, and log one line."""
        act = self.backend.shed if decision.shed else self.backend.restore
        done = []
        for series, share in zip(decision.series, decision.shares, strict=True):
            status = act(series, decision.reason)
            if status is not None:
                self.emit(status)
                done.append(f"{status.function} ({share:.1%})")
        if done:
            target = self.targets[decision.target]
            _logger.warning(
                "%s of %s (process %d): %s; %s",
                "detached" if decision.shed else "attached again",
                target.name,
                target.pid,
                ", ".join(done),
                decision.reason,
                extra=about(target),
            )

    def reconfigure(self, config: Config) -> None:
        """Other thresholds and another budget from now on; no probe is touched."""
        self._config = config
        self._governor.budget = config.overhead.budget
        self._percentiles.clear()
        for of_target in self._series.values():
            for series in of_target:
                threshold = config.slow.of(series.function, series.role)
                self.backend.set_threshold(series.id, threshold.ns if threshold is not None else None)
            self._follow(of_target)

    def _follow(self, series: Iterable[Series]) -> None:
        """Follow the percentiles of functions whose threshold is one."""
        for each in series:
            slow = self._config.slow.of(each.function, each.role)
            if slow is not None and slow.percentile is not None:
                self._percentiles[each.id] = PercentileThreshold(slow.percentile)

    def _follow_percentiles(self, snapshot: Snapshot) -> None:
        """Move the thresholds that are percentiles of the functions' own calls."""
        for values in snapshot.series:
            threshold = self._percentiles.get(values.series)
            if threshold is not None:
                ns = threshold.update(snapshot.time_ns / 1e9, snapshot.bounds_ns, values.buckets)
                self.backend.set_threshold(values.series, ns)

    def close(self) -> None:
        """Read a last time, detach everything."""
        try:
            self.end(list(self.targets), ended=False)
        except AgentError as error:
            _logger.debug("%s", error.message)
        self.backend.close()


def _hits(series: Series) -> int:
    """Of a call: its entry, and its end where that is probed."""
    return 1 if series.strategy == EndStrategy.ENTRY_ONLY.value else 2


def _report(target: Target, plan: ProbePlan, records: Sequence[StreamRecord]) -> None:
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
        if isinstance(record, ProbeStatus) and record.state in (ProbeState.FAILED, ProbeState.UNVERIFIED):
            _warn_of(target, record)
    for skipped in plan.skipped:
        _logger.debug(
            "%s in process %d is not probed: %s",
            skipped.function,
            target.pid,
            skipped.reason,
            extra=about(target, skipped.function),
        )


def _warn_of(target: Target, record: ProbeStatus) -> None:
    how = "cannot be probed" if record.series is None else "is not measured any more"
    _logger.warning(
        "%s in process %d %s: %s", record.function, target.pid, how, record.reason, extra=about(target, record.function)
    )


def _warn_of_debugger(target: Target, record: ProbeStatus, count: int) -> None:
    _logger.warning(
        "%s (process %d): %d functions are %s; %s",
        target.name,
        target.pid,
        count,
        "measured again" if record.state is ProbeState.ATTACHED else "not measured",
        record.reason,
        extra=about(target),
    )
