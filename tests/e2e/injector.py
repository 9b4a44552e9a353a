# SPDX-License-Identifier: Apache-2.0
"""Sends RTP by a seeded plan of losses, delays and duplicates, and keeps a log of what really left, and when."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.rtp_oracle import Truth, jitter_s, packet, truth

CLOCK_RATE = 8000
PAYLOAD_TYPE = 8  #: G.711 A-law, which RFC 3551 gives that clock
SIZE = 172
SENDER_REPORT = bytes([0x80, 200, 0, 6]) + bytes(24)


@dataclass(frozen=True)
class Plan:
    """What happens to packets; probabilities are 0 to 1. A delayed packet is passed by those behind it."""

    loss: float = 0.0
    delayed: float = 0.0
    duplicated: float = 0.0
    jitter_s: float = 0.0  #: every packet leaves later by up to so much
    spacing_s: float = 0.02
    seed: int = 1


@dataclass(frozen=True)
class Log:
    """One stream as it left: (true number, seconds) of every datagram, in order."""

    ssrc: int
    sent: tuple[tuple[int, float], ...]

    @property
    def truth(self) -> Truth:
        """What a receiver must have counted."""
        return truth([(number, SIZE) for number, _ in self.sent])

    @property
    def jitter_s(self) -> float:
        """RFC 3550's jitter at the end."""
        return jitter_s(((at, _rtp_time(number)) for number, at in self.sent), CLOCK_RATE)


def _rtp_time(number: int) -> int:
    return number * 160


def play(port: int, plans: Sequence[Plan], packets: int, first: int = 65500) -> list[Log]:
    """Send one stream for each plan to a port of this machine, all at once, by this thread; ends when all have left."""
    schedule: list[tuple[float, int, int]] = []
    for position, plan in enumerate(plans):
        source = random.Random(plan.seed)
        for number in range(packets):
            lost, delayed, duplicated, jitter = (source.random() for _ in range(4))
            at = (
                number * plan.spacing_s
                + jitter * plan.jitter_s
                + (3.5 * plan.spacing_s if delayed < plan.delayed else 0)
            )
            inner = 0 < number < packets - 1  # a stream's ends are what loss is told from
            if inner and lost < plan.loss:
                continue
            schedule.append((at if inner else number * plan.spacing_s, position, number))
            if inner and duplicated < plan.duplicated:
                schedule.append((at + 0.004, position, number))
    ssrcs = [random.Random(plan.seed * 7919).getrandbits(32) for plan in plans]
    sent: list[list[tuple[int, float]]] = [[] for _ in plans]
    begin = time.monotonic() + 0.01
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for at, position, number in sorted(schedule):
            time.sleep(max(0.0, begin + at - time.monotonic()))
            data = packet(first + number, _rtp_time(number), ssrcs[position], PAYLOAD_TYPE, SIZE)
            sent[position].append((number, time.monotonic()))
            out.sendto(data, ("127.0.0.1", port))
            if number % 50 == 0:  # RTCP on the same port is no packet of the stream
                out.sendto(SENDER_REPORT, ("127.0.0.1", port))
    return [Log(ssrc, tuple(of_stream)) for ssrc, of_stream in zip(ssrcs, sent, strict=True)]
