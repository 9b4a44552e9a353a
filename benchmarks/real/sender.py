# SPDX-License-Identifier: Apache-2.0
"""A sender of RTP over loopback that loses, delays and duplicates by a seed, and knows exactly what left."""

from __future__ import annotations

import heapq
import random
import socket
import time
from dataclasses import dataclass
from typing import NamedTuple

from tests.rtp_oracle import Truth, packet, truth

FIRST_NUMBER = 65_000  #: so that the sequence numbers pass zero
SSRC = 0x0BADCAFE
SAMPLES = 160  #: 20 ms of G.711
CLEAN = 25  #: packets at the start to which nothing happens: what tells a receiver that a stream runs


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens on the way: probabilities (0 to 1), and how long a delayed packet is held, in seconds."""

    packets: int = 500
    loss: float = 0.03
    delayed: float = 0.05
    shortest: float = 0.03
    longest: float = 0.3
    duplicated: float = 0.02
    seed: int = 14
    every: float = 0.02
    payload_type: int = 0
    size: int = 12 + SAMPLES
    tail: int = CLEAN  #: packets at the end to which nothing happens


class Sent(NamedTuple):
    """What left, duplicates included; `truth` is the result of RFC 3550's formulas."""

    packets: int
    bytes: int
    unique: int
    lost: int
    delayed: int
    duplicated: int
    truth: Truth


def schedule(plan: Plan) -> tuple[list[tuple[float, int]], Sent]:
    """(seconds after the start, true number) of each datagram in the order in which they leave, and their sums."""
    chance = random.Random(plan.seed)
    waiting: list[tuple[float, int, int]] = []
    lost = delayed = duplicated = 0
    for number in range(plan.packets):
        draws = [chance.random() for _ in range(4)]
        due = number * plan.every
        if CLEAN <= number < plan.packets - plan.tail:
            if draws[0] < plan.loss:
                lost += 1
                continue
            if draws[1] < plan.delayed:
                due += plan.shortest + draws[3] * (plan.longest - plan.shortest)
                delayed += 1
            if draws[2] < plan.duplicated:
                duplicated += 1
                heapq.heappush(waiting, (due, number, 1))
        heapq.heappush(waiting, (due, number, 0))
    order = [(due, number) for due, number, _ in (heapq.heappop(waiting) for _ in range(len(waiting)))]
    arrived = [(FIRST_NUMBER + number, plan.size) for _, number in order]
    unique = len({number for _, number in order})
    return order, Sent(len(order), len(order) * plan.size, unique, lost, delayed, duplicated, truth(arrived))


def send(port: int, plan: Plan, source: socket.socket | None = None) -> Sent:
    """Send all of it to `port` of loopback, at its times; from `source`, where the receiver wants a certain one."""
    order, sent = schedule(plan)
    with source or socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        begin = time.monotonic()
        for due, number in order:
            time.sleep(max(0.0, begin + due - time.monotonic()))
            each = packet(FIRST_NUMBER + number, number * SAMPLES, SSRC, plan.payload_type, plan.size)
            out.sendto(each, ("127.0.0.1", port))
    return sent
