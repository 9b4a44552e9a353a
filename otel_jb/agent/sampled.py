# SPDX-License-Identifier: Apache-2.0
"""What samples of a target say about the estimate of what its probes cost, and when it is to be sampled next. Pure.

The estimate is calls times the cost of one, as measured at start and as cold as a formula has it. Samples tell the truth of it, but few of them
are in a hit: where a target spends 1 % of a CPU in probes, ten a second. So they are evidence of a factor: the time that was seen in hits by
the time that the estimate had, with five samples' worth of trust in the estimate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field

from otel_jb.model.dataclass import dataclass

TRUST = 5  #: samples in hits that the estimate counts for
ENOUGH = 200  #: samples in hits after which a new target is left alone
FIRST_S = 15  #: for so many seconds it is sampled at most if that costs it much, compared with its probes,
LONGEST_S = 90  #: and for so many in any case
INTERRUPT_S = 70e-6  #: of a thread's time, for a sample of a server in a virtual machine, where it takes long
ROUGHLY = 25  #: samples in hits that tell within a fifth what they cost; so long a new target is sampled at a stretch,
PAUSE_S = 9.0  #: and from then on with such a pause after each second, unless a budget depends on it
PERIOD_S, AGAIN_S = 120.0, 5  #: then once in so long, for so many seconds; and where the calls have changed
REFUSED_S = 300.0  #: until a target that could not be sampled is tried again
CHANGED = 1.5  #: factor by which they have
KEPT = 200  #: samples in hits: older evidence fades as newer comes
LEAST, MOST = 0.2, 3.0  #: bounds of the factor


@dataclass(slots=True)
class Evidence:
    """Of one target."""

    seen_s: float = 0.0  #: in hits
    estimated_s: float = 0.0  #: of the same time
    sample_s: float = 0.0  #: what a sample stands for
    by_series: dict[int, tuple[float, float]] = field(default_factory=dict)  #: seen and estimated seconds
    taken_s: float = 0.0  #: CPU time of the target while it was sampled first
    sampled: int = 0  #: how often it was sampled by then, about a second each
    left: int = FIRST_S  #: seconds to sample the target for from now on
    rests_until: float = 0.0  #: it is not sampled sooner, unless that is urgent
    next: float = 0.0  #: when it is to be sampled again after those
    earliest: float = 0.0  #: when, if its calls have changed; also while it rests
    settled: bool = False  #: it has been sampled for long enough
    calls: float = 0.0  #: a second, when it was sampled last
    shares: dict[int, float] = field(default_factory=dict)  #: by series: its own factor by the target's

    @property
    def enough(self) -> bool:
        """Whether the samples say more than a comparison of the target's CPU time before and after a change."""
        return self.seen_s + self.estimated_s > 4 * TRUST * self.sample_s > 0.0

    @property
    def comes(self) -> bool:
        """Whether the target is still to be sampled for the first time."""
        return not self.settled and not self.enough

    def factor(self, otherwise: float) -> float:
        """By what the estimate is to be multiplied; `otherwise`: what is known without samples."""
        trust_s = TRUST * self.sample_s
        if not trust_s:
            return otherwise
        return min(MOST, max(LEAST, (self.seen_s + otherwise * trust_s) / (self.estimated_s + trust_s)))

    def add(
        self,
        now: float,
        seconds: Mapping[int, float],
        sample_s: float,
        estimated: Mapping[int, float],
        calls: float,
        used_s: float,
    ) -> None:
        """One sampling.

        Args:
            now: monotonic seconds.
            seconds: seen in hits, by series.
            sample_s: what one sample stands for.
            estimated: seconds by series, without any factor.
            calls: a second, of all series.
            used_s: the target's CPU time meanwhile.
        """
        self.sample_s = sample_s
        self.seen_s += sum(seconds.values())
        self.estimated_s += sum(estimated.values())
        for series, each in estimated.items():
            seen, before = self.by_series.get(series, (0.0, 0.0))
            self.by_series[series] = seen + seconds.get(series, 0.0), before + each
        fade = KEPT * sample_s / max(self.estimated_s, self.seen_s, KEPT * sample_s)
        if fade < 1.0 and self.settled:
            self.seen_s *= fade
            self.estimated_s *= fade
            self.by_series = {series: (seen * fade, each * fade) for series, (seen, each) in self.by_series.items()}
        self.calls = calls
        self.left -= 1
        if not self.settled:
            self.sampled += 1
            self.taken_s += used_s
            if self.seen_s + self.estimated_s > 2 * ENOUGH * sample_s:
                self.left = 0
            elif self.left <= 0 and self._worth():
                self.left, self.next = 1, now  # after targets that were not sampled yet
        if self.sampled >= FIRST_S or self.seen_s >= ROUGHLY * sample_s:
            self.rests_until, self.earliest = now + PAUSE_S, now + AGAIN_S
        if self.left <= 0:
            self._pause(now + PERIOD_S, now + AGAIN_S)
        self._share(TRUST * sample_s)

    def _worth(self) -> bool:
        """Whether to go on: few samples are in hits of a target that works little, and with the pauses their interrupts cost it less than a quarter
        of what the hits do that they tell of.
        """
        cost_s = INTERRUPT_S * self.taken_s / self.sample_s if self.sample_s else 0.0
        return self.sampled < LONGEST_S and 0.0 < cost_s / (1.0 + PAUSE_S) < self.seen_s / 4

    def samples(self, series: Iterable[int]) -> float:
        """How many samples were in hits of these series; none where it has never been sampled."""
        seen_s = sum(self.by_series.get(each, (0.0, 0.0))[0] for each in series)
        return seen_s / self.sample_s if self.sample_s else 0.0

    def go_on(self) -> None:
        """Sample the target for another second: there are not enough samples yet."""
        self.left, self.settled = max(1, self.left), False

    def refuse(self, now: float) -> None:
        """The target cannot be sampled."""
        self._pause(now + REFUSED_S, now + REFUSED_S)

    def _pause(self, until: float, earliest: float) -> None:
        self.left, self.next, self.earliest, self.settled = 0, until, earliest, True

    def forget(self, series: int) -> None:
        """A series is gone."""
        self.by_series.pop(series, None)
        self.shares.pop(series, None)

    def _share(self, trust_s: float) -> None:
        """Which series cost more than the others, compared with the estimate: the target's time is divided among them anew."""
        whole = (self.seen_s + trust_s) / (self.estimated_s + trust_s)
        own = {s: (seen / whole + trust_s) / (each + trust_s) for s, (seen, each) in self.by_series.items()}
        before = sum(each for _, each in self.by_series.values())
        after = sum(own[series] * each for series, (_, each) in self.by_series.items())
        self.shares = {series: share * before / after for series, share in own.items()} if after else {}

    def due(self, now: float, calls: float, *, urgent: bool) -> bool:
        """Whether to sample the target for the next second, at so many calls a second."""
        low, high = sorted((calls, self.calls))
        changed = high > CHANGED * low and now >= self.earliest
        if not self.left and (changed or now >= self.next):
            self.left = AGAIN_S
        return self.left > 0 and (urgent or changed or now >= self.rests_until)


def with_hidden(
    seconds: Mapping[int, float], unknown_s: float, hidden: Collection[int], estimated: Mapping[int, float]
) -> dict[int, float]:
    """Seconds in hits by series, those of unknown ones included: they are of the series that have hidden hits, and as long as what the estimate
    has and nobody saw.
    """
    missing = {
        series: max(0.0, estimated[series] - seconds.get(series, 0.0)) for series in hidden if series in estimated
    }
    weights = missing if any(missing.values()) else estimated
    whole = sum(weights.values())
    found = dict(seconds)
    for series, weight in weights.items():
        found[series] = found.get(series, 0.0) + (unknown_s * weight / whole if whole else 0.0)
    return found
