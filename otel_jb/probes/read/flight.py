# SPDX-License-Identifier: Apache-2.0
"""Reads the flight recorder (bpf/flight.h): the last packets of each stream, when something went wrong.

Every slot of a stream has a ring. The busiest streams get a larger one in its place, which user space gives out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from otel_jb.model.reads import Outcome
from otel_jb.model.stream import PassedPacket
from otel_jb.probes import abi
from otel_jb.probes.read.maps import Windows, WordArray, wait_for_grace

BEFORE = 16  #: packets put until a slow call began, its own among them, that are told
AFTER = 8  #: packets put since

_SMALL, _BUSY = 1 << abi.FLIGHT_BITS, 1 << abi.FLIGHT_BUSY_BITS
_ALL_SMALL = abi.RTP_STREAMS * _SMALL
_LAPS = abi.FLIGHT_WRITTEN - 1
_VALUE = (1 << abi.FLIGHT_LAP_SHIFT) - 1
_FATES = (1 << abi.FLIGHT_STATE_SHIFT - abi.FLIGHT_FATE_SHIFT) - 1
_ENDS = {abi.FLIGHT_PLAYED: "played", abi.FLIGHT_DOUBLE: "duplicate", abi.FLIGHT_THROWN: "dropped"}


class Recorded(NamedTuple):
    """A stream whose packets are recorded."""

    ssrc: int
    clock_rate: int | None  #: Hz, as of now; None: not known
    drop_reasons: tuple[str, ...]  #: of the function that its packets pass


class Latest:
    """The packets of a stream, the latest first, each read once for all who ask."""

    def __init__(self, packets: Iterator[PassedPacket]) -> None:
        self._unread = packets
        self._read: list[PassedPacket] = []

    def __iter__(self) -> Iterator[PassedPacket]:
        yield from self._read
        for one in self._unread:
            self._read.append(one)
            yield one


class FlightReader:
    """The one who gives rings to streams, and reads them.

    Args:
        streams: the kernel's table of streams.
        flights: descriptor of the array with all rings; `abi.FLIGHTS` records.
    """

    def __init__(self, streams: WordArray, flights: int) -> None:
        self.memory_bytes = _memory(flights)  #: what the array takes
        self._streams = streams
        self._flights = Windows(flights)
        self._since: dict[int, int] = {}  # packets that were recorded in a slot before its stream began
        self._counted: dict[int, int] = {}  # the same when the streams were last ranked
        self._busy: dict[int, int] = {}  # slot -> number of the larger ring that it has
        with streams.looked_at():
            for slot in range(abi.RTP_STREAMS):
                self._give(slot, slot * _SMALL, _SMALL)

    def _give(self, slot: int, first: int, size: int) -> None:
        self._streams.words[slot * abi.RTP_STREAM_WORDS + abi.RTP_STREAM_RING] = first | size - 1 << 32

    def _flown(self, slot: int) -> int:
        return self._streams.words[slot * abi.RTP_STREAM_WORDS + abi.RTP_STREAM_FLOWN]

    def rank(self, slots: Iterable[int]) -> None:
        """Give the larger rings to those of these streams that recorded most since the last time.

        One that has a ring keeps it as long as it is among the first twice as many: near-equal ones do not take turns.
        """
        flown = {
            slot: self._flown(slot) for slot in sorted(slots)
        }  # in their order, as they are mapped a piece at a time
        more = {slot: count - self._counted.get(slot, self._since.get(slot, 0)) for slot, count in flown.items()}
        self._counted = flown
        ranked = sorted((slot for slot, count in more.items() if count), key=lambda slot: -more[slot])
        keep = set(ranked[: 2 * abi.FLIGHT_BUSY]) & self._busy.keys()
        wanting = [slot for slot in ranked[: abi.FLIGHT_BUSY] if slot not in keep]
        if not wanting:
            return
        self._take([slot for slot in self._busy if slot not in keep])
        free = sorted(set(range(abi.FLIGHT_BUSY)) - set(self._busy.values()))
        for slot, ring in zip(wanting, free, strict=False):
            first = _ALL_SMALL + ring * _BUSY
            self._flights.clear(first * abi.FLIGHT_WORDS, _BUSY * abi.FLIGHT_WORDS)
            self._busy[slot] = ring
            self._give(slot, first, _BUSY)

    def _take(self, slots: Iterable[int]) -> None:
        """Take their larger rings from these; nobody writes there any more then."""
        held = [slot for slot in slots if slot in self._busy]
        for slot in held:
            self._give(slot, slot * _SMALL, _SMALL)
        if held:
            wait_for_grace()
        for slot in held:
            del self._busy[slot]

    def forget(self, slots: Iterable[int]) -> None:
        """The streams in these slots have ended, and no packet of theirs is under way: what comes now is another's."""
        slots = list(slots)
        self._take(slots)
        for slot in slots:
            self._since[slot] = self._flown(slot)
            self._counted.pop(slot, None)

    def around(
        self,
        streams: Mapping[int, Recorded],
        at_ns: int,
        known: Iterable[PassedPacket] = (),
        before: int = BEFORE,
        after: int = AFTER,
        *,
        latest: dict[int, Latest] | None = None,
    ) -> tuple[PassedPacket, ...]:
        """The packets of these streams (by slot) around a time, oldest first; some may not be recorded any more.

        Those that are `known` from an earlier reading are among them, as they were then if they are not recorded any more. Who asks for
        several times gives each time what `latest` was filled with the first time: a ring is mapped and read then only.
        """
        latest = {} if latest is None else latest
        read: dict[tuple[int, int, int], PassedPacket] = {_identity(one): one for one in known}
        for slot, stream in streams.items():
            beyond: list[PassedPacket] = []
            found = 0
            if slot not in latest:
                latest[slot] = Latest(self._backwards(slot, stream))
            for one in latest[slot]:
                if one.put_ns > at_ns:
                    beyond.append(one)
                    continue
                read[_identity(one)] = one
                found += 1
                if found == before:
                    break
            read.update((_identity(one), one) for one in beyond[-after:])
        ordered = sorted(read.values(), key=_put)
        earlier = [one for one in ordered if one.put_ns <= at_ns]
        return (*earlier[-before:], *islice(ordered[len(earlier) :], after))

    def _backwards(self, slot: int, stream: Recorded) -> Iterator[PassedPacket]:
        """The packets of a stream, the latest first; those that are being overwritten, or not yet written, are left out."""
        end, now = self._flown(slot), time.monotonic_ns()
        rings = [(slot * _SMALL, _SMALL)]
        if slot in self._busy:  # what came before it was given is still in the smaller one
            rings.insert(0, (_ALL_SMALL + self._busy[slot] * _BUSY, _BUSY))
        contents = [
            (self._flights.read(first * abi.FLIGHT_WORDS, size * abi.FLIGHT_WORDS), size - 1) for first, size in rings
        ]
        for number in range(end - 1, max(self._since.get(slot, 0), end - rings[0][1]) - 1, -1):
            lap = abi.FLIGHT_WRITTEN | number >> abi.FLIGHT_BITS & _LAPS
            for words, mask in contents:
                at = (number & mask) * abi.FLIGHT_WORDS
                record = words[at : at + abi.FLIGHT_WORDS]
                if all(word >> abi.FLIGHT_LAP_SHIFT == lap for word in record):
                    yield _packet(record, stream, now)
                    break


def _memory(descriptor: int) -> int:
    """What the kernel says that a map takes (kernel/bpf/syscall.c: bpf_map_show_fdinfo); 0: it does not say."""
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("memlock:")), 0)


def _packet(record: Sequence[int], stream: Recorded, now: int) -> PassedPacket:
    put, head, fate = record
    state = (fate & _VALUE) >> abi.FLIGHT_STATE_SHIFT
    put_ns = now - (now - put & abi.FLIGHT_TIME)
    outcome = _outcome(fate >> abi.FLIGHT_FATE_SHIFT & _FATES, stream.drop_reasons)
    return PassedPacket(
        ssrc=stream.ssrc,
        sequence_number=head >> 32 & 0xFFFF,
        rtp_time=head & 0xFFFFFFFF,
        put_ns=put_ns,
        state=abi.FLIGHT_STATES[state] if state < len(abi.FLIGHT_STATES) else "",
        clock_rate=stream.clock_rate,
        outcome=outcome,
        end_ns=put_ns + (fate & abi.FLIGHT_STAYED) if outcome else None,
    )


def _outcome(fate: int, drop_reasons: Sequence[str]) -> str:
    """What became of a packet; empty: nothing is known of it."""
    reason = fate - Outcome.DROP
    if 0 <= reason < len(drop_reasons):
        return drop_reasons[reason]
    return _ENDS.get(fate, "dropped" if reason >= 0 else "")


def _identity(packet: PassedPacket) -> tuple[int, int, int]:
    return packet.ssrc, packet.put_ns, packet.sequence_number


def _put(packet: PassedPacket) -> int:
    return packet.put_ns
