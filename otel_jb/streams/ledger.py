# SPDX-License-Identifier: Apache-2.0
"""Who counts under which label: the busiest streams of a function have their own, the others share one.

What a stream counts is credited to the label that it bears at that moment, and stays there. So no label's counters ever fall, and the
sum over all labels equals what all streams counted. Pure: the clock is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import field

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import RtpSnapshot

OTHER = "_other"
Key = tuple[int, int]  #: SSRC and the buffer's address
_UNPLACED: Key = (-1, 0)  #: stands for all streams that the kernel has no room for
IDLE_NS = 60_000_000_000  #: a stream without a packet for so long has ended
MUCH_BUSIER = 1.2  #: how much busier a stream must be to take another's place, so that near-equal ones do not alternate
NAME_ATTEMPTS = 3  #: how often a stream's name is looked for


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of one or more streams."""

    received: int = 0
    bytes: int = 0
    lost: int = 0
    reordered: int = 0
    duplicated: int = 0
    strays: int = 0  #: received, of sequence numbers that belong nowhere
    moved_ns: int = 0  #: by how much packets were out of step with the one before, in all
    gaps_ns: int = 0  #: the sum of the times between packets
    gaps: tuple[int, ...] = ()  #: how many of these were how long
    bursts: int = 0  #: of losses (RFC 3611, 4.7.2)
    burst_expected: int = 0
    burst_lost: int = 0
    gap_expected: int = 0
    gap_lost: int = 0
    unjudged: int = 0

    def plus(self, other: Counts, sign: int = 1) -> Counts:
        """The sum, or with a `sign` of -1 the difference."""
        return Counts(
            self.received + sign * other.received,
            self.bytes + sign * other.bytes,
            self.lost + sign * other.lost,
            self.reordered + sign * other.reordered,
            self.duplicated + sign * other.duplicated,
            self.strays + sign * other.strays,
            self.moved_ns + sign * other.moved_ns,
            self.gaps_ns + sign * other.gaps_ns,
            _added(self.gaps, other.gaps, sign),
            self.bursts + sign * other.bursts,
            self.burst_expected + sign * other.burst_expected,
            self.burst_lost + sign * other.burst_lost,
            self.gap_expected + sign * other.gap_expected,
            self.gap_lost + sign * other.gap_lost,
            self.unjudged + sign * other.unjudged,
        )


def _added(some: tuple[int, ...], others: tuple[int, ...], sign: int) -> tuple[int, ...]:
    """Of equally many, or of none, which is as good as as many zeros."""
    if not others:
        return some
    if not some:
        return tuple([sign * other for other in others])
    return tuple([one + sign * other for one, other in zip(some, others, strict=True)])


@dataclass(frozen=True, slots=True)
class Reading:
    """One stream as the kernel has it now."""

    key: Key
    ssrc: int
    counts: Counts
    jitter_ns: int | None  #: None: the clock rate is not known


@dataclass(slots=True)
class _Stream:
    reading: Reading
    label: str  #: that it would bear
    bears: bool = False
    active_ns: int = 0  #: when a packet was last seen
    ranked: int = 0  #: packets received when streams were last ranked
    attempts: int = 0
    named: bool = False  #: `label` is a name that people use


@dataclass(slots=True)
class _Account:
    since_unix_nano: int
    counts: Counts = field(default_factory=Counts)
    left_ns: int | None = None  #: since when nobody bears the label


class Ledger:
    """The streams of one function of one process.

    Args:
        most: how many labels are given out beside `_other`.
        name: what people call the stream with this key; None: not known, or not yet.
    """

    def __init__(self, most: int, name: Callable[[Key], str | None] = lambda _: None) -> None:
        self._most = most
        self._name = name
        self._streams: dict[Key, _Stream] = {}
        self._accounts: dict[str, _Account] = {}
        self._borne: Counter[str] = Counter()  # how many streams bear a label
        self._in_buffer: dict[int, set[Key]] = {}

    def read(
        self,
        readings: Iterable[Reading],
        now_ns: int,
        now_unix_nano: int,
        unplaced: Counts | None = None,
        *,
        rank: bool = False,
    ) -> list[Key]:
        """Credit what was counted since the last time; `rank` gives the labels to the busiest since the last ranking.

        `unplaced` counts the packets of streams that the kernel has no room for, in all. Returns the streams that have ended: they are
        forgotten, and their keys may come again.
        """
        for reading in readings:
            self._credit(reading, now_ns, now_unix_nano)
        if unplaced is not None and unplaced.received:
            self._credit(Reading(_UNPLACED, 0, unplaced, None), now_ns, now_unix_nano)
        if rank:
            self._rank(now_ns)
        return self._forget(now_ns)

    def _credit(self, reading: Reading, now_ns: int, now_unix_nano: int) -> None:
        stream = self._streams.get(reading.key)
        if stream is None:
            stream = _Stream(Reading(reading.key, reading.ssrc, Counts(), None), OTHER, active_ns=now_ns)
            self._streams[reading.key] = stream
            self._in_buffer.setdefault(reading.key[1], set()).add(reading.key)
        if reading.key != _UNPLACED:
            self._call(stream, now_ns)
        more = reading.counts.plus(stream.reading.counts, -1)
        if more.received:
            stream.active_ns = now_ns
            if stream.named and (stream.bears or self._has_room_for(stream.label)):
                self._confirm(stream, now_ns)
            if not stream.bears and reading.key != _UNPLACED and self._has_room_for(stream.label):
                self._bear(stream, bears=True)
        label = stream.label if stream.bears else OTHER
        account = self._accounts.setdefault(label, _Account(now_unix_nano))
        account.counts = account.counts.plus(more)
        account.left_ns = None
        stream.reading = reading

    def _call(self, stream: _Stream, now_ns: int) -> None:
        """Look for a stream's name, now and a little later: it may be known only after the first packets."""
        if stream.attempts >= NAME_ATTEMPTS:
            return
        stream.attempts += 1
        name = self._name(stream.reading.key)
        if name and name != OTHER:
            self._leave(stream, now_ns)
            stream.label, stream.attempts, stream.named = name, NAME_ATTEMPTS, True
        elif stream.label == OTHER:
            stream.label = _unnamed(stream)

    def _confirm(self, stream: _Stream, now_ns: int) -> None:
        """A name holds as long as the memory says so: the server may give it to another stream, or the memory to something else."""
        name = self._name(stream.reading.key)
        if name == stream.label:
            return
        self._leave(stream, now_ns)
        stream.named = bool(name) and name != OTHER
        stream.label = name if name and stream.named else _unnamed(stream)
        stream.attempts = NAME_ATTEMPTS if stream.named else 0

    def _leave(self, stream: _Stream, now_ns: int) -> None:
        """It is called something else from now on; what it has counted stays under its label, for as long as that of an ended one."""
        self._bear(stream, bears=False)
        if stream.label in self._accounts and stream.label not in self._borne:
            self._accounts[stream.label].left_ns = now_ns

    def _has_room_for(self, label: str) -> bool:
        return label in self._borne or len(self._borne) < self._most

    def _bear(self, stream: _Stream, *, bears: bool) -> None:
        if stream.bears != bears:
            stream.bears = bears
            self._borne[stream.label] += 1 if bears else -1
            self._borne += Counter()  # leaves out those that nobody bears

    def _rank(self, now_ns: int) -> None:
        rates: dict[str, int] = {}
        for stream in self._streams.values():
            if stream.reading.key != _UNPLACED:
                received = stream.reading.counts.received
                rates[stream.label] = rates.get(stream.label, 0) + received - stream.ranked
                stream.ranked = received
        left = sum(label not in self._borne for label in self._accounts if label != OTHER)
        waiting = sorted((label for label in rates if label not in self._borne), key=rates.__getitem__, reverse=True)
        for label in waiting:
            if not rates[label]:
                return
            if len(self._borne) >= self._most:
                idlest = min(self._borne, key=lambda each: rates.get(each, 0), default=None)
                # Labels that nobody bears any more are still shown for a while, so there must not be many.
                if idlest is None or left >= self._most or rates[label] <= rates.get(idlest, 0) * MUCH_BUSIER:
                    return
                self._give(idlest, bears=False)
                self._accounts[idlest].left_ns = now_ns
                left += 1
            self._give(label, bears=True)

    def _give(self, label: str, *, bears: bool) -> None:
        for stream in self._streams.values():
            if stream.label == label and stream.reading.key != _UNPLACED:
                self._bear(stream, bears=bears)

    def _forget(self, now_ns: int) -> list[Key]:
        ended = [
            key for key, stream in self._streams.items() if key != _UNPLACED and now_ns - stream.active_ns >= IDLE_NS
        ]
        for key in ended:
            self._bear(self._streams.pop(key), bears=False)
            self._in_buffer[key[1]].discard(key)
            if not self._in_buffer[key[1]]:
                del self._in_buffer[key[1]]
        for label, account in list(self._accounts.items()):
            if label == OTHER or label in self._borne:
                continue
            if account.left_ns is None:
                account.left_ns = now_ns - IDLE_NS  # its last stream has ended, which took as long
            if now_ns - account.left_ns >= IDLE_NS:
                del self._accounts[label]
        return ended

    def called(self, buffer: int) -> tuple[str, int | None] | None:
        """The label and the SSRC of what goes through the buffer at this address, whether the label is given out or not.

        Of several streams only what they share; None if that is nothing.
        """
        streams = [self._streams[key] for key in self._in_buffer.get(buffer, ()) if key != _UNPLACED]
        labels = {stream.label for stream in streams}
        if len(labels) != 1 or OTHER in labels:
            return None
        return labels.pop(), streams[0].reading.ssrc if len(streams) == 1 else None

    def shown(self, series: int) -> list[RtpSnapshot]:
        """What each label has, `_other` last."""
        found = []
        bearing: dict[str, list[_Stream]] = {}
        for stream in self._streams.values():
            if stream.bears:
                bearing.setdefault(stream.label, []).append(stream)
        for label, account in sorted(self._accounts.items(), key=lambda item: (item[0] == OTHER, item[0])):
            streams = bearing.get(label, [])
            # A sender that starts anew has another SSRC, and leaves one behind whose jitter does not change any more.
            latest = max((each.active_ns for each in streams), default=0)
            known = ((each.active_ns, each.reading.jitter_ns) for each in streams)
            jitters = [jitter for active, jitter in known if active == latest and jitter is not None]
            found.append(
                RtpSnapshot(
                    series=series,
                    stream=label,
                    ssrc=streams[0].reading.ssrc if len(streams) == 1 else None,
                    since_unix_nano=account.since_unix_nano,
                    received=account.counts.received,
                    bytes=account.counts.bytes,
                    lost=account.counts.lost,
                    reordered=account.counts.reordered,
                    duplicated=account.counts.duplicated,
                    strays=account.counts.strays,
                    jitter_ns=max(jitters, default=None),
                    moved_ns=account.counts.moved_ns,
                    gaps_ns=account.counts.gaps_ns,
                    gaps=account.counts.gaps,
                    bursts=account.counts.bursts,
                    burst_expected=account.counts.burst_expected,
                    burst_lost=account.counts.burst_lost,
                    gap_expected=account.counts.gap_expected,
                    gap_lost=account.counts.gap_lost,
                    unjudged=account.counts.unjudged,
                )
            )
        return found


def _unnamed(stream: _Stream) -> str:
    return f"ssrc:{stream.reading.ssrc:08x}"
