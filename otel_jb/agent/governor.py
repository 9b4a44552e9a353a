"""Keeps what probes cost a target within its budget: sheds the dearest, least telling probe, and tries it again later.

Pure: it is told what was counted and when, and answers what to do. The cost is estimated as calls times the predicted cost of a call;
nothing that was not seen is added to any count, `otel_jb.probe.attached_time` shows how long a probe was blind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

WINDOW_S = 60.0  #: the budget holds on average over so long
FIRST_RETRY_S = 60.0  #: a shed probe is tried again after this, then after twice as long each time
LAST_RETRY_S = 1800.0
TRIAL_S = 5.0  #: a probe that came back and goes over the budget within this time waits longer the next time


@dataclass(frozen=True, slots=True)
class Reading:
    """What one probe has counted so far."""

    series: int
    target: int
    primary: bool
    entries: int  #: cumulative
    cost_s: float  #: of one call


@dataclass(frozen=True, slots=True)
class Decision:
    """Detach or attach a probe; `reason` is for the log and the probe's state."""

    series: int
    shed: bool
    reason: str


@dataclass(slots=True)
class _Probe:
    target: int
    primary: bool
    history: deque[tuple[float, float]] = field(default_factory=deque)  #: (time, CPU seconds since the one before)
    entries: int = 0  #: at the last observation; a new probe's calls are all recent ones
    shed_at: float | None = None
    retry_s: float = FIRST_RETRY_S
    restored_at: float | None = None

    def spent_s(self) -> float:
        """CPU seconds within the window."""
        return sum(seconds for _, seconds in self.history)


class Governor:
    """Decides, once a second or so. `budget` is a fraction of one CPU per target; None only estimates."""

    def __init__(self, budget: float | None) -> None:
        self.budget = budget
        self._probes: dict[int, _Probe] = {}
        self._began: dict[int, float] = {}
        self._overhead: dict[int, float] = {}

    def overhead(self) -> Mapping[int, float]:
        """Estimated CPU time spent in probes per target, as a fraction of one CPU over the last minute."""
        return dict(self._overhead)

    def observe(self, now: float, readings: Iterable[Reading]) -> list[Decision]:
        """Take the present counts of all probes; returns what is to be done now. `now` is monotonic seconds."""
        seen = {reading.series for reading in readings if self._note(now, reading)}
        for series in self._probes.keys() - seen:
            del self._probes[series]
        decisions: list[Decision] = []
        targets = {probe.target for probe in self._probes.values()}
        self._began = {target: self._began.get(target, now) for target in targets}
        self._overhead = {}
        for target in targets:
            decisions += self._govern(now, target)
        return decisions

    def _note(self, now: float, reading: Reading) -> bool:
        probe = self._probes.setdefault(reading.series, _Probe(reading.target, reading.primary))
        if probe.shed_at is None:
            probe.history.append((now, max(0, reading.entries - probe.entries) * reading.cost_s))
        probe.entries = reading.entries
        while probe.history and probe.history[0][0] <= now - WINDOW_S:
            probe.history.popleft()
        return True

    def _govern(self, now: float, target: int) -> list[Decision]:
        probes = {series: probe for series, probe in self._probes.items() if probe.target == target}
        attached = {series: probe for series, probe in probes.items() if probe.shed_at is None}
        spent = {series: probe.spent_s() for series, probe in attached.items()}
        total = sum(spent.values())
        self._overhead[target] = total / min(WINDOW_S, max(1.0, now - self._began[target]))
        if self.budget is None:
            return []
        allowed = self.budget * WINDOW_S
        decisions: list[Decision] = []
        # Least telling first: a primary function goes only when no other is left; of equals the dearest.
        for series in sorted(attached, key=lambda s: (attached[s].primary, -spent[s])):
            if total <= allowed:
                break
            if spent[series] == 0.0:
                continue
            decisions.append(self._shed(now, series, attached[series], spent[series]))
            total -= spent[series]
        if decisions:
            return decisions
        for series, probe in probes.items():
            if probe.shed_at is None or now - probe.shed_at < probe.retry_s:
                continue
            if total > allowed / 2:
                break  # no room yet
            probe.shed_at, probe.restored_at = None, now
            probe.history.clear()
            return [
                Decision(series, shed=False, reason="tried again: the target's probes cost less than half the budget")
            ]
        return []

    def _shed(self, now: float, series: int, probe: _Probe, spent_s: float) -> Decision:
        back_at = probe.restored_at
        if back_at is not None and now - back_at < WINDOW_S + TRIAL_S:
            probe.retry_s = min(LAST_RETRY_S, probe.retry_s * 2)
        else:
            probe.retry_s = FIRST_RETRY_S
        probe.shed_at = now
        probe.history.clear()
        share = spent_s / WINDOW_S
        budget = self.budget or 0.0
        return Decision(
            series,
            shed=True,
            reason=f"overhead budget: the target's probes would exceed {budget:.1%} of a CPU, this one spends {share:.1%}; "
            f"tried again in {probe.retry_s:.0f} s",
        )
