# SPDX-License-Identifier: Apache-2.0
"""Jitter of a publisher whose clock rates nobody told the agent: they are in the server's own tracks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import cast

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent, until
from tests.rtp_oracle import jitter_s

pytestmark = pytest.mark.e2e

SOUND, PICTURE, UNKNOWN, OTHER, CHANGED, IMPOSSIBLE = range(1, 7)  #: SSRCs
PACKETS = 100
ATTEMPTS = 6  #: a busy machine may take the CPU away between the program's log and its call


class Publisher:
    """The program and what the agent says of its streams."""

    def __init__(self, program: Conversation, measuring: AgentProcess) -> None:
        self._program, self._measuring = program, measuring
        self._seeds = iter(range(1, 1000))

    def tell(self, line: str) -> None:
        self._program.ask(line)

    def put(self, ssrc: int, payload_type: int, hertz: int, count: int = PACKETS) -> float:
        """Jitter in seconds of all that was put so far, by the program's own log."""
        log = cast(
            "list[list[int]]", self._program.ask(f"put {ssrc} {payload_type} {hertz} {count} {next(self._seeds)}")
        )
        self._put = len(log)
        return jitter_s([(at_ns / 1e9, rtp_time) for at_ns, rtp_time in log], hertz)

    def jitter(self, ssrc: int) -> float | None:
        """What the agent says, once it has read all packets of this stream."""
        stream = f"ssrc:{ssrc:08x}"

        def whole() -> bool:
            seen = self._measuring.scrape().value("rtp_packets_received_total", pid=self._program.pid, stream=stream)
            return seen == self._put

        until(whole, f"{self._put} packets of {stream}")
        return self._measuring.scrape().value("rtp_jitter_seconds", pid=self._program.pid, stream=stream)


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    tmp_path = tmp_path_factory.mktemp("tracks")
    built = tmp_path / "srs_tracks"
    subprocess.run(["g++", "-g", "-O1", "-Wall", "-Werror", "-o", built, TARGETS / "srs_tracks.cc"], check=True)
    with (
        Conversation(built) as program,
        agent(tmp_path, "--pid", str(program.pid), "--interval", "500ms") as measuring,
    ):
        yield Publisher(program, measuring)


def agrees(publisher: Publisher, ssrc: int, payload_type: int, hertz: int) -> None:
    """Put packets until the agent's jitter is the log's within 5 %."""
    errors = []
    for _ in range(ATTEMPTS):
        expected = publisher.put(ssrc, payload_type, hertz)
        found = publisher.jitter(ssrc)
        assert found is not None
        errors.append(abs(found / expected - 1))
        if errors[-1] < 0.05:
            return
    raise AssertionError(errors)


def test_jitter_of_srs_needs_no_clock_rate_from_the_user(publisher: Publisher) -> None:
    """Sound and picture have the jitter of the program's own log within 5 %, each by the clock of the track that has its SSRC."""
    for ssrc, payload_type, hertz in ((SOUND, 111, 48000), (PICTURE, 106, 90000)):
        publisher.tell(f"track {'audio' if ssrc == SOUND else 'video'} {ssrc} {payload_type} {hertz}")
        publisher.put(ssrc, payload_type, hertz, 2)
        publisher.jitter(ssrc)  # which reads the clock
        agrees(publisher, ssrc, payload_type, hertz)


def test_where_no_track_tells_the_clock_there_is_no_jitter(publisher: Publisher) -> None:
    """A stream without a track, a payload type that the track was not negotiated with, and an impossible rate have none."""
    publisher.tell(f"track audio {OTHER} 111 48000")
    publisher.tell(f"track video {IMPOSSIBLE} 106 0")
    for ssrc, payload_type in ((UNKNOWN, 111), (OTHER, 101), (IMPOSSIBLE, 106)):
        publisher.put(ssrc, payload_type, 48000, 5)
        publisher.jitter(ssrc)
        publisher.put(ssrc, payload_type, 48000, 5)
        assert publisher.jitter(ssrc) is None, (ssrc, payload_type)


def test_a_clock_that_the_server_changes_is_taken_over(publisher: Publisher) -> None:
    """An address and an SSRC that come again with another clock have its jitter, not that of the clock before."""
    publisher.tell(f"track audio {CHANGED} 111 48000")
    publisher.put(CHANGED, 111, 48000, 2)
    publisher.jitter(CHANGED)
    agrees(publisher, CHANGED, 111, 48000)
    publisher.tell(f"hertz {CHANGED} 8000")

    def agreed() -> bool:  # it is read again once an interval, while packets come
        expected = publisher.put(CHANGED, 111, 8000)
        found = publisher.jitter(CHANGED)
        return found is not None and abs(found / expected - 1) < 0.05

    until(agreed, "the jitter of the new clock")
