# SPDX-License-Identifier: Apache-2.0
"""Keeps what probes cost a target within its budget: detaches as few functions as suffice, and attaches them when the load falls.

Pure: it receives counts, the targets' CPU time and timestamps, and returns what to do. The cost of a probe is its calls
times the measured cost of one, corrected by what the target's CPU time did when probes came or went. Nothing that was not seen is
added to any count; `otel_jb.probe.attached_time` shows how long a probe was blind.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from math import sqrt
from typing import Protocol

from otel_jb.agent.sampled import Evidence, with_hidden
from otel_jb.agent.shedding import KEEP, WORTH, Cost, Tells, choose, over_budget
from otel_jb.model.dataclass import dataclass

WINDOW_S = 60.0  #: `overhead` is the average over this time
DECIDE_S = 20.0  #: the budget is exceeded once this much time's share of it is spent
RATES_S = 3.0  #: rates are those of the busiest second within this time
RETURN = 0.7  #: of the budget: what all may cost after something came back
PATIENCE_S = 6.0  #: nothing goes sooner where samples are to come that tell more
LONGEST_PATIENCE_S = 12.0  #: the same where few samples tell of what would stay
PLENTY = 50  #: samples in hits of what would stay, which tell enough of it
IMPATIENT = 0.2  #: of one CPU: what probes cost if nobody waits for more samples
SETTLE_S = 20.0  #: nothing comes back sooner after a change
FIRST_RETRY_S = 60.0  #: nor where nothing shows the load, or it came back in vain; then twice as long each time
LAST_RETRY_S = 1800.0
FALLING = 0.1  #: while the load of the last RATES_S is this much below that of COMPARE_S, nothing comes back yet
LOAD_RATE = 5.0  #: calls a second; fewer do not show how the load changes
COMPARE_S = 10.0  #: CPU time before and after a change is compared over this time
STEADY = 0.05  #: the comparison counts if the calls of the other functions changed by no more
WARM_S = 3e-4  #: of a target's calls this far apart, half are cold: those of one packet follow each other
WORK_S = 6e-6  #: or of those between which it works so long: its own work takes the caches
MOST_CORRECTION = 3.0  #: factor by which an estimate may be too low
NOTABLE = 0.01  #: of one CPU: smaller changes drown in the target's own
QUIET = 1 / 50  #: of the budget: a target whose probes spend less is looked at only now and then
QUIET_ALONE = 0.0005  #: of one CPU: the same where there is no budget
QUIET_S = 12.0  #: that often; sooner where its calls show that it is quiet no more


@dataclass(frozen=True, slots=True)
class Reading:
    """What one probe has counted so far."""

    series: int
    target: int
    tells: Tells
    entries: int  #: cumulative
    cost_s: float  #: cost of one call if calls follow each other immediately
    cold_s: float = 0.0  #: surcharge if the processor's caches contain other data by then


class Seen(Protocol):
    """What the governor asks of a sampling, see `otel_jb.probes.backend.HitTime`."""

    @property
    def target(self) -> int: ...
    @property
    def seconds(self) -> Mapping[int, float]: ...
    @property
    def unknown_s(self) -> float: ...
    @property
    def hidden(self) -> frozenset[int]: ...
    @property
    def sample_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Detach or attach probes of one target, in one step; `reason` is for the log and the probes' state."""

    target: int
    series: tuple[int, ...]
    shares: tuple[float, ...]  #: of one CPU, what each costs; the load may have changed since it was measured
    shed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Second:
    """What one interval between two observations, about a second, showed of a target. Twenty are kept of each of perhaps a thousand, so
    they are tuples; few are ever asked.
    """

    time: float
    length: float
    series: tuple[int, ...]
    rates: tuple[float, ...]  #: calls a second, of each of these
    costs: tuple[float, ...]  #: shares of one CPU, before the target's factor
    cpu: float | None  #: of one CPU, the target's own and the probes'
    total: float  #: of `costs`

    @property
    def calls(self) -> dict[int, float]:
        """A second, by series."""
        return dict(zip(self.series, self.rates, strict=True))

    @property
    def shares(self) -> dict[int, float]:
        """Of one CPU, by series, before the target's factor."""
        return dict(zip(self.series, self.costs, strict=True))


@dataclass(slots=True)
class _Shed:
    """A shed probe: what it cost when the load was last known."""

    share: float
    tells: Tells


@dataclass(slots=True)
class _Change:
    """A change of what is attached, until the target's CPU time has shown what it brought."""

    time: float
    series: tuple[int, ...]  #: what came or went
    shed: bool
    share: float  #: of one CPU, the estimate of what went, before the correction
    cpu: float  #: the target's share of a CPU before
    calls: dict[int, float]  #: a second, of the functions that stay


@dataclass(slots=True)
class _Target:
    began: float
    seen: float | None = None  #: when it was last observed
    next_look: float = 0.0  #: it is observed then at the latest
    quiet_until: float = 0.0  #: calls of all its functions since the start, up to which it is not observed sooner
    correction: float = 1.0  #: by what its CPU time did when probes came or went
    evidence: Evidence = field(default_factory=Evidence)
    sampled: bool = False  #: now
    entries: dict[int, int] = field(default_factory=dict)
    tells: dict[int, Tells] = field(default_factory=dict)
    prices: dict[int, tuple[float, float]] = field(default_factory=dict)  #: seconds of a call, and a cold one's more
    cpu_s: float | None = None
    seconds: deque[_Second] = field(default_factory=deque)  #: of the last COMPARE_S or DECIDE_S
    spent_at: array[float] = field(default_factory=lambda: array("d"))  #: times within the last WINDOW_S
    spent: array[float] = field(default_factory=lambda: array("d"))  #: CPU seconds then
    spent_s: float = 0.0  #: their sum
    all_spent_s: float = 0.0  #: since it is measured
    loud: float = 0.0  #: when it last spent so much that it may be over its budget
    since: float = 0.0  #: of the last change: what was spent before it decides nothing
    shed: dict[int, _Shed] = field(default_factory=dict)
    calls_then: dict[int, float] = field(
        default_factory=dict
    )  #: a second, of what stayed attached when something was shed
    own_cpu_then: float = 0.0  #: of the target without its probes, likewise
    retry_s: float = SETTLE_S
    restored_at: float | None = None
    change: _Change | None = None

    @property
    def factor(self) -> float:
        """By what the shares are multiplied."""
        return self.evidence.factor(self.correction)


class Governor:
    """Decides, once a second or so.

    Args:
        budget: a fraction of one CPU, per target; None: only estimate.
        samples: what `to_sample` names is sampled.
        pauses: a target whose budget is not at stake is not sampled for long at a time.
    """

    def __init__(self, budget: float | None, *, samples: bool = False, pauses: bool = True) -> None:
        self.budget = budget
        self._samples = samples
        self._pauses = pauses
        self._targets: dict[int, _Target] = {}
        self._seen: float | None = None

    def overhead(self) -> Mapping[int, float]:
        """Estimated CPU time spent in probes per target, as a fraction of one CPU over the last minute. For any thread."""
        now = self._seen or 0.0
        return {
            number: max(0.0, target.spent_s) / min(WINDOW_S, max(1.0, now - target.began))
            for number, target in self._targets.copy().items()
        }

    def spent_s(self, number: int) -> float:
        """Estimated CPU time spent in a target's probes since it is measured."""
        target = self._targets.get(number)
        return target.all_spent_s if target is not None else 0.0

    def due(self, number: int, now: float, entries: int) -> bool:
        """Whether a target is to be observed now. One whose probes spend next to nothing is not, most of the time: of a thousand
        processes few are busy.

        Args:
            number: the target's.
            now: monotonic seconds.
            entries: calls of all its functions so far.
        """
        target = self._targets.get(number)
        return target is None or target.sampled or now >= target.next_look or entries > target.quiet_until

    def observe(
        self,
        now: float,
        readings: Iterable[Reading],
        cpu_s: Mapping[int, float] | None = None,
        quiet: Collection[int] = (),
        seen: Seen | None = None,
    ) -> list[Decision]:
        """Take the current counts of all probes and return what to do now.

        Args:
            now: monotonic seconds.
            readings: of every probe, attached or shed.
            cpu_s: CPU time that each target has used so far, where it is known.
            quiet: targets that are not `due`, of which there are no readings.
            seen: of the target that was to be sampled since.
        """
        by_target: dict[int, list[Reading]] = {}
        for reading in readings:
            by_target.setdefault(reading.target, []).append(reading)
        for gone in self._targets.keys() - by_target.keys() - set(quiet):
            del self._targets[gone]
        before = self._seen if self._seen is not None else now - 1.0
        self._seen = now
        decisions: list[Decision] = []
        for number, its in by_target.items():
            target = self._targets.setdefault(number, _Target(began=now))
            length = max(1e-3, now - (target.seen if target.seen is not None else before))
            target.seen = now
            _note(target, now, length, its, (cpu_s or {}).get(number))
            if target.sampled:
                _learn(target, now, seen if seen is not None and seen.target == number else None)
            _compare(target, now)
            self._leave_alone(number, target, now)
            if self.budget is not None:
                decision = self._govern(number, target, now, self.budget)
                if decision is not None:
                    decisions.append(decision)
        return decisions

    def forget_samples(self) -> None:
        """What a hit costs has been measured: samples were evidence of another estimate."""
        for target in self._targets.values():
            target.evidence = Evidence()

    def to_sample(self, now: float) -> int | None:
        """The target whose hits are to be seen until the next `observe`, if any: one whose estimate matters and is due."""
        due: list[tuple[bool, float, float, int]] = []
        for number, target in self._targets.items():
            if target.next_look > now or not target.seconds or target.seconds[-1].total <= 0.0:
                continue
            evidence, at_stake = target.evidence, self._at_stake(target, now)
            if evidence.due(now, _rate(target, now), urgent=at_stake or not self._pauses):
                due.append((not at_stake, evidence.next, evidence.rests_until, number))
        if not due:
            return None
        *_, number = min(due)
        self._targets[number].sampled = True
        return number

    def _at_stake(self, target: _Target, now: float) -> bool:
        """Whether the target's probes may have exceeded the budget lately."""
        return self.budget is not None and now - target.loud <= 2 * DECIDE_S

    def _leave_alone(self, number: int, target: _Target, now: float) -> None:
        """Note when a target is to be observed again: at once, or if its probes spend next to nothing, after some seconds or many calls."""
        limit = QUIET * self.budget if self.budget is not None else QUIET_ALONE
        target.next_look = now
        if target.shed or target.change is not None or target.seconds[-1].total * target.factor > limit:
            return
        # Targets that came together are not to be observed together for ever.
        target.next_look = now + QUIET_S - number % 8
        most_s = max((cost + cold for cost, cold in target.prices.values()), default=0.0) * target.factor
        total = sum(target.entries.values())
        target.quiet_until = total + limit / most_s if most_s else float("inf")

    def _govern(self, number: int, target: _Target, now: float, budget: float) -> Decision | None:
        if target.seconds[-1].total * MOST_CORRECTION > budget / 2:
            target.loud = now
        if not self._at_stake(target, now):  # of a thousand processes most do next to nothing
            return self._restore(number, target, now, budget) if target.shed else None
        spent = sum(
            second.total * second.length for second in target.seconds if second.time > max(target.since, now - DECIDE_S)
        )
        if spent * target.factor > budget * DECIDE_S:
            if self._samples and target.evidence.comes and now - target.began < PATIENCE_S:
                return None  # the calibration alone may be wrong by half, and the first second's rates by more
            return self._shed(number, target, now, budget)
        return self._restore(number, target, now, budget) if target.shed else None

    def _shed(self, number: int, target: _Target, now: float, budget: float) -> Decision | None:
        # Since when the first observation's calls came is not known, so they are no rate.
        recent = [second for second in target.seconds if second.time > max(target.began, now - RATES_S)]
        if not recent:
            return None
        busiest = max(recent, key=lambda second: second.total)
        calls = {series: rate for series, rate in busiest.calls.items() if series in target.prices}
        own = _own(calls, target.prices, busiest.cpu)
        scale = target.factor * busiest.total / (sum(_shares(calls, target.prices, own).values()) or 1.0)
        costs: dict[int, Cost] = {}
        chosen: tuple[int, ...] = ()
        while True:
            # With fewer calls each is colder: what stays costs more than it did beside what goes.
            left = {series: rate for series, rate in calls.items() if series not in chosen}
            for series, share in _shares(left, target.prices, own).items():
                costs[series] = Cost(share * scale, target.tells[series])
            more = over_budget({series: costs[series] for series in left}, budget)
            if chosen and not more:
                # What stays may be so rarely called beside what goes that few samples tell what it costs: it fits with the error that this leaves.
                doubt = 1.0 + _doubt(target, left)
                more = choose({each: Cost(costs[each].share * doubt, costs[each].tells) for each in left}, budget)
            if not more:
                break
            chosen += more
        if not chosen or self._waits(target, now, costs, chosen, budget):
            return None
        total = sum(cost.share for cost in costs.values())
        back_at = target.restored_at
        failed = back_at is not None and now - back_at < WINDOW_S
        target.retry_s = min(LAST_RETRY_S, max(FIRST_RETRY_S, target.retry_s * 2)) if failed else SETTLE_S
        ratio = _load(target, now)
        for before in target.shed.values():
            before.share *= ratio if ratio is not None else 1.0
        _changed(target, now, chosen, shed=True)
        for series in chosen:
            target.shed[series] = _Shed(costs[series].share, costs[series].tells)
        target.calls_then = {series: rate for series, rate in busiest.calls.items() if series not in target.shed}
        target.own_cpu_then = max(0.0, busiest.cpu - total) if busiest.cpu is not None else 0.0
        return Decision(
            number,
            chosen,
            tuple(costs[series].share for series in chosen),
            shed=True,
            reason=f"overhead budget: the target's probes spend {total:.1%} of a CPU, {budget:.1%} is the limit",
        )

    def _waits(
        self, target: _Target, now: float, costs: Mapping[int, Cost], chosen: Collection[int], budget: float
    ) -> bool:
        """Whether to wait for more samples, as too few were in what would stay to know whether that fits."""
        staying = [series for series in costs if series not in chosen]
        predicted = sum(costs[series].share for series in staying)
        if (
            not self._samples
            or now - target.began >= LONGEST_PATIENCE_S
            or predicted < budget * KEEP / 2
            or sum(cost.share for cost in costs.values()) > IMPATIENT
            or not 0.0 < target.evidence.samples(staying) < PLENTY
        ):
            return False
        target.evidence.go_on()
        return True

    def _restore(self, number: int, target: _Target, now: float, budget: float) -> Decision | None:
        off_s = now - target.since
        if off_s < target.retry_s:
            return None
        ratio, lately = _load(target, now), _load(target, now, RATES_S)
        if ratio is not None and lately is not None and lately < ratio * (1 - FALLING):
            return None  # what would fit now is a part of what will in a moment
        predicted = {series: shed.share * (1.0 if ratio is None else ratio) for series, shed in target.shed.items()}
        back = self._that_fit(target, now, predicted, budget) if ratio is not None else ()
        why = f"the load has fallen to {ratio:.0%}" if ratio is not None else ""
        if not back:  # nothing shows the load, or what shows it may mislead
            patience_s = LAST_RETRY_S if ratio is not None else max(FIRST_RETRY_S, target.retry_s)
            if off_s < patience_s:
                return None
            back, why = tuple(target.shed), f"tried again after {patience_s:.0f} s"
        _changed(target, now, back, shed=False)
        for series in back:
            del target.shed[series]
        target.restored_at = now
        return Decision(number, back, tuple(predicted[series] for series in back), shed=False, reason=why)

    def _that_fit(self, target: _Target, now: float, predicted: Mapping[int, float], budget: float) -> tuple[int, ...]:
        """The shed probes that fit into the budget again, in addition to the attached ones; none if those alone exceed it."""
        rates = _mean(target, now, "shares")
        costs = {series: Cost(rate * target.factor, target.tells[series]) for series, rate in rates.items()}
        costs |= {series: Cost(share, target.shed[series].tells) for series, share in predicted.items()}
        off = choose(costs, budget * RETURN)
        return tuple(series for series in target.shed if series not in off) if set(off) <= target.shed.keys() else ()


def _note(target: _Target, now: float, length: float, readings: Collection[Reading], cpu_s: float | None) -> None:
    """Add what this second showed."""
    calls: dict[int, float] = {}
    for reading in readings:
        target.tells[reading.series] = reading.tells
        share = target.evidence.shares.get(reading.series, 1.0)
        target.prices[reading.series] = (reading.cost_s * share, reading.cold_s * share)
        # A new probe's calls are all recent ones.
        recent = max(0, reading.entries - target.entries.get(reading.series, 0)) / length
        target.entries[reading.series] = reading.entries
        if reading.series not in target.shed:
            calls[reading.series] = recent
    cpu = None
    if cpu_s is not None and target.cpu_s is not None:
        cpu = max(0.0, cpu_s - target.cpu_s) / length
    shares = _shares(calls, target.prices, _own(calls, target.prices, cpu))
    total = sum(shares.values())
    if cpu is not None and total > cpu:  # probes cannot have used more than the target did
        shares = {series: share * cpu / total for series, share in shares.items()}
    target.cpu_s = cpu_s
    present = {reading.series for reading in readings}
    for gone in target.entries.keys() - present:
        del target.entries[gone], target.tells[gone], target.prices[gone]
        target.shed.pop(gone, None)
        target.evidence.forget(gone)
    series = tuple(calls)
    if target.seconds and target.seconds[-1].series == series:
        series = target.seconds[-1].series
    second = _Second(now, length, series, tuple(calls.values()), tuple(shares.values()), cpu, sum(shares.values()))
    target.seconds.append(second)
    spent_s = second.total * length * target.factor
    target.spent_at.append(now)
    target.spent.append(spent_s)
    target.spent_s += spent_s
    target.all_spent_s += spent_s
    while target.seconds[0].time <= now - DECIDE_S:
        target.seconds.popleft()
    while target.spent_at[0] <= now - WINDOW_S:
        del target.spent_at[0]
        target.spent_s -= target.spent.pop(0)


def _learn(target: _Target, now: float, seen: Seen | None) -> None:
    """Take what was seen of a target while it was sampled; None: it could not be."""
    target.sampled = False
    second = target.seconds[-1]
    if seen is None:
        target.evidence.refuse(now)
        return
    estimated = {
        series: share * second.length / target.evidence.shares.get(series, 1.0)
        for series, share in second.shares.items()
    }
    seconds = with_hidden(seen.seconds, seen.unknown_s, seen.hidden, estimated)
    used_s = second.cpu * second.length if second.cpu is not None else second.length
    target.evidence.add(now, seconds, seen.sample_s, estimated, _rate(target, now), used_s)


def _doubt(target: _Target, series: Collection[int]) -> float:
    """The standard error of what these series cost, as a part of that, by the number of samples in their hits."""
    samples = target.evidence.samples(series)
    return 1.0 / sqrt(samples) if samples >= 1.0 else 0.0


def _own(calls: Mapping[int, float], prices: Mapping[int, tuple[float, float]], cpu: float | None) -> float:
    """The target's own work, in shares of one CPU: what it used less what these calls a second cost, of which the work makes a part cold."""
    if cpu is None:
        return 0.0
    rest = cpu - sum(rate * prices[series][0] for series, rate in calls.items())
    if rest <= 0.0:
        return 0.0
    # own = rest - cold * own / (own + half): see _shares.
    cold = sum(rate * prices[series][1] for series, rate in calls.items())
    half = sum(calls.values()) * WORK_S
    linear = rest - cold - half
    return (linear + sqrt(linear * linear + 4.0 * rest * half)) / 2.0


def _shares(calls: Mapping[int, float], prices: Mapping[int, tuple[float, float]], own: float) -> dict[int, float]:
    """What these calls a second cost a target that works so much between them, in shares of one CPU."""
    every = sum(calls.values())
    cold = 1.0 / (1.0 + every * WARM_S)  # the part of the calls that find the caches cold
    if own > 0.0:
        cold = max(cold, own / (own + every * WORK_S))
    return {series: rate * (prices[series][0] + prices[series][1] * cold) for series, rate in calls.items()}


def _changed(target: _Target, now: float, series: tuple[int, ...], *, shed: bool) -> None:
    """The set of attached probes changes now: remember the target's CPU time until then, for `_compare`."""
    cpu, shares, calls = _mean_cpu(target, now), _mean(target, now, "shares"), _mean(target, now, "calls")
    long_enough = now - max(target.since, target.began) >= COMPARE_S
    target.change = None
    if cpu is not None and long_enough:
        went = sum(shares.get(each, 0.0) for each in series)
        stay = {each: rate for each, rate in calls.items() if each not in series}
        target.change = _Change(now, series, shed, went, cpu, stay)
    target.since = now


def _compare(target: _Target, now: float) -> None:
    """Some time after a change: correct the estimate by what the target's CPU time did, if its load was steady meanwhile."""
    change = target.change
    if change is None or now - change.time < COMPARE_S + RATES_S:
        return
    target.change = None
    cpu, before = _mean_cpu(target, now), sum(change.calls.values())
    if cpu is None or before < LOAD_RATE or target.evidence.enough:
        return  # samples say more, whatever else the target did
    calls, shares = _mean(target, now, "calls"), _mean(target, now, "shares")
    after = sum(calls.get(series, 0.0) for series in change.calls)
    estimate = change.share if change.shed else sum(shares.get(series, 0.0) for series in change.series)
    if abs(after / before - 1) > STEADY or estimate < NOTABLE:
        return
    seen = (change.cpu - cpu if change.shed else cpu - change.cpu) / estimate
    # Half the way, and bounded: one comparison may have met something else that the target did.
    halfway = (target.correction + min(2 * target.correction, max(target.correction / 2, seen))) / 2
    target.correction = min(MOST_CORRECTION, max(0.5, halfway))


def _load(target: _Target, now: float, over_s: float = COMPARE_S) -> float | None:
    """The load of the last `over_s` as a multiple of the load at shedding; None if unknown."""
    then = sum(target.calls_then.values())
    if then >= LOAD_RATE:
        calls = _mean(target, now, "calls", over_s)
        return sum(calls.get(series, 0.0) for series in target.calls_then) / then
    cpu = _mean_cpu(target, now, over_s)
    if cpu is None or target.own_cpu_then < WORTH:
        return None
    own = cpu - sum(_mean(target, now, "shares", over_s).values()) * target.factor
    return max(0.0, own) / target.own_cpu_then


def _last(target: _Target, now: float, over_s: float) -> list[_Second]:
    return [second for second in target.seconds if second.time > now - over_s]


def _mean(target: _Target, now: float, what: str, over_s: float = COMPARE_S) -> dict[int, float]:
    """Means of `calls` or `shares` over the last `over_s`, by series that are there now."""
    seconds = _last(target, now, over_s)
    total = sum(second.length for second in seconds) or 1.0
    found: dict[int, float] = dict.fromkeys(seconds[-1].shares if seconds else (), 0.0)
    for second in seconds:
        for series, rate in getattr(second, what).items():
            if series in found:
                found[series] += rate * second.length / total
    return found


def _rate(target: _Target, now: float) -> float:
    """Calls a second of all its functions."""
    return sum(_mean(target, now, "calls", RATES_S).values())


def _mean_cpu(target: _Target, now: float, over_s: float = COMPARE_S) -> float | None:
    """Mean share of a CPU over the last `over_s`; None if it was unknown at any time."""
    known = [(second.cpu, second.length) for second in _last(target, now, over_s)]
    if not known or any(cpu is None for cpu, _ in known):
        return None
    return sum((cpu or 0.0) * length for cpu, length in known) / sum(length for _, length in known)
