# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.model.errors import ConfigError
from otel_jb.model.instruments import Instrument
from otel_jb.model.stream import DepthSnapshot, TargetEnded
from otel_jb.probes.read import boundaries
from otel_jb.telemetry import instruments
from otel_jb.telemetry.histogram import (
    DEFAULT_BOUNDS_NS,
    exponential_bound_ns,
    fold_explicit,
    fold_exponential,
)
from otel_jb.telemetry.metrics import HistogramPoint, NumberPoint, Point, target_metrics
from otel_jb.telemetry.state import StateView, StreamState
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit


def points(view: StateView, target: int, instrument: Instrument) -> tuple[Point, ...]:
    for one in target_metrics(view):
        if one.target.id == target:
            return dict(one.points).get(instrument, ())
    return ()


def value(view: StateView, target: int, instrument: Instrument, **attributes: str) -> float | None:
    wanted = {key.replace("__", "."): text for key, text in attributes.items()}
    for point in points(view, target, instrument):
        if isinstance(point, NumberPoint) and wanted.items() <= dict(point.attributes).items():
            return point.value
    return None


def test_counters_stand_through_shed_and_restore() -> None:
    """A series that a snapshot leaves out keeps its counts, loses its interval, and continues when it is back."""
    state = samples.state()
    state.apply(samples.snapshot(samples.snapshot_of(samples.PARSE, [1])))
    assert value(state.view(), 2, instruments.PACKET_COUNT, code__function__name="SrsRtpJitterBuffer::put") == 7
    assert value(state.view(), 2, instruments.DELAY_AVG, code__function__name="SrsRtpJitterBuffer::put") is None
    state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [5] * 9)))
    assert value(state.view(), 2, instruments.PACKET_COUNT, code__function__name="SrsRtpJitterBuffer::put") == 9
    assert value(state.view(), 2, instruments.DELAY_AVG, code__function__name="SrsRtpJitterBuffer::put") == 5e-9


def test_an_ended_target_is_kept_and_then_forgotten() -> None:
    """What its buffers held is gone with it; its last values stay for `retain`, then target, series and probes are gone."""
    now = [0.0]
    state = StreamState(60.0, lambda: now[0])
    for record in samples.records():
        state.apply(record)
    state.apply(TargetEnded(1, samples.READ))
    state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [1])))
    now[0] = 59.9
    view = state.view()
    assert [target.target.id for target in view.live] == [2]
    assert value(view, 1, instruments.PACKET_COUNT) == 2
    assert value(view, 1, instruments.BUFFER_SIZE) is None
    assert value(view, 1, instruments.BUFFER_SIZE_MAX) is None
    assert value(view, 1, instruments.DELAY_MAX) == 0.024
    now[0] = 60.0
    assert [target.target.id for target in state.view().targets] == [2]
    assert state.series(1) is None
    state.apply(samples.snapshot(samples.snapshot_of(samples.PARSE, [1])))
    state.apply(replace(samples.PARSE, id=77))
    assert [target.target.id for target in state.view().targets] == [2]
    assert not {1, 77} & set(state._series) | {1} & set(state._values) | {1} & set(state._probes)


def test_depth_ends_when_it_is_not_read() -> None:
    """The buffer size of a live target is exported only while the last snapshot holds it."""
    state = samples.state()
    assert value(state.view(), 1, instruments.BUFFER_SIZE_MAX) == 9
    state.apply(samples.snapshot(depths=(DepthSnapshot(1, 1, 3, 1, None),)))
    assert value(state.view(), 1, instruments.BUFFER_SIZE) == 3
    assert value(state.view(), 1, instruments.BUFFER_SIZE_MAX) is None
    state.apply(samples.snapshot())
    assert value(state.view(), 1, instruments.BUFFER_SIZE) is None


def test_outcomes_packets_and_drops() -> None:
    """Packets leave out what carried none or is not known; every known reason is exported, at 0 too."""
    view = samples.state().view()
    assert value(view, 1, instruments.PACKET_COUNT) == 2
    put = {"code__function__name": "SrsRtpJitterBuffer::put"}
    outcomes = {
        name: value(view, 2, instruments.CALLS, outcome=name, **put) for name in ("returned", "abandoned", "missed")
    }
    assert outcomes == {"returned": 7, "abandoned": 1, "missed": 2}
    assert value(view, 2, instruments.DROPPED_PACKETS, reason="late") == 2
    assert value(view, 2, instruments.DROPPED_PACKETS, reason="full") == 0
    assert value(view, 2, instruments.DUPLICATED_PACKETS) == 1


def test_an_entry_only_function_counts_and_claims_no_more() -> None:
    """Where ends are not seen there are untimed calls, and neither delay nor packets nor bytes."""
    view = samples.state().view()
    reset = {"code__function__name": "SrsRtpJitterBuffer::reset"}
    assert value(view, 2, instruments.CALLS, outcome="untimed", **reset) == 3
    assert value(view, 2, instruments.CALLS, outcome="returned", **reset) is None
    for instrument in (instruments.PACKET_COUNT, instruments.BYTES, instruments.DELAY):
        names = {dict(point.attributes)["code.function.name"] for point in points(view, 2, instrument)}
        assert names
        assert "SrsRtpJitterBuffer::reset" not in names


def test_an_entry_only_function_tells_what_its_entry_shows() -> None:
    """Packets and bytes that the entry knows are exported without any end, and no delay is."""
    state = samples.state()
    queue = samples.series(9, samples.SRS, "SrsRtcConsumer::enqueue", has_timing=False)
    state.apply(queue)
    state.apply(samples.snapshot(samples.snapshot_of(queue, [], untimed=5, packets=4, bytes=900)))
    view, named = state.view(), {"code__function__name": queue.function}
    assert value(view, 2, instruments.CALLS, outcome="untimed", **named) == 5
    assert value(view, 2, instruments.PACKET_COUNT, **named) == 4
    assert value(view, 2, instruments.BYTES, **named) == 900
    assert value(view, 2, instruments.CALLS, outcome="returned", **named) is None
    assert all(
        ("code.function.name", queue.function) not in point.attributes for point in points(view, 2, instruments.DELAY)
    )


def test_two_probes_of_one_name_are_one_point() -> None:
    """Series with equal attributes (a probe planned anew, one name in two files) are added up, bucket by bucket."""
    state = samples.state()
    twin = samples.series(9, samples.SRS, samples.PUT.function, drop_reasons=("full", "late"), has_duplicates=True)
    state.apply(twin)
    state.apply(
        samples.snapshot(
            samples.snapshot_of(samples.PUT, [3_000] * 7, drops=(2, 0)),
            samples.snapshot_of(twin, [400_000] * 3, drops=(1, 5)),
        )
    )
    view = state.view()
    found = [p for p in points(view, 2, instruments.DELAY) if ("code.function.name", twin.function) in p.attributes]
    assert len(found) == 1
    assert isinstance(found[0], HistogramPoint)
    assert (found[0].count, found[0].sum_ns) == (10, 7 * 3_000 + 3 * 400_000)
    assert value(view, 2, instruments.DROPPED_PACKETS, reason="late") == 7
    assert value(view, 2, instruments.DROPPED_PACKETS, reason="full") == 1
    assert value(view, 2, instruments.DELAY_MIN, code__function__name=twin.function) == 3e-6
    assert value(view, 2, instruments.DELAY_MAX, code__function__name=twin.function) == 4e-4


def test_folding_from_many_threads_loses_nothing() -> None:
    """Records applied and views taken at once leave a consistent state."""
    state = StreamState()
    state.apply(samples.SRS)
    state.apply(samples.PUT)
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            for target in state.view().targets:
                seen.extend(sum(one.values.buckets) - one.values.returned for one in target.series)

    reader = threading.Thread(target=read)
    reader.start()
    for count in range(300):
        state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [10] * count)))
    stop.set()
    reader.join()
    assert set(seen) <= {0}
    assert state.view().targets[0].series[0].values.returned == 299


durations = st.lists(st.integers(0, 2**43) | st.sampled_from([b + d for b in DEFAULT_BOUNDS_NS for d in (-1, 0, 1)]))


def counted(values: list[int], bounds: tuple[int, ...]) -> tuple[int, ...]:
    counts = [0] * (len(bounds) + 1)
    for one in values:
        counts[bisect_left(bounds, one)] += 1
    return tuple(counts)


@given(durations, st.integers(0, 5))
def test_explicit_buckets_are_exact(values: list[int], scale: int) -> None:
    """Folding the kernel's finer buckets gives what counting by the wanted boundaries would have given."""
    fine = boundaries.build(DEFAULT_BOUNDS_NS, scale).bounds_ns
    assert fold_explicit(counted(values, fine), fine, DEFAULT_BOUNDS_NS) == counted(values, DEFAULT_BOUNDS_NS)


@given(st.lists(st.integers(200, 1000 * 10**9), min_size=1), st.integers(0, 3))
def test_exponential_buckets_are_exact(values: list[int], scale: int) -> None:
    """Every call lies in the base-2 exponential bucket that rational arithmetic puts it into, upper bound included."""
    bounds = boundaries.build(DEFAULT_BOUNDS_NS, scale).bounds_ns
    folded = fold_exponential(counted(values, bounds), bounds, scale)
    assert folded.zero_count == 0
    assert sum(folded.counts) == len(values)
    expected: dict[int, int] = {}
    for one in values:
        # The bucket's index is the largest i with 2^(i/2^s) < seconds, so 2^i < seconds^(2^s).
        power = Fraction(one, 10**9) ** (1 << scale)
        index = power.numerator.bit_length() - power.denominator.bit_length() - 2
        while Fraction(2) ** (index + 1) < power:
            index += 1
        expected[index] = expected.get(index, 0) + 1
    assert {folded.offset + place: count for place, count in enumerate(folded.counts) if count} == expected


@given(st.lists(st.integers(0, 2**41), min_size=1))
def test_the_kernels_own_boundaries_fold_exactly(values: list[int]) -> None:
    """The boundaries that the kernel really counts by fold into both shapes without moving a call."""
    bounds = boundaries.build(DEFAULT_BOUNDS_NS).bounds_ns
    counts = counted(values, bounds)
    assert fold_explicit(counts, bounds, DEFAULT_BOUNDS_NS) == counted(values, DEFAULT_BOUNDS_NS)
    folded = fold_exponential(counts, bounds, boundaries.EXPONENTIAL_SCALE)
    assert folded.zero_count + sum(folded.counts) == len(values)
    for place, count in enumerate(folded.counts):
        low = exponential_bound_ns(folded.offset + place, 3)
        high = exponential_bound_ns(folded.offset + place + 1, 3)
        if high < boundaries.LONGEST_NS:
            assert count == sum(low < one <= high for one in values)


def test_exponential_bounds_are_monotonic_and_powers_of_two_exact() -> None:
    """The bounds increase, hold 1 s exactly, and differ from the float computation by less than a nanosecond."""
    for scale in range(4):
        bounds = tuple(boundaries.exponential_bounds(scale).values())
        assert list(bounds) == sorted(set(bounds))
        assert exponential_bound_ns(0, scale) == 10**9
        for index in range(-20 << scale, 3 << scale):
            exact = 2 ** (index / (1 << scale)) * 1e9
            assert exact - 1.01 < exponential_bound_ns(index, scale) <= exact * (1 + 1e-14)


def test_calls_of_no_time_are_in_the_zero_bucket() -> None:
    """Calls at or below the lowest exponential boundary are counted as zero, none is lost."""
    bounds = tuple(boundaries.exponential_bounds(1).values())
    folded = fold_exponential(counted([0, bounds[0], bounds[0] + 1], bounds), bounds, 1)
    assert (folded.zero_count, sum(folded.counts)) == (2, 1)
    assert folded.zero_threshold_ns == bounds[0]


def test_a_boundary_that_was_not_counted_is_an_error() -> None:
    """A recording made with other boundaries is refused rather than interpolated."""
    with pytest.raises(ConfigError, match="2000 ns"):
        fold_explicit((1, 2, 3), (1_000, 3_000), (2_000,))
    with pytest.raises(ConfigError, match="scale 3"):
        fold_exponential((1, 2, 3), (1_001, 3_001), 3)
