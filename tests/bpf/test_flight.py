# SPDX-License-Identifier: Apache-2.0
"""The flight recorder: the packets around a slow call, compared with the program's own list of what it put and when."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from otel_jb.model.stream import SlowCall, Target
from otel_jb.probes import abi
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.probes.read import flight
from otel_jb.probes.read.maps import Windows
from otel_jb.streams import ledger
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_rtp import BUFFER, PUT, Player
from tests.rtp_oracle import packet

pytestmark = pytest.mark.bpf


@pytest.fixture
def child(compile_program: Compile, start: Callable[..., Child]) -> Child:
    return start(compile_program("rtp_streams.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.fixture
def play(child: Child, tmp_path: Path) -> Player:
    return Player(child, tmp_path)


def attached(child: Child, *, flight_recorder: bool = True) -> BpfBackend:
    made = BpfBackend(KernelOptions([1_000_000], event_rate=1e6, event_burst=1000, flight_recorder=flight_recorder))
    plan = plan_for(child.path, {"put": Meaning(program=PUT, argument_registers=frozenset({1, 2, 3}))})
    made.attach(Target(1, child.pid, 0, "rtp_streams", str(child.path), None, "rtp_streams", "x", 0), plan)
    return made


@pytest.fixture
def kernel(child: Child) -> Iterator[BpfBackend]:
    made = attached(child)
    yield made
    made.close()


def slow_put(kernel: BpfBackend, play: Player, data: bytes, buffer: int = BUFFER) -> SlowCall:
    """One put that is slow, alone."""
    (series,) = kernel.snapshot().series
    kernel.set_threshold(series.series, 1)
    play([(data, buffer, 0)])
    kernel.set_threshold(series.series, None)
    (call,) = kernel.slow_calls()
    return call


def told(call: SlowCall) -> list[tuple[int, int, int, str]]:
    return [(each.ssrc, each.sequence_number, each.rtp_time, each.state) for each in call.packets]


def numbered(numbers: Iterable[int], ssrc: int = 5) -> list[bytes]:
    return [packet(number, 160 * number, ssrc) for number in numbers]


def test_a_slow_call_has_the_packets_around_it(kernel: BpfBackend, play: Player) -> None:
    """Numbers, RTP times and order of the last packets, the slow one's last; none of another buffer, and of a buffer with two streams both."""
    arrived = [65530, 65531, 65533, 65532, 65533, 65534, 65535, 65536, 40_000, 65537]
    states = ["in_order"] * 10
    states[3], states[4], states[8] = "reordered", "duplicated", "stray"
    play([each for data in numbered(arrived) for each in ((data, BUFFER, 0), (data, BUFFER + 64, 0))])
    call = slow_put(kernel, play, packet(65538, 160 * 65538, 5))
    expected = [
        (5, number & 0xFFFF, 160 * number & 0xFFFFFFFF, state) for number, state in zip(arrived, states, strict=True)
    ]
    assert told(call) == [*expected, (5, 2, 160 * 65538, "in_order")]
    assert kernel.snapshot().recorder_bytes >= abi.FLIGHTS * abi.FLIGHT_WORDS * 8
    other = slow_put(kernel, play, packet(7, 7, 6), BUFFER + 64)
    assert told(other) == [*expected, (6, 7, 7, "in_order")]


def test_calls_of_a_row_have_each_the_packets_around_it(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow calls of two buffers that are fetched together: each has what came before it, and what came since, of its own buffer, whose record is read once."""
    places: list[int] = []
    read = Windows.read

    def noted(self: Windows, at: int, words: int) -> list[int]:
        places.append(at)
        return read(self, at, words)

    monkeypatch.setattr(Windows, "read", noted)
    (series,) = kernel.snapshot().series
    arrived = [(BUFFER + 64 * (number % 2), number) for number in range(120)]
    slow = (50, 51, 52, 110, 119)
    for first, last in zip((0, *slow), (*slow, None), strict=True):
        kernel.set_threshold(series.series, 1 if first in slow else None)
        for begin, end in ((first, first + 1), (first + 1, last)):
            play([(packet(number, 160 * number, 5), buffer, 0) for buffer, number in arrived[begin:end]])
            kernel.set_threshold(series.series, None)
    calls = kernel.slow_calls()
    assert len(calls) == len(slow)
    for call, number in zip(calls, slow, strict=True):
        own = [each for buffer, each in arrived if buffer == arrived[number][0]]
        place = own.index(number) + 1
        around = own[max(0, place - flight.BEFORE) : place + flight.AFTER]
        assert [each.sequence_number for each in call.packets] == around
    assert len(places) == len(set(places)) == 2


def test_times_are_the_programs_own(kernel: BpfBackend, play: Player) -> None:
    """Each packet passed after the time that the program wrote down before it put it, and before the next one's."""
    (path,) = play([(data, BUFFER, 1000) for data in numbered(range(10))])
    call = slow_put(kernel, play, packet(10, 1600, 5))
    data, step = path.read_bytes(), 16 + 172
    written = [struct.unpack_from("=q", data, step * n + 16 + 12)[0] for n in range(10)]
    passed = [each.put_ns for each in call.packets]
    assert len(passed) == 11
    assert all(before <= at for before, at in zip(written, passed, strict=False))
    assert all(at <= after for at, after in zip(passed, written[1:], strict=False))
    assert passed[-1] <= call.start_ns


def test_the_recorder_keeps_the_last_hundred_of_any_and_thousand_of_the_busiest(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each ring still has is exactly the end of what was sent, before and after the busiest streams got larger rings."""
    monkeypatch.setattr(flight.FlightReader.around, "__defaults__", (5000, 5000))
    source = random.Random(9)
    arrived: dict[int, list[int]] = {ssrc: [] for ssrc in range(2 * abi.FLIGHT_BUSY)}

    def more(busy: int, quiet: int) -> None:
        batch = []
        for ssrc, numbers in arrived.items():
            begin = len(numbers)
            batch += [(ssrc, begin + n) for n in range(busy if ssrc < abi.FLIGHT_BUSY else quiet)]
        source.shuffle(batch)
        for ssrc, number in batch:
            arrived[ssrc].append(number)
        play([(packet(number, number, ssrc), BUFFER + 64 * ssrc, 0) for ssrc, number in batch])

    def kept(ssrc: int) -> int:
        """How many packets of a stream are recorded, of which one was put just now."""
        number = len(arrived[ssrc])
        arrived[ssrc].append(number)
        call = slow_put(kernel, play, packet(number, number, ssrc), BUFFER + 64 * ssrc)
        numbers = [each.sequence_number for each in call.packets]
        assert numbers == arrived[ssrc][-len(numbers) :]
        return len(numbers)

    more(300, 150)
    assert kept(0) == kept(abi.FLIGHT_BUSY) == 1 << abi.FLIGHT_BITS
    kernel.snapshot(roll=True)
    more(700, 150)
    # The larger ring begins when it is given; the smaller one still has what came before it.
    assert kept(1) == (1 << abi.FLIGHT_BITS) + 701
    more(400, 150)
    assert kept(2) == 1 << abi.FLIGHT_BUSY_BITS
    assert kept(abi.FLIGHT_BUSY + 1) == 1 << abi.FLIGHT_BITS


def test_a_slot_given_to_another_stream_tells_nothing_of_the_one_before(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that ended leaves no packet behind in the trace of the stream that has its place now."""
    play([(data, BUFFER, 0) for data in numbered(range(200))])
    kernel.snapshot(roll=True)
    monkeypatch.setattr(ledger, "IDLE_NS", 0)
    kernel.snapshot(roll=True)
    monkeypatch.undo()
    play([(data, BUFFER, 0) for data in numbered(range(1000, 1003))])
    call = slow_put(kernel, play, packet(1003, 0, 5))
    assert [each.sequence_number for each in call.packets] == [1000, 1001, 1002, 1003]


def test_without_the_recorder_nothing_is_kept(child: Child, play: Player) -> None:
    """Switched off, slow calls have no packets, and the kernel's array has room for one."""
    made = attached(child, flight_recorder=False)
    try:
        play([(data, BUFFER, 0) for data in numbered(range(10))])
        assert slow_put(made, play, packet(10, 0, 5)).packets == ()
        assert made.snapshot().recorder_bytes == 0
    finally:
        made.close()
