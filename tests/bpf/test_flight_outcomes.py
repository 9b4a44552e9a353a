# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder says became of each packet, and late packets as a reason for a trace, compared with what the program did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_jb.model.reads import SIGNED, Op, Outcome, ReadOp, ReadProgram
from otel_jb.model.stream import PassedPacket, SlowCall, Target
from otel_jb.probes import abi, live
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import Child, Compile
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_rtp import BUFFER, Player
from tests.rtp_oracle import packet

pytestmark = pytest.mark.bpf

QUEUED, PASSED, DOUBLE, LATE, REFUSED = 0, 7, -2, -1, -3
#: put(buffer, packet, bytes): -1 is a packet that was too late, -2 a duplicate, below them an error; 7 passes straight through
PUT = ReadProgram(
    entry=(
        ReadOp(Op.STREAM, src=0),
        ReadOp(Op.EXT, dst=2, width=4),
        ReadOp(Op.BYTES, src=2),
        ReadOp(Op.RTP, src=1, skip=0),
        ReadOp(Op.ENTERS, imm=1),
        ReadOp(Op.END),
    ),
    end=(
        ReadOp(Op.EXT, dst=0, width=4 | SIGNED),
        ReadOp(Op.JNE, dst=0, imm=-2, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.DUPLICATE),
        ReadOp(Op.END),
        ReadOp(Op.JNE, dst=0, imm=-1, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.DROP + 1),
        ReadOp(Op.END),
        ReadOp(Op.JGE, dst=0, imm=0, skip=2),
        ReadOp(Op.OUTCOME, imm=Outcome.DROP),
        ReadOp(Op.END),
        ReadOp(Op.JNE, dst=0, imm=7, skip=1),
        ReadOp(Op.PASSES),
        ReadOp(Op.END),
    ),
    fields=("rtp",),
)
#: get(buffer, …) returns the number of the packet; from 60 000 on it throws it away
GET = ReadProgram(
    entry=(ReadOp(Op.STREAM, src=0), ReadOp(Op.END)),
    end=(
        ReadOp(Op.EXT, dst=0, width=4),
        ReadOp(Op.LEAVES, src=0),
        ReadOp(Op.JGE, dst=0, imm=60_000, skip=1),
        ReadOp(Op.END),
        ReadOp(Op.OUTCOME, imm=Outcome.DROP),
        ReadOp(Op.END),
    ),
)


@pytest.fixture
def child(compile_program: Compile, start: Callable[..., Child]) -> Child:
    return start(compile_program("rtp_streams.c", "-O1", "-fcf-protection=none", "-fstack-protector-all"))


@pytest.fixture
def play(child: Child, tmp_path: Path) -> Player:
    return Player(child, tmp_path)


@pytest.fixture
def kernel(child: Child) -> Iterator[BpfBackend]:
    made = BpfBackend(KernelOptions([1_000_000], event_rate=1e6, event_burst=1000))
    reasons = ("error", "late")
    functions = {
        "put": Meaning(program=PUT, drop_reasons=reasons, argument_registers=frozenset({1, 2, 3})),
        "get": Meaning(program=GET, role="get", has_bytes=False, argument_registers=frozenset({1, 2})),
    }
    target = Target(1, child.pid, 0, "rtp_streams", str(child.path), None, "rtp_streams", "x", 0)
    made.attach(target, plan_for(child.path, functions))
    yield made
    made.close()


def put(number: int, result: int = QUEUED, wait_us: int = 0, size: int = 40) -> tuple[bytes, int, int]:
    """One packet, of which the buffer says this."""
    data = packet(number, 160 * number, 5, size=size)
    return data[:-1] + bytes([result & 0xFF]), BUFFER, wait_us


def get(number: int) -> tuple[bytes, int, int]:
    return b"", BUFFER, number


def outcomes(packets: tuple[PassedPacket, ...]) -> dict[int, str]:
    return {each.sequence_number: each.outcome for each in packets}


def slow_put(kernel: BpfBackend, play: Player, number: int) -> SlowCall:
    """One more packet whose put is slow."""
    (series,) = (each.series for each in kernel.snapshot().series if each.bytes)
    kernel.set_threshold(series, 1)
    play([put(number)])
    kernel.set_threshold(series, None)
    (call,) = (each for each in kernel.slow_calls(every=True) if not each.late)
    return call


def test_each_packet_has_what_became_of_it(kernel: BpfBackend, play: Player) -> None:
    """Played, late, doubled, refused or thrown away as it came out; what waits in the buffer has no end, and a second put hides nothing."""
    play(
        [
            put(1),
            put(2, PASSED),
            put(3, LATE),
            put(4, DOUBLE),
            put(5, REFUSED),
            put(60_001),
            put(6),
            get(1),
            get(60_001),
        ]
    )
    call = slow_put(kernel, play, 7)
    expected = {1: "played", 2: "played", 3: "late", 4: "duplicate", 5: "error", 60_001: "dropped", 6: "", 7: ""}
    assert outcomes(call.packets) == expected
    assert {each.sequence_number for each in call.packets if each.end_ns is None} == {6, 7}


def test_a_packets_end_is_when_its_get_returned(kernel: BpfBackend, play: Player) -> None:
    """Packets that come out in another order, after known waits, ended between the program's own times before and after their gets."""
    began = time.monotonic_ns()
    play([put(number, wait_us=1000) for number in range(10)])
    between = time.monotonic_ns()
    play([get(number) for number in reversed(range(10))])
    ended = time.monotonic_ns()
    packets = slow_put(kernel, play, 10).packets[:-1]
    ends = [each.end_ns or 0 for each in packets]
    assert len(ends) == 10
    assert ends == sorted(ends, reverse=True)
    assert all(began < each.put_ns < between < end < ended for each, end in zip(packets, ends, strict=True))


def test_an_overwritten_record_keeps_the_end_of_its_own_packet(kernel: BpfBackend, play: Player) -> None:
    """Gets of packets whose records are gone say nothing of the packets that took their places."""
    size = 1 << abi.FLIGHT_BITS
    play([put(number) for number in range(2 * size)])
    play([get(number) for number in range(size)])
    call = slow_put(kernel, play, 2 * size)
    assert set(outcomes(call.packets).values()) == {""}
    play([get(number) for number in range(size, 2 * size)])
    assert set(outcomes(slow_put(kernel, play, 2 * size + 1).packets[:-2]).values()) == {"played"}


def test_a_late_packet_is_told_of_with_its_neighbours(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call is slow, and a late packet's is told of once: with the packets before it, those behind it and what became of each since."""
    monkeypatch.setattr(live, "LATE_WAIT_NS", 1 << 60)
    play([*(put(number) for number in range(1, 6)), put(0, LATE)])
    assert kernel.slow_calls() == []  # its neighbours are not there yet
    play([*(put(number) for number in range(6, 9)), *(get(number) for number in range(1, 9))])
    (call,) = kernel.slow_calls(every=True)
    assert call.late
    assert call.outcome == Outcome.DROP + 1
    assert [each.sequence_number for each in call.packets] == [1, 2, 3, 4, 5, 0, 6, 7, 8]
    assert outcomes(call.packets) == {**dict.fromkeys(range(1, 9), "played"), 0: "late"}
    assert kernel.slow_calls(every=True) == []


def test_what_was_read_at_once_outlives_its_record(
    kernel: BpfBackend, play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets that were recorded when a late one came are told of, although a burst has overwritten them since."""
    monkeypatch.setattr(live, "LATE_WAIT_NS", 1 << 60)
    play([*(put(number) for number in range(1, 6)), put(0, LATE)])
    assert kernel.slow_calls() == []
    play([put(number) for number in range(6, 6 + (1 << abi.FLIGHT_BITS))])
    (call,) = kernel.slow_calls(every=True)
    assert [each.sequence_number for each in call.packets[:6]] == [1, 2, 3, 4, 5, 0]


def test_late_packets_are_told_of_once_in_a_while(kernel: BpfBackend, play: Player) -> None:
    """However many come at once, one is told of and all are counted; a slow call with a late packet is a slow call."""
    began = time.monotonic()
    play([put(100), *(put(number, LATE) for number in range(50))])
    calls = kernel.slow_calls(every=True)
    (series,) = (each for each in kernel.snapshot().series if each.bytes)
    assert all(each.late for each in calls)
    assert 1 <= len(calls) <= 1 + (time.monotonic() - began) * 1e9 / abi.LATE_GAP_NS
    assert series.drops[1] == 50
    assert series.events_emitted == series.events_suppressed == series.slow == 0  # these are of slow calls
    kernel.set_threshold(series.series, 1)
    play([put(60, LATE)])
    assert [each.late for each in kernel.slow_calls(every=True)] == [False]


def test_many_processes_with_late_packets_share_the_events(
    kernel: BpfBackend, child: Child, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Processes whose packets are late at once leave no more events than one in a tenth of a second, and each packet is counted."""
    others = [start(child.path) for _ in range(4)]
    functions = {
        "put": Meaning(program=PUT, drop_reasons=("error", "late"), argument_registers=frozenset({1, 2, 3})),
    }
    players = []
    for number, other in enumerate(others, 2):
        target = Target(number, other.pid, 0, "rtp_streams", str(other.path), None, "rtp_streams", "x", 0)
        kernel.attach(target, plan_for(other.path, functions))
        directory = tmp_path / str(number)
        directory.mkdir()
        players.append(Player(other, directory))
    began = time.monotonic()
    for player in players:
        player([put(100), put(1, LATE)])
    calls = kernel.slow_calls(every=True)
    assert 1 <= len(calls) <= 1 + (time.monotonic() - began) * 1e9 / abi.LATE_GAP_ALL_NS
    assert sum(each.drops[1] for each in kernel.snapshot().series if len(each.drops) > 1) == len(players)
