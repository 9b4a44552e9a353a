# SPDX-License-Identifier: Apache-2.0
"""The last minute of every target, folded from the stream of records: what was measured between two moments."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field, replace
from itertools import pairwise

from otel_jb.diagnosis.limits import DATAGRAM_BYTES, FULL_REASONS, PACKET_ROLES, SLOW_NS
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import (
    HostShare,
    RtpSnapshot,
    Series,
    SeriesSnapshot,
    SlowCall,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)

REQUESTED = "requested_packets"  #: of `model.added`
STEPS = 12  #: samples kept of a window
SLOW_CALLS = 500  #: slow calls of a window whose time is kept
WHOLE = 0.9  #: a function that was probed for this share of a step was probed all through it: clocks are read one after the other


@dataclass(frozen=True, slots=True)
class Stream:
    """What one RTP stream did in a span."""

    received: int
    lost: int
    reordered: int
    duplicated: int
    jitter_s: (
        float | None
    )  #: the mean over the span, not RFC 3550's moving average, which has forgotten a burst 50 packets later
    watched: bool  #: the function that reads its packets was probed all the time


@dataclass(frozen=True, slots=True)
class Span:
    """What a target did between two moments. None: not known."""

    begin_unix_nano: int
    end_unix_nano: int
    streams: dict[str, Stream]
    cpu_s: float | None
    run_delay_s: float | None
    timeslices: int | None  #: how often its threads got a CPU
    throttled_s: float | None
    socket_drops: int
    calls: int  #: calls that handle a packet, timed ones
    slow_calls: int
    packets: int
    refused: int  #: packets thrown away for want of room
    requested: int  #: missing packets that the server asked for again, each as often as it did
    share_seconds: float  #: how long the host's share was counted for: it is read at moments of its own
    lost_by_share: int | None  #: packets that were lost when the share was last read; None: it was not
    reordered_by_share: int | None  #: packets that had come out of order then
    jitter_by_share: dict[str, float | None] | None  #: the jitter of streams then; None: it was not
    unread: float | None  #: datagrams that waited in its sockets, on average; None: it was not looked at
    stalled: bool  #: packets came to sockets that it reads, and none was taken

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_unix_nano - self.begin_unix_nano) / 1e9


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a verdict needs of a function's counters. A dozen of these are kept, so the buckets are summed up at once."""

    calls: int
    slow_calls: int
    packets: int
    refused: int


_NOTHING = _Counted(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Sample:
    time_ns: int
    time_unix_nano: int
    series: dict[int, _Counted]
    rtp: dict[str, RtpSnapshot]
    share: HostShare | None
    requested: int  #: packets asked for again
    attached_ns: dict[int, int]  #: how long each function was probed


@dataclass(frozen=True, slots=True)
class SlowTime:
    """What slow calls that handle a packet spent their time on, those of which it is known."""

    calls: int
    cpu_ns: int
    run_delay_ns: int
    blocked_ns: int


@dataclass(slots=True)
class _Followed:
    target: Target
    series: dict[int, Series] = field(default_factory=dict)
    share: HostShare | None = None
    first_share: HostShare | None = None
    samples: deque[_Sample] = field(default_factory=deque)
    #: of each slow call its end, and what it spent running, waiting for a processor and blocked
    slow: deque[tuple[int, int, int, int]] = field(default_factory=lambda: deque(maxlen=SLOW_CALLS))


class History:
    """Keeps as much of each live target as a window of `window_s` seconds needs."""

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_ns = int(window_s * 1e9)
        self._targets: dict[int, _Followed] = {}
        self._of_series: dict[int, int] = {}
        self._now_ns = 0

    def apply(self, record: StreamRecord) -> None:
        """Fold a record in."""
        if isinstance(record, Target):
            self._targets.setdefault(record.id, _Followed(record)).target = record
        elif isinstance(record, Series) and record.target in self._targets:
            self._targets[record.target].series[record.id] = record
            self._of_series[record.id] = record.target
        elif isinstance(record, HostShare) and record.target in self._targets:
            followed = self._targets[record.target]
            followed.share = record
            followed.first_share = followed.first_share or record
        elif isinstance(record, Snapshot):
            self._sample(record)
        elif isinstance(record, SlowCall):
            self._take_slow(record)
        elif isinstance(record, TargetEnded) and record.target in self._targets:
            for series in self._targets.pop(record.target).series:
                self._of_series.pop(series, None)

    def _take_slow(self, call: SlowCall) -> None:
        if call.series not in self._of_series or call.end_ns - call.start_ns < SLOW_NS:
            return
        followed = self._targets[self._of_series[call.series]]
        if call.cpu_ns is None or call.run_delay_ns is None or call.blocked_ns is None:
            return
        if _is_of_packets(followed.series[call.series]):
            followed.slow.append((call.end_ns, call.cpu_ns, call.run_delay_ns, call.blocked_ns))

    def _sample(self, snapshot: Snapshot) -> None:
        self._now_ns = snapshot.time_ns
        series: dict[int, dict[int, SeriesSnapshot]] = {}
        for values in snapshot.series:
            if values.series in self._of_series:
                series.setdefault(self._of_series[values.series], {})[values.series] = values
        rtp: dict[int, dict[str, RtpSnapshot]] = {}
        for each in snapshot.rtp:
            if each.series in self._of_series:
                rtp.setdefault(self._of_series[each.series], {})[each.stream] = each
        for number, of_target in series.items():
            followed = self._targets[number]
            samples = followed.samples
            if samples and snapshot.time_ns - samples[-1].time_ns < self._window_ns // STEPS:
                continue
            samples.append(
                _Sample(
                    snapshot.time_ns,
                    snapshot.time_unix_nano,
                    _counted(followed.series, of_target, snapshot.bounds_ns),
                    rtp.get(number, {}),
                    followed.share,
                    sum(_requested(followed.series[one], each) for one, each in of_target.items()),
                    {one: each.attached_ns for one, each in of_target.items()},
                )
            )
            while len(samples) > 2 and samples[1].time_ns <= snapshot.time_ns - self._window_ns:
                samples.popleft()

    @property
    def targets(self) -> Iterable[Target]:
        """The live targets."""
        return [followed.target for followed in self._targets.values()]

    def functions(self, target: int) -> list[Series]:
        """The probed functions of a target."""
        return list(self._targets[target].series.values())

    def has_share(self, target: int) -> bool:
        """Whether the host was looked at."""
        return self._targets[target].share is not None

    def sampled_ns(self, target: int) -> int | None:
        """When a moment of a live target was last kept; None: never, or so long ago that it says nothing of the present."""
        followed = self._targets.get(target)
        if followed is None or not followed.samples or self._now_ns - followed.samples[-1].time_ns > self._window_ns:
            return None
        return followed.samples[-1].time_ns

    def whole(self, target: int) -> Span | None:
        """The window; None before two moments are known."""
        samples = self._targets[target].samples
        if len(samples) < 2:
            return None
        share = samples[-1].share
        # Nobody looks any more if the last share is that old.
        if share is None or samples[-1].time_unix_nano - share.time_unix_nano > self._window_ns:
            return _span(samples[0], samples[-1])
        by_then = [sample for sample in samples if sample.time_unix_nano <= share.time_unix_nano] or [samples[0]]
        span = _span(samples[0], samples[-1], by_then[-1])
        if samples[0].share is not None:
            return span
        # The host is looked at a moment after the functions. Other counters begin at 0 there; an average needs to know when.
        return replace(span, unread=_unread(self._targets[target].first_share, share))

    def slow_time(self, target: int) -> SlowTime:
        """Of the window's slow calls, those that were told one by one. More than `SLOW_CALLS` are told by the latest."""
        followed = self._targets[target]
        since_ns = followed.samples[0].time_ns if followed.samples else 0
        parts = [parts for end_ns, *parts in followed.slow if end_ns >= since_ns]
        cpu_ns, run_delay_ns, blocked_ns = map(sum, zip(*parts, strict=True)) if parts else (0, 0, 0)
        return SlowTime(len(parts), cpu_ns, run_delay_ns, blocked_ns)

    def steps(self, target: int) -> list[Span]:
        """The window from moment to moment, oldest first, without those in which the wall clock stood still or was set back."""
        samples = self._targets[target].samples
        read = _read(samples)
        return [step for pair in pairwise(samples) if (step := _span(*pair, read=read)).seconds > 0]

    def stalled(self, target: int) -> float:
        """The share of the window in which packets came and none was taken, as the steps have it, but quickly where all goes well."""
        samples = self._targets[target].samples
        window_ns = samples[-1].time_unix_nano - samples[0].time_unix_nano
        waited = [pair for pair in pairwise(samples) if _waits(pair[1].share) and not _handled(*pair)]
        if not waited or window_ns <= 0:
            return 0.0
        read = _read(samples)
        return sum(step.seconds for pair in waited if (step := _span(*pair, read=read)).stalled) * 1e9 / window_ns


def _read(samples: Iterable[_Sample]) -> frozenset[int]:
    """Ports whose sockets are known to be read. One that was never seen empty is perhaps one that nobody ever reads."""
    shares = [sample.share for sample in samples if sample.share is not None]
    return frozenset(port for share in shares for port, unread in share.udp_queue if not unread)


def _waits(share: HostShare | None) -> bool:
    return share is not None and any(unread for _, unread in share.udp_queue)


def _handled(first: _Sample, last: _Sample) -> bool:
    """Whether a packet was handled between two samples."""
    return any(now.calls != first.series.get(number, _NOTHING).calls for number, now in last.series.items())


def _span(
    first: _Sample, last: _Sample, by_share: _Sample | None = None, *, read: frozenset[int] = frozenset()
) -> Span:
    """What was done between two samples. `by_share`: the last one before the share was read; `read`: ports whose sockets are known to be read."""

    def watched(series: int) -> bool:
        probed = last.attached_ns.get(series, 0) - first.attached_ns.get(series, 0)
        return probed >= WHOLE * (last.time_ns - first.time_ns)

    streams = {}
    for name, now in last.rtp.items():
        before = _before(first, name, now)
        streams[name] = Stream(
            now.received - (before.received if before else 0),
            now.lost - (before.lost if before else 0),
            now.reordered - (before.reordered if before else 0),
            now.duplicated - (before.duplicated if before else 0),
            _jitter_s(before, now),
            watched(now.series),
        )
    calls = slow = packets = refused = 0
    for number, now_counted in last.series.items():
        old = first.series.get(number, _NOTHING)
        calls += now_counted.calls - old.calls
        slow += now_counted.slow_calls - old.slow_calls
        packets += now_counted.packets - old.packets
        refused += now_counted.refused - old.refused
    begin, end = first.share, last.share
    return Span(
        begin_unix_nano=first.time_unix_nano,
        end_unix_nano=last.time_unix_nano,
        streams=streams,
        cpu_s=_seconds(begin, end, lambda share: share.cpu_ns),
        run_delay_s=_seconds(begin, end, lambda share: share.run_delay_ns),
        timeslices=_difference(begin, end, lambda share: share.timeslices),
        throttled_s=_seconds(begin, end, lambda share: share.throttled_ns),
        socket_drops=_drops(end) - _drops(begin),
        calls=calls,
        slow_calls=slow,
        packets=packets,
        refused=refused,
        requested=max(0, last.requested - first.requested),
        share_seconds=_between(begin, end, (last.time_unix_nano - first.time_unix_nano) / 1e9),
        lost_by_share=None if by_share is None else _lost(first, by_share),
        reordered_by_share=None if by_share is None else _reordered(first, by_share),
        jitter_by_share=None
        if by_share is None
        else {name: _jitter_s(_before(first, name, now), now) for name, now in by_share.rtp.items()},
        unread=_unread(begin, end),
        stalled=bool(last.series or streams)
        and all(map(watched, last.series))
        and calls == 0
        and not any(each.received or not each.watched for each in streams.values())
        and _came(end, read) > _came(begin, read) > 0,
    )


def _before(first: _Sample, name: str, now: RtpSnapshot) -> RtpSnapshot | None:
    """What a label had counted when a span began; None: it did not exist, or was another's."""
    before = first.rtp.get(name)
    return before if before is not None and before.since_unix_nano == now.since_unix_nano else None


def _lost(first: _Sample, last: _Sample) -> int:
    """Packets that the streams lost between two moments, those that lost any."""
    lost = 0
    for name, now in last.rtp.items():
        before = _before(first, name, now)
        lost += max(0, now.lost - (before.lost if before else 0))
    return lost


def _reordered(first: _Sample, last: _Sample) -> int:
    """Packets of all streams that came out of order between two moments."""
    reordered = 0
    for name, now in last.rtp.items():
        before = _before(first, name, now)
        reordered += now.reordered - (before.reordered if before else 0)
    return reordered


def _jitter_s(before: RtpSnapshot | None, now: RtpSnapshot) -> float | None:
    """RFC 3550's jitter at the end of a span, or the mean over the span if that is higher.

    The first sees that it grows, and has forgotten a burst 50 packets later, so it is low whenever it is read between bursts.
    """
    if now.jitter_ns is None:
        return None
    received = now.received - (before.received if before else 0)
    if now.moved_ns is None or received <= 0:
        return now.jitter_ns / 1e9
    mean_ns = (now.moved_ns - ((before.moved_ns or 0) if before else 0)) / received
    return max(now.jitter_ns, mean_ns) / 1e9


def _counted(
    known: dict[int, Series], values: dict[int, SeriesSnapshot], bounds_ns: tuple[int, ...]
) -> dict[int, _Counted]:
    found = {}
    over = bisect_left(bounds_ns, SLOW_NS) + 1
    for number, each in values.items():
        series = known[number]
        if _is_of_packets(series):
            found[number] = _Counted(
                each.returned,
                sum(each.buckets[over:]),
                (each.packets or 0) if series.has_packets else 0,
                sum(
                    count
                    for reason, count in zip(series.drop_reasons, each.drops, strict=False)
                    if reason in FULL_REASONS
                ),
            )
    return found


def _requested(series: Series, values: SeriesSnapshot) -> int:
    return dict(zip(series.adds, values.added, strict=False)).get(REQUESTED, 0)


def _is_of_packets(series: Series) -> bool:
    """Whether a function's calls handle a packet each, so that slow ones are evidence."""
    return series.has_timing and series.primary and series.role in PACKET_ROLES


def _between(before: HostShare | None, now: HostShare | None, otherwise: float) -> float:
    """Seconds that the difference of two shares is about. The first one counts from later than the moment before it."""
    if before is None or now is None or now.time_unix_nano <= before.time_unix_nano:
        return otherwise
    return (now.time_unix_nano - before.time_unix_nano) / 1e9


def _seconds(before: HostShare | None, now: HostShare | None, of: Callable[[HostShare], int | None]) -> float | None:
    value_ns = _difference(before, now, of)
    return None if value_ns is None else value_ns / 1e9


def _difference(before: HostShare | None, now: HostShare | None, of: Callable[[HostShare], int | None]) -> int | None:
    value = of(now) if now is not None else None
    return None if value is None else value - ((of(before) if before is not None else None) or 0)


def _unread(before: HostShare | None, now: HostShare | None) -> float | None:
    """Datagrams that waited between two shares, on average: bytes times nanoseconds over nanoseconds, and over what one takes at most."""
    if before is None or now is None or before is now or not now.udp_waited:
        return None
    waited = sum(each for _, each in now.udp_waited) - sum(each for _, each in before.udp_waited)
    took_ns = now.time_unix_nano - before.time_unix_nano
    return waited / took_ns / DATAGRAM_BYTES if took_ns > 0 else None  # the wall clock may have been set back


def _drops(share: HostShare | None) -> int:
    return sum(drops for _, drops in share.udp_drops) if share is not None else 0


def _came(share: HostShare | None, ports: frozenset[int]) -> int:
    """What grows as long as packets come to sockets of these ports and nobody reads them: what waits there, then what is dropped. No unit."""
    by_port = (*share.udp_queue, *share.udp_drops) if share is not None else ()
    return sum(count for port, count in by_port if port in ports)
