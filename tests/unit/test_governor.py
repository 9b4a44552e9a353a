# SPDX-License-Identifier: Apache-2.0
"""The overhead governor: what is shed, what comes back, that it does not flap, and how the target's CPU time corrects it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.agent.governor import LAST_RETRY_S, QUIET_S, SETTLE_S, WARM_S, WORK_S, Decision, Governor, Reading
from otel_jb.agent.shedding import WORTH, Cost, Tells, choose

US = 1e-6


class Server:
    """A target whose functions are called at given rates as long as it has load, seen once a second.

    Args:
        governor: what decides.
        rates: calls a second by function at full load.
        tells: of functions that are not `Tells.DETAIL`.
        cost_s: of one call, as the agent believes.
        really: how many times that each call costs the target in truth.
        own: share of a CPU that the target uses itself at full load; None: its CPU time cannot be read.
        cold_s: what a call costs more, the more of it the fewer calls there are, or the more the target works between them.
    """

    def __init__(
        self,
        governor: Governor,
        rates: Mapping[int, float],
        tells: Mapping[int, Tells] | None = None,
        cost_s: float = US,
        really: float = 1.0,
        own: float | None = None,
        cold_s: float = 0.0,
    ) -> None:
        self.cold_s = cold_s
        self.governor, self.rates, self.tells = governor, dict(rates), dict(tells or {})
        self.cost_s, self.really, self.own = cost_s, really, own
        self.load = 1.0
        self.counts = dict.fromkeys(rates, 0.0)
        self.attached = set(rates)
        self.now = 1000.0
        self.cpu_s = 0.0
        self.spent: list[float] = []  #: truly, each second
        self.observed: list[float] = []  #: when the target was due
        self.decisions: list[tuple[float, Decision]] = []

    def run(self, seconds: int) -> list[Decision]:
        """Let time pass; returns the decisions that were made."""
        made = []
        for _ in range(seconds):
            self.now += 1
            calls = sum(self.rates[s] for s in self.attached) * self.load
            own = (self.own or 0.0) * self.load
            cold = max(1 / (1 + calls * WARM_S), own / (own + calls * WORK_S)) if calls else 0.0
            self.spent.append(calls * (self.cost_s + self.cold_s * cold) * self.really)
            self.cpu_s += self.spent[-1] + own
            for series in self.attached:
                self.counts[series] += self.rates[series] * self.load
            readings = [
                Reading(s, 1, self.tells.get(s, Tells.DETAIL), int(self.counts[s]), self.cost_s, self.cold_s)
                for s in self.rates
            ]
            cpu = {1: self.cpu_s} if self.own is not None else {}
            due = self.governor.due(1, self.now, sum(each.entries for each in readings))
            self.observed += [self.now] if due else []
            quiet = () if due else (1,)
            for decision in self.governor.observe(self.now, readings if due else (), cpu if due else {}, quiet):
                made.append(decision)
                self.decisions.append((self.now, decision))
                (self.attached.difference_update if decision.shed else self.attached.update)(decision.series)
        return made


def test_nothing_is_shed_within_the_budget() -> None:
    """90 000 calls a second at 1 µs are 9 % of a CPU: under 10 % for ever."""
    server = Server(Governor(0.10), {1: 90_000})
    assert server.run(600) == []
    assert abs(server.governor.overhead()[1] - 0.09) < 0.001


#: 27 functions that cost nothing, as a real SRS has them, and four that cost something.
REAL = {**dict.fromkeys(range(100, 127), 20.0), 1: 24_000.0, 2: 30_000.0, 3: 9_000.0, 4: 6_000.0}


@pytest.mark.parametrize(("budget", "gone"), [(0.10, ()), (0.05, (2,)), (0.032, (2, 4, 3)), (0.01, (2, 3, 1))])
@pytest.mark.parametrize("own", [0.13, None])
def test_what_is_shed_is_the_least_that_suffices_in_one_step(
    budget: float, gone: tuple[int, ...], own: float | None
) -> None:
    """Budgets of 10, 5, 3.2 and 1 % over 7 %: within a minute the rest fits, by one decision, and what costs nothing stays."""
    tells = {1: Tells.PRIMARY, 2: Tells.IDLE, 4: Tells.DETAIL, 3: Tells.PACKETS, 100: Tells.PRIMARY}
    server = Server(Governor(budget), REAL, tells, own=own)
    made = server.run(120)
    assert [decision.series for decision in made] == ([gone] if gone else [])
    assert max(server.spent[60:]) <= budget
    if made:
        assert made[0].reason.startswith("overhead budget: ")
        assert sum(made[0].shares) == pytest.approx(sum(REAL[s] for s in gone) * US, rel=0.01)


@pytest.mark.parametrize(("budget", "gone"), [(0.05, {1}), (0.016, {1, 3}), (0.01, {1, 3, 4})])
def test_what_stays_is_colder_and_the_decision_knows(budget: float, gone: set[int]) -> None:
    """Without its busiest function a server's other probes find the caches cold: the set that goes is chosen for that, in one step."""
    server = Server(
        Governor(budget), {1: 60_000, 2: 2_000, 3: 2_000, 4: 2_000}, {1: Tells.IDLE, 2: Tells.PRIMARY}, cold_s=5 * US
    )
    made = server.run(120)
    assert [set(decision.series) for decision in made] == [gone]
    assert max(server.spent[30:]) <= budget
    assert server.governor.overhead()[1] == pytest.approx(sum(server.spent[60:]) / 60, rel=0.02)


@pytest.mark.parametrize("own", [0.0, 0.02, 0.11, 0.9])
@pytest.mark.parametrize("calls", [500.0, 3_500.0, 16_500.0, 100_000.0])
def test_a_target_that_works_between_its_calls_finds_them_colder(own: float, calls: float) -> None:
    """The estimate is what was spent, whatever the target's own part of the processor time that both took."""
    server = Server(Governor(None), {1: calls / 2, 2: calls / 2}, cold_s=4 * US, own=own)
    server.run(80)
    assert server.governor.overhead()[1] == pytest.approx(sum(server.spent[20:]) / 60, rel=0.02)


def test_what_stays_is_colder_for_the_work_of_what_goes() -> None:
    """A server that works for a tenth of its time: what stays once the busiest function is gone is priced for that work, in one step."""
    rates = {1: 20_000, 2: 2_000, 3: 2_000, 4: 2_000}
    server = Server(Governor(0.025), rates, {1: Tells.IDLE, 2: Tells.PRIMARY}, cold_s=5 * US, own=0.1)
    made = server.run(120)
    assert [set(decision.series) for decision in made] == [{1, 3}]
    assert max(server.spent[30:]) <= 0.025


def test_a_very_hot_function_goes_at_once() -> None:
    """Ten times the budget is noticed within three seconds."""
    server = Server(Governor(0.10), {1: 1_000_000})
    assert [decision.series for decision in server.run(3)] == [(1,)]


@pytest.mark.parametrize("own", [0.13, None])
def test_calls_since_the_probes_came_are_no_rate(own: float | None) -> None:
    """The first observation may come two seconds after the probes: what goes, and may return, is priced by a second that was seen whole."""
    server = Server(Governor(0.005), {1: 50_000.0, 2: 2_000.0}, own=own)
    server.counts = {series: rate * 1.5 for series, rate in server.rates.items()}
    (made,) = server.run(30)
    assert made.series == (1,)
    assert made.shares == pytest.approx((0.05,))


def test_what_was_shed_comes_back_together_when_the_load_falls() -> None:
    """The calls of what stayed show the load: no trial before it falls, then all in one step, and they stay."""
    server = Server(Governor(0.05), REAL, {1: Tells.PRIMARY}, own=0.13)
    server.run(60)
    shed = set(server.rates) - server.attached
    assert len(shed) == 1
    server.load = 0.9
    assert server.run(600) == []
    server.load = 0.3
    (back,) = server.run(30)
    assert (set(back.series), back.shed) == (shed, False)
    assert "the load has fallen" in back.reason
    assert server.run(600) == []


def test_nothing_comes_back_in_parts_while_the_load_falls() -> None:
    """When the load collapses, its mean passes through every level on the way down; the return waits and takes all of it."""
    rates = {1: 370_000.0, 2: 20_000.0, 3: 20_000.0, 4: 10_000.0}
    server = Server(Governor(0.04), rates, {2: Tells.PACKETS, 3: Tells.PRIMARY, 4: Tells.PRIMARY}, own=0.5)
    server.run(60)
    assert server.attached == {3, 4}
    server.load = 0.05
    (back,) = server.run(60)
    assert set(back.series) == {1, 2}


def test_the_targets_own_cpu_time_shows_the_load_where_nothing_else_does() -> None:
    """With its only probe gone a server is known to idle by its CPU time."""
    server = Server(Governor(0.05), {1: 100_000}, own=0.5)
    server.run(30)
    assert server.attached == set()
    assert server.run(300) == []
    server.load = 0.2
    assert [decision.shed for decision in server.run(30)] == [False]
    assert server.run(300) == []


def test_a_partly_fallen_load_brings_back_what_tells_most() -> None:
    """Where not all fits again, the primary function is first."""
    server = Server(Governor(0.02), {1: 30_000.0, 2: 30_000.0, 3: 10_000.0}, {1: Tells.PRIMARY, 3: Tells.PRIMARY})
    server.run(60)
    assert server.attached == {3}
    server.load = 0.3
    (back,) = server.run(40)
    assert back.series == (1,)


def test_without_a_sign_of_the_load_trials_grow_rare() -> None:
    """A rate that stays high: retries back off to every half hour, in six hours a few dozen changes at most."""
    server = Server(Governor(0.10), {1: 1_000_000})
    server.run(6 * 3600)
    tries = [at for at, decision in server.decisions if not decision.shed]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert 5 < len(tries) < 25
    assert all(later >= earlier for earlier, later in pairwise(gaps))
    assert gaps[-1] >= LAST_RETRY_S


def test_a_load_that_comes_and_goes_does_not_make_probes_flap() -> None:
    """Half a minute of load, half a minute of rest, for two hours: returns in vain grow rare."""
    server = Server(Governor(0.05), REAL, {1: Tells.PRIMARY}, own=0.13)
    for at in range(240):
        server.load = 1.0 if at % 2 else 0.1
        server.run(30)
    assert len(server.decisions) < 30


@pytest.mark.parametrize("really", [0.6, 1.0, 1.5, 2.0])
def test_the_estimate_is_corrected_by_what_the_target_spends(really: float) -> None:
    """When probes go and come, the CPU time of a steady target shows what they cost: the estimate moves to within a fifth."""
    server = Server(Governor(0.10), {1: 60_000.0, 2: 80_000.0}, {1: Tells.PRIMARY}, really=really, own=0.5)
    for _ in range(4):
        server.load = 1.0
        server.run(120)
        server.load = 0.2
        server.run(120)
    server.load = 0.8
    server.run(120)
    truth = sum(server.spent[-60:]) / 60
    assert server.governor.overhead()[1] == pytest.approx(truth, rel=0.2)
    assert max(server.spent[-60:]) <= 0.10 * 1.2


def test_probes_are_not_said_to_use_more_than_the_target_did() -> None:
    """Where a hit was measured too high, the target's own CPU time bounds the estimate."""
    server = Server(Governor(None), {1: 10_000.0}, cost_s=100 * US, really=0.1, own=0.02)
    server.run(120)
    assert server.governor.overhead()[1] == pytest.approx(0.12, rel=0.05)


def test_without_a_budget_only_the_estimate_is_made() -> None:
    """`overhead.budget: off` sheds nothing."""
    server = Server(Governor(None), {1: 10_000_000})
    assert server.run(120) == []
    assert server.governor.overhead()[1] > 5


def test_a_probe_that_is_gone_is_forgotten() -> None:
    """An ended target has no overhead."""
    governor = Governor(0.10)
    governor.observe(1.0, [Reading(1, 7, Tells.DETAIL, 0, US)])
    governor.observe(2.0, [Reading(1, 7, Tells.DETAIL, 10, US)])
    assert set(governor.overhead()) == {7}
    governor.observe(3.0, [])
    assert governor.overhead() == {}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=3_000_000), min_size=1, max_size=5))
def test_any_steady_load_ends_within_the_budget(rates: list[int]) -> None:
    """Whatever the rates, what stays attached fits the budget, and no attached probe is shed twice in a row."""
    server = Server(Governor(0.10), {number: float(rate) for number, rate in enumerate(rates)})
    server.run(int(SETTLE_S * 2))
    assert server.spent[-1] <= 0.10 + 1e-9 or any(decision.shed is False for _, decision in server.decisions)
    states: dict[int, bool] = {}
    for _, decision in server.decisions:
        for series in decision.series:
            assert states.get(series) is not decision.shed
            states[series] = decision.shed


costs = st.builds(
    Cost, st.one_of(st.integers(0, 90).map(lambda n: n / 100_000), st.integers(1, 60).map(lambda n: n / 1000)),
    st.sampled_from(Tells),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(costs, min_size=1, max_size=9), st.sampled_from([0.001, 0.01, 0.03, 0.05, 0.1]))
def test_the_choice_is_the_smallest_that_there_is(every: list[Cost], allowed: float) -> None:
    """Against all subsets: it suffices, nothing free is in it, none spares more tiny or primary ones; without any of these none is smaller."""
    by_number = dict(enumerate(every))
    chosen = set(choose(by_number, allowed))

    def left(gone: Iterable[int]) -> float:
        return sum(cost.share for number, cost in by_number.items() if number not in gone)

    def price(gone: Iterable[int]) -> tuple[int, int, int]:
        its = [by_number[number] for number in gone]
        tiny = sum(cost.share < WORTH for cost in its)
        return (tiny, sum(cost.tells is Tells.PRIMARY and cost.share >= WORTH for cost in its), len(its))

    assert left(chosen) <= allowed + 1e-8
    assert all(by_number[number].share > 0 for number in chosen)
    enough = (
        each
        for size in range(len(every) + 1)
        for each in combinations([n for n, cost in by_number.items() if cost.share > 0], size)
        if left(each) <= allowed - 1e-8
    )
    best = min(map(price, enough), default=None)
    assert best is None or price(chosen) <= best


def test_a_quiet_target_is_observed_now_and_then_and_a_busy_one_every_second() -> None:
    """Few calls are looked at every few seconds, none is lost of the estimate, and a load is seen in the second in which it comes."""
    server = Server(Governor(0.05), {1: 4.0, 2: 2.0}, {1: Tells.PRIMARY}, cold_s=10 * US, own=0.0)
    server.run(80)
    assert 80 / QUIET_S <= len(server.observed) < 30
    assert server.governor.overhead()[1] == pytest.approx(sum(server.spent[20:]) / 60, rel=0.15)
    server.load, before = 20_000.0, len(server.observed)
    (decision,) = server.run(25)
    assert decision.shed
    assert len(server.observed) - before == 25
    server.load = 0.0
    server.run(5)
    assert len(server.observed) - before == 30, "what was shed is to come back, so it stays observed"
