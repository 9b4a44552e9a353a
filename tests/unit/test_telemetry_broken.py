# SPDX-License-Identifier: Apache-2.0
"""Values that cannot be: what is taken off, and that no number of it stays."""

from __future__ import annotations

import logging

import pytest

from otel_jb.model.instruments import Instrument
from otel_jb.model.stream import Snapshot
from otel_jb.telemetry import instruments
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.unit.test_telemetry_state import points

PACKET = (("bytes", ("Packet",)),)
PUT = samples.series(
    20,
    samples.SRS,
    "put",
    fields=("bytes", "bytes out of range"),
    sources=PACKET,
    drop_reasons=("late",),
    has_depth=True,
)
GET = samples.series(21, samples.SRS, "get", "get", sources=PACKET)
LATE = samples.series(22, samples.SRS, "drop", sources=(("outcome", ("Packet", "Queue")),), drop_reasons=("late",))
OTHER = samples.series(23, samples.SRS, "other", sources=(("bytes", ("Queue",)),))
ELSEWHERE = samples.series(24, samples.SRS, "elsewhere", sources=PACKET, file="/lib/other.so")
ALL = (PUT, GET, LATE, OTHER, ELSEWHERE)


def state(*faults: int) -> StreamState:
    made = StreamState()
    for record in (samples.SRS, *ALL):
        made.apply(record)
    made.apply(snapshot(*faults))
    return made


def snapshot(*faults: int) -> Snapshot:
    return samples.snapshot(
        *(
            samples.snapshot_of(each, [1000], bytes=500, drops=(1,), faults=faults if each is PUT else ())
            for each in ALL
        )
    )


def functions(made: StreamState, instrument: Instrument) -> set[object]:
    return {dict(point.attributes)["code.function.name"] for point in points(made.view(), 2, instrument)}


def test_values_that_can_be_stay(caplog: pytest.LogCaptureFixture) -> None:
    """A read that faulted takes nothing off."""
    made = state(7, 0)
    assert functions(made, instruments.BYTES) == {"put", "get", "drop", "other", "elsewhere"}
    assert not caplog.records


def test_one_impossible_value_takes_all_of_its_struct_off(caplog: pytest.LogCaptureFixture) -> None:
    """No byte of the function stays, nor of others that read the struct in that file; calls, packets and other structs stay."""
    with caplog.at_level(logging.WARNING):
        made = state(0, 3)
    assert functions(made, instruments.BYTES) == {"drop", "other", "elsewhere"}
    assert functions(made, instruments.DROPPED_PACKETS) == {"put"}
    assert functions(made, instruments.PACKET_COUNT) == {"put", "get", "drop", "other", "elsewhere"}
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "put of process 4712: 3 values of `bytes` are impossible" in message
    assert "struct Packet" in message
    made.apply(snapshot(0, 9))
    assert len(caplog.records) == 1


def test_what_was_taken_off_does_not_come_back() -> None:
    """A series that is described anew, because it is measured in another way, stays without the value."""
    made = state(0, 1)
    made.apply(PUT)
    made.apply(snapshot(0, 1))
    assert functions(made, instruments.BYTES) == {"drop", "other", "elsewhere"}
