# SPDX-License-Identifier: Apache-2.0
"""Reads the flight recorder (bpf/flight.h): the last packets of each stream, when something went wrong.

Every slot of a stream has a ring. The busiest streams get a larger one in its place, which user space gives out.
"""

from __future__ import annotations

import time
from bisect import bisect_left
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
_DROP = int(Outcome.DROP)  #: arithmetic with the enumeration takes several times as long
_LAP = abi.FLIGHT_LAP_SHIFT
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
        self._times: list[int] = []  # of those, negative: rising
        self.falls = True  #: each was put before the one that was read before it

    def _more(self) -> bool:
        one = next(self._unread, None)
        if one is None:
            return False
        self.falls = self.falls and not (self._times and self._times[-1] >= -one.put_ns)
        self._read.append(one)
        self._times.append(-one.put_ns)
        return True

    def around(self, at_ns: int, before: int, after: int) -> tuple[list[PassedPacket], list[PassedPacket]]:
        """So many put until a time, and since, the latest first in either; all since that were recorded before the last of the others."""
        times = self._times
        while (not times or times[-1] < -at_ns) and self._more():
            pass
        first = bisect_left(times, -at_ns)
        while len(times) < first + before and self._more():
            pass
        if self.falls:
            return self._read[first : first + before], self._read[max(0, first - after) : first]
        return self._one_by_one(at_ns, before, after)

    def _one_by_one(self, at_ns: int, before: int, after: int) -> tuple[list[PassedPacket], list[PassedPacket]]:
        """The same where threads overtook each other."""
        until: list[PassedPacket] = []
        since: list[PassedPacket] = []
        read = 0
        while len(until) < before and (read < len(self._read) or self._more()):
            one = self._read[read]
            (since if one.put_ns > at_ns else until).append(one)
            read += 1
        return until, since[-after:]


class _Pieces:
    """Copies of a ring's parts, as far as somebody asks for them: of a larger ring, a slow call seldom needs an eighth."""

    def __init__(self, flights: Windows, first: int) -> None:
        self._flights = flights
        self._first = first
        self._read: dict[int, list[int]] = {}

    def record(self, at: int) -> tuple[int, int, int]:
        """The words of one record."""
        number = at // _SMALL
        words = self._read.get(number)
        if words is None:
            begin = self._first + number * _SMALL
            words = self._read[number] = self._flights.read(begin * abi.FLIGHT_WORDS, _SMALL * abi.FLIGHT_WORDS)
        word = at % _SMALL * abi.FLIGHT_WORDS
        return words[word], words[word + 1], words[word + 2]


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
        known = tuple(known)
        read: dict[tuple[int, int, int], PassedPacket] = {_identity(one): one for one in known}
        for slot, stream in streams.items():
            if slot not in latest:
                latest[slot] = Latest(self._backwards(slot, stream))
            until, since = latest[slot].around(at_ns, before, after)
            if len(streams) == 1 and not known and latest[slot].falls:  # nothing to be put in order
                return (*until[::-1], *since[::-1])
            read.update((_identity(one), one) for one in (*until, *since))
        ordered = sorted(read.values(), key=_put)
        earlier = [one for one in ordered if one.put_ns <= at_ns]
        return (*earlier[-before:], *islice(ordered[len(earlier) :], after))

    def _backwards(self, slot: int, stream: Recorded) -> Iterator[PassedPacket]:
        """The packets of a stream, the latest first; those that are being overwritten, or not yet written, are left out."""
        end, now = self._flown(slot), time.monotonic_ns()
        rings = [(slot * _SMALL, _SMALL)]
        if slot in self._busy:  # what came before it was given is still in the smaller one
            rings.insert(0, (_ALL_SMALL + self._busy[slot] * _BUSY, _BUSY))
        contents = [(_Pieces(self._flights, first), size - 1) for first, size in rings]
        for number in range(end - 1, max(self._since.get(slot, 0), end - rings[0][1]) - 1, -1):
            lap = abi.FLIGHT_WRITTEN | number >> abi.FLIGHT_BITS & _LAPS
            for pieces, mask in contents:
                put, head, fate = pieces.record(number & mask)
                if put >> _LAP == head >> _LAP == fate >> _LAP == lap:
                    yield _packet(put, head, fate, stream, now)
                    break


def _memory(descriptor: int) -> int:
    """What the kernel says that a map takes (kernel/bpf/syscall.c: bpf_map_show_fdinfo); 0: it does not say."""
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("memlock:")), 0)


def _packet(put: int, head: int, fate: int, stream: Recorded, now: int) -> PassedPacket:
    fate &= _VALUE
    state = fate >> abi.FLIGHT_STATE_SHIFT
    put_ns = now - (now - put & abi.FLIGHT_TIME)
    outcome = _outcome(fate >> abi.FLIGHT_FATE_SHIFT & _FATES, stream.drop_reasons)
    # By their places: names take twice as long.
    return PassedPacket(
        stream.ssrc,
        head >> 32 & 0xFFFF,
        head & 0xFFFFFFFF,
        put_ns,
        abi.FLIGHT_STATES[state] if state < len(abi.FLIGHT_STATES) else "",
        stream.clock_rate,
        outcome,
        put_ns + (fate & abi.FLIGHT_STAYED) if outcome else None,
    )


def _outcome(fate: int, drop_reasons: Sequence[str]) -> str:
    """What became of a packet; empty: nothing is known of it."""
    reason = fate - _DROP
    if 0 <= reason < len(drop_reasons):
        return drop_reasons[reason]
    return _ENDS.get(fate, "dropped" if reason >= 0 else "")


def _identity(packet: PassedPacket) -> tuple[int, int, int]:
    return packet.ssrc, packet.put_ns, packet.sequence_number


def _put(packet: PassedPacket) -> int:
    return packet.put_ns
