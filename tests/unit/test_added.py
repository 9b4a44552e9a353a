# SPDX-License-Identifier: Apache-2.0
"""What profiles add up, from the word in the kernel to the views."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.catalog.compile import Addition, Meaning, compile_meaning
from otel_jb.catalog.expression import parse
from otel_jb.model.added import ADDED, MAX_ADDED, MAX_MEAN, MEAN_SHIFT, in_units, mean_of
from otel_jb.model.instruments import Kind
from otel_jb.telemetry.metrics import NumberPoint, target_metrics
from otel_jb.telemetry.state import StreamState
from otel_jb.views.page.tables import Content, Facts
from tests import telemetry_samples as samples
from tests.unit.readvm import Memory, end, entry

pytestmark = pytest.mark.unit

MASK = (1 << 64) - 1


@given(st.integers(0, MASK), st.lists(st.integers(0, MAX_MEAN), max_size=50))
def test_a_mean_is_that_of_the_readings_between(before: int, readings: list[int]) -> None:
    """Wherever the word stood, and though it wraps: the mean is the sum of the readings over their number, and none without any."""
    after = before
    for reading in readings:
        after = after + (1 << MEAN_SHIFT) + reading & MASK
    assert mean_of(before, after) == (sum(readings) / len(readings) if readings else None)


def test_values_have_the_units_of_their_instruments() -> None:
    """Milliseconds become seconds, a mean comes from the interval and not from the word, and a name that was taken off has no value."""
    names = ("jitter_buffer_delay", "", "target_delay", "concealed_samples")
    found = {
        row.name: value for row, value in in_units(names, (1500, 3, 99 << MEAN_SHIFT, 480), (("target_delay", 60.0),))
    }
    assert found == {"jitter_buffer_delay": 1.5, "target_delay": 0.06, "concealed_samples": 480}


def test_points_of_one_function_in_two_files_are_one() -> None:
    """Counters of probes that bear one name are added up, and the higher target is shown."""
    state = StreamState()
    put = replace(samples.PUT, adds=("packets_discarded", "target_delay"))
    for record in (samples.SRS, put, replace(put, id=9)):
        state.apply(record)
    values = samples.snapshot_of(put, [5], added=(3, 7), means=(("target_delay", 40.0),))
    twin = replace(values, series=9, added=(4, 7), means=(("target_delay", 90.0),))
    state.apply(samples.snapshot(values, twin))
    rows = Content(state, Facts(), {}).tables().tables["functions"]
    assert rows["9"][-1] == [["webrtc.packets_discarded", "packet", 4], ["jitterbuffer.target_delay", "s", 0.09]]
    (target,) = target_metrics(state.view())
    points = {one.name: [p.value for p in some if isinstance(p, NumberPoint)] for one, some in target.points}
    assert points["webrtc.packets_discarded"] == [7]
    assert points["jitterbuffer.target_delay"] == [0.09]


@pytest.mark.parametrize(
    ("argument", "returned", "expected"), [(7, 1, {0: 14, 1: 3}), (7, 0, {0: 14}), (99, 1, {1: 3})]
)
def test_conditions_and_bounds_decide_what_is_added(argument: int, returned: int, expected: dict[int, int]) -> None:
    """A product at the entry where it is not beyond its bound, and a quotient at the end where the condition holds."""
    at_entry = Addition(0, "resets", parse("arg1 * 2"), most=100)
    at_end = Addition(1, "concealed_samples", parse("entry(arg2) / 10"), when=parse("ret == 1"))
    program = compile_meaning(Meaning(adds_entry=(at_entry,), adds_end=(at_end,), return_width=4))
    call = end(program, entry(program, [argument, 39], Memory()), returned, Memory())
    assert call.added == expected
    assert [field for _, field in call.broken] == (["resets out of range"] if argument == 99 else [])


def test_every_row_is_one_counter_and_shipped_profiles_use_it() -> None:
    """Rows have the names that profiles give them, gauges are means, and no function adds to more counters than the kernel keeps."""
    used = {name for function in load().functions() for name in (each.to for each in function.spec.adds)}
    assert used == set(ADDED)
    for name, row in ADDED.items():
        assert row.instrument.name.endswith(f".{name}")
        assert row.is_mean == (row.instrument.kind is Kind.GAUGE)
    assert max(len(function.spec.adds) for function in load().functions()) <= MAX_ADDED
