# SPDX-License-Identifier: Apache-2.0
"""RTP streams as the kernel counts them, compared with what whole lists of packets say."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.model.plan import EndStrategy
from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.model.stream import RtpSnapshot, Target
from otel_jb.probes import abi, features
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.streams import ledger
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.rtp_oracle import Bursts, Truth, bursts, jitter_s, packet, truth

pytestmark = pytest.mark.bpf

#: put(buffer, packet, bytes)
PUT = ReadProgram(
    entry=(
        ReadOp(Op.STREAM, src=0),
        ReadOp(Op.EXT, dst=2, width=4),
        ReadOp(Op.BYTES, src=2),
        ReadOp(Op.RTP, src=1, skip=0),
        ReadOp(Op.END),
    ),
    fields=("rtp",),
)
BUFFER = 0x7F00_0000_1000
BUSY = (1, 4, 7)


@pytest.fixture
def child(compile_program: Compile, start: Callable[..., Child]) -> Child:
    return start(compile_program("rtp_streams.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.fixture
def kernel(child: Child) -> Iterator[BpfBackend]:
    made = BpfBackend(KernelOptions([1_000_000], streams=10_000, clock_rates={111: 48000}))
    plan = plan_for(child.path, {"put": Meaning(program=PUT, argument_registers=frozenset({1, 2, 3}))})
    made.attach(Target(1, child.pid, 0, "rtp_streams", str(child.path), None, "rtp_streams", "x", 0), plan)
    yield made
    made.close()


class Player:
    """Writes packets into files that the program plays."""

    def __init__(self, child: Child, directory: Path) -> None:
        self._child, self._directory = child, directory
        self._numbers = itertools.count()

    def __call__(self, *threads: Sequence[tuple[bytes, int, int]]) -> list[Path]:
        """Play (packet, buffer, microseconds before it) by one thread each; returns the files."""
        files = []
        for packets in threads:
            path = self._directory / f"packets-{next(self._numbers)}"
            parts = [struct.pack("=IIQ", len(data), wait, buffer) + data for data, buffer, wait in packets]
            path.write_bytes(b"".join(parts))
            files.append(path)
        assert self._child.ask(" ".join(map(str, files))).startswith("done")
        return files


@pytest.fixture
def play(child: Child, tmp_path: Path) -> Player:
    return Player(child, tmp_path)


def impaired(source: random.Random, packets: int, first: int) -> list[tuple[int, int]]:
    """(true number, bytes) of a stream with losses, duplicates, bursts and reordering, as it arrives."""
    queue = []
    at = 0.0
    burst = 0
    for number in range(first, first + packets):
        at += 1
        burst = burst - 1 if burst else source.choices((0, source.randrange(1, 60)), (99.5, 0.5))[0]
        if number != first and (burst or source.random() < 0.02):
            continue
        size = source.randrange(20, 300)
        late = source.choices((0.0, source.uniform(1, 40), source.uniform(40, 900)), (95, 4.5, 0.5))[0]
        queue.append((at + (late if number != first else 0), number, size))
        if source.random() < 0.02:
            queue.append((at + source.uniform(0, 30), number, size))
    return [(number, size) for _, number, size in sorted(queue)]


def told(snapshot: Sequence[RtpSnapshot]) -> dict[int, Truth]:
    return {
        each.ssrc: Truth(each.received, each.bytes, each.lost, each.reordered, each.duplicated)
        for each in snapshot
        if each.ssrc is not None
    }


def test_thousand_streams_of_four_threads_are_exact(kernel: BpfBackend, play: Player) -> None:
    """Losses, bursts, duplicates, late packets and wraps of the sequence number: every stream's numbers are the list's."""
    source = random.Random(15)
    expected: dict[int, Truth] = {}
    threads: list[list[tuple[bytes, int, int]]] = [[] for _ in range(4)]
    streams = []
    for ssrc in range(1000):
        arrived = impaired(source, source.randrange(50, 300), source.randrange(65536))
        expected[ssrc] = truth(arrived)
        streams.append(
            [(packet(number, 160 * number, ssrc, size=size), BUFFER + ssrc * 64, 0) for number, size in arrived]
        )
    for position, packets in enumerate(streams):
        threads[position % 4] += packets
    play(*threads)
    snapshot = kernel.snapshot()
    assert told(snapshot.rtp) == expected
    assert sum(each.received for each in snapshot.rtp) == sum(map(len, threads)) == snapshot.series[0].returned
    assert all(each.strays == 0 for each in snapshot.rtp)
    assert {each.ssrc: sum(each.gaps) for each in snapshot.rtp} == {
        ssrc: told.received - 1 for ssrc, told in expected.items()
    }


def burst_counts(snapshot: RtpSnapshot) -> Bursts:
    counts = (snapshot.bursts, snapshot.burst_expected, snapshot.burst_lost, snapshot.gap_expected, snapshot.gap_lost)
    return Bursts(*(count or 0 for count in counts))


def test_bursts_and_gaps_are_those_of_the_senders_log(kernel: BpfBackend, play: Player) -> None:
    """RFC 3611 with Gmin 16 over 60 long streams of four threads, with outages, late packets and duplicates: every count is the list's."""
    source = random.Random(3611)
    expected: dict[int, Bursts] = {}
    threads: list[list[tuple[bytes, int, int]]] = [[] for _ in range(4)]
    for ssrc in range(60):
        arrived = [number for number, _ in impaired(source, source.randrange(800, 4000), source.randrange(65536))]
        if ssrc % 3 == 0:  # an outage that is longer than the window, and one that ends among late packets
            outage = source.randrange(arrived[0] + 100, max(arrived) - 100)
            arrived = [n for n in arrived if not outage <= n < outage + source.choice((300, 1200, 2500))]
        expected[ssrc] = bursts(arrived, abi.RTP_SETTLE)
        threads[ssrc % 4] += [
            (packet(number, 160 * number, ssrc, size=20), BUFFER + ssrc * 64, 0) for number in arrived
        ]
    play(*threads)
    found = {each.ssrc: each for each in kernel.snapshot().rtp}
    assert {ssrc: burst_counts(each) for ssrc, each in found.items()} == expected
    assert {each.unjudged for each in found.values()} == {0}
    assert sum(each.bursts for each in expected.values()) > 150


def test_a_sender_that_restarts_ends_its_burst(kernel: BpfBackend, play: Player) -> None:
    """What the old sequence lost is judged at once, and the numbers between the two sequences were never expected."""
    lost = {40, 45, 46, 90}
    before = [(packet(100 + n, 160 * n, 1), BUFFER, 0) for n in range(100) if n not in lost]
    after = [(packet(40_000 + n, 160 * n, 1), BUFFER, 0) for n in range(1, 33 * 32)]
    play([*before, *after])
    (one,) = kernel.snapshot().rtp
    settled = (((40_000 + 33 * 32 - 1) >> 5) - abi.RTP_SETTLE << 5) - 40_002
    assert burst_counts(one) == Bursts(1, 7, 3, 100 - 7 + settled, 1)
    assert one.unjudged == 0


# On a kernel without session links there is no such program, so this is not collected there.
if features.has_sessions():

    def test_settling_losses_keeps_a_session_s_answer_whether_the_end_is_wanted(
        compile_program: Compile, start: Callable[..., Child], tmp_path: Path
    ) -> None:
        """Ends that nobody wants are not seen, those that are wanted all are, and in both cases bursts and gaps are the sender's."""
        path = compile_program("rtp_streams.c", "-O1", "-fcf-protection=none")
        known, unknown = start(path), start(path)
        plan = plan_for(path, {"put": Meaning(uretprobe="a leaf", program=PUT)}, EndStrategy.URETPROBE)
        target = Target(1, known.pid, 0, "rtp_streams", str(path), None, "rtp_streams", "x", 0)
        source = random.Random(6958)
        numbers = [number for number, _ in impaired(source, 6000, 65_000)]
        packets = [(packet(number, 160 * number, 7, size=20), BUFFER, 0) for number in numbers]
        half = len(packets) // 2
        backend = BpfBackend(KernelOptions([1_000_000]))
        try:
            backend.attach(target, plan, alone=False)
            play = Player(unknown, tmp_path)
            play(packets[:half])
            (arrival,) = backend.arrivals()
            backend.attach(replace(target, id=2, pid=unknown.pid), arrival.plan, alone=False)
            play(packets[half:])
            found = backend.snapshot(only=2)
        finally:
            backend.close()
        (values,), (one,) = found.series, found.rtp
        assert (values.untimed, values.returned, values.in_flight, values.orphan_ends) == (
            half,
            len(packets) - half,
            0,
            0,
        )
        expected = bursts(numbers, abi.RTP_SETTLE)
        assert expected.bursts > 10
        assert burst_counts(one) == expected


def test_one_stream_put_by_four_threads_loses_and_doubles_nothing(kernel: BpfBackend, play: Player) -> None:
    """Threads that put packets of one stream at once: each number is counted once, in any order, and a second time is a duplicate."""
    count = 20_000
    # Each thread has every fourth packet, and each packet that 10 divides comes from another one once more. No thread is ever so far
    # ahead that the others' packets lie outside the window: all wait for each other at every hundredth.
    for begin in range(0, count, 400):
        threads: list[list[tuple[bytes, int, int]]] = [[] for _ in range(4)]
        for number in range(begin, begin + 400):
            data = packet(65000 + number, 160 * number, 7)
            if number % 7 != 3:
                threads[number % 4].append((data, BUFFER, 0))
                if number % 10 == 0:
                    threads[(number + 1) % 4].append((data, BUFFER, 0))
        play(*threads)
    (one,) = kernel.snapshot().rtp
    sent = [number for number in range(count) if number % 7 != 3]
    doubled = [number for number in sent if number % 10 == 0]
    # Which of the first packets came first decides what was expected before it, so the stream's own account is compared with itself.
    assert one.received == len(sent) + len(doubled)
    assert one.duplicated == len(doubled)
    assert one.strays == 0
    assert abs(one.lost - (sent[-1] + 1 - len(sent))) <= 8


def test_a_restarted_sender_is_another_sequence_and_no_loss(kernel: BpfBackend, play: Player) -> None:
    """RFC 3550, A.1: a jump is believed with its second packet; a single stray packet changes nothing but what was received."""
    before = [(packet(100 + n, 160 * n, 1), BUFFER, 0) for n in range(50)]
    after = [(packet(40_000 + n, 160 * n, 1), BUFFER, 0) for n in range(50) if n != 20]
    play([*before, *after])
    (one,) = kernel.snapshot().rtp
    assert (one.received, one.lost, one.reordered, one.duplicated, one.strays) == (99, 1, 0, 0, 0)
    play([(packet(20_000, 0, 1), BUFFER, 0), (packet(40_050, 160 * 50, 1), BUFFER, 0)])
    (one,) = kernel.snapshot().rtp
    assert (one.received, one.lost, one.reordered, one.duplicated, one.strays) == (101, 1, 0, 0, 1)


def test_what_is_no_rtp_is_not_counted(kernel: BpfBackend, play: Player) -> None:
    """RTCP on the same port, other versions, and what is shorter than a header leave no stream; addresses that fault are counted."""
    good = packet(1, 160, 9, payload_type=8)
    rtcp = [bytes([0x80, kind]) + good[2:] for kind in (192, 195, 200, 201, 207, 223)]
    versions = [bytes([version << 6]) + good[1:] for version in (0, 1, 3)]
    play([(data, BUFFER, 0) for data in (*rtcp, *versions, good[:11], b"")])
    assert kernel.snapshot().rtp == ()
    play([(bytes([0x80, 191]) + good[2:], BUFFER, 0), (good, BUFFER, 0)])
    (one,) = kernel.snapshot().rtp
    assert (one.ssrc, one.received, one.duplicated) == (9, 2, 1)


def test_one_ssrc_in_two_buffers_is_two_streams(kernel: BpfBackend, play: Player) -> None:
    """A packet that goes into two buffers is a duplicate in neither; both have the one label that the SSRC gives."""
    play([(packet(n, 160 * n, 5), BUFFER + 64 * b, 0) for n in range(30) for b in range(2)])
    (one,) = kernel.snapshot().rtp
    assert (one.stream, one.received, one.lost, one.duplicated, one.reordered) == ("ssrc:00000005", 60, 0, 0, 0)


@pytest.mark.parametrize(("payload_type", "clock"), [(0, 8000), (111, 48000)])
def test_jitter_is_the_formula_over_the_programs_own_clock(
    kernel: BpfBackend, play: Player, payload_type: int, clock: int
) -> None:
    """Within 5 % of RFC 3550's formula over the times that the program itself wrote down; unknown payload types have none."""
    source = random.Random(3)
    times = [n * clock // 200 for n in range(400)]
    (path,) = play(
        [
            (packet(n, time + (1 << 32) - 5000, 4, payload_type), BUFFER, source.randrange(1000, 5000))
            for n, time in enumerate(times)
        ]
    )
    data = path.read_bytes()
    step = 16 + 172
    arrivals = [struct.unpack_from("=q", data, step * n + 16 + 12)[0] / 1e9 for n in range(len(times))]
    (one,) = kernel.snapshot().rtp
    assert one.jitter_ns is not None
    assert one.jitter_ns / 1e9 == pytest.approx(jitter_s(zip(arrivals, times, strict=True), clock), rel=0.05)
    steps = zip(itertools.pairwise(arrivals), itertools.pairwise(times), strict=True)
    moved = sum(abs((b - a) - (n - m) / clock) for (a, b), (m, n) in steps)
    assert one.moved_ns is not None
    assert one.moved_ns / 1e9 == pytest.approx(moved, rel=0.05)
    play([(packet(n, n, 6, 96), BUFFER, 0) for n in range(9)])
    assert [each.jitter_ns for each in kernel.snapshot().rtp if each.ssrc == 6] == [None]


def test_the_time_between_packets_is_in_its_bucket(kernel: BpfBackend, play: Player) -> None:
    """A packet that comes at least 2 ms after the one before is in the bucket beyond 1 ms, the sum is the time from the first to the last,
    and another stream's packets between them change nothing."""
    waits = [2000 if n % 3 else 0 for n in range(300)]
    (path,) = play(
        [
            each
            for n, wait in enumerate(waits)
            for each in ((packet(n, n, 8), BUFFER, wait), (packet(n, n, 9), BUFFER + 64, 0))
        ]
    )
    data, step = path.read_bytes(), 2 * (16 + 172)
    first, last = (struct.unpack_from("=q", data, step * n + 16 + 12)[0] for n in (1, 299))
    snapshot = kernel.snapshot()
    assert snapshot.gap_bounds_ns == (1_000_000,)
    (one,) = (each for each in snapshot.rtp if each.ssrc == 8)
    assert sum(one.gaps) == 299
    assert one.gaps[1] >= sum(wait == 2000 for wait in waits[1:])
    assert one.gaps_ns == pytest.approx(last - first, rel=0.05)


def test_streams_beyond_the_room_count_under_other_and_ended_ones_give_theirs_back(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No packet of many more streams than there is room for is missing in the sum; ended streams leave nothing behind."""
    many = abi.RTP_STREAMS + 1000
    play([(packet(n, 160 * n, ssrc), BUFFER, 0) for ssrc in range(many) for n in range(2)])
    snapshot = kernel.snapshot(roll=True).rtp
    assert sum(each.received for each in snapshot) == 2 * many
    assert sum(each.bytes for each in snapshot) == 2 * many * 172
    assert snapshot[-1].stream == ledger.OTHER
    unplaced = snapshot[-1].received
    assert unplaced >= 2000
    monkeypatch.setattr(ledger, "IDLE_NS", 0)
    kernel.snapshot(roll=True)
    monkeypatch.undo()
    play([(packet(n, 160 * n, ssrc), BUFFER, 0) for ssrc in range(500) for n in (7, 9)])
    snapshot = kernel.snapshot(roll=True).rtp
    assert {(each.received, each.lost) for each in snapshot if each.stream != ledger.OTHER} == {(2, 1)}
    assert len(snapshot) == 501
    assert snapshot[-1].received == unplaced


def test_only_the_busiest_have_a_label(child: Child, play: Player) -> None:
    """Three of nine streams have their own label, the busiest ones; no label ever falls, and the sum is that of all packets."""
    made = BpfBackend(KernelOptions([1_000_000], streams=3))
    plan = plan_for(child.path, {"put": Meaning(program=PUT, argument_registers=frozenset({1, 2, 3}))})
    made.attach(Target(1, child.pid, 0, "rtp_streams", str(child.path), None, "rtp_streams", "x", 0), plan)
    try:
        earlier: dict[str, int] = {}
        sent = 0
        for turn in range(3):
            batch = [
                (packet(1000 * turn + n, 160 * n, ssrc), BUFFER, 0)
                for ssrc in range(9)
                for n in range(100 if ssrc in BUSY else 10)
            ]
            play(batch)
            sent += len(batch)
            now = {each.stream: each.received for each in made.snapshot(roll=True).rtp}
            assert all(now[stream] >= received for stream, received in earlier.items())
            assert sum(now.values()) == sent
            earlier = now
        play([(packet(5000 + n, 160 * n, ssrc), BUFFER, 0) for ssrc in range(9) for n in range(10)])
        grown = {each.stream for each in made.snapshot().rtp if each.received > earlier[each.stream]}
        assert grown == {ledger.OTHER, *(f"ssrc:{ssrc:08x}" for ssrc in BUSY)}
    finally:
        made.close()


def test_a_slow_call_bears_the_name_of_its_stream(kernel: BpfBackend, play: Player) -> None:
    """Once streams were read, a slow put is of the stream through its buffer: label and SSRC, or neither if the buffer has two."""
    first, second, both = BUFFER, BUFFER + 64, BUFFER + 128
    packets = [(packet(n, n, ssrc), buffer, 0) for n in range(2) for ssrc, buffer in ((1, first), (2, second))]
    play([*packets, (packet(0, 0, 3), both, 0), (packet(0, 0, 4), both, 0)])
    (series,) = kernel.snapshot().series
    kernel.set_threshold(series.series, 1)
    play([(packet(3, 3, ssrc), buffer, 0) for ssrc, buffer in ((1, first), (2, second), (3, both), (9, BUFFER + 192))])
    told = [(call.stream, call.stream_name, call.ssrc) for call in kernel.slow_calls()]
    assert told == [
        (first, "ssrc:00000001", 1),
        (second, "ssrc:00000002", 2),
        (both, "", None),
        (BUFFER + 192, "", None),
    ]
