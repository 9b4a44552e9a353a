# SPDX-License-Identifier: Apache-2.0
"""The table of counters: what a row means for the reader, for recordings and for exporters."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from otel_jb.model.codec import decode, encode
from otel_jb.model.counters import TABLE, Counter, Fold, Split
from otel_jb.model.instruments import Instrument, Kind
from otel_jb.model.stream import OWN_FIELDS, Series, SeriesSnapshot
from otel_jb.probes import abi
from otel_jb.probes.read import reader
from otel_jb.probes.read.maps import WordArray
from otel_jb.probes.read.returns import Returns
from otel_jb.telemetry import metrics
from otel_jb.telemetry.metrics import NumberPoint
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit

BOUNDS = (10, 20)
WORDS = abi.series_words(len(BOUNDS) + 1)


def row(name: str, fold: Fold, kind: Kind = Kind.GAUGE, unit: str = "By", split: Split | None = None) -> Counter:
    return Counter(name, fold, Instrument(f"x.{name}", kind, unit, f"x_{name}", name), split=split)


def snapshot(**counted: int) -> SeriesSnapshot:
    """Values as the kernel would hold them, in rows that the program knows by no field."""
    return samples.snapshot_of(samples.PUT, [5], counts=tuple(counted.items()), extremes=())


def points(counter: Counter, *values: SeriesSnapshot) -> list[tuple[metrics.Attributes, float]]:
    """The values of one metric over probes that bear one name."""
    state = StreamState()
    for record in (samples.SRS, samples.PUT, dataclasses.replace(samples.PUT, id=9)):
        state.apply(record)
    twins = [dataclasses.replace(each, series=number) for number, each in zip((2, 9), values, strict=False)]
    state.apply(samples.snapshot(*twins))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "TABLE", (counter,))
        patch.setattr(metrics, "INSTRUMENTS", (counter.instrument,))
        (target,) = metrics.target_metrics(state.view())
    found = [point for _, some in target.points for point in some if isinstance(point, NumberPoint)]
    return [(tuple(a for a in point.attributes if not a[0].startswith(("code.", "jitterbuffer."))), point.value) for point in found]  # fmt: skip


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[reader.Reader, WordArray, Any]]:
    """A reader of one series in memory of its own, its words, and the control words."""
    arrays = {}
    sizes = {"series": WORDS, "calls": 8, "control": abi.CONTROL_WORDS, "buffers": abi.PLACE_WORDS}
    for name, words in sizes.items():
        fd = os.memfd_create(name)
        os.ftruncate(fd, 4096 * (words * 8 // 4096 + 1))
        arrays[name] = WordArray(fd, words)
        os.close(fd)
    item = SimpleNamespace(
        index=0,
        series=samples.PUT,
        probe=SimpleNamespace(read=SimpleNamespace(entry=(1,), end=())),
        time_attached=lambda now: now,
    )
    none = cast(Any, SimpleNamespace(snapshot=lambda *_, **__: (), gap_bounds_ns=(), recorder_bytes=0))
    returns = Returns(arrays["series"], WORDS, len(BOUNDS) + 1, lambda *_: False)
    made = reader.Reader(
        BOUNDS,
        **arrays,
        overflow=cast(Any, None),
        attached=cast(Any, {0: item}),
        rtp=none,
        residence=none,
        returns=returns,
    )
    yield made, arrays["series"], arrays["control"]
    for array in arrays.values():
        array.close()


def test_every_row_arrives_in_the_snapshot(kernel: tuple[reader.Reader, WordArray, Any]) -> None:
    """What the kernel counted in a row is the value of that name in the next snapshot, as it is in a recording of it."""
    read, series, _ = kernel
    sums = [each for each in TABLE if not each.fold.of_interval]
    for number, each in enumerate(sums):
        for word in range(each.split.words if each.split else 1):
            series.words[abi.PLACES[each.name] + word] = 100 * number + word
    (values,) = read.snapshot(roll=False).series
    assert decode(encode(values), SeriesSnapshot) == values
    told = {each.name for each in sums if each.instrument or each.name in OWN_FIELDS}
    assert told >= {"bytes", "drops", "abandoned"}
    for number, each in enumerate(sums):
        length = len(getattr(samples.PUT, each.split.values)) if each.split else 1
        expected = tuple(100 * number + word for word in range(length))
        if each.name in told:
            assert values.value(each.name) == (expected if each.split else expected[0]), each.name


@pytest.mark.parametrize("wanted", [{0}, {3, 60}, set(range(64))])
def test_entries_are_those_of_the_series_that_were_asked_for(wanted: set[int], kernel: Any) -> None:
    """Few are read one by one, many with all between them: what is said of a series is the same."""
    read, _, _ = kernel
    fd = os.memfd_create("many")
    os.ftruncate(fd, 4096 * (64 * WORDS * 8 // 4096 + 1))
    read._series = many = WordArray(fd, 64 * WORDS)
    os.close(fd)
    for index in range(64):
        many.words[index * WORDS + abi.SERIES_ENTERED] = 1000 + index
    entered = read.all_entered(wanted)
    assert {index: entered[index] for index in wanted} == {index: 1000 + index for index in wanted}
    many.close()


def test_the_highest_and_lowest_are_those_of_the_last_interval(
    kernel: tuple[reader.Reader, WordArray, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A highest or lowest value belongs to one complete interval, is absent where there was none, and 0 is a value like others."""
    read, series, control = kernel
    rows = (row("duration_max", Fold.HIGHEST), row("depth_max", Fold.HIGHEST), row("duration_min", Fold.LOWEST))
    monkeypatch.setattr(reader, "_EXTREMES", rows)
    read.snapshot(roll=True)
    half = control.words[abi.CONTROL_EPOCH] & 1
    series.words[abi.PLACES["duration_max"] + half] = 0 + 1  # as `note_highest` writes it
    series.words[abi.PLACES["duration_min"] + half] = 41 ^ (2**64 - 1)  # as `note_lowest` does
    (running,) = read.snapshot(roll=False).series
    (complete,) = read.snapshot(roll=True).series
    (idle,) = read.snapshot(roll=True).series
    assert running.extremes == idle.extremes == ()
    assert (complete.value("duration_max"), complete.value("depth_max"), complete.value("duration_min")) == (
        0,
        None,
        41,
    )
    assert complete.without_interval().value("duration_min") is None


def test_a_balance_may_be_below_zero(
    kernel: tuple[reader.Reader, WordArray, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was subtracted more often than added is a negative number."""
    read, series, _ = kernel
    monkeypatch.setattr(reader, "_COUNTS", (row("missed_ends", Fold.BALANCE), row("depth_lost", Fold.SUM)))
    series.words[abi.PLACES["missed_ends"]] = 2**64 - 3
    series.words[abi.PLACES["depth_lost"]] = 2**63 + 1
    (values,) = read.snapshot(roll=False).series
    assert (values.value("missed_ends"), values.value("depth_lost")) == (-3, 2**63 + 1)


@pytest.mark.parametrize(("fold", "expected"), [(Fold.SUM, 5), (Fold.BALANCE, 5), (Fold.HIGHEST, 7), (Fold.LOWEST, -2)])
def test_probes_of_one_name_are_one_point(fold: Fold, expected: int) -> None:
    """The values of two probes that bear one function's name are put together as the row says."""
    assert points(row("made", fold), snapshot(made=7), snapshot(made=-2)) == [((), expected)]


def test_seconds_are_counted_in_nanoseconds() -> None:
    """A metric in seconds equals the nanoseconds that the kernel counted."""
    assert points(row("made", Fold.SUM, unit="s"), snapshot(made=1_500_000_000)) == [((), 1.5)]


def test_what_was_not_counted_is_absent() -> None:
    """A recording from before a counter existed has no point of it, rather than 0."""
    assert points(row("made", Fold.SUM), snapshot()) == []


def test_a_split_row_knows_its_values_from_the_start() -> None:
    """Every value of the attribute has a point, though nothing was counted of it yet."""
    drops = row("drops", Fold.SUM, split=Split(8, "reason", "drop_reasons"))
    values = samples.snapshot_of(samples.PUT, [5], drops=(3,))
    assert points(drops, values) == [((("reason", "late"),), 3), ((("reason", "full"),), 0)]


def test_every_row_can_be_held() -> None:
    """Fields that rows refer to exist, kinds fit what is counted, and what is split has a field of its own in the snapshot."""
    names = {each.name for each in dataclasses.fields(Series)}
    kinds = {Fold.SUM: Kind.COUNTER, Fold.BALANCE: Kind.UP_DOWN_COUNTER}
    assert len({each.name for each in TABLE}) == len(TABLE)
    for each in TABLE:
        assert each.told_by in names
        assert each.split is None or (each.split.values in names and each.name in OWN_FIELDS)
        if each.instrument is not None:
            assert each.instrument.kind is kinds.get(each.fold, Kind.GAUGE), each.name
