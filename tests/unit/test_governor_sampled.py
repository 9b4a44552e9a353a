# SPDX-License-Identifier: Apache-2.0
"""What samples of a target's hits do to the governor's estimate: how near it comes to the truth, how soon, and how rarely a target is sampled."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest

from otel_jb.agent.governor import WARM_S, WORK_S, Decision, Governor, Reading
from otel_jb.agent.sampled import AGAIN_S, FIRST_S, LONGEST_S, PAUSE_S, PERIOD_S, REFUSED_S
from otel_jb.agent.shedding import Tells
from otel_jb.probes.backend import HitTime

US = 1e-6
SAMPLE_S = 1e-3


class Sampled:
    """A target whose hits can be sampled, with as much chance in it as samples have.

    Args:
        governor: what decides.
        rates: calls a second by function.
        really: microseconds that a call of it costs; the governor believes that it is 1.
        unknown: functions whose hits are seen, but not whose they are.
        refused: it cannot be sampled.
        own: share of a CPU that the target works itself.
        cold: microseconds that a call costs more, the more of it the fewer calls there are, and the more the target works between them.
    """

    def __init__(
        self,
        governor: Governor,
        rates: Mapping[int, float],
        really: Mapping[int, float],
        *,
        unknown: frozenset[int] = frozenset(),
        refused: bool = False,
        own: float = 0.2,
        cold: float = 0.0,
    ) -> None:
        self.governor, self.rates, self.really = governor, dict(rates), dict(really)
        self.unknown, self.refused, self.own = unknown, refused, own
        self.random = random.Random(7)
        self.attached = set(rates)
        self.counts = dict.fromkeys(rates, 0.0)
        self.cpu_s, self.now = 0.0, 100.0
        self.asked: list[float] = []  #: when it was to be sampled
        self.sampled = False
        self.decisions: list[tuple[float, Decision]] = []
        self.cold = cold
        self.cost_s = US  #: as the governor believes

    def truth(self) -> float:
        """Share of a CPU that the attached probes cost."""
        return sum(self._cost_s(series) for series in self.attached)

    def _cost_s(self, series: int) -> float:
        """What a second's calls of a function cost."""
        calls = sum(self.rates[each] for each in self.attached)
        part = max(1 / (1 + calls * WARM_S), self.own / (self.own + calls * WORK_S))
        return self.rates[series] * (self.really[series] + self.cold * part) * US

    def _count(self, mean: float) -> int:
        return max(0, round(self.random.gauss(mean, mean**0.5)))

    def _seen(self) -> HitTime | None:
        if not self.sampled or self.refused:
            return None
        seconds, unknown_s = {}, 0.0
        for series in self.attached:
            count = self._count(self._cost_s(series) / SAMPLE_S)
            if series in self.unknown:
                unknown_s += count * SAMPLE_S
            elif count:
                seconds[series] = count * SAMPLE_S
        return HitTime(1, seconds, unknown_s, self.unknown, SAMPLE_S)

    def run(self, seconds: int) -> float:
        """Let time pass; returns the estimate."""
        for _ in range(seconds):
            self.now += 1
            for series in self.attached:
                self.counts[series] += self.rates[series]
            self.cpu_s += self.truth() + self.own
            readings = [
                Reading(s, 1, Tells.DETAIL, int(self.counts[s]), self.cost_s, self.cold * US) for s in self.rates
            ]
            seen, due = self._seen(), self.governor.due(1, self.now, int(sum(self.counts.values())))
            quiet = () if due else (1,)
            made = self.governor.observe(
                self.now, readings if due else (), {1: self.cpu_s} if due else {}, quiet, seen if due else None
            )
            for decision in made:
                self.decisions.append((self.now, decision))
                (self.attached.difference_update if decision.shed else self.attached.update)(decision.series)
            self.sampled = self.governor.to_sample(self.now) == 1
            self.asked += [self.now] if self.sampled else []
        return self.governor.overhead()[1]


class Rarely(Sampled):
    """One of whose samples so few are in hits that their number is not normally distributed."""

    def _count(self, mean: float) -> int:
        count, passed = 0, self.random.expovariate(1.0)
        while passed < mean:
            count, passed = count + 1, passed + self.random.expovariate(1.0)
        return count


def test_a_target_that_works_little_is_sampled_until_there_is_enough_to_tell() -> None:
    """Probes take a quarter of a percent of a CPU: of each second's samples two or three are in hits, and forty do not tell it within a fifth."""
    near = 0
    for chance in range(40):
        target = Rarely(Governor(None, samples=True, pauses=False), {1: 1_500, 2: 1_500}, {1: 0.9, 2: 0.75}, own=0.012)
        target.random = random.Random(chance)
        target.run(LONGEST_S + 10)
        spent = target.governor.spent_s(1)
        target.run(20)
        near += (target.governor.spent_s(1) - spent) / 20 == pytest.approx(target.truth(), rel=0.2)
        assert len(target.asked) < LONGEST_S
    assert near >= 38


def test_interrupts_take_a_hundredth_of_a_target_whose_estimate_is_roughly_known() -> None:
    """A server that works 8 % of a CPU and pays 0.6 % for 2,400 calls: an interrupt for each millisecond takes as much again. After five
    seconds there is one such second in ten, and as many samples in the end.
    """
    target = Rarely(Governor(samples=True, budget=0.10), {1: 2_400}, {1: 2.5}, own=0.08)
    target.run(12)
    assert target.asked[0] < 103
    assert 3 <= len(target.asked) <= 8
    target.run(288)
    later = target.asked[8:]
    assert all(after - before >= 1 + PAUSE_S for before, after in itertools.pairwise(later))
    assert len(later) >= 20
    spent = target.governor.spent_s(1)
    target.run(20)
    assert (target.governor.spent_s(1) - spent) / 20 == pytest.approx(target.truth(), rel=0.2)


def test_nobody_rests_where_the_budget_is_at_stake() -> None:
    """The same server, with a budget that its probes may exceed."""
    target = Rarely(Governor(samples=True, budget=0.008), {1: 2_400}, {1: 2.5}, own=0.08)
    target.run(20)
    assert len(target.asked) >= 18


def test_a_target_that_works_much_is_not_sampled_for_long() -> None:
    """Its samples cost it five times as much as its probes do."""
    target = Rarely(Governor(None, samples=True), {1: 3_000}, {1: 1.0}, own=0.5)
    target.run(100)
    assert len(target.asked) == FIRST_S


@pytest.mark.parametrize("really", [0.3, 0.5, 1.0, 1.7, 2.8])
def test_the_estimate_is_what_samples_show(really: float) -> None:
    """Wherever the cost of a call was measured wrong, after a minute and a half the estimate is within 15 % of the truth."""
    target = Sampled(Governor(None, samples=True), {1: 10_000, 2: 5_000}, {1: really, 2: really})
    target.run(30)
    assert target.run(60) == pytest.approx(target.truth(), rel=0.15)


def test_a_budget_is_kept_by_one_decision_where_calls_cost_more_than_was_thought() -> None:
    """Samples are there before the budget decides: what goes is what suffices in truth."""
    target = Sampled(
        Governor(samples=True, budget=0.03), {1: 12_000, 2: 6_000, 3: 4_000}, dict.fromkeys((1, 2, 3), 2.2)
    )
    target.run(120)
    assert [decision.shed for _, decision in target.decisions] == [True]
    assert target.decisions[0][0] < 100 + 25
    assert target.truth() <= 0.03


def test_a_decision_waits_for_samples_of_what_would_stay() -> None:
    """Of 9 % of a CPU the busiest function takes nine tenths. The three that would stay without it cost 1.1 % then, but few samples tell of
    them, so one more has to go for a budget of 1 %. It goes with the other: by one decision, and within a quarter of a minute.
    """
    rates, really = {1: 60_000, 2: 2_000, 3: 2_000, 4: 2_000}, {1: 1.25, 2: 1.5, 3: 1.2, 4: 1.7}
    kept, stayed = 0, 0
    for chance in range(40):
        target = Sampled(Governor(samples=True, budget=0.01), rates, really, own=0.04, cold=0.6)
        target.random = random.Random(chance)
        target.run(70)
        assert target.decisions[0][0] <= 115
        kept += target.truth() <= 0.01 and sum(decision.shed for _, decision in target.decisions) == 1
        stayed += len(target.attached)
    assert kept >= 36
    assert stayed >= 65


def test_the_first_second_alone_decides_nothing() -> None:
    """Thirty times the budget by the calibration: the target is sampled before anything goes, so what does not have to stays."""
    target = Sampled(Governor(samples=True, budget=0.01), {1: 300_000, 2: 20_000}, {1: 0.25, 2: 0.25})
    target.run(100)
    assert [decision.series for _, decision in target.decisions] == [(1,)]


@pytest.mark.parametrize("refused", [False, True])
def test_a_very_hot_function_goes_at_once(refused: bool) -> None:
    """As soon as a sample has shown it, or the kernel has refused to."""
    target = Sampled(Governor(samples=True, budget=0.10), {1: 500_000}, {1: 1.0}, refused=refused)
    target.run(6)
    assert [decision.series for _, decision in target.decisions] == [(1,)]


def test_nothing_is_shed_where_calls_cost_less_than_was_thought() -> None:
    """Four fifths of the budget in truth, twice of it by the calibration."""
    target = Sampled(Governor(samples=True, budget=0.02), {1: 20_000, 2: 20_000}, {1: 0.4, 2: 0.4})
    target.run(300)
    assert target.decisions == []


@pytest.mark.parametrize("unknown", [frozenset[int](), frozenset({1})])
def test_each_function_costs_what_its_samples_show(unknown: frozenset[int]) -> None:
    """A decision names what functions cost in truth, also where hits of one are seen without their function's name."""
    target = Sampled(
        Governor(samples=True, budget=0.05),
        {1: 20_000, 2: 20_000, 3: 20_000},
        {1: 3.0, 2: 1.0, 3: 0.5},
        unknown=unknown,
    )
    target.run(120)
    ((_, decision),) = target.decisions
    assert decision.series == (1,)
    assert decision.shares[0] == pytest.approx(0.06, rel=0.2)


def test_a_target_is_sampled_often_at_first_and_seldom_later() -> None:
    """Until there is enough to tell, and a few seconds of each minute from then on."""
    target = Sampled(Governor(None, samples=True), {1: 10_000}, {1: 1.0})
    target.run(30)
    assert 5 <= len(target.asked) < 30
    first = len(target.asked)
    target.run(600)
    assert 600 / (PERIOD_S + AGAIN_S) - 1 <= (len(target.asked) - first) / AGAIN_S <= 600 / PERIOD_S + 1


def test_a_target_is_sampled_anew_when_its_calls_change() -> None:
    """With other calls hits may be colder or warmer: nobody waits a minute to see."""
    target = Sampled(Governor(None, samples=True), {1: 10_000}, {1: 1.0})
    target.run(35)
    before = target.now
    target.rates[1] = 20_000
    target.run(10)
    assert next(at for at in target.asked if at > before) <= before + 1 + AGAIN_S


def test_a_target_whose_probes_cost_next_to_nothing_is_never_sampled() -> None:
    """A hundred calls a second."""
    target = Sampled(Governor(samples=True, budget=0.05), {1: 100}, {1: 1.0})
    target.run(300)
    assert target.asked == []


def test_where_samples_are_refused_the_estimate_is_as_before() -> None:
    """It is asked for again after minutes, and until then the calibration decides."""
    target = Sampled(Governor(None, samples=True), {1: 10_000}, {1: 1.6}, refused=True)
    assert target.run(200) == pytest.approx(0.01, rel=0.02)
    assert len(target.asked) == 1
    target.refused = False
    target.run(int(REFUSED_S))
    assert target.run(60) == pytest.approx(0.016, rel=0.15)


def test_samples_from_before_a_hits_cost_was_measured_are_forgotten() -> None:
    """They were compared with an estimate that is another now."""
    target = Sampled(Governor(None, samples=True), {1: 20_000}, {1: 1.0})
    target.cost_s = 2 * US
    target.run(20)
    target.governor.forget_samples()
    target.cost_s = US
    target.run(30)
    assert target.run(60) == pytest.approx(target.truth(), rel=0.1)


def test_of_many_targets_one_is_sampled_at_a_time_and_each_in_its_turn() -> None:
    """Thirty targets, of which the agent samples one a second: none waits until others have been sampled for long."""
    governor = Governor(None, samples=True)
    asked: list[int | None] = []
    for now in range(1, 200):
        readings = [Reading(number, number, Tells.DETAIL, now * 10_000, US) for number in range(1, 31)]
        cpu = dict.fromkeys(range(1, 31), now * 0.2)
        wanted = asked[-1] if asked else None
        seen = HitTime(wanted, {wanted: 0.01}, 0.0, frozenset(), SAMPLE_S) if wanted is not None else None
        governor.observe(float(now), readings, cpu, (), seen)
        asked.append(governor.to_sample(float(now)))
    assert set(asked) - {None} == set(range(1, 31))


def test_a_target_whose_budget_is_at_stake_is_sampled_before_others() -> None:
    """It came last, while thirty others are new, too."""
    governor = Governor(0.10, samples=True)
    rates = {**dict.fromkeys(range(1, 31), 10_000), 31: 150_000}
    readings = [Reading(number, number, Tells.DETAIL, rate, US) for number, rate in rates.items()]
    governor.observe(100.0, readings, dict.fromkeys(rates, 0.3))
    assert governor.to_sample(100.0) == 31
