# SPDX-License-Identifier: Apache-2.0
"""A slow call inside a slow call is one span: its child, with what its own event said, and an exemplar that names it there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import sampling

from otel_jb.model.stream import NestedCall, Series, SlowCall
from otel_jb.telemetry.call_span import CallSpan
from otel_jb.telemetry.clock import WallClock
from otel_jb.telemetry.exemplars import ExemplarStore
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.holding import HOLD_S, MAX_HELD, Holding, Key, key_of
from otel_jb.telemetry.spans import SpanMaker
from otel_jb.telemetry.tally import Tally
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit

TOP = 0x7FFF_0000
MS = 1_000_000


def call(series: Series, first_ms: int, last_ms: int, frame: int, **changes: Any) -> SlowCall:
    made = SlowCall(series.id, 4720, "receiver", frame, first_ms * MS, last_ms * MS, 172, None, 0, 0)
    return replace(made, **changes)


OUTER = call(samples.PUT, 0, 40, TOP)
MIDDLE = call(samples.GET, 5, 38, TOP - 0x100)
INNER = call(samples.DECODE, 10, 35, TOP - 0x200, return_value=-7)


def ids(span: CallSpan) -> tuple[int, int]:
    return span.trace_id, span.span_id


class Maker:
    """A span maker whose stacks and time are given; what waits at `settle` has been taken."""

    def __init__(self, sampler: sampling.Sampler = sampling.DEFAULT_ON) -> None:
        self.time = 100.0
        self.around: dict[int, tuple[int, ...] | None] = {INNER.frame: (MIDDLE.frame, TOP), MIDDLE.frame: (TOP,)}
        self.traces: list[list[CallSpan]] = []
        self.store = ExemplarStore(DEFAULT_BOUNDS_NS)
        self.maker = SpanMaker(
            samples.state(),
            WallClock(),
            self.accept,
            Tally(),
            sampler,
            self.store,
            lambda series, _call: [series.function, "main"],
            lambda _pid, _outer, _inner: True,
            lambda _series, one: self.around.get(one.frame, ()),
            lambda: self.time,
            gather_seconds=0,
        )

    def accept(self, spans: Sequence[CallSpan]) -> bool:
        self.traces.append(list(spans))
        return True

    def take(self, *calls: SlowCall) -> None:
        for one in calls:
            self.maker.submit(one)
        self.settle()

    def settle(self) -> None:
        deadline = time.monotonic() + 5
        while self.maker._waiting:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def pass_time(self, seconds: float) -> None:
        """A call of no concern comes later: time is that of arrivals."""
        self.time += seconds
        self.take(call(samples.PARSE, 50, 70, 0x1000))

    def shapes(self) -> list[list[tuple[str, str | None]]]:
        """Of each trace: spans with the names of their parents; those of other processes' calls left out."""
        found = []
        for trace in self.traces:
            names = {ids(span)[1]: span.name for span in trace}
            shape = [(span.name, names[span.parent_id] if span.parent_id else None) for span in trace]
            found += [shape] if shape[0][0] != samples.PARSE.function else []
        return found

    def exemplar(self, series: Series) -> tuple[int, int] | None:
        found = [(one.trace_id, one.span_id) for one in self.store.latest(series.id)]
        return found[0] if found else None


@pytest.fixture
def made() -> Iterator[Maker]:
    one = Maker()
    yield one
    one.maker.shutdown(5)


PUT, GET, DECODE = samples.PUT.function, samples.GET.function, samples.DECODE.function
ONE_TRACE = [(PUT, None), (GET, PUT), (DECODE, GET)]


def test_slow_calls_inside_each_other_are_one_trace(made: Maker) -> None:
    """Three calls inside each other become one trace; each inner span has its own return value, stack and exemplar."""
    made.take(INNER, MIDDLE)
    assert made.shapes() == []
    made.take(OUTER)
    assert made.shapes() == [ONE_TRACE]
    inner = made.traces[0][2]
    assert inner.attributes is not None
    assert inner.attributes["jitterbuffer.return_value"] == -7
    assert inner.attributes["code.stacktrace"] == f"{DECODE}\nmain"
    assert made.exemplar(samples.DECODE) == ids(inner)
    assert made.exemplar(samples.PUT) == ids(made.traces[0][0])
    made.pass_time(2 * HOLD_S)
    assert made.shapes() == [ONE_TRACE]


def test_a_call_that_the_event_names_is_told_once(made: Maker) -> None:
    """The outer event's own list of calls and the calls that waited are merged."""
    nested = tuple(
        samples_nested(one) for one in (INNER, MIDDLE, call(samples.DECODE, 1, 2, TOP - 0x300, return_value=0))
    )
    made.take(INNER, MIDDLE, replace(OUTER, nested=nested))
    assert made.shapes() == [[(PUT, None), (DECODE, PUT), (GET, PUT), (DECODE, GET)]]


def samples_nested(one: SlowCall) -> NestedCall:
    return NestedCall(one.series, one.frame, one.start_ns, one.end_ns)


def test_a_call_whose_outer_one_is_not_told_in_time_has_its_own_trace(made: Maker) -> None:
    """After the wait it is a trace with what ran in it; an outer call that comes later links to it and tells none of it again."""
    made.take(INNER)
    made.pass_time(HOLD_S / 2)
    made.take(MIDDLE)  # what is inside waits as long as it does
    made.pass_time(HOLD_S * 0.9)
    assert made.shapes() == []
    made.pass_time(HOLD_S * 0.2)
    alone = [(GET, None), (DECODE, GET)]
    assert made.shapes() == [alone]
    before = made.exemplar(samples.DECODE)
    quick = call(samples.DECODE, 1, 2, TOP - 0x300)
    made.take(replace(OUTER, nested=(samples_nested(quick), samples_nested(MIDDLE), samples_nested(INNER))))
    assert made.shapes() == [alone, [(PUT, None), (DECODE, PUT)]]
    own = next(trace for trace in made.traces if trace[0].name == GET)
    again = made.traces[-1]
    assert again[0].links == [ids(own[0])]
    assert made.exemplar(samples.DECODE) == before


@given(
    order=st.permutations(range(40)),
    most=st.integers(min_value=1, max_value=12),
    cut=st.sets(st.integers(min_value=0, max_value=39)),
)
@settings(deadline=None, max_examples=60)
def test_chains_of_slow_calls_are_one_trace_each_however_little_may_wait(
    order: list[int], most: int, cut: set[int]
) -> None:
    """Packets whose calls nest three deep, between calls of others: no slow call is in two traces, no waiting outer one is left behind.

    Where stacks are cut off, the outer call's event names what ran in it.
    """
    holding = Holding(most=most)
    released: list[list[Key]] = []

    def make(outer: SlowCall) -> None:
        inside = holding.inside(outer, samples.SRS)
        mine = [held for held in inside if held.around is not None or key_of(held.call) in map(key_of, outer.nested)]
        holding.remove(mine)
        released.append([key_of(outer), *(held.key for held in mine)])

    for at, packet in enumerate(order):
        base, now = TOP + 0x10000 * packet, float(at)
        chain = [call(samples.PUT, at * 100, at * 100 + 90, base)]
        for series, depth in ((samples.GET, 1), (samples.DECODE, 2)):
            chain.append(call(series, at * 100 + depth, at * 100 + 90 - depth, base - 0x100 * depth))
        chain[0] = replace(chain[0], nested=tuple(samples_nested(one) for one in chain[1:]))
        chain[1] = replace(chain[1], nested=(samples_nested(chain[2]),))
        for depth in (2, 1, 0):
            # Around the outermost there is a call that never ends, as in a server's loop.
            frames = [one.frame for one in chain[:depth]] + [base + 0x1000]
            around = None if packet in cut else frames
            holding.add(chain[depth], samples.PUT, samples.SRS, "", around, now)
        due, before = holding.due(now), len(released)
        for held in holding.release(now):
            make(held.call)
        assert due == (len(released) > before)
        assert not holding.due(now)
    for held in holding.release(None):
        make(held.call)
    every = [key for trace in released for key in trace]
    assert len(every) == len(set(every)) == 3 * len(order)
    # The whole chain waits when the limit is met only after it: with room for one chain none is ever taken apart.
    if most >= 3:
        assert sorted(map(len, released)) == [3] * len(order)


def test_a_call_of_another_stack_does_not_take_it(made: Maker) -> None:
    """An outer call whose frame is not on the inner one's stack leaves it waiting, however the times lie."""
    made.take(INNER, replace(OUTER, frame=0x6FFF_0000))
    assert made.shapes() == [[(PUT, None)]]
    made.pass_time(2 * HOLD_S)
    assert made.shapes() == [[(PUT, None)], [(DECODE, None)]]


def test_a_call_whose_stack_is_cut_off_waits_too(made: Maker) -> None:
    """It becomes a child if the outer event names it, and a trace of its own if that one does not."""
    made.around[INNER.frame] = None
    made.take(INNER, replace(OUTER, nested=(samples_nested(INNER),)))
    assert made.shapes() == [[(PUT, None), (DECODE, PUT)]]
    made.take(INNER, OUTER)
    made.pass_time(2 * HOLD_S)
    assert made.shapes()[1:] == [[(PUT, None)], [(DECODE, None)]]


def test_what_waits_is_bounded_and_told_at_the_end(made: Maker) -> None:
    """The oldest waits no longer when there are too many; stopping makes traces of the rest."""
    for number in range(MAX_HELD + 10):
        made.take(call(samples.DECODE, number, number + 20, INNER.frame))
    made.pass_time(0.0)
    assert len(made.shapes()) == 10
    made.maker.shutdown(5)
    assert made.shapes() == [[(DECODE, None)]] * (MAX_HELD + 10)


def test_the_outer_calls_sampling_holds_for_the_inner() -> None:
    """If the outer call is not sampled, neither are the calls inside it."""
    made = Maker(sampling.ALWAYS_OFF)
    made.take(INNER, MIDDLE, OUTER)
    made.pass_time(2 * HOLD_S)
    made.maker.shutdown(5)
    assert made.traces == []
    assert made.exemplar(samples.DECODE) is None
