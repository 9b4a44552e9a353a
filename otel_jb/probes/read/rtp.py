# SPDX-License-Identifier: Apache-2.0
"""Reads what RTP packets show about their streams (bpf/rtp.h), and frees the slots of streams that have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from otel_jb.model.stream import RtpSnapshot, SlowCall
from otel_jb.probes import abi
from otel_jb.probes.read.flight import FlightReader, Latest, Recorded
from otel_jb.probes.read.maps import WordArray, wait_for_grace
from otel_jb.streams.clocks import rate_of, tick_of, ticks
from otel_jb.streams.ledger import Counts, Key, Ledger, Reading

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

_INDEX = (1 << abi.SERIES_BITS) - 1
_ENDED = 1  #: a key that no packet has

#: What people call a stream: asked with what is measured and the address of its buffer.
Namer = Callable[["Attached", int], str | None]
#: What clock a stream was negotiated with, a payload type and its rate in Hz: asked with what is measured, the SSRC and the buffer.
Clocker = Callable[["Attached", Key], tuple[int, int] | None]
CLOCK_ATTEMPTS = 3  #: how often a clock is looked for at once; afterwards only when the streams are ranked


class RtpReader:
    """The one reader of the kernel's table of streams.

    Args:
        streams: the table.
        unplaced: packets of streams that found no room in it, by series.
        control: the kernel knows the clock rates of payload types that are written here.
        gap_bounds_ns: upper bounds of the kernel's buckets of the time between packets; without any, the time is not known.
        rates: clock rates in Hz by payload type, beside those of RFC 3551.
        most: streams of a function that have a label of their own.
        name: what people call a stream.
        clock: what clock the server itself has for a stream.
        flights: the flight recorder; None: it is off.
    """

    def __init__(
        self,
        streams: WordArray,
        unplaced: WordArray,
        control: WordArray,
        gap_bounds_ns: Sequence[int],
        rates: Mapping[int, int],
        most: int,
        name: Namer,
        clock: Clocker,
        flights: FlightReader | None = None,
    ) -> None:
        self._streams, self._unplaced = streams, unplaced
        self._flights = flights
        self._most = most
        self._name, self._clock = name, clock
        self._clock_asked: dict[
            int, tuple[int, int]
        ] = {}  # by slot: how often, and what it had received when last asked
        self._ledgers: dict[int, Ledger] = {}  # by index of the series
        self._of_target: dict[int, list[int]] = {}  # indices of series
        self._control = control
        self._begun = -1  # streams when the slots were last looked at
        self._slots: dict[
            int, dict[int, list[tuple[int, int]]]
        ] = {}  # with their keys, by buffer and index of the series
        for payload_type, tick in ticks(rates).items():
            control.words[abi.CONTROL_CLOCKS + payload_type] = tick
        self.gap_bounds_ns = tuple(gap_bounds_ns)

    def snapshot(self, attached: Mapping[int, Attached], *, rank: bool) -> tuple[RtpSnapshot, ...]:
        """What the streams of these series have told, by label."""
        wanted = {index: item for index, item in attached.items() if item.series.has_rtp}
        if not wanted:
            return ()
        with self._streams.looked_at():
            return self._snapshot(wanted, rank=rank)

    def _snapshot(self, wanted: Mapping[int, Attached], *, rank: bool) -> tuple[RtpSnapshot, ...]:
        self._of_target = {}
        for index, item in wanted.items():
            self._of_target.setdefault(item.series.target, []).append(index)
        now, unix = time.monotonic_ns(), time.time_ns()
        readings: dict[int, list[Reading]] = {index: [] for index in wanted}
        slots: dict[tuple[int, Key], int] = {}
        keys = self._streams.column(abi.RTP_STREAM_WORDS)
        for slot in filter(keys.__getitem__, range(len(keys))):  # most are free
            key = keys[slot]
            if key >> 32 & _INDEX in wanted and key & abi.RTP_KEY_VALID:
                index = key >> 32 & _INDEX
                reading = self._reading(slot, key)
                if reading is not None:
                    slots[index, reading.key] = slot
                    self._set_clock(slot, wanted[index], reading, again=rank)
                    readings[index].append(reading)
        found: list[RtpSnapshot] = []
        ended = []
        for index, item in wanted.items():
            ledger = self._ledgers.get(index)
            if ledger is None:
                ledger = self._ledgers[index] = Ledger(self._most, self._namer(item))
            packets, size = self._unplaced.block(index, abi.RTP_UNPLACED_WORDS)
            left = ledger.read(readings[index], now, unix, Counts(received=packets, bytes=size), rank=rank)
            found += ledger.shown(item.series.id)
            ended += [slots[index, key] for key in left if (index, key) in slots]
        self._free(ended)
        if self._flights is not None and rank:
            self._flights.rank(set(slots.values()) - set(ended))
        return tuple(found)

    def add_packets(self, calls: Sequence[SlowCall], attached: Mapping[int, Attached]) -> None:
        """Add to calls that nobody else has yet the packets that went into their buffers at that time. Of those that they have, they get what is known now."""
        if self._flights is None or not any(call.stream for call in calls):
            return
        if not any(item.series.has_rtp for item in attached.values()):  # thousands, perhaps
            return
        with self._streams.looked_at():
            self._add_packets(self._flights, calls, attached)

    def _add_packets(self, flights: FlightReader, calls: Sequence[SlowCall], attached: Mapping[int, Attached]) -> None:
        begun = self._control.words[abi.CONTROL_BEGUN]  # before the slots: what begins later is found the next time
        if begun != self._begun:
            self._find_slots()
            self._begun = begun
        target_of = {item.series.id: item.series.target for item in attached.values()}
        recorded: dict[tuple[int, int], dict[int, Recorded]] = {}  # by target and buffer
        latest: dict[int, Latest] = {}
        for call in calls:
            if not call.stream:
                continue
            whose = target_of.get(call.series, 0), call.stream
            streams = recorded.get(whose)
            if streams is None:
                streams = recorded[whose] = self._recorded(*whose, attached)
            if streams:
                call.packets = flights.around(streams, call.start_ns, call.packets, latest=latest)

    def _find_slots(self) -> None:
        """Note which slots there are for a buffer. To read the table takes longer than the packets of a row of calls, and streams begin seldom."""
        self._slots = {}
        keys = self._streams.column(abi.RTP_STREAM_WORDS)
        for slot in filter(keys.__getitem__, range(len(keys))):  # most are free
            key, owner = keys[slot], self._streams.words[slot * abi.RTP_STREAM_WORDS + abi.RTP_STREAM_OWNER]
            if key & abi.RTP_KEY_VALID and owner:
                of_buffer = self._slots.setdefault(owner >> 1, {})
                of_buffer.setdefault(key >> 32 & _INDEX, []).append((slot, key))

    def _recorded(self, target: int, buffer: int, attached: Mapping[int, Attached]) -> dict[int, Recorded]:
        """The streams of a target's buffer, by slot; those that have ended since the slots were looked at left out."""
        found: dict[int, Recorded] = {}
        for index, slots in self._slots.get(buffer, {}).items():
            item = attached.get(index)
            if item is None or item.series.target != target:
                continue
            for slot, key in slots:
                at = slot * abi.RTP_STREAM_WORDS
                if (self._streams.words[at], self._streams.words[at + abi.RTP_STREAM_OWNER] >> 1) == (key, buffer):
                    tick = self._streams.words[at + abi.RTP_STREAM_TICK]
                    found[slot] = Recorded(key & 0xFFFFFFFF, rate_of(tick) if tick else None, item.series.drop_reasons)
        return dict(sorted(found.items()))

    @property
    def recorder_bytes(self) -> int:
        """Kernel memory of the flight recorder; 0: it is off."""
        return self._flights.memory_bytes if self._flights is not None else 0

    def called(self, target: int, buffer: int) -> tuple[str, int | None] | None:
        """The label and the SSRC of the stream through a target's buffer, as last read; None: not known."""
        for index in self._of_target.get(target, ()):
            ledger = self._ledgers.get(index)
            found = ledger.called(buffer) if ledger is not None else None
            if found is not None:
                return found
        return None

    def _namer(self, item: Attached) -> Callable[[Key], str | None]:
        return lambda key: self._name(item, key[1])

    def _set_clock(self, slot: int, item: Attached, reading: Reading, *, again: bool) -> None:
        """Tell the kernel the clock that the server has for a stream, soon after it began and `again` while packets come."""
        attempts, received = self._clock_asked.get(slot, (0, 0))
        at = slot * abi.RTP_STREAM_WORDS + abi.RTP_STREAM_CLOCK
        if item.probe.track_clock is None or reading.counts.received == received:
            return
        if not again and (attempts >= CLOCK_ATTEMPTS or self._streams.words[at]):
            return
        self._clock_asked[slot] = attempts + 1, reading.counts.received
        known = self._clock(item, reading.key)
        # Where its memory does not say, what it said before holds: an SSRC has one clock (RFC 3550, section 5.2).
        if known is not None:
            payload_type, hertz = known
            self._streams.words[at] = payload_type << abi.RTP_CLOCK_SHIFT | tick_of(hertz)

    def _reading(self, slot: int, key: int) -> Reading | None:
        words = self._streams.block(slot, abi.RTP_STREAM_WORDS)
        owner = words[abi.RTP_STREAM_OWNER]
        if words[abi.RTP_STREAM_KEY] != key or not owner:
            return None  # it is being taken
        lost = words[abi.RTP_STREAM_LOST]
        counts = Counts(
            received=words[abi.RTP_STREAM_RECEIVED],
            bytes=words[abi.RTP_STREAM_BYTES],
            lost=lost - (1 << 64) if lost >> 63 else lost,
            reordered=words[abi.RTP_STREAM_REORDERED],
            duplicated=words[abi.RTP_STREAM_DUPLICATED],
            strays=words[abi.RTP_STREAM_STRAYS],
            moved_ns=words[abi.RTP_STREAM_MOVED],
            gaps_ns=words[abi.RTP_STREAM_GAPS_NS],
            gaps=tuple(words[abi.RTP_STREAM_GAPS :][: len(self.gap_bounds_ns) + 1]) if self.gap_bounds_ns else (),
            bursts=words[abi.RTP_STREAM_BURSTS],
            burst_expected=words[abi.RTP_STREAM_BURST_EXPECTED],
            burst_lost=words[abi.RTP_STREAM_BURST_LOST],
            gap_expected=words[abi.RTP_STREAM_GAP_EXPECTED],
            gap_lost=words[abi.RTP_STREAM_GAP_LOST],
            unjudged=words[abi.RTP_STREAM_UNJUDGED],
        )
        clocked = words[abi.RTP_STREAM_TICK] and counts.received > 1
        jitter = words[abi.RTP_STREAM_JITTER] >> 4 if clocked else None
        ssrc = key & 0xFFFFFFFF
        return Reading((ssrc, owner >> 1), ssrc, counts, jitter)

    def _free(self, slots: Iterable[int]) -> None:
        """Nobody has sent on these streams for long; should a packet come now, it begins another."""
        slots = list(slots)
        if not slots:
            return
        words, size = self._streams.words, abi.RTP_STREAM_WORDS
        for slot in slots:
            words[slot * size] = _ENDED
            self._clock_asked.pop(slot, None)
        wait_for_grace()
        if self._flights is not None:
            self._flights.forget(slots)
        for slot in slots:
            self._streams.write(slot * size + abi.RTP_STREAM_OWNER, bytes(8 * (size - abi.RTP_STREAM_OWNER)))
            words[slot * size] = 0

    def forget(self, indices: Iterable[int]) -> None:
        """Free the streams of series that nothing counts into any more."""
        gone = set(indices)
        if not gone:
            return
        for index in gone:
            self._ledgers.pop(index, None)
            self._unplaced.write(index * abi.RTP_UNPLACED_WORDS, bytes(8 * abi.RTP_UNPLACED_WORDS))
        with self._streams.looked_at():
            keys = self._streams.column(abi.RTP_STREAM_WORDS)
            self._free(slot for slot, key in enumerate(keys) if key & abi.RTP_KEY_VALID and key >> 32 & _INDEX in gone)
