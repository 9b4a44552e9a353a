# SPDX-License-Identifier: Apache-2.0
"""Receive buffers of Go libraries in a stripped program, by the shipped profiles, and a sender that loses, delays and duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from benchmarks.real.sender import FIRST_NUMBER, SAMPLES, SSRC, Plan, Sent, schedule
from otel_jb.model.stream import SeriesSnapshot
from tests.bpf.hazards.harness import Agent, Child, Outcome
from tests.e2e.collector import program
from tests.rtp_oracle import packet
from tests.scale import patience

pytestmark = pytest.mark.e2e

HEADER = 12  #: bytes of the RTP header, which the libraries do not count as the packet's
GORTSPLIB = "github.com/bluenviron/gortsplib/v5/pkg/rtpreceiver.(*Receiver).ProcessPacket2"
PION = "github.com/pion/interceptor/pkg/jitterbuffer.(*JitterBuffer)"
SAMPLES_OF_PION = "github.com/pion/webrtc/v4/pkg/media/samplebuilder.(*SampleBuilder)"
#: Delays beyond the 64 packets that a reorderer holds back, and duplicates of packets that wait as of those that were passed on.
PLAN = Plan(packets=4000, loss=0.02, delayed=0.05, shortest=0.03, longest=2.5, duplicated=0.05, tail=200)


@dataclass(frozen=True)
class Own:
    """What the program says, from the packets that it gave to the buffer and those that it got."""

    packets: int
    bytes: int  #: of payload
    out: int
    late: int  #: arrived when their number, or a later one, had come out
    duplicated: int  #: arrived while their number waited
    waiting: int  #: at the end


@dataclass(frozen=True)
class Measured:
    """Counts of the sender, of the program and of the agent, by function."""

    sent: Sent
    own: Own
    values: dict[str, SeriesSnapshot]


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """The product's own choices, with the shipped profiles."""
    made = Agent()
    yield made
    made.close()


def measured(agent: Agent, buffer: str) -> Measured:
    """All packets of the sender through one of the program's buffers, in the sender's order. They come by a pipe, which loses none."""
    order, sent = schedule(PLAN)
    child, outcome = Child([program("receivers")]), Outcome()
    try:
        assert child.hear(patience(60)) == "ready"
        with agent.measuring(child.pid, outcome):
            child.say(buffer)
            for _, number in order:
                child.say(packet(FIRST_NUMBER + number, number * SAMPLES, SSRC, size=PLAN.size).hex())
            child.say("")
            counted = child.hear(patience(120))
            assert counted is not None, child.end(patience(10))
            assert child.end(patience(60)) == "status 0"
    finally:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()
    return Measured(sent, Own(*map(int, counted.split()[1:])), outcome.values)


def complete(values: SeriesSnapshot) -> bool:
    """Whether each call was seen from its begin to its end, and everything that was to be read could be."""
    gaps = (values.missed, values.untimed, values.abandoned, values.orphan_ends, values.in_flight, values.unknown)
    return sum(gaps) + sum(values.faults) == 0


@pytest.mark.timeout(patience(240))
def test_gortsplibs_reorderer_is_counted_exactly(agent: Agent) -> None:
    """Packets, bytes, late packets and duplicates equal the sender's count, and what the program sees of packets that went in and came out."""
    run = measured(agent, "gortsplib")
    put, own, sent = run.values[GORTSPLIB], run.own, run.sent
    assert own.waiting == 0
    assert min(own.late, own.duplicated) > 10, f"the sender tries neither: {own}"
    assert own.out + own.late + own.duplicated == own.packets == sent.packets
    assert (put.packets, put.bytes) == (sent.packets, own.bytes)
    assert put.bytes == sent.bytes - HEADER * sent.packets
    assert (sum(put.drops), put.duplicates) == (own.late, own.duplicated)
    assert put.returned == sent.packets
    assert complete(put)


@pytest.mark.timeout(patience(240))
def test_pions_jitter_buffer_is_counted_exactly(agent: Agent) -> None:
    """Packets and bytes equal the sender's count, and the packets that come out the program's."""
    run = measured(agent, "pion")
    put, get, own, sent = run.values[f"{PION}.Push"], run.values[f"{PION}.Pop"], run.own, run.sent
    assert own.packets == sent.packets
    assert (put.packets, put.bytes) == (sent.packets, own.bytes)
    assert put.bytes == sent.bytes - HEADER * sent.packets
    assert 0 < own.out < sent.packets
    assert (get.returned, get.packets, get.no_packet) == (sent.packets, own.out, sent.packets - own.out)
    assert get.bytes == (PLAN.size - HEADER) * own.out
    assert complete(put)
    assert complete(get)


@pytest.mark.timeout(patience(240))
def test_pions_sample_builder_is_counted_exactly(agent: Agent) -> None:
    """Packets and bytes equal the sender's count. Pop, which gives samples instead of packets, has calls alone."""
    run = measured(agent, "samples")
    put, get, own, sent = run.values[f"{SAMPLES_OF_PION}.Push"], run.values[f"{SAMPLES_OF_PION}.Pop"], run.own, run.sent
    assert own.packets == sent.packets
    assert (put.packets, put.bytes) == (sent.packets, own.bytes)
    assert put.bytes == sent.bytes - HEADER * sent.packets
    assert 0 < own.out < sent.packets
    assert (get.returned, get.bytes) == (sent.packets, 0)
    assert complete(put)
    assert complete(get)
