# SPDX-License-Identifier: Apache-2.0
"""The packets around a slow call as rows of a picture: who came when, who was late, and whose number is missing."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.model.dataclass import dataclass
from otel_jb.telemetry.kept_calls import KeptPacket

_NUMBERS, _TIMES = 1 << 16, 1 << 32
_MOST_MISSING = 1000  #: a larger gap is another part of the stream, of which nothing is said
_STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Placed:
    """A packet and its place.

    Attributes:
        line: the packet's row, from the lowest sequence number upwards.
        late_ns: how much later it came than its RTP time says, relative to the packet that was earliest by that measure.
            None: the clock rate is not known.
    """

    packet: KeptPacket
    line: int
    late_ns: int | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Packets in the order in which they came. `missing`: (row, how many numbers are missing there)."""

    placed: tuple[Placed, ...]
    missing: tuple[tuple[int, int], ...]


def timeline(packets: Sequence[KeptPacket]) -> Timeline:
    """Give each number a row, and a row to each gap between numbers; the streams of a buffer one above the other."""
    numbers = _numbers(packets)
    late = _lateness(packets)
    lines: dict[tuple[str, bool, int], int] = {}
    missing: list[tuple[int, int]] = []
    line = 0
    before: tuple[str, bool, int] | None = None
    for key in sorted(set(numbers)):
        gap = key[2] - before[2] - 1 if before is not None and before[:2] == key[:2] else 0
        if 0 < gap <= _MOST_MISSING and not key[1]:
            missing.append((line, gap))
            line += 1
        lines[key] = line
        line += 1
        before = key
    placed = [Placed(packet, lines[numbers[place]], late[place]) for place, packet in enumerate(packets)]
    return Timeline(tuple(placed), tuple(missing))


def _numbers(packets: Sequence[KeptPacket]) -> list[tuple[str, bool, int]]:
    """SSRC, whether it is a stray one, and the sequence number, which goes on beyond 65,535."""
    first: dict[tuple[str, bool], int] = {}
    found = []
    for packet in packets:
        of = (packet.ssrc, packet.order == _STRAY)
        begin = first.setdefault(of, packet.sequence_number)
        found.append((*of, begin + _signed(packet.sequence_number - begin, _NUMBERS)))
    return found


def _lateness(packets: Sequence[KeptPacket]) -> list[int | None]:
    first: dict[tuple[str, int], int] = {}
    least: dict[tuple[str, int], int] = {}
    delays: list[tuple[tuple[str, int], int] | None] = []
    for packet in packets:
        if packet.clock_rate is None or packet.order == _STRAY:
            delays.append(None)
            continue
        of = (packet.ssrc, packet.clock_rate)
        steps = _signed(packet.rtp_time - first.setdefault(of, packet.rtp_time), _TIMES)
        delay = packet.after_ns - steps * 1_000_000_000 // packet.clock_rate
        least[of] = min(delay, least.get(of, delay))
        delays.append((of, delay))
    return [None if each is None else each[1] - least[each[0]] for each in delays]


def _signed(difference: int, modulus: int) -> int:
    """The shorter way round."""
    return (difference + modulus // 2) % modulus - modulus // 2
