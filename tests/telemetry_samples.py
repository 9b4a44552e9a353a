# SPDX-License-Identifier: Apache-2.0
"""A small world of targets, series and snapshots that the telemetry tests share: two processes, five functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from otel_jb.model.added import ADDED
from otel_jb.model.counters import TABLE
from otel_jb.model.stream import (
    OWN_FIELDS,
    AgentCost,
    DepthSnapshot,
    HostShare,
    Interval,
    ProbeState,
    ProbeStatus,
    Series,
    SeriesSnapshot,
    Snapshot,
    StreamRecord,
    Target,
)
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.instruments import INSTRUMENTS, RESIDENCE, RESIDENCE_UNMATCHED, VERDICT
from otel_jb.telemetry.state import StreamState

START = 1_700_000_000_000_000_000
ATTACHED = START + 5_000_000_000
READ = START + 65_000_000_000

FFMPEG = Target(
    id=1,
    pid=4711,
    start_time_unix_nano=START,
    name="ffmpeg",
    executable="/opt/media/ffmpeg",
    build_id="0123456789abcdef",
    service_name="ffmpeg",
    service_instance_id="8d9c1f3e-0000-5000-8000-000000000001",
    attached_unix_nano=ATTACHED,
    attributes=(("container.id", "c0ffee"), ("host.name", "media-1")),
)
SRS = Target(
    id=2,
    pid=4712,
    start_time_unix_nano=START,
    name="srs",
    executable='/opt/"srs"\\bin',
    build_id=None,
    service_name="live",
    service_instance_id="8d9c1f3e-0000-5000-8000-000000000002",
    attached_unix_nano=ATTACHED + 1,
    attributes=(("host.name", "media-1"),),
)


RTP_INSTRUMENTS = frozenset(
    each for each in INSTRUMENTS if each.name.startswith("rtp.") or each.name == "jitterbuffer.interarrival"
)
#: Metrics that the sample world has no value of: those of counters that a snapshot holds by name (tests/unit/test_counters.py), those of
#: what profiles add up (tests/unit/test_added.py), of RTP streams and residence, and the verdict, which a healthy world has none of.
WITHOUT_VALUE = frozenset(
    {
        *(row.instrument for row in TABLE if row.name not in OWN_FIELDS),
        *(row.instrument for row in ADDED.values()),
        *RTP_INSTRUMENTS,
        RESIDENCE,
        RESIDENCE_UNMATCHED,
        VERDICT,
    }
)


def series(number: int, target: Target, function: str, role: str = "put", **changes: object) -> Series:
    """A timed series that knows packets and bytes."""
    made = Series(
        id=number,
        target=target.id,
        function=function,
        role=role,
        primary=True,
        profile="sample",
        strategy="edge-sites",
        reason="every end is covered",
        file=target.executable,
        has_timing=True,
        has_packets=True,
        has_bytes=True,
        has_depth=False,
        has_duplicates=False,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


PARSE = series(1, FFMPEG, "ff_rtp_parse_packet", "parse", has_depth=True, fields=("queue_len",))
PUT = series(
    2,
    SRS,
    "SrsRtpJitterBuffer::put",
    drop_reasons=("late", "full"),
    has_duplicates=True,
    error_return=((-(2**31), -1),),
)
GET = series(3, SRS, "SrsRtpJitterBuffer::get", "get", has_bytes=False)
RESET = series(4, SRS, "SrsRtpJitterBuffer::reset", "reset", has_timing=False, has_packets=False, has_bytes=False)
DECODE = series(5, SRS, "SrsRtpPacket::decode", "decode")


def snapshot_of(
    one: Series,
    durations_ns: Sequence[int],
    bounds_ns: tuple[int, ...] = DEFAULT_BOUNDS_NS,
    interval: bool = True,
    **changes: object,
) -> SeriesSnapshot:
    """What the kernel would have counted for calls that took these times."""
    buckets = [0] * (len(bounds_ns) + 1)
    for duration in durations_ns:
        buckets[bisect_left(bounds_ns, duration)] += 1
    last = None
    if interval and durations_ns:
        last = Interval(len(durations_ns), sum(durations_ns), min(durations_ns), max(durations_ns))
    made = SeriesSnapshot(
        series=one.id,
        returned=len(durations_ns),
        abandoned=0,
        missed=0,
        untimed=0,
        in_flight=0,
        orphan_ends=0,
        sum_ns=sum(durations_ns),
        buckets=tuple(buckets),
        no_packet=0,
        unknown=0,
        bytes=100 * len(durations_ns),
        drops=(0,) * len(one.drop_reasons),
        duplicates=0,
        faults=(0,) * len(one.fields),
        slow=0,
        events_emitted=0,
        events_suppressed=0,
        events_lost=0,
        attached_ns=60_000_000_000,
        interval=last,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def snapshot(*values: SeriesSnapshot, at: int = READ, depths: tuple[DepthSnapshot, ...] = ()) -> Snapshot:
    """A snapshot by the default boundaries."""
    return Snapshot(at, at - START, DEFAULT_BOUNDS_NS, values, depths, 10_000_000_000)


def records() -> list[StreamRecord]:
    """The sample world as a stream."""
    return [
        AgentCost((("edge", 1.1e-6), ("uretprobe", 0.9e-6))),
        FFMPEG,
        SRS,
        *(PARSE, PUT, GET, RESET, DECODE),
        *(
            ProbeStatus(
                one.target, one.function, one.file, "sample", ProbeState.ATTACHED, one.reason, one.strategy, one.id
            )
            for one in (PARSE, PUT, GET, RESET, DECODE)
        ),
        ProbeStatus(2, "SrsRtcConsumer::enqueue", "srs", "srs", ProbeState.SKIPPED, "inlined everywhere"),
        snapshot(
            snapshot_of(PARSE, [900, 1_000, 1_001, 24_000_000], no_packet=1, unknown=1, faults=(2,), events_emitted=1),
            snapshot_of(PUT, [3_000] * 7, drops=(2, 0), duplicates=1, abandoned=1, missed=2, in_flight=1),
            snapshot_of(GET, []),
            snapshot_of(RESET, [], untimed=3),
            snapshot_of(DECODE, [6_000_000_000, 5_000_000_000], events_suppressed=4, events_lost=5),
            depths=(DepthSnapshot(1, 1, 12, 2, 9),),
        ),
        HostShare(
            1,
            READ,
            2_500_000_000,
            31_000_000,
            4_000_000,
            ((5004, 17), (5006, 0)),
            ((5004, 2304), (5006, 0)),
            ((5004, 4_608_000_000_000),),
            1_500,
        ),
        HostShare(2, READ, 800_000_000, 1_000_000, None),
    ]


def state() -> StreamState:
    """The sample world folded."""
    made = StreamState()
    for record in records():
        made.apply(record)
    return made
